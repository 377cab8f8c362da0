"""The benchmark of the tracker's cost runs, and its two copies train."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import pytest
import tracker


@pytest.mark.slow
def test_a_turn_times_both_copies_and_the_hooks():
    ((plain, tracked, hooks),) = tracker.turns(every=2, rounds=1)
    assert 0 < hooks < tracked
    assert plain > 0
