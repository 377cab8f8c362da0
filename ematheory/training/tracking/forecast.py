"""What theory expects of tracked weights: timescales, equilibria, and the way there on white gradients.

Every number comes from a derivation. Norms and rotations of AdamW's weights assume gradients that are white noise with
√v̂ + ε at their standard deviation (R1, R3); those of SGD's, weights whose scale the loss does not see, and the gradient
of the recorded step for its mean square.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from ...derivations import derive
from .meaning import ADAM, SGD, Meaning

NAN = float("nan")
ASSUMED = {
    ADAM: "white gradients with √v̂ + ε at their standard deviation, from an empty buffer where tracking began",
    SGD: "weights whose scale the loss does not see, and the recorded step's gradient for those since the last record",
}


class Rates(NamedTuple):
    """What one step of one group used: η_k, λ_k, α_k (NaN for decay that is no share of the weight), and its memory."""

    lr: float
    weight_decay: float
    decay_per_step: float
    beta1: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False


class Moments(NamedTuple):
    """E m², E wm and E w² of a coordinate that starts at 0 with an empty buffer, and the steps it took."""

    buffer: float = 0.0
    cross: float = 0.0
    square: float = 0.0
    steps: int = 0


class Motion(NamedTuple):
    """Of one tensor, expected: ‖w‖² before and after the step, and ‖w'−w‖²."""

    before: float
    after: float
    difference: float

    def joined(self, other: Motion) -> Motion:
        return Motion(*(x + y for x, y in zip(self, other, strict=True)))

    @property
    def norm(self) -> float:
        return math.sqrt(self.after) if self.after >= 0 else NAN

    @property
    def rotation(self) -> float:
        """The angle between the weights before and after, radians; NaN where it is not known."""
        return angle(self.before, self.after, self.difference)


UNKNOWN = Motion(NAN, NAN, NAN)


def angle(before: float, after: float, difference: float) -> float:
    """2·atan2(‖ŵ'−ŵ‖, ‖ŵ'+ŵ‖) from ‖w‖², ‖w'‖² and ‖w'−w‖²; NaN where a norm is 0 or not known.

    The chord ‖ŵ'−ŵ‖² is (‖w'−w‖² − (‖w'‖−‖w‖)²)/(‖w‖‖w'‖), which loses no digits at small angles.

    >>> angle(1.0, 1.0, 2.0) == math.pi / 2
    True
    """
    if not (0 < before < math.inf and 0 < after < math.inf and difference < math.inf):
        return NAN
    old, new = math.sqrt(before), math.sqrt(after)
    radial = (after - before) / (old + new)
    chord = min(4.0, max(0.0, (difference - radial**2) / (old * new)))
    return 2 * math.atan2(math.sqrt(chord), math.sqrt(4.0 - chord))


@cache
def one_step() -> Callable[..., tuple[float, float, float, float]]:
    """E m², E wm and E w² after AdamW's own step with its bias correction, and E(w_{t+1} − w_t)², as a function.

    The step "second moments" of `derive("adamw-transient-corrected")`, and the last one in the same way: a difference
    of second moments would lose the digits of a small step.
    """
    import sympy as sp

    from ...derivations import symbols as x
    from ...derivations.adamw_transient import means
    from ...derivations.frozen_preconditioner import rate, symbolic
    from ...derivations.random_walk import C_t, M_t, W_t, expected, sigma
    from ...optimizers.optimizer import SymbolicTime

    new = symbolic(SymbolicTime, denominator=sigma)
    now = (M_t(x.t), C_t(x.t), W_t(x.t))
    found = [*means(SymbolicTime).values(), expected((new.weight - x.w_t(x.t)) ** 2)]
    forms = [form.subs({x.lam: rate / x.eta, sigma: 1}) for form in found]
    return sp.lambdify([*now, x.t, x.eta, rate, x.beta1], forms, modules="math", cse=True)  # type: ignore[no-any-return]


def advanced(moments: Moments, rates: Rates) -> Moments:
    """After one more step of AdamW on white gradients."""
    buffer, cross, square, _ = one_step()(*moments, rates.lr, rates.decay_per_step, rates.beta1)
    return Moments(buffer, cross, square, moments.steps + 1)


def transient(before: Moments, left: float, rates: Rates, size: int, start: float) -> Motion:
    """Of `size` coordinates whose squares summed to `start` when tracking began, `left` of them before this step."""
    begun = left**2 * start / size
    _, _, after, difference = one_step()(
        before.buffer, before.cross, before.square + begun, before.steps, rates.lr, rates.decay_per_step, rates.beta1
    )
    return Motion(size * (before.square + begun), size * after, size * difference)


def begun(square: float) -> Motion:
    """Before the first step, which has no rotation."""
    return Motion(NAN, square, NAN)


def on_flow(flow: Flow) -> Motion:
    """Of a norm whose way is known, but not its rotation."""
    return Motion(NAN, flow.norm * flow.norm, NAN)


def standing(square: float) -> Motion:
    """Of weights that the step leaves where they are."""
    return Motion(square, square, 0.0)


