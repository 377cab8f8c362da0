"""Norms and rotations of tracked weights against their vectors and, on white gradients, against theory."""

import importlib.util
import math

import numpy as np
import pytest
import torch
import xarray as xr
from tracked_loops import falling, parameter, signs, steps, white

import ematheory as em
from ematheory.training.observables import turned
from ematheory.training.tracking.equilibria import adam_l2_at_rest
from ematheory.training.tracking.forecast import Rates, angle

pytestmark = pytest.mark.filterwarnings("ignore:.*(timescale|weight_decay|bfloat16|average):UserWarning")


def on_noise(weight_decay, count=300):
    """Ten thousand coordinates on white gradients."""
    weight = parameter(100, 100, scale=0.3)
    optimizer = torch.optim.AdamW([weight], lr=0.02, weight_decay=weight_decay, betas=(0.9, 0.9999), eps=0.0)
    with em.track(optimizer, every=25) as tracker:
        steps(optimizer, count, signs(), falling(optimizer, count + 1))
    return tracker.dataset().isel(group=0, step=slice(1, None))


@pytest.mark.parametrize("weight_decay", [0.0, 2.0])
def test_norm_and_rotation_follow_theory_on_white_gradients(weight_decay):
    found = on_noise(weight_decay)
    # A norm of C white coordinates is off by 1/√(2C), and a rotation, a ratio of two, by √2 times that: five of these.
    error = 5 / math.sqrt(10_000)
    np.testing.assert_allclose(found.weight_norm, found.weight_norm_predicted, rtol=error)
    np.testing.assert_allclose(found.rotation, found.rotation_predicted, rtol=error)
    assert float(found.weight_norm_predicted.max() / found.weight_norm_predicted.min()) > 1.02


def test_the_first_steps_follow_theory_with_its_bias_corrections():
    optimizer = torch.optim.AdamW([parameter(100, 100, scale=1e-3)], lr=0.02, weight_decay=2.0, eps=0.0)
    with em.track(optimizer, every=1) as tracker:
        steps(optimizer, 12, signs())
    found = tracker.dataset().isel(group=0, step=slice(1, None))
    np.testing.assert_allclose(found.weight_norm, found.weight_norm_predicted, rtol=5 / math.sqrt(2 * 10_000))
    np.testing.assert_allclose(found.rotation, found.rotation_predicted, rtol=5 / math.sqrt(10_000))


def test_a_constant_rate_comes_to_the_equilibrium_of_theory():
    optimizer = torch.optim.AdamW([parameter(100, 100, scale=0.01)], lr=0.01, weight_decay=5.0, eps=0.0)
    with em.track(optimizer, every=50) as tracker:
        steps(optimizer, 200, white())
    last = tracker.dataset().isel(step=-1, group=0)
    walk, given = em.derive("adamw-random-walk"), {"decay_per_step": 0.05, "one_minus_beta1": 1 - 0.9}
    assert float(last.weight_norm_equilibrium) == pytest.approx(
        100 * walk.function("weight_rms")(lr=0.01, **given), rel=1e-12
    )
    assert float(last.rotation_equilibrium) == pytest.approx(walk.function("rotation")(**given), rel=1e-12)
    assert float(last.weight_norm_predicted) == pytest.approx(float(last.weight_norm_equilibrium), rel=1e-4)
    assert float(last.rotation_predicted) == pytest.approx(float(last.rotation_equilibrium), rel=1e-4)


