"""Steps to a target risk in simulated runs of SGD and its variants, with the sampling error of what is made of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from ...optimizers import SGD
from ...problems import NoisyQuadratic
from ...typing import FloatArray
from ..seeds import chosen_seed
from ..simulated import engine, with_each_left_out

# The risk at a step is the mean over this last share of the run up to it: at a rate whose risk comes to rest near the
# target, the first step below it would otherwise be a matter of chance.
WINDOW = 0.2
# Replicas whose weights at every step are held together.
AT_ONCE = 64


class Method(NamedTuple):
    """Momenta, a preconditioner's power, averages of the iterates, and how many steps it takes by a batch of 1.

    most : a bound on the steps to the target times the batch, where that is small.
    """

    momenta: tuple[float, ...] = (0.0,)
    power: float = 0.0
    averages: tuple[float, ...] = ()
    most: float = 2400.0

    def optimizer(self, rates: FloatArray) -> SGD:
        """Every rate with every momentum, along one axis; μ multiplies a rate's effect by 1/(1 − μ)."""
        lr, momenta = np.meshgrid(rates, self.momenta)
        scaled, kept = (xr.DataArray(np.ravel(each), dims="setting") for each in (lr * (1 - momenta), momenta))
        return SGD(lr=scaled, momentum=kept)


class Sweep(NamedTuple):
    """The sizes of a tier's runs; h_i = c_i = 1/i in so many coordinates."""

    coordinates: int
    rates: FloatArray
    batches: FloatArray
    replicas: int
    seed: int


class Steps(NamedTuple):
    """Steps to the target at the best setting, from all replicas and with each left out: (1 + replicas, batches)."""

    values: FloatArray
    isa: str


class Risks(NamedTuple):
    """The risk of each replica, setting and step of a grid, and the instruction set that ran them."""

    values: FloatArray
    isa: str


def steps_to(target: float, method: Method, sweep: Sweep) -> Steps:
    """At each batch of the sweep; infinite where no setting comes to the target."""
    from ...prediction.target import step_grid

    found, isa = [], ""
    for batch in sweep.batches:
        # No batch can do without some steps, whatever the method.
        grid = [0, *step_grid(round(method.most / batch) + 60)]
        values, isa = risks(method, sweep, float(batch), grid)
        found.append(fewest(with_each_left_out(values), np.array(grid, dtype=np.float64), target))
    return Steps(np.stack(found, axis=-1), isa)


def risks(method: Method, sweep: Sweep, batch: float, grid: list[int]) -> Risks:
    problem = NoisyQuadratic(1 / np.arange(1.0, sweep.coordinates + 1), batch_size=batch)
    problem = problem.preconditioned(method.power) if method.power else problem
    parts = [
        risks_of_some(method, sweep, problem, grid, range(start, min(start + AT_ONCE, sweep.replicas)))
        for start in range(0, sweep.replicas, AT_ONCE)
    ]
    return Risks(np.concatenate([each.values for each in parts]), parts[0].isa)


def risks_of_some(method: Method, sweep: Sweep, problem: NoisyQuadratic, grid: list[int], replicas: range) -> Risks:
    import ematheory as em

    # An average needs every step's weights.
    record = list(range(grid[-1] + 1)) if method.averages else grid
    seen = em.simulate(
        problem, method.optimizer(sweep.rates), steps=grid[-1], record=record, observables="diverged",
        trajectories=replicas, replicas=replicas, seed=chosen_seed(sweep.seed),
    )  # fmt: skip
    weights = seen.trajectory.transpose("replica", "setting", "coordinate", "step").values
    averages = [averaged(weights, kept)[..., grid] for kept in method.averages] or [weights]
    found = [np.einsum("d,rsdt->rst", np.asarray(problem.curvature), each**2) / 2 for each in averages]
    return Risks(np.concatenate(found, axis=1), engine(seen))


def averaged(weights: FloatArray, kept: float) -> FloatArray:
    """w̃ ← γw̃ + (1 − γ)w along the last axis, from the weights at its start."""
    from scipy.signal import lfilter

    found: FloatArray = lfilter([1 - kept], [1.0, -kept], weights, zi=kept * weights[..., :1])[0]
    return found


def fewest(means: FloatArray, grid: FloatArray, target: float) -> FloatArray:
    """Steps at the best setting from mean risks (…, settings, steps), between two steps by the line of log risk."""
    before, now = np.meshgrid(grid, grid)
    window = (before <= now) & (before >= (1 - WINDOW) * now)
    smooth = means @ (window / window.sum(axis=1, keepdims=True)).T
    reached = smooth <= target
    after = reached.argmax(axis=-1)
    low, high = (np.log(np.take_along_axis(smooth, at[..., None], axis=-1)[..., 0]) for at in (after - 1, after))
    with np.errstate(invalid="ignore", divide="ignore"):  # where the target is not reached, or not left
        share = (low - np.log(target)) / (low - high)
    steps = grid[after - 1] + share * (grid[after] - grid[after - 1])
    return np.asarray(np.where(reached.any(axis=-1), steps, np.inf).min(axis=-1))
