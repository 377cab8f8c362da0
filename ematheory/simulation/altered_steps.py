"""What the reference does around the gradient and the update of a step; csrc/core/options.h is the same in C++."""

from __future__ import annotations

from typing import Any

import numpy as np

from .bfloat16 import Rounding
from .clipping import clip, clip_each
from .options import StepArrays
from .sampling import Noise

# The stream of the optimum's steps (DESIGN.md, Noise).
DRIFT_STREAM = 5

Array = np.ndarray[Any, Any]


class AlteredSteps:
    """The options of one call, and their arrays of the state: the averages, then how far the optimum has moved.

    `held` are these arrays, shape (A + 0 or 1, points, replicas, d), updated in place.
    """

    def __init__(self, given: StepArrays, held: Array, seed: int, first_replica: int, numbers: Array) -> None:
        self.given = given
        self.averages: Array = held if given.drift is None else held[:-1]
        self.moved: Array | None = None if given.drift is None else held[-1]
        self.rounding = Rounding(given.rounding, seed, first_replica, numbers)
        replicas, columns = held.shape[2:]
        self.drifting = Noise(seed, first_replica, replicas, columns, numbers, held.dtype, DRIFT_STREAM)

    def shifted(self, point: Array) -> Array:
        """Where the gradient is taken, as seen from the moved optimum."""
        return point if self.moved is None else point - self.moved

    def clipped(self, gradient: Array) -> Array:
        most, groups = self.given.clip_norm, self.given.clip_groups
        if most is None:
            return gradient
        return np.asarray(clip_each(gradient, most[:, None], groups) if groups else clip(gradient, most[:, None]))

    def after(self, state: Any, number: int, step: int) -> Any:
        """The optimizer's state after a call's step `number`, 0-based step `step` of the run."""
        if self.given.rounding:
            state = state._replace(weight=self.rounding.rounded(state.weight, step))
        if self.given.averaging is not None:
            kept, taken = self.given.averaging[number].T[..., None, None, None]
            self.averages[:] = kept * self.averages + taken * state.weight
        if self.moved is not None and self.given.drift is not None:
            kept, scale = self.given.drift[:, :, None, :]
            self.moved[:] = kept * self.moved + scale * self.drifting.at(step)
        return state

    def seen(self, weight: Array) -> Array:
        """What is copied at a record, shape (points·copies, replicas, d)."""
        copies = list(self.averages) or [weight]
        copies += [] if self.moved is None else [self.moved]
        return np.stack(copies, axis=1).reshape(-1, *weight.shape[1:])
