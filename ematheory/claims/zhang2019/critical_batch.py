"""C13: which methods move the critical batch size, and what averaging does instead."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr

from ...optimizers import SGD
from ...problems import NoisyQuadratic
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Below, Bounded, Evidence
from ..simulated import engine, jackknife_error, with_each_left_out

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


class Method(NamedTuple):
    """A simulated method: its learning rates and momenta, a preconditioner's power, and averages of its iterates."""

    momenta: tuple[float, ...] = (0.0,)
    power: float = 0.0
    averages: tuple[float, ...] = ()

    def optimizer(self) -> SGD:
        """Every rate of the sweep with every momentum, along one axis."""
        rates, momenta = np.meshgrid(SWEEP, self.momenta)
        lr, kept = (xr.DataArray(np.ravel(each), dims="setting") for each in (rates * (1 - momenta), momenta))
        return SGD(lr=lr, momentum=kept)


SIMULATED: Mapping[str, Method] = {
    "SGD": Method(), "momentum": Method(momenta=MOMENTA), "averaged iterates": Method(averages=AVERAGES),
    "preconditioning": Method(power=POWER),
}  # fmt: skip
ORDERS = (("SGD", "momentum"), ("momentum", "preconditioning"), ("averaged iterates", "SGD"))
# Of the simulated sweep: fewer rates than exact moments take, batches and replicas.
SWEEP, SEED = np.geomspace(0.01, 1.6, 12), 13
SWEPT = {
    "smoke": np.exp2(np.arange(2.0, 10.0, 1.0)), "quick": np.exp2(np.arange(0.0, 12.0)),
    "full": np.exp2(np.arange(0.0, 13.0, 0.5)),
}  # fmt: skip
# Steps that no batch can do without at these rates, beside a share of `MOST_STEPS`/B.
FEWEST = 60
WINDOW = 0.2
AT_ONCE = 32  # replicas, whose weights at every step are held together
REPLICAS = {"smoke": 96, "quick": 256, "full": 512}


def simulated(tier: str) -> Evidence:
    """Steps to the target in simulated runs at each batch size, and the order of what they make of critical batches.

    Every replica is left out in turn for the standard errors; the methods have the same noise.
    """
    batches, isa = SWEPT[tier], ""
    steps = {}
    for name, method in SIMULATED.items():
        found = [risks_of(method, float(batch), REPLICAS[tier]) for batch in batches]
        isa = found[0].isa
        steps[name] = np.stack([fewest(each) for each in found], axis=-1)
    critical = {name: np.log([critical_batch(batches, row) for row in found]) for name, found in steps.items()}
    ratios = {f"log of the critical batch of {one} over that of {other}": critical[one] - critical[other]
              for one, other in ORDERS}  # fmt: skip
    ratios[f"log of the steps of averaged iterates over SGD's at B = {batches[0]:g}"] = np.log(
        steps["averaged iterates"][:, 0] / steps["SGD"][:, 0]
    )
    findings = tuple(
        Below(what, each[0], jackknife_error(each), 0.0, REPLICAS[tier]) for what, each in ratios.items()
    )  # fmt: skip
    return Evidence(findings, (SEED,), isa=isa)


class Risks(NamedTuple):
    """Mean risks at the steps of a grid, whole and with each replica left out: (1 + replicas, settings, steps)."""

    means: FloatArray
    grid: FloatArray
    isa: str


def risks_of(method: Method, batch: float, replicas: int) -> Risks:
    """The risks of a method's runs at one batch, up to a little more than the steps that SGD takes to the target."""
    from ...prediction.target import step_grid

    problem = NoisyQuadratic(CURVATURE, batch_size=batch)
    problem = problem.preconditioned(method.power) if method.power else problem
    grid = [0, *step_grid(round(0.8 * MOST_STEPS / batch) + FEWEST)]
    parts = [
        risks_of_some(method, problem, grid, range(start, min(start + AT_ONCE, replicas)))
        for start in range(0, replicas, AT_ONCE)
    ]
    values = np.concatenate([values for values, _ in parts])
    return Risks(with_each_left_out(values), np.array(grid, dtype=np.float64), parts[0][1])


def risks_of_some(method: Method, problem: NoisyQuadratic, grid: list[int], replicas: range) -> tuple[FloatArray, str]:
    """The risk of each replica, setting and step of the grid, and the instruction set that ran them."""
    import ematheory as em

    # An average needs every step's weights.
    record = list(range(grid[-1] + 1)) if method.averages else grid
    seen = em.simulate(
        problem, method.optimizer(), steps=grid[-1], record=record, observables="diverged", trajectories=replicas,
        replicas=replicas, seed=SEED,
    )  # fmt: skip
    weights = seen.trajectory.transpose("replica", "setting", "coordinate", "step").values
    averages = [averaged_weights(weights, kept)[..., grid] for kept in method.averages] or [weights]
    curvature = np.asarray(problem.curvature)
    risks = [np.einsum("d,rsdt->rst", curvature, each**2) / 2 for each in averages]
    return np.concatenate(risks, axis=1), engine(seen)


def averaged_weights(weights: FloatArray, kept: float) -> FloatArray:
    """w̃ ← γw̃ + (1 − γ)w along the last axis, from the weights at its start."""
    from scipy.signal import lfilter

    found: FloatArray = lfilter([1 - kept], [1.0, -kept], weights, zi=kept * weights[..., :1])[0]
    return found


def fewest(risks: Risks) -> FloatArray:
    """Steps to the target at the best setting, between two steps of the grid by interpolation of log risk.

    The risk at a step is the mean over the fifth of the run before it: at a rate whose risk comes to rest near the
    target, the first step below it would be a matter of chance.
    """
    before, now = np.meshgrid(risks.grid, risks.grid)
    window = (before <= now) & (before >= (1 - WINDOW) * now)
    smooth = risks.means @ (window / window.sum(axis=1, keepdims=True)).T
    reached = smooth <= TARGET
    after = reached.argmax(axis=-1)
    low, high = (np.log(np.take_along_axis(smooth, at[..., None], axis=-1)[..., 0]) for at in (after - 1, after))
    share = (low - np.log(TARGET)) / (low - high)
    steps = risks.grid[after - 1] + share * (risks.grid[after] - risks.grid[after - 1])
    return np.asarray(np.where(reached.any(axis=-1), steps, np.inf).min(axis=-1))


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
        "h_i = c_i = 1/i, 50 coordinates, a risk of 0.05 to be reached from 2.25",
        "the best constant learning rate for each; μ in {0.5, 0.9}, γ in {0.9, 0.99}, P = √H",
        "the critical batch is where twice the fewest samples are needed",
    ),
    kinds=("bound", "empirical"),
    levels={"numeric": Level(numeric), "simulated": Level(simulated)},
)
