"""Fixed-norm training with AdamW's rotation (§7): the step that gives it exactly, and what the published one gives."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import sympy as sp

from . import symbols as x
from .assumptions import Assumptions, Domain, between, integer, positive, real
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .frozen_preconditioner import forget, rate, symbolic
from .lemmas import Lemma
from .limits import Series, Solve
from .random_walk import HALF_ANGLE, ROOT_OF_PRODUCT, C, M, W, impulse, kept, lost, moment_steps, product, sigma
from .random_walk import stationary_steps as random_walk_at_rest

a, b1, eta, lam, t, w, m = x.a, x.beta1, x.eta, x.lam, x.t, x.w_t, x.m_t
free = sp.Function("W_free", real=True)  # the weight after a step without decay
length = sp.Symbol("P", positive=True)  # the squared size ρ² of the step over the weight
turned = sp.Symbol("X", real=True)  # ρ cos∠(w_t, u_t), with the weight after the step
other = sp.Symbol("q", positive=True)  # the decay per step whose exact step the published one is
step_square = rate * (2 - rate) * lost / ((1 - rate) ** 2 * (1 + kept))
against = -rate * (2 - rate) / ((1 - rate) * (1 + kept))
published = 2 * rate * forget / (2 - forget)
half_tangent = rate * forget / ((2 - rate) * (2 - forget))  # the squared tangent of half AdamW's rotation


def root_of_kept(e: Expression, given: Assumptions) -> Expression:
    """√(1/(1 − r)²) = 1/(1 − r) for 0 < r < 1."""
    if not given.is_positive(1 - rate):
        return e
    return e.replace(lambda p: p == sp.sqrt(1 / (1 - rate) ** 2), lambda p: 1 / (1 - rate))


KEPT = Lemma("root of a square", "√(1/(1 − r)²) = 1/(1 − r) for r < 1", root_of_kept)


def steps() -> tuple[Step, ...]:
    update, moments = moment_steps()
    (at_rest,) = (step for step in random_walk_at_rest() if step.label == "stationary")
    new = symbolic(denominator=sigma)
    without = new.weight.subs({lam: 0}).subs(eta, eta / a)
    step_of_adamw = (eta / a) ** 2 * M / (sigma**2 * W)
    return (
        update,
        Step(
            "decay as renormalisation",
            Equation(free(t + 1), w(t + 1) / a),
            "AdamW's own update without decay, at the rate η/a, ends a^{−1} times as far out as with decay, in the "
            "same direction: decay only renormalises",
            Identity(where={free(t + 1): without, w(t + 1): new.weight}),
        ),
        moments,
        at_rest,
        Step(
            "step",
            Equation(step_of_adamw, step_square),
            "at rest that step is, squared and over the weight, ρ² = (1 − a²)(1 − aβ₁)/[a²(1 + aβ₁)]: over many "
            "coordinates a number, and the norm stays",
            Identity(uses=("stationary",)),
        ),
        Step(
            "relative step",
            Equation(sp.sqrt(step_square), sp.sqrt(rate * (2 - rate) * lost / (1 + kept)) / (1 - rate)),
            "ρ, without cancellation",
            Identity(lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "alignment",
            Equation(eta / a * C / (sigma * W), against),
            "ρ cos∠(w_t, u_t) at rest",
            Identity(uses=("stationary",)),
        ),
        Step(
            "norm",
            Equation(1 - 2 * b1 * against + step_square, 1 / (1 - rate) ** 2),
            "‖w − ρu‖² for unit w and u at β₁ times that alignment, which is w's with the update to come: such a step "
            "lengthens w by exactly a^{−1}",
            Identity(),
        ),
        *fixed_norm_steps(),
        *published_steps(),
    )


def fixed_norm_steps() -> tuple[Step, ...]:
    stays = Equation(turned**2 * (1 - 2 * b1 * turned + length), (b1 * turned - length) ** 2)
    cosine = (1 - b1 * turned) / sp.sqrt(1 - 2 * b1 * turned + length)
    return (
        Step(
            "fixed norm",
            Equation(turned, against),
            "training at a fixed norm goes w ← (w − ρu)/‖w − ρu‖, after which cos∠(w, u) is (β₁c − ρ)/‖w − ρu‖ where "
            "it was c. With ρ from above the only negative c that this leaves alone is AdamW's",
            Solve(
                conditions=(stays,), where={length: step_square}, among=Domain(turned, -sp.oo, sp.Integer(0))
            ),
        ),
        Step(
            "cosine",
            Equation(cosine, 1 - rate * forget / (1 + kept)),
            "and so is the cosine of the angle that the weights turn by, (a + β₁)/(1 + aβ₁) (adamw-random-walk)",
            Identity(where={turned: against, length: step_square}, lemmas=(ROOT_OF_PRODUCT, KEPT)),
        ),
        Step(
            "rotation",
            Equation(sp.acos(1 - rate * forget / (1 + kept)), 2 * sp.atan(sp.sqrt(half_tangent))),
            "the rotation per step, at any ηλ",
            Identity(lemmas=(HALF_ANGLE,)),
        ),
    )  # fmt: skip


def published_steps() -> tuple[Step, ...]:
    share = sp.Rational(3, 2) + 2 * b1 / (1 - b1**2)
    # The published step at decay r is the exact one at decay q: r follows from q.
    matched = sp.cancel((step_square * (2 - forget) / (2 * forget)).subs(rate, other))
    return (
        Step(
            "published step",
            Equation(step_square / published, 1 + rate * share),
            "ρ² over the published 2ηλ(1 − β₁)/(1 + β₁): 1 as ηλ → 0, with a difference of order ηλ/(1 − β₁)",
            Series(variable=rate, order=2),
        ),
        Step(
            "matched decay",
            Equation(rate, matched),
            "the published step of decay r is the exact step of a smaller decay q",
            Solve(conditions=(Equation(published, step_square.subs(rate, other)),)),
        ),
        Step(
            "published rotation",
            Equation(half_tangent.subs(rate, other) / half_tangent.subs(rate, matched), 1 - other * share),
            "so that it turns the weights by AdamW's rotation to first order: tan²(φ/2), near φ²/4, comes out smaller "
            "by the share ηλ(3/2 + 2β₁/(1 − β₁²))",
            Series(variable=other, order=2),
        ),
    )


def rotation_at_fixed_norm(point: Point) -> Number:
    """The angle that w ← (w − ρu)/‖w − ρu‖ settles at, by running the cosine of weight and update.

    β₁ is read off AdamW's own moment; a new gradient is at right angles to both, as among many coordinates.
    """
    size, moments = relative_step(point), impulse(point)[1]
    beta = moments[1] / moments[0]
    cosine, still = mpmath.mpf(0), 0
    while still < 3:
        before = beta * cosine
        stretch = mpmath.sqrt(1 - 2 * size * before + size**2)
        after = (before - size) / stretch
        still = still + 1 if abs(after - cosine) < mpmath.mpf(10) ** -55 else 0
        cosine = after
    return mpmath.acos((1 - size * beta * cosine) / mpmath.sqrt(1 - 2 * size * beta * cosine + size**2))


def relative_step(point: Point) -> Number:
    """The root mean square of AdamW's own undecayed step at the rate η/a over that of its weight, by responses."""
    weights, moments = impulse(point)
    lr = as_real(point[eta]) / (1 - as_real(point[rate]))
    return lr * mpmath.sqrt(product(moments, moments) / product(weights, weights))


