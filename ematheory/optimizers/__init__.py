"""Optimizers: one file each, holding its record and its one update function."""

from .adam import Adam
from .adamw import AdamW
from .optimizer import Optimizer, Time
from .sgd import SGD

RECORDS: tuple[type[Optimizer], ...] = (AdamW, Adam, SGD)

__all__ = ["RECORDS", "SGD", "Adam", "AdamW", "Optimizer", "Time"]