def scale_invariant(momentum, start=1.0, count=800, lr=0.05):
    """SGD on gradients that are white noise over the norm, at right angles to the weights."""

    def tangential(weight):
        noise, along = source(weight), weight.detach() / weight.detach().norm()
        return (noise - (noise @ along) * along) / (math.sqrt(4000) * weight.detach().norm())

    source, weight = white(), parameter(4000, scale=start / math.sqrt(4000))
    optimizer = torch.optim.SGD([weight], lr=lr, momentum=momentum, weight_decay=0.1)
    with em.track(optimizer, every=count // 8) as tracker:
        steps(optimizer, count, tangential)
    return tracker.dataset().isel(group=0)


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_scale_invariant_sgd_comes_to_the_equilibrium_of_theory(momentum):
    late = scale_invariant(momentum).isel(step=slice(-3, None))
    # Leading order in ηλ/(1 − μ) = 2.5 %; the norm goes with the square root of a gradient that is off by 1/√(2C).
    np.testing.assert_allclose(late.weight_norm, late.weight_norm_equilibrium, rtol=0.03)
    np.testing.assert_allclose(late.rotation, late.rotation_equilibrium, rtol=0.06)


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_scale_invariant_sgd_goes_there_as_theory_says(momentum):
    # ηλ/(1 − μ) is 0.5 %: momentum's way is off by as much, and a norm by 0.6 %, a quarter power of the noise's square.
    found = scale_invariant(momentum, start=3.0, count=1000, lr=0.05 * (1 - momentum))
    np.testing.assert_allclose(found.weight_norm, found.weight_norm_predicted, rtol=0.03)
    assert float(found.weight_norm[0] / found.weight_norm[-1]) > 2


def test_norms_and_rotations_are_those_of_the_vectors():
    weights = [parameter(7, 3), parameter(11, seed=3)]
    optimizer = torch.optim.AdamW(weights, lr=1e-4, weight_decay=0.1)
    before, seen = [], []
    with em.track(optimizer, every=1) as tracker:
        for _ in range(3):
            old = torch.cat([weight.detach().reshape(-1) for weight in weights])
            steps(optimizer, 1, white())
            new = torch.cat([weight.detach().reshape(-1) for weight in weights])
            before.append(old)
            seen.append((new.norm(), turned(old, new), (new - old).norm() / old.norm()))
    found = tracker.dataset().isel(group=0, step=slice(1, None))
    expected = np.array(seen, dtype=float).T
    np.testing.assert_allclose(found.weight_norm, expected[0], rtol=1e-14)
    np.testing.assert_allclose(found.rotation, expected[1], rtol=1e-9)
    np.testing.assert_allclose(found.update_ratio, expected[2], rtol=1e-10)


def test_an_angle_keeps_its_digits_when_it_is_small():
    small = 1e-9
    assert angle(1.0, 1.0, (2 * math.sin(small / 2)) ** 2) == pytest.approx(small, rel=1e-12)
    assert angle(4.0, 1.0, 5.0) == pytest.approx(math.pi / 2)
    assert math.isnan(angle(0.0, 1.0, 1.0))


def test_names_are_those_of_train_and_none_is_an_attribute_of_a_dataset():
    found = on_noise(1.0, count=25)
    trained = {"weight_norm", "rotation", "initial_weight_left", "parameter_norm"}
    assert trained <= set(found.data_vars)
    assert not [name for name in found.data_vars if hasattr(xr.Dataset, str(name))]


def timm_lion(parameters, **given):
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    from tests.frameworks.installed import without_package

    with without_package("timm", "timm.optim"):
        from timm.optim.lion import Lion
    return Lion(parameters, **given)


def record_of(record):
    return lambda parameters, lr, weight_decay, **given: em.training.RecordOptimizer(
        parameters, record(lr=lr, weight_decay=weight_decay, **given)
    )


@pytest.mark.parametrize(
    ("make", "betas"),
    [
        (record_of(em.Lion), {"betas": (0.9, 0.99)}),
        (record_of(em.Lion), {"betas": (0.5, 0.9)}),
        (timm_lion, {"betas": (0.95, 0.98)}),
        (record_of(em.Lion), {"betas": (0.0, 0.9)}),
        (record_of(em.SignSGD), {"momentum": 0.8}),
    ],
)
@pytest.mark.parametrize("decay_per_step", [0.01, 0.1])
def test_lion_comes_to_the_equilibrium_of_theory(make, betas, decay_per_step):
    weight = parameter(100, 100, scale=0.05)
    optimizer = make([weight], lr=0.01, weight_decay=decay_per_step / 0.01, **betas)
    with em.track(optimizer, every=20) as tracker:
        steps(optimizer, int(5 / decay_per_step) + 300, white())
    last = tracker.dataset().isel(step=-1, group=0)
    # As above: five standard errors of a norm of 10⁴ coordinates, and of a ratio of two.
    assert float(last.weight_norm) == pytest.approx(float(last.weight_norm_equilibrium), rel=5 / math.sqrt(20_000))
    assert float(last.rotation) == pytest.approx(float(last.rotation_equilibrium), rel=5 / math.sqrt(10_000))
    assert math.isnan(float(last.weight_norm_predicted))
    assert "memory" in tracker.dataset().attrs["assumed"]


@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("spread", [4.0, 64.0])
def test_scale_invariant_adam_with_l2_comes_to_the_equilibrium_of_theory(spread, beta1):
    def tangential(weight):
        noise, along = spread * source(weight), weight.detach() / weight.detach().norm()
        return (noise - (noise @ along) * along) / weight.detach().norm()

    lr, decay, size, beta2 = 0.2, 0.01, 2000, 0.99
    source, start = white(), (lr * size * spread / (2 * decay)) ** (1 / 3)
    optimizer = torch.optim.Adam(
        [parameter(size, scale=start / math.sqrt(size))], lr=lr, weight_decay=decay, betas=(beta1, beta2), eps=0.0
    )
    with em.track(optimizer, every=20) as tracker, pytest.warns(UserWarning, match="L2"):
        steps(optimizer, 800, tangential)
    late = tracker.dataset().isel(step=slice(-20, None), group=0)
    # Steps turn the weights by ρ/2 more or less, λw is in v̂ too, and v̂ itself is off by 1 − β₂ (claim C07's bounds).
    np.testing.assert_allclose(late.weight_norm.mean(), late.weight_norm_equilibrium.mean(), rtol=0.02)
    np.testing.assert_allclose(late.rotation.mean(), late.rotation_equilibrium.mean(), rtol=0.02)
    assert "scale the loss does not see" in tracker.dataset().attrs["assumed"]


def nesterov(parameters, **rates):
    return torch.optim.SGD(parameters, momentum=0.9, nesterov=True, **rates)


def test_what_has_no_theory_has_no_equilibrium():
    for make in (
        nesterov,
        torch.optim.NAdam,
        torch.optim.RAdam,
        torch.optim.Adamax,
        torch.optim.Adagrad,
        torch.optim.RMSprop,
    ):
        optimizer = make([parameter(30)], lr=0.01, weight_decay=0.1)
        with em.track(optimizer, every=2) as tracker:
            steps(optimizer, 2, white())
        last = tracker.dataset().isel(step=-1, group=0)
        assert float(last.rotation) > 0
        for name in ("weight_norm", "rotation"):
            assert math.isnan(float(last[f"{name}_equilibrium"]))
            assert math.isnan(float(last[f"{name}_predicted"]))
        assert tracker.dataset().attrs["assumed"] == "[]"


@pytest.mark.parametrize(
    ("made", "record"),
    [
        (
            lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=2.0, betas=(0.8, 0.99)),
            em.AdamW(lr=0.01, weight_decay=2.0, betas=(0.8, 0.99)),
        ),
        (
            lambda p: torch.optim.SGD(p, lr=0.01, weight_decay=2.0, momentum=0.8),
            em.SGD(lr=0.01, weight_decay=2.0, momentum=0.8),
        ),
        (
            lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1, betas=(0.8, 0.99)),
            em.Adam(lr=0.01, weight_decay=0.1, betas=(0.8, 0.99)),
        ),
    ],
)
def test_a_record_is_expected_to_do_what_torchs_own_does(made, record):
    found = []
    for make in (made, lambda p: em.training.RecordOptimizer(p, record)):
        optimizer = make([parameter(40)])
        with em.track(optimizer, every=5) as tracker:
            steps(optimizer, 20, white())
        found.append(tracker.dataset().isel(group=0))
    for name in ("weight_norm_predicted", "weight_norm_equilibrium", "rotation_predicted", "rotation_equilibrium"):
        np.testing.assert_allclose(found[1][name], found[0][name], rtol=1e-9, err_msg=name)
    assert np.isfinite(found[0].weight_norm_equilibrium[1:]).all()


