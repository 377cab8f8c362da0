"""simulate: the shape of results, known answers, errors, interrupts and memory."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.prediction import UnstableWarning
from ematheory.problems import RECORDS
from ematheory.results import same_result
from ematheory.simulation import backends
from ematheory.simulation.normal import normals
from ematheory.simulation.observables import View, update_cosine

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
PROBLEM = em.NoisyQuadratic(curvature=[1.0, 0.5, 0.1], noise=0.1, optimum=[0.5, -0.5, 0.0])
OPTIMIZER = em.AdamW(lr=0.01, weight_decay=0.1)


def run(problem: Any = PROBLEM, optimizer: Any = OPTIMIZER, **settings: Any) -> xr.Dataset:
    return em.simulate(problem, optimizer, **{"steps": 12, "replicas": 5, "backend": "reference", **settings})


def test_dims_are_the_axes_then_step_then_coordinate() -> None:
    optimizer = em.AdamW(lr=[0.01, 0.02], weight_decay=[0.0, 0.1, 0.2])
    problem = em.NoisyQuadratic(curvature=[1.0, 0.5], batch_size=[1, 8])
    result = run(problem, optimizer, record=em.every(5), observables=("risk", "weight_mean"))
    assert result.risk.dims == ("lr", "weight_decay", "batch_size", "step")
    assert result.weight_mean.dims == ("lr", "weight_decay", "batch_size", "step", "coordinate")
    assert result.weight_mean.shape == (2, 3, 2, 4, 2)
    assert result.step.values.tolist() == [0, 5, 10, 12]
    assert result.step.dtype == np.int64
    assert result.lr.values.tolist() == [0.01, 0.02]


def test_a_point_of_a_sweep_is_the_run_alone() -> None:
    sweep = run(optimizer=em.AdamW(lr=[0.01, 0.02], weight_decay=[0.0, 0.1]), observables=PROBLEM.observables)
    alone = run(optimizer=em.AdamW(lr=0.02, weight_decay=0.1), observables=PROBLEM.observables)
    picked = sweep.sel(lr=0.02, weight_decay=0.1, drop=True)
    xr.testing.assert_equal(picked.drop_attrs(), alone.drop_attrs())


def test_zipped_fields_give_one_axis() -> None:
    case = {"case": [0.0, 1.0]}
    optimizer = em.SGD(lr=xr.DataArray([0.1, 0.2], coords=case), weight_decay=xr.DataArray([0.0, 0.5], coords=case))
    result = run(optimizer=optimizer)
    assert result.risk.dims == ("case", "step")
    alone = run(optimizer=em.SGD(lr=0.2, weight_decay=0.5))
    np.testing.assert_array_equal(result.risk[1], alone.risk)


def test_the_default_observable_is_the_problem_s_first() -> None:
    assert set(run().data_vars) == {"risk", "risk_sem", "risk_central_sums"}
    assert "weight_mean_square" in run(em.RandomWalk(size=3))


@pytest.mark.parametrize("backend", BACKENDS)
def test_sgd_by_hand(backend: str) -> None:
    """Two steps written out with the Noise contract's normals, in float64."""
    lr, decay = 0.1, 0.3
    result = run(
        optimizer=em.SGD(lr=lr, weight_decay=decay), steps=2, record=em.every(1), replicas=range(7, 9), seed=11,
        observables=PROBLEM.observables, backend=backend,
    )  # fmt: skip
    h, target = np.array([1.0, 0.5, 0.1]), np.array([0.5, -0.5, 0.0])
    weights = [np.ones((2, 3))]
    for noise in normals(11, range(2), range(3), range(7, 9)).astype(np.float64):
        w = weights[-1]
        weights.append(w - lr * (h * (w - target) + np.sqrt(0.1) * noise + decay * w))
    w = np.array(weights)
    close = {"rtol": 1e-13, "atol": 1e-15}
    risks = 0.5 * (h * (w - target) ** 2).sum(-1)
    np.testing.assert_allclose(result.risk, risks.mean(1), **close)
    np.testing.assert_allclose(result.risk_sem, risks.std(1, ddof=1) / np.sqrt(2), rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(result.weight_mean, w.mean(1), **close)
    np.testing.assert_allclose(result.weight_variance, w.var(1, ddof=1), rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(result.weight_mean_square, (w**2).mean(-1).mean(1), **close)
    np.testing.assert_allclose(result.weight_norm, np.linalg.norm(w, axis=-1).mean(1), **close)
    before, after = w[:-1], w[1:]
    lengths = np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)
    angle = np.arccos((before * after).sum(-1) / lengths).mean(1)
    np.testing.assert_allclose(result.rotation[1:], angle, rtol=1e-8)
    update = before - after
    cosine = (before * update).sum(-1) / (np.linalg.norm(before, axis=-1) * np.linalg.norm(update, axis=-1))
    np.testing.assert_allclose(result.update_cosine[1:], cosine.mean(1), rtol=1e-10)
    assert np.isnan([result.rotation[0], result.update_cosine[0], result.rotation_sem[0]]).all()


def test_without_noise_every_replica_is_the_mean() -> None:
    quiet = em.NoisyQuadratic(curvature=[1.0, 0.5], noise=0.0)
    result = run(
        quiet, em.SGD(lr=0.1, weight_decay=0.2), steps=7, replicas=4, observables=("weight_mean", "weight_variance")
    )
    np.testing.assert_allclose(result.weight_mean[-1], (1 - 0.1 * np.array([1.2, 0.7])) ** 7, rtol=1e-14)
    np.testing.assert_array_equal(result.weight_variance, 0.0)


def test_update_cosine_uses_the_decay_of_its_step() -> None:
    """Without gradient AdamW's update is 0; what is left after adding the decay back has no direction."""
    still = em.NoisyQuadratic(curvature=[0.0], noise=0.0)
    optimizer = em.AdamW(lr=0.1, weight_decay=0.5)
    result = run(still, optimizer, schedule=em.Linear(), observables=("update_cosine", "weight_norm"))
    expected = np.prod(1 - 0.05 * em.Linear().multipliers(12))
    np.testing.assert_allclose(result.weight_norm[-1], expected, rtol=1e-14)
    walk = run(em.RandomWalk(size=4000), em.AdamW(lr=0.1, weight_decay=0.5, beta1=0.0), steps=40, record=[40])
    assert walk.sizes["step"] == 1
    cosine = run(
        em.RandomWalk(size=4000), em.AdamW(lr=0.1, weight_decay=0.5, beta1=0.0), steps=40, record=[40],
        observables=("update_cosine",), schedule=em.Cosine(final=0.5),
    )  # fmt: skip
    # With β₁ = 0 the update is independent of the weight: the cosine is 0 within 5 standard errors of 1/√(C·R).
    assert abs(float(cosine.update_cosine[0])) < 5 / np.sqrt(4000 * 5)


def test_the_last_record_ends_the_work() -> None:
    done: list[tuple[int, int]] = []
    run(steps=10_000, record=[3], progress=lambda now, total: done.append((now, total)))
    assert done[-1] == (3 * 3 * 5, 3 * 3 * 5)
    xr.testing.assert_equal(run(steps=5, record=[0, 3]).drop_attrs(), run(steps=5, record=[0, 3]).drop_attrs())


def test_replicas_of_one_trajectory_have_the_same_bits_in_any_range() -> None:
    whole = [run(replicas=range(i, i + 1)) for i in range(62, 67)]
    np.testing.assert_allclose(
        run(replicas=range(62, 67)).risk, np.mean([one.risk for one in whole], axis=0), rtol=1e-14
    )
    assert whole[0].risk[-1] != whole[1].risk[-1]
    assert np.isnan(whole[0].risk_sem).all()


def test_attributes_hold_what_can_change_the_answer_and_run_the_rest() -> None:
    result = run(schedule=em.Cosine(), decay_schedule=np.ones(12), seed=2**64 - 1)
    assert set(result.attrs) == {
        "problem", "optimizer", "steps", "schedule", "decay_schedule", "seed", "dtype", "random_numbers",
        "replicas_start", "replicas_stop", "run",
    }  # fmt: skip
    assert json.loads(result.attrs["optimizer"])["type"] == "AdamW"
    assert {"backend", "isa", "threads", "seconds", "memory_bytes", "date"} <= set(json.loads(result.attrs["run"]))


def test_no_variable_is_an_attribute_of_a_dataset() -> None:
    for kind, problem in zip(RECORDS, (PROBLEM, em.RandomWalk(size=3)), strict=True):
        assert type(problem) is kind
        result = run(problem, observables=problem.observables)
        names = [*map(str, result.data_vars), *map(str, result.coords)]
        assert not [name for name in names if hasattr(xr.Dataset, name)]


def test_a_result_survives_netcdf_free_pickling() -> None:
    import pickle

    result = run()
    assert same_result(pickle.loads(pickle.dumps(result)), result)


def test_float32_runs_in_float32() -> None:
    single, double = (run(dtype=dtype, observables=("weight_norm",)).weight_norm for dtype in ("float32", "float64"))
    assert single.dtype == np.float64
    assert not np.array_equal(single, double)
    np.testing.assert_allclose(single, double, rtol=1e-5)


ERRORS = [
    ({"steps": 0}, ValueError, "steps must be finite and >= 1, got 0"),
    ({"steps": 1.5}, TypeError, "steps must be a whole number"),
    ({"steps": 2**34 + 1}, ValueError, r"steps must be at most 17179869184 \(2\^34\)"),
    ({"replicas": 0}, ValueError, "replicas must be at least 1, got 0"),
    ({"replicas": range(3, 3)}, ValueError, r"range of step 1 with 0 <= a < b, got range\(3, 3\)"),
    ({"replicas": range(0, 4, 2)}, ValueError, "range of step 1"),
    ({"replicas": range(-1, 4)}, ValueError, "range of step 1"),
    ({"replicas": range(2**32, 2**32 + 1)}, ValueError, "replicas must be at most 4294967296"),
    ({"replicas": 2.0}, TypeError, r"replicas must be a whole number or a range\(a, b\), got 2\.0"),
    ({"replicas": True}, TypeError, "replicas must be a whole number"),
    ({"seed": -1}, ValueError, "seed must be in 0"),
    ({"seed": 2**64}, ValueError, "seed must be in 0"),
    ({"seed": 1.0}, TypeError, "seed must be a whole number"),
    ({"dtype": "float16"}, ValueError, "dtype must be one of 'float64', 'float32', got 'float16'"),
    ({"random_numbers": "same"}, ValueError, "random_numbers must be one of 'common', 'independent', got 'same'"),
    ({"backend": "gpu"}, ValueError, "backend must be one of 'auto', 'reference', 'cpu', 'cuda', got 'gpu'"),
    ({"backend": "cuda"}, ValueError, "backend .cuda.: .*CUDA"),
    ({"isa": "sse9", "backend": "reference"}, ValueError, "isa='sse9' is for the native engine"),
    ({"threads": 0}, ValueError, "threads must be at least 1, got 0"),
    ({"threads": 1.5}, TypeError, "threads must be a whole number"),
    ({"progress": "yes"}, TypeError, "progress must be True, None or a function"),
    ({"observables": ("riks",)}, ValueError, "observables of NoisyQuadratic must be one of 'risk', 'weight_mean'"),
    ({"observables": ()}, ValueError, "observables needs at least one of 'risk'"),
    ({"record": [13]}, ValueError, "record must hold increasing step counts in 0…12"),
    ({"schedule": [1.0]}, ValueError, "one multiplier per step"),
    ({"schedule": "cosine"}, TypeError, "schedule must be a schedule or an array"),
    ({"decay_schedule": np.full(12, np.nan)}, ValueError, "must be finite and >= 0, got nan"),
    ({"problem": OPTIMIZER, "optimizer": PROBLEM}, TypeError, "problem must be one such as NoisyQuadratic"),
    ({"optimizer": "adamw"}, TypeError, "optimizer must be one such as AdamW"),
]


@pytest.mark.parametrize(("settings", "error", "message"), ERRORS)
def test_a_bad_request_is_refused_with_the_reason(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(**settings)


def test_a_random_walk_has_no_risk() -> None:
    with pytest.raises(ValueError, match="observables of RandomWalk must be one of 'weight_mean_square'"):
        run(em.RandomWalk(size=3), observables=("risk",))


def test_an_unknown_isa_lists_the_known_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends.native, "isas", lambda: ["one", "two"])
    assert backends.native_backend("auto", 1).isa == "two"
    with pytest.raises(ValueError, match="isa must be one of 'auto', 'one', 'two', got 'three'"):
        backends.native_backend("three", 1)


def test_without_the_native_engine_the_reference_serves_with_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends.native, "native_module", lambda: None)
    assert em.isas() == []
    with pytest.warns(UserWarning, match="the native engine was not built: the NumPy reference runs"):
        result = run(backend="auto")
    assert same_result(result, run())
    assert json.loads(result.attrs["run"])["backend"] == "reference"
    with pytest.raises(ValueError, match="backend 'cpu': the native engine was not built"):
        run(backend="cpu")


