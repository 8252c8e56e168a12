"""The lab must be up and rolled out: scenario `rolling` of molecule does that, and runs these tests."""

from phases import ended, inventory, pytest_report_header, pytest_terminal_summary  # noqa: F401  what pytest looks for here
