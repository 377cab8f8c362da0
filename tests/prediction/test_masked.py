"""Cautious decay's moments: the mask's regression against quadrature, the limits, and the run against its end."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

import ematheory as em
from ematheory.prediction.masked import Pair, spared
from ematheory.prediction.members import FrozenRoot, Structure

EXPECTATIONS = ("risk", "weight_mean", "weight_variance", "weight_mean_square")


class Chosen(FrozenRoot):
    """An array namespace whose `where` is always, or never, of its first kind, and keeps what was asked."""

    def __init__(self, root: float, first: bool) -> None:
        super().__init__(root)
        self.first, self.asked = first, None

    def where(self, condition: Any, one: Any, other: Any) -> Any:
        self.asked = condition
        return one if self.first else other


def pair(weight: float, update: float, spread: float, spread_update: float, rho: float) -> Pair:
    values = (weight, update, spread**2, spread_update**2, rho * spread * spread_update)
    return Pair(*(np.asarray(float(value)) for value in values))


def integrated(p: Pair) -> list[float]:
    """E f, the gains on w and u, and what is left: over u by quadrature, over w given u in closed form."""
    sw, su = math.sqrt(p.weight_variance), math.sqrt(p.update_variance)
    rho = float(p.covariance) / (sw * su)
    rest = sw * math.sqrt(1 - rho * rho)

    def given(u: float) -> tuple[float, float]:
        # E w and E w² over the w of the other sign than u.
        centre, side = p.weight + rho * sw * (u - p.update) / su, -math.copysign(1.0, u)
        inside, edge = norm.cdf(side * centre / rest), side * rest * norm.pdf(centre / rest)
        return centre * inside + edge, (centre * centre + rest * rest) * inside + centre * edge

    def mean(of: Any) -> float:
        low, high = float(p.update) - 12 * su, float(p.update) + 12 * su
        # Cut where the mask switches and where the density is, so that the rule sees both.
        cuts = sorted(
            {low, high, *(float(p.update) + k * su for k in (-4, -1, 1, 4)), *([0.0] if low < 0 < high else [])}
        )
        parts = itertools.pairwise(cuts)
        weighted = [quad(lambda u: of(u) * norm.pdf(u, p.update, su), *part, epsabs=1e-13)[0] for part in parts]
        return math.fsum(weighted)

    first, square, with_update = (
        mean(of) for of in (lambda u: given(u)[0], lambda u: given(u)[1], lambda u: u * given(u)[0])
    )
    with_both = np.array([square - p.weight * first, with_update - p.update * first])
    covariance = np.array([[p.weight_variance, p.covariance], [p.covariance, p.update_variance]])
    gains = np.linalg.solve(covariance, with_both)
    return [first, *gains, square - first * first - gains @ with_both]


@pytest.mark.parametrize("seed", range(12))
def test_the_regression_is_that_of_quadrature(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spread, spread_update = 10 ** rng.uniform(-1, 1, 2)
    centres = rng.standard_normal(2) * rng.choice([0.0, 1.0, 3.0], 2) * (spread, spread_update)
    p = pair(*centres, spread, spread_update, rng.uniform(-0.99, 0.99))
    unit = np.array([spread, 1.0, spread / spread_update, spread**2])
    np.testing.assert_allclose(np.array(spared(p)) / unit, np.array(integrated(p)) / unit, atol=1e-9)


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (pair(1, 1, 0, 0, 0), (0, 0, 0, 0)),  # certain: on, and off
        (pair(1, -1, 0, 0, 0), (1, 1, 0, 0)),
        (pair(0, 0, 0, 0, 0), (0, 0, 0, 0)),
        (pair(2, 0, 1, 0, 0), (0, 0, 0, 0)),  # u·w = 0 decays
        (pair(1, 0, 0, 1, 0), (0.5, 0.5, -1 / math.sqrt(2 * math.pi), 0.25 - 1 / (2 * math.pi))),
        (pair(0, 0, 1, 1, 1), (0, 0, 0, 0)),  # of one sign, and of two
        (pair(0, 0, 1, 1, -1), (0, 1, 0, 0)),
        (pair(1, 1, 1, 1, 1), (0, 0, 0, 0)),
        (pair(1, -1, 1, 1, -1), (1, 1, 0, 0)),
        (pair(1e9, 1e9, 1, 1, 0.3), (0, 0, 0, 0)),  # means far beyond the spread
        (pair(1e9, -1e9, 1, 1, 0.3), (1e9, 1, 0, 0)),
    ],
)
def test_the_limits_of_the_regression(p: Pair, expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(np.array(spared(p)), expected, rtol=1e-12, atol=1e-12)


def test_a_central_mask_is_on_as_the_arcsine_says() -> None:
    for rho in (-0.9, -0.2, 0.0, 0.5, 0.999):
        assert float(spared(pair(0, 0, 2, 3, rho)).of_weight) == pytest.approx(
            0.5 - math.asin(rho) / math.pi, abs=1e-14
        )


def test_the_update_itself_decays_by_alpha_where_the_divided_part_has_the_weights_sign() -> None:
    """What `masked` takes for granted, read off the record."""
    own = em.AdamW(lr=0.1, weight_decay=0.3, decay="cautious")
    structure, rng = Structure(own), np.random.default_rng(3)
    c = structure.probe
    images = structure.whole(0.7, c, ())
    divided = structure.quotient(images, structure.direct(c, ()))
    for weight, buffer, gradient in rng.standard_normal((50, 3)):
        state = structure.state({0: weight, 1: buffer}, 0.0, ())
        on, off = Chosen(0.7, True), Chosen(0.7, False)
        with_decay, without = (own.update(xp, state, gradient, c).weight for xp in (on, off))
        assert with_decay - without == pytest.approx(-c.decay * weight, rel=1e-12)
        update = -(divided.rows[0][1] * buffer + divided.gradient[0] * gradient)
        assert bool(on.asked) == (update * weight >= 0)
        row = np.array([*images.rows[0], images.gradient[0]], dtype=float)
        everywhere = float(row @ (weight, buffer, gradient))
        assert with_decay == pytest.approx(everywhere, rel=1e-12)


PROBLEMS = {
    "noisy quadratic": em.NoisyQuadratic(curvature=[1.0, 0.1], noise=[1.0, 0.3], optimum=[0.3, -2.0], init=1.0),
    "random walk": em.RandomWalk(size=2, init=1.0),
    "scale-invariant": em.ScaleInvariant(size=64),
    "linear regression": em.LinearRegression(curvature=[1.0, 0.1], optimum=[0.3, -1.0], label_noise=1.0, batch_size=4),
    "reshuffled data": em.ReshuffledData(curvature=[1.0, 0.1], noise=1.0, optimum=[0.3, -2.0], size=8),
}


def both(problem: Any, decay: float, **run: Any) -> tuple[Any, Any]:
    names = [name for name in (*EXPECTATIONS, "rotation", "update_cosine") if name in problem.observables]
    kinds = ("cautious", "per_lr")
    records = (em.AdamW(lr=0.05, weight_decay=decay, betas=(0.9, 0.99), decay=kind) for kind in kinds)
    return tuple(em.predict(problem, record, observables=names, **run) for record in records)


@pytest.mark.parametrize("name", PROBLEMS)
def test_without_decay_there_is_nothing_to_mask(name: str) -> None:
    masked, plain = both(PROBLEMS[name], 0.0, steps=40, record=[1, 40], schedule=em.Cosine(warmup=0.1))
    for observable in plain.data_vars:
        if not str(observable).endswith("_error"):
            np.testing.assert_allclose(
                masked[observable], plain[observable], rtol=1e-12, atol=1e-15, err_msg=observable
            )


def test_a_mask_that_is_certain_is_decay_everywhere_or_nowhere() -> None:
    """Without noise the weight falls to the optimum from beyond it, or grows to it."""
    run: dict[str, Any] = dict(steps=10, record=em.every(1))
    masked, plain = both(em.NoisyQuadratic(1.0, noise=0.0, optimum=1.0, init=5.0), 0.3, **run)
    masked_out, _ = both(em.NoisyQuadratic(1.0, noise=0.0, optimum=5.0, init=1.0), 0.3, **run)
    _, without = both(em.NoisyQuadratic(1.0, noise=0.0, optimum=5.0, init=1.0), 0.0, **run)
    for observable in plain.data_vars:
        np.testing.assert_array_equal(masked[observable], plain[observable], err_msg=observable)
        if observable != "update_cosine":
            np.testing.assert_allclose(masked_out[observable], without[observable], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", [name for name in PROBLEMS if name != "reshuffled data"])
def test_a_long_run_ends_in_the_stationary_state(name: str) -> None:
    problem = PROBLEMS[name]
    names = [each for each in (*EXPECTATIONS, "rotation", "update_cosine") if each in problem.observables]
    own = em.AdamW(lr=0.1, weight_decay=1.0, betas=(0.5, 0.9), decay="cautious")
    late = em.predict(problem, own, steps=600, record=[600], observables=names).isel(step=0)
    settled = em.predict(problem, own, observables=names)
    for each in late.data_vars:
        np.testing.assert_allclose(settled[each].values, late[each].values, rtol=1e-5, atol=1e-7, err_msg=str(each))


@pytest.mark.parametrize("alpha", [1e-4, 1e-6])
def test_on_noise_the_mask_is_off_as_the_derivation_has_it(alpha: float) -> None:
    """E w² = 2(1 + (2/π)√(ηλ))·AdamW's without momentum (cautious-random-walk), and more with it (cautious-mask)."""

    def ratio(beta1: float) -> float:
        own = {"lr": 1e-2, "weight_decay": alpha / 1e-2, "betas": (beta1, 1 - 1e-6), "eps": 0.0}
        masked, plain = (em.predict(em.RandomWalk(), em.AdamW(**own, decay=kind)) for kind in ("cautious", "per_lr"))
        return float(masked.weight_mean_square / plain.weight_mean_square)

    assert ratio(0.0) == pytest.approx(2 * (1 + 2 / math.pi * math.sqrt(alpha)), rel=alpha)
    assert ratio(0.9) > ratio(0.0)


