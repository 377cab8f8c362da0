"""Which steps are recorded, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ematheory as em
from ematheory.recording import check_steps, recorded_steps


def test_every_holds_the_start_and_the_end() -> None:
    assert recorded_steps(em.every(4), 10).tolist() == [0, 4, 8, 10]
    assert recorded_steps(em.every(5), 10).tolist() == [0, 5, 10]
    assert recorded_steps(em.every(100), 10).tolist() == [0, 10]
    assert recorded_steps(None, 10).tolist() == [0, 10]


def test_a_list_is_taken_as_it_stands() -> None:
    found = recorded_steps([1, 3], 10)
    assert found.tolist() == [1, 3]
    assert found.dtype == np.int64


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ([], "every\\(n\\) or a list"),
        ([0.5], "every\\(n\\) or a list"),
        ([[1]], "every\\(n\\) or a list"),
        ([3, 1], "increasing step counts in 0…10"),
        ([1, 1], "increasing"),
        ([-1, 1], "increasing step counts"),
        ([11], "in 0…10, got \\[11\\]"),
    ],
)
def test_wrong_records_are_refused(record: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        recorded_steps(record, 10)


@pytest.mark.parametrize("interval", [0, -1])
def test_wrong_intervals_are_refused(interval: int) -> None:
    with pytest.raises(ValueError, match="every must be finite and >= 1"):
        em.every(interval)


@pytest.mark.parametrize("interval", [2.5, float("nan"), True, "3", [1, 2], None])
def test_intervals_that_are_no_whole_number_are_a_type_error(interval: Any) -> None:
    with pytest.raises(TypeError, match="every must be a whole number, got"):
        em.every(interval)


def test_steps_are_whole_and_positive() -> None:
    assert check_steps(np.int64(3)) == 3
    for wrong in (True, 2.0, "3", None):
        with pytest.raises(TypeError, match="whole number"):
            check_steps(wrong)
    with pytest.raises(ValueError, match="steps must be finite and >= 1, got 0"):
        check_steps(0)
