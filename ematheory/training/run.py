"""One training run: a task's network under one torch optimizer, advanced a step at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..optimizers import SGD, ScheduleFreeSGD
from ..records import Interval, check_whole
from .examples import Batches, Examples, Place, both_parts
from .groups import Group, placed
from .optimizers import Plan, build, flat, keeps_update, read_update, set_group_steps
from .record_optimizer import RecordOptimizer
from .tasks import Task


def steps_per_epoch(task: Task, batch_size: int) -> int:
    """Full batches in an epoch: the last partial batch of each epoch is dropped.

    Raises `ValueError` when not one batch of this size can be filled.
    """
    images = len(task.data().train_targets)
    return images // check_whole("batch_size", batch_size, Interval(1, images, closed_high=True))


def check_epochs(epochs: Any) -> int:
    """The epochs as an int. Raises `TypeError` or `ValueError` for what is not a whole number ≥ 1."""
    return check_whole("epochs", epochs, Interval(1))


class Score(NamedTuple):
    """The mean loss over examples, and the share classified rightly (NaN where the task does not score that)."""

    loss: float
    accuracy: float


def widened(outputs: Tensor) -> Tensor:
    """bfloat16 outputs as float32, in which the loss is taken: its sums would lose all digits."""
    return outputs.to(torch.float32) if outputs.dtype == torch.bfloat16 else outputs


def score(task: Task, network: Callable[[Tensor], Tensor], examples: Examples, batch_size: int) -> Score:
    """A network's score on the examples, in chunks."""
    loss, right, targets_seen = 0.0, 0.0, 0
    with torch.no_grad():
        for inputs, targets in examples.chunks(batch_size):
            outputs = widened(network(inputs))
            loss += float(task.loss(outputs, as_outputs(targets, outputs))) * len(targets)
            if task.scores_accuracy:
                right += float((outputs.argmax(dim=-1) == targets).sum())
                targets_seen += targets.numel()
    return Score(loss / examples.size, right / targets_seen if targets_seen else math.nan)


def as_outputs(targets: Tensor, outputs: Tensor) -> Tensor:
    """Targets that are numbers in the outputs' dtype."""
    return targets.to(outputs.dtype) if targets.is_floating_point() else targets


def lr_multipliers(task: Task, network: torch.nn.Module, record: Any) -> dict[str, float]:
    """The task's own multiples of the learning rate, by parameter name (muP has them); none by default.

    The steps of all but plain SGD are free of the gradient's scale, which muP's multiples depend on.
    """
    own = getattr(task, "lr_multipliers", None)
    adaptive = not isinstance(record, SGD | ScheduleFreeSGD)
    return {} if own is None else dict(own(network, adaptive=adaptive))