def test_sweeps_are_their_points() -> None:
    problem = em.NoisyQuadratic(curvature=[1.0, 0.1], noise=1.0, optimum=[0.3, -2.0])
    axes = {"lr": [0.01, 0.1], "weight_decay": [0.1, 1.0]}
    for run in ({}, {"steps": 30, "record": [10, 30]}):
        swept = em.predict(
            problem, em.AdamW(**axes, decay="cautious", betas=(0.5, 0.9)), observables=EXPECTATIONS, **run
        )
        for lr in axes["lr"]:
            for lam in axes["weight_decay"]:
                own = em.AdamW(lr=lr, weight_decay=lam, decay="cautious", betas=(0.5, 0.9))
                alone = em.predict(problem, own, observables=EXPECTATIONS, **run)
                point = swept.sel(lr=lr, weight_decay=lam)
                for name in alone.data_vars:
                    np.testing.assert_allclose(point[name], alone[name], rtol=1e-7, atol=1e-12, err_msg=name)


def test_rotation_and_cosine_are_those_of_many_simulated_coordinates() -> None:
    own = em.AdamW(lr=0.05, weight_decay=1.0, betas=(0.5, 0.99), decay="cautious")
    walk = em.RandomWalk(size=4000, init=1.0)
    names = ["rotation", "update_cosine", "weight_mean_square"]
    run: dict[str, Any] = dict(steps=300, record=[300], observables=names)
    found = em.predict(walk, own, **run)
    measured = em.simulate(walk, own, **run, replicas=8, seed=1)
    for name in names:
        assert float(found[name][0]) == pytest.approx(float(measured[name][0]), rel=0.05), name
    assert found.attrs["exact"] == 0
    assert "jointly normal" in found.attrs["approximation"]
