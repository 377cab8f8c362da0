"""Parameter groups: which parameters train with which multiples of the learning rate and of the decay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any

from ..records import NON_NEGATIVE, POSITIVE, Record, check_number
from .decay import Decay
from .optimizers import Plan, planned


@dataclass(frozen=True, eq=False, repr=False)
class Group(Record):
    """Parameters, by name, that train with a multiple of the optimizer's lr and weight_decay.

    Parameters
    ----------
    names : patterns of parameter names, `*` standing for anything, such as ``("*.bias", "embedding.weight")``.
    lr : multiplies the learning rate, > 0; the decay per step follows as the optimizer's convention says.
    weight_decay : multiplies λ, ≥ 0; 0 for no decay.

    Raises
    ------
    ValueError : a multiple outside its range, no names.
    TypeError : names that are no text.

    Example
    -------
    >>> Group(("biases.*", "head"), weight_decay=0)
    Group(names=('biases.*', 'head'), lr=1.0, weight_decay=0.0)
    """

    names: Sequence[str]
    lr: float = 1.0
    weight_decay: float = 1.0

    def __post_init__(self) -> None:
        names = (self.names,) if isinstance(self.names, str) else tuple(self.names)
        if not names:
            raise ValueError("a Group needs at least one pattern of parameter names, got none")
        for name in names:
            if not isinstance(name, str):
                raise TypeError(f"a Group's names must be patterns such as '*.bias', got {name!r}")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "lr", check_number("Group.lr", self.lr, POSITIVE))
        object.__setattr__(self, "weight_decay", check_number("Group.weight_decay", self.weight_decay, NON_NEGATIVE))

    def holds(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.names)


@dataclass(frozen=True, eq=False)
class Placed:
    """Parameters that share their multiples: a label, their places among all, and their own record and plan."""

    label: str
    members: tuple[int, ...]
    record: Any
    plan: Plan

    @cached_property
    def decay(self) -> Decay:
        """What the decay leaves of these parameters' weights."""
        return Decay(self.record, self.plan)


def checked_groups(groups: Any) -> tuple[Group, ...]:
    """The groups as a tuple. Raises `TypeError` for what is none."""
    found = tuple(groups) if isinstance(groups, Iterable) else (groups,)
    for group in found:
        if not isinstance(group, Group):
            raise TypeError(f"groups must be a list of Group records, such as Group(names=('*.bias',)), got {group!r}")
    return found


def placed(
    names: Sequence[str], groups: Sequence[Group], multipliers: Mapping[str, float], record: Any, plan: Plan
) -> list[Placed]:
    """Parameters by equal multiples, in order of first appearance; the first group that holds a name has it.

    `multipliers` are the task's own of the learning rate, by name (1 where missing). Raises `ValueError` for a pattern
    that holds no parameter.
    """
    check_patterns(names, groups)
    sharing: dict[tuple[float, float], list[int]] = {}
    for place, name in enumerate(names):
        group = next((group for group in groups if group.holds(name)), None)
        rate, decay = (group.lr, group.weight_decay) if group else (1.0, 1.0)
        sharing.setdefault((rate * multipliers.get(name, 1.0), decay), []).append(place)
    return [made(rate, decay, members, record, plan) for (rate, decay), members in sharing.items()]


def made(rate: float, decay: float, members: Sequence[int], record: Any, plan: Plan) -> Placed:
    own = record.substituted(lr=rate * record.lr, weight_decay=decay * record.weight_decay)
    own_plan = plan if rate == decay == 1 else planned(own, plan.multiplier, plan.decay_multiplier)
    return Placed(f"lr × {rate:g}, weight_decay × {decay:g}", tuple(members), own, own_plan)


def check_patterns(names: Sequence[str], groups: Sequence[Group]) -> None:
    for group in groups:
        for pattern in group.names:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise ValueError(f"the pattern {pattern!r} of a Group holds no parameter; there are {', '.join(names)}")
