"""Training recipes: the hyperparameters of a run with its batch, data and schedule"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .optimizers.adaptive import DEFAULT_BETAS, resolve_betas
from .records import NON_NEGATIVE, POSITIVE, UNIT, Interval, Record, as_field, check_choice
from .schedules import Constant, Schedule
from .typing import Field

if TYPE_CHECKING:
    from .timescales import Timescale

UNITS = ("tokens", "samples")


@dataclass(frozen=True, eq=False, repr=False)
class Recipe(Record):
    """An AdamW training run, as far as its timescale goes.

    Parameters
    ----------
    lr : the peak learning rate η, > 0.
    weight_decay : λ ≥ 0, per-LR decay (PyTorch: the old weight is multiplied by 1 − η_t λ).
    batch_size, dataset_size : in `unit`, > 0; `dataset_size` is one epoch's data.
    epochs : passes over the data, > 0; the run is epochs·dataset_size/batch_size steps.
    unit : ``"tokens"`` or ``"samples"``.
    width, depth : relative to the base model, > 0.
    parameters : the number of weights, or None.
    betas, eps : as for `AdamW`.
    ema : ρ, the decay of an average of the model's weights kept beside them, in [0, 1), or None.
    init_std : the standard deviation of the initial weights, or None.
    schedule : of the learning rate, over the whole run.

    Numbers may be sequences (sweep axes), as for `AdamW`.

    Raises
    ------
    ValueError : a value outside its range, a batch larger than the run, an unknown unit.
    TypeError : a value that is not a number, a schedule that is none.

    Example
    -------
    >>> Recipe(lr=3e-4, weight_decay=0.1, batch_size=4e6, dataset_size=2e12).steps
    500000.0
    """

    lr: Field
    weight_decay: Field
    batch_size: Field
    dataset_size: Field
    epochs: Field = 1.0
    unit: str = "tokens"
    width: Field = 1.0
    depth: Field = 1.0
    parameters: Any = None
    betas: Any = DEFAULT_BETAS
    eps: Field = 1e-8
    schedule: Schedule = Constant()
    beta1: Any = None
    beta2: Any = None
    ema: Any = None
    init_std: Any = None

    repeated = ("betas",)

    def __post_init__(self) -> None:
        check_choice("unit", self.unit, UNITS)
        if not isinstance(self.schedule, Schedule):
            raise TypeError(f"schedule must be a schedule such as Cosine(final=0.1), got {self.schedule!r}")
        resolve_betas(self)
        numbers: dict[str, Interval] = {"weight_decay": NON_NEGATIVE, "eps": NON_NEGATIVE}
        for name in ("lr", "batch_size", "dataset_size", "epochs", "width", "depth", "parameters", "init_std"):
            if getattr(self, name) is not None:
                numbers[name] = POSITIVE
        if self.ema is not None:
            numbers["ema"] = UNIT
        for name, allowed in numbers.items():
            object.__setattr__(self, name, as_field(name, getattr(self, name), allowed))
        if bool((self.steps < 1) if isinstance(self.steps, float) else (self.steps < 1).any()):
            raise ValueError(
                f"the run has less than one step: epochs·dataset_size/batch_size = {self.steps}; "
                f"batch_size and dataset_size are both in {self.unit}"
            )

    @classmethod
    def from_toml(cls, path: str | Path, name: str | None = None) -> Recipe:
        """The recipe in a TOML file, its keys at the top or in tables ``[[recipe]]``, of which `name` chooses one.

        The keys are those of the package's own recipes.toml: lr, weight_decay (PyTorch's), batch_size, dataset_size
        (tokens of the whole run), parameters, epochs, betas, eps and schedule, for instance
        ``schedule = { kind = "cosine", final = 0.1, warmup_steps = 2000 }``.

        Raises
        ------
        OSError : the file cannot be read.
        ValueError : no TOML; a key that is unknown or missing; an unknown name, or several recipes and no name.
        """
        from .published_recipes import recipe_in

        return recipe_in(Path(path), name)

    @classmethod
    def from_optimizer(
        cls,
        optimizer: Any,
        batch_size: float,
        dataset_size: float,
        *,
        epochs: float = 1.0,
        unit: str = "samples",
        schedule: Schedule | None = None,
        group: int | None = None,
    ) -> Recipe:
        """The recipe of a `torch.optim.AdamW` (or one with its interface) that trains on this data.

        The peak rate is the group's `initial_lr`, which torch's schedulers set, else its `lr`; `schedule` is Constant()
        unless given. Parameter groups without decay are passed over; `group` chooses among several that differ.

        Raises
        ------
        ValueError : an optimizer whose decay is L2, or independent of the rate (composer's), groups that differ and no
            `group`, or no group with decay.
        TypeError : no torch optimizer.

        Example
        -------
        >>> import torch
        >>> optimizer = torch.optim.AdamW(torch.nn.Linear(8, 8).parameters(), lr=1e-3, weight_decay=0.1)
        >>> Recipe.from_optimizer(optimizer, batch_size=64, dataset_size=64_000).timescale().peak.epochs
        10.0
        """
        from .torch_recipes import group_fields

        return cls(
            **group_fields(optimizer, group), batch_size=batch_size, dataset_size=dataset_size, epochs=epochs,
            unit=unit, schedule=schedule or Constant(),
        )  # fmt: skip

    @property
    def steps(self) -> Any:
        """T = epochs·dataset_size/batch_size, the steps of the run (not rounded)."""
        return self.epochs * self.dataset_size / self.batch_size  # type: ignore[operator]

    @property
    def steps_per_epoch(self) -> Any:
        """M = dataset_size/batch_size."""
        return self.dataset_size / self.batch_size  # type: ignore[operator]

    def timescale(self) -> Timescale:
        """What the decay averages over, at the peak rate and over the schedule: see `ematheory.timescales.Timescale`.

        Raises
        ------
        ValueError : lr·weight_decay ≥ 1, where no average is left to speak of; a warm-up longer than the run.

        Example
        -------
        >>> found = Recipe(lr=3e-4, weight_decay=0.1, batch_size=4e6, dataset_size=2e12).timescale()
        >>> round(found.peak.steps), round(found.peak.run_fraction, 4)
        (33333, 0.0667)
        """
        # The one import against the chain: the noun offers the verb that people look for on it.
        from .timescales import timescale

        return timescale(self)
