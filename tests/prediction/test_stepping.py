"""Native moments: the bits of NumPy's on every instruction set and number of threads, and a current C++ file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
import ematheory.prediction.stability
from ematheory import native
from ematheory.prediction import stepping
from ematheory.prediction.stepping import (
    CLOSING,
    FROZEN,
    LINEAR,
    PESSIMISTIC,
    SIGN_PESSIMISTIC,
    SIGNED,
    averaged_name,
    calls,
    closed_name,
    closed_variants,
    doubted_name,
    frozen_name,
    linear_name,
    memoryless_variants,
    signed_name,
    signed_variants,
    variants_read,
)
from ematheory.prediction.trajectory import Run
from ematheory.simulation import moment_tracing

OBSERVABLES = ("risk", "weight_mean", "weight_variance", "rotation", "update_cosine")
GENERATED = Path(__file__).parents[2] / "csrc" / "core" / "moments.h"
module = native.native_module()
needs_native = pytest.mark.skipif(module is None, reason="the native module was not built (no compiler)")
LINEAR_RECORDS = [*variants_read(LINEAR)]
STEPWISE = [*closed_variants(), *signed_variants()]
RECORDS = [*LINEAR_RECORDS, *STEPWISE]


def result(kind: Any, problem: Any = None, **settings: Any) -> Any:
    quadratic = em.NoisyQuadratic(
        curvature=1 / np.arange(1.0, 131.0), noise="curvature", batch_size=4, optimum=0.3, init=1.5
    )
    optimizer = kind.substituted(lr=em.AdamW(lr=[0.01, 0.2]).lr, weight_decay=0.03)
    run = dict(steps=150, schedule=em.Cosine(final=0.1, warmup=0.1), record=[0, 1, 2, 77, 150], observables=OBSERVABLES)
    return em.predict(problem or quadratic, optimizer, **{**run, **settings})


def assert_numpys_bits(kind: Any, **settings: Any) -> None:
    """A prediction by the native module is, to the bit, the one that NumPy makes."""
    found = result(kind, **settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stepping, "native_module", lambda: None)
        expected = result(kind, **settings)
    for name in expected.data_vars:
        np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=str(name))


@needs_native
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.variant)
def test_the_native_module_gives_numpys_bits(record: Any) -> None:
    """The dimension of 130 is no multiple of a tile; the errors run the pessimistic programs too."""
    assert_numpys_bits(record)


@needs_native
@pytest.mark.parametrize("record", [*variants_read((em.SGD,))], ids=lambda record: record.variant)
def test_averaged_iterates_have_numpys_bits(record: Any) -> None:
    assert_numpys_bits(record, iterate_average=0.9, observables=("risk", "weight_mean", "weight_variance"))


@needs_native
@pytest.mark.parametrize("sampling", ["reshuffled", "replaced"])
@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.variant)
def test_epochs_have_numpys_bits(record: Any, sampling: Any) -> None:
    """Batches of several sizes, the last of them the whole data: each has steps per epoch of its own."""
    problem = em.ReshuffledData(
        1 / np.arange(1.0, 131.0), size=24, batch_size=[2, 4, 12], optimum=0.3, init=1.5, sampling=sampling
    )
    observables = ("risk", "weight_mean", "weight_variance")
    assert_numpys_bits(record, problem=problem, steps=40, record=[0, 1, 13, 40], observables=observables)


@needs_native
@pytest.mark.parametrize("record", STEPWISE, ids=lambda record: record.variant)
def test_a_gradient_that_falls_with_the_weights_has_numpys_bits(record: Any) -> None:
    problem = em.ScaleInvariant(size=64, noise=[0.5, 2.0])
    assert_numpys_bits(record, problem=problem, observables=OBSERVABLES[1:])


@needs_native
@pytest.mark.parametrize("record", STEPWISE, ids=lambda record: record.variant)
def test_sampled_features_have_numpys_bits(record: Any) -> None:
    """The noise of a step follows from all coordinates: the native module is called for each."""
    problem = em.LinearRegression(1 / np.arange(1.0, 131.0), batch_size=[4, 64], optimum=0.3, init=1.5)
    assert_numpys_bits(record, problem=problem, steps=60, record=[0, 1, 2, 37, 60], observables=OBSERVABLES)


@needs_native
def test_a_second_moment_that_is_known_has_numpys_bits() -> None:
    walk = em.RandomWalk(130, noise=np.linspace(0.1, 2, 130), init=0.3)
    assert_numpys_bits(em.AdamW(lr=1.0), problem=walk, observables=OBSERVABLES[1:])


@needs_native
@pytest.mark.parametrize("isa", em.isas())
@pytest.mark.parametrize("threads", [1, 3])
def test_no_instruction_set_and_no_thread_changes_a_bit(
    isa: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = em.ReshuffledData(1 / np.arange(1.0, 131.0), size=24, batch_size=4, optimum=0.3, init=1.5)
    for record in (em.AdEMAMix(lr=1.0), em.ScheduleFreeAdamW(lr=1.0), em.Lion(lr=1.0)):
        for problem in (None, data):
            settings: dict[str, Any] = dict(problem=problem, observables=("risk", "weight_mean", "weight_variance"))
            expected = result(record, **settings)
            with monkeypatch.context() as patched:
                patched.setattr(stepping, "isas", lambda: [isa])
                patched.setattr(stepping, "check_threads", lambda _: threads)
                found = result(record, **settings)
            for name in expected.data_vars:
                np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=str(name))


@needs_native
def test_every_program_has_a_record() -> None:
    linear = [(record, False) for record in LINEAR_RECORDS]
    plain = [(record, True) for record in memoryless_variants()]
    closed = [closed_name(record, number) for record in closed_variants() for number in PESSIMISTIC]
    names = [linear_name(*one) for one in (*linear, *plain)]
    names += [averaged_name(*one) for one in (*linear, *plain) if isinstance(one[0], em.SGD)]
    names += [f"{linear_name(*one)}_epochs" for one in (*linear, *plain)]
    names += [name(kind(lr=1.0)) for name in (frozen_name, doubted_name) for kind in FROZEN]  # type: ignore[call-arg]
    signed = [signed_name(record, number) for record in signed_variants() for number in SIGN_PESSIMISTIC]
    names += [
        f"{name}{kind}" for each in (closed, signed) for kind in ("", "_epochs", "_sized", "_sampled") for name in each
    ]
    assert module is not None
    assert module.moment_programs() == names


@needs_native
@pytest.mark.parametrize("settings", [{}, {"iterate_average": 0.5}])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_what_grows_beyond_all_numbers_does_so_alike(
    momentum: float, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def grown() -> np.ndarray:
        problem, optimizer = em.NoisyQuadratic(np.linspace(1, 3, 10)), em.SGD(lr=2.5, momentum=momentum)
        with pytest.warns(em.prediction.stability.UnstableWarning):
            run = em.predict(problem, optimizer, steps=2000, schedule=em.Linear(), record=[300, 600], **settings)
        return run.risk.values

    found = grown()
    monkeypatch.setattr(stepping, "native_module", lambda: None)
    np.testing.assert_array_equal(found, grown())
    assert np.isinf(found[0]) or momentum or settings


def test_nothing_is_stepped_beyond_the_last_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, *_: Any) -> Any:
        raise AssertionError("a step that nobody asked for")

    problem = em.NoisyQuadratic(1 / np.arange(1.0, 20.0))
    monkeypatch.setattr(Run, "native_across", refuse)
    assert em.predict(problem, em.SGD(lr=0.1), steps=10**6, schedule=em.Cosine(), record=[0]).sizes["step"] == 1
    monkeypatch.undo()
    many = em.predict(problem, em.ScheduleFreeSGD(lr=0.1), steps=10**12, record=[10])
    few = em.predict(problem, em.ScheduleFreeSGD(lr=0.1), steps=10, record=[10])
    np.testing.assert_array_equal(many.risk, few.risk)


def test_the_committed_file_is_current() -> None:
    assert GENERATED.read_text(encoding="utf-8") == moment_tracing.generated(), "run `make generate`"


@needs_native
def test_few_steps_a_call_and_many_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of a call is bounded by making several."""
    problem = em.NoisyQuadratic(1 / np.arange(1.0, 20.0))
    run: dict[str, Any] = dict(steps=60, record=em.every(1), schedule=em.Linear())
    for optimizer in (em.AdamW(lr=0.1), em.SGD(lr=0.1, momentum=0.5)):
        expected = em.predict(problem, optimizer, **run)
        with monkeypatch.context() as patched:
            patched.setattr(stepping, "CALL_ENTRIES", 1)
            xr.testing.assert_equal(em.predict(problem, optimizer, **run), expected)