BRUTE_FORCE: dict[str, Callable[[Point], Number]] = {
    "relative_step": relative_step, "rotation": rotation_at_fixed_norm
}  # fmt: skip


def fixed_norm() -> Derivation:
    """§7: Hyperball's step beside AdamW's equilibrium."""
    return Derivation(
        name="fixed-norm",
        title="Training at a fixed norm turns the weights as AdamW at rest does",
        statement=(
            "AdamW at rest on white gradients is training at a fixed norm: its decay only renormalises a step of "
            "relative size ρ = √((1 − a²)(1 − aβ₁)/(1 + aβ₁))/a. At that ρ, and any ηλ, w ← (w − ρu)/‖w − ρu‖ comes to "
            "AdamW's own rotation. The published ρ = √(2ηλ(1 − β₁)/(1 + β₁)) is the limit ηλ → 0: it turns by AdamW's "
            "angle to first order, and less by the share ηλ(3/4 + β₁/(1 − β₁²))."
        ),
        assumptions=Assumptions(
            (
                integer(t, most=5), between(rate, 0, 1), between(forget, 0, 1),
                positive(eta), positive(sigma), real(turned), positive(other),
            )
        ),
        definitions={a: 1 - rate, b1: 1 - forget, lam: rate / eta},
        steps=steps(),
        results={"relative_step": "relative step", "rotation": "rotation"},
        brute_force=BRUTE_FORCE,
        source="Hyperball, arXiv 2606.16899; the equilibrium: Kosson et al., arXiv 2305.17212, and adamw-random-walk",
        arguments={rate: "decay_per_step", forget: "one_minus_beta1"},
        corrects=(
            "that a fixed norm with the step √(2ηλ(1 − β₁)/(1 + β₁)) has AdamW's rotation: it has to first order in "
            "ηλ/(1 − β₁); the step above has it exactly"
        ),
    )  # fmt: skip


DERIVATIONS = {"fixed-norm": fixed_norm}
