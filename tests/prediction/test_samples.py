"""Sampled features, epochs and averaged iterates: against whole covariances, every order of the data, and theory."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

import ematheory as em
from ematheory.prediction import UnstableWarning

# A thousand random settings each; the first block of them runs every time.
BLOCKS = [0, *(pytest.param(block, marks=pytest.mark.slow) for block in range(1, 10))]
VARIANTS = list(product(("l2", "per_lr"), (False, True)))


def drawn_optimizer(rng: np.random.Generator, most: float) -> em.SGD:
    """SGD of any variant with a rate below `most`."""
    decay, nesterov = VARIANTS[rng.integers(4)]
    momentum = float(rng.uniform(0.1, 0.95)) if nesterov or rng.random() < 0.7 else 0.0
    lr = float(10 ** rng.uniform(-3, 0)) * most * (1 - momentum)
    return em.SGD(lr=lr, momentum=momentum, weight_decay=float(rng.uniform(0, 0.5)), nesterov=nesterov, decay=decay)


def rates_of(optimizer: em.SGD, multipliers: np.ndarray) -> tuple[np.ndarray, float]:
    return optimizer.lr * multipliers, optimizer.weight_decay


def linear_step(optimizer: em.SGD, lr: float, d: int) -> tuple[np.ndarray, np.ndarray]:
    """(w, m) ↦ K(w, m) + G g of d weights, as torch's documentation states SGD, with per-LR decay where asked."""
    one, mu, decay = np.eye(d), optimizer.momentum, optimizer.weight_decay
    share = mu if optimizer.nesterov else 0.0
    per_lr = optimizer.decay == "per_lr"
    pull = 0.0 if per_lr else decay
    keep = 1 - lr * decay if per_lr else 1.0
    # m' = μm + g + pull·w; the step is m', or with Nesterov g + pull·w + μm'.
    weight_gradient = -lr * (1 + share) if optimizer.nesterov else -lr
    weight_buffer = -lr * mu * mu if optimizer.nesterov else -lr * mu
    kept = np.block([[(keep + weight_gradient * pull) * one, weight_buffer * one], [pull * one, mu * one]])
    return kept, np.vstack([weight_gradient * one, one])


def full_moments(problem: em.LinearRegression, optimizer: em.SGD, multipliers: np.ndarray) -> tuple[np.ndarray, ...]:
    """Mean and covariance matrix of (w, m) under sampled features, by Isserlis' theorem on whole matrices."""
    d = problem.coordinates
    h, optimum, init = (
        np.broadcast_to(np.asarray(x, float), d) for x in (problem.curvature, problem.optimum, problem.init)
    )
    big = np.diag(h)
    mean, spread = np.concatenate([init, np.zeros(d)]), np.zeros((2 * d, 2 * d))
    for multiplier in multipliers:
        kept, gained = linear_step(optimizer, optimizer.lr * multiplier, d)
        miss = mean[:d] - optimum
        second = spread[:d, :d] + np.outer(miss, miss)
        # Cov(x xᵀδ − σnx) over one sample, averaged over δ: HΣH + H tr(HΣ) + σ²H.
        noise = (big @ second @ big + big * (np.trace(big @ second) + problem.label_noise**2)) / problem.batch_size
        slope = np.hstack([big, np.zeros((d, d))])
        step = kept + gained @ slope
        mean = step @ mean - gained @ (h * optimum)
        spread = step @ spread @ step.T + gained @ noise @ gained.T
    return mean, spread


def regression_setting(seed: int) -> tuple[em.LinearRegression, em.SGD, np.ndarray]:
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 4))
    curvature = rng.uniform(0, 2, d)
    problem = em.LinearRegression(
        curvature, label_noise=rng.uniform(0, 2), optimum=rng.normal(size=d), init=rng.normal(size=d),
        batch_size=int(rng.integers(1, 20)),
    )  # fmt: skip
    return problem, drawn_optimizer(rng, 0.5 / max(curvature.sum(), 1)), rng.uniform(0, 1, int(rng.integers(1, 60)))


def check_regression(seed: int) -> None:
    problem, optimizer, multipliers = regression_setting(seed)
    mean, spread = full_moments(problem, optimizer, multipliers)
    d, steps = problem.coordinates, len(multipliers)
    found = em.predict(
        problem, optimizer, steps=steps, schedule=multipliers, observables=("weight_mean", "weight_variance", "risk")
    ).isel(step=-1)
    size = np.abs(mean[:d]).max() + 1
    np.testing.assert_allclose(found.weight_mean, mean[:d], rtol=1e-9, atol=1e-13 * size)
    np.testing.assert_allclose(found.weight_variance, np.diag(spread)[:d], rtol=1e-9, atol=1e-18)
    miss = mean[:d] - np.broadcast_to(problem.optimum, d)
    risk = 0.5 * (np.asarray(problem.curvature) * (np.diag(spread)[:d] + miss**2)).sum()
    assert float(found.risk) == pytest.approx(risk, rel=1e-9)


