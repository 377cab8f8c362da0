"""How long a long `simulate` takes to answer Ctrl-C, by backend: half a second is promised."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from statistics import median

LONG_RUN = """
import signal, sys, ematheory as em, numpy as np
# A parent that runs in the background may have had Ctrl-C ignored, which children inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
problem = em.NoisyQuadratic(curvature=1 / np.arange(1, 10_001))
# Imports take longer than a second on a busy machine: they come before the start.
em.simulate(problem, em.AdamW(lr=1e-3), steps=1, replicas=1, backend=sys.argv[1])
print("started", flush=True)
try:
    em.simulate(problem, em.AdamW(lr=1e-3), steps=10**9, replicas=128, backend=sys.argv[1])
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
# Long enough for every backend to be at its steps.
UNDER_WAY, ROUNDS = 1.0, 3


def seconds_to_answer(backend: str) -> float:
    child = subprocess.Popen([sys.executable, "-c", LONG_RUN, backend], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child.stdout:
        child.stdout.readline()
        time.sleep(UNDER_WAY)
        sent = time.monotonic()
        child.send_signal(signal.SIGINT)
        if child.stdout.readline() != "interrupted\n":
            raise RuntimeError(f"simulate on backend {backend!r} did not end with KeyboardInterrupt")
        answered = time.monotonic() - sent
    child.wait()
    return answered


def measure() -> dict[str, float]:
    """Seconds until KeyboardInterrupt, the median of some runs."""
    return {backend: median(seconds_to_answer(backend) for _ in range(ROUNDS)) for backend in ("reference", "cpu")}
