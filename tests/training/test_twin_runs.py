"""Averages of iterates, matched effective rates and twins in one pass, against train() and what must hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ematheory as em
from ematheory import tasks
from ematheory.training.crosschecks.averages import averages
from ematheory.training.crosschecks.effective_rates import effective_rates
from ematheory.training.crosschecks.one_pass import one_pass

TASK = tasks.digits_mlp(width=8, depth=1, scale_invariant=True, train_size=64)
SGD = em.SGD(lr=0.1, weight_decay=[0.0, 0.1])
GIVEN = {"steps": 8, "batch_size": 16, "seeds": (3, 4)}


def test_the_iterate_is_the_one_that_train_ends_with():
    check = averages(TASK, SGD, averaged=1, every=1, **GIVEN)
    run = em.train(TASK, SGD, epochs=2, batch_size=16, seeds=(3, 4), dtype="float32", record=[8], ensemble=4)
    np.testing.assert_allclose(check.loss("iterate"), run.test_loss.isel(step=0).values, rtol=1e-5)


def test_an_average_over_one_step_is_the_iterate():
    check = averages(TASK, SGD, averaged=1, every=1, **GIVEN)
    for model in ("average", "snapshots", "fine_tuned"):
        assert check.distance("iterate", model).max() < 1e-6
    assert np.isnan(check.jacobian_norms).all()


def test_an_average_over_more_steps_is_another_one():
    check = averages(TASK, SGD, averaged=4, every=1, fine_tuned=2, fine_tuning=0.5, **GIVEN)
    for model in ("average", "snapshots", "fine_tuned"):
        assert check.distance("iterate", model).min() > 1e-4


def test_the_jacobian_is_that_of_autograd_at_weights_with_rows_of_norm_1():
    """At the start, where an average over steps of next to no size stays."""
    check = averages(TASK, em.SGD(lr=1e-12), averaged=8, every=1, images=1, steps=2, batch_size=16, seeds=(3,))
    network = TASK.network(3, torch.float64)
    with torch.no_grad():
        for weight in network.parameters():
            weight.div_(weight.norm(dim=1, keepdim=True))
    logits = network(torch.tensor(TASK.data().train_inputs[:1]))[0]
    gradients = [torch.autograd.grad(each, list(network.parameters()), retain_graph=True) for each in logits]
    norm = sum(float(part.square().sum()) for of_logit in gradients for part in of_logit) ** 0.5
    assert check.jacobian_norms.item() == pytest.approx(norm, rel=1e-4)


def test_no_jacobian_by_directions_where_lengths_matter():
    task = tasks.digits_mlp(width=4, depth=1, train_size=32)
    with pytest.raises(ValueError, match=r"lengths of those of biases\.0, .*scale_invariant=True"):
        averages(task, em.SGD(lr=0.1), averaged=1, every=1, images=1, steps=1, batch_size=8)


def test_without_decay_the_matched_run_is_the_run():
    check = effective_rates(TASK, em.SGD(lr=0.1, momentum=0.9), epochs=2, batch_size=16)
    assert check.distance("matched") == check.distance("plain") == 0
    np.testing.assert_array_equal(check.norms["matched"], check.norms["decayed"])


def test_the_matched_run_follows_the_decayed_one():
    check = effective_rates(TASK, em.SGD(lr=0.05, weight_decay=0.2), epochs=60, batch_size=64)
    assert check.distance("matched") < 0.5 * check.distance("plain")
    assert check.norms["matched"][-1] > 1.1 * check.norms["decayed"][-1]


def test_effective_rates_are_of_sgd():
    with pytest.raises(TypeError, match="SGD alone"):
        effective_rates(TASK, em.AdamW(lr=0.1), epochs=1)


def test_twins_see_their_own_halves():
    """Passing over few examples again and again, each twin is better on what it saw; at no rate both are alike."""
    adam = em.AdamW(lr=1e-2, weight_decay=0.0)
    check = one_pass(TASK, adam, steps=60, batch_size=16, passes=30, record=(1, 60), seeds=(0, 1))
    assert check.losses.shape == (1, 2, 2, 2, 2)
    gap = check.unseen - check.seen
    assert (gap[:, :, 1] > 0.2).all()
    still = one_pass(TASK, em.AdamW(lr=1e-12), steps=2, batch_size=16, record=(2,), seeds=(0,))
    np.testing.assert_allclose(still.seen, still.unseen, rtol=1e-5)


def test_two_halves_must_be_there():
    with pytest.raises(ValueError, match="two halves of 48 examples need 96, and the task has 64"):
        one_pass(TASK, em.AdamW(lr=0.1), steps=3, batch_size=16)
