"""Optimizers: one file each, holding its record and its one update function."""

from .adam import Adam
from .adamc import AdamC
from .adamp import AdamP
from .adamw import AdamW
from .ademamix import AdEMAMix
from .amos import Amos
from .lion import Lion
from .nadam import NAdam
from .optimizer import Optimizer, Time
from .rmsprop import RMSprop
from .schedule_free_adamw import ScheduleFreeAdamW
from .schedule_free_sgd import ScheduleFreeSGD
from .sgd import SGD
from .signsgd import SignSGD

# Those whose updates the native engine holds, and those that run on the NumPy reference alone.
RECORDS: tuple[type[Optimizer], ...] = (AdamW, Adam, SGD)
REFERENCE_ONLY: tuple[type[Optimizer], ...] = (
    AdEMAMix, AdamP, Amos, Lion, NAdam, RMSprop, ScheduleFreeAdamW, ScheduleFreeSGD, SignSGD,
)  # fmt: skip

__all__ = [
    "RECORDS",
    "REFERENCE_ONLY",
    "SGD",
    "AdEMAMix",
    "Adam",
    "AdamC",
    "AdamP",
    "AdamW",
    "Amos",
    "Lion",
    "NAdam",
    "Optimizer",
    "RMSprop",
    "ScheduleFreeAdamW",
    "ScheduleFreeSGD",
    "SignSGD",
    "Time",
]
