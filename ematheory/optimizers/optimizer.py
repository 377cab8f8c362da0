"""What every optimizer record provides, and the clock that its coefficients are made from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

from ..records import Record
from ..typing import Value


class Time(Protocol):
    """What depends on time, at step k = 1, 2, …: arrays on the host, symbols in a derivation.

    On the host each attribute broadcasts to shape (points, steps of this block).
    """

    @property
    def step(self) -> Value:
        """k, the number of this update, from 1."""

    @property
    def multiplier(self) -> Value:
        """s_k, the schedule's multiplier of the learning rate."""

    @property
    def lr(self) -> Value:
        """η_k = lr·s_k."""

    @property
    def weight_decay(self) -> Value:
        """λ_k: the record's weight_decay times the decay schedule's multiplier."""

    def power(self, base: Value) -> Value:
        """base^k, on the host by a running product so that its bits are the same everywhere."""


class Optimizer(Record):
    """A frozen record of hyperparameters with pure functions; see DESIGN.md's Update contract.

    Subclasses hold `State` and `Coefficients` (NamedTuples; a state's first field is `weight`) and define
    `coefficients`, `update` and `variants`. Inside `update` only + − × ÷, comparisons and `xp.sqrt`, `xp.where`,
    `xp.sign`, `xp.dot` appear, never arithmetic among coefficients and never an `if` on data; an `if` on the
    record's structural words (`decay`, `nesterov`) chooses between variants. A field that may be swept goes through
    `records.as_field` in `__post_init__`, which makes an axis of a list.
    """

    State: ClassVar[type[Any]]
    Coefficients: ClassVar[type[Any]]
    # Members of the state that depend on time alone.
    known_members: ClassVar[tuple[str, ...]] = ()
    # Members of the state that are one number for a whole vector.
    vector_members: ClassVar[tuple[str, ...]] = ()
    has_vectors = False

    lr: Any
    weight_decay: Any

    def initial(self, xp: Any, weight: Value) -> Any:
        """The state before the first update: the weight, and zeros of its shape."""
        zeros = (xp.zeros_like(weight) for _ in self.State._fields[1:])
        return self.State(weight, *zeros)

    def coefficients(self, xp: Any, time: Time) -> Any:
        """Everything that depends on time alone, in float64 on the host, or on symbols."""
        raise NotImplementedError

    def update(self, xp: Any, state: Any, gradient: Value, c: Any) -> Any:
        """The state after one step."""
        raise NotImplementedError

    def point(self, xp: Any, state: Any, c: Any) -> Value:
        """Where the gradient is taken: the weight, unless the optimizer says otherwise."""
        return state.weight

    def decay_per_step(self, time: Time) -> Value:
        """α_k: step k multiplies the old weight by 1 − α_k (0 where decay enters the gradient)."""
        return 0 * time.lr

    @property
    def decays_where_aligned(self) -> bool:
        """Whether a coordinate decays only where its update points against its weight, u·w ≥ 0 (cautious decay)."""
        return False

    @property
    def decays_after_step(self) -> bool:
        """Whether decay multiplies the new weight, w' = (1 − α)(w − ηu), and not the old one."""
        return False

    @property
    def variant(self) -> str:
        """The name of this record's update among `variants()`: the native engine's kernel."""
        raise NotImplementedError

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        """One record for each update function that the structural words give, by its name."""
        raise NotImplementedError


class SymbolicTime(NamedTuple):
    """A clock of symbols: whatever is given stands for itself and `power` is an ordinary power."""

    step: Value
    lr: Value
    weight_decay: Value
    multiplier: Value = 1

    def power(self, base: Value) -> Value:
        return base**self.step
