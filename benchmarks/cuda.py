"""AdamW on a noisy quadratic of 10⁴ coordinates on a GPU, beside JAX and torch on the same GPU; and coupled vectors.

The goal is 10¹¹ particle-steps per second (one coordinate of one replica, one update) in float32 on an H200, the aim
twice that. Times hold the copies from and to the host. Each peer runs at the best of `SIZES`; all run in turns, and
medians are compared. Of coupled vectors, which have no goal yet, the bits are compared with the CPU's too.
``benchmarks/on-gpu`` builds, runs the bit-equality tests and then this; ``--json FILE`` records the result.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial
from importlib import import_module
from math import ceil
from statistics import median
from typing import Any, NamedTuple

import machine
import numpy as np
import peers
import setting as cpu

import ematheory as em
from ematheory.problems import Problem
from ematheory.simulation.clock import problem_columns

# JAX would take most of the GPU's memory for itself.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

REPLICAS, STEPS, STEPS_OF_SIMULATE, ROUNDS = 1024, 10_000, 20_000, 5
# Replicas that peers try: from what fits the cache to what fills the memory's bandwidth. Seconds of one measurement.
SIZES, SECONDS = (64, 256, 2048), 0.3
GOAL, AIM, GENERATORS = 1e11, 2e11, ("rbg", "threefry2x32")
QUADRATIC = em.NoisyQuadratic(curvature=cpu.CURVATURE)
ADAMW = em.AdamW(lr=cpu.LR, weight_decay=cpu.DECAY, betas=(cpu.BETA1, cpu.BETA2), eps=cpu.EPS)
# More replicas, for a vector is one block's: an H100's 132 multiprocessors hold some hundred to a thousand at once.
VECTORS: dict[str, Problem] = {
    "scale-invariant, C = 1024": em.ScaleInvariant(size=1024),
    "regression, d = 1024, B = 4": em.LinearRegression(1 / np.arange(1, 1025), batch_size=4),
}
REPLICAS_OF_VECTORS, STEPS_OF_VECTORS = 8192, 100


class Contender(NamedTuple):
    """A prepared run and the number of its particle-steps."""

    run: Callable[[], Any]
    work: int

    def rate(self, repeats: int) -> float:
        """Particle-steps per second over so many runs."""
        began = time.perf_counter()
        for _ in range(repeats):
            self.run()
        return repeats * self.work / (time.perf_counter() - began)

    def repeats(self) -> int:
        """How many runs take about `SECONDS`; the first, which loads, compiles and touches the memory, is not timed."""
        self.run()
        return ceil(SECONDS * self.rate(1) / self.work)


def prepare_engine(problem: Problem, dtype: str, replicas: int, steps: int) -> Contender:
    """The CUDA engine's `advance` of AdamW with its copies from and to the host."""
    module: Any = import_module("ematheory._cuda")
    rows = np.empty((1, steps, 8), dtype=dtype)
    rows[..., 2:6] = cpu.BETA1, 1 - cpu.BETA1, cpu.BETA2, 1 - cpu.BETA2
    rows[..., 7] = cpu.EPS
    of_time = cpu.coefficients(dtype, steps)
    rows[..., 0], rows[..., 1], rows[..., 6] = of_time.step_size, of_time.decay, of_time.correction
    state = np.zeros((3, 1, replicas, problem.coordinates), dtype=dtype)
    state[0] = 1
    of = np.ascontiguousarray(problem_columns(problem, (1, problem.coordinates)), dtype=dtype)
    run = partial(
        module.advance, problem=problem.name, optimizer="adamw", state=state, problem_coefficients=of,
        coefficients=rows, first_step=0, seed=0, first_replica=0, point_numbers=np.zeros(1, np.uint32),
        snapshots_at=np.zeros(0, np.int64), snapshots=np.zeros((0, *state.shape[1:]), dtype=dtype),
    )  # fmt: skip
    return Contender(run, replicas * problem.coordinates * steps)


def prepare_simulate(dtype: str, steps: int) -> Contender:
    """The public verb, with its checks, schedule and statistics."""
    run = partial(
        em.simulate, QUADRATIC, ADAMW, steps=steps, schedule=cpu.SCHEDULE, replicas=REPLICAS, dtype=dtype,
        backend="cuda",
    )  # fmt: skip
    return Contender(run, REPLICAS * cpu.COORDINATES * steps)


