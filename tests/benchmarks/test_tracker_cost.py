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


@pytest.mark.slow
def test_the_hosts_time_is_told_apart():
    record, between = tracker.host_microseconds(2)
    # A record measures every tensor; a step between records notes what it used.
    assert record > between > 0
