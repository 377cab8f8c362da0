"""Whether a problem under an optimizer has a stationary state: Jury's conditions on one step at the peak rate."""

from __future__ import annotations

import warnings

import numpy as np

from ..optimizers import SGD, AdamP, AdamW, Optimizer
from ..problems import Problem
from ..records import Grid, flattened, grid
from ..typing import FloatArray
from .gradient_maps import ProblemMap, SampledMap, problem_map
from .linear import StepMap, UpdateMap, clock, composed, lost_weight, update_map
from .sampled import response
from .stepping import SIGNED


class UnstableWarning(UserWarning):
    """The weights grow without bound."""


def peak_updates(optimizer: Optimizer, root: FloatArray) -> UpdateMap:
    """The update's map at the peak rate of a flattened optimizer, long after the start."""
    return update_map(optimizer, clock(optimizer, np.array([np.inf]), np.ones(1), np.ones(1)), root).at(0)


def contraction(step: StepMap) -> FloatArray:
    """1 + trace + determinant of A, > 0 unless an eigenvalue is at or beyond −1 (Jury); per cell.

    It is affine in the learning rate for every SGD variant, and the condition that too large a rate violates.
    """
    trace = step.weight_weight + step.buffer_buffer
    return 1 + trace + step.weight_weight * step.buffer_buffer - step.weight_buffer * step.buffer_weight


def restoring(step: StepMap, lost: FloatArray) -> FloatArray:
    """1 − trace + determinant of A = det(I − A), > 0 where something pulls the weight back; `lost` is 1 − A_ww."""
    return lost * (1 - step.buffer_buffer) - step.weight_buffer * step.buffer_weight


def closed_margins(left: FloatArray) -> tuple[FloatArray, FloatArray]:
    """`contraction` and `restoring` of any number of members, from I − A: the eigenvalues' distance from the circle."""
    with np.errstate(all="ignore"):
        finite = np.asarray(np.isfinite(left).all(axis=(-1, -2)))
        usable = np.where(finite[..., None, None], left, np.eye(left.shape[-1]))
        away = 1 - np.linalg.eigvals(usable)
        # Those at 1 are judged by det(I − A), which loses nothing at small rates.
        beyond = np.where(np.abs(away - 1) < 1e-6, 0.0, np.abs(away)).max(axis=-1)
        return np.where(finite, 1 - beyond, -1.0), np.where(finite, np.linalg.det(usable), -1.0)


def warn_if_unstable(problem: Problem, optimizer: Optimizer) -> None:
    """Warn, with the bound, when the weights grow without bound at the peak rate.

    For SGD one step decides: stable where lr·(h+λ) < 2 without momentum, < 2(1+μ) with momentum and L2, and so on for
    each variant, read off the update itself. For AdamW, Lion and SignSGD only the decay per step does, which must be
    below 2, and for AdamP the smaller of its two decays. Adam on a quadratic has no bound of this kind, nor has Amos.

    Warns
    -----
    UnstableWarning : naming the first unstable point and what keeps it stable.

    Example
    -------
    >>> from ematheory import SGD, NoisyQuadratic
    >>> with warnings.catch_warnings(record=True) as seen:
    ...     warnings.simplefilter("always")
    ...     warn_if_unstable(NoisyQuadratic(curvature=[1.0, 5.0]), SGD(lr=0.5))
    >>> print(seen[0].message)
    SGD is unstable on NoisyQuadratic at lr=0.5: lr·(h + weight_decay) = 2.5 at h = 5; it is stable for lr < 0.4
    """
    over = grid(optimizer, problem)
    flat = flattened(optimizer, over)
    if isinstance(optimizer, SGD):
        text = unstable_sgd(problem, flat, over)
    elif isinstance(optimizer, (AdamW, *SIGNED)):
        text = unstable_adamw(flat, over)
    elif isinstance(optimizer, AdamP):
        text = unstable_adamp(flat, over)
    else:
        text = None
    warn(optimizer, type(problem).__name__, text)


