"""C38: float32 applies ηλ only to within 2⁻²⁵/(ηλ)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...optimizers import SGD, Optimizer
from ...typing import FloatArray, Value
from ..claim import Claim, Level
from ..evidence import Bounded, Curve, Evidence, Exact, Fails, Figure, Sampled, largest
from ..seeds import chosen_seed

RATES = {"smoke": 1000, "quick": 100_000, "full": 10_000_000}

# Multipliers 1 − n·2⁻²⁴ with ηλ half a unit above n, a tie that the even n takes: the error is the largest there is.
UNITS = (16, 32, 64)
# Weights through the binade from 1 to 2 and, in float32, updates of two of its spacings for so many steps.
WEIGHTS, LR, STEPS, SEED = 1024, 2.0**-22, 300, 38
COPIES = {"smoke": 8, "quick": 64, "full": 256}
RESOLUTION = 0.1  # of the largest relative error
TORCH_RATES = (2.0**-26, 2.0**-25, 1e-7, 3e-7, 1e-6, 1e-5, 1e-3)


def realised(rates: FloatArray) -> FloatArray:
    """What a float32 weight of 1 loses when it is multiplied by the float32 nearest to 1 − ηλ."""
    return np.asarray(1 - (1 - rates).astype(np.float32).astype(np.float64))


def bound(rates: FloatArray) -> FloatArray:
    """The derived largest relative error."""
    from ...derivations import derive

    return np.asarray(derive("float32-decay").function("largest_relative_error")(decay_per_step=rates))


def shares(rates: FloatArray) -> FloatArray:
    """The relative errors as shares of the largest there can be."""
    return np.asarray(np.abs(realised(rates) / rates - 1) / bound(rates))


def numeric(tier: str) -> Evidence:
    """float32's own rounding at rates spread over decades, at ties, and below the threshold."""
    count = RATES[tier]
    rates = np.geomspace(2.0**-26, 0.5, count)
    ties = (np.arange(1, 1001) + 0.5) / 2**24
    lost = realised(np.geomspace(1e-12, 2.0**-25, 1000))
    reason = "the multipliers next to a tie are exact in float32 and float64"
    return Evidence(
        (
            # 1 − ηλ is rounded to float64 first, which moves a share of the bound by 2⁻⁵³/2⁻²⁵.
            Bounded("relative errors over the bound", shares(rates), 1.0, 2.0**-27),
            Exact("errors at ties, which reach it", largest(np.abs(shares(ties) - 1)), 2.0**-27, len(ties), reason),
            Exact("decay applied up to 2⁻²⁵", largest(lost), 0.0, len(lost), reason),
            Fails("error at ηλ = 1e-7", float(shares(np.array([1e-7]))[0]), 0.1, 1, "it is 19 % off there"),
        )
    )


class MultipliedState(NamedTuple):
    """The weight alone."""

    weight: Value


class MultipliedCoefficients(NamedTuple):
    """1 − ηλ as one number, which the state's precision rounds, and η."""

    keep: Value
    lr: Value


@dataclass(frozen=True, eq=False, repr=False)
class Multiplied(Optimizer):
    """w ← (1 − ηλ)·w − ηg, as torch.optim.AdamW decays; this project's own optimizers subtract (ηλ)·w."""

    lr: Any
    weight_decay: Any

    State = MultipliedState
    Coefficients = MultipliedCoefficients

    def coefficients(self, xp: Any, time: Any) -> MultipliedCoefficients:
        return MultipliedCoefficients(1 - time.lr * time.weight_decay, time.lr)

    def update(self, xp: Any, state: MultipliedState, gradient: Value, c: MultipliedCoefficients) -> MultipliedState:
        return MultipliedState(c.keep * state.weight - c.lr * gradient)


def tied() -> FloatArray:
    """ηλ half way between two multipliers."""
    return (np.array(UNITS) + 0.5) * 2.0**-24


def binade() -> FloatArray:
    return 1 + (np.arange(WEIGHTS) + 0.5) / WEIGHTS


def storing() -> FloatArray:
    """What storing the product adds to the relative error of the mean weight's decay, at the most.

    Through the binade a step loses n/2 … n spacings, rounded to whole ones, which evens out but for the two ends: 1/8
    each, of n/2 times the mean 3n/4. Weights that are `WEIGHTS` apart miss 1/(3·WEIGHTS) of it.
    """
    return np.asarray(2 / (3 * np.array(UNITS, dtype=np.float64) ** 2) + 1 / (3 * WEIGHTS))


def off(ends: FloatArray) -> tuple[FloatArray, FloatArray]:
    """By how much decay is short of ηλ, relative, from weights (rate, copies, weights) at the end of a run."""
    left = ends.sum(axis=2) / binade().sum()
    short = 1 - (1 - left ** (1 / STEPS)) / tied()[:, None]
    return short.mean(axis=1), short.std(axis=1, ddof=1) / np.sqrt(short.shape[1])


