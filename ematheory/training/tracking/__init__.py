"""The tracker: what weight decay does to anyone's training run, step by step, beside what theory expects.

`track` hangs on an optimizer's step hooks; `huggingface.TrackCallback` and `lightning.TrackCallback` do it for those
trainers. `read` and `dataset` take the records up again, without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

FACE = {"track": "tracker", "Tracker": "tracker", "tensorboard": "sinks", "read": "lines", "dataset": "series"}
MODULES = ("huggingface", "lightning")

__all__ = ["Tracker", "dataset", "huggingface", "lightning", "read", "tensorboard", "track"]


def __getattr__(name: str) -> Any:
    if name in FACE:
        return getattr(import_module(f".{FACE[name]}", __name__), name)
    if name in MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"ematheory.training.tracking has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
