"""The lab must be up and rolled out: scenario `sources` of molecule does that, and runs these tests."""

from moves import moves, packages_again, pytest_terminal_summary  # noqa: F401  what pytest looks for here
