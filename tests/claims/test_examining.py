"""Levels run or say why not, errors are reported as errors, and contradictions are found."""

from __future__ import annotations

import pytest

import ematheory as em
from ematheory.claims import Claim, Curve, Evidence, Exact, Judgement, Level, Started, examine, registry


def claim(identity="X01", **levels):
    return Claim(identity, "paper", "w = w.", "here", ("none",), ("exact",), levels)


def residual(value):
    return lambda tier: Evidence((Exact("w", value, 1.0, 3, "rounding"),), seeds=(5,))


def broken(tier):
    raise ZeroDivisionError("no steps")


def test_verdicts_and_contradictions():
    levels = {
        "symbolic": Level(residual(0.5)),
        "numeric": Level(residual(2.0)),
        "simulated": Level(residual(2.0), expected="refuted"),
        "trained": Level(lambda tier: Evidence(())),
    }
    judgements = examine([claim(**levels)], tier="smoke")
    assert [each.verdict for each in judgements] == ["confirmed", "refuted", "refuted", "vacuous"]
    assert [each.contradicts for each in judgements] == [False, True, False, True]


def test_an_error_is_an_error_and_the_rest_runs():
    first, second = examine([claim(symbolic=Level(broken), numeric=Level(residual(0.0)))])
    assert (first.verdict, first.why, first.contradicts) == ("error", "ZeroDivisionError: no steps", True)
    assert "no steps" in first.trace
    assert second.verdict == "confirmed"


def test_an_interrupt_is_not_swallowed():
    def interrupted(tier):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        examine([claim(symbolic=Level(interrupted))])


def test_levels_that_do_not_run_say_why():
    levels = {
        "symbolic": Level(residual(0.0)),
        "numeric": Level(residual(0.0), tiers=("full",)),
        "trained": Level(residual(0.0), needs=("a_module_that_is_nowhere",)),
    }
    verdicts = {each.level: each for each in examine([claim(**levels)], ["numeric", "trained"], "smoke")}
    assert {each.verdict for each in verdicts.values()} == {"not run"}
    assert verdicts["symbolic"].why == "level not chosen"
    assert verdicts["numeric"].why == "runs in tier full, this is smoke"
    assert verdicts["trained"].why.startswith("needs a_module_that_is_nowhere")
    assert not any(each.contradicts for each in verdicts.values())


def test_progress_hears_of_each_level():
    heard = []
    levels = {"symbolic": Level(residual(0.0)), "numeric": Level(residual(0.0)), "trained": Level(broken)}
    examine([claim(**levels)], ["symbolic", "trained"], progress=heard.append)
    assert [type(event) for event in heard] == [Started, Judgement] * 2
    assert [(event.position, event.total) for event in heard[::2]] == [(1, 2), (2, 2)]


def test_levels_run_with_their_tier():
    seen = []
    examine([claim(numeric=Level(lambda tier: seen.append(tier) or Evidence(())))], tier="full")
    assert seen == ["full"]


def test_a_list_in_the_place_of_names_is_refused():
    with pytest.raises(TypeError, match=r"one by one, such as 'wang2025', 'C01'; got \[\]"):
        em.validate([])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: examine([], ["symbol"]), "level must be one of 'symbolic', 'numeric'"),
        (lambda: examine([], tier="fast"), "tier must be one of 'smoke', 'quick', 'full'"),
        (lambda: Level(residual(0.0), expected="true"), "expected must be one of 'confirmed'"),
        (lambda: claim(measured=Level(residual(0.0))), "level of X01 must be one of"),
        (lambda: claim(), "at least one kind and one level"),
        (lambda: Claim("X", "p", "", "", (), ("sure",), {"numeric": Level(residual(0.0))}), "kind of X must be one of"),
    ],
)
def test_wrong_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.fixture
def two_papers(monkeypatch):
    papers = {
        "alpha2001": (claim("X01", numeric=Level(residual(0.0))),),
        "beta2002": (claim("X02", numeric=Level(broken)),),
    }
    papers = {
        key: tuple(Claim(c.id, key, c.statement, c.source, c.assumptions, c.kinds, c.levels) for c in claims)
        for key, claims in papers.items()
    }
    monkeypatch.setattr(registry, "PAPERS", dict.fromkeys(papers, ""))
    monkeypatch.setattr(registry, "claims_of", papers.__getitem__)


@pytest.mark.parametrize(
    ("names", "ids"),
    [((), ["X01", "X02"]), (("beta2002",), ["X02"]), (("X02", "alpha2001"), ["X01", "X02"]), (("X01", "X01"), ["X01"])],
)
def test_finding_claims(two_papers, names, ids):
    assert [each.id for each in registry.find(*names)] == ids


def test_unknown_names_list_the_known(two_papers):
    with pytest.raises(
        ValueError, match="no claim or paper 'x01'; known are alpha2001, beta2002, X01, X02; did you mean 'X01'"
    ):
        registry.find("x01")


def test_the_registry_is_sound():
    claims = registry.find()
    assert len({each.id for each in claims}) == len(claims)
    for paper in registry.PAPERS:
        assert registry.claims_of(paper)
        assert {each.paper for each in registry.claims_of(paper)} == {paper}


def test_curves_hold_numbers_of_one_length():
    assert Curve("a", range(3), (0, 1, 2), [0.0, 1.0, 2.0]).x.tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(ValueError, match="curve 'a': measured has shape"):
        Curve("a", range(3), range(3), range(2))
