"""The tensors of a torch optimizer under their names, each with its start and its history."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import is_
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ...typing import FloatArray
from .forecast import Flow
from .history import History
from .meaning import Meaning
from .measuring import Start, started


@dataclass
class Tracked:
    """One tensor. `group` counts parameter groups; `history` is shared with those that took the same steps.

    `flow` is where SGD's law had its norm at the last record. `count` is how many numbers it had when tracking began.
    """

    name: str
    tensor: Tensor
    group: int
    start: Start
    history: History
    flow: Flow
    count: int

    @property
    def size(self) -> int:
        """Real coordinates."""
        return self.tensor.numel() * (2 if self.tensor.is_complex() else 1)


class Columns(NamedTuple):
    """Of each tracked tensor: its group, its real coordinates and ‖w_0‖²."""

    group: npt.NDArray[np.intp]
    size: FloatArray
    start: FloatArray


class Cohort(NamedTuple):
    """The places, among those tracked, of a group's tensors that took the same steps."""

    group: int
    history: History
    places: npt.NDArray[np.intp]


def columns(tracked: Sequence[Tracked]) -> Columns:
    return Columns(
        np.array([each.group for each in tracked], dtype=np.intp),
        np.array([each.size for each in tracked], dtype=np.float64),
        np.array([each.start.square for each in tracked], dtype=np.float64),
    )


def cohorts(tracked: Sequence[Tracked]) -> list[Cohort]:
    found: dict[int, list[int]] = {}
    for i, each in enumerate(tracked):
        found.setdefault(id(each.history), []).append(i)
    firsts = ((tracked[places[0]], places) for places in found.values())
    return [Cohort(each.group, each.history, np.array(places)) for each, places in firsts]


def real(tensor: Tensor) -> Tensor:
    """Detached; complex numbers as pairs of real ones."""
    tensor = tensor.detach()
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def reals(tensors: list[Tensor]) -> list[Tensor]:
    """The tensors as they are, or as real ones where some are complex."""
    return [real(tensor) for tensor in tensors] if any(map(torch.is_complex, tensors)) else tensors


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


def members(
    optimizer: torch.optim.Optimizer, names: dict[int, str], kept: dict[int, str]
) -> Iterator[tuple[int, str, Tensor]]:
    """Every tensor with its group and name: one kept from before, one given, the group's own, or `0.3` (group, place).

    A name that another tensor has is followed by the place, as in `weight (0.3)`.
    """
    seen = set(kept.values())
    for number, group in enumerate(optimizer.param_groups):
        places = [f"{number}.{place}" for place in range(len(group["params"]))]
        for place, own, tensor in zip(places, group.get("param_names") or places, group["params"], strict=True):
            name = kept.get(id(tensor))
            if name is None:
                name = names.get(id(tensor), own)
                while name in seen:
                    name = f"{name} ({place})"
                seen.add(name)
            yield number, name, tensor


def taken_up(
    before: Sequence[Tracked],
    optimizer: torch.optim.Optimizer,
    names: dict[int, str],
    meanings: Sequence[Meaning],
    sample: int,
) -> list[Tracked]:
    """The optimizer's tensors now: those followed before go on, and the others of a group begin with one history.

    One that is in another group now begins anew where λ means something else there, and one of another size in any.
    Raises `TypeError` for a tensor of which this process has a part.
    """
    held = {id(tensor) for group in optimizer.param_groups for tensor in group["params"]}
    known = {id(each.tensor): each for each in before if id(each.tensor) in held and each.count == each.tensor.numel()}
    fresh = [History(each) for each in meanings]
    parted: dict[tuple[int, int], History] = {}
    found: list[Tracked] = []

    def goes_on(number: int, tensor: Tensor) -> bool:
        return id(tensor) in known and known[id(tensor)].history.meaning == meanings[number]

    listed = list(members(optimizer, names, {place: each.name for place, each in known.items()}))
    check_whole(listed)
    begun = [real(tensor) for number, _, tensor in listed if not goes_on(number, tensor)]
    starts = iter(started(begun, sample, len(before)))
    for number, name, tensor in listed:
        each = known.get(id(tensor))
        if each is None or not goes_on(number, tensor):
            start = next(starts)
            each = Tracked(name, tensor, number, start, fresh[number], Flow(math.sqrt(start.square)), tensor.numel())
        elif each.group != number:
            # Those that stay behind take other steps from here on.
            each.history = parted.setdefault((id(each.history), number), each.history.copy())
            each.group = number
        found.append(each)
    return found


def check_whole(listed: Iterable[tuple[int, str, Tensor]]) -> None:
    for _, name, tensor in listed:
        if hasattr(tensor, "full_tensor"):
            raise TypeError(
                f"track follows whole tensors, and {name!r} is a {type(tensor.data).__name__}, of which each process "
                "has a part (FSDP, tensor parallelism): track a run that is not sharded, or detach() the tracker"
            )


def same(listed: Sequence[Sequence[Tensor]], before: Sequence[Sequence[Tensor]]) -> bool:
    """Whether these are the same tensors, in as many groups; tensors have an == of their own."""
    return list(map(len, listed)) == list(map(len, before)) and all(map(is_, chain(*listed), chain(*before)))


def peaks_now(peaks: Sequence[float], before: Sequence[Tracked], listed: Sequence[Sequence[Tensor]]) -> list[float]:
    """Each group's largest rate, of groups that hold these tensors: a group that is gone shifts others."""
    if len(listed) >= len(peaks):
        return [*peaks, *[0.0] * (len(listed) - len(peaks))]
    of_tensor = {id(each.tensor): peaks[each.group] for each in before}
    return [max((of_tensor.get(id(each), 0.0) for each in group), default=0.0) for group in listed]


def group_name(optimizer: torch.optim.Optimizer, number: int) -> str:
    """The group's own name where it has one and no other group has the same, or would without one; else `group 0`."""
    named = [group.get("name") for group in optimizer.param_groups]
    own, others = named[number], [f"group {other}" for other in range(len(named)) if other != number]
    return own if isinstance(own, str) and named.count(own) == 1 and own not in others else f"group {number}"
