"""The line on a terminal: the share done, the rate and the time left; what was done before a restart is no rate."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ematheory.simulation.progress import Progress, duration


def test_the_line_says_how_far_how_fast_and_how_long() -> None:
    progress = Progress(None, 4000)
    progress.advance(1000)
    assert progress.words(2.0) == " 25% at 500 particle-steps/s, 6 s left"
    progress.advance(3000)
    assert progress.words(2.0) == "100% at 2e+03 particle-steps/s, 0 s left"


def test_a_run_that_goes_on_has_its_own_rate() -> None:
    seen: list[tuple[int, int]] = []
    progress = Progress(lambda done, total: seen.append((done, total)), 4000, 2000)
    progress.advance(1000)
    assert seen == [(3000, 4000)]
    assert progress.words(2.0) == " 75% at 500 particle-steps/s, 2 s left"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (18_600, "5 h 10 min"), (1e6, "11 d 13 h")],
)
def test_times_in_two_places(seconds: float, words: str) -> None:
    assert duration(seconds) == words


CHILD = """
import ematheory as em
from ematheory.simulation.reference import Reference
Reference.work_per_call = 64 * 10
em.simulate(em.NoisyQuadratic(curvature=1.0), em.SGD(lr=0.1), steps=20_000, backend="reference", progress=True)
"""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
def test_a_terminal_sees_the_line() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part), "TERM": "xterm"}
    ours, theirs = os.openpty()
    child = subprocess.Popen([sys.executable, "-c", CHILD], stderr=theirs, stdout=subprocess.PIPE, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # how Linux says that the other end was closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert child.communicate()[0] == b""
    assert child.returncode == 0
    assert b"particle-steps/s, " in shown
    assert b" left" in shown
