"""Next-token prediction by a small GPT: windows of a token stream, whichever text it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...records import Interval, check_whole
from .scalable import ScalableTask

if TYPE_CHECKING:
    import torch

    from ..networks import GPT


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LanguageTask(ScalableTask):
    """nanoGPT's architecture on windows of `context` tokens that do not overlap; `heads` heads; `bias` as GPT-2 has.

    An example is `context` tokens and, as targets, the same shifted by one. `train_tokens` limits training to the
    first so many targets N (rounded down to whole windows). One pass is `epochs=1`.
    """

    context: int = 32
    heads: int = 4
    bias: bool = False
    scale_invariant: bool = False
    train_tokens: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("context", self.context, Interval(1))
        self.check_heads(self.heads)
        self.check_free_scale(self.scale_invariant)
        if self.train_tokens is not None:
            check_whole("train_tokens", self.train_tokens, Interval(self.context))

    def vocabulary(self) -> int:
        """How many different tokens there are."""
        raise NotImplementedError

    def network(self, seed: int, dtype: torch.dtype) -> GPT:
        """The network at its start: drawn in float64 from `seed` alone, then rounded to `dtype`."""
        from ..networks import GPT

        return GPT(
            self.vocabulary(), self.context, self.width, self.depth, self.heads, seed, dtype,
            bias=self.bias, scale_invariant=self.scale_invariant, width_ratio=self.width_ratio,
        )  # fmt: skip

    def windows(self, stream: Any, limit: int | None = None) -> tuple[Any, Any]:
        """Inputs and targets, two views of shape (windows, context) on a 1-D array of tokens.

        Raises `ValueError` when the stream is shorter than one window, or than `limit` targets.
        """
        available = len(stream) - 1
        if available < self.context:
            raise ValueError(f"context {self.context} needs at least {self.context + 1} tokens, got {len(stream)}")
        if limit is not None and limit > available:
            raise ValueError(f"train_tokens must be at most {available}, the tokens there are, got {limit}")
        rows = (available if limit is None else limit) // self.context
        return tuple(stream[i : i + rows * self.context].reshape(rows, self.context) for i in (0, 1))