@pytest.mark.parametrize("words", [{"decay_order": "after"}, {"bias_correction": False}])
def test_another_update_than_adamws_has_no_predictions(words):
    optimizer = em.training.RecordOptimizer([parameter(40)], em.AdamW(lr=0.01, weight_decay=2.0, **words))
    with em.track(optimizer, every=2) as tracker:
        steps(optimizer, 2, white())
    last = tracker.dataset().isel(step=-1, group=0)
    assert math.isnan(float(last.weight_norm_equilibrium))
    assert math.isnan(float(last.rotation_predicted))


def test_an_equilibrium_is_that_which_its_own_share_gives():
    """‖w‖² of Adam with L2 is the derivation's at ρ = ηλ‖w‖/σ̃, for gradients of any size; none from ρ = 1 on."""
    law, rates = em.derive("scale-invariant-adam-l2"), Rates(0.1, 0.5, math.nan, beta1=0.6)
    sizes, spreads = np.full(5, 300.0), np.array([1e-3, 1.0, 1e3, 1e6, 1e9])
    with np.errstate(invalid="ignore"):
        square, rotation = adam_l2_at_rest(rates, sizes, sizes * spreads**2)
    shares = 0.1 * 0.5 * np.sqrt(square) / spreads
    inside = np.isfinite(square)
    assert inside.tolist() == [False, True, True, True, True]
    given = {"decay_per_step": shares[inside], "one_minus_beta1": 0.4}
    expected = law.function("weight_norm_2")(lr=0.1, coordinates=300.0, **given)
    np.testing.assert_allclose(square[inside], expected, rtol=1e-12)
    np.testing.assert_allclose(1 - np.cos(rotation[inside]), law.function("versine")(**given), rtol=1e-6)
