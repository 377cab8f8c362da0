"""C31: epochs that visit every item once lower the noise of AdamW's average, and so shorten its best timescale."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from ...optimizers import SGD, AdamW
from ...problems import ReshuffledData
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Bounded, Curve, Evidence, Figure, Finding, Order
from ..paired import averaged, exceeds
from ..proof import POINTS, formulas, proof
from ..seeds import chosen_seed
from ..simulated import LARGE_EPS, derived, engine

STEPS_PER_EPOCH, SIGNAL = 200, 1.0  # M, and S = b²/σ²
EPOCHS = {"smoke": (10, 20, 40), "quick": (10, 20, 40, 80, 160), "full": (10, 20, 40, 80, 160, 320)}
SPAN = (-1.5, 3.5)  # log₁₀ of the timescales, in epochs, among which the best one is looked for

# The factor is measured on few items, where it is not that of large data sets, after epochs that forget the start.
ITEMS, SHARES, FORGOTTEN = 20, (0.25, 0.5, 1.0), 8
WIDTH, REPLICAS = 64, {"smoke": 384, "quick": 2048, "full": 8192}
# The best timescale of two lengths of a run; a run of the longer one passes through the shorter.
LENGTHS, RISK_WIDTH, RISK_REPLICAS = (10, 20), 64, {"smoke": 32, "quick": 128, "full": 512}
SEED = 31
# Relative. R is from 0.08 to 0.5 where independent draws have 1; at other timescales than the best the risk is at least
# 1.6 times the least.
RESOLUTION, RISK_RESOLUTION = 0.1, 0.25


def reshuffled(timescale: FloatArray) -> FloatArray:
    """R(τ_e), the derived form."""
    from ...derivations import derive

    found: FloatArray = derive("reshuffling").function("large_variance_ratio")(timescale_epochs=timescale)
    return found


def independent(timescale: FloatArray) -> FloatArray:
    """The factor of independent draws."""
    return np.ones_like(timescale)


def risk(timescale: FloatArray, epochs: int, factor: str) -> FloatArray:
    """Squared distance from the training mean, in units of σ²: e^{−2E/τ}S + factor·(1 − e^{−2E/τ})/(2Mτ)."""
    left = np.exp(-2 * epochs / timescale)
    ratio = {"reshuffled": reshuffled, "independent": independent}[factor](timescale)
    found: FloatArray = left * SIGNAL + ratio * (1 - left) / (2 * STEPS_PER_EPOCH * timescale)
    return found


def best(epochs: int, factor: str = "reshuffled") -> float:
    """The timescale, in epochs, of the least risk: the best of a fine grid, then a search between its neighbours."""
    from scipy.optimize import minimize_scalar

    grid = np.linspace(*SPAN, 2001)
    at = int(np.argmin(risk(10.0**grid, epochs, factor)))
    between = (grid[at - 1], grid[at + 1])
    of_log = partial(at_logarithm, epochs=epochs, factor=factor)
    return float(10 ** minimize_scalar(of_log, bounds=between, method="bounded", options={"xatol": 1e-10}).x)


def at_logarithm(log_timescale: float, epochs: int, factor: str) -> float:
    return float(risk(np.asarray(10.0**log_timescale), epochs, factor))


def numeric(tier: str) -> Evidence:
    """The forms against brute force; R's order in 1/τ_e; how the best timescale moves with the epochs."""
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


def training_risks(items: int, shares: Any, lengths: Any, width: int, replicas: int, sampling: str) -> xr.Dataset:
    """`risk`: each replica's mean (w − the mean of its data)² after epochs of AdamW from w₀ = 1, v held at 1, λ = 1.

    The items are the targets q = −u/λ, of variance 1. A step over the whole data set at η = 1 finds their mean.
    """
    import ematheory as em

    setting: dict[str, Any] = {"replicas": replicas, "seed": chosen_seed(SEED), "trajectories": range(replicas)}
    data: dict[str, Any] = {"curvature": [0.0] * width, "noise": 1.0, "size": items}
    optimizer = AdamW(
        lr=LARGE_EPS / (items * np.asarray(shares)), weight_decay=1 / LARGE_EPS, betas=(0.0, 0.5), eps=LARGE_EPS
    )  # fmt: skip
    ends = [items * epochs for epochs in lengths]
    run = em.simulate(
        ReshuffledData(**data, init=1.0, sampling=sampling), optimizer, steps=ends[-1], record=ends, **setting
    )
    whole = ReshuffledData(**data, init=0.0, batch_size=items)
    means = em.simulate(whole, SGD(lr=1.0), steps=1, record=[1], **setting).trajectory.isel(step=0, drop=True)
    risk = ((run.trajectory - means) ** 2).mean("coordinate").rename(lr="timescale", step="epochs")
    places = {"timescale": list(shares), "epochs": list(lengths)}
    return xr.Dataset({"risk": risk.assign_coords(places)}, attrs=run.attrs)


# From items, timescales in epochs, numbers of epochs, width, replicas and sampling to the risks.
Measure = Callable[[int, Any, Any, int, int, str], xr.Dataset]


