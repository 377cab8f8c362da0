"""The mean square of AdamW's weights on pure noise without momentum (R3, R5): step by step, in transit, as an ODE."""

from __future__ import annotations

from functools import partial

import sympy as sp
from sympy.codegen.cfunctions import expm1, log1p

from ..optimizers import AdamW
from . import symbols as x
from .assumptions import Assumptions, between, integer, positive, real
from .checks import Identity, Induction
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import SettledTime, forget, namespace, rate, run
from .lemmas import STABLE
from .limits import Limit, Series

a, eta, t = x.a, x.eta, x.t
sigma = sp.Symbol("sigma", positive=True)
rho_t = sp.Function("rho", positive=True)
n_t = sp.Function("n", real=True)  # the standard normals
start = sp.Symbol("r_0", positive=True)  # the first weight, √ρ_0
push, square, scale = (sp.Symbol(name, positive=True) for name in ("p", "rho", "delta"))
elapsed = sp.Symbol("s", positive=True)
rest = eta**2 / (1 - a**2)


def updated() -> Expression:
    """AdamW's own update at β₁ = 0 with √v̂ at σ, under any schedules."""
    record = x.with_symbols(AdamW(lr=1.0, weight_decay=0.1)).substituted(beta1=sp.Integer(0), eps=sp.Integer(0))
    time = SettledTime(step=t + 1, lr=x.eta_t(t + 1), weight_decay=x.lam_t(t + 1), multiplier=sp.Integer(1))
    held = namespace(x.xp, sigma)
    return record.update(
        held, x.symbolic_state(record), sigma * n_t(t + 1), record.coefficients(held, time)
    ).weight  # fmt: skip


def mean_square(weight: Expression) -> Expression:
    """E of its square, the old weight's being ρ_t and the noise independent with mean 0 and variance 1."""
    given = {(2, 0): rho_t(t), (0, 2): sp.Integer(1)}
    terms = sp.Poly(sp.expand(weight**2), x.w_t(t), n_t(t + 1)).terms()
    return sp.Add(*(coefficient * given.get(powers, 0) for powers, coefficient in terms))


def steps() -> tuple[Step, ...]:
    kept = 1 - x.eta_t(t + 1) * x.lam_t(t + 1)
    constant = {x.eta_t(t + 1): eta, x.lam_t(t + 1): (1 - a) / eta}
    log_left = 2 * t * log1p(-rate)
    ode = -2 * rate * square + push
    flow = push / (2 * rate) + (start**2 - push / (2 * rate)) * sp.exp(-2 * rate * elapsed)
    return (
        Step(
            "update",
            Equation(x.w_t(t + 1), kept * x.w_t(t) - x.eta_t(t + 1) * n_t(t + 1)),
            "AdamW's own update on pure noise, with β₁ = 0 and √v̂ at σ: every update has mean square 1",
            Identity(where={x.w_t(t + 1): updated()}),
        ),
        Step(
            "mean square",
            Equation(rho_t(t + 1), kept**2 * rho_t(t) + x.eta_t(t + 1) ** 2),
            "ρ = E w² under any schedules of η and λ",
            Identity(where={rho_t(t + 1): mean_square(updated())}),
        ),
        Step(
            "constant rate",
            Equation(rho_t(t + 1), a**2 * rho_t(t) + eta**2),
            "the same at constant η and λ, a = 1 − ηλ",
            Identity(where={rho_t(t + 1): mean_square(updated()).subs(constant)}),
        ),
        Step(
            "transient",
            Equation(rho_t(t), rest + (start**2 - rest) * a ** (2 * t)),
            "by induction: the distance to ρ_∞ = η²/(1 − a²) shrinks by a² each step",
            Induction(variable=t, recurrence=("constant rate",), initial={rho_t(0): start**2}),
        ),
        Step(
            "equilibrium",
            Equation(rest + (start**2 - rest) * a ** (2 * t), eta**2 / (rate * (2 - rate))),
            "which it comes to from any start",
            Limit(variable=t, decaying=(a,)),
        ),
        Step(
            "stable form",
            Equation(
                rest + (start**2 - rest) * a ** (2 * t),
                start**2 * sp.exp(log_left) - eta**2 * expm1(log_left) / (rate * (2 - rate)),
            ),
            "in the form that loses no digits at small ηλ",
            Identity(lemmas=STABLE),
        ),
        Step(
            "flow",
            Equation((1 - rate * scale) ** 2 * square + push * scale - square, ode * scale),
            "for small steps, ηλ and η² of one order δ, ρ changes by −2ηλρ + η² a step: dρ/dt = −2λ_tη_tρ + η_t², with "
            "an error of the order of the square",
            Series(variable=scale, order=2),
        ),
        Step(
            "solved flow",
            Equation(sp.diff(flow, elapsed), ode.subs(square, flow)),
            "at a constant rate ρ = η²/(2ηλ) + (ρ_0 − η²/(2ηλ)) e^{−2ηλt} solves it",
            Identity(),
        ),
        Step(
            "published",
            Equation((eta**2 / (rate * (2 - rate))) / (eta**2 / (2 * rate)), 1 + rate / 2),
            "ρ_∞ over the published η/(2λ) is 1 as ηλ → 0",
            Series(variable=rate, order=2),
        ),
    )


def measured(point: Point) -> Number:
    """The squared responses of AdamW itself to its start and to each gradient; √v̂ is 1, and so is σ."""
    alone, count = {**point, forget: 1}, int(point[t])
    begun = run(alone, lambda k: 0, count, weight=as_real(point[start]))[-1].weight
    pushed = [run(alone, partial(int.__eq__, j), count)[-1].weight for j in range(1, count + 1)]
    return begun**2 + sum(w * w for w in pushed)


def weight_rms() -> Derivation:
    """R3 without momentum, and R5."""
    return Derivation(
        name="weight-rms",
        title="The mean square of AdamW's weights on pure noise, under schedules and in transit",
        statement=(
            "Without momentum, on white gradients, ρ = E w² obeys ρ ← (1 − η_tλ_t)²ρ + η_t² under any schedules, near "
            "dρ/dt = −2λ_tη_tρ + η_t²; at a constant rate ρ_t = ρ_∞ + (ρ_0 − ρ_∞)a^{2t} with ρ_∞ = η²/(1 − a²)."
        ),
        assumptions=Assumptions(
            (between(rate, 0, 1), positive(eta), positive(start), positive(sigma), integer(t, 0), real(x.w0)),
        ),
        definitions={a: 1 - rate},
        steps=steps(),
        results={"mean_square": "stable form"},
        brute_force={"mean_square": measured},
        source="R3 (β₁ = 0) and R5; Kosson et al., arXiv 2305.17212, for the equilibrium",
        arguments={eta: "lr", rate: "decay_per_step", t: "steps", start: "root_mean_square"},
        corrects="the published RMS √(η/(2λ)) is the limit ηλ → 0: the exact one is larger by 1 + ηλ/4 to first order",
    )


DERIVATIONS = {"weight-rms": weight_rms}