class Doubled(em.NoisyQuadratic):
    """A user's own problem: twice the gradient."""

    name = "doubled"

    def gradient(self, xp: Any, weight: Any, noise: Any, c: Any) -> Any:
        return 2 * super().gradient(xp, weight, noise, c)


class Halved(em.SGD):
    """A user's own optimizer: half the step."""

    def update(self, xp: Any, state: Any, gradient: Any, c: Any) -> Any:
        return super().update(xp, state, gradient / 2, c)


def test_a_user_s_own_record_runs_on_the_reference() -> None:
    own = em.simulate(Doubled([1.0, 0.5]), Halved(lr=0.1), steps=9, replicas=4)
    assert json.loads(own.attrs["run"])["backend"] == "reference"
    plain = run(em.NoisyQuadratic([1.0, 0.5]), em.SGD(lr=0.1), steps=9, replicas=4)
    np.testing.assert_array_equal(own.risk, plain.risk)
    halved = em.simulate(em.NoisyQuadratic([2.0, 1.0]), Halved(lr=0.1), steps=9, replicas=4)
    assert json.loads(halved.attrs["run"])["backend"] == "reference"
    if em.isas():
        with pytest.raises(ValueError, match="backend 'cpu' holds only NoisyQuadratic, RandomWalk, AdamW, Adam, SGD"):
            em.simulate(Doubled([1.0]), em.SGD(lr=0.1), steps=2, backend="cpu")


