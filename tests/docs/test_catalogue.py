"""The page of derivations is what the derivations say now."""

from pathlib import Path

from ematheory.derivations import names
from ematheory.derivations.catalogue import catalogue

PAGE = Path(__file__).parents[2] / "papers" / "derivations.md"


def test_the_catalogue_is_current():
    assert PAGE.read_text(encoding="utf-8") == catalogue(), "run: ematheory derive --catalogue > papers/derivations.md"


def test_it_lists_every_derivation_with_its_source():
    page = catalogue()
    assert all(f"\n## {name}\n" in page for name in names())
    assert page.count("\nSource: ") == len(names())
