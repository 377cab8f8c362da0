"""A check for forms written with the smaller and the larger of two things, whichever of the two that is."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from .checks import Check, Context, Failure
from .equations import Equation, Expression


@dataclass(frozen=True, kw_only=True)
class EitherOrder(Check):
    """The equation holds whichever of two expressions is the smaller.

    `inner` must pass with Min and Max of the `pair` replaced by one and the other, and again the other way round.
    """

    inner: Check
    pair: tuple[Expression, Expression]

    kind = "either order"

    def needs(self) -> tuple[str, ...]:
        return self.inner.needs()

    def words(self) -> str:
        return f"{self.inner.words()}, whichever of {self.pair[0]} and {self.pair[1]} is the smaller"

    def prove(self, equation: Equation, context: Context) -> str:
        done = ""
        for smaller, larger in (self.pair, self.pair[::-1]):
            outcome = self.inner.run(ordered(equation, smaller, larger), context)
            if not outcome:
                raise Failure(f"where {smaller} ≤ {larger}: {outcome.detail}", outcome.residual)
            done = outcome.detail
        return f"in either order: {done}"


def ordered(equation: Equation, smaller: Expression, larger: Expression) -> Equation:
    """The equation as it reads where smaller ≤ larger."""
    as_known = {sp.Min(smaller, larger): smaller, sp.Max(smaller, larger): larger}
    return Equation(equation.lhs.xreplace(as_known), equation.rhs.xreplace(as_known))
