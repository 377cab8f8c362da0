"""C13: which methods move the critical batch size, and what averaging does instead."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np

from ...optimizers import SGD
from ...problems import NoisyQuadratic
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Below, Bounded, Evidence
from ..seeds import chosen_seed
from ..simulated import jackknife_error
from .steps_to_target import Method, Sweep, steps_to

# The paper's spectrum, h_i = c_i = 1/i, with fewer coordinates; the risk starts at 2.25 and is to fall to 0.05.
CURVATURE, TARGET, MOST_STEPS = 1 / np.arange(1.0, 51.0), 0.05, 3000
RATES = np.geomspace(1e-3, 2.0, 30)
BATCHES: dict[str, FloatArray] = {
    "smoke": np.exp2(np.arange(0.0, 13.0, 2.0)),
    "quick": np.exp2(np.arange(0.0, 13.0)),
    "full": np.exp2(np.arange(0.0, 13.0, 0.5)),
}
MOMENTA, AVERAGES, POWER = (0.5, 0.9), (0.9, 0.99), 0.5
# Step counts are taken from a grid that grows by 2^(1/16).
RESOLUTION = 2 ** (1 / 16) - 1


def fewest_steps(problem: NoisyQuadratic, optimizer: SGD, average: float | None = None) -> float:
    """Updates to the target at the best learning rate of the sweep; infinite where none gets there."""
    from ...prediction import predict
    from ...prediction.target import step_grid

    grid = step_grid(MOST_STEPS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a rate that diverges does not get there
        run = predict(problem, optimizer, steps=grid[-1], record=grid, observables="risk", iterate_average=average).risk
    reached = run.transpose(..., "step").values <= TARGET
    return min((float(grid[row.argmax()]) for row in reached if row.any()), default=np.inf)


def plain(problem: NoisyQuadratic) -> float:
    return fewest_steps(problem, SGD(lr=RATES))


def with_momentum(problem: NoisyQuadratic) -> float:
    return min(fewest_steps(problem, SGD(lr=RATES * (1 - mu), momentum=mu)) for mu in MOMENTA)


def averaged(problem: NoisyQuadratic) -> float:
    return min(fewest_steps(problem, SGD(lr=RATES), kept) for kept in AVERAGES)


def preconditioned(problem: NoisyQuadratic) -> float:
    return fewest_steps(problem.preconditioned(POWER), SGD(lr=RATES))


def steps_by_batch(method: Callable[[NoisyQuadratic], float], batches: FloatArray) -> FloatArray:
    return np.array([method(NoisyQuadratic(CURVATURE, batch_size=float(batch))) for batch in batches])


EXACT: Mapping[str, Callable[[NoisyQuadratic], float]] = {
    "SGD": plain, "momentum": with_momentum, "averaged iterates": averaged, "preconditioning": preconditioned,
}  # fmt: skip


def critical_batch(batches: FloatArray, steps: FloatArray) -> float:
    """The largest batch at which at most twice the fewest samples are needed, between two batches by interpolation."""
    excess = np.log2(steps * batches / (steps * batches).min())
    last = int(np.flatnonzero(excess <= 1)[-1])
    if last == len(batches) - 1:
        return float(batches[-1])
    share = (1 - excess[last]) / (excess[last + 1] - excess[last])
    return float(2 ** (np.log2(batches[last]) + share * np.log2(batches[last + 1] / batches[last])))


METHODS: Mapping[str, Method] = {
    "SGD": Method(), "momentum": Method(momenta=MOMENTA), "averaged iterates": Method(averages=AVERAGES, most=1200.0),
    "preconditioning": Method(power=POWER, most=1200.0),
}  # fmt: skip
ORDERS = (("SGD", "momentum"), ("momentum", "preconditioning"), ("averaged iterates", "SGD"))
OCTAVES, HALVES = np.exp2(np.arange(2.0, 11.0)), np.exp2(np.arange(2.0, 11.0, 0.5))
SWEEPS = {
    "smoke": Sweep(16, np.geomspace(0.02, 1.75, 12), OCTAVES, 128, 13),
    "quick": Sweep(50, np.geomspace(0.02, 1.75, 20), OCTAVES, 192, 13),
    "full": Sweep(50, np.geomspace(0.02, 1.75, 30), HALVES, 384, 13),
}


def numeric(tier: str) -> Evidence:
    """Exact moments of each method at every batch size, each at its best learning rate."""
    batches = BATCHES[tier]
    steps = {name: steps_by_batch(method, batches) for name, method in EXACT.items()}
    critical = {name: critical_batch(batches, found) for name, found in steps.items()}
    compared = [
        Bounded(f"critical batch: {one} over {other}", [critical[one] / critical[other]], 1.0, RESOLUTION)
        for one, other in ORDERS
    ]
    small = [float(steps["averaged iterates"][0] / steps["SGD"][0])]
    return Evidence((*compared, Bounded("steps at B = 1: averaged iterates over SGD", small, 1.0, RESOLUTION)))


def simulated(tier: str) -> Evidence:
    """Steps to the target in simulated runs at each batch size, and the order of what they make of critical batches."""
    sweep = SWEEPS[tier]
    found = {name: steps_to(TARGET, method, sweep) for name, method in METHODS.items()}
    critical = {
        name: np.log([critical_batch(sweep.batches, row) for row in each.values]) for name, each in found.items()
    }
    ratios = {f"critical batch of {one} over that of {other}": critical[one] - critical[other]
              for one, other in ORDERS}  # fmt: skip
    small = np.log(found["averaged iterates"].values[:, 0] / found["SGD"].values[:, 0])
    ratios[f"steps of averaged iterates over SGD's at B = {sweep.batches[0]:g}"] = small
    findings = tuple(
        Below(f"log of the {what}", each[0], jackknife_error(each), 0.0, sweep.replicas, "jackknife")
        for what, each in ratios.items()
    )
    return Evidence(findings, (chosen_seed(sweep.seed),), isa=found["SGD"].isa)


CLAIM = Claim(
    id="C13",
    paper="zhang2019",
    statement=(
        "On the noisy quadratic the critical batch size of SGD is below that with momentum, and that below the "
        "preconditioned one. An average of the iterates takes fewer steps at small batches, and its critical batch is "
        "no larger than SGD's."
    ),
    source="Zhang et al., arXiv 1907.04164, sections 3 and 4; THEORY.md Q10",
    assumptions=(
        "h_i = c_i = 1/i, 50 coordinates (16 in a simulated smoke run), a risk of 0.05 to be reached from 2.25",
        "the best constant learning rate for each; μ in {0.5, 0.9}, γ in {0.9, 0.99}, P = √H",
        "the critical batch is where twice the fewest samples are needed",
    ),
    kinds=("bound", "empirical"),
    levels={"numeric": Level(numeric), "simulated": Level(simulated)},
)
