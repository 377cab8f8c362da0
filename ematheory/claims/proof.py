"""What claims ask of derivations: that every step is checked, and that the numeric forms agree with brute force."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .evidence import Evidence, Exact, Proved, largest

if TYPE_CHECKING:
    from ..derivations.derivation import Derivation

# Points at which each result is evaluated against brute force.
POINTS = {"smoke": 3, "quick": 10, "full": 40}
CANCELLED = 1e-50


def proof(*names: str) -> Callable[[str], Evidence]:
    """A level that verifies the derivations named."""
    return lambda tier: Evidence(tuple(proved(name, POINTS[tier]) for name in names))


def proved(name: str, points: int) -> Proved:
    """The derivation's checks, run now; `samples` are the points at which its results met brute force."""
    from ..derivations import derive

    found = derive(name).verify(points)
    samples = min((result.points for result in found.results), default=0)
    return Proved(name, len(found.steps), tuple(found.problems()), samples)


def formulas(name: str, points: int, seed: int = 0) -> tuple[Exact, ...]:
    """Every numeric form of a derivation in float64 against brute force in 60 digits, at the same float64 inputs."""
    from ..derivations import derive

    derivation = derive(name)
    return tuple(formula(derivation, result, points, seed) for result in derivation.functions())


def formula(derivation: Derivation, result: str, points: int, seed: int) -> Exact:
    """The largest relative error over sampled points, as a share of what conditioning and rounding allow."""
    from ..derivations.numeric import PRECISION

    function = derivation.function(result)
    excesses = []
    for point in derivation.known().points(points, seed):
        rounded = {symbol: as_float(point[symbol]) for symbol in function.words.values()}
        values = {word: rounded[symbol] for word, symbol in function.words.items()}
        exact = by_force(derivation, result, {**point, **rounded})
        found = function(**values)
        # Sums of 60 digits that cancel leave this much of a value that is 0, of which no share can be taken.
        if found == 0 and abs(exact) < CANCELLED:
            exact = 0
        error = abs(found - exact) / abs(exact) if exact else abs(found)
        excesses.append(float(error) / (PRECISION * max(1.0, float(function.condition(**values)))))
    reason = f"share of {PRECISION:g}·max(1, κ), κ the condition number measured at each point"
    return Exact(f"{derivation.name}: {result}", largest(excesses) if excesses else 0.0, 1.0, len(excesses), reason)


def as_float(value: Any) -> Any:
    """An exact number rounded to the Fraction that a float64 is; whole numbers stay what they are."""
    return value if isinstance(value, int) else Fraction(float(value))


def by_force(derivation: Derivation, result: str, point: Mapping[Any, Any]) -> Any:
    """What brute force gives for a result at a point."""
    import mpmath

    from ..derivations.derivation import Brute
    from ..derivations.evaluation import DIGITS, as_real

    with mpmath.workdps(DIGITS):
        found = derivation.brute_force[result](point)
        return as_real(found.value if isinstance(found, Brute) else found)
