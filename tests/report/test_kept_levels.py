"""Levels are kept whole as they are judged, and taken again only where nothing that they depend on has changed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import ematheory as em
from ematheory import report, validation
from ematheory.claims import Claim, Curve, Evidence, Exact, Figure, Level, Order, Sampled, examine
from ematheory.report.levels import Levels, source_hash

STEPS = np.arange(1, 20)


def found(tier):
    """A statistical comparison, one whose residual is infinite, an order, and a figure."""
    curve = Curve("risk", STEPS, 1 / STEPS, 1 / STEPS + 1e-17, 0.1 / STEPS)
    figure = Figure("Risk", "step", "risk", (curve,), log_y=True)
    halves = 0.5 ** np.arange(4)
    findings = (
        Sampled("w", np.zeros(3), 0.0, np.full(3, 0.1), 50, 1.0),
        Sampled("v", math.nan, 0.0, 1.0, 50, 10.0),
        Order("error", halves, halves, 1.0),
        Exact("w", math.nan, 1e-15, np.int64(3), "rounding"),
    )
    return Evidence(findings, (3, 4), (figure,), "x86-64-v3")


def broken(tier):
    raise RuntimeError("out of luck")


def undecided(tier):
    return Evidence((Sampled("w", 0.0, 0.0, 1.0, 9, resolution=0.1),))


def claim(**runs):
    levels = {name: Level(run, expected="refuted") for name, run in runs.items()}
    return Claim("X01", "paper", "w = w.", "here", (), ("exact",), levels)


@pytest.fixture
def validate(monkeypatch, tmp_path):
    """`validate` on one made-up claim, into one folder."""
    monkeypatch.setattr(validation, "instruction_sets", lambda: ("portable",))

    def run(made, resume=True, tier="smoke", **more):
        monkeypatch.setattr(validation, "find", lambda *names: (made,))
        return em.validate(tier=tier, out=tmp_path, resume=resume, **more)

    return run


def undated(record):
    """A record as strict JSON without what tells when it was made."""
    made = json.loads(report.as_json(record))
    times = ("date", "seconds", "resumed")
    rows = [{name: row[name] for name in row if name not in times} for row in made["verdicts"]]
    return {**{name: made[name] for name in made if name not in times}, "verdicts": rows}


def test_a_resumed_report_is_the_report(validate):
    first = validate(claim(numeric=found, trained=undecided))
    again = validate(claim(numeric=broken, trained=broken))
    assert [row["resumed"] for row in first.verdicts] == [False, False]
    assert [row["resumed"] for row in again.verdicts] == [True, True]
    assert undated(again.record) == undated(first.record)
    for name in ("date", "seconds"):
        assert [row[name] for row in again.verdicts] == [row[name] for row in first.verdicts]
    assert [each.outcomes for each in again.judgements][1] == first.judgements[1].outcomes
    assert "resumed: judged 20" in report.page(json.loads(report.as_json(again.record)))


def test_without_resume_everything_runs(validate):
    validate(claim(numeric=found))
    assert validate(claim(numeric=broken), resume=False).verdicts[0]["verdict"] == "error"


def test_an_error_runs_again_and_hides_what_was_judged_before(validate):
    validate(claim(numeric=found))
    validate(claim(numeric=broken), resume=False)
    again = validate(claim(numeric=found)).verdicts[0]
    assert (again["verdict"], again["resumed"]) == ("refuted", False)


def test_another_tier_runs(validate):
    validate(claim(numeric=found))
    assert validate(claim(numeric=undecided), tier="quick").verdicts[0]["verdict"] == "inconclusive"


def test_another_set_of_seeds_runs(validate):
    validate(claim(numeric=undecided))
    again = validate(claim(numeric=undecided), seed_set=1)
    assert (again.verdicts[0]["resumed"], again.record["seed_set"]) == (False, 1)
    assert validate(claim(numeric=broken), seed_set=1).verdicts[0]["resumed"]


@pytest.mark.parametrize("part", ["tier", "seed_set", "isas", "versions", "source"])
def test_every_part_of_the_key_counts(tmp_path, part):
    key = report.key("smoke", ["portable"])
    (judged,) = examine([claim(numeric=found)], tier="smoke")
    Levels(tmp_path, key).keep(judged)
    assert Levels(tmp_path, key).find(judged.claim, "numeric").verdict == "refuted"
    assert Levels(tmp_path, {**key, part: "another"}).find(judged.claim, "numeric") is None
    assert Levels(tmp_path, key).find(judged.claim, "trained") is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_what_is_no_level_is_not_used(tmp_path, content):
    (tmp_path / "X01-numeric.json").write_text(content)
    assert Levels(tmp_path, report.key("smoke", [])).find(claim(numeric=found), "numeric") is None


def test_the_source_counts_and_what_prints_it_does_not(tmp_path):
    for name in ("claims/a.py", "report/page.css", "claims/__pycache__/a.pyc", "cli/derive.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1")
    before = source_hash(tmp_path)
    for name in ("report/page.css", "claims/__pycache__/a.pyc", "cli/derive.py"):
        (tmp_path / name).write_text("2")
    assert source_hash(tmp_path) == before
    (tmp_path / "claims/a.py").write_text("2")
    changed = source_hash(tmp_path)
    (tmp_path / "claims/a.py").rename(tmp_path / "claims/b.py")
    assert len({before, changed, source_hash(tmp_path)}) == 3
