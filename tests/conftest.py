"""Let tests import what Ansible would: module_utils as ansible.module_utils.hamesh, modules by name."""

import sys
from pathlib import Path

import ansible.module_utils

ROOT = Path(__file__).resolve().parents[1]

ansible.module_utils.__path__.append(str(ROOT / "module_utils"))
sys.path[:0] = [str(ROOT / "library"), str(ROOT / "action_plugins"), str(ROOT / "tests"), str(ROOT / "tools")]

from fuzzing import FUZZ_EXAMPLES, FUZZ_SEED, FUZZED  # noqa: E402  only after its path is known


def pytest_report_header() -> str:
    return f"fuzz: FUZZ_SEED={FUZZ_SEED} FUZZ_EXAMPLES={FUZZ_EXAMPLES}"


def pytest_terminal_summary(terminalreporter) -> None:
    if FUZZED:
        counts = ", ".join(f"{count} {what}" for what, count in FUZZED.items())
        terminalreporter.write_line(f"fuzz: FUZZ_SEED={FUZZ_SEED}: tried {counts}")
