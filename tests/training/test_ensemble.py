"""Runs advanced together: each is the run by itself, to rounding."""

from __future__ import annotations

import numpy as np
import pytest

import ematheory as em
from ematheory.results import same_result
from ematheory.training import Group

TASK = em.tasks.digits_mlp(width=16, depth=1)
NAMES = (
    "train_loss", "test_loss", "test_accuracy", "batch_loss", "weight_norm", "rotation", "update_cosine",
    "gradient_norm", "parameter_norm", "parameter_gradient_norm", "initial_weight_left", "timescale_steps",
)  # fmt: skip
OPTIMIZERS = [
    em.AdamW(lr=[1e-3, 1e-2], weight_decay=[0.0, 1.0], beta2=[0.99, 0.999]),
    em.AdamW(lr=[1e-3, 1e-2], weight_decay=0.01, decay="independent"), em.AdamC(lr=[1e-3, 1e-2], weight_decay=1.0),
    em.AdamW(lr=[1e-3, 1e-2], weight_decay=1.0, decay="cautious"), em.Adam(lr=[1e-3, 1e-2], weight_decay=0.01),
    em.SGD(lr=[0.05, 0.1], momentum=0.9, weight_decay=0.01), em.SGD(lr=[0.1, 0.2], weight_decay=0.1, decay="per_lr"),
    em.Lion(lr=[1e-4, 1e-3], weight_decay=1.0), em.AdamP(lr=[1e-3, 1e-2], weight_decay=0.1),
    em.ScheduleFreeAdamW(lr=[1e-3, 1e-2]), em.RMSprop(lr=[1e-3, 1e-2], momentum=0.9),
]  # fmt: skip


def farthest(first, second):
    """The largest difference of any observable, relative to the observable's size."""
    apart = [np.abs(first[name] - second[name]).max() / np.abs(second[name]).max() for name in NAMES[:-1]]
    return float(max(apart))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_hundred_steps_are_those_of_the_runs_by_themselves(optimizer):
    """float64: rounding after one step, 1e-9 after a hundred."""
    settings = dict(
        epochs=5, seeds=(0, 3), schedule=em.Cosine(final=0.1, warmup=0.1), decay_schedule=em.Linear(final=0.5),
        record=[0, 1, 100], observables=NAMES, groups=[Group("biases.*", lr=2, weight_decay=0)],
    )  # fmt: skip
    together, alone = (em.train(TASK, optimizer, **settings, ensemble=count) for count in (16, 1))
    assert farthest(together.isel(step=[0, 1]), alone.isel(step=[0, 1])) < 1e-13
    assert farthest(together, alone) < 1e-9
    assert np.array_equal(np.isinf(together.timescale_steps), np.isinf(alone.timescale_steps))
    assert together.sizes == alone.sizes


def test_nadam_is_torchs_though_both_of_its_moments_begin_as_one_tensor():
    settings = dict(epochs=1, schedule=em.Cosine(final=0.1, warmup=0.1), record=em.every(1))
    optimizer = em.NAdam(lr=[1e-3, 1e-2], weight_decay=0.01)
    together, alone = (em.train(TASK, optimizer, **settings, ensemble=count) for count in (2, 1))
    # torch keeps the product of its momenta in float32.
    np.testing.assert_allclose(together.weight_norm, alone.weight_norm, rtol=1e-8)
    np.testing.assert_allclose(together.train_loss, alone.train_loss, rtol=1e-6)


def test_with_accumulation_and_clipping_too():
    optimizer = em.SGD(lr=[0.1, 0.5], momentum=0.9)
    settings = dict(epochs=2, observables=NAMES, accumulate=4, clip_norm=0.5, seeds=(0, 1))
    together, alone = (em.train(TASK, optimizer, **settings, ensemble=count) for count in (4, 1))
    assert farthest(together, alone) < 1e-10
    loose = em.train(TASK, optimizer, **{**settings, "clip_norm": None}, ensemble=4)
    assert farthest(together, loose) > 1e-3


def test_in_float32_one_step_is_the_same_to_its_rounding():
    optimizer = em.AdamW(lr=[1e-3, 1e-2])
    settings = dict(epochs=1, record=[0, 1], dtype="float32", observables=NAMES)
    together, alone = (em.train(TASK, optimizer, **settings, ensemble=count) for count in (2, 1))
    # The update of a tiny gradient is η·sign: where float32 rounds such a one to the other side, u turns over.
    assert farthest(together, alone) < 1e-3
    assert abs(together.weight_norm - alone.weight_norm).max() < 1e-5


@pytest.mark.parametrize("block", [1, 3000])
def test_members_that_are_stepped_some_at_a_time_are_the_same(block, monkeypatch):
    """One at a time, or two, of 1210 weights each, and one that is left over."""
    settings = dict(epochs=2, seeds=(0, 1, 2, 3, 4), observables=NAMES, clip_norm=1.0, accumulate=2)
    optimizer = em.ScheduleFreeAdamW(lr=1e-2)
    whole = em.train(TASK, optimizer, **settings, ensemble=5)
    monkeypatch.setattr("ematheory.training.ensemble.BLOCK", block)
    assert farthest(em.train(TASK, optimizer, **settings, ensemble=5), whole) < 1e-11


def test_units_of_any_size_are_put_back_in_order_and_cached(tmp_path):
    settings = dict(epochs=1, seeds=(0, 1, 2))
    alone = em.train(TASK, OPTIMIZERS[1], **settings)
    first = em.train(TASK, OPTIMIZERS[1], **settings, ensemble=4, cache=tmp_path)
    np.testing.assert_allclose(first.train_loss, alone.train_loss, rtol=1e-12)
    stored = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(stored) == 6
    assert same_result(em.train(TASK, OPTIMIZERS[1], **settings, ensemble=4, cache=tmp_path), first)
    next(tmp_path.iterdir()).unlink()
    assert same_result(em.train(TASK, OPTIMIZERS[1], **settings, ensemble=4, cache=tmp_path), first)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == stored
    em.train(TASK, OPTIMIZERS[1], **settings, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 12


def test_the_cache_tells_the_native_update_from_that_on_tensors(tmp_path, monkeypatch):
    """They round roots differently."""
    settings = dict(epochs=1, seeds=(0, 1), ensemble=2, cache=tmp_path)
    em.train(TASK, OPTIMIZERS[0], **settings)
    found = len(list(tmp_path.iterdir()))
    monkeypatch.setattr("ematheory.training.stacked_update.is_traced", lambda record: False)
    em.train(TASK, OPTIMIZERS[0], **settings)
    assert len(list(tmp_path.iterdir())) == (2 * found if em.isas() else found)


def test_each_member_keeps_what_its_own_network_drew_and_does_not_train():
    """Random features come of the seed, as the weights do."""
    task = em.tasks.random_features(width=8, inputs=16, train_size=64, test_size=16)
    settings = dict(epochs=2, batch_size=16, seeds=(0, 1), observables=("train_loss", "test_loss", "weight_norm"))
    together, alone = (em.train(task, em.SGD(lr=0.1), **settings, ensemble=count) for count in (2, 1))
    for name in settings["observables"]:
        np.testing.assert_allclose(together[name], alone[name], rtol=1e-12)


def test_wrong_use_is_told():
    with pytest.raises(ValueError, match="use float32, or ensemble=1"):
        em.train(TASK, OPTIMIZERS[0], epochs=1, ensemble=2, dtype="bfloat16")
    with pytest.raises(ValueError, match="ensemble must be"):
        em.train(TASK, OPTIMIZERS[0], epochs=1, ensemble=0)
