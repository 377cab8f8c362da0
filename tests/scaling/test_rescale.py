"""rescale(): the published rules' exponents, exact finite factors, composition, clashes and wrong input."""

import re
from fractions import Fraction
from math import log, log1p

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import ematheory as em
from ematheory.derivations import names
from ematheory.derivations.exponents import Solution, solve
from ematheory.scaling import INVARIANTS, PRESETS
from ematheory.scaling.invariants import AXES, UNKNOWNS
from ematheory.scaling.rescaling import exactly_kept, latex_number

HALF = Fraction(1, 2)
BASE = em.Recipe(
    lr=1e-3,
    weight_decay=0.1,
    batch_size=256,
    dataset_size=1e6,
    unit="samples",
    parameters=1e7,
    ema=0.999,
    init_std=0.02,
)


def exponents(keep, axis):
    unknowns = [name for name in UNKNOWNS if any(name in INVARIANTS[each].powers for each in keep)]
    found = solve({name: INVARIANTS[name].powers for name in keep}, unknowns, (axis,))
    assert isinstance(found, Solution)
    assert not found.free
    return {name: powers[axis] for name, powers in found.exponents.items()}


BATCH = {
    "SGD": (("beta1", "sgd_drift", "sgd_diffusion", "sgd_l2_decay"), {"lr": 1, "weight_decay": 0}),
    "SGD(μ), memory kept, L2": (
        ("momentum_memory", "sgd_drift", "sgd_diffusion", "sgd_l2_decay"),
        {"lr": 2, "one_minus_beta1": 1, "weight_decay": 0},
    ),
    "SGD(μ), memory kept, per LR": (
        ("momentum_memory", "sgd_drift", "timescale_samples"),
        {"lr": 2, "one_minus_beta1": 1, "weight_decay": -1},
    ),
    "Adam, noise": (
        PRESETS["malladi2022"].keep,
        {"lr": HALF, "one_minus_beta1": 1, "one_minus_beta2": 1, "eps": -HALF, "weight_decay": HALF},
    ),
    "Adam, noise, L2": (("adam_drift", "adam_diffusion", "adam_l2_decay"), {"lr": HALF, "weight_decay": 0}),
    "Adam, signal": (
        ("adam_signal_drift", "momentum_memory", "eps", "timescale_samples"),
        {"lr": 1, "one_minus_beta1": 1, "eps": 0, "weight_decay": 0},
    ),
    "model EMA": (("ema_memory",), {"one_minus_ema": 1}),
}


@pytest.mark.parametrize("row", BATCH)
def test_the_table_of_batch_rules(row):
    keep, expected = BATCH[row]
    found = exponents(keep, "batch_size")
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("preset", "axis", "expected"),
    [
        ("wang2025", "width", {"lr": -1, "weight_decay": 1}),
        ("wang2025", "dataset_size", {"lr": 0, "weight_decay": -1}),
        ("mup", "width", {"lr": -1, "weight_decay": 0, "init_std": -HALF}),
        ("completep", "width", {"lr": -1, "weight_decay": 1, "eps": -1}),
        ("fan2025", "width", {"lr": -1, "weight_decay": HALF}),
        ("nanochat", "batch_size", {"lr": HALF, "weight_decay": HALF}),
        ("nanochat", "dataset_size", {"lr": 0, "weight_decay": -1}),
        ("power-lines", "batch_size", {"lr": 0, "weight_decay": 1}),
        ("power-lines", "dataset_size", {"weight_decay": Fraction(527, 1000) - 1}),
        ("busbridge2023", "batch_size", {"one_minus_ema": 1, "lr": HALF}),
    ],
)
def test_presets_have_their_papers_exponents(preset, axis, expected):
    found = exponents(PRESETS[preset].keep, axis)
    assert {name: found[name] for name in expected} == expected


def test_the_power_law_that_is_kept_is_the_one_that_is_published():
    from ematheory.power_laws import POWER_LINES

    assert float(INVARIANTS["power_law_timescale"].powers["parameters"]) == POWER_LINES.exponent
    found = em.rescale(BASE, dataset_size=1e8, keep=["lr", "power_law_timescale"]).recipe
    per_parameter = [each.dataset_size / each.parameters for each in (BASE, found)]
    law = [POWER_LINES.run_fraction(each) for each in per_parameter]
    share = [each.timescale().peak.run_fraction for each in (BASE, found)]
    assert share[1] / share[0] == pytest.approx(law[1] / law[0], rel=1e-3)


