"""predict against responses to single noise impulses, closed forms, Monte Carlo sums and its own other routes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest

import ematheory as em
from ematheory.optimizers import Optimizer
from ematheory.prediction import UnstableWarning, cells, trajectory, warn_if_unstable
from ematheory.prediction.linear import StepMap
from ematheory.prediction.moments import Moments, advance_with_memory, advance_without_memory

VARIANTS = list(product(("l2", "per_lr"), (False, True)))
Step = Callable[[float, float, float, float, float], tuple[float, float]]


def torch_sgd(decay: str, nesterov: bool, momentum: float) -> Step:
    """One step of SGD on one weight as torch's documentation states it, with per-LR decay where asked."""

    def step(weight: float, buffer: float, gradient: float, lr: float, weight_decay: float) -> tuple[float, float]:
        if decay == "l2":
            gradient = gradient + weight_decay * weight
        else:
            weight = weight - lr * weight_decay * weight
        buffer = momentum * buffer + gradient
        return weight - lr * (gradient + momentum * buffer if nesterov else buffer), buffer

    return step


def weights(step: Step, start: float, h: float, optimum: float, noise: list[float], rates: np.ndarray) -> np.ndarray:
    """w_0 … w_T under the given gradient noise; `rates` has the rows η_t, λ_t."""
    weight, buffer, seen = start, 0.0, [start]
    for n, (lr, weight_decay) in zip(noise, rates.T.tolist(), strict=True):
        weight, buffer = step(weight, buffer, h * (weight - optimum) + n, lr, weight_decay)
        seen.append(weight)
    return np.array(seen)


