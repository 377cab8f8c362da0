"""`ematheory train`: the table, JSON, and wrong input in one sentence."""

import json

import pytest
from typer.testing import CliRunner

from ematheory.cli import application

SMALL = ["--width", "8", "--depth", "1", "--epochs", "1"]


def call(*arguments):
    return CliRunner().invoke(application(("train",)), ["train", *arguments])


def test_json_has_the_numbers_of_the_dataset():
    answer = call(*SMALL, "--lr", "1e-3,1e-2", "--seeds", "0,1", "--json")
    assert answer.exit_code == 0
    result = json.loads(answer.stdout, parse_constant=pytest.fail)
    assert result["coords"]["lr"] == [1e-3, 1e-2]
    rotation, accuracy = (result["observables"][name] for name in ("rotation", "test_accuracy"))
    assert rotation["dims"] == ["lr", "seed", "step"]
    assert rotation["values"][0][0][0] is None
    assert 0 < accuracy["values"][1][0][-1] <= 1


@pytest.mark.parametrize(
    "extra", [[], ["--lr", "1e-3,1e-2"], ["--optimizer", "sgd", "--momentum", "0.9"], ["--scale-invariant"]]
)
def test_the_table_for_people(extra):
    answer = call(*SMALL, *extra)
    assert answer.exit_code == 0
    assert "digits under torch.optim" in answer.stdout


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--seeds", "a"], "--seeds must be whole numbers"),
        (["--width", "0"], "width must be"),
    ],
)
def test_wrong_input_is_one_sentence(extra, message):
    answer = call(*SMALL, *extra)
    assert answer.exit_code == 2
    assert message in answer.stderr
