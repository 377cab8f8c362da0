"""SGD with decay on a noisy quadratic coordinate (Q1): mean, variance and risk, at every step and in the long run."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from ..optimizers import SGD
from ..problems import NoisyQuadratic, NoisyQuadraticCoefficients
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .cases import Cases
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .lemmas import STABLE, SUM_LINEARITY, peel_last
from .limits import Limit, Solve

i, t, eta, lam, h, theta, w0 = x.i, x.t, x.eta, x.lam, x.h, x.theta, x.w0
variance = sp.Symbol("sigma^2", positive=True)  # of the gradient noise: c/B
n_t = sp.Function("n", real=True)  # the standard normals
mean_t = sp.Function("e", real=True)
var_t = sp.Function("V", nonnegative=True)
long_mean, long_variance = sp.Symbol("e_infty", real=True), sp.Symbol("V_infty", positive=True)
half = sp.Rational(1, 2)

rate = eta * (h + lam)
kept = 1 - rate  # what one step keeps of a deviation
target = h * theta / (h + lam)
spread = eta * variance / ((h + lam) * (2 - rate))


def updated(weight: Expression, noise: Expression) -> Expression:
    """The weight after SGD's own update on the problem's own gradient."""
    record = x.with_symbols(SGD(lr=1.0, weight_decay=0.1))
    given = NoisyQuadraticCoefficients(curvature=h, optimum=theta, noise_scale=sp.sqrt(variance))
    gradient = NoisyQuadratic(curvature=1.0).gradient(x.xp, weight, noise, given)
    return x.symbolic_update(record, x.clock(constant=True), SGD.State(weight, x.m_t(t)), gradient).weight


def safe(value: Expression, condition: Expression, otherwise: Expression) -> Expression:
    """The value where the condition holds, else one that does no harm: NumPy evaluates every branch."""
    return sp.Piecewise((value, condition), (otherwise, True))


SMALL, LARGE = sp.Lt(rate, half), sp.Gt(rate, 3 * half)
log_kept = log1p(-safe(rate, SMALL, sp.Integer(0)))
log_reflected = log1p(safe(rate, LARGE, sp.Integer(2)) - 2)  # log(η(h+λ) − 1), of −kept
left = sp.Piecewise((sp.exp(t * log_kept), SMALL), (kept**t, True))
lost = sp.Piecewise((-expm1(t * log_kept), SMALL), (1 - kept**t, True))
filled = sp.Piecewise(
    (-expm1(2 * t * log_kept), SMALL), (-expm1(2 * t * log_reflected), LARGE), (1 - kept ** (2 * t), True)
)
gap = left * (w0 - theta) - lost * lam * theta / (h + lam)  # of the mean from the optimum
plain_mean = target + (w0 - target) * kept**t
stable = Identity(lemmas=STABLE)
BY_RATE = Cases(when=SMALL, yes=stable, no=Identity())
BY_RATES = Cases(when=SMALL, yes=stable, no=Cases(when=LARGE, yes=stable, no=Identity()))


def path_steps() -> tuple[Step, ...]:
    noise = sp.sqrt(variance) * eta
    return (
        Step(
            "update",
            Equation(x.w_t(t + 1), kept * x.w_t(t) + eta * h * theta - noise * n_t(t + 1)),
            "SGD's own update on the noisy quadratic's own gradient: h and λ act together, only h pulls to the optimum",
            Identity(where={x.w_t(t + 1): updated(x.w_t(t), n_t(t + 1))}),
        ),
        Step(
            "unrolled",
            Equation(x.w_t(t), plain_mean - noise * sp.Sum(kept ** (t - i) * n_t(i), (i, 1, t))),
            "by induction: a deviation and every past noise shrink by 1 − η(h + λ) each step",
            Induction(variable=t, recurrence=("update",), initial={x.w_t(0): w0}, lemmas=(SUM_LINEARITY,)),
        ),
    )


def mean_steps() -> tuple[Step, ...]:
    return (
        Step(
            "mean recursion",
            Equation(mean_t(t + 1), kept * mean_t(t) + eta * h * theta),
            "the update is affine in the weight and in the noise, whose mean is 0",
            Identity(where={mean_t(t + 1): updated(mean_t(t), sp.Integer(0))}),
        ),
        Step(
            "mean in plain form",
            Equation(mean_t(t), plain_mean),
            "the transient falls as (1 − η(h+λ))^t",
            Induction(variable=t, recurrence=("mean recursion",), initial={mean_t(0): w0}),
        ),
        Step(
            "mean",
            Equation(plain_mean, target * lost + w0 * left),
            "in a form that loses no digits at small η(h+λ); where 1 − η(h+λ) < 0 the mean alternates about its limit",
            BY_RATE,
        ),
        Step(
            "stationary mean",
            Equation(long_mean, target),
            "the mean that one step leaves alone: the ridge solution, with λ as the ridge",
            Solve(conditions=(Equation(long_mean, kept * long_mean + eta * h * theta),)),
        ),
        Step(
            "limit of the mean",
            Equation(plain_mean, target),
            "for η(h+λ) < 2 it is also the limit, from any start",
            Limit(variable=t, decaying=(kept,)),
        ),
    )


def variance_steps() -> tuple[Step, ...]:
    of_noise = variance * eta**2 * sp.Sum((kept ** (t - i)) ** 2, (i, 1, t))
    return (
        Step(
            "variance recursion",
            Equation(var_t(t + 1), kept**2 * var_t(t) + eta**2 * variance),
            "the noises are independent with variance 1, so V_t is the sum of the squares of their coefficients in "
            "step “unrolled”",
            Identity(where={var_t(t): of_noise}, lemmas=(peel_last(t), SUM_LINEARITY)),
        ),
        Step(
            "variance in plain form",
            Equation(var_t(t), spread * (1 - kept ** (2 * t))),
            "the transient of the variance falls with the square of the mean's factor",
            Induction(variable=t, recurrence=("variance recursion",), initial={var_t(0): sp.Integer(0)}),
        ),
        Step(
            "variance",
            Equation(spread * (1 - kept ** (2 * t)), spread * filled),
            "in a form that loses no digits where η(h+λ) is near 0 or near 2",
            BY_RATES,
        ),
        Step(
            "stationary variance",
            Equation(long_variance, spread),
            "the variance that one step leaves alone",
            Solve(conditions=(Equation(long_variance, kept**2 * long_variance + eta**2 * variance),)),
        ),
        Step(
            "stability",
            Equation(1 - kept**2, rate * (2 - rate)),
            "is positive, so both transients die out, if and only if 0 < η(h+λ) < 2",
            Identity(),
        ),
    )


def risk_steps() -> tuple[Step, ...]:
    bias = lam * theta / (h + lam)
    plain = spread * (1 - kept ** (2 * t)) + (plain_mean - theta) ** 2
    return (
        Step(
            "risk",
            Equation(h / 2 * plain, h / 2 * (spread * filled + gap**2)),
            "½h E(w − θ*)², the variance with the squared distance of the mean from the optimum",
            BY_RATES,
        ),
        Step(
            "stationary risk",
            Equation(h / 2 * (long_variance + (long_mean - theta) ** 2), h / 2 * (spread + bias**2)),
            "noise, which decay reduces, with bias, which decay causes",
            Identity(uses=("stationary mean", "stationary variance")),
        ),
    )


def weights(point: Point, steps: int, noise: Callable[[int], Number], **given: Number) -> list[Number]:
    """The weights of a run of SGD itself on the problem's gradient with the noises given."""
    start, optimum = (as_real(given.get(name, point[letter])) for name, letter in (("start", w0), ("optimum", theta)))
    coefficients = NoisyQuadraticCoefficients(as_real(point[h]), optimum, x.numbers.sqrt(as_real(point[variance])))
    problem = NoisyQuadratic(curvature=1.0)

    def gradient(k: int, state: Any) -> Number:
        return problem.gradient(x.numbers, state.weight, as_real(noise(k)), coefficients)

    states = x.run(SGD(lr=1.0), start, steps, gradient, lambda k: point[eta], lambda k: point[lam])
    return [state.weight for state in states]


