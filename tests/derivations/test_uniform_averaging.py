"""Uniform averaging in numbers: equal weights from ema_coefficients, and how fast the continuum is approached."""

import numpy as np
import pytest
import sympy as sp

import ematheory as em
from ematheory.derivations import derive
from ematheory.derivations.uniform_averaging import kappa, now
from ematheory.timescales import ema_coefficients

STEPS = 400


def weights_of_updates(rates, decays):
    """η_i P_{i,t}: the coefficient of q over the decay."""
    _, on_targets = ema_coefficients(rates, decays)
    return on_targets / decays


def test_the_derived_rates_weigh_every_update_alike():
    rate = derive("uniform-averaging").function("rate")
    k = np.arange(1, STEPS + 1)
    rates, decays = rate(lr=0.3, weight_decay=0.5, steps=k), np.full(STEPS, 0.5)
    assert weights_of_updates(rates, decays) == pytest.approx(rates[-1], rel=1e-12)
    left, _ = ema_coefficients(rates, decays)
    share = derive("uniform-averaging").function("initial_weight_left")
    assert left == pytest.approx(share(lr=0.3, weight_decay=0.5, steps=STEPS), rel=1e-12)


def test_the_harmonic_schedule_is_that_rate():
    schedule = em.Harmonic(timescale=1 / (0.3 * 0.5 * STEPS))
    rate = derive("uniform-averaging").function("rate")
    expected = rate(lr=0.3, weight_decay=0.5, steps=np.arange(1, STEPS + 1))
    assert 0.3 * schedule.multipliers(STEPS) == pytest.approx(expected, rel=1e-12)


def proportional_rates(steps, lr, ratio):
    step = derive("uniform-averaging-proportional-decay").function("next_rate")
    rates = [lr]
    while len(rates) < steps:
        rates.append(step(present_lr=rates[-1], decay_per_lr=ratio))
    return np.array(rates)


def test_proportional_decay_weighs_updates_alike_with_the_exact_rates():
    rates = proportional_rates(STEPS, 0.3, 2.0)
    assert weights_of_updates(rates, 2.0 * rates) == pytest.approx(rates[-1], rel=1e-12)


def test_proportional_decay_weighs_targets_alike_with_the_inverse_root():
    rate = derive("uniform-averaging-proportional-decay").function("rate_for_equal_targets")
    rates = rate(lr=0.3, decay_per_lr=2.0, steps=np.arange(1, STEPS + 1))
    _, on_targets = ema_coefficients(rates, 2.0 * rates)
    assert on_targets == pytest.approx(on_targets[-1], rel=1e-12)
    updates = weights_of_updates(rates, 2.0 * rates)
    assert updates.max() / updates.min() > 2, "equal weights on q are not equal weights on updates"


def test_the_continuum_is_approached_with_the_square_of_the_rate():
    """At a fixed κη²t the relative error falls as κη², in proportion to the size of a step."""
    continuum = derive("uniform-averaging-proportional-decay").function("continuum_rate")
    sizes, errors = [1e-2, 1e-3, 1e-4], []
    for size in sizes:
        steps = round(1 / size)
        last = proportional_rates(steps + 1, size**0.5, 1.0)[-1]
        errors.append(abs(continuum(lr=size**0.5, decay_per_lr=1.0, elapsed_steps=steps) / last - 1))
    order = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert order == pytest.approx(1, abs=0.1)


def test_the_other_root_is_no_rate():
    """The quadratic's negative root satisfies the equation, but lies outside the domain that the step declares."""
    derivation = derive("uniform-averaging-proportional-decay")
    number = [step.label for step in derivation.steps].index("next rate in plain form")
    stated = derivation.steps[number].equation
    assert derivation.check_step(number)
    negative = (-sp.sqrt(4 * kappa * now**2 + 1) - 1) / (2 * kappa * now)
    assert "outside the domain" in derivation.with_step(number, (stated.lhs, negative)).check_step(number).detail
