"""C20 on networks: gradients late in a decay to zero against the middle of the run, with AdamW and with AdamC."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...optimizers import AdamC, AdamW
from ...schedules import Linear
from ...typing import FloatArray
from ..evidence import Below, Curve, Evidence, Figure
from ..noisy_digits import STEPS_PER_EPOCH, below, error, root_mean_square, trained_perceptrons
from ..seeds import chosen_seeds

# ηλ at the peak forgets 22 times in a run of 2200 steps; the last steps' η is a hundredth of the middle's.
LR, DECAY, BETAS, EPOCHS, WIDTH = 0.01, 1.0, (0.9, 0.99), 50, 16
# Seeds 2000 to 2015 were looked at to choose what is resolved.
SEEDS, FIRST_SEED = {"quick": 24, "full": 96}, 2100
# Shares of the run, and how many steps on each side of them are averaged over.
SHARES, REACH = (0.3, 0.5, 0.7, 0.9, 0.99), 7
MIDDLE, LATE = SHARES.index(0.5), SHARES.index(0.99)
# Growth by less than a quarter counts as none: AdamW's is by three quarters. (That AdamC's is below 1.1 takes more
# seeds than quick has.)
NONE = np.log(1.25)


class Course(NamedTuple):
    """‖g‖ and ‖w‖ of each layer at the shares of the run, shape (seeds, shares, layers)."""

    gradient: FloatArray
    norm: FloatArray

    def growth(self) -> FloatArray:
        """Of each layer's log gradient norm from the middle to late in the run."""
        return np.asarray(np.log(self.gradient[:, LATE] / self.gradient[:, MIDDLE]))

    def whole(self) -> FloatArray:
        """The gradient norm of all layers together, shape (seeds, shares)."""
        return np.asarray(np.sqrt((self.gradient**2).sum(axis=-1)))

    def growth_of_whole(self) -> FloatArray:
        return np.asarray(np.log(self.whole()[:, LATE] / self.whole()[:, MIDDLE]))

    def shrinking(self) -> FloatArray:
        """Of each layer's log weight norm from the middle to late in the run."""
        return np.asarray(np.log(self.norm[:, LATE] / self.norm[:, MIDDLE]))


def course(optimizer: Any, tier: str) -> Course:
    """Of scale-invariant perceptrons while η falls linearly to 0."""
    steps = EPOCHS * STEPS_PER_EPOCH
    near = [[round(share * steps) + off for off in range(-REACH, REACH + 1)] for share in SHARES]
    run = trained_perceptrons(
        optimizer, width=WIDTH, epochs=EPOCHS, seeds=chosen_seeds(FIRST_SEED, SEEDS[tier]),
        record=[step for around in near for step in around], schedule=Linear(final=0.0, warmup=0.05),
        observables=("parameter_gradient_norm", "parameter_norm"),
    )  # fmt: skip

    def averaged(values: xr.DataArray) -> FloatArray:
        return np.stack([root_mean_square(values.sel(step=around)) for around in near], axis=1)

    return Course(averaged(run.parameter_gradient_norm), averaged(run.parameter_norm))


def trained(tier: str) -> Evidence:
    """Each layer's growth, and that of all layers' gradient together."""
    settings: dict[str, Any] = {"lr": LR, "weight_decay": DECAY, "betas": BETAS}
    plain, corrected = course(AdamW(**settings), tier), course(AdamC(**settings), tier)
    seeds = tuple(chosen_seeds(FIRST_SEED, SEEDS[tier]))
    return Evidence(findings(plain, corrected), seeds, (growing(plain, corrected),))


def findings(plain: Course, corrected: Course) -> tuple[Below, ...]:
    """Ratios of late to middle, as logarithms."""
    return (
        below("network, AdamW: each layer's weight norm, late over middle, log", plain.shrinking()),
        below("network, AdamW: each layer's gradient norm, middle over late, log", -plain.growth()),
        below("network, AdamW: whole gradient norm, middle over late, log", -plain.growth_of_whole(), -NONE),
        below("network, AdamC: whole gradient norm, late over middle, log", corrected.growth_of_whole(), NONE),
        below(
            "network: each layer's growth with AdamC less half of that with AdamW, log",
            corrected.growth() - plain.growth() / 2,
        ),
    )


def growing(plain: Course, corrected: Course) -> Figure:
    """The whole gradient's norm over that in the middle of the run, 1 for no growth: geometric means over seeds."""
    curves = []
    for name, seen in (("AdamW", plain), ("AdamC", corrected)):
        logs = np.log(seen.whole() / seen.whole()[:, [MIDDLE]])
        over = np.exp(logs.mean(axis=0))
        curves.append(Curve(f"{name}; line: no growth", SHARES, np.ones(len(SHARES)), over, over * error(logs)))
    title = f"Gradient of a scale-invariant perceptron, linear decay to 0, {len(plain.gradient)} seeds"
    return Figure(title, "share of the run", "‖g‖ over the middle's", tuple(curves))
