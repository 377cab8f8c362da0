"""An EMA of SGD's iterates on a noisy quadratic (Q5): its mean and its variance."""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from ..optimizers import SGD
from ..optimizers.optimizer import SymbolicTime
from ..problems import NoisyQuadratic, NoisyQuadraticCoefficients
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .lemmas import STABLE
from .limits import Removable, Solve
from .orders import EitherOrder

eta, h, t, T = x.eta, x.h, x.t, x.T
gamma, r = sp.symbols("gamma r", positive=True)  # what the average and the iterate keep a step, r = 1 − ηh
forget, pull = sp.Symbol("d", positive=True), sp.Symbol("kappa", positive=True)  # 1 − γ and ηh
w, mean = sp.Function("w", real=True), sp.Function("y", real=True)  # means of iterate and average
w0 = x.w0
weight, average, noise = sp.symbols("w_n y_n n", real=True)
V, C, B = sp.symbols("V C B", real=True)  # E w², E wy, E y² at rest
spread = sp.Symbol("sigma2", positive=True)


def after(start: Expression, sample: Expression) -> Expression:
    """The weight after SGD's own update on the problem's own gradient, optimum 0."""
    given = NoisyQuadraticCoefficients(curvature=h, optimum=sp.Integer(0), noise_scale=sp.sqrt(spread))
    gradient = NoisyQuadratic(curvature=1.0).gradient(x.xp, start, sample, given)
    record = x.with_symbols(SGD(lr=1.0))
    time = SymbolicTime(step=t + 1, lr=eta, weight_decay=0)
    return x.symbolic_update(record, time, record.State(start, sp.Integer(0)), gradient).weight


def expectation(square: Expression) -> Expression:
    """E of a quadratic form in the deviations w, y and an independent noise of variance 1."""
    values = {(2, 0, 0): V, (1, 1, 0): C, (0, 2, 0): B, (0, 0, 2): sp.Integer(1)}
    terms = sp.Poly(sp.expand(square), weight, average, noise).terms()
    return sp.Add(*(coefficient * values.get(powers, 0) for powers, coefficient in terms))


def factor(steps: Expression) -> Expression:
    """What is left of the average's mean after so many steps."""
    return ((r ** (steps + 1) - gamma ** (steps + 1)) - gamma * r * (r**steps - gamma**steps)) / (r - gamma)


def stable_factor() -> Expression:
    """The same in 1 − r and 1 − γ, without cancellation."""
    slow, fast = sp.Min(pull, forget), sp.Max(pull, forget)
    gap = (fast - slow) / (1 - slow)  # 1 less the smaller of r and γ over the larger
    own, larger = sp.exp((t + 1) * log1p(-pull)), sp.exp(t * log1p(-slow))
    equal = sp.Eq(gap, 0)
    safe = gap + sp.Piecewise((1, equal), (0, True))
    apart = own - pull * larger * expm1((t + 1) * log1p(-gap)) / safe
    return sp.Piecewise((own + pull * larger * (t + 1), equal), (apart, True))


def steps() -> tuple[Step, ...]:
    new = after(weight, noise)
    following = gamma * average + (1 - gamma) * new
    by = {h: (1 - r) / eta}
    ratio = (1 - gamma) * (1 + r * gamma) / ((1 + gamma) * (1 - r * gamma))
    loss = 1 - (1 - forget) * (1 - pull)
    moments = tuple(Equation(old, expectation(e)) for old, e in ((V, new**2), (C, new * following), (B, following**2)))
    at_rest = eta**2 * spread / (1 - r**2)
    return (
        Step(
            "means",
            Equation(sp.Tuple(w(t + 1), mean(t + 1)), sp.Tuple(r * w(t), gamma * mean(t) + (1 - gamma) * r * w(t))),
            "the means of the iterate, by SGD's own update, and of its average ỹ ← γỹ + (1−γ)w",
            Identity(
                where={
                    **by, w(t + 1): after(w(t), sp.Integer(0)),
                    mean(t + 1): gamma * mean(t) + (1 - gamma) * after(w(t), sp.Integer(0)),
                }
            ),
        ),
        Step(
            "mean factor",
            Equation(sp.Tuple(w(t), mean(t)), sp.Tuple(r**t * w0, factor(t) * w0)),
            "by induction, both started at w_0",
            Induction(variable=t, recurrence=("means",), initial={w(0): w0, mean(0): w0}),
        ),
        Step(
            "stable mean factor",
            Equation(factor(t).subs({r: 1 - pull, gamma: 1 - forget}), stable_factor()),
            "the average's over w_0 as r^{t+1} + (1 − r)(r^{t+1} − γ^{t+1})/(r − γ), a sum of positive numbers, with "
            "the larger of r and γ taken out; its limit at γ = r",
            EitherOrder(inner=Removable(variable=forget, at=pull, lemmas=STABLE), pair=(pull, forget)),
        ),
        Step(
            "second moments",
            Equation(
                sp.Tuple(V, C, B),
                sp.Tuple(at_rest, at_rest * (1 - gamma) / (1 - r * gamma), at_rest * ratio),
            ),
            "what one update and one average leave as they are, with a noise that knows nothing of either",
            Solve(conditions=moments, where=by),
        ),
        Step(
            "variance ratio",
            Equation(B / V, forget * (2 - pull - forget + forget * pull) / ((2 - forget) * loss.expand())),
            "the average's variance over the iterate's: (1−γ)(1+rγ)/[(1+γ)(1−rγ)], without cancellation",
            Identity(uses=("second moments",), where={gamma: 1 - forget, r: 1 - pull}),
        ),
    )  # fmt: skip


