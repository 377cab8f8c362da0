"""Gradient clipping by the norm: against torch, against a plain loop, as a sweep axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ematheory as em
from ematheory.simulation.clipping import clip
from ematheory.simulation.normal import normals

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("most", [1e-3, 1.0, 30.0, 1e6])
@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
def test_it_is_what_torch_does(dtype: str, most: float, size: float) -> None:
    torch = pytest.importorskip("torch")
    given = (size * np.random.default_rng(0).normal(size=(5, 70))).astype(dtype)
    found = clip(given, most)
    for row, expected in zip(found, given, strict=True):
        weight = torch.zeros(70, dtype=getattr(torch, dtype), requires_grad=True)
        weight.grad = torch.from_numpy(expected.copy())
        torch.nn.utils.clip_grad_norm_([weight], most)
        # torch sums the squares and divides in the gradient's dtype: 70 roundings, and a few more.
        np.testing.assert_allclose(row, weight.grad.numpy(), rtol=80 * np.finfo(dtype).eps)
    assert found.dtype == dtype


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_infinities_and_nan_are_torch_s(bad: float) -> None:
    torch = pytest.importorskip("torch")
    given = np.array([1.0, bad, -2.0])
    weight = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    weight.grad = torch.from_numpy(given.copy())
    torch.nn.utils.clip_grad_norm_([weight], 1.0)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(clip(given, 1.0), weight.grad.numpy())


def test_a_gradient_that_is_not_longer_keeps_its_bits() -> None:
    given = np.random.default_rng(1).normal(size=(4, 9))
    np.testing.assert_array_equal(clip(given, 100.0), given)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_is_that_of_a_plain_loop(backend: str) -> None:
    h, optimum, most, lr, steps = np.array([1.0, 0.4, 0.1, 0.0]), 0.5, 0.7, 0.3, 30
    noise = normals(5, range(steps), range(4), [0, 1])
    weight = np.full((2, 4), 2.0)
    for step in range(steps):
        gradient = h * (weight - optimum) + np.sqrt(h / 2) * noise[step]
        size = np.sqrt((gradient**2).sum(-1, keepdims=True))
        weight = weight - lr * gradient * np.minimum(1, most / (size + 1e-6))
    problem = em.NoisyQuadratic(curvature=h, optimum=optimum, batch_size=2, init=2.0)
    found = em.simulate(
        problem, em.SGD(lr=lr), steps=steps, clip_norm=most, seed=5, replicas=2, trajectories=[0, 1], backend=backend
    ).trajectory.sel(step=steps)
    np.testing.assert_allclose(found, weight, rtol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_is_a_sweep_axis_and_one_of_many_is_one_alone(backend: str) -> None:
    problem = em.ScaleInvariant(size=20)
    settings: dict[str, Any] = {"steps": 11, "replicas": 5, "backend": backend}
    swept = em.simulate(problem, em.SGD(lr=[0.1, 0.2]), clip_norm=[0.1, 1.0, 1e9], **settings)
    assert swept.weight_norm.dims == ("lr", "clip_norm", "step")
    alone = em.simulate(problem, em.SGD(lr=[0.1, 0.2]), clip_norm=1.0, **settings)
    np.testing.assert_array_equal(swept.weight_norm.sel(clip_norm=1.0), alone.weight_norm)
    free = em.simulate(problem, em.SGD(lr=[0.1, 0.2]), **settings)
    np.testing.assert_array_equal(swept.weight_norm.sel(clip_norm=1e9), free.weight_norm)


def test_updates_of_plain_sgd_are_at_most_the_learning_rate_times_the_norm() -> None:
    found = em.simulate(
        em.RandomWalk(size=50), em.SGD(lr=0.1), steps=20, clip_norm=0.5, record=range(1, 21), observables="update_norm"
    ).update_norm
    np.testing.assert_allclose(found, 0.1 * 0.5, rtol=1e-6)


def test_what_is_refused() -> None:
    problem, optimizer = em.RandomWalk(), em.SGD(lr=0.1)
    with pytest.raises(ValueError, match="clip_norm must be finite and > 0, got 0"):
        em.simulate(problem, optimizer, steps=5, clip_norm=0.0)
    with pytest.raises(TypeError, match="clip_norm must be a number"):
        em.simulate(problem, optimizer, steps=5, clip_norm="1")
