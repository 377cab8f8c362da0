"""Groups as vectors of their own: what sums over a vector in a step sums over each of them, with the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.results import same_result
from ematheory.simulation.backends import Native, choose
from ematheory.simulation.groups import GroupArrays
from ematheory.simulation.reference import Reference

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
NATIVE = pytest.mark.skipif(not em.isas(), reason="the native engine was not built")
SIZES = [130, 2, 70, 70]
D = sum(SIZES)
STARTS = np.cumsum([0, *SIZES[:-1]]).tolist()


def vector(size: int = D) -> em.ScaleInvariant:
    return em.ScaleInvariant(size=size, init=0.5)


def quotient(size: int = D) -> em.RayleighQuotient:
    return em.RayleighQuotient(curvature=1 / np.arange(1, size + 1), noise=1.0, init=0.5)


def quadratic(size: int = D) -> em.NoisyQuadratic:
    return em.NoisyQuadratic(curvature=1 / np.arange(1, size + 1), init=0.5)


def data(size: int = D) -> em.ReshuffledData:
    return em.ReshuffledData(curvature=1 / np.arange(1, size + 1), size=12, batch_size=3)


def regression(size: int = D) -> em.LinearRegression:
    return em.LinearRegression(curvature=1 / np.arange(1, size + 1), batch_size=2)


SGD = em.SGD(lr=[0.05, 0.1], weight_decay=0.1, momentum=0.5)
ADAMW = em.AdamW(lr=0.01, weight_decay=[0.1, 1.0])
ADAMP = em.AdamP(lr=[0.01, 0.02], weight_decay=0.1, delta=1.0)
AMOS = em.Amos(lr=0.01, scale=[0.3, 0.5])
APART = [
    (vector, SGD), (vector, ADAMW), (vector, ADAMP), (vector, AMOS), (quotient, SGD), (quotient, ADAMP),
    (quadratic, ADAMP), (quadratic, AMOS), (data, ADAMP), (data, AMOS),
]  # fmt: skip


def run(problem: Any, optimizer: Any, **settings: Any) -> xr.Dataset:
    given = {
        "steps": 7, "record": em.every(2), "replicas": range(60, 130), "groups": SIZES,
        "observables": ("weight_norm", "update_ratio", "weight_mean"), **settings,
    }  # fmt: skip
    return em.simulate(problem, optimizer, **given)


@NATIVE
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("problem", "optimizer"), APART)
def test_both_engines_give_the_same_bits(problem: Any, optimizer: Any, dtype: str) -> None:
    cpu = run(problem(), optimizer, dtype=dtype, backend="cpu", random_numbers="independent")
    assert same_result(run(problem(), optimizer, dtype=dtype, backend="reference", random_numbers="independent"), cpu)
    for isa in em.isas():
        other = run(problem(), optimizer, dtype=dtype, isa=isa, threads=1, random_numbers="independent")
        assert same_result(other, cpu)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("problem", "optimizer"), APART)
def test_the_first_group_is_a_problem_of_its_own(problem: Any, optimizer: Any, backend: str) -> None:
    """Its noise has the same columns, so that the bits are those of a run of its size without groups."""
    grouped = run(problem(), optimizer, backend=backend)
    alone = run(problem(SIZES[0]), optimizer, backend=backend, groups=None)
    for name in ("weight_norm", "update_ratio", "weight_norm_sem", "update_ratio_sem"):
        np.testing.assert_array_equal(grouped[name].sel(group=0), alone[name])
    np.testing.assert_array_equal(grouped.weight_mean[..., : SIZES[0]], alone.weight_mean)


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_vector_turns_as_one_of_its_size(backend: str) -> None:
    """A step at right angles to the weights: ‖w'‖² = ‖w‖² + η²‖g‖², by hand for every group."""
    result = run(vector(), em.SGD(lr=0.1), steps=1, record=[0, 1], trajectories=[60, 99], backend=backend)
    for start, size in zip(STARTS, SIZES, strict=True):
        before, after = np.moveaxis(result.trajectory.values[..., start : start + size], 1, 0)
        step = after - before
        np.testing.assert_allclose((before * step).sum(-1), 0, atol=1e-13)
        assert (np.abs(step).max(-1) > 0).all()


