"""The tracker in whatever a training loop does to an optimizer, its tensors and its gradients."""

import math
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
