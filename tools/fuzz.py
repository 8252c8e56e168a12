"""Run tests/unit/mesh/test_fuzz.py on many inventories, on every core, a few thousand to a process.

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


def fuzz(seed: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "tests/unit/mesh/test_fuzz.py"]
    variables = {"FUZZ_SEED": str(seed), "FUZZ_EXAMPLES": str(-(-EACH // 2))}
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
        for at, run in enumerate(pool.map(fuzz, range(FIRST, FIRST + RUNS))):
            for count, what in re.findall(r"([0-9]+) (valid|hostile|refused)\b", run.stdout):
                counts[what] += int(count)
            if run.returncode:
                failed += 1
                print(run.stdout, f"fuzz: FUZZ_SEED={FIRST + at} failed", sep="\n", flush=True)
    valid, hostile, seconds = counts["valid"], counts["hostile"], time.monotonic() - started
    print(
        f"fuzz: {valid + hostile} inventories in {seconds:.0f} s: {valid} valid, {hostile} hostile, of which "
        f"{counts['refused']} were refused; {failed} of {RUNS} runs failed"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