def enumerated(point: Point) -> list[Number]:
    """The last weights of runs with every sequence of noises ±1: equally likely, with mean 0 and variance 1."""
    signs = product((-1, 1), repeat=point[t])
    return [weights(point, point[t], (0, *sign).__getitem__)[-1] for sign in signs]


def average(values: list[Number]) -> Number:
    return sum(values) / len(values)


def mean_of(point: Point) -> Number:
    return average(enumerated(point))


def variance_of(point: Point) -> Number:
    values = enumerated(point)
    return average([(w - average(values)) ** 2 for w in values])


def risk_of(point: Point) -> Number:
    return as_real(point[h]) / 2 * average([(w - as_real(point[theta])) ** 2 for w in enumerated(point)])


def long_run(point: Point) -> int:
    """Steps after which less than 1e-48 of a deviation is left, from what one step leaves."""
    once = abs(weights(point, 1, lambda k: 0, start=1, optimum=0)[-1])
    return int(111 / -x.numbers.log(once)) + 2 if once > 1e-40 else 3


def long_mean_of(point: Point) -> Number:
    return weights(point, long_run(point), lambda k: 0)[-1]


def long_variance_of(point: Point) -> Number:
    """The sum of the squared responses to one noise."""
    response = weights(point, long_run(point), lambda k: int(k == 1), start=0, optimum=0)
    return sum(w * w for w in response)


def long_risk_of(point: Point) -> Number:
    bias = long_mean_of(point) - as_real(point[theta])
    return as_real(point[h]) / 2 * (long_variance_of(point) + bias * bias)


def sgd_quadratic() -> Derivation:
    """Q1: SGD with decay λ on one coordinate of curvature h, gradient-noise variance σ² and optimum θ*."""
    return Derivation(
        name="sgd-quadratic",
        title="SGD with decay on a noisy quadratic: mean, variance and risk",
        statement=(
            "The mean tends to hθ*/(h+λ) with factor 1 − η(h+λ) per step, the variance to ησ²/[(h+λ)(2 − η(h+λ))] with "
            "the factor's square, if and only if 0 < η(h+λ) < 2. L2 and per-LR decay are the same without momentum."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=4),
                positive(h),
                positive(lam),
                between(eta, 0, 2 / (h + lam)),
                positive(variance),
                real(theta),
                real(w0),
            ),
            (sp.Lt(rate, 2),),
        ),
        steps=path_steps() + mean_steps() + variance_steps() + risk_steps(),
        results={
            "stationary_variance": "stationary variance",
            "stationary_mean": "stationary mean",
            "stationary_risk": "stationary risk",
            "mean": "mean",
            "variance": "variance",
            "risk": "risk",
        },
        brute_force={
            "stationary_variance": long_variance_of,
            "stationary_mean": long_mean_of,
            "stationary_risk": long_risk_of,
            "mean": mean_of,
            "variance": variance_of,
            "risk": risk_of,
        },
        source="Zhang et al., arXiv 1907.04164, with decay; Q1",
        arguments={
            eta: "lr",
            lam: "weight_decay",
            h: "curvature",
            variance: "noise_variance",
            theta: "optimum",
            w0: "init",
            t: "steps",
        },
    )


DERIVATIONS = {"sgd-quadratic": sgd_quadratic}
