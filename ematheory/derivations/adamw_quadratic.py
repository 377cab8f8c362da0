"""AdamW at rest on a noisy quadratic coordinate with √v held (Q8): its ridge is λ√v, and its variance."""

from __future__ import annotations

import mpmath
import sympy as sp

from ..optimizers import AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import forget, namespace, symbolic
from .limits import Limit, Series, Solve

eta, lam, h, b1, t, w, m, g = x.eta, x.lam, x.h, x.beta1, x.t, x.w_t, x.m_t, x.g_t
curvature = sp.Symbol("h", positive=True)
root = sp.Symbol("s", positive=True)  # √v + ε, held constant
theta = sp.Symbol("theta", real=True)
spread = sp.Symbol("sigma^2", positive=True)
rest, rest_moment = sp.symbols("w_infty m_infty", real=True)
V, C, Q = sp.symbols("V C Q", real=True)  # E w², wm and m² of the deviations
weight, moment, noise = sp.symbols("w m n", real=True)
scale = sp.Symbol("delta", positive=True)
rate = eta * lam
target = curvature * theta / (curvature + lam * root)
held = sp.Symbol("v", positive=True)  # what v comes to
variance = (
    eta * forget * spread * (2 - forget - rate * (1 - forget))
    / (
        root * (curvature + lam * root) * (forget + rate * (1 - forget))
        * (2 * (2 - forget) - eta * forget * curvature / root - rate * (2 - forget))
    )
)  # fmt: skip


def after(optimum: Expression, sample: Expression) -> tuple[Expression, Expression]:
    """(w, m) after AdamW's own update from (w, m), on the gradient h(w − θ*) + σn."""
    new = symbolic(denominator=root)
    gradient = curvature * (weight - optimum) + sp.sqrt(spread) * sample
    at = {w(t): weight, m(t): moment, g(t + 1): gradient, b1: 1 - forget}
    return new.weight.subs(at), new.first_moment.subs(at)


def squared_gradient(bias: Expression) -> Expression:
    """E g² of g = h(w − θ*) + σn, where the mean of w is θ* + bias and the noise is new."""
    return expectation((curvature * (bias + weight) + sp.sqrt(spread) * noise) ** 2)


def expectation(square: Expression) -> Expression:
    """E of a quadratic form in the deviations w, m and an independent noise of mean 0 and variance 1."""
    values = {(0, 0, 0): sp.Integer(1), (2, 0, 0): V, (1, 1, 0): C, (0, 2, 0): Q, (0, 0, 2): sp.Integer(1)}
    terms = sp.Poly(sp.expand(square), weight, moment, noise).terms()
    return sp.Add(*(coefficient * values.get(powers, 0) for powers, coefficient in terms))


def steps() -> tuple[Step, ...]:
    still = [row.subs({weight: rest, moment: rest_moment}) for row in after(theta, sp.Integer(0))]
    new_w, new_m = after(sp.Integer(0), noise)
    squares = (new_w**2, new_w * new_m, new_m**2)
    conditions = tuple(Equation(old, expectation(e)) for old, e in zip((V, C, Q), squares, strict=True))
    others = sp.solve([c.lhs - c.rhs for c in conditions], (V, C, Q), dict=True)[0]
    loss = curvature / 2 * variance
    return (
        Step(
            "fixed point",
            Equation(sp.Tuple(rest, rest_moment), sp.Tuple(target, -lam * root * target)),
            "the mean weight and moment that AdamW's own update leaves alone, √v + ε held at s",
            Solve(conditions=(Equation(rest, still[0]), Equation(rest_moment, still[1]))),
        ),
        Step(
            "stationary mean",
            Equation(rest, target),
            "a ridge solution with the ridge λ√v: it shrinks with the gradients' noise, and so as the batch grows",
            Identity(uses=("fixed point",)),
        ),
        Step(
            "second moments",
            Equation(sp.Tuple(V, C, Q), sp.Tuple(variance, sp.factor(others[C]), sp.factor(others[Q]))),
            "what one update with an independent noise leaves alone: three linear equations read off the update",
            Solve(conditions=conditions),
        ),
        Step(
            "stationary variance",
            Equation(V, variance),
            "the first of them",
            Identity(uses=("second moments",)),
        ),
        Step(
            "small rate",
            Equation(variance.subs(eta, eta * scale) / scale, eta * spread / (2 * root * (curvature + lam * root))),
            "as η → 0, V → ησ²/(2√v(h + λ√v)), whatever β₁; with v = σ² that is ησ/(2(h + λσ))",
            Limit(variable=scale, to=0),
        ),
        Step(
            "loss without decay",
            Equation(
                loss.subs({lam: 0, root: sp.sqrt(spread), eta: eta * scale}), scale * eta * sp.sqrt(spread) / 4
            ),
            "without decay and with v = σ² the loss is ησ/4 a coordinate, whatever the curvature",
            Series(variable=scale, order=2),
        ),
        *gradient_steps(),
    )  # fmt: skip


