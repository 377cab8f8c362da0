"""The base of every problem, and what their records share.

A problem is a record with `gradient(xp, weight, noise, c)`, under the same rules as an optimizer's `update`;
`c` holds one value per coordinate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from ..records import Interval, Record, as_field, check_choice
from ..typing import Value

# What `simulate` measures on any problem, and `predict` has no expectation of.
MEASURED = (
    "update_norm", "update_ratio", "effective_learning_rate", "effective_learning_rate_exact", "weight_second_moment",
    "first_moment_mean_square", "second_moment_mean", "coordinate_first_moment", "coordinate_first_moment_square",
    "coordinate_second_moment", "coordinate_second_moment_square", "diverged",
)  # fmt: skip


class Problem(Record):
    """What every problem record provides.

    `Coefficients` (a NamedTuple) holds what `gradient` needs of each coordinate; `observables` are the names that
    `simulate` and `predict` can return for it, the first being the default. `simulate` measures `MEASURED` besides.
    """

    Coefficients: ClassVar[type[Any]]
    name: ClassVar[str]
    observables: ClassVar[tuple[str, ...]]
    # Whether a gradient's dot products are over all coordinates, however these are grouped into vectors.
    sums_whole: ClassVar[bool] = False
    # Whether they are over each of those vectors.
    sums_groups: ClassVar[bool] = False

    init: Any
    # The standard deviation of the starting weights about `init`, each coordinate's and replica's own.
    init_std: Any = 0.0
    # Of an optimum that moves: the standard deviation of a step, and the share of the displacement it goes back.
    drift: Any = 0.0
    drift_reversion: Any = 0.0

    @property
    def coordinates(self) -> int:
        """d, the number of weights."""
        raise NotImplementedError

    @property
    def normals_per_step(self) -> int:
        """How many standard normals one gradient takes: one per weight, unless samples are drawn."""
        return self.coordinates

    def check_start(self, groups: Sequence[int] = ()) -> None:
        """Raise `ValueError` for starting weights that have no gradient; `groups` are the vectors' sizes, or none."""

    def coefficients(self, xp: Any) -> Any:
        """Everything the gradient needs of a coordinate, in float64 on the host, or on symbols."""
        raise NotImplementedError

    def gradient(self, xp: Any, weight: Value, noise: Value, c: Any) -> Value:
        """The stochastic gradient at `weight`, given `normals_per_step` standard normals along the last axis."""
        raise NotImplementedError

    @classmethod
    def variants(cls) -> Mapping[str, Problem]:
        """One record for each gradient function, by its name: the native engine's kernels."""
        raise NotImplementedError


def chosen_observables(
    problem: Problem, observables: str | Sequence[str] | None, measured: bool = False
) -> tuple[str, ...]:
    """The observables asked for, each once; None is the problem's first. `measured` allows those of `MEASURED`.

    Raises `ValueError` listing the known ones for an unknown name or none at all, `TypeError` for what is not names.
    """
    if observables is None:
        return problem.observables[:1]
    allowed = (*problem.observables, *MEASURED) if measured else problem.observables
    known = ", ".join(map(repr, allowed))
    names = (observables,) if isinstance(observables, str) else observables
    names = tuple(names) if isinstance(names, Iterable) else (names,)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"observables must be names among {known}, got {observables!r}")
    if not names:
        raise ValueError(f"observables needs at least one of {known}, got none")
    for name in names:
        if name in MEASURED and not measured:
            raise ValueError(f"{name!r} is measured by simulate and not predicted; predict knows {known}")
        check_choice(f"observables of {type(problem).__name__}", name, allowed)
    return tuple(dict.fromkeys(names))


def as_batch(name: str, value: Any) -> float | xr.DataArray:
    """A batch size as a field: whole numbers ≥ 1, for samples cannot be cut. Raises as `as_field` does."""
    field = as_field(name, value, Interval(1))
    if np.any(np.asarray(field) % 1):
        raise ValueError(f"{name} must be whole, for so many samples are drawn at each step; got {value!r}")
    return field


def common_length(record: Problem, names: tuple[str, ...]) -> int:
    """The number of coordinates that the vector fields agree on (1 when all are scalars)."""
    lengths = {
        name: value.sizes["coordinate"]
        for name in names
        if isinstance(value := getattr(record, name), xr.DataArray) and "coordinate" in value.dims
    }
    if len(set(lengths.values())) > 1:
        seen = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"{type(record).__name__}: vector fields must have one length, but {seen}")
    return next(iter(lengths.values()), 1)
