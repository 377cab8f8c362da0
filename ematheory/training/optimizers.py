"""From an optimizer record to the torch.optim optimizer that it describes, and from torch's state back to the update.

torch.optim.AdamW multiplies the old weight by 1 − lr·weight_decay. Per-LR decay is that; the other conventions are
reached by setting the group's weight_decay to α_k/η_k before step k, with α_k from the record's `decay_per_step`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..optimizers import SGD, Adam, AdamW, Optimizer
from ..optimizers.optimizer import SymbolicTime
from ..records import Grid, grid
from ..schedules import multipliers
from ..typing import FloatArray


def check_supported(record: Any) -> None:
    """Raise unless torch.optim has this optimizer, with the reason and what to use instead."""
    if not isinstance(record, AdamW | Adam | SGD):
        raise TypeError(f"train needs an AdamW, Adam or SGD record, got {record!r}")
    if isinstance(record, AdamW) and record.decay == "cautious":
        raise ValueError(
            "decay='cautious' masks the decay per weight, which torch.optim.AdamW cannot do: it multiplies every "
            "weight by one number; use 'per_lr', 'independent' or 'corrected', or simulate() for the cautious form"
        )
    if isinstance(record, SGD) and record.decay == "per_lr":
        raise ValueError(
            "decay='per_lr' is not torch.optim.SGD: its weight_decay is L2, added to the gradient; "
            "use decay='l2', or simulate() for the per-LR form"
        )


def at_points(record: Optimizer, over: Grid) -> list[Any]:
    """The record at each point of the grid, with plain numbers for fields."""
    names = [name for name in ("lr", "weight_decay", "momentum", "beta1", "beta2", "eps") if hasattr(record, name)]
    columns = {name: over.flat(getattr(record, name)) for name in names}
    points = []
    for i in range(over.points):
        numbers = {name: float(column[i]) for name, column in columns.items()}
        if "beta1" in numbers:
            numbers_with_pair: dict[str, Any] = {**numbers, "betas": (numbers["beta1"], numbers["beta2"])}
            points.append(record.substituted(**numbers_with_pair))
        else:
            points.append(record.substituted(**numbers))
    return points


def at_one_point(record: Optimizer) -> Any:
    """The record with plain numbers for fields. Raises `ValueError` for one with sweep axes."""
    over = grid(record)
    if over.points != 1:
        axes = ", ".join(map(str, over.dims))
        raise ValueError(f"a cross-check follows one run, got sweep axes {axes}; give one number for each")
    return at_points(record, over)[0]


@dataclass(frozen=True, eq=False)
class Plan:
    """What changes over a run, one value per step, shape (T,): η_k, torch's weight_decay λ_k, and α_k = η_k λ_k."""

    lr: FloatArray
    weight_decay: FloatArray
    decay_per_step: FloatArray

    @property
    def steps(self) -> int:
        return len(self.lr)


def plan(record: Any, steps: int, schedule: Any = None, decay_schedule: Any = None) -> Plan:
    """The plan of a run of `steps` steps of a record with plain numbers for fields.

    λ_k is the number to put into torch's param group. Where η_k = 0 the weight stays, whatever λ_k is; it is 0 there
    for conventions other than per LR. α_k is 0 for L2, which does not multiply the weight.
    """
    shape = multipliers(schedule, steps)
    lr = record.lr * shape
    weight_decay = record.weight_decay * multipliers(decay_schedule, steps)
    decay = np.asarray(record.decay_per_step(SymbolicTime(np.arange(1, steps + 1), lr, weight_decay, shape)))
    if isinstance(record, AdamW) and record.decay != "per_lr":
        weight_decay = np.divide(decay, lr, out=np.zeros(steps), where=lr > 0)
    return Plan(lr, weight_decay, decay)


def build(record: Any, parameters: Iterable[Tensor], foreach: bool | None = None) -> torch.optim.Optimizer:
    """The torch.optim optimizer of a record with plain numbers for fields. Raises as `check_supported`."""
    check_supported(record)
    common: dict[str, Any] = {"lr": record.lr, "weight_decay": record.weight_decay, "foreach": foreach}
    if isinstance(record, SGD):
        return torch.optim.SGD(parameters, momentum=momentum_of(record), nesterov=record.nesterov, **common)
    kind = torch.optim.AdamW if isinstance(record, AdamW) else torch.optim.Adam
    return kind(parameters, betas=(record.beta1, record.beta2), eps=record.eps, **common)


def momentum_of(record: SGD) -> float:
    return float(np.asarray(record.momentum))


def set_step(optimizer: torch.optim.Optimizer, run: Plan, k: int) -> None:
    """Give the param groups what step k = 1…T uses."""
    for group in optimizer.param_groups:
        group["lr"] = float(run.lr[k - 1])
        group["weight_decay"] = float(run.weight_decay[k - 1])


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """The tensors' elements as one float64 vector."""
    return torch.cat([tensor.detach().reshape(-1).to(torch.float64) for tensor in tensors])


def adam_update(record: Any, state: dict[str, Any]) -> Tensor:
    """u = m̂/(√v̂ + ε) of one parameter, in float64 from torch's exp_avg, exp_avg_sq and step."""
    k = float(state["step"])
    first = state["exp_avg"].to(torch.float64) / (1 - record.beta1**k)
    second = state["exp_avg_sq"].to(torch.float64) / (1 - record.beta2**k)
    return torch.as_tensor(first / (second.sqrt() + record.eps))


def read_update(
    record: Any,
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[Tensor],
    gradients: Sequence[Tensor] | None = None,
) -> Tensor:
    """u_k of every weight as one float64 vector, from torch's own state after `optimizer.step()`.

    The step added −η_k u_k to the weights, besides AdamW's decay. The state of SGD holds u only with momentum and
    without Nesterov's form; otherwise give `gradients`, the gradients before the step with their L2 term.
    Never computed from weight differences: with those the EMA identity could not fail.
    """
    states = [optimizer.state[parameter] for parameter in parameters]
    if not isinstance(record, SGD):
        return flat(adam_update(record, state) for state in states)
    momentum = momentum_of(record)
    if not momentum or record.nesterov:
        if gradients is None:
            raise ValueError("SGD without momentum, or with Nesterov's form, keeps no u in its state: give gradients")
        u = flat(gradients)
        return u + momentum * flat(state["momentum_buffer"] for state in states) if record.nesterov else u
    return flat(state["momentum_buffer"] for state in states)
