"""The native module, where it was built: which instruction sets it has here, and how many threads there are to use."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import numpy as np


def native_module() -> Any | None:
    """The compiled module, or None where it was not built."""
    try:
        return import_module("._native", __package__)
    except ImportError:
        return None


def cuda_module() -> Any | None:
    """The compiled CUDA module, or None where it was not built."""
    try:
        return import_module("._cuda", __package__)
    except ImportError:
        return None


def why_no_cuda() -> str:
    """Why no GPU can be used, in words; empty where one can.

    >>> isinstance(why_no_cuda(), str)
    True
    """
    module = cuda_module()
    return "this build has no CUDA module (it needs nvcc)" if module is None else str(module.why_no_device())


def isas() -> list[str]:
    """The instruction sets of the native engine that this CPU runs, the fastest last; empty where it was not built.

    >>> all(isinstance(name, str) for name in isas())
    True
    """
    native = native_module()
    return [] if native is None else list(native.isas())


def check_threads(threads: Any) -> int:
    """The number of threads, this process's CPUs when None. Raises `TypeError` or `ValueError`."""
    if threads is None:
        affinity = getattr(os, "sched_getaffinity", None)
        return len(affinity(0)) if affinity else os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer):
        raise TypeError(f"threads must be a whole number or None (all of this process's CPUs), got {threads!r}")
    if threads < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    return int(threads)
