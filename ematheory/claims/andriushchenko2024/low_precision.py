"""C29: bfloat16 weights lose small decay to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Bounded, Curve, Evidence, Exact, Fails, Figure, Sampled, largest
from ..seeds import chosen_seed

# Decay steps after which nothing moves any more, or everything has fallen by more than a binade.
STEPS = 2000
RATES = {"smoke": 3, "quick": 20, "full": 200}
SIGNIFICANDS = np.arange(128, 256) / 128.0  # every bfloat16 of the binade from 1 to 2
REASON = "rounding to nearest is exact: a weight moves or does not"

# Rates that times a bfloat16 have at most 24 bits, so that float32 holds the products: 2⁻⁹ is 64 of these units, and
# the other threshold is between 126 and 127.
UNIT = 2.0**-15
UNITS = (60, 90, 160)
TORCH_UNITS = {"smoke": (1, 64, 65, 90, 126, 127, 192, 193), "quick": range(1, 257, 3), "full": range(1, 257)}
TORCH_STEPS = 200

# Steps at which the mean is looked at, replicas of each weight, and the difference in it, relative, that would matter:
# weights that are lost to nearest rounding keep all of themselves.
RECORD, RESOLUTION, SEED = (20, 50, 100, 200, 400), 0.02, 29
REPLICAS, COPIES = {"smoke": 512, "quick": 4096, "full": 16_384}, {"smoke": 16, "quick": 64, "full": 256}
FLOAT32 = 2.0**-23  # of the product and the difference of a step, relative


def bfloat16(weights: FloatArray) -> FloatArray:
    """Rounded to 8 bits of significand, ties to even."""
    fraction, exponent = np.frexp(weights)
    return np.asarray(np.ldexp(np.rint(fraction * 256), exponent - 8))


def decayed(rate: float, steps: int) -> FloatArray:
    """Every weight of a binade after some steps of decay, each stored in bfloat16."""
    weights = SIGNIFICANDS.copy()
    for _ in range(steps):
        weights = bfloat16(weights * (1 - rate))
    return weights


def thresholds() -> tuple[float, float]:
    """Up to which rate nothing moves, and from which everything passes through, as derived."""
    from ...derivations import derive

    derivation = derive("bfloat16-decay")
    names = ("nothing_moves_up_to", "passes_through_from")
    first, last = (float(derivation.result_equation(name).rhs) for name in names)
    return first, last


def stopping_place(rate: float) -> FloatArray:
    """Where each weight of the binade stops between the thresholds: the significand 1/(2ηλ), rounded down."""
    last = np.floor(1 / (2 * rate)) / 128
    # A power of two itself falls into the binade below, and on to the same significand there.
    return np.asarray(np.where(SIGNIFICANDS == 1, last / 2, np.minimum(SIGNIFICANDS, last)))


def numeric(tier: str) -> Evidence:
    """Every weight of a binade under pure decay, at rates below, between and above the derived thresholds."""
    first, last = thresholds()
    count = RATES[tier]
    shares = (np.arange(count) + 0.5) / count
    below, between = first * shares, first + (last - first) * shares
    moved = [float((decayed(rate, 1) != SIGNIFICANDS).sum()) for rate in (*below, first)]
    off = [float(np.abs(decayed(rate, STEPS) - stopping_place(rate)).max()) for rate in between]
    above = [float(decayed(rate, STEPS).max()) for rate in (last, 1.01 * last, 2 * last)]
    return Evidence(
        (
            Exact("weights that move at or below 2⁻⁹", largest(moved), 0.0, len(moved), REASON),
            Exact("where weights stop between the thresholds", largest(off), 0.0, len(off), REASON),
            Bounded("weights left above half of a binade's end, beyond the thresholds", above, 0.5, 0.0),
            Fails(
                "weights that move just above 2⁻⁹", float((decayed(1.001 * first, 1) != SIGNIFICANDS).sum()), 0.0, 1,
                "a power of two does",
            ),
        )
    )  # fmt: skip


def simulated(tier: str) -> Evidence:
    """The engine's bfloat16 weights: nearest rounding to the last bit, and the mean with stochastic rounding."""
    from .. import simulated as engine

    nearest, chance = runs(tier)
    findings = [
        Exact(
            f"weights after {STEPS} steps at ηλ = {units}·2⁻¹⁵, nearest",
            float(np.abs(nearest.trajectory.isel(weight_decay=i).values.ravel() - decayed(units * UNIT, STEPS)).max()),
            0.0, SIGNIFICANDS.size, REASON,
        )
        for i, units in enumerate(UNITS)
    ]  # fmt: skip
    mean = share_left(chance)
    expected = kept(chance.weight_decay, chance.step)
    frozen = Fails(
        "mean with stochastic rounding where nearest rounding keeps the weights as they are",
        float(1 - mean.weight_mean.isel(weight_decay=0)[-1]), RESOLUTION, engine.replicas(chance), "of the weight",
    )  # fmt: skip
    law = engine.sampled(
        "share of the weight left with stochastic rounding", mean, "weight_mean", expected,
        resolution=RESOLUTION * expected, allowance=mean.step * FLOAT32,
    )  # fmt: skip
    drawn = engine.curves(mean, "weight_mean", expected, "weight_decay", [f"ηλ = {units}·2⁻¹⁵" for units in UNITS])
    figure = Figure("bfloat16 weights with stochastic rounding", "step", "share of the weight left", drawn)
    return Evidence((*findings, law, frozen), (chosen_seed(SEED),), (figure,), engine.engine(chance))


