"""`ematheory timescale`, `recipes` and `predict`: the numbers of their verbs, as tables and as JSON."""

from __future__ import annotations

import json

import pytest

import ematheory as em
from ematheory.cli import main
from ematheory.published_recipes import published

LLAMA = ("--lr", "3e-4", "--weight-decay", "0.1", "--batch-size", "4e6", "--dataset-size", "2e12")
COSINE = ("--schedule", "cosine", "--final", "0.1")


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    return stopped.value.code, *capsys.readouterr()


def recipe(**changed):
    fields = {"lr": 3e-4, "weight_decay": 0.1, "batch_size": 4e6, "dataset_size": 2e12, **changed}
    return em.Recipe(**fields, schedule=em.Cosine(final=0.1))


def test_timescale_prints_every_unit_at_the_peak_and_over_the_schedule(capsys):
    code, out, err = run(capsys, "timescale", *LLAMA, *COSINE)
    assert (code, err) == (0, "")
    for words in ("steps", "epochs", "tokens", "share of the run", "half-life", "sample size", "initial weight left"):
        assert words in out
    assert "at the peak" in out
    assert "over the schedule" in out
    assert "33,333.3" in out
    assert "60,606.0" in out


def test_timescale_as_json_is_what_python_gives(capsys):
    code, out, _ = run(capsys, "timescale", *LLAMA, *COSINE, "--json")
    printed, found = json.loads(out), recipe().timescale()
    assert code == 0
    assert printed["unit"] == "tokens"
    assert printed["peak"] == vars(found.peak)
    assert printed["schedule"] == vars(found.schedule)


