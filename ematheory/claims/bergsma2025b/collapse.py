"""C42: whether normalised loss curves collapse on the noisy quadratic when τ_run and the schedule's shape match."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...optimizers import SGD
from ...problems import NoisyQuadratic
from ...schedules import Linear
from ...typing import FloatArray
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Figure, Finding, Order
from ..paired import averaged
from ..seeds import chosen_seed
from ..simulated import engine
from .collapse_of_networks import trained

# h_i = i^{−3/2}, noise as the curvature, optima one off the start, at all of which a run of linear decay is seen.
CURVATURE = np.arange(1.0, 101.0) ** -1.5
SCHEDULE, PLACES = Linear(), (0.25, 0.5, 0.75, 1.0)
SAMPLES, SEED = 1600, 42  # D, of every run
REPLICAS = {"smoke": 4096, "quick": 16_384, "full": 65_536}
# In the loss over the last one, which falls by 0.7 over the last three quarters of the base run.
RESOLUTION = 0.1
HALVINGS = 5


class Setting(NamedTuple):
    """η, λ and B, and so T = D/B steps and τ_run = B/(ηλD)."""

    lr: float
    weight_decay: float
    batch_size: float

    @property
    def steps(self) -> int:
        return round(SAMPLES / self.batch_size)

    @property
    def record(self) -> list[int]:
        return [round(place * self.steps) for place in PLACES]

    @property
    def timescale_run_fraction(self) -> float:
        return self.batch_size / (self.lr * self.weight_decay * SAMPLES)

    def run(self) -> tuple[NoisyQuadratic, SGD, dict[str, Any]]:
        problem = NoisyQuadratic(CURVATURE, optimum=1.0, init=0.0, batch_size=self.batch_size)
        run = {"steps": self.steps, "record": self.record, "schedule": SCHEDULE}
        return problem, SGD(lr=self.lr, weight_decay=self.weight_decay), run


BASE = Setting(0.5, 0.0125, 4.0)
# The same τ_run = 0.4 by another pair of the three.
OTHERS = {
    "η doubled and λ halved": Setting(1.0, 0.00625, 4.0),
    "B and λ doubled": Setting(0.5, 0.025, 8.0),
}  # fmt: skip


def predicted(setting: Setting) -> FloatArray:
    """The risk at the places, by exact moments."""
    from ...prediction import predict

    problem, optimizer, run = setting.run()
    risk: FloatArray = predict(problem, optimizer, **run, observables="risk").risk.values
    return risk


def normalised(setting: Setting) -> FloatArray:
    """The risk over the last one."""
    risk = predicted(setting)
    return np.asarray(risk / risk[-1])


def by_batch() -> Order:
    """The distance of runs with η ∝ B at one λ from that of half the batch, by B: it vanishes with the step."""
    settings = [Setting(BASE.lr / 2**k, BASE.weight_decay, BASE.batch_size / 2**k) for k in range(HALVINGS + 1)]
    found = [normalised(each)[0] for each in settings]
    apart = np.abs(np.diff(found))
    return Order("curves with η ∝ B, by B", [each.batch_size for each in settings[:-1]], apart, 1.0)


def measured(setting: Setting, tier: str) -> tuple[xr.DataArray, Any]:
    """Each replica's risk at the places, over the expected last one."""
    import ematheory as em

    problem, optimizer, run = setting.run()
    replicas = REPLICAS[tier]
    found = em.simulate(
        problem, optimizer, **run, replicas=replicas, seed=chosen_seed(SEED), trajectories=range(replicas)
    )
    curvature = xr.DataArray(CURVATURE, dims="coordinate")
    risk = (curvature * (found.trajectory - 1) ** 2).sum("coordinate") / 2
    placed = risk.rename(step="place").assign_coords(place=list(PLACES))
    return placed / predicted(setting)[-1], found


def against(what: str, risk: xr.DataArray, curve: FloatArray) -> Finding:
    """The measured curve over its own last loss against a normalised curve, before the end."""
    claimed = xr.DataArray(curve, dims="place", coords={"place": list(PLACES)})
    off = (risk - claimed * risk.sel(place=PLACES[-1], drop=True)).isel(place=slice(0, -1))
    return averaged(what, off, 0.0, resolution=RESOLUTION)


def simulated(tier: str) -> Evidence:
    """The curve of runs with the base's τ_run against the base's own; what they are by exact moments is beside it."""
    base, isa = normalised(BASE), ""
    findings: list[Finding] = [by_batch()]
    curves = []
    for name, setting in {"the base": BASE, **OTHERS}.items():
        risk, found = measured(setting, tier)
        isa = engine(found)
        findings.append(against(f"normalised loss by exact moments, {name}", risk, normalised(setting)))
        if setting is not BASE:
            findings.append(against(f"normalised loss against the base's, {name}", risk, base))
        over = risk / risk.sel(place=PLACES[-1], drop=True).mean("replica", skipna=False)
        curves.append(Curve(name, PLACES, base, over.mean("replica", skipna=False).values))
    title = "Normalised losses at one τ_run, and the base's"
    figure = Figure(title, "share of the run", "loss over the last", tuple(curves))
    return Evidence(tuple(findings), (chosen_seed(SEED),), (figure,), isa)


CLAIM = Claim(
    id="C42",
    paper="bergsma2025b",
    statement=(
        "On the noisy quadratic, runs over the same data under one shape of schedule have the same loss curve, over "
        "the last loss, when their τ_run match, whichever of η, λ and B it was set by; and so have networks of "
        "different widths with the same tokens per parameter under muP."
    ),
    source="'Scaling with Collapse', read in a secondary source; here on a model, THEORY.md T4, and small networks",
    assumptions=(
        "SGD with L2 from w₀ = 0, h_i = c_i = i^(−3/2), D = 1600 samples, linear decay to zero, τ_run = 0.4",
        "with η ∝ B at one λ the curves do come together as the steps get small: drift, noise and decay of a sample "
        "stay; η against λ, or λ against B, change the noise or the length that matters and keep only τ_run",
        "trained: AdamW on character GPTs of some 5,000 to 16,000 parameters, warm-up and linear decay, one pass",
    ),
    kinds=("empirical", "asymptotic"),
    # Nothing in the model makes runs of other lengths collapse at one τ_run: networks are not expected to, exactly.
    levels={
        "simulated": Level(simulated, expected="refuted"),
        "trained": Level(trained, expected="refuted", tiers=("quick", "full"), needs=("torch",)),
    },
)
