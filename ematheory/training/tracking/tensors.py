"""The tensors of a torch optimizer under their names, each with its start and its history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .forecast import Flow
from .history import History
from .measuring import Start


@dataclass
class Tracked:
    """One tensor. `group` counts parameter groups; `history` is shared with those that took the same steps.

    `flow` is where SGD's law had its norm at the last record.
    """

    name: str
    tensor: Tensor
    group: int
    start: Start
    history: History
    flow: Flow

    @property
    def weights(self) -> Tensor:
        return real(self.tensor)

    @property
    def size(self) -> int:
        """Real coordinates."""
        return self.tensor.numel() * (2 if self.tensor.is_complex() else 1)


def real(tensor: Tensor) -> Tensor:
    """Detached; complex numbers as pairs of real ones."""
    tensor = tensor.detach()
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def unwrapped(optimizer: Any) -> torch.optim.Optimizer:
    """The optimizer that takes the steps, out of Accelerate's and Lightning's wrappers.

    Raises `TypeError` for what is no torch optimizer.
    """
    inner = getattr(optimizer, "optimizer", None)
    if isinstance(inner, torch.optim.Optimizer):
        return unwrapped(inner)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(
            f"track needs a torch.optim.Optimizer, got {type(optimizer).__name__}; for a record such as em.AdamW use "
            "em.train, and for a model its optimizer"
        )
    return optimizer


def names_of(names: Any) -> dict[int, str]:
    """Names by the tensors' ids, from a module or from (name, tensor) pairs; a tied tensor has all of its names.

    Raises `TypeError` for anything else.
    """
    if names is None:
        return {}
    pairs = names.named_parameters(remove_duplicate=False) if isinstance(names, torch.nn.Module) else names
    found: dict[int, list[str]] = {}
    for pair in checked_pairs(pairs, names):
        found.setdefault(id(pair[1]), []).append(pair[0])
    return {place: " = ".join(dict.fromkeys(each)) for place, each in found.items()}


def checked_pairs(pairs: Any, given: Any) -> Iterator[tuple[str, Tensor]]:
    for pair in pairs if isinstance(pairs, Iterable) else [pairs]:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise TypeError(f"names must be a module or its named_parameters(), got {given!r}")
        yield pair


def members(optimizer: torch.optim.Optimizer, names: dict[int, str]) -> Iterator[tuple[int, str, Tensor]]:
    """Every tensor with its group and name: the one given, the group's own, or `0.3` for the fourth of group 0.

    A name that an earlier tensor has is followed by the place, as in `weight (0.3)`.
    """
    seen: set[str] = set()
    for number, group in enumerate(optimizer.param_groups):
        places = [f"{number}.{place}" for place in range(len(group["params"]))]
        for place, own, tensor in zip(places, group.get("param_names") or places, group["params"], strict=True):
            name = names.get(id(tensor), own)
            while name in seen:
                name = f"{name} ({place})"
            seen.add(name)
            yield number, name, tensor


def group_name(optimizer: torch.optim.Optimizer, number: int) -> str:
    """The group's own name where it has one and no other group has the same, or would without one; else `group 0`."""
    named = [group.get("name") for group in optimizer.param_groups]
    own, others = named[number], [f"group {other}" for other in range(len(named)) if other != number]
    return own if isinstance(own, str) and named.count(own) == 1 and own not in others else f"group {number}"
