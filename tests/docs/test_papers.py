"""Each paper's README shows the verdicts that its verdicts.json, and that of the full tier, record."""

import json
import re
from pathlib import Path

import pytest

from ematheory.claims.registry import PAPERS, claims_of
from ematheory.report.papers import FULL, QUICK

FOLDERS = Path(__file__).parents[2] / "papers"
RUN_IN_FULL = [paper for paper in PAPERS if (FOLDERS / paper / "full").is_dir()]


def recorded(paper, within=""):
    return json.loads((FOLDERS / paper / within / "verdicts.json").read_text(encoding="utf-8"))


def readme(paper):
    return (FOLDERS / paper / "README.md").read_text(encoding="utf-8")


def there(place, pattern="*"):
    return {f"figures/{path.name}" for path in (place / "figures").glob(f"{pattern}.svg")}


def named(row, place):
    """A level's figures; a record of an earlier version says only which levels may have some."""
    return row["figures"] if "figures" in row else there(place, f"{row['claim']}-{row['level']}-*")


@pytest.mark.parametrize("paper", PAPERS)
def test_the_verdict_table_is_fresh(paper):
    assert QUICK.with_table(readme(paper), recorded(paper)) == readme(paper)


@pytest.mark.parametrize("paper", PAPERS)
def test_every_level_of_every_claim_is_recorded(paper):
    rows = {(row["claim"], row["level"]) for row in recorded(paper)["verdicts"] if row["verdict"] != "not run"}
    assert rows == {(claim.id, level) for claim in claims_of(paper) for level in claim.levels}


@pytest.mark.parametrize("paper", RUN_IN_FULL)
def test_the_table_of_the_full_tier_is_fresh(paper):
    assert FULL.with_table(readme(paper), recorded(paper, "full")) == readme(paper)


@pytest.mark.parametrize("paper", RUN_IN_FULL)
def test_the_full_record_is_of_the_full_tier_and_contradicts_nothing(paper):
    found = recorded(paper, "full")
    assert found["tier"] == "full"
    assert found["versions"]["torch"] != "not installed"
    for row in found["verdicts"]:
        assert row["verdict"] not in ("not run", "error"), row["claim"]
        assert not row["contradicts"], row["claim"]


@pytest.mark.parametrize(("paper", "within"), [*((paper, "") for paper in PAPERS), *((p, "full") for p in RUN_IN_FULL)])
def test_figures_that_a_record_names_are_there_and_no_others(paper, within):
    """SVG is what a record draws; maps and pictures of other commands are PNG."""
    place = FOLDERS / paper / within
    wanted = {path for row in recorded(paper, within)["verdicts"] for path in named(row, place)}
    assert there(place) == wanted


@pytest.mark.parametrize("paper", PAPERS)
def test_pictures_and_files_that_a_readme_links_are_there(paper):
    linked = re.findall(r"\]\(((?!http)[^)#]+)\)", readme(paper))
    assert [path for path in linked if not (FOLDERS / paper / path).exists()] == []


def test_a_readme_without_the_markers_is_refused():
    with pytest.raises(ValueError, match="verdict table"):
        QUICK.with_table("no markers", {"verdicts": []})
