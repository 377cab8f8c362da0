"""The tracker against torch itself: exact where decay acts alone, within sampling error on white gradients."""

import importlib.util
import math
import warnings

import numpy as np
import pytest
import torch
import xarray as xr

import ematheory as em
from ematheory.conventions import NO_LAMBDA
from ematheory.training import tracking
from ematheory.training.observables import turned
from ematheory.training.tracking.forecast import angle, left_after
from ematheory.training.tracking.low_precision import decay_lost_predicted
from ematheory.training.tracking.meaning import CLASSES, meaning

pytestmark = pytest.mark.filterwarnings("ignore:.*(timescale|weight_decay|bfloat16|average):UserWarning")


def parameter(*shape, dtype=torch.float64, seed=0, scale=1.0):
    return torch.nn.Parameter(scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype))


def steps(optimizer, count, gradient=torch.zeros_like, schedule=None):
    """Steps on gradients that are made from each weight."""
    for _ in range(count):
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = gradient(weight)
        optimizer.step()
        if schedule is not None:
            schedule.step()


def white(seed=1):
    source = torch.Generator().manual_seed(seed)
    return lambda weight: torch.randn(weight.shape, generator=source, dtype=weight.dtype)


def signs(seed=1):
    """White gradients of one size, for which √v̂ is that size from the first step on, as theory has it."""
    source = torch.Generator().manual_seed(seed)
    return lambda weight: torch.randint(2, weight.shape, generator=source, dtype=weight.dtype) * 2 - 1


