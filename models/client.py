"""The browser, the platform and the IP address of a request, as far as they are known."""

import re
from ipaddress import ip_address

# Names of werkzeug that need more than a capital letter.
NAMES = {"chromeos": "ChromeOS", "ipad": "iPad", "iphone": "iPhone", "macos": "macOS", "msie": "Internet Explorer"}


def get_client(httprequest):
    """Return the browser, the platform and the IP address of a request, as values for the login log.

    :rtype: dict
    """
    return {
        "browser": get_name(httprequest.user_agent.browser),
        "platform": get_name(httprequest.user_agent.platform),
        "ip_address": get_ip_address(httprequest.remote_addr),
    }


def get_name(name):
    """Return the usual spelling of a browser or a platform, None if it is unknown."""
    return NAMES.get(name, name.capitalize()) if name else None


def get_ip_address(text):
    """Return the IP address in the text that a proxy or a socket gives for the client; None if there is none.

    With ``proxy_mode``, a client may be able to send any text. Some proxies add a port. IPv6 addresses may
    have a zone. A socket for both protocols writes IPv4 addresses as IPv6 addresses.
    """
    text = text or ""
    with_port = re.fullmatch(r"\[(.*)\](?::\d+)?|([\d.]+):\d+", text)
    if with_port:
        text = with_port[1] or with_port[2]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
