"""Independent targets (T1): the risk of AdamW's average, exactly and in the continuum, and the best timescale."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from itertools import product
from typing import Any

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from ..optimizers import AdamW
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Antiderivative, Identity, Induction
from .derivation import Derivation, Step
from .ema import direction
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .lemmas import EXPM1, LOG1P, STABLE
from .limits import Limit, Series
from .wright import LOG_OMEGA, wrightomega

t, theta, w0 = x.t, x.theta, x.w0
rate = sp.Symbol("alpha", positive=True)  # ηλ
deviation = sp.Function("e", real=True)  # w − θ*
noise = sp.Function("n", real=True)  # q − θ*
square = sp.Function("D", nonnegative=True)  # E e²
variance = sp.Symbol("sigma^2", positive=True)  # of the targets
start = sp.Symbol("b^2", positive=True)  # (w_0 − θ*)²
y, delta = sp.symbols("y delta", positive=True)  # 1/τ_run = ηλT and one step, 1/T
share = sp.Symbol("x", positive=True)  # the share of the run that has passed
signal = sp.Symbol("K", positive=True)  # T b²/σ²
excess = 4 * signal

kept = 1 - rate
plain = kept ** (2 * t) * start + variance * rate / (2 - rate) * (1 - kept ** (2 * t))
log_left = 2 * t * log1p(-rate)
continuum = signal * sp.exp(-2 * y) + y / 2 * (1 - sp.exp(-2 * y))
stable_continuum = signal * sp.exp(-2 * y) - y / 2 * expm1(-2 * y)
left = sp.exp(2 * sp.log(1 - y * delta) / delta)
discrete = signal * left + y / (2 - y * delta) * (1 - left)
first_order = y**2 * (sp.exp(-2 * y) * (y / 2 - signal - sp.Rational(1, 4)) + sp.Rational(1, 4))
# With log1p SymPy leaves expm1(rough) as it stands, which the Newton step below needs.
rough = log1p(wrightomega(1 + excess) - 1)
# One Newton step of e^v − 1 + v = 4K leaves the exact value and repairs the digits that ω near 1 has lost.
best = (rough + (excess - expm1(rough) - rough) / (1 + sp.exp(rough))) / 2


def expected(quadratic: Expression) -> Expression:
    """The mean of a quadratic form in e(t) and n(t+1); that noise has mean 0, variance σ² and is independent of e(t).

    >>> expected((deviation(t) - noise(t + 1)) ** 2)
    sigma^2 + D(t)
    """
    means = {(2, 0): square(t), (1, 1): sp.Integer(0), (0, 2): variance}
    terms = sp.Poly(sp.expand(quadratic), deviation(t), noise(t + 1)).terms()
    return sp.Add(*(coefficient * means[powers] for powers, coefficient in terms))


def update_step() -> Step:
    record, clock = x.with_symbols(AdamW(lr=1.0, weight_decay=0.1)), x.clock(constant=True)
    code = {x.w_t(t + 1): x.symbolic_update(record, clock).weight, x.u_t(t + 1): direction(record, clock)}
    as_average = {x.eta: rate / x.lam, x.q_t(t + 1): -x.u_t(t + 1) / x.lam}
    return Step(
        "update",
        Equation(x.w_t(t + 1), kept * x.w_t(t) + rate * x.q_t(t + 1)),
        "AdamW's own update at constant α = ηλ, as an average of q = −u/λ",
        Identity(where={**code, **as_average}),
    )


def risk_steps() -> tuple[Step, ...]:
    following = kept * deviation(t) + rate * noise(t + 1)
    errors = {deviation(k): x.w_t(k) - theta for k in (t, t + 1)}
    return (
        update_step(),
        Step(
            "deviation",
            Equation(deviation(t + 1), following),
            "with targets q = θ* + n the deviation e = w − θ* averages their noise",
            Identity(uses=("update",), where={**errors, x.q_t(t + 1): theta + noise(t + 1)}),
        ),
        Step(
            "recursion",
            Equation(square(t + 1), kept**2 * square(t) + rate**2 * variance),
            "the noise of a new target has mean 0, variance σ² and is independent of the weight",
            Identity(where={square(t + 1): expected(following**2)}),
        ),
        Step(
            "risk in plain form",
            Equation(square(t), plain),
            "by induction from b² = (w_0 − θ*)²",
            Induction(variable=t, recurrence=("recursion",), initial={square(0): start}),
        ),
        Step(
            "risk",
            Equation(plain, start * sp.exp(log_left) - variance * rate / (2 - rate) * expm1(log_left)),
            "in a form that loses no digits at small ηλ",
            Identity(lemmas=STABLE),
        ),
    )


def continuum_steps() -> tuple[Step, ...]:
    density = y * sp.exp(-y * (1 - share))
    at_end = {t: 1 / delta, rate: y * delta, start: signal * variance * delta}
    return (
        Step(
            "noise averaged",
            Equation(sp.Integral(density**2, (share, 0, 1)), y / 2 * (1 - sp.exp(-2 * y))),
            "in continuous time the average has the density p = y e^{−y(1−x)}; white noise adds σ²/T times ∫p²",
            Antiderivative(certificate=y / 2 * sp.exp(-2 * y * (1 - share))),
        ),
        Step(
            "risk in continuous time",
            Equation(continuum, stable_continuum),
            "T/σ² times the risk, with K = T b²/σ² and y = 1/τ_run: exact in continuous time",
            Identity(lemmas=(EXPM1,)),
        ),
        Step(
            "risk of discrete steps",
            Equation(plain / (variance * delta), discrete),
            "the same quantity after T = 1/δ steps with ηλ = yδ",
            Identity(where=at_end, lemmas=STABLE),
        ),
        Step(
            "discretisation",
            Equation(discrete, continuum + delta * first_order),
            "the two differ by a first order in δ = 1/T",
            Series(variable=delta, order=2),
        ),
    )


def optimum_steps() -> tuple[Step, ...]:
    needed = (sp.exp(2 * y) + 2 * y - 1) / 4
    return (
        Step(
            "slope",
            Equation(sp.Derivative(continuum, y), sp.exp(-2 * y) / 2 * (sp.exp(2 * y) + 2 * y - 1 - excess)),
            "it has the sign of e^{2y} + 2y − (1 + 4K), which grows from −4K: one minimum, where that vanishes",
            Identity(),
        ),
        Step(
            "condition at the optimum",
            Equation(sp.exp(rough) + rough, 1 + excess),
            "2y = log ω(1 + 4K) makes it vanish, with Wright's ω(c) = W(e^c)",
            Identity(lemmas=(LOG1P, LOG_OMEGA)),
        ),
        Step(
            "best timescale in plain form",
            Equation(2 / rough, 2 / (1 + excess - wrightomega(1 + excess))),
            "τ_run = 1/y = 2/(c − W(e^c)) with c = 1 + 4K",
            Identity(lemmas=(LOG1P, LOG_OMEGA)),
        ),
        Step(
            "best timescale",
            Equation(2 / (1 + excess - wrightomega(1 + excess)), 1 / best),
            "in a form that loses no digits at small K: a Newton step that changes nothing",
            Identity(lemmas=(LOG1P, EXPM1, LOG_OMEGA)),
        ),
        Step(
            "signal for a timescale",
            Equation((sp.exp(2 * y) + 2 * y - 1) / 4, (expm1(2 * y) + 2 * y) / 4),
            "the K for which y is best",
            Identity(lemmas=(EXPM1,)),
        ),
        Step(
            "logarithmic fall",
            Equation(2 * y / sp.log(4 * needed), 1),
            "as K grows 1/τ_run ~ ½ log 4K: more steps, or less noise, shorten the best τ_run only logarithmically",
            Limit(variable=y),
        ),
        Step(
            "risk at the optimum",
            Equation(continuum.subs(signal, needed), y / 2 - expm1(-2 * y) / 4),
            "at its own K the smallest risk, in units of σ²/T",
            Identity(lemmas=(EXPM1,)),
        ),
    )


def following_slope(slopes: list[Number], step: int, _: Any) -> Number:
    return slopes[step - 1]


def last_deviations(point: Point) -> list[Number]:
    """w_T − θ* of runs of AdamW itself on every sequence of targets θ* ± σ.

    Targets and start are scaled down so that one can be had with |u| = |g|/(|g| + 1) < 1 (β₁ = β₂ = 0, ε = 1).
    """
    record, decay = AdamW(lr=1.0, weight_decay=0.1).substituted(beta1=0, beta2=0, eps=1), Fraction(1, 2)
    spread, first, centre = (mpmath.sqrt(as_real(point[k])) for k in (variance, start, variance))
    scale = 1 / (centre + spread + first)
    lr, found = as_real(point[rate]) / as_real(decay), []
    for signs in product((-1, 1), repeat=point[t]):
        wanted = [-as_real(decay) * scale * (centre + sign * spread) for sign in signs]
        slopes = partial(following_slope, [u / (1 - abs(u)) for u in wanted])
        states = x.run(record, scale * (centre + first), point[t], slopes, lambda k: lr, lambda k: decay)
        found.append(states[-1].weight / scale - centre)
    return found


def risk_by_enumeration(point: Point) -> Number:
    """E (w_T − θ*)² over every sequence of targets θ* ± σ."""
    values = last_deviations(point)
    return sum(e * e for e in values) / len(values)


def risk_by_quadrature(point: Point) -> Number:
    """K p_0² + ∫p² with p = y e^{−y(1−x)}, by quadrature."""
    scale, k = as_real(point[y]), as_real(point[signal])
    return k * mpmath.exp(-scale) ** 2 + mpmath.quad(lambda s: (scale * mpmath.exp(-scale * (1 - s))) ** 2, [0, 1])


def slope_at(k: Number) -> Callable[[Number], Number]:
    """d/dy of K p_0² + ∫p², differentiated under the integral, by quadrature."""

    def slope(scale: Number) -> Number:
        of_noise = mpmath.quad(lambda s: 2 * scale * (1 - scale * s) * mpmath.exp(-2 * scale * s), [0, 1])
        return of_noise - 2 * k * mpmath.exp(-2 * scale)

    return slope


def best_by_search(point: Point) -> Number:
    """1/y where that derivative changes its sign."""
    slope = slope_at(as_real(point[signal]))
    high = mpmath.mpf(1)
    while slope(high) < 0:
        high *= 2
    return 1 / mpmath.findroot(slope, (mpmath.mpf(0), high), solver="anderson", tol=1e-110)


def signal_by_search(point: Point) -> Number:
    """The K at which the risk's derivative vanishes at this y; the risk is linear in K."""
    scale = as_real(point[y])
    at_zero, at_one = slope_at(mpmath.mpf(0))(scale), slope_at(mpmath.mpf(1))(scale)
    return at_zero / (at_zero - at_one)


