"""The risk of AdamW's average over E reshuffled epochs (T3): about the data's own mean, and about the population's."""

from __future__ import annotations

from itertools import permutations, product

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .hyperbolic import TANH_SHORTFALL, tanh_shortfall
from .iid_targets import rate, update_step
from .lemmas import EXP_LOG, EXPM1, GEOMETRIC_SUM, LOG1P
from .limits import Limit, Solve
from .reshuffling import TANH, M, epoch, passed, reshuffled, reshuffling, size, spread, tau
from .reshuffling import steps as noise_steps

a, s = x.a, x.s
E = sp.Symbol("E", integer=True, positive=True)  # epochs
start = sp.Symbol("b^2", positive=True)  # (w_0 − the mean in question)²
signal = sp.Symbol("S", positive=True)  # b²/σ²
item = sp.Symbol("sigma_p^2", positive=True)  # the variance of the population of items
noise, risk, population = sp.symbols("V_E Q P", positive=True)
first, own_mean, order = sp.symbols("w_0 m z", real=True)  # w_0 and the data's mean, each less the mean in question
fade = sp.Symbol("f", positive=True)  # a^{2M}
left = passed**E  # the share of the initial weight after E epochs
log_left = M * E * log1p(-rate)
steady = spread * rate / (2 - rate) * reshuffled  # the noise after many epochs
within = item * (M - 1) / M  # E of the items' mean square deviation from their own mean
REWRITES = (TANH_SHORTFALL, TANH, EXPM1, LOG1P, EXP_LOG)


def expected(square: Expression) -> Expression:
    """E of the square of w_0's, the data's mean's and the orders' parts, which are independent of each other."""
    means = {(2, 0, 0): start, (0, 2, 0): item / M, (0, 0, 2): noise}
    terms = sp.Poly(sp.expand(square), first, own_mean, order).terms()
    return sp.Add(*(coefficient * means.get(powers, 0) for powers, coefficient in terms))


def ratio() -> Expression:
    """R in the form that loses no digits, which derivation reshuffling proves."""
    return reshuffling().step("stable").equation.rhs


def steps() -> tuple[Step, ...]:
    given = {step.label: step for step in noise_steps()}
    return (
        update_step(),
        given["covariance"],
        given["one epoch"],
        Step(
            "epochs",
            Equation(sp.Sum(fade**s, (s, 0, E - 1)), (1 - fade**E) / (1 - fade)),
            "each epoch is shuffled anew, and its noise falls by f = a^{2M} with every epoch after it",
            Identity(lemmas=(GEOMETRIC_SUM,)),
        ),
        Step(
            "noise",
            Equation(noise, steady * (1 - left**2)),
            "so after E epochs the average has the noise σ²(1 − a)/(1 + a)·R of many epochs (reshuffling) less a^{2ME} "
            "of it: it starts from none",
            Identity(
                uses=("one epoch",), where={noise: (rate**2 * epoch * (1 - fade**E) / (1 - fade)).subs(fade, passed**2)}
            ),
        ),
        *exact_steps(),
        *large_steps(),
    )


def exact_steps() -> tuple[Step, ...]:
    fades = -expm1(2 * log_left)
    stable = start * sp.exp(2 * log_left) + spread * rate / (2 - rate) * ratio() * fades
    share = rate / (2 - rate) * within * ratio() * fades
    return (
        Step(
            "training risk in plain form",
            Equation(risk, start * left**2 + steady * (1 - left**2)),
            "E(w − the mean of the data)² for one data set, with what is left of the initial weight",
            Identity(uses=("noise",), where={risk: expected((left * first + order) ** 2)}),
        ),
        Step(
            "training risk",
            Equation(start * left**2 + steady * (1 - left**2), stable),
            "in a form that loses no digits",
            Identity(lemmas=REWRITES),
        ),
        Step(
            "items' spread",
            Equation(spread, within),
            "items drawn from a population of variance σ_p² deviate from their own mean by (M − 1)/M of it",
            Solve(conditions=(Equation(spread + item / M, item),)),
        ),
        Step(
            "population risk in plain form",
            Equation(population, start * left**2 + (1 - left) ** 2 * item / M + steady * (1 - left**2)),
            "about the population's mean, b now from there: the average has gone the share 1 − a^{ME} of the way to "
            "the data's own mean, whose variance is σ_p²/M",
            Identity(
                uses=("noise",),
                where={population: expected((left * first + (1 - left) * own_mean + order) ** 2)},
            ),
        ),
        Step(
            "population risk",
            Equation(
                (start * left**2 + (1 - left) ** 2 * item / M + steady * (1 - left**2)).subs(spread, within),
                start * sp.exp(2 * log_left) + expm1(log_left) ** 2 * item / M + share,
            ),
            "in a form that loses no digits",
            Identity(lemmas=REWRITES),
        ),
    )


