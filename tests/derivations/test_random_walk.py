"""AdamW on white gradients: exact enumeration of coin-flip gradients, hand-computed cases, limits and lemmas."""

import itertools
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp

from ematheory.derivations import derive, random_walk
from ematheory.derivations import symbols as x
from ematheory.derivations.assumptions import Assumptions, between, positive
from ematheory.derivations.evaluation import agree, evaluate
from ematheory.derivations.frozen_preconditioner import forget, rate, run

WALK = derive("adamw-random-walk")
SETTINGS = [(0.1, 0.1), (0.5, 0.5), (1e-3, 0.05), (1e-12, 1e-6), (0.3, 1.0)]


def value(result, **known):
    function = WALK.function(result)
    return function(**{word: known[word] for word in function.words})


def test_the_recursion_of_second_moments_is_the_mean_over_all_coin_flips():
    """Gradients ±σ, every sequence of six of them run through AdamW itself, against six steps of the recursion."""
    steps, spread = 6, Fraction(3, 2)
    point = {x.eta: Fraction(1, 3), rate: Fraction(1, 5), forget: Fraction(1, 4), random_walk.sigma: spread}
    square = cross = moment = mpmath.mpf(0)
    with mpmath.workdps(50):
        for signs in itertools.product((-1, 1), repeat=steps):
            last = run(point, lambda k, signs=signs: signs[k - 1] * spread, steps, denominator=spread)[-1]
            square += last.weight**2 / 2**steps
            cross += last.weight * last.first_moment / 2**steps
            moment += last.first_moment**2 / 2**steps
    names = (random_walk.M_t, random_walk.C_t, random_walk.W_t)
    held = (Fraction(0), Fraction(0), Fraction(0))
    for _ in range(steps):
        now = {name: (lambda _, kept=kept: kept) for name, kept in zip(names, held, strict=True)}
        letters = {x.a: 1 - point[rate], x.beta1: 1 - point[forget], x.t: 0}
        held = tuple(evaluate(part, {**point, **letters, **now}) for part in random_walk.recursion().rhs)
    assert all(isinstance(part, Fraction) for part in held)
    assert all(agree(brute, part) for brute, part in zip((moment, cross, square), held, strict=True))


def test_without_momentum_by_hand():
    """β₁ = 0: E w² = η²/(1−a²), cos φ = a, and the update knows nothing of the old weight."""
    known = {"lr": 0.25, "decay_per_step": 0.4, "one_minus_beta1": 1.0}
    assert value("weight_rms", **known) == pytest.approx(0.25 / 0.8, rel=1e-15)
    assert value("weight_cosine", **known) == pytest.approx(0.6, rel=1e-15)
    assert value("rotation", **known) == pytest.approx(np.arccos(0.6), rel=1e-15)
    assert value("update_cosine", **known) == 0
    assert value("update_cosine_after", **known) == pytest.approx(-0.8, rel=1e-15)


def test_with_momentum_by_hand():
    """a = β₁ = 1/2: U² = 1/3, aβ₁ = 1/4, so E w² = η²·(1/3)(5/4)/((3/4)(3/4)) and cos φ = 1/(5/4)."""
    known = {"lr": 1.0, "decay_per_step": 0.5, "one_minus_beta1": 0.5}
    assert value("weight_rms", **known) ** 2 == pytest.approx(20 / 27, rel=1e-15)
    assert value("weight_cosine", **known) == pytest.approx(0.8, rel=1e-15)
    assert value("update_cosine", **known) == pytest.approx(-0.5 * np.sqrt(0.75 / (1.25 * 0.75)), rel=1e-15)


@pytest.mark.parametrize(("decay", "memory"), SETTINGS)
def test_published_forms_at_finite_rates(decay, memory):
    """R1 as THEORY.md prints it, in 50 digits; the angle by acos there, which float64 could not."""
    known = {"lr": 0.01, "decay_per_step": decay, "one_minus_beta1": memory}
    with mpmath.workdps(50):
        a, b = 1 - mpmath.mpf(decay), 1 - mpmath.mpf(memory)
        square = mpmath.mpf(0.01) ** 2 * (1 - b) / (1 + b) * (1 + a * b) / ((1 - a**2) * (1 - a * b))
        cosine = (a + b) / (1 + a * b)
        against = -mpmath.sqrt((1 - a**2) / ((1 + a * b) * (1 - a * b)))
        expected = {
            "weight_rms": mpmath.sqrt(square),
            "weight_cosine": cosine,
            "rotation": mpmath.acos(cosine),
            "update_cosine": b * against,
            "update_cosine_after": against,
        }
        for result, exact in expected.items():
            assert value(result, **known) == pytest.approx(float(exact), rel=1e-14)
            assert WALK.function(result).excess(**{word: known[word] for word in WALK.function(result).words}) <= 1


