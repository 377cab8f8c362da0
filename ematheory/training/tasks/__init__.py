"""Tasks: a data set and a network to train on it, as records that are cheap to make and load their data when used."""

from __future__ import annotations

from .digits import DigitsPerceptron, digits_mlp, digits_scale_invariant
from .task import Split, Task

__all__ = ["DigitsPerceptron", "Split", "Task", "digits_mlp", "digits_scale_invariant"]
