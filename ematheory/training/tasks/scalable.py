"""Tasks whose network has a width and a depth: the settings that they share, and their checks."""

from __future__ import annotations

from dataclasses import dataclass

from ...records import Interval, check_choice, check_whole
from .task import Task, check_not_swept

PARAMETRIZATIONS = ("standard", "mup")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ScalableTask(Task):
    """A task with a network of some `width` and `depth`.

    `parametrization="mup"` draws weights and scales outputs and attention so that what a learning rate does at
    `base_width` (by default the task's usual width) it does at every width, with `lr_multipliers` (arXiv 2203.03466).
    """

    width: int
    depth: int
    parametrization: str = "standard"
    base_width: int | None = None

    def __post_init__(self) -> None:
        check_not_swept(**self.field_values())
        check_whole("width", self.width, Interval(1))
        check_whole("depth", self.depth, Interval(0))
        check_choice("parametrization", self.parametrization, PARAMETRIZATIONS)
        if self.parametrization == "mup" and self.base_width is None:
            object.__setattr__(self, "base_width", self.usual_width())
        if self.base_width is not None:
            if self.parametrization == "standard":
                raise ValueError(f"base_width belongs to parametrization='mup', got {self.base_width} with 'standard'")
            check_whole("base_width", self.base_width, Interval(1))

    def usual_width(self) -> int:
        """The width that muP starts from where none is given."""
        raise NotImplementedError

    @property
    def width_ratio(self) -> float:
        """muP's m: width / base_width, and 1 in the standard parametrization."""
        return 1.0 if self.base_width is None else self.width / self.base_width

    def check_free_scale(self, scale_invariant: bool) -> None:
        """Raise `ValueError` for muP with weights whose scale does not matter: it is about that scale."""
        if not isinstance(scale_invariant, bool):
            raise TypeError(f"scale_invariant must be True or False, got {scale_invariant!r}")
        if scale_invariant and self.parametrization == "mup":
            raise ValueError(
                "scale_invariant=True divides weights by their norms, so that muP's starting weights mean nothing; "
                "use parametrization='standard' with it"
            )

    def check_heads(self, heads: int | None) -> None:
        """Raise unless the attention heads divide the width (and muP's base width)."""
        heads = check_whole("heads", heads, Interval(1))
        for name, width in (("width", self.width), ("base_width", self.base_width)):
            if width is not None and width % heads:
                raise ValueError(f"heads must divide {name}, got {heads} heads and {name} {width}")


def check_train_size(train_size: int | None, available: int) -> int:
    """How many of the available training examples are used. Raises `TypeError` or `ValueError` beyond them."""
    if train_size is None:
        return available
    return check_whole("train_size", train_size, Interval(1, available, closed_high=True))
