"""The tracker as a Lightning callback: `TrackCallback`. Lightning is imported when that is."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

from . import require
from .tracker import Tracker, track


class Tracking:
    """`Trainer(…, callbacks=[TrackCallback(out="run.jsonl")])` tracks each of the Trainer's optimizers.

    Steps, epochs and names come from the Trainer; `options` are those of `track` and go before them. The state is part
    of Lightning's checkpoints. `trackers` are there once training has begun.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.trackers: list[Tracker] = []
        self.saved: list[Any] = []

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        optimizers = trainer.optimizers
        several = len(optimizers) > 1
        found = {**planned(trainer, several), "names": pl_module}
        self.trackers = []
        for number, optimizer in enumerate(optimizers):
            name = {"name": f"{type(optimizer).__name__} {number}"} if several else {}
            self.trackers.append(track(optimizer, **{**found, **name, **self.options}))
        for tracker, state in zip(self.trackers, self.saved, strict=False):
            tracker.load_state_dict(state)

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        for tracker in self.trackers:
            tracker.detach()

    def state_dict(self) -> dict[str, Any]:
        return {"trackers": [tracker.state_dict() for tracker in self.trackers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.saved = state_dict["trackers"]


def planned(trainer: Any, several: bool) -> dict[str, Any]:
    """Steps in all and per epoch, as far as Lightning knows them; it cannot count those of several optimizers."""
    steps = math.inf if several else trainer.estimated_stepping_batches
    batches = trainer.num_training_batches
    per_epoch = None if several or not math.isfinite(batches) else batches / trainer.accumulate_grad_batches
    return {"steps": int(steps) if math.isfinite(steps) else None, "steps_per_epoch": per_epoch}


def __getattr__(name: str) -> Any:
    """`TrackCallback`, made when first asked for: its base is Lightning's own."""
    if name != "TrackCallback":
        raise AttributeError(f"{__name__} has no {name!r}; it has TrackCallback")
    require("lightning", "pytorch_lightning")
    if find_spec("lightning") is not None:
        from lightning.pytorch import Callback
    else:
        from pytorch_lightning import Callback

    made = type(name, (Tracking, Callback), {"__module__": __name__, "__doc__": Tracking.__doc__})
    globals()[name] = made
    return made
