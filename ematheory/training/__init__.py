"""Real training with `torch.optim`, and the cross-checks of the theory against it: the only package that imports torch.

Importing it costs nothing: torch and scikit-learn load on first use.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

FACE = {"Group": "groups", "RecordOptimizer": "record_optimizer", "track": "tracking.tracker", "train": "loop"}
MODULES = ("crosschecks", "tasks", "tracking")

__all__ = ["Group", "RecordOptimizer", "crosschecks", "tasks", "track", "tracking", "train"]


def require(module: str) -> None:
    """Raise `ModuleNotFoundError` naming the extra to install when `module` is not there."""
    if find_spec(module) is None:
        raise ModuleNotFoundError(
            f"training needs {module}, which is not installed: pip install 'ematheory[torch]'", name=module
        )


def __getattr__(name: str) -> Any:
    if name in FACE or name in MODULES:
        require("torch")
        module = import_module(f".{FACE.get(name, name)}", __name__)
        return getattr(module, name) if name in FACE else module
    raise AttributeError(f"ematheory.training has no {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