def short_of_the_rate(what: str, ends: FloatArray, predicted: FloatArray) -> Sampled:
    """Against a prediction, to a share of the largest relative error."""
    short, errors = off(ends)
    return Sampled(what, short, predicted, errors, ends.shape[1], RESOLUTION * bound(tied()), storing())


def simulated(tier: str) -> Evidence:
    """The error in the mean decay of weights with noise on, as torch's multiplier has it, and as w − (ηλ)·w has it."""
    largest_error = bound(tied())
    decay = xr.DataArray(tied() / LR, dims="weight_decay")
    multiplied = walked(Multiplied(lr=LR, weight_decay=decay), tier)
    subtracted = walked(SGD(lr=LR, weight_decay=decay, decay="per_lr"), tier)
    findings = (
        short_of_the_rate("relative error of decay by the rounded 1 − ηλ, at ties", multiplied, largest_error),
        short_of_the_rate("relative error of decay by subtraction of (ηλ)·w", subtracted, 0 * largest_error),
    )
    return Evidence(findings, (chosen_seed(SEED),), (errors_drawn("simulated in float32", multiplied),), "numpy")


def walked(optimizer: Optimizer, tier: str) -> FloatArray:
    """Weights of a binade after a walk in float32, shape (rate, copies, weights)."""
    import ematheory as em

    problem = em.NoisyQuadratic(curvature=np.zeros(WEIGHTS), noise=1.0, init=binade())
    seen = em.simulate(
        problem, optimizer, steps=STEPS, record=[STEPS], trajectories=range(COPIES[tier]), replicas=COPIES[tier],
        seed=chosen_seed(SEED), dtype="float32",
    )  # fmt: skip
    return np.asarray(seen.trajectory.isel(step=0).transpose("weight_decay", "replica", "coordinate").values)


def errors_drawn(title: str, ends: FloatArray) -> Figure:
    short, errors = off(ends)
    curve = Curve("at ties", tied(), bound(tied()), short, errors)
    return Figure(f"Decay short of ηλ, {title}", "ηλ", "relative error", (curve,), log_x=True, log_y=True)


def trained(tier: str) -> Evidence:
    """torch.optim.AdamW in float32 on each of its code paths: bit by bit, at the bound, and with updates on."""
    from ...training import crosschecks

    findings: list[Any] = []
    for path in ("single", "foreach", "fused"):
        findings += [repeats_the_rounded_multiplier(path), within_the_bound(path, tier)]
    ends = np.stack(
        [
            crosschecks.walked_in_float32(
                binade(),
                "single",
                lr=LR,
                weight_decay=rate / LR,
                steps=STEPS,
                copies=COPIES[tier],
                seed=chosen_seed(SEED),
            )
            for rate in tied()
        ]
    )
    walk = short_of_the_rate("torch.optim.AdamW with updates on: relative error of decay, at ties", ends, bound(tied()))
    return Evidence((*findings, walk), (chosen_seed(SEED),), (errors_drawn("torch.optim.AdamW in float32", ends),))


def repeats_the_rounded_multiplier(path: str) -> Exact:
    """A binade's weights after 50 steps of decay, against float32 products by the float32 nearest to 1 − ηλ."""
    from ...training import crosschecks

    apart = []
    for rate in (*TORCH_RATES, *tied()):
        expected = binade().astype(np.float32)
        for _ in range(50):
            expected = expected * np.float32(1 - rate)
        seen = crosschecks.stored(binade(), path, lr=1.0, weight_decay=rate, steps=50, dtype="float32")
        apart.append(float(np.abs(seen - expected.astype(np.float64)).max()))
    reason = "the same two roundings a step, of 1 − ηλ and of the product"
    return Exact(f"torch.optim.AdamW, {path}: weights after 50 steps", largest(apart), 0.0, len(apart), reason)


def within_the_bound(path: str, tier: str) -> Bounded:
    """One step on a weight of 1, which holds the multiplier itself."""
    from ...training import crosschecks

    rates = np.geomspace(2.0**-26, 0.5, {"smoke": 30, "quick": 300, "full": 3000}[tier])
    left = [
        crosschecks.stored(np.ones(1), path, lr=1.0, weight_decay=rate, steps=1, dtype="float32").item()
        for rate in rates
    ]
    errors = np.abs((1 - np.array(left)) / rates - 1) / bound(rates)
    return Bounded(f"torch.optim.AdamW, {path}: relative errors over 2⁻²⁵/(ηλ)", errors, 1.0, 2.0**-27)


CLAIM = Claim(
    id="C38",
    paper="wang2025",
    statement=(
        "On float32 weights AdamW decays by ηλ only up to a relative error 2⁻²⁵/(ηλ), and not at all up to 2⁻²⁵; the "
        "error is of the multiplier, so noise does not average it away."
    ),
    source="torch.optim.AdamW multiplies by 1 − ηλ in the weight's precision; THEORY.md §8",
    assumptions=("weights in float32", "decay as a multiplication by the rounded 1 − ηλ"),
    kinds=("exact",),
    levels={
        "numeric": Level(numeric),
        "simulated": Level(simulated),
        "trained": Level(trained, needs=("torch",)),
    },
)
