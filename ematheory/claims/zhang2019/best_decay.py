"""C39: the best weight decay of a run from zero has an onset in the run's length, and then a ridge value without it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ...optimizers import SGD
from ...problems import NoisyQuadratic
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Bounded, Curve, Evidence, Exact, Fails, Figure, Finding, Order, largest
from ..proof import POINTS, formulas, proof

# The paper's spectrum, h_i = c_i = 1/i, with fewer coordinates, from w₀ = 0 to optima of mean square 1.
CURVATURE, LR = 1 / np.arange(1.0, 11.0), 0.5
BATCHES = {"smoke": (1.0, 4.0, 16.0), "quick": (1.0, 2.0, 4.0, 16.0), "full": (1.0, 2.0, 4.0, 8.0, 16.0, 64.0)}
# With so much noise, ησ² ≥ (1 − ηh)hθ*² in every coordinate, decay helps from the third step on.
NOISY = 0.25
LENGTHS, DOUBLINGS = {"smoke": 4, "quick": 4, "full": 5}, {"smoke": 3, "quick": 4, "full": 5}
LONGEST = 4000  # steps within which an onset is looked for
FIRST, APART = 80, 40  # lengths of the runs whose distance from the ridge is measured
LONG = 320  # of the shortest run whose τ_run is
STRENGTH = 0.4  # ησ² of the coordinate whose ridge is followed to small η
DECAYS: FloatArray = np.geomspace(1e-6, 0.99 * (2 / LR - 1), 200)  # all of them stable
# Points of a central difference and its coefficients, of fourth order: (f₋₂ − 8f₋₁ + 8f₁ − f₂)/12.
NEAR, CENTRAL = 1e-3 * np.array([-2.0, -1.0, 1.0, 2.0]), np.array([1.0, -8.0, 8.0, -1.0]) / 12e-3


def derived(result: str) -> Callable[..., Any]:
    from ...derivations import derive

    return derive("best-decay-run").function(result)


def summed(result: str, batch: float, **given: Any) -> Any:
    """A derived slope of the risk, summed over the spectrum."""
    each = derived(result)(lr=LR, curvature=CURVATURE, noise_variance=CURVATURE / batch, optimum=1.0, **given)
    return each.sum(axis=-1)


def risks(batch: float, steps: int, decays: Any) -> FloatArray:
    """The expected risk after a run at each decay, by exact moments of the update."""
    from ...prediction import predict

    problem = NoisyQuadratic(CURVATURE, optimum=1.0, init=0.0, batch_size=batch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a decay that takes λ to the end of stability is not the best one
        run = predict(problem, SGD(lr=LR, weight_decay=list(decays)), steps=steps, record=[steps], observables="risk")
    found: FloatArray = run.risk.isel(step=0).values
    return found


def rounding(steps: int) -> float:
    """What so many steps of float64, each a few operations, may be off by."""
    return 8 * steps * float(np.finfo(np.float64).eps)


def onset(batch: float) -> int:
    """The first length of a run at which the derived slope at λ = 0 is negative."""
    lengths = np.arange(2, LONGEST)
    return int(lengths[np.argmax(summed("slope_without_decay", batch, steps=lengths[:, None]) < 0)])


def least_gain(batch: float, steps: int) -> float:
    """The least risk at a positive decay over that without decay."""
    found = risks(batch, steps, [0.0, *DECAYS])
    return float(found[1:].min() / found[0])


def onsets(batch: float) -> tuple[Finding, ...]:
    """One step before the derived onset no decay helps, at it some does: by the risk itself."""
    from_here = onset(batch)
    before, after = (least_gain(batch, steps) for steps in (from_here - 1, from_here))
    allowed = rounding(from_here)
    what = f"B = {batch:g}, T = {from_here}"
    return (
        Bounded(f"risk without decay over the least with, one step before the onset, {what}", [1 / before], 1, allowed),
        Fails(f"decay does not help at the onset, {what}", 1 - after, allowed, len(DECAYS), "rounding of the moments"),
    )


def never(batch: float) -> Fails:
    """With much noise decay helps at each length."""
    lengths = (3, 5, 9, 17, 33)
    gains = [1 - least_gain(batch, steps) for steps in lengths]
    return Fails(
        f"decay does not help somewhere, B = {batch:g}",
        min(gains),
        rounding(33),
        len(lengths),
        "rounding of the moments",
    )


@cache
def best(batch: float, steps: int) -> float:
    """The decay at which the exact moments' risk is stationary, by its difference quotients."""
    from scipy.optimize import brentq

    def slope(log_decay: float) -> float:
        return float(CENTRAL @ risks(batch, steps, np.exp(log_decay + NEAR)))

    start = np.log(DECAYS[np.argmin(risks(batch, steps, DECAYS))])
    return float(np.exp(brentq(slope, start - 0.2, start + 0.2, xtol=1e-13)))


@cache
def ridge(batch: float) -> float:
    """The decay at which the derived slopes of a long run add up to 0."""
    from scipy.optimize import brentq

    most = 0.999 * (1 / LR - CURVATURE.max())
    return float(brentq(lambda decay: summed("long_slope", batch, weight_decay=decay), 1e-9, most, xtol=1e-15))


def bend(batch: float, decay: float) -> float:
    """The derivative by λ of the long run's slope."""
    nearby = [summed("long_slope", batch, weight_decay=decay * np.exp(x)) for x in NEAR]
    return float(CENTRAL @ np.array(nearby)) / decay


