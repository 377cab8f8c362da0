"""Every statistic that simulate can give, against a plain NumPy loop over replicas, steps and coordinates."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.problems import MEASURED
from ematheory.simulation.normal import normals

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
Array = np.ndarray[Any, Any]

STEPS, REPLICAS, D = 30, 20, 4
H, TARGET, INIT, NOISE, BATCH = np.array([1.0, 0.5, 0.2, 0.1]), np.array([0.3, 0.0, -0.2, 0.1]), 0.8, 0.4, 2.0
LR, DECAY, BETA1, BETA2, EPS = 0.03, 2.0, 0.8, 0.95, 1e-6
PROBLEM = em.NoisyQuadratic(curvature=H, noise=NOISE, optimum=TARGET, init=INIT, batch_size=BATCH)
OPTIMIZER = em.AdamW(lr=LR, weight_decay=DECAY, betas=(BETA1, BETA2), eps=EPS)
RISK_TARGET, SHARES, LAGS, BINS = 0.024, [0.25, 0.5], [0, 3, 7], [0.0, 0.5, 0.7, 0.9]
NAMES = (*PROBLEM.observables, *MEASURED)


@pytest.fixture(scope="module", params=BACKENDS)
def result(request: Any) -> xr.Dataset:
    return em.simulate(
        PROBLEM, OPTIMIZER, steps=STEPS, schedule=em.Linear(final=0.5), record=em.every(1), replicas=REPLICAS,
        observables=NAMES, quantiles=SHARES, lags=LAGS, first_passage={"risk": RISK_TARGET}, trajectories=[4, 11],
        histogram={"weight_norm": BINS, "weight": BINS}, backend=request.param,
    )  # fmt: skip


@pytest.fixture(scope="module")
def loop() -> dict[str, Array]:
    """The arrays of every replica at every step, shape (replicas, steps + 1, d), by AdamW's own pseudocode."""
    w, m, v = (np.zeros((REPLICAS, STEPS + 1, D)) for _ in range(3))
    rates = np.array([LR * (1 - 0.5 * k / STEPS) for k in range(STEPS)])
    for r in range(REPLICAS):
        noise = normals(0, range(STEPS), range(D), range(r, r + 1)).astype(np.float64)[:, 0]
        w[r, 0] = INIT
        for k in range(STEPS):
            for i in range(D):
                g = H[i] * (w[r, k, i] - TARGET[i]) + np.sqrt(NOISE / BATCH) * noise[k].reshape(-1)[i]
                m[r, k + 1, i] = BETA1 * m[r, k, i] + (1 - BETA1) * g
                v[r, k + 1, i] = BETA2 * v[r, k, i] + (1 - BETA2) * g * g
                corrected = m[r, k + 1, i] / (1 - BETA1 ** (k + 1))
                root = np.sqrt(v[r, k + 1, i] / (1 - BETA2 ** (k + 1))) + EPS
                w[r, k + 1, i] = w[r, k, i] - rates[k] * DECAY * w[r, k, i] - rates[k] * corrected / root
    return {"w": w, "m": m, "v": v, "lr": rates}


def after_step_0(values: Array) -> Array:
    """With NaN at step 0, for what is of a step."""
    return np.concatenate([np.full((REPLICAS, 1), np.nan), values], 1)


def of_replicas(loop: dict[str, Array]) -> dict[str, Array]:
    """By observable, each replica's number at every step, shape (replicas, steps + 1) or (…, d)."""
    w, m, v, lr = loop["w"], loop["m"], loop["v"], loop["lr"]
    size = np.sqrt((w * w).sum(-1))
    before, after, old = w[:, :-1], w[:, 1:], size[:, :-1]
    moved = np.sqrt(((after - before) ** 2).sum(-1))
    u = before * (1 - lr[:, None] * DECAY) - after
    forward = (before * after).sum(-1) / old
    aside = np.sqrt(((after - (forward / old)[..., None] * before) ** 2).sum(-1))
    return {
        "risk": 0.5 * (H * (w - TARGET) ** 2).sum(-1),
        "weight_mean": w,
        "weight_second_moment": w**2,
        "weight_mean_square": (w**2).mean(-1),
        "weight_norm": size,
        "rotation": after_step_0(np.arctan2(aside, forward)),
        "update_cosine": after_step_0((before * u).sum(-1) / old / np.sqrt((u**2).sum(-1))),
        "update_norm": after_step_0(moved),
        "update_ratio": after_step_0(moved / old),
        "effective_learning_rate": after_step_0(lr / old),
        "effective_learning_rate_exact": after_step_0(lr / old / (1 - lr * DECAY)),
        "first_moment_mean_square": (m**2).mean(-1),
        "second_moment_mean": v.mean(-1),
        "coordinate_first_moment": m,
        "coordinate_first_moment_square": m**2,
        "coordinate_second_moment": v,
        "coordinate_second_moment_square": v**2,
        "diverged": np.zeros((REPLICAS, STEPS + 1)),
    }


