"""The tracker: what weight decay does to anyone's training run, step by step, beside what theory expects.

`track` hangs on an optimizer's step hooks; `huggingface.TrackCallback` and `lightning.TrackCallback` do it for those
trainers. `read` and `dataset` take the records up again, without torch.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
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


def require(*packages: str) -> None:
    """Raise `ModuleNotFoundError` naming the first of the packages when none of them is there."""
    if not any(find_spec(package) for package in packages):
        raise ModuleNotFoundError(
            f"TrackCallback needs {packages[0]}, which is not installed: pip install {packages[0]}", name=packages[0]
        )


def __dir__() -> list[str]:
    return __all__