def test_an_unstable_set_up_warns_with_the_bound() -> None:
    with pytest.warns(UnstableWarning, match="stable for lr < 1"):
        result = run(em.NoisyQuadratic(curvature=[2.0, 0.1]), em.SGD(lr=1.5), steps=3)
    assert np.isfinite(result.risk).all()


def test_a_diverging_run_gives_infinities_and_no_numpy_warnings(recwarn: pytest.WarningsRecorder) -> None:
    result = run(em.NoisyQuadratic(curvature=[1.0]), em.SGD(lr=1e30), steps=20, dtype="float32")
    assert not np.isfinite(result.risk[-1])
    assert [str(item.message) for item in recwarn if issubclass(item.category, RuntimeWarning)] == []


def test_memory_does_not_grow_with_replicas_or_steps() -> None:
    def peak(**settings: Any) -> int:
        tracemalloc.start()
        run(em.NoisyQuadratic(curvature=np.ones(200)), em.SGD(lr=0.01), **settings)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(steps=2, replicas=2)
    few = peak(steps=4, replicas=1024)
    assert peak(steps=16, replicas=1024) < 1.3 * few + 2**18
    assert peak(steps=4, replicas=4096) < 1.3 * few + 2**18


def test_progress_counts_every_particle_step() -> None:
    seen: list[tuple[int, int]] = []
    run(optimizer=em.SGD(lr=[0.1, 0.2]), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2 * 5 * 3 * 12, 2 * 5 * 3 * 12)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_progress_is_silent_where_stderr_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    run(progress=True)
    assert capfd.readouterr() == ("", "")