def test_a_sweep_has_a_table_per_point_and_nested_lists(capsys):
    sweep = ("timescale", *LLAMA[:2], "--weight-decay", "0,0.1", *LLAMA[4:], *COSINE)
    _, out, _ = run(capsys, *sweep)
    assert "weight_decay=0: run of 500,000 steps" in out
    assert "weight_decay=0.1: run of 500,000 steps" in out
    printed = json.loads(run(capsys, *sweep, "--json")[1])
    assert printed["axes"] == {"weight_decay": [0, 0.1]}
    assert printed["peak"]["steps"] == [None, recipe().timescale().peak.steps]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--lr", "3", "--weight-decay", "1", *LLAMA[4:]), "lr·weight_decay must be below 1"),
        (("--lr", "-1", *LLAMA[2:]), "lr must be finite and > 0, got -1.0"),
        ((*LLAMA, "--schedule", "cosinus"), "got 'cosinus'"),
        ((*LLAMA, "--unit", "words"), "unit must be one of 'tokens', 'samples'"),
        ((*LLAMA, "--epochs", "two"), "--epochs must be a number"),
    ],
)
def test_wrong_input_is_answered_in_one_sentence(capsys, arguments, sentence):
    code, out, err = run(capsys, "timescale", *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def test_recipes_lists_every_published_one_uncut(capsys):
    code, out, _ = run(capsys, "recipes")
    assert code == 0
    assert all(name in out for name in published())
    assert "…" not in out
    assert "PaLM 540B': weight_decay" in out


def test_recipes_as_json(capsys, monkeypatch):
    some = {name: published()[name] for name in ("Llama-2 7B", "PaLM 540B")}
    monkeypatch.setattr("ematheory.published_recipes.published", lambda: some)
    printed = {entry["name"]: entry for entry in json.loads(run(capsys, "recipes", "--json")[1])}
    found = some["Llama-2 7B"].recipe.timescale()
    assert printed["Llama-2 7B"]["timescale"]["schedule"] == vars(found.schedule)
    assert printed["PaLM 540B"]["timescale"] is None
    assert "formula" in printed["PaLM 540B"]["why"]


def test_predict_as_json_is_what_python_gives(capsys):
    code, out, _ = run(capsys, "predict", "--coordinates", "3", "--lr", "0.1,0.2", "--steps", "9", "--json")
    found = em.predict(em.NoisyQuadratic([1.0, 1 / 2, 1 / 3]), em.SGD(lr=[0.1, 0.2]), steps=9)
    assert code == 0
    assert json.loads(out)["observables"]["risk"]["values"] == found.risk.values.tolist()


def test_predict_prints_the_stationary_state_without_steps(capsys):
    code, out, _ = run(
        capsys, "predict", "--coordinates", "3", "--observables", "risk,rotation", "--weight-decay", "0.1"
    )
    assert code == 0
    assert "stationary state" in out
    assert "note: rotation: the limit of many coordinates" in out


def test_predict_refuses_what_has_no_stationary_state(capsys):
    code, _, err = run(capsys, "predict", "--lr", "3")
    assert code == 2
    assert "no stationary state at lr=3, coordinate 0: the step is unstable" in err
    assert "schedule needs steps=T" in run(capsys, "predict", "--schedule", "cosine")[2]


def test_a_problem_without_a_risk_is_asked_about_another(capsys):
    walk = ("predict", "--problem", "random-walk", "--coordinates", "2", "--steps", "10", "--best", "lr")
    assert "RandomWalk has no risk; ask about another with --observables" in run(capsys, *walk)[2]
    code, out, _ = run(capsys, *walk, "--observables", "weight-mean-square")
    assert code == 0
    assert "not interior" in out


def test_an_overflow_is_one_sentence(capsys):
    code, _, err = run(capsys, "predict", "--power", "-1e6", "--coordinates", "3")
    assert code == 2
    assert err.startswith("ematheory predict: ")


QUADRATIC = ("predict", "--coordinates", "3", "--optimum", "1", "--init", "0")


def test_predict_states_the_error_of_adamw(capsys):
    code, out, err = run(capsys, *QUADRATIC, "--optimizer", "adamw", "--beta2", "0.95", "--steps", "50")
    assert (code, err) == (0, "")
    assert "risk_error" in out
    assert "moment closure" in out


def test_predict_counts_the_steps_to_a_target(capsys):
    code, out, _ = run(capsys, *QUADRATIC, "--noise", "0.01", "--lr", "0.1,0.2", "--target", "0.05", "--json")
    problem = em.NoisyQuadratic([1, 1 / 2, 1 / 3], noise=0.01, optimum=1.0, init=0.0)
    found = em.steps_to_target(problem, em.SGD(lr=[0.1, 0.2]), 0.05)
    assert code == 0
    assert json.loads(out)["observables"]["steps"]["values"] == found.values.tolist()


def test_predict_finds_the_best_hyperparameters(capsys):
    code, out, _ = run(capsys, *QUADRATIC, "--steps", "100", "--schedule", "linear", "--best", "lr,weight-decay")
    assert code == 0
    assert out.startswith("lr = ")
    assert "interior" in out
    assert "timescale at the peak rate" in out


def test_predict_finds_the_best_timescale(capsys):
    wanted = ("--noise", "5", "--steps", "200", "--best", "timescale")
    code, out, _ = run(capsys, *QUADRATIC, *wanted, "--json")
    problem = em.NoisyQuadratic([1, 1 / 2, 1 / 3], noise=5.0, optimum=1.0, init=0.0)
    found = em.best_hyperparameters(problem, em.SGD(lr=0.1), ["timescale"], steps=200)
    printed = json.loads(out)
    assert code == 0
    assert printed["values"] == found.values
    assert printed["interior"] == {"timescale": True}
    assert printed["timescale"] == {"steps": found.timescale_steps, "run_fraction": found.timescale_run_fraction}
    out = run(capsys, *QUADRATIC, *wanted)[1]
    assert f"{found.timescale_steps:.4g} steps, {found.timescale_run_fraction:.4g} of the run" in out


def test_predict_says_what_is_no_timescale_and_states_errors(capsys):
    adam = ("--optimizer", "adam", "--lr", "0.01", "--steps", "20", "--best", "weight-decay")
    code, out, _ = run(capsys, *QUADRATIC, *adam, "--json")
    printed = json.loads(out)
    assert code == 0
    assert printed["timescale"] == {"steps": None, "run_fraction": None}
    assert printed["error"] > 0


@pytest.mark.parametrize(
    ("problem", "arguments", "posed"),
    [
        ("random-walk", ("--noise", "1,2,3"), em.RandomWalk(3, noise=[1, 2, 3])),
        ("scale-invariant", ("--init", "0.5"), em.ScaleInvariant(3, init=0.5)),
        ("linear-regression", ("--batch-size", "2"), em.LinearRegression([1, 1 / 2, 1 / 3], batch_size=2)),
        ("reshuffled-data", ("--dataset-size", "10"), em.ReshuffledData([1, 1 / 2, 1 / 3], size=10)),
    ],
)
@pytest.mark.parametrize(
    ("name", "options", "record"),
    [
        ("sgd", ("--momentum", "0.5", "--nesterov"), em.SGD(lr=0.01, momentum=0.5, nesterov=True)),
        ("schedule-free-sgd", ("--beta1", "0.8"), em.ScheduleFreeSGD(lr=0.01, beta1=0.8)),
    ],
)
def test_predict_takes_every_problem(capsys, problem, arguments, posed, name, options, record):
    chosen = ("--problem", problem, "--coordinates", "3", *arguments, "--optimizer", name, "--lr", "0.01", *options)
    code, out, err = run(capsys, "predict", *chosen, "--steps", "10", "--json")
    assert (code, err) == (0, "")
    found, (observable, *_) = em.predict(posed, record, steps=10), posed.observables
    assert json.loads(out)["observables"][observable]["values"] == found[observable].values.tolist()


@pytest.mark.parametrize(
    ("name", "options", "record"),
    [
        ("adamw", ("--decay", "independent"), em.AdamW(lr=0.01, weight_decay=0.0, decay="independent")),
        ("adamc", (), em.AdamC(lr=0.01, weight_decay=0.0)),
        ("nadam", ("--momentum-decay", "0.01"), em.NAdam(lr=0.01, momentum_decay=0.01)),
        ("ademamix", ("--beta3", "0.99", "--alpha", "2"), em.AdEMAMix(lr=0.01, beta3=0.99, alpha=2)),
        ("rmsprop", ("--momentum", "0.5"), em.RMSprop(lr=0.01, momentum=0.5)),
        ("schedule-free-adamw", ("--eps", "1e-3"), em.ScheduleFreeAdamW(lr=0.01, eps=1e-3)),
    ],
)
def test_predict_takes_the_adam_family_with_its_own_options(capsys, name, options, record):
    chosen = ("--coordinates", "2", "--optimizer", name, "--lr", "0.01", *options)
    code, out, err = run(capsys, "predict", *chosen, "--steps", "10", "--json")
    assert (code, err) == (0, "")
    found = em.predict(em.NoisyQuadratic([1, 1 / 2]), record, steps=10)
    printed = json.loads(out)["observables"]
    assert printed["risk"]["values"] == found.risk.values.tolist()
    assert printed["risk_error"]["values"] == found.risk_error.values.tolist()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--target", "0.1", "--best", "lr"), "ask one at a time"),
        (("--target", "0.1", "--steps", "5"), "leave out --steps"),
        (("--best", "eps"), "over must be one of"),
        (("--optimizer", "amos"), "Amos's steps fall for as long as it runs"),
        (("--best", "timescale,weight-decay"), "timescale and weight_decay both set the decay"),
        (("--best", "timescale-run-fraction"), "give steps="),
        (("--best", "timescale", "--momentum", "0.9"), "with momentum and L2 λ passes through the buffer"),
        (("--best", "timescale", "--optimizer", "adam"), "Adam has no λ = 1/(ητ) for a timescale"),
        (("--best", "lr", "--optimizer", "schedule-free-sgd"), "has no stationary state; give steps="),
        (("--best", "lr", "--every", "3"), "leave out --every"),
        (("--best", "lr", "--max-steps", "3"), "--max-steps is for --target"),
        (("--max-steps", "3"), "the length of a run is --steps"),
        (("--best", "lr", "--observables", "risk,weight_norm"), "ask about one observable"),
        (("--best", "lr", "--observables", "weight_norm"), "must be one of 'risk', 'weight_mean_square'"),
        (("--optimizer", "adamw", "--alpha", "2"), "--optimizer adamw has no --alpha; it takes --lr"),
    ],
)
def test_wrong_questions_are_answered_in_one_sentence(capsys, arguments, sentence):
    code, out, err = run(capsys, *QUADRATIC, *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
