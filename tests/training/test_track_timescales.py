"""The timescales that a tracker tells, what it takes weight_decay to mean, and what it warns of."""

import math

import numpy as np
import pytest
import torch
from tracked_loops import parameter, steps, white

import ematheory as em
from ematheory.training.tracking.forecast import left_after
from ematheory.training.tracking.meaning import meaning

pytestmark = pytest.mark.filterwarnings("ignore:.*(timescale|weight_decay|bfloat16|average):UserWarning")


def test_timescales_in_every_unit_and_groups_of_their_own():
    decayed, free = parameter(3, 3), parameter(3, seed=1)
    optimizer = torch.optim.AdamW(
        [{"params": [decayed], "weight_decay": 0.5, "name": "matrices"}, {"params": [free], "weight_decay": 0.0}],
        lr=0.01,
    )
    with em.track(optimizer, steps=400, every=100, steps_per_epoch=50, tokens_per_step=1000) as tracker:
        steps(optimizer, 100, white())
    last = tracker.dataset().isel(step=-1)
    assert list(last.group.values) == ["matrices", "group 1"]
    assert float(last.lr_weight_decay[0]) == float(last.decay_per_step[0]) == 0.005
    found = [
        float(last[f"timescale_{unit}"][0])
        for unit in ("steps", "epochs", "tokens", "run_fraction", "elapsed_fraction")
    ]
    assert found == pytest.approx([200, 4, 200_000, 0.5, 2])
    assert math.isinf(float(last.timescale_steps[1]))
    assert float(last.initial_weight_left[1]) == 1


def test_sgd_forgets_by_its_slow_pole():
    optimizer = torch.optim.SGD([parameter(5)], lr=0.1, momentum=0.9, weight_decay=0.01)
    with em.track(optimizer, every=400) as tracker:
        steps(optimizer, 800)
    found = tracker.dataset().isel(group=0)
    left = found.initial_weight_left.values
    assert left[2] / left[1] == pytest.approx((1 - float(found.decay_per_step[-1])) ** 400, rel=1e-9)
    slow = max(np.roots([1, -(1 + 0.9 - 0.001), 0.9]))
    assert float(found.decay_per_step[-1]) == pytest.approx(1 - slow, rel=1e-9)
    assert 88 < float(found.timescale_steps[-1]) < 100


def test_adam_with_l2_has_no_timescale_and_says_why():
    optimizer = torch.optim.Adam([parameter(5)], lr=0.1, weight_decay=0.01)
    with em.track(optimizer, every=5) as tracker, pytest.warns(UserWarning, match="to the gradient"):
        steps(optimizer, 5, white())
    last = tracker.dataset().isel(step=-1, group=0)
    assert all(
        math.isnan(float(last[name])) for name in ("timescale_steps", "initial_weight_left", "weight_norm_predicted")
    )
    assert float(last.rotation) > 0


class Unheard(torch.optim.SGD):
    """An optimizer of nobody's package; its class extends none that is known."""


def unknown(parameters):
    class Novel(torch.optim.Optimizer):
        def __init__(self, parameters):
            super().__init__(parameters, {"lr": 0.1, "weight_decay": 0.5})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for weight in group["params"]:
                    weight.mul_(1 - group["lr"] * group["weight_decay"])

    return Novel(parameters)


def test_an_unknown_class_is_told_in_words_and_can_be_said():
    optimizer = unknown([parameter(5)])
    with em.track(optimizer, every=5) as tracker, pytest.warns(UserWarning, match=r"decay='per_lr'"):
        steps(optimizer, 5)
    assert math.isnan(float(tracker.dataset().initial_weight_left[-1, 0]))
    optimizer = unknown([parameter(5)])
    with em.track(optimizer, every=5, decay="per_lr") as tracker:
        steps(optimizer, 5)
    found = tracker.dataset()
    assert found.attrs["decay"] == '{"group 0": "per_lr"}'
    np.testing.assert_allclose(found.initial_weight_left_measured, found.initial_weight_left, rtol=1e-12)


def test_a_subclass_means_what_its_class_means():
    optimizer = Unheard([parameter(5)], lr=0.1, weight_decay=0.1)
    assert meaning(optimizer, optimizer.param_groups[0]).words() == "l2"


def test_a_long_timescale_is_told_once_and_in_words():
    optimizer = torch.optim.AdamW([parameter(5)], lr=1 / 7.1, weight_decay=0.01)
    with em.track(optimizer, steps=100, every=10) as tracker, pytest.warns(UserWarning, match="timescale") as caught:
        steps(optimizer, 100, white())
    assert len([one for one in caught if "timescale" in str(one.message)]) == 1
    assert "group 0: timescale is 7.1 × the run: 87 % of the initial weights will remain" in tracker.warnings[0]
    assert left_after(1 / 710, 100) == pytest.approx((1 - 1 / 710) ** 100, rel=1e-12)


@pytest.mark.parametrize("kind", ["by hand", "OneCycleLR"])
def test_a_warm_up_is_no_long_timescale(kind):
    optimizer = torch.optim.AdamW([parameter(5)], lr=0.1, weight_decay=0.5)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 100) if kind == "OneCycleLR" else None
    with em.track(optimizer, steps=100, every=10) as tracker:
        for k in range(50):
            if schedule is None:
                optimizer.param_groups[0]["lr"] = 0.1 * (k + 1) / 50
            steps(optimizer, 1, white(), schedule)
    assert tracker.warnings == []
    assert tracker.following.peaks == [pytest.approx(0.1)]


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (lambda p: torch.optim.AdamW(p, lr=1.0, weight_decay=2.0), "no average of updates"),
        (lambda p: torch.optim.AdamW(p, lr=0.5, weight_decay=0.5), "β₁ averages"),
    ],
)
def test_other_warnings(optimizer, words):
    made = optimizer([parameter(5)])
    with em.track(made, every=2) as tracker, pytest.warns(UserWarning, match=words):
        steps(made, 4)
    assert len(tracker.warnings) == 1


@pytest.mark.parametrize(
    ("record", "shares"),
    [
        (em.Lion(lr=1e-2, weight_decay=0.1), [1e-3, 6e-4, 1e-4]),
        (em.SGD(lr=1e-2, weight_decay=0.1, decay="per_lr"), [1e-3, 6e-4, 1e-4]),
        (em.AdamW(lr=1e-2, weight_decay=1e-3, decay="independent"), [1e-3, 6e-4, 1e-4]),
        (em.AdamW(lr=1e-2, weight_decay=0.1, decay="corrected"), [1e-3, 3.6e-4, 1e-5]),
        (em.AdamW(lr=1e-2, weight_decay=0.1, decay="cautious"), [np.nan] * 3),
        (em.RMSprop(lr=1e-2, weight_decay=0.1), [np.nan] * 3),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_record_says_what_its_decay_means(record, shares):
    weight = parameter(5)
    optimizer = em.training.RecordOptimizer([weight], record)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 10)
    with em.track(optimizer, steps=10, every=5) as tracker:
        for _ in range(10):
            steps(optimizer, 1, white())
            scheduler.step()
    np.testing.assert_allclose(tracker.dataset().decay_per_step.isel(group=0), shares, rtol=1e-12)
