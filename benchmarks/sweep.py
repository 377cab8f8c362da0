"""One sweep of 10⁴ points × 10³ coordinates × 10² replicas × 10² steps: 10¹¹ particle-steps in one call of `simulate`.

Goals: a time within 20 % of what a hundredth of the points predicts, in under 2 GiB, with progress throughout.

python benchmarks/sweep.py [--steps 1000] [--share 1.0] [--out FILE.json] [--force] [--predict], which stops after the
estimate.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import machine
import numpy as np

import ematheory as em

LRS, DECAYS, COORDINATES, REPLICAS = 100, 100, 1000, 100
# Of the points, measured to predict the time of all.
SAMPLE, ROUNDS = 0.01, 3
WITHIN, GIBIBYTES = 0.2, 2.0


def sweep(steps: int, share: float, progress: Any = None) -> float:
    """Seconds of AdamW over a grid of learning rates and decays, `share` of the 10⁴ points, default observables."""
    problem = em.NoisyQuadratic(curvature=1 / np.arange(1, COORDINATES + 1))
    lr = np.geomspace(1e-4, 1e-1, max(1, round(LRS * share)))
    optimizer = em.AdamW(lr=lr, weight_decay=np.geomspace(1e-3, 1.0, DECAYS))
    run: dict[str, Any] = dict(steps=steps, replicas=REPLICAS, schedule=em.Cosine(final=0.1), dtype="float32")
    start = time.monotonic()
    em.simulate(problem, optimizer, **run, backend="cpu", progress=progress)
    return time.monotonic() - start


class Reported:
    """What progress was reported: on stderr once a second, and the longest silence."""

    def __init__(self) -> None:
        self.last = self.shown = time.monotonic()
        self.longest, self.calls = 0.0, 0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        self.longest, self.last, self.calls = max(self.longest, now - self.last), now, self.calls + 1
        if now - self.shown > 1 or done == total:
            self.shown = now
            print(f"\r{done / total:6.1%} of {total:.2g} particle-steps", end="", file=sys.stderr, flush=True)


def predicted(steps: int, share: float) -> float:
    """Seconds that all will take: the middle of some runs of a hundredth, after one to warm up."""
    sweep(1, SAMPLE)
    return float(np.median([sweep(steps, SAMPLE) for _ in range(ROUNDS)])) / SAMPLE * share


def run(steps: int, share: float) -> dict[str, Any]:
    expected, reported = predicted(steps, share), Reported()
    print(f"about {expected:.0f} s", file=sys.stderr)
    seconds = sweep(steps, share, reported)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    work = LRS * share * DECAYS * COORDINATES * REPLICAS * steps
    found = {
        "particle_steps": work, "seconds": seconds, "predicted_seconds": expected, "off": seconds / expected - 1,
        "rate": work / seconds, "peak_gibibytes": peak, "progress_calls": reported.calls,
        "longest_silence_seconds": reported.longest,
    }  # fmt: skip
    is_met = {"within 20 %": abs(found["off"]) < WITHIN, "under 2 GiB": peak < GIBIBYTES}
    return {**found, "goals": is_met}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100, help="of each run (default 100)")
    parser.add_argument("--share", type=float, default=1.0, help="of the 10⁴ points (default 1)")
    parser.add_argument("--out", type=Path, help="a file for the record")
    parser.add_argument("--predict", action="store_true", help="only the estimate")
    parser.add_argument("--force", action="store_true", help="measure although other processes are busy")
    given = parser.parse_args()
    busy = machine.refuse_if_busy(given.force)
    if given.predict:
        raise SystemExit(f"about {predicted(given.steps, given.share):.0f} s")
    found = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"), **machine.about(), "busy_before": busy,
        **run(given.steps, given.share),
    }  # fmt: skip
    print("\n" + json.dumps(found, indent=1))
    if given.out:
        given.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
