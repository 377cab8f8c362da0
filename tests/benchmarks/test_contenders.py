"""The benchmark is fair: every peer's run comes to the same weights, in mean and spread, as AdamW's reference."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(FOLDER))

import figure  # noqa: E402
import goals  # noqa: E402
import machine  # noqa: E402
import ours  # noqa: E402
import peers  # noqa: E402
import table  # noqa: E402
from setting import CURVATURE, SCHEDULE, STEPS  # noqa: E402

import ematheory as em  # noqa: E402

REPLICAS = 4
# By peer: the package it needs, and its run.
PEERS = {
    "jax": ("jax", lambda: peers.jax_scan(REPLICAS, "float32", "threefry2x32")),
    "torch fused": ("torch", lambda: peers.torch_optim(REPLICAS, "fused")),
    "torch foreach": ("torch", lambda: peers.torch_optim(REPLICAS, "foreach")),
    "numpy": ("numpy", lambda: peers.numpy_in_place(REPLICAS, 2)),
    "numba": ("numba", lambda: peers.numba_tiles(REPLICAS)),
    "engine": ("ematheory._native", lambda: ours.advance(REPLICAS, "float32", "", 1)),
}


@pytest.fixture(scope="module")
def reference():
    """The mean over replicas of each coordinate, and its standard deviation, from 64 replicas of the verb."""
    names = ("weight_mean", "weight_variance")
    seen = em.simulate(
        em.NoisyQuadratic(CURVATURE), ours.OPTIMIZER, steps=STEPS, schedule=SCHEDULE, observables=names, replicas=64,
        seed=1, record=[STEPS],
    ).isel(step=0)  # fmt: skip
    return seen.weight_mean.values, seen.weight_variance.values**0.5


def in_bands(values):
    """Means over a hundred neighbouring coordinates, which are nearly alike from the first hundred on."""
    return values[100:].reshape(-1, 100).mean(axis=1)


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_comes_to_the_same_weights(peer, reference):
    package, prepare = PEERS[peer]
    pytest.importorskip(package)
    weights = np.asarray(prepare()(), dtype=np.float64)
    mean, spread = reference
    deviations = (weights - mean) / spread
    # Of 4 × 100 standard numbers each mean, and each mean square, less the error of the reference's 64.
    n = REPLICAS * 100
    assert np.abs(in_bands(deviations.mean(axis=0))).max() < 5 * np.sqrt((1 + REPLICAS / 64) / n)
    squares = in_bands((deviations**2).mean(axis=0)) - 1
    assert np.abs(squares).max() < 5 * np.sqrt(2 * (1 + REPLICAS / 64) / n) + 4 / 64


def test_a_busy_machine_is_refused(monkeypatch):
    monkeypatch.setattr(machine, "busy_share", lambda: 0.5)
    with pytest.raises(SystemExit, match=r"50%.*--force"):
        machine.refuse_if_busy(force=False)
    assert machine.refuse_if_busy(force=True) == 0.5


def test_the_machine_is_seen_to_be_busy():
    burning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert machine.busy_share(0.5) > 0.2
    finally:
        burning.kill()
        burning.wait()


def test_goals_compare_with_the_fastest():
    rates = {"ematheory engine": 20.0, "JAX scan, a": 1.0, "JAX scan, b": 2.0}
    assert goals.ratio(rates, "ematheory engine", "JAX scan") == 10.0
    assert np.isnan(goals.ratio(rates, "ematheory engine", "Numba"))


@pytest.mark.parametrize("path", sorted((FOLDER / "results").glob("*-noisy-quadratic.md")), ids=lambda path: path.stem)
def test_a_committed_table_is_that_of_its_record(path, tmp_path):
    found = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert table.page(found) == path.read_text(encoding="utf-8")
    figure.draw(found, tmp_path / "drawn.png")


def test_the_readme_has_a_place_for_the_table():
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert readme.count(table.START) == readme.count(table.END) == 1
