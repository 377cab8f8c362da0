"""simulate against predict's exact moments of SGD on the noisy quadratic: 200 random settings, a seed each."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import ematheory as em

SETTINGS, REPLICAS = 200, 640
OBSERVABLES = ("risk", "weight_mean", "weight_variance")


def setting(seed: int) -> tuple[em.NoisyQuadratic, em.SGD, dict[str, Any]]:
    """Random h, η, λ, μ, σ², θ*, T, kept well inside the stable region, in every variant and schedule."""
    draw = np.random.default_rng(seed)
    h, momentum = 10 ** draw.uniform(-2, 0.5), draw.choice([0.0, draw.uniform(0.05, 0.95)])
    lr, decay = draw.uniform(0.02, 0.9) / (h + 0.5), draw.choice([0.0, draw.uniform(0, 0.5)])
    problem = em.NoisyQuadratic(
        curvature=h, noise=10 ** draw.uniform(-2, 1), optimum=draw.normal(), init=draw.normal(), batch_size=4
    )
    optimizer = em.SGD(
        lr=lr, momentum=momentum, weight_decay=decay, nesterov=bool(momentum > 0 and draw.random() < 0.3),
        decay=str(draw.choice(["l2", "per_lr"])),
    )  # fmt: skip
    schedule = [None, em.Cosine(final=0.1, warmup=0.2), em.Linear(), em.WSD()][draw.integers(4)]
    return problem, optimizer, {"steps": int(draw.integers(1, 80)), "schedule": schedule, "observables": OBSERVABLES}


@cache
def scores() -> xr.Dataset:
    """z of each setting's last step."""
    found = []
    for seed in range(SETTINGS):
        problem, optimizer, run = setting(seed)
        seen = em.simulate(problem, optimizer, replicas=REPLICAS, seed=seed, **run)
        compared = em.compare(seen, em.predict(problem, optimizer, **run)).isel(step=-1, coordinate=0)
        found.append(compared.drop_vars("step"))
    return xr.concat(found, dim="setting")


@pytest.mark.parametrize("name", OBSERVABLES)
def test_z_scores_are_standard_normal(name: str) -> None:
    z = scores()[f"{name}_z"].values
    # A first step at rate 0 (warm-up) has no spread, and no difference.
    still = np.isnan(z)
    assert (scores()[f"{name}_difference"].values[still] == 0).all()
    assert still.sum() < SETTINGS / 20
    assert np.abs(z[~still]).max() < 5
    assert stats.kstest(z[~still], "norm").pvalue > 1e-3


def test_a_wrong_prediction_is_seen() -> None:
    """λ off by a fifth moves the z-scores out of the band that the right one stays in."""
    worst = 0.0
    for seed in range(40):
        problem, optimizer, run = setting(seed)
        seen = em.simulate(problem, optimizer, replicas=REPLICAS, seed=seed, **run)
        wrong = em.predict(problem, optimizer.substituted(weight_decay=optimizer.weight_decay * 1.2), **run)
        worst = max(worst, float(abs(em.compare(seen, wrong).weight_mean_z.isel(step=-1)).max()))
    assert worst > 5


def test_results_of_the_two_verbs_have_one_shape() -> None:
    problem = em.NoisyQuadratic(curvature=[1.0, 0.1], batch_size=[1, 16])
    optimizer = em.SGD(lr=[0.1, 0.2, 0.3], weight_decay=[0.0, 0.1])
    run = {"steps": 10, "record": em.every(5), "observables": OBSERVABLES}
    seen, exact = em.simulate(problem, optimizer, **run), em.predict(problem, optimizer, **run)
    for name in OBSERVABLES:
        assert seen[name].dims == exact[name].dims
        for dim in seen[name].dims:
            assert seen[dim].identical(exact[dim])