def runs(tier: str) -> tuple[xr.Dataset, xr.Dataset]:
    """Pure decay of a binade's weights, rounded to nearest and by chance."""
    import ematheory as em

    problem = em.NoisyQuadratic(curvature=np.zeros(SIGNIFICANDS.size), noise=0.0, init=SIGNIFICANDS)
    optimizer = em.AdamW(lr=1.0, weight_decay=[units * UNIT for units in UNITS], betas=(0.0, 0.0), eps=1.0)
    stored: dict[str, Any] = {"dtype": "float32", "weights": "bfloat16", "seed": chosen_seed(SEED)}
    nearest = em.simulate(problem, optimizer, steps=STEPS, record=[STEPS], trajectories=[0], replicas=1, **stored)
    chance = em.simulate(
        problem, optimizer, steps=RECORD[-1], record=list(RECORD), observables="weight_mean",
        replicas=REPLICAS[tier], rounding="stochastic", **stored,
    )  # fmt: skip
    return nearest, chance


def share_left(seen: xr.Dataset) -> xr.Dataset:
    """E w/w₀, the mean over the binade, whose weights have roundings of their own."""
    start = xr.DataArray(SIGNIFICANDS, dims="coordinate")
    errors = np.sqrt(((seen.weight_mean_sem / start) ** 2).sum("coordinate")) / SIGNIFICANDS.size
    return seen.assign(weight_mean=(seen.weight_mean / start).mean("coordinate"), weight_mean_sem=errors)


def kept(rate: Any, step: Any) -> Any:
    """(1 − ηλ)^t, as derived for the mean."""
    return (1 - rate) ** step


def trained(tier: str) -> Evidence:
    """torch.optim.AdamW on bfloat16 weights: what each of its code paths does, and a mean that chance restores."""
    findings = [path_keeps_to_its_rule(path, tier) for path in RULES]
    findings += [update_is_added(path) for path in RULES]
    law, figure = by_chance(tier)
    return Evidence((*findings, foreach_differs(), law), (chosen_seed(SEED),), (figure,))


def separate(weights: FloatArray, rate: float, lr: float = 0.0) -> FloatArray:
    """Decay rounded, then the update rounded, as torch's single-tensor path does."""
    return bfloat16(bfloat16(weights * (1 - rate)) - lr)


def multiplier_first(weights: FloatArray, rate: float, lr: float = 0.0) -> FloatArray:
    """The same with 1 − ηλ itself in bfloat16 before it multiplies: the foreach path."""
    return separate(weights, 1 - float(bfloat16(np.array([1 - rate]))[0]), lr)


def together(weights: FloatArray, rate: float, lr: float = 0.0) -> FloatArray:
    """Decay and update added before one rounding: the fused path."""
    return bfloat16(weights * (1 - rate) - lr)


RULES = {"single": separate, "foreach": multiplier_first, "fused": together}


