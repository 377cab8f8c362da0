"""C15: AdamW's ridge is λ√v, and its stationary loss without decay knows no curvature."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...optimizers import AdamW
from ...problems import NoisyQuadratic
from ..claim import Claim, Level
from ..evidence import Evidence, Order
from ..proof import proof
from ..seeds import chosen_seed
from ..simulated import derived, engine, misses, sampled

LR, BETAS, FORGET2, OPTIMUM = 0.02, (0.0, 0.9), 1 / 256, 0.5
DECAYS, BATCHES, CURVATURE = (0.0, 1.0), (4.0, 16.0, 64.0), (0.25, 1.0, 4.0)  # noise variance 1 at batch 1
# From the optimum the slowest weight keeps e^{−0.02·0.25/0.5·2048} of its way to rest, and v e^{−8} of its start.
STEPS, SEED = 2048, 15
REPLICAS = {"smoke": 4096, "quick": 32_768, "full": 131_072}
# Relative. A ridge of λ would be off by a tenth in the mean at least; a variance of SGD's form by a factor.
RESOLUTION = {"smoke": 0.15, "quick": 0.05, "full": 0.03}
# Learning rates by which the limits are approached.
SMALL = tuple(0.02 / 2**k for k in range(5))


# Of √v: all that is met here is well inside, and the derived variance is positive there.
SPAN = (0.06, 100.0)


class Rest(NamedTuple):
    """AdamW's own √v at rest, and the derived mean and variance of the weight there."""

    root: xr.DataArray
    mean: xr.DataArray
    variance: xr.DataArray


def root_at_rest(given: dict[str, Any]) -> xr.DataArray:
    """√v where AdamW rests, ε = 0: the one s at which the derived E g² is s²."""
    from scipy.optimize import brentq

    from ...derivations import derive

    square = derive("adamw-quadratic").function("gradient_square")

    def excess(log_root: float, values: dict[str, float]) -> float:
        root = float(np.exp(log_root))
        return float(square(**values, root_mean_square=root)) / root**2 - 1

    def solved(*values: float) -> float:
        return float(np.exp(brentq(excess, *np.log(SPAN), args=(dict(zip(given, values, strict=True)),), xtol=1e-14)))

    found: xr.DataArray = xr.apply_ufunc(np.vectorize(solved), *map(xr.DataArray, given.values()))
    return found


def at_rest(lr: Any, weight_decay: Any, beta1: Any, batch: Any, curvature: Any) -> Rest:
    given = {
        "lr": lr, "weight_decay": weight_decay, "one_minus_beta1": 1 - beta1, "curvature": curvature,
        "noise_variance": 1 / batch, "optimum": OPTIMUM,
    }  # fmt: skip
    root = root_at_rest(given)
    mean, variance = (
        derived("adamw-quadratic", result, **given, root_mean_square=root)
        for result in ("stationary_mean", "stationary_variance")
    )
    return Rest(root, mean, variance)


def simulated(tier: str) -> Evidence:
    """Mean and variance of each coordinate at rest, v running, at several batches; a ridge of λ must miss the mean.

    What a running v changes is O(1 − β₂), by as much as `predict`'s moment closure says.
    """
    import ematheory as em

    problem = NoisyQuadratic(
        curvature=list(CURVATURE), noise=1.0, optimum=OPTIMUM, init=OPTIMUM, batch_size=list(BATCHES)
    )
    optimizer = AdamW(lr=LR, weight_decay=list(DECAYS), beta1=list(BETAS), beta2=1 - FORGET2, eps=0.0)
    names = ("weight_mean", "weight_variance")
    measured = em.simulate(
        problem,
        optimizer,
        steps=STEPS,
        record=[STEPS],
        observables=names,
        replicas=REPLICAS[tier],
        seed=chosen_seed(SEED),
    ).isel(step=0)
    curvature = xr.DataArray(list(CURVATURE), dims="coordinate")
    rest = at_rest(LR, measured.weight_decay, measured.beta1, measured.batch_size, curvature)
    closure = em.predict(problem, optimizer, observables=names)
    share = RESOLUTION[tier]
    findings = tuple(
        sampled(
            f"{name} at rest", measured, name, law, resolution=share * law, allowance=closure[f"{name}_error"]
        )
        for name, law in zip(names, rest[1:], strict=True)
    )  # fmt: skip
    with_decay = measured.isel(weight_decay=[1])
    ridge = derived("sgd-quadratic", "stationary_mean", weight_decay=DECAYS[1], curvature=curvature, optimum=OPTIMUM)
    rival = misses("weight_mean by a ridge of λ", with_decay, "weight_mean", ridge)
    return Evidence((*findings, *limits(), rival), (chosen_seed(SEED),), isa=engine(measured))


def limits() -> list[Order]:
    """How the derived forms come to the published limits, by η: the variance with decay, and the loss without."""
    lr = xr.DataArray(list(SMALL), dims="lr")
    noise = 1 / BATCHES[0]
    found = []
    for h in CURVATURE:
        without, decayed = (at_rest(lr, decay, BETAS[1], BATCHES[0], h) for decay in DECAYS)
        loss = h / 2 * without.variance / (lr * noise**0.5 / 4)
        variance = decayed.variance * 2 * decayed.root * (h + DECAYS[1] * decayed.root) / (lr * noise)
        found += [
            Order(f"{what}, h = {h:g}, by η", SMALL, abs(ratio - 1).values, 1.0)
            for what, ratio in (("loss without decay over ησ/4", loss), ("variance over its limit", variance))
        ]
    return found


CLAIM = Claim(
    id="C15",
    paper="zhang2019",
    statement=(
        "On the noisy quadratic AdamW comes to the mean hθ*/(h + λ√v), a ridge that shrinks as the batch grows, and at "
        "small η to the variance ησ²/(2√v(h + λ√v)); without decay its loss is ησ/4 per coordinate at any curvature."
    ),
    source="THEORY.md Q8; the model is arXiv 1907.04164's",
    assumptions=(
        "√v held constant, v = σ² for the loss",
        "gradient noise independent of the weight",
        "η → 0 for the limits",
    ),
    kinds=("asymptotic",),
    levels={"symbolic": Level(proof("adamw-quadratic")), "simulated": Level(simulated)},
)
