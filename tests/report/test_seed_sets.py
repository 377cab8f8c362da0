"""Verdicts on several sets of seeds side by side: what counts as a change, and what the table shows."""

from __future__ import annotations

import pytest

from ematheory.claims import Claim, Evidence, Level, Sampled, examine
from ematheory.claims.seeds import chosen_seed
from ematheory.report import record
from ematheory.report.seed_sets import by_level, changes, joined, markdown


def drawn(by_set):
    """A level that finds another mean in every set of seeds."""

    def run(tier):
        seed = chosen_seed(7)
        return Evidence((Sampled("slope", by_set[seed // 10**6], 0.0, 0.1, 20, 1.0),), (seed,))

    return run


def judged(by_set):
    levels = {"numeric": Level(lambda tier: Evidence(()), tiers=("full",)), "trained": Level(drawn(by_set))}
    claim = Claim("X01", "paper", "a", "here", (), ("empirical",), levels)
    return [record(examine([claim], seed_set=each), "quick", (), each) for each in range(len(by_set))]


@pytest.mark.parametrize(("means", "expected"), [([0.0, 0.1, -0.1], False), ([0.0, 0.1, 2.0], True)])
def test_a_verdict_that_rests_on_the_draw(means, expected):
    (row,) = by_level(judged(means))
    assert row["changes"] == expected
    assert [each["seeds"] for each in row["sets"].values()] == [[7], [1000007], [2000007]]
    assert {each["test"] for each in row["sets"].values()} == {"t(19), 1 comparison"}


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [(["confirmed"] * 4, False), (["confirmed", "inconclusive"], False), (["inconclusive", "inconclusive"], False),
     (["confirmed", "inconclusive", "refuted"], True), (["confirmed", "vacuous"], True), (["error", "error"], True)],
)  # fmt: skip
def test_changes(verdicts, expected):
    assert changes(verdicts) == expected


def test_the_table_has_every_set_and_a_dash_for_one_that_was_not_judged():
    (first,), (second,) = by_level(judged([0.0, 2.0])), by_level(judged([0.0] * 3))
    head, _, row, _ = markdown([first, {**second, "claim": "X02"}]).splitlines()
    assert head == "| claim | level | set 0 | set 1 | set 2 | n | test |"
    found = "confirmed [-0.388, 0.388] | refuted [1.61, 2.39] | –"
    assert row == f"| X01 | trained | {found} | 20 | t(19), 1 comparison |"


def test_later_records_renew_the_rows_of_their_sets_alone():
    before = by_level(judged([0.0, 2.0]))
    (row,) = joined(before, by_level(judged([0.0, 0.0])[1:]))
    assert [each["verdict"] for each in row["sets"].values()] == ["confirmed", "confirmed"]
    assert (before[0]["changes"], row["changes"]) == (True, False)


def test_a_record_that_names_no_test_is_shown_without():
    (old,) = judged([0.0])
    for row in old["verdicts"]:
        del row["test"], row["decided_by"]
    assert markdown(by_level([old])).splitlines()[-1] == "| X01 | trained | confirmed [-0.388, 0.388] | 20 |  |"
