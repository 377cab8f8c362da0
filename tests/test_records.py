"""Sweep axes: what a field may be, which grid several records span, and how it is flattened and folded again."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.recording import check_steps, every, recorded_steps
from ematheory.records import (
    POSITIVE,
    Interval,
    as_field,
    as_vector,
    check_choice,
    check_number,
    check_values,
    check_whole,
    flattened,
    grid,
)
from ematheory.results import attributes, plain, same_result, text

ANY = Interval(closed_low=False)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.array(2), np.int64(2), xr.DataArray(2)])
def test_a_number_of_any_type_is_a_float(value: Any) -> None:
    field = as_field("x", value, ANY)
    assert isinstance(field, float)
    assert field == 2.0


@pytest.mark.parametrize("value", [[1, 2], (1.0, 2.0), np.array([1, 2], dtype=np.float32), range(1, 3)])
def test_a_sequence_is_an_axis_named_after_the_field(value: Any) -> None:
    field = as_field("x", value, ANY)
    assert isinstance(field, xr.DataArray)
    assert field.dims == ("x",)
    assert field.dtype == np.float64
    assert field.x.values.tolist() == [1.0, 2.0]


def test_a_data_array_names_its_own_dim_and_gets_coordinates() -> None:
    field = as_field("x", xr.DataArray([5.0, 6.0], dims="case"), ANY)
    assert isinstance(field, xr.DataArray)
    assert field.dims == ("case",)
    assert field.case.values.tolist() == [0, 1]


@pytest.mark.parametrize("value", [True, "1", None, [None], [[1], [2, 3]], 1j, [True]])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="x must be a number"):
        as_field("x", value, ANY)
    with pytest.raises(TypeError, match="x must be a number"):
        as_vector("x", value, ANY)


def test_an_axis_of_length_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="x: a sweep axis needs at least one value, got none"):
        as_field("x", [], ANY)
    with pytest.raises(ValueError, match="x: a sweep axis needs at least one value, got none"):
        as_field("x", xr.DataArray(np.zeros(0), dims="case"), ANY)
    with pytest.raises(ValueError, match="x needs at least one coordinate, got none"):
        as_vector("x", [], ANY)


INTERVALS = [
    (Interval(0.0), 0.0, -1e-300, "finite and >= 0"),
    (Interval(0.0, closed_low=False), 1e-300, 0.0, "finite and > 0"),
    (Interval(0.0, 1.0), 0.0, 1.0, r"in \[0, 1\)"),
    (Interval(0.0, 1.0, closed_low=False, closed_high=True), 1.0, 0.0, r"in \(0, 1\]"),
    (ANY, -1e300, np.inf, "finite"),
]


@pytest.mark.parametrize(("allowed", "inside", "outside", "words"), INTERVALS)
def test_an_error_says_what_is_allowed_and_what_was_seen(
    allowed: Interval, inside: float, outside: float, words: str
) -> None:
    check_values("x", inside, allowed)
    with pytest.raises(ValueError, match=f"x must be {words}, got"):
        check_values("x", outside, allowed)
    with pytest.raises(ValueError, match=rf"x\[1\] must be {words}, got nan"):
        check_values("x", [inside, np.nan], allowed)


def test_an_unknown_word_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="colour must be one of 'red', 'green', got 'blue'"):
        check_choice("colour", "blue", ("red", "green"))
    for given, also, meant in (("Gren", (), "green"), ("scarlett", ("scarlet",), "scarlet")):
        with pytest.raises(ValueError, match=f"got '{given}'; did you mean '{meant}'\\?$"):
            check_choice("colour", given, ("red", "green"), also)
    with pytest.raises(ValueError, match=r"got 5$"):
        check_choice("colour", 5, ("red", "green"))


@pytest.mark.parametrize("number", [2, 2.0, Fraction(2), np.float32(2), np.int64(2), np.array(2)])
def test_one_number_is_a_float(number) -> None:
    assert check_number("x", number, POSITIVE) == 2
    assert isinstance(check_number("x", number, POSITIVE), float)


@pytest.mark.parametrize("given", ["2", [2], np.ones(1), None, True, 2j, np.array("2"), {}])
def test_what_is_not_one_number_is_said(given) -> None:
    with pytest.raises(TypeError, match="x must be one number, got"):
        check_number("x", given, POSITIVE)


def test_equality_is_by_value_and_hashes_agree() -> None:
    first, second = (em.AdamW(lr=[1e-3, 1e-2], weight_decay=0.1) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert first != em.AdamW(lr=[1e-3, 2e-2], weight_decay=0.1)
    assert first != em.AdamW(lr=1e-3, weight_decay=0.1)
    assert em.Adam(lr=1.0, weight_decay=0.01) != em.AdamW(lr=1.0)


def test_records_are_frozen() -> None:
    with pytest.raises(AttributeError):
        em.SGD(lr=0.1).lr = 0.2  # type: ignore[misc]


def test_repr_abridges_long_arrays() -> None:
    assert "..." in repr(em.NoisyQuadratic(curvature=np.arange(1.0, 1001.0)))
    assert repr(em.SGD(lr=0.1)) == "SGD(lr=0.1, momentum=0.0, weight_decay=0.0, nesterov=False, decay='l2')"


def test_the_grid_is_the_product_of_the_axes_in_the_order_met() -> None:
    over = grid(em.AdamW(lr=[1.0, 2.0], weight_decay=[0.1, 0.2, 0.3]), em.NoisyQuadratic(1.0, batch_size=[4, 8]))
    assert over.dims == ("lr", "weight_decay", "batch_size")
    assert over.shape == (2, 3, 2)
    assert over.points == 12


def test_without_an_axis_there_is_one_point() -> None:
    over = grid(em.SGD(lr=0.1))
    assert (over.dims, over.points) == ((), 1)
    assert over.flat(0.1).tolist() == [0.1]
    assert over.dataset({"risk": (("step",), [[1.0, 2.0]])}).risk.dims == ("step",)


def test_fields_that_share_a_dim_are_zipped() -> None:
    case = {"case": [10.0, 20.0]}
    lr = xr.DataArray([1.0, 2.0], coords=case)
    decay = xr.DataArray([0.5, 0.25], coords=case)
    record = em.SGD(lr=lr, weight_decay=decay)
    over = grid(record)
    assert over.shape == (2,)
    flat = flattened(record, over)
    assert flat.lr.ravel().tolist() == [1.0, 2.0]
    assert flat.weight_decay.ravel().tolist() == [0.5, 0.25]


def test_fields_that_disagree_on_a_shared_dim_are_refused() -> None:
    lr = xr.DataArray([1.0, 2.0], coords={"case": [0.0, 1.0]})
    decay = xr.DataArray([1.0, 2.0, 3.0], coords={"case": [0.0, 1.0, 2.0]})
    with pytest.raises(ValueError, match="other coordinates on the shared dim 'case'"):
        grid(em.SGD(lr=lr, weight_decay=decay))


def test_flattening_follows_the_order_of_the_grid_not_of_the_field() -> None:
    both = xr.DataArray(np.arange(6.0).reshape(3, 2) + 1, coords={"b": [0.0, 1.0, 2.0], "a": [0.0, 1.0]})
    first = xr.DataArray([1.0, 2.0], coords={"a": [0.0, 1.0]})
    record = em.SGD(lr=first, weight_decay=both)
    over = grid(record)
    assert over.dims == ("a", "b")
    folded = over.dataset({"decay": ((), flattened(record, over).weight_decay[:, 0])}).decay
    xr.testing.assert_equal(folded.transpose("b", "a"), both.rename("decay"))


def test_a_vector_with_a_sweep_dim_keeps_its_coordinates() -> None:
    curvature = xr.DataArray(np.arange(1.0, 7).reshape(2, 3), dims=("case", "coordinate"))
    problem = em.NoisyQuadratic(curvature=curvature, batch_size=[4.0, 8.0])
    over = grid(problem)
    assert over.dims == ("case", "batch_size")
    flat = flattened(problem, over)
    assert flat.curvature.shape == (4, 3)
    assert flat.curvature[1].tolist() == [1.0, 2.0, 3.0]
    assert flat.curvature[2].tolist() == [4.0, 5.0, 6.0]
    assert flat.batch_size.ravel().tolist() == [4.0, 8.0, 4.0, 8.0]


RECORDED = [
    (None, 10, [0, 10]),
    (every(4), 10, [0, 4, 8, 10]),
    (every(5), 10, [0, 5, 10]),
    (every(100), 10, [0, 10]),
    ([3], 10, [3]),
    (range(0, 11, 5), 10, [0, 5, 10]),
]


@pytest.mark.parametrize(("record", "steps", "expected"), RECORDED)
def test_recorded_steps(record: Any, steps: int, expected: list[int]) -> None:
    assert recorded_steps(record, steps).tolist() == expected


@pytest.mark.parametrize("record", [[], [11], [-1], [3, 3], [5, 2], [1.5], "all", 7])
def test_a_bad_record_is_refused(record: Any) -> None:
    with pytest.raises(ValueError, match="record must"):
        recorded_steps(record, 10)


def test_whole_numbers_are_told_with_all_their_digits() -> None:
    with pytest.raises(ValueError, match=r"^size must be in \[1, 1281167\], got 2000000$"):
        check_whole("size", 2_000_000, Interval(1, 1_281_167, closed_high=True))
    with pytest.raises(ValueError, match=r"^size must be finite and >= 1, got -3$"):
        check_whole("size", np.int64(-3), Interval(1))
    assert str(Interval(0.0, 0.125)) == "in [0, 0.125)"


def test_steps_are_a_whole_number_of_at_least_one() -> None:
    assert check_steps(np.int64(3)) == 3
    for value in (1.0, True, "3", None):
        with pytest.raises(TypeError, match="steps must be a whole number"):
            check_steps(value)
    with pytest.raises(ValueError, match=r"^steps must be finite and >= 1, got 0$"):
        check_steps(0)


@pytest.mark.parametrize(
    "value",
    [
        em.NoisyQuadratic(curvature=[1.0, 2.0], batch_size=[1.0, 4.0]),
        em.AdamW(lr=xr.DataArray([[0.1, 0.2]], dims=("a", "b"))),
        np.array([-0.0, 0.0, np.nan, np.inf]),
        np.ones((2, 3)),
        np.float64(0.1),
        np.arange(3),
        np.ones(2, np.float32),
        {"a": None, 1: [True, (2.5, "ü")]},
    ],
)
def test_text_is_that_of_the_plain_value(value: Any) -> None:
    """The text of arrays is kept by their bits: a zero's sign is not lost to one of another array."""
    for given in (np.array([0.0, 0.0, np.nan, np.inf]), value, value):
        assert text(given) == json.dumps(plain(given))


