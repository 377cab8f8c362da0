"""Running torch so that the same call gives the same bits, and leaving its global state as it was found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from operator import attrgetter
from typing import Any

import torch
from torch.utils._device import DeviceContext

DTYPES = {"float64": torch.float64, "float32": torch.float32}
# Those that weights can be trained in; the cross-checks' bounds are for the first two.
TRAINED_DTYPES = {**DTYPES, "bfloat16": torch.bfloat16}
# What torch wants to be one of these before it calls cuBLAS deterministic.
WORKSPACE, WORKSPACES = "CUBLAS_WORKSPACE_CONFIG", (":4096:8", ":16:8")
# Below torch.backends: TF32 convolutions, algorithms chosen by their time, and bfloat16 sums inside bfloat16 products.
SWITCHES = ("cudnn.allow_tf32", "cudnn.benchmark", "cuda.matmul.allow_bf16_reduced_precision_reduction")
# Those that have a precision of float32 of their own since torch 2.9.
PRECISIONS = ("cuda.matmul", "cudnn.conv", "cudnn.rnn", "mkldnn.matmul", "mkldnn.conv", "mkldnn.rnn")


def generator(seed: int) -> torch.Generator:
    """A generator of its own, so that torch's global random state is neither read nor changed."""
    return torch.Generator().manual_seed(seed)


def check_device(device: Any) -> str:
    """A device of torch that is there, as text. On CUDA also sets what its matrix products need to be deterministic.

    Raises `ValueError` for one that is unknown or missing, `RuntimeError` where it is too late for that setting.
    """
    try:
        found = torch.device(device)
        if found.type == "cuda":
            os.environ.setdefault(WORKSPACE, WORKSPACES[0])
        torch.zeros(1, device=found).item()
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"device must be one that this torch has, such as 'cpu', got {device!r} ({reason})") from None
    if found.type == "cuda":
        check_products(found)
    return str(found)


def check_products(device: torch.device) -> None:
    """Raise `RuntimeError` unless this GPU's matrix products are deterministic: torch reads the variable only once."""
    try:
        with deterministic():
            torch.ones(2, 2, device=device).mm(torch.ones(2, 2, device=device))
    except RuntimeError as error:
        if WORKSPACE not in str(error):
            raise
        raise RuntimeError(
            f"training on {device} needs {WORKSPACE}={WORKSPACES[0]} (or {WORKSPACES[1]}), which torch reads at the "
            f"first matrix product of the process, and then it was not set; it is now {os.environ[WORKSPACE]!r}. Set "
            "it before the program starts, or train before other work on the GPU"
        ) from error


class NoDefaultDevice(DeviceContext):
    """The CPU as what is given no device gets without any default: `torch.device("cpu")` as a context would also move
    there what `torch.as_tensor` is given from a GPU.
    """

    def __init__(self) -> None:
        super().__init__("cpu")

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **(kwargs or {}))


@contextmanager
def uncast() -> Iterator[None]:
    """Without the autocasting and the default device that are on around it, if any are."""
    with ExitStack() as stack:
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(NoDefaultDevice())
        yield


def float32_precisions() -> list[tuple[Any, str]]:
    """Those of `PRECISIONS` that this torch has, each with its precision."""
    found = []
    for path in PRECISIONS:
        with suppress(AttributeError):
            owner = attrgetter(path)(torch.backends)
            found.append((owner, owner.fp32_precision))
    return found


def switches() -> list[tuple[Any, str, Any]]:
    """Each of `SWITCHES`: who has it, its name and its value, None where `fp32_precision` makes reading it an error."""
    found = []
    for path in SWITCHES:
        place, name = path.rsplit(".", 1)
        owner, value = attrgetter(place)(torch.backends), None
        with suppress(RuntimeError):
            value = getattr(owner, name)
        # Of sums inside products torch has a second switch, which goes back to True where only the first is set.
        if getattr(owner, f"{name}_split_k", True) is False:
            value = (bool(value), False)
        found.append((owner, name, value))
    return found


@contextmanager
def full_precision() -> Iterator[None]:
    """Products, convolutions and their sums in float32 at least, their algorithms not chosen by the time they take.

    What was there comes back, whether it was set by torch's older switches or, since 2.9, as `fp32_precision`.
    """
    matmul, precisions, before = "highest", float32_precisions(), switches()
    with suppress(RuntimeError):
        matmul = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    for owner, name, _ in before:
        setattr(owner, name, False)
    for owner, _ in precisions:
        owner.fp32_precision = "ieee"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        for owner, name, value in before:
            setattr(owner, name, value if isinstance(value, tuple) else bool(value))
        for owner, precision in precisions:
            owner.fp32_precision = precision


@contextmanager
def deterministic(threads: int = 1) -> Iterator[None]:
    """Deterministic algorithms, `threads` threads and recorded gradients inside; the old settings come back after.

    One thread by default: how torch splits a sum depends on their number, and networks this small gain nothing from
    more. Random numbers come from generators of their own, so the global random state is not touched. Autocasting, a
    lower precision of products (TF32, bfloat16), cuDNN's choice by time and another default dtype or device are off
    inside: they change numbers, and a process of `workers` would not have them.
    """
    before_threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.set_default_dtype(torch.float32)
    try:
        with torch.inference_mode(False), torch.enable_grad(), uncast(), full_precision():
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(before_threads)
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
