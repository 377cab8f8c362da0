"""Every cross-check passes where the theory says it must, and fails where it says so."""

import math

import numpy as np
import pytest

import ematheory as em
from ematheory.training import crosschecks
from ematheory.training.crosschecks import average
from ematheory.training.run import Run

SMALL = em.tasks.digits_mlp(width=8, depth=1)
INVARIANT = em.tasks.digits_scale_invariant(width=8, depth=1)
ADAMW = em.AdamW(lr=1e-2, weight_decay=0.5)
SCHEDULES = [
    None, em.Linear(), em.Cosine(final=0.1, warmup=0.1), em.WSD(), em.InverseSqrt(), em.Exponential(),
    em.Harmonic(timescale=0.3),
]  # fmt: skip


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_the_weights_are_the_moving_average_in_float64(schedule):
    check = crosschecks.moving_average(SMALL, ADAMW, epochs=3, schedule=schedule, store=True)
    assert check.residual < 1e-12
    assert check.bound_share <= 1
    assert check.stored_residual < 1e-12
    assert check.initial_left == pytest.approx(check.initial_left_coefficients, rel=1e-12)
    assert check.initial_left_read == pytest.approx(check.initial_left_coefficients, rel=1e-12)
    assert check.trajectory_weights.shape == check.trajectory_average.shape == (len(check.trajectory_steps), 6)


@pytest.mark.parametrize("foreach", [True, False])
@pytest.mark.parametrize("schedule", [None, em.Cosine()], ids=repr)
def test_float32_stays_within_the_derived_bound(schedule, foreach):
    check = crosschecks.moving_average(SMALL, ADAMW, epochs=3, schedule=schedule, dtype="float32", foreach=foreach)
    assert 1e-9 < check.residual < check.bound < 1e-4
    assert check.bound_share <= 1


