"""Published power laws for the timescale, with how well each is known."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from .records import POSITIVE, Interval, check_values, check_whole
from .typing import Value

# A line through two points has no residual, so no error can be had from fewer.
FEWEST_POINTS = 3


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

    def exponent_error(self, points: int = FEWEST_POINTS) -> float:
        """The exponent's standard error in a least-squares line in logarithms through so many points, from R² alone.

        R² says no more: the source's interval, where it gives one, is not known here. The error falls as more points
        give the same R², so that of the fewest is the largest that R² allows.

        >>> round(POWER_LINES.exponent_error(10), 3), round(POWER_LINES.exponent_error(), 3)
        (0.03, 0.084)
        """
        check_whole("points", points, Interval(FEWEST_POINTS))
        return abs(self.exponent) * sqrt((1 / self.r_squared - 1) / (points - 2))

    def exponents(self) -> tuple[float, float]:
        """The exponent less and plus the largest standard error that R² allows."""
        error = self.exponent_error()
        return self.exponent - error, self.exponent + error

    def run_fraction_interval(self, tokens_per_parameter: Value) -> tuple[Value, Value]:
        """τ/T with the exponent a standard error lower and higher, the lower τ/T first; the coefficient stays.

        The coefficient's own error, and with it the level's, is not known here.

        >>> [round(share, 3) for share in POWER_LINES.run_fraction_interval(20.0)]
        [0.174, 0.288]
        """
        check_values("tokens_per_parameter", tokens_per_parameter, POSITIVE)
        one, other = (self.coefficient * tokens_per_parameter**exponent for exponent in self.exponents())
        # Below one token per parameter the lower exponent gives the higher share.
        return (one + other - abs(one - other)) / 2, (one + other + abs(one - other)) / 2

    @property
    def uncertainty(self) -> str:
        """What is known of the exponent's error, in a sentence."""
        return (
            f"exponent {self.exponent:g} ± {self.exponent_error():.2g}".replace("-", "−")
            + f", one standard error at most: what R² = {self.r_squared:g} of the fit allows with {FEWEST_POINTS} "
            "points, the fewest; their number and the coefficient's error are not known here"
        )


POWER_LINES = PowerLaw(1.084, -0.527, 0.975, "Bergsma et al., arXiv 2505.13738 (τ_EMA at the peak rate)", "2nd")
