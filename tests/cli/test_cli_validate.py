"""`ematheory validate`: exit codes, what goes to stdout and to stderr, and what is left on disk."""

from __future__ import annotations

import json

import pytest

from ematheory import validation
from ematheory.claims import Claim, Evidence, Exact, Level, Sampled
from ematheory.cli import main

VERDICTS = {"confirmed": 0.5, "refuted": 2.0}


def fake(expected="confirmed", run=None):
    numeric = Level(run or (lambda tier: Evidence((Exact("w", VERDICTS["confirmed"], 1.0, 3, "rounding"),))), expected)
    return Claim("X01", "paper", "w = w.", "here", (), ("exact",), {"numeric": numeric})


def run(monkeypatch, claim, *arguments, more=()):
    """The exit code of `ematheory validate` on a registry of one claim, or more."""
    monkeypatch.setattr(validation, "find", lambda *names: (claim, *more))
    monkeypatch.setattr(validation, "instruction_sets", lambda: ("portable",))
    with pytest.raises(SystemExit) as stopped:
        main(["validate", *arguments])
    return stopped.value.code


def test_expected_verdicts_exit_zero(monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, fake(), "--tier", "smoke", "--out", str(tmp_path / "report")) == 0
    shown = capsys.readouterr()
    assert "X01" in shown.out
    assert "confirmed" in shown.out
    # Progress goes to a terminal only; here is none.
    assert shown.err.startswith("report: ")
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["index.html", "levels", "report.json"]


def test_a_contradiction_exits_one_and_still_reports(monkeypatch, capsys, tmp_path):
    assert run(monkeypatch, fake(expected="refuted"), "--out", str(tmp_path)) == 1
    assert "contradicts: X01 numeric is confirmed, expected refuted" in capsys.readouterr().err
    assert json.loads((tmp_path / "report.json").read_text())["verdicts"][0]["contradicts"] is True


def test_an_error_exits_one(monkeypatch, capsys):
    def broken(tier):
        raise ValueError("no such thing")

    assert run(monkeypatch, fake(run=broken)) == 1
    assert "ValueError: no such thing" in capsys.readouterr().err


def test_json_is_the_record(monkeypatch, capsys):
    assert run(monkeypatch, fake(), "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert [(row["claim"], row["verdict"]) for row in record["verdicts"]] == [("X01", "confirmed")]
    assert record["isas"] == ["portable"]


def test_the_set_of_seeds_reaches_the_levels_and_the_record(monkeypatch, capsys):
    """A level that tells of a recorded seed is right in set 0 and in error in set 2."""

    def told(tier):
        return Evidence((Exact("w", 0.0, 1.0, 3, "rounding"),), seeds=(5,))

    assert run(monkeypatch, fake(run=told), "--json") == 0
    assert json.loads(capsys.readouterr().out)["seed_set"] == 0
    assert run(monkeypatch, fake(run=told), "--seed-set", "2", "--json") == 1
    record = json.loads(capsys.readouterr().out)
    assert record["seed_set"] == 2
    assert "not of seed set 2" in record["verdicts"][0]["why"]
    assert run(monkeypatch, fake(), "--seed-set", "-1") == 2


def test_an_interrupt_leaves_nothing(monkeypatch, capsys, tmp_path):
    def interrupted(tier):
        raise KeyboardInterrupt

    assert run(monkeypatch, fake(run=interrupted), "--out", str(tmp_path / "report")) == 130
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("verdict", "expected", "code"),
    [
        ("confirmed", "confirmed", 0), ("refuted", "refuted", 0), ("vacuous", "vacuous", 0),
        ("refuted", "confirmed", 1), ("vacuous", "confirmed", 1), ("confirmed", "vacuous", 1),
        ("inconclusive", "confirmed", 0),
    ],
)  # fmt: skip
def test_exit_codes(monkeypatch, capsys, verdict, expected, code):
    """Only a decision other than expected is a contradiction; to decide nothing is none."""
    residuals = {"confirmed": (0.0, 1), "refuted": (2.0, 1), "vacuous": (0.0, 0)}

    def level(tier):
        if verdict == "inconclusive":
            return Evidence((Sampled("w", 0.0, 0.0, 1.0, 9, resolution=0.1),))
        residual, n = residuals[verdict]
        return Evidence((Exact("w", residual, 1.0, n, "rounding"),))

    assert run(monkeypatch, fake(expected, level), "--json") == code
    assert json.loads(capsys.readouterr().out)["verdicts"][0]["verdict"] == verdict


def test_a_run_goes_on_where_it_was_interrupted(monkeypatch, capsys, tmp_path):
    calls = []

    def second(tier):
        calls.append(tier)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return Evidence((Exact("w", 0.5, 1.0, 3, "rounding"),))

    first = fake()
    later = Claim("X02", "paper", "w = w.", "here", (), ("exact",), {"numeric": Level(second)})
    out = str(tmp_path / "report")
    assert run(monkeypatch, first, "--out", out, more=(later,)) == 130
    assert "--resume goes on from them" in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["X01-numeric.json"]
    assert run(monkeypatch, first, "--out", out, "--resume", "--json", more=(later,)) == 0
    shown = capsys.readouterr()
    assert "resumed: 1 level(s) judged by an earlier run" in shown.err
    rows = json.loads(shown.out)["verdicts"]
    assert [(row["verdict"], row["resumed"]) for row in rows] == [("confirmed", True), ("confirmed", False)]
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tier", "fast"], "tier must be one of 'smoke', 'quick', 'full', got 'fast'"),
        (["--levels", "symbolic,numbers"], "level must be one of"),
        (["--resume"], "resume needs out"),
    ],
)
def test_wrong_words_exit_two_in_one_sentence(monkeypatch, capsys, arguments, message):
    assert run(monkeypatch, fake(), *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("ematheory validate: ")
    assert message in error
    assert error.count("\n") == 1


def test_levels_left_out_say_so(monkeypatch, capsys):
    assert run(monkeypatch, fake(), "--levels", "symbolic") == 0
    shown = capsys.readouterr().out
    assert "not run" in shown
    assert "level not chosen" in shown
