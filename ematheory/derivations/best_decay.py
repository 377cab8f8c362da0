"""The weight decay of least risk for SGD on a noisy quadratic coordinate (Q7), and its reading as a prior (Q12)."""

from __future__ import annotations

import mpmath
import sympy as sp

from . import symbols as x
from .assumptions import Assumptions, between, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .limits import Limit, Series, Solve
from .sgd_quadratic import variance

eta, lam, h = x.eta, x.lam, x.h
theta = sp.Symbol("theta", positive=True)
best, decay = sp.Symbol("lambda_best", positive=True), sp.Symbol("lambda", positive=True)
scale = sp.Symbol("delta", positive=True)
steepness = sp.Symbol("kappa", positive=True)
# Mean square error at small η: (λθ*/(h+λ))² + ησ²/(2(h+λ)).
error = (decay * theta / (h + decay)) ** 2 + eta * variance / (2 * (h + decay))
solution = eta * variance * h / (4 * h * theta**2 - eta * variance)


def steps() -> tuple[Step, ...]:
    exact = (decay * theta / (h + decay)) ** 2 + eta * variance / ((h + decay) * (2 - eta * (h + decay)))
    slope = (4 * h * theta**2 * decay - eta * variance * (h + decay)) / (2 * (h + decay) ** 3)
    return (
        Step(
            "small rate",
            Equation(exact.subs({eta: eta * scale}) , error.subs({eta: eta * scale})),
            "the stationary mean square error of derivation sgd-quadratic; at small η the variance is ησ²/(2(h + λ))",
            Series(variable=scale, order=2),
        ),
        Step(
            "slope",
            Equation(sp.diff(error, decay), slope),
            "its derivative by λ: negative before the best decay, positive after",
            Identity(),
        ),
        Step(
            "best decay",
            Equation(best, solution),
            "the only zero of the derivative; it is positive, and so an interior best, if and only if 4hθ*² > ησ²",
            Solve(conditions=(Equation(4 * h * theta**2 * best, eta * variance * (h + best)),)),
        ),
        Step(
            "little noise",
            Equation(solution.subs(eta, eta * scale) / (eta * scale * variance / (4 * theta**2)), 1),
            "where ησ² ≪ 4hθ*² it is ησ²/(4θ*²): it grows with η/B and falls with the signal, whatever the curvature",
            Limit(variable=scale, to=0),
        ),
    )  # fmt: skip


def least(point: Point) -> Number:
    """The λ of least error, by a bracketed search on the error itself."""
    lr, c, curvature, target = (as_real(point[s]) for s in (eta, variance, h, theta))

    def value(log_decay: Number) -> Number:
        d = mpmath.exp(log_decay)
        return (d * target / (curvature + d)) ** 2 + lr * c / (2 * (curvature + d))

    # The derivative by central differences at 50 more digits, whose zero is found by bisection and secants.
    def slope(log_decay: Number) -> Number:
        with mpmath.workdps(mpmath.mp.dps + 60):
            step = mpmath.mpf(10) ** -45
            return (value(log_decay + step) - value(log_decay - step)) / (2 * step)

    low, high = mpmath.mpf(-60), mpmath.mpf(60)
    for _ in range(220):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return mpmath.exp((low + high) / 2)


def best_decay() -> Derivation:
    """Q7: the best decay of SGD on one coordinate."""
    return Derivation(
        name="best-decay",
        title="The best weight decay of SGD on a noisy quadratic coordinate",
        statement=(
            "At small η the mean square error (λθ*/(h+λ))² + ησ²/(2(h+λ)) is least at λ* = ησ²h/(4hθ*² − ησ²), if "
            "4hθ*² > ησ²; without that no finite λ is best."
        ),
        assumptions=Assumptions(
            (
                positive(h), positive(theta), positive(variance), positive(decay), real(x.w0),
                between(eta, 0, 4 * h * theta**2 / variance),
            ),
            (sp.Lt(eta * variance, 4 * h * theta**2),),
        ),
        steps=steps(),
        results={"weight_decay": "best decay"},
        brute_force={"weight_decay": least},
        source="THEORY.md, Q7",
        arguments={eta: "lr", h: "curvature", variance: "noise_variance", theta: "optimum"},
    )  # fmt: skip


DERIVATIONS = {"best-decay": best_decay}