def large_steps() -> tuple[Step, ...]:
    """A large data set: M → ∞ at a timescale of τ epochs, 1 − a = 1/(τM)."""
    slow = 1 / (tau * size)
    forgotten = sp.exp(-2 * E / tau)
    shortfall = 1 - 2 * tau * sp.tanh(1 / (2 * tau))
    plain = signal * forgotten + shortfall * (1 - forgotten) / (2 * tau * size)
    return (
        Step(
            "share left",
            Equation((1 - slow) ** (E * size), sp.exp(-E / tau)),
            "in large data sets, at a timescale of τ epochs, e^{−E/τ} is left of the initial weight",
            Limit(variable=size),
        ),
        Step(
            "independent noise",
            Equation(size * slow / (2 - slow), 1 / (2 * tau)),
            "and M times the noise of independent draws tends to σ²/(2τ)",
            Limit(variable=size),
        ),
        Step(
            "large data set",
            Equation(
                plain,
                signal * forgotten - tanh_shortfall(1 / (2 * tau)) * expm1(-2 * E / tau) / (2 * tau * size),
            ),
            "so that with S = b²/σ² and R = 1 − 2τ tanh(1/(2τ)) (reshuffling) the training risk is σ² times "
            "e^{−2E/τ}S + R(1 − e^{−2E/τ})/(2Mτ); R/(2Mτ) is its second part after many epochs only",
            Identity(lemmas=(TANH_SHORTFALL, EXPM1)),
        ),
    )


def averages(point: Point, items: tuple[Number, ...], weight: Number) -> list[Number]:
    """The averages after E epochs from `weight`, one for every sequence of orders."""
    keep, found = 1 - as_real(point[rate]), []
    for orders in product(permutations(items), repeat=int(point[E])):
        now = weight
        for target in (value for one in orders for value in one):
            now = keep * now + (1 - keep) * target
        found.append(now)
    return found


def training_risk(point: Point) -> Number:
    """The mean square about the items' mean, items and w_0 scaled to the point's variance and distance."""
    count = int(point[M])
    values = [mpmath.mpf(k * k) for k in range(count)]
    centre = sum(values) / count
    unit = mpmath.sqrt(as_real(point[spread]) * count / sum((value - centre) ** 2 for value in values))
    items = tuple((value - centre) * unit for value in values)
    found = averages(point, items, mpmath.sqrt(as_real(point[start])))
    return sum(w * w for w in found) / len(found)


def population_risk(point: Point) -> Number:
    """The mean square about 0 over all data sets of M items ±σ_p and all orders."""
    width, weight = mpmath.sqrt(as_real(point[item])), mpmath.sqrt(as_real(point[start]))
    found = [
        w * w for items in product((-width, width), repeat=int(point[M])) for w in averages(point, items, weight)
    ]  # fmt: skip
    return sum(found) / len(found)


def large_risk(point: Point) -> Number:
    """Epoch by epoch: each adds ∫k² − (∫k)² of its kernel k = e^{−x/τ}/τ over M, by quadrature."""
    scale, count = as_real(point[tau]), int(point[E])
    total = as_real(point[signal]) * mpmath.exp(-2 * count / scale)
    one, two = (mpmath.quad(lambda share, n=n: mpmath.exp(-n * share / scale), [0, 1]) for n in (1, 2))
    added = sum(mpmath.exp(-2 * k / scale) for k in range(count))
    return total + added * (two - one**2) / (scale**2 * as_real(point[size]))


def reshuffled_risk() -> Derivation:
    """T3: the risk over reshuffled epochs."""
    return Derivation(
        name="reshuffled-risk",
        title="The risk of AdamW's average after E reshuffled epochs",
        statement=(
            "After E epochs over M items the average's mean square distance from the items' mean is "
            "a^{2ME}b² + (1 − a^{2ME})·R·σ²(1 − a)/(1 + a), in large data sets σ²[e^{−2E/τ}S + R(1 − e^{−2E/τ})/(2Mτ)] "
            "with S = b²/σ² and R from derivation reshuffling. About the population's mean (1 − a^{ME})²σ_p²/M is "
            "added, the error of the data's own mean, which a shorter average lessens."
        ),
        assumptions=Assumptions(
            (
                integer(M, 2, most=1), integer(E, 1, most=2), between(rate, 0, 1), positive(spread),
                positive(item), between(fade, 0, 1), positive(start), positive(signal), positive(tau),
                positive(size), integer(x.t, most=5),
                real(x.w0), between(x.lam, 0, 1), positive(x.eps), between(x.beta1, 0, 1), between(x.beta2, 0, 1),
                real(x.g_t),
            )
        ),
        definitions={a: 1 - rate},
        steps=steps(),
        results={
            "training_risk": "training risk", "population_risk": "population risk", "large_risk": "large data set"
        },
        brute_force={
            "training_risk": training_risk, "population_risk": population_risk, "large_risk": large_risk
        },
        source="THEORY.md, T3",
        arguments={
            M: "steps_per_epoch", E: "epochs", rate: "decay_per_step", spread: "noise_variance",
            item: "population_variance", start: "squared_distance", signal: "signal_to_noise",
            tau: "timescale_epochs", size: "items",
        },
        corrects=(
            "the training-mean risk e^{−2E/τ}S + R/(2Mτ): the noise has built up to 1 − e^{−2E/τ} of that only, which "
            "matters where the timescale is not short beside the run"
        ),
    )  # fmt: skip


DERIVATIONS = {"reshuffled-risk": reshuffled_risk}