def response(point: Point) -> tuple[Number, Number]:
    """Σ w² and Σ ỹ² of SGD itself and its average after one noise of size 1, until nothing moves any more."""
    record = SGD(lr=1.0).substituted(momentum=mpmath.mpf(0))
    lr, curvature = as_real(point[eta]), as_real(point[pull]) / as_real(point[eta])
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, as_real(0)))
    state, averaged, keep = record.initial(x.numbers, as_real(0)), mpmath.mpf(0), 1 - as_real(point[forget])
    squares, step = [mpmath.mpf(0), mpmath.mpf(0)], 0
    while not step or max(abs(state.weight), abs(averaged)) > mpmath.mpf(10) ** -52:
        gradient = curvature * state.weight + (1 if step == 0 else 0)
        state = record.update(x.numbers, state, gradient, c)
        averaged = keep * averaged + (1 - keep) * state.weight
        squares = [squares[0] + state.weight**2, squares[1] + averaged**2]
        step += 1
    return squares[0], squares[1]


def mean_left(point: Point) -> Number:
    """What SGD itself and its average, both from 1, have after t steps without noise."""
    record = SGD(lr=1.0).substituted(momentum=mpmath.mpf(0))
    lr, curvature = as_real(point[eta]), as_real(point[pull]) / as_real(point[eta])
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, as_real(0)))
    state, averaged, keep = record.initial(x.numbers, as_real(1)), mpmath.mpf(1), 1 - as_real(point[forget])
    for _ in range(int(point[t])):
        state = record.update(x.numbers, state, curvature * state.weight, c)
        averaged = keep * averaged + (1 - keep) * state.weight
    return averaged


def variance_ratio(point: Point) -> Number:
    of_weight, of_average = response(point)
    return of_average / of_weight


def iterate_averaging() -> Derivation:
    """Q5: what an EMA of the iterates does to mean and variance."""
    return Derivation(
        name="iterate-averaging",
        title="An EMA of SGD's iterates on a noisy quadratic",
        statement=(
            "With ỹ ← γỹ + (1 − γ)w and r = 1 − ηh the average's mean is w_0 times "
            "[(r^{t+1} − γ^{t+1}) − γr(r^t − γ^t)]/(r − γ), and its stationary variance that of the iterate times "
            "(1 − γ)(1 + rγ)/[(1 + γ)(1 − rγ)]."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), positive(eta), positive(spread), between(gamma, 0, 1), between(r, 0, 1),
                between(forget, 0, 1, sampled=(sp.Rational(1, 50), 1)),
                between(pull, 0, 1, sampled=(sp.Rational(1, 50), 1)), real(w0),
            ),
            (sp.Ne(r, gamma),),
        ),
        steps=steps(),
        results={"variance_ratio": "variance ratio", "mean_factor": "stable mean factor"},
        brute_force={"variance_ratio": variance_ratio, "mean_factor": mean_left},
        source="Zhang et al., arXiv 1907.04164; Q5",
        arguments={forget: "one_minus_ema", pull: "pull_per_step", t: "steps"},
    )  # fmt: skip


DERIVATIONS = {"iterate-averaging": iterate_averaging}
