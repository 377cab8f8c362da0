"""What of a tracker survives a restart: its tensors' starts and pasts, as plain numbers, words and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .following import Following
from .forecast import Flow
from .history import History
from .measuring import Start

STATE_VERSION = 2


def kept(following: Following) -> dict[str, Any]:
    """What `put_back` takes."""
    histories = list({id(each.history): each.history for each in following.tracked}.values())
    places = {id(history): place for place, history in enumerate(histories)}
    tensors = [
        {
            "shape": list(each.tensor.shape),
            "group": each.group,
            "places": each.start.shifted(0),
            "weights": each.start.weights,
            "square": each.start.square,
            "history": places[id(each.history)],
            "flow": list(each.flow),
        }
        for each in following.tracked
    ]
    return {
        "peaks": list(following.peaks), "histories": [history.state() for history in histories], "tensors": tensors
    }  # fmt: skip


def put_back(following: Following, state: Mapping[str, Any]) -> None:
    """Give the tensors the starts and the pasts that they had."""
    following.peaks = list(state["peaks"])
    owners = {each["history"]: each["group"] for each in state["tensors"]}
    histories = [History.restored(following.meanings[owners[i]], one) for i, one in enumerate(state["histories"])]
    for each, old in zip(following.tracked, state["tensors"], strict=True):
        each.start = Start(old["places"], old["weights"], old["square"])
        each.history, each.flow = histories[old["history"]], Flow(*old["flow"])
    following.join()


def check_state(state: Mapping[str, Any], following: Following) -> None:
    """Raise `ValueError` for the state of other tensors."""
    tracked = following.tracked
    if state.get("version") != STATE_VERSION:
        raise ValueError(f"a tracker's state of version {STATE_VERSION} is needed, got {state.get('version')!r}")
    groups, now = ([each["group"] for each in state["tensors"]], [each.group for each in tracked])
    kept, here = ([tuple(each["shape"]) for each in state["tensors"]], [tuple(each.tensor.shape) for each in tracked])
    if kept != here:
        where = next((i for i, pair in enumerate(zip(kept, here, strict=False)) if pair[0] != pair[1]), None)
        what = (
            f"of {len(kept)} tensors, the optimizer holds {len(here)}" if where is None
            else f"of shape {kept[where]} for tensor {where}, the optimizer's {tracked[where].name!r} has {here[where]}"
        )  # fmt: skip
        raise ValueError(f"the tracker's state is {what}; load it with the parameter groups of the run that saved it")
    if groups != now:
        place = next(i for i, pair in enumerate(zip(groups, now, strict=True)) if pair[0] != pair[1])
        raise ValueError(
            f"the tracker's state has tensor {place} in group {groups[place]}, the optimizer has it in group "
            f"{now[place]}; load it with the parameter groups of the run that saved it"
        )