def at_rest(square: float, rotation: float) -> Motion:
    return Motion(square, square, square * (2 * math.sin(rotation / 2)) ** 2)


@cache
def adam_at_rest(lr: float, decay_per_step: float, beta1: float) -> tuple[float, float]:
    """AdamW's mean square per coordinate and its rotation, radians per step, in equilibrium (R1)."""
    walk = derive("adamw-random-walk")
    given = {"decay_per_step": decay_per_step, "one_minus_beta1": 1 - beta1}
    return walk.function("weight_rms")(lr=lr, **given) ** 2, walk.function("rotation")(**given)


def sgd_at_rest(meaning: Meaning, rates: Rates, gradient_square: float) -> tuple[float, float]:
    """‖w‖² and the rotation of scale-invariant weights under SGD, from E‖g̃‖² = E‖g‖²‖w‖² (§4)."""
    law = derive(f"scale-invariant-momentum-{'l2' if meaning.adds_to_gradient else 'per-lr'}")
    share = rates.lr * rates.weight_decay if meaning.adds_to_gradient else rates.decay_per_step
    given = {"decay_per_step": share, "one_minus_momentum": 1 - rates.momentum}
    fourth = law.function("weight_norm_4")(lr=rates.lr, gradient_square=gradient_square, **given)
    return math.sqrt(fourth), math.acos(1 - law.function("versine")(**given))


def equilibrium(meaning: Meaning, rates: Rates, size: int, gradient_square: float) -> Motion:
    """Where a tensor's weights would come to rest at this step's rates; unknown without decay or without a theory.

    `gradient_square` is ‖g‖²‖w‖² of the recorded step, which only SGD's needs.
    """
    if not (rates.lr > 0 and rates.weight_decay > 0):
        return UNKNOWN
    try:
        if meaning.update == ADAM and 0 < rates.decay_per_step < 1:
            square, rotation = adam_at_rest(rates.lr, rates.decay_per_step, rates.beta1)
            return at_rest(size * square, rotation)
        if meaning.update == SGD and not rates.nesterov and gradient_square > 0:
            return at_rest(*sgd_at_rest(meaning, rates, gradient_square))
    except ValueError:  # outside the derivation's domain, such as ηλ beyond momentum's real poles
        return UNKNOWN
    return UNKNOWN


class Flow(NamedTuple):
    """The expected norm of scale-invariant weights under SGD with L2, after so many steps; NaN once it is not known."""

    norm: float
    steps: int = 0

    def to(self, rates: Rates, steps: int, gradient_square: float) -> Flow:
        """At a later step of the tensor, at one record's rates and gradient for all steps since the last.

        Momentum stretches steps and decay alike by 1/(1 − μ): to leading order in ηλ/(1 − μ) (R3).
        """
        if steps == self.steps:
            return self
        law = derive("scale-invariant-sgd").function("norm_over_time")
        lr = rates.lr / (1 - rates.momentum)
        given = {"lr": lr, "decay_per_step": lr * rates.weight_decay, "gradient_square": gradient_square}
        try:
            norm = law(**given, elapsed_steps=steps - self.steps, weight_norm=self.norm)
        except ValueError:  # without decay or a rate, or with a gradient of 0: the law needs all three
            norm = NAN
        return Flow(norm, steps)


def slow_mode(meaning: Meaning, rates: Rates) -> tuple[float, float]:
    """The share of a weight that a step takes in the long run, and the timescale in steps.

    α_k and 1/α_k; for SGD with L2 those of the slow pole (M1). NaN where there is none: L2 under an adaptive update.
    """
    if rates.weight_decay == 0 or rates.lr == 0:
        return 0.0, math.inf
    if meaning.multiplies_weight:
        return rates.decay_per_step, 1 / rates.decay_per_step
    if not (meaning.adds_to_gradient and meaning.update == SGD):
        return NAN, NAN
    poles = derive("momentum-nesterov" if rates.nesterov else "momentum-l2")
    given = {"decay_per_step": rates.lr * rates.weight_decay, "one_minus_momentum": 1 - rates.momentum}
    try:
        return poles.function("slow_pole_gap")(**given), poles.function("timescale_steps")(**given)
    except ValueError:  # complex poles: weights oscillate, and nothing decays at one rate
        return NAN, NAN


def left_after(decay_per_step: float, steps: float) -> float:
    """(1 − α)^steps, at a constant α in [0, 1).

    >>> round(left_after(1 / 710, 100), 3)
    0.869
    """
    if decay_per_step == 0 or steps == 0:
        return 1.0
    closed = derive("constant-rate").function("initial_weight_left")
    return float(closed(lr=decay_per_step, weight_decay=1.0, steps=steps))


def horizons(timescale: float, per_epoch: float | None, tokens: float | None, **shares: Any) -> dict[str, Any]:
    """A timescale in steps, epochs and tokens, and over each of the spans of steps that `shares` names."""
    found: dict[str, Any] = {"timescale_steps": timescale}
    if per_epoch is not None:
        found["timescale_epochs"] = timescale / per_epoch
    if tokens is not None:
        found["timescale_tokens"] = timescale * tokens
    return found | {name: timescale / span for name, span in shares.items() if span}
