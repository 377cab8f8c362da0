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
import xarray as xr
from torch import Tensor

from ..optimizers import COUPLED, RECORDS, SGD, Adam, AdamC, AdamW, NAdam, Optimizer, RMSprop, is_traced
from ..optimizers.decay import CORRECTED, INDEPENDENT, L2
from ..optimizers.optimizer import SymbolicTime
from ..records import Grid, grid
from ..schedules import multipliers
from ..typing import FloatArray
from .record_optimizer import RecordOptimizer

# Those that torch.optim has, apart from the words that only records know.
TORCH = (AdamW, Adam, SGD, NAdam, RMSprop)


def check_supported(record: Any) -> None:
    """Raise `TypeError` unless this is an optimizer record: torch.optim's, or one that steps by its own `update`."""
    if not isinstance(record, Optimizer):
        raise TypeError(f"train needs an optimizer record such as AdamW(lr=1e-3), got {told(record)}")


def told(given: Any) -> str:
    """What was given instead of a record, in one line, and the record that was meant."""
    kind = given if isinstance(given, type) else type(given)
    known = {each.__name__ for each in (*RECORDS, *COUPLED, AdamC)}
    if issubclass(kind, Optimizer):
        return f"the class {kind.__name__}: call it, {kind.__name__}(lr=…)"
    if not issubclass(kind, torch.optim.Optimizer):
        return repr(given)
    what = f"{'the class' if kind is given else 'an instance of'} {kind.__module__}.{kind.__name__}"
    if isinstance(given, RecordOptimizer):
        return f"{what}: give its record, {given.record!r}"
    if kind.__name__ in known:
        return f"{what}: write ematheory.{kind.__name__}(lr=…, weight_decay=…), which describes it"
    return f"{what}, which no record describes; there are {', '.join(sorted(known))}"


def torch_has(record: Any) -> bool:
    """Whether torch.optim has this optimizer with this decay, so that its own implementation trains."""
    if not is_traced(record, TORCH):
        return False
    if isinstance(record, AdamW):
        return record.bias_correction and record.eps_placement == "outside" and record.variant == "adamw"
    if isinstance(record, SGD):
        return bool(record.decay == L2)
    return not isinstance(record, NAdam) or record.variant in ("nadam_l2", "nadam_per_lr")


def check_foreach(foreach: Any, record: Any) -> bool | None:
    """Torch's choice of implementation.

    Raises `TypeError` for what is none, and `ValueError` where there is no choice: the record's own update trains.
    """
    if not (foreach is None or isinstance(foreach, bool)):
        raise TypeError(f"foreach must be True, False or None, got {foreach!r}")
    if foreach is not None and not torch_has(record):
        raise ValueError(
            f"foreach={foreach} chooses among torch.optim's implementations, and this {type(record).__name__} trains "
            "by its record's own update, which has but one; leave foreach out"
        )
    return foreach


def keeps_update(record: Any) -> bool:
    """Whether `read_update` can read u from torch's own state (and the gradients)."""
    return torch_has(record) and isinstance(record, AdamW | Adam | SGD)


def check_in_torch(record: Any) -> None:
    """Raise `ValueError` or `TypeError` unless `read_update` reads this optimizer, with the reason."""
    check_supported(record)
    if not keeps_update(record):
        raise ValueError(
            f"a cross-check reads the update from the state of torch.optim's AdamW, Adam or SGD, got {record!r}: "
            "use one of these (decay='cautious', AdamW's bias_correction, eps_placement and decay_order, and SGD's "
            "decay but L2 are not torch's); train() trains any record"
        )


