"""SGD preconditioned by H^−p on a noisy quadratic (Q6): plain SGD on other curvatures and noises."""

from __future__ import annotations

from typing import Any

import mpmath
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
from .limits import Limit, Solve
from .sgd_quadratic import variance

eta, lam, theta = x.eta, x.lam, x.theta
h = sp.Symbol("h", positive=True)
scale = sp.Symbol("P", positive=True)  # the preconditioner's eigenvalue, h^p for P = H^p
weight, noise, stretched = sp.symbols("w n z", real=True)
settled = sp.Symbol("V", positive=True)
RECORD = SGD(lr=1.0, weight_decay=0.1, decay="per_lr")
slope = h / scale
spread = eta * variance / ((h + lam * scale) * (2 * scale - eta * (h + lam * scale)))


def gradient(w: Expression, curvature: Expression, optimum: Expression, square: Expression) -> Expression:
    """The noisy quadratic's own."""
    given = NoisyQuadraticCoefficients(curvature, optimum, sp.sqrt(square))
    return NoisyQuadratic(curvature=1.0).gradient(x.xp, w, noise, given)


def updated(w: Expression, g: Expression) -> Expression:
    """The weight after SGD's own update with per-LR decay."""
    return x.symbolic_update(x.with_symbols(RECORD), x.clock(constant=True), SGD.State(w, x.m_t(x.t)), g).weight


def steps() -> tuple[Step, ...]:
    own = updated(weight, gradient(weight, h, theta, variance) / scale)
    kept = 1 - eta * (slope + lam)
    new: Any = sp.Symbol("w_new", real=True)
    stretch = sp.sqrt(scale)  # z = h^{p/2} w
    return (
        Step(
            "update",
            Equation(new, kept * weight + eta * slope * theta - eta * sp.sqrt(variance) / scale * noise),
            "SGD's own update on the gradient divided by P = h^p, with per-LR decay",
            Identity(where={new: own}),
        ),
        Step(
            "as plain SGD",
            Equation(own, updated(weight, gradient(weight, slope, theta, variance / scale**2))),
            "that is plain SGD on the curvature h^{1−p} with the noise variance σ²h^{−2p}",
            Identity(),
        ),
        Step(
            "with equal risk",
            Equation(
                stretch * own.subs(weight, stretched / stretch),
                updated(stretched, gradient(stretched, slope, stretch * theta, variance / scale)),
            ),
            "z = h^{p/2} w is plain SGD on h^{1−p} with the noise variance σ²h^{−p}, and ½h^{1−p}z² = ½hw²",
            Identity(),
        ),
        Step(
            "stationary variance",
            Equation(settled, spread),
            "the variance that a step with independent noise leaves alone",
            Solve(conditions=(Equation(settled, kept**2 * settled + (eta / scale) ** 2 * variance),)),
        ),
        Step(
            "small rate",
            Equation(h * spread.subs(lam, 0) / (2 * eta), variance / (4 * scale)),
            "as η → 0 without decay the risk ½hV tends to ησ²/(4h^p), where plain SGD has ησ²/4",
            Limit(variable=eta, to=0),
        ),
    )


def measured(point: Point) -> Number:
    """Σ of the squared responses of SGD itself to one preconditioned noise."""
    lr, decay = as_real(point[eta]), as_real(point[lam])
    curved, by = as_real(point[h]), as_real(point[scale])
    c = RECORD.substituted(momentum=mpmath.mpf(0)).coefficients(x.numbers, SymbolicTime(as_real(1), lr, decay))
    record = RECORD.substituted(momentum=mpmath.mpf(0))
    zero, total = mpmath.mpf(0), mpmath.mpf(0)
    w = record.update(x.numbers, record.State(zero, zero), mpmath.sqrt(as_real(point[variance])) / by, c).weight
    while abs(w) > mpmath.mpf(10) ** -30:
        total += w * w
        w = record.update(x.numbers, record.State(w, zero), curved * w / by, c).weight
    return total


def preconditioning() -> Derivation:
    """Q6: what a preconditioner does to curvature and noise."""
    return Derivation(
        name="preconditioning",
        title="Preconditioned SGD is plain SGD on other curvatures and noises",
        statement=(
            "Preconditioned by P = H^p, SGD with per-LR decay is plain SGD on the curvatures h^{1−p} with the noise "
            "variances σ²h^{−2p}; in the coordinates h^{p/2}w, of equal risk, they are σ²h^{−p}. Its stationary "
            "variance is ησ²/[(h + λP)(2P − η(h + λP))]."
        ),
        assumptions=Assumptions(
            (
                positive(h), positive(scale), positive(lam), positive(variance), between(eta, 0, 2 / (h / scale + lam)),
                real(weight), real(noise), real(theta), real(stretched),
            ),
        ),
        steps=steps(),
        results={"stationary_variance": "stationary variance"},
        brute_force={"stationary_variance": measured},
        source="Zhang et al., arXiv 1907.04164; THEORY.md, Q6",
        arguments={
            eta: "lr", lam: "weight_decay", h: "curvature", scale: "preconditioner", variance: "noise_variance",
        },
    )  # fmt: skip


DERIVATIONS = {"preconditioning": preconditioning}
