"""The memory estimate: at least what a run allocates, not many times it, and a refusal with the figure."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.simulation import memory

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
SGD = em.SGD(lr=0.1)
EACH = em.every(1)


def quadratic(d: int) -> em.NoisyQuadratic:
    return em.NoisyQuadratic(curvature=np.ones(d))


def estimated(result: xr.Dataset) -> int:
    return int(json.loads(result.attrs["run"])["memory_bytes"])


CASES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "per coordinate": (
        quadratic(2000), SGD,
        {"steps": 60, "record": EACH, "observables": ("weight_mean", "weight_variance", "weight_second_moment")},
    ),
    "one wide point": (quadratic(20_000), em.AdamW(lr=0.1), {"steps": 2, "observables": ("risk", "rotation")}),
    "a sweep": (
        quadratic(100), em.AdamW(lr=np.linspace(0.01, 0.02, 400)),
        {"steps": 5, "record": EACH, "observables": ("risk", "weight_mean")},
    ),
    "quantiles": (quadratic(2), SGD, {"steps": 200, "record": EACH, "replicas": 4096, "quantiles": [0.5]}),
    "first passage": (
        quadratic(2), SGD, {"steps": 50, "record": EACH, "replicas": 20_000, "first_passage": {"risk": 0.01}},
    ),
    "trajectories": (quadratic(2000), SGD, {"steps": 100, "record": EACH, "trajectories": list(range(16))}),
    "lags": (quadratic(1000), SGD, {"steps": 60, "record": EACH, "lags": [0, 5, 30]}),
    "lags of groups": (quadratic(1000), SGD, {"steps": 60, "record": EACH, "lags": [0, 5, 30], "groups": 2}),
    "histograms": (
        quadratic(500), SGD,
        {"steps": 60, "record": EACH, "histogram": {"weight": np.linspace(-1, 1, 401), "risk": np.linspace(0, 1, 51)}},
    ),
    "groups": (
        quadratic(2000), SGD,
        {"steps": 30, "record": EACH, "groups": 2, "observables": ("weight_norm", "rotation"), "quantiles": [0.5]},
    ),
    "vectors": (
        em.ScaleInvariant(size=2000), em.AdamP(lr=0.01),
        {"steps": 30, "record": EACH, "groups": [1900, 100], "observables": ("weight_norm", "rotation")},
    ),
    "histograms of groups": (
        quadratic(1000), SGD,
        {"steps": 30, "record": EACH, "groups": 10, "histogram": {"weight": np.linspace(0, 1, 21)}},
    ),
    "moments of each": (
        quadratic(1000), em.AdamW(lr=0.1),
        {"steps": 5, "record": EACH, "observables": "coordinate_first_moment_square"},
    ),
    "moments": (quadratic(1000), em.AdamW(lr=0.1), {"steps": 5, "record": EACH, "observables": "second_moment_mean"}),
    "samples": (em.LinearRegression(np.ones(50), batch_size=20), em.SGD(lr=0.01), {"steps": 10, "replicas": 512}),
    "averages": (
        quadratic(500), em.AdamW(lr=0.1),
        {"steps": 40, "record": EACH, "iterate_average": [0.5, 0.9, 0.99], "observables": ("risk", "weight_mean")},
    ),
    "drift": (
        em.NoisyQuadratic(curvature=np.ones(500), drift=0.1, init_std=0.1), SGD,
        {"steps": 40, "record": EACH, "iterate_average": [0.5, 0.9]},
    ),
    "starts": (em.RandomWalk(size=2000, init_std=1.0), SGD, {"steps": 2, "replicas": 512}),
    "a wide start": (em.RandomWalk(size=200_000, init_std=1.0), SGD, {"steps": 1, "replicas": 2}),
    "clipped": (quadratic(2000), SGD, {"steps": 5, "record": EACH, "clip_norm": [0.5, 1.0]}),
    "rounded": (
        quadratic(2000), em.AdamW(lr=0.1),
        {"steps": 5, "dtype": "float32", "weights": "bfloat16", "rounding": "stochastic"},
    ),
    "many steps": (quadratic(1), em.AdamW(lr=0.1), {"steps": 50_000, "replicas": 2, "backend": BACKENDS[-1]}),
}  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_it_bounds_what_a_run_allocates(case: str, backend: str) -> None:
    problem, optimizer, settings = CASES[case]
    settings = {"backend": backend, "replicas": 128, **settings}
    em.simulate(problem, optimizer, **{**settings, "steps": 1, "record": [1], "lags": None})
    tracemalloc.start()
    result = em.simulate(problem, optimizer, **settings)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= estimated(result) <= 8 * peak


def test_a_run_that_does_not_fit_is_refused_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 2_000_000_000)
    request: dict[str, Any] = {"steps": 10**6, "record": EACH, "progress": lambda done, total: pytest.fail("it ran")}
    with pytest.raises(
        ValueError, match=r"about .* GB of memory \(moments .*more than the 2 GB that are available; "
    ) as seen:
        em.simulate(quadratic(1000), SGD, observables="weight_mean", **request)
    assert "record fewer steps, leave out observables per coordinate" in str(seen.value)
    with pytest.raises(ValueError, match="run fewer replicas: quantiles keep every replica's value"):
        em.simulate(quadratic(1), SGD, quantiles=[0.5], replicas=1000, **request)
    with pytest.raises(ValueError, match="choose fewer trajectories"):
        em.simulate(quadratic(1000), SGD, trajectories=[1], **request)
    with pytest.raises(ValueError, match="use fewer coordinates"):
        em.simulate(em.RandomWalk(size=10**8), SGD, steps=1)


def test_the_limit_can_be_set() -> None:
    result = em.simulate(quadratic(100), SGD, steps=5)
    needed = estimated(result)
    assert estimated(em.simulate(quadratic(100), SGD, steps=5, memory_limit=needed)) == needed
    with pytest.raises(ValueError, match=r"that memory_limit allows; .*, or give a larger memory_limit= in bytes"):
        em.simulate(quadratic(100), SGD, steps=5, memory_limit=needed - 1)


def test_the_machine_has_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    here = memory.available()
    monkeypatch.setattr(memory, "MEMORY_INFORMATION", tmp_path / "none")
    whole = memory.available()
    assert 0 < here <= whole
    (tmp_path / "some").write_text("MemTotal: 9 kB\nMemAvailable:   3 kB\n", encoding="ascii")
    monkeypatch.setattr(memory, "MEMORY_INFORMATION", tmp_path / "some")
    assert memory.available() == 3072
