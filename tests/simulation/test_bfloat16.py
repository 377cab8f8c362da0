"""Rounding to bfloat16: against torch on every upper half, without bias when stochastic, and in runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ematheory as em
from ematheory.simulation.bfloat16 import Rounding, nearest, stochastic

BACKENDS = ["reference", *(["cpu"] if em.isas() else [])]
# Every upper half (zeros, denormals, infinities and NaN among them) with lower halves about the middle and the ends.
LOWER = np.array([0, 1, 0x1234, 0x7FFF, 0x8000, 0x8001, 0xFFFF], dtype=np.uint32)
NUMBERS = ((np.arange(2**16, dtype=np.uint32)[:, None] << np.uint32(16)) | LOWER).ravel().view(np.float32)
HELD = NUMBERS.reshape(-1, len(LOWER))[:, 0]


def test_the_nearest_is_torch_s() -> None:
    torch = pytest.importorskip("torch")
    expected = torch.from_numpy(NUMBERS.copy()).to(torch.bfloat16).to(torch.float32).numpy()
    found = nearest(NUMBERS)
    np.testing.assert_array_equal(found, expected)
    held = ~np.isnan(expected)
    np.testing.assert_array_equal(found[held].view(np.uint32), expected[held].view(np.uint32))


def test_what_bfloat16_holds_stays() -> None:
    words = np.uint32(0xFFFFFFFF)
    for found in (nearest(HELD), stochastic(HELD, words)):
        np.testing.assert_array_equal(found, HELD)


def test_every_number_goes_to_a_neighbour_and_the_mean_over_all_random_bits_is_the_number_itself() -> None:
    words = np.arange(2**16, dtype=np.uint32) << np.uint32(16)
    for value in (1.0, -1.0, 1.00390625, 3.14159274, -2.7182817, 1.9999999, 1e-40, -1e-42, 3.2e38, 1.17549435e-38):
        x = np.float32(value)
        rounded = stochastic(np.full(2**16, x), words).astype(np.float64)
        assert len(np.unique(rounded)) <= 2
        assert np.unique(rounded).size == 1 or np.ptp(rounded) <= max(2**-7 * abs(x), 2.0**-133)
        # The sum of 2¹⁶ numbers of 8 bits is exact in a float64.
        assert rounded.mean() == np.float64(x)


def test_the_random_bits_of_a_run_round_without_bias() -> None:
    """z of the mean over 2·10⁵ weights of one number each: |z| < 4.5, by chance once in 150 000 tests."""
    for step in (0, 6):
        x = np.full((1, 1000, 200), np.float32(1 + 0.3 * 2**-7))
        rounded = Rounding("stochastic", 3, 0, np.zeros(1, np.uint32)).rounded(x, step).astype(np.float64)
        up = rounded != 1.0
        assert abs(up.mean() - 0.3) / np.sqrt(0.3 * 0.7 / up.size) < 4.5


def test_the_bits_differ_between_steps_replicas_coordinates_and_points() -> None:
    rounding = Rounding("stochastic", 3, 5, np.array([0, 1], np.uint32))
    x = np.full((2, 3, 500), np.float32(1 + 0.5 * 2**-7))
    first, second, later = (rounding.rounded(x, step) for step in (0, 1, 4))
    for one, other in [(first, second), (first, later), (first[0], first[1]), (first[:, 0], first[:, 1])]:
        assert 0.4 < (one == other).mean() < 0.6
    assert 0.4 < (first[..., 1:] == first[..., :-1]).mean() < 0.6


def slow_fall(rounding: str, backend: str) -> Any:
    """The mean of weights that fall by 2⁻¹² a step from 1, a 16th of what separates them."""
    return em.simulate(
        em.NoisyQuadratic(curvature=np.full(4, 1e-30), noise=0.0, optimum=0.0, init=1.0),
        em.SGD(lr=2.0**-12, weight_decay=1.0, decay="per_lr"),
        steps=64, replicas=2048, dtype="float32", weights="bfloat16", rounding=rounding, backend=backend,
        observables="weight_mean",
    )  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_nearest_forgets_small_updates_and_the_stochastic_keeps_their_mean(backend: str) -> None:
    assert slow_fall("nearest", backend).weight_mean.values[-1].tolist() == [1.0] * 4
    found = slow_fall("stochastic", backend)
    expected = (1 - 2.0**-12) ** 64
    # float32's own rounding of each product is 2⁻²⁴ at most, far below the standard error.
    z = (found.weight_mean[-1] - expected) / found.weight_mean_sem[-1]
    assert float(np.abs(z).max()) < 4.5


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("optimizer", [em.SGD(lr=0.1, momentum=0.9), em.AdamW(lr=0.01), em.ScheduleFreeSGD(lr=0.1)])
def test_weights_are_what_bfloat16_holds_from_the_start_on(optimizer: Any, rounding: str) -> None:
    found = em.simulate(
        em.NoisyQuadratic(curvature=[1.0, 0.3], init=0.1), optimizer, steps=10, record=em.every(1), replicas=3,
        trajectories=[0, 1, 2], dtype="float32", weights="bfloat16", rounding=rounding,
    ).trajectory.values.astype(np.float32)  # fmt: skip
    np.testing.assert_array_equal(found, nearest(found))
    assert found[0, 0, 0] == nearest(np.float32(0.1))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_is_that_of_torch_s_conversion_after_each_step(backend: str) -> None:
    torch = pytest.importorskip("torch")
    h = np.array([1.0, 0.25], dtype=np.float32)
    weight = torch.tensor([0.7, -0.3]).to(torch.bfloat16).to(torch.float32)
    for _ in range(30):
        weight = (weight - np.float32(0.1) * (torch.from_numpy(h) * weight)).to(torch.bfloat16).to(torch.float32)
    problem = em.NoisyQuadratic(curvature=h, noise=0.0, init=[0.7, -0.3])
    found = em.simulate(
        problem, em.SGD(lr=0.1), steps=30, replicas=1, trajectories=[0], dtype="float32", weights="bfloat16",
        backend=backend,
    )  # fmt: skip
    np.testing.assert_array_equal(found.trajectory[0, -1], weight.numpy())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weights": "bfloat16"}, "use dtype='float32', got 'float64'"),
        ({"weights": "float16", "dtype": "float32"}, "weights must be one of 'bfloat16', got 'float16'"),
        ({"rounding": "stochastic"}, "weights was left out"),
        ({"weights": "bfloat16", "dtype": "float32", "rounding": "up"}, "rounding must be one of 'nearest', 'stoch"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        em.simulate(em.RandomWalk(), em.SGD(lr=0.1), steps=5, **settings)
