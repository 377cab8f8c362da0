"""An optimizer record's own `update` as a torch.optim.Optimizer, for the optimizers that torch lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..optimizers import Optimizer
from ..optimizers.optimizer import SymbolicTime
from ..simulation import arrays
from . import tensors


class RecordOptimizer(torch.optim.Optimizer):
    """Steps parameters by a record's `update`; each parameter is one vector of its optimizer.

    Parameters
    ----------
    parameters : tensors, or torch's param groups; a group may have an `lr`, a `weight_decay` (λ in the record's own
        meaning) and a `peak_lr` of its own. The schedule's multiplier s_k is lr/peak_lr, so torch's schedulers work.
    record : any optimizer record with plain numbers for fields, such as `Lion` or a user's own.

    Coefficients are made in float64 and meet the tensors as scalars. A record that takes its gradient elsewhere than
    at the weight (schedule-free) needs `move_to_point()` before the gradient, or a closure; `step` moves back. While
    `watched` is True, `unrounded` has each parameter as the last step would leave it in float64, from the same state
    and gradient.

    Raises
    ------
    ValueError : a record with sweep axes.
    RuntimeError : a step of a record that takes its gradient elsewhere, without `move_to_point()` before it; sparse
        gradients.

    Example
    -------
    >>> from ematheory import Lion
    >>> weight = torch.ones(2, dtype=torch.float64, requires_grad=True)
    >>> optimizer = RecordOptimizer([weight], Lion(lr=0.1))
    >>> weight.square().sum().backward()
    >>> optimizer.step()
    >>> weight.tolist()
    [0.9, 0.9]
    """

    def __init__(self, parameters: Iterable[Any], record: Any) -> None:
        swept = [name for name, value in record.field_values().items() if hasattr(value, "dims")]
        if swept:
            raise ValueError(f"RecordOptimizer takes one number for each field, got sweep axes in {', '.join(swept)}")
        self.record = record
        self.moves = type(record).point is not Optimizer.point
        self.watched, self.unrounded = False, dict[Tensor, Tensor]()
        defaults = {"lr": record.lr, "weight_decay": record.weight_decay, "peak_lr": record.lr}
        super().__init__(parameters, defaults)

    def coefficients(self, group: dict[str, Any], step: int) -> Any:
        """What step k = 1, 2, … of a group needs of time, as Python's floats."""
        lr, peak = np.float64(group["lr"]), float(group["peak_lr"])
        multiplier = lr / peak if peak else np.float64(0)
        time = SymbolicTime(np.float64(step), lr, np.float64(group["weight_decay"]), multiplier)
        found = self.record.coefficients(arrays, time)
        return self.record.Coefficients(*map(float, found))

    def members(self, parameter: Tensor) -> dict[str, Any]:
        """The state of a parameter: the count of its steps and the record's members but the weight, as vectors."""
        state: dict[str, Any] = self.state[parameter]
        if not state:
            start = self.record.initial(tensors, parameter.detach().reshape(-1).clone())
            state["step"] = 0
            state.update({name: value for name, value in start._asdict().items() if name != "weight"})
        return state

    def record_state(self, parameter: Tensor, weight: Tensor) -> Any:
        state = self.members(parameter)
        return self.record.State(weight.detach().reshape(-1), *(state[name] for name in self.record.State._fields[1:]))

    @torch.no_grad()
    def move_to_point(self) -> None:
        """Put the parameters where the next gradient is to be taken; nothing where that is the weight itself."""
        for group in self.param_groups if self.moves else ():
            for parameter in group["params"]:
                state = self.members(parameter)
                if "kept_weight" in state:
                    continue
                c = self.coefficients(group, state["step"] + 1)
                point = self.record.point(tensors, self.record_state(parameter, parameter), c)
                state["kept_weight"] = parameter.detach().clone()
                parameter.copy_(point.reshape(parameter.shape))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient; returns the closure's loss."""
        loss = None
        self.unrounded.clear()
        if closure is not None:
            self.move_to_point()
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                self.step_parameter(group, parameter)
        return loss

    def step_parameter(self, group: dict[str, Any], parameter: Tensor) -> None:
        state = self.members(parameter)
        weight = state.pop("kept_weight", None) if self.moves else parameter
        if parameter.grad is None:
            if weight is not None:
                parameter.copy_(weight)
            return
        if weight is None:
            raise RuntimeError(
                f"{type(self.record).__name__} takes its gradient elsewhere than at the weight: call move_to_point() "
                "before the forward pass, or give step() a closure"
            )
        if parameter.grad.is_sparse:
            raise RuntimeError("RecordOptimizer has no sparse gradients; use dense ones (Embedding(sparse=False))")
        state["step"] += 1
        c = self.coefficients(group, state["step"])
        before, gradient = self.record_state(parameter, weight), parameter.grad.reshape(-1)
        if self.watched:
            exact = self.record.update(tensors, wide(before), gradient.to(torch.float64), c)
            self.unrounded[parameter] = exact.weight.reshape(parameter.shape)
        new = self.record.update(tensors, before, gradient, c)
        parameter.copy_(new.weight.reshape(parameter.shape))
        state.update({name: value for name, value in new._asdict().items() if name != "weight"})


def wide(state: Any) -> Any:
    """A record's state in float64."""
    return type(state)(*(values.to(torch.float64) for values in state))