@pytest.mark.parametrize("memory", [0.02, 0.1, 0.5, 1.0])
def test_the_published_table_is_the_limit_with_its_first_order(memory):
    decay, lr, b = 1e-6, 0.5, 1 - memory
    known = {"lr": lr, "decay_per_step": decay, "one_minus_beta1": memory}
    weight_decay = decay / lr
    norm = value("weight_rms", **known) ** 2 / (lr / (2 * weight_decay)) - 1
    turn = value("rotation", **known) ** 2 / (2 * decay * (1 - b) / (1 + b)) - 1
    assert norm / decay == pytest.approx(0.5 - 2 * b / (1 - b * b), abs=1e-6 * (1 + 4 / memory**2))
    assert turn / decay == pytest.approx(0.5 - (1 - b) / (3 * (1 + b)), abs=2e-6 / memory)


@pytest.mark.parametrize(("decay", "memory"), SETTINGS)
def test_the_equilibrium_is_the_kernels_sum_of_squares(decay, memory):
    """E w² = Σk²/λ² for unit gradients: the same number from the kernel on gradients."""
    lr = 0.125
    known = {"lr": lr, "decay_per_step": decay, "one_minus_beta1": memory}
    samples = derive("gradient-kernel").function("effective_sample_size")
    squares = 1 / samples(decay_per_step=decay, one_minus_beta1=memory)
    assert value("weight_rms", **known) == pytest.approx(np.sqrt(squares) * lr / decay, rel=1e-13)


def test_orthogonal_updates_would_give_a_smaller_norm():
    """η² = (1−a²) E w² is what u ⟂ w gives for unit updates of size U; it lacks (1+aβ₁)/(1−aβ₁)."""
    decay, memory = 0.01, 0.1
    product = (1 - decay) * (1 - memory)
    orthogonal = np.sqrt(memory / (2 - memory) / (decay * (2 - decay)))
    whole = value("weight_rms", lr=1.0, decay_per_step=decay, one_minus_beta1=memory)
    assert whole / orthogonal == pytest.approx(np.sqrt((1 + product) / (1 - product)), rel=1e-14)


p, q, c = sp.symbols("p q c", positive=True)
GIVEN = Assumptions((between(p, 0, 1), between(q, 0, 1), positive(c)))


@pytest.mark.parametrize(
    ("lemma", "expression"),
    [
        (random_walk.ROOT_OF_PRODUCT, sp.sqrt(c**2 * (1 - p) / (p - 2) / (-2 - q))),
        (random_walk.ROOT_OF_PRODUCT, ((1 - q) * (p + q - p * q)) ** sp.Rational(3, 2)),
        (random_walk.HALF_ANGLE, sp.acos((p + q) / (1 + p * q))),
        (random_walk.HALF_ANGLE, sp.acos(-p)),
    ],
)
def test_a_lemma_is_an_equality(lemma, expression):
    found = lemma.rewrite(expression, GIVEN)
    assert found != expression
    assert not found.has(sp.acos)
    for point in GIVEN.points(4):
        assert agree(evaluate(found, point), evaluate(expression, point))


@pytest.mark.parametrize(
    ("lemma", "expression"),
    [
        (random_walk.ROOT_OF_PRODUCT, sp.sqrt((p - q) ** 2 * c)),
        (random_walk.ROOT_OF_PRODUCT, sp.sqrt(c * (1 - c))),
        (random_walk.HALF_ANGLE, sp.acos(c)),
    ],
)
def test_a_lemma_leaves_alone_what_it_cannot_justify(lemma, expression):
    assert lemma.rewrite(expression, GIVEN) == expression


def test_the_mean_of_a_quadratic_form():
    w, m, g = x.w_t(x.t), x.m_t(x.t), x.g_t(x.t + 1)
    found = random_walk.expected((2 * w - m + 3 * g) ** 2)
    expected = 4 * random_walk.W_t(x.t) - 4 * random_walk.C_t(x.t) + random_walk.M_t(x.t) + 9 * random_walk.sigma**2
    assert sp.expand(found - expected) == 0