@pytest.mark.parametrize("block", BLOCKS)
def test_regression_equals_whole_covariance_matrices(block: int) -> None:
    for seed in range(100 * block, 100 * (block + 1)):
        check_regression(seed)


def test_regression_at_rest_is_where_a_long_run_ends() -> None:
    problem = em.LinearRegression([1.0, 0.5, 0.1], label_noise=0.5, optimum=[0.3, -1, 2], batch_size=[2, 5])
    for optimizer in (em.SGD(lr=0.1), em.SGD(lr=0.05, momentum=0.8, weight_decay=0.1, nesterov=True, decay="per_lr")):
        names = ("risk", "weight_norm", "rotation", "update_cosine")
        rest = em.predict(problem, optimizer, observables=names)
        run = em.predict(problem, optimizer, observables=names, steps=3000).isel(step=-1)
        for name in names:
            np.testing.assert_allclose(rest[name], run[name], rtol=1e-10)


def test_samples_can_make_the_mean_square_grow_where_the_mean_converges() -> None:
    """With one sample per step SGD needs about η < 2/(3h) on one Gaussian feature, not 2/h: η²·3h² < 2ηh."""
    for lr, grows in ((0.66, False), (0.67, True)):
        problem = em.LinearRegression(1.0, label_noise=0.1)
        if grows:
            with pytest.warns(UnstableWarning, match="mean square grow"):
                run = em.predict(problem, em.SGD(lr=lr), steps=2000, record=[1000, 2000]).risk.values
            assert run[1] > run[0]
            with pytest.raises(ValueError, match="mean square grow"):
                em.predict(problem, em.SGD(lr=lr))
        else:
            assert float(em.predict(problem, em.SGD(lr=lr)).risk) > 0


def orders_of(problem: em.ReshuffledData, epochs: int) -> list[tuple[int, ...]]:
    """Every sequence of items over some epochs, or every choice of items at every step."""
    if problem.sampling == "replaced":
        return list(product(range(problem.size), repeat=epochs * problem.size))
    each = list(permutations(range(problem.size)))
    return [sum(orders, ()) for orders in product(each, repeat=epochs)]


def enumerated(problem: em.ReshuffledData, optimizer: em.SGD, steps: int, epochs: int) -> tuple[float, float]:
    """Mean and variance of one weight: w is linear in the items' noises, with coefficients that the order decides."""
    batch, h = int(problem.batch_size), float(problem.curvature)
    kept, gained = linear_step(optimizer, optimizer.lr, 1)
    step = kept + gained @ np.array([[h, 0.0]])
    state = np.array([problem.init, 0.0])
    for _ in range(steps):
        state = step @ state - gained[:, 0] * h * problem.optimum
    # What a unit gradient at step k is worth in the end, and then of each item.
    worth = [(np.linalg.matrix_power(step, steps - 1 - k) @ gained)[0, 0] / batch for k in range(steps)]
    squares = []
    for order in orders_of(problem, epochs):
        share = np.zeros(problem.size)
        for k in range(steps):
            for item in order[k * batch : (k + 1) * batch]:
                share[item] += worth[k]
        squares.append((share**2).sum())
    return state[0], float(problem.noise) * float(np.mean(squares))


