"""The tracker as a callback of Hugging Face's Trainer; transformers is imported with this module, which loads late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from .tracker import Tracker, track

# Beside the optimizer's own state in each checkpoint folder.
STATE_FILE = "ematheory_tracker.pt"


class TrackCallback(TrainerCallback):  # type: ignore[misc]
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