def gradient_steps() -> tuple[Step, ...]:
    """√v is not free: the second moment comes to E g², which depends on √v through the weight's mean and variance."""
    bias = -lam * root * theta / (curvature + lam * root)
    square = spread + curvature**2 * (variance + bias**2)
    second = x.symbolic_update(x.with_symbols(AdamW(lr=1.0, weight_decay=0.1)), x.clock(constant=True)).second_moment
    at_rest = sp.expand(second.subs(x.v_t(t), held)).subs(g(t + 1) ** 2, squared_gradient(bias))
    # Without decay, in units of σ, y = ηh/σ.
    unit = {lam: 0, eta: scale * sp.sqrt(spread) / curvature}
    near = spread * (1 + scale / 2)
    falls = (
        spread / root**2,
        eta
        * forget
        * spread
        * curvature**2
        * (2 - forget - rate * (1 - forget))
        / (
            root**2
            * (curvature + lam * root)
            * (forget + rate * (1 - forget))
            * (root * (2 - forget) * (2 - rate) - eta * forget * curvature)
        ),
        (curvature * lam * theta / (curvature + lam * root)) ** 2,
    )
    return (
        Step(
            "second moment",
            Equation(held, square),
            "AdamW's own second moment comes to E g² = σ² + h²(V + (w_∞ − θ*)²)",
            Solve(conditions=(Equation(held, at_rest),), where={V: variance}),
        ),
        Step(
            "one fixed point",
            Equation(square / root**2, sp.Add(*falls)),
            "v = s² where that over s² is 1: each of its three parts falls as s grows, so there is one such s, "
            "found by bisection; at ε = 0 it is AdamW's own",
            Identity(),
        ),
        Step(
            "fixed point at small rates",
            Equation(square.subs(unit).subs(root, sp.sqrt(near)), near),
            "without decay it is v = σ²(1 + ηh/(2σ)), up to a term of order (ηh/σ)²: v ≈ σ² asks for ηh ≪ 2σ",
            Series(variable=scale, order=2),
        ),
        Step(
            "fixed point of large signals",
            Equation(square.subs(eta, 0), spread + curvature**2 * bias**2),
            "as η → 0 the bias remains: v = σ² + (hλsθ*/(h + λs))², which decay alone raises",
            Identity(),
            shown=sp.Subs(square, eta, 0),
        ),
    )  # fmt: skip


def run_of(point: Point, start: Number, optimum: Number, first: Number) -> list[Number]:
    """The weights of AdamW itself with one noise at its first step, until nothing moves any more."""
    xp = namespace(x.numbers, as_real(point[root]))
    record = AdamW(lr=1.0).substituted(beta1=1 - as_real(point[forget]), beta2=mpmath.mpf(1) / 2, eps=mpmath.mpf(0))
    # So late that no bias is left to correct.
    c = record.coefficients(xp, SymbolicTime(as_real(10**9), as_real(point[eta]), as_real(point[lam])))
    state, weights, still = record.initial(xp, start), [start], 0
    while still < 3:
        slope = as_real(point[curvature]) * (state.weight - optimum)
        kick = mpmath.sqrt(as_real(point[spread])) * first if len(weights) == 1 else 0
        moved = record.update(xp, state, slope + kick, c)
        pairs = ((moved.weight, state.weight), (moved.first_moment, state.first_moment))
        still = still + 1 if all(abs(p - q) < mpmath.mpf(10) ** -52 for p, q in pairs) else 0
        state = moved
        weights.append(state.weight)
    return weights


def mean_of(point: Point) -> Number:
    return run_of(point, mpmath.mpf(1), as_real(point[theta]), mpmath.mpf(0))[-1]


def variance_of(point: Point) -> Number:
    """Σ of the squared response to one noise."""
    return sum(v * v for v in run_of(point, mpmath.mpf(0), mpmath.mpf(0), mpmath.mpf(1)))


def gradient_square_of(point: Point) -> Number:
    """E g² where AdamW's own runs have come to rest: the responses to noise, and the mean's own gradient."""
    pull = as_real(point[curvature]) * (mean_of(point) - as_real(point[theta]))
    return as_real(point[spread]) + as_real(point[curvature]) ** 2 * variance_of(point) + pull**2


def adamw_quadratic() -> Derivation:
    """Q8 with √v given."""
    bound = 2 * (2 - forget) - eta * forget * curvature / root - rate * (2 - forget)
    return Derivation(
        name="adamw-quadratic",
        title="AdamW at rest on a noisy quadratic: the ridge is λ√v",
        statement=(
            "With √v + ε held at s the mean is hθ*/(h + λs), a ridge of strength λs that shrinks as the batch grows, "
            "and the variance is as derived, near ησ²/(2s(h + λs)) at small η. Without decay and with v = σ² the "
            "loss is ησ/4 per coordinate, independent of the curvature, where SGD's is ησ²/4. The second moment comes "
            "to v = σ² + h²(V + (w_∞ − θ*)²), and v = s² at one s."
        ),
        assumptions=Assumptions(
            (
                positive(curvature), positive(lam), between(forget, 0, 1, sampled=(sp.Rational(1, 20), 1)),
                positive(spread), positive(root), real(theta), positive(eta),
            ),
            (sp.Gt(bound, 0), sp.Lt(rate, 1)),
        ),
        definitions={x.a: 1 - rate, b1: 1 - forget},
        steps=steps(),
        results={
            "stationary_variance": "stationary variance",
            "stationary_mean": "stationary mean",
            "gradient_square": "second moment",
        },
        brute_force={
            "stationary_variance": variance_of, "stationary_mean": mean_of, "gradient_square": gradient_square_of
        },
        source="THEORY.md, Q8",
        arguments={
            eta: "lr", lam: "weight_decay", forget: "one_minus_beta1", curvature: "curvature", root: "root_mean_square",
            spread: "noise_variance", theta: "optimum",
        },
        corrects="that AdamW's decay is a ridge of strength λ, as L2's is for SGD: it is λ√v, coordinate by coordinate",
    )  # fmt: skip


DERIVATIONS = {"adamw-quadratic": adamw_quadratic}
