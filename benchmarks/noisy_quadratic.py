"""Float32 AdamW on a noisy quadratic of 10⁴ coordinates: this engine beside JAX, torch, Numba and NumPy.

The goal is 4 times JAX.

Each contender runs at several numbers of replicas, in turns with the others so that a busy machine slows all alike;
the table shows the median of the rounds at each one's best number. Rates are particle-steps (one coordinate of one
replica, one update) per second. ``python benchmarks/noisy_quadratic.py --json FILE`` records the result.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

import numpy as np

import ematheory as em

COORDINATES = 10_000
STEPS = 200
REPLICAS = (1, 8, 32)
LR, DECAY, BETA1, BETA2, EPS = 1e-3, 0.1, 0.9, 0.999, 1e-8
GOAL = 4.0

CURVATURE = 1 / np.arange(1, COORDINATES + 1)
Run = Callable[[], Any]


def corrections() -> tuple[np.ndarray, np.ndarray]:
    """η/(1−β₁^k) and 1/(1−β₂^k) for k = 1 … STEPS, float32."""
    k = np.arange(1, STEPS + 1)
    return (LR / (1 - BETA1**k)).astype(np.float32), (1 / (1 - BETA2**k)).astype(np.float32)


def prepare_simulate(replicas: int) -> Run:
    """The public verb, with its checks, coefficients and statistics."""
    problem = em.NoisyQuadratic(curvature=CURVATURE)
    optimizer = em.AdamW(lr=LR, weight_decay=DECAY, betas=(BETA1, BETA2), eps=EPS)
    return lambda: em.simulate(problem, optimizer, steps=STEPS, replicas=replicas, dtype="float32", backend="cpu")


def prepare_engine(replicas: int) -> Run:
    """The native engine's `advance` alone."""
    native = import_module("ematheory._native")
    first, second = corrections()
    constant = np.array([LR * DECAY, BETA1, 1 - BETA1, BETA2, 1 - BETA2, EPS], dtype=np.float32)
    decay, beta1, rest1, beta2, rest2, eps = np.broadcast_to(constant[:, None], (6, STEPS))
    state = np.zeros((3, 1, replicas, COORDINATES), dtype=np.float32)
    state[0] = 1
    arguments = {
        "problem_coefficients": np.stack([CURVATURE, 0 * CURVATURE, np.sqrt(CURVATURE)]).astype(np.float32)[:, None],
        "coefficients": np.stack([first, decay, beta1, rest1, beta2, rest2, second, eps], axis=-1)[None],
        "point_numbers": np.zeros(1, dtype=np.uint32),
        "snapshots_at": np.zeros(0, dtype=np.int64),
        "snapshots": np.zeros((0, 1, replicas, COORDINATES), dtype=np.float32),
    }
    return lambda: native.advance(
        isa=em.isas()[-1], problem="noisy_quadratic", optimizer="adamw", state=state, first_step=0, seed=0,
        first_replica=0, threads=len(os.sched_getaffinity(0)), **arguments,
    )  # fmt: skip


def prepare_jax(replicas: int, generator: str) -> Run:
    """A jitted `lax.scan` over the steps, with the generator named."""
    import jax
    import jax.numpy as jnp

    curvature = jnp.asarray(CURVATURE, dtype=jnp.float32)
    scale = jnp.sqrt(curvature)

    def step(carry: Any, now: Any) -> Any:
        weight, first, second, key = carry
        key, own = jax.random.split(key)
        gradient = curvature * weight + scale * jax.random.normal(own, weight.shape, jnp.float32)
        first = BETA1 * first + (1 - BETA1) * gradient
        second = BETA2 * second + (1 - BETA2) * (gradient * gradient)
        move = now[0] * first / (jnp.sqrt(second * now[1]) + EPS)
        return (weight - LR * DECAY * weight - move, first, second, key), None

    run = jax.jit(lambda carry, over: jax.lax.scan(step, carry, over)[0])
    zeros = jnp.zeros((replicas, COORDINATES), dtype=jnp.float32)
    start = (zeros + 1, zeros, zeros, jax.random.key(0, impl=generator))
    over = tuple(map(jnp.asarray, corrections()))
    return lambda: jax.block_until_ready(run(start, over))


def prepare_torch(replicas: int) -> Run:
    """The fused `torch.optim.AdamW`, its gradient filled in by hand."""
    import torch

    curvature = torch.tensor(CURVATURE, dtype=torch.float32)
    scale = curvature.sqrt()
    weight = torch.ones(replicas, COORDINATES, requires_grad=True)
    weight.grad = torch.zeros_like(weight)
    noise = torch.empty_like(weight.grad)
    optimizer = torch.optim.AdamW([weight], lr=LR, weight_decay=DECAY, betas=(BETA1, BETA2), eps=EPS, fused=True)

    def run() -> None:
        with torch.no_grad():
            for _ in range(STEPS):
                torch.mul(curvature, weight, out=weight.grad)
                weight.grad.addcmul_(noise.normal_(), scale)
                optimizer.step()

    return run