@pytest.mark.parametrize(("size", "batch", "epochs"), [(1, 1, 5), (3, 1, 2), (4, 2, 2), (4, 4, 2), (4, 1, 2)])
def test_every_order_of_a_small_data_set(size: int, batch: int, epochs: int) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        problem = em.ReshuffledData(
            rng.uniform(0.1, 2), size=size, noise=rng.uniform(0.1, 2), optimum=rng.normal(), init=rng.normal(),
            batch_size=batch,
        )  # fmt: skip
        check_orders(problem, drawn_optimizer(rng, 0.5), epochs * size // batch - int(rng.integers(2)), epochs)


@pytest.mark.parametrize(("size", "batch", "epochs"), [(2, 1, 3), (3, 1, 2), (3, 2, 1)])
def test_every_choice_of_items_with_replacement(size: int, batch: int, epochs: int) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        problem = em.ReshuffledData(
            rng.uniform(0.1, 2), size=size, noise=rng.uniform(0.1, 2), batch_size=batch, sampling="replaced"
        )
        check_orders(problem, drawn_optimizer(rng, 0.5), epochs * size // batch, epochs)


def check_orders(problem: em.ReshuffledData, optimizer: em.SGD, steps: int, epochs: int) -> None:
    mean, variance = enumerated(problem, optimizer, steps, epochs)
    names = ("weight_mean", "weight_variance", "risk")
    found = em.predict(problem, optimizer, steps=steps, observables=names).isel(step=-1, coordinate=0)
    assert float(found.weight_mean) == pytest.approx(mean, rel=1e-9, abs=1e-13)
    assert float(found.weight_variance) == pytest.approx(variance, rel=1e-9)
    risk = 0.5 * float(problem.curvature) * (variance + (mean - problem.optimum) ** 2)
    assert float(found.risk) == pytest.approx(risk, rel=1e-9)


def dense(problem: em.ReshuffledData, optimizer: em.SGD, multipliers: np.ndarray) -> tuple[float, float]:
    """Mean and variance of one weight, the variance as a quadratic form in the whole run's noise covariance."""
    steps, batch, h = len(multipliers), int(problem.batch_size), float(problem.curvature)
    state, rows = np.array([problem.init, 0.0]), np.zeros((2, steps))
    for k, multiplier in enumerate(multipliers):
        kept, gained = linear_step(optimizer, optimizer.lr * multiplier, 1)
        step = kept + gained @ np.array([[h, 0.0]])
        state = step @ state - gained[:, 0] * h * problem.optimum
        rows = step @ rows
        rows[:, k] += gained[:, 0]
    epoch = np.arange(steps) * batch // problem.size
    # Two batches of one epoch share no item; two of different epochs share B·B/N on average.
    shared = np.where(epoch[:, None] == epoch, 0.0, batch * batch / problem.size)
    np.fill_diagonal(shared, batch)
    covariance = float(problem.noise) * shared / batch**2
    return state[0], float(rows[0] @ covariance @ rows[0])


@pytest.mark.parametrize("block", BLOCKS)
def test_epochs_equal_the_whole_covariance_of_a_run(block: int) -> None:
    for seed in range(100 * block, 100 * (block + 1)):
        rng = np.random.default_rng(seed)
        batch = int(rng.integers(1, 5))
        problem = em.ReshuffledData(
            rng.uniform(0.1, 2), size=batch * int(rng.integers(1, 9)), noise=rng.uniform(0.1, 2),
            optimum=rng.normal(), init=rng.normal(), batch_size=batch,
        )  # fmt: skip
        optimizer, multipliers = drawn_optimizer(rng, 0.5), rng.uniform(0, 1, int(rng.integers(1, 50)))
        mean, variance = dense(problem, optimizer, multipliers)
        found = em.predict(
            problem, optimizer, steps=len(multipliers), schedule=multipliers,
            observables=("weight_mean", "weight_variance"),
        ).isel(step=-1, coordinate=0)  # fmt: skip
        assert float(found.weight_mean) == pytest.approx(mean, rel=1e-9, abs=1e-13)
        assert float(found.weight_variance) == pytest.approx(variance, rel=1e-9)


@pytest.mark.parametrize(("items", "rate"), [(4, 0.3), (64, 0.01), (391, 0.02)])
def test_the_end_of_a_late_epoch_has_the_derived_share_of_noise(items: int, rate: float) -> None:
    """R of T3: the variance about the data's mean over that of independent draws, ησ²/(2 − η)·(N − 1)/N for h = 1."""
    epochs = int(np.ceil(40 / (rate * items))) + 1
    problem = em.ReshuffledData(1.0, size=items, noise=1.0)
    found = em.predict(problem, em.SGD(lr=rate), steps=epochs * items, observables="weight_variance").isel(step=-1)
    anew = rate / (2 - rate) * (1 - 1 / items)
    ratio = (float(found.weight_variance[0]) - 1 / items) / anew
    derived = em.derive("reshuffling").function("variance_ratio")(steps_per_epoch=items, decay_per_step=rate)
    assert ratio == pytest.approx(float(derived), rel=1e-8)


def test_averaged_iterates_at_rest_are_what_the_derivation_says() -> None:
    ratio = em.derive("iterate-averaging").function("variance_ratio")
    for kept in (0.0, 0.9, 0.9999):
        problem, optimizer = em.NoisyQuadratic(1.0, noise=2.0), em.SGD(lr=0.1)
        names = ("weight_mean", "weight_variance")
        plain = em.predict(problem, optimizer, observables=names)
        mean = em.predict(problem, optimizer, observables=names, iterate_average=kept)
        expected = float(plain.weight_variance[0]) * float(ratio(one_minus_ema=1 - kept, pull_per_step=0.1))
        assert float(mean.weight_variance[0]) == pytest.approx(expected, rel=1e-10)
        assert mean.attrs["exact"] == 1


def averaged_by_impulses(problem: em.NoisyQuadratic, optimizer: em.SGD, multipliers: np.ndarray, kept: float):
    """Mean and variance of the average: that of the run without noise, and squared responses to unit noises."""
    h, steps = float(problem.curvature), len(multipliers)
    state, rows = np.array([problem.init, 0.0]), np.zeros((2, steps))
    mean, row = problem.init, np.zeros(steps)
    for k, multiplier in enumerate(multipliers):
        kept_state, gained = linear_step(optimizer, optimizer.lr * multiplier, 1)
        step = kept_state + gained @ np.array([[h, 0.0]])
        state, rows = step @ state - gained[:, 0] * h * problem.optimum, step @ rows
        rows[:, k] += gained[:, 0]
        mean, row = kept * mean + (1 - kept) * state[0], kept * row + (1 - kept) * rows[0]
    return mean, float(problem.noise) * (row**2).sum()


@pytest.mark.parametrize("block", BLOCKS)
def test_averaged_iterates_equal_their_impulse_responses(block: int) -> None:
    for seed in range(100 * block, 100 * (block + 1)):
        constant, rng = seed % 2 == 0, np.random.default_rng(seed)
        problem = em.NoisyQuadratic(
            rng.uniform(0.1, 2), noise=rng.uniform(0.1, 2), optimum=rng.normal(), init=rng.normal()
        )
        optimizer, kept = drawn_optimizer(rng, 0.5), float(rng.choice([0.0, rng.random(), 0.999]))
        steps = int(rng.integers(1, 200 if constant else 40))
        multipliers = np.ones(steps) if constant else rng.uniform(0, 1, steps)
        mean, variance = averaged_by_impulses(problem, optimizer, multipliers, kept)
        found = em.predict(
            problem, optimizer, steps=steps, schedule=None if constant else multipliers, iterate_average=[kept, 0.5],
            observables=("weight_mean", "weight_variance"),
        ).isel(step=-1, coordinate=0, iterate_average=0)  # fmt: skip
        assert float(found.weight_mean) == pytest.approx(mean, rel=1e-9, abs=1e-13)
        assert float(found.weight_variance) == pytest.approx(variance, rel=1e-9)


@pytest.mark.parametrize("power", [-0.5, 0.5, 1.0])
def test_preconditioning_is_plain_sgd_in_other_coordinates(power: float) -> None:
    """Q6: w ↦ w − ηh^{−p}g has the curvature h^{1−p} and the noise c h^{−2p}; its risk is that of the record."""
    h, lr, c = np.array([1.0, 0.1, 3.0]), 0.2, np.array([0.5, 2.0, 1.0])
    problem = em.NoisyQuadratic(h, noise=c, optimum=[1.0, 2.0, 0.0], init=[0.0, 1.0, -1.0])
    found = em.predict(problem.preconditioned(power), em.SGD(lr=lr), steps=30, record=range(31)).risk.values
    weight, variance, risks = np.array([0.0, 1.0, -1.0]), np.zeros(3), []
    for _ in range(31):
        risks.append(0.5 * (h * (variance + (weight - [1.0, 2.0, 0.0]) ** 2)).sum())
        slope = lr * h ** (1 - power)
        weight = weight - slope * (weight - [1.0, 2.0, 0.0])
        variance = (1 - slope) ** 2 * variance + (lr * h**-power) ** 2 * c
    np.testing.assert_allclose(found, risks, rtol=1e-12)


def test_what_has_no_moments_is_refused() -> None:
    data = em.ReshuffledData(1.0, size=8)
    with pytest.raises(ValueError, match="differ along every epoch"):
        em.predict(data, em.SGD(lr=0.1))
    with pytest.raises(ValueError, match="iterate_average is for SGD"):
        em.predict(data, em.SGD(lr=0.1), steps=3, iterate_average=0.9)
    with pytest.raises(ValueError, match="iterate_average is for SGD"):
        em.predict(em.NoisyQuadratic(1.0), em.AdamW(lr=0.1), iterate_average=0.9)
    with pytest.raises(ValueError, match="own steps"):
        em.predict(em.NoisyQuadratic(1.0), em.SGD(lr=0.1), observables="rotation", iterate_average=0.9)
    with pytest.raises(ValueError, match="iterate_average must be"):
        em.predict(em.NoisyQuadratic(1.0), em.SGD(lr=0.1), iterate_average=1.0)
    with pytest.raises(ValueError, match="Amos's steps fall for as long as it runs"):
        em.predict(em.LinearRegression(1.0), em.Amos(lr=0.1))
    with pytest.raises(ValueError, match="curvature above 0"):
        em.NoisyQuadratic([1.0, 0.0]).preconditioned(1.0)