def kept_value(each, recipe, finite):
    """The invariant's value, with the decay and the memories in the exact form where that is what is kept."""
    values = {
        "lr": recipe.lr, "weight_decay": recipe.weight_decay, "eps": recipe.eps, "init_std": recipe.init_std,
        "one_minus_beta1": 1 - recipe.beta1, "one_minus_beta2": 1 - recipe.beta2, "one_minus_ema": 1 - recipe.ema,
        **{axis: getattr(recipe, axis) for axis in AXES},
    }  # fmt: skip
    if each.finite in finite:
        if each.finite == "decay":
            values["weight_decay"] = -log1p(-recipe.lr * recipe.weight_decay) / recipe.lr
        else:
            values[f"one_minus_{each.finite}"] = -log(getattr(recipe, each.finite))
    return np.prod([values[name] ** float(power) for name, power in each.powers.items()])


FACTORS = st.fixed_dictionaries(
    {axis: st.floats(0.25, 4.0) for axis in ("batch_size", "dataset_size", "epochs", "width", "parameters")}
)
KEEP = st.lists(st.sampled_from(sorted(INVARIANTS)), min_size=1, max_size=5, unique=True)


def targets(factors, base=BASE):
    return {name: getattr(base, name) * value for name, value in factors.items()}


def finite_or_none(base, factors, keep):
    try:
        return em.rescale(base, keep=keep, **targets(factors, base))
    except ValueError as error:
        if not any(reason in str(error) for reason in ("would become", "must be in", "0 < lr")):
            raise
        return None


@given(KEEP, FACTORS)
@settings(deadline=None)  # machines are shared: a test asserts no time
def test_what_is_kept_is_kept(keep, factors):
    assume(set(factors.values()) != {1.0})
    found = finite_or_none(BASE, factors, keep)
    assume(found is not None)
    made = found.recipe or found.suggestion.recipe
    kept = found.keep if found.recipe else found.suggestion.keep
    assert len(kept) >= len(keep) - sum(len(clash.invariants) for clash in found.clashes)
    for each in kept:
        before, after = (kept_value(each, recipe, exactly_kept(kept)) for recipe in (BASE, made))
        assert after == pytest.approx(before, rel=1e-12)


@given(st.sampled_from(sorted(PRESETS)), FACTORS, FACTORS)
@settings(deadline=None)
def test_rescaling_composes(preset, first, second):
    changes = (first, second, {name: first[name] * second[name] for name in first})
    assume(all(set(factors.values()) != {1.0} for factors in changes))
    once = em.rescale(BASE, preset=preset, **targets({n: first[n] * second[n] for n in first})).recipe
    step = em.rescale(BASE, preset=preset, **targets(first)).recipe
    twice = em.rescale(step, preset=preset, **targets(second, step)).recipe
    for name in ("lr", "weight_decay", "beta1", "beta2", "eps", "ema", "init_std"):
        assert getattr(twice, name) == pytest.approx(getattr(once, name), rel=1e-11)


def test_finite_factors_are_exact():
    found = em.rescale(BASE, batch_size=1024, preset="malladi2022").recipe
    assert found.beta1 == 0.9**4
    assert 1 - found.lr * found.weight_decay == pytest.approx((1 - 1e-4) ** 4, rel=1e-15)
    assert found.lr == 2e-3
    assert em.rescale(BASE, batch_size=1024, preset="busbridge2023").recipe.ema == 0.999**4


def test_one_rule_leaves_a_direction_free():
    found = em.rescale(BASE, batch_size=1024, keep=["timescale_samples"])
    assert found.exponents == {"lr": {"batch_size": HALF}, "weight_decay": {"batch_size": HALF}}
    assert found.free == ({"lr": Fraction(-1), "weight_decay": Fraction(1)},)
    assert "free: η⁻¹·λ" in found.derivation


