"""The same bits from every instruction set, thread count, replica range and block: compared with ==, never closely."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from cases import DTYPES, OPTIMIZERS, PROBLEMS, digest, result, variant_names

import ematheory as em
from ematheory import problems
from ematheory.results import same_result

MATRIX = list(product(PROBLEMS, OPTIMIZERS, DTYPES))
ISAS = em.isas()
# Of problems that couple coordinates, those that every run of the tests cuts in threads and halves; the rest is slow.
COUPLED_SAMPLE = ("adamw", "adamp", "amos")


def is_sampled(problem: str, optimizer: str) -> bool:
    return type(PROBLEMS[problem]) in problems.RECORDS or optimizer in COUPLED_SAMPLE


CUTS = [case if is_sampled(*case[:2]) else pytest.param(*case, marks=pytest.mark.slow) for case in MATRIX]

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@cache
def reference(problem: str, optimizer: str, dtype: str) -> xr.Dataset:
    return result(problem, optimizer, dtype)


def needs_native() -> None:
    if not ISAS:
        pytest.skip("the native engine was not built (no compiler)")


def test_the_matrix_holds_every_variant_of_every_record() -> None:
    assert list(OPTIMIZERS) == variant_names()
    assert [record.variant for record in OPTIMIZERS.values()] == variant_names()
    assert {type(problem) for problem in PROBLEMS.values()} == {*problems.RECORDS, *problems.COUPLED}


@pytest.mark.parametrize(("problem", "optimizer", "dtype"), MATRIX)
def test_every_instruction_set_has_the_reference_s_bits(problem: str, optimizer: str, dtype: str) -> None:
    needs_native()
    expected = reference(problem, optimizer, dtype)
    assert np.isfinite(expected.weight_norm).all()
    for isa in ISAS:
        assert same_result(result(problem, optimizer, dtype, backend="cpu", isa=isa, threads=1), expected), isa


@pytest.mark.parametrize(("problem", "optimizer", "dtype"), CUTS)
def test_any_number_of_threads_has_the_reference_s_bits(problem: str, optimizer: str, dtype: str) -> None:
    needs_native()
    for threads in (2, 3):
        found = result(problem, optimizer, dtype, backend="cpu", threads=threads)
        assert same_result(found, reference(problem, optimizer, dtype)), threads


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize(("problem", "optimizer", "dtype"), CUTS)
def test_two_halves_combine_to_the_whole(problem: str, optimizer: str, dtype: str, backend: str) -> None:
    if backend == "cpu":
        needs_native()
    halves = [
        result(problem, optimizer, dtype, replicas=part, backend=backend) for part in (range(128), range(128, 256))
    ]
    assert same_result(em.combine(*halves), reference(problem, optimizer, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_replica_ranges_off_the_grid_of_leaves(optimizer: str, dtype: str) -> None:
    """A range that starts within a leaf and crosses into the next two, of one replica, and far away."""
    needs_native()
    for replicas in (range(50, 131), range(7, 8), range(2**32 - 3, 2**32)):
        expected = result("noisy_quadratic-5", optimizer, dtype, replicas=replicas)
        for isa in ISAS:
            found = result("noisy_quadratic-5", optimizer, dtype, replicas=replicas, backend="cpu", isa=isa)
            assert same_result(found, expected), (isa, replicas)


@pytest.mark.parametrize("dtype", DTYPES)
def test_independent_random_numbers_have_the_same_bits_too(dtype: str) -> None:
    needs_native()
    settings: dict[str, Any] = {"random_numbers": "independent", "replicas": 70}
    expected = result("noisy_quadratic-130", "adamw", dtype, **settings)
    for isa in ISAS:
        assert same_result(result("noisy_quadratic-130", "adamw", dtype, backend="cpu", isa=isa, **settings), expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lr", [3e-1, 1e30])
def test_denormals_infinities_and_nan_have_the_same_bits(lr: float, dtype: str) -> None:
    """Weights that shrink into the denormals (h + λ near 1/lr), and weights that overflow."""
    needs_native()
    problem = em.NoisyQuadratic(curvature=[3.0, 0.1], noise=0.0, init=1e-30)
    settings: dict[str, Any] = {
        "steps": 200, "record": em.every(20), "replicas": 3, "dtype": dtype, "observables": problem.observables,
    }  # fmt: skip
    with pytest.warns(UserWarning, match="unstable") if lr > 1 else np.errstate():
        expected = em.simulate(problem, em.SGD(lr=lr), backend="reference", **settings)
        for isa in ISAS:
            assert same_result(em.simulate(problem, em.SGD(lr=lr), backend="cpu", isa=isa, **settings), expected), isa
    if lr < 1:
        assert float(expected.weight_norm[-1]) > 0
    else:
        assert not np.isfinite(expected.weight_norm[-1])


WITHOUT_FEATURES = """
import sys
sys.path.insert(0, sys.argv[1])
from cases import digest, result
for line in sys.argv[2:]:
    print(digest(result(*line.split(","))))
"""


def dispatched_features() -> list[str]:
    """The CPU features that this NumPy chooses at run time and this CPU has."""
    found = np.show_config(mode="dicts")
    assert isinstance(found, dict)
    return list(found["SIMD Extensions"].get("found", []))


def digests_without(features: list[str], cases: list[tuple[str, str, str]]) -> list[str]:
    environment = {
        **os.environ,
        "NPY_DISABLE_CPU_FEATURES": " ".join(features),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    here = str(Path(__file__).parent)
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_FEATURES, here, *map(",".join, cases)],
        capture_output=True, text=True, env=environment, check=True,
    )  # fmt: skip
    return child.stdout.split()


@pytest.mark.slow
def test_numpy_without_its_cpu_features_has_the_same_bits() -> None:
    features = dispatched_features()
    if not features:
        pytest.skip("this NumPy dispatches to no CPU features here")
    cases = [case for case in MATRIX if case[0] != "random_walk-5"]
    expected = [digest(reference(*case)) for case in cases]
    assert digests_without(features, cases) == expected
