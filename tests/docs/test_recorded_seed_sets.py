"""papers/seed-sets.md shows what seed-sets.json records: verdicts that name n, interval and test, and that stand."""

import json
from pathlib import Path

import pytest

from ematheory.claims import find
from ematheory.claims.claim import asked
from ematheory.report.seed_sets import OWN, by_level, joined, markdown

FOLDER = Path(__file__).parents[2] / "papers"
KEPT = json.loads((FOLDER / "seed-sets.json").read_text(encoding="utf-8"))
TIER, ROWS = KEPT["tier"], KEPT["rows"]
# Of a verdict all but when it was made and how long that took, which may be another run's of the same code.
JUDGED_BY = tuple(name for name in OWN if name not in ("seconds", "date"))
EMPIRICAL = {
    claim.id: "networks" if "networks" in claim.levels else "trained"
    for claim in find()
    if "empirical" in claim.kinds and "trained" in claim.levels
}
# Of set 0 the papers' records tell; and other levels may be decided by an order, which is not sampled.
JUDGED = [
    (row["claim"], name, each)
    for row in ROWS
    if row["level"] == EMPIRICAL.get(row["claim"])
    for name, each in row["sets"].items()
    if name != "0"
]


def test_the_table_is_fresh():
    assert joined([], ROWS) == ROWS
    assert markdown(ROWS) in (FOLDER / "seed-sets.md").read_text(encoding="utf-8")


def test_every_empirical_trained_level_is_in_it():
    rows = {(row["claim"], row["level"]) for row in ROWS if asked(row["level"], ["trained"])}
    claims = find(*EMPIRICAL)
    assert rows == {(each.id, level) for each in claims for level in each.levels if asked(level, ["trained"])}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['claim']}-{row['level']}")
def test_set_0_is_what_the_papers_folder_records(row):
    """A folder that was judged again and seed sets that were not told different things of the same seeds."""
    record = json.loads((FOLDER / row["paper"] / "verdicts.json").read_text(encoding="utf-8"))
    assert record["tier"] == TIER
    # As seed_sets.py joins them, which takes records of earlier versions too.
    found = next(
        each for each in by_level([{"seed_set": 0, **record}])
        if (each["claim"], each["level"]) == (row["claim"], row["level"])
    )  # fmt: skip
    for name in JUDGED_BY:
        assert row["sets"]["0"][name] == found["sets"]["0"][name], name


def test_no_verdict_changes_other_than_to_or_from_inconclusive():
    assert [row["claim"] for row in ROWS if row["changes"]] == []


@pytest.mark.parametrize(("claim", "name", "each"), JUDGED, ids=[f"{claim}-{name}" for claim, name, _ in JUDGED])
def test_verdicts_name_their_n_interval_test_and_seeds(claim, name, each):
    assert each["n"] > 1
    assert each["interval"] is not None
    assert each["confidence"] == 0.999
    assert each["test"].startswith((f"t({each['n'] - 1}), ", "exact binomial, "))
    assert {seed // 10**6 for seed in each["seeds"]} == {int(name)}
