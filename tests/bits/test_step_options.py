"""What a step does besides has the same bits from every backend, instruction set, thread count and cut of the run."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

import pytest
import xarray as xr
from cases import OPTIMIZERS, OPTIONS, PROBLEMS, result

import ematheory as em
from ematheory.results import same_result
from ematheory.simulation import runs
from ematheory.simulation.backends import Native
from ematheory.simulation.reference import Reference

ISAS = em.isas()
BACKENDS = ["reference", *(["cpu"] if ISAS else [])]
REPLICAS = range(50, 131)
MATRIX = [
    (problem, optimizer, option, dtype)
    for problem, optimizer, option in product(PROBLEMS, OPTIMIZERS, OPTIONS)
    for dtype in OPTIONS[option][0]
    if "drift" not in OPTIONS[option][1] or problem.startswith("noisy_quadratic")
]
# What every run of the tests compares: each option with memory, a look ahead, sums over the vector, several weights.
SAMPLED = ("adamw", "sgd_l2_nesterov", "adamp", "schedule_free_sgd", "sgd_per_lr")
SAMPLED_PROBLEMS = (
    "noisy_quadratic-130", "scale_invariant-70", "linear_regression-70", "reshuffled_data-5", "rayleigh_quotient-70",
)  # fmt: skip


def is_sampled(problem: str, optimizer: str) -> bool:
    return (optimizer in SAMPLED and problem == SAMPLED_PROBLEMS[SAMPLED.index(optimizer)]) or (
        (problem, optimizer) == ("noisy_quadratic-5", "adamw")
    )


CUTS = [case for case in MATRIX if is_sampled(*case[:2])]
CASES = [case if is_sampled(*case[:2]) else pytest.param(*case, marks=pytest.mark.slow) for case in MATRIX]


def run(problem: str, optimizer: str, option: str, dtype: str, **settings: Any) -> xr.Dataset:
    return result(problem, optimizer, dtype, **{"replicas": REPLICAS, **OPTIONS[option][1], **settings})


@cache
def reference(problem: str, optimizer: str, option: str, dtype: str) -> xr.Dataset:
    return run(problem, optimizer, option, dtype)


@pytest.mark.skipif(not ISAS, reason="the native engine was not built (no compiler)")
@pytest.mark.parametrize(("problem", "optimizer", "option", "dtype"), CASES)
def test_the_native_engine_has_the_reference_s_bits(problem: str, optimizer: str, option: str, dtype: str) -> None:
    expected = reference(problem, optimizer, option, dtype)
    for isa in ISAS:
        assert same_result(run(problem, optimizer, option, dtype, backend="cpu", isa=isa, threads=2), expected), isa


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("problem", "optimizer", "option", "dtype"), CUTS)
def test_cuts_anywhere_change_no_bit(
    monkeypatch: pytest.MonkeyPatch, problem: str, optimizer: str, option: str, dtype: str, backend: str
) -> None:
    """Calls of three steps, blocks of one point's 64 replicas and few snapshots."""
    engine = Reference if backend == "reference" else Native
    whole = reference(problem, optimizer, option, dtype)
    here = PROBLEMS[problem]
    monkeypatch.setattr(engine, "cells_per_block", 1)
    monkeypatch.setattr(engine, "work_per_call", 3 * 64 * here.normals_per_step)
    monkeypatch.setattr(runs, "SNAPSHOTS", 1)
    assert same_result(run(problem, optimizer, option, dtype, backend=backend), whole)


@pytest.mark.parametrize("option", OPTIONS)
def test_two_halves_combine_to_the_whole(option: str) -> None:
    given = ("noisy_quadratic-5", "adamw", option, OPTIONS[option][0][-1])
    halves = [run(*given, replicas=part, backend=BACKENDS[-1]) for part in (range(64), range(64, 128))]
    assert same_result(em.combine(*halves), run(*given, replicas=128))


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_changes_the_run_and_is_in_its_attributes(option: str) -> None:
    dtype, settings = OPTIONS[option][0][-1], OPTIONS[option][1]
    plain = result("noisy_quadratic-5", "adamw", dtype, replicas=REPLICAS)
    found = reference("noisy_quadratic-5", "adamw", option, dtype)
    told = set(settings) - {"observables", "random_numbers", "drift"}
    assert told <= set(found.attrs)
    assert not told & set(plain.attrs)
    assert found.attrs["problem"] != plain.attrs["problem"] or told
    assert not (found.weight_mean == plain.weight_mean).all()
