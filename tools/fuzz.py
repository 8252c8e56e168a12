"""Run tests/unit/mesh/test_fuzz.py on many inventories, on every core, a few thousand to a process; then
tests/unit/host/test_hostile_answers.py on half as many answers, up to 10,000; most of them are waited for.

Prints the seeds first: `make fuzz FUZZ_SEED=N` replays from N on, `FUZZ_EXAMPLES=N` says how many inventories.
"""

from __future__ import annotations

import concurrent.futures
import os
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path

TOTAL = int(os.environ.get("FUZZ_EXAMPLES") or 100_000)
FIRST = int(os.environ.get("FUZZ_SEED") or secrets.randbelow(2**32))
EACH = min(TOTAL, 5000)  # inventories of one process, half of them valid by construction
RUNS = -(-TOTAL // EACH)
ANSWERS = min(10_000, -(-TOTAL // 2))
WAITING = 20  # processes that wait for answers at the same time


def fuzz(seed: int) -> subprocess.CompletedProcess[str]:
    return run("mesh/test_fuzz.py", seed, "FUZZ_EXAMPLES", -(-EACH // 2))


def fuzz_answers(seed: int) -> subprocess.CompletedProcess[str]:
    return run("host/test_hostile_answers.py", seed, "FUZZ_ANSWERS", -(-ANSWERS // WAITING))


def run(test: str, seed: int, count: str, number: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/unit/{test}"]
    variables = {"FUZZ_SEED": str(seed), count: str(number)}
    return subprocess.run(
        command,
        cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, **variables},
        text=True,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def main() -> int:
    started, failed, counts = time.monotonic(), 0, {"valid": 0, "hostile": 0, "refused": 0}
    print(f"fuzz: FUZZ_SEED={FIRST}, {RUNS} runs of {EACH} inventories", flush=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for at, ended in enumerate(pool.map(fuzz, range(FIRST, FIRST + RUNS))):
            for count, what in re.findall(r"([0-9]+) (valid|hostile|refused)\b", ended.stdout):
                counts[what] += int(count)
            failed += report(ended, FIRST + at)
    valid, hostile, seconds = counts["valid"], counts["hostile"], time.monotonic() - started
    print(
        f"fuzz: {valid + hostile} inventories in {seconds:.0f} s: {valid} valid, {hostile} hostile, and of these "
        f"{counts['refused']} were refused; {failed} of {RUNS} runs failed"
    )
    started, wrong, slowest = time.monotonic(), 0, ""
    with concurrent.futures.ThreadPoolExecutor(WAITING) as pool:
        for at, ended in enumerate(pool.map(fuzz_answers, range(FIRST, FIRST + WAITING))):
            slowest = max(slowest, *re.findall(r"slowest: .*more memory", ended.stdout), key=len)
            wrong += report(ended, FIRST + at)
    print(
        f"fuzz: {WAITING * -(-ANSWERS // WAITING)} answers in {time.monotonic() - started:.0f} s; "
        f"{wrong} of {WAITING} runs failed; {slowest}"
    )
    return 1 if failed or wrong else 0


def report(ended: subprocess.CompletedProcess[str], seed: int) -> int:
    """Print the output of a run that failed. Returns how many did."""
    if ended.returncode:
        print(ended.stdout, f"fuzz: FUZZ_SEED={seed} failed", sep="\n", flush=True)
    return 1 if ended.returncode else 0


if __name__ == "__main__":
    raise SystemExit(main())
