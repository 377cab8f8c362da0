"""C31: epochs that visit every item once lower the noise of AdamW's average, and so shorten its best timescale."""

from __future__ import annotations

from functools import partial

from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Bounded, Evidence, Order
from ..proof import POINTS, formulas, proof

STEPS_PER_EPOCH, SIGNAL = 200, 1.0  # M, and S = b²/σ²
EPOCHS = {"smoke": (10, 20, 40), "quick": (10, 20, 40, 80, 160), "full": (10, 20, 40, 80, 160, 320)}
SPAN = (-1.5, 3.5)  # log₁₀ of the timescales, in epochs, among which the best one is looked for


def reshuffled(timescale: FloatArray) -> FloatArray:
    """R(τ_e), the derived form."""
    from ...derivations import derive

    found: FloatArray = derive("reshuffling").function("large_variance_ratio")(timescale_epochs=timescale)
    return found


def independent(timescale: FloatArray) -> FloatArray:
    """The factor of independent draws."""
    import numpy as np

    return np.ones_like(timescale)


def risk(timescale: FloatArray, epochs: int, factor: str) -> FloatArray:
    """Squared distance from the training mean, in units of σ²: e^{−2E/τ}S + factor·(1 − e^{−2E/τ})/(2Mτ)."""
    import numpy as np

    left = np.exp(-2 * epochs / timescale)
    ratio = {"reshuffled": reshuffled, "independent": independent}[factor](timescale)
    found: FloatArray = left * SIGNAL + ratio * (1 - left) / (2 * STEPS_PER_EPOCH * timescale)
    return found


def best(epochs: int, factor: str = "reshuffled") -> float:
    """The timescale, in epochs, of the least risk: the best of a fine grid, then a search between its neighbours."""
    import numpy as np
    from scipy.optimize import minimize_scalar

    grid = np.linspace(*SPAN, 2001)
    at = int(np.argmin(risk(10.0**grid, epochs, factor)))
    between = (grid[at - 1], grid[at + 1])
    of_log = partial(at_logarithm, epochs=epochs, factor=factor)
    return float(10 ** minimize_scalar(of_log, bounds=between, method="bounded", options={"xatol": 1e-10}).x)


def at_logarithm(log_timescale: float, epochs: int, factor: str) -> float:
    import numpy as np

    return float(risk(np.asarray(10.0**log_timescale), epochs, factor))


def numeric(tier: str) -> Evidence:
    """The forms against brute force; R's order in 1/τ_e; how the best timescale moves with the epochs."""
    import numpy as np

    epochs, far = np.array(EPOCHS[tier], dtype=np.float64), np.ldexp(1.0, np.arange(3, 9))
    found = {factor: np.array([best(n, factor) for n in EPOCHS[tier]]) for factor in ("reshuffled", "independent")}
    return Evidence(
        (
            *formulas("reshuffling", POINTS[tier]),
            Order("noise left by reshuffling, in 1/τ_e", 1 / far, reshuffled(far), 2.0),
            Bounded("1 over the best τ_e: it is at least one epoch", 1 / found["reshuffled"], 1.0, 0.0),
            Bounded("best τ_e over the epochs: it is at most E", found["reshuffled"] / epochs, 1.0, 0.0),
            Bounded("best τ_e before over after more epochs: it grows", ratios(found["reshuffled"]), 1.0, 0.0),
            Bounded("growth of the best τ_e over E's", ratios(epochs) / ratios(found["reshuffled"]), 1.0, 0.0),
            Bounded("best τ_e over that of independent draws", found["reshuffled"] / found["independent"], 1.0, 0.0),
        )
    )


def ratios(values: FloatArray) -> FloatArray:
    """Each value over the next."""
    return values[:-1] / values[1:]


CLAIM = Claim(
    id="C31",
    paper="wang2025",
    statement=(
        "Over epochs that visit each of M items once AdamW's average has R = (1 − a²)·M/(M − 1)·(S₂ − S₁²/M)/"
        "(1 − a^{2M}) times the variance of independent draws, at large M R(τ_e) = 1 − 2τ_e tanh(1/(2τ_e)), which "
        "tends to 1/(12τ_e²). The timescale of the least training-mean risk lies between 1 and E epochs for E ≥ 10, "
        "grows with E but less than in proportion, and is shorter than independent draws would make it."
    ),
    source="Wang & Aitchison, arXiv 2405.13698 (the range of the best τ_epoch); the factor: THEORY.md T3",
    assumptions=("targets are the items, as in T1", "constant η and λ", "the risk about the training mean", "M = 200"),
    kinds=("exact", "bound"),
    levels={"symbolic": Level(proof("reshuffling", "reshuffled-risk")), "numeric": Level(numeric)},
)
