"""How nouns are written on the command line, and what is said when they are written wrong."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

import ematheory as em
from ematheory import optimizers, problems
from ematheory.cli import VERBS, application, nouns, options


def test_every_verb_has_its_file():
    assert {command.name for command in application().registered_commands} == set(VERBS)


def test_optimizers():
    assert nouns.optimizer("adamw", lr="1e-3", weight_decay="0.1", beta1=None) == em.AdamW(1e-3, weight_decay=0.1)
    assert nouns.optimizer("sgd", nesterov=True, decay="per_lr", lr="0.1", momentum="0.9") == em.SGD(
        0.1, momentum=0.9, nesterov=True, decay="per_lr"
    )
    assert nouns.optimizer("adamw", lr="1e-3,1e-2").lr.dims == ("lr",)


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("adamc", em.AdamC(lr=0.1)),
        ("ademamix", em.AdEMAMix(lr=0.1)),
        ("nadam", em.NAdam(lr=0.1)),
        ("rmsprop", em.RMSprop(lr=0.1)),
        ("schedule-free-adamw", em.ScheduleFreeAdamW(lr=0.1)),
        ("schedule-free-sgd", em.ScheduleFreeSGD(lr=0.1)),
        ("lion", em.Lion(lr=0.1)),
        ("signsgd", em.SignSGD(lr=0.1)),
        ("adamp", em.AdamP(lr=0.1)),
        ("amos", em.Amos(lr=0.1)),
    ],
)
def test_optimizers_are_called_as_their_files(name, record):
    assert nouns.optimizer(name, lr="0.1") == record


def test_own_fields_of_optimizers():
    mixed = nouns.optimizer("ademamix", lr="0.1", beta3="0.99", alpha="2,8")
    assert mixed == em.AdEMAMix(0.1, beta3=0.99, alpha=[2, 8])
    assert nouns.optimizer("nadam", lr="0.1", momentum_decay="0.01") == em.NAdam(0.1, momentum_decay=0.01)
    assert nouns.optimizer("amos", lr="0.1", scale="0.2") == em.Amos(0.1, scale=0.2)
    assert nouns.optimizer("adamp", lr="0.1", delta="0.2", wd_ratio="0.5") == em.AdamP(0.1, delta=0.2, wd_ratio=0.5)


def test_words_of_decay_eps_and_bias_correction():
    chosen = nouns.optimizer("adamw", lr="0.1", bias_correction=False, eps_placement="uncorrected", decay_order="after")
    assert chosen == em.AdamW(0.1, bias_correction=False, eps_placement="uncorrected", decay_order="after")
    assert nouns.optimizer("adamw", lr="0.1", bias_correction=True) == em.AdamW(0.1)
    assert nouns.optimizer("lion", lr="0.1", decay="cautious") == em.Lion(0.1, decay="cautious")
    with pytest.raises(ValueError, match="--optimizer sgd has no --bias-correction"):
        nouns.optimizer("sgd", lr="0.1", bias_correction=False)


def test_every_field_of_every_record_is_an_option():
    for kind in nouns.optimizer_kinds().values():
        own = {field.name for field in dataclasses.fields(kind)} - set(kind.repeated)
        assert own <= set(options.OPTIMIZER), kind
    for kind in (*problems.RECORDS, *problems.COUPLED):
        assert {field.name for field in dataclasses.fields(kind)} - {"size"} <= set(options.PROBLEM), kind
    assert {*optimizers.RECORDS, *optimizers.COUPLED, em.AdamC} == set(nouns.optimizer_kinds().values())


@pytest.mark.parametrize("verb", ["predict", "simulate", "train"])
def test_help_names_every_optimizer(verb):
    (shown,) = (command.callback for command in application([verb]).registered_commands)
    (said,) = (part for part in inspect.signature(shown).parameters.values() if part.name == "optimizer")
    assert all(name in said.annotation.__metadata__[0].help for name in nouns.optimizer_kinds())


def test_problems():
    three = [1.0, 1 / 2, 1 / 3]
    assert nouns.problem("noisy-quadratic", coordinates=3) == em.NoisyQuadratic(three)
    assert nouns.problem("noisy-quadratic", curvature="1,2", noise="curvature", precondition=0.5) == em.NoisyQuadratic(
        [1.0, 2.0]
    ).preconditioned(0.5)
    assert nouns.problem("random-walk", coordinates=2, noise="1,2", init="0.5") == em.RandomWalk(2, [1, 2], 0.5)
    assert nouns.problem("scale-invariant", batch_size="1,8") == em.ScaleInvariant(100, batch_size=[1, 8])
    assert nouns.problem("rayleigh-quotient", coordinates=3, noise="2", init="1,0,1") == em.RayleighQuotient(
        three, 2.0, [1.0, 0.0, 1.0]
    )
    assert nouns.problem("linear-regression", coordinates=3, label_noise="0.5") == em.LinearRegression(three, 0.5)
    assert nouns.problem(
        "reshuffled-data", curvature="1", dataset_size=20, sampling="replaced", noise="2"
    ) == em.ReshuffledData(1.0, 20, 2.0, sampling="replaced")


def test_schedules():
    assert nouns.schedule(None, final=None) is None
    assert nouns.schedule(None, warmup=0.1) == em.Constant(warmup=0.1)
    assert nouns.schedule("cosine", final=0.1, warmup=None) == em.Cosine(final=0.1)
    assert nouns.schedule("harmonic", harmonic_timescale=0.2, final=None) == em.Harmonic(timescale=0.2)
    assert nouns.schedule("wsd", decay_share=0.3, shape="sqrt") == em.WSD(decay=0.3, shape="sqrt")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: nouns.optimizer("adamx", lr="1"),
            "--optimizer must be one of 'adamw', 'adam', 'sgd', .* got 'adamx'",
        ),
        (
            lambda: nouns.optimizer("adamw", lr="0.1", weigth_decay="1"),
            r"no --weigth-decay; it takes --lr, .*; did you mean '--weight-decay'\?",
        ),
        (
            lambda: nouns.optimizer("sgd", lr="0.1", beta1="0.9"),
            "--optimizer sgd has no --beta1; it takes --lr, --momentum",
        ),
        (
            lambda: nouns.optimizer("adamw", lr="0.1x"),
            "--lr must be a number or numbers joined by commas, got '0.1x'",
        ),
        (lambda: nouns.optimizer("adamw", lr="-1"), "lr must be finite and > 0, got -1"),
        (lambda: nouns.schedule("cosin"), "--schedule must be one of 'constant'"),
        (lambda: nouns.schedule("linear", rate=2.0), "--schedule linear has no --rate"),
        (lambda: nouns.schedule(None, rate=2.0), "without --schedule the rate is constant, which has no --rate"),
        (
            lambda: nouns.optimizer("nadam", lr="0.1", momentum="0.9"),
            "--momentum; it takes --lr, --weight-decay, --eps, --momentum-decay, --decay, --beta1, --beta2; "
            "did you mean '--momentum-decay'",
        ),
        (lambda: nouns.optimizer("adamw", lr="0.1", decay="no"), "decay must be one of 'per_lr', .* got 'no'"),
        (
            lambda: nouns.problem("scale-invariant", optimum="1"),
            "scale-invariant has no --optimum; it takes --coordinates, --noise, --init, --batch-size, --init-std$",
        ),
        (lambda: nouns.problem("random-walk", power=2.0), "random-walk has no --power"),
        (lambda: nouns.problem("random-walk", precondition=1.0), "random-walk has no --precondition"),
        (lambda: nouns.problem("random-walk", noise="loud"), "--noise must be a number"),
        (lambda: nouns.problem("noisy-quadratic", noise="loud"), "the word 'curvature', got 'loud'"),
        (lambda: nouns.problem("noisy-quadratic", dataset_size=3), "noisy-quadratic has no --dataset-size"),
        (lambda: nouns.problem("noisy-quadratic", coordinates=0), "--coordinates must be finite and >= 1, got 0"),
        (lambda: nouns.problem("noisy-quadratic", curvature="1", power=1.0), "leave out --coordinates and --power"),
        (lambda: nouns.problem("noisy-quadratic", power=-1e6), "--power -1e.06 makes a curvature .* too large"),
        (lambda: nouns.problem("walk"), "--problem must be one of 'noisy-quadratic', 'random-walk', .* got 'walk'"),
    ],
)
def test_wrong_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
