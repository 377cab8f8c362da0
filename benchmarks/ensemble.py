"""Runs advanced together (`train(…, ensemble=32)`) against the same runs one after another, on one thread each.

python benchmarks/ensemble.py [--members N] [--rounds N] [--device NAME]

The goal is 5 times the throughput at 32 members of the digits MLP. The ways take turns, so that other load meets all;
the ratio is of the medians over rounds. On a CPU the time is the thread's own, without that of other processes. A step
is gradient and update, without observation. Beside it stands the time of a member's matrix products alone, on operands
of the step's shapes that lie in the cache: with all else for nothing, the throughput would be `at most` so many times
that of one run.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

import ematheory as em
from ematheory.training.determinism import TRAINED_DTYPES, check_device, deterministic
from ematheory.training.ensemble import Ensemble
from ematheory.training.request import Job, Request

GOAL = 5.0
BATCH = 64
STEPS_TOGETHER, STEPS_ALONE = 5, 50
CASES = [(width, dtype) for width in (16, 32, 128) for dtype in ("float64", "float32")]


def seconds(step: Callable[[], object], count: int, device: str) -> float:
    """Of one step."""
    clock = time.perf_counter if device.startswith("cuda") else time.thread_time
    start = clock()
    for _ in range(count):
        step()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return (clock() - start) / count


class Products:
    """The matrix products of a perceptron's step for some members, of layers with these weights; nothing else."""

    def __init__(self, weights: Sequence[torch.Size], members: int, dtype: torch.dtype, device: str) -> None:
        def drawn(*shape: int) -> Tensor:
            return torch.randn(members, *shape, dtype=dtype, device=device)

        self.layers = [
            (drawn(outputs, inputs), drawn(BATCH, inputs), drawn(BATCH, outputs)) for outputs, inputs in weights
        ]

    def step(self) -> None:
        for layer, (weight, inputs, slope) in enumerate(self.layers):
            torch.bmm(inputs, weight.mT)
            torch.bmm(slope.mT, inputs)
            # The examples need no gradient.
            if layer:
                torch.bmm(slope, weight)


def measured(width: int, dtype: str, members: int, rounds: int, device: str) -> list[float]:
    """Median seconds of one run's step: alone, as a member, and of a member's products alone."""
    ones = np.ones(10_000)
    request = Request(
        task=em.tasks.digits_mlp(width=width), per_epoch=22, batch_size=BATCH, schedule=ones, decay_schedule=ones,
        recorded=frozenset([0]), observables=("train_loss",), dtype=dtype, device=device,
    )  # fmt: skip
    jobs = [Job(em.AdamW(lr=1e-3 * (1 + i), weight_decay=0.1), i) for i in range(members)]
    together, alone = Ensemble(request, jobs), request.run(jobs[0])
    in_block = len(together.members[together.blocks[0].rows])
    weights = [shape for shape in together.shapes if len(shape) == 2]
    products = Products(weights, in_block, TRAINED_DTYPES[dtype], device)
    ways = (
        (alone.step, STEPS_ALONE, 1),
        (together.step, STEPS_TOGETHER, members),
        (products.step, STEPS_TOGETHER * members // in_block, in_block),
    )  # fmt: skip
    for step, _, _ in ways:
        seconds(step, 3, device)
    times = [[seconds(step, count, device) / runs for step, count, runs in ways] for _ in range(rounds)]
    return [statistics.median(of_way) for of_way in zip(*times, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    device = check_device(chosen.device)
    print(f"{chosen.members} members on {device}, load {os.getloadavg()[0]:.2f}, torch {torch.__version__}")
    print(
        f"{'width':>5} {'dtype':8} {'alone':>10} {'member':>10} {'ratio':>6} {'products':>10} {'at most':>8}"
        f"   goal {GOAL:g} at width 128"
    )
    with deterministic():
        for width, dtype in CASES:
            alone, member, products = measured(width, dtype, chosen.members, chosen.rounds, device)
            print(
                f"{width:5} {dtype:8} {alone * 1e6:7.0f} us {member * 1e6:7.0f} us {alone / member:6.1f} "
                f"{products * 1e6:7.0f} us {alone / products:8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
