"""Learning-rate schedules: the shape s(x) on x = t/T ∈ [0, 1], its integral S(x) = ∫_x^1 s, its array of multipliers.

Update k = 1…T uses s((k−1)/T), as torch's schedulers do. Warm-up, decay and horizon are shares of the run; a schedule
with warm-up rises linearly from 0 and runs its shape over what follows. Shapes and integrals are generic over `xp`: the
five-operation `ematheory.arithmetic` for multipliers (their bits are promised), SymPy in derivations, mpmath in tests.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from . import arithmetic
from .records import POSITIVE, UNIT, Interval, Record, as_number_array, check_choice, check_values, check_whole
from .typing import FloatArray, Value

SHARE = Interval(0.0, 1.0, closed_high=True)
POSITIVE_SHARE = Interval(0.0, 1.0, closed_low=False, closed_high=True)


def check_number(name: str, value: Any, allowed: Interval) -> float:
    array = as_number_array(name, value)
    if array.ndim:
        raise ValueError(f"{name} of a schedule must be one number, got {value!r}; compare schedules in separate runs")
    check_values(name, array, allowed)
    return float(array)


@dataclass(frozen=True, eq=False, repr=False)
class Schedule(Record):
    """Base of the schedules: warm-up around a shape.

    Subclasses define `bare_shape(xp, x)` and `bare_integral(xp, x)`, the formulas without warm-up, and `limits`, the
    interval of each of their own fields. `warmup` is a share of the run in [0, 1); `warmup_steps` a whole number of
    steps n, which get the multipliers k/n.
    """

    warmup: float = field(default=0.0, kw_only=True)
    warmup_steps: int | None = field(default=None, kw_only=True)

    limits: ClassVar[dict[str, Interval]] = {}

    def __post_init__(self) -> None:
        for name, allowed in self.limits.items():
            object.__setattr__(self, name, check_number(name, getattr(self, name), allowed))
        object.__setattr__(self, "warmup", check_number("warmup", self.warmup, UNIT))
        if self.warmup_steps is not None:
            object.__setattr__(self, "warmup_steps", check_whole("warmup_steps", self.warmup_steps, Interval(0)))
            if self.warmup:
                raise ValueError(f"give warmup={self.warmup} or warmup_steps={self.warmup_steps}, not both")

    def bare_shape(self, xp: Any, x: Value) -> Value:
        raise NotImplementedError

    def bare_integral(self, xp: Any, x: Value) -> Value:
        raise NotImplementedError

    def at(self, x: Value, xp: Any = arithmetic) -> Value:
        """s(x), the schedule's shape, with a warm-up given as a share; the largest value is 1."""
        self.refuse_warmup_steps("at")
        if not self.warmup:
            return self.bare_shape(xp, x)
        rest = (x - self.warmup) / (1 - self.warmup)
        return xp.where(x < self.warmup, x / self.warmup, self.bare_shape(xp, xp.where(x < self.warmup, 0 * x, rest)))

    def integral(self, x: Value, xp: Any = np) -> Value:
        """S(x) = ∫_x^1 s with a warm-up given as a share; S(0) is the schedule's mean multiplier."""
        self.refuse_warmup_steps("integral")
        if not self.warmup:
            return self.bare_integral(xp, x)
        w = self.warmup
        rest = (x - w) / (1 - w)
        after = (1 - w) * self.bare_integral(xp, xp.where(x < w, 0 * x, rest))
        return after + xp.where(x < w, (w * w - x * x) / (2 * w), 0 * x)

    def refuse_warmup_steps(self, what: str) -> None:
        if self.warmup_steps:
            raise ValueError(
                f"{what} needs the warm-up as a share of the run, got warmup_steps={self.warmup_steps}; "
                "give warmup=n/T, or call over(T) first"
            )

    def over(self, steps: int) -> Schedule:
        """The schedule with `warmup_steps` turned into a share of a run of `steps` steps."""
        if self.warmup_steps is None:
            return self
        if self.warmup_steps >= steps:
            raise ValueError(f"warmup_steps must be less than the run's {steps} steps, got {self.warmup_steps}")
        return self.substituted(warmup=self.warmup_steps / steps, warmup_steps=None)

    def multipliers(self, steps: int, first: int = 0, last: int | None = None) -> FloatArray:
        """s_1 … s_T, shape (T,), or s_{first+1} … s_last of them, by five operations only: the same bits everywhere."""
        k = np.arange(first + 1, (steps if last is None else last) + 1, dtype=np.float64)
        if self.warmup_steps is None:
            return np.asarray(self.at((k - 1) / steps), dtype=np.float64) * np.ones(k.size)
        n = self.warmup_steps
        self.over(steps)
        rest = self.bare_shape(arithmetic, np.maximum(k - 1 - n, 0) / (steps - n))
        return np.where(k <= n, k / max(n, 1), rest)