def test_the_loop_has_every_observable(loop: dict[str, Array]) -> None:
    assert set(of_replicas(loop)) | {"weight_variance"} == set(NAMES)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "weight_variance"])
def test_means_and_standard_errors(result: xr.Dataset, loop: dict[str, Array], name: str) -> None:
    values = of_replicas(loop)[name]
    np.testing.assert_allclose(result[name], values.mean(0), rtol=1e-11, atol=1e-13)
    error = values.std(0, ddof=1) / np.sqrt(REPLICAS)
    np.testing.assert_allclose(result[name + "_sem"], error, rtol=1e-9, atol=1e-14)


def test_variances_and_their_errors(result: xr.Dataset, loop: dict[str, Array]) -> None:
    w = loop["w"]
    variance, fourth = w.var(0, ddof=1), ((w - w.mean(0)) ** 4).mean(0)
    np.testing.assert_allclose(result.weight_variance, variance, rtol=1e-10, atol=1e-16)
    error = np.sqrt((fourth - variance**2 * (REPLICAS - 3) / (REPLICAS - 1)) / REPLICAS)
    np.testing.assert_allclose(result.weight_variance_sem, error, rtol=1e-8, atol=1e-16)


def test_autocovariances(result: xr.Dataset, loop: dict[str, Array]) -> None:
    """All replicas are one leaf, whose mean they are less."""
    deviation = loop["w"] - loop["w"].mean(0)
    for place, lag in enumerate(LAGS):
        for step in range(STEPS + 1):
            found = float(result.autocovariance[step, place])
            if step < lag:
                assert np.isnan(found)
            else:
                expected = (deviation[:, step] * deviation[:, step - lag]).sum() / (REPLICAS - 1) / D
                assert found == pytest.approx(expected, rel=1e-10, abs=1e-16)


def test_the_fitted_timescale(result: xr.Dataset) -> None:
    """On two lags the fit is exact: τ = ℓ/ln(C₀/C_ℓ)."""
    two = result.drop_vars("lag_again").isel(lag=[0, 2], lag_again=[0, 2], step=[-1])
    fitted = em.autocorrelation_timescale(two)
    c0, c7 = two.autocovariance.values[0]
    assert float(fitted.timescale_steps[0]) == pytest.approx(7 / np.log(c0 / c7), rel=1e-6)


def test_quantiles(result: xr.Dataset, loop: dict[str, Array]) -> None:
    """The least value that a quarter, or half, of 20 replicas do not exceed: the 5th and the 10th."""
    for name, values in of_replicas(loop).items():
        if values.ndim == 2:
            expected = np.sort(values, axis=0)[[4, 9]].T
            np.testing.assert_allclose(result[name + "_quantiles"], expected, rtol=1e-11, atol=1e-13)


def test_first_passages(result: xr.Dataset, loop: dict[str, Array]) -> None:
    first = []
    for risk in of_replicas(loop)["risk"]:
        first.append(next((step for step in range(STEPS + 1) if risk[step] <= RISK_TARGET), np.inf))
    times = np.array(first)
    arrived = times[np.isfinite(times)]
    assert 0 < arrived.size < REPLICAS
    assert float(result.risk_first_passage) == pytest.approx(arrived.mean(), rel=1e-14)
    assert float(result.risk_first_passage_missed) == pytest.approx(1 - arrived.size / REPLICAS, rel=1e-14)
    assert result.risk_first_passage_quantiles.values.tolist() == np.sort(times)[[4, 9]].tolist()


def test_histograms(result: xr.Dataset, loop: dict[str, Array]) -> None:
    values = {"weight_norm": of_replicas(loop)["weight_norm"], "weight": loop["w"]}
    for name, of in values.items():
        for step in range(1, STEPS + 1):
            np.testing.assert_array_equal(result[name + "_histogram"][step], np.histogram(of[:, step], BINS)[0])
            outside = [(of[:, step] < 0.0).sum(), (of[:, step] > 0.9).sum(), 0]
            assert result[name + "_histogram_outside"][step].values.tolist() == outside


def test_trajectories(result: xr.Dataset, loop: dict[str, Array]) -> None:
    np.testing.assert_allclose(result.trajectory, loop["w"][[4, 11]], rtol=1e-11, atol=1e-13)
    assert json.loads(result.attrs["histogram"]) == {"weight_norm": BINS, "weight": BINS}
