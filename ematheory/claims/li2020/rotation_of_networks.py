"""C06 on networks: how far SGD with L2 turns each layer of a scale-invariant perceptron a step, and its norm."""

from __future__ import annotations

import numpy as np

from ...optimizers import SGD
from ...typing import FloatArray
from ..evidence import Below, Curve, Evidence, Figure
from ..noisy_digits import Rested, error, rested, within
from ..seeds import chosen_seeds
from ..simulated import derived

# (η, μ) with one λ: ηλ/(1−μ) is 0.0015, and of ‖w‖⁴'s start e^{−4·0.0015·1320} is left after half of the run. (At twice
# that η, looked at with seeds 600 to 607, bursts of large gradients leave eight seeds undecided without momentum.)
SETTINGS, DECAY, EPOCHS, WIDTH = ((0.05, 0.0), (0.005, 0.9)), 0.03, 60, 32
# Twelve decide; 32 are one ensemble, and halve the interval.
SEEDS, FIRST_SEED = {"quick": 12, "full": 32}, 620
# As logarithms. Without 1 + μ the rotation would be off by 0.32, and without 1 − μ the norm by 0.58.
RESOLUTION = 0.1


def trained(tier: str) -> Evidence:
    """Each layer's rotation, and its norm by the gradients that it met."""
    seeds = chosen_seeds(FIRST_SEED, SEEDS[tier])
    findings: list[Below] = []
    curves = []
    for lr, momentum in SETTINGS:
        optimizer = SGD(lr=lr, momentum=momentum, weight_decay=DECAY)
        seen = rested(optimizer, width=WIDTH, epochs=EPOCHS, seeds=seeds)
        findings += judged(f"network, SGD with L2, μ = {momentum:g}", seen, lr, momentum)
        turned = seen.rotation
        law = np.full(turned.shape[1], rotation(lr, momentum))
        curves.append(Curve(f"μ = {momentum:g}", range(len(law)), law, turned.mean(axis=0), error(turned)))
    figure = Figure(
        f"Rotation of a scale-invariant perceptron at rest under SGD with L2, {len(seeds)} seeds", "layer",
        "radians per step", tuple(curves), places=("first", "second", "last"),
    )  # fmt: skip
    return Evidence(tuple(findings), tuple(seeds), (figure,))


def judged(name: str, seen: Rested, lr: float, momentum: float) -> list[Below]:
    """Each layer's rotation and norm over the derived ones."""
    norms = norm(lr, momentum, seen.gradient_square)
    return [
        within(f"{name}: rotation over the derived, log", np.log(seen.rotation / rotation(lr, momentum)), RESOLUTION),
        within(f"{name}: norm over the derived, log", np.log(seen.norm / norms), RESOLUTION),
    ]


def rotation(lr: float, momentum: float) -> float:
    """The derived rotation at rest, in radians per step."""
    rate = lr * DECAY
    if not momentum:
        return float(derived("scale-invariant-sgd", "rotation", decay_per_step=rate))
    versine = derived(
        "scale-invariant-momentum-l2", "versine", lr=lr, decay_per_step=rate, one_minus_momentum=1 - momentum,
        gradient_square=1.0,
    )  # fmt: skip
    return float(np.arccos(1 - versine))


def norm(lr: float, momentum: float, gradient_square: FloatArray) -> FloatArray:
    """The derived norm at rest, from ‖g̃‖² as it was met."""
    rate = lr * DECAY
    if not momentum:
        return np.asarray(
            derived("scale-invariant-sgd", "weight_norm", lr=lr, decay_per_step=rate, gradient_square=gradient_square)
        )
    fourth = derived(
        "scale-invariant-momentum-l2", "weight_norm_4", lr=lr, decay_per_step=rate, one_minus_momentum=1 - momentum,
        gradient_square=gradient_square,
    )  # fmt: skip
    return np.asarray(fourth**0.25)
