"""What a task is: examples to train and to test on, a network, and the loss that it is trained with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from ...records import Record

if TYPE_CHECKING:
    import torch


class Split(NamedTuple):
    """Examples to train and to test on: arrays whose first axis counts examples, of NumPy, mapped from a file, or
    `ConvertedRows`, which convert what is taken; `inputs[index_array]` is a NumPy array for all of them.

    Inputs are float64 numbers or int64 tokens; targets are int64 classes (per example, or per token) or float64 values.
    """

    train_inputs: Any
    train_targets: Any
    test_inputs: Any
    test_targets: Any


class Task(Record):
    """A data set with a network, made by the functions of `ematheory.tasks`; a subclass is a frozen dataclass of its
    settings, which alone decide its data and, with a seed, its network.

    `scores_accuracy` says whether outputs are logits of classes, so that a share of right ones exists. `places` names
    the settings that only say where the data are.
    """

    scores_accuracy = True
    places: ClassVar[tuple[str, ...]] = ()

    def data(self) -> Split:
        """The examples, loaded once per process and setting."""
        raise NotImplementedError

    def network(self, seed: int, dtype: torch.dtype) -> torch.nn.Module:
        """The network at its start: drawn in float64 from `seed` alone, then rounded to `dtype`."""
        raise NotImplementedError

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The mean loss over a batch: cross-entropy in nats of logits (…, classes) unless a task says otherwise.

        Bfloat16 logits are widened to float32 first.
        """
        from torch.nn import functional

        logits = widened(outputs)
        return functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1))

    def lr_multipliers(self, network: torch.nn.Module, adaptive: bool = True) -> dict[str, float]:
        """What multiplies the learning rate of each parameter, by its name: all 1 but under muP.

        `adaptive` says whether the optimizer's step is free of the gradient's scale (Adam, Lion); SGD's is not.
        """
        from ..networks import Network

        if isinstance(network, Network):
            return network.lr_multipliers(adaptive)
        return {name: 1.0 for name, _ in network.named_parameters()}

    def scale_invariant_parameters(self, network: torch.nn.Module) -> tuple[str, ...]:
        """Names of parameters whose multiplication by any c > 0 leaves the function as it is, up to rounding."""
        from ..networks import Network

        return network.scale_invariant_parameters() if isinstance(network, Network) else ()


def check_not_swept(**settings: Any) -> None:
    """Raise `TypeError` for a setting with several values: only the optimizer's fields and the seeds are swept."""
    for name, value in settings.items():
        if np.ndim(value) and not isinstance(value, str):
            raise TypeError(
                f"{name} must be one value, got {' '.join(repr(value).split())}: only the optimizer's fields and seeds "
                "are swept; call train once for each value and join the results with xr.concat"
            )


def widened(outputs: torch.Tensor) -> torch.Tensor:
    """Bfloat16 outputs in float32, others as they are: a loss needs more than eight bits."""
    import torch

    return outputs.to(torch.float32) if outputs.dtype == torch.bfloat16 else outputs
