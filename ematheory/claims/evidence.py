"""What a level found, as data: comparisons of a prediction with what was seen, and figures of them.

Each comparison is of one kind, which says how it will be judged (`verdict.py`). Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..typing import FloatArray


@dataclass(frozen=True)
class Proved:
    """A derivation whose steps were checked by machine.

    what : the derivation's name.
    steps : how many steps it has.
    failed : one sentence for each check that did not come out true (a check that cannot decide counts).
    samples : at how many points that satisfy the assumptions the result was evaluated; 0 is vacuous.
    """

    what: str
    steps: int
    failed: tuple[str, ...]
    samples: int


def largest(values: Iterable[Any]) -> float:
    """The largest value, or NaN where one is NaN: Python's own max may pass over it, and a residual must not."""
    return float(np.max(np.array([float(value) for value in values])))


@dataclass(frozen=True)
class Exact:
    """An equation that holds up to rounding: `residual` ≤ `bound`; `reason` says what arithmetic gives the bound."""

    what: str
    residual: float
    bound: float
    n: int
    reason: str


@dataclass(frozen=True)
class Fails:
    """A control: an equation that must *not* hold, so `residual` > `bound`; it shows that the check can fail."""

    what: str
    residual: float
    bound: float
    n: int
    reason: str


@dataclass(frozen=True)
class Bounded:
    """An inequality: the largest of `values` stays at or below `limit`, up to a relative `rounding`."""

    what: str
    values: Sequence[float] | FloatArray
    limit: float
    rounding: float


@dataclass(frozen=True)
class Order:
    """An error that vanishes as a power of a size: error ∝ sizeᵖ with p = `claimed` as size → 0.

    sizes : decreasing, in a constant ratio.
    errors : the error at each size, positive.
    standard_errors : of `errors`, where they were sampled, from `n` independent replicas.
    gap : how much higher the order of the next term may be, at least.
    """

    what: str
    sizes: Sequence[float] | FloatArray
    errors: Sequence[float] | FloatArray
    claimed: float
    standard_errors: Sequence[float] | FloatArray | None = None
    n: int = 0
    gap: float = 0.5


@dataclass(frozen=True)
class Sampled:
    """Means over `n` independent replicas, with their standard errors, against their predicted values.

    resolution : the difference that would matter, in the measurement's unit; an interval that reaches further does not
        confirm.
    allowance : a bound on what the prediction is known to leave out (0 for an exact one).
    errors_by : bootstrap or jackknife, where that gave the standard errors rather than the replicas' spread.
    """

    what: str
    measured: Any
    predicted: Any
    standard_errors: Any
    n: int
    resolution: Any
    allowance: Any = 0.0
    errors_by: str = ""

    def arrays(self) -> tuple[FloatArray, ...]:
        """measured, predicted, standard_errors, resolution and allowance, broadcast and flat."""
        fields = (self.measured, self.predicted, self.standard_errors, self.resolution, self.allowance)
        broadcast = np.broadcast_arrays(*(np.asarray(field, dtype=np.float64) for field in fields))
        return tuple(np.ravel(array) for array in broadcast)


@dataclass(frozen=True)
class Below:
    """Means over `n` independent replicas that are to stay below a limit, such as the ratio of what is ranked below 1.

    standard_errors : of `measured`; a value that is nearer to the limit than its interval reaches decides nothing.
    errors_by : as in `Sampled`.
    """

    what: str
    measured: Any
    standard_errors: Any
    limit: float
    n: int
    errors_by: str = ""


@dataclass(frozen=True)
class Share:
    """In `count` of `n` independent replicas something happened: the probability that it does is to be below a limit.

    For what has no mean, such as a distance that is infinite where a run diverges.
    """

    what: str
    count: int
    n: int
    limit: float


Finding: TypeAlias = Proved | Exact | Fails | Bounded | Order | Sampled | Below | Share


@dataclass(frozen=True)
class Curve:
    """A prediction and a measurement of one quantity at the same places, up to a few hundred."""

    label: str
    x: Any
    predicted: Any
    measured: Any
    standard_errors: Any = None

    def __post_init__(self) -> None:
        """Keep numbers alone, of one length, so that a record of them can always be written."""
        for name in ("x", "predicted", "measured", "standard_errors"):
            value = getattr(self, name)
            if value is not None:
                numbers = np.asarray(value, dtype=np.float64)
                object.__setattr__(self, name, numbers)
                if numbers.shape != (len(self.x),):
                    raise ValueError(f"curve {self.label!r}: {name} has shape {numbers.shape}, x has {len(self.x)}")


@dataclass(frozen=True)
class Figure:
    """Curves on one axis; the report draws prediction and measurement together and residuals below.

    places : names of x = 0, 1, …, where these are separate things; predictions are then marked, not joined.
    """

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    log_x: bool = False
    log_y: bool = False
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """Everything a level found: comparisons, the seeds they came from, figures, and the instruction set that ran."""

    findings: tuple[Finding, ...]
    seeds: tuple[int, ...] = ()
    figures: tuple[Figure, ...] = ()
    isa: str | None = None

    def __add__(self, other: Evidence) -> Evidence:
        """What both found, under the first one's instruction set."""
        return Evidence(
            (*self.findings, *other.findings), (*self.seeds, *other.seeds), (*self.figures, *other.figures), self.isa
        )
