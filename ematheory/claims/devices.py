"""Which device the networks of levels are trained on: the CPU, as recorded, or another that torch has.

What trains a claim's model rather than networks, and what no torch trains, runs where it always does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_chosen: ContextVar[str] = ContextVar("device", default="cpu")


@contextmanager
def training_on(device: str) -> Iterator[None]:
    """Have levels train networks on a device, by torch's name of it.

    >>> with training_on("cuda:1"):
    ...     print(chosen_device())
    cuda:1
    """
    token = _chosen.set(device)
    try:
        yield
    finally:
        _chosen.reset(token)


def chosen_device() -> str:
    return _chosen.get()


def check_training_device(device: str) -> str:
    """The device's name. Raises `ValueError` for one that torch does not have, and `TypeError` for no text."""
    if not isinstance(device, str):
        raise TypeError(f"device must be torch's name of one, such as 'cuda', got {device!r}")
    if device == "cpu":
        return device
    from ..training.determinism import check_device

    return check_device(device)
