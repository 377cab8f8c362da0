"""What theory expects of tracked weights: timescales, and their motion towards the equilibria of `equilibria`.

Every number comes from a derivation. AdamW's motion assumes gradients that are white noise with √v̂ + ε at their
standard deviation (R3); SGD's, weights whose scale the loss does not see, and the gradient of the recorded step for its
mean square.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from ...derivations import derive
from ...typing import FloatArray
from .meaning import SGD, Meaning

NAN = float("nan")
# Forecasts of so many groups' rates are kept: those of one record are asked for again at the next.
KEPT = 64


class Rates(NamedTuple):
    """What one step of one group used: η_k, λ_k, α_k (NaN for decay that is no share of the weight), and its memory."""

    lr: float
    weight_decay: float
    decay_per_step: float
    beta1: float = 0.0
    beta2: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False


class Moments(NamedTuple):
    """E m², E wm and E w² of a coordinate that starts at 0 with an empty buffer, and the steps it took."""

    buffer: float = 0.0
    cross: float = 0.0
    square: float = 0.0
    steps: int = 0


class Motion(NamedTuple):
    """Of several tensors, expected: ‖w‖² before and after the step, and ‖w'−w‖², an array of one number each."""

    before: FloatArray
    after: FloatArray
    difference: FloatArray

    def put(self, places: Any, own: Motion) -> None:
        """Some of the tensors' motions at their places."""
        for whole, part in zip(self, own, strict=True):
            whole[places] = part


def unknown(count: int) -> Motion:
    """Of tensors about which nothing is expected."""
    return Motion(*np.full((3, count), NAN))


def angle(before: Any, after: Any, difference: Any) -> FloatArray:
    """2·atan2(‖ŵ'−ŵ‖, ‖ŵ'+ŵ‖) from ‖w‖², ‖w'‖² and ‖w'−w‖², which broadcast; NaN where a norm is 0 or not known.

    The chord ‖ŵ'−ŵ‖² is (‖w'−w‖² − (‖w'‖−‖w‖)²)/(‖w‖‖w'‖), which loses no digits at small angles.

    >>> float(angle(1.0, 1.0, 2.0)) == math.pi / 2
    True
    """
    with np.errstate(all="ignore"):
        old, new = np.sqrt(before), np.sqrt(after)
        radial = (after - before) / (old + new)
        chord = np.clip((difference - radial**2) / (old * new), 0.0, 4.0)
        turned = 2 * np.arctan2(np.sqrt(chord), np.sqrt(4.0 - chord))
        # An infinite norm makes NaN of the chord by itself.
        return np.asarray(np.where((old > 0) & (new > 0) & (difference < math.inf), turned, NAN))


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


def transient(before: Moments, left: float, rates: Rates, sizes: FloatArray, starts: FloatArray) -> Motion:
    """Of tensors of `sizes` coordinates whose squares summed to `starts` when tracking began, `left` of them so far."""
    begun = left**2 * starts / sizes
    _, _, after, difference = one_step()(
        before.buffer, before.cross, before.square + begun, before.steps, rates.lr, rates.decay_per_step, rates.beta1
    )
    return Motion(sizes * (before.square + begun), sizes * after, sizes * difference)


def begun(squares: FloatArray) -> Motion:
    """Before the first step, which has no rotation."""
    return unknown(len(squares))._replace(after=squares)


def on_flow(norms: FloatArray) -> Motion:
    """Of norms whose way is known, but not their rotation."""
    return begun(norms * norms)


def standing(squares: FloatArray) -> Motion:
    """Of weights that the step leaves where they are."""
    return Motion(squares, squares, np.zeros_like(squares))


def positive(numbers: FloatArray) -> FloatArray:
    """NaN for those that are not positive and finite, which a derivation would refuse for all."""
    return np.where((numbers > 0) & (numbers < math.inf), numbers, NAN)


class Flow(NamedTuple):
    """The expected norm of scale-invariant weights under SGD with L2, after so many steps; NaN once it is not known."""

    norm: float
    steps: int = 0


def flowed(flows: Sequence[Flow], rates: Rates, steps: int, gradient_squares: FloatArray) -> list[Flow]:
    """At a later step of these tensors, at one record's rates and gradients for all steps since the last.

    Momentum stretches steps and decay alike by 1/(1 − μ): to leading order in ηλ/(1 − μ) (R3).
    """
    law = derive("scale-invariant-sgd").function("norm_over_time")
    lr = rates.lr / (1 - rates.momentum)
    elapsed = np.array([steps - flow.steps for flow in flows])
    given = {"lr": lr, "decay_per_step": lr * rates.weight_decay, "gradient_square": positive(gradient_squares)}
    before = np.array([flow.norm for flow in flows])
    try:
        norms = np.where(elapsed > 0, law(**given, elapsed_steps=elapsed, weight_norm=before), before)
    except ValueError:  # without decay or a rate: the law needs both
        norms = np.where(elapsed > 0, NAN, before)
    return [Flow(norm, steps) for norm in norms.tolist()]


@lru_cache(KEPT)
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


@lru_cache(KEPT)
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
