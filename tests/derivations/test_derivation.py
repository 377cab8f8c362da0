"""Derivations as records: verification, vacuity, breaking a step, results, rendering and the registry."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from ematheory.derivations import derive, names
from ematheory.derivations.assumptions import Assumptions, between, integer
from ematheory.derivations.checks import Identity, Induction
from ematheory.derivations.derivation import Derivation, Step
from ematheory.derivations.equations import Equation, as_equation
from ematheory.derivations.numeric import NumericFunction, quotient

a = sp.Symbol("a", positive=True)
n = sp.Symbol("n", integer=True, nonnegative=True)
f = sp.Function("f")


def small(**changes):
    update = f(n) - (1 - a) * f(n)
    by_recurrence = Induction(variable=n, recurrence=("start",), initial={f(0): 1})
    given = dict(
        name="small",
        title="Powers",
        statement="Multiplying by a, n times.",
        assumptions=Assumptions((between(a, 0, 1), integer(n))),
        steps=(
            Step("start", Equation(f(n + 1), a * f(n)), "the update", Identity(where={f(n + 1): update})),
            Step("power", Equation(f(n), a**n), "by induction", by_recurrence),
        ),
        results={"value": "power"},
        brute_force={"value": lambda p: repeated(p[a], p[n])},
        source="none",
        arguments={a: "factor", n: "steps"},
    )  # fmt: skip
    return Derivation(**{**given, **changes})


def repeated(factor, times):
    value = factor / factor
    for _ in range(times):
        value = value * factor
    return value


def test_a_true_derivation_verifies():
    report = small().verify()
    assert report
    assert [line.label for line in report.steps] == ["start", "power"]
    assert report.results[0].points == 5
    assert report.seconds > 0
    assert str(report).endswith(": verified")


def test_a_broken_step_is_named_with_its_residual():
    report = small().with_step(0, Equation(f(n + 1), -a * f(n))).verify()
    assert not report
    assert any("step 1 (start)" in line and "residual" in line for line in report.problems())


def test_brute_force_has_the_last_word():
    report = small(brute_force={"value": lambda p: p[a] ** p[n] + 1}).verify()
    assert not report
    assert all(line.outcome for line in report.steps)
    assert "by brute force at" in report.problems()[0]


def test_vacuous_assumptions_fail():
    report = small(assumptions=Assumptions((between(a, 0, 1), integer(n)), (a > 2,))).verify()
    assert not report
    assert "vacuous" in report.results[0].problem


def test_malformed_derivations_are_refused():
    steps = small().steps
    with pytest.raises(ValueError, match="two steps"):
        small(steps=(steps[0], steps[0]), results={}, brute_force={})
    with pytest.raises(ValueError, match="not before"):
        small(steps=steps[::-1])
    with pytest.raises(ValueError, match="'nowhere'"):
        small(results={"value": "nowhere"})
    with pytest.raises(ValueError, match="no brute force"):
        small(brute_force={})
    with pytest.raises(ValueError, match="'value'"):
        small().function("other")


def test_functions_take_words_and_broadcast():
    power = small().function()
    assert power(factor=0.5, steps=3) == 0.125
    assert isinstance(power(factor=0.5, steps=3), float)
    assert power(factor=[0.5, 0.25], steps=[[1], [2]]).shape == (2, 2)
    assert small().oracle(factor=0.5, steps=3) == 0.125
    with pytest.raises(TypeError, match="takes factor, steps"):
        power(factor=0.5)


def test_a_quotient_takes_its_limit_without_dividing_by_zero():
    rate, other = sp.symbols("r b", positive=True)
    form = quotient(rate**2 - other**2, rate - other, 2 * rate)
    ratio = NumericFunction("ratio", form, {rate: "rate", other: "other"})
    with np.errstate(all="raise"):
        assert ratio(rate=0.25, other=0.25) == 0.5
        assert list(ratio(rate=[0.25, 0.5], other=0.25)) == [0.5, 0.75]


def test_an_infinity_stands_for_what_no_float_can_hold():
    u = sp.Symbol("u", positive=True)
    growing, early = (NumericFunction("f", e, {u: "u"}) for e in (sp.exp(u), sp.exp(2 * u) / sp.cosh(u)))
    with np.errstate(over="ignore", invalid="ignore"):
        assert growing.excess(u=800.0) == 0
        assert growing.excess(u=700.0) <= 1
        assert early.excess(u=500.0) == np.inf  # the value is 2e^500, an infinity on the way to it a failure


def test_arguments_outside_the_assumptions_are_refused_without_a_warning():
    cosine = derive("adamw-random-walk").function("weight_cosine")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=r"decay_per_step must be above 0 and below 1, got 2\.5"):
            cosine(decay_per_step=2.5, one_minus_beta1=0.1)
        with pytest.raises(ValueError, match=r"one_minus_beta1 must be above 0 and below 1, got -0\.2"):
            cosine(decay_per_step=[[0.1], [0.2]], one_minus_beta1=[0.1, -0.2])
        with pytest.raises(ValueError, match=r"size must be above 0, got -1\.0"):  # of the symbol's own assumptions
            NumericFunction("root", sp.sqrt(a), {a: "size"}, Assumptions().covering([a]))(size=-1.0)
        with pytest.raises(ValueError, match=r"steps must be at least 0, got -1\.0"):
            small().function()(factor=0.5, steps=-1)
        assert np.isnan(cosine(decay_per_step=np.nan, one_minus_beta1=0.1))


def test_a_relation_among_arguments_is_held_in_sixty_digits():
    gap = derive("momentum-l2").function("slow_pole_gap")
    edge = 2 - 1e-6 - 2 * np.sqrt(1 - 1e-6)  # (1 − √μ)², four of whose digits float64 cannot tell
    with pytest.raises(ValueError, match=r"> 0 must hold, got decay_per_step = .*, one_minus_momentum = 1e-06"):
        gap(decay_per_step=1.001 * 2.5e-13, one_minus_momentum=1e-6)
    assert abs(edge / 2.5e-13 - 1) > 1e-6
    assert gap(decay_per_step=2.499e-13, one_minus_momentum=1e-6) > 0


def test_the_end_of_a_domain_is_allowed_where_the_value_is_finite():
    walk = derive("adamw-random-walk")
    assert walk.function("weight_cosine")(decay_per_step=0, one_minus_beta1=1) == 1
    with pytest.raises(ValueError, match="weight_rms has no value at lr = 1, decay_per_step = 0"):
        walk.function("weight_rms")(lr=1, decay_per_step=0, one_minus_beta1=1)
    assert walk.function("weight_rms")(lr=0, decay_per_step=0.1, one_minus_beta1=1) == 0


def test_a_result_without_numeric_form_says_why():
    with pytest.raises(ValueError, match="contains the symbols n, which no argument gives"):
        small(arguments={a: "factor"}).function()
    with pytest.raises(ValueError, match="contains sums"):
        NumericFunction("total", sp.Sum(n, (n, 1, 3)))


def test_a_constant_is_a_function_of_no_arguments():
    grows_from = derive("bfloat16-decay").function("grows_from")
    assert grows_from() == 2**-8
    assert isinstance(grows_from(), float)
    with pytest.raises(TypeError, match="takes nothing, got lr"):
        grows_from(lr=1.0)
    assert derive("muon-bound").function()() == pytest.approx(1.2024, abs=1e-4)


def test_text_says_checked_only_for_what_passed():
    text = small().text()
    assert text.count("   checked: ") == 2
    assert "FAILED" not in text
    broken = small().with_step(1, Equation(f(n), a ** (n + 1))).text()
    assert "   FAILED: induction on n from 0" in broken
    assert "residual" in broken
    assert "NOT verified" in broken


def test_markdown_and_latex():
    one = small(corrects="a common slip")
    assert "$$ f_{n} = a^{n} $$" in one.markdown()
    assert "*checked*: induction on n from 0" in one.markdown()
    assert "Corrects: a common slip" in one.markdown()
    assert r"f_{n} &= a^{n} \tag{2}" in one.latex()
    assert one._repr_markdown_() == one.markdown()
    assert one._repr_latex_() == one.latex()


def test_a_left_side_is_shown_as_it_was_written():
    """SymPy makes a of a³/a² as it is typed; a reader sees where it came from, and a false form fails."""
    typed = Step("third", Equation(a, a), "one less", Identity(), shown=sp.Subs(a ** (n - 2), n, 3))
    derivation = small(steps=(*small().steps, typed))
    assert derivation.verify()
    assert r"\right|_{\substack{ n=3 }} = a" in derivation.markdown()
    assert "a = a" not in derivation.text()
    false = replace(typed, shown=sp.Subs(a ** (n - 2), n, 4))
    report = small(steps=(*small().steps, false)).verify()
    assert not report
    assert "step 3 (third): the form shown is not the left-hand side" in "\n".join(report.problems())


def test_equations_are_taken_from_sympy_and_pairs():
    assert as_equation(sp.Eq(f(n), a)) == as_equation((f(n), a)) == Equation(f(n), a)
    with pytest.raises(TypeError, match="Equation"):
        as_equation(sp.Eq(a, a))
    with pytest.raises(ValueError, match="one length"):
        Equation(sp.Tuple(a), a)


def test_the_registry_lists_its_names():
    assert "adamw-ema" in names()
    with pytest.raises(ValueError, match="'adamw-ema'"):
        derive("adam-ema")
    assert derive("adamw-ema") is derive("adamw-ema")


def test_with_step_leaves_the_original_alone():
    one = small()
    two = one.with_step(0, Equation(f(n + 1), f(n)))
    assert one.steps[0].equation.rhs == a * f(n)
    assert replace(two, steps=one.steps).verify()
