"""AdamW on gradients is a double exponential moving average (E4): with its moments, peak and sample size."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .bias_correction import corrected_steps
from .checks import Antidifference, Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import SettledTime, forget, long_run, rate, response, root, run, symbolic, v, weight
from .lemmas import GEOMETRIC_SUM, LOG1P, LOG_PRODUCT, STABLE, SUM_LINEARITY, Lemma
from .limits import Limit, Removable, Solve
from .normal_form import normal_form
from .numeric import quotient
from .orders import EitherOrder

a, b1, eta, lam = x.a, x.beta1, x.eta, x.lam
i, j, k, t, T, w, m, g = x.i, x.j, x.k, x.t, x.T, x.w_t, x.m_t, x.g_t
s = sp.Symbol("s", integer=True, nonnegative=True)
lag = sp.Symbol("x", positive=True)  # a lag between the whole numbers
scale = (1 - a) * (1 - b1) / (a - b1)
slow, fast = sp.Min(rate, forget), sp.Max(rate, forget)  # the kernel is the same with a and β₁ exchanged
gap = (fast - slow) / (1 - slow)  # 1 − (the smaller of a and β₁)/(the larger)


def kernel(n: Expression) -> Expression:
    """k_n for a ≠ β₁."""
    return scale * (a ** (n + 1) - b1 ** (n + 1))


def logarithm_of_logarithms(e: Expression, given: Assumptions) -> Expression:
    """log(log p/log q) as log(−log p) − log(−log q) where p and q are between 0 and 1."""

    def split(argument: Expression) -> Expression:
        top, bottom = sp.fraction(normal_form(argument))
        logs = [(part, -part) for part in (top, bottom)]
        inner = [part.args[0] for pair in logs for part in pair if isinstance(part, sp.log)]
        if len(inner) == 2 and all(given.is_positive(p) and given.is_positive(1 - p) for p in inner):
            return sp.log(-sp.log(inner[0])) - sp.log(-sp.log(inner[1]))
        return sp.log(argument)

    return e.replace(sp.log, split)


LOG_LOG = Lemma(
    "log of a quotient of logs",
    "log(log p/log q) = log(−log p) − log(−log q) for p and q between 0 and 1",
    logarithm_of_logarithms,
)


def update_steps() -> tuple[Step, ...]:
    settled, early = symbolic(), symbolic(SymbolicTime)
    moment = b1 * m(t) + (1 - b1) * g(t + 1)
    step = eta * moment / (root + x.eps)
    after = sp.Tuple(w(t + 1), m(t + 1))
    return (
        Step(
            "corrected update",
            Equation(after, sp.Tuple(a * w(t) - step / (1 - b1 ** (t + 1)), moment)),
            "AdamW's own update with √v held constant and a = 1 − ηλ: linear in weight, moment and gradient",
            Identity(where={w(t + 1): early.weight, m(t + 1): early.first_moment}),
        ),
        Step(
            "settled correction",
            Equation(1 / (1 - b1 ** (t + 1)), 1),
            "the correction of the first moment has no effect long after the start",
            Limit(variable=t, decaying=(b1,)),
        ),
        Step(
            "update",
            Equation(after, sp.Tuple(a * w(t) - step, moment)),
            "the optimizer's own update at that limit of the correction",
            Identity(where={w(t + 1): settled.weight, m(t + 1): settled.first_moment}),
        ),
    )


def unrolled_steps() -> tuple[Step, ...]:
    start = {w(0): x.w0, m(0): sp.Integer(0)}
    both, moment = sp.Tuple(w(t), m(t)), sp.Sum((1 - b1) * b1 ** (t - j) * g(j), (j, 1, t))
    return (
        Step(
            "unrolled",
            Equation(both, sp.Tuple(weight(kernel(t - j)), moment)),
            "by induction on weight and moment together",
            Induction(variable=t, recurrence=("update",), initial=start, lemmas=(SUM_LINEARITY,)),
        ),
        Step(
            "weight",
            Equation(w(t), weight(kernel(t - j))),
            "the gradient at lag s = t − j enters with k_s = (1 − a)(1 − β₁)(a^{s+1} − β₁^{s+1})/(a − β₁)",
            Identity(uses=("unrolled",)),
        ),
    )


def kernel_steps() -> tuple[Step, ...]:
    two = (1 - a) * a ** (s - i) * (1 - b1) * b1**i
    start = rate * forget * sp.exp(s * log1p(-slow))
    return (
        Step(
            "double average",
            Equation(sp.Sum(two, (i, 0, s)), kernel(s)),
            "the kernel is one exponential moving average of another: (1 − a)a^s convolved with (1 − β₁)β₁^s",
            Antidifference(certificate=-(1 - a) * (1 - b1) * a ** (s + 1 - i) * b1**i / (a - b1)),
        ),
        Step(
            "equal rates",
            Equation(sp.Sum(two.subs(b1, a), (i, 0, s)), (1 - a) ** 2 * (s + 1) * a**s),
            "for β₁ = a the convolution has s + 1 equal terms",
            Antidifference(certificate=(1 - a) ** 2 * a**s * i),
        ),
        Step(
            "kernel",
            Equation(kernel(s), quotient(-start * expm1((s + 1) * log1p(-gap)), gap, start * (s + 1))),
            "in a form that loses no digits near a = β₁, at small rates or at long lags; at a = β₁ its limit",
            EitherOrder(inner=Removable(variable=rate, at=forget, lemmas=STABLE), pair=(rate, forget)),
        ),
    )


def first_sum(n: Expression) -> Expression:
    """F with F(s+1) − F(s) = s k_s."""

    def part(c: Expression) -> Expression:
        return -(c ** (n + 1)) * (n + c / (1 - c)) / (1 - c)

    return scale * (part(a) - part(b1))


def second_sum(n: Expression) -> Expression:
    """F with F(s+1) − F(s) = s² k_s."""

    def part(c: Expression) -> Expression:
        return -(c ** (n + 1)) * (n**2 + 2 * n * c / (1 - c) + c * (1 + c) / (1 - c) ** 2) / (1 - c)

    return scale * (part(a) - part(b1))


def moment_steps() -> tuple[Step, ...]:
    total = 1 - ((1 - b1) * a ** (T + 1) - (1 - a) * b1 ** (T + 1)) / (a - b1)
    first, second = (total(T) - total(0) for total in (first_sum, second_sum))
    mean = a / (1 - a) + b1 / (1 - b1)
    return (
        Step(
            "sum of T lags",
            Equation(sp.Sum(kernel(s), (s, 0, T - 1)), total),
            "two geometric sums",
            Identity(lemmas=(SUM_LINEARITY, GEOMETRIC_SUM)),
        ),
        Step(
            "sum",
            Equation(total, 1),
            "the coefficients of a long run sum to one: −λw is a mean of the gradients",
            Limit(variable=T, decaying=(a, b1)),
        ),
        Step(
            "first moment of T lags",
            Equation(sp.Sum(s * kernel(s), (s, 0, T - 1)), first),
            "Σ s k_s telescopes",
            Antidifference(certificate=first_sum(s)),
        ),
        Step(
            "mean lag",
            Equation(first, (1 - rate) / rate + (1 - forget) / forget),
            "in a long run: a/(1 − a) + β₁/(1 − β₁), the mean lags of the two averages added",
            Limit(variable=T, decaying=(a, b1)),
        ),
        Step(
            "second moment of T lags",
            Equation(sp.Sum(s**2 * kernel(s), (s, 0, T - 1)), second),
            "Σ s² k_s telescopes",
            Antidifference(certificate=second_sum(s)),
        ),
        Step(
            "variance",
            Equation(second - mean**2, (1 - rate) / rate**2 + (1 - forget) / forget**2),
            "less the mean squared: a/(1 − a)² + β₁/(1 − β₁)², the variances of the two averages added",
            Limit(variable=T, decaying=(a, b1)),
        ),
    )


def sample_size_steps() -> tuple[Step, ...]:
    def geometric(c: Expression) -> Expression:
        return c * (1 - c**T) / (1 - c)

    squares = scale**2 * (geometric(a**2) - 2 * geometric(a * b1) + geometric(b1**2))
    limit = (1 - a) * (1 - b1) * (1 + a * b1) / ((1 + a) * (1 + b1) * (1 - a * b1))
    kept = (1 - rate) * (1 - forget)  # aβ₁
    stable = (2 - rate) * (2 - forget) * (rate + forget * (1 - rate)) / (rate * forget * (1 + kept))
    return (
        Step(
            "squares of T lags",
            Equation(sp.Sum(kernel(s) ** 2, (s, 0, T - 1)), squares),
            "three geometric sums with the ratios a², aβ₁ and β₁²",
            Identity(lemmas=(SUM_LINEARITY, GEOMETRIC_SUM)),
        ),
        Step(
            "squares",
            Equation(squares, limit),
            "in a long run",
            Limit(variable=T, decaying=(a, b1)),
        ),
        Step(
            "effective sample size",
            Equation(1 / limit, stable),
            "(Σk)²/Σk² = 1/Σk² in a long run, with 1 − aβ₁ written without cancellation",
            Identity(),
        ),
    )


def peak_steps() -> tuple[Step, ...]:
    logs = sp.log(b1) / sp.log(a)
    plain = sp.log(logs) / (sp.log(a) - sp.log(b1)) - 1
    slowest = -log1p(-slow)  # −log of the larger of a and β₁
    apart = log1p((fast - slow) / (1 - fast))  # how far the logs are apart; −log1p(−gap) overflows at tiny β₁
    condition = Equation((lag + 1) * (sp.log(a) - sp.log(b1)), sp.log(logs))
    falls = a ** (lag + 1) / b1 ** (lag + 1)
    return (
        Step(
            "slope",
            Equation(sp.Derivative(kernel(lag), lag), scale * sp.log(a) * b1 ** (lag + 1) * (falls - logs)),
            "between whole lags the kernel is stationary only where (a/β₁)^{s+1} = ln β₁/ln a",
            Identity(),
        ),
        Step(
            "stationary lag",
            Equation(lag, plain),
            "its logarithm, linear in s",
            Solve(conditions=(condition,)),
        ),
        Step(
            "peak",
            Equation(plain, quotient(log1p(apart / slowest) - apart, apart, 1 / slowest - 1)),
            "in a form that loses no digits near a = β₁; at a = β₁ its limit −1/ln a − 1",
            EitherOrder(
                inner=Removable(variable=rate, at=forget, lemmas=(LOG1P, LOG_PRODUCT, LOG_LOG)), pair=(rate, forget)
            ),
        ),
    )


def last_weight(time: type[SymbolicTime]) -> Callable[[Point], Number]:
    """Brute force: the last weight of AdamW itself with √v held constant."""

    def compute(point: Point) -> Number:
        denominator = mpmath.sqrt(as_real(point[v])) + as_real(point[x.eps])
        states = run(point, point[g], point[t], weight=point[x.w0], denominator=denominator, time=time)
        return states[-1].weight

    return compute


def lag_moment(point: Point, order: int) -> Number:
    return sum(lag**order * c for lag, c in enumerate(response(point, long_run(point))))


def highest_lag(point: Point) -> Number:
    """Where the sum of two exponentials through the first four lags of a run is highest (Prony's method)."""
    c = response(point, 4)
    bottom = c[1] ** 2 - c[0] * c[2]
    total, product = (c[1] * c[2] - c[0] * c[3]) / bottom, (c[2] ** 2 - c[1] * c[3]) / bottom
    spread = mpmath.sqrt(total**2 - 4 * product)
    p, q = (total + spread) / 2, (total - spread) / 2
    shares = (c[1] - q * c[0]) / spread, (p * c[0] - c[1]) / spread

    def slope(n: Number) -> Number:
        return shares[0] * mpmath.log(p) * p**n + shares[1] * mpmath.log(q) * q**n

    return mpmath.findroot(slope, (-1, 200), solver="bisect", tol=1e-96, maxsteps=500)


BRUTE_FORCE: dict[str, Callable[[Point], Number]] = {
    "kernel": lambda p: response(p, p[s] + 1)[p[s]],
    "weight": last_weight(SettledTime),
    "mean_lag": lambda p: lag_moment(p, 1),
    "variance": lambda p: lag_moment(p, 2) - lag_moment(p, 1) ** 2,
    "effective_sample_size": lambda p: 1 / sum(c * c for c in response(p, long_run(p))),
    "peak": highest_lag,
    "weight_with_bias_correction": last_weight(SymbolicTime),
    "bias_corrected_coefficient": lambda p: response(p, p[t], at=p[k], time=SymbolicTime)[-1],
}


def gradient_kernel() -> Derivation:
    """E4: AdamW's weight as a double exponential moving average of its gradients."""
    return Derivation(
        name="gradient-kernel",
        title="AdamW on gradients: a double exponential moving average",
        statement=(
            "With √v held constant, w_t = a^t w_0 − (1/λ) Σ_s k_s g_{t−s}/(√v + ε): the kernel k is the average with "
            "rate a = 1 − ηλ of the average with rate β₁. Its coefficients sum to one, its mean lag and variance are "
            "the sums of theirs, its effective sample size is (1 + a)(1 + β₁)(1 − aβ₁)/[(1 − a)(1 − β₁)(1 + aβ₁)], "
            "and it peaks near ln(ln β₁/ln a)/(ln a − ln β₁) − 1. Bias correction divides each update's share by "
            "1 − β₁^i, after which the coefficients and a^t sum to one at every step. Where a = β₁ the limits hold."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5),
                integer(k, 1, t),
                integer(T, 1),
                integer(s),
                between(rate, 0, 1),
                between(forget, 0, 1),
                positive(eta),
                positive(v),
                positive(x.eps),
                real(x.w0),
                real(g),
            )
        ),
        definitions={a: 1 - rate, b1: 1 - forget, lam: rate / eta},
        steps=update_steps()
        + unrolled_steps()
        + kernel_steps()
        + moment_steps()
        + sample_size_steps()
        + peak_steps()
        + corrected_steps(),
        results={
            "kernel": "kernel",
            "weight": "weight",
            "mean_lag": "mean lag",
            "variance": "variance",
            "effective_sample_size": "effective sample size",
            "peak": "peak",
            "weight_with_bias_correction": "corrected weight",
            "bias_corrected_coefficient": "corrected coefficient",
        },
        brute_force=BRUTE_FORCE,
        source="THEORY.md, E4, after Wang & Aitchison, arXiv 2405.13698, section 3",
        arguments={rate: "decay_per_step", forget: "one_minus_beta1", s: "lag"},
    )


DERIVATIONS = {"gradient-kernel": gradient_kernel}
