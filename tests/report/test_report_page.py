"""The record is strict JSON, the page loads nothing, figures carry both curves, and files are written whole."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import asdict
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from ematheory import report
from ematheory.claims import Claim, Curve, Evidence, Exact, Figure, Level, Sampled, examine
from ematheory.report import figures
from ematheory.report.record import write_text

STEPS = np.arange(1, 40)


def figure(errors=True):
    predicted = np.exp(-STEPS / 20)
    curve = Curve("risk", STEPS, predicted, predicted * 1.01, 0.01 * predicted if errors else None)
    return Figure("Risk of <SGD>", "step", "risk", (curve,), log_y=True)


def found(tier):
    statistical = Sampled("risk", np.zeros(3), 0.0, np.ones(3), 50, 10.0)
    return Evidence((Exact("w", math.nan, 1e-15, 3, "a & b < c"), statistical), (3, 4), (figure(), figure(False)))


def broken(tier):
    raise RuntimeError("<broken>")


@pytest.fixture(scope="module")
def recorded():
    levels = {"symbolic": Level(lambda tier: Evidence((Exact("w", 0.0, 1.0, 2, ""),)))}
    levels |= {"numeric": Level(found), "simulated": Level(broken), "trained": Level(found, tiers=("full",))}
    claim = Claim("X01", "paper", "a < b & c.", "Thm 1 <x>", ("v > 0",), ("exact",), levels)
    return report.record(examine([claim], tier="smoke"), "smoke", ("avx2",))


def test_record_is_strict_json(recorded):
    again = json.loads(report.as_json(recorded), parse_constant=pytest.fail)
    rows = {row["level"]: row for row in again["verdicts"]}
    assert [row["verdict"] for row in rows.values()] == ["confirmed", "refuted", "error", "not run"]
    assert {"claim", "paper", "level", "verdict", "expected", "residual", "n", "interval", "seconds"} <= set(
        rows["numeric"]
    )
    assert rows["numeric"]["residual"] is None
    assert rows["numeric"]["seeds"] == [3, 4]
    assert rows["simulated"]["why"] == "RuntimeError: <broken>"
    assert again["claims"][0]["assumptions"] == ["v > 0"]
    assert {"ematheory", "numpy", "torch", "python"} <= set(again["versions"])


def test_contradictions_are_sentences(recorded):
    assert report.contradictions(recorded) == [
        "X01 numeric is refuted, expected confirmed",
        "X01 simulated is error, expected confirmed: RuntimeError: <broken>",
    ]


class Loads(HTMLParser):
    """Collects what a page would load or link to, and checks that its tags close."""

    VOID = {"meta", "img", "br"}

    def __init__(self):
        super().__init__()
        self.loads, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_self_contained_and_well_formed(recorded):
    html = report.page(json.loads(report.as_json(recorded)))
    reader = Loads()
    reader.feed(html)
    assert reader.open == []
    assert all(load.startswith(("#", "data:")) for load in reader.loads)
    assert not re.search(r"@import|url\(|<script|<link|https?://", html)


def test_page_shows_everything_escaped(recorded):
    html = report.page(recorded)
    for text in (
        "a &lt; b &amp; c.",
        "Thm 1 &lt;x&gt;",
        "v &gt; 0",
        "a &amp; b &lt; c",
        "&lt;broken&gt;",
        "runs in tier full",
    ):
        assert text in html
    assert html.count("<img ") == 2
    assert "<broken>" not in html


def test_a_statistical_verdict_shows_its_n_interval_and_test(recorded):
    """In the record, on the page and on a terminal; here a level with three means of 50 replicas that decide."""
    means = Sampled("risk", np.zeros(3), 0.0, np.ones(3), 50, 10.0, errors_by="bootstrap")
    claim = Claim("X01", "paper", "a", "here", (), ("empirical",), {"trained": Level(lambda tier: Evidence((means,)))})
    whole = report.record(examine([claim], seed_set=1), "quick", (), 1)
    (row,) = whole["verdicts"]
    assert (row["decided_by"], row["n"], row["test"]) == ("risk", 50, "t(49), 3 comparisons, bootstrap")
    assert row["confidence"] == 0.999
    for shown in (report.page(whole), terminal(whole)):
        for text in ("at 99.9 %", "t(49), 3", "comparisons", "bootstrap", ">50<" if "<td" in shown else " 50 "):
            assert text in shown
    assert "seed set 1" in report.page(whole)


@pytest.mark.parametrize("errors", [True, False])
def test_figure_is_svg_with_both_curves_and_residuals(recorded, errors):
    drawn = json.loads(report.as_json(recorded))["verdicts"][1]["figures"][0 if errors else 1]
    svg = figures.svg(drawn)
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert {"axes_1", "axes_2"} <= set(re.findall(r'id="(axes_\d)"', svg))
    assert figures.svg(drawn) == svg


@pytest.mark.parametrize(
    ("residuals", "opening"),
    [([0.5] * 8, ""), ([0.5] * 9, "<details><summary>9 comparisons: 9 confirmed<"),
     ([0.5] * 8 + [2.0], "<details open><summary>9 comparisons: 8 confirmed, 1 refuted<")],
)  # fmt: skip
def test_long_tables_fold_unless_in_doubt(residuals, opening):
    run = Level(lambda tier: Evidence(tuple(Exact("w", value, 1.0, 2, "") for value in residuals)))
    claim = Claim("X01", "paper", "a", "here", (), ("exact",), {"numeric": run})
    html = report.page(report.record(examine([claim]), "quick", ()))
    assert ("<details" in html) == bool(opening)
    assert opening in html


def test_separate_things_are_named_and_not_joined():
    curve = Curve("ηλ = 0.1", range(2), [1.0, 0.5], [1.0, 0.4])
    drawn = figures.svg(asdict(Figure("Cosines", "quantity", "value", (curve,), places=("cos u", "cos w"))))
    joined = figures.svg(asdict(Figure("Cosines", "quantity", "value", (curve,))))
    for text in ("<!-- cos u -->", "<!-- cos w -->", "<!-- bars: predicted -->"):
        assert text in drawn
        assert text not in joined
    assert "<!-- line: predicted -->" in joined


def test_residuals():
    curve = {"predicted": [1.0, 0.0, 2.0], "measured": [1.5, 0.0, 1.0], "standard_errors": [0.5, 0.0, 0.25]}
    assert figures.residuals(curve, True).tolist() == [1.0, 0.0, -4.0]
    assert figures.residuals(curve, False).tolist() == [0.5, 0.0, -0.5]


def test_write(recorded, tmp_path):
    data, html = report.write(recorded, tmp_path / "deep" / "report")
    assert json.loads(data.read_text())["tier"] == "smoke"
    assert html.read_text() == report.page(json.loads(data.read_text()))
    assert sorted(path.name for path in data.parent.iterdir()) == ["index.html", "report.json"]


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "report.json"
    write_text(path, "old")
    monkeypatch.setattr("os.replace", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        write_text(path, "new")
    assert [each.name for each in tmp_path.iterdir()] == ["report.json"]
    assert path.read_text() == "old"


def terminal(recorded):
    """The verdict table as a terminal shows it."""
    from rich.console import Console

    console = Console(width=160, record=True, file=io.StringIO())
    console.print(report.verdict_table(recorded["verdicts"]))
    return console.export_text()


def test_table_marks_contradictions(recorded):
    text = terminal(recorded)
    assert "refuted ≠" in text
    assert "error ≠" in text
    assert text.count("X01") == 4
