"""How long `predict` takes: 10⁴ coordinates through 10⁴ scheduled steps of a run.

python benchmarks/prediction.py [ROUNDS]

The goal is 2 s each on two idle cores. Lion and SignSGD follow some 28 moments of each coordinate and three pessimistic
runs. What is stepped in NumPy is run for 100 steps, and its seconds are for each 100.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import Any

import numpy as np

import ematheory as em
from ematheory.prediction.stepping import CLOSING, SIGNED, VECTORS

COORDINATES, STEPS = 10_000, 10_000
CURVATURE = 1 / np.arange(1.0, COORDINATES + 1)
QUADRATIC = em.NoisyQuadratic(CURVATURE, noise="curvature", batch_size=4, optimum=0.5)
PROBLEMS: dict[str, em.Problem] = {
    "reshuffled data": em.ReshuffledData(CURVATURE, size=1000, batch_size=4),
    "scale-invariant": em.ScaleInvariant(COORDINATES),
    "linear regression": em.LinearRegression(CURVATURE, batch_size=4),
}
CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "SGD": (QUADRATIC, em.SGD(lr=0.5, weight_decay=0.01), {}),
    "SGD, momentum": (QUADRATIC, em.SGD(lr=0.1, momentum=0.9), {}),
    "SGD, averaged iterates": (QUADRATIC, em.SGD(lr=0.1, momentum=0.9), {"iterate_average": 0.99}),
    "ScheduleFreeSGD": (QUADRATIC, em.ScheduleFreeSGD(lr=0.1), {}),
    **{kind.__name__: (QUADRATIC, kind(lr=1e-3, weight_decay=0.1), {}) for kind in (*CLOSING, *SIGNED)},
    "AdamW, pure noise": (em.RandomWalk(COORDINATES, noise=CURVATURE), em.AdamW(lr=1e-3, weight_decay=0.1), {}),
    **{
        f"{kind.__name__}, {name}": (problem, kind(lr=1e-3, weight_decay=0.1), {})
        for name, problem in PROBLEMS.items()
        for kind in (em.SGD, em.AdamW, em.AdEMAMix, em.Lion)
    },
}


# Those without a native program.
SLOW: dict[str, Any] = {
    "AdamW, cautious decay": em.AdamW(lr=1e-3, weight_decay=0.1, decay="cautious"),
    **{kind.__name__: kind(lr=1e-3) for kind in VECTORS},
}


def seconds(problem: Any, optimizer: Any, settings: dict[str, Any], steps: int = STEPS) -> float:
    start = time.perf_counter()
    em.predict(problem, optimizer, steps=steps, schedule=em.Cosine(final=0.1), **settings)
    return time.perf_counter() - start


def main(rounds: int) -> None:
    em.predict(QUADRATIC, em.SGD(lr=0.1), steps=2)  # imports and tables
    print(f"load {os.getloadavg()[0]:.2f}, {len(os.sched_getaffinity(0))} cores, isa {(em.isas() or ['NumPy'])[-1]}")
    for name, case in CASES.items():
        print(f"{name:32} {statistics.median(seconds(*case) for _ in range(rounds)):6.2f} s", flush=True)
    for name, optimizer in SLOW.items():
        print(f"{name + ', 100 steps':32} {seconds(QUADRATIC, optimizer, {}, 100):6.2f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
