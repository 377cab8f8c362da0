"""The largest singular value that Muon's Newton–Schulz iteration can give (section 7), and what decay makes of it."""

from __future__ import annotations

from functools import cache

import mpmath
import sympy as sp

from . import symbols as x
from .assumptions import Assumptions, between, positive
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point
from .limits import Series, Solve

# torch.optim.Muon's coefficients and number of iterations.
A, B, C = sp.Rational(34445, 10000), sp.Rational(47750, 10000), sp.Rational(20315, 10000)
ITERATIONS = 5
value, gram = sp.symbols("s G", positive=True)  # a singular value, and its square in X Xᵀ
peak, place = sp.Symbol("s_1", positive=True), sp.Symbol("q", positive=True)
top = sp.Symbol("M", positive=True)
limit, lam = sp.Symbol("W", positive=True), x.lam
shape = sp.Symbol("f", positive=True)
first = (3 * B - sp.sqrt(9 * B**2 - 20 * A * C)) / (10 * C)  # s₁²
largest = sp.sqrt(first) * (A - B * first + C * first**2)


def mapped(s: Expression) -> Expression:
    """What one iteration makes of a singular value."""
    return A * s - B * s**3 + C * s**5


def cubic(s: Expression, at: Expression) -> Expression:
    """Q(s): the shortfall of the iteration at s below its stationary value at `at`, over (s − at)²."""
    return C * ((B / C - 3 * at**2) * s + (2 * B / C - 4 * at**2) * at - s**3 - 2 * at * s**2)


def steps() -> tuple[Step, ...]:
    # With A = 3Bs₁² − 5Cs₁⁴, which makes s₁ stationary.
    stationary = 3 * B * peak**2 - 5 * C * peak**4
    below = C * ((B / C - 3 * peak**2) * value + (2 * B / C - 4 * peak**2) * peak - value**3 - 2 * peak * value**2)
    general = stationary * value - B * value**3 + C * value**5
    return (
        Step(
            "iteration",
            Equation(A * value + (-B * gram + C * gram**2) * value, mapped(value)),
            "X ← AX − B(XXᵀ)X + C(XXᵀ)²X takes each singular value s to As − Bs³ + Cs⁵",
            Identity(where={gram: value**2}),
        ),
        Step(
            "stationary value",
            Equation(place, first),
            "its first stationary point, as a square",
            Solve(
                conditions=(Equation(A - 3 * B * place + 5 * C * place**2, 0),),
                among=between(place, 0, sp.Rational(1, 2)),
            ),
        ),
        Step(
            "never above",
            Equation(general.subs(value, peak) - general, (value - peak) ** 2 * below),
            "the value there less that at s is a square times a cubic Q(s) with Q'' < 0, which is positive at 0 and at "
            "M, the value itself: no s between 0 and M is taken above M, and none of the iterations is",
            Identity(),
        ),
        Step(
            "largest",
            Equation(mapped(sp.sqrt(first)), largest),
            "M, about 1.2; the iterations before reach s₁ from some s ≤ 1, since they take [0, 1] onto [0, M]",
            Identity(),
        ),
        Step(
            "bound on the weights",
            Equation(limit, top / lam),
            "decay then bounds the operator norm by M/λ: |W| ← (1 − ηλ)|W| + ηM leaves M/λ alone",
            Solve(conditions=(Equation(limit, (1 - x.eta * lam) * limit + x.eta * top),)),
        ),
        *shape_steps(),
    )


def shape_steps() -> tuple[Step, ...]:
    """A factor f for the shape, such as √max(1, rows/columns): on the update alone (torch), or on the decay as well."""
    rate = sp.Symbol("r", positive=True)  # ηλ
    return (
        Step(
            "scaled update",
            Equation(limit, shape * top / lam),
            "where a factor f for the matrix's shape scales the update alone, as torch's Muon does, the bound is fM/λ "
            "and the timescale one for all shapes",
            Solve(conditions=(Equation(limit, (1 - x.eta * lam) * limit + x.eta * shape * top),)),
        ),
        Step(
            "scaled rate",
            Equation(limit, top / lam),
            "where f scales the rate, and the decay with it, the bound is M/λ for all shapes",
            Solve(conditions=(Equation(limit, (1 - x.eta * shape * lam) * limit + x.eta * shape * top),)),
        ),
        Step(
            "scaled timescale",
            Equation(sp.log(1 - rate) / sp.log(1 - shape * rate), 1 / shape - (shape - 1) / shape * rate / 2),
            "but then the timescale is 1/f of the other's at small ηλ: a matrix of 4 times as many rows as columns, "
            "f = √max(1, r/c) = 2, forgets twice as fast",
            Series(variable=rate, order=2),
        ),
    )


def iterated(s: Number) -> Number:
    for _ in range(ITERATIONS):
        s = s * (rational(A) - rational(B) * s**2 + rational(C) * s**4)
    return s


def rational(number: sp.Rational) -> Number:
    return mpmath.mpf(number.p) / number.q


@cache
def highest_of_all() -> Number:
    """The highest value of all five iterations on [0, 1], from the best of a fine grid by golden section."""
    grid = [mpmath.mpf(k) / 4000 for k in range(4001)]
    best = max(grid, key=iterated)
    low, high = best - mpmath.mpf(1) / 4000, best + mpmath.mpf(1) / 4000
    shrink = (mpmath.sqrt(5) - 1) / 2
    for _ in range(160):
        left, right = high - shrink * (high - low), low + shrink * (high - low)
        low, high = (left, high) if iterated(left) < iterated(right) else (low, right)
    return iterated((low + high) / 2)


def highest(point: Point) -> Number:
    return highest_of_all()


def muon_bound() -> Derivation:
    """Section 7's bound for Muon."""
    return Derivation(
        name="muon-bound",
        title="Muon: singular values up to 1.2, and so a norm up to 1.2/λ",
        statement=(
            "torch's Newton–Schulz iteration takes a singular value s to As − Bs³ + Cs⁵. From values in [0, 1] none of "
            "its five iterations gives more than M = 1.2024, which is reached: with decay a weight's operator norm is "
            "bounded by M/λ, not by 1/λ, and by fM/λ where a factor f for the shape scales the update alone. Where f "
            "scales the decay too, the timescale is 1/f of it, another one for every shape."
        ),
        assumptions=Assumptions(
            (
                positive(value), positive(peak), positive(top), positive(lam), between(x.eta, 0, 1 / lam),
            )
        ),
        steps=steps(),
        results={"largest_singular_value": "largest"},
        brute_force={"largest_singular_value": highest},
        source="torch.optim.Muon's coefficients, in exact arithmetic; THEORY.md, section 7",
        corrects="that Muon's weights are bounded by 1/λ: its update's singular values go up to 1.2",
    )  # fmt: skip


DERIVATIONS = {"muon-bound": muon_bound}
