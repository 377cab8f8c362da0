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
    assert "means over 1 seed" in answer.stdout
    assert "…" not in answer.stdout


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--seeds", "a"], "--seeds must be whole numbers"),
        (["--width", "0"], "width must be"),
        (["--task", "digits"], "--task must be one of"),
        (["--data", "here"], "--task digits-mlp reads no folder; leave out --data"),
        (["--task", "cifar10", "--data", "/no/such"], "must be a folder that exists"),
        (["--task", "cifar10"], "give the folder that they are in as --data"),
        (["--setting", "width=4"], "is given a second time"),
        (["--setting", "split_sed=1"], "did you mean '--split-seed'"),
        (["--setting", "split_seed"], "--setting must be name=value"),
        (["--device", "gpu"], "device must be one that this torch has"),
        (["--observables", "parameter-norm"], "use --json"),
    ],
)
def test_wrong_input_is_one_sentence(extra, message):
    answer = call(*SMALL, *extra)
    assert answer.exit_code == 2
    assert message in answer.stderr


def test_the_options_reach_train(tmp_path):
    extra = ["--optimizer", "lion", "--setting", "split_seed=1", "--every", "11", "--observables", "batch-loss"]
    extra += ["--cache", str(tmp_path / "runs"), "--clip-norm", "1", "--accumulate", "2", "--seeds", "0,1"]
    answer = call(*SMALL, *extra, "--ensemble", "2", "--json")
    assert answer.exit_code == 0
    result = json.loads(answer.stdout)
    assert list(result["observables"]) == ["batch_loss"]
    assert result["coords"]["step"] == [0, 11, 22]
    assert len(list((tmp_path / "runs").iterdir())) == 2
    attrs = result["attrs"]
    assert (attrs["clip_norm"], attrs["accumulate"], json.loads(attrs["task"])["split_seed"]) == (1.0, 2, 1)
    assert json.loads(attrs["optimizer"])["type"] == "Lion"
