"""ema_coefficients against exact and 50-digit products; a recipe's timescale against its definitions."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ematheory as em
from ematheory import timescales
from ematheory.derivations import derive
from ematheory.timescales import kernel_shares

STEPS = 10**6


@pytest.mark.parametrize(
    ("lr", "weight_decay", "schedule"),
    [
        (3e-4, 0.1, em.Cosine(final=0.1, warmup=0.01)),
        (1e-2, 0.3, em.WSD(decay=0.2, shape="sqrt", warmup=0.02)),
        (6e-2, 0.05, em.Linear()),
        (0.3, 0.5, em.Harmonic(timescale=1e-3)),
    ],
)
def test_a_million_coefficients_keep_thirteen_digits(lr: float, weight_decay: float, schedule: em.Linear) -> None:
    rates = lr * schedule.multipliers(STEPS)
    initial, coefficients = em.ema_coefficients(rates, weight_decay)
    decay, product, worst = Decimal(weight_decay), Decimal(1), Decimal(0)
    with localcontext() as context:
        context.prec = 50
        for k, rate in reversed(list(enumerate(map(Decimal, rates.tolist())))):
            alpha = rate * decay
            if k % 97 == 0 or k >= STEPS - 10:
                expected, found = alpha * product, Decimal(float(coefficients[k]))
                # Below the normal range what is left of the digits is the spacing of the denormals.
                worst = max(worst, abs(found - expected) / max(expected, Decimal("1e-300")))
                assert abs(found - expected) <= max(expected * Decimal("1e-13"), Decimal("5e-324"))
            product *= 1 - alpha
        assert worst < Decimal("1e-13")
        assert abs(Decimal(initial) - product) <= max(product * Decimal("1e-13"), Decimal("5e-324"))


def test_coefficients_reach_1e_300_with_thirteen_digits() -> None:
    _, coefficients = em.ema_coefficients(np.full(STEPS, 7e-3), 0.1)
    k = STEPS - 980_000
    with mpmath.workdps(60):
        alpha = mpmath.mpf(7e-3) * mpmath.mpf(0.1)
        expected = alpha * (1 - alpha) ** 980_000
        assert mpmath.mpf("1e-302") < expected < mpmath.mpf("1e-296")
        assert abs(mpmath.mpf(coefficients[k - 1]) / expected - 1) < 1e-13


def test_short_runs_equal_exact_rationals() -> None:
    rng = np.random.default_rng(0)
    for steps in (1, 2, 31, 32, 33, 65, 100):
        lr, decay = rng.uniform(0, 1, steps), rng.uniform(0, 1, steps)
        initial, coefficients = em.ema_coefficients(lr, decay)
        alpha = [Fraction(x) * Fraction(y) for x, y in zip(lr.tolist(), decay.tolist(), strict=True)]
        kept = Fraction(1)
        for k in range(steps - 1, -1, -1):
            exact = alpha[k] * kept
            assert abs(Fraction(float(coefficients[k])) - exact) <= exact * Fraction(2, 10**16)
            kept *= 1 - alpha[k]
        assert abs(Fraction(initial) - kept) <= kept * Fraction(2, 10**16)


rates = st.lists(st.floats(0, 0.999), min_size=1, max_size=80)


@given(rates)
@settings(max_examples=60, deadline=None)
def test_shares_sum_to_one(alpha: list[float]) -> None:
    initial, coefficients = em.ema_coefficients(alpha, 1.0)
    assert math.fsum([initial, *coefficients]) == pytest.approx(1.0, rel=1e-15)
    assert initial >= 0
    assert (coefficients >= 0).all()


@given(rates, rates)
@settings(max_examples=60, deadline=None)
def test_two_runs_compose(first: list[float], second: list[float]) -> None:
    left_1, c_1 = em.ema_coefficients(first, 1.0)
    left_2, c_2 = em.ema_coefficients(second, 1.0)
    left, c = em.ema_coefficients(first + second, 1.0)
    normal = 1e-290
    assert left == pytest.approx(left_1 * left_2, rel=1e-14, abs=normal)
    np.testing.assert_allclose(c, np.concatenate([c_1 * left_2, c_2]), rtol=1e-14, atol=normal)


def test_coefficients_are_what_adamw_does() -> None:
    """The weight after a run of AdamW's own update is initial·w_0 + Σ c q, with q from its step."""
    rng = np.random.default_rng(1)
    lr, decay = rng.uniform(0, 0.1, 50), rng.uniform(0.1, 1, 50)
    record = em.AdamW(lr=1.0, betas=(0.9, 0.99))
    state, sum_of_q = record.initial(np, np.float64(2.0)), 0.0
    initial, coefficients = em.ema_coefficients(lr, decay)
    for k in range(1, 51):
        c = record.Coefficients(
            lr[k - 1] / (1 - 0.9**k), lr[k - 1] * decay[k - 1], 0.9, 0.1, 0.99, 0.01, 1 / (1 - 0.99**k), 1e-8
        )
        state = record.update(np, state, rng.standard_normal(), c)
        update = state.first_moment / (1 - 0.9**k) / (np.sqrt(state.second_moment / (1 - 0.99**k)) + 1e-8)
        sum_of_q += coefficients[k - 1] * (-update / decay[k - 1])
    assert state.weight == pytest.approx(initial * 2.0 + sum_of_q, rel=1e-12)