NETWORKS = {
    "MLP": em.tasks.digits_mlp(width=8, depth=1, train_size=64),
    "ResNet": em.tasks.digits_resnet(width=4, train_size=64),
    "ViT": em.tasks.digits_vit(width=8, depth=1, heads=2, train_size=64),
    "GPT": em.tasks.char_gpt(width=8, depth=1, heads=2, context=8, train_tokens=64 * 8),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_is_that_average_under_warm_up_and_decay(network, dtype):
    schedule = em.WSD(warmup=0.2, decay=0.4)
    check = crosschecks.moving_average(
        NETWORKS[network], ADAMW, epochs=5, batch_size=16, schedule=schedule, dtype=dtype
    )
    assert check.bound_share <= 1
    assert check.residual < (1e-12 if dtype == "float64" else 1e-5)
    assert dtype == "float64" or check.residual > 1e-9  # float32 did run
    assert (check.trajectory_weights[0] != check.trajectory_weights[-1]).all()  # and the weights moved


@pytest.mark.parametrize("decay", ["independent", "corrected"])
def test_other_decays_of_the_weight_are_averages_too(decay):
    weight_decay = 5e-3 if decay == "independent" else 0.5
    optimizer = em.AdamW(lr=1e-2, weight_decay=weight_decay, decay=decay)
    check = crosschecks.moving_average(
        SMALL, optimizer, epochs=2, schedule=em.Cosine(warmup=0.1), decay_schedule=em.Linear()
    )
    assert check.residual < 1e-12


@pytest.mark.parametrize(
    "optimizer", [em.Adam(lr=1e-2, weight_decay=0.5), em.SGD(lr=0.05, momentum=0.9, weight_decay=0.01)], ids=repr
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_l2_is_not_that_average(optimizer, dtype):
    check = crosschecks.moving_average(SMALL, optimizer, epochs=2, dtype=dtype)
    assert check.residual > 1e-3
    assert check.bound_share > 100


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_bounds_notice_a_slightly_wrong_update(dtype, monkeypatch):
    wrong = {"float64": 1 + 1e-10, "float32": 1 + 1e-3}[dtype]
    right = Run.update
    monkeypatch.setattr(Run, "update", lambda run: wrong * right(run))
    check = crosschecks.moving_average(SMALL, ADAMW, epochs=3, dtype=dtype)
    assert check.bound_share > 1
    assert dtype == "float32" or check.residual > 1e-12


def test_the_average_needs_decay():
    with pytest.raises(ValueError, match="weight_decay > 0"):
        crosschecks.moving_average(SMALL, em.AdamW(lr=1e-2, weight_decay=0.0), epochs=1)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("scale", [2.0, 1 / 16])
def test_theorem_one_is_exact_for_powers_of_two(scale, dtype):
    check = crosschecks.theorem_one(INVARIANT, em.AdamW(lr=1e-2, weight_decay=0.1, eps=1e-3), scale=scale, dtype=dtype)
    assert check.weight_residual == check.loss_residual == 0


def test_theorem_one_for_another_scale_and_its_failures():
    optimizer = em.AdamW(lr=1e-2, weight_decay=0.1, eps=1e-3)
    exact = crosschecks.theorem_one(INVARIANT, optimizer, scale=10.0, schedule=em.Cosine(warmup=0.1))
    assert exact.weight_residual < 1e-11
    assert exact.loss_residual < 1e-11
    kept = crosschecks.theorem_one(INVARIANT, optimizer, scale=10.0, rescale_eps=False, schedule=em.Cosine(warmup=0.1))
    assert kept.weight_residual > 1e6 * exact.weight_residual
    assert kept.loss_residual > 1e-2
    other = crosschecks.theorem_one(SMALL, optimizer, scale=2.0)
    assert other.loss_residual > 0.1


def test_theorem_one_is_about_per_lr_decay():
    with pytest.raises(ValueError, match="per-LR decay"):
        crosschecks.theorem_one(INVARIANT, em.AdamW(lr=1e-2, decay="independent"))


def test_the_equilibrium_has_r1s_values_and_not_the_orthogonal_ones():
    lr, weight_decay, beta1 = 1e-2, 5.0, 0.9
    check = crosschecks.equilibrium(
        em.AdamW(lr=lr, weight_decay=weight_decay, betas=(beta1, 0.9999)), vectors=20, size=1000
    )
    a = 1 - lr * weight_decay
    unit = (1 - beta1) / (1 + beta1)
    expected = {
        "weight_mean_square": lr**2 * unit * (1 + a * beta1) / ((1 - a * a) * (1 - a * beta1)),
        "cosine_weights": (a + beta1) / (1 + a * beta1),
        "cosine_before": -beta1 * math.sqrt((1 - a * a) / ((1 + a * beta1) * (1 - a * beta1))),
        "cosine_after": -math.sqrt((1 - a * a) / ((1 + a * beta1) * (1 - a * beta1))),
    }
    for name, value in expected.items():
        assert abs(check.values[name] - value) < 4 * check.errors[name] + 3e-4 * abs(value), name
    orthogonal = lr**2 * unit / (1 - a * a)
    assert abs(check.values["weight_mean_square"] - orthogonal) > 100 * check.errors["weight_mean_square"]


def test_the_equilibrium_refuses_no_decay():
    with pytest.raises(ValueError, match="decay per step"):
        crosschecks.equilibrium(em.AdamW(lr=1e-2, weight_decay=0.0))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_measured_kernels_are_the_coefficients_and_near_the_continuous_density(schedule):
    shape = schedule or em.Constant()
    gaps = []
    for steps in (100, 200, 400):
        check = crosschecks.schedule_kernel(schedule, steps=steps, timescale=0.3)
        assert check.residual < 1e-12
        assert check.initial_left == pytest.approx(check.expected_initial_left, rel=1e-12)
        assert check.initial_left + check.coefficients.sum() == pytest.approx(1, abs=1e-12)
        x = check.positions
        density = shape.at(x) / 0.3 * np.exp(-shape.integral(x) / 0.3)
        gaps.append(np.abs(check.density - density).mean())
    # L1 distances fall as 1/T; the inverse square root has a kink at x = 0.01, unresolved by T = 100.
    assert gaps[2] < 0.05
    assert 1.7 < gaps[0] / gaps[1] < 2.3
    assert 1.7 < gaps[1] / gaps[2] < 2.3


def test_kernels_in_which_the_decay_changes_too():
    schedule, decay_schedule = em.Cosine(final=0.1), em.Linear(final=0.2)
    check = crosschecks.schedule_kernel(schedule, steps=200, timescale=0.3, decay_schedule=decay_schedule)
    assert check.residual < 1e-12
    peak = 1 / (0.3 * 200 * 0.1)
    assert check.update_coefficients[-1] == pytest.approx(-peak * schedule.multipliers(200)[-1], rel=1e-12)
    # The two views rank steps differently when λ varies: on q late steps count less than on u.
    assert np.argmax(check.coefficients) != np.argmax(-check.update_coefficients)


def test_the_harmonic_schedule_weighs_every_update_alike():
    check = crosschecks.schedule_kernel(em.Harmonic(timescale=0.3), steps=200, timescale=0.3)
    np.testing.assert_allclose(check.update_coefficients, check.update_coefficients[0], rtol=1e-12)
    other = crosschecks.schedule_kernel(em.Harmonic(timescale=0.3), steps=200, timescale=0.2)
    assert abs(other.update_coefficients[-1]) > 1.5 * abs(other.update_coefficients[0])


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_what_is_left_of_the_start_is_the_product(schedule):
    check = crosschecks.initial_share(ADAMW, steps=300, schedule=schedule)
    assert check.residual < 1e-12
    assert check.spread < 1e-12


@pytest.mark.parametrize("foreach", [True, False])
@pytest.mark.parametrize(
    "optimizer",
    [
        em.AdamW(lr=1e-2, weight_decay=0.1),
        em.AdamW(lr=1e-2, weight_decay=1e-2, decay="independent"),
        em.AdamW(lr=1e-2, weight_decay=0.1, decay="corrected"),
        em.Adam(lr=1e-2, weight_decay=0.1),
        em.SGD(lr=1e-2, momentum=0.9, weight_decay=0.1),
        em.SGD(lr=1e-2, momentum=0.9, weight_decay=0.1, nesterov=True),
    ],
    ids=repr,
)
def test_torch_does_what_the_records_say(optimizer, foreach):
    check = crosschecks.same_update(
        optimizer, schedule=em.Cosine(warmup=0.1), decay_schedule=em.Linear(final=0.5), foreach=foreach
    )
    assert check.residual < 1e-12


def test_independent_decay_needs_its_number_translated():
    schedule = em.Cosine(warmup=0.1)
    assert crosschecks.translated_decay(schedule=schedule).residual < 1e-12
    assert crosschecks.translated_decay(schedule=schedule, translated=False).residual > 1e-2


def test_a_crosscheck_refuses_sweep_axes_and_no_epochs():
    task, swept = em.tasks.digits_mlp(width=8), em.AdamW(lr=1e-2, weight_decay=[0.1, 0.2])
    for check in (crosschecks.moving_average, crosschecks.theorem_one):
        with pytest.raises(ValueError, match=r"follows one run, got sweep axes weight_decay"):
            check(task, swept, epochs=1)
        with pytest.raises(ValueError, match=r"epochs must be .*>= 1, got 0"):
            check(task, em.AdamW(lr=1e-2, weight_decay=0.1), epochs=0)
    for other in (crosschecks.equilibrium, crosschecks.initial_share, crosschecks.same_update):
        with pytest.raises(ValueError, match=r"sweep axes"):
            other(swept)


def test_a_wrong_decay_or_a_shifted_update_is_beyond_the_bound(monkeypatch):
    """The float32 bound is no formality: an error of 1 % in λ, of 0.1 % in η or of one step in u exceeds it."""
    true, held = average.Reconstruction.add, {}

    def delayed(self, lr, decay, update, before, after):
        old = held.pop("u", update)
        held["u"] = update
        return true(self, lr, decay, old, before, after)

    wrong = (
        lambda self, lr, decay, *rest: true(self, lr, 1.01 * decay, *rest),
        lambda self, lr, decay, *rest: true(self, 1.001 * lr, decay, *rest),
        delayed,
    )
    task, optimizer = em.tasks.digits_mlp(width=8), em.AdamW(lr=1e-2, weight_decay=0.5)
    for add in wrong:
        monkeypatch.setattr(average.Reconstruction, "add", add)
        assert crosschecks.moving_average(task, optimizer, epochs=1, dtype="float32").bound_share > 10
