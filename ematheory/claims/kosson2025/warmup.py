"""C09: decay that grows with the width warms up the relative update by itself."""

from __future__ import annotations

import xarray as xr

from ...optimizers import AdamW
from ...problems import RandomWalk
from ..claim import Claim, Level
from ..evidence import Evidence, Figure
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import LARGE_EPS, curves, derived, engine, sampled

LR, DECAY, WIDTHS, SIZE, SEED = 0.02, 2.5, (1.0, 2.0, 4.0), 512, 9
RECORD = (0, 1, 3, 6, 12, 25, 50, 100)
REPLICAS = {"smoke": 512, "quick": 1024, "full": 4096}
# Relative, in (relative update)⁻²; without a warm-up it would be 16 times smaller at first for m = 4.
RESOLUTION = 0.02


def simulated(tier: str) -> Evidence:
    """(m rms_base/rms)² s_t⁻² is 1: E w² of each width from the base run's equilibrium against r_∞²/(m s_t)².

    The relative update of a width is (η/m)|u|/|w|, so its ratio to the base run's is the ratio of the two RMS over m.
    """
    import ematheory as em

    width = xr.DataArray(list(WIDTHS), dims="width")
    rest = derived("adamw-random-walk", "weight_rms", lr=LR, decay_per_step=LR * DECAY, one_minus_beta1=1.0)
    # v is held at 1 by a large ε, with which the rates are scaled; every width has its own.
    optimizer = AdamW(
        lr=LR * LARGE_EPS / width, weight_decay=DECAY * width / LARGE_EPS, beta1=0.0, eps=LARGE_EPS
    )  # fmt: skip
    measured = em.simulate(
        RandomWalk(size=SIZE, init=rest.item()), optimizer, steps=RECORD[-1], record=list(RECORD),
        replicas=REPLICAS[tier], seed=chosen_seed(SEED),
    )  # fmt: skip
    steps = measured.step.astype(float)
    ratio = derived("implicit-warmup", "relative_update", decay_per_step=LR * DECAY, width=width, steps=steps)
    expected = (rest / (width * ratio)) ** 2
    finding = sampled(
        "E w² behind the relative update", measured, "weight_mean_square", expected, resolution=RESOLUTION * expected,
        allowance=20 / LARGE_EPS * expected,
    )  # fmt: skip
    drawn = curves(measured, "weight_mean_square", expected, "width", [f"m = {m:g}" for m in WIDTHS])
    figure = Figure("Mean square weight with (η/m, mλ) from the base run's equilibrium", "step", "E w²", drawn)
    return Evidence((finding,), (chosen_seed(SEED),), (figure,), engine(measured))


CLAIM = Claim(
    id="C09",
    paper="kosson2025",
    statement=(
        "Against a base run (η, λ) at equilibrium, a run with (η/m, mλ) from the same weights has the relative update "
        "s_t = (1 + (m² − 1)a^{2t})^{−1/2} times the base run's: an implicit warm-up from 1/m to 1."
    ),
    source="Kosson et al., arXiv 2510.19093; THEORY.md R10",
    assumptions=("updates of constant mean square that know nothing of the weight (β₁ = 0)", "both runs start at rest"),
    kinds=("exact",),
    levels={"symbolic": Level(proof("implicit-warmup")), "simulated": Level(simulated)},
)