@dataclass(frozen=True, eq=False, repr=False)
class Constant(Schedule):
    """s(x) = 1 after the warm-up.

    >>> Constant().multipliers(3)
    array([1., 1., 1.])
    """

    def bare_shape(self, xp: Any, x: Value) -> Value:
        return 1 + 0 * x

    def bare_integral(self, xp: Any, x: Value) -> Value:
        return 1 - x


@dataclass(frozen=True, eq=False, repr=False)
class Linear(Schedule):
    """s(x) = 1 − (1−r)x, from 1 to `final` = r.

    >>> Linear().multipliers(4)
    array([1.  , 0.75, 0.5 , 0.25])
    """

    final: float = 0.0

    limits = {"final": SHARE}

    def bare_shape(self, xp: Any, x: Value) -> Value:
        return 1 - (1 - self.final) * x

    def bare_integral(self, xp: Any, x: Value) -> Value:
        return (1 - x) * (1 - (1 - self.final) * (1 + x) / 2)


@dataclass(frozen=True, eq=False, repr=False)
class Cosine(Schedule):
    """s(x) = r + (1−r)(1 + cos πx)/2, from 1 to `final` = r.

    >>> Cosine(final=0.1).multipliers(2)
    array([1.  , 0.55])
    """

    final: float = 0.0

    limits = {"final": SHARE}

    def bare_shape(self, xp: Any, x: Value) -> Value:
        cosine = xp.cos_pi(x) if hasattr(xp, "cos_pi") else xp.cos(xp.pi * x)
        return self.final + (1 - self.final) * (1 + cosine) / 2

    def bare_integral(self, xp: Any, x: Value) -> Value:
        return self.final * (1 - x) + (1 - self.final) * ((1 - x) - xp.sin(xp.pi * x) / xp.pi) / 2


@dataclass(frozen=True, eq=False, repr=False)
class WSD(Schedule):
    """Warm-up, stable, decay (Hu et al., arXiv 2404.06395): 1, then to zero over the last share `decay` = d.

    With y = (x−1+d)/d the decay runs as 1−y (``shape="linear"``) or 1−√y (``shape="sqrt"``).

    >>> WSD(decay=0.5).multipliers(4)
    array([1. , 1. , 1. , 0.5])
    """

    decay: float = 0.2
    shape: str = "linear"

    limits = {"decay": POSITIVE_SHARE}

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("shape", self.shape, ("linear", "sqrt"))

    def decayed(self, xp: Any, x: Value) -> tuple[Value, Value]:
        """Whether the decay is still to come, and y: divided by 1 − (1 − d) so that it ends at 1 in float64 too."""
        start = 1 - self.decay
        stable = x < start
        return stable, xp.where(stable, 0 * x, (x - start) / (1 - start))

    def bare_shape(self, xp: Any, x: Value) -> Value:
        _, y = self.decayed(xp, x)
        return 1 - (y if self.shape == "linear" else xp.sqrt(y))

    def bare_integral(self, xp: Any, x: Value) -> Value:
        d = self.decay
        stable, y = self.decayed(xp, x)
        flat = xp.where(stable, (1 - d) - x, 0 * x)
        if self.shape == "linear":
            return flat + d * (1 - y) * (1 - y) / 2
        return flat + d * ((1 - y) - 2 * (1 - y * xp.sqrt(y)) / 3)


