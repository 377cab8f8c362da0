"""What train() measures at a recorded step: of the whole network, of each parameter, and of each parameter group."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..records import check_choice
from ..simulation.observables import matching
from ..simulation.specification import matched_rate_of
from .groups import Placed
from .optimizers import flat
from .run import Score
from .tasks import Task


class Observable(Protocol):
    """What can be looked at: a `Run`, or one member of an ensemble of them."""

    record: Any
    names: list[str]
    parameters: Sequence[Tensor]
    groups: list[Placed]
    gradient_norms: list[float]
    batch_loss: float

    @property
    def unrounded(self) -> Sequence[Tensor] | None:
        """The parameters as the last step would leave them in float64 arithmetic, where that is known."""

    @property
    def reads_state(self) -> bool:
        """Whether `update` can read u from torch's own state."""

    def update(self) -> Tensor:
        """u of the last step, flat."""

    def score(self, part: str) -> Score:
        """The score on the examples to train or to test on."""


class Look:
    """A run after `step` steps, and its parameters before the last of them (None at step 0, or where not needed)."""

    def __init__(self, run: Observable, step: int, before: list[Tensor] | None) -> None:
        self.run, self.step = run, step
        self.before = None if before is None else wide(before)

    @cached_property
    def after(self) -> list[Tensor]:
        return wide(self.run.parameters)

    @cached_property
    def train(self) -> Score:
        return self.run.score("train")

    @cached_property
    def test(self) -> Score:
        return self.run.score("test")

    @cached_property
    def group_of(self) -> dict[int, Placed]:
        return {place: group for group in self.run.groups for place in group.members}

    def of_step(self, values: Any) -> float:
        """What the last step used; NaN at step 0."""
        return float(values[self.step - 1]) if self.step else math.nan

    def update(self) -> Tensor:
        """u of the last step: from torch's state where that has it, else from where the step led."""
        if self.run.reads_state:
            return self.run.update()
        ends = self.run.unrounded or self.after
        return joined(self.change(place, end) for place, end in enumerate(ends))

    def change(self, place: int, new: Tensor) -> Tensor:
        """u of one parameter from w' = (1 − α)w − ηu, α = 0 where cautious decay left a weight alone.

        Where decay comes after the step the last term is (1 − α)ηu.
        """
        old, group = (self.before or [])[place], self.group_of[place]
        moved, shrink = old - new, self.of_step(group.plan.decay_per_step) * old
        if self.run.record.decays_where_aligned:
            # A weight moves by at least α towards zero where it decayed, and away from it where it did not.
            shrink = torch.where(moved * old < 0.5 * (shrink * old), 0.0, shrink)
        reached = 1 - self.of_step(group.plan.decay_per_step) if self.run.record.decays_after_step else 1.0
        return (moved - shrink) / (reached * self.of_step(group.plan.lr))


def wide(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [tensor.detach().to(torch.float64) for tensor in tensors]


def joined(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors])


def length(vectors: Tensor) -> Tensor:
    """The norms of vectors along the last axis, which is kept with length 1."""
    return torch.as_tensor(vectors.norm(dim=-1, keepdim=True))


def angle(before: Tensor, after: Tensor) -> Tensor:
    """The angles between vectors along the last axis, kept: 2·atan2(‖ŵ'−ŵ‖, ‖ŵ'+ŵ‖), in radians; NaN where one is 0.

    Nothing is lost where they are small.
    """
    old, new = before / length(before), after / length(after)
    return 2 * torch.atan2(length(new - old), length(new + old))


def turned(before: Tensor, after: Tensor) -> float:
    """The angle between two tensors as vectors, in radians; NaN where one is 0."""
    return float(angle(before.reshape(-1), after.reshape(-1)))


def ratio(before: Tensor, after: Tensor) -> float:
    """‖w'−w‖/‖w‖, NaN or infinite where w is 0."""
    return float((after - before).norm() / before.norm())


def cosine(look: Look) -> float:
    """Between the weights before the last step and its u."""
    if look.before is None:
        return math.nan
    old, update = joined(look.before), look.update()
    return float((old / old.norm()) @ update / update.norm())


def rotation(look: Look) -> float:
    return math.nan if look.before is None else turned(joined(look.before), joined(look.after))


def update_norm(look: Look) -> float:
    return math.nan if look.before is None else float((joined(look.after) - joined(look.before)).norm())


def update_ratio(look: Look) -> float:
    return math.nan if look.before is None else ratio(joined(look.before), joined(look.after))


def effective_learning_rate(look: Look) -> float:
    """The published form, of a network in one group: simulate's formula, on the norm of all weights."""
    if look.before is None:
        return math.nan
    return published_rate(look, look.run.groups[0], float(joined(look.before).norm()))


def published_rate(look: Look, group: Placed, norm: float) -> float:
    """The published form at this norm before the step; infinite where that is 0, and 0 without a rate.

    Infinite weights have none (NaN).
    """
    formula = matching(matched_rate_of(group.record))
    rate = look.of_step(group.plan.lr)
    if not (rate > 0 and 0 < norm < math.inf):
        # Beside the formula's domain: biases begin at 0, a warm-up at no rate.
        return math.inf if rate > 0 and norm == 0 else rate * norm * 0
    with np.errstate(all="ignore"):
        return float(formula(lr=rate, decay_per_step=0.0, weight_norm=np.float64(norm), other_weight_norm=1.0))