def precision(batch: float, steps: int) -> float:
    """How far `best` may be off: by the rounding of the risks in its difference quotient, over the risk's curvature."""
    risk, decay = float(risks(batch, steps, [best(batch, steps)])[0]), best(batch, steps)
    return rounding(steps) * risk * float(np.abs(CENTRAL).sum()) / (bend(batch, decay) * decay)


def distance(batch: float, tier: str) -> Exact:
    """λ_T − ridge against −(the derived transient at λ_T)/(the bend between the two), by the mean value theorem.

    The bound is what the bend changes between the two, and the precision of the measured λ_T.
    """
    strains = []
    for steps in lengths(batch, tier):
        found = best(batch, steps)
        measured, transient = found - ridge(batch), -summed("transient", batch, weight_decay=found, steps=steps)
        bends = [bend(batch, decay) for decay in np.linspace(ridge(batch), found, 9)]
        predicted = sorted(float(transient / each) for each in (min(bends), max(bends)))
        outside = max(predicted[0] - measured, measured - predicted[1], 0.0)
        strains.append(outside / precision(batch, steps))
    reason = "share of the precision of λ_T, outside what the derived transient and bend allow"
    return Exact(f"λ_T − ridge, B = {batch:g}", largest(strains), 1.0, len(strains), reason)


def lengths(batch: float, tier: str) -> list[int]:
    """Lengths of runs well beyond the onset in which the transient is still seen."""
    return [max(FIRST, 2 * onset(batch)) + APART * n for n in range(LENGTHS[tier])]


def approach(batch: float, tier: str) -> Order:
    """The distance over T by what k^T leaves of the flattest coordinate; where λ is small only from long T on."""
    runs = [FIRST + APART * n for n in range(LENGTHS[tier])]
    slowest = float(1 - LR * (CURVATURE.min() + ridge(batch)))
    errors = [abs(best(batch, steps) - ridge(batch)) / steps for steps in runs]
    return Order(f"(λ_T − ridge)/T by k^T, B = {batch:g}", [slowest**steps for steps in runs], errors, 1.0)


def shares(batch: float, tier: str) -> tuple[Order, Curve]:
    """τ_run = 1/(ηλ_T T) at run lengths that double, T ≫ 1/(ηh_min)."""
    runs = [LONG * 2**n for n in range(DOUBLINGS[tier])]
    found = [1 / (LR * best(batch, steps) * steps) for steps in runs]
    at_ridge = [1 / (LR * ridge(batch) * steps) for steps in runs]
    label = f"B = {batch:g}"
    return Order(f"τ_run by 1/T, {label}", [1 / n for n in runs], found, 1.0), Curve(label, runs, at_ridge, found)


def ridge_of_one(lr: float) -> float:
    """The ridge of one coordinate at ησ² = STRENGTH and h = θ* = 1, from the derived noise that belongs to it."""
    from scipy.optimize import brentq

    given = {"lr": lr, "curvature": 1.0, "optimum": 1.0}
    noise = derived("ridge_noise")
    return float(brentq(lambda decay: lr * noise(weight_decay=decay, **given) - STRENGTH, 1e-9, 0.9, xtol=1e-16))


def small_rate() -> Order:
    """One coordinate's ridge against derivation best-decay at a given ησ², by η."""
    from ...derivations import derive

    rates, limit = [0.4 / 2**n for n in range(6)], derive("best-decay").function()
    given = {"curvature": 1.0, "optimum": 1.0}
    off = [abs(ridge_of_one(lr) / limit(lr=lr, noise_variance=STRENGTH / lr, **given) - 1) for lr in rates]
    return Order("the ridge over its limit at small η, by η", rates, off, 2.0)


def numeric(tier: str) -> Evidence:
    """Derived onset, ridge and transient against the best decay by exact moments of SGD's update."""
    findings: list[Finding] = list(formulas("best-decay-run", POINTS[tier]))
    curves = []
    for batch in BATCHES[tier]:
        order, curve = shares(batch, tier)
        findings += [*onsets(batch), distance(batch, tier), order]
        curves.append(curve)
    findings += [never(NOISY), approach(BATCHES[tier][0], tier), small_rate()]
    title = "Share of the run that the best timescale is, at the ridge and by exact moments"
    drawn = Figure(title, "steps", "τ_run", tuple(curves), log_x=True, log_y=True)
    return Evidence(tuple(findings), figures=(drawn,))


def simulated(tier: str) -> Evidence:
    """Runs at the ridge value and beside it; they are in a module of their own, which takes its values from here."""
    from .best_decay_runs import examined

    return examined(tier)


CLAIM = Claim(
    id="C39",
    paper="zhang2019",
    statement=(
        "For a single pass of SGD from w₀ = 0 on the noisy quadratic at a constant η, no decay is best below an onset "
        "in the number of steps, if ησ² < (1 − ηh)hθ*²; beyond it the best λ comes to a ridge value that does not "
        "depend on the run's length, with an error of order Tk^T, k = 1 − η(h_min + λ), so that τ_run ∝ 1/D."
    ),
    source="THEORY.md Q7 and Q11; the model is arXiv 1907.04164's",
    assumptions=(
        "constant η, η(h + λ) < 1, E θ*² = 1",
        "gradient noise independent of the weight, every sample new",
        "T ≫ 1/(η(h_min + λ)) for the ridge; h_i = c_i = 1/i in ten coordinates where numbers are compared",
    ),
    kinds=("exact", "asymptotic"),
    levels={
        "symbolic": Level(proof("best-decay", "best-decay-run")),
        "numeric": Level(numeric),
        "simulated": Level(simulated),
    },
)