def prepare_numpy(replicas: int) -> Run:
    """NumPy in place, without a temporary array."""
    generator = np.random.default_rng(0)
    curvature = CURVATURE.astype(np.float32)
    scale = np.sqrt(curvature)
    weight = np.ones((replicas, COORDINATES), dtype=np.float32)
    first, second, gradient, spare = (np.zeros_like(weight) for _ in range(4))

    def run() -> None:
        for step_size, correction in zip(*corrections(), strict=True):
            generator.standard_normal(dtype=np.float32, out=gradient)
            np.multiply(gradient, scale, out=gradient)
            np.add(gradient, np.multiply(curvature, weight, out=spare), out=gradient)
            np.add(np.multiply(first, BETA1, out=first), np.multiply(gradient, 1 - BETA1, out=spare), out=first)
            np.multiply(np.multiply(gradient, gradient, out=gradient), 1 - BETA2, out=gradient)
            np.add(np.multiply(second, BETA2, out=second), gradient, out=second)
            np.add(np.sqrt(np.multiply(second, correction, out=spare), out=spare), EPS, out=spare)
            np.divide(np.multiply(first, step_size, out=gradient), spare, out=spare)
            np.multiply(weight, 1 - LR * DECAY, out=weight)
            np.subtract(weight, spare, out=weight)

    return run


def prepare_numba(replicas: int) -> Run:
    """A parallel loop over cells, each stepped through the whole run with Numba's own generator."""
    import numba

    beta1, beta2, decay, eps = np.array([BETA1, BETA2, LR * DECAY, EPS], dtype=np.float32)
    rest1, rest2 = np.float32(1 - BETA1), np.float32(1 - BETA2)

    @numba.njit(parallel=True, error_model="numpy")
    def steps_of_all(weight, first, second, curvature, scale, step_size, correction):  # type: ignore[no-untyped-def]
        for cell in numba.prange(weight.size):
            h, noise = curvature[cell % curvature.size], scale[cell % curvature.size]
            w, m, v = weight[cell], first[cell], second[cell]
            for k in range(step_size.size):
                gradient = h * w + noise * np.float32(np.random.standard_normal())  # noqa: NPY002 (Numba has no other)
                m = beta1 * m + rest1 * gradient
                v = beta2 * v + rest2 * (gradient * gradient)
                w = (w - decay * w) - step_size[k] * m / (np.sqrt(v * correction[k]) + eps)
            weight[cell], first[cell], second[cell] = w, m, v

    curvature = CURVATURE.astype(np.float32)
    weight = np.ones(replicas * COORDINATES, dtype=np.float32)
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    scale, over = np.sqrt(curvature), corrections()
    return lambda: steps_of_all(weight, first, second, curvature, scale, *over)


# By name: the package that it needs, and what prepares a run of STEPS updates at a number of replicas.
CONTENDERS: dict[str, tuple[str, Callable[[int], Run]]] = {
    "ematheory engine": ("ematheory._native", prepare_engine),
    "ematheory.simulate": ("ematheory._native", prepare_simulate),
    "JAX scan, threefry": ("jax", lambda replicas: prepare_jax(replicas, "threefry2x32")),
    "JAX scan, rbg": ("jax", lambda replicas: prepare_jax(replicas, "rbg")),
    "torch fused AdamW": ("torch", prepare_torch),
    "Numba, parallel": ("numba", prepare_numba),
    "NumPy in place": ("numpy", prepare_numpy),
}


def available() -> Iterator[str]:
    for name, (package, _) in CONTENDERS.items():
        try:
            import_module(package)
        except ImportError as error:
            print(f"left out: {name} ({error})", file=sys.stderr)
        else:
            yield name


def seconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(rounds: int) -> dict[str, dict[int, list[float]]]:
    """Rates by contender and number of replicas: one of each in turn, `rounds` times."""
    names = list(available())
    rates: dict[str, dict[int, list[float]]] = {name: {} for name in names}
    for replicas in REPLICAS:
        runs = {name: CONTENDERS[name][1](replicas) for name in names}
        for run in runs.values():
            run()  # compiles, and touches the memory
        for name in names * rounds:
            rate = COORDINATES * replicas * STEPS / seconds(runs[name])
            rates[name].setdefault(replicas, []).append(rate)
    return rates


def best(of: dict[int, list[float]]) -> tuple[int, float]:
    replicas = max(of, key=lambda count: median(of[count]))
    return replicas, median(of[replicas])


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("numpy", "jax", "jaxlib", "torch", "numba"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def report(rates: dict[str, dict[int, list[float]]]) -> dict[str, Any]:
    bests = {name: best(of) for name, of in rates.items()}
    ours = bests.get("ematheory engine", (0, float("nan")))[1]
    jax = max((rate for name, (_, rate) in bests.items() if name.startswith("JAX")), default=float("nan"))
    print(f"{'':22}{'replicas':>9}{'particle-steps/s':>18}{'engine is':>12}")
    for name, (replicas, rate) in bests.items():
        print(f"{name:22}{replicas:9}{rate:18.3g}{ours / rate:10.2f} ×")
    print(f"against JAX: {ours / jax:.2f} times (goal {GOAL:g})")
    return {
        "rates": {name: {str(count): rate for count, rate in of.items()} for name, of in rates.items()},
        "best": {name: {"replicas": count, "rate": rate} for name, (count, rate) in bests.items()},
        "engine_over_jax": ours / jax,
        "goal": GOAL,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the rates, versions, load and date here")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each contender (default 5)")
    arguments = parser.parse_args()
    load_before = os.getloadavg()
    result = report(measure(arguments.rounds))
    about = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(["python", *sys.argv]),
        "machine": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "isa": (em.isas() or ["none"])[-1],
        "load_average_before": load_before,
        "load_average_after": os.getloadavg(),
        "versions": versions(),
    }
    print(", ".join(f"{name} {value}" for name, value in versions().items()))
    print(f"load average {load_before[0]:.2f} before, {os.getloadavg()[0]:.2f} after, on {about['cpus']} CPUs")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({**about, **result}, file, indent=1)


if __name__ == "__main__":
    main()
