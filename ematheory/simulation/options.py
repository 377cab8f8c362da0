"""What a step does besides the gradient and the update, where a run asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..records import POSITIVE, Record, as_field, check_choice
from .averaging import Averages, check_averages
from .bfloat16 import ROUNDINGS
from .groups import Groups

WEIGHTS = ("bfloat16",)
# Of what the norm is taken that clips a gradient.
CLIP_EACH = "clip_each"
CLIPPED = ("replica", "group")


@dataclass(frozen=True, eq=False, repr=False)
class StepOptions(Record):
    """Checked options: the largest norm of a gradient (may be a sweep axis) and of what it is taken, averages, how
    weights are rounded.
    """

    clip_norm: Any = None
    clip_each: str = CLIPPED[0]
    averages: Averages = Averages()
    weights: str | None = None
    rounding: str = "nearest"

    @property
    def attributes(self) -> dict[str, Any]:
        """Those that were given, as a result's attributes have them."""
        found: dict[str, Any] = {"clip_norm": self.clip_norm}
        if self.clip_each != CLIPPED[0]:
            found[CLIP_EACH] = self.clip_each
        if self.averages.name:
            found[self.averages.name] = self.averages.given
        if self.weights:
            found.update(weights=self.weights, rounding=self.rounding)
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The names of those that were given."""
        return tuple(name for name, value in self.attributes.items() if value is not None and name != "rounding")


class StepArrays(NamedTuple):
    """The options of one call of an engine; None or "" where there is none.

    The largest norms of gradients, (points,) in float64; the groups that each have one, for those of a replica's whole
    gradient (); the shares of the old average and of the new weight,
    (steps, A, 2); how weights are rounded; what is kept of the optimum's displacement, and the scale of its noise,
    (2, points, d).
    """

    clip_norm: np.ndarray[Any, Any] | None = None
    clip_groups: Groups = ()
    averaging: np.ndarray[Any, Any] | None = None
    rounding: str = ""
    drift: np.ndarray[Any, Any] | None = None

    @property
    def given(self) -> dict[str, Any]:
        """Those that an engine is told of; one that clips groups steps each by itself."""
        return {name: value for name, value in self._asdict().items() if value is not None and name != "clip_groups"}


NO_OPTIONS = StepArrays()


def check_options(
    clip_norm: Any,
    clip_each: str,
    groups: Groups,
    iterate_average: Any,
    tail_average: Any,
    weights: str | None,
    rounding: str,
    dtype: str,
) -> StepOptions:
    """The options. Raises `TypeError` and `ValueError` as `simulate` documents."""
    check_choice("clip_each", clip_each, CLIPPED)
    if clip_each != CLIPPED[0] and (clip_norm is None or not groups):
        lacking = "clip_norm" if clip_norm is None else "groups"
        raise ValueError(f"clip_each={clip_each!r} clips each of the groups to clip_norm, but {lacking} was left out")
    check_choice("rounding", rounding, ROUNDINGS)
    if weights is None and rounding != ROUNDINGS[0]:
        raise ValueError(f"rounding={rounding!r} is of weights='bfloat16', but weights was left out")
    if weights is not None:
        check_choice("weights", weights, WEIGHTS)
        if dtype != "float32":
            raise ValueError(f"weights={weights!r} are the upper half of a float32: use dtype='float32', got {dtype!r}")
    return StepOptions(
        clip_norm=None if clip_norm is None else as_field("clip_norm", clip_norm, POSITIVE),
        clip_each=clip_each,
        averages=check_averages(iterate_average, tail_average),
        weights=weights,
        rounding=rounding,
    )
