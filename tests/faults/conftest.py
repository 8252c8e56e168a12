"""The lab must be up and rolled out: scenario `faults` of molecule does that, and runs these tests."""

from trials import lab, old, pytest_terminal_summary  # noqa: F401  what pytest looks for here
