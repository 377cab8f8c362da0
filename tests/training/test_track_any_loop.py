"""The tracker in whatever a training loop does to an optimizer, its tensors and its gradients."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest
import torch
from tracked_loops import parameter, steps, white

import ematheory as em

pytestmark = pytest.mark.filterwarnings("ignore:.*(timescale|weight_decay|bfloat16|average):UserWarning")


def test_a_tensor_without_a_gradient_does_not_decay():
    moving, still = parameter(5), parameter(5, seed=1)
    optimizer = torch.optim.AdamW([moving, still], lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=4) as tracker:
        for k in range(12):
            moving.grad = torch.zeros_like(moving)
            still.grad = None if 3 <= k < 9 else torch.zeros_like(still)
            optimizer.step()
    found = tracker.dataset()
    left = found.parameter_initial_weight_left
    np.testing.assert_allclose(left, found.parameter_initial_weight_left_measured, rtol=1e-12)
    np.testing.assert_allclose(left[-1], [0.95**12, 0.95**6], rtol=1e-12)


def test_parameters_may_join_mid_run():
    first, second = parameter(5), parameter(4, seed=1)
    optimizer = torch.optim.AdamW([first], lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=5) as tracker:
        steps(optimizer, 5)
        optimizer.add_param_group({"params": [second], "weight_decay": 1.0})
        steps(optimizer, 10)
    found = tracker.dataset()
    assert found.sizes["parameter"] == 2
    assert np.isnan(found.parameter_norm[1, 1])
    np.testing.assert_allclose(found.parameter_initial_weight_left[-1], [0.95**15, 0.9**10], rtol=1e-12)
    np.testing.assert_allclose(found.parameter_initial_weight_left_measured[-1], [0.95**15, 0.9**10], rtol=1e-12)


def test_closures_are_steps_like_any_other():
    weight = parameter(5)
    optimizer = torch.optim.SGD([weight], lr=0.1, weight_decay=0.5)

    def closure():
        optimizer.zero_grad()
        loss = 0 * weight.sum()
        loss.backward()
        return loss

    with em.track(optimizer, every=4) as tracker:
        for _ in range(8):
            optimizer.step(closure)
    found = tracker.dataset()
    np.testing.assert_allclose(found.initial_weight_left_measured[-1], 0.95**8, rtol=1e-12)
    np.testing.assert_allclose(found.initial_weight_left, found.initial_weight_left_measured, rtol=1e-12)


def test_an_optimizer_without_decay_of_its_own_is_tracked():
    weight = parameter(5)
    optimizer = torch.optim.LBFGS([weight], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (weight**2).sum()
        loss.backward()
        return loss

    with em.track(optimizer, every=1) as tracker:
        optimizer.step(closure)
    assert float(tracker.dataset().update_ratio[-1, 0]) > 0
    assert tracker.warnings == []


def test_sparse_gradients():
    table = torch.nn.Embedding(20, 3, sparse=True)
    for optimizer in (torch.optim.SGD(table.parameters(), lr=0.1), torch.optim.SparseAdam(table.parameters(), lr=0.1)):
        with em.track(optimizer, every=1, names=table) as tracker:
            table(torch.tensor([1, 2, 2])).sum().backward()
            optimizer.step()
        assert float(tracker.dataset().parameter_update_norm.sel(parameter="weight")[-1]) > 0


@pytest.mark.parametrize("fused", [False, True])
def test_steps_that_a_scaler_skips_are_none(fused):
    weight = parameter(5, dtype=torch.float32)
    optimizer = torch.optim.AdamW([weight], lr=0.1, weight_decay=0.5, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    with em.track(optimizer, every=4) as tracker:
        for k in range(13):
            weight.grad = torch.full_like(weight, math.inf if k in (2, 3, 5, 7) else 0.0)
            scaler.scale(torch.zeros(()))
            scaler.step(optimizer)
            scaler.update()
    found = tracker.dataset()
    assert tracker.count == 9
    assert found.step.values.tolist() == [0, 4, 8]
    np.testing.assert_allclose(found.initial_weight_left_measured, found.initial_weight_left, rtol=1e-6)
    assert float(found.initial_weight_left[-1, 0]) == pytest.approx(0.95**8)


def test_tied_weights_have_both_names():
    net = torch.nn.ModuleDict({"in": torch.nn.Embedding(4, 3), "out": torch.nn.Linear(3, 4, bias=False)})
    net["out"].weight = net["in"].weight
    optimizer = torch.optim.AdamW(net.parameters())
    with em.track(optimizer, every=1, names=net) as tracker:
        steps(optimizer, 1)
    assert list(tracker.dataset().parameter.values) == ["in.weight = out.weight"]


def test_weights_that_are_not_finite_are_told():
    weight = parameter(5)
    optimizer = torch.optim.AdamW([weight], lr=0.001, weight_decay=0.1)
    tracker = em.track(optimizer, every=1)
    steps(optimizer, 1, white())
    with pytest.warns(UserWarning, match="not finite at step 2"):
        steps(optimizer, 1, lambda weight: torch.full_like(weight, math.nan))
    assert np.isnan(tracker.dataset().rotation[-1, 0])


def test_tracking_changes_no_bit_of_the_training():
    ends = []
    for tracked in (False, True):
        optimizer = torch.optim.AdamW([parameter(50, 5)], lr=0.02, weight_decay=0.5)
        state = torch.get_rng_state()
        if tracked:
            em.track(optimizer, every=3, sample=10)
        with warnings.catch_warnings():
            steps(optimizer, 20, white())
        assert torch.equal(torch.get_rng_state(), state)
        ends.append(optimizer.param_groups[0]["params"][0].detach())
    assert torch.equal(*ends)


def replaced(optimizer, number=0, place=0, seed=9):
    """Put another tensor in the place of one, as loops do that resize an embedding."""
    old = optimizer.param_groups[number]["params"][place]
    new = parameter(*old.shape, seed=seed)
    optimizer.param_groups[number]["params"][place] = new
    return old, new


def test_a_tensor_that_takes_anothers_place_begins_anew():
    optimizer = torch.optim.AdamW([parameter(5), parameter(4, seed=1)], lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=4) as tracker:
        steps(optimizer, 6)
        old, new = replaced(optimizer)
        with pytest.warns(UserWarning, match=r"0\.0 is another tensor after step 6"):
            steps(optimizer, 6)
    found = tracker.dataset()
    assert found.parameter.values.tolist() == ["0.0", "0.1"]
    left = found.parameter_initial_weight_left
    np.testing.assert_allclose(left[-1], [0.95**6, 0.95**12], rtol=1e-12)
    np.testing.assert_allclose(found.parameter_initial_weight_left_measured, left, rtol=1e-12)
    assert float(found.parameter_norm[-1, 0]) == pytest.approx(float(new.detach().norm()), rel=1e-14)
    assert len(tracker.warnings) == 1
    assert not any(each.tensor is old for each in tracker.following.tracked)


def test_a_tensor_that_takes_anothers_place_has_its_name_in_the_model():
    net = torch.nn.ModuleDict({"in": torch.nn.Linear(3, 2), "out": torch.nn.Linear(2, 1, bias=False)}).double()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=2, names=net) as tracker:
        steps(optimizer, 2)
        _, net["in"].weight = replaced(optimizer)
        with pytest.warns(UserWarning, match=r"in\.weight is another tensor after step 2"):
            steps(optimizer, 2)
    assert tracker.dataset().parameter.values.tolist() == ["in.weight", "in.bias", "out.weight"]


def test_tensors_and_groups_may_leave():
    first, second, third = (parameter(3, seed=seed) for seed in range(3))
    groups = [{"params": [first], "lr": 0.4}, {"params": [second, third], "weight_decay": 1.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=2) as tracker:
        steps(optimizer, 3)
        optimizer.param_groups[1]["params"].remove(second)
        steps(optimizer, 3)
        optimizer.param_groups.pop(0)
        steps(optimizer, 4)
    found = tracker.dataset().isel(step=-1)
    # The last group is group 0 now, and its tensor keeps its name, its history and its peak.
    assert np.isnan(found.parameter_norm.sel(parameter=["0.0", "1.0"])).all()
    assert float(found.parameter_initial_weight_left.sel(parameter="1.1")) == pytest.approx(0.9**10, rel=1e-12)
    assert float(found.initial_weight_left_measured.sel(group="group 0")) == pytest.approx(0.9**10, rel=1e-12)
    assert tracker.following.peaks == [0.1]


def test_a_tensor_may_go_to_another_group():
    moved, kept = parameter(3), parameter(3, seed=1)
    optimizer = torch.optim.AdamW([moved, kept], lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=2) as tracker:
        steps(optimizer, 4)
        optimizer.param_groups[0]["params"].remove(moved)
        optimizer.add_param_group({"params": [moved], "weight_decay": 1.0})
        steps(optimizer, 4)
    found = tracker.dataset().isel(step=-1)
    left = found.parameter_initial_weight_left
    np.testing.assert_allclose(left.sel(parameter=["0.0", "0.1"]), [0.95**4 * 0.9**4, 0.95**8], rtol=1e-12)
    np.testing.assert_allclose(left, found.parameter_initial_weight_left_measured, rtol=1e-12)
    assert found.parameter_group.sel(parameter="0.0") == "group 1"


@pytest.mark.parametrize("first", ["theirs", "tracker"])
@pytest.mark.parametrize("every", [1, 4])
def test_a_hook_of_theirs_may_drop_the_gradients(first, every):
    """What a step did is read before any other hook after it, whichever was registered first."""
    weight = parameter(5)
    optimizer = torch.optim.SGD([weight], lr=0.1, weight_decay=0.5)
    if first == "theirs":
        optimizer.register_step_post_hook(lambda *_: optimizer.zero_grad(set_to_none=True))
    with em.track(optimizer, every=every) as tracker:
        if first == "tracker":
            optimizer.register_step_post_hook(lambda *_: optimizer.zero_grad(set_to_none=True))
        steps(optimizer, 8, white())
    found = tracker.dataset()
    assert weight.grad is None
    np.testing.assert_allclose(found.initial_weight_left[-1], 0.95**8, rtol=1e-12)
    # SGD's equilibrium is that of the recorded step's gradient.
    assert np.isfinite(found.weight_norm_equilibrium[-1])


@pytest.mark.parametrize("begun", [True, False])
def test_weights_may_be_cast_in_place(begun):
    """As model.double() casts them: a step too small for float32 is measured as that of a tracker begun afterwards."""
    weight = parameter(50, dtype=torch.float32)
    optimizer = torch.optim.SGD([weight], lr=1e-10)
    with em.track(optimizer, every=1) as tracker:
        steps(optimizer, int(begun), white())
        weight.grad, weight.data = None, weight.data.double()
        with em.track(optimizer, every=1) as fresh:
            steps(optimizer, 2, white(2))
    found, expected = (each.dataset().update_ratio.values[-2:] for each in (tracker, fresh))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert tracker.following.joined[0].dtype == torch.float64


@pytest.mark.parametrize(("before", "after"), [(3, 7), (7, 3), (3, 0), (0, 3)])
def test_a_tensor_of_another_size_begins_anew(before, after):
    """As `weight.data = larger` resizes a vocabulary in place, between two records."""
    resized, kept = parameter(before), parameter(4, seed=1)
    optimizer = torch.optim.SGD([resized, kept], lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=4, sample=2) as tracker:
        steps(optimizer, 6)
        resized.grad, resized.data = None, parameter(after, seed=2).data
        with pytest.warns(UserWarning, match=r"0\.0 is another tensor after step 6"):
            steps(optimizer, 6)
    last = tracker.dataset().isel(step=-1)
    np.testing.assert_allclose(last.parameter_initial_weight_left, [0.95**6, 0.95**12], rtol=1e-12)
    measured = float(last.parameter_initial_weight_left_measured[0])
    assert measured == pytest.approx(0.95**6) if after else math.isnan(measured)
    assert float(last.parameter_norm[0]) == pytest.approx(float(resized.detach().norm()), rel=1e-14)


class Nameless(torch.optim.Optimizer):
    """Whose groups say None for rates that it works out itself, as transformers' Adafactor does."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": None, "weight_decay": 0.0, "betas": None, "momentum": None})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for weight in group["params"]:
                weight.mul_(0.5)


