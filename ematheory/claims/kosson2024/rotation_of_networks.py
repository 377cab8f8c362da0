"""C34 on networks: how far AdamW turns each layer of a scale-invariant perceptron a step, and its norm."""

from __future__ import annotations

import numpy as np

from ...optimizers import AdamW
from ..evidence import Below, Curve, Evidence, Figure
from ..noisy_digits import Rested, below, error, rested, within
from ..seeds import chosen_seeds
from ..simulated import derived

# Of ‖w‖²'s start e^{−2·0.003·1320} is left after half of the run.
LR, DECAY, BETA1, BETA2, EPOCHS, WIDTH = 0.003, 1.0, 0.9, 0.99, 60, 32
# Twelve decide; 32 are one ensemble, and halve the interval.
SEEDS, FIRST_SEED = {"quick": 12, "full": 32}, 3400
# As logarithms. Without (1 − β₁)/(1 + β₁) in it the rotation would be off by 1.5.
RESOLUTION, NORM_RESOLUTION = 0.1, 0.2
# Of the last layer exploring runs (seeds 0 to 3) turned by a fifth less. Its gradient is the output's error times what
# the hidden layers give, and so presumably the least white; that was not tested apart.
LAST = -1


def trained(tier: str) -> Evidence:
    """Each hidden layer's rotation within a tenth of the derived one, the last one's not; all norms within a fifth."""
    seeds = chosen_seeds(FIRST_SEED, SEEDS[tier])
    optimizer = AdamW(lr=LR, weight_decay=DECAY, betas=(BETA1, BETA2))
    seen = rested(optimizer, width=WIDTH, epochs=EPOCHS, seeds=seeds)
    return Evidence(findings(seen), tuple(seeds), (turning(seen),))


def findings(seen: Rested) -> tuple[Below, ...]:
    turned = np.log(seen.rotation / rotation())
    norms = np.log(seen.norm / (weight_rms() * np.sqrt(seen.sizes)))
    return (
        within("network, AdamW: hidden layers' rotation over the derived, log", turned[:, :LAST], RESOLUTION),
        below("network, AdamW: the last layer's rotation over the derived, log", turned[:, LAST], -RESOLUTION),
        within("network, AdamW: each layer's norm over the derived, log", norms, NORM_RESOLUTION),
    )


def rotation() -> float:
    """AdamW's derived rotation at rest, in radians per step."""
    return float(derived("fixed-norm", "rotation", decay_per_step=LR * DECAY, one_minus_beta1=1 - BETA1))


def weight_rms() -> float:
    """AdamW's derived root mean square weight at rest."""
    rest = derived(
        "adamw-random-walk", "weight_rms", lr=LR, decay_per_step=LR * DECAY, one_minus_beta1=1 - BETA1
    )  # fmt: skip
    return float(rest)


def turning(seen: Rested) -> Figure:
    """Each layer's rotation beside the derived one."""
    layers = seen.rotation.shape[1]
    curve = Curve(
        "AdamW", range(layers), np.full(layers, rotation()), seen.rotation.mean(axis=0), error(seen.rotation)
    )  # fmt: skip
    title = f"Rotation of a scale-invariant perceptron at rest under AdamW, {len(seen.rotation)} seeds"
    return Figure(title, "layer", "radians per step", (curve,), places=("first", "second", "last"))
