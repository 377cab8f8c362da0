"""Running torch so that the same call gives the same bits, and leaving its global state as it was found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

DTYPES = {"float64": torch.float64, "float32": torch.float32}
# Those that weights can be trained in; the cross-checks' bounds are for the first two.
TRAINED_DTYPES = {**DTYPES, "bfloat16": torch.bfloat16}


def generator(seed: int) -> torch.Generator:
    """A generator of its own, so that torch's global random state is neither read nor changed."""
    return torch.Generator().manual_seed(seed)


def check_device(device: Any) -> str:
    """A device of torch that is there, as text. On CUDA also sets what its matrix products need to be deterministic.

    Raises `ValueError` for one that is unknown or missing.
    """
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"device must be one that this torch has, such as 'cpu', got {device!r} ({reason})") from None
    if found.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return str(found)


@contextmanager
def uncast() -> Iterator[None]:
    """Without the autocasting that is on around it, if any is."""
    with ExitStack() as stack:
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


@contextmanager
def deterministic(threads: int = 1) -> Iterator[None]:
    """Deterministic algorithms, `threads` threads and recorded gradients inside; the old settings come back after.

    One thread by default: how torch splits a sum depends on their number, and networks this small gain nothing from
    more. Random numbers come from generators of their own, so the global random state is not touched. Autocasting, a
    lower precision of float32 products (TF32, bfloat16) and another default dtype are off inside: they change numbers,
    and a process of `workers` would not have them.
    """
    before_threads = torch.get_num_threads()
    precision, tf32, dtype = (
        torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32, torch.get_default_dtype(),
    )  # fmt: skip
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    torch.set_default_dtype(torch.float32)
    try:
        with torch.inference_mode(False), torch.enable_grad(), uncast():
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.backends.cudnn.allow_tf32 = tf32
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(before_threads)
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
