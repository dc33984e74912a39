"""Real browsers, and the proxy through which they reach the workers and the websocket process."""

import contextlib
import os
import subprocess
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import requests
from playwright.sync_api import expect

from devtools.environment import free_port
from servers import PASSWORD

SCREENSHOTS = Path(os.environ["DEV_OUTPUT"]) / "screenshots"
TOAST = ".o_single_session_toast"
NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{workers}; }}
        location /websocket {{
            proxy_pass http://127.0.0.1:{websocket};
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }}
    }}
}}
"""


class Proxy:
    """An nginx in front of a server, as Odoo's documentation wants it for workers."""

    def __init__(self, server, folder, websocket=True):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        # without: nobody listens there
        websocket_port = server.websocket_port if websocket else free_port()
        self.settings = NGINX.format(folder=folder, port=self.port, workers=server.port, websocket=websocket_port)

    def __enter__(self):
        self.folder.mkdir(exist_ok=True)
        settings = self.folder / "nginx.conf"
        settings.write_text(self.settings)
        command = [os.environ["DEV_NGINX"], "-e", "stderr", "-c", settings, "-p", self.folder]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        for _ in range(100):
            with contextlib.suppress(requests.ConnectionError):
                requests.get(f"{self.url}/web/health", timeout=60)
                return self
            time.sleep(0.1)
        self.process.kill()
        raise RuntimeError(f"nginx does not answer: {self.folder}")

    def __exit__(self, *exception):
        self.process.terminate()
        self.process.wait()


class Tab:
    """A tab of a browser, and what the person in front of it does and sees."""

    def __init__(self, context, url):
        self.page = context.new_page()
        self.url = url
        self.native_dialogs = []
        self.page.on("dialog", self.answer_dialog)

    def answer_dialog(self, dialog):
        self.native_dialogs.append(dialog.type)
        dialog.accept()

    def open(self, path):
        self.page.goto(self.url + path)
        return self

    def login(self, login, path="/web", database=None, wait=True):
        """Log in, and unless told otherwise wait for the page that was asked for."""
        query = f"&db={database}" if database else ""
        self.open(f"/web/login?redirect={path}{query}")
        return self.send_login(login, wait=wait)

    def send_login(self, login, wait=True):
        """Fill in the login page that is shown."""
        self.page.fill("#login", login)
        self.page.fill("#password", PASSWORD)
        self.page.locator(".oe_login_form button.btn-primary").click()
        self.page.wait_for_url(lambda url: "/web/login" not in url, wait_until="commit")
        return self.wait_until_loaded() if wait else self

    def wait_until_loaded(self):
        """Wait until the service runs, for everything it does is what these scenarios are about."""
        self.page.wait_for_function(
            "() => window.odoo?.__WOWL_DEBUG__?.root?.env.services.single_session"
            " || window.odoo?.__DEBUG__?.services?.single_session",
        )
        # the page the web client arrives at
        self.page.wait_for_selector(".o_action_manager > .o_action, .o_action_manager > div, #wrapwrap")
        return self

    def wait_for_service_worker(self):
        """Wait until Odoo's service worker is installed.

        It fetches /odoo then, and that answer sets the cookie anew: after a logout it would log the person in again.
        """
        self.page.wait_for_function(
            "async () => (await navigator.serviceWorker.getRegistrations()).some(({ active }) => active)"
        )
        return self

    @property
    def path(self):
        parts = urlsplit(self.page.url)
        return parts._replace(scheme="", netloc="").geturl()

    @property
    def toast(self):
        return self.page.locator(TOAST)

    def expect_toast(self, *texts, seconds=20):
        expect(self.toast).to_have_count(1, timeout=seconds * 1000)
        for text in texts:
            expect(self.toast).to_contain_text(text)
        assert "127.0.0.1" not in self.toast.inner_text()

    def expect_login_page(self, *texts):
        """Wait until the countdown is over and the login page is there; return where it leads back to."""
        self.page.wait_for_url("**/web/login?**", timeout=20_000)
        for text in texts:
            expect(self.page.locator(".alert-warning")).to_contain_text(text)
        assert self.native_dialogs == []
        return parse_qs(urlsplit(self.page.url).query)["redirect"][0]

    def expect_nothing(self):
        """Nothing is shown after the server was asked once more.

        What Odoo itself says of a lost connection, on a busy machine, is another matter.
        """
        with self.page.expect_response("**/op_single_session_login/status"):
            self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        self.page.wait_for_timeout(300)
        shown = self.page.locator(f"{TOAST}, .o_dialog").all_inner_texts()
        assert shown == [], shown
        assert "/web/login" not in self.page.url

    def screenshot(self, name):
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.wait_for_timeout(500)  # toasts fade in
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")
