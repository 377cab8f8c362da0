"""The decay that float32 really applies (section 8): 1 − ηλ is rounded before it multiplies the weight."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import sympy as sp

from .assumptions import Assumptions, between, integer
from .checks import Identity
from .derivation import Brute, Derivation, Step
from .equations import Equation
from .evaluation import Point
from .limits import Solve

ULP = sp.Rational(1, 2**24)  # from one float32 to the next between ½ and 1
spacing = sp.Symbol("ulp", positive=True)  # that number as a letter
n = sp.Symbol("n", integer=True, positive=True)  # spacings below 1 of the multiplier that is used
off = sp.Symbol("f", real=True)  # by how many spacings ηλ is off that, at most ½ either way
rate = sp.Symbol("r", positive=True)  # ηλ
realised = sp.Symbol("delta", positive=True)  # the decay per step that is applied


def steps() -> tuple[Step, ...]:
    half = sp.Rational(1, 2)
    return (
        Step(
            "multiplier",
            Equation(realised, n * ULP),
            "between ½ and 1 a float32 is 1 − n·2⁻²⁴: torch multiplies the weight by the one nearest to 1 − ηλ",
            Solve(conditions=(Equation(1 - realised, 1 - n * ULP),)),
        ),
        Step(
            "relative error",
            Equation((realised - rate) / rate, -off * ULP / rate),
            "where ηλ = (n + f)·2⁻²⁴ with |f| ≤ ½",
            Identity(uses=("multiplier",), where={n: rate / ULP - off}),
        ),
        Step(
            "largest error",
            Equation((-off * ULP / rate).subs(off, -half), sp.Rational(1, 2**25) / rate),
            "at most 2⁻²⁵/(ηλ), attained half way between two multipliers",
            Identity(),
            shown=sp.Subs(-off * ULP / rate, off, -half),
        ),
        Step(
            "nothing decays",
            Equation(half * spacing, sp.Rational(1, 2**25)),
            "up to ηλ = 2⁻²⁵ the nearest multiplier is 1 (a tie goes to the even one, which is 1)",
            Identity(where={spacing: ULP}),
        ),
    )


def rounded(rate_: Fraction) -> Fraction:
    """The decay that the float32 nearest to 1 − ηλ applies."""
    exact = 1 - rate_
    near = np.float32(float(exact))
    candidates = [Fraction(float(np.nextafter(near, np.float32(side)))) for side in (0, 2)] + [Fraction(float(near))]
    # float() may round before float32 does: the nearest is found among the neighbours, in exact rationals.
    return 1 - min(candidates, key=lambda value: (abs(value - exact), (value * 2**24) % 2))


def worst(point: Point) -> Brute:
    """The relative error at the tie nearest above the point's ηλ, with float32 itself."""
    tie = (Fraction(int(point[n])) + Fraction(1, 2)) / 2**24
    return Brute(abs(rounded(tie) - tie) / tie, {rate: tie})


def lost(point: Point) -> Fraction:
    """The largest ηλ that float32 does not apply, by bisection."""
    low, high = Fraction(1, 2**30), Fraction(1, 2**20)
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if rounded(middle) == 0 else (low, middle)
    return low.limit_denominator(2**32)


def float32_decay() -> Derivation:
    """Section 8 for float32."""
    return Derivation(
        name="float32-decay",
        title="float32 applies a rounded decay",
        statement=(
            "torch multiplies a float32 weight by the float32 nearest to 1 − ηλ. The decay per step that is applied is "
            "a multiple of 2⁻²⁴: off by up to 2⁻²⁵/(ηλ), relative, and 0 for ηλ ≤ 2⁻²⁵."
        ),
        assumptions=Assumptions(
            (integer(n, 1, most=2**12), between(off, -sp.Rational(1, 2), sp.Rational(1, 2)), between(rate, 0, 1))
        ),
        steps=steps(),
        results={"largest_relative_error": "largest error", "nothing_decays_below": "nothing decays"},
        brute_force={"largest_relative_error": worst, "nothing_decays_below": lost},
        source="THEORY.md, section 8; torch.optim.AdamW on float32 weights",
        arguments={rate: "decay_per_step"},
        corrects="that a float32 weight decays by the ηλ that was set: at ηλ = 1e-7 it decays by 1.19e-7 a step",
    )


DERIVATIONS = {"float32-decay": float32_decay}
