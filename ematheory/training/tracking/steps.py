"""What one step used: each group's numbers as they stood, and which tensors took no part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, repeat
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from ...optimizers import Optimizer as Record
from .forecast import NAN
from .measuring import transferred

if TYPE_CHECKING:
    from collections import OrderedDict


# Written for speed: they run at every step.
GRADIENT, NONE = attrgetter("grad"), frozenset[int]()
KEYS = ("lr", "weight_decay", "initial_lr", "max_lr", "betas", "momentum", "nesterov")
OTHERWISE: tuple[Any, ...] = (NAN, 0.0, None, None, (0.0,), 0.0, False)


class Raw(NamedTuple):
    """A group's numbers as they stood at a step: rates may be tensors, which are read later."""

    lr: Any
    weight_decay: Any
    initial_lr: Any
    max_lr: Any
    beta1: Any
    beta2: Any
    momentum: Any
    nesterov: bool


class Taken(NamedTuple):
    """One step: its groups' numbers, the tensors that had no gradient, and the scaler's flag where it skips inside.

    The flag says that it was no step after all: gradients were infinite, and a fused optimizer passed over them.
    """

    groups: list[Raw]
    idle: frozenset[int]
    skipped: Any


def first_after_step(optimizer: torch.optim.Optimizer, hook: Callable[..., None]) -> RemovableHandle:
    """Register a hook that runs before all others after a step: one of theirs may set the gradients to None."""
    handle = optimizer.register_step_post_hook(hook)
    # torch has no argument for this; it orders its own hooks of state_dict in the same way.
    hooks = cast("OrderedDict[int, Any]", optimizer._optimizer_step_post_hooks)
    hooks.move_to_end(handle.id, last=False)
    return handle


def taken(optimizer: torch.optim.Optimizer, tensors: Sequence[Tensor], otherwise: Sequence[Any] = OTHERWISE) -> Taken:
    """The step that the optimizer has just taken."""
    gradients = list(map(GRADIENT, tensors))
    still = any(map(is_, gradients, repeat(None)))
    idle = frozenset([i for i, gradient in enumerate(gradients) if gradient is None]) if still else NONE
    return Taken([raw(group, otherwise) for group in optimizer.param_groups], idle, vars(optimizer).get("found_inf"))


def read(steps: Sequence[Taken]) -> list[Taken]:
    """The steps that were steps, with plain numbers for tensors: one transfer for all of them, not one for each."""
    waiting = [each for step in steps for each in chain(*step.groups, (step.skipped,)) if isinstance(each, Tensor)]
    if not waiting:
        return [step for step in steps if not step.skipped]
    numbers = iter(transferred(waiting))

    def plain(each: Any) -> Any:
        return next(numbers) if isinstance(each, Tensor) else each

    plainly = [([Raw(*map(plain, group)) for group in step.groups], plain(step.skipped)) for step in steps]
    return [
        Taken(groups, step.idle, None) for step, (groups, skipped) in zip(steps, plainly, strict=True) if not skipped
    ]


def in_capture() -> bool:
    """Whether a CUDA graph is being captured, in which nothing may be read from the device."""
    cuda: Any = torch.cuda
    return bool(cuda.is_initialized() and cuda.is_current_stream_capturing())


def raw(group: dict[str, Any], otherwise: Sequence[Any] = OTHERWISE) -> Raw:
    """A group's numbers now; a rate that is a tensor is copied, for its owner changes it in place."""
    said = [other if own is None else own for own, other in zip(map(group.get, KEYS), otherwise, strict=True)]
    lr, weight_decay, initial_lr, max_lr, betas, momentum, nesterov = said
    now = (lr, weight_decay, initial_lr, max_lr, betas[0], betas[-1], momentum)
    copied = [each.detach().clone() if isinstance(each, Tensor) else each for each in now]
    return Raw._make([*copied, bool(nesterov)])


def otherwise(optimizer: torch.optim.Optimizer) -> Sequence[Any]:
    """What a group's numbers are where it does not say: a record's own are not in the groups of its optimizer."""
    record = getattr(optimizer, "record", None)
    if not isinstance(record, Record):
        return OTHERWISE
    momentum = getattr(record, "momentum", 0.0)
    betas = getattr(record, "betas", None) or (momentum, momentum)
    return (NAN, 0.0, None, None, betas, momentum, getattr(record, "nesterov", False))
