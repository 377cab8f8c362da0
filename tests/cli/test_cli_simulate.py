"""`ematheory simulate`: prediction beside measurement, JSON that parses, wrong input in one sentence."""

from __future__ import annotations

import json

import pytest

import ematheory as em
from ematheory.cli import main
from ematheory.simulation.reference import Reference

SMALL = ("--coordinates", "3", "--steps", "20", "--backend", "reference")


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["simulate", *arguments])
    return stopped.value.code, *capsys.readouterr()


def test_table_holds_prediction_and_z(capsys):
    code, out, err = run(capsys, *SMALL, "--lr", "0.1,0.2", "--every", "10", "--observables", "risk,weight_norm")
    assert (code, err) == (0, "")
    assert all(heading in out for heading in ("lr", "step", "measured", "predicted", "z"))
    assert sum(line.count("risk") for line in out.splitlines()) == 6


def test_json_is_what_simulate_and_predict_give(capsys):
    code, out, _ = run(capsys, *SMALL, "--lr", "0.1", "--weight-decay", "0.1,0.2", "--seed", "3", "--json")
    printed = json.loads(out)
    problem, optimizer = em.NoisyQuadratic(curvature=[1.0, 1 / 2, 1 / 3]), em.SGD(lr=0.1, weight_decay=[0.1, 0.2])
    simulated = em.simulate(problem, optimizer, steps=20, seed=3, backend="reference")
    assert code == 0
    assert printed["simulated"]["observables"]["risk"]["values"] == simulated.risk.values.tolist()
    predicted = em.predict(problem, optimizer, steps=20)
    assert printed["predicted"]["observables"]["risk"]["values"] == predicted.risk.values.tolist()


def test_undefined_numbers_are_null(capsys):
    _, out, _ = run(capsys, *SMALL, "--observables", "rotation", "--replicas", "1", "--json")
    values = json.loads(out, parse_constant=pytest.fail)["simulated"]["observables"]
    assert values["rotation"]["values"][0] is None


def test_what_only_simulate_measures_stands_beside_what_is_predicted(capsys):
    names = ("--observables", "risk,update-ratio", "--lags", "0,5", "--quantiles", "0.5", "--first-passage", "risk=0.9")
    code, out, err = run(capsys, *SMALL, "--lr", "0.1", *names)
    assert (code, err) == (0, "")
    shown = ("update_ratio", "autocovariance", "risk_quantiles", "risk_first_passage_missed", "lag", "probability")
    assert all(word in out for word in shown)
    printed = json.loads(run(capsys, *SMALL, "--lr", "0.1", *names, "--json")[1])
    assert set(printed["predicted"]["observables"]) == {"risk"}
    simulated = em.simulate(
        em.NoisyQuadratic(curvature=[1.0, 1 / 2, 1 / 3]), em.SGD(lr=0.1), steps=20, lags=[0, 5], quantiles=[0.5],
        first_passage={"risk": 0.9}, observables=("risk", "update_ratio"), backend="reference",
    )  # fmt: skip
    found = printed["simulated"]["observables"]
    for name in ("risk_quantiles", "risk_first_passage", "risk_first_passage_missed"):
        assert found[name]["values"] == simulated[name].values.tolist()
    # Undefined at step 0, whose lag 5 reaches before the start.
    assert found["autocovariance"]["values"][0] == [0.0, None]
    assert found["autocovariance"]["values"][1] == simulated.autocovariance[1].values.tolist()


def test_groups_and_histograms(capsys):
    names = ("--observables", "risk,weight-norm", "--groups", "1,2", "--histogram", "weight=-1:1:4,risk=0:1:2")
    code, out, err = run(capsys, *SMALL, "--lr", "0.1", *names)
    assert (code, err) == (0, "")
    assert all(word in out for word in ("group", "weight_histogram", "risk_histogram", "weight_bin"))
    found = json.loads(run(capsys, *SMALL, "--lr", "0.1", *names, "--json")[1])["simulated"]
    simulated = em.simulate(
        em.NoisyQuadratic(curvature=[1.0, 1 / 2, 1 / 3]), em.SGD(lr=0.1), steps=20, groups=[1, 2],
        histogram={"weight": [-1, -0.5, 0, 0.5, 1], "risk": [0, 0.5, 1]}, observables=("risk", "weight_norm"),
        backend="reference",
    )  # fmt: skip
    for name in ("weight_norm", "weight_histogram", "risk_histogram", "risk_histogram_outside"):
        assert found["observables"][name]["values"] == simulated[name].values.tolist()
    assert found["coords"]["outside"] == ["below", "above", "nan"]


