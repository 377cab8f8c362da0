"""C25 on networks: whether SGD without decay, at the published effective rates of a run with it, has its loss curve."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from ...optimizers import SGD
from ...schedules import Cosine
from ..devices import chosen_device
from ..evidence import Curve, Evidence, Figure, Finding, Share
from ..paired import exceeds
from ..seeds import chosen_seeds

if TYPE_CHECKING:
    from ...training.crosschecks.effective_rates import RatesCheck


class Setting(NamedTuple):
    """SGD on a network whose weights are scale-invariant (but for the control); λ is RATE/lr."""

    architecture: str
    lr: float
    momentum: float
    scale_invariant: bool = True


MOMENTUM = {"perceptron, momentum": Setting("mlp", 0.05, 0.9)}
OTHERS = {"perceptron": Setting("mlp", 0.3, 0.0), "residual network, momentum": Setting("resnet", 0.05, 0.9)}
SETTINGS = {"quick": MOMENTUM, "full": {**MOMENTUM, **OTHERS}}
CONTROL = Setting("mlp", 0.1, 0.0, scale_invariant=False)
# ηλ at the peak: the norm comes to rest within the run, and η/‖w‖² is then several times what it is without decay.
RATE, BATCH = 1e-3, 32
# Seeds 2500 to 2507 told how many it takes.
FIRST_SEED = 2520
EPOCHS, SEEDS = {"quick": 20, "full": 40}, {"quick": 24, "full": 48}
# "Follows": at most half as far, in the logarithm of the loss, as the run without decay at the same rates.
NEARER = 0.5


def trained(tier: str) -> Evidence:
    """Loss curves of networks at effective rates, against the decayed run's. Tiers quick and full."""
    seeds = tuple(chosen_seeds(FIRST_SEED, SEEDS[tier]))
    return Evidence(of_networks(tier), seeds, (figure_of_networks(tier),))


def of_networks(tier: str) -> tuple[Finding, ...]:
    """Distances of loss curves from the decayed run's: matched over plain."""
    seeds = SEEDS[tier]
    return (
        *(mostly_nearer(name, log_ratios(setting, tier, seeds)) for name, setting in SETTINGS[tier].items()),
        # So far off that a third of the seeds show it.
        exceeds("the matched curve is nearer without invariance", log_ratios(CONTROL, tier, seeds // 3)),
    )


def mostly_nearer(name: str, ratios: xr.DataArray) -> Share:
    """Seeds whose matched curve comes no nearer than NEARER times the plain one's distance: fewer than half of all.

    A run that diverged is infinitely far, so that distances have no mean: with it, one seed would decide.
    """
    far = ~(ratios.values < np.log(NEARER))
    return Share(f"seeds without a curve that is twice as near at η/‖w‖², {name}", int(far.sum()), far.size, 0.5)


def log_ratios(setting: Setting, tier: str, seeds: int) -> xr.DataArray:
    """log of the matched curve's distance over the plain one's, dim `replica`: the seeds."""
    checks = runs(setting, tier, chosen_seeds(FIRST_SEED, seeds), chosen_device())
    return xr.DataArray([np.log(each.distance("matched") / each.distance("plain")) for each in checks], dims="replica")


@lru_cache(maxsize=8)
def runs(setting: Setting, tier: str, seeds: range, device: str) -> tuple[RatesCheck, ...]:
    """The three runs with every seed."""
    from ...training import tasks
    from ...training.crosschecks.effective_rates import effective_rates

    make: Any = {"mlp": tasks.digits_mlp, "resnet": tasks.digits_resnet}[setting.architecture]
    width = {"mlp": 32, "resnet": 4}[setting.architecture]
    task = make(width=width, scale_invariant=setting.scale_invariant)
    optimizer = SGD(lr=setting.lr, momentum=setting.momentum, weight_decay=RATE / setting.lr)
    given: dict[str, Any] = {"epochs": EPOCHS[tier], "batch_size": BATCH, "schedule": Cosine(final=0.0)}
    return tuple(effective_rates(task, optimizer, **given, seed=seed, device=device) for seed in seeds)


def figure_of_networks(tier: str) -> Figure:
    """Geometric means of the losses over seeds that do not diverge: the decayed run's is predicted of the others."""
    curves, seeds = [], chosen_seeds(FIRST_SEED, SEEDS[tier])
    for name, setting in SETTINGS[tier].items():
        checks = runs(setting, tier, seeds, chosen_device())
        kept = [each for each in checks if np.isfinite(each.losses["matched"]).all()]
        logs = {
            run: np.mean([np.log(each.losses[run]) for each in kept], axis=0) for run in ("decayed", "matched", "plain")
        }
        label = name if len(kept) == len(checks) else f"{name} ({len(kept)} of {len(checks)})"
        epochs = range(1, EPOCHS[tier] + 1)
        curves += [
            Curve(f"{label}: {run}", epochs, np.exp(logs["decayed"]), np.exp(logs[run])) for run in ("matched", "plain")
        ]
    title = f"Losses at a decayed run's η/‖w‖² and at its η, {len(seeds)} seeds"
    return Figure(title, "epoch", "loss of the batches", tuple(curves), log_y=True)
