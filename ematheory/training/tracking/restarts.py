"""What of a tracker survives a restart: its tensors' starts and pasts, as plain numbers, words and tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .following import Following
from .forecast import Flow
from .history import History
from .measuring import Start

STATE_VERSION = 2
OF_STATE = ("count", "lines", "warned", "class", "peaks", "histories", "tensors")
OF_TENSOR = ("shape", "group", "places", "weights", "square", "history", "flow")
OF_HISTORY = ("steps", "moments", "kept", "response")
OF_THE_SAME_RUN = "load it with the optimizer and the parameter groups of the run that saved it"


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
        "class": type(following.optimizer).__name__,
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


def check_state(state: Any, following: Following) -> None:
    """Raise `TypeError` for what is no tracker's state, and `ValueError` for the state of another run."""
    if not isinstance(state, Mapping):
        raise TypeError(
            f"load_state_dict needs the dict that a tracker's state_dict() returned, got {type(state).__name__}"
        )
    if state.get("version") != STATE_VERSION:
        raise ValueError(
            f"a tracker's state of version {STATE_VERSION} is needed, got {state.get('version')!r}; give what a "
            "tracker's state_dict() returned, not the optimizer's"
        )
    check_members("the tracker's state", state, OF_STATE)
    for number, each in enumerate(state["tensors"]):
        check_members(f"tensor {number} of the tracker's state", each, OF_TENSOR)
    for number, each in enumerate(state["histories"]):
        check_members(f"history {number} of the tracker's state", each, OF_HISTORY)
    if lost := {each["history"] for each in state["tensors"]} - set(range(len(state["histories"]))):
        raise ValueError(f"the tracker's state lacks history {min(lost)}; give what state_dict() returned, whole")
    if state["class"] != (own := type(following.optimizer).__name__):
        raise ValueError(f"the tracker's state is of {state['class']}, the optimizer is {own}; {OF_THE_SAME_RUN}")
    check_tensors(state, following)


def check_members(what: str, found: Any, needed: Collection[str]) -> None:
    missing = [name for name in needed if not isinstance(found, Mapping) or name not in found]
    if missing:
        raise ValueError(f"{what} lacks {', '.join(missing)}; give what a tracker's state_dict() returned, whole")


def check_tensors(state: Mapping[str, Any], following: Following) -> None:
    """Raise `ValueError` where they are not those that the optimizer holds, in the same groups."""
    tracked = following.tracked
    groups, now = [each["group"] for each in state["tensors"]], [each.group for each in tracked]
    kept, here = [tuple(each["shape"]) for each in state["tensors"]], [tuple(each.tensor.shape) for each in tracked]
    if kept != here:
        where = next((i for i, pair in enumerate(zip(kept, here, strict=False)) if pair[0] != pair[1]), None)
        what = (
            f"of {len(kept)} tensors, the optimizer holds {len(here)}" if where is None
            else f"of shape {kept[where]} for tensor {where}, the optimizer's {tracked[where].name!r} has {here[where]}"
        )  # fmt: skip
        raise ValueError(f"the tracker's state is {what}; {OF_THE_SAME_RUN}")
    if groups != now:
        place = next(i for i, pair in enumerate(zip(groups, now, strict=True)) if pair[0] != pair[1])
        raise ValueError(
            f"the tracker's state has tensor {place} in group {groups[place]}, the optimizer has it in group "
            f"{now[place]}; {OF_THE_SAME_RUN}"
        )
    if len(state["peaks"]) != len(following.peaks):
        raise ValueError(
            f"the tracker's state is of {len(state['peaks'])} groups, the optimizer has {len(following.peaks)}; "
            f"{OF_THE_SAME_RUN}"
        )
