"""The native module under arbitrary arguments: a clear error or the right answer, never a crash."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

native = pytest.importorskip("ematheory._native", reason="the native module was not built")

ISAS = native.isas()
SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
SIZES = st.integers(0, 5)
DTYPES = st.sampled_from(["float64", "float32", "int64", "uint32", "complex128", "bool", ">f8"])
NUMBERS = st.sampled_from([0.0, -1.5, 1e300, -1e-320, np.inf, -np.inf, np.nan])
# Numbers at the edges of what the limits allow, and of what the C types hold.
WHOLE = st.sampled_from([-1, 0, 1, 7, 2**28, 2**32 - 1, 2**32, 2**34 - 1, 2**34, 2**63, 2**64 - 1, 2**64])


@st.composite
def arrays(draw: Any, shape: tuple[int, ...], dtype: str) -> Any:
    """An array of that shape and dtype, or now and then one that is not, in another layout or no array at all."""
    kind = draw(st.sampled_from(["right"] * 12 + ["dtype", "shape", "flat", "strided", "fortran", "list", "text"]))
    if kind == "dtype":
        dtype = draw(DTYPES)
    if kind == "shape":
        shape = tuple(draw(st.lists(SIZES, max_size=5)))
    with np.errstate(over="ignore"):
        values = np.full(shape, draw(NUMBERS) if np.dtype(dtype).kind == "f" else 0).astype(dtype)
    if kind == "flat":
        return values.ravel()
    if kind == "strided":
        return np.repeat(values, 2, axis=-1)[..., ::2] if values.ndim else values
    if kind == "fortran":
        return np.asfortranarray(values)
    return {"list": values.tolist(), "text": "array"}.get(kind, values)


@st.composite
def offsets(draw: Any, steps: int) -> Any:
    """Increasing numbers in 0 … steps; now and then others."""
    right = sorted(draw(st.sets(st.integers(0, steps), max_size=4)))
    wrong = draw(st.lists(st.integers(-2, steps + 2), max_size=4))
    return np.array(draw(st.sampled_from([right, right, right, wrong])), dtype=np.int64)


def outcome(function: Any, arguments: dict[str, Any]) -> str | None:
    """The text of the error, or None; anything but an error of these kinds fails the test."""
    try:
        function(**arguments)
    except (ValueError, TypeError) as error:
        return str(error)
    return None


@SETTINGS
@given(st.data())
def test_advance(data: Any) -> None:
    draw = data.draw
    points, replicas, coordinates, steps = (draw(SIZES) for _ in range(4))
    dtype, at = draw(st.sampled_from(["float64", "float32"])), draw(offsets(steps))
    members, own, of_problem = 3, 8, 3
    arguments = {
        "isa": draw(st.sampled_from([*ISAS, "vax"])),
        "problem": draw(st.sampled_from(["noisy_quadratic", "noisy_quadratic", "random_walk", "no problem"])),
        "optimizer": draw(st.sampled_from(["adamw", "adamw", "adam", "sgd_l2", "no optimizer"])),
        "state": draw(arrays((members, points, replicas, coordinates), dtype)),
        "problem_coefficients": draw(arrays((of_problem, points, coordinates), dtype)),
        "coefficients": draw(arrays((points, steps, own), dtype)),
        "first_step": draw(st.one_of(st.just(3), WHOLE)),
        "seed": draw(st.one_of(st.just(2**63), WHOLE)),
        "first_replica": draw(st.one_of(st.just(1), WHOLE)),
        "point_numbers": draw(arrays((points,), "uint32")),
        "snapshots_at": at,
        "snapshots": draw(arrays((at.size, points, replicas, coordinates), dtype)),
        "threads": draw(st.sampled_from([1, 2, 3, 0, -1])),
    }
    outcome(native.advance, arguments)


@SETTINGS
@given(st.data())
def test_advance_with_options(data: Any) -> None:
    draw = data.draw
    points, replicas, coordinates, steps, averages = (draw(SIZES) for _ in range(5))
    dtype, at = draw(st.sampled_from(["float64", "float32"])), draw(offsets(steps))
    drifts, count = draw(st.booleans()), draw(st.sampled_from([3, 3, 3, 2]))
    copies = max(1, averages) + drifts
    arguments = {
        "isa": draw(st.sampled_from(ISAS)),
        "problem": "noisy_quadratic",
        "optimizer": "adamw",
        "state": draw(arrays((count + averages + drifts, points, replicas, coordinates), dtype)),
        "problem_coefficients": draw(arrays((3, points, coordinates), dtype)),
        "coefficients": draw(arrays((points, steps, 8), dtype)),
        "first_step": draw(st.one_of(st.just(3), WHOLE)),
        "seed": 5,
        "first_replica": 1,
        "point_numbers": np.zeros(points, dtype=np.uint32),
        "snapshots_at": at,
        "snapshots": draw(arrays((at.size, points * copies, replicas, coordinates), dtype)),
        "threads": draw(st.sampled_from([1, 2])),
        "clip_norm": draw(st.one_of(st.none(), arrays((points,), "float64"))),
        "averaging": draw(arrays((steps, averages, 2), dtype)) if averages else None,
        "rounding": draw(st.sampled_from(["", "", "nearest", "stochastic", "up"])),
        "drift": draw(arrays((2, points, coordinates), dtype)) if drifts else None,
    }
    outcome(native.advance, arguments)


@SETTINGS
@given(st.data())
def test_advance_of_coupled_vectors(data: Any) -> None:
    draw = data.draw
    points, replicas, coordinates, steps = (draw(SIZES) for _ in range(4))
    problem, of_problem = draw(
        st.sampled_from([("scale_invariant", 1), ("linear_regression", 5), ("reshuffled_data", 4), ("random_walk", 1)])
    )
    optimizer, members, own = draw(st.sampled_from([("adamp", 3, 10), ("amos", 4, 10), ("adamw", 3, 8)]))
    dtype, at = draw(st.sampled_from(["float64", "float32"])), draw(offsets(steps))
    columns = np.ones((of_problem, points, coordinates), dtype=dtype)
    is_replaced = draw(st.booleans())
    # So many samples, or items put back, are no mistake: they take an hour, or the memory.
    large = [2.0**32] if problem == "reshuffled_data" and not is_replaced else []
    columns[-1:] = draw(st.sampled_from([1.0, 1.0, 3.0, 0.0, -1.0, 0.5, 1e30, np.nan, np.inf, *large]))
    arguments = {
        "isa": draw(st.sampled_from(ISAS)),
        "problem": problem,
        "optimizer": optimizer,
        "state": draw(arrays((members, points, replicas, coordinates), dtype)),
        "problem_coefficients": columns,
        "coefficients": draw(arrays((points, steps, own), dtype)),
        "first_step": draw(st.one_of(st.just(3), WHOLE)),
        "seed": 5,
        "first_replica": draw(st.one_of(st.just(1), WHOLE)),
        "point_numbers": draw(arrays((points,), "uint32")),
        "snapshots_at": at,
        "snapshots": draw(arrays((at.size, points, replicas, coordinates), dtype)),
        "threads": draw(st.sampled_from([1, 2])),
        "items": draw(st.sampled_from([4, 4, 0, 1, 1000, -1])),
        "is_replaced": is_replaced,
    }
    outcome(native.advance, arguments)


@SETTINGS
@given(st.data())
def test_moments(data: Any) -> None:
    draw = data.draw
    points, columns, steps = draw(SIZES), draw(st.integers(0, 130)), draw(SIZES)
    at = draw(offsets(steps))
    program, members, coefficients = draw(st.sampled_from([("sgd_l2", 5, 3), ("adamw_noisier", 9, 8), ("none", 1, 1)]))
    arguments = {
        "isa": draw(st.sampled_from([*ISAS, ""])),
        "program": program,
        "state": draw(arrays((members, points, columns), "float64")),
        "gradient": draw(arrays((3, points, columns), "float64")),
        "coefficients": draw(arrays((points, steps, coefficients), "float64")),
        "snapshots_at": at,
        "snapshots": draw(arrays((at.size, members, points, columns), "float64")),
        "threads": draw(st.sampled_from([1, 2, 3, 0])),
    }
    outcome(native.moments, arguments)


@SETTINGS
@given(st.data())
def test_update(data: Any) -> None:
    draw = data.draw
    rows, columns, dtype = draw(SIZES), draw(st.integers(0, 70)), draw(st.sampled_from(["float64", "float32"]))
    optimizer, members, own = draw(st.sampled_from([("adamw", 3, 8), ("lion", 2, 6), ("amos", 4, 10), ("none", 1, 1)]))
    count = draw(st.sampled_from([members, members, members, 0, members + 1]))
    arguments = {
        "isa": draw(st.sampled_from([*ISAS, ""])),
        "optimizer": optimizer,
        "state": [draw(arrays((rows, columns), dtype)) for _ in range(count)],
        "gradient": draw(arrays((rows, columns), dtype)),
        "coefficients": draw(arrays((rows, own), dtype)),
    }
    outcome(native.update, arguments)


@SETTINGS
@given(st.data())
def test_normals(data: Any) -> None:
    sizes = st.sampled_from([0, 1, 5, 129, -1])
    arguments = {name: data.draw(sizes) for name in ("steps", "columns", "replicas")}
    for name in ("seed", "first_step", "first_replica", "point"):
        arguments[name] = data.draw(st.one_of(st.just(1), WHOLE))
    arguments["isa"] = data.draw(st.sampled_from(ISAS))
    if outcome(native.normals, arguments) is None:
        found = native.normals(**arguments)
        assert found.shape == tuple(arguments[name] for name in ("steps", "replicas", "columns"))
        assert np.isfinite(found).all()


@SETTINGS
@given(st.tuples(WHOLE, WHOLE, WHOLE, WHOLE), WHOLE)
def test_philox(counter: tuple[int, ...], key: int) -> None:
    if outcome(native.philox, {"counter": counter, "key": key}) is None:
        assert all(0 <= word < 2**32 for word in native.philox(counter, key))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_goes_through(value: float) -> None:
    state = np.full((2, 1, 1, 3), 0.5)
    native.advance(
        isa=ISAS[-1], problem="random_walk", optimizer="sgd_l2", state=state, seed=0, first_step=0, first_replica=0,
        problem_coefficients=np.full((1, 1, 3), value), coefficients=np.full((1, 2, 3), 0.1), threads=1,
        point_numbers=np.zeros(1, np.uint32), snapshots_at=np.zeros(0, np.int64), snapshots=np.zeros((0, 1, 1, 3)),
    )  # fmt: skip
    assert not np.isfinite(state).any()
