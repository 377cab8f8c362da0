"""C17: with independent targets there is a best timescale, which falls only logarithmically."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...derivations import derive
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Bounded, Curve, Evidence, Fails, Figure, Finding, Order, Sampled
from ..independent_targets import end_risks, least
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import ROUNDING, jackknife
from ..verdict import critical_value

# T b²/σ² where the order is measured, in turn with b²/σ² where the run gets longer.
SIGNALS = {"smoke": (1.0, 1e4), "quick": (0.1, 1.0, 1e2, 1e4), "full": (0.01, 0.1, 1.0, 10.0, 1e2, 1e4, 1e6)}
LONGEST = {"smoke": 10**6, "quick": 10**6, "full": 10**7}
PER_SAMPLE = 0.1  # b²/σ² where the run gets longer
# Of y = 1/τ_run: the best one of all signals here is well inside.
SPAN = (1e-3, 30.0)
DECADE = np.log(10) / 2

# Simulated: y = 1/τ_run of a sweep, the lengths of runs, and replicas of so many independent averages each.
PLACES, SEED = np.geomspace(0.5, 8.0, 21), 17
LENGTHS = {"smoke": (100, 1000), "quick": (100, 1000, 10_000), "full": (100, 1000, 10_000)}
REPLICAS, SIZE = 64, {"smoke": 256, "quick": 512, "full": 4096}
# Relative. The best τ_run falls by 0.6 over a decade of T here, and by 0.3 if it went as T^(−1/2).
RESOLUTION = 0.1


def recursion(keep: float, forcing: Any, first: float) -> FloatArray:
    """z_1 … z_T of z_t = keep·z_{t−1} + forcing_t from z_0 = `first`, one step after the other."""
    from scipy.signal import lfilter

    found: FloatArray = lfilter([1.0], [1.0, -keep], forcing, zi=[keep * first])[0]
    return found


def squares(y: float, steps: int, signal: float) -> FloatArray:
    """E(w_t − θ*)² in units of σ²/T, t = 0 … T, from (1 − ηλ)² of the last and (ηλ)² of a target's variance."""
    rate = y / steps
    return np.append(signal, recursion((1 - rate) ** 2, np.full(steps, rate**2 * steps), signal))


def risk(y: float, steps: int, signal: float) -> float:
    """E(w_T − θ*)² in units of σ²/T after so many discrete steps with ηλ = y/T."""
    return float(squares(y, steps, signal)[-1])


def slope(y: float, steps: int, signal: float) -> float:
    """The risk's derivative in y: the recursion differentiated step by step."""
    rate = y / steps
    forcing = 2 * rate - 2 * (1 - rate) / steps * squares(y, steps, signal)[:-1]
    return float(recursion((1 - rate) ** 2, forcing, 0.0)[-1])


def measured(steps: int, signal: float) -> float:
    """τ_run of the least risk after so many discrete steps.

    A minimiser finds it to half the digits, as the risk is flat there, and the zero of the slope beside it to all.
    """
    from scipy.optimize import brentq, minimize_scalar

    found = minimize_scalar(
        lambda log_y: risk(float(np.exp(log_y)), steps, signal), bounds=np.log(SPAN), method="bounded"
    )
    near = float(np.exp(found.x))
    return 1 / float(brentq(slope, 0.99 * near, 1.01 * near, args=(steps, signal), xtol=1e-14, rtol=1e-14))


def predicted(signal: Any) -> Any:
    """τ_run = 2/(c − W(e^c)), the derived form."""
    return derive("iid-targets").function("best_timescale")(signal_to_noise=signal)


def order(signal: float) -> Order:
    """The distance of the measured optimum from the derived one, which is its limit as T → ∞ at this T b²/σ²."""
    steps = 10 ** np.arange(3, 7)
    errors = [abs(measured(int(n), signal) / float(predicted(signal)) - 1) for n in steps]
    return Order(f"best τ_run of discrete steps against the derived one, T b²/σ² = {signal:g}", 1 / steps, errors, 1.0)


def falling(steps: FloatArray, best: FloatArray) -> tuple[Finding, ...]:
    """Logarithmically: 1/τ_run rises by ½ ln 10 over a decade of T; a power of T would have it rise by ever more."""
    distance = np.abs(np.diff(1 / best) / DECADE - 1)
    as_power = best[0] * (best[1] / best[0]) ** np.log10(steps / steps[0])
    return (
        Bounded("1/τ_run's rise over a decade of T, its distance from ½ ln 10 over that of the decade before",
                distance[1:] / distance[:-1], 0.5, 0.0),
        Fails("τ_run as the power of T that its first decade shows", float(np.abs(as_power / best - 1).max()), 0.1,
              len(best), "a tenth, far above what discrete steps change: 1/T of itself, up to a logarithm"),
    )  # fmt: skip


