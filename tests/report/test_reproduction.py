"""A paper's reproduce.py: which tier is recorded where, and that neither record touches the other."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ematheory import report
from ematheory.claims import Claim, Curve, Evidence, Exact, Figure, Level, examine
from ematheory.report.papers import FULL, QUICK
from ematheory.report.reproduction import reproduce
from ematheory.validation import Validation

README = "\n".join(("# A paper", QUICK.start, QUICK.end, "between", FULL.start, FULL.end, "after")) + "\n"


def found(tier):
    x = np.arange(1, 4)
    return Evidence(
        (Exact("w", 0.0, 1e-15, len(tier), "none"),), (7, 8, 9, 20), (Figure("w", "x", "y", (Curve("w", x, x, x),)),)
    )


CLAIM = Claim("X01", "paper", "w = w.", "here", (), ("exact",), {"numeric": Level(found), "trained": Level(found)})


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "paper"
    made.mkdir()
    (made / "README.md").write_text(README, encoding="utf-8")
    return made


def validate(paper, levels, tier, out, resume, device):
    assert paper == "paper"
    judgements = examine([CLAIM], levels, tier)
    return Validation(judgements, report.record(judgements, tier, ["portable"], device=device))


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_full_tier_is_recorded_beside_the_quick_one(folder):
    assert reproduce(folder, [], validate) == 0
    quick = files(folder)
    assert set(quick) == {"README.md", "verdicts.json", "figures/X01-numeric-1.svg", "figures/X01-trained-1.svg"}
    assert reproduce(folder, ["full", "trained"], validate) == 0
    both = files(folder)
    assert set(both) - set(quick) == {"full/verdicts.json", "full/figures/X01-trained-1.svg"}
    assert all(both[path] == content for path, content in quick.items() if path != "README.md")
    record = json.loads(both["full/verdicts.json"])
    assert (record["tier"], [row["level"] for row in record["verdicts"]]) == ("full", ["trained"])
    assert record["verdicts"][0]["figures"] == ["figures/X01-trained-1.svg"]


def test_a_smoke_run_leaves_every_record_as_it_is(folder):
    reproduce(folder, [], validate)
    reproduce(folder, ["full"], validate)
    before = files(folder)
    assert reproduce(folder, ["smoke"], validate, lambda place, tier: (place / f"map-{tier}.png").touch()) == 0
    after = files(folder)
    assert {path: after[path] for path in before} == before
    assert {path for path in after if path not in before} == {
        "smoke/verdicts.json", "smoke/figures/X01-numeric-1.svg", "smoke/figures/X01-trained-1.svg",
        "smoke/figures/map-smoke.png",
    }  # fmt: skip
    assert json.loads(after["smoke/verdicts.json"])["tier"] == "smoke"


def test_git_ignores_what_a_smoke_run_writes():
    assert "/papers/*/smoke/" in (Path(__file__).parents[2] / ".gitignore").read_text(encoding="utf-8").split()


def test_figures_that_a_record_draws_no_more_are_removed(folder):
    reproduce(folder, ["full"], validate)
    kept = ("figures/regime-map-x.png", "full/figures/recipes.svg", "full/figures/X01-notes.svg")
    old = ("full/figures/X01-numeric-2.svg", "full/figures/X02-simulated-1.svg")
    for path in (*kept, *old):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).touch()
    reproduce(folder, ["full", "trained"], validate)
    assert set(files(folder)) == {"README.md", "full/verdicts.json", "full/figures/X01-trained-1.svg", *kept}


def test_the_readme_shows_both_tables(folder):
    reproduce(folder, [], validate)
    reproduce(folder, ["full", "trained"], validate)
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "| X01 | numeric | confirmed | confirmed | 0 | 1e-15 | 5 | – | – |\n" in text
    row = "| X01 | trained | confirmed | confirmed | 0 | 1e-15 | 4 | – | – | 7–9, 20 | 0 | [1](full/figures/"
    assert f"{row}X01-trained-1.svg) |" in text
    assert text.startswith("# A paper\n")
    assert text.endswith(f"{FULL.end}\nafter\n")


def test_the_full_table_says_where_networks_were_trained_unless_on_the_cpu(folder):
    for arguments, said in (([], False), (["--device", "cuda"], True)):
        reproduce(folder, ["full", *arguments], validate)
        assert (", networks on cuda." in (folder / "README.md").read_text(encoding="utf-8")) == said


def test_regime_maps_are_drawn_where_every_level_is_judged(folder):
    drawn = []
    for arguments in ([], ["full", "trained"], ["full"]):
        reproduce(folder, arguments, validate, lambda *asked: drawn.append(asked))
    assert drawn == [(folder / "figures", "quick"), (folder / "full" / "figures", "full")]


def test_a_contradiction_is_told_and_is_the_exit_status(folder, capsys):
    def contradicted(paper, levels, tier, out, resume, device):
        wrong = Claim("X01", "paper", "w = w.", "here", (), ("exact",), {"trained": Level(found, expected="refuted")})
        judgements = examine([wrong], levels, tier)
        return Validation(judgements, report.record(judgements, tier, ["portable"], device=device))

    assert reproduce(folder, ["full"], contradicted) == 1
    assert "X01 trained is confirmed, expected refuted" in capsys.readouterr().out


def test_resume_gives_the_folder_of_kept_levels(folder, tmp_path):
    asked = []

    def noting(paper, levels, tier, out, resume, device):
        asked.append((levels, tier, out, resume, device))
        return validate(paper, levels, tier, out, resume, device)

    reproduce(folder, ["full", "numeric", "trained", "--resume", str(tmp_path / "kept"), "--device", "cuda"], noting)
    reproduce(folder, ["quick"], noting)
    full = (["numeric", "trained"], "full", tmp_path / "kept", True, "cuda")
    assert asked == [full, (None, "quick", None, False, "cpu")]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["quick", "trained"], "levels are chosen in the full tier alone"),
        (["full", "traned"], "no level 'traned'; known are symbolic"),
        (["fulll"], "invalid choice: 'fulll'"),
    ],
)
def test_wrong_arguments_are_refused(folder, arguments, says, capsys):
    with pytest.raises(SystemExit) as refused:
        reproduce(folder, arguments, lambda *names, **options: pytest.fail("judged"))
    assert refused.value.code == 2
    assert says in capsys.readouterr().err
    assert set(files(folder)) == {"README.md"}


def test_a_readme_without_lines_for_the_table_is_refused_before_anything_is_judged(folder):
    (folder / "README.md").write_text(README.replace(FULL.end, ""), encoding="utf-8")
    with pytest.raises(ValueError, match="end of the full tier"):
        reproduce(folder, ["full", "trained"], lambda *names, **options: pytest.fail("judged"))