def test_rates_that_are_not_said_are_not_known():
    optimizer = Nameless([parameter(5)])
    with em.track(optimizer, every=2) as tracker:
        steps(optimizer, 2)
    last = tracker.dataset().isel(step=-1, group=0)
    assert np.isnan(last.lr)
    assert float(last.initial_weight_left_measured) == 0.25


@pytest.mark.parametrize("kind", ["λ", "η", "β"])
def test_rates_may_be_tensors(kind):
    decay, rate = (torch.tensor(each, dtype=torch.float64) for each in (0.5, 0.1))
    optimizer = torch.optim.AdamW([parameter(5)], lr=rate if kind == "η" else 0.1, weight_decay=0.5, foreach=False)
    if kind == "λ":
        optimizer.param_groups[0]["weight_decay"] = decay
    if kind == "β":
        optimizer.param_groups[0]["betas"] = (torch.tensor(0.9), torch.tensor(0.99))
    with em.track(optimizer, every=3) as tracker:
        steps(optimizer, 3)
        decay.mul_(2)  # in place, after steps that the tracker has not read
        rate.mul_(2)
        steps(optimizer, 3)
    found = tracker.dataset()
    np.testing.assert_allclose(found.initial_weight_left, found.initial_weight_left_measured, rtol=1e-12)
    end = 0.95**6 if kind == "β" else 0.95**3 * 0.9**3
    assert float(found.initial_weight_left[-1, 0]) == pytest.approx(end, rel=1e-12)


