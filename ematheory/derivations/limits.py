"""Checks of limits, series with their remainder's order, solutions of equations, and removable singularities.

SymPy proposes limits and series coefficients; the normal form compares them and 60-digit values confirm them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from .assumptions import Domain
from .checks import Check, Context, Failure
from .equations import Definitions, Equation, Expression, substitute
from .evaluation import CLOSE, DIGITS, EvaluationError, Number, Point, as_real, evaluate
from .lemmas import apply
from .normal_form import Undecided, normal_form

DISTANCES = tuple(10**k for k in (3, 6, 9))  # how far out (or, inverted, how near) limits are evaluated
LIMIT_POINTS = 2
ROOT_POINTS = 5


@dataclass(frozen=True, kw_only=True)
class Limit(Check):
    """lim lhs = rhs as `variable` tends to `to`.

    `decaying` names bases b, provably −1 < b < 1, whose powers b^(variable) vanish even times a polynomial in the
    variable; without it SymPy's limit is asked.
    """

    variable: sp.Symbol
    to: Expression = sp.oo
    direction: str = "+"
    decaying: tuple[Expression, ...] = ()

    kind = "limit"

    def words(self) -> str:
        return f"limit {self.variable} → {sp.sympify(self.to)}".replace("oo", "∞") + super().words()[len(self.kind) :]

    def prove(self, equation: Equation, context: Context) -> str:
        rules = context.rules(self.uses, self.where)
        for lhs, rhs in equation.pairs():
            plain = apply(self.lemmas, substitute(lhs, rules), context.assumptions)
            found = self.by_decay(plain, context, rules) if self.decaying else self.by_sympy(plain)
            self.require_zero(found - rhs, context, "limit − rhs", rules)
            self.confirm(substitute(lhs, rules), substitute(rhs, rules), context)
        return "limit found and approached numerically"

    def by_sympy(self, expression: Expression) -> Expression:
        try:
            found = sp.limit(expression, self.variable, self.to, self.direction)
        except (NotImplementedError, ValueError, TypeError) as error:
            raise Undecided(f"SymPy finds no limit of {expression}: {error}") from None
        if found.has(sp.Limit, sp.AccumBounds) or found.is_infinite:
            raise Undecided(f"SymPy finds no finite limit of {expression}")
        return found

    def by_decay(self, expression: Expression, context: Context, rules: Definitions) -> Expression:
        vanishing = {}
        for base in (normal_form(substitute(sp.sympify(b), rules)) for b in self.decaying):
            if not (context.assumptions.is_positive(1 - base) and context.assumptions.is_positive(1 + base)):
                raise Failure(f"the assumptions do not say that −1 < {base} < 1")
            vanishing[base] = sp.Dummy(f"power of {base}")
        marked = normal_form(expression).replace(sp.Pow, lambda b, e: self.marked(b, e, vanishing))
        top, bottom = (self.constant_part(part, vanishing) for part in sp.fraction(sp.cancel(sp.together(marked))))
        if bottom == 0:
            raise Undecided("the denominator vanishes in the limit")
        quotient = normal_form(top / bottom)
        return self.by_sympy(quotient) if quotient.has(self.variable) else quotient

    def marked(self, base: Expression, exponent: Expression, vanishing: dict[Expression, sp.Dummy]) -> Expression:
        slope = sp.expand(exponent).coeff(self.variable, 1)
        if base not in vanishing or not slope.is_Integer:
            return base**exponent
        rest = sp.expand(exponent - slope * self.variable)
        return base**exponent if rest.has(self.variable) else base**rest * vanishing[base] ** slope

    def constant_part(self, part: Expression, vanishing: dict[Expression, sp.Dummy]) -> Expression:
        polynomial = sp.Poly(part, self.variable, *vanishing.values())
        return sp.Add(*(c * self.variable ** m[0] for m, c in polynomial.terms() if not any(m[1:])))

    def confirm(self, lhs: Expression, rhs: Expression, context: Context) -> None:
        """Evaluate at growing distances, unless lhs has sums that would be long."""
        if lhs.has(sp.Sum, sp.Product):
            return
        for point in sampled(context, lhs, rhs, count=LIMIT_POINTS, seed=3):
            try:
                errors = self.errors(lhs, rhs, point)
            except EvaluationError as error:
                raise Failure(f"not approached numerically: {error}") from None
            if not errors[-1] <= max(min(errors[0] / 10, mpmath.mpf(10) ** -3), CLOSE):
                raise Failure("values do not approach the limit", [mpmath.nstr(x, 5) for x in errors])

    def errors(self, lhs: Expression, rhs: Expression, point: Point) -> list[Number]:
        """|lhs − rhs| at growing distances, relative where |rhs| > 1."""
        with mpmath.workdps(DIGITS):
            goal = as_real(evaluate(rhs, point))
            values = [as_real(evaluate(lhs, {**point, self.variable: self.place(n)})) for n in DISTANCES]
            return [abs(value - goal) / max(1, abs(goal)) for value in values]

    def place(self, distance: int) -> Number:
        if self.to in (sp.oo, -sp.oo):
            return distance if self.to == sp.oo else -distance
        sign = -1 if self.direction == "-" else 1
        return as_real(evaluate(self.to, {})) + mpmath.mpf(sign) / distance


@dataclass(frozen=True, kw_only=True)
class Series(Check):
    """lhs = rhs + O((variable − at)^order): the coefficients below `order` agree, and the remainder falls so."""

    variable: sp.Symbol
    order: int
    at: Expression = 0

    kind = "series"

    def words(self) -> str:
        return f"series in {self.variable}, remainder of order {self.order}" + super().words()[len(self.kind) :]

    def prove(self, equation: Equation, context: Context) -> str:
        rules = context.rules(self.uses, self.where)
        for lhs, rhs in equation.pairs():
            exact, claimed = (substitute(side, rules) for side in (lhs, rhs))
            plain = apply(self.lemmas, exact, context.assumptions)
            for k, (have, want) in enumerate(zip(self.coefficients(plain), self.coefficients(claimed), strict=True)):
                left = normal_form(have - want)
                if left != 0:
                    raise Failure(f"the coefficients of order {k} differ", left)
            self.confirm(exact, claimed, context)
        return f"coefficients below order {self.order} agree; the remainder's order was measured"

    def coefficients(self, expression: Expression) -> list[Expression]:
        """The Taylor coefficients below `order`; fractional or negative powers are refused."""
        small = sp.Dummy("x", positive=True)
        try:
            around = expression.subs(self.variable, sp.sympify(self.at) + small)
            expanded = sp.expand(sp.series(around, small, 0, self.order).removeO())
            polynomial = sp.Poly(expanded, small)
        except (NotImplementedError, ValueError, TypeError, sp.PolynomialError) as error:
            raise Undecided(f"SymPy finds no power series of {expression}: {error}") from None
        return [polynomial.coeff_monomial(small**k) for k in range(self.order)]

    def confirm(self, lhs: Expression, rhs: Expression, context: Context) -> None:
        """The remainder at two small distances must fall by at least their ratio to the power `order`."""
        near, nearer = mpmath.mpf(10) ** -4, mpmath.mpf(10) ** -6
        for point in sampled(context, lhs, rhs, count=LIMIT_POINTS, seed=4):
            try:
                large, small = (self.remainder_at(lhs - rhs, point, x) for x in (near, nearer))
            except EvaluationError as error:
                raise Failure(f"the remainder has no value: {error}") from None
            if small > mpmath.mpf(10) ** -50 and small > 2 * large * (nearer / near) ** self.order:
                raise Failure(
                    f"the remainder is not of order {self.order}", [mpmath.nstr(x, 5) for x in (large, small)]
                )

    def remainder_at(self, difference: Expression, point: Point, distance: Number) -> Number:
        with mpmath.workdps(DIGITS):
            return abs(as_real(evaluate(difference, {**point, self.variable: evaluate(self.at, point) + distance})))


@dataclass(frozen=True, kw_only=True)
class Solve(Check):
    """unknown = solution (Tuples for a system) satisfies `conditions`, and is the only one that does.

    `conditions` are equations or labels of earlier steps. They must be linear in the unknowns with a determinant that
    is not zero, or polynomial in one unknown with exactly one root in the domain `among` at sampled points.
    """

    conditions: tuple[Equation | str, ...]
    among: Domain | None = None

    kind = "solution"

    def needs(self) -> tuple[str, ...]:
        return (*(c for c in self.conditions if isinstance(c, str)), *self.uses)

    def prove(self, equation: Equation, context: Context) -> str:
        rules = context.rules(self.uses, self.where)
        posed = [context.equation(c) if isinstance(c, str) else c for c in self.conditions]
        residuals = [substitute(r, rules) for c in posed for r in c.residuals()]
        solution = dict(equation.pairs())
        for unknown, value in solution.items():
            if value.has(*solution):
                raise Failure(f"the solution for {unknown} contains an unknown", value)
        for residual in residuals:
            self.require_zero(
                residual.subs(solution, simultaneous=True), context, "the condition at the solution", rules
            )
        if self.among is not None:
            return self.one_root(residuals, solution, context)
        return self.one_solution(residuals, list(solution), context)

    def one_solution(self, residuals: list[Expression], unknowns: list[Expression], context: Context) -> str:
        """A linear system with a determinant that is not identically zero has one solution."""
        if len(residuals) != len(unknowns):
            raise Failure(f"{len(residuals)} conditions cannot settle {len(unknowns)} unknowns")
        jacobian = sp.Matrix([[self.remainder(r.diff(x), context, {}) for x in unknowns] for r in residuals])
        if jacobian.has(*unknowns):
            raise Failure("the conditions are not linear in the unknowns; give `among` for a polynomial", jacobian)
        determinant = normal_form(jacobian.det(method="berkowitz"))
        if determinant == 0:
            raise Failure("the conditions do not have one solution: their determinant is zero", 0)
        never = "never" if context.assumptions.is_nonzero(determinant) else "not identically"
        return f"satisfies the conditions, which are linear with a determinant that is {never} zero"

    def one_root(self, residuals: list[Expression], solution: Definitions, context: Context) -> str:
        if len(residuals) != 1 or len(solution) != 1 or self.among is None:
            raise Failure("`among` is for one polynomial in one unknown")
        numerator = sp.fraction(sp.together(residuals[0]))[0]
        unknown, claimed = next(iter(solution.items()))
        tried = 0
        for point in sampled(context, numerator.subs(unknown, 0), claimed, count=ROOT_POINTS, seed=5):
            polynomial = sp.Poly(
                [rational(evaluate(c, point)) for c in sp.Poly(numerator, unknown).all_coeffs()], unknown
            )
            low, high = (end(x, point) for x in (self.among.low, self.among.high))
            count = polynomial.count_roots(low, high)
            if count != 1:
                raise Failure(f"{count} roots lie in the domain of {unknown}", polynomial)
            value = as_real(evaluate(claimed, point))
            if (low is not None and value < as_real(low)) or (high is not None and value > as_real(high)):
                raise Failure(f"the solution is a root outside the domain of {unknown}", claimed)
            tried += 1
        return f"satisfies the condition, the only root in its domain at {tried} sampled points"


def zero_with(e: Expression) -> Expression:
    """What is zero exactly where a logarithm is; anything else as it is."""
    return e.args[0] if isinstance(e, log1p) else e.args[0] - 1 if isinstance(e, sp.log) else e


def rational(number: Any) -> sp.Rational:
    return sp.Rational(number.numerator, number.denominator)


def end(bound: Expression, point: Point) -> sp.Rational | None:
    """An end of a domain at a point; None where it has no end."""
    return None if sp.sympify(bound).is_infinite else rational(evaluate(bound, point))


def sampled(context: Context, *expressions: Expression, count: int, seed: int) -> list[Point]:
    """Points that satisfy the assumptions. Raises `Failure` where there is none: the check would be vacuous."""
    points: list[Point] = list(context.assumptions.covering(expressions).points(count, seed))
    if not points:
        raise Failure("no sampled point satisfies the assumptions")
    return points


@dataclass(frozen=True, kw_only=True)
class Removable(Check):
    """rhs = Piecewise((limit, Eq(…)), (formula, True)) continues lhs, a quotient that is 0/0 where `variable` = `at`.

    Away from there lhs − formula vanishes as an `Identity`; at it the limit is the quotient of derivatives (l'Hôpital).
    """

    variable: sp.Symbol
    at: Expression

    kind = "removable singularity"

    def prove(self, equation: Equation, context: Context) -> str:
        for lhs, rhs in equation.pairs():
            limit, formula = self.branches(rhs, context)
            self.require_zero(lhs - formula, context, "lhs − formula")
            top, bottom = sp.fraction(sp.together(substitute(lhs, context.rules(self.uses, self.where))))
            x = self.variable
            for part in (top, bottom):
                self.require_zero(part.subs(x, self.at), context, f"the quotient is not 0/0 at {x} = {self.at}: {part}")
            slopes = [sp.diff(part, x).subs(x, self.at) for part in (top, bottom)]
            if self.remainder(slopes[1], context) == 0:
                raise Failure("the denominator has more than a simple zero")
            self.require_zero(slopes[0] / slopes[1] - limit, context, "limit − its branch")
        return "equal away from the singularity and by l'Hôpital's rule at it"

    def branches(self, rhs: Expression, context: Context) -> tuple[Expression, Expression]:
        """The limit and the formula, the second with its own inner branches (safe denominators) resolved."""
        if not isinstance(rhs, sp.Piecewise) or len(rhs.args) != 2 or not isinstance(rhs.args[0][1], sp.Eq):
            raise Failure(f"rhs must be Piecewise((limit, Eq(…)), (formula, True)), got {rhs}")
        (limit, condition), (formula, _) = rhs.args
        unequal = condition.lhs - condition.rhs
        self.require_zero(unequal.subs(self.variable, self.at), context, "the branch's condition")
        if not context.assumptions.is_nonzero(sp.cancel(zero_with(unequal) / (self.variable - self.at))):
            raise Failure(f"the branch may apply elsewhere than at {self.variable} = {self.at}", condition)
        away = formula.replace(
            lambda x: isinstance(x, sp.Piecewise) and x.args[0][1] == condition, lambda x: x.args[1][0]
        )
        return limit.subs(self.variable, self.at), away