class Run:
    """A network, its torch optimizer and its data, at some step of a run.

    `record` has plain numbers for fields. `scale` multiplies the starting weights (1 for training; c for Theorem 1);
    the other settings are `train`'s.
    """

    def __init__(
        self,
        task: Task,
        record: Any,
        plan: Plan,
        *,
        batch_size: int,
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
        foreach: bool | None = None,
        scale: float = 1.0,
        accumulate: int = 1,
        clip_norm: float | None = None,
        device: str = "cpu",
        groups: Sequence[Group] = (),
        evaluate: int | None = None,
    ) -> None:
        self.task, self.record, self.plan, self.step_count = task, record, plan, 0
        self.batch_size, self.accumulate, self.clip_norm, self.foreach = batch_size, accumulate, clip_norm, foreach
        self.network = task.network(seed, dtype).to(device)
        self.names = [name for name, _ in self.network.named_parameters()]
        self.parameters = list(self.network.parameters())
        with torch.no_grad():
            for parameter in self.parameters:
                parameter.mul_(scale)
        self.groups = placed(self.names, groups, lr_multipliers(task, self.network, record), record, plan)
        self.optimizer = self.built()
        data = task.data()
        self.examples, self.evaluated = both_parts(data, dtype, device, evaluate)
        self.batches = Batches(len(data.train_targets), batch_size, seed)
        self.gradients: list[Tensor] | None = None
        self.gradient_norms: list[float] = [math.nan] * len(self.parameters)
        self.batch_loss = math.nan

    def built(self) -> torch.optim.Optimizer:
        """The optimizer, with one param group for each of the run's groups."""
        parts = [
            {"params": [self.parameters[i] for i in group.members], "lr": group.record.lr, "peak_lr": group.record.lr}
            for group in self.groups
        ]
        return build(self.record, parts, self.foreach)

    def step(self, watch: bool = False) -> float:
        """One optimizer step on the next batch; returns the batch's loss before it.

        `watch` keeps the norm of each parameter's gradient, before clipping, and what a record's step is unrounded.
        """
        self.step_count += 1
        set_group_steps(self.optimizer, [group.plan for group in self.groups], self.step_count)
        if isinstance(self.optimizer, RecordOptimizer):
            self.optimizer.watched = watch
            self.optimizer.move_to_point()
        self.batch_loss = self.set_gradients(next(self.batches))
        if watch:
            self.gradient_norms = [
                float(torch.as_tensor(parameter.grad).to(torch.float64).norm()) for parameter in self.parameters
            ]
        if self.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.clip_norm, foreach=self.foreach)
        self.keep_gradients()
        self.optimizer.step()
        return self.batch_loss

    def set_gradients(self, batch: Tensor) -> float:
        """Put the gradient of the batch's mean loss into the parameters, a micro-batch at a time; returns the loss."""
        total = 0.0
        for part, places in enumerate(batch.chunk(self.accumulate)):
            inputs, targets = self.examples.take(places)
            outputs = widened(self.network(inputs))
            loss = self.task.loss(outputs, as_outputs(targets, outputs)) / self.accumulate
            gradients = torch.autograd.grad(loss, self.parameters)
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                parameter.grad = torch.as_tensor(parameter.grad).add_(gradient) if part else gradient
            total += float(loss.detach())
        return total

    def keep_gradients(self) -> None:
        """Copy the gradients, with their L2 term, where torch's state will not hold the update."""
        if not isinstance(self.record, SGD) or (self.record.momentum and not self.record.nesterov):
            return
        self.gradients = [torch.as_tensor(parameter.grad) for parameter in self.parameters]
        for group in self.groups:
            weight_decay = float(group.plan.weight_decay[self.step_count - 1])
            for i in group.members:
                self.gradients[i] = self.gradients[i] + weight_decay * self.parameters[i].detach()

    def weights(self) -> Tensor:
        """All trained weights as one float64 vector."""
        return flat(self.parameters)

    @property
    def unrounded(self) -> list[Tensor] | None:
        """Each parameter after a watched step, in float64 arithmetic; None where torch.optim's own steps."""
        if not isinstance(self.optimizer, RecordOptimizer) or not self.optimizer.unrounded:
            return None
        return [self.optimizer.unrounded[parameter] for parameter in self.parameters]

    @property
    def reads_state(self) -> bool:
        """Whether `update` can be read."""
        return keeps_update(self.record)

    def update(self) -> Tensor:
        """u of the last step as one float64 vector, from torch's own state. Raises as `read_update` does."""
        return read_update(self.record, self.optimizer, self.parameters, self.gradients)

    def score(self, part: str) -> Score:
        """The network's score on the examples to train ("train") or to test on ("test")."""
        return score(self.task, self.network, self.evaluated[part], self.batch_size)

    def losses(self) -> tuple[float, float, float]:
        """Mean loss on the training and the test examples, and the share of test targets classified rightly."""
        test = self.score("test")
        return self.score("train").loss, test.loss, test.accuracy

    def state(self) -> dict[str, Any]:
        """Everything that the further steps depend on, between two steps: tensors, numbers and containers of them."""
        return {
            "step": self.step_count,
            "parameters": [parameter.detach().clone() for parameter in self.parameters],
            "optimizer": self.optimizer.state_dict(),
            "place": list(self.batches.place),
        }

    def go_to(self, state: dict[str, Any]) -> None:
        """Continue from a state of the same run, to the same bits."""
        self.step_count = state["step"]
        with torch.no_grad():
            for parameter, value in zip(self.parameters, state["parameters"], strict=True):
                parameter.copy_(value)
        load_exactly(self.optimizer, state["optimizer"])
        self.batches.go_to(Place(*state["place"]))


def load_exactly(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """`load_state_dict`, but every tensor in the dtype it had, and numbers of a whole tensor on the CPU, as torch's.

    torch casts what it does not know, such as NAdam's float32 product of momenta, to the parameter's dtype and device.
    """
    optimizer.load_state_dict(state)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for place, kept in state["state"].items():
        parameter = parameters[place]
        for name, value in kept.items():
            if isinstance(value, Tensor):
                device = "cpu" if value.dim() == 0 < parameter.dim() else parameter.device
                optimizer.state[parameter][name] = value.to(device, copy=True)
