"""What simulate measures beyond the problem's own observables: against trajectories written out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.problems import MEASURED
from ematheory.results import same_result
from ematheory.simulation.normal import normals
from ematheory.simulation.observables import COORDINATES, SCALARS

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
H, TARGET, NOISE = np.array([1.0, 0.5, 0.1]), np.array([0.5, -0.5, 0.0]), 0.1
PROBLEM = em.NoisyQuadratic(curvature=H, noise=NOISE, optimum=TARGET)
OPTIMIZER = em.AdamW(lr=0.01, weight_decay=3.0)
SCHEDULE = em.Linear(final=0.2)
STEPS = 12


def run(problem: Any = PROBLEM, optimizer: Any = OPTIMIZER, **settings: Any) -> xr.Dataset:
    return em.simulate(
        problem, optimizer, **{"steps": STEPS, "replicas": 5, "record": em.every(1), "schedule": SCHEDULE, **settings}
    )


def weights(replica: int, optimizer: Any = OPTIMIZER, **settings: Any) -> np.ndarray[Any, Any]:
    """One replica's weights at every step, shape (steps + 1, d): the mean over that replica alone."""
    alone = run(optimizer=optimizer, replicas=range(replica, replica + 1), observables="weight_mean", **settings)
    return np.asarray(alone.weight_mean)


