"""Who sends a request: the browser, the platform and the IP address, as far as they are known."""

import re
from ipaddress import ip_address

# Where the name that werkzeug gives a browser or a platform needs more than a capital letter.
NAMES = {
    "chromeos": "ChromeOS",
    "ipad": "iPad",
    "iphone": "iPhone",
    "macos": "macOS",
    "msie": "Internet Explorer",
}


def get_client(httprequest):
    """Return the values of the login log that describe who sends a request.

    :rtype: dict
    """
    return {
        "browser": get_name(httprequest.user_agent.browser),
        "platform": get_name(httprequest.user_agent.platform),
        "ip_address": get_ip_address(httprequest.remote_addr),
    }


def get_name(name):
    """Return the name of a browser or a platform as it is usually written, None if it is unknown."""
    return NAMES.get(name, name.capitalize()) if name else None


def get_ip_address(text):
    """Return the IP address in what a proxy or a socket says of the client; None if there is none.

    With ``proxy_mode`` a client may get any text through. Some proxies add a port, IPv6 addresses
    a zone, and a socket for both protocols writes IPv4 addresses as IPv6 ones.
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
