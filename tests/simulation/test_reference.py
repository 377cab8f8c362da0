"""The one `advance` of every backend, against one cell at a time in scalars of the dtype."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

import ematheory as em
from ematheory.optimizers import Optimizer
from ematheory.problems import Problem
from ematheory.records import POSITIVE, as_field, flattened, grid
from ematheory.simulation import arrays
from ematheory.simulation.backends import Backend, Native
from ematheory.simulation.clock import Clock, problem_columns
from ematheory.simulation.normal import normals
from ematheory.simulation.reference import Reference

BACKENDS: dict[str, Backend] = {"reference": Reference(), **{isa: Native(isa, 2) for isa in em.isas()}}
PROBLEM = em.NoisyQuadratic(curvature=[1.0, 0.5, 0.1], noise=0.3, optimum=0.2, batch_size=[1.0, 3.0])
OPTIMIZER = em.AdamW(lr=[0.01, 0.02], weight_decay=0.5, betas=(0.9, 0.95), decay="cautious")
SEED, FIRST_REPLICA, REPLICAS, POINTS, STEPS = 9, 61, 5, 4, 11


def block(first: int, last: int, dtype: str, snapshots_at: list[int]) -> dict[str, Any]:
    """The arguments of `advance` for steps first+1 … last of the four points' run."""
    over = grid(OPTIMIZER, PROBLEM)
    optimizer, problem = flattened(OPTIMIZER, over), flattened(PROBLEM, over)
    coefficients, _ = Clock(optimizer, POINTS, STEPS, em.Linear(), None, dtype).block(first, last)
    return {
        "problem": PROBLEM, "optimizer": OPTIMIZER, "coefficients": coefficients,
        "problem_coefficients": problem_columns(problem, (POINTS, 3)).astype(dtype),
        "first_step": first, "seed": SEED, "first_replica": FIRST_REPLICA,
        "point_numbers": np.arange(POINTS, dtype=np.uint32),
        "snapshots_at": np.array(snapshots_at, dtype=np.int64),
        "snapshots": np.full((len(snapshots_at), POINTS, REPLICAS, 3), np.nan, dtype=dtype),
    }  # fmt: skip


def start(dtype: str) -> np.ndarray[Any, Any]:
    state = np.zeros((3, POINTS, REPLICAS, 3), dtype=dtype)
    state[0] = 1
    return state


def one_cell(place: tuple[int, int, int], dtype: str) -> list[Any]:
    """The weights of one cell after 0, 1, … steps, in scalars of the dtype."""
    point, replica, column = place
    given, scalar = block(0, STEPS, dtype, []), np.dtype(dtype).type
    state = OPTIMIZER.initial(np, scalar(1))
    c = PROBLEM.Coefficients(*given["problem_coefficients"][:, point, column])
    noise = normals(SEED, range(STEPS), [column], [FIRST_REPLICA + replica], point)[:, 0, 0]
    weights = [state.weight]
    for step in range(STEPS):
        gradient = PROBLEM.gradient(arrays, state.weight, scalar(noise[step]), c)
        state = OPTIMIZER.update(arrays, state, gradient, OPTIMIZER.Coefficients(*given["coefficients"][point, step]))
        assert state.weight.dtype == dtype
        weights.append(state.weight)
    return weights


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_is_the_scalar_computation(name: str, dtype: str) -> None:
    given = block(0, STEPS, dtype, list(range(STEPS + 1)))
    BACKENDS[name].advance(state=start(dtype), **given)
    for place in [(0, 0, 0), (1, 4, 2), (2, 3, 1), (3, 2, 0)]:
        assert given["snapshots"][(slice(None), *place)].tolist() == one_cell(place, dtype)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_run_may_be_cut_at_any_step(name: str) -> None:
    whole = start("float32")
    BACKENDS[name].advance(state=whole, **block(0, STEPS, "float32", []))
    for cut in (1, 2, 6):
        state = start("float32")
        BACKENDS[name].advance(state=state, **block(0, cut, "float32", []))
        second = block(cut, STEPS, "float32", [0, STEPS - cut])
        middle = state[0].copy()
        BACKENDS[name].advance(state=state, **second)
        np.testing.assert_array_equal(state, whole)
        np.testing.assert_array_equal(second["snapshots"], [middle, whole[0]])


@pytest.mark.parametrize("name", BACKENDS)
def test_no_steps_change_nothing(name: str) -> None:
    state, given = start("float64"), block(0, 0, "float64", [0])
    BACKENDS[name].advance(state=state, **given)
    np.testing.assert_array_equal(state, start("float64"))
    np.testing.assert_array_equal(given["snapshots"][0], start("float64")[0])


class PullCoefficients(NamedTuple):
    """The strength of a pull towards zero."""

    strength: Any


class Pull(Problem):
    """A user's own problem from scratch: g = w³·strength + noise."""

    Coefficients = PullCoefficients
    name = "pull"
    observables = ("weight_mean_square", "weight_mean")
    init = 1.0
    coordinates = 2

    def __init__(self, strength: Any) -> None:
        object.__setattr__(self, "strength", as_field("strength", strength, POSITIVE))

    def coefficients(self, xp: Any) -> PullCoefficients:
        return PullCoefficients(self.strength)

    def gradient(self, xp: Any, weight: Any, noise: Any, c: PullCoefficients) -> Any:
        return c.strength * (weight * weight * weight) + noise


@pytest.mark.parametrize("optimizer", [em.SGD(lr=0.01), em.AdamW(lr=0.01), em.Adam(lr=0.01)])
def test_a_problem_written_by_a_user_runs_and_sweeps(optimizer: Optimizer) -> None:
    result = em.simulate(Pull([0.5, 1.0]), optimizer, steps=6, replicas=3)
    assert result.weight_mean_square.dims == ("strength", "step")
    assert np.isfinite(result.weight_mean_square).all()
    w = np.ones((3, 2))
    if isinstance(optimizer, em.SGD):
        for noise in normals(0, range(6), range(2), range(3)):
            w = w - 0.01 * (w**3 + noise)
        assert float(result.weight_mean_square[1, -1]) == pytest.approx((w**2).mean(), rel=1e-12)
