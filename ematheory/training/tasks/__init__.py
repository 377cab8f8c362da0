"""Tasks: a data set and a network to train on it, as records that are cheap to make and load their data when used."""

from __future__ import annotations

from .digits import Digits, digits_mlp, digits_resnet, digits_scale_invariant, digits_vit
from .task import Split, Task
from .text import CharacterGPT, char_gpt

__all__ = [
    "CharacterGPT",
    "Digits",
    "Split",
    "Task",
    "char_gpt",
    "digits_mlp",
    "digits_resnet",
    "digits_scale_invariant",
    "digits_vit",
]
