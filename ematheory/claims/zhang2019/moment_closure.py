"""C40: AdamW's moments close at E v, and what v's fluctuations change to first order in 1 − β₂.

Without decay and curvature a weight of AdamW moves by u = m/√v. The truth here is u's exact drift and long-run variance
on Gaussian gradients, from 1/√v = (2/√π) ∫_0^∞ e^{−y²v} dy and the mean of e^{−rv}, a product over the lags.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ...derivations import derive
from ...optimizers import AdamW
from ...problems import NoisyQuadratic
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Bounded, Evidence, Finding, Order
from ..proof import POINTS, formulas, proof

SIZES = {"smoke": 5, "quick": 6, "full": 7}
FIRST = 1 / 16  # 1 − β₂, halved from there
# 1 − β₁ of a 1 − β₂: a momentum of its own, and one whose memory stays a quarter of v's.
SETTINGS: dict[str, Callable[[float], float]] = {"β₁ = 0.5": lambda _: 0.5, "1−β₁ = 4(1−β₂)": lambda e: 4 * e}
NODE, REACH = 0.4, 12.0  # the trapezoidal rule's, whose error falls as exp(−π²/h²) on e^{−y²v}
TABLE = 3001
NEGLIGIBLE = 36.0  # e^{−36} is below a rounding
SLOPE, DISTANCE = 1e-10, 1e5  # curvature and distance that make a mean gradient of 1e-5, while σ = 1
SETTLED, COUNTED = 16.0, 64  # e^{−16} of the start is left when the steps counted begin


class Averages(NamedTuple):
    """The weights of m and v on the squares of unit gradients, p_k = (1 − β₁)β₁^k and q_k = (1 − β₂)β₂^k."""

    forget1: float
    forget2: float

    def first(self) -> FloatArray:
        return self.weights(self.forget1)

    def second(self) -> FloatArray:
        return self.weights(self.forget2)

    def weights(self, forget: float) -> FloatArray:
        """Of as many lags as v has."""
        lags = np.arange(int(NEGLIGIBLE / self.forget2) + 1)
        return np.asarray(forget * (1 - forget) ** lags)

    def log_mean(self, r: FloatArray) -> FloatArray:
        """log E e^{−rv} = −½ Σ log(1 + 2r q_k), the gradients being standard normal."""
        total = np.zeros_like(r)
        for q in self.second():
            total -= np.log1p(2 * r * q) / 2
        return total

    def weighted(self, r: FloatArray, weights: FloatArray) -> FloatArray:
        """Σ_k weights_k E g_k² e^{−rv}, over E e^{−rv}."""
        total = np.zeros_like(r)
        for weight, q in zip(weights, self.second(), strict=True):
            total += weight / (1 + 2 * r * q)
        return total


def nodes() -> FloatArray:
    """y > 0 of the rule for an even function on the whole line."""
    return np.arange(NODE / 2, REACH, NODE)


def drift(own: Averages) -> float:
    """d/dμ E m/√v at μ = 0, that is E 1/√v − Σ_k p_k q_k E g_k² v^{−3/2}."""
    y = nodes()
    answer = 1 - 2 * y * y * own.weighted(y * y, own.first() * own.second())
    return float(2 / np.sqrt(np.pi) * NODE * (np.exp(own.log_mean(y * y)) * answer).sum())


def noise(own: Averages) -> float:
    """Σ_τ E u_t u_{t+τ} with v_{t+τ} = β₂^τ v_t + what comes after t, which m_t does not hold."""
    from scipy.interpolate import CubicSpline

    y = nodes()
    square, root = y * y, np.linspace(0, np.sqrt(2) * REACH, TABLE)
    past = own.log_mean(root**2) + np.log(own.weighted(root**2, own.first() ** 2))
    table, total, since = CubicSpline(root, past), 0.0, np.ones_like(y)
    for lag in range(int(NEGLIGIBLE / own.forget1) + 1):
        kept = (1 - own.forget2) ** lag
        at = np.sqrt(square[:, None] + kept * square)
        pair = (np.exp(table(at)).sum(axis=0) * since).sum() * (1 - own.forget1) ** lag
        total += pair if lag == 0 else 2 * pair
        since = since / np.sqrt(1 + 2 * own.forget2 * kept * square)
    return float(4 / np.pi * NODE**2 * total)


def closed(settings: Sequence[Averages]) -> FloatArray:
    """By `predict`'s moment closure, per setting: drift, growth of the variance per step, and its stated error."""
    import xarray as xr

    from ...prediction import predict

    start = int(SETTLED / min(map(min, settings))) + 1
    kept = [xr.DataArray(1 - np.array(forget), dims="setting") for forget in zip(*settings, strict=True)]
    optimizer = AdamW(lr=1.0, weight_decay=0.0, beta1=kept[0], beta2=kept[1], eps=0.0)
    # The weight starts at 0, so that its small steps are not rounded away.
    problem = NoisyQuadratic(curvature=SLOPE, noise=1.0, optimum=DISTANCE, init=0.0)
    record = [start, start + COUNTED]
    names = ("weight_mean", "weight_variance")
    run = predict(problem, optimizer, steps=record[1], record=record, observables=names)
    mean, spread, doubt = (
        run[name].isel(coordinate=0).transpose("setting", "step").values for name in (*names, "weight_variance_error")
    )
    gradient = SLOPE * (DISTANCE - mean.mean(axis=1))
    return np.stack([np.diff(mean)[:, 0] / gradient, np.diff(spread)[:, 0], np.diff(doubt)[:, 0]], axis=1) / COUNTED