def least_risk_by_search(point: Point) -> Number:
    return risk_by_quadrature({**point, signal: signal_by_search(point)})


def iid_targets() -> Derivation:
    """T1: why there is a best timescale when every target is θ* with independent noise."""
    return Derivation(
        name="iid-targets",
        title="Independent targets: the risk of AdamW's average and its best timescale",
        statement=(
            "With q_t = θ* + noise of variance σ² and y = 1/τ_run the risk in continuous time is e^{−2y} b² + "
            "(σ² y/2T)(1 − e^{−2y}); it is least where e^{2y} + 2y = c = 1 + 4Tb²/σ², at τ_run = 2/(c − W(e^c)), "
            "which falls only logarithmically with T. Discrete steps differ by a first order in 1/T, which is given."
        ),
        assumptions=Assumptions(
            (
                integer(t, 1, most=4),
                between(rate, 0, 1),
                positive(variance),
                positive(start),
                positive(y),
                positive(signal),
                between(delta, 0, 1 / y),
                real(theta),
            ),
            (sp.Lt(y * delta, 1),),
        ),
        steps=risk_steps() + continuum_steps() + optimum_steps(),
        results={
            "best_timescale": "best timescale",
            "risk": "risk",
            "continuum_risk": "risk in continuous time",
            "signal": "signal for a timescale",
            "least_risk": "risk at the optimum",
        },
        brute_force={
            "best_timescale": best_by_search,
            "risk": risk_by_enumeration,
            "continuum_risk": risk_by_quadrature,
            "signal": signal_by_search,
            "least_risk": least_risk_by_search,
        },
        source="T1",
        arguments={
            t: "steps",
            rate: "decay_per_step",
            variance: "noise_variance",
            start: "squared_distance",
            y: "inverse_timescale",
            signal: "signal_to_noise",
        },
    )


DERIVATIONS = {"iid-targets": iid_targets}
