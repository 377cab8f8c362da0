"""One training run: a task's network under one torch.optim optimizer, advanced a step at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..optimizers import SGD
from ..records import Interval, check_whole
from .determinism import generator
from .optimizers import Plan, build, flat, read_update, set_step
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


def batches(images: int, batch_size: int, seed: int) -> Iterator[Tensor]:
    """Indices of one batch after another, each epoch in an order drawn from `seed`, without end."""
    source = generator(seed)
    while True:
        order = torch.randperm(images, generator=source)
        for start in range(0, images - batch_size + 1, batch_size):
            yield order[start : start + batch_size]


class Run:
    """A network, its torch.optim optimizer and its data, at some step of a run.

    `record` has plain numbers for fields. `scale` multiplies the starting weights (1 for training; c for Theorem 1).
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
    ) -> None:
        self.record, self.plan, self.step_count = record, plan, 0
        self.network = task.network(seed, dtype)
        self.names = [name for name, _ in self.network.named_parameters()]
        self.parameters = list(self.network.parameters())
        with torch.no_grad():
            for parameter in self.parameters:
                parameter.mul_(scale)
        self.optimizer = build(record, self.parameters, foreach)
        self.task, data = task, task.data()
        self.train_set = torch.tensor(data.train_inputs, dtype=dtype), torch.tensor(data.train_targets)
        self.test_set = torch.tensor(data.test_inputs, dtype=dtype), torch.tensor(data.test_targets)
        self.batches = batches(len(data.train_targets), batch_size, seed)
        self.gradients: list[Tensor] | None = None

    def step(self) -> float:
        """One optimizer step on the next batch; returns the batch's loss before it."""
        self.step_count += 1
        set_step(self.optimizer, self.plan, self.step_count)
        images, classes = (part[next_batch] for next_batch in [next(self.batches)] for part in self.train_set)
        loss = self.task.loss(self.network(images), classes)
        for parameter, gradient in zip(self.parameters, torch.autograd.grad(loss, self.parameters), strict=True):
            parameter.grad = gradient
        self.keep_gradients()
        self.optimizer.step()
        return float(loss.detach())

    def keep_gradients(self) -> None:
        """Copy the gradients, with their L2 term, where torch's state will not hold the update."""
        if not isinstance(self.record, SGD) or (self.record.momentum and not self.record.nesterov):
            return
        weight_decay = float(self.plan.weight_decay[self.step_count - 1])
        self.gradients = [
            torch.as_tensor(parameter.grad) + weight_decay * parameter.detach() for parameter in self.parameters
        ]

    def weights(self) -> Tensor:
        """All trained weights as one float64 vector."""
        return flat(self.parameters)

    def update(self) -> Tensor:
        """u of the last step as one float64 vector, from torch's own state (see `read_update`)."""
        return read_update(self.record, self.optimizer, self.parameters, self.gradients)

    def losses(self) -> tuple[float, float, float]:
        """Mean cross-entropy on the training and the test images, and the share of test images classified rightly."""
        with torch.no_grad():
            train_logits, test_logits = self.network(self.train_set[0]), self.network(self.test_set[0])
            train = self.task.loss(train_logits, self.train_set[1])
            test = self.task.loss(test_logits, self.test_set[1])
            right = (test_logits.argmax(dim=1) == self.test_set[1]).to(torch.float64).mean()
        return float(train), float(test), float(right)