def of_each(measured: Callable[[Tensor, Tensor], float]) -> Callable[[Look], list[float]]:
    """A measure of a parameter before and after the step, of each parameter."""

    def found(look: Look) -> list[float]:
        if look.before is None:
            return [math.nan] * len(look.run.names)
        return [measured(old, new) for old, new in zip(look.before, look.after, strict=True)]

    return found


def effective_rates(look: Look) -> list[float]:
    if look.before is None:
        return [math.nan] * len(look.run.names)
    return [published_rate(look, look.group_of[place], float(old.norm())) for place, old in enumerate(look.before)]


# One number of the whole network.
NETWORK: Mapping[str, Callable[[Look], float]] = {
    "train_loss": lambda look: look.train.loss,
    "test_loss": lambda look: look.test.loss,
    "test_accuracy": lambda look: look.test.accuracy,
    "train_accuracy": lambda look: look.train.accuracy,
    "batch_loss": lambda look: look.run.batch_loss,
    "weight_norm": lambda look: float(flat(look.run.parameters).norm()),
    "rotation": rotation,
    "update_cosine": cosine,
    "update_norm": update_norm,
    "update_ratio": update_ratio,
    "gradient_norm": lambda look: math.hypot(*look.run.gradient_norms),
    "effective_learning_rate": effective_learning_rate,
}
# One number per parameter, dim `parameter`.
OF_PARAMETERS: Mapping[str, Callable[[Look], list[float]]] = {
    "parameter_norm": lambda look: [float(parameter.norm()) for parameter in look.after],
    "parameter_rotation": of_each(turned),
    "parameter_update_ratio": of_each(ratio),
    "parameter_gradient_norm": lambda look: list(look.run.gradient_norms),
    "parameter_effective_learning_rate": effective_rates,
}
# One number per parameter group; dim `group` where there are several.
OF_GROUPS: Mapping[str, Callable[[Look], list[float]]] = {
    "initial_weight_left": lambda look: [group.decay.left(look.step) for group in look.run.groups],
    "learning_rate": lambda look: [look.of_step(group.plan.lr) for group in look.run.groups],
    "decay_per_step": lambda look: [group.decay.slow_mode(look.step)[0] for group in look.run.groups],
    "timescale_steps": lambda look: [group.decay.slow_mode(look.step)[1] for group in look.run.groups],
}
OBSERVABLES = (*NETWORK, *OF_PARAMETERS, *OF_GROUPS)
DEFAULT = (
    "train_loss", "test_loss", "test_accuracy", "weight_norm", "rotation", "update_cosine", "initial_weight_left",
)  # fmt: skip
ACCURACIES = ("train_accuracy", "test_accuracy")
# Those of a step, which need the weights before it, and those of its gradient.
PAIRED = (
    "rotation", "update_cosine", "update_norm", "update_ratio", "effective_learning_rate", "parameter_rotation",
    "parameter_update_ratio", "parameter_effective_learning_rate",
)  # fmt: skip
# Those that need a step to be watched: for its gradient, or for what a record's update is before rounding.
WATCHED = ("gradient_norm", "parameter_gradient_norm", "update_cosine")
EFFECTIVE = ("effective_learning_rate", "parameter_effective_learning_rate")


def check_observables(observables: str | Sequence[str] | None, task: Task, record: Any) -> tuple[str, ...]:
    """The observables asked for, each once; by default the cheap ones that the task has.

    Raises `ValueError` for an unknown name, none at all, an accuracy of a task that scores none, or an effective
    learning rate of an optimizer that has no such formula; `TypeError` for what is not names.
    """
    if observables is None:
        return tuple(name for name in DEFAULT if task.scores_accuracy or name not in ACCURACIES)
    several = isinstance(observables, Iterable) and not isinstance(observables, str)
    names: tuple[Any, ...] = tuple(observables) if several else (observables,)
    if not names:
        raise ValueError(f"observables needs at least one of {', '.join(OBSERVABLES)}, got none")
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"observables must be names such as 'train_loss', got {name!r}")
        check_choice("observables", name, OBSERVABLES)
        if name in ACCURACIES and not task.scores_accuracy:
            raise ValueError(f"{name}: the targets of {type(task).__name__} are no classes; leave it out")
        if name in EFFECTIVE and not matched_rate_of(record):
            raise ValueError(f"{name} has no formula for {type(record).__name__}; leave it out")
    return tuple(dict.fromkeys(names))


def check_one_group(names: Sequence[str], groups: Sequence[Placed]) -> None:
    """Raise `ValueError` where a number of the whole network is asked for that only each group has."""
    if "effective_learning_rate" in names and len(groups) > 1:
        raise ValueError(
            f"effective_learning_rate is of one learning rate, and there are {len(groups)} groups; ask for "
            "parameter_effective_learning_rate"
        )


def measured(names: Sequence[str], look: Look) -> dict[str, Any]:
    """Each observable's value: a float, or a list over the parameters or the groups."""
    functions: dict[str, Callable[[Look], Any]] = {**NETWORK, **OF_PARAMETERS, **OF_GROUPS}
    return {name: functions[name](look) for name in names}


def dims_of(name: str, groups: int) -> tuple[str, ...]:
    """An observable's dims after `step`."""
    if name in OF_PARAMETERS:
        return ("parameter",)
    return ("group",) if name in OF_GROUPS and groups > 1 else ()
