"""Each paper's README shows the verdicts that its verdicts.json records."""

import json
from pathlib import Path

import pytest

from ematheory.claims.registry import PAPERS, claims_of
from ematheory.report.papers import with_table

FOLDERS = Path(__file__).parents[2] / "papers"


@pytest.mark.parametrize("paper", PAPERS)
def test_the_verdict_table_is_fresh(paper):
    readme = (FOLDERS / paper / "README.md").read_text(encoding="utf-8")
    recorded = json.loads((FOLDERS / paper / "verdicts.json").read_text(encoding="utf-8"))
    assert with_table(readme, recorded["verdicts"]) == readme


@pytest.mark.parametrize("paper", PAPERS)
def test_every_level_of_every_claim_is_recorded(paper):
    recorded = json.loads((FOLDERS / paper / "verdicts.json").read_text(encoding="utf-8"))
    rows = {(row["claim"], row["level"]) for row in recorded["verdicts"] if row["verdict"] != "not run"}
    assert rows == {(claim.id, level) for claim in claims_of(paper) for level in claim.levels}


def test_a_readme_without_the_markers_is_refused():
    with pytest.raises(ValueError, match="verdict table"):
        with_table("no markers", [])
