"""Problems: where gradients come from, on models whose answer can be known.

A problem is a record with `gradient(xp, weight, noise, c)`, under the same rules as an optimizer's `update`;
`c` holds one value per coordinate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import xarray as xr

from .records import FINITE, NON_NEGATIVE, POSITIVE, Interval, Record, as_field, as_vector, check_choice, check_whole
from .typing import Field, Value


class Problem(Record):
    """What every problem record provides.

    `Coefficients` (a NamedTuple) holds what `gradient` needs of each coordinate; `observables` are the names that
    `simulate` and `predict` can return for it, the first being the default.
    """

    Coefficients: ClassVar[type[Any]]
    name: ClassVar[str]
    observables: ClassVar[tuple[str, ...]]

    init: Any

    @property
    def coordinates(self) -> int:
        """d, the number of weights."""
        raise NotImplementedError

    def coefficients(self, xp: Any) -> Any:
        """Everything the gradient needs of a coordinate, in float64 on the host, or on symbols."""
        raise NotImplementedError

    def gradient(self, xp: Any, weight: Value, noise: Value, c: Any) -> Value:
        """The stochastic gradient at `weight`, given one standard normal per coordinate."""
        raise NotImplementedError

    @classmethod
    def variants(cls) -> Mapping[str, Problem]:
        """One record for each gradient function, by its name: the native engine's kernels."""
        raise NotImplementedError


def chosen_observables(problem: Problem, observables: str | Sequence[str] | None) -> tuple[str, ...]:
    """The observables asked for, each once; None is the problem's first.

    Raises `ValueError` listing the known ones for an unknown name or none at all, `TypeError` for what is not names.
    """
    if observables is None:
        return problem.observables[:1]
    known = ", ".join(map(repr, problem.observables))
    names = (observables,) if isinstance(observables, str) else observables
    names = tuple(names) if isinstance(names, Iterable) else (names,)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"observables must be names among {known}, got {observables!r}")
    if not names:
        raise ValueError(f"observables needs at least one of {known}, got none")
    for name in names:
        check_choice(f"observables of {type(problem).__name__}", name, problem.observables)
    return tuple(dict.fromkeys(names))


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


class NoisyQuadraticCoefficients(NamedTuple):
    """Per coordinate: h_i, θ*_i and the noise's standard deviation √(c_i/B)."""

    curvature: Value
    optimum: Value
    noise_scale: Value


@dataclass(frozen=True, eq=False, repr=False)
class NoisyQuadratic(Problem):
    """The noisy quadratic model (Zhang et al., arXiv 1907.04164): g_i = h_i (w_i − θ*_i) + √(c_i/B)·n, n ~ N(0, 1).

    Parameters
    ----------
    curvature : h_i ≥ 0, one per coordinate (a number: one coordinate).
    noise : c_i ≥ 0, the gradient-noise variances at batch size 1, or ``"curvature"`` for c_i = h_i, the paper's choice.
    optimum : θ*_i.
    init : the starting weights w_0, the same in every replica.
    batch_size : B > 0; may be a sweep axis.

    The risk is ½ Σ h_i E(w_i − θ*_i)².

    Raises
    ------
    ValueError : NaN or a value outside its range, vectors of different lengths, an empty axis.
    TypeError : a value that is not a number.

    Example
    -------
    >>> NoisyQuadratic(curvature=[1.0, 0.5, 0.25], batch_size=8).coordinates
    3
    """

    curvature: Any
    noise: Any = "curvature"
    optimum: Any = 0.0
    init: Any = 1.0
    batch_size: Field = 1.0

    Coefficients = NoisyQuadraticCoefficients
    name = "noisy_quadratic"
    observables = (
        "risk", "weight_mean", "weight_variance", "weight_mean_square", "weight_norm", "rotation", "update_cosine",
    )  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "curvature", as_vector("curvature", self.curvature, NON_NEGATIVE))
        if isinstance(self.noise, str):
            if self.noise != "curvature":
                raise ValueError(f"noise must be variances or the word 'curvature', got {self.noise!r}")
            object.__setattr__(self, "noise", self.curvature)
        for name, allowed in (("noise", NON_NEGATIVE), ("optimum", FINITE), ("init", FINITE)):
            object.__setattr__(self, name, as_vector(name, getattr(self, name), allowed))
        object.__setattr__(self, "batch_size", as_field("batch_size", self.batch_size, POSITIVE))
        common_length(self, ("curvature", "noise", "optimum", "init"))

    @property
    def coordinates(self) -> int:
        return common_length(self, ("curvature", "noise", "optimum", "init"))

    def coefficients(self, xp: Any) -> NoisyQuadraticCoefficients:
        return NoisyQuadraticCoefficients(
            curvature=self.curvature,
            optimum=self.optimum,
            noise_scale=xp.sqrt(self.noise / self.batch_size),
        )

    def gradient(self, xp: Any, weight: Value, noise: Value, c: NoisyQuadraticCoefficients) -> Value:
        return c.curvature * (weight - c.optimum) + c.noise_scale * noise

    @classmethod
    def variants(cls) -> Mapping[str, Problem]:
        return {cls.name: cls(curvature=1.0)}


