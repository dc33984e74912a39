"""Real browsers, and the proxy between them and the server."""

import base64
import contextlib
import hashlib
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from mirakuru import TCPExecutor
from playwright.sync_api import expect

from devtools.environment import free_port
from servers import ENVIRONMENT, PASSWORD, STATUS, find_token

NOTIFICATION = ".o_single_session_ended"
NEW_LOGIN = ".o_single_session_notification:not(.o_single_session_ended)"
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
    proxy_cache_path {folder}/cache keys_zone=status:1m;
    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    server {{
        listen 127.0.0.1:{port};
        listen 127.0.0.1:{other_port};
        {headers}
        location = /around {{
            default_type text/html;
            return 200 '<h1>Around</h1><iframe src="http://127.0.0.1:{port}$arg_page" width=900 height=600></iframe>';
        }}
        location / {{ proxy_pass http://127.0.0.1:{workers}; }}
        location = {status} {{
            proxy_pass http://127.0.0.1:{workers};
            {cache}
        }}
        location /websocket {{
            proxy_pass http://127.0.0.1:{websocket};
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection upgrade;
        }}
    }}
}}
"""


# Headers by which Odoo forbids other pages to show its pages in a frame.
HIDDEN_HEADERS = "proxy_hide_header X-Frame-Options; proxy_hide_header Content-Security-Policy;"
# Keeps the answers for each URL, whatever their headers and the request's cookies say.
CACHE = """
    proxy_cache status;
    proxy_cache_key $request_uri;
    proxy_cache_valid any 10m;
    proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;
"""


class Proxy(TCPExecutor):
    """An nginx in front of a server, as Odoo's documentation describes for workers.

    It has a page with a frame at ``/around``. On its other port, that page has another origin than Odoo.

    :param websocket: False for a proxy without it, or the port of another server for it
    :param frames: whether Odoo's pages may be shown in frames
    :param cache: whether the proxy keeps answers to status requests that it must not keep
    """

    def __init__(self, server, websocket=True, frames=False, cache=False):
        port, other_port = free_port(), free_port()
        folder = ENVIRONMENT.output / f"nginx-{port}"
        settings = NGINX.format(
            folder=folder,
            port=port,
            other_port=other_port,
            workers=server.port,
            # without a websocket: a port where no program listens
            websocket=server.websocket_port if websocket is True else websocket or free_port(),
            headers=HIDDEN_HEADERS if frames else "",
            status=STATUS,
            cache=CACHE if cache else "",
        )
        folder.mkdir()
        (folder / "nginx.conf").write_text(settings)
        nginx = [str(ENVIRONMENT.nginx), "-e", "stderr", "-c", str(folder / "nginx.conf"), "-p", str(folder)]
        command = ["setpriv", "--pdeathsig=TERM", *nginx]
        super().__init__(command, "127.0.0.1", port, timeout=60, stderr=subprocess.DEVNULL, expected_returncode=0)
        self.url = f"http://127.0.0.1:{port}"
        self.other_url = f"http://127.0.0.1:{other_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers requests, and logs nothing."""

    def answer(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_arguments):
        pass


