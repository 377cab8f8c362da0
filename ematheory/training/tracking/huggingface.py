"""The tracker as a callback of Hugging Face's Trainer: `TrackCallback`. transformers is imported when that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from . import require
from .tracker import Tracker, track

# Beside the optimizer's own state in each checkpoint folder.
STATE_FILE = "ematheory_tracker.pt"


class Tracking:
    """`Trainer(…, callbacks=[TrackCallback(out="run.jsonl")])` tracks the Trainer's optimizer.

    Steps, epochs and names come from the Trainer; `options` are those of `track` and go before them
    (`tokens_per_step`, `every`, `out`, …). The state is saved in each checkpoint folder, and a resumed run goes on
    from it. `tracker` is there once training has begun.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.tracker: Tracker | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        per_epoch = state.max_steps / state.num_train_epochs if state.num_train_epochs else None
        found = {"steps": state.max_steps, "steps_per_epoch": per_epoch, "names": given.get("model")}
        self.tracker = track(given["optimizer"], **{**found, **self.options})
        saved = checkpoint(args, state) / STATE_FILE
        if state.global_step and saved.exists():
            self.tracker.load_state_dict(torch.load(saved, map_location="cpu", weights_only=True))

    def on_save(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        folder = checkpoint(args, state)
        if self.tracker is not None and state.is_world_process_zero and folder.is_dir():
            torch.save(self.tracker.state_dict(), folder / STATE_FILE)

    def on_train_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        if self.tracker is not None:
            self.tracker.detach()


def checkpoint(args: Any, state: Any) -> Path:
    """The folder of the checkpoint of this step."""
    return Path(args.output_dir) / f"checkpoint-{state.global_step}"


def __getattr__(name: str) -> Any:
    """`TrackCallback`, made when first asked for: its base is transformers's own."""
    if name != "TrackCallback":
        raise AttributeError(f"{__name__} has no {name!r}; it has TrackCallback")
    require("transformers")
    from transformers import TrainerCallback

    made = type(name, (Tracking, TrainerCallback), {"__module__": __name__, "__doc__": Tracking.__doc__})
    globals()[name] = made
    return made
