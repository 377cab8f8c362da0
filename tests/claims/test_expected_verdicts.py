"""Every claim comes out as expected in the smoke tier."""

from __future__ import annotations

import pytest

import ematheory as em
from ematheory.claims import find

CONFIRMED = (
    "C01", "C02", "C03", "C04", "C09", "C11", "C14", "C15", "C16", "C17", "C26", "C28", "C30", "C31", "C32", "C33",
    "C06", "C07", "C08", "C13", "C18", "C21", "C25", "C27", "C29", "C38",
    "C10", "C12", "C20", "C22", "C34", "C35", "C36", "C39", "C40", "C41", "C24",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("claim", CONFIRMED)
def test_every_claim_comes_out_as_expected(claim):
    result = em.validate(claim, tier="smoke")
    assert result.contradictions == []
    # Some networks are left to the other tiers.
    (levels,) = (found.levels for found in find(claim))
    expected = {name: "confirmed" if "smoke" in level.tiers else "not run" for name, level in levels.items()}
    assert {row["level"]: row["verdict"] for row in result.verdicts} == expected
    assert "confirmed" in expected.values()
