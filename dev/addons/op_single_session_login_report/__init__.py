import json
import os
import traceback
from pathlib import Path

from odoo.tests.result import OdooTestResult


def _report():
    for name in ("addSuccess", "addSkip", "addFailure", "addError"):
        setattr(OdooTestResult, name, _reporting(name, getattr(OdooTestResult, name)))


def _reporting(name, method):
    def report(result, test, *details):
        """Write a line about a test, or about a class whose preparation failed."""
        [detail] = details or [""]
        text = "".join(traceback.format_exception(*detail)) if isinstance(detail, tuple) else str(detail)
        with Path(os.environ["TEST_REPORT"]).open("a") as file:
            file.write(json.dumps([test.id(), name, text]) + "\n")
        return method(result, test, *details)

    return report
