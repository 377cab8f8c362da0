"""`ematheory rescale`."""

import json

import pytest
from typer.testing import CliRunner

from ematheory.cli import application
from ematheory.scaling import INVARIANTS, PRESETS

BASE = ("--lr", "1e-3", "--weight-decay", "0.1", "--batch-size", "256", "--dataset-size", "1e6")


def run(*arguments):
    return CliRunner().invoke(application(), ["rescale", *arguments])


def test_the_new_recipe_the_exponents_and_why():
    found = run(
        *BASE, "--to", "batch-size=1024", "--to", "dataset-size=4e6", "--to", "width=4x", "--preset", "wang2025"
    )
    assert found.exit_code == 0
    assert "so η ∝ m⁻¹, λ ∝ B·N⁻¹·m" in found.output
    assert "0.00025" in found.output
    assert "timescale_epochs" in found.output


def test_json():
    told = json.loads(run(*BASE, "--to", "batch-size=4x", "--preset", "malladi2022", "--json").output)
    assert told["recipe"]["lr"] == 0.002
    assert told["exponents"]["weight_decay"] == {"batch_size": "1/2"}
    assert told["clashes"] == []


def test_a_clash_exits_with_1_and_says_what_each_choice_costs():
    found = run(*BASE, "--to", "batch-size=1024", *(f"--keep={k}" for k in ("lr", "weight_decay", "timescale_samples")))
    assert found.exit_code == 1
    assert "these clash: lr, weight_decay, timescale_samples" in found.output
    assert found.output.count("changes by the factor 4") == 3
    assert "suggestion: give up" in found.output


def test_a_choice_in_the_output_is_the_suggestion_below_it():
    keep = [f"--keep={each}" for each in ("timescale_steps", "timescale_epochs", "lr")]
    found = run(*BASE, "--to", "batch-size=1024", *keep)
    assert "without timescale_steps: it changes by the factor 0.25; λ ∝ B\n" in found.output
    assert found.output.splitlines()[-1] == "so λ ∝ B"
    told = json.loads(run(*BASE, "--to", "batch-size=1024", *keep, "--json").output)
    first = told["clashes"][0]["choices"][0]
    assert first["exponents"] == told["suggestion"]["exponents"] == {"weight_decay": {"batch_size": "1"}}


def test_the_power_law_has_an_interval():
    arguments = (*BASE, "--parameters", "1e5", "--to", "dataset-size=1e8", "--preset", "power-lines")
    assert "λ from 0.007678 to 0.0167 by the fit's error" in run(*arguments).output
    told = json.loads(run(*arguments, "--json").output)
    low, high = told["intervals"]["weight_decay"]
    assert low < told["recipe"]["weight_decay"] < high


def test_the_list_names_everything():
    text = run("--list").output
    assert all(name in text for name in (*INVARIANTS, *PRESETS))
    assert set(json.loads(run("--list", "--json").output)["presets"]) == set(PRESETS)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((*BASE, "--to", "batch-size"), "--to must be written as"),
        ((*BASE, "--to", "batch-size=y", "--keep", "lr"), "--to must be written as"),
        ((*BASE, "--to", "speed=2", "--keep", "lr"), "'speed' is nothing that a recipe is rescaled to"),
        (BASE[2:], "give --lr, or --list"),
    ],
)
def test_wrong_input_is_told_in_one_sentence(arguments, reason):
    found = run(*arguments)
    assert found.exit_code == 2
    assert reason in found.output
