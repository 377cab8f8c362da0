"""Decay of weights that are stored in bfloat16 (section 8): below a threshold rounding takes all of it back."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import sympy as sp

from . import symbols as x
from .assumptions import Assumptions, between, integer
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Point
from .limits import Solve

SMALLEST = 128  # of 8 bits: a significand runs through 128 … 255 between two powers of two
M = sp.Symbol("M", integer=True, positive=True)  # the significand
# Its value at a power of two, the largest and the least of the others; the spacing of numbers between ½ and 1.
power, largest, least, spacing = sp.symbols("M_0 M_max M_min s", positive=True)
threshold, share = sp.symbols("r p", positive=True)
up, down = sp.symbols("u d", positive=True)  # the distances to the two neighbours

mean, t = sp.Function("e", real=True), x.t
applied, number = sp.Symbol("delta", positive=True), sp.Symbol("n", integer=True, positive=True)


def steps() -> tuple[Step, ...]:
    half = sp.Rational(1, 2)
    return (
        Step(
            "within a binade",
            Equation(threshold, 1 / (2 * M)),
            "a weight of significand M loses rM spacings, and moves when that is more than half of one",
            Solve(conditions=(Equation(threshold * M, half),)),
        ),
        Step(
            "at a power of two",
            Equation(1 / (4 * power), sp.Rational(1, 2**9)),
            "below M₀ = 128 the spacing is half as wide: a quarter of a spacing is enough",
            Identity(where={power: SMALLEST}),
        ),
        Step(
            "growing",
            Equation(1 / (2 * power), sp.Rational(1, 2**8)),
            "to grow, a power of two needs half a spacing: 2⁻⁸",
            Identity(where={power: SMALLEST}),
        ),
        Step(
            "others are stiffer",
            Equation(1 / (2 * largest), sp.Rational(1, 510)),
            "every other significand needs at least 1/510, that of M_max = 255, which is more than 2⁻⁹: up to there "
            "nothing moves (a tie leaves 128, which is even)",
            Identity(where={largest: 2 * SMALLEST - 1}),
        ),
        Step(
            "the stiffest",
            Equation(1 / (2 * least), sp.Rational(1, 2**8) / (1 + sp.Rational(1, 2**7))),
            "M_min = 129 needs the most, 2⁻⁸/(1 + 2⁻⁷): below it a weight stops short of a power of two, above it "
            "passes",
            Identity(where={least: SMALLEST + 1}),
        ),
        Step(
            "where it stops",
            Equation(M / SMALLEST, sp.Rational(1, 2**8) / threshold),
            "in between it freezes at a mantissa M/128 of about 2⁻⁸/(ηλ)",
            Identity(where={M: 1 / (2 * threshold)}),
        ),
        Step(
            "stochastic rounding",
            Equation(share * up - (1 - share) * down, share * (up + down) - down),
            "rounded up with probability p and else down, the mean error is p(u + d) − d",
            Identity(),
        ),
        Step(
            "unbiased",
            Equation(share, down / (up + down)),
            "with p as the distance to the lower neighbour over the spacing it is 0: the mean decays as it should",
            Solve(conditions=(Equation(share * up - (1 - share) * down, 0),)),
        ),
        *stochastic_steps(),
        *multiplier_steps(),
    )


def stochastic_steps() -> tuple[Step, ...]:
    """E of the rounded value is the value: what that does to the mean over a run, and the price."""
    return (
        Step(
            "mean of a step",
            Equation(mean(t + 1), (1 - threshold) * mean(t)),
            "the mean of the rounded weight is (1 − ηλ) times that of the weight, whatever the weight's distribution",
            Identity(
                where={mean(t + 1): (1 - threshold) * mean(t) + share * up - (1 - share) * down}, uses=("unbiased",)
            ),
        ),
        Step(
            "mean",
            Equation(mean(t), (1 - threshold) ** t * x.w0),
            "so by induction the mean decays as without rounding, at any ηλ",
            Induction(variable=t, recurrence=("mean of a step",), initial={mean(0): x.w0}),
        ),
        Step(
            "rounding noise",
            Equation(share * up**2 + (1 - share) * down**2, up * down),
            "at the price of a noise of variance ud a step, at most a quarter of the squared spacing",
            Identity(uses=("unbiased",)),
        ),
    )


def multiplier_steps() -> tuple[Step, ...]:
    """The other code path: the scalar 1 − ηλ is rounded to bfloat16 before it multiplies."""
    return (
        Step(
            "multiplier rounded first",
            Equation(applied, number * sp.Rational(1, 2**8)),
            "where 1 − ηλ itself is rounded to bfloat16 first, which between ½ and 1 is 1 − n·2⁻⁸, the decay is a "
            "multiple of 2⁻⁸",
            Solve(conditions=(Equation(1 - applied, 1 - number * sp.Rational(1, 2**8)),)),
        ),
        Step(
            "first multiplier",
            Equation(spacing / 2, sp.Rational(1, 2**9)),
            "so that nothing decays up to half that spacing s = 2⁻⁸ (a tie goes to 1, which is even), and all weights "
            "by 2⁻⁸ just above",
            Identity(where={spacing: sp.Rational(1, 2**8)}),
        ),
    )


# Every bfloat16 from ½ to 4, in units of the spacing from 1 to 2; two neighbours differ in the evenness of their place.
GRID = [Fraction(m) * scale for scale in (Fraction(1, 2), Fraction(1), Fraction(2)) for m in range(128, 256)]
BINADE = GRID[128:256]


def nearest(value: Fraction) -> Fraction:
    """The bfloat16 nearest to a value; a tie goes to the even significand, here the even place in the grid."""
    above = bisect_left(GRID, value)
    return GRID[min((above - 1, above), key=lambda place: (abs(GRID[place] - value), place % 2))]


def least_rate(moves: Callable[[Fraction], bool]) -> Fraction:
    """The largest rate, to 2⁻⁶⁰, at which a thing does not happen yet, by bisection."""
    low, high = Fraction(1, 2**12), Fraction(1, 2**6)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if moves(middle) else (middle, high)
    return low.limit_denominator(2**16)


def bfloat16_decay() -> Derivation:
    """Section 8 for bfloat16."""
    return Derivation(
        name="bfloat16-decay",
        title="bfloat16 takes small decay back",
        statement=(
            "A bfloat16 weight multiplied by 1 − ηλ and rounded to nearest does not move at all for ηλ ≤ 2⁻⁹. Up to "
            "2⁻⁸/(1 + 2⁻⁷) it falls within its binade to a mantissa of about 2⁻⁸/(ηλ) and stays there; only above does "
            "it keep decaying. Growing from a power of two needs more than 2⁻⁸. With stochastic rounding the mean "
            "decays by 1 − ηλ at any ηλ; where the scalar 1 − ηλ is rounded first the decay is a multiple of 2⁻⁸."
        ),
        assumptions=Assumptions(
            (integer(M, 129, 255), between(share, 0, 1), between(threshold, 0, 1), integer(t, most=5))
        ),
        steps=steps(),
        results={
            "nothing_moves_up_to": "at a power of two",
            "passes_through_from": "the stiffest",
            "grows_from": "growing",
            "rounded_multiplier_from": "first multiplier",
            "other_significands_from": "others are stiffer",
        },
        brute_force={
            "nothing_moves_up_to": brute(lambda r: any(nearest(m * (1 - r)) != m for m in BINADE)),
            "passes_through_from": brute(lambda r: all(nearest(m * (1 - r)) != m for m in BINADE[1:])),
            "grows_from": brute(lambda r: nearest(128 * (1 + r)) != 128),
            "rounded_multiplier_from": brute(lambda r: nearest(128 * (1 - r)) != 128),
            "other_significands_from": brute(lambda r: any(nearest(m * (1 - r)) != m for m in BINADE[1:])),
        },
        source="THEORY.md, section 8; Andriushchenko et al., arXiv 2310.04415, on training in bfloat16",
    )


def brute(moves: Callable[[Fraction], bool]) -> Callable[[Point], Fraction]:
    """A threshold depends on nothing, and is looked for once."""
    found = cache(lambda: least_rate(moves))
    return lambda point: found()


DERIVATIONS = {"bfloat16-decay": bfloat16_decay}