def factor(result: str, own: Averages) -> float:
    """The derived factor of drift or noise."""
    function = derive("moment-closure").function(result)
    return float(function(one_minus_beta1=own.forget1, one_minus_beta2=own.forget2))


def variance_alone(own: Averages) -> float:
    """What the drift would be with 3/8 of v's relative variance and no covariance of m and v."""
    return 1 + 3 / 4 * float(np.square(own.second()).sum())


def orders(name: str, settings: Sequence[Averages], closure: FloatArray) -> list[Finding]:
    """The errors' orders in 1 − β₂, along settings of which each halves it."""
    sizes = [own.forget2 for own in settings]
    drifts, noises = np.array([(drift(own), noise(own)) for own in settings]).T
    derived = np.array([(factor("drift_factor", own), factor("noise_factor", own)) for own in settings])
    compared = {
        "drift, v at its mean": (drifts, 1.0, 1.0),
        "noise, v at its mean": (noises, 1.0, 1.0),
        "drift, derived factor": (drifts, derived[:, 0], 2.0),
        "noise, derived factor": (noises, derived[:, 1], 2.0),
        "drift, predict's closure": (drifts, closure[:, 0], 2.0),
    }
    alone = np.array([variance_alone(own) for own in settings])
    return [
        *(
            Order(f"{name}: {what}", sizes, np.abs(truth - said), order, gap=1.0)
            for what, (truth, said, order) in compared.items()
        ),
        Bounded(
            f"{name}: predict's noise, error over the stated one", abs(noises - closure[:, 1]) / closure[:, 2], 1.0, 0.0
        ),
        Bounded(f"{name}: error of no correction over Var v's alone", abs(drifts - 1) / abs(drifts - alone), 1.0, 0.0),
    ]


def numeric(tier: str) -> Evidence:
    """Numeric forms against brute force; the orders of what freezing and what the factors leave out."""
    sizes = [FIRST / 2**k for k in range(SIZES[tier])]
    findings: list[Finding] = list(formulas("moment-closure", POINTS[tier]))
    settings = [Averages(forget1(size), size) for forget1 in SETTINGS.values() for size in sizes]
    closure = closed(settings)
    for k, name in enumerate(SETTINGS):
        part = slice(k * len(sizes), (k + 1) * len(sizes))
        findings += orders(name, settings[part], closure[part])
    return Evidence(tuple(findings))


def simulated(tier: str) -> Evidence:
    """Runs of AdamW on noise; they are in a module of their own, which takes the exact values from here."""
    from .moment_closure_runs import examined

    return examined(tier)


CLAIM = Claim(
    id="C40",
    paper="zhang2019",
    statement=(
        "With √v̂ taken at E v AdamW's moments close. On white Gaussian gradients that is off by O(1 − β₂): the drift "
        "has the factor 1 + (1−β₂)(3/8 − q), the updates' long-run variance 1 + (1−β₂)(3/4 + ρ/4 − 2q), with "
        "q = (1−β₁)/(1−β₁β₂) and ρ = q(1+β₁β₂)/(1+β₁), up to O((1−β₂)²); 3/8 of v's variance without Cov(m, v) is "
        "worse than no correction."
    ),
    source="THEORY.md Q9; the model is arXiv 1907.04164's",
    assumptions=(
        "gradient noise white and Gaussian, the mean gradient small beside it",
        "ε = 0, v stationary, bias correction past",
        "q > 3/16 for the last part",
    ),
    kinds=("asymptotic",),
    levels={
        "symbolic": Level(proof("moment-closure")),
        "numeric": Level(numeric),
        "simulated": Level(simulated),
    },
)