def warn_if_decay_unstable(optimizer: Optimizer, on: str) -> None:
    """Warn when the decay alone makes weights grow without bound at the peak rate, whatever the gradients are.

    `on` says in the warning what the optimizer trains. L2 is left out: it is the gradient that decides with it.
    """
    over = grid(optimizer)
    flat = flattened(optimizer, over)
    warn(optimizer, on, unstable_adamp(flat, over) if isinstance(optimizer, AdamP) else unstable_adamw(flat, over))


def warn(optimizer: Optimizer, on: str, text: str | None) -> None:
    """Warn the caller of the verb that called the caller, where there is something to say."""
    if text:
        warnings.warn(f"{type(optimizer).__name__} is unstable on {on} {text}", UnstableWarning, 4)


def unstable_sgd(problem: Problem, flat: Optimizer, over: Grid) -> str | None:
    gradient = problem_map(flattened(problem, over), over.points)
    # Only the sharpest coordinate of a point can be the first to diverge.
    slope = gradient.slope.max(axis=1, keepdims=True)
    sharpest = ProblemMap(slope, 0 * slope, 0 * slope)
    at_lr = contraction(composed(peak_updates(flat, slope), sharpest))
    unstable = np.flatnonzero(at_lr <= 0)
    if not len(unstable):
        return unstable_samples(gradient, flat, over) if isinstance(gradient, SampledMap) else None
    at_zero = contraction(composed(peak_updates(flat.substituted(lr=0 * flat.lr), slope), sharpest))
    i = int(unstable[0])
    lr, h, bound = flat.lr[i, 0], slope[i, 0], (flat.lr * at_zero / (at_zero - at_lr))[i, 0]
    return (
        f"{where(over, flat, i)}: lr·(h + weight_decay) = {lr * (h + flat.weight_decay[i, 0]):.4g} "
        f"at h = {h:.4g}; it is stable for lr < {bound:.4g}"
    )


def unstable_samples(gradient: SampledMap, flat: Optimizer, over: Grid) -> str | None:
    """Where the mean is stable and the mean square is not: one sample's curvature x xᵀ is far from its mean."""
    updates = peak_updates(flat, gradient.slope)
    pulled = lost_weight(flat) - updates.weight_gradient * gradient.slope
    lost = np.broadcast_to(pulled, gradient.slope.shape)
    # Where nothing pulls a coordinate back it has no stationary state, and no feature either: h = 0.
    idle = restoring(composed(updates, gradient), lost) <= 0
    settled = response(updates, gradient, np.where(idle, 1.0, lost))
    unstable = np.flatnonzero((np.where(idle, 1.0, settled.margin) <= 0).any(axis=-1))
    if not len(unstable):
        return None
    return (
        f"{where(over, flat, int(unstable[0]))}: the mean converges but the noise of so few samples makes the mean "
        "square grow; a larger batch_size or a smaller lr keeps it"
    )


def unstable_adamw(flat: Optimizer, over: Grid) -> str | None:
    alpha = np.broadcast_to(flat.decay_per_step(clock(flat, 1.0, 1.0, 1.0)), (over.points, 1))
    unstable = np.flatnonzero(alpha >= 2)
    if not len(unstable):
        return None
    i = int(unstable[0])
    return f"{where(over, flat, i)}: the decay per step is {alpha[i, 0]:.4g}; it must be below 2"


def unstable_adamp(flat: Optimizer, over: Grid) -> str | None:
    """Where the decay is too large both on detected vectors and on others."""
    given = flat.coefficients(np, clock(flat, 1.0, 1.0, 1.0))
    least = np.broadcast_to(np.minimum(given.decay, given.detected_decay), (over.points, 1))
    unstable = np.flatnonzero(least >= 2)
    if not len(unstable):
        return None
    i = int(unstable[0])
    return f"{where(over, flat, i)}: the decay per step is at least {least[i, 0]:.4g}; it must be below 2"


def where(over: Grid, flat: Optimizer, point: int) -> str:
    """The point in words: its learning rate and its place on the sweep axes."""
    places = np.unravel_index(point, over.shape)
    axes = {dim: over.coords[dim][i] for dim, i in zip(over.dims, places, strict=True)}
    named = {"lr": flat.lr[point, 0], **axes}
    return "at " + ", ".join(
        f"{name}={value if isinstance(value, str) else f'{value:.6g}'}" for name, value in named.items()
    )
