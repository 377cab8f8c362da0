"""Gradient clipping by the norm: against torch, against a plain loop, as a sweep axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ematheory as em
from ematheory.results import same_result
from ematheory.simulation.clipping import clip, clip_each
from ematheory.simulation.groups import spans
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


@pytest.mark.parametrize("groups", [(3, 4), (1, 1, 5), (7,)])
def test_each_group_is_clipped_as_torch_clips_a_parameter_group(groups: tuple[int, ...]) -> None:
    torch = pytest.importorskip("torch")
    given = np.random.default_rng(2).normal(size=(2, 5, 7))
    found, most = clip_each(given, np.array([[0.5], [1.2]]), groups), (0.5, 1.2)
    for place in np.ndindex(2, 5):
        for columns in spans(groups):
            weight = torch.zeros(columns.stop - columns.start, dtype=torch.float64, requires_grad=True)
            weight.grad = torch.from_numpy(given[place][columns].copy())
            torch.nn.utils.clip_grad_norm_([weight], most[place[0]])
            np.testing.assert_allclose(found[place][columns], weight.grad.numpy(), rtol=1e-14)


GROUPED: dict[str, tuple[Any, Any]] = {
    "quadratic, AdamW": (em.NoisyQuadratic(1 / np.arange(1, 131), optimum=0.3), em.AdamW(lr=[0.01, 0.1])),
    "quadratic, Lion": (em.NoisyQuadratic(1 / np.arange(1, 131), optimum=0.3), em.Lion(lr=0.01, weight_decay=0.1)),
    "walk, SGD": (em.RandomWalk(size=130), em.SGD(lr=0.1, momentum=0.9)),
    "scale-invariant, SGD": (em.ScaleInvariant(size=130), em.SGD(lr=[0.1, 0.2])),
    "quadratic, AdamP": (em.NoisyQuadratic(1 / np.arange(1, 131)), em.AdamP(lr=0.01)),
    "reshuffled, SGD": (em.ReshuffledData(np.ones(130), size=8, batch_size=2), em.SGD(lr=0.1)),
}


@pytest.mark.skipif(len(BACKENDS) < 2, reason="the native engine was not built (no compiler)")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("groups", [65, (1, 64, 3, 62)], ids=str)
@pytest.mark.parametrize("case", GROUPED)
def test_clipped_groups_have_the_same_bits_on_both_backends(case: str, groups: Any, dtype: str) -> None:
    problem, optimizer = GROUPED[case]
    settings: dict[str, Any] = {
        "steps": 9, "replicas": 3, "record": [0, 4, 9], "trajectories": [0, 1, 2], "dtype": dtype, "groups": groups,
        "clip_norm": [0.5, 1e9],
    }  # fmt: skip
    found = [em.simulate(problem, optimizer, clip_each="group", backend=backend, **settings) for backend in BACKENDS]
    assert same_result(*found)
    free = em.simulate(problem, optimizer, **{**settings, "clip_norm": None})
    np.testing.assert_array_equal(found[0].trajectory.sel(clip_norm=1e9), free.trajectory)
    assert (found[0].trajectory.sel(clip_norm=0.5, step=9) != free.trajectory.sel(step=9)).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_group_that_is_all_is_the_replica_and_one_of_two_is_a_run_of_its_own(backend: str) -> None:
    problem, optimizer = em.NoisyQuadratic(np.linspace(0.2, 1, 6), init=1.0), em.SGD(lr=0.3)
    settings: dict[str, Any] = {"steps": 15, "replicas": 4, "backend": backend, "trajectories": range(4)}
    whole = em.simulate(problem, optimizer, clip_norm=0.4, **settings).trajectory
    one = em.simulate(problem, optimizer, clip_norm=0.4, clip_each="group", groups=6, **settings).trajectory
    np.testing.assert_array_equal(one, whole)
    two = em.simulate(problem, optimizer, clip_norm=0.4, clip_each="group", groups=[2, 4], **settings).trajectory
    # The first coordinates draw the same noise in a smaller problem.
    alone = em.NoisyQuadratic(np.linspace(0.2, 1, 6)[:2], init=1.0)
    of_two = em.simulate(alone, optimizer, clip_norm=0.4, **settings).trajectory
    np.testing.assert_array_equal(two.sel(coordinate=[0, 1]), of_two)
    assert (two != whole).any()


def test_what_is_refused_of_groups() -> None:
    problem, optimizer = em.RandomWalk(size=4), em.SGD(lr=0.1)
    for given, message in (
        ({"clip_norm": 1.0}, "clip_each='group' clips each of the groups to clip_norm, but groups was left out"),
        ({"groups": 2}, "clip_each='group' clips each of the groups to clip_norm, but clip_norm was left out"),
        ({"clip_norm": 1.0, "groups": 2, "tail_average": 0.5, "backend": "cpu"}, "has no tail_average then"),
    ):
        with pytest.raises(ValueError, match=message):
            em.simulate(problem, optimizer, steps=5, clip_each="group", **given)
    with pytest.raises(ValueError, match="clip_each must be one of 'replica', 'group', got 'layer'"):
        em.simulate(problem, optimizer, steps=5, clip_norm=1.0, clip_each="layer")
    regression = em.LinearRegression(np.ones(4))
    with pytest.raises(ValueError, match="LinearRegression has sums over all weights and clipping over each group"):
        em.simulate(regression, optimizer, steps=5, clip_norm=1.0, groups=2, clip_each="group", backend="cpu")
    assert em.simulate(regression, optimizer, steps=5, clip_norm=1.0, groups=2, clip_each="group").risk.notnull().all()


def test_what_is_refused() -> None:
    problem, optimizer = em.RandomWalk(), em.SGD(lr=0.1)
    with pytest.raises(ValueError, match="clip_norm must be finite and > 0, got 0"):
        em.simulate(problem, optimizer, steps=5, clip_norm=0.0)
    with pytest.raises(TypeError, match="clip_norm must be a number"):
        em.simulate(problem, optimizer, steps=5, clip_norm="1")
