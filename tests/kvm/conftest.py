"""The guest must be up and rolled out: scenario `kvm` of molecule does that, and runs these tests."""

from guest import live, pytest_terminal_summary, rebooted, result  # noqa: F401  what pytest looks for here
