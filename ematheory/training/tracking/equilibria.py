"""Where a tensor's norm and rotation come to rest, by its optimizer; every number comes from a derivation.

AdamW's and Lion's assume white gradients; SGD's, and Adam's with L2, weights whose scale the loss does not see.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ...derivations import derive
from ...typing import FloatArray
from .forecast import NAN, Motion, Rates, positive, unknown
from .meaning import ADAM, LION, SGD, Meaning

# Adam with L2 comes to its norm by iteration, each step of which is far less than half of the one before.
ITERATIONS, ENOUGH, SMALL = 60, 1e-14, 1e-9


def assumed(meaning: Meaning, rates: Rates) -> str | None:
    """What the predictions of a group assume, in words; None where there are none, as for Nesterov's momentum."""
    if meaning.update == SGD and rates.nesterov:
        return None
    if by_scale(meaning, rates.weight_decay) and meaning.update == ADAM:
        return (
            "weights of many coordinates whose scale the loss does not see, and √v̂ at the root mean square of the "
            "recorded step's gradient"
        )
    return {
        ADAM: "white gradients with √v̂ + ε at their standard deviation, from an empty buffer where tracking began",
        SGD: "weights whose scale the loss does not see, and the recorded step's gradient for those since the last "
        "record",
        LION: "white normal gradients, and a memory at rest",
    }.get(meaning.update)


def by_scale(meaning: Meaning, weight_decay: float) -> bool:
    """Whether the equilibrium depends on the size of the gradients: SGD's does, and Adam's with L2."""
    return meaning.update == SGD or (meaning.update == ADAM and meaning.adds_to_gradient and weight_decay > 0)


def at_rest(squares: Any, rotations: Any) -> Motion:
    return Motion(squares, squares, squares * (2 * np.sin(rotations / 2)) ** 2)


@cache
def in_floats(name: str, *results: str) -> Callable[..., tuple[float, ...]]:
    """Results of a derivation as one function of Python's floats, by keyword: fast, for it checks no domain."""
    import sympy as sp

    law = derive(name)
    words = {symbol: sp.Symbol(word) for symbol, word in law.arguments.items()}
    forms = [law.numeric_form(result).subs(words) for result in results]
    needed = sorted(set().union(*(form.free_symbols for form in forms)), key=str)
    return sp.lambdify(needed, forms, modules="math", cse=True)  # type: ignore[no-any-return]


def adam_at_rest(lr: float, decay_per_step: float, beta1: float) -> tuple[float, float]:
    """AdamW's mean square per coordinate and its rotation, radians per step, in equilibrium (R1), for 0 < α < 1."""
    law = in_floats("adamw-random-walk", "weight_rms", "rotation")
    rms, rotation = law(lr=lr, decay_per_step=decay_per_step, one_minus_beta1=1 - beta1)
    return rms**2, rotation


def angle_of(versine: Any) -> Any:
    """By 1 − cos of it, which may be small."""
    return 2 * np.arcsin(np.sqrt(versine / 2))


def sgd_at_rest(meaning: Meaning, rates: Rates, gradient_squares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """‖w‖² and the rotation of scale-invariant weights under SGD, from E‖g̃‖² = E‖g‖²‖w‖² (§4)."""
    law = derive(f"scale-invariant-momentum-{'l2' if meaning.adds_to_gradient else 'per-lr'}")
    share = rates.lr * rates.weight_decay if meaning.adds_to_gradient else rates.decay_per_step
    given = {"decay_per_step": share, "one_minus_momentum": 1 - rates.momentum}
    turned = angle_of(law.function("versine")(**given))
    fourth = law.function("weight_norm_4")(lr=rates.lr, gradient_square=gradient_squares, **given)
    return np.sqrt(fourth), np.where(gradient_squares > 0, turned, NAN)


def adam_l2_at_rest(rates: Rates, sizes: FloatArray, gradient_squares: FloatArray) -> tuple[FloatArray, FloatArray]:
    """‖w‖² and the rotation of scale-invariant weights under Adam with L2 (§4): NaN from ηλ/√v̂ = 1 on.

    ‖w‖² follows from ρ = ηλ/√v̂ and ρ from it, √v̂ being σ̃/‖w‖ with Cσ̃² = E‖g‖²‖w‖².
    """
    law = in_floats("scale-invariant-adam-l2", "weight_norm_2", "versine")
    share_per_norm = rates.lr * rates.weight_decay / np.sqrt(gradient_squares / sizes)

    def by_share(shares: Any) -> tuple[Any, ...]:
        return law(lr=rates.lr, coordinates=sizes, decay_per_step=shares, one_minus_beta1=1 - rates.beta1)

    norms = np.cbrt(by_share(SMALL)[0] * SMALL / share_per_norm)  # as ρ → 0 ‖w‖²ρ does not depend on ρ
    for _ in range(ITERATIONS):
        shares = share_per_norm * norms
        square, versine = by_share(shares)
        before, norms = norms, np.cbrt(norms * square)
        if not (np.abs(norms - before) > ENOUGH * norms).any():
            break
    inside = (shares > 0) & (shares < 1)
    return np.where(inside, norms * norms, NAN), np.where(inside, angle_of(versine), NAN)


def lion_at_rest(rates: Rates) -> tuple[float, float]:
    """Lion's mean square per coordinate and its rotation, radians per step (R4)."""
    if rates.beta1 == 0:  # signs of single gradients are white, as AdamW's updates without momentum
        return adam_at_rest(rates.lr, rates.decay_per_step, 0.0)
    from ...derivations.lion_random_walk import lion_mean_square, lion_rotation

    given = {
        "decay_per_step": rates.decay_per_step, "one_minus_beta1": 1 - rates.beta1, "one_minus_beta2": 1 - rates.beta2
    }  # fmt: skip
    return lion_mean_square(lr=rates.lr, **given), lion_rotation(**given)


def equilibrium(meaning: Meaning, rates: Rates, sizes: FloatArray, gradient_squares: FloatArray) -> Motion:
    """Where a group's tensors would come to rest at this step's rates; unknown without decay or without a theory.

    `gradient_squares` are ‖g‖²‖w‖² of the recorded step, which those need whose equilibrium is `by_scale`.
    """
    if rates.lr > 0 and rates.weight_decay > 0:
        with np.errstate(all="ignore"):
            try:
                found = squares_and_rotations(meaning, rates, sizes, positive(gradient_squares))
            # Outside the derivation's domain, such as ηλ beyond momentum's real poles, or beyond what floats hold.
            except (ValueError, ArithmeticError):
                found = None
            if found is not None:
                return at_rest(*found)
    return unknown(len(sizes))


def squares_and_rotations(meaning: Meaning, rates: Rates, sizes: FloatArray, gradient_squares: FloatArray) -> Any:
    """‖w‖² and radians per step at rest; None without a theory."""
    if meaning.update == SGD:
        return None if rates.nesterov else sgd_at_rest(meaning, rates, gradient_squares)
    if meaning.update == ADAM and meaning.adds_to_gradient:
        return adam_l2_at_rest(rates, sizes, gradient_squares)
    if meaning.update not in (ADAM, LION) or not 0 < rates.decay_per_step < 1:
        return None
    square, rotation = (
        lion_at_rest(rates) if meaning.update == LION else adam_at_rest(rates.lr, rates.decay_per_step, rates.beta1)
    )
    return sizes * square, rotation
