"""On what a benchmark ran, and whether anything else ran beside it."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ematheory as em

STATISTICS, INFORMATION = Path("/proc/stat"), Path("/proc/cpuinfo")
# The share of all CPUs' time that others may take.
IDLE = 0.05


def cpu_times() -> tuple[float, float]:
    """Ticks of all CPUs so far: busy, and in all; a virtual machine's stolen time counts as busy."""
    fields = [int(word) for word in STATISTICS.read_text("ascii").splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, sum(fields)


def busy_share(seconds: float = 1.0) -> float:
    """The share of the CPUs' time that was taken while this process slept; NaN where it cannot be told."""
    if not STATISTICS.exists():
        return float("nan")
    busy, everything = cpu_times()
    time.sleep(seconds)
    busy_after, everything_after = cpu_times()
    return (busy_after - busy) / max(everything_after - everything, 1)


def refuse_if_busy(force: bool) -> float:
    """How busy the machine is. Raises `SystemExit` where others take more than `IDLE` of it, unless forced."""
    share = busy_share()
    if share > IDLE and not force:
        raise SystemExit(
            f"other processes take {share:.0%} of this machine's CPUs (allowed: {IDLE:.0%}), and ratios would be "
            "theirs; end them, or measure all the same with --force"
        )
    return share


def processor() -> str:
    if INFORMATION.exists():
        for line in INFORMATION.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("numpy", "jax", "jaxlib", "torch", "numba"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def about() -> dict[str, Any]:
    return {
        "machine": platform.machine(),
        "processor": processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "isa": (em.isas() or ["none"])[-1],
        "versions": versions(),
    }
