"""How often cautious decay acts on white gradients once there is momentum (§7): less than half of the steps."""

from __future__ import annotations

import mpmath
import sympy as sp

from ..optimizers import AdamW
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive
from .checks import Antiderivative, Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import SettledTime, forget, namespace, rate, run
from .limits import Series, Solve
from .random_walk import ROOT_OF_PRODUCT, C, C_t, M, M_t, W, expected, product, sigma

b1, eta, lam, t, w, m, g = x.beta1, x.eta, x.lam, x.t, x.w_t, x.m_t, x.g_t
correlation, share, angle = sp.Symbol("rho", real=True), sp.Symbol("P", positive=True), sp.Symbol("v", real=True)
step = sp.Symbol("y", positive=True)  # √(ηλ)
along, against = sp.symbols("w_on w_off", real=True)
RECORD = AdamW(lr=1.0, weight_decay=0.1, decay="cautious")
leaning = -(1 - forget) * sp.sqrt(rate) / sp.sqrt(forget * (2 - forget))


def moved(sign: int) -> sp.Expr:
    """The weight after AdamW's own cautious update where update and weight have the same sign (1) or not (−1)."""
    record = x.with_symbols(RECORD)
    held = namespace(x.xp, sigma - x.eps)
    held.where = lambda condition, yes, no: yes if sign > 0 else no
    clock = SettledTime(step=t + 1, lr=eta, weight_decay=lam, multiplier=sp.Integer(1))
    return record.update(held, x.symbolic_state(record), g(t + 1), record.coefficients(held, clock)).weight


def steps() -> tuple[Step, ...]:
    moment = b1 * m(t) + (1 - b1) * g(t + 1)
    at_rest = {C_t(t): C, M_t(t): M}
    squared = expected(moment**2).subs(at_rest)
    crossed = expected(moved(-1) * moment).subs(at_rest)
    size = (1 - b1) / (1 + b1)
    return (
        Step(
            "update",
            Equation(
                sp.Tuple(along, against),
                sp.Tuple((1 - rate) * w(t) - eta * moment / sigma, w(t) - eta * moment / sigma),
            ),
            "AdamW's own cautious update, √v + ε held at σ, with the mask on and off",
            Identity(where={along: moved(1), against: moved(-1)}),
        ),
        Step(
            "moments",
            Equation(sp.Tuple(M, C), sp.Tuple(sigma**2 * size, -eta * sigma / (1 + b1))),
            "E m² and E wm at rest, but for shares of order ηλ/(1 − β₁) that the decay takes within the memory: the "
            "weight has moved against every moment that is still remembered",
            Solve(conditions=(Equation(M, squared), Equation(C, crossed))),
        ),
        Step(
            "mean square",
            Equation(W, eta / lam),
            "half of the decay takes ηλE w² from E w² in a step, and the updates add η² in the long run, whatever β₁: "
            "to leading order E w² is η/λ (cautious-random-walk)",
            Solve(conditions=(Equation(eta * lam * W, eta**2),)),
        ),
        Step(
            "correlation",
            Equation(b1 * C / sp.sqrt(M) / sp.sqrt(W), leaning),
            "of the weight with the update to come, which holds β₁ of the old moment: −β₁√(ηλ/(1 − β₁²))",
            Identity(uses=("moments", "mean square"), lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "orthant",
            Equation(sp.Integral(1 / sp.pi, (angle, -correlation, sp.pi / 2)), sp.Rational(1, 2) + correlation / sp.pi),
            "two Gaussians of correlation sin ρ have the same sign with the probability 1/2 + ρ/π: on the plane of two "
            "independent ones that is a wedge and its opposite, each of the angle π/2 + ρ (Sheppard)",
            Antiderivative(certificate=angle / sp.pi),
        ),
        Step(
            "share of steps",
            Equation(share, sp.Rational(1, 2) + sp.asin(leaning) / sp.pi),
            "the share of the steps on which the decay acts",
            Solve(conditions=(Equation(sp.pi * (share - sp.Rational(1, 2)), sp.asin(leaning)),)),
        ),
        Step(
            "small decay",
            Equation(
                sp.Rational(1, 2) + sp.asin(leaning.subs(rate, step**2)) / sp.pi,
                sp.Rational(1, 2) - (1 - forget) * step / (sp.pi * sp.sqrt(forget * (2 - forget))),
            ),
            "that is 1/2 − (β₁/π)√(ηλ/(1 − β₁²)), less than half of the steps, and half only for β₁ = 0 or ηλ → 0",
            Series(variable=step, order=3),
        ),
    )


def share_of(point: Point) -> Number:
    """The share by quadrature of the Gaussian pair, whose correlation is that of AdamW's own run without decay.

    Only E w² is set, at η/λ: without decay it would have no bound.
    """
    lr = as_real(point[eta])
    states = run({**point, rate: 0}, lambda k: int(k == 1), int(120 / as_real(point[forget])) + 1)[1:]
    weights, moments = [state.weight for state in states], [state.first_moment for state in states]
    spread = product(moments, moments) * lr**2 / as_real(point[rate])  # E m² · η/λ
    lean = product(weights, moments, 1) / mpmath.sqrt(spread)
    tilt = lean / mpmath.sqrt(1 - lean**2)
    half = mpmath.quad(lambda z: mpmath.npdf(z) * mpmath.ncdf(tilt * z), [0, 2, 5, 9, 16])
    return 2 * half


def cautious_mask() -> Derivation:
    """§7: the mask of cautious decay with momentum."""
    return Derivation(
        name="cautious-mask",
        title="With momentum cautious decay acts on less than half of the steps",
        statement=(
            "On white gradients AdamW's weight leans against the update to come, by the correlation −β₁√(ηλ/(1 − β₁²)) "
            "at small ηλ, so that the mask of cautious decay is on for 1/2 − (β₁/π)√(ηλ/(1 − β₁²)) of the steps: "
            "the decay acts less than with β₁ = 0, where it is half."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), between(forget, 0, 1), between(rate, 0, forget / 4), positive(eta),
                positive(sigma), between(correlation, -1, 0), positive(share),
            )
        ),
        definitions={x.a: 1 - rate, b1: 1 - forget, lam: rate / eta},
        steps=steps(),
        results={"share_of_steps": "share of steps"},
        brute_force={"share_of_steps": share_of},
        source="Chen et al., arXiv 2510.12402; THEORY.md, section 7",
        arguments={rate: "decay_per_step", forget: "one_minus_beta1"},
    )  # fmt: skip


DERIVATIONS = {"cautious-mask": cautious_mask}
