"""The stationary state of a run whose second moment depends on the weights': a fixed point, found by iteration."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..typing import FloatArray
from .closure import ClosedMoments, Gradient, Linearised, advance_closed, averaged_square
from .gradient_maps import ProblemMap, RelativeMap
from .linear import PeakClock, StepMap
from .members import each_pair, number
from .moments import Moments, settled_covariance, solved, stationary
from .trajectory import ClosedRun, SeenStep

# The geometric mean of the old second moment and the new one damps what would oscillate.
ITERATIONS, ENOUGH = 200, 1e-13
# What weights' moments may still change by in the stationary state, of their size, and what they are to.
STILL, RESTS = 1e-6, 1e-12


def settled(run: ClosedRun) -> tuple[ClosedMoments, SeenStep, FloatArray, FloatArray]:
    """The stationary moments, the step there, and what they are to be judged by.

    That is I − A with 1 − A_ww free of cancellation, and a margin that is above 0 where the weights' moments stay.

    With the second moment given the step is affine in the means and the covariances, and both are solved for; the
    second moment is then replaced by the one they imply, until it stays.
    """
    own, structure = run.optimizer, run.structure
    time = PeakClock(np.inf, np.ones((1, 1)), own.lr, own.weight_decay)
    given, shape = own.coefficients(np, time), (len(run.init), 1)
    c = type(given)(*(np.broadcast_to(value, shape) for value in given))
    decay = np.broadcast_to(own.decay_per_step(time), shape)
    known = tuple(np.zeros(shape) for _ in structure.known)  # products of numbers below 1
    zero = np.zeros_like(run.init)
    x = run.remembered([zero] * len(structure.members))
    # Any size will do for a start where the gradient falls with the weights' own.
    size = np.ones_like(zero)
    first = run.widened(gradient_at(run.problem, x, size))
    x = x._replace(second_mean=averaged_square(structure, x, first, c, known).mean)
    for _ in range(ITERATIONS):
        g = run.widened(gradient_at(run.problem, x, size))
        found = run.step_from(x, g, c, known, decay)
        left, before = lost(found, decay, g, run.init.shape), x
        with np.errstate(all="ignore"):
            try:
                x = at_rest(found, x, left)
            except np.linalg.LinAlgError:
                break
            new = np.sqrt(x.second_mean * averaged_square(structure, x, g, c, known).mean)
            larger = np.sqrt(size * x.mean_square) if isinstance(run.problem, RelativeMap) else size
        settling = (np.abs(new - x.second_mean) > ENOUGH * new) | (np.abs(larger - size) > ENOUGH * size)
        settling = settling | run.moved_still(before, x, RESTS)
        x, size = x._replace(second_mean=new), larger
        if not np.isfinite(new).all() or not settling.any():
            break
    still = np.where(run.moved_still(before, x, STILL), -1.0, 1.0)
    return x, run.seen_from(before, g, c, known, decay), left, still


def gradient_at(problem: ProblemMap, x: ClosedMoments, size: FloatArray) -> Gradient:
    """The gradient where the weights have these moments; `size` stands for their mean square where that is all."""
    return (problem.of_size(size) if isinstance(problem, RelativeMap) else problem).gradient(x, 0)


def lost(a: Linearised, decay: FloatArray, g: Gradient, shape: tuple[int, ...]) -> FloatArray:
    """I − A on the members, shape (points, d, K, K), with 1 − A_ww free of cancellation."""
    count = len(a.matrix)
    left = np.broadcast_to(np.eye(count), (*shape, count, count)).copy()
    for i, row in enumerate(a.matrix):
        for j, entry in enumerate(row):
            left[..., i, j] -= number(entry)
    direct = decay * a.decaying if a.lost is None else a.lost
    left[..., 0, 0] = direct - a.weight_gradient * (g.slope + number(a.square.pull))
    return left


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


def at_rest(a: Linearised, x: ClosedMoments, left: FloatArray) -> ClosedMoments:
    """The moments that the linearised step leaves as they are, in units in which the equations are of one size."""
    members = range(len(x.means))
    shape = left.shape[:-2]
    lean = [np.broadcast_to(number(value), shape) for value in a.lean]
    noises = [np.broadcast_to(number(value), shape) for value in a.noises]
    noisy = (noises[0] != 0) & (noises[1] != 0)
    unit = np.where(noisy, np.abs(noises[0]) / np.where(noisy, np.abs(noises[1]), 1.0), 1.0)
    scale = np.stack([unit, *[np.ones_like(unit)] * (len(members) - 1), x.second_mean], axis=-1)
    d = np.zeros((*shape, len(members) + 1, len(members) + 1))
    d[..., :-1, :-1] = left
    for j in members:
        square = number(a.square_row[j])
        for i in members:
            d[..., i, j] -= lean[i] * square
        d[..., -1, j] = -square
        d[..., j, -1] = -lean[j] * a.square.kept
    d[..., -1, -1] = 1 - a.square.kept
    taken = np.broadcast_to(a.square_noise, shape)
    linear = np.stack([*(noises[i] + lean[i] * taken for i in members), taken], axis=-1)
    squared = np.stack([*lean, np.ones(shape)], axis=-1)
    noise = outer(linear) + np.broadcast_to(a.jitter, shape)[..., None, None] * outer(squared)
    if a.fresh is not None:
        noise[..., -2, -2] += a.fresh
    if a.others:
        given = number(a.others_second)
        rest = [number(own) + lean[i] * given for i, own in enumerate(a.others)]
        noise = noise + outer(np.stack([np.broadcast_to(each, shape) for each in (*rest, given)], axis=-1))
    spread = settled_covariance(d * (scale[..., None, :] / scale[..., :, None]), noise / outer(scale)) * outer(scale)
    centred = ClosedMoments(
        (np.zeros(shape),) * len(members),
        each_pair(len(members), lambda i, j: spread[..., i, j]),
        x.second_mean,
        tuple(spread[..., i, -1] for i in members),
        spread[..., -1, -1],
    )
    offsets = np.stack([np.broadcast_to(mean, shape) for mean in advance_closed(centred, a).means], axis=-1)
    own = scale[..., :-1]
    means = solved(left * (own[..., None, :] / own[..., :, None]), offsets / own) * own
    return centred._replace(means=tuple(means[..., i] for i in members))


def outer(vector: FloatArray) -> FloatArray:
    return vector[..., :, None] * vector[..., None, :]