def at_points(record: Optimizer, over: Grid) -> list[Any]:
    """The record at each point of the grid, with plain numbers for fields."""
    columns = {
        name: over.flat(value)
        for name, value in record.field_values().items()
        if isinstance(value, float | xr.DataArray)
    }
    points = []
    for i in range(over.points):
        fields: dict[str, Any] = {name: float(column[i]) for name, column in columns.items()}
        if "beta1" in fields and hasattr(record, "betas"):
            fields["betas"] = (fields["beta1"], fields["beta2"])
        points.append(record.substituted(**fields))
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
    """What changes over a run, one value per step, shape (T,): η_k, the group's weight_decay λ_k, and α_k.

    `multiplier` and `decay_multiplier` are the schedules' own values, which do not depend on the record.
    """

    lr: FloatArray
    weight_decay: FloatArray
    decay_per_step: FloatArray
    multiplier: FloatArray
    decay_multiplier: FloatArray

    @property
    def steps(self) -> int:
        return len(self.lr)


def plan(record: Any, steps: int, schedule: Any = None, decay_schedule: Any = None) -> Plan:
    """The plan of a run of `steps` steps of a record with plain numbers for fields.

    λ_k is the number to put into torch's param group. Where η_k = 0 the weight stays, whatever λ_k is; it is 0 there
    for conventions other than per LR. α_k is 0 for L2, which does not multiply the weight.
    """
    return planned(record, multipliers(schedule, steps), multipliers(decay_schedule, steps, "decay_schedule"))


def planned(record: Any, shape: FloatArray, decay_shape: FloatArray) -> Plan:
    """`plan` from the schedules' multipliers."""
    steps = len(shape)
    lr, weight_decay = record.lr * shape, record.weight_decay * decay_shape
    decay = np.asarray(record.decay_per_step(SymbolicTime(np.arange(1, steps + 1), lr, weight_decay, shape)))
    if getattr(record, "decay", "") in (INDEPENDENT, CORRECTED) and torch_has(record):
        weight_decay = np.divide(decay, lr, out=np.zeros(steps), where=lr > 0)
    return Plan(lr, weight_decay, decay, shape, decay_shape)


def build(record: Any, parameters: Iterable[Any], foreach: bool | None = None) -> torch.optim.Optimizer:
    """The torch optimizer of a record with plain numbers for fields, of parameters or param groups.

    torch.optim's own where it has one, else the record's `update` by `RecordOptimizer`. Raises as `check_supported` and
    `check_foreach`.
    """
    check_supported(record)
    check_foreach(foreach, record)
    if not torch_has(record):
        return RecordOptimizer(parameters, record)
    common: dict[str, Any] = {"lr": record.lr, "weight_decay": record.weight_decay, "foreach": foreach}
    if isinstance(record, SGD):
        return torch.optim.SGD(parameters, momentum=momentum_of(record), nesterov=record.nesterov, **common)
    if isinstance(record, RMSprop):
        common.update(alpha=record.beta2, momentum=record.momentum, eps=record.eps)
        return torch.optim.RMSprop(parameters, **common)
    common.update(betas=(record.beta1, record.beta2), eps=record.eps)
    if isinstance(record, NAdam):
        psi, per_lr = record.momentum_decay, record.decay != L2
        return torch.optim.NAdam(parameters, momentum_decay=psi, decoupled_weight_decay=per_lr, **common)
    return (torch.optim.AdamW if isinstance(record, AdamW) else torch.optim.Adam)(parameters, **common)


def momentum_of(record: SGD) -> float:
    return float(np.asarray(record.momentum))


def set_step(optimizer: torch.optim.Optimizer, run: Plan, k: int) -> None:
    """Give every param group what step k = 1…T uses."""
    set_group_steps(optimizer, [run] * len(optimizer.param_groups), k)


def set_group_steps(optimizer: torch.optim.Optimizer, plans: Sequence[Plan], k: int) -> None:
    """Give each param group what step k = 1…T of its own plan uses."""
    for group, own in zip(optimizer.param_groups, plans, strict=True):
        group["lr"] = float(own.lr[k - 1])
        group["weight_decay"] = float(own.weight_decay[k - 1])


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
    check_in_torch(record)
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
