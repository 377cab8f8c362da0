"""C30: normalised weight decay means a timescale that falls as T^(−1/2) of the run."""

from __future__ import annotations

import math

from ...optimizers import AdamW
from ...optimizers.optimizer import SymbolicTime
from ..claim import Claim, Level
from ..evidence import Evidence, Order
from ..proof import POINTS, formulas, proof

NORMALISED = 0.05  # λ_norm, in the range that the paper searches
BATCH, EPOCHS = 128, 100
RUNS = {"smoke": 4, "quick": 6, "full": 8}


def decay(samples: float) -> float:
    """λ_ind of a run over so many samples, EPOCHS times."""
    return NORMALISED * math.sqrt(BATCH / (samples * EPOCHS))


def forgotten(steps: int) -> float:
    """The timescale as a share of a run, from what the run leaves of a weight: AdamW's own updates, no gradient."""
    import numpy as np

    record = AdamW(lr=1.0, decay="independent", betas=(0.0, 0.0), eps=1.0)
    c = record.coefficients(np, SymbolicTime(step=1, lr=1.0, weight_decay=decay(steps * BATCH / EPOCHS)))
    state = record.initial(np, np.float64(1.0))
    for _ in range(steps):
        state = record.update(np, state, np.float64(0.0), c)
    return -1 / math.log(state.weight)


def numeric(tier: str) -> Evidence:
    """Each numeric form against brute force, and the order of the timescale in 1/T over runs of doubling length."""
    lengths = [64 * 4**k for k in range(RUNS[tier])]
    shares = [forgotten(steps) for steps in lengths]
    order = Order("share of the run that the timescale is", [1 / steps for steps in lengths], shares, 0.5)
    return Evidence((*formulas("normalised-decay", POINTS[tier]), order))


CLAIM = Claim(
    id="C30",
    paper="loshchilov2019",
    statement=(
        "Normalised weight decay λ_ind = λ_norm√(B/(NE)) means a timescale of 1/(λ_norm√T) of a run of T = NE/B steps: "
        "a longer run averages over a smaller share of itself."
    ),
    source="Loshchilov & Hutter, arXiv 1711.05101 (normalised weight decay); THEORY.md §5",
    assumptions=("decay independent of η", "constant schedule"),
    kinds=("exact",),
    levels={"symbolic": Level(proof("normalised-decay")), "numeric": Level(numeric)},
)