def has_the_cpus_bits(problem: Problem, dtype: str) -> bool:
    """Whether a short run on the GPU equals the CPU's."""
    run: dict[str, Any] = dict(steps=20, replicas=64, dtype=dtype, observables=problem.observables)
    found, wanted = (em.simulate(problem, ADAMW, **run, backend=backend) for backend in ("cuda", "cpu"))
    return bool(found.equals(wanted))


def torch_sees_it() -> bool:
    import torch

    return torch.cuda.is_available()


def jax_sees_it() -> bool:
    import jax

    return bool(jax.default_backend() == "gpu")


def of_peers() -> Iterator[tuple[str, Callable[[int], peers.Run]]]:
    """By name: what prepares a peer's run of so many replicas, of `cpu.STEPS` steps each."""
    for package, sees_it in (("torch", torch_sees_it), ("JAX", jax_sees_it)):
        try:
            lack = "" if sees_it() else "it sees no GPU"
        except ImportError as error:
            lack = str(error)
        if lack:
            print(f"left out: {package} ({lack})", file=sys.stderr)
        elif package == "torch":
            yield "torch AdamW, fused", partial(peers.torch_optim, kind="fused", device="cuda")
            yield "torch, compiled", partial(peers.torch_compiled, device="cuda")
        else:
            for generator in GENERATORS:
                yield f"JAX scan, {generator}", partial(peers.jax_scan, dtype="float32", generator=generator)


def at_best_size(name: str, prepare: Callable[[int], peers.Run]) -> tuple[str, Contender]:
    """A peer at the size that is fastest in a short trial, its name with it."""
    found: list[tuple[float, int]] = []
    for replicas in SIZES:
        contender = Contender(prepare(replicas), replicas * cpu.COORDINATES * cpu.STEPS)
        found.append((contender.rate(contender.repeats()), replicas))
        print(f"  {name}, {replicas} replicas: {found[-1][0]:.3g}")
    best = max(found)[1]
    return f"{name}, {best} replicas", Contender(prepare(best), best * cpu.COORDINATES * cpu.STEPS)


def contenders() -> dict[str, Contender]:
    found = {f"engine, {dtype}": prepare_engine(QUADRATIC, dtype, REPLICAS, STEPS) for dtype in ("float32", "float64")}
    found["simulate, float32"] = prepare_simulate("float32", STEPS_OF_SIMULATE)
    found.update(at_best_size(name, prepare) for name, prepare in of_peers())
    for name, problem in VECTORS.items():
        for dtype in ("float32", "float64"):
            found[f"{name}, {dtype}"] = prepare_engine(problem, dtype, REPLICAS_OF_VECTORS, STEPS_OF_VECTORS)
    return found


def measure() -> dict[str, list[float]]:
    """Rates by contender: one of each in turn."""
    runs = contenders()
    repeats = {name: contender.repeats() for name, contender in runs.items()}
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for name in list(runs) * ROUNDS:
        rates[name].append(runs[name].rate(repeats[name]))
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", help="a file for the result")
    args = parser.parse_args()
    module: Any = import_module("ematheory._cuda")
    if why := module.why_no_device():
        raise SystemExit(f"no GPU: {why}")
    device = module.devices()[0]
    print(f"{device['name']}, contraction is off: {module.contraction_is_off()}")
    for name, problem in VECTORS.items():
        print(f"{name}: the CPU's bits: {[has_the_cpus_bits(problem, dtype) for dtype in ('float32', 'float64')]}")
    rates = measure()
    ours = median(rates["engine, float32"])
    for name, seen in rates.items():
        print(f"{name:40} {median(seen):10.3g} particle-steps/s   engine is {ours / median(seen):6.1f} times this")
    print(f"of the goal, {GOAL:.0e} on an H200: {ours / GOAL:.2f}; of the aim, {AIM:.0e}: {ours / AIM:.2f}")
    if args.json:
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        given = {"command": "benchmarks/on-gpu", "date": when, "device": device, **machine.about()}
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({**given, "rates": rates}, file, indent=1)


if __name__ == "__main__":
    main()
