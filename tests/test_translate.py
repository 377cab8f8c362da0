"""Conventions and what translate() makes of them: the same decay and the same weights, there and back."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ematheory as em
from ematheory.conventions import CONVENTIONS, DETECTED, L2, convention
from ematheory.records import as_number_array
from ematheory.translation import Rates

TRANSLATABLE = [
    name for name, row in CONVENTIONS.items() if row.multiplies not in (L2, DETECTED) and row.update == "adam"
]
DECAYS = st.floats(1e-9, 0.9)
RATES = st.floats(1e-7, 0.9)
SCHEDULE = em.Cosine(final=0.05, warmup_steps=8)  # no step has a rate of 0
STEPS = 40


def there_and_back(name, other, decay, lr):
    out = em.translate(decay, other, source=name, lr=lr, schedule=SCHEDULE, steps=STEPS)
    rates = out.lr if np.ndim(out.lr) else out.lr * SCHEDULE.multipliers(STEPS)
    return out, em.translate(out.weight_decay, name, source=other, lr=rates)


@settings(deadline=None)
@given(st.sampled_from(TRANSLATABLE), st.sampled_from(TRANSLATABLE), DECAYS, RATES)
def test_there_and_back_is_where_one_was(name, other, decay, lr):
    if decay * lr > 0.5 or decay > 0.5:
        decay = decay / 4
    out, back = there_and_back(name, other, decay, lr)
    # Where the order changes, 1 − α rounds once on each way, by up to 2 ulp of itself while α ≤ ½.
    error = 4e-15 if np.ndim(out.lr) else 1e-15
    np.testing.assert_allclose(back.weight_decay, decay, rtol=error)
    rates = lr * SCHEDULE.multipliers(STEPS) if np.ndim(back.lr) else lr
    np.testing.assert_allclose(back.lr, rates, rtol=error)


def share_and_scale(name, decay, lr, multipliers):
    """By a unit weight and a unit update: what a step keeps of the weight, and what it adds of the update."""
    row = convention(name)
    alpha = row.decay_per_step(decay, np.max(lr), np.asarray(lr) / np.max(lr) * multipliers)
    rate = np.asarray(lr) * multipliers
    return 1 - alpha, rate * (1 - alpha) if row.order == "after" else rate


@pytest.mark.parametrize(("name", "other"), list(itertools.permutations(TRANSLATABLE, 2)))
def test_each_step_keeps_and_adds_the_same(name, other):
    decay, lr, shape = 0.03, 0.02, SCHEDULE.multipliers(STEPS)
    found = em.translate(decay, other, source=name, lr=lr, schedule=SCHEDULE, steps=STEPS)
    here = share_and_scale(name, decay, lr, shape)
    there = share_and_scale(other, found.weight_decay, found.lr, 1.0 if np.ndim(found.lr) else shape)
    for mine, theirs in zip(here, there, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-14)


@settings(deadline=None)
@given(*[st.sampled_from([n for n in TRANSLATABLE if CONVENTIONS[n].order != "after"])] * 3, DECAYS, RATES)
def test_translations_compose(first, second, third, decay, lr):
    decay = decay / 2
    by_way = em.translate(decay, second, source=first, lr=lr, schedule=SCHEDULE, steps=STEPS).weight_decay
    by_way = em.translate(by_way, third, source=second, lr=lr, schedule=SCHEDULE, steps=STEPS).weight_decay
    straight = em.translate(decay, third, source=first, lr=lr, schedule=SCHEDULE, steps=STEPS).weight_decay
    np.testing.assert_allclose(by_way, straight, rtol=2e-15)


def test_a_pair_that_does_not_care_needs_no_schedule_and_gives_a_number():
    assert em.translate(0.1, "composer", lr=1e-3).weight_decay == 1e-4
    assert em.translate([0.1, 0.2], "composer", lr=1e-3).weight_decay.tolist() == [1e-4, 2e-4]
    assert em.translate(0.1, "timm.AdamW(corrected_weight_decay=True)", lr=1e-3, schedule=em.Constant(), steps=5)
    assert em.translate(0.1, "torch.optim.AdamW").weight_decay == 0.1
    with pytest.raises(ValueError, match=r"give\s+schedule= and steps="):
        em.translate(0.1, "timm.AdamW(corrected_weight_decay=True)", lr=1e-3)


def test_a_rate_of_zero():
    falling = em.Linear(final=0.0, warmup=0.0)
    found = em.translate(0.1, "schedulefree", lr=0.1, schedule=falling, steps=4)
    assert np.isfinite(found.weight_decay).all()
    rates = np.array([0.1, 0.0])
    assert em.translate(0.1, "schedulefree", lr=rates).weight_decay.tolist() == [1.0, 0.0]
    assert em.translate(0.1, "tensorflow_addons", lr=rates).weight_decay.tolist() == pytest.approx([0.01, 0.0])
    with pytest.raises(ValueError, match="no λ decays a step of rate 0 in torch"):
        em.translate([0.1, 0.1], "torch.optim.AdamW", source="tensorflow_addons", lr=rates)


def test_a_recipe_brings_its_schedule():
    recipe = em.Recipe(lr=1e-3, weight_decay=0.1, batch_size=10, dataset_size=1000, schedule=SCHEDULE)
    found = em.translate(recipe, "tensorflow_addons")
    np.testing.assert_allclose(found.weight_decay, 1e-4 * SCHEDULE.multipliers(100), rtol=1e-15)
    with pytest.raises(ValueError, match="brings lr, schedule and steps along"):
        em.translate(recipe, "composer", lr=1e-3)
    swept = em.Recipe(lr=[1e-3, 1e-2], weight_decay=0.1, batch_size=10, dataset_size=1000)
    with pytest.raises(TypeError, match="one recipe"):
        em.translate(swept, "composer")


@pytest.mark.parametrize("side", ["torch.optim.Adam", "torch.optim.SGD", "adamp.AdamP", "torch.optim.Muon"])
def test_what_has_no_counterpart_is_refused_with_the_reason(side):
    reason = {"torch.optim.Muon": "update", "adamp.AdamP": "projects its update"}.get(side, "depends on its gradients")
    for source, to in ((side, "torch.optim.AdamW"), ("torch.optim.AdamW", side)):
        with pytest.raises(ValueError, match=reason):
            em.translate(0.1, to, source=source, lr=1e-3)


def test_wrong_input():
    with pytest.raises(ValueError, match=r"framework must be one of 'torch.optim.AdamW'"):
        em.translate(0.1, "jax", lr=1e-3)
    with pytest.raises(ValueError, match=r"framework must be one of 'timm.AdamW', 'timm"):
        em.translate(0.1, "timm", lr=1e-3)
    with pytest.raises(ValueError, match="weight_decay must be finite and >= 0"):
        em.translate(-0.1, "paper", lr=1e-3)
    with pytest.raises(ValueError, match="lr must be finite and > 0"):
        em.translate(0.1, "paper", lr=0.0)
    with pytest.raises(ValueError, match=r"weight_decay must be a number, or .*, got no value"):
        em.translate([], "composer", lr=[])
    with pytest.raises(ValueError, match=r"lr must be a number, or .*, got no value"):
        em.translate(0.1, "composer", lr=[])
    with pytest.raises(ValueError, match="got 'compose'; did you mean 'composer'"):
        em.translate(0.1, "compose", lr=0.1)
    with pytest.raises(ValueError, match="give lr="):
        em.translate(0.1, "paper")
    with pytest.raises(ValueError, match="decay per step must be below 1"):
        em.translate(2.0, "torch.optim.AdamW", source="paper", lr=1e-3)
    with pytest.raises(ValueError, match="give steps="):
        em.translate(0.1, "schedulefree", lr=1e-3, schedule=SCHEDULE)
    with pytest.raises(ValueError, match="3 values for 4 steps"):
        Rates.of([1.0, 1.0, 1.0, 1.0], None, None, as_number_array("weight_decay", [1.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="no schedule= or steps="):
        em.translate(0.1, "paper", lr=[0.1, 0.1], steps=2)


def test_epsilon_there_and_back():
    out = em.translate(0.1, "keras", lr=1e-3)
    back = em.translate(0.1, "torch.optim.AdamW", source="keras", lr=1e-3)
    assert out.eps_at(1e-8, 1, 0.99) == pytest.approx(1e-9, rel=1e-14)
    assert back.eps_at(out.eps_at(1e-8, 7, 0.99), 7, 0.99) == pytest.approx(1e-8, rel=1e-15)
    assert out.eps_at(1e-8, 10**6, 0.99) == 1e-8


def test_records_say_where_they_stand():
    assert {row.checked for row in CONVENTIONS.values()} == {"run", "read"}
    assert all(row.source and name == row.framework for name, row in CONVENTIONS.items())
