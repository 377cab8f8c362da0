"""The Rayleigh quotient: its gradient against the loss's derivative, its symmetries, and where it settles."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import xarray as xr

import ematheory as em
from ematheory.problems import RayleighQuotientCoefficients
from ematheory.results import same_result
from ematheory.simulation import arrays

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
DTYPES = ["float64", "float32"]
CURVATURE = np.array([3.0, 0.5, 1.0, 2.0, 0.5, 0.25, 4.0])
STARTS = 1 / np.arange(1.0, 8.0)


def posed(**fields: Any) -> em.RayleighQuotient:
    given = {"curvature": CURVATURE, "noise": 1 / CURVATURE, "init": STARTS, "batch_size": 4, **fields}
    return em.RayleighQuotient(**given)


def gradient(problem: Any, weight: Any, noise: Any, dtype: Any = np.float64) -> np.ndarray[Any, Any]:
    columns = [np.asarray(column, dtype) for column in problem.coefficients(arrays)]
    return np.asarray(
        problem.gradient(arrays, np.asarray(weight, dtype), np.asarray(noise, dtype), problem.Coefficients(*columns))
    )


def run(problem: Any = None, optimizer: Any = None, **settings: Any) -> xr.Dataset:
    given = {"steps": 12, "record": em.every(3), "replicas": range(60, 70), **settings}
    return em.simulate(problem or posed(), optimizer or em.SGD(lr=[0.05, 0.1], weight_decay=0.1), **given)


def draws(seed: int, scale: float = 1.0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return scale * rng.standard_normal(len(CURVATURE)), rng.standard_normal(len(CURVATURE))


@pytest.mark.parametrize("seed", range(5))
def test_the_gradient_without_noise_is_the_loss_s_derivative(seed: int) -> None:
    """Against central differences in 60 digits; each operation's rounding is at most ε of max h/‖w‖."""
    weight, _ = draws(seed)
    found = gradient(posed(), weight, np.zeros_like(weight))
    with mp.workdps(60):

        def loss(*w: Any) -> Any:
            return mp.fsum(h * x * x for h, x in zip(CURVATURE, w, strict=True)) / (2 * mp.fsum(x * x for x in w))

        step = mp.mpf(10) ** -20
        for place in range(len(weight)):
            up, down = ([mp.mpf(x) + sign * step * (i == place) for i, x in enumerate(weight)] for sign in (1, -1))
            slope = (loss(*up) - loss(*down)) / (2 * step)
            assert abs(found[place] - slope) < 8 * np.finfo(float).eps * CURVATURE.max() / np.linalg.norm(weight)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed", range(5))
def test_the_gradient_is_at_right_angles_to_the_weights(seed: int, dtype: str) -> None:
    weight, noise = (values.astype(dtype) for values in draws(seed, 3.0))
    found = gradient(posed(), weight, noise, dtype)
    along = math.fsum(float(x) * float(y) for x, y in zip(weight, found, strict=True))
    size = np.abs(CURVATURE * weight).sum() / np.linalg.norm(weight) + np.abs(noise / np.sqrt(4 * CURVATURE)).sum()
    assert abs(along) < 4 * np.finfo(dtype).eps * size
    assert np.linalg.norm(weight) * np.linalg.norm(found) > 0.1 * size


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [0.25, 2.0, 1024.0])
def test_the_gradient_falls_with_the_norm(scale: float, dtype: str) -> None:
    """Of degree −1: to the bit for powers of two."""
    weight, noise = (values.astype(dtype) for values in draws(0))
    expected = gradient(posed(), weight, noise, dtype) / np.dtype(dtype).type(scale)
    np.testing.assert_array_equal(gradient(posed(), scale * weight, noise, dtype), expected)


def test_a_number_added_to_all_curvatures_changes_no_gradient() -> None:
    weight, noise = draws(1)
    moved = gradient(posed(curvature=CURVATURE + 8, noise=1 / CURVATURE), weight, noise)
    np.testing.assert_allclose(moved, gradient(posed(), weight, noise), rtol=0, atol=1e-14)


