"""Scale-invariant weights: against the derived norms and rotations, the published laws, and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

import ematheory as em

SIZE = 1024
NOISE = 0.5
SQUARE = NOISE * (SIZE - 1)  # E‖g̃‖²


def settled(optimizer, noise: float = NOISE):
    problem = em.ScaleInvariant(size=SIZE, noise=noise)
    return em.predict(problem, optimizer, observables=problem.observables)


@pytest.mark.parametrize("decay_per_step", [1e-6, 0.01, 0.3])
def test_sgd_settles_where_the_derivation_says(decay_per_step: float) -> None:
    lr = 0.2
    found = settled(em.SGD(lr=lr, weight_decay=decay_per_step / lr))
    proof = em.derive("scale-invariant-sgd")
    norm = proof.function("weight_norm")(lr=lr, decay_per_step=decay_per_step, gradient_square=SQUARE)
    assert float(found.weight_norm) == pytest.approx(float(norm), rel=1e-10)
    rotation = proof.function("rotation")(decay_per_step=decay_per_step)
    assert float(found.rotation) == pytest.approx(float(rotation), rel=1e-6)


@pytest.mark.parametrize(("decay", "power", "factor"), [("l2", 1, 1.0), ("per_lr", 2, None)])
def test_momentum_settles_at_the_published_norm_and_rotation(decay: str, power: int, factor: float | None) -> None:
    """‖w‖⁴ = ηE‖g̃‖²/(2λ(1−μ)) with L2, over (1−μ)² with per-LR decay; rotation √(2ηλ/(1+μ)), times √(1−μ)."""
    lr, lam, mu = 0.1, 1e-5, 0.9
    found = settled(em.SGD(lr=lr, weight_decay=lam, momentum=mu, decay=decay))
    norm = (lr * SQUARE / (2 * lam * (1 - mu) ** power)) ** 0.25
    rotation = math.sqrt(2 * lr * lam * (factor or 1 - mu) / (1 + mu))
    assert float(found.weight_norm) == pytest.approx(norm, rel=1e-4)
    assert float(found.rotation) == pytest.approx(rotation, rel=1e-4)


def test_adam_with_l2_follows_the_cube_of_the_norm() -> None:
    """‖w‖³ = ηCσ̃/(2λ), σ̃ the RMS of g̃: it depends on the gradient's scale, as AdamW's does not."""
    lr, lam = 1e-4, 1e-4
    # σ̃ of the vector: g at unit norm has the coordinates' RMS σ, and L2 is small beside it.
    for noise in (1.0, 100.0):
        rms = math.sqrt(noise * (SIZE - 1) / SIZE)
        found = settled(em.Adam(lr=lr, weight_decay=lam, betas=(0.9, 0.99999), eps=0), noise)
        assert float(found.weight_norm) ** 3 == pytest.approx(lr * SIZE * rms / (2 * lam), rel=0.01)
        plain = settled(em.AdamW(lr=lr, weight_decay=lam, betas=(0.9, 0.99999), eps=0), noise)
        assert float(plain.weight_norm) ** 2 == pytest.approx(lr * SIZE / (2 * lam), rel=1e-3)


def test_the_fourth_power_relaxes_at_four_times_the_decay() -> None:
    """r_t⁴ = r_∞⁴ + (r_0⁴ − r_∞⁴)e^{−4ηλt} for SGD (arXiv 2010.02916)."""
    lr, lam, steps = 0.01, 0.01, 12_000
    problem = em.ScaleInvariant(size=SIZE, noise=NOISE, init=0.3)
    found = em.predict(problem, em.SGD(lr=lr, weight_decay=lam), steps=steps, record=em.every(1000)).weight_norm
    rest, start = lr * SQUARE / (2 * lam), (0.3**2 * SIZE) ** 2
    expected = rest + (start - rest) * np.exp(-4 * lr * lam * found.step.values)
    np.testing.assert_allclose(found.values**4, expected, rtol=1e-3)


@pytest.mark.parametrize(
    "optimizer",
    [
        em.SGD(lr=0.05, weight_decay=0.1),
        em.SGD(lr=0.05, weight_decay=0.1, momentum=0.9, decay="per_lr"),
        em.AdamW(lr=0.02, weight_decay=0.5, betas=(0.9, 0.99)),
        em.Adam(lr=0.005, weight_decay=0.001, betas=(0.9, 0.99)),
    ],
)
def test_a_simulation_of_many_coordinates_shows_it(optimizer) -> None:
    problem = em.ScaleInvariant(size=SIZE, noise=NOISE, init=0.5)
    run = {"steps": 150, "schedule": em.Cosine(final=0.1), "record": [10, 60, 150]}
    names = ("weight_norm", "rotation", "weight_mean_square")
    predicted = em.predict(problem, optimizer, **run, observables=names)
    measured = em.simulate(problem, optimizer, **run, observables=names, replicas=16)
    for name in names:
        error = np.sqrt((5 * measured[f"{name}_sem"]) ** 2 + (3 / SIZE * measured[name]) ** 2)
        stated = predicted.get(f"{name}_error", 0.0)
        if name == "weight_norm" and "weight_mean_square_error" in predicted:
            stated = SIZE * predicted.weight_mean_square_error / (2 * predicted.weight_norm)
        if name == "rotation" and "weight_mean_square_error" in predicted:
            # Of the order of 1 − β₂, and more in the first 1/(1 − β₂) steps.
            stated = 0.3 * measured[name].where(measured.step < 100, 0.05 * measured[name] / 0.3)
        assert (abs(measured[name] - predicted[name]) <= error + stated).all(), name


def test_the_gradient_is_at_right_angles_and_falls_with_the_norm() -> None:
    from ematheory.simulation import arrays

    problem, rng = em.ScaleInvariant(size=8), np.random.default_rng(0)
    c, weight, noise = problem.coefficients(arrays), rng.standard_normal((1, 8)), rng.standard_normal((1, 8))
    gradient = problem.gradient(arrays, weight, noise, c)
    assert abs(float((gradient * weight).sum())) < 1e-14
    np.testing.assert_allclose(problem.gradient(arrays, 4 * weight, noise, c), gradient / 4, rtol=1e-14)


@pytest.mark.parametrize(
    ("fields", "message"), [({"size": 1}, "size must be"), ({"init": 0.0}, "no direction"), ({"noise": -1.0}, "noise")]
)
def test_wrong_records_are_refused(fields, message) -> None:
    with pytest.raises(ValueError, match=message):
        em.ScaleInvariant(**fields)


def test_no_decay_has_no_equilibrium() -> None:
    with pytest.raises(ValueError, match="nothing pulls the weight back"):
        em.predict(em.ScaleInvariant(size=8), em.SGD(lr=0.1))
