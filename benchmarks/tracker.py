"""What `em.track` costs: the share of a char GPT's training step, at the intervals that it chooses by itself.

python benchmarks/tracker.py [--device cuda] [ROUNDS]

The network is of nanoGPT's size for a CPU: 4 blocks of 4 heads, 128 wide, contexts of 64 characters, batches of 12. Two
equal copies train, one tracked, and take turns of one interval each, which holds one record. The share is the median of
the turns' ratios less 1; beside it is the time inside the tracker's own hooks, which noise touches less. Seconds
are the process's own, on one thread, so that a busy machine matters little; on a GPU they are those that pass until it
has nothing left to do. The goal is under 2 % at the interval of a
run of unknown length, 100 steps, and at the least one, of runs of up to 2000 steps.

The first line is about the host alone, for a device whose steps take another time: what a record and a step between
records cost the process, with as many tensors, in which there is little to compute, and a rate that changes each step.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from typing import Any

import torch
from torch import Tensor, nn

import ematheory as em
from ematheory.training.tracking.settings import DEFAULT_INTERVAL, LEAST_INTERVAL

GOAL = 0.02
CHARACTERS, WIDTH, HEADS, BLOCKS, CONTEXT, BATCH = 65, 128, 4, 4, 64, 12
NARROW = 8  # the width at which a tensor's numbers take no time


class Block(nn.Module):
    """Attention and a perceptron, each after a LayerNorm and added to what comes in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        parts = self.queries_keys_values(self.norms[0](x)).chunk(3, dim=-1)
        heads = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
        attended = nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(-2))
        return x + self.perceptron(self.norms[1](x))


class CharacterGPT(nn.Module):
    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(CHARACTERS, width), nn.Embedding(CONTEXT, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(BLOCKS)), nn.LayerNorm(width))
        self.head = nn.Linear(width, CHARACTERS, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.blocks(self.tokens(tokens) + self.places.weight))


def stepper(device: str = "cpu", width: int = WIDTH) -> tuple[Callable[[], None], CharacterGPT, torch.optim.Optimizer]:
    """A function that takes one training step, its network and its optimizer, with nanoGPT's two groups."""
    torch.manual_seed(0)
    network = CharacterGPT(width).to(device)
    matrices = [weight for weight in network.parameters() if weight.ndim > 1]
    vectors = [weight for weight in network.parameters() if weight.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))
    text = torch.randint(CHARACTERS, (BATCH, CONTEXT + 1)).to(device)

    def step() -> None:
        logits = network(text[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, network, optimizer


def seconds_so_far(device: str) -> float:
    """Of this process; with a GPU of the clock, once the GPU has nothing left to do."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


class Stopwatch:
    """Seconds spent in the functions that it wraps: on a GPU's host, without waiting for what was asked before."""

    def __init__(self, device: str) -> None:
        self.seconds, self.clock = 0.0, time.process_time if device == "cpu" else time.perf_counter

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any) -> None:
            start = self.clock()
            function(*given)
            self.seconds += self.clock() - start

        return timed


def watched(optimizer: torch.optim.Optimizer, device: str) -> Stopwatch:
    """A stopwatch around all of its step hooks."""
    watch = Stopwatch(device)
    for hooks in (optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks):
        for place, hook in hooks.items():
            hooks[place] = watch.around(hook)
    return watch


def turn(step: Callable[[], None], steps: int, device: str) -> float:
    start = seconds_so_far(device)
    for _ in range(steps):
        step()
    return seconds_so_far(device) - start


def turns(every: int, rounds: int, device: str = "cpu") -> Iterator[tuple[float, float, float]]:
    """Seconds of an interval without the tracker, with it, and inside its hooks."""
    plain, tracked = stepper(device), stepper(device)
    tracker = em.track(tracked[2], every=every, names=tracked[1])
    watch = watched(tracked[2], device)
    for each in (plain, tracked):
        turn(each[0], every, device)  # imports, SymPy's functions, torch's buffers
    for number in range(rounds):
        watch.seconds = 0.0
        # Who goes first changes, so that what drifts cancels.
        order = (plain, tracked) if number % 2 else (tracked, plain)
        seconds = {id(each): turn(each[0], every, device) for each in order}
        yield seconds[id(plain)], seconds[id(tracked)], watch.seconds
    tracker.detach()


def seconds_of_hooks(every: int) -> Iterator[float]:
    """The host's seconds in the tracker's hooks, of one interval after another."""
    step, network, optimizer = stepper(width=NARROW)
    step()
    with em.track(optimizer, every=every, names=network):
        watch = watched(optimizer, "cpu")
        for k in count(1):
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 / (1 + k / 1000)
            optimizer.step()
            if k % every == 0:
                yield watch.seconds
                watch.seconds = 0.0


def host_microseconds(rounds: int) -> tuple[float, float]:
    """What a record costs the host, and a step between records: medians over turns of a short and a long interval."""
    turns = zip(seconds_of_hooks(LEAST_INTERVAL), seconds_of_hooks(DEFAULT_INTERVAL), strict=True)
    found = list(islice(turns, 1, rounds + 1))  # the first imports, and makes SymPy's functions
    step = statistics.median(rarely - often for often, rarely in found) / (DEFAULT_INTERVAL - LEAST_INTERVAL)
    record = statistics.median(often for often, _ in found) - (LEAST_INTERVAL - 1) * step
    return 1e6 * record, 1e6 * step


def main(rounds: int, device: str) -> None:
    torch.set_num_threads(1)
    weights = sum(weight.numel() for weight in CharacterGPT().parameters())
    where = device if device == "cpu" else torch.cuda.get_device_name(device)
    print(f"{where}, load {os.getloadavg()[0]:.2f}, torch {torch.__version__}, one thread, {weights:,} weights")
    record, between = host_microseconds(rounds)
    print(f"host: {record:.0f} µs for a record, {between:.0f} µs for a step between records", flush=True)
    for every in (LEAST_INTERVAL, DEFAULT_INTERVAL):
        found = list(turns(every, max(3, rounds * LEAST_INTERVAL // every), device))
        step = statistics.median(plain for plain, _, _ in found) / every
        share = statistics.median(tracked / plain - 1 for plain, tracked, _ in found)
        inside = statistics.median(hooks / plain for plain, _, hooks in found)
        print(
            f"every {every:3} steps of {1000 * step:.2f} ms: {share:+.2%} of a step, {inside:.2%} in its hooks, goal "
            f"{GOAL:.0%}: {'met' if max(share, inside) < GOAL else 'missed'} ({len(found)} turns)",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What em.track costs.")
    parser.add_argument("rounds", nargs="?", type=int, default=40)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    main(given.rounds, given.device)
