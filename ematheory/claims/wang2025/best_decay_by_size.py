"""C24: the best decay falls as 1/N at a fixed learning rate, on a model: the data's own error is what decay is for."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import xarray as xr

from ...optimizers import SGD
from ...problems import ReshuffledData
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Bounded, Curve, Evidence, Figure, Finding, Order
from ..paired import averaged, exceeds
from ..seeds import chosen_seed
from ..simulated import engine
from .best_decay_of_networks import trained

# One curvature, with the optimum one off the start, and items whose gradients have sixteen times the variance that the
# optimum would have: decay is worth something.
LR, CURVATURE, NOISE, OPTIMUM, EPOCHS = 0.01, 1.0, 16.0, 1.0, 20
# At most a quarter of the 4/(ηh) items at which the gradients' own noise asks for as much decay as the data's error.
SIZES = (25, 50, 100)
FLOOR = 6400  # so many items that one epoch is far beyond 1/(ηh)
DECAYS: FloatArray = np.geomspace(1e-3, 10.0, 25)
# Sizes of the runs, λ over the best, and what is resolved of a difference.
FEW, MANY, SHARES, RESOLUTION = 25, 100, (0.25, 1.0, 4.0), 0.5
WIDTH, REPLICAS, SEED = 64, {"smoke": 128, "quick": 512, "full": 2048}, 24


def data(size: int, width: int = 1) -> ReshuffledData:
    return ReshuffledData([CURVATURE] * width, size=size, noise=NOISE, optimum=OPTIMUM, init=0.0)


def risks(size: int, decays: Any, epochs: int = EPOCHS) -> FloatArray:
    """The population's risk per coordinate after the epochs, at each decay, by exact moments."""
    from ...prediction import predict

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a decay that takes λ to the end of stability is not the best one
        optimizer, steps = SGD(lr=LR, weight_decay=list(decays)), size * epochs
        found: FloatArray = predict(data(size), optimizer, steps=steps, record=[steps]).risk.values
    return found.ravel()


def best(size: int, epochs: int = EPOCHS) -> float:
    """The decay of the least risk: the lowest of a grid in log λ, and twice a finer one around it."""
    logs, width = np.log(DECAYS), float(np.log(DECAYS[1] / DECAYS[0]))
    for _ in range(3):
        lowest = logs[np.argmin(risks(size, np.exp(logs), epochs))]
        logs, width = np.linspace(lowest - width, lowest + width, 25), width / 12
    return float(np.exp(lowest))


def numeric(tier: str) -> Evidence:
    """The order of the best decay in 1/N, and the floor that the gradients' noise sets it in a single pass of many."""
    found = [best(size) for size in SIZES]
    in_proportion = found[-1] * SIZES[-1] / FLOOR
    return Evidence(
        (
            Order("best λ, by 1/N", [1 / size for size in SIZES], found, 1.0),
            Bounded(
                "λ ∝ 1/N over the best, where an epoch is long", [in_proportion / best(FLOOR, epochs=1)], 0.5, 0.0
            ),
        )
    )  # fmt: skip


def runs(size: int, decays: Any, tier: str) -> tuple[xr.DataArray, xr.Dataset]:
    """Each replica's risk per coordinate after the epochs; every replica has a data set of its own."""
    import ematheory as em

    replicas, steps = REPLICAS[tier], size * EPOCHS
    run = em.simulate(
        data(size, WIDTH), SGD(lr=LR, weight_decay=list(decays)), steps=steps, record=[steps], replicas=replicas,
        seed=chosen_seed(SEED), trajectories=range(replicas),
    )  # fmt: skip
    distance = run.trajectory.isel(step=0, drop=True) - OPTIMUM
    return (CURVATURE / 2 * distance**2).mean("coordinate").rename(weight_decay="share"), run


def beside(size: int, tier: str) -> tuple[list[Finding], Curve, xr.Dataset]:
    """The risk at shares of λ = λ_best(FEW)·FEW/N less that at this λ itself: as predicted, and above 0."""
    at = best(FEW) * FEW / size
    decays = [share * at for share in SHARES]
    risk, run = runs(size, decays, tier)
    middle = SHARES.index(1.0)
    others = [place for place in range(len(SHARES)) if place != middle]
    difference = (risk - risk.isel(share=middle, drop=True)).isel(share=others)
    expected = risks(size, decays)
    rises = xr.DataArray((expected - expected[middle])[others], dims="share")
    errors = risk.std("replica", ddof=1) / np.sqrt(risk.sizes["replica"])
    curve = Curve(f"N = {size}", decays, expected, risk.mean("replica").values, errors.values)
    findings: list[Finding] = [
        averaged(f"risk over that at λ ∝ 1/N, N = {size}", difference, rises, resolution=RESOLUTION * abs(rises)),
        exceeds(f"no more risk than at λ ∝ 1/N, N = {size}", difference),
    ]
    return findings, curve, run


def simulated(tier: str) -> Evidence:
    """With four times the data a quarter of the decay is better than what was best, and than a quarter of itself."""
    few, many = beside(FEW, tier), beside(MANY, tier)
    title = f"Risk after {EPOCHS} epochs at η = {LR:g}"
    figure = Figure(title, "λ", "risk of a coordinate", (few[1], many[1]), log_x=True)
    return Evidence((*few[0], *many[0]), (chosen_seed(SEED),), (figure,), engine(few[2]))


CLAIM = Claim(
    id="C24",
    paper="wang2025",
    statement=(
        "On N items with quadratic losses, seen in many epochs at a fixed η and batch size, the λ that SGD generalises "
        "best with goes as 1/N, so that the best τ_epoch stays, while an epoch is short beside 1/(ηh); where it is "
        "long the gradients' own noise sets a floor that N does not move."
    ),
    source="a model of the rule λ ∝ 1/N, measured on networks by Wang & Aitchison, arXiv 2405.13698; THEORY.md E8, Q12",
    assumptions=(
        "a quadratic loss, the risk of the population",
        "SGD with L2 from w₀ = 0, constant η, batches of one",
        "20 epochs with N up to 100 for the rule, at ηh = 0.01; one with N = 6400 for the floor",
    ),
    kinds=("empirical", "bound"),
    levels={
        "numeric": Level(numeric),
        "simulated": Level(simulated),
        # On the model the gradients' own noise asks for decay as well, which N does not move; on networks it is seen.
        "trained": Level(trained, expected="refuted", tiers=("quick", "full"), needs=("torch", "sklearn")),
    },
)
