"""Published power laws for the timescale, with how well each is known."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from .records import POSITIVE, Interval, check_values, check_whole
from .typing import Value


@dataclass(frozen=True)
class PowerLaw:
    """The best timescale as a share of the run, τ/T = coefficient·TPP^exponent, TPP the tokens per parameter.

    r_squared : of the fit in logarithms.
    source : where it is stated.
    known : how its numbers come here, ``"2nd"`` for those read in a secondary source.
    """

    coefficient: float
    exponent: float
    r_squared: float
    source: str
    known: str

    def run_fraction(self, tokens_per_parameter: Value) -> Value:
        """τ/T at so many tokens per parameter. Raises `ValueError` unless they are positive.

        >>> round(POWER_LINES.run_fraction(20.0), 4)
        0.2236
        """
        check_values("tokens_per_parameter", tokens_per_parameter, POSITIVE)
        return self.coefficient * tokens_per_parameter**self.exponent

    def exponent_error(self, points: int) -> float:
        """The exponent's standard error in a least-squares line in logarithms through so many points, from R² alone.

        R² says no more: the source's interval, where it gives one, is not known here.

        >>> round(POWER_LINES.exponent_error(10), 3)
        0.03
        """
        check_whole("points", points, Interval(3))
        return abs(self.exponent) * sqrt((1 / self.r_squared - 1) / (points - 2))


POWER_LINES = PowerLaw(1.084, -0.527, 0.975, "Bergsma et al., arXiv 2505.13738 (τ_EMA at the peak rate)", "2nd")
