"""Who is measured: each contender's run, the settings that it may choose among, and what it is compared for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import ours
import peers
from setting import Run

CPUS = len(os.sched_getaffinity(0))
JAX_SIZES, SMALL_SIZES, FEWER_SIZES = (1, 2, 4, 8, 16, 32, 128), (1, 2, 4, 8, 16, 32), (4, 8, 32, 128)


@dataclass(frozen=True)
class Setting:
    """One way to run a contender: threads, and what its thread pool does while it waits ("": as it comes)."""

    threads: int = CPUS
    policy: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables that ask for this setting; NumPy's BLAS is not used, and JAX obeys the affinity."""
        threads = {name: str(self.threads) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
        return {**threads, **({"OMP_WAIT_POLICY": self.policy} if self.policy else {})}


@dataclass(frozen=True)
class Contender:
    """`prepare(replicas, threads)` makes a run; `sizes` are the numbers of replicas to choose among."""

    prepare: Any
    package: str
    sizes: tuple[int, ...]
    dtype: str = "float32"
    policies: tuple[str, ...] = ("",)
    environment: dict[str, str] = field(default_factory=dict)

    def settings(self) -> Iterator[Setting]:
        """One thread waits for nobody, so its policy is as it comes."""
        for threads, policy in product(sorted({1, CPUS}), self.policies):
            if threads > 1 or policy == self.policies[0]:
                yield Setting(threads, policy if threads > 1 else "")


def native(verb: Any, dtype: str, isa: str = "", sizes: tuple[int, ...] = JAX_SIZES) -> Contender:
    return Contender(lambda n, threads: verb(n, dtype, isa, threads), "ematheory._native", sizes, dtype)


def jax(generator: str, dtype: str = "float32", noise: str = "", flags: str = "", sizes: Any = JAX_SIZES) -> Contender:
    environment = {"XLA_FLAGS": flags} if flags else {}

    def prepare(replicas: int, threads: int) -> Run:
        return peers.jax_scan(replicas, dtype, generator, noise)

    return Contender(prepare, "jax", sizes, dtype, environment=environment)


def torch(prepare: Any, sizes: tuple[int, ...]) -> Contender:
    return Contender(lambda n, threads: prepare(n), "torch", sizes, policies=("passive", "active"))


AVX2, LEVEL3 = "--xla_cpu_max_isa=AVX2", "x86-64-v3"
EQUAL = (512,)

CONTENDERS: dict[str, Contender] = {
    "ematheory engine": native(ours.advance, "float32"),
    "ematheory.simulate": native(ours.simulate, "float32"),
    "JAX scan, threefry": jax("threefry2x32"),
    "JAX scan, rbg": jax("rbg"),
    "JAX scan, unsafe_rbg": jax("unsafe_rbg"),
    "torch AdamW, fused": torch(lambda n: peers.torch_optim(n, "fused"), SMALL_SIZES),
    "torch AdamW, foreach": torch(lambda n: peers.torch_optim(n, "foreach"), SMALL_SIZES),
    "torch, compiled": torch(peers.torch_compiled, (1, 4, 16)),
    "Numba, own generator": Contender(
        lambda n, threads: peers.numba_tiles(n), "numba", SMALL_SIZES, policies=("passive", "active")
    ),
    "NumPy in place": Contender(peers.numpy_in_place, "numpy", (1, 2, 4, 8)),
    "ematheory engine, AVX2": native(ours.advance, "float32", LEVEL3, FEWER_SIZES),
    "JAX AVX2, threefry": jax("threefry2x32", flags=AVX2, sizes=FEWER_SIZES),
    "JAX AVX2, rbg": jax("rbg", flags=AVX2, sizes=FEWER_SIZES),
    "ematheory engine, float64": native(ours.advance, "float64", sizes=FEWER_SIZES),
    "JAX float64, threefry": jax("threefry2x32", "float64", sizes=FEWER_SIZES),
    "JAX float64, rbg": jax("rbg", "float64", sizes=FEWER_SIZES),
    "JAX float64 on float32 normals": jax("threefry2x32", "float64", "float32", sizes=FEWER_SIZES),
    "ematheory engine, 512 replicas": native(ours.advance, "float32", sizes=EQUAL),
    "JAX threefry, 512 replicas": jax("threefry2x32", sizes=EQUAL),
    "JAX rbg, 512 replicas": jax("rbg", sizes=EQUAL),
}