class ClosingWebsocket(Handler):
    """Accepts websockets and closes them at once, as some proxies do."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        digest = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
        self.answer(101, {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": digest})
        self.close_connection = True


@contextlib.contextmanager
def serving(handler):
    """Run a server on a free port as long as the context."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class Tab:
    """A tab of a browser, and what its user does and sees."""

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

    def log_in(self, login, database=None):
        """Log in as the login page does, without showing a page."""
        send = self.page.context.request
        for _attempt in range(2):
            page = send.get(f"{self.url}/web/login", params={"db": database} if database else {}).text()
            form = {"login": login, "password": PASSWORD, "csrf_token": find_token(page)}
            answer = send.post(f"{self.url}/web/login", form=form, max_redirects=0)
            if answer.status != 400:  # a late answer to a page that was left has brought another cookie
                break
        assert answer.status == 303, f"login answered {answer.status}"
        return self

    def login(self, login, path="/web", database=None, wait=True):
        """Log in and open a page, and by default wait for its service."""
        if "//127.0.0.1" not in self.url:  # only the browser knows other hosts
            return self.open(f"/web/login?redirect={path}").send_login(login, wait=wait)
        self.log_in(login, database)
        self.page.goto(self.url + path, wait_until="commit")
        return self.wait_until_loaded() if wait else self

    def send_login(self, login, wait=True):
        """Fill in the login page that is shown, as soon as its scripts have set the focus."""
        self.page.wait_for_function("() => document.activeElement?.matches('.oe_login_form input')")
        self.page.fill("#login", login)
        self.page.fill("#password", PASSWORD)
        self.page.locator(".oe_login_form button.btn-primary").click()
        self.page.wait_for_url(lambda url: "/web/login" not in url, wait_until="commit")
        return self.wait_until_loaded() if wait else self

    def wait_until_loaded(self):
        """Wait until the service runs, for everything it does is what these scenarios are about."""
        self.page.wait_for_function("() => window.odoo?.singleSession")
        # the page the web client arrives at
        self.page.wait_for_selector(".o_action_manager > .o_action, .o_action_manager > div, #wrapwrap")
        return self

    def wait_for_service_worker(self):
        """Wait until Odoo's service worker is installed.

        It fetches /odoo then, and that answer sets the cookie anew: after a logout it would log the user in again.
        """
        self.page.wait_for_function(
            "async () => (await navigator.serviceWorker.getRegistrations()).some(({ active }) => active)"
        )
        return self

    def set_visible(self, is_visible):
        """Tell the page that its tab is in front or behind another one; Chromium shows all tabs here."""
        self.page.evaluate(
            """hidden => {
                Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
                document.dispatchEvent(new Event("visibilitychange"));
            }""",
            not is_visible,
        )

    @property
    def path(self):
        parts = urlsplit(self.page.url)
        return parts._replace(scheme="", netloc="").geturl()

    @property
    def notification(self):
        return self.page.locator(NOTIFICATION)

    def expect_notification(self, *texts, seconds=20):
        expect(self.notification).to_have_count(1, timeout=seconds * 1000)
        for text in texts:
            expect(self.notification).to_contain_text(text)
        assert "127.0.0.1" not in self.notification.inner_text()

    def leave(self, *texts):
        """Press the button instead of waiting for the countdown, and return what ``expect_login_page`` returns."""
        self.notification.locator("button.btn").last.click()
        return self.expect_login_page(*texts)

    def expect_login_page(self, *texts):
        """Wait for the login page after the countdown, and return the path that it leads back to."""
        self.page.wait_for_url("**/web/login?**", timeout=20_000)
        for text in texts:
            expect(self.page.locator(".alert-warning")).to_contain_text(text)
        expect(self.page.locator("#login")).to_be_visible()
        assert self.native_dialogs == []
        return parse_qs(urlsplit(self.page.url).query)["redirect"][0]

    def prove_identity(self):
        """Send the password that Odoo asks for before what only administrators may do."""
        self.page.locator(".modal input[type=password]").fill(PASSWORD)
        self.page.locator(".modal footer .btn-primary:visible").click()
        expect(self.page.locator(".modal")).to_have_count(0)

    def expect_nothing(self, ignored=None):
        """Expect no notification of this addon after another status request, and no dialog except one with a text."""
        self.wait_for_status()
        self.page.wait_for_timeout(300)
        shown = self.page.locator(f"{NOTIFICATION}, .o_dialog").all_inner_texts()
        shown = [text for text in shown if not ignored or ignored not in text]
        assert shown == [], shown
        assert "/web/login" not in self.page.url

    def wait_for_status(self):
        """Let the page ask for its session's status, at the latest five seconds after the last time."""
        with self.page.expect_response(f"**{STATUS}*") as answer:
            self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        return answer.value

    def collect_status_requests(self):
        """Return a list to which the URLs of the page's status requests are added from now on."""
        urls = []
        self.page.on("request", lambda request: urls.append(request.url) if STATUS in request.url else None)
        return urls

    def screenshot(self, name):
        """Take a screenshot, without waiting until notifications have faded in."""
        self.page.screenshot(path=ENVIRONMENT.output / "screenshots" / f"{name}.png", animations="disabled")
