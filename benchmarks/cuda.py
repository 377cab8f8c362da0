"""AdamW on a noisy quadratic of 10⁴ coordinates on a GPU, beside JAX and torch where they use it; on coupled vectors.

The goal is 10¹¹ particle-steps per second (one coordinate of one replica, one update) in float32 on an H200. Of coupled
vectors, which have none yet, the bits are compared with the CPU's too.
``benchmarks/on-gpu`` builds, runs the bit-equality tests and then this; ``--json FILE`` records the result.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from importlib import import_module
from statistics import median
from typing import Any

import machine
import numpy as np
import peers
import setting as cpu

import ematheory as em
from ematheory.problems import Problem
from ematheory.simulation.clock import problem_columns

REPLICAS, STEPS, ROUNDS = 1024, 2000, 5
GOAL = 1e11
QUADRATIC = em.NoisyQuadratic(curvature=cpu.CURVATURE)
ADAMW = em.AdamW(lr=cpu.LR, weight_decay=cpu.DECAY, betas=(cpu.BETA1, cpu.BETA2), eps=cpu.EPS)
# More replicas, for a vector is one block's: an H100's 132 multiprocessors hold some hundred to a thousand at once.
VECTORS: dict[str, Problem] = {
    "scale-invariant, C = 1024": em.ScaleInvariant(size=1024),
    "regression, d = 1024, B = 4": em.LinearRegression(1 / np.arange(1, 1025), batch_size=4),
}
REPLICAS_OF_VECTORS, STEPS_OF_VECTORS = 8192, 400


def prepare_engine(problem: Problem, dtype: str, replicas: int, steps: int) -> Callable[[], Any]:
    """The CUDA engine's `advance` of AdamW with its copies from and to the host."""
    module: Any = import_module("ematheory._cuda")
    k = np.arange(1, steps + 1)
    rows = [cpu.LR / (1 - cpu.BETA1**k), *np.broadcast_to(0.0, (6, steps)), np.full(steps, cpu.EPS)]
    fixed = [cpu.LR * cpu.DECAY, cpu.BETA1, 1 - cpu.BETA1, cpu.BETA2, 1 - cpu.BETA2]
    rows[1:6] = [np.full(steps, value) for value in fixed]
    rows[6] = 1 / (1 - cpu.BETA2**k)
    state = np.zeros((3, 1, replicas, problem.coordinates), dtype=dtype)
    state[0] = 1
    of = np.ascontiguousarray(problem_columns(problem, (1, problem.coordinates)), dtype=dtype)
    return lambda: module.advance(
        problem=problem.name, optimizer="adamw", state=state, problem_coefficients=of,
        coefficients=np.ascontiguousarray(np.stack(rows, axis=-1)[None].astype(dtype)), first_step=0, seed=0,
        first_replica=0, point_numbers=np.zeros(1, np.uint32), snapshots_at=np.zeros(0, np.int64),
        snapshots=np.zeros((0, *state.shape[1:]), dtype=dtype),
    )  # fmt: skip


def prepare_simulate(dtype: str, steps: int) -> Callable[[], Any]:
    """The public verb, with its checks, schedule and statistics."""
    run: dict[str, Any] = dict(steps=steps, schedule=em.Cosine(final=0.1, warmup=0.02), replicas=REPLICAS, dtype=dtype)
    return lambda: em.simulate(QUADRATIC, ADAMW, **run, backend="cuda")


def has_the_cpus_bits(problem: Problem, dtype: str) -> bool:
    """Whether a short run on the GPU equals the CPU's."""
    run: dict[str, Any] = dict(steps=20, replicas=64, dtype=dtype, observables=problem.observables)
    found, wanted = (em.simulate(problem, ADAMW, **run, backend=backend) for backend in ("cuda", "cpu"))
    return bool(found.equals(wanted))


def prepare_torch(dtype: str, steps: int) -> Callable[[], Any]:
    """The fused `torch.optim.AdamW` on the GPU, its gradient filled in by hand."""
    import torch

    kind = getattr(torch, dtype)
    curvature = torch.tensor(cpu.CURVATURE, dtype=kind, device="cuda")
    scale, weight = curvature.sqrt(), torch.ones(REPLICAS, cpu.COORDINATES, dtype=kind, device="cuda")
    weight.requires_grad_().grad = torch.zeros_like(weight)
    noise = torch.empty_like(weight.grad)
    betas = (cpu.BETA1, cpu.BETA2)
    own = torch.optim.AdamW([weight], lr=cpu.LR, weight_decay=cpu.DECAY, betas=betas, eps=cpu.EPS, fused=True)

    def run() -> None:
        with torch.no_grad():
            for _ in range(steps):
                torch.mul(curvature, weight, out=weight.grad)
                weight.grad.addcmul_(noise.normal_(), scale)
                own.step()
        torch.cuda.synchronize()

    return run


def contenders() -> dict[str, tuple[Callable[[], Any], int]]:
    """By name: a prepared run and the number of its particle-steps."""
    cells, few = REPLICAS * cpu.COORDINATES, STEPS // 20
    found = {
        f"ematheory engine, {dtype}": (prepare_engine(QUADRATIC, dtype, REPLICAS, STEPS), cells * STEPS)
        for dtype in ("float32", "float64")
    }
    found["ematheory.simulate, float32"] = (prepare_simulate("float32", STEPS), cells * STEPS)
    try:
        import torch

        if torch.cuda.is_available():
            found["torch fused AdamW, float32"] = (prepare_torch("float32", few), cells * few)
    except ImportError as error:
        print(f"left out: torch ({error})", file=sys.stderr)
    try:
        import jax

        if jax.default_backend() == "gpu":
            found["JAX scan, rbg, float32"] = (peers.jax_scan(REPLICAS, "float32", "rbg"), cells * cpu.STEPS)
    except ImportError as error:
        print(f"left out: JAX ({error})", file=sys.stderr)
    return found


def of_vectors() -> dict[str, tuple[Callable[[], Any], int]]:
    """As `contenders`, of coupled vectors."""
    replicas, steps = REPLICAS_OF_VECTORS, STEPS_OF_VECTORS
    return {
        f"{name}, {dtype}": (prepare_engine(problem, dtype, replicas, steps), replicas * problem.coordinates * steps)
        for name, problem in VECTORS.items()
        for dtype in ("float32", "float64")
    }


def measure() -> dict[str, list[float]]:
    """Rates by contender: one of each in turn."""
    runs = {**contenders(), **of_vectors()}
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for run, _ in runs.values():
        run()  # loads, compiles, and touches the memory
    for name in list(runs) * ROUNDS:
        run, particle_steps = runs[name]
        began = time.perf_counter()
        run()
        rates[name].append(particle_steps / (time.perf_counter() - began))
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
    ours = median(rates["ematheory engine, float32"])
    for name, seen in rates.items():
        print(f"{name:36} {median(seen):10.3g} particle-steps/s   engine is {ours / median(seen):6.1f} times this")
    print(f"goal {GOAL:.3g} on an H200: {ours / GOAL:.2f} of it")
    if args.json:
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        given = {"command": "benchmarks/on-gpu", "date": when, "device": str(device), "versions": machine.versions()}
        with open(args.json, "w") as file:
            json.dump({**given, "rates": rates}, file, indent=1)


if __name__ == "__main__":
    main()
