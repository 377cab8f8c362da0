"""The committed hashes of reference runs and of every schedule's multipliers: the same on every machine.

A change of them is a change of every published number; when one is meant, `python tests/bits/test_hashes.py` (with
the package importable) writes tests/bits/hashes.json anew, and the commit says why.
"""

from __future__ import annotations

import hashlib
import json
from itertools import product
from pathlib import Path

import pytest
from cases import DTYPES, OPTIMIZERS, OPTIONS, PROBLEMS, digest, result

import ematheory as em
from ematheory.schedules import SCHEDULES, named

HASHES = Path(__file__).with_name("hashes.json")
REPLICAS = range(40, 136)
RUNS = [",".join(case) for case in product(PROBLEMS, OPTIMIZERS, DTYPES)]

OPTION_RUNS = [f"{name},{dtype}" for name, (dtypes, _) in OPTIONS.items() for dtype in dtypes]


def run_hash(case: str, backend: str = "reference") -> str:
    return digest(result(*case.split(","), replicas=REPLICAS, backend=backend))


def option_hash(case: str, backend: str = "reference") -> str:
    name, dtype = case.split(",")
    settings = {"replicas": REPLICAS, "backend": backend, **OPTIONS[name][1]}
    return digest(result("noisy_quadratic-130", "adamw", dtype, **settings))


def schedule_hash(name: str) -> str:
    """Of 1000 multipliers, with a warm-up given both ways."""
    total = hashlib.sha256()
    for warmup in ({}, {"warmup": 0.1}, {"warmup_steps": 30}):
        total.update(named(name, **warmup).multipliers(1000).astype("<f8").tobytes())
    return total.hexdigest()[:32]


def committed() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(HASHES.read_text())
    return found


def test_the_file_holds_every_case() -> None:
    assert list(committed()["runs"]) == RUNS
    assert list(committed()["options"]) == OPTION_RUNS
    assert list(committed()["schedules"]) == list(SCHEDULES)


@pytest.mark.parametrize("case", RUNS)
def test_a_reference_run_has_the_committed_hash(case: str) -> None:
    assert run_hash(case) == committed()["runs"][case]


@pytest.mark.skipif(not em.isas(), reason="the native engine was not built (no compiler)")
@pytest.mark.parametrize("case", RUNS)
def test_a_native_run_has_the_committed_hash(case: str) -> None:
    assert run_hash(case, "cpu") == committed()["runs"][case]


@pytest.mark.parametrize("backend", ["reference", *(["cpu"] if em.isas() else [])])
@pytest.mark.parametrize("case", OPTION_RUNS)
def test_a_run_with_options_has_the_committed_hash(case: str, backend: str) -> None:
    assert option_hash(case, backend) == committed()["options"][case]


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_has_the_committed_hash(name: str) -> None:
    assert schedule_hash(name) == committed()["schedules"][name]


if __name__ == "__main__":
    hashes = {
        "runs": {case: run_hash(case) for case in RUNS},
        "options": {case: option_hash(case) for case in OPTION_RUNS},
        "schedules": {name: schedule_hash(name) for name in SCHEDULES},
    }
    HASHES.write_text(json.dumps(hashes, indent=2) + "\n")
