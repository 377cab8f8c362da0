"""The noisy quadratic model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..records import FINITE, NON_NEGATIVE, POSITIVE, Interval, as_field, as_vector, short
from ..typing import Field, Value
from .problem import Problem, common_length

SHARE = Interval(0.0, 1.0, closed_high=True)
VECTORS = ("curvature", "noise", "optimum", "init", "init_std", "drift")


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
    init : the starting weights w_0, or their mean.
    init_std : their standard deviation over replicas: w_0 = init + init_std·n with n ~ N(0, 1).
    batch_size : B > 0; may be a sweep axis.

    drift : the standard deviation of each replica's steps of θ*, by which it moves after every update (`predict` has
        none).
    drift_reversion : ρ in [0, 1], the share of its displacement from `optimum` that it goes back before each step:
        δ ← (1 − ρ)δ + drift·n; 0 is a random walk; may be a sweep axis.

    The risk is ½ Σ h_i E(w_i − θ*_i)², θ* being where the optimum is at that time.

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
    init_std: Any = 0.0
    drift: Any = 0.0
    drift_reversion: Field = 0.0

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
        limits = {
            "noise": NON_NEGATIVE, "optimum": FINITE, "init": FINITE, "init_std": NON_NEGATIVE, "drift": NON_NEGATIVE
        }  # fmt: skip
        for name, allowed in limits.items():
            object.__setattr__(self, name, as_vector(name, getattr(self, name), allowed))
        object.__setattr__(self, "batch_size", as_field("batch_size", self.batch_size, POSITIVE))
        object.__setattr__(self, "drift_reversion", as_field("drift_reversion", self.drift_reversion, SHARE))
        common_length(self, VECTORS)

    @property
    def coordinates(self) -> int:
        return common_length(self, VECTORS)

    def coefficients(self, xp: Any) -> NoisyQuadraticCoefficients:
        return NoisyQuadraticCoefficients(
            curvature=self.curvature,
            optimum=self.optimum,
            noise_scale=xp.sqrt(self.noise / self.batch_size),
        )

    def gradient(self, xp: Any, weight: Value, noise: Value, c: NoisyQuadraticCoefficients) -> Value:
        return c.curvature * (weight - c.optimum) + c.noise_scale * noise

    def preconditioned(self, power: float) -> NoisyQuadratic:
        """The model as SGD preconditioned by H^−power sees it: in the coordinates h_i^{power/2} w_i, with equal risk.

        w − ηh^{−p}g there is plain SGD on the curvatures h^{1−p} with the noise variances c h^{−p}; a decay per
        learning rate is the same in both, L2 acts after the preconditioner. Raises `ValueError` where a curvature is 0.

        Source: Zhang et al., arXiv 1907.04164, section 3; Q6.

        >>> NoisyQuadratic(curvature=[4.0, 1.0]).preconditioned(0.5).curvature.values
        array([2., 1.])
        """
        h = self.curvature
        if not np.all(np.asarray(h) > 0):
            raise ValueError(f"a preconditioner H^−{power:g} needs every curvature above 0, got {short(h)}")
        scale = h ** (power / 2)
        return NoisyQuadratic(
            curvature=h ** (1 - power),
            noise=self.noise * h**-power,
            optimum=self.optimum * scale,
            init=self.init * scale,
            batch_size=self.batch_size,
            init_std=self.init_std * scale,
            drift=self.drift * scale,
            drift_reversion=self.drift_reversion,
        )

    @classmethod
    def variants(cls) -> Mapping[str, Problem]:
        return {cls.name: cls(curvature=1.0)}
