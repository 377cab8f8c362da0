"""Each rule of judgement can come out each way, and its intervals hold what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ematheory.claims import Below, Bounded, Evidence, Exact, Fails, Order, Proved, Sampled, Share
from ematheory.claims.evidence import largest
from ematheory.claims.verdict import CONFIDENCE, critical_value, deciding, judge


def verdict(*findings):
    return judge(Evidence(findings))[0]


@pytest.mark.parametrize(
    ("residual", "bound", "n", "expected"),
    [(1e-16, 1e-15, 5, "confirmed"), (2e-15, 1e-15, 5, "refuted"), (math.nan, 1, 5, "refuted"), (0, 1, 0, "vacuous")],
)
def test_exact(residual, bound, n, expected):
    assert verdict(Exact("w", residual, bound, n, "rounding")) == expected


@pytest.mark.parametrize(
    ("residual", "n", "expected"),
    [(1.0, 5, "confirmed"), (1e-16, 5, "refuted"), (math.nan, 5, "refuted"), (1, 0, "vacuous")],
)
def test_a_control_has_to_fail(residual, n, expected):
    assert verdict(Fails("w", residual, 1e-15, n, "not AdamW")) == expected


@pytest.mark.parametrize(
    ("failed", "samples", "expected"), [((), 9, "confirmed"), (("step 2",), 9, "refuted"), ((), 0, "vacuous")]
)
def test_proof(failed, samples, expected):
    assert verdict(Proved("adamw-ema", 4, failed, samples)) == expected


def test_bound():
    assert verdict(Bounded("max|w|", [0.5, 1.0], 1.0, 0.0)) == "confirmed"
    assert verdict(Bounded("max|w|", [0.5, 1.0 + 1e-9], 1.0, 1e-12)) == "refuted"
    assert verdict(Bounded("max|w|", [math.nan], 1.0, 0.0)) == "refuted"
    assert verdict(Bounded("max|w|", [], 1.0, 0.0)) == "vacuous"


def test_statistical_outcomes_name_their_interval_and_test():
    """And the comparisons of the whole level count, each as many as it has means."""
    findings = (
        Sampled("w", np.zeros(3), 0.0, 0.1, 12, 1.0, errors_by="bootstrap"),
        Below("w", 0.0, 0.1, 1.0, 9),
        Order("w", SIZES, 3 * SIZES, 1.0, 0.01 * SIZES, 5),
        Order("w", SIZES, 3 * SIZES, 1.0),
    )
    *statistical, exact = judge(Evidence(findings))[1]
    tests = ["t(11), 5 comparisons, bootstrap", "t(8), 5 comparisons", "t(4), 5 comparisons"]
    assert [each.test for each in statistical] == tests
    assert all(each.interval and each.confidence == CONFIDENCE and each.n for each in statistical)
    assert (exact.test, exact.confidence) == (None, None)


SIZES = 2.0 ** -np.arange(4, 9)


@pytest.mark.parametrize(
    ("errors", "claimed", "expected"),
    [
        (3 * SIZES * (1 + SIZES), 1, "confirmed"),
        (3 * SIZES * (1 + SIZES), 2, "refuted"),
        (3 * SIZES * (1 + SIZES), 1.5, "refuted"),
        (SIZES**1.5, 1, "refuted"),
        (SIZES * (1 + 9 * np.sqrt(SIZES)), 1, "inconclusive"),
        (SIZES * 0, 1, "vacuous"),
    ],
)
def test_order(errors, claimed, expected):
    assert verdict(Order("p0", SIZES, errors, claimed)) == expected


def test_an_order_covers_a_next_term_half_an_order_higher():
    errors = SIZES * (1 + np.sqrt(SIZES))
    (outcome,) = judge(Evidence((Order("p0", SIZES, errors, 1.0),)))[1]
    assert outcome.interval[0] <= 1.0 <= outcome.interval[1]


def test_sampling_error_widens_an_order():
    noisy = Order("p0", SIZES, 3 * SIZES, 1.0, standard_errors=SIZES, n=20)
    assert verdict(noisy) == "inconclusive"


def sample(offset, resolution=0.2, n=400, allowance=0.0):
    rng = np.random.default_rng(7)
    values = rng.normal(size=(n, 30))
    errors = values.std(axis=0, ddof=1) / math.sqrt(n)
    return Sampled("risk", values.mean(axis=0) + offset, 0.0, errors, n, resolution, allowance)


def test_intervals():
    assert verdict(sample(0.0, resolution=0.4)) == "confirmed"
    assert verdict(sample(0.0, resolution=0.05)) == "inconclusive"
    assert verdict(sample(1.0, resolution=0.3)) == "refuted"
    assert verdict(sample(1.0, resolution=0.4, allowance=1.0)) == "confirmed"
    assert verdict(sample(0.0, n=400), sample(1.0)) == "refuted"


def test_an_interval_confirms_within_what_would_matter():
    """Not by being narrow: a drift that is nearly significant beside it may be larger than what would matter."""
    half = 0.1 * critical_value(1, 49)
    assert verdict(Sampled("w", 0.5 * half, 0.0, 0.1, 50, 1.6 * half)) == "confirmed"
    assert verdict(Sampled("w", -0.5 * half, 0.0, 0.1, 50, 1.4 * half)) == "inconclusive"
    assert verdict(Sampled("w", 2.5 * half, 0.0, 0.1, 50, 1.6 * half, allowance=2 * half)) == "confirmed"
    assert verdict(Sampled("w", 2.5 * half, 0.0, 0.1, 50, 1.4 * half, allowance=2 * half)) == "inconclusive"
    assert verdict(Sampled("w", 0.0, 0.0, 0.1, 50, 1.01 * half, allowance=2 * half)) == "confirmed"
    says = judge(Evidence((Sampled("w", 0.3, 0.2, 0.1, 50, 1.0),)))[1][0].says
    assert says == f"1 of 1 comparisons; off by at most {0.1 + half:.3g} where 1 would matter"


@settings(max_examples=200, deadline=None)
@given(st.floats(-3, 3), st.floats(0.01, 3), st.floats(0, 1), st.floats(0.01, 4))
def test_a_confirmed_interval_holds_no_difference_that_would_matter(off, error, allowance, resolution):
    finding = Sampled("w", off, 0.0, error, 30, resolution, allowance)
    low, high = off - error * critical_value(1, 29), off + error * critical_value(1, 29)
    if verdict(finding) == "confirmed":
        assert -resolution - allowance <= low * (1 - 1e-12)
        assert high * (1 - 1e-12) <= resolution + allowance


def test_intervals_without_spread_or_replicas():
    assert verdict(Sampled("w", [1.0], [1.0], [0.0], 10, 1.0)) == "confirmed"
    assert verdict(Sampled("w", [1.1], [1.0], [0.0], 10, 1.0)) == "refuted"
    assert verdict(Sampled("w", [math.nan], [1.0], [0.1], 10, 1.0)) == "refuted"
    assert verdict(Sampled("w", [1.0], [1.0], [math.nan], 10, 1.0)) == "inconclusive"
    assert verdict(Sampled("w", [math.nan, 1.0], [1.0, 1.0], [math.nan, 0.1], 10, 1.0)) == "inconclusive"
    assert verdict(Sampled("w", [1.0, 9.0], [1.0, 1.0], [math.nan, 0.1], 10, 1.0)) == "refuted"
    assert verdict(Sampled("w", [1.0], [1.0], [0.1], 1, 1.0)) == "vacuous"


def test_intervals_cover_together():
    """Of 2000 levels of 20 comparisons each, about 0.1 % are refuted by chance: 6 or more has probability 0.017."""
    rng = np.random.default_rng(0)
    critical = critical_value(20, 9)
    values = rng.normal(size=(2000, 20, 10))
    t = values.mean(axis=2) / (values.std(axis=2, ddof=1) / math.sqrt(10))
    assert (np.abs(t).max(axis=1) > critical).sum() < 6 + 2000 * (1 - CONFIDENCE)


def test_more_comparisons_need_wider_intervals():
    assert critical_value(1, math.inf) == pytest.approx(3.2905267314919255, rel=1e-9)
    assert critical_value(1000, 99) > critical_value(10, 99) > critical_value(10, math.inf)


def test_the_worst_outcome_decides():
    good, bad = Exact("a", 0.0, 1.0, 3, ""), Exact("b", 2.0, 1.0, 4, "")
    word, outcomes = judge(Evidence((good, bad)))
    assert word == "refuted"
    assert deciding(word, outcomes).what == "b"
    assert verdict() == "vacuous"
    assert verdict(good, Exact("c", 0.0, 1.0, 0, "")) == "vacuous"
    near = Exact("near", 0.9, 1.0, 3, "")
    word, outcomes = judge(Evidence((good, near)))
    assert deciding(word, outcomes).what == "near"


def test_a_nan_among_the_errors_is_the_largest_and_refutes():
    worst = largest([1e-17, float("nan"), 0.0])
    assert np.isnan(worst)
    assert judge(Evidence((Exact("with a NaN", worst, 1.0, 3, "none"),)))[0] == "refuted"


@pytest.mark.parametrize(
    ("measured", "errors", "n", "expected"),
    [
        ([0.5, 0.9], [0.01, 0.01], 50, "confirmed"),
        ([0.5, 1.1], [0.01, 0.01], 50, "refuted"),
        ([0.5, 0.99], [0.01, 0.01], 50, "inconclusive"),
        ([0.5, 1.01], [0.01, 0.01], 50, "inconclusive"),
        ([0.5, math.nan], [0.01, 0.01], 50, "refuted"),
        ([0.5], [math.nan], 50, "inconclusive"),
        ([math.nan], [math.nan], 50, "inconclusive"),
        ([0.5], [0.01], 1, "vacuous"),
        ([], [], 50, "vacuous"),
    ],
)
def test_below(measured, errors, n, expected):
    assert verdict(Below("ratio", measured, errors, 1.0, n)) == expected


@pytest.mark.parametrize(
    ("count", "n", "expected"),
    [(0, 12, "confirmed"), (1, 12, "inconclusive"), (12, 12, "refuted"), (6, 12, "inconclusive"), (0, 0, "vacuous")],
)
def test_share(count, n, expected):
    assert verdict(Share("seeds", count, n, 0.5)) == expected


def test_the_interval_of_a_share_is_exact():
    """With none of n the upper end is where (1 − p)ⁿ is half of what an interval may miss."""
    found = judge(Evidence((Share("one", 0, 12, 0.5), Share("other", 0, 12, 0.5))))[1][0]
    assert found.interval == pytest.approx((0.0, 1 - ((1 - CONFIDENCE**0.5) / 2) ** (1 / 12)), rel=1e-9)
    assert found.test == "exact binomial, 2 comparisons"


def test_below_counts_among_the_comparisons():
    """A margin that is enough for one comparison is not for a hundred."""
    margin = 1.1 * critical_value(1, 49)
    assert verdict(Below("one", [1 - margin], [1.0], 1.0, 50)) == "confirmed"
    assert verdict(Below("many", np.full(100, 1 - margin), np.ones(100), 1.0, 50)) == "inconclusive"
