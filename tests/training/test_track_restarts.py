"""Trackers whose run is saved and loaded, and those that are detached."""

import numpy as np
import pytest
import torch
import xarray as xr
from tracked_loops import falling, parameter, steps, white

import ematheory as em

pytestmark = pytest.mark.filterwarnings("ignore:.*(timescale|weight_decay|bfloat16|average):UserWarning")


def test_a_resumed_tracker_goes_on_with_the_same_numbers(tmp_path):
    def begun():
        weights = [parameter(5, 5), parameter(5, seed=1)]
        optimizer = torch.optim.AdamW(weights, lr=0.02, weight_decay=0.5)
        return optimizer, falling(optimizer, 60), em.track(optimizer, steps=60, every=10)

    whole, schedule, tracker = begun()
    steps(whole, 60, white(), schedule)
    expected = tracker.dataset()

    first, schedule, tracker = begun()
    source = white()
    steps(first, 33, source, schedule)
    torch.save({"optimizer": first.state_dict(), "tracker": tracker.state_dict()}, tmp_path / "state.pt")
    second, schedule_again, tracker = begun()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    for old, new in zip(first.param_groups[0]["params"], second.param_groups[0]["params"], strict=True):
        new.data.copy_(old.data)
    second.load_state_dict(state["optimizer"])
    schedule_again.load_state_dict(schedule.state_dict())
    tracker.load_state_dict(state["tracker"])
    steps(second, 27, source, schedule_again)
    xr.testing.assert_identical(tracker.dataset().drop_attrs(), expected.drop_attrs())


def test_the_optimizers_own_state_may_be_loaded_under_it():
    optimizer = torch.optim.AdamW([parameter(5)], lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=5) as tracker:
        steps(optimizer, 5)
        optimizer.load_state_dict(optimizer.state_dict())
        steps(optimizer, 5)
    np.testing.assert_allclose(tracker.dataset().initial_weight_left[-1, 0], 0.95**10, rtol=1e-12)


def test_a_state_of_other_tensors_is_refused():
    states = [em.track(torch.optim.AdamW([parameter(*shape)])) for shape in ((5,), (6,))]
    with pytest.raises(ValueError, match=r"shape \(5,\) for tensor 0, the optimizer's '0\.0' has \(6,\)"):
        states[1].load_state_dict(states[0].state_dict())
    two = em.track(torch.optim.AdamW([parameter(5), parameter(6)]))
    with pytest.raises(ValueError, match="of 1 tensors, the optimizer holds 2"):
        two.load_state_dict(states[0].state_dict())


def test_a_state_of_the_same_tensors_in_other_groups_is_refused():
    def of(groups):
        return em.track(torch.optim.AdamW([{"params": group} for group in groups], lr=0.1))

    weights = [parameter(5), parameter(5, seed=1)]
    whole, parted = of([weights]), of([[weight] for weight in weights])
    for one, other, words in ((whole, parted, "in group 0.*in group 1"), (parted, whole, "in group 1.*in group 0")):
        with pytest.raises(ValueError, match=f"tensor 1 {words}"):
            other.load_state_dict(one.state_dict())


def test_after_detach_nothing_is_followed():
    optimizer = torch.optim.AdamW([parameter(5)], lr=0.1)
    with em.track(optimizer, every=1) as tracker:
        steps(optimizer, 2)
    steps(optimizer, 2)
    assert tracker.count == 2
    assert not optimizer._optimizer_step_pre_hooks


def changed(**given):
    """What turns a state into another."""
    return lambda state: {**state, **given}


def without(name):
    return lambda state: {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda state: None, TypeError, "state_dict.* returned, got NoneType"),
        (lambda state: [state], TypeError, "got list"),
        (lambda state: {}, ValueError, "version 2 is needed, got None; .*not the optimizer's"),
        (lambda state: {"version": 1}, ValueError, "version 2 is needed, got 1"),
        (lambda state: {"version": 2}, ValueError, "lacks count, lines, warned, class, peaks, histories, tensors"),
        (without("histories"), ValueError, "the tracker's state lacks histories"),
        (changed(tensors=[{"shape": [5]}]), ValueError, "tensor 0 of .* lacks group, places"),
        (changed(tensors=[3]), ValueError, "tensor 0 of .* lacks shape"),
        (changed(histories=[{}]), ValueError, "history 0 of .* lacks steps"),
        (changed(histories=[]), ValueError, "the tracker's state lacks history 0"),
        (changed(peaks=[0.1, 0.1]), ValueError, "of 2 groups, the optimizer has 1"),
        (changed(**{"class": "SGD"}), ValueError, "state is of SGD, the optimizer is AdamW"),
    ],
)
def test_what_is_no_state_of_this_run_is_refused_and_changes_nothing(change, error, words):
    optimizer = torch.optim.AdamW([parameter(5)], lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=2) as tracker:
        steps(optimizer, 3)
        with pytest.raises(error, match=words):
            tracker.load_state_dict(change(tracker.state_dict()))
        steps(optimizer, 3)
    np.testing.assert_allclose(tracker.dataset().initial_weight_left[-1, 0], 0.95**6, rtol=1e-12)


def test_the_optimizers_own_state_is_no_trackers():
    optimizer = torch.optim.AdamW([parameter(5)], lr=0.1)
    with pytest.raises(ValueError, match="not the optimizer's"):
        em.track(optimizer).load_state_dict(optimizer.state_dict())


def test_a_resumed_tracker_may_have_another_name():
    optimizer = torch.optim.AdamW([parameter(5)], lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=2) as first:
        steps(optimizer, 4)
    with em.track(optimizer, every=2, name="body") as second:
        second.load_state_dict(first.state_dict())
        steps(optimizer, 4)
    found = second.dataset()
    assert found.attrs["optimizer"] == "body"
    assert found.step.values.tolist() == [0, 2, 4, 6, 8]
    np.testing.assert_allclose(found.initial_weight_left[-1, 0], 0.95**8, rtol=1e-12)