def test_the_noise_has_the_stated_variance_less_what_lies_along_the_weights() -> None:
    weight, _ = draws(2)
    unit = np.eye(len(weight))
    quiet = gradient(posed(), weight, np.zeros_like(weight))
    columns = np.stack([gradient(posed(), weight, one) - quiet for one in unit], axis=-1) * np.linalg.norm(weight)
    away = unit - np.outer(weight, weight) / (weight @ weight)
    np.testing.assert_allclose(columns @ columns.T, away @ np.diag(1 / CURVATURE / 4) @ away, atol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_without_a_signal_it_is_scale_invariant_noise(dtype: str, backend: str) -> None:
    flat = em.RayleighQuotient(curvature=np.zeros(70), noise=0.7, init=0.5, batch_size=2)
    plain = em.ScaleInvariant(size=70, noise=0.7, init=0.5, batch_size=2)
    asked = {"dtype": dtype, "backend": backend, "observables": ("weight_norm", "rotation", "weight_mean")}
    assert run(flat, **asked).equals(run(plain, **asked))
    pulled = em.RayleighQuotient(curvature=np.arange(70.0) / 70, noise=0.7, init=0.5, batch_size=2)
    assert not run(pulled, **asked).equals(run(plain, **asked))


OPTIMIZERS = {
    "sgd_per_lr": lambda c: em.SGD(lr=0.1 * c**2, weight_decay=0.2 / c**2, momentum=0.5, decay="per_lr"),
    "sgd_l2": lambda c: em.SGD(lr=0.1 * c**2, weight_decay=0.2 / c**2, momentum=0.5),
    "adamw": lambda c: em.AdamW(lr=0.05 * c, weight_decay=0.2 / c, eps=0),
    "lion": lambda c: em.Lion(lr=0.05 * c, weight_decay=0.2 / c),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_larger_weights_and_rates_take_the_same_directions(name: str, dtype: str, backend: str) -> None:
    """w_0 → c·w_0 with η → c²η (c·η where the update is normalised) and ηλ kept: to the bit for c = 4."""
    asked = {"dtype": dtype, "backend": backend, "trajectories": [60, 69], "observables": "risk"}
    one, other = (run(posed(init=c * STARTS), OPTIMIZERS[name](c), **asked) for c in (1.0, 4.0))
    np.testing.assert_array_equal(other.trajectory, 4 * one.trajectory)
    np.testing.assert_array_equal(other.risk, one.risk)
    assert float(one.risk[0]) != float(one.risk[-1])
    # A rate that is not c² as large turns them otherwise.
    third = run(posed(init=4 * STARTS), OPTIMIZERS[name](1.0), **asked)
    assert not (third.risk[1:] == one.risk[1:]).any()


@pytest.mark.parametrize("dtype", DTYPES)
def test_decay_is_a_rate_that_grows(dtype: str) -> None:
    """Without decay, at η/(P_t P_{t−1}) with P_t = Π(1 − ηλ), the directions are the same: to the bit for ηλ = ½."""
    asked = {"steps": 8, "record": em.every(1), "dtype": dtype, "trajectories": [60, 61], "observables": "risk"}
    shrink = 0.5 ** np.arange(9)
    decayed = run(optimizer=em.SGD(lr=0.0625, weight_decay=8.0, decay="per_lr"), **asked)
    free = run(optimizer=em.SGD(lr=0.0625), schedule=1 / (shrink[1:] * shrink[:-1]), **asked)
    np.testing.assert_array_equal(decayed.trajectory, free.trajectory * shrink[:, None])
    np.testing.assert_array_equal(decayed.risk, free.risk)


def test_gradient_descent_turns_to_the_eigenvector_of_the_least_curvature() -> None:
    """Without noise, and in the end the risk falls by (1 − η_eff·gap)² a step, gap to the next curvature."""
    found = em.simulate(
        posed(noise=0.0), em.SGD(lr=0.3), steps=1500, record=[0, 50, 299, 300, 1500], replicas=1, trajectories=[0],
        observables=("risk", "effective_learning_rate"),
    )  # fmt: skip
    final = found.trajectory.values[0, -1]
    expected = np.where(np.arange(len(CURVATURE)) == CURVATURE.argmin(), 1.0, 0.0)
    np.testing.assert_allclose(final / np.linalg.norm(final), expected, atol=1e-12)
    assert (np.diff(found.risk.values[[0, 1, 3, 4]]) < 0).all()
    assert float(found.risk[-1]) < 1e-25
    gap = float(np.diff(np.unique(CURVATURE))[0])
    rate = float(found.effective_learning_rate.sel(step=300))
    assert float(found.risk[3] / found.risk[2]) == pytest.approx((1 - rate * gap) ** 2, rel=1e-9)


def test_noise_sets_the_norm_the_norm_the_rate_and_the_rate_the_risk() -> None:
    """Near the optimum a noisy quadratic at η/‖w‖²/(1 − ηλ): what it leaves out is of the order of that rate."""
    curvature, noise = np.r_[0.0, np.linspace(1.0, 3.0, 255)], 1 / 256
    optimizer = em.SGD(lr=0.02, weight_decay=0.02, decay="per_lr")
    norm = float(em.predict(em.ScaleInvariant(256, noise), optimizer, observables="weight_norm").weight_norm)
    rate = 0.02 / norm**2 / (1 - 0.02 * 0.02)
    risk = float(em.predict(em.NoisyQuadratic(curvature[1:], noise), em.SGD(lr=rate)).risk)
    seen = em.simulate(
        em.RayleighQuotient(curvature, noise, init=norm / 16), optimizer, steps=4000, record=[0, 4000],
        observables=("risk", "weight_norm"),
    )  # fmt: skip
    assert float(seen.weight_norm[1]) == pytest.approx(norm, rel=rate)
    assert abs(float(seen.risk[1]) - risk) < 4 * float(seen.risk_sem[1]) + rate * risk
    assert float(seen.risk[0]) > 50 * risk


def by_hand(weights: np.ndarray[Any, Any], sizes: list[int]) -> np.ndarray[Any, Any]:
    """The mean over replicas of Σ_groups ½(ŵᵀHŵ − min h), from weights (replicas, records, d)."""
    total, stops = 0.0, np.cumsum(sizes)
    for start, stop in zip(stops - sizes, stops, strict=True):
        own, h = weights[..., start:stop], CURVATURE[start:stop]
        total = total + 0.5 * ((own**2 @ h) / (own**2).sum(-1) - h.min())
    return np.asarray(np.mean(total, axis=0))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("groups", [None, [3, 2, 2], 1])
def test_the_risk_is_the_loss_less_its_infimum(groups: Any, dtype: str, backend: str) -> None:
    found = run(groups=groups, dtype=dtype, backend=backend, trajectories=range(60, 70))
    sizes = {None: [7], 1: [1] * 7}.get(groups if groups in (None, 1) else 0, groups)
    assert found.risk.dims == ("lr", "step")
    for lr in range(2):
        expected = by_hand(found.trajectory.values[lr], sizes)
        np.testing.assert_allclose(found.risk[lr], expected, rtol=1e-12, atol=1e-15)
    assert (found.risk >= 0).all()


def test_the_risk_keeps_its_digits_near_the_optimum() -> None:
    weight = np.where(np.arange(7) == CURVATURE.argmin(), 1.0, 1e-12)
    found = run(posed(init=weight, noise=0.0), steps=1, record=[0])
    expected = 0.5e-24 * (CURVATURE - CURVATURE.min()).sum()
    np.testing.assert_allclose(found.risk[:, 0], expected, rtol=1e-14)


@pytest.mark.parametrize("groups", [None, [3, 2, 2]])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        (em.SGD(lr=0.1, momentum=0.5), {}),
        (em.AdamP(lr=0.05, weight_decay=0.1, delta=0.7), {"random_numbers": "independent"}),
        (em.SGD(lr=0.1), {"clip_norm": [0.1, 10.0]}),
        (em.SGD(lr=0.1), {"iterate_average": [0.5, 0.9]}),
    ],
)
def test_the_engines_give_the_same_bits(optimizer: Any, settings: dict[str, Any], dtype: str, groups: Any) -> None:
    if len(BACKENDS) < 2 or (groups and {"clip_norm", "iterate_average"} & set(settings)):
        pytest.skip("no native engine, or none that has these options of groups")
    names = ("risk", "weight_norm") if "iterate_average" in settings else posed().observables
    asked = {"dtype": dtype, "groups": groups, "observables": names, **settings}
    problem = posed(init_std=0.1, batch_size=[1, 4])
    expected = run(problem, optimizer, backend="reference", **asked)
    for isa in em.isas():
        assert same_result(run(problem, optimizer, backend="cpu", isa=isa, **asked), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_group_is_a_quotient_of_its_own(backend: str) -> None:
    """Of the first one the noise has the same columns too: the bits of a run of its size."""
    asked = {"backend": backend, "observables": ("weight_norm", "weight_mean")}
    grouped = run(groups=[3, 2, 2], **asked)
    first = posed(curvature=CURVATURE[:3], noise=1 / CURVATURE[:3], init=STARTS[:3])
    alone = run(first, **asked)
    np.testing.assert_array_equal(grouped.weight_norm.sel(group=0), alone.weight_norm)
    np.testing.assert_array_equal(grouped.weight_mean[..., :3], alone.weight_mean)


def test_a_group_that_starts_without_a_direction_is_refused() -> None:
    starts = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    with pytest.raises(ValueError, match="init must not be all 0 in group 1 without an init_std"):
        run(posed(init=starts), groups=[3, 2, 2])
    for taken in (posed(init=starts, init_std=[0.0, 0, 0, 0, 1, 0, 0]), posed(init=1.0)):
        assert np.isfinite(run(taken, groups=[3, 2, 2]).risk).all()


def test_updates_without_memory_are_at_right_angles() -> None:
    found = run(optimizer=em.SGD(lr=0.1, weight_decay=0.1, decay="per_lr"), observables=posed().observables)
    np.testing.assert_allclose(found.update_cosine[1:], 0, atol=1e-14)
    assert (found.rotation[1:] > 1e-3).all()


WRONG = [
    ({"curvature": [1.0, -1.0]}, "curvature"),
    ({"curvature": 1.0}, "at least two coordinates"),
    ({"curvature": [1.0, 2.0], "init": 0.0}, "norm 0 has no direction"),
    ({"curvature": [1.0, 2.0], "init": [0.0, 0.0]}, "norm 0 has no direction"),
    ({"curvature": [1.0, 2.0], "init": xr.DataArray([[1.0, 0.0], [0.0, 0.0]], dims=("case", "coordinate"))}, "norm 0"),
    ({"curvature": [1.0, 2.0], "noise": "white"}, "noise must be .*'curvature'.* got 'white'"),
    ({"curvature": [1.0, 2.0], "noise": -1.0}, "noise"),
    ({"curvature": [1.0, 2.0], "init": [1.0, 2.0, 3.0]}, "curvature has 2, .*init has 3"),
    ({"curvature": [1.0, 2.0], "batch_size": 0}, "batch_size"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG)
def test_wrong_records_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        em.RayleighQuotient(**fields)


def test_starts_at_some_coordinates_alone_or_with_a_spread_are_taken() -> None:
    assert em.RayleighQuotient([1.0, 2.0], init=[0.0, 1.0]).coordinates == 2
    assert em.RayleighQuotient([1.0, 2.0], init=0.0, init_std=0.1).coordinates == 2
    assert em.RayleighQuotient(1.0, init=[1.0, 2.0]).coefficients(arrays) == RayleighQuotientCoefficients(1.0, 1.0)


def test_predict_says_why_it_has_no_moments() -> None:
    with pytest.raises(ValueError, match=r"RayleighQuotient is not predicted: its gradient is a cubic .*use simulate"):
        em.predict(posed(), em.SGD(lr=0.1), steps=5)