@needs_native
def test_a_subclass_steps_as_it_says() -> None:
    class Halved(em.SGD):
        def update(self, xp: Any, state: Any, gradient: Any, c: Any) -> Any:
            return super().update(xp, state, gradient / 2, c)

    problem = em.NoisyQuadratic(np.linspace(0.1, 1, 20), noise=4.0)
    run: dict[str, Any] = dict(steps=30, schedule=em.Cosine())
    twice = em.predict(em.NoisyQuadratic(np.linspace(0.1, 1, 20) / 2, noise=1.0), em.SGD(lr=0.3), **run)
    np.testing.assert_allclose(em.predict(problem, Halved(lr=0.3), **run).risk, 2 * twice.risk, rtol=1e-12)


def test_calls_take_every_wanted_step_once() -> None:
    wanted = [1, 2, 5, 40, 41, 99]
    parts = list(calls(range(100), wanted, 2**21, points=2**14))
    assert len(parts) > 6
    assert [k for _, inside in parts for k in inside] == wanted
    assert [step for steps, _ in parts for step in steps] == list(range(100))
    assert all(k in range(steps.start + 1, steps.stop + 1) for steps, inside in parts for k in inside)


BAD = {
    "gradient": ({"gradient": np.zeros((2, 1, 9))}, r"gradient must have shape \(3, 1, 9\)"),
    "state": ({"state": np.zeros((4, 1, 9))}, r"state must have shape \(5, 1, 9\)"),
    "dtype": ({"state": np.zeros((5, 1, 9), np.float32)}, "state must be float64"),
    "program": ({"program": "nothing"}, "program must be one of 'sgd_l2'"),
    "snapshots_at": ({"snapshots_at": np.array([7])}, r"increasing numbers in 0…3, got 7"),
    "threads": ({"threads": 0}, "threads must be at least 1"),
}


@needs_native
@pytest.mark.parametrize("name", BAD)
def test_arrays_that_do_not_fit_are_refused(name: str) -> None:
    given: dict[str, Any] = dict(
        isa=em.isas()[0], program="sgd_l2", state=np.zeros((5, 1, 9)), gradient=np.zeros((3, 1, 9)),
        coefficients=np.zeros((1, 3, 3)), snapshots_at=np.array([1]), snapshots=np.zeros((1, 5, 1, 9)), threads=1,
    )  # fmt: skip
    assert module is not None
    module.moments(**given)
    with pytest.raises(ValueError, match=BAD[name][1]):
        module.moments(**{**given, **BAD[name][0]})


def test_the_kinds_share_no_record() -> None:
    assert not set(LINEAR) & set(CLOSING)
    assert not set(SIGNED) & {*LINEAR, *CLOSING}
