"""What a torch optimizer says of its recipe, read from its parameter groups; torch itself is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .conventions import CONVENTIONS, INDEPENDENT

Group = Mapping[str, Any]


def group_fields(optimizer: Any, group: int | None = None) -> dict[str, Any]:
    """lr, weight_decay, betas, eps and parameters of a torch optimizer; see `Recipe.from_optimizer`."""
    groups = getattr(optimizer, "param_groups", None)
    if not isinstance(groups, list) or not groups:
        raise TypeError(f"optimizer must be a torch optimizer, which has param_groups, got {optimizer!r}")
    refuse_l2(optimizer, groups)
    refuse_independent(optimizer)
    chosen = chosen_group(groups, group)
    parameters = sum(weight.numel() for each in groups for weight in each["params"])
    return {
        "lr": peak(chosen), "weight_decay": float(chosen["weight_decay"]), "parameters": float(parameters),
        **({"betas": tuple(map(float, chosen["betas"]))} if "betas" in chosen else {}),
        **({"eps": float(chosen["eps"])} if "eps" in chosen else {}),
    }  # fmt: skip


def refuse_l2(optimizer: Any, groups: list[Group]) -> None:
    """torch marks AdamW's groups; other packages' optimizers are taken at their word when their name has AdamW's W."""
    name = type(optimizer).__name__
    marked = [each.get("decoupled_weight_decay") for each in groups]
    if any(mark is False for mark in marked) or (None in marked and not name.endswith("W")):
        raise ValueError(
            f"{name} adds its weight_decay to the gradient (L2), or does not say that it does not: its weights are no "
            "moving average with a timescale 1/(ηλ); use torch.optim.AdamW, or give Recipe(lr=…, weight_decay=…) "
            "yourself"
        )


def refuse_independent(optimizer: Any) -> None:
    """By the class or one that it extends: the λ of these frameworks is a recipe's ηλ."""
    for kind in type(optimizer).__mro__:
        found = CONVENTIONS.get(f"{kind.__module__.split('.')[0]}.{kind.__name__}")
        if found is not None and found.multiplies == INDEPENDENT:
            raise ValueError(
                f"{found.framework}'s weight_decay is not multiplied by the learning rate, as a recipe's is: give "
                "Recipe(lr=…, weight_decay=…) yourself, with its weight_decay over its peak lr"
            )


def chosen_group(groups: list[Group], group: int | None) -> Group:
    """The group asked for, or the one whose rate and decay all that decay share."""
    if group is not None:
        if not -len(groups) <= group < len(groups):
            raise ValueError(f"group must be one of the {len(groups)} parameter groups, got {group}")
        return groups[group]
    decaying = [each for each in groups if float(each["weight_decay"]) > 0]
    if not decaying:
        raise ValueError("no parameter group has weight decay; give group= to choose one all the same")
    kinds = {(peak(each), float(each["weight_decay"])) for each in decaying}
    if len(kinds) > 1:
        listed = "; ".join(
            f"group {n}: lr {peak(each):g}, weight_decay {float(each['weight_decay']):g}"
            for n, each in enumerate(groups)
        )
        raise ValueError(f"the parameter groups differ: give group=, one of {listed}")
    return decaying[0]


def peak(group: Group) -> float:
    return float(group.get("initial_lr", group["lr"]))
