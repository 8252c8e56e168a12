"""The lab must be up and rolled out: scenario `life` of molecule does that, and runs these tests."""

from fixtures import index, restored  # noqa: F401  what pytest looks for here
from phases import ended, pytest_report_header, pytest_terminal_summary  # noqa: F401
