"""Sampling: exact points that satisfy every assumption, signs that follow from them, and vacuity."""

from fractions import Fraction

import sympy as sp

from ematheory.derivations.assumptions import Assumptions, between, integer, positive, real

a, b, x = sp.symbols("a b x", positive=True)
t, k = sp.symbols("t k", integer=True)
f = sp.Function("f")


def test_points_are_exact_and_satisfy_everything():
    given = Assumptions(
        (between(a, 0, 1), between(b, 0, a), positive(x), integer(t, 1), integer(k, 1, t)), (a + b < 1,)
    )
    points = list(given.points(20))
    assert len(points) == 20
    for p in points:
        assert all(isinstance(p[y], Fraction) for y in (a, b, x))
        assert 0 < p[b] < p[a] < 1
        assert p[a] + p[b] < 1
        assert 1 <= p[k] <= p[t]


def test_points_depend_on_the_seed_alone():
    given = Assumptions((between(a, 0, 1), integer(t)))
    assert list(given.points(3, seed=1)) == list(given.points(3, seed=1))
    assert list(given.points(3, seed=1)) != list(given.points(3, seed=2))


def test_a_sequence_keeps_its_values():
    (point,) = Assumptions((between(f, 2, 3),)).points(1)
    assert point[f](5) == point[f](5)
    assert point[f](5) != point[f](6)
    assert all(2 < point[f](n) < 3 for n in range(50))


def test_contradictory_assumptions_have_no_point():
    assert list(Assumptions((between(a, 0, 1),), (a > 2,)).points(3)) == []
    assert list(Assumptions((integer(k, 3, 2),)).points(3)) == []


def test_covering_reads_sympys_assumptions():
    given = Assumptions((between(a, 0, 1),)).covering([a + x + sp.Symbol("z") + sp.Function("g", positive=True)(t)])
    assert {str(d.symbol) for d in given.domains} == {"a", "x", "z", "g", "t"}
    assert all(p[x] > 0 for p in given.points(10))


def test_signs_that_follow():
    given = Assumptions((between(a, 0, 1), between(b, 0, 1)), (sp.Lt(a, b), sp.Lt(a * x, 1)))
    for yes in (a, 1 - a, 1 - a**2, 2 - a, b - a, 1 - a * x, 2 - a * x, 1 - (1 - a * x) ** 2, (1 - a) / (1 + b)):
        assert given.is_positive(yes), yes
    for no in (a - 1, a - b, x - 1, 2 * a - 1, a * x - 1, sp.Symbol("z"), 1 - 2 * a):
        assert not given.is_positive(no), no


def test_signs_agree_with_samples():
    given = Assumptions((between(a, 0, 1), positive(b)), (sp.Lt(a * b, 1),))
    for e in (1 - a * b, 2 - a * b, a - 2, b + 1 - a):
        for p in given.points(10):
            value = e.subs({s: sp.Rational(v.numerator, v.denominator) for s, v in p.items()})
            assert given.is_positive(e) == (value > 0)


def test_nonzero_includes_declared_inequality():
    given = Assumptions((positive(a), positive(b)), (sp.Ne(a, b),))
    assert given.is_nonzero(a - b)
    assert given.is_nonzero(b - a)
    assert not given.is_nonzero(a - 2 * b)


def test_words():
    assert Assumptions((between(a, 0, 1), integer(t, 0), real(f))).words() == [
        "real 0 < a < 1",
        "integer 0 ≤ t",
        "real f_t for every t",
    ]


def test_samples_may_be_narrower_than_what_is_stated():
    domain = between(a, 0, 1, sampled=(sp.Rational(1, 2), b))
    one = Assumptions((between(b, sp.Rational(3, 4), 1), domain))
    assert all(Fraction(1, 2) < point[a] < point[b] for point in one.points(20))
    assert one.allow({a: 1e-9, b: 0.8})
    assert not one.allow({a: 0.0, b: 0.8})
    assert not one.is_positive(a - sp.Rational(1, 2))
    assert domain.words() == "real 0 < a < 1"
    assert one.words()[1] == "real 0 < a < 1 (sampled from 1/2 to b)"
