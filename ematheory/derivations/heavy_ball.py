"""SGD with momentum and decay on a noisy quadratic coordinate (Q3, Q4): stationary mean, variance and risk."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import sympy as sp

from ..optimizers import SGD
from ..optimizers.optimizer import SymbolicTime
from ..problems import NoisyQuadratic, NoisyQuadraticCoefficients
from . import symbols as x
from .assumptions import Assumptions, between, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .limits import Solve
from .sgd_quadratic import long_mean, variance

eta, lam, h, theta, mu, t = x.eta, x.lam, x.h, x.theta, x.mu, x.t
weight, buffer, noise = sp.symbols("w m n", real=True)
long_buffer = sp.Symbol("m_infty", real=True)
moments = sp.symbols("A B C", real=True)  # E of w², wm and m², of the deviations
NEGLIGIBLE = 1e-52

TARGETS = {"l2": h * theta / (h + lam), "per_lr": h * theta / (h + lam * (1 - mu))}
SPREADS = {
    "l2": eta * variance * (1 + mu) / ((h + lam) * (1 - mu) * (2 * (1 + mu) - eta * (h + lam))),
    "per_lr": eta
    * variance
    * (1 + mu - eta * lam * mu)
    / ((h + lam * (1 - mu)) * (1 - mu + eta * lam * mu) * (2 * (1 + mu) - eta * h - eta * lam * (1 + mu))),
}
BOUNDS = {"l2": eta * (h + lam), "per_lr": eta * (h + lam * (1 + mu))}  # below 2(1 + μ)


def after(decay: str, optimum: Expression, sample: Expression) -> Any:
    """(w, m) after SGD's own update from (w, m) on the problem's own gradient."""
    record = x.with_symbols(SGD(lr=1.0, momentum=0.5, weight_decay=0.1, decay=decay))
    given = NoisyQuadraticCoefficients(curvature=h, optimum=optimum, noise_scale=sp.sqrt(variance))
    gradient = NoisyQuadratic(curvature=1.0).gradient(x.xp, weight, sample, given)
    return x.symbolic_update(record, x.clock(constant=True), SGD.State(weight, buffer), gradient)


def expectation(square: Expression) -> Expression:
    """E of a quadratic form in the deviations w, m and an independent noise of mean 0 and variance 1."""
    values = dict(zip(((2, 0, 0), (1, 1, 0), (0, 2, 0)), moments, strict=True)) | {(0, 0, 2): sp.Integer(1)}
    terms = sp.Poly(sp.expand(square), weight, buffer, noise).terms()
    return sp.Add(*(coefficient * values.get(powers, 0) for powers, coefficient in terms))


def steps(decay: str) -> tuple[Step, ...]:
    new = after(decay, sp.Integer(0), noise)
    squares = (new.weight**2, new.weight * new.momentum, new.momentum**2)
    conditions = tuple(Equation(old, expectation(e)) for old, e in zip(moments, squares, strict=True))
    others = sp.solve([c.lhs - c.rhs for c in conditions], moments, dict=True)[0]
    still = after(decay, theta, sp.Integer(0))
    target, spread = TARGETS[decay], SPREADS[decay]
    fixed = {weight: long_mean, buffer: long_buffer}
    at_rest = tuple(Equation(letter, e.subs(fixed)) for letter, e in zip((long_mean, long_buffer), still, strict=True))
    kept = sp.Integer(0) if decay == "l2" else -lam * target
    return (
        stability_step(decay),
        Step(
            "fixed point",
            Equation(sp.Tuple(long_mean, long_buffer), sp.Tuple(target, kept)),
            "the mean weight and buffer that SGD's own update leaves alone",
            Solve(conditions=at_rest),
        ),
        Step(
            "stationary mean",
            Equation(long_mean, target),
            "a ridge solution" if decay == "l2" else "a ridge solution with the ridge λ(1 − μ)",
            Identity(uses=("fixed point",)),
        ),
        Step(
            "second moments",
            Equation(sp.Tuple(*moments), sp.Tuple(spread, *(sp.factor(others[c]) for c in moments[1:]))),
            "E w², E wm and E m² of the deviations, which one update with an independent noise leaves alone: three "
            "linear equations read off the update",
            Solve(conditions=conditions),
        ),
        Step(
            "stationary variance",
            Equation(moments[0], spread),
            "the first of them",
            Identity(uses=("second moments",)),
        ),
        Step(
            "stationary risk",
            Equation(h / 2 * (moments[0] + (long_mean - theta) ** 2), h / 2 * (spread + bias(decay) ** 2)),
            "½h E(w − θ*)²",
            Identity(uses=("fixed point", "second moments")),
        ),
    )


def stability_step(decay: str) -> Step:
    """The conditions under which both eigenvalues of the update lie within the unit circle (Jury's)."""
    new = after(decay, sp.Integer(0), sp.Integer(0))
    matrix = sp.Matrix([[sp.diff(e, letter) for letter in (weight, buffer)] for e in new])
    trace, product = sp.symbols("Tr Det", real=True)
    ridge = lam if decay == "l2" else lam * (1 - mu)
    forgotten = 1 - mu if decay == "l2" else 1 - mu + eta * lam * mu
    return Step(
        "stability",
        Equation(
            sp.Tuple(1 - trace + product, 1 + trace + product, 1 - product),
            sp.Tuple(eta * (h + ridge), 2 * (1 + mu) - BOUNDS[decay], forgotten),
        ),
        "the update's matrix has both eigenvalues within the unit circle if and only if these three are positive: its "
        "characteristic polynomial at 1 and at −1, and one less its determinant",
        Identity(where={trace: matrix.trace(), product: matrix.det()}),
    )


def bias(decay: str) -> Expression:
    """θ* less the stationary mean, as one product."""
    ridge = lam if decay == "l2" else lam * (1 - mu)
    return ridge * theta / (h + ridge)


def response(decay: str, point: Point, start: Number, optimum: Number, first: Number) -> list[Number]:
    """The weights of SGD itself with one noise at its first step, until nothing moves any more."""
    record = SGD(lr=1.0, decay=decay).substituted(momentum=as_real(point[mu]))
    given = NoisyQuadraticCoefficients(as_real(point[h]), optimum, x.numbers.sqrt(as_real(point[variance])))
    clock = SymbolicTime(as_real(1), as_real(point[eta]), as_real(point[lam]))
    coefficients, problem = record.coefficients(x.numbers, clock), NoisyQuadratic(curvature=1.0)
    state, weights, still = record.initial(x.numbers, start), [start], 0
    while still < 3:
        slope = problem.gradient(x.numbers, state.weight, as_real(first if len(weights) == 1 else 0), given)
        moved = record.update(x.numbers, state, slope, coefficients)
        still = still + 1 if all(abs(a - b) < NEGLIGIBLE for a, b in zip(moved, state, strict=True)) else 0
        state = moved
        weights.append(state.weight)
    return weights


def mean_of(decay: str, point: Point) -> Number:
    return response(decay, point, as_real(1), as_real(point[theta]), 0)[-1]


def variance_of(decay: str, point: Point) -> Number:
    return sum(w * w for w in response(decay, point, as_real(0), as_real(0), 1))


def risk_of(decay: str, point: Point) -> Number:
    missed = mean_of(decay, point) - as_real(point[theta])
    return as_real(point[h]) / 2 * (variance_of(decay, point) + missed * missed)


def heavy_ball(decay: str) -> Derivation:
    """Q3 for L2 decay, Q4 for per-LR decay."""
    words = "L2" if decay == "l2" else "per-LR"
    compute: dict[str, Callable[[str, Point], Number]] = {
        "stationary_variance": variance_of, "stationary_mean": mean_of, "stationary_risk": risk_of
    }  # fmt: skip
    return Derivation(
        name=f"heavy-ball-{decay.replace('_', '-')}",
        title=f"SGD with momentum and {words} decay on a noisy quadratic: the stationary state",
        statement=(
            f"With {words} decay λ and momentum μ (m ← μm + g) the mean is {TARGETS[decay]}, the variance as derived; "
            f"stable where {BOUNDS[decay]} < 2(1 + μ)."
        ),
        assumptions=Assumptions(
            (
                between(mu, 0, 1, sampled=(0, sp.Rational(9, 10))),
                positive(h),
                between(lam, 0, 1),
                between(eta, 0, 2 * (1 + mu) / (BOUNDS[decay] / eta)),
                positive(variance),
                real(theta),
            ),
            (sp.Lt(BOUNDS[decay], 2 * (1 + mu)),),
        ),
        steps=steps(decay),
        results={name: name.replace("_", " ") for name in compute},
        brute_force={name: partial(function, decay) for name, function in compute.items()},
        source="Q3 and Q4",
        arguments={
            eta: "lr", lam: "weight_decay", mu: "momentum", h: "curvature", variance: "noise_variance", theta: "optimum"
        },
    )  # fmt: skip


DERIVATIONS = {f"heavy-ball-{decay.replace('_', '-')}": partial(heavy_ball, decay) for decay in ("l2", "per_lr")}
