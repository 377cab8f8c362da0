"""Epochs in random order (T3): by how much reshuffling lowers the noise of AdamW's average, against sampling anew."""

from __future__ import annotations

from itertools import permutations
from math import factorial

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .hyperbolic import TANH_SHORTFALL, tanh_shortfall
from .iid_targets import rate, update_step
from .lemmas import EXP_LOG, GEOMETRIC_SUM, LOG1P, Lemma
from .limits import Limit, Series, Solve

a, s = x.a, x.s
M = sp.Symbol("M", integer=True, positive=True)  # items, and steps per epoch
size = sp.Symbol("M_real", positive=True)
spread = sp.Symbol("sigma^2", positive=True)  # mean square of the items' deviations from their mean
between_items = sp.Symbol("c", real=True)  # covariance of two positions of one epoch
epoch, noise = sp.Symbol("V_1", real=True), sp.Symbol("V", positive=True)
tau, half = sp.Symbol("tau", positive=True), sp.Symbol("z", positive=True)
passed = a**M
first_sum, second_sum = (1 - passed) / (1 - a), (1 - passed**2) / (1 - a**2)
reshuffled = (1 - a**2) * M / (M - 1) * (second_sum - first_sum**2 / M) / (1 - passed**2)
half_epoch = -M * sp.log(a) / 2
half_step = -log1p(-rate) / 2  # its hyperbolic tangent is (1 − a)/(1 + a)
compact = M / (M - 1) * (1 - (1 + a) / ((1 - a) * M) * sp.tanh(half_epoch))


def tanh_by_exponentials(e: sp.Expr, _: object) -> sp.Expr:
    """tanh y = (1 − e^{−2y})/(1 + e^{−2y})."""
    return e.replace(sp.tanh, lambda y: (1 - sp.exp(-2 * y)) / (1 + sp.exp(-2 * y)))


TANH = Lemma("tanh", "tanh y = (1 − e^{−2y})/(1 + e^{−2y})", tanh_by_exponentials)


def steps() -> tuple[Step, ...]:
    slow = 1 / (tau * size)
    large = size / (size - 1) * (1 - (2 - slow) / (slow * size) * sp.tanh(-size * sp.log(1 - slow) / 2))
    return (
        update_step(),
        Step(
            "sums",
            Equation(
                sp.Tuple(sp.Sum(a**s, (s, 0, M - 1)), sp.Sum(a ** (2 * s), (s, 0, M - 1))),
                sp.Tuple(first_sum, second_sum),
            ),
            "the coefficients a^s of one epoch, and their squares, are geometric sums S₁ and S₂",
            Identity(lemmas=(GEOMETRIC_SUM,)),
        ),
        Step(
            "covariance",
            Equation(between_items, -spread / (M - 1)),
            "an epoch visits every item once, so the deviations from the items' mean add up to 0: two positions are "
            "correlated by −σ²/(M − 1)",
            Solve(conditions=(Equation(M * spread + M * (M - 1) * between_items, 0),)),
        ),
        Step(
            "one epoch",
            Equation(epoch, spread * M / (M - 1) * (second_sum - first_sum**2 / M)),
            "the variance that one epoch adds: σ²S₂ from each position itself, c(S₁² − S₂) from pairs",
            Identity(
                uses=("covariance",), where={epoch: spread * second_sum + between_items * (first_sum**2 - second_sum)}
            ),
        ),
        Step(
            "all epochs",
            Equation(noise, spread * M / (M - 1) * (second_sum - first_sum**2 / M) / (1 - passed**2)),
            "epochs are shuffled independently, and each is a^{2M} of the one after it",
            Solve(
                conditions=(Equation(noise, passed**2 * noise + epoch),),
                uses=("one epoch",),
                where={epoch: spread * M / (M - 1) * (second_sum - first_sum**2 / M)},
            ),
        ),
        Step(
            "factor",
            Equation((1 - a) ** 2 * noise / (spread * (1 - a) / (1 + a)), reshuffled),
            "over the variance σ²(1 − a)/(1 + a) of the same average of independent draws",
            Identity(uses=("all epochs",)),
        ),
        Step(
            "compact",
            Equation(reshuffled, compact),
            "since (1 − a^M)²/(1 − a^{2M}) = tanh(−½M ln a)",
            Identity(lemmas=(TANH, EXP_LOG)),
        ),
        Step(
            "stable",
            Equation(
                compact,
                M
                / (M - 1)
                * (tanh_shortfall(M * half_step) - tanh_shortfall(half_step))
                * half_step
                * (2 - rate)
                / rate,
            ),
            "in a form that loses no digits over many epochs, since (1 − a)/(1 + a) = tanh(−½ ln a)",
            Identity(lemmas=(TANH_SHORTFALL, TANH, LOG1P, EXP_LOG)),
        ),
        Step(
            "large data set",
            Equation(large, 1 - 2 * tau * sp.tanh(1 / (2 * tau))),
            "at a timescale of τ epochs, 1 − a = 1/(τM), as the data set grows",
            Limit(variable=size),
        ),
        Step(
            "stable for large data sets",
            Equation(1 - 2 * tau * sp.tanh(1 / (2 * tau)), tanh_shortfall(1 / (2 * tau))),
            "the same without cancellation at large τ",
            Identity(lemmas=(TANH_SHORTFALL,)),
        ),
        Step(
            "many epochs",
            Equation(1 - sp.tanh(half) / half, half**2 / 3),
            "with z = 1/(2τ): for averages over many epochs the factor is 1/(12τ²), and reshuffling nearly removes the "
            "noise",
            Series(variable=half, order=4),
        ),
    )