def test_the_whole_vector_is_another_run() -> None:
    """The test above can fail: one vector of all coordinates is not at right angles in its parts."""
    result = run(vector(), em.SGD(lr=0.1), steps=1, record=[0, 1], trajectories=[60], groups=None)
    before, after = result.trajectory.values[0, :, : SIZES[0]]
    assert abs((before * (after - before)).sum()) > 1e-3


def test_the_size_of_a_group_sets_its_equilibrium() -> None:
    """Each comes to the norm that is predicted of a vector of its size alone."""
    sizes, lr, decay = [64, 16], 0.1, 0.5
    optimizer = em.SGD(lr=lr, weight_decay=decay, decay="per_lr")
    seen = em.simulate(
        em.ScaleInvariant(size=80, init=0.5), optimizer, steps=600, record=[600], replicas=256, groups=sizes,
        observables="weight_norm",
    )  # fmt: skip
    for group, size in enumerate(sizes):
        expected = em.predict(
            em.ScaleInvariant(size=size, init=0.5), optimizer, steps=600, record=[600], observables="weight_norm"
        )
        # The prediction is a mean-field one, 1/C from the truth.
        assert float(seen.weight_norm[0, group]) == pytest.approx(float(expected.weight_norm[0]), rel=1 / size)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("problem", "optimizer"), [(quadratic, SGD), (quadratic, ADAMW), (data, SGD), (regression, SGD)]
)
def test_where_nothing_sums_over_a_vector_groups_change_no_weight(problem: Any, optimizer: Any, backend: str) -> None:
    grouped, plain = (run(problem(), optimizer, groups=groups, backend=backend) for groups in (SIZES, None))
    np.testing.assert_array_equal(grouped.weight_mean, plain.weight_mean)


def test_a_regression_keeps_its_output_whole_under_an_optimizer_of_groups() -> None:
    """On the reference alone: AdamP's test is of each group, the gradient of all weights."""
    assert choose("auto", "auto", 1, regression(), ADAMP, groups=(D // 2, D // 2)).name == "reference"
    quiet = em.AdamP(lr=[0.01, 0.02], weight_decay=0.1, delta=0.0)
    grouped, plain = (run(regression(), quiet, groups=groups) for groups in (SIZES, None))
    np.testing.assert_array_equal(grouped.weight_mean, plain.weight_mean)


@NATIVE
@pytest.mark.parametrize("cells", [1, 64 * D * 2])
@pytest.mark.parametrize("work", [64 * D, 64 * D * 5])
def test_blocks_of_any_size_give_the_same_bits(monkeypatch: pytest.MonkeyPatch, cells: int, work: int) -> None:
    whole = run(vector(), ADAMP)
    for engine in (Native, Reference):
        monkeypatch.setattr(engine, "cells_per_block", cells)
        monkeypatch.setattr(engine, "work_per_call", work)
    assert same_result(run(vector(), ADAMP), whole)
    assert same_result(run(vector(), ADAMP, backend="reference"), whole)


def test_dot_products_of_groups() -> None:
    x, y = np.arange(10.0).reshape(1, 2, 5), np.ones((1, 1, 5))
    expected = [[[1.0, 1.0, 9.0, 9.0, 9.0], [11.0, 11.0, 24.0, 24.0, 24.0]]]
    np.testing.assert_array_equal(GroupArrays((2, 3)).dot(x, y), expected)
    assert GroupArrays((2, 3)).dot(x.astype("float32"), y).dtype == np.float32


@NATIVE
@pytest.mark.parametrize("backend", ["cpu", "cuda"])
def test_what_a_backend_cannot_step_apart_is_refused(backend: str) -> None:
    apart = f"backend '{backend}' steps each of the 4 groups by itself"
    with pytest.raises(ValueError, match=f"{apart}, but LinearRegression has"):
        run(regression(), ADAMP, backend=backend)
    with pytest.raises(ValueError, match=f"{apart}, and has no clip_norm then; use 'reference' or 'auto'"):
        run(vector(), SGD, backend=backend, clip_norm=1.0)