def test_steps_without_any_gradient_leave_all_as_it_is():
    optimizer = torch.optim.AdamW([parameter(5)], lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=2) as tracker:
        optimizer.step()
        steps(optimizer, 1)
        optimizer.zero_grad(set_to_none=True)
        optimizer.step()
        optimizer.step()
    found = tracker.dataset().isel(group=0)
    np.testing.assert_allclose(found.initial_weight_left, [1, 0.95, 0.95], rtol=1e-12)
    np.testing.assert_allclose(found.rotation[-1], 0)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_of_the_optimizer_is_not_tracked(copied):
    optimizer = torch.optim.AdamW([parameter(5)], lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=2) as tracker:
        steps(optimizer, 2)
        steps(copied(optimizer), 3)
        steps(optimizer, 2)
    assert tracker.count == 4
    np.testing.assert_allclose(tracker.dataset().initial_weight_left[-1, 0], 0.95**4, rtol=1e-12)


def test_a_step_that_raises_is_no_step():
    optimizer = torch.optim.AdamW([parameter(5)], lr=0.1, weight_decay=0.5)

    def broken():
        raise RuntimeError("out of memory")

    with em.track(optimizer, every=2) as tracker:
        for _ in range(4):
            with pytest.raises(RuntimeError, match="out of memory"):
                optimizer.step(broken)
            steps(optimizer, 1)
    found = tracker.dataset()
    assert found.step.values.tolist() == [0, 2, 4]
    np.testing.assert_allclose(found.initial_weight_left, found.initial_weight_left_measured, rtol=1e-12)


class Sharded(torch.nn.Parameter):
    """What tells a DTensor from a whole one."""

    def full_tensor(self):
        raise NotImplementedError


def test_a_part_of_a_tensor_is_refused():
    optimizer = torch.optim.SGD([Sharded(torch.ones(3))], lr=0.1)
    with em.track(optimizer), pytest.raises(TypeError, match=r"whole tensors, and '0\.0'.*not sharded"):
        optimizer.step()
