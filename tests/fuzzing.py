"""Settings of the fuzzers: the seed and the number of examples; and counters of what they tried."""

from __future__ import annotations

import collections
import os
import secrets

FUZZ_SEED = int(os.environ.get("FUZZ_SEED") or secrets.randbelow(2**32))
FUZZ_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES") or 1500)
FUZZ_FLEETS = int(os.environ.get("FUZZ_EXAMPLES") or 10_000)
FUZZ_ANSWERS = int(os.environ.get("FUZZ_ANSWERS") or 60)
FUZZED: collections.Counter[str] = collections.Counter()