def numeric(tier: str) -> Evidence:
    """The best timescale of the discrete recursion: its distance from τ_opt in 1/T, and how it falls with T."""
    steps = np.array([10.0**power for power in range(3, len(str(LONGEST[tier])))])
    best = np.array([measured(int(n), PER_SAMPLE * n) for n in steps])
    curve = Curve(f"b²/σ² = {PER_SAMPLE:g}", steps, predicted(PER_SAMPLE * steps), best)
    return Evidence(
        (*map(order, SIGNALS[tier]), *falling(steps, best)),
        figures=(Figure("The best timescale with independent targets", "steps", "share of the run", (curve,), True),),
    )


def simulated(tier: str) -> Evidence:
    """The risk of simulated averages by timescale, and where it is least, as the run gets longer."""
    runs = [
        end_risks(
            PLACES, PER_SAMPLE * steps, steps, schedule=None, size=SIZE[tier], replicas=REPLICAS, seed=chosen_seed(SEED)
        )
        for steps in LENGTHS[tier]
    ]
    exact = [derived_risks(steps) for steps in LENGTHS[tier]]
    steps = np.array(LENGTHS[tier], dtype=np.float64)
    found = [best(run.values, law, int(n)) for run, law, n in zip(runs, exact, steps, strict=True)]
    bests, errors, allowed = (np.array(each) for each in zip(*found, strict=True))
    law = predicted(PER_SAMPLE * steps)
    rival = bests[0] * (steps[1:] / steps[0]) ** -0.5
    curve = Curve(f"b²/σ² = {PER_SAMPLE:g}", steps, law, bests, errors)
    return Evidence(
        (
            *(compared(run.values, law, int(n)) for run, law, n in zip(runs, exact, steps, strict=True)),
            Sampled("best τ_run, by the length of the run", bests, law, errors, REPLICAS, RESOLUTION * law, allowed,
                    "jackknife"),
            Fails("best τ_run as T^(−1/2)", float(((bests[1:] - rival) / errors[1:]).min()),
                  critical_value(len(rival), REPLICAS - 1), REPLICAS,
                  "in standard errors, against simultaneous intervals"),
        ),
        (chosen_seed(SEED),),
        (Figure("The best timescale of simulated averages", "steps", "share of the run", (curve,), True),),
        runs[0].isa,
    )  # fmt: skip


def best(values: FloatArray, exact: FloatArray, steps: int) -> tuple[float, float, float]:
    """The measured best τ_run of a run's length, its standard error, and what the derived one leaves out.

    The least is that of a cubic, which is off by what it is off on the derived risk of `steps` steps; steps in place of
    a continuum change the best timescale by a share of order ηλ, which is 1/(τ_run T).
    """
    lowest = int(values.mean(axis=0).argmin())

    def timescale(curves: FloatArray) -> FloatArray:
        return 1 / least(curves, PLACES, lowest).place

    found, error = jackknife(values, timescale)
    off = abs(float(timescale(exact)) - measured(steps, PER_SAMPLE * steps))
    return float(found), float(error), off + 1 / steps


def derived_risks(steps: int) -> FloatArray:
    """T/σ² times the derived risk after so many steps, at every place of the sweep."""
    function = derive("iid-targets").function("risk")
    given = {"steps": steps, "noise_variance": 1.0, "squared_distance": PER_SAMPLE}
    return np.array([steps * float(function(decay_per_step=y / steps, **given)) for y in PLACES])


def compared(values: FloatArray, exact: FloatArray, steps: int) -> Sampled:
    error = values.std(axis=0, ddof=1) / len(values) ** 0.5
    what = f"risk of averages of {steps} targets, by timescale"
    return Sampled(what, values.mean(axis=0), exact, error, len(values), RESOLUTION * exact, ROUNDING * exact)


CLAIM = Claim(
    id="C17",
    paper="wang2025",
    statement=(
        "Where the averaged targets are θ* with independent noise the risk at the end of the run is least at "
        "τ_run = 2/(c − W(e^c)), c = 1 + 4Tb²/σ²: a longer run or less noise shortens the best share of the run only "
        "logarithmically."
    ),
    source="THEORY.md T1; a model of why arXiv 2405.13698 finds a best τ_epoch",
    assumptions=("targets θ* + noise, independent of the weights", "constant η and λ", "many steps"),
    kinds=("exact", "asymptotic", "bound"),
    levels={"symbolic": Level(proof("iid-targets")), "numeric": Level(numeric), "simulated": Level(simulated)},
)
