"""combine and compare: adjacent replica ranges joined, and results set beside predictions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.results import same_result

PROBLEM = em.NoisyQuadratic(curvature=[1.0, 0.5, 0.1], noise=0.1, optimum=[0.5, -0.5, 0.0])
OPTIMIZER = em.AdamW(lr=0.01, weight_decay=0.1)


def run(problem: Any = PROBLEM, optimizer: Any = OPTIMIZER, **settings: Any) -> xr.Dataset:
    return em.simulate(problem, optimizer, **{"steps": 12, "replicas": 5, "backend": "reference", **settings})


@pytest.mark.parametrize("observables", [PROBLEM.observables, ("weight_variance",), ("rotation",)])
def test_combining_at_the_root_gives_the_single_call_s_bits(observables: tuple[str, ...]) -> None:
    parts = [run(replicas=part, observables=observables) for part in (range(128), range(128, 256))]
    whole = run(replicas=256, observables=observables)
    assert same_result(em.combine(*parts), whole)
    assert same_result(em.combine(*reversed(parts)), whole)


@pytest.mark.parametrize("cut", [1, 63, 100, 150])
def test_combining_anywhere_agrees_to_1e_12(cut: int) -> None:
    settings = {"observables": PROBLEM.observables, "record": em.every(3)}
    whole = run(replicas=range(200), **settings)
    parts = em.combine(run(replicas=range(cut), **settings), run(replicas=range(cut, 200), **settings))
    for name in whole:
        np.testing.assert_allclose(
            parts[name], whole[name], rtol=1e-12, atol=1e-12 * float(np.nanmax(np.abs(whole[name])))
        )


def test_combining_three_ranges() -> None:
    parts = [run(replicas=part) for part in (range(64), range(64, 128), range(128, 256))]
    assert same_result(em.combine(em.combine(parts[0], parts[1]), parts[2]), run(replicas=256))


DIFFERENT = [
    ({"seed": 1}, "seed is 0 and 1"),
    ({"steps": 13, "record": [0, 12]}, "steps is 12 and 13"),
    ({"dtype": "float32"}, "dtype is 'float64' and 'float32'"),
    ({"optimizer": em.AdamW(lr=0.02, weight_decay=0.1)}, "optimizer is"),
    ({"schedule": em.Linear()}, "schedule is None and"),
    ({"record": [0, 6, 12]}, "the grids differ in 'step': first has 2 values, second 3"),
    ({"record": [0, 11]}, "the grids differ in 'step' at position 1: first has 12, second 11"),
    ({"observables": ("weight_norm",)}, "different observables"),
    ({"replicas": range(6, 9)}, r"adjacent ranges of replicas, got range\(0, 5\) and range\(6, 9\)"),
    ({"replicas": range(4, 9)}, "adjacent ranges of replicas"),
]


@pytest.mark.parametrize(("settings", "message"), DIFFERENT)
def test_what_does_not_belong_together_is_not_combined(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        em.combine(run(), run(**{"replicas": range(5, 9), **settings}))


def test_only_simulations_combine() -> None:
    with pytest.raises(ValueError, match="combine needs results of simulate"):
        em.combine(run(), xr.Dataset())


# --- interrupts, memory, progress


def test_compare_gives_difference_ratio_and_z() -> None:
    few = run(replicas=64, observables=("risk", "weight_mean"))
    many = run(replicas=256, observables=("risk", "weight_mean"))
    result = em.compare(few, many)
    np.testing.assert_array_equal(result.risk_difference, few.risk - many.risk)
    np.testing.assert_array_equal(result.risk_ratio, few.risk / many.risk)
    np.testing.assert_array_equal(result.risk_z, (few.risk - many.risk) / few.risk_sem)
    assert result.weight_mean_z.dims == ("step", "coordinate")
    assert set(result.data_vars) == {
        f"{name}_{kind}" for name in ("risk", "weight_mean") for kind in ("difference", "ratio", "z")
    }


def test_compare_says_nothing_of_rounding_where_nothing_varies() -> None:
    start = {"record": [0, 5], "steps": 5}
    problem = em.NoisyQuadratic(curvature=1 / np.arange(1, 101))
    seen = em.simulate(problem, em.SGD(lr=0.1), replicas=4, **start)
    exact = em.predict(problem, em.SGD(lr=0.1), **start)
    z = em.compare(seen, exact).risk_z
    assert np.isnan(z[0])
    assert np.isfinite(z[1])
    assert np.isinf(em.compare(seen, 1.001 * exact).risk_z[0])


def test_compare_without_a_standard_error_has_no_z() -> None:
    measured = run()
    assert "risk_z" not in em.compare(measured.drop_vars("risk_sem"), measured)


UNEQUAL = [
    ({"record": [0, 3, 12]}, "the grids differ in 'step': measured has 2 values, predicted 3"),
    ({"record": [0, 6]}, "the grids differ in 'step' at position 1: measured has 12, predicted 6"),
    ({"optimizer": em.SGD(lr=[0.1, 0.2])}, r"measured has dims \['step'\], predicted \['lr', 'step'\]"),
    ({"observables": ("weight_norm",)}, "no observable in common"),
]


@pytest.mark.parametrize(("settings", "message"), UNEQUAL)
def test_compare_refuses_other_grids(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        em.compare(run(), run(**settings))


def test_combine_and_compare_need_datasets() -> None:
    for verb in (em.combine, em.compare):
        with pytest.raises(TypeError, match=r"Datasets? of simulate"):
            verb(1, 2)