def test_a_measurement_alone_says_that_it_is_not_predicted(capsys):
    code, out, _ = run(capsys, *SMALL, "--lr", "0.1", "--observables", "update-norm")
    assert code == 0
    assert "is measured by simulate and not predicted" in " ".join(out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--first-passage", "risk"), "--first-passage must be such as risk=0.1"),
        (("--lags", "1.5"), "lags must be a list of whole numbers"),
        (("--groups", "2"), "groups of one size must divide the d=3 coordinates, got 2"),
        (("--groups", "1.5"), "groups must be a whole number of coordinates"),
        (("--histogram", "risk=0:1"), "--histogram must be such as risk=0:2:20"),
        (("--histogram", "risk=0:1:0"), "--histogram must be such as risk=0:2:20"),
        (("--quantiles", "x"), "--quantiles must be a number or numbers joined by commas"),
    ],
)
def test_wrong_questions_are_refused(capsys, arguments, message):
    code, out, err = run(capsys, *SMALL, "--lr", "0.1", *arguments)
    assert code != 0
    assert message in " ".join((out + err).split())


def test_without_a_prediction_it_says_why(capsys, monkeypatch):
    def refuse(*_, **__):
        raise ValueError("predict has no moments for AdamP")

    monkeypatch.setattr("ematheory.prediction.predict", refuse)
    monkeypatch.setattr("ematheory.predict", refuse)
    code, out, _ = run(capsys, *SMALL, "--optimizer", "adamp", "--lr", "0.01", "--json")
    printed = json.loads(out)
    assert code == 0
    assert printed["predicted"] is None
    assert "predict has no moments for AdamP" in printed["why"]


def test_a_quotient_is_simulated_and_says_why_nothing_is_predicted(capsys):
    asked = ("--problem", "rayleigh-quotient", "--lr", "0.1", "--noise", "0.5", *SMALL)
    code, out, _ = run(capsys, *asked, "--json")
    printed = json.loads(out)
    assert code == 0
    assert "RayleighQuotient is not predicted" in printed["why"]
    problem = em.RayleighQuotient([1.0, 1 / 2, 1 / 3], noise=0.5)
    simulated = em.simulate(problem, em.SGD(lr=0.1), steps=20, backend="reference")
    assert printed["simulated"]["observables"]["risk"]["values"] == simulated.risk.values.tolist()


def test_random_walk_and_vectors(capsys):
    arguments = ("--problem", "random-walk", "--optimizer", "adamw", "--lr", "0.01", "--noise", "1,2,3", *SMALL)
    code, out, _ = run(capsys, *arguments)
    assert code == 0
    assert "weight_mean_square" in out


@pytest.mark.parametrize("name", ["lion", "signsgd", "adamp", "amos", "ademamix", "schedule-free-adamw"])
def test_every_optimizer_runs_under_its_guessed_name(capsys, name):
    code, out, err = run(capsys, *SMALL, "--optimizer", name, "--lr", "0.01", "--replicas", "2", "--json")
    assert (code, err) == (0, "")
    type_ = json.loads(json.loads(out)["simulated"]["attrs"]["optimizer"])["type"]
    assert type_.lower() == name.replace("-", "")


def test_problem_options_are_those_of_predict(capsys):
    chosen = ("--problem", "linear-regression", "--power", "0.5", "--label-noise", "0.5", "--batch-size", "4")
    code, out, _ = run(capsys, *SMALL, *chosen, "--json")
    problem = em.LinearRegression([1, 2**-0.5, 3**-0.5], label_noise=0.5, batch_size=4)
    predicted = em.predict(problem, em.SGD(lr=0.1), steps=20)
    assert code == 0
    assert json.loads(out)["predicted"]["observables"]["risk"]["values"] == predicted.risk.values.tolist()


def test_a_warning_is_one_line(capsys):
    _, _, err = run(capsys, *SMALL, "--lr", "3")
    assert err.startswith("warning: SGD is unstable")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lr", "-1"), "lr must be finite and > 0, got -1.0"),
        (("--problem", "quadratic"), "--problem must be one of 'noisy-quadratic', 'random-walk'"),
        (("--problem", "random-walk", "--optimum", "1"), "--problem random-walk has no --optimum"),
        (("--noise", "loud"), "noise must be variances or the word 'curvature', got 'loud'"),
        (("--observables", "loss"), "'risk'"),
        (("--every", "1", "--steps", "1000"), "use --json"),
        (("--beta1", "0.9"), "--optimizer sgd has no --beta1"),
    ],
)
def test_wrong_input_exits_two_in_one_sentence(capsys, arguments, message):
    code, _, err = run(capsys, *SMALL, *arguments)
    assert code == 2
    assert err.startswith("ematheory simulate: ")
    assert message in err
    assert err.count("\n") == 1


