"""One update of many members' vectors, a row each: the native module's in one pass, else the record's on tensors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Protocol

from torch import Tensor

from ..native import native_module
from ..optimizers import Optimizer, is_traced
from . import tensors

# On a CPU the update on tensors takes so many numbers at a time, which its temporary arrays keep in a core's cache.
BLOCK = 2**16


class Update(Protocol):
    """Writes the state after a step over the one before.

    What `state` holds has shape (members, size), as the gradient, and is contiguous; `c` has a row of coefficients for
    each member.
    """

    def __call__(self, state: Any, gradient: Tensor, c: Tensor) -> None: ...


def update_of(record: Optimizer, device: str) -> Update:
    """The record's update, of the native module where that has it.

    On tensors it differs by rounding: torch's roots on a CPU are not all rounded as IEEE 754 says.
    """
    if not is_native(record, device):
        return partial(update_on_tensors, record)
    native: Any = native_module()
    return partial(update_natively, partial(native.update, isa=native.isas()[-1], optimizer=record.variant))


def is_native(record: Optimizer, device: str) -> bool:
    """Whether the native module steps this record there: the rounding of an ensemble's runs depends on it."""
    return device == "cpu" and is_traced(record) and native_module() is not None


def update_on_tensors(record: Optimizer, state: Any, gradient: Tensor, c: Tensor) -> None:
    for rows in blocks(gradient):
        before = type(state)(*(values[rows] for values in state))
        new = record.update(tensors, before, gradient[rows], columns(record, c[rows]))
        for old, value in zip(before, new, strict=True):
            old.copy_(value)


def blocks(gradient: Tensor) -> Iterator[slice]:
    """All rows; on a CPU some at a time."""
    count, size = gradient.shape
    rows = max(1, BLOCK // size) if gradient.device.type == "cpu" else count
    return (slice(at, at + rows) for at in range(0, count, rows))


def update_natively(native: Any, state: Any, gradient: Tensor, c: Tensor) -> None:
    arrays = [values.numpy() for values in state]
    native(state=arrays, gradient=gradient.contiguous().numpy(), coefficients=c.numpy())


def columns(record: Optimizer, c: Tensor) -> Any:
    """The record's coefficients, each of shape (members, 1)."""
    return record.Coefficients(*c.T.unsqueeze(-1).unbind())
