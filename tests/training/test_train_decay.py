"""What train() tells of a run's decay: as a tracker of the same run, and with simulate's warnings."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import ematheory as em
from ematheory.prediction import UnstableWarning
from ematheory.training import Group
from ematheory.training.optimizers import plan
from ematheory.training.run import Run

TASK = em.tasks.digits_mlp(width=8, depth=1)
SCHEDULE = em.Cosine(final=0.1, warmup=0.1)


@pytest.mark.parametrize(
    ("record", "left"),
    [
        (em.AdamP(lr=1e-3, weight_decay=0.1), math.nan),
        (em.ScheduleFreeAdamW(lr=1e-3, weight_decay=0.1), math.nan),
        (em.AdamW(lr=1e-3, weight_decay=0.1, decay="cautious"), math.nan),
        (em.Amos(lr=1e-3), math.nan),
        (em.AdamP(lr=1e-3, weight_decay=0.0), 1.0),
        (em.NAdam(lr=1e-3, weight_decay=0.1), math.nan),
        (em.NAdam(lr=1e-3, weight_decay=0.0), 1.0),
        (em.Lion(lr=1e-3, weight_decay=1e-4, decay="independent"), 1 - 1e-4),
        (em.AdamW(lr=1e-3, weight_decay=0.1, decay_order="after"), 1 - 1e-4),
    ],
    ids=repr,
)
def test_what_is_left_of_the_start_is_not_told_where_no_number_says_it(record, left):
    names = ("initial_weight_left", "decay_per_step", "timescale_steps")
    run = em.train(TASK, record, epochs=1, observables=names, record=[1]).isel(seed=0, step=0)
    expected = [left, 1 - left, 1 / (1 - left) if left != 1 else math.inf]
    np.testing.assert_allclose([float(run[name]) for name in names], expected, rtol=1e-11)


@pytest.mark.parametrize(
    "record",
    [
        em.SGD(lr=0.01, weight_decay=0.5),
        em.SGD(lr=0.01, weight_decay=0.5, momentum=0.9),
        em.SGD(lr=0.01, weight_decay=0.5, momentum=0.9, nesterov=True),
        em.SGD(lr=0.01, weight_decay=0.5, decay="per_lr"),
        em.SGD(lr=0.5, weight_decay=0.9, momentum=0.9),  # complex poles
        em.SGD(lr=0.01),
        em.AdamW(lr=0.01, weight_decay=0.5),
        em.AdamW(lr=0.01, weight_decay=0.5, decay="cautious"),
        em.Lion(lr=0.01, weight_decay=0.5),
        em.Adam(lr=0.01, weight_decay=0.5),
        em.Adam(lr=0.01),
        em.NAdam(lr=0.01, weight_decay=0.5),
        em.RMSprop(lr=0.01, weight_decay=0.5),
    ],
    ids=repr,
)
def test_decay_is_told_as_a_tracker_of_the_same_run_tells_it(record):
    names, steps = ["initial_weight_left", "decay_per_step", "timescale_steps"], 44
    told = em.train(TASK, record, epochs=2, schedule=SCHEDULE, record=em.every(4), observables=names).isel(seed=0)
    run = Run(TASK, record, plan(record, steps, SCHEDULE), batch_size=64)
    with warnings.catch_warnings(), em.track(run.optimizer, steps=steps, every=4) as tracker:
        warnings.simplefilter("ignore")
        for _ in range(steps):
            run.step()
    tracked = tracker.dataset().isel(parameter=0)
    np.testing.assert_array_equal(told.step, tracked.step)
    for name in names:
        own, other = told[name].values, tracked[name].values.reshape(-1)
        first = 0 if name == "initial_weight_left" else 1  # rates are of a step, and the tracker has the next one's
        np.testing.assert_allclose(own[first:], other[first:], rtol=1e-12, err_msg=name)


def test_l2_leaves_the_same_of_each_group_and_member():
    """Half of SGD's weights with no decay, at once and by themselves."""
    record = em.SGD(lr=[0.01, 0.02], weight_decay=0.5, momentum=0.9)
    names = ("initial_weight_left", "timescale_steps")
    settings = dict(epochs=1, groups=[Group("biases.*", weight_decay=0)], observables=names)
    single, together = (em.train(TASK, record, ensemble=size, **settings) for size in (1, 2))
    np.testing.assert_array_equal(single.initial_weight_left, together.initial_weight_left)
    last = single.isel(seed=0, step=-1)
    np.testing.assert_array_equal(last.initial_weight_left[:, 1], 1)
    np.testing.assert_array_equal(last.timescale_steps[:, 1], np.inf)
    assert (last.initial_weight_left[:, 0] < 1).all()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (em.AdamW(lr=[0.1, 1.0], weight_decay=3.0), "AdamW is unstable on Digits at lr=1: the decay per step is 3; "),
        (em.SGD(lr=1.0, weight_decay=2.0, decay="per_lr"), "SGD is unstable on Digits at lr=1: the decay per step is "),
        (em.AdamP(lr=1.0, weight_decay=[1.0, 30.0]), "at lr=1, weight_decay=30: the decay per step is at least 3; "),
        (em.AdamW(lr=1.0, weight_decay=1.99), ""),
        (em.SGD(lr=1.0, weight_decay=3.0), ""),  # L2
        (em.Amos(lr=1.0), ""),
        (em.ScheduleFreeAdamW(lr=1.0, weight_decay=1.0), ""),
    ],
    ids=repr,
)
def test_a_decay_that_makes_weights_grow_warns_as_simulate_does(record, words):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        em.train(TASK, record, epochs=1, batch_size=1437, observables="train_loss")
    told = [str(each.message) for each in seen if issubclass(each.category, UnstableWarning)]
    assert len(told) == bool(words)
    assert all(words in each and each.endswith("it must be below 2") for each in told)
    assert all(each.filename == __file__ for each in seen if issubclass(each.category, UnstableWarning))


def test_the_warning_of_unstable_decay_is_simulates():
    record = em.AdamW(lr=1.0, weight_decay=3.0)
    with pytest.warns(UnstableWarning) as trained:
        em.train(TASK, record, epochs=1, batch_size=1437, observables="train_loss")
    with pytest.warns(UnstableWarning) as simulated:
        em.simulate(em.NoisyQuadratic(curvature=[1.0]), record, steps=1)
    own, other = ([str(each.message) for each in seen] for seen in (trained, simulated))
    assert own == [text.replace("NoisyQuadratic", "Digits") for text in other]
