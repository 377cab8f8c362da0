"""Moments of AdamW on pure noise, and how far the fluctuations of its second moment take them.

E v̂ is the noise's variance σ² at every step, and at it the step is linear (R1). v̂ itself fluctuates about that by
δ = v̂/σ² − 1, and a step's update takes the factor 1 − aδ + bδ² of 1/(√v̂ + ε). What that makes of the weight's variance
to second order in δ follows linear recursions, which stand in `NoiseMoments` beside the moments. It is the stated
error, with a share of each step's noise for what is beyond the second order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..optimizers import AdamW
from ..typing import FloatArray, Value
from .closure import leaning
from .gradient_maps import ProblemMap
from .linear import Clock, StepMap, UpdateMap
from .moments import Arrays, EqualSteps, Moments, advance_with_memory
from .stepping import Stepper, doubted_name, stepper
from .trajectory import Recorded, Run

# What is beyond the second order, of the variance that a step's noise gives, over the share of v̂ that is this step's
# square: at the first step, where that is 1, quadrature leaves 0.0662·root/(root + ε) at most, and simulations of later
# steps ask for no more (tests/prediction/test_pure_noise.py).
BEYOND = 0.08
# Below this β₂ v̂ averages hardly more than one square, and has no expansion about its mean.
LEAST_BETA2 = 0.5
# What is left of the start is nothing beside 1.
SETTLED = 1e-6


class NoiseMoments(NamedTuple):
    """The moments at E v̂, and what fluctuations make of them, each of shape (points, d) or traced.

    `buffer_with_second` and `covariance_with_second` are E m²δ and E w m δ, `covariance_beyond` and `variance_beyond`
    what is added to the covariance and to the weight's variance, and `…_doubt` what is beyond that.
    """

    weight_mean: Value
    buffer_mean: Value
    weight_variance: Value
    covariance: Value
    buffer_variance: Value
    buffer_with_second: Value
    covariance_with_second: Value
    covariance_beyond: Value
    variance_beyond: Value
    buffer_doubt: Value
    covariance_doubt: Value
    variance_doubt: Value

    @property
    def weights(self) -> Moments:
        return Moments(self.weight_mean, self.buffer_mean, self.weight_variance, self.covariance, self.buffer_variance)

    @property
    def worst(self) -> Moments:
        """The moments with a weight variance that is larger by the error of `weights`."""
        error = np.abs(self.variance_beyond) + self.variance_doubt
        return self.weights._replace(weight_variance=self.weight_variance + error)


class Fluctuation(NamedTuple):
    """Of v̂ at a step: what share of it is this step's square, Var δ, and what share of √v̂ + ε is √v̂.

    `doubt` is the share of the noise's variance that is in doubt where ε is 0.
    """

    taken: Value
    variance: Value
    doubt: Value
    share: Value


class NoiseStep(NamedTuple):
    """A step at E v̂, and how v̂ fluctuates there."""

    step: StepMap
    second: Fluctuation

    def linear(self) -> NoiseStep:
        return self._replace(step=self.step.linear())


def advance_noise(x: NoiseMoments, a: NoiseStep) -> NoiseMoments:
    """The moments after a step with the update U = B m + e n and the new buffer m' = β m + f n, at one δ'.

    δ' = (1 − taken)·δ + taken·(n² − 1), so that E n²δ' = 2·taken; odd moments of the noise are 0.
    """
    own, (taken, variance, doubt, share) = a.step, a.second
    slant, curve = leaning(share, 1)
    lasting, rest, by, kept = own.weight_weight, own.weight_buffer, own.weight_noise, own.buffer_buffer
    new, old, twice = own.buffer_noise, 1 - taken, 2 * taken
    # Of the new pairs U², U m' and, with the weight, w U and w m': at E v̂, and with δ'.
    square = rest * rest * x.buffer_variance + by * by
    pair = rest * kept * x.buffer_variance + by * new
    buffer_with = old * x.buffer_with_second
    square_with = rest * rest * buffer_with + twice * by * by
    pair_with = rest * kept * buffer_with + twice * by * new
    weight_with = old * x.covariance_with_second
    crossed = rest * (x.covariance_beyond - slant * weight_with + curve * variance * x.covariance)
    row = lasting * x.covariance_doubt + rest * x.buffer_doubt
    return NoiseMoments(
        *advance_with_memory(x.weights, own),
        buffer_with_second=kept * kept * buffer_with + twice * new * new,
        covariance_with_second=lasting * kept * weight_with + pair_with - slant * variance * pair,
        covariance_beyond=lasting * kept * x.covariance_beyond - slant * pair_with + curve * variance * pair,
        variance_beyond=lasting * (lasting * x.variance_beyond + 2 * crossed)
        - 2 * slant * square_with
        + (2 * curve + slant * slant) * variance * square,
        buffer_doubt=kept * kept * x.buffer_doubt + doubt * share * new * new,
        covariance_doubt=kept * row + doubt * share * by * new,
        variance_doubt=lasting * (lasting * x.variance_doubt + rest * x.covariance_doubt)
        + rest * row
        + doubt * share * by * by,
    )


class NoiseMap:
    """Many equal steps of `NoiseMoments`."""

    def __init__(self, step: NoiseStep, shape: tuple[int, ...]) -> None:
        def moved(x: Arrays, a: NoiseStep) -> Arrays:
            return advance_noise(NoiseMoments(*x), a)

        self.equal = EqualSteps(moved, step, 2, len(NoiseMoments._fields), shape)

    def after(self, x: NoiseMoments, steps: int) -> NoiseMoments:
        return NoiseMoments(*self.equal.after(x, steps))


@dataclass(frozen=True)
class NoiseRun(Run):
    """A run of AdamW on pure noise at E v̂; without bias correction that is σ²(1 − β₂^k) at update k."""

    def given(self, time: Clock) -> Any:
        """The coefficients with which √E v̂ is `root`: m/(√c·root + ε) is (m/√c)/(root + ε/√c)."""
        c = super().given(time)
        assert isinstance(self.optimizer, AdamW)
        if self.optimizer.bias_correction:
            return c
        begun = np.sqrt(1 - time.power(self.optimizer.beta2))
        return c._replace(step_size=c.step_size / begun, eps=c.eps / begun)


@dataclass(frozen=True)
class DoubtedRun(NoiseRun):
    """The same run with the weight's variance larger by its stated error."""

    def start(self) -> NoiseMoments:
        x = super().start()
        return NoiseMoments(*x, *(np.zeros_like(self.init),) * (len(NoiseMoments._fields) - len(x)))

    def fluctuation(self, start: int, stop: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What updates start+1 … stop have of `Fluctuation` from time alone, each of shape (points, steps)."""
        return fluctuation(self.beta2, self.beta2 ** np.arange(start + 1, stop + 1, dtype=np.float64))

    @property
    def beta2(self) -> FloatArray:
        """β₂, shape (points, 1)."""
        assert isinstance(self.optimizer, AdamW)
        return np.broadcast_to(self.optimizer.beta2, (len(self.init), 1))

    def coefficients(self, steps: range) -> FloatArray:
        given = super().coefficients(steps)
        return np.concatenate([given, np.stack(self.fluctuation(steps.start, steps.stop), axis=-1)], axis=-1)

    def made(self, updates: UpdateMap, problem: ProblemMap, number: int) -> Any:
        eps = np.broadcast_to(self.given(self.clock(number, number + 1)).eps, (len(self.init), 1))
        second = Fluctuation(*self.fluctuation(number, number + 1), self.root / (self.root + eps))
        return NoiseStep(super().made(updates, problem, number), second)

    def gradient(self, x: NoiseMoments, updates: UpdateMap) -> ProblemMap:
        return self.problem

    def moved(self, x: NoiseMoments, step: Any, number: int) -> NoiseMoments:
        return advance_noise(x, step)

    def many(self, step: Any) -> NoiseMap:
        return NoiseMap(step, self.init.shape)

    def same_step(self, first: int, last: int) -> bool:
        pairs = zip(self.fluctuation(first, first + 1), self.fluctuation(last, last + 1), strict=True)
        return all(np.array_equal(*pair) for pair in pairs) and super().same_step(first, last)

    def state(self, flat: Sequence[FloatArray] | FloatArray) -> NoiseMoments:
        return NoiseMoments(*flat)

    def seen(self, place: int, x: NoiseMoments, before: NoiseMoments, step: Any) -> Recorded:
        return Recorded(place, x.worst)

    @cached_property
    def native(self) -> Stepper | None:
        return stepper(doubted_name(self.optimizer), (*self.problem.rows, self.root), self.init.shape)

    def settled(self, x: Moments, step: StepMap, lost: FloatArray) -> Moments:
        """The stationary moments with the error, from those without; `lost` is 1 − A_ww as for `moments.stationary`."""
        assert isinstance(self.optimizer, AdamW)
        share = self.root / (self.root + self.optimizer.eps)
        second = Fluctuation(*fluctuation(self.beta2, np.zeros_like(self.beta2)), share)
        return settled_noise(x, NoiseStep(step, second), lost).worst


def fluctuation(beta2: FloatArray, left: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """`Fluctuation` less the share of √v̂, after updates k that `left` = β₂^k tells: v̂ weighs squares by β₂^j/Σβ₂^j."""
    left = np.where(left < SETTLED, 0.0, left)
    taken = (1 - beta2) / (1 - left)
    return taken, 2 * taken * (1 + left) / (1 + beta2), np.where(beta2 < LEAST_BETA2, np.inf, BEYOND * taken)


def settled_noise(x: Moments, a: NoiseStep, lost: FloatArray) -> NoiseMoments:
    """What a stable step leaves as it is: each entry takes of itself and of those before it alone."""
    weight, buffer, old = 1 - lost, a.step.buffer_buffer, 1 - a.second.taken
    forgotten = {
        "buffer_with_second": 1 - old * buffer * buffer,
        "covariance_with_second": 1 - old * weight * buffer,
        "covariance_beyond": 1 - weight * buffer,
        "variance_beyond": lost * (2 - lost),
        "buffer_doubt": 1 - buffer * buffer,
        "covariance_doubt": 1 - weight * buffer,
        "variance_doubt": lost * (2 - lost),
    }
    zero = np.zeros_like(lost)
    found = NoiseMoments(*x, *(zero,) * len(forgotten))
    for name, share in forgotten.items():
        found = found._replace(**{name: getattr(advance_noise(found, a), name) / share})
    return found
