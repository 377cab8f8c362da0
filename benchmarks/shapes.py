"""How the rate depends on the shape: threads, few cells, coupled vectors, cost against size, and the least call."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import ours
from contenders import CPUS
from setting import STEPS, Run

import ematheory as em

# Particle-steps of one measurement, and how often each is made.
WORK, ROUNDS = 2e7, 5
CELLS = (64, 128, 256, 1024, 10_000)
AXES = ("coordinates", "replicas", "points")
MOST_COEFFICIENTS = 2**21
VECTOR, VECTORS, VECTOR_STEPS = 1024, 64, 500
# Where each axis starts; three decades from there.
SMALLEST = {"replicas": 64, "steps": 100, "coordinates": 100, "points": 1}
DECADES = np.logspace(0, 3, 7)


def seconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turns(runs: dict[Any, Run], rounds: int = ROUNDS) -> dict[Any, float]:
    """The median seconds of each run, one of each in turn, after one to warm up."""
    spent: dict[Any, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for name in list(runs) * rounds:
        spent[name].append(seconds(runs[name]))
    return {name: median(times) for name, times in spent.items()}


def threads(replicas: int = 64) -> dict[str, Any]:
    """The engine on one thread and on all."""
    runs = {count: ours.advance(replicas, "float32", "", count) for count in sorted({1, CPUS})}
    spent = in_turns(runs, ROUNDS + 2)
    cells = replicas * ours.COORDINATES * STEPS
    return {"rates": {str(count): cells / time for count, time in spent.items()}, "gain": spent[1] / spent[CPUS]}


def few_cells() -> dict[str, dict[str, float]]:
    """The engine's rate on one thread for so many cells along each axis, the other two being 1."""
    found: dict[str, dict[str, float]] = {}
    for axis in AXES:
        runs, work = {}, {}
        for cells in CELLS:
            shape = {"coordinates": 1, "points": 1, "replicas": 1, axis: cells}
            steps = int(min(20_000, WORK / cells, MOST_COEFFICIENTS / (8 * shape["points"])))
            replicas = shape.pop("replicas")
            runs[cells] = ours.advance(replicas, "float32", "", 1, steps=steps, **shape)
            work[cells] = cells * steps
        spent = in_turns(runs, 3)
        found[axis] = {str(cells): work[cells] / spent[cells] for cells in CELLS}
    return found


def coupled() -> dict[str, Any]:
    """`simulate` on vectors of `VECTOR` coupled coordinates beside the separable problem, in particle-steps."""
    curvature = 1 / np.arange(1, VECTOR + 1)
    problems: dict[str, em.Problem] = {
        "separable": em.NoisyQuadratic(curvature),
        "scale-invariant": em.ScaleInvariant(VECTOR),
        "linear regression": em.LinearRegression(curvature, batch_size=1),
    }
    run: dict[str, Any] = dict(steps=VECTOR_STEPS, replicas=VECTORS, dtype="float32", observables="weight_norm")

    def prepared(problem: em.Problem) -> Run:
        return lambda: em.simulate(problem, ours.OPTIMIZER, **run, record=[VECTOR_STEPS], backend="cpu")

    spent = in_turns({name: prepared(problem) for name, problem in problems.items()})
    rates = {name: VECTOR * VECTORS * VECTOR_STEPS / time for name, time in spent.items()}
    shares = {name: rate / rates["separable"] for name, rate in rates.items() if name != "separable"}
    return {"rates": rates, "shares": shares}


def simulated(size: dict[str, int]) -> Callable[[], Any]:
    problem = em.NoisyQuadratic(1 / np.arange(1, size["coordinates"] + 1))
    decays = np.linspace(0.01, 0.1, size["points"])
    optimizer = em.AdamW(lr=1e-3, weight_decay=decays)
    run: dict[str, Any] = dict(steps=size["steps"], replicas=size["replicas"], dtype="float32", backend="cpu")
    return lambda: em.simulate(problem, optimizer, **run)


def linear_cost(decades: Any = DECADES) -> dict[str, Any]:
    """Seconds of `simulate` against each size, the line a + b·n that fits best in relative terms, and how well."""
    found = {}
    for axis, smallest in SMALLEST.items():
        sizes = [round(smallest * factor) for factor in decades]
        runs = {size: simulated({**SMALLEST, axis: size}) for size in sizes}
        spent = in_turns(runs, 3)
        n, t = np.array(sizes, dtype=float), np.array(list(spent.values()))
        (start, slope), *_ = np.linalg.lstsq(np.stack([1 / t, n / t], axis=1), np.ones_like(t), rcond=None)
        off = (start + slope * n) / t - 1
        found[axis] = {
            "sizes": sizes, "seconds": t.tolist(), "start": float(start), "per_unit": float(slope),
            "largest_deviation": float(np.abs(off).max()),
        }  # fmt: skip
    return found


def least_call() -> float:
    """Seconds of a call with one coordinate, one replica and one step."""
    problem, optimizer = em.NoisyQuadratic(1.0), em.AdamW(lr=1e-3)
    return in_turns({1: lambda: em.simulate(problem, optimizer, steps=1, replicas=1, backend="cpu")}, 50)[1]