def falling(optimizer, count):
    """Up over ten steps and down to zero, beginning with a rate of 0."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: min(1.0, k / 10) * (1 - k / count))


# What is left of the start, exactly: without gradients decay acts alone.

DECAYING = {
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.7),
    "AdamW foreach": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.7, foreach=True),
    "AdamW fused": lambda p: torch.optim.AdamW(p, lr=0.02, weight_decay=0.7, fused=True),
    "AdamW tensor lr": lambda p: torch.optim.AdamW(p, lr=torch.tensor(0.02, dtype=torch.float64), weight_decay=0.7),
    "Adam marked": lambda p: torch.optim.Adam(p, lr=0.02, weight_decay=0.7, decoupled_weight_decay=True),
    "NAdam marked": lambda p: torch.optim.NAdam(p, lr=0.02, weight_decay=0.7, decoupled_weight_decay=True),
    "RAdam marked": lambda p: torch.optim.RAdam(p, lr=0.02, weight_decay=0.7, decoupled_weight_decay=True),
    "Muon": lambda p: torch.optim.Muon(p, lr=0.02, weight_decay=0.7),
    "Adafactor": lambda p: torch.optim.Adafactor(p, lr=0.02, weight_decay=0.7),
    "SGD": lambda p: torch.optim.SGD(p, lr=0.02, weight_decay=0.7),
    "SGD momentum": lambda p: torch.optim.SGD(p, lr=0.02, weight_decay=0.7, momentum=0.8),
    "SGD Nesterov": lambda p: torch.optim.SGD(p, lr=0.02, weight_decay=0.7, momentum=0.8, nesterov=True),
    "Adam without decay": lambda p: torch.optim.Adam(p, lr=0.02),
}


@pytest.mark.parametrize("kind", DECAYING)
def test_without_gradients_what_is_left_is_exactly_what_was_predicted(kind):
    optimizer = DECAYING[kind]([parameter(6, 5), parameter(4, 9, seed=2)])
    with em.track(optimizer, every=7) as tracker:
        steps(optimizer, 70, schedule=falling(optimizer, 70))
    found = tracker.dataset()
    np.testing.assert_allclose(found.initial_weight_left_measured, found.initial_weight_left, rtol=1e-12)
    np.testing.assert_allclose(
        found.parameter_initial_weight_left_measured, found.parameter_initial_weight_left, rtol=1e-12
    )
    assert (float(found.initial_weight_left[-1, 0]) < 0.8) == (kind != "Adam without decay")


def composer(parameters):
    from tests.frameworks.installed import composer as make

    return make(parameters, lr=0.02, weight_decay=0.014)


def timm_corrected(parameters):
    from tests.frameworks.installed import without_package

    with without_package("timm", "timm.optim"):
        from timm.optim.adamw import AdamWLegacy
    return AdamWLegacy(parameters, lr=0.02, weight_decay=0.7, corrected_weight_decay=True)


def transformers_legacy(parameters):
    from transformers.optimization import AdamW

    return AdamW(parameters, lr=0.02, weight_decay=0.7, no_deprecation_warning=True)


@pytest.mark.parametrize(
    ("package", "make", "word"),
    [
        ("composer", composer, "independent"),
        ("timm", timm_corrected, "corrected"),
        ("transformers", transformers_legacy, "per_lr"),
    ],
)
def test_other_packages_decay_as_their_conventions_say(package, make, word):
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    optimizer = make([parameter(6, 5)])
    assert meaning(optimizer, optimizer.param_groups[0]).words() == word
    with em.track(optimizer, every=10) as tracker:
        steps(optimizer, 40, schedule=falling(optimizer, 40))
    found = tracker.dataset()
    np.testing.assert_allclose(found.initial_weight_left_measured, found.initial_weight_left, rtol=1e-12)
    assert 0 < float(found.initial_weight_left[-1, 0]) < 0.9


def test_every_known_class_has_a_meaning_that_can_be_told():
    for found in CLASSES.values():
        assert found.multiplies in NO_LAMBDA or found.decay_per_step(0.1, 0.01) > 0


def test_a_sample_of_coordinates_is_within_its_error():
    optimizer = torch.optim.AdamW([parameter(300, 300)], lr=0.01, weight_decay=1.0)
    with em.track(optimizer, every=50, sample=2000) as tracker:
        steps(optimizer, 50, white())
    found = tracker.dataset().isel(step=-1, group=0)
    off = float(found.initial_weight_left_measured - found.initial_weight_left)
    assert 0 < abs(off) < 5 * float(found.initial_weight_left_measured_sem)
    assert tracker.memory_bytes <= 2000 * 16


# Norm and rotation.


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


# Timescales.


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


# Whatever a loop may do.


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


def test_complex_and_bfloat16_weights_are_measured():
    weights = [torch.nn.Parameter(torch.tensor([3 + 4j, 0])), parameter(9, dtype=torch.bfloat16)]
    optimizer = torch.optim.AdamW(weights, lr=0.1, weight_decay=1.0)
    with em.track(optimizer, every=1) as tracker:
        steps(optimizer, 1)
    found = tracker.dataset()
    assert float(found.parameter_norm[0, 0]) == 5
    assert float(found.parameter_initial_weight_left_measured[1, 0]) == pytest.approx(0.9, rel=1e-6)


# bfloat16.


@pytest.mark.parametrize("weight_decay", [0.1, 0.25, 0.3, 0.5])
def test_the_decay_that_bfloat16_loses_is_what_the_step_did_not_move(weight_decay):
    weight = parameter(60, 60, dtype=torch.bfloat16)
    before = weight.detach().clone()
    optimizer = torch.optim.AdamW([weight], lr=0.01, weight_decay=weight_decay)
    with em.track(optimizer, every=1) as tracker:
        steps(optimizer, 1)
    lost = float((weight.detach() == before).double().mean())
    last = tracker.dataset().isel(step=-1, group=0)
    # Measured on the weights after the step, predicted for log-uniform significands: a normal's nearly are.
    assert float(last.decay_lost_predicted) == pytest.approx(lost, abs=0.05)
    assert float(last.decay_lost) >= lost - 0.02
    assert ("bfloat16" in " ".join(tracker.warnings)) == (weight_decay < 0.4)


def test_what_bfloat16_loses_is_expected_of_each_significand():
    # Between the thresholds 128 and all that are more than 1/(2ηλ) move; 1/(2·0.00278) is 179.9.
    stays = np.arange(129, 180)
    assert decay_lost_predicted(0.00278) == pytest.approx(np.log2((stays + 1) / stays).sum(), rel=1e-12)


def test_a_fused_step_has_no_decay_of_its_own_to_lose():
    optimizer = torch.optim.AdamW([parameter(9, dtype=torch.bfloat16)], lr=0.01, weight_decay=0.1, fused=True)
    with em.track(optimizer, every=1) as tracker:
        steps(optimizer, 1)
    assert np.isnan(tracker.dataset().decay_lost[-1, 0])


# Warnings.


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
    assert tracker.peaks == [pytest.approx(0.1)]


def test_tensors_that_start_at_zero_say_nothing_of_the_rest():
    optimizer = torch.optim.AdamW([parameter(50), parameter(7, scale=0.0)], lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=5, sample=20) as tracker:
        steps(optimizer, 5)
    last = tracker.dataset().isel(step=-1)
    assert float(last.initial_weight_left_measured[0]) == pytest.approx(0.95**5)
    assert float(last.initial_weight_left_measured_sem[0]) == pytest.approx(0, abs=1e-12)
    assert np.isnan(last.parameter_initial_weight_left_measured[1])


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


def test_weights_that_are_not_finite_are_told():
    weight = parameter(5)
    optimizer = torch.optim.AdamW([weight], lr=0.001, weight_decay=0.1)
    tracker = em.track(optimizer, every=1)
    steps(optimizer, 1, white())
    with pytest.warns(UserWarning, match="not finite at step 2"):
        steps(optimizer, 1, lambda weight: torch.full_like(weight, math.nan))
    assert np.isnan(tracker.dataset().rotation[-1, 0])


# Restarts.


def test_a_resumed_tracker_goes_on_with_the_same_numbers(tmp_path):
    def begun():
        weights = [parameter(5, 5), parameter(5, seed=1)]
        optimizer = torch.optim.AdamW(weights, lr=0.02, weight_decay=0.5)
        return optimizer, falling(optimizer, 60), em.track(optimizer, steps=60, every=10)

    whole, schedule, tracker = begun()
    steps(whole, 60, white(), schedule)
    expected = tracker.dataset()

    first, schedule, tracker = begun()
    source = white()
    steps(first, 33, source, schedule)
    torch.save({"optimizer": first.state_dict(), "tracker": tracker.state_dict()}, tmp_path / "state.pt")
    second, schedule_again, tracker = begun()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    for old, new in zip(first.param_groups[0]["params"], second.param_groups[0]["params"], strict=True):
        new.data.copy_(old.data)
    second.load_state_dict(state["optimizer"])
    schedule_again.load_state_dict(schedule.state_dict())
    tracker.load_state_dict(state["tracker"])
    steps(second, 27, source, schedule_again)
    xr.testing.assert_identical(tracker.dataset().drop_attrs(), expected.drop_attrs())


def test_the_optimizers_own_state_may_be_loaded_under_it():
    optimizer = torch.optim.AdamW([parameter(5)], lr=0.1, weight_decay=0.5)
    with em.track(optimizer, every=5) as tracker:
        steps(optimizer, 5)
        optimizer.load_state_dict(optimizer.state_dict())
        steps(optimizer, 5)
    np.testing.assert_allclose(tracker.dataset().initial_weight_left[-1, 0], 0.95**10, rtol=1e-12)


def test_a_state_of_other_tensors_is_refused():
    states = [em.track(torch.optim.AdamW([parameter(*shape)])) for shape in ((5,), (6,))]
    with pytest.raises(ValueError, match=r"shape \(5,\) for tensor 0, the optimizer's '0\.0' has \(6,\)"):
        states[1].load_state_dict(states[0].state_dict())
    two = em.track(torch.optim.AdamW([parameter(5), parameter(6)]))
    with pytest.raises(ValueError, match="of 1 tensors, the optimizer holds 2"):
        two.load_state_dict(states[0].state_dict())


def test_after_detach_nothing_is_followed():
    optimizer = torch.optim.AdamW([parameter(5)], lr=0.1)
    with em.track(optimizer, every=1) as tracker:
        steps(optimizer, 2)
    steps(optimizer, 2)
    assert tracker.count == 2
    assert not optimizer._optimizer_step_pre_hooks


# Names, options and wrong use.


def test_names_are_those_of_train_and_none_is_an_attribute_of_a_dataset():
    found = on_noise(1.0, count=25)
    trained = {"weight_norm", "rotation", "initial_weight_left", "parameter_norm"}
    assert trained <= set(found.data_vars)
    assert not [name for name in found.data_vars if hasattr(xr.Dataset, str(name))]


@pytest.mark.parametrize(
    ("steps_", "every", "expected"), [(None, None, 100), (5000, None, 50), (300, None, 20), (300, 7, 7)]
)
def test_the_default_interval(steps_, every, expected):
    tracker = em.track(torch.optim.AdamW([parameter(5)]), steps=steps_, every=every)
    assert tracker.settings.interval == expected


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"steps": 0}, ValueError, "steps"),
        ({"every": 1.5}, TypeError, "every must be a whole number"),
        ({"decay": "per-lr"}, ValueError, "did you mean 'per_lr'"),
        ({"steps_per_epoch": -1.0}, ValueError, "steps_per_epoch"),
        ({"out": 3}, TypeError, "out must be the path"),
        ({"out": "no/such/folder/run.jsonl"}, ValueError, "does not exist"),
        ({"names": ["a"]}, TypeError, "names must be a module"),
    ],
)
def test_wrong_options(given, error, words):
    with pytest.raises(error, match=words):
        em.track(torch.optim.AdamW([parameter(5)]), **given)


def test_what_is_no_torch_optimizer_is_refused():
    with pytest.raises(TypeError, match=r"needs a torch\.optim\.Optimizer, got AdamW"):
        em.track(em.AdamW(lr=0.1))


def test_a_dataset_before_the_first_step_is_refused():
    with pytest.raises(ValueError, match="first step"):
        em.track(torch.optim.AdamW([parameter(5)])).dataset()


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


def test_the_face_lists_its_parts():
    assert set(dir(tracking)) >= {"track", "read", "dataset", "huggingface", "lightning", "tensorboard"}
    with pytest.raises(AttributeError, match="it has"):
        tracking.nothing  # noqa: B018


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