def brute_force(
    step: Step, start: float, h: float, optimum: float, variance: float, rates: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of w_0 … w_T: the run without noise, and the squared responses to noise at one step each."""
    steps = rates.shape[1]
    mean = weights(step, start, h, optimum, [0.0] * steps, rates)
    total = np.zeros(steps + 1)
    for j in range(steps):
        total[j:] += weights(step, 0.0, h, 0.0, [1.0] + [0.0] * (steps - j - 1), rates[:, j:]) ** 2
    return mean, variance * total


@pytest.mark.parametrize("seed", range(200))
def test_transients_equal_the_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    decay, nesterov = VARIANTS[seed % 4]
    momentum = rng.choice([0.0, 0.5, 0.9, 0.99]) if not nesterov else rng.uniform(0.1, 0.99)
    h, lr, weight_decay, variance = 10 ** rng.uniform([-3, -3, -3, -2], [1, 0, 0, 1])
    lr = min(lr, 1 / (h + weight_decay))
    optimum, start, steps = 3 * rng.standard_normal(), rng.standard_normal(), int(rng.integers(1, 80))
    schedules = [None, rng.uniform(0, 1, steps), em.Cosine(final=0.1), em.WSD(decay=0.3)]
    schedule, decay_schedule = schedules[rng.integers(4)], schedules[rng.integers(2)]
    multipliers = [
        np.ones(steps) if s is None else s if isinstance(s, np.ndarray) else s.multipliers(steps)
        for s in (schedule, decay_schedule)
    ]
    rates = np.array([lr * multipliers[0], weight_decay * multipliers[1]])
    mean, spread = brute_force(torch_sgd(decay, nesterov, momentum), start, h, optimum, variance, rates)

    problem = em.NoisyQuadratic(curvature=h, noise=3 * variance, optimum=optimum, init=start, batch_size=3)
    optimizer = em.SGD(lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, decay=decay)
    found = em.predict(
        problem, optimizer, steps=steps, schedule=schedule, decay_schedule=decay_schedule, record=em.every(1),
        observables=("risk", "weight_mean", "weight_variance", "weight_mean_square"),
    )  # fmt: skip
    expected = {
        "weight_mean": mean,
        "weight_variance": spread,
        "weight_mean_square": mean**2 + spread,
        "risk": h * ((mean - optimum) ** 2 + spread) / 2,
    }
    assert found.attrs["exact"] == 1
    for name, values in expected.items():
        error = np.abs(found[name].values.reshape(-1) - values).max()
        assert error <= 1e-10 * np.abs(values).max(), name


def closed_form(decay: str, h: float, lam: float, mu: float, eta: float) -> tuple[float, float]:
    """Q1, Q3, Q4 of THEORY.md: the stationary mean over θ*, and the variance over σ²."""
    if decay == "l2":
        return h / (h + lam), eta * (1 + mu) / ((h + lam) * (1 - mu) * (2 * (1 + mu) - eta * (h + lam)))
    ridge = h + lam * (1 - mu)
    room = 2 * (1 + mu) - eta * h - eta * lam * (1 + mu)
    return h / ridge, eta * (1 + mu - eta * lam * mu) / (ridge * (1 - mu + eta * lam * mu) * room)


@pytest.mark.parametrize("decay", ["l2", "per_lr"])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.99])
@pytest.mark.parametrize("lr", [1e-9, 1e-4, 0.5])
def test_stationary_moments_equal_the_closed_forms(decay: str, momentum: float, lr: float) -> None:
    h = np.array([1.0, 0.1, 0.003])
    problem = em.NoisyQuadratic(curvature=h, noise=2.0, optimum=1.5)
    optimizer = em.SGD(lr=lr, momentum=momentum, weight_decay=0.02, decay=decay)
    found = em.predict(problem, optimizer, observables=("weight_mean", "weight_variance"))
    assert found.weight_mean.dims == ("coordinate",)
    for i in range(3):
        mean, variance = closed_form(decay, h[i], 0.02, momentum, lr)
        assert float(found.weight_mean[i]) == pytest.approx(1.5 * mean, rel=1e-11)
        assert float(found.weight_variance[i]) == pytest.approx(2.0 * variance, rel=1e-10)


@pytest.mark.parametrize(("decay", "nesterov"), VARIANTS)
def test_a_long_run_ends_in_the_stationary_state(decay: str, nesterov: bool) -> None:
    problem = em.NoisyQuadratic(curvature=[1.0, 0.3, 0.02], optimum=[1.0, -2.0, 0.5], batch_size=[1, 16])
    optimizer = em.SGD(lr=[0.01, 0.2], momentum=0.9, weight_decay=0.05, decay=decay, nesterov=nesterov)
    names = problem.observables
    late = em.predict(problem, optimizer, steps=10**6, observables=names).isel(step=-1)
    settled = em.predict(problem, optimizer, observables=names)
    assert settled.risk.dims == ("lr", "batch_size")
    for name in names:
        np.testing.assert_allclose(late[name].values, settled[name].values, rtol=1e-10, err_msg=name)


@pytest.mark.parametrize("schedule", [np.ones(700), em.WSD(decay=0.2, warmup=0.1), em.Cosine(warmup_steps=33)])
def test_matrix_powers_equal_stepping(schedule: object, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = em.NoisyQuadratic(curvature=[1.0, 0.3, 0.02], optimum=[1.0, -2.0, 0.5])
    optimizer = em.SGD(lr=[0.01, 0.2], momentum=0.9, weight_decay=0.05)
    run = {"steps": 700, "schedule": schedule, "record": [0, 1, 5, 69, 70, 71, 300, 699]}
    quick = em.predict(problem, optimizer, **run, observables=problem.observables)
    monkeypatch.setattr(trajectory, "LONG_STRETCH", 10**9)
    monkeypatch.setattr(trajectory, "LONGEST_BLOCK", 7)
    stepped = em.predict(problem, optimizer, **run, observables=problem.observables)
    for name in problem.observables:
        np.testing.assert_allclose(quick[name].values, stepped[name].values, rtol=1e-10, atol=1e-13, err_msg=name)


def test_blocks_of_cells_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = em.NoisyQuadratic(curvature=1 / np.arange(1, 8), optimum=np.arange(7), batch_size=[1, 2, 3])
    optimizer = em.SGD(lr=[0.1, 0.2], momentum=0.5, weight_decay=0.1)
    run = {"steps": 20, "schedule": em.Linear(), "observables": problem.observables}
    whole = em.predict(problem, optimizer, **run)
    for size in (1, 3, 14, 20):
        monkeypatch.setattr(cells, "BLOCK_CELLS", size)
        parts = em.predict(problem, optimizer, **run)
        for name in problem.observables:
            np.testing.assert_allclose(parts[name].values, whole[name].values, rtol=1e-13, atol=1e-14)


def test_a_sweep_equals_its_points() -> None:
    problem = em.NoisyQuadratic(curvature=[1.0, 0.1], batch_size=[1, 4])
    swept = em.predict(problem, em.SGD(lr=[0.1, 0.3], momentum=0.9), steps=30, schedule=em.Cosine())
    assert swept.risk.dims == ("lr", "batch_size", "step")
    alone = em.predict(
        em.NoisyQuadratic(curvature=[1.0, 0.1], batch_size=4), em.SGD(lr=0.3, momentum=0.9), steps=30,
        schedule=em.Cosine(),
    )  # fmt: skip
    np.testing.assert_array_equal(swept.risk.sel(lr=0.3, batch_size=4).values, alone.risk.values)


@pytest.mark.parametrize(("decay", "nesterov"), VARIANTS)
def test_ratios_are_what_many_coordinates_show(decay: str, nesterov: bool) -> None:
    """One run of 40 000 equal coordinates: its sums are within 5/√d of their expectations."""
    d, lr, momentum, weight_decay = 40_000, 0.2, 0.8, 0.3
    problem = em.NoisyQuadratic(curvature=np.full(d, 0.5), optimum=0.7, init=1.3)
    optimizer = em.SGD(lr=lr, momentum=momentum, weight_decay=weight_decay, decay=decay, nesterov=nesterov)
    found = em.predict(problem, optimizer, steps=12, record=em.every(1), observables=problem.observables)
    step, rng = torch_sgd(decay, nesterov, momentum), np.random.default_rng(5)
    weight, buffer = np.full(d, 1.3), np.zeros(d)
    alpha = lr * weight_decay if decay == "per_lr" else 0.0
    assert np.isnan(found.rotation[0])
    assert np.isnan(found.update_cosine[0])
    for k in range(1, 13):
        before = weight
        gradient = 0.5 * (weight - 0.7) + np.sqrt(0.5) * rng.standard_normal(d)
        weight, buffer = step(weight, buffer, gradient, lr, weight_decay)
        update = -(weight - (1 - alpha) * before)
        seen = {
            "weight_norm": np.linalg.norm(weight) / np.sqrt(d),
            "rotation": np.arccos(weight @ before / np.linalg.norm(weight) / np.linalg.norm(before)),
            "update_cosine": update @ before / np.linalg.norm(update) / np.linalg.norm(before),
        }
        for name, value in seen.items():
            scale = np.sqrt(d) if name == "weight_norm" else 1.0
            assert float(found[name][k]) / scale == pytest.approx(value, abs=5 / np.sqrt(d)), (name, k)


def r1(lr: float, alpha: float, beta1: float) -> dict[str, float]:
    """R1 of THEORY.md at finite ηλ, for unit noise and ε = 0."""
    a, unit = 1 - alpha, (1 - beta1) / (1 + beta1)
    lost = alpha * (2 - alpha)  # 1 − a²
    return {
        "weight_mean_square": lr**2 * unit * (1 + a * beta1) / (lost * (1 - a * beta1)),
        "rotation": math.asin(math.sqrt(lost * (1 - beta1**2)) / (1 + a * beta1)),
        "update_cosine": -beta1 * math.sqrt(lost / ((1 + a * beta1) * (1 - a * beta1))),
    }


@pytest.mark.parametrize("beta1", [0.0, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("weight_decay", [1e-7, 0.1, 10.0])
@pytest.mark.parametrize("noise", [1e-6, 1.0, 50.0])
def test_the_walk_of_adamw_settles_at_r1(beta1: float, weight_decay: float, noise: float) -> None:
    problem = em.RandomWalk(size=100, noise=noise)
    optimizer = em.AdamW(lr=0.01, weight_decay=weight_decay, betas=(beta1, 0.99), eps=0)
    found = em.predict(problem, optimizer, observables=problem.observables)
    for name, value in r1(0.01, 0.01 * weight_decay, beta1).items():
        assert float(found[name]) == pytest.approx(value, rel=1e-7 if name == "rotation" else 1e-9), name
    assert float(found.weight_norm) == pytest.approx(10 * math.sqrt(found.weight_mean_square), rel=1e-14)
    assert found.attrs["exact"] == 0
    assert "O(1 − β₂)" in found.attrs["approximation"]


def test_the_walk_without_momentum_relaxes_as_r3_says() -> None:
    a, start = 1 - 0.01 * 0.5, 0.3
    problem = em.RandomWalk(size=7, init=start)
    optimizer = em.AdamW(lr=0.01, weight_decay=0.5, betas=(0.0, 0.999), eps=0)
    found = em.predict(problem, optimizer, steps=3000, record=em.every(100))
    limit = r1(0.01, 0.005, 0.0)["weight_mean_square"]
    expected = limit + (start**2 - limit) * a ** (2 * found.step.values)
    np.testing.assert_allclose(found.weight_mean_square.values, expected, rtol=1e-11)


@pytest.mark.parametrize("decay", ["per_lr", "independent", "corrected"])
def test_the_walk_of_adamw_under_a_schedule_equals_the_impulse_responses(decay: str) -> None:
    """At v̂ = σ² the weight is linear in the noise: sum the squared responses of AdamW itself, its root replaced."""
    steps, lr, weight_decay, beta1, sigma = 40, 0.1, 0.8, 0.9, 1.7
    schedule = em.Cosine(final=0.1, warmup=0.2)
    s = schedule.multipliers(steps)
    alpha = {"per_lr": lr * s * weight_decay, "independent": s * weight_decay, "corrected": lr * s**2 * weight_decay}
    spread = 0.0
    for j in range(steps):
        weight = moment = 0.0
        for k in range(steps):
            moment = beta1 * moment + (1 - beta1) * (sigma if k == j else 0.0)
            weight = (1 - alpha[decay][k]) * weight - lr * s[k] * moment / (1 - beta1 ** (k + 1)) / (sigma + 1e-3)
        spread += weight**2
    mean = 0.4 * np.prod(1 - alpha[decay])
    found = em.predict(
        em.RandomWalk(size=3, noise=[sigma**2, sigma**2, 1.0], init=0.4),
        em.AdamW(lr=lr, weight_decay=weight_decay, betas=(beta1, 0.95), eps=1e-3, decay=decay),
        steps=steps, schedule=schedule, record=[steps], observables=("weight_mean", "weight_variance"),
    )  # fmt: skip
    np.testing.assert_allclose(found.weight_mean.values[0], mean, rtol=1e-12)
    np.testing.assert_allclose(found.weight_variance.values[0, :2], spread, rtol=1e-12)
    assert abs(found.weight_variance.values[0, 2] / spread - 1) > 1e-5


def test_the_walk_of_adamw_is_near_its_simulation() -> None:
    """β₂ = 0.999, 4000 coordinates: the mean square of a real AdamW run late on, within sampling error and O(1−β₂)."""
    d, steps, rng = 4000, 3000, np.random.default_rng(3)
    weight, m, v = np.zeros(d), np.zeros(d), np.zeros(d)
    for k in range(1, steps + 1):
        g = rng.standard_normal(d)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        weight = (1 - 0.01 * 0.2) * weight - 0.01 * m / (1 - 0.9**k) / np.sqrt(v / (1 - 0.999**k))
    found = em.predict(em.RandomWalk(size=d), em.AdamW(lr=0.01, weight_decay=0.2, eps=0), steps=steps, record=[steps])
    assert float(found.weight_mean_square[0]) == pytest.approx((weight**2).mean(), rel=5 * math.sqrt(2 / d) + 0.01)


def test_a_billion_steps_and_a_million_equal_coordinates_cost_nothing() -> None:
    walk = em.RandomWalk(size=10**6, init=1.0)
    found = em.predict(walk, em.AdamW(lr=1e-3, weight_decay=1e-4, betas=(0.9, 0.99), eps=0), steps=10**9)
    assert float(found.weight_mean_square[-1]) == pytest.approx(r1(1e-3, 1e-7, 0.9)["weight_mean_square"], rel=1e-7)


@dataclass(frozen=True)
class Own(Optimizer):
    """A user's record, of which nothing is known."""

    lr: float = 0.1
    weight_decay: float = 0.0


@pytest.mark.parametrize(
    ("problem", "optimizer", "arguments", "message"),
    [
        (em.NoisyQuadratic(1.0), Own(), {}, "no moments for Own on NoisyQuadratic; it takes SGD"),
        (em.RandomWalk(), em.Amos(lr=0.1), {}, "Amos's steps fall for as long as it runs"),
        (em.NoisyQuadratic(1.0, noise=0.0), em.AdamW(lr=0.1, weight_decay=0), {}, "no stationary state at lr=0.1"),
        (em.RandomWalk(), em.AdamW(lr=0.1), {"observables": "risk"}, "must be one of 'weight_mean_square'"),
        (em.NoisyQuadratic(1.0), em.SGD(lr=0.1), {"schedule": em.Linear()}, r"schedule needs steps=T"),
        (em.NoisyQuadratic(1.0), em.SGD(lr=0.1), {"record": [1]}, r"record needs steps=T"),
        (em.NoisyQuadratic(1.0), em.SGD(lr=0.1), {"steps": 4, "schedule": [1.0]}, r"one multiplier per step, \(4,\)"),
        (em.NoisyQuadratic([1.0, 9.0]), em.SGD(lr=[0.1, 0.3]), {}, r"at lr=0.3, coordinate 1: the step is unstable"),
        (em.NoisyQuadratic([1.0, 0.0]), em.SGD(lr=0.1), {}, r"coordinate 1: nothing pulls the weight back"),
        (em.RandomWalk(), em.SGD(lr=0.1), {}, r"nothing pulls the weight back"),
    ],
)
def test_what_has_no_prediction_is_refused(problem, optimizer, arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        em.predict(problem, optimizer, **arguments)


@pytest.mark.parametrize(("decay", "nesterov"), VARIANTS)
@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.9])
def test_the_warning_comes_exactly_where_the_mean_diverges(decay: str, nesterov: bool, momentum: float) -> None:
    if nesterov and not momentum:
        return
    h, lam = 2.0, 0.3
    if nesterov:
        effective = (h + lam) if decay == "l2" else h + lam * (1 + momentum) / (1 + 2 * momentum)
        bound = 2 * (1 + momentum) / (1 + 2 * momentum) / effective
    else:
        bound = 2 * (1 + momentum) / (h + lam if decay == "l2" else h + lam * (1 + momentum))
    problem = em.NoisyQuadratic(curvature=[0.1, h])
    fields = {"momentum": momentum, "weight_decay": lam, "decay": decay, "nesterov": nesterov}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_if_unstable(problem, em.SGD(lr=[0.1 * bound, 0.999 * bound], **fields))
    with pytest.warns(UnstableWarning, match=f"stable for lr < {bound:.4g}"):
        warn_if_unstable(problem, em.SGD(lr=[0.1 * bound, 1.001 * bound], **fields))
    step = torch_sgd(decay, nesterov, momentum)
    for lr, grows in ((0.999 * bound, False), (1.001 * bound, True)):
        run = weights(step, 1.0, h, 0.0, [0.0] * 20_000, np.tile([[lr], [lam]], 20_000))
        assert (abs(run[-1]) > abs(run[10_000])) == grows


