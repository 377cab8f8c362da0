"""The stationary state of a run whose second moment depends on the weights': a fixed point, found by iteration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..typing import FloatArray
from .closure import Linearised, SecondMoment, advance_closed, averaged_square, linearised
from .linear import PeakClock, RelativeMap, StepMap
from .moments import Moments, in_units, settled_covariance, solved, stationary
from .trajectory import ClosedRun

# The geometric mean of the old second moment and the new one damps what would oscillate.
ITERATIONS, ENOUGH = 200, 1e-13


def settled(run: ClosedRun) -> tuple[Moments, StepMap, FloatArray]:
    """The stationary moments, the step there, and 1 − A_ww free of cancellation, for the caller to judge.

    With the second moment given the step is affine in the means and the covariances, and both are solved for; the
    second moment is then replaced by the one they imply, until it stays.
    """
    own = run.optimizer
    time = PeakClock(np.inf, np.ones((1, 1)), own.lr, own.weight_decay)
    given, shape = own.coefficients(np, time), (len(run.init), 1)
    c = type(given)(*(np.broadcast_to(value, shape) for value in given))
    decay = np.broadcast_to(own.decay_per_step(time), shape)
    zero = np.zeros_like(run.init)
    x, y = Moments(*[zero] * 5), SecondMoment(*[zero] * 4)
    # Any size will do for a start where the gradient falls with the weights' own.
    size = np.ones_like(zero)
    y = y._replace(mean=averaged_square(own, x, run.problem.of_size(size), c).mean)
    for _ in range(ITERATIONS):
        g = run.problem.of_size(size)
        found = linearised(own, x, y, g, c, decay, run.pessimism)
        pull = g.slope + found.square.pull
        lost = np.broadcast_to(decay - found.updates.weight_gradient * pull, run.init.shape)
        with np.errstate(all="ignore"):
            try:
                x, y = at_rest(found, y, lost)
            except np.linalg.LinAlgError:
                break
            new = np.sqrt(y.mean * averaged_square(own, x, g, c).mean)
            larger = np.sqrt(size * x.mean_square) if isinstance(run.problem, RelativeMap) else size
        settling = (np.abs(new - y.mean) > ENOUGH * new) | (np.abs(larger - size) > ENOUGH * size)
        y, size = y._replace(mean=new), larger
        if not np.isfinite(new).all() or not settling.any():
            break
    return x, found.step, lost


def settled_size(step_at: Callable[[FloatArray], StepMap], lost: FloatArray) -> tuple[Moments, StepMap]:
    """The stationary moments of a step whose noise falls with the weights' mean square, and the step there."""
    size = np.ones_like(lost)
    for _ in range(ITERATIONS):
        step = step_at(size)
        x = stationary(step, lost)
        larger = np.sqrt(size * x.mean_square)
        settling = np.abs(larger - size) > ENOUGH * size
        size = larger
        if not np.isfinite(size).all() or not settling.any():
            break
    return x, step


def at_rest(a: Linearised, y: SecondMoment, lost: FloatArray) -> tuple[Moments, SecondMoment]:
    """The moments that the linearised step leaves as they are, in units in which the equations are of one size."""
    unit, offset, _ = in_units(a.step, lost)
    scale = np.stack([unit, np.ones_like(unit), y.mean], axis=-1)
    ratio = scale[..., None, :] / scale[..., :, None]
    d = (np.eye(3) - a.matrix) * ratio
    d[..., 0, 0] = lost - a.lean * a.square_weight
    spread = settled_covariance(d, a.noise / (scale[..., :, None] * scale[..., None, :]))
    spread = spread * scale[..., :, None] * scale[..., None, :]
    y = SecondMoment(y.mean, spread[..., 0, 2], spread[..., 1, 2], spread[..., 2, 2])
    two = Moments(*(np.zeros_like(unit),) * 2, spread[..., 0, 0], spread[..., 0, 1], spread[..., 1, 1])
    more = advance_closed(two, y, a)[0].weight_mean - a.step.weight_offset
    frozen = d[..., :2, :2].copy()
    frozen[..., 0, 0] = lost
    mean = solved(frozen, offset + np.stack([more / unit, np.zeros_like(unit)], axis=-1))
    return two._replace(weight_mean=mean[..., 0] * unit, buffer_mean=mean[..., 1]), y