def test_a_clash_names_what_clashes_and_what_each_choice_costs():
    found = em.rescale(BASE, batch_size=1024, keep=["adam_drift", "timescale_samples", "weight_decay", "beta1"])
    assert found.recipe is None
    (clash,) = found.clashes
    assert set(clash.invariants) == {"adam_drift", "timescale_samples", "weight_decay"}
    assert {choice.drop: round(choice.factor, 12) for choice in clash.choices} == dict.fromkeys(clash.invariants, 2.0)
    assert found.suggestion.recipe is not None
    assert len(found.suggestion.keep) == 3


def test_overlapping_clashes_are_resolved_at_the_least_loss():
    found = em.rescale(BASE, batch_size=1024, preset="nanochat", keep=["weight_decay", "lr"])
    assert {"lr"} < {each.name for each in found.keep} - {each.name for each in found.suggestion.keep}
    assert found.suggestion.clashes == ()
    assert len(found.clashes) == 3


def test_a_choice_keeps_all_else_that_is_kept():
    found = em.rescale(BASE, batch_size=1024, keep=["timescale_steps", "timescale_epochs", "lr"])
    (clash,) = found.clashes
    assert set(clash.invariants) == {"timescale_steps", "timescale_epochs"}
    choice = {each.drop: each for each in clash.choices}["timescale_steps"]
    assert choice.exponents == {"weight_decay": {"batch_size": 1}}
    assert choice.also == {}
    assert clash.choices[0].exponents == found.suggestion.exponents
    assert "without timescale_steps: it changes by the factor 0.25; λ ∝ B" in str(found)


def test_a_choice_names_what_other_clashes_make_one_give_up_besides():
    found = em.rescale(BASE, batch_size=1024, preset="nanochat", keep=["weight_decay", "lr"])
    for clash in found.clashes:
        for choice in clash.choices:
            gone = {choice.drop, *choice.also}
            left = [each.name for each in found.keep if each.name not in gone]
            assert em.rescale(BASE, batch_size=1024, keep=left).exponents == choice.exponents
    first = found.clashes[0].choices[0]
    assert {first.drop, *first.also} == {each.name for each in found.keep} - {e.name for e in found.suggestion.keep}
    assert "and without lr too, by 2" in str(found)


@given(KEEP, FACTORS)
@settings(deadline=None)
def test_the_first_choice_is_what_is_suggested(keep, factors):
    assume(set(factors.values()) != {1.0})
    found = finite_or_none(BASE, factors, keep)
    assume(found is not None and found.recipe is None)
    first = found.clashes[0].choices[0]
    assert {first.drop, *first.also} == {e.name for e in found.keep} - {e.name for e in found.suggestion.keep}
    assert first.exponents == found.suggestion.exponents


def test_a_number_of_parameters_that_stays_is_one_that_is_given():
    """Of a wider model with the same number of parameters nothing is missing."""
    found = em.rescale(BASE, width=4, parameters=BASE.parameters, keep=["power_law_timescale"])
    assert found.recipe.parameters == BASE.parameters
    assert not any("number of parameters" in note for note in found.notes)
    with pytest.raises(ValueError, match="give parameters= too"):
        em.rescale(BASE, width=4, keep=["power_law_timescale"])


def test_a_fitted_power_law_gives_an_interval():
    """Against τ/T by the law at both ends of its exponent, not the rescaling's own algebra."""
    from ematheory.power_laws import POWER_LINES

    found = em.rescale(BASE, dataset_size=1e8, preset="power-lines")
    per_parameter = [each.dataset_size / each.parameters for each in (BASE, found.recipe)]
    steps = [each.dataset_size / each.batch_size for each in (BASE, found.recipe)]
    was = BASE.lr * BASE.weight_decay * steps[0]  # 1/τ as a share of the run, to first order in ηλ
    ends = [
        was * (per_parameter[0] / per_parameter[1]) ** exponent / steps[1] / BASE.lr
        for exponent in POWER_LINES.exponents()
    ]
    low, high = found.intervals["weight_decay"]
    assert (low, high) == pytest.approx(sorted(ends), rel=1e-3)
    assert low < found.recipe.weight_decay < high
    shown = rf"\lambda &\in [{low:.4g}, {high:.4g}] && \text{{by the law's exponent, }} -0.527 \pm 0.084"
    assert shown in found.latex()
    assert r"\in" not in em.rescale(BASE, dataset_size=1e8, preset="wang2025").latex()
    assert set(found.intervals) == {"weight_decay"}
    assert "λ from" in found.derivation
    assert "0.527 ± 0.084, one standard error at most" in found.derivation