def test_attributes_are_json_and_leave_out_none() -> None:
    found = attributes(steps=3, schedule=None, optimizer=em.SGD(lr=[0.1, 0.2]), nesterov=True)
    assert set(found) == {"steps", "optimizer", "nesterov"}
    assert found["steps"] == 3
    assert '"type": "SGD"' in found["optimizer"]
    assert found["nesterov"] == "true"


def test_same_result_ignores_what_ran_it_and_nothing_else() -> None:
    one = xr.Dataset({"risk": ("step", [np.nan, 1.0])}, attrs={"seed": 0, "run": "here"})
    assert same_result(one, one.assign_attrs(run="there"))
    assert not same_result(one, one.assign_attrs(seed=1))
    assert not same_result(one, (one + 1e-15).assign_attrs(one.attrs))
    assert not same_result(one, one.isel(step=[0]).assign_attrs(one.attrs))


@pytest.mark.parametrize("dim", ["step", "order", "seed", "mean", "sizes", "coordinate", "betas"])
def test_an_axis_whose_name_is_taken_is_refused(dim: str) -> None:
    with pytest.raises(ValueError, match=f"'{dim}'"):
        em.SGD(lr=xr.DataArray([0.1, 0.2], dims=dim))


def test_an_axis_named_as_an_observable_is_refused() -> None:
    with pytest.raises(ValueError, match=r"SGD\.lr: a sweep axis cannot be called 'risk'"):
        grid(em.SGD(lr=xr.DataArray([0.1, 0.2], dims="risk")), em.NoisyQuadratic(curvature=1.0))


