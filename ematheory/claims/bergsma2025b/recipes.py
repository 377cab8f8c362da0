"""C19: the timescales of published recipes against the power law in tokens per parameter."""

from __future__ import annotations

import numpy as np

from ...power_laws import POWER_LINES
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Figure, Sampled

# The slope of no law at all is as far from the law's as the law's is from 0: that much must be told apart, and half of
# it would be another law.
RESOLUTION = abs(POWER_LINES.exponent) / 2
# A factor of two in the level: what practitioners try between runs.
LEVEL = np.log(2)


def timescales() -> tuple[list[str], np.ndarray, np.ndarray]:
    """Name, tokens per parameter and timescale at the peak rate (share of the run) of each AdamW recipe."""
    from ...published_recipes import published

    chosen = [entry for entry in published().values() if entry.optimizer == "AdamW"]
    tokens = np.array([entry.tokens_per_parameter for entry in chosen])
    shares = np.array([float(entry.recipe.timescale().peak.run_fraction) for entry in chosen])
    return [entry.name for entry in chosen], tokens, shares


def numeric(tier: str) -> Evidence:
    """The slope of log τ in log TPP over the published recipes, and their mean distance from the law."""
    from scipy.stats import linregress

    names, tokens, shares = timescales()
    fit = linregress(np.log(tokens), np.log(shares))
    distance = np.log(shares / POWER_LINES.run_fraction(tokens))
    n = len(names)
    order = np.argsort(tokens)
    curve = Curve("published recipes", tokens[order], POWER_LINES.run_fraction(tokens[order]), shares[order])
    return Evidence(
        (
            Sampled("slope of log τ in log TPP", fit.slope, POWER_LINES.exponent, fit.stderr, n, RESOLUTION),
            Sampled(
                "mean log of τ over the law", distance.mean(), 0.0, distance.std(ddof=1) / np.sqrt(n), n, LEVEL
            ),
        ),
        figures=(
            Figure(
                "Timescales of published recipes (marks) and the power law (line)", "tokens per parameter",
                "timescale at the peak rate, share of the run", (curve,), log_x=True, log_y=True,
            ),
        ),
    )  # fmt: skip


CLAIM = Claim(
    id="C19",
    paper="bergsma2025b",
    statement=(
        "The timescales of published AdamW recipes at the peak rate, as shares of the run, follow the power law "
        "1.084·TPP^−0.527 in tokens per parameter."
    ),
    source="Bergsma et al., arXiv 2505.13738, the law read in a secondary source; recipes.toml",
    assumptions=(
        "published recipes as independent draws, each with its own deviation",
        "active parameters of mixtures of experts",
    ),
    kinds=("empirical",),
    levels={"numeric": Level(numeric, expected="inconclusive")},
)