class RandomWalkCoefficients(NamedTuple):
    """Per coordinate: the gradient's standard deviation."""

    noise_scale: Value


@dataclass(frozen=True, eq=False, repr=False)
class RandomWalk(Problem):
    """Gradients that are pure noise, g_i = √(c_i/B)·n (Kosson et al., arXiv 2305.17212): no loss, only a walk.

    Parameters
    ----------
    size : the number of coordinates C ≥ 1 of the one weight vector.
    noise : c_i ≥ 0, the gradient variances at batch size 1.
    init : the starting weights w_0, the same in every replica.
    batch_size : B > 0; may be a sweep axis.

    Raises
    ------
    ValueError : NaN or a value outside its range, vectors of a length other than `size`, an empty axis.
    TypeError : a value that is not a number.

    Example
    -------
    >>> RandomWalk(size=1024).coordinates
    1024
    """

    size: int = 1
    noise: Any = 1.0
    init: Any = 0.0
    batch_size: Field = 1.0

    Coefficients = RandomWalkCoefficients
    name = "random_walk"
    observables = (
        "weight_mean_square", "weight_mean", "weight_variance", "weight_norm", "rotation", "update_cosine",
    )  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_whole("size", self.size, Interval(1)))
        object.__setattr__(self, "noise", as_vector("noise", self.noise, NON_NEGATIVE))
        object.__setattr__(self, "init", as_vector("init", self.init, FINITE))
        object.__setattr__(self, "batch_size", as_field("batch_size", self.batch_size, POSITIVE))
        length = common_length(self, ("noise", "init"))
        if length not in (1, self.size):
            raise ValueError(f"RandomWalk: noise and init must have one value or size={self.size} values, got {length}")

    @property
    def coordinates(self) -> int:
        return self.size

    def coefficients(self, xp: Any) -> RandomWalkCoefficients:
        return RandomWalkCoefficients(noise_scale=xp.sqrt(self.noise / self.batch_size))

    def gradient(self, xp: Any, weight: Value, noise: Value, c: RandomWalkCoefficients) -> Value:
        return c.noise_scale * noise

    @classmethod
    def variants(cls) -> Mapping[str, Problem]:
        return {cls.name: cls()}


class ScaleInvariantCoefficients(NamedTuple):
    """The standard deviation of each of the gradient's coordinates at unit norm."""

    noise_scale: Value


@dataclass(frozen=True, eq=False, repr=False)
class ScaleInvariant(Problem):
    """Noise on weights whose scale does not matter: g = (n − ŵ(ŵ·n))/‖w‖, n ~ N(0, c/B) (arXiv 2006.08419, 2010.02916).

    Where a loss does not depend on ‖w‖ its gradient is at right angles to w and falls as 1/‖w‖; this is that gradient
    without a signal. E‖g̃‖² = (C − 1)c/B at unit norm.

    Parameters
    ----------
    size : the number of coordinates C ≥ 2 of the one weight vector.
    noise : c ≥ 0, the variance of each coordinate's gradient at unit norm and batch size 1; may be a sweep axis.
    init : the starting value of every coordinate, not 0; may be a sweep axis.
    batch_size : B > 0; may be a sweep axis.

    Raises
    ------
    ValueError : NaN or a value outside its range, an empty axis.
    TypeError : a value that is not a number.

    Example
    -------
    >>> ScaleInvariant(size=1024, init=0.1).coordinates
    1024
    """

    size: int = 1024
    noise: Any = 1.0
    init: Field = 1.0
    batch_size: Any = 1.0

    Coefficients = ScaleInvariantCoefficients
    name = "scale_invariant"
    observables = (
        "weight_norm", "rotation", "update_cosine", "weight_mean_square", "weight_mean", "weight_variance",
    )  # fmt: skip

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_whole("size", self.size, Interval(2)))
        for name, allowed in (("noise", NON_NEGATIVE), ("init", FINITE), ("batch_size", POSITIVE)):
            object.__setattr__(self, name, as_field(name, getattr(self, name), allowed))
        if not np.all(np.asarray(self.init)):
            raise ValueError("init must not be 0: a vector of norm 0 has no direction")

    @property
    def coordinates(self) -> int:
        return self.size

    def coefficients(self, xp: Any) -> ScaleInvariantCoefficients:
        return ScaleInvariantCoefficients(noise_scale=xp.sqrt(self.noise / self.batch_size))

    def gradient(self, xp: Any, weight: Value, noise: Value, c: ScaleInvariantCoefficients) -> Value:
        square = xp.dot(weight, weight)
        given = c.noise_scale * noise
        tangential = given - (xp.dot(weight, given) / square) * weight
        return tangential / xp.sqrt(square)

    @classmethod
    def variants(cls) -> Mapping[str, Problem]:
        return {cls.name: cls()}


RECORDS: tuple[type[Problem], ...] = (NoisyQuadratic, RandomWalk)
# Those that the native engine does not hold: their gradients need sums over a vector.
REFERENCE_ONLY: tuple[type[Problem], ...] = (ScaleInvariant,)