@dataclass(frozen=True, eq=False, repr=False)
class InverseSqrt(Schedule):
    """s(x) = √(x₀/x) after x₀ = `flat`, 1 before.

    >>> InverseSqrt(flat=0.25).multipliers(4).round(3)
    array([1.   , 1.   , 0.707, 0.577])
    """

    flat: float = 0.01

    limits = {"flat": POSITIVE_SHARE}

    def bare_shape(self, xp: Any, x: Value) -> Value:
        after = xp.where(x < self.flat, self.flat + 0 * x, x)
        return xp.sqrt(self.flat / after)

    def bare_integral(self, xp: Any, x: Value) -> Value:
        after = xp.where(x < self.flat, self.flat + 0 * x, x)
        before = xp.where(x < self.flat, self.flat - x, 0 * x)
        return before + 2 * (xp.sqrt(self.flat + 0 * x) - xp.sqrt(self.flat * after))


@dataclass(frozen=True, eq=False, repr=False)
class Exponential(Schedule):
    """s(x) = e^{−kx}, `rate` = k > 0 per run.

    >>> Exponential(rate=1.0).multipliers(2).round(4)
    array([1.    , 0.6065])
    """

    rate: float = 1.0

    limits = {"rate": POSITIVE}

    def bare_shape(self, xp: Any, x: Value) -> Value:
        return xp.exp(-self.rate * x)

    def bare_integral(self, xp: Any, x: Value) -> Value:
        return -xp.exp(-self.rate * x) * xp.expm1(-self.rate * (1 - x)) / self.rate


@dataclass(frozen=True, eq=False, repr=False)
class Harmonic(Schedule):
    """s(x) = 1/(1 + x/τ), `timescale` = τ > 0 as a share of the run: with τ = 1/(ηλT) it averages uniformly (E6).

    >>> Harmonic(timescale=0.5).multipliers(2)
    array([1. , 0.5])
    """

    timescale: float = 1.0

    limits = {"timescale": POSITIVE}

    def bare_shape(self, xp: Any, x: Value) -> Value:
        return 1 / (1 + x / self.timescale)

    def bare_integral(self, xp: Any, x: Value) -> Value:
        return self.timescale * xp.log1p((1 - x) / (self.timescale + x))


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "linear": Linear,
    "cosine": Cosine,
    "wsd": WSD,
    "inverse-sqrt": InverseSqrt,
    "exponential": Exponential,
    "harmonic": Harmonic,
}


def named(name: str, **fields: Any) -> Schedule:
    """The schedule called `name` on the command line and in recipes. Raises `ValueError` listing the known names."""
    check_choice("schedule", name, SCHEDULES)
    known = {each.name for each in dataclasses.fields(SCHEDULES[name])}
    for given in fields:
        if given not in known:
            raise ValueError(f"schedule {name!r} has no {given!r}; it takes {', '.join(sorted(known))}")
    return SCHEDULES[name](**fields)


def multipliers(
    schedule: Schedule | Sequence[float] | FloatArray | None, steps: int, name: str = "schedule"
) -> FloatArray:
    """s_1 … s_T of a schedule, an array of T multipliers, or None (constant 1); errors call it `name`.

    Raises `ValueError` for an array of another length or with a multiplier that is negative or not finite, `TypeError`
    for what is neither.
    """
    if schedule is None:
        return np.ones(steps)
    if isinstance(schedule, Schedule):
        return schedule.multipliers(steps)
    if isinstance(schedule, str | type):
        raise TypeError(
            f"{name} must be a schedule or an array of {steps} multipliers, got {schedule!r}; give one such as "
            "Cosine(final=0.1)"
        )
    array = as_number_array(name, schedule)
    if array.shape != (steps,):
        raise ValueError(f"a {name} given as an array needs one multiplier per step, ({steps},), got {array.shape}")
    check_values(name, array, Interval(0.0))
    return array
