"""What a task is: examples to train and to test on, a network, and the loss that it is trained with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ...records import Record

if TYPE_CHECKING:
    import torch


class Split(NamedTuple):
    """Examples to train and to test on: arrays whose first axis counts examples, of NumPy or mapped from a file.

    Inputs are float64 numbers or int64 tokens; targets are int64 classes (per example, or per token) or float64 values.
    """

    train_inputs: Any
    train_targets: Any
    test_inputs: Any
    test_targets: Any


class Task(Record):
    """A data set with a network, made by the functions of `ematheory.tasks`; a subclass is a frozen dataclass of its
    settings, which alone decide its data and, with a seed, its network.

    `scores_accuracy` says whether outputs are logits of classes, so that a share of right ones exists.
    """

    scores_accuracy = True

    def data(self) -> Split:
        """The examples, loaded once per process and setting."""
        raise NotImplementedError

    def network(self, seed: int, dtype: torch.dtype) -> torch.nn.Module:
        """The network at its start: drawn in float64 from `seed` alone, then rounded to `dtype`."""
        raise NotImplementedError

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss over a batch: cross-entropy in nats of logits (…, classes) unless a task says otherwise."""
        from torch.nn import functional

        return functional.cross_entropy(outputs.reshape(-1, outputs.shape[-1]), targets.reshape(-1))
