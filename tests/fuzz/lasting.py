"""How long a fuzzer goes on: over a fixed few examples in the tests, for NETSPEC_FUZZ_MINUTES under `make fuzz`."""

from __future__ import annotations

import linecache
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.random_specs import Choose

MINUTES = float(os.environ.get("NETSPEC_FUZZ_MINUTES", "0"))
SEED = int(os.environ.get("NETSPEC_FUZZ_SEED", "0")) or (random.SystemRandom().randrange(1, 10**9) if MINUTES else 1)
"""Where a long run begins: given again, it meets the same examples."""

COUNTS: defaultdict[str, Counter[str]] = defaultdict(Counter)
"""What each fuzzer did, for the report at the end of a long run."""

BATCH = 200

Data = dict[str, Any]


def hold(make: Callable[[Choose], Data], check: Callable[[Data], None], examples: int) -> None:
    """Hold random specs to a check: the same `examples` in every test run, ever new ones in a long run.

    A long run has every second batch from hypothesis, which finds less in as many examples, and shrinks what it finds.
    """
    for seed in seeds(1):
        if MINUTES and seed % 2:
            common: dict[str, Any] = {"database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}
            batch = settings(max_examples=BATCH, phases=(Phase.generate, Phase.shrink), **common)
            hypothesis.seed(seed)(batch(given(_drawn(make))(check)))()
            continue
        for number in range(BATCH if MINUTES else examples):
            data = make(random.Random(seed * BATCH + number).choice)
            try:
                check(data)
            except Exception as error:
                error.add_note(f"the spec: {data}")
                raise


@st.composite
def _drawn(draw: st.DrawFn, make: Callable[[Choose], Data]) -> Data:
    return make(lambda options: draw(st.sampled_from(options)))


def seeds(examples: int) -> Iterator[int]:
    """Numbers to begin random examples from: so many in a test run, as many as there is time for in a long one."""
    if not MINUTES:
        yield from range(examples)
        return
    end = time.monotonic() + 60 * MINUTES
    for number in count(SEED):
        if time.monotonic() > end:
            return
        yield number


def forget_modules() -> None:
    """Compiled modules stay for tracebacks and `pickle`; thousands of them are too many."""
    for name in [name for name in sys.modules if name.startswith("netspec_compiled.")]:
        del sys.modules[name]
    for file in [file for file in linecache.cache if file.startswith("<netspec ")]:
        del linecache.cache[file]
