"""How long `predict` takes: 10⁴ coordinates through 10⁴ scheduled steps of a run.

python benchmarks/prediction.py [ROUNDS]

The goal is 2 s each on two idle cores. Sampled features and epochs are stepped in NumPy, as Lion and SignSGD are, which
take a minute and are left out.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from typing import Any

import numpy as np

import ematheory as em

COORDINATES, STEPS = 10_000, 10_000
CURVATURE = 1 / np.arange(1.0, COORDINATES + 1)
QUADRATIC = em.NoisyQuadratic(CURVATURE, noise="curvature", batch_size=4, optimum=0.5)
CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "SGD": (QUADRATIC, em.SGD(lr=0.5, weight_decay=0.01), {}),
    "SGD, momentum": (QUADRATIC, em.SGD(lr=0.1, momentum=0.9), {}),
    "SGD, averaged iterates": (QUADRATIC, em.SGD(lr=0.1, momentum=0.9), {"iterate_average": 0.99}),
    "ScheduleFreeSGD": (QUADRATIC, em.ScheduleFreeSGD(lr=0.1), {}),
    **{
        kind.__name__: (QUADRATIC, kind(lr=1e-3, weight_decay=0.1), {})
        for kind in (em.AdamW, em.Adam, em.NAdam, em.AdEMAMix, em.RMSprop, em.ScheduleFreeAdamW)
    },
    "SGD, linear regression": (em.LinearRegression(CURVATURE, batch_size=4), em.SGD(lr=0.02, momentum=0.9), {}),
    "SGD, reshuffled data": (em.ReshuffledData(CURVATURE, size=1000, batch_size=4), em.SGD(lr=0.1), {}),
}


def seconds(problem: Any, optimizer: Any, settings: dict[str, Any]) -> float:
    start = time.perf_counter()
    em.predict(problem, optimizer, steps=STEPS, schedule=em.Cosine(final=0.1), **settings)
    return time.perf_counter() - start


def main(rounds: int) -> None:
    em.predict(QUADRATIC, em.SGD(lr=0.1), steps=2)  # imports and tables
    print(f"load {os.getloadavg()[0]:.2f}, {len(os.sched_getaffinity(0))} cores, isa {(em.isas() or ['NumPy'])[-1]}")
    for name, case in CASES.items():
        print(f"{name:24} {statistics.median(seconds(*case) for _ in range(rounds)):6.2f} s", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