@pytest.mark.parametrize(
    ("lr", "weight_decay", "message"),
    [
        ([0.1, -0.1], 0.1, r"lr\[1\] must be finite and >= 0, got -0.1"),
        ([0.1, np.nan], 0.1, r"lr\[1\] must be finite"),
        ([0.1, 2.0, 3.0], 0.5, r"must be below 1 at every step .* got 1.0 at step 2"),
        ([0.1, 0.2], [0.1, 0.2, 0.3], r"one length, got 2 and 3"),
        ([[0.1]], 0.1, r"shape \(T,\), got shape \(1, 1\)"),
        (0.1, 0.1, r"got two numbers"),
        ([], [], r"at least one step"),
    ],
)
def test_wrong_rates_are_refused(lr: object, weight_decay: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        em.ema_coefficients(lr, weight_decay)


LLAMA = {"lr": 3e-4, "weight_decay": 0.1, "batch_size": 4e6, "dataset_size": 2e12}


def test_timescale_in_steps_epochs_tokens_and_share() -> None:
    found = em.Recipe(**LLAMA, epochs=2).timescale()
    assert found.run_steps == 1e6
    assert found.peak.steps == pytest.approx(1 / 3e-5, rel=1e-15)
    assert found.peak.epochs == pytest.approx(4e6 / (3e-5 * 2e12), rel=1e-15)
    assert found.peak.samples == pytest.approx(4e6 / 3e-5, rel=1e-15)
    assert found.peak.run_fraction == pytest.approx(4e6 / (3e-5 * 4e12), rel=1e-15)


def test_peak_and_schedule_agree_at_a_constant_rate() -> None:
    found = em.Recipe(**LLAMA).timescale()
    for name, value in vars(found.peak).items():
        # The half-life between two whole steps and the sums carry rounding, no more.
        assert getattr(found.schedule, name) == pytest.approx(value, rel=1e-9), name


def test_schedule_numbers_follow_from_the_coefficients() -> None:
    schedule = em.Cosine(final=0.1, warmup_steps=200)
    recipe = em.Recipe(lr=1e-3, weight_decay=1.0, batch_size=10, dataset_size=1e5, unit="samples", schedule=schedule)
    found = recipe.timescale().schedule
    eta = 1e-3 * schedule.multipliers(10_000)
    initial, c = em.ema_coefficients(eta, 1.0)
    assert found.initial_weight_left == pytest.approx(initial, rel=1e-13)
    assert found.effective_sample_size == pytest.approx(c.sum() ** 2 / (c**2).sum(), rel=1e-12)
    assert found.steps == pytest.approx(10_000 / eta.sum(), rel=1e-12)
    last = int(found.half_life_steps)
    assert c[-last:].sum() <= 0.5 <= c[-last - 1 :].sum()


def test_half_life_is_infinite_when_most_of_the_start_is_left() -> None:
    found = em.Recipe(lr=1e-4, weight_decay=0.1, batch_size=1, dataset_size=1000).timescale()
    assert found.schedule.initial_weight_left > 0.5
    assert found.schedule.half_life_steps == math.inf


def test_without_decay_nothing_is_forgotten() -> None:
    found = em.Recipe(lr=1e-3, weight_decay=0.0, batch_size=1, dataset_size=100, schedule=em.Linear()).timescale()
    eta = em.Linear().multipliers(100)
    for horizon in (found.peak, found.schedule):
        assert horizon.steps == horizon.epochs == horizon.run_fraction == horizon.half_life_steps == math.inf
        assert horizon.initial_weight_left == 1.0
    assert found.peak.effective_sample_size == 100
    assert found.schedule.effective_sample_size == pytest.approx(eta.sum() ** 2 / (eta**2).sum(), rel=1e-13)


@pytest.mark.parametrize(
    "schedule", [em.Constant(), em.Cosine(final=0.1), em.Linear(warmup=0.05), em.WSD(shape="sqrt"), em.InverseSqrt()]
)
@pytest.mark.parametrize("alpha", [0.0, 1e-5, 1e-4, 1e-3])
def test_continuous_limit_is_within_alpha_of_the_sum(schedule: em.Linear, alpha: float) -> None:
    steps = 100_000
    summed = timescales.discrete_kernel(schedule.multipliers(steps), alpha)
    limit = timescales.continuous_kernel(schedule, alpha, steps)
    # O(α) for the kernel; sampling s on the left shifts its mean by (s(0) − s(1))/2T. p₀ is off by ½α²T∫s² and O(α).
    sampling = 1 / (steps * schedule.multipliers(steps).mean())
    assert limit.steps == pytest.approx(summed.steps, rel=sampling)
    assert limit.half_life_steps == pytest.approx(summed.half_life_steps, rel=2 * alpha + sampling, abs=2)
    assert limit.effective_sample_size == pytest.approx(summed.effective_sample_size, rel=2 * alpha + 2e-4)
    assert limit.initial_weight_left == pytest.approx(summed.initial_weight_left, rel=alpha * alpha * steps + 2 * alpha)


def test_a_very_long_run_takes_the_continuous_limit() -> None:
    recipe = em.Recipe(lr=1e-3, weight_decay=1e-3, batch_size=1, dataset_size=1e8, schedule=em.Cosine())
    found = recipe.timescale().schedule
    assert found.steps == pytest.approx(2e6, rel=1e-12)
    # Late in a cosine to zero, S(x) = π²(1−x)³/12.
    tau = 1 / (1e-6 * 1e8)
    assert found.half_life_steps / 1e8 == pytest.approx((12 * tau * math.log(2) / math.pi**2) ** (1 / 3), rel=0.02)


def test_sweep_axes_become_dims() -> None:
    found = em.Recipe(**{**LLAMA, "weight_decay": [0.0, 0.1, 0.2], "batch_size": [4e6, 8e6]}).timescale()
    assert found.schedule.steps.dims == ("weight_decay", "batch_size")
    single = em.Recipe(**{**LLAMA, "weight_decay": 0.2, "batch_size": 8e6}).timescale()
    assert float(found.peak.half_life_steps.sel(weight_decay=0.2, batch_size=8e6)) == single.peak.half_life_steps
    assert float(found.schedule.epochs.sel(weight_decay=0.2, batch_size=8e6)) == single.schedule.epochs


def test_closed_forms_come_from_the_derivation() -> None:
    found = em.Recipe(**LLAMA).timescale().peak
    closed = derive("constant-rate").function("half_life_steps")
    assert found.half_life_steps == closed(lr=3e-4, weight_decay=0.1)
    assert found.half_life_steps == pytest.approx(-math.log(2) / math.log1p(-3e-5), rel=1e-14)


def test_too_much_decay_is_refused_with_its_value() -> None:
    with pytest.raises(ValueError, match=r"must be below 1 .* got 0\.5·3 = 1\.5"):
        em.Recipe(lr=0.5, weight_decay=3.0, batch_size=1, dataset_size=10).timescale()
    schedule = em.Cosine(warmup_steps=10)
    recipe = em.Recipe(lr=0.5, weight_decay=1.0, batch_size=1, dataset_size=10, schedule=schedule)
    with pytest.raises(ValueError, match=r"warmup_steps must be less than the run's 10 steps"):
        recipe.timescale()


def test_a_timescale_prints_in_its_unit() -> None:
    assert "timescale, tokens" in str(em.Recipe(**LLAMA).timescale())
    assert "timescale, samples" in str(em.Recipe(**LLAMA, unit="samples").timescale())


@pytest.mark.parametrize("schedule", [em.Constant(), em.Cosine(final=0.1, warmup=0.01), em.Linear()])
def test_the_fast_sum_has_nine_digits_of_the_coefficients_proper(schedule: em.Linear) -> None:
    multipliers, alpha = schedule.multipliers(300_000), 1e-4
    found = timescales.discrete_kernel(multipliers, alpha)
    initial, coefficients = em.ema_coefficients(multipliers, alpha)
    assert found.initial_weight_left == pytest.approx(initial, rel=1e-9)
    assert found.effective_sample_size == pytest.approx(
        coefficients.sum() ** 2 / (coefficients @ coefficients), rel=1e-9
    )
    from_end = coefficients[::-1].cumsum()
    assert found.half_life_steps == pytest.approx(np.searchsorted(from_end, 0.5), abs=1)


def test_the_shares_of_a_kernel_are_its_coefficients_binned():
    schedule = em.Cosine(final=0.1)
    recipe = em.Recipe(lr=0.02, weight_decay=0.5, batch_size=1, dataset_size=1000, schedule=schedule)
    initial, shares = kernel_shares(recipe, 10)
    left, coefficients = em.ema_coefficients(0.02 * schedule.multipliers(1000), 0.5)
    assert initial == left
    np.testing.assert_allclose(shares, coefficients.reshape(10, 100).sum(axis=1), rtol=1e-13)
    assert initial + shares.sum() == pytest.approx(1, rel=1e-14)


def test_the_continuous_kernel_is_the_limit_of_the_discrete_one(monkeypatch):
    recipe = em.Recipe(lr=1e-3, weight_decay=0.1, batch_size=1, dataset_size=100_000, schedule=em.Linear(final=0.0))
    discrete = kernel_shares(recipe, 20)
    monkeypatch.setattr("ematheory.timescales.DISCRETE_STEPS", 10)
    continuous = kernel_shares(recipe, 20)
    # Relative O(1/(τT)) = O(α) a part.
    np.testing.assert_allclose(continuous[1], discrete[1], rtol=1e-3)
    assert continuous[0] == pytest.approx(discrete[0], rel=1e-3)


def test_a_kernel_that_cannot_be():
    base = {"lr": 0.1, "batch_size": 1, "dataset_size": 10}
    with pytest.raises(ValueError, match="there is no kernel"):
        kernel_shares(em.Recipe(**base, weight_decay=0.0))
    with pytest.raises(TypeError, match="one recipe"):
        kernel_shares(em.Recipe(**base, weight_decay=[0.1, 0.2]))
    with pytest.raises(ValueError, match="must be below 1"):
        kernel_shares(em.Recipe(**base, weight_decay=10.0))
    with pytest.raises(ValueError, match="bins must be"):
        kernel_shares(em.Recipe(**base, weight_decay=0.1), 0)
