"""A sweep of real training in one process, in two, and in two that advance ensembles: how much sooner it ends.

python benchmarks/workers.py [--runs N] [--epochs N] [--rounds N] [--width N]

The sweep is of the digits MLP with torch's AdamW in float64, one thread to a process. The ways take turns, and the
ratios are medians over rounds. Seconds are of the whole call of `train`, so that starting the processes counts.
The goal is 1.8 times one process on two cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

import numpy as np
import torch

import ematheory as em

GOAL = 1.8
WAYS: dict[str, dict[str, Any]] = {
    "one process": {},
    "two processes": {"workers": 2},
    "two processes, ensembles of 8": {"workers": 2, "ensemble": 8},
}


def seconds(way: dict[str, Any], runs: int, epochs: int, width: int) -> float:
    start = time.perf_counter()
    optimizer = em.AdamW(lr=1e-3, weight_decay=np.geomspace(1e-2, 1.0, runs))
    em.train(em.tasks.digits_mlp(width=width), optimizer, epochs=epochs, **way)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=128)
    chosen = parser.parse_args()
    print(
        f"{chosen.runs} runs of {chosen.epochs} epochs, {chosen.width} wide, {len(os.sched_getaffinity(0))} cores, "
        f"load {os.getloadavg()[0]:.2f}, torch {torch.__version__}"
    )
    seconds({}, 1, 1, chosen.width)  # imports and the data
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(chosen.rounds):
        for name, way in WAYS.items():
            taken[name].append(seconds(way, chosen.runs, chosen.epochs, chosen.width))
    for name, times in taken.items():
        ratio = statistics.median(one / other for one, other in zip(taken["one process"], times, strict=True))
        print(f"{name:30} {statistics.median(times):7.1f} s {ratio:6.2f}   goal {GOAL:g} in two processes")


if __name__ == "__main__":
    main()