def path_keeps_to_its_rule(path: str, tier: str) -> Exact:
    """Every weight of a binade after `TORCH_STEPS` of decay, at rates on both sides of both thresholds."""
    from ...training import crosschecks

    off = []
    for units in TORCH_UNITS[tier]:
        rate, expected = units * UNIT, SIGNIFICANDS
        for _ in range(TORCH_STEPS):
            expected = RULES[path](expected, rate)
        seen = crosschecks.stored(SIGNIFICANDS, path, lr=1.0, weight_decay=rate, steps=TORCH_STEPS)
        off.append(float(np.abs(seen - expected).max()))
    return Exact(
        f"torch.optim.AdamW, {path}: weights after {TORCH_STEPS} steps of decay", largest(off), 0.0,
        len(off) * SIGNIFICANDS.size, REASON,
    )  # fmt: skip


def update_is_added(path: str) -> Exact:
    """One step with decay and an update that are each lost alone and are not where they are added first."""
    from ...training import crosschecks

    rate, lr = thresholds()[0] - 4 * UNIT, 2.0**-9
    seen = crosschecks.stored(SIGNIFICANDS, path, lr=lr, weight_decay=rate / lr, steps=1, gradient=1.0)
    off = np.abs(seen - RULES[path](SIGNIFICANDS, rate, lr)).max()
    moved = int((seen != SIGNIFICANDS).sum())
    return Exact(
        f"torch.optim.AdamW, {path}: decay and update, each below half a spacing, move {moved} of 128", float(off), 0.0,
        SIGNIFICANDS.size, REASON,
    )  # fmt: skip


def foreach_differs() -> Fails:
    """Just above 2⁻⁹ the foreach path moves every weight, where only powers of two would move."""
    from ...training import crosschecks

    rate = thresholds()[0] + UNIT
    seen = crosschecks.stored(SIGNIFICANDS, "foreach", lr=1.0, weight_decay=rate, steps=1)
    return Fails(
        "torch.optim.AdamW, foreach: as if 1 − ηλ were not rounded first", float(np.abs(seen - decayed(rate, 1)).max()),
        0.0, SIGNIFICANDS.size, "largest difference of a weight",
    )  # fmt: skip


def by_chance(tier: str) -> tuple[Sampled, Figure]:
    """The mean of weights that torch steps in float32 and that chance rounds, beside what nearest rounding leaves."""
    from ...training import crosschecks

    curves, means, errors = [], [], []
    steps = np.array(RECORD)
    for units in UNITS:
        rate, n = units * UNIT, COPIES[tier]
        seen = crosschecks.stochastically_stored(
            SIGNIFICANDS, weight_decay=rate, record=list(RECORD), copies=n, seed=chosen_seed(SEED)
        )
        left = (seen / SIGNIFICANDS).mean(axis=2)
        means.append(left.mean(axis=0))
        errors.append(left.std(axis=0, ddof=1) / n**0.5)
        frozen = [(decayed(rate, step) / SIGNIFICANDS).mean() for step in RECORD]
        label = f"ηλ = {units}·2⁻¹⁵"
        curves.append(Curve(f"{label}, by chance", RECORD, kept(rate, steps), means[-1], errors[-1]))
        curves.append(Curve(f"{label}, nearest", RECORD, kept(rate, steps), frozen))
    expected = np.array([kept(units * UNIT, steps) for units in UNITS])
    law = Sampled(
        "torch.optim.AdamW, rounded by chance: share of the weight left", np.array(means), expected, np.array(errors),
        COPIES[tier], RESOLUTION * expected, np.broadcast_to(steps * FLOAT32, expected.shape),
    )  # fmt: skip
    return law, Figure("bfloat16 weights under decay alone", "step", "share of the weight left", tuple(curves))


CLAIM = Claim(
    id="C29",
    paper="andriushchenko2024",
    statement=(
        "Weights stored in bfloat16 and rounded to nearest do not decay at all for ηλ ≤ 2⁻⁹ = 0.00195, stop within "
        "their binade below 2⁻⁸/(1 + 2⁻⁷) = 0.00388, and keep decaying only from there. torch's single-tensor AdamW "
        "rounds decay and update in turn, the fused one their sum, the foreach one 1 − ηλ first, so that it decays in "
        "multiples of 2⁻⁸. Stochastic rounding keeps the mean (1 − ηλ)^t w₀."
    ),
    source="the mechanism behind the paper's section on bfloat16 (arXiv 2310.04415); THEORY.md §8",
    assumptions=("the weight itself is stored in bfloat16", "round to nearest, ties to even", "decay alone, no update"),
    kinds=("exact", "empirical"),
    levels={
        "numeric": Level(numeric),
        "simulated": Level(simulated),
        "trained": Level(trained, needs=("torch",)),
    },
)