def by_enumeration(point: Point) -> Number:
    """The variance of the average over every order of the items, epoch by epoch, over that of independent draws."""
    count, keep = int(point[M]), 1 - as_real(point[rate])
    values = [mpmath.mpf(k * k) for k in range(count)]
    centre = sum(values) / count
    items = [value - centre for value in values]
    one = sum(
        sum(keep**position * item for position, item in enumerate(order)) ** 2 for order in permutations(items)
    ) / factorial(count)
    total, share = mpmath.mpf(0), mpmath.mpf(1)
    while share > mpmath.mpf(10) ** -60:
        total, share = total + share * one, share * keep ** (2 * count)
    independent = sum(item**2 for item in items) / count * (1 - keep) / (1 + keep)
    return (1 - keep) ** 2 * total / independent


def by_quadrature(point: Point) -> Number:
    """The large data set: an epoch's noise is ∫k² − (∫k)² for k = e^{−x/τ} over the epoch, where draws would give ∫k².

    Both are added up over all epochs.
    """
    scale = as_real(point[tau])
    one, two = (mpmath.quad(lambda share, n=n: mpmath.exp(-n * share / scale), [0, 1]) for n in (1, 2))
    return (two - one**2) / two


def reshuffling() -> Derivation:
    """T3: the noise of an average over reshuffled epochs."""
    return Derivation(
        name="reshuffling",
        title="Reshuffled epochs lower the noise of AdamW's average",
        statement=(
            "An average with coefficients (1 − a)a^s over M items, each visited once per epoch in random order, has "
            "R = (1 − a²)·M/(M − 1)·(S₂ − S₁²/M)/(1 − a^{2M}) times the variance that independent draws give; for "
            "large M and a timescale of τ epochs R = 1 − 2τ tanh(1/(2τ)), which is 1/(12τ²) for averages over "
            "many epochs."
        ),
        assumptions=Assumptions(
            (
                integer(M, 2, most=5), between(rate, 0, 1, sampled=(sp.Rational(1, 20), 1)), positive(spread),
                positive(tau),
                positive(half), integer(x.t, most=5), real(x.w0), between(x.lam, 0, 1), positive(x.eps),
                between(x.beta1, 0, 1), between(x.beta2, 0, 1), real(x.g_t),
            ),
        ),
        definitions={a: 1 - rate},
        steps=steps(),
        results={"variance_ratio": "stable", "large_variance_ratio": "stable for large data sets"},
        brute_force={"variance_ratio": by_enumeration, "large_variance_ratio": by_quadrature},
        arguments={M: "steps_per_epoch", rate: "decay_per_step", tau: "timescale_epochs"},
        source="THEORY.md, T3",
        corrects=(
            "that the averaged updates' noise is that of independent draws: over several epochs it is far smaller"
        ),
    )  # fmt: skip


DERIVATIONS = {"reshuffling": reshuffling}