def derived_risk(items: int, found: xr.Dataset, noise: Any = 1.0) -> xr.DataArray:
    """The derived risk about the data's own mean, which is w₀ less a mean of variance 1/M away at first."""
    given = {"steps_per_epoch": items, "decay_per_step": 1 / (items * found.timescale), "epochs": found.epochs}
    return derived(
        "reshuffled-risk", "training_risk", **given, squared_distance=1 + 1 / items,
        noise_variance=(items - 1) / items * noise,
    )  # fmt: skip


def factors(tier: str, measure: Measure = training_risks) -> tuple[list[Finding], Figure]:
    """Noise over that of independent draws, ηλ/(2 − ηλ): R in random order, 1 with every item drawn anew."""
    findings: list[Finding] = []
    curve = None
    for sampling in ("reshuffled", "replaced"):
        found = measure(ITEMS, SHARES, [FORGOTTEN], WIDTH, REPLICAS[tier], sampling)
        rate = 1 / (ITEMS * found.timescale)
        unit = (ITEMS - 1) / ITEMS * rate / (2 - rate)
        ratio = derived("reshuffling", "variance_ratio", steps_per_epoch=ITEMS, decay_per_step=rate)
        expected = ratio if sampling == "reshuffled" else xr.ones_like(ratio)
        # What is left of the start is a share e^{−2E/τ} of at most 2, which the derived risk has to the digit.
        left = derived_risk(ITEMS, found, noise=expected / ratio) / unit - expected
        findings.append(
            averaged(
                f"noise over that of independent draws, {sampling}", found.risk / unit, expected + left,
                resolution=RESOLUTION * expected,
            )
        )  # fmt: skip
        if sampling == "reshuffled":
            seen = (found.risk / unit).isel(epochs=0)
            errors = seen.std("replica", ddof=1) / np.sqrt(seen.sizes["replica"])
            curve = Curve("R(τ)", SHARES, expected.values.ravel(), seen.mean("replica").values, errors.values)
    assert curve is not None
    return findings, Figure("Noise of an average over reshuffled epochs", "timescale in epochs", "R", (curve,))


def optima(tier: str, measure: Measure = training_risks) -> tuple[list[Finding], xr.Dataset]:
    """The risk after two numbers of epochs, and that it is higher at each rival timescale than at the derived best."""
    few, many = LENGTHS
    best_few, best_many = best(few), best(many)
    rivals = {
        few: {"one epoch": 1.0, "E epochs": few, "the best for more epochs": best_many,
              "the best with independent draws": best(few, "independent")},
        many: {"one epoch": 1.0, "E epochs": many, "the best for fewer epochs": best_few,
               "that in proportion to E": best_few * many / few,
               "the best with independent draws": best(many, "independent")},
    }  # fmt: skip
    shares = sorted({best_few, best_many, *(float(each) for own in rivals.values() for each in own.values())})
    found = measure(STEPS_PER_EPOCH, shares, LENGTHS, RISK_WIDTH, RISK_REPLICAS[tier], "reshuffled")
    expected = derived_risk(STEPS_PER_EPOCH, found)
    findings: list[Finding] = [
        averaged("training-mean risk", found.risk, expected, resolution=RISK_RESOLUTION * expected)
    ]
    for epochs, own in rivals.items():
        least = found.risk.sel(epochs=epochs, timescale=best(epochs))
        findings += [
            exceeds(f"E = {epochs}: no more risk at {name}", found.risk.sel(epochs=epochs, timescale=each) - least)
            for name, each in own.items()
        ]
    return findings, found


def simulated(tier: str) -> Evidence:
    """The noise of AdamW's average over real epochs, and the timescale that leaves the least risk."""
    noise, figure = factors(tier)
    risks, found = optima(tier)
    return Evidence((*noise, *risks), (chosen_seed(SEED),), (figure,), engine(found))


def trained(tier: str) -> Evidence:
    """The same of torch.optim.AdamW; the least risk, for which runs are long, beyond the first tier."""
    noise, figure = factors(tier, torch_risks)
    risks = [] if tier == "smoke" else optima(tier, torch_risks)[0]
    return Evidence((*noise, *risks), (chosen_seed(SEED),), (figure,))


def torch_risks(items: int, shares: Any, lengths: Any, width: int, replicas: int, sampling: str) -> xr.Dataset:
    """As `training_risks`."""
    from ...training import crosschecks

    risks = [
        crosschecks.averaged_items(
            items, lr=LARGE_EPS / (items * share), weight_decay=1 / LARGE_EPS, eps=LARGE_EPS, epochs=list(lengths),
            width=width, replicas=replicas, sampling=sampling, seed=chosen_seed(SEED),
        )
        for share in shares
    ]  # fmt: skip
    places = {"timescale": list(shares), "epochs": list(lengths)}
    return xr.Dataset({"risk": (("timescale", "replica", "epochs"), np.array(risks))}, coords=places)


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
    assumptions=(
        "targets are the items, as in T1",
        "constant η and λ",
        "the risk about the training mean",
        "M = 200 and b²/σ² = 1 for the best timescale",
        "simulated and trained with AdamW, v held constant and β₁ = 0",
    ),
    kinds=("exact", "bound"),
    levels={
        "symbolic": Level(proof("reshuffling", "reshuffled-risk")),
        "numeric": Level(numeric),
        "simulated": Level(simulated),
        "trained": Level(trained, needs=("torch",)),
    },
)