def test_averages_stand_beside_their_prediction(capsys):
    rates = ("--iterate-average", "0,0.9")
    printed = json.loads(run(capsys, *SMALL, "--lr", "0.1", *rates, "--json")[1])
    problem = em.NoisyQuadratic(curvature=[1.0, 1 / 2, 1 / 3])
    for verb, name in ((em.simulate, "simulated"), (em.predict, "predicted")):
        expected = verb(problem, em.SGD(lr=0.1), steps=20, iterate_average=[0, 0.9]).risk
        assert printed[name]["observables"]["risk"]["values"] == expected.values.tolist()
    code, out, _ = run(capsys, *SMALL, "--lr", "0.1", *rates)
    assert code == 0
    assert all(word in out for word in ("iterate_average", "0.9", "predicted"))


def test_what_a_step_does_besides_has_no_prediction(capsys):
    chosen = ("--clip-norm", "0.1,1", "--tail-average", "0.5", "--dtype", "float32", "--weights", "bfloat16")
    printed = json.loads(run(capsys, *SMALL, "--lr", "0.1", *chosen, "--rounding", "stochastic", "--json")[1])
    expected = em.simulate(
        em.NoisyQuadratic(curvature=[1.0, 1 / 2, 1 / 3]), em.SGD(lr=0.1), steps=20, clip_norm=[0.1, 1.0],
        tail_average=0.5, dtype="float32", weights="bfloat16", rounding="stochastic", backend="reference",
    )  # fmt: skip
    assert printed["simulated"]["observables"]["risk"]["values"] == expected.risk.values.tolist()
    assert printed["predicted"] is None
    assert printed["why"].startswith("predict has no tail_average, clip_norm, weights")


@pytest.fixture
def interrupted(monkeypatch):
    """A function that has Ctrl-C come within the n-th call of the reference engine, each of few steps."""
    whole = Reference.advance
    monkeypatch.setattr(Reference, "work_per_call", 64 * 3 * 4)

    def at(number):
        calls = iter(range(1, number + 1))

        def advance(self, **block):
            if next(calls, None) == number:
                raise KeyboardInterrupt
            whole(self, **block)

        monkeypatch.setattr(Reference, "advance", advance)

    return at


@pytest.mark.parametrize("number", [2, 4])
def test_the_same_command_goes_on_after_ctrl_c(capsys, interrupted, tmp_path, number):
    path, asked = tmp_path / "run.npz", (*SMALL, "--lr", "0.1,0.2", "--lags", "1", "--json")
    kept = ("--checkpoint", str(path), "--checkpoint-every", "0")
    whole = json.loads(run(capsys, *asked)[1])
    interrupted(number)
    code, out, err = run(capsys, *asked, *kept)
    assert (code, out) == (130, "")
    assert err.splitlines() == [
        f"the run so far is kept in {path}; the same command goes on from there", "ematheory simulate: interrupted",
    ]  # fmt: skip
    code, out, err = run(capsys, *asked, *kept)
    assert (code, err) == (0, "")
    again = json.loads(out)
    for found in (whole["simulated"], whole["predicted"], again["simulated"], again["predicted"]):
        del found["attrs"]["run"]
    assert again == whole
    assert not path.exists()


def test_ctrl_c_before_anything_is_kept_promises_nothing(capsys, monkeypatch, tmp_path):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("ematheory.simulate", stopped)
    code, _, err = run(capsys, *SMALL, "--checkpoint", str(tmp_path / "run.npz"))
    assert (code, err) == (130, "ematheory simulate: interrupted\n")


def test_a_checkpoint_of_another_command_is_refused(capsys, interrupted, tmp_path):
    kept = (*SMALL, "--checkpoint", str(tmp_path / "run.npz"), "--checkpoint-every", "0")
    interrupted(3)
    assert run(capsys, *kept, "--seed", "1")[0] == 130
    code, _, err = run(capsys, *kept, "--seed", "2")
    assert code == 2
    assert "is of another request: seed was 1 and is 2" in err


def test_groups_are_clipped_each_by_itself(capsys):
    chosen = ("--clip-norm", "0.1", "--clip-each", "group", "--groups", "1,2")
    printed = json.loads(run(capsys, *SMALL, "--lr", "0.1", *chosen, "--json")[1])
    expected = em.simulate(
        em.NoisyQuadratic(curvature=[1.0, 1 / 2, 1 / 3]), em.SGD(lr=0.1), steps=20, clip_norm=0.1, clip_each="group",
        groups=[1, 2], backend="reference",
    )  # fmt: skip
    assert printed["simulated"]["observables"]["risk"]["values"] == expected.risk.values.tolist()
    assert printed["simulated"]["attrs"]["clip_each"] == "group"
