"""What Odoo may log."""

import re

# Warnings and errors of Odoo itself that are expected, and why.
EXPECTED = (
    "endpoints are deprecated in Odoo 19",  # said at each external API call
    # Odoo tries again what another request has written meanwhile, in two forms
    'UPDATE "discuss_channel_member"',
    "UPDATE discuss_channel_member",
    "[HOOT] Viewport size does not match",  # the browser of 18.0's tests has a lower window
)


def unexpected_lines(log):
    """Return the warnings and errors of a log that are not expected, each with its traceback."""
    blocks = re.split(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ )", log, flags=re.MULTILINE)
    bad = [block for block in blocks if re.match(r"\S+ \S+ \d+ (WARNING|ERROR|CRITICAL) ", block)]
    return [block.strip() for block in bad if not any(reason in block.partition("\n")[0] for reason in EXPECTED)]
