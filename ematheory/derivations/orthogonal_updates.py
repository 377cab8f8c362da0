"""The trap of orthogonal updates (R2): taking u_t ⟂ w_{t−1} gives AdamW's norm too small by a known factor."""

from __future__ import annotations

import mpmath
import sympy as sp

from . import symbols as x
from .assumptions import Assumptions, between, positive
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import forget, rate
from .limits import Limit, Solve
from .random_walk import ROOT_OF_PRODUCT, impulse, kept, lost, product, sigma

a, b1, eta, lam = x.a, x.beta1, x.eta, x.lam
W, alone = sp.symbols("W W_0", positive=True)  # E w², and what orthogonality makes of it
mean_update = (1 - b1) / (1 + b1)  # U², the mean square of u = m/σ


def steps() -> tuple[Step, ...]:
    exact = eta**2 * mean_update * (1 + a * b1) / ((1 - a**2) * (1 - a * b1))
    return (
        Step(
            "orthogonal",
            Equation(alone, eta**2 * mean_update / (1 - a**2)),
            "if E w_{t−1}u_t were 0, E w² = a² E w² + η²U² would have this solution",
            Solve(conditions=(Equation(alone, a**2 * alone + eta**2 * mean_update),)),
        ),
        Step(
            "exact",
            Equation(W, exact),
            "with E w_{t−1}u_t = β₁ E wu and E wu = −ηU²/(1 − aβ₁), which momentum makes of it (derivation "
            "adamw-random-walk)",
            Solve(
                conditions=(
                    Equation(W, a**2 * W + 2 * a * b1 * eta * eta * mean_update / (1 - a * b1) + eta**2 * mean_update),
                )
            ),
        ),
        Step(
            "ratio",
            Equation(sp.sqrt(W) / sp.sqrt(alone), sp.sqrt(1 + kept) / sp.sqrt(lost)),
            "the true root mean square over that of orthogonal updates: √((1 + aβ₁)/(1 − aβ₁))",
            Identity(uses=("orthogonal", "exact"), lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "small decay",
            Equation((1 + kept) / lost, (2 - forget) / forget),
            "as ηλ → 0 its square is (1 + β₁)/(1 − β₁): 19 for β₁ = 0.9",
            Limit(variable=rate, to=0),
        ),
    )


def ratio(point: Point) -> Number:
    """√E w² of a run of AdamW itself over what the sizes of its updates alone would give."""
    weights, moments = impulse(point)
    keep, lr = 1 - as_real(point[rate]), as_real(point[eta])
    alone = lr**2 * product(moments, moments) / (1 - keep**2)
    return mpmath.sqrt(product(weights, weights) / alone)


def orthogonal_updates() -> Derivation:
    """R2: by how much the assumption of orthogonal updates misses the norm."""
    return Derivation(
        name="orthogonal-updates",
        title="AdamW's norm is not that of orthogonal updates",
        statement=(
            "With momentum the update points against the weight, cos∠(w, u) < 0, and yet successive updates point the "
            "same way: E w² is (1 + aβ₁)/(1 − aβ₁) times what u_t ⟂ w_{t−1} would give."
        ),
        assumptions=Assumptions((between(rate, 0, 1), between(forget, 0, 1), positive(eta), positive(sigma))),
        definitions={a: 1 - rate, b1: 1 - forget, lam: rate / eta},
        steps=steps(),
        results={"rms_ratio": "ratio"},
        brute_force={"rms_ratio": ratio},
        source="THEORY.md, R2; the norm: adamw-random-walk",
        arguments={rate: "decay_per_step", forget: "one_minus_beta1"},
        corrects="that AdamW's equilibrium follows from ‖w‖² = a²‖w‖² + η²‖u‖²: too small by √((1 + aβ₁)/(1 − aβ₁))",
    )


DERIVATIONS = {"orthogonal-updates": orthogonal_updates}