def test_too_much_decay_warns_for_adamw() -> None:
    with pytest.warns(UnstableWarning, match="decay per step is 2.5; it must be below 2"):
        em.predict(em.RandomWalk(), em.AdamW(lr=0.5, weight_decay=5.0), steps=2)


def test_an_unstable_run_warns_once_and_grows_to_infinity() -> None:
    with pytest.warns(UnstableWarning, match=r"lr·\(h \+ weight_decay\) = 3 at h = 1; it is stable for lr < 2") as seen:
        found = em.predict(em.NoisyQuadratic(1.0), em.SGD(lr=3.0), steps=5000, schedule=np.ones(5000), record=[2, 5000])
    assert len(seen) == 1
    assert float(found.risk[0]) == pytest.approx(0.5 * (16 + 9 * 4 + 9))
    assert not np.isfinite(float(found.risk[1]))


def test_the_result_says_what_made_it() -> None:
    found = em.predict(em.NoisyQuadratic(1.0), em.SGD(lr=0.1), steps=3, observables=("risk", "rotation"))
    assert found.attrs["exact"] == 0
    assert (found.risk.attrs["exact"], found.rotation.attrs["exact"]) == (1, 0)
    assert found.attrs["approximation"] == "rotation: the limit of many coordinates"
    assert found.attrs["steps"] == 3
    assert found.step.dtype == np.int64
    assert "approximation" not in em.predict(em.NoisyQuadratic(1.0), em.SGD(lr=0.1)).attrs


def test_a_step_without_memory_is_the_general_step_in_every_bit() -> None:
    rng = np.random.default_rng(8)
    x = Moments(*rng.normal(size=(5, 3, 7)))
    step = StepMap(*rng.normal(size=(9, 3, 7)))._replace(weight_buffer=np.zeros((1, 1)), buffer_buffer=np.zeros((1, 1)))
    for quick, general in zip(advance_without_memory(x, step), advance_with_memory(x, step), strict=True):
        np.testing.assert_array_equal(quick, general)
