"""Let tests import what Ansible would: module_utils as ansible.module_utils.hamesh, modules by name."""

import collections
import os
import secrets
import sys
from pathlib import Path

import ansible.module_utils

ROOT = Path(__file__).resolve().parents[1]

ansible.module_utils.__path__.append(str(ROOT / "module_utils"))
sys.path[:0] = [str(ROOT / "library"), str(ROOT / "action_plugins"), str(ROOT / "tests")]

# The fuzzers': what to replay, how many inventories of each family and fleets to try, and how many there were.
FUZZ_SEED = int(os.environ.get("FUZZ_SEED") or secrets.randbelow(2**32))
FUZZ_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES") or 1500)
FUZZ_FLEETS = int(os.environ.get("FUZZ_EXAMPLES") or 10_000)
FUZZED: collections.Counter[str] = collections.Counter()


def pytest_report_header() -> str:
    return f"fuzz: FUZZ_SEED={FUZZ_SEED} FUZZ_EXAMPLES={FUZZ_EXAMPLES}"


def pytest_terminal_summary(terminalreporter) -> None:
    if FUZZED:
        counts = ", ".join(f"{count} {what}" for what, count in FUZZED.items())
        terminalreporter.write_line(f"fuzz: FUZZ_SEED={FUZZ_SEED}: tried {counts}")