# --- compare


class Novel(em.NoisyQuadratic):
    """A user's problem that promises what nothing measures."""

    observables = ("surprise",)


def test_an_observable_that_nothing_measures_is_refused() -> None:
    with pytest.raises(ValueError, match="Novel lists the observable 'surprise', but simulate measures only 'risk'"):
        em.simulate(Novel(curvature=1.0), em.SGD(lr=0.1), steps=2)


@pytest.mark.parametrize("observables", [3, [1]])
def test_observables_that_are_no_names_are_a_type_error(observables: Any) -> None:
    for verb in (em.simulate, em.predict):
        with pytest.raises(TypeError, match="observables must be names among 'risk'"):
            verb(em.NoisyQuadratic(curvature=1.0), em.SGD(lr=0.1), steps=2, observables=observables)


def test_both_verbs_choose_observables_alike() -> None:
    for verb in (em.simulate, em.predict):
        result = verb(em.NoisyQuadratic(curvature=1.0), em.SGD(lr=0.1), steps=2, observables=["risk", "risk"])
        assert "risk" in result
        with pytest.raises(ValueError, match="observables needs at least one of"):
            verb(em.NoisyQuadratic(curvature=1.0), em.SGD(lr=0.1), steps=2, observables=())
        with pytest.raises(TypeError, match="the problem comes first"):
            verb(em.SGD(lr=0.1), em.NoisyQuadratic(curvature=1.0), steps=2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", [0.0, 1e-8, 1e-3, 0.5])
def test_update_cosine_knows_where_cautious_decay_left_a_weight_alone(dtype: Any, alpha: float) -> None:
    rng = np.random.default_rng(5)
    weight, step = rng.normal(size=(2, 4000)).astype(dtype)
    step[:100] = 0
    step[100:200] *= 1e-9
    optimizer = em.AdamW(lr=1.0, decay="cautious", betas=(0.0, 0.0), eps=0.0)
    shrink = np.where(step * weight >= 0, dtype(alpha) * weight, dtype(0))
    view = View(((weight - shrink) - step).astype(float), weight.astype(float), np.array(alpha), None, cautious=True)
    exact = np.stack([weight, step]).astype(float)
    expected = (exact[0] @ exact[1]) / np.linalg.norm(exact[0]) / np.linalg.norm(exact[1])
    assert optimizer.decays_where_aligned
    assert update_cosine(view) == pytest.approx(expected, abs=8 * float(np.finfo(dtype).eps))


def test_update_cosine_of_a_cautious_run_is_that_of_its_updates() -> None:
    walk, settings = em.RandomWalk(size=2000, init=0.1), {"steps": 1, "observables": "update_cosine"}
    masked = em.simulate(walk, em.AdamW(lr=0.1, weight_decay=5.0, decay="cautious"), **settings)
    plain = em.simulate(walk, em.AdamW(lr=0.1, weight_decay=5.0), **settings)
    np.testing.assert_allclose(masked.update_cosine[1], plain.update_cosine[1], atol=1e-14)


def test_a_warning_names_points_whose_coordinates_are_words() -> None:
    optimizer = em.SGD(lr=xr.DataArray([0.1, 5.0], coords={"case": ["low", "high"]}))
    with pytest.warns(UserWarning, match="at lr=5, case=high"):
        em.simulate(em.NoisyQuadratic(curvature=1.0), optimizer, steps=2)


def test_decay_after_the_step_has_its_direction_and_no_exact_rate_apart() -> None:
    """By hand: SGD-like AdamW with β = 0, ε inside 0, whose step is the gradient's sign."""
    own = em.AdamW(lr=0.1, weight_decay=2.0, betas=(0.0, 0.0), eps=0.0, decay_order="after")
    quiet = em.NoisyQuadratic(curvature=[1.0, 0.5], noise=0.0, optimum=[0.0, 3.0])
    found = run(
        quiet, own, steps=1, replicas=2, observables=("weight_mean", "update_cosine", "effective_learning_rate")
    )
    np.testing.assert_allclose(found.weight_mean[-1], [0.8 * (1 - 0.1), 0.8 * (1 + 0.1)], rtol=1e-15)
    # u = (1, −1) at w = (1, 1).
    assert float(found.update_cosine[-1]) == pytest.approx(0.0, abs=1e-14)
    with pytest.raises(ValueError, match=r"decays after the step.*effective_learning_rate is exact"):
        run(quiet, own, steps=1, observables=["effective_learning_rate_exact"])
