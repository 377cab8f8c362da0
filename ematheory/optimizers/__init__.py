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

# Those whose updates take each coordinate by itself, and those that take sums over a vector.
RECORDS: tuple[type[Optimizer], ...] = (
    AdamW, Adam, SGD, AdEMAMix, Lion, NAdam, RMSprop, ScheduleFreeAdamW, ScheduleFreeSGD, SignSGD,
)  # fmt: skip
COUPLED: tuple[type[Optimizer], ...] = (AdamP, Amos)


def is_traced(optimizer: Optimizer, kinds: tuple[type[Optimizer], ...] = RECORDS) -> bool:
    """Whether the optimizer steps as one of these records does: its functions are theirs, not a subclass's own."""
    own = ("State", "Coefficients", "update", "point", "variant")
    return any(
        isinstance(optimizer, kind) and all(getattr(type(optimizer), name) is getattr(kind, name) for name in own)
        for kind in kinds
    )


__all__ = [
    "COUPLED",
    "RECORDS",
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