@pytest.mark.parametrize(
    ("lr", "message"),
    [
        ([0.1, 0.2, 0.1], "the sweep axis 'lr' has 0.1 twice"),
        (xr.DataArray([0.1, 0.2], coords={"case": [3, 3]}), "the sweep axis 'case' has 3 twice"),
        (xr.DataArray([0.1, 0.2], coords={"case": [np.nan, 1.0]}), "must not be NaN"),
    ],
)
def test_points_that_cannot_be_told_apart_are_refused(lr: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        em.SGD(lr=lr)


class Unreadable:
    """As a tensor that requires a gradient."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("detach first")


@pytest.mark.parametrize(
    "lr", [xr.DataArray([True, False], dims="a"), xr.DataArray(["x", "y"], dims="a"), xr.DataArray([1j]), Unreadable()]
)
def test_what_holds_no_numbers_is_a_type_error(lr: Any) -> None:
    with pytest.raises(TypeError, match="lr must be a number"):
        em.SGD(lr=lr)


def test_equal_records_hash_alike_whatever_prints_them() -> None:
    pairs = [
        (em.NoisyQuadratic(curvature=[1.0, 0.0]), em.NoisyQuadratic(curvature=[1.0, -0.0])),
        (em.NoisyQuadratic(curvature=1.0, init=0.0), em.NoisyQuadratic(curvature=1.0, init=-0.0)),
        (em.RandomWalk(size=4), em.RandomWalk(size=np.int64(4))),
        (em.AdamW(lr=[0.1, 0.2], beta1=[0.5, 0.6]), em.AdamW(lr=[0.1, 0.2], beta1=[0.5, 0.6])),
    ]
    for one, other in pairs:
        assert one == other
        before = hash(one)
        with np.printoptions(precision=1, threshold=1):
            assert hash(other) == before
    long = np.linspace(0.1, 1.0, 1000)
    changed = long.copy()
    changed[500] = 2.0
    assert hash(em.NoisyQuadratic(curvature=long)) != hash(em.NoisyQuadratic(curvature=changed))


def test_a_repr_says_each_thing_once() -> None:
    assert repr(em.AdamW(lr=0.1)) == (
        "AdamW(lr=0.1, weight_decay=0.01, eps=1e-08, decay='per_lr', beta1=0.9, beta2=0.999)"
    )
