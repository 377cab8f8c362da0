"""Starting weights that vary: their law, their numbers in the noise, and what predict makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ematheory as em
from ematheory.results import same_result
from ematheory.simulation import starting
from ematheory.simulation.normal import normals

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
PROBLEMS: list[Any] = [
    em.NoisyQuadratic(curvature=[1.0, 0.3], optimum=0.5, init_std=[0.5, 0.2]),
    em.RandomWalk(size=3, init=1.0, init_std=0.4),
    em.LinearRegression(curvature=[1.0, 0.5, 0.2], label_noise=0.5, batch_size=4, init_std=0.3),
    em.ReshuffledData(curvature=[1.0, 0.5], size=8, batch_size=2, init_std=0.3),
]
OPTIMIZERS = [em.SGD(lr=0.1, weight_decay=0.1), em.SGD(lr=0.05, momentum=0.8), em.ScheduleFreeSGD(lr=0.1)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("random_numbers", ["common", "independent"])
def test_they_are_the_normals_of_stream_1(dtype: str, random_numbers: str) -> None:
    problem = em.NoisyQuadratic(curvature=np.ones(3), init=[1.0, 2.0, -1.0], init_std=[0.5, 0.0, 0.1])
    replicas = range(60, 70)
    found = em.simulate(
        problem, em.AdamW(lr=[0.1, 0.2]), steps=1, record=[0], seed=9, replicas=replicas, dtype=dtype,
        random_numbers=random_numbers, trajectories=list(replicas),
    ).trajectory.values[:, :, 0]  # fmt: skip
    for point in range(2):
        number = point if random_numbers == "independent" else 0
        noise = normals(9, [0], range(3), replicas, number, stream=1)[0].astype(np.float64)
        expected = np.array([1.0, 2.0, -1.0]) + np.array([0.5, 0.0, 0.1]) * noise
        np.testing.assert_array_equal(found[point], expected.astype(dtype))


@pytest.mark.parametrize("problem", [*PROBLEMS, em.ScaleInvariant(size=5, init=0.0, init_std=[0.3, 0.6])])
def test_the_engines_agree_in_every_bit_and_no_cut_changes_one(monkeypatch: pytest.MonkeyPatch, problem: Any) -> None:
    settings: dict[str, Any] = {"steps": 7, "record": [0, 3, 7], "replicas": range(50, 131)}
    whole = em.simulate(problem, em.AdamW(lr=0.1), backend="reference", **settings)
    monkeypatch.setattr("ematheory.simulation.observables.TEMPORARY", 64)
    for backend in BACKENDS:
        assert same_result(em.simulate(problem, em.AdamW(lr=0.1), backend=backend, **settings), whole)
    assert starting.INITIAL_STREAM == 1


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_runs_have_the_predicted_moments(problem: Any, optimizer: Any) -> None:
    plan: dict[str, Any] = {
        "steps": 12, "record": [0, 1, 3, 12],
        "observables": ("weight_mean", "weight_variance", "weight_mean_square"),
    }  # fmt: skip
    compared = em.compare(
        em.simulate(problem, optimizer, replicas=8192, **plan), em.predict(problem, optimizer, **plan)
    )
    z = np.concatenate([compared[f"{name}_z"].values.ravel() for name in plan["observables"]])
    # At most 28 numbers, at most 4.5 standard errors: by chance once in 5000 such tests.
    assert np.abs(z).max() < 4.5
    assert np.isfinite(z).all()


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_averages_have_them_too(momentum: float) -> None:
    plan: dict[str, Any] = {
        "steps": 12, "record": [0, 1, 3, 12], "iterate_average": [0.0, 0.9],
        "observables": ("weight_mean", "weight_variance", "weight_mean_square"),
    }  # fmt: skip
    problem, optimizer = PROBLEMS[0], em.SGD(lr=0.1, momentum=momentum)
    compared = em.compare(
        em.simulate(problem, optimizer, replicas=8192, **plan), em.predict(problem, optimizer, **plan)
    )
    z = np.concatenate([compared[f"{name}_z"].values.ravel() for name in plan["observables"]])
    assert np.abs(z).max() < 4.5
    assert np.isfinite(z).all()


def test_the_variance_of_the_start_fades_as_its_mean_does() -> None:
    """By hand: V_t = (1 − ηh)^2t s² where nothing else is noisy."""
    problem = em.NoisyQuadratic(curvature=[1.0, 0.5], noise=0.0, init_std=[0.3, 2.0])
    found = em.predict(problem, em.SGD(lr=0.1), steps=9, observables="weight_variance").weight_variance[-1]
    expected = np.array([0.9, 0.95]) ** 18 * np.array([0.09, 4.0])
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_what_predict_refuses_and_what_it_need_not() -> None:
    quadratic = PROBLEMS[0]
    with pytest.raises(ValueError, match=r"init_std > 0 is predicted where the step is linear .*got AdamW on Noisy"):
        em.predict(quadratic, em.AdamW(lr=0.1), steps=5)
    with pytest.raises(ValueError, match="got SGD on ScaleInvariant; use simulate"):
        em.predict(em.ScaleInvariant(init_std=0.1), em.SGD(lr=0.1), steps=5)
    # What is left in the long run does not depend on the start.
    alike = em.NoisyQuadratic(curvature=[1.0, 0.3], optimum=0.5)
    for optimizer in (em.SGD(lr=0.1), em.AdamW(lr=0.01, weight_decay=0.1)):
        assert float(em.predict(quadratic, optimizer).risk) == float(em.predict(alike, optimizer).risk)


def test_wrong_values() -> None:
    with pytest.raises(ValueError, match="init_std must be finite and >= 0, got -1"):
        em.NoisyQuadratic(curvature=1.0, init_std=-1.0)
    with pytest.raises(ValueError, match="vector fields must have one length"):
        em.LinearRegression(curvature=[1.0, 2.0], init_std=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="init must not be 0 without an init_std"):
        em.ScaleInvariant(init=0.0)
