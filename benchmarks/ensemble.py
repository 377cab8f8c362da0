"""Runs advanced together (`train(…, ensemble=32)`) against the same runs one after another, on one thread each.

python benchmarks/ensemble.py [--members N] [--rounds N] [--device NAME]

The goal is 5 times the throughput at 32 members of the digits MLP. Both ways take turns, so that other load meets both;
the ratio is of the medians over rounds. A step is gradient and update, without observation.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

import ematheory as em
from ematheory.training.determinism import check_device, deterministic
from ematheory.training.ensemble import Ensemble
from ematheory.training.request import Job, Request

GOAL = 5.0
STEPS_TOGETHER, STEPS_ALONE = 5, 50
CASES = [(width, dtype) for width in (16, 32, 128) for dtype in ("float64", "float32")]


def seconds(step: Callable[[], object], count: int, device: str) -> float:
    """Of one step."""
    start = time.perf_counter()
    for _ in range(count):
        step()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / count


def measured(width: int, dtype: str, members: int, rounds: int, device: str) -> tuple[float, float]:
    """Median seconds of one run's step, alone and as a member."""
    ones = np.ones(10_000)
    request = Request(
        task=em.tasks.digits_mlp(width=width), per_epoch=22, batch_size=64, schedule=ones, decay_schedule=ones,
        recorded=frozenset([0]), observables=("train_loss",), dtype=dtype, device=device,
    )  # fmt: skip
    jobs = [Job(em.AdamW(lr=1e-3 * (1 + i), weight_decay=0.1), i) for i in range(members)]
    together, alone = Ensemble(request, jobs), request.run(jobs[0])
    for _ in range(3):
        together.step(), alone.step()
    times = [
        (seconds(alone.step, STEPS_ALONE, device), seconds(together.step, STEPS_TOGETHER, device) / members)
        for _ in range(rounds)
    ]
    return statistics.median(pair[0] for pair in times), statistics.median(pair[1] for pair in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    device = check_device(chosen.device)
    print(f"{chosen.members} members on {device}, load {os.getloadavg()[0]:.2f}, torch {torch.__version__}")
    print(f"{'width':>5} {'dtype':8} {'alone':>10} {'member':>10} {'ratio':>6}   goal {GOAL:g} at width 128")
    with deterministic():
        for width, dtype in CASES:
            alone, member = measured(width, dtype, chosen.members, chosen.rounds, device)
            print(f"{width:5} {dtype:8} {alone * 1e6:7.0f} us {member * 1e6:7.0f} us {alone / member:6.1f}", flush=True)


if __name__ == "__main__":
    main()