def mean_and_error(values: list[np.ndarray[Any, Any]]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    table = np.array(values)
    return table.mean(0), table.std(0, ddof=1) / np.sqrt(len(table))


def check(result: xr.Dataset, name: str, values: list[np.ndarray[Any, Any]], first: int = 0) -> None:
    mean, error = mean_and_error(values)
    np.testing.assert_allclose(result[name][first:], mean, rtol=1e-12)
    np.testing.assert_allclose(result[name + "_sem"][first:], error, rtol=1e-7, atol=1e-15)
    assert np.isnan(result[name][:first]).all()


def test_every_name_that_only_simulate_knows_is_measured() -> None:
    for name in MEASURED:
        assert name in SCALARS or name in COORDINATES
        assert not hasattr(xr.Dataset, name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_update_s_norm_and_ratio_are_those_of_the_whole_step(backend: str) -> None:
    result = run(observables=("update_norm", "update_ratio"), backend=backend)
    paths = [weights(replica) for replica in range(5)]
    norms = [np.linalg.norm(np.diff(path, axis=0), axis=-1) for path in paths]
    check(result, "update_norm", norms, first=1)
    check(
        result, "update_ratio",
        [size / np.linalg.norm(path[:-1], axis=-1) for size, path in zip(norms, paths, strict=True)], first=1,
    )  # fmt: skip


EFFECTIVE = [
    (em.AdamW(lr=0.01, weight_decay=3.0), 1, lambda s: 0.03 * s),
    (em.AdamW(lr=0.01, weight_decay=0.1, decay="independent"), 1, lambda s: 0.1 * s),
    (em.Lion(lr=0.01, weight_decay=3.0), 1, lambda s: 0.03 * s),
    (em.SGD(lr=0.01, weight_decay=3.0, decay="per_lr"), 2, lambda s: 0.03 * s),
]


@pytest.mark.parametrize(("optimizer", "power", "alpha"), EFFECTIVE)
@pytest.mark.parametrize("backend", BACKENDS)
def test_effective_learning_rates(optimizer: Any, power: int, alpha: Any, backend: str) -> None:
    names = ("effective_learning_rate", "effective_learning_rate_exact")
    result = run(optimizer=optimizer, observables=names, backend=backend)
    s = SCHEDULE.multipliers(STEPS)
    published = [0.01 * s / np.linalg.norm(weights(r, optimizer)[:-1], axis=-1) ** power for r in range(5)]
    check(result, names[0], published, first=1)
    check(result, names[1], [value / (1 - alpha(s)) for value in published], first=1)


def test_the_exact_effective_rate_makes_a_run_without_decay_turn_alike() -> None:
    """SGD without memory on scale-invariant weights: one step of each from the same direction, the other at norm 1."""
    problem = em.ScaleInvariant(size=6, init=0.4)
    decayed = run(
        problem, em.SGD(lr=0.1, weight_decay=2.0, decay="per_lr"), steps=1, schedule=None, replicas=1,
        observables=("rotation", "effective_learning_rate", "effective_learning_rate_exact"),
    )  # fmt: skip
    turns = {
        name: run(
            em.ScaleInvariant(size=6, init=1 / np.sqrt(6)), em.SGD(lr=float(decayed[name][1])), steps=1, replicas=1,
            schedule=None, observables="rotation",
        ).rotation[1]
        for name in ("effective_learning_rate", "effective_learning_rate_exact")
    }  # fmt: skip
    assert float(turns["effective_learning_rate_exact"]) == pytest.approx(float(decayed.rotation[1]), rel=1e-12)
    assert float(turns["effective_learning_rate"]) < 0.95 * float(decayed.rotation[1])


REFUSED = [
    (em.SGD(lr=0.1), "effective_learning_rate_exact", "this SGD has no decay apart from the gradient"),
    (em.Adam(lr=0.1), "effective_learning_rate_exact", "this Adam has no decay apart from the gradient"),
    (em.AdamW(lr=0.1, decay="cautious"), "effective_learning_rate_exact", "this AdamW decays only some coordinates"),
    (em.Amos(lr=0.1), "effective_learning_rate", "of Amos is not known: it is that of SGD and of updates"),
    (em.SGD(lr=0.1), "first_moment_mean_square", "holds a first_moment; SGD holds weight, momentum"),
    (em.Lion(lr=0.1), "second_moment_mean", "holds a second_moment; Lion holds weight, first_moment"),
]


@pytest.mark.parametrize(("optimizer", "name", "message"), REFUSED)
def test_what_an_optimizer_does_not_have_is_refused(optimizer: Any, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run(optimizer=optimizer, observables=name)


def test_predict_says_that_simulate_measures_it() -> None:
    with pytest.raises(ValueError, match="'update_ratio' is measured by simulate and not predicted; predict knows"):
        em.predict(PROBLEM, OPTIMIZER, steps=2, observables="update_ratio")


def test_an_axis_cannot_have_the_name_of_a_measurement() -> None:
    axis = xr.DataArray([0.1, 0.2], coords={"diverged": [0.0, 1.0]})
    with pytest.raises(ValueError, match="a sweep axis cannot be called 'diverged'"):
        run(optimizer=em.SGD(lr=axis))


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_second_moment_of_the_weight(backend: str) -> None:
    result = run(observables=("weight_second_moment", "weight_mean"), backend=backend)
    assert result.weight_second_moment.dims == ("step", "coordinate")
    check(result, "weight_second_moment", [weights(replica) ** 2 for replica in range(5)])


@pytest.mark.parametrize("record", [em.every(1), [0, 1, 7, 12], [5], [12]])
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_optimizer_s_moments_at_the_records(backend: str, record: Any) -> None:
    names = ("first_moment_mean_square", "second_moment_mean", "risk", "rotation")
    result = run(observables=names, backend=backend, record=record)
    expected: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in names[:2]}
    for replica in range(5):
        path = weights(replica)
        m, v = np.zeros((STEPS + 1, 3)), np.zeros((STEPS + 1, 3))
        noise = normals(0, range(STEPS), range(3), range(replica, replica + 1)).astype(np.float64)[:, 0]
        for k in range(STEPS):
            gradient = H * (path[k] - TARGET) + np.sqrt(NOISE) * noise[k]
            m[k + 1] = 0.9 * m[k] + 0.1 * gradient
            v[k + 1] = 0.999 * v[k] + 0.001 * gradient**2
        expected[names[0]].append((m**2).mean(-1)[result.step])
        expected[names[1]].append(v.mean(-1)[result.step])
    for name in names[:2]:
        check(result, name, expected[name])
    plain = run(observables=names[2:], backend=backend, record=record)
    for name in plain:
        np.testing.assert_array_equal(plain[name], result[name])


def test_both_engines_and_any_blocks_measure_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep, settings = em.AdamW(lr=[0.01, 0.1], weight_decay=[0.0, 1.0, 2.0]), {"replicas": range(60, 200)}
    settings["observables"] = MEASURED
    whole = run(optimizer=sweep, backend="reference", **settings)
    if em.isas():
        assert same_result(run(optimizer=sweep, backend="cpu", **settings), whole)
    monkeypatch.setattr("ematheory.simulation.reference.Reference.cells_per_block", 64 * 3)
    monkeypatch.setattr("ematheory.simulation.reference.Reference.work_per_call", 1000)
    monkeypatch.setattr("ematheory.simulation.observables.TEMPORARY", 2**9)
    assert same_result(run(optimizer=sweep, backend="reference", **settings), whole)


def test_combining_at_the_root_gives_the_single_call_s_bits() -> None:
    parts = [run(replicas=part, observables=MEASURED) for part in (range(64), range(64, 128))]
    assert same_result(em.combine(*parts), run(replicas=128, observables=MEASURED))


def test_diverged_replicas_are_counted_and_stay_in_the_means() -> None:
    """w² ± noise grows without bound for replicas that start beyond 1: some diverge and others do not."""

    class Bistable(em.NoisyQuadratic):
        name = "bistable"

        def gradient(self, xp: Any, weight: Any, noise: Any, c: Any) -> Any:
            return weight - weight * weight * weight + c.noise_scale * noise

    problem = Bistable(curvature=[1.0], noise=0.5, init=0.9)
    result = em.simulate(
        problem, em.SGD(lr=0.2), steps=200, record=[0, 1, 200], replicas=50, observables=("diverged", "weight_norm")
    )
    share = float(result.diverged[-1])
    assert 0.1 < share < 0.9
    assert share * 50 == pytest.approx(round(share * 50), abs=1e-12)
    assert float(result.diverged_sem[-1]) == pytest.approx(np.sqrt(share * (1 - share) / 49), rel=1e-12)
    assert result.diverged[:2].values.tolist() == [0.0, 0.0]
    assert np.isfinite(result.weight_norm[:2]).all()
    assert not np.isfinite(result.weight_norm[-1])
