"""Symmetries that hold exactly: a change of units by a power of two commutes with every rounding."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em

DTYPES = ("float64", "float32")
BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
CURVATURE = 1 / np.arange(1, 20)
INIT = np.linspace(-1, 1, 19)


def run(problem: Any, optimizer: Any, dtype: str, backend: str = "auto", **settings: Any) -> xr.Dataset:
    return em.simulate(
        problem, optimizer, steps=25, record=em.every(5), replicas=6, schedule=em.Cosine(warmup=0.2), dtype=dtype,
        backend=backend, observables=problem.observables, **settings,
    )  # fmt: skip


def quadratic(scale: float = 1.0, curvature: float = 1.0) -> em.NoisyQuadratic:
    """Weights in units of 1/`scale`, and the whole loss times `curvature`."""
    return em.NoisyQuadratic(
        curvature=CURVATURE * curvature, noise=0.3 * (scale * curvature) ** 2, optimum=0.25 * scale, init=INIT * scale
    )


SGDS = [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.9, "decay": "per_lr"}, {}]


@pytest.mark.parametrize("fields", SGDS)
@pytest.mark.parametrize(("dtype", "backend"), list(product(DTYPES, BACKENDS)))
def test_sgd_in_other_units_of_weight(fields: dict[str, Any], dtype: str, backend: str) -> None:
    """w → 4w with noise and optimum along: the same numbers times 4."""
    optimizer = em.SGD(lr=0.1, weight_decay=0.2, **fields)
    plain = run(quadratic(), optimizer, dtype, backend)
    scaled = run(quadratic(scale=4.0), optimizer, dtype, backend)
    np.testing.assert_array_equal(scaled.weight_mean, 4 * plain.weight_mean)
    np.testing.assert_array_equal(scaled.risk, 16 * plain.risk)
    np.testing.assert_array_equal(scaled.rotation, plain.rotation)
    np.testing.assert_array_equal(scaled.update_cosine, plain.update_cosine)


@pytest.mark.parametrize("fields", SGDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_sgd_in_other_units_of_loss(fields: dict[str, Any], dtype: str) -> None:
    """L → 8L with η/8 and, as what it multiplies is not the loss, 8λ: the same path."""
    plain = run(quadratic(), em.SGD(lr=0.1, weight_decay=0.2, **fields), dtype)
    scaled = run(quadratic(curvature=8.0), em.SGD(lr=0.1 / 8, weight_decay=0.2 * 8, **fields), dtype)
    np.testing.assert_array_equal(scaled.weight_mean, plain.weight_mean)
    np.testing.assert_array_equal(scaled.risk, 8 * plain.risk)


@pytest.mark.parametrize("decay", ["per_lr", "independent", "corrected", "cautious"])
@pytest.mark.parametrize(("dtype", "backend"), list(product(DTYPES, BACKENDS)))
def test_adamw_does_not_see_the_scale_of_the_loss_if_eps_follows(decay: str, dtype: str, backend: str) -> None:
    first = em.AdamW(lr=0.02, weight_decay=0.5, eps=1e-3, decay=decay)
    second = em.AdamW(lr=0.02, weight_decay=0.5, eps=1e-3 * 4, decay=decay)
    plain, scaled = run(quadratic(), first, dtype, backend), run(quadratic(curvature=4.0), second, dtype, backend)
    np.testing.assert_array_equal(scaled.weight_mean, plain.weight_mean)
    unscaled = run(quadratic(curvature=4.0), first, dtype, backend)
    assert not np.array_equal(unscaled.weight_mean, plain.weight_mean)


@pytest.mark.parametrize("dtype", DTYPES)
def test_theorem_1_s_scaling_on_the_walk(dtype: str) -> None:
    """(η, λ, ε, w₀) → (cη, λ/c, ε/c, c·w₀) with gradients over c, c = 2: w' = 2w, bit for bit (E9)."""
    plain = run(em.RandomWalk(size=19, noise=1.0, init=INIT), em.AdamW(0.02, 0.5, eps=1e-3), dtype)
    scaled = run(em.RandomWalk(size=19, noise=0.25, init=2 * INIT), em.AdamW(0.04, 0.25, eps=5e-4), dtype)
    np.testing.assert_array_equal(scaled.weight_mean, 2 * plain.weight_mean)
    np.testing.assert_array_equal(scaled.rotation, plain.rotation)


@pytest.mark.parametrize("dtype", DTYPES)
def test_batch_size_is_the_noise_s_variance(dtype: str) -> None:
    curved = em.NoisyQuadratic(curvature=CURVATURE, noise=0.3, batch_size=16)
    quiet = em.NoisyQuadratic(curvature=CURVATURE, noise=0.3 / 16)
    np.testing.assert_array_equal(run(curved, em.SGD(lr=0.1), dtype).risk, run(quiet, em.SGD(lr=0.1), dtype).risk)


@pytest.mark.parametrize("dtype", DTYPES)
def test_per_lr_and_independent_decay_are_one_another_s_lambda_times_eta(dtype: str) -> None:
    """η = 2⁻⁶, so that ηλ is exact."""
    per_lr = run(quadratic(), em.AdamW(lr=2**-6, weight_decay=0.5), dtype)
    independent = run(quadratic(), em.AdamW(lr=2**-6, weight_decay=0.5 * 2**-6, decay="independent"), dtype)
    np.testing.assert_array_equal(per_lr.weight_mean, independent.weight_mean)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_decay_schedule_multiplies_lambda_alone(dtype: str) -> None:
    halves = np.full(25, 0.5)
    scheduled = run(quadratic(), em.AdamW(lr=0.02, weight_decay=0.5), dtype, decay_schedule=halves)
    constant = run(quadratic(), em.AdamW(lr=0.02, weight_decay=0.25), dtype)
    np.testing.assert_array_equal(scheduled.weight_mean, constant.weight_mean)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_schedule_as_an_array_is_the_schedule(dtype: str) -> None:
    problem, optimizer = quadratic(), em.AdamW(lr=0.02, weight_decay=0.5)
    array = em.Cosine(warmup=0.2).multipliers(25)
    as_array = em.simulate(problem, optimizer, steps=25, replicas=6, schedule=array, dtype=dtype)
    as_schedule = em.simulate(problem, optimizer, steps=25, replicas=6, schedule=em.Cosine(warmup=0.2), dtype=dtype)
    np.testing.assert_array_equal(as_array.risk, as_schedule.risk)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nesterov_and_heavy_ball_differ_and_without_momentum_sgd_is_memoryless(dtype: str) -> None:
    plain = run(quadratic(), em.SGD(lr=0.1, momentum=0.9), dtype)
    nesterov = run(quadratic(), em.SGD(lr=0.1, momentum=0.9, nesterov=True), dtype)
    assert not np.array_equal(plain.risk, nesterov.risk)
    l2 = run(quadratic(), em.SGD(lr=0.125, weight_decay=0.25), dtype)
    per_lr = run(quadratic(), em.SGD(lr=0.125, weight_decay=0.25, decay="per_lr"), dtype)
    # The same in exact arithmetic; the two round at other places.
    np.testing.assert_allclose(l2.risk, per_lr.risk, rtol=1e-4 if dtype == "float32" else 1e-12)