def test_what_power_lines_says_of_the_width_can_be_done():
    wider = {"width": 2.0, "parameters": 4e5}
    base = em.Recipe(lr=1e-3, weight_decay=0.1, batch_size=256, dataset_size=1e6, parameters=1e5)
    alone = em.rescale(base, preset="power-lines", **wider)
    (said,) = re.findall(r"keep=\((.*?)\)", str(alone))
    found = em.rescale(base, keep=[name.strip(" '") for name in said.split(",")], **wider)
    assert (alone.recipe.lr, found.recipe.lr) == (1e-3, 5e-4)


def test_numbers_in_latex():
    assert [latex_number(value) for value in (0.05, 123456.0, 1.25e-5)] == [
        "0.05", r"1.235 \times 10^{5}", r"1.25 \times 10^{-5}",
    ]  # fmt: skip


def test_no_interval_without_a_fitted_exponent_that_acts():
    assert em.rescale(BASE, dataset_size=1e8, preset="wang2025").intervals == {}
    same = em.rescale(BASE, dataset_size=1e8, parameters=1e9, preset="power-lines")  # the tokens per parameter stay
    assert same.intervals == {}
    assert "λ from" not in str(em.rescale(BASE, batch_size=512, preset="power-lines"))


def test_latex_and_words():
    found = em.rescale(BASE, batch_size=1024, dataset_size=4e6, width=4, preset="wang2025")
    assert r"\lambda &\propto B\,N^{-1}\,m" in found.latex()
    assert "so η ∝ m⁻¹, λ ∝ B·N⁻¹·m" in found.derivation
    assert "leaves out" in str(found)
    assert found.recipe.parameters is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 512}, "give keep="),
        ({"preset": "mup"}, "nothing changes"),
        ({"preset": "mup", "batch_size": 256}, "nothing changes"),
        ({"preset": "mupp", "batch_size": 512}, "preset must be one of 'wang2025'"),
        ({"keep": ["tau"], "batch_size": 512}, "invariant must be one of 'lr'"),
        ({"keep": ["lr"], "beta1": 0.5}, "'beta1' is nothing that a recipe is rescaled to"),
        ({"keep": ["lr"], "width": -1.0}, "width must be finite and > 0"),
        ({"keep": ["sgd_drift", "lr"], "batch_size": 16}, "would become"),
        ({"preset": "power-lines", "width": 2.0}, "give parameters= too"),
        ({"keep": ["lr"], "batchsize": 512}, "did you mean 'batch_size'?"),
        ({"keep": ["lr"], "batch_size": [1, 2]}, r"batch_size must be one number, got \[1, 2\]"),
        ({"keep": ["lr"], "batch_size": "x"}, "batch_size must be one number, got 'x'"),
    ],
)
def test_wrong_input(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        em.rescale(BASE, **arguments)


def test_recipes_that_cannot_be_rescaled():
    with pytest.raises(TypeError, match=r"recipe must be one such as Recipe\(.*\), got 5"):
        em.rescale(5, batch_size=2, keep="lr")
    with pytest.raises(TypeError, match="one recipe"):
        em.rescale(em.Recipe(lr=[1e-3, 1e-2], weight_decay=0.1, batch_size=1, dataset_size=10), batch_size=2, keep="lr")
    plain = em.Recipe(lr=1e-3, weight_decay=0.0, batch_size=1, dataset_size=10)
    with pytest.raises(ValueError, match="0 < lr·weight_decay < 1"):
        em.rescale(plain, batch_size=2, keep="timescale_samples")
    with pytest.raises(ValueError, match="has no parameters"):
        em.rescale(plain, parameters=2, keep="lr")


def test_the_derivations_that_invariants_name_are_there():
    sources = " ".join(each.source for each in INVARIANTS.values())
    named = set(re.findall(r"(?:scaling|width|normalised)-[a-z-]+", sources))
    assert {"scaling-sgd", "scaling-adam-noise", "width-decay"} <= named <= set(names())
