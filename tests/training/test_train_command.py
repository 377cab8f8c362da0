"""`ematheory train`: the table, JSON, and wrong input in one sentence."""

import json

import pytest
import torch
from published_files import write_cifar, write_imagenet, write_tokens
from typer.testing import CliRunner

from ematheory.cli import application, nouns
from ematheory.training import tasks

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


# Settings that make every task small, and what writes the files of those that read some.
TASKS = {
    "char-gpt": "--width 8 --depth 1 --setting context=8 --setting train_tokens=400 --setting test_share=0.005",
    "cifar10": "--setting network=mlp --width 4 --depth 1",
    "digits-mlp": "--width 8 --depth 1",
    "digits-resnet": "--width 4 --setting train_size=64",
    "digits-scale-invariant": "--width 8 --depth 1",
    "digits-vit": "--width 8 --depth 1 --setting heads=2 --setting train_size=64",
    "imagenet32": "--setting network=mlp --width 4 --depth 1",
    "modular-addition": "--width 8 --setting modulus=5",
    "random-features": "--width 8 --setting inputs=8",
    "teacher-student": "--width 8",
    "tokens": "--width 8 --depth 1 --setting heads=2 --setting context=8",
}
FILES = {"cifar10": write_cifar, "imagenet32": write_imagenet, "tokens": write_tokens}


@pytest.mark.parametrize("task", [name.replace("_", "-") for name in tasks.__all__ if name.islower()])
def test_every_task_trains(task, tmp_path):
    data = []
    if task in FILES:
        FILES[task](tmp_path)
        data = ["--data", str(tmp_path)]
    answer = call("--task", task, *TASKS[task].split(), *data, "--epochs", "1", "--batch-size", "8")
    assert answer.exit_code == 0, answer.stderr
    assert f"{task}: means over 1 seed" in answer.stdout


def test_the_folder_that_was_meant_is_told_as_the_option(tmp_path):
    inside = tmp_path / "cifar-10-batches-py"
    inside.mkdir()
    write_cifar(inside)
    answer = call("--task", "cifar10", "--data", str(tmp_path))
    assert answer.exit_code == 2
    assert f"--data: {tmp_path}: expected" in answer.stderr
    assert f"did you mean the folder {str(inside)!r}?" in answer.stderr
    assert "folder=" not in answer.stderr


def test_an_option_that_the_task_has_not_is_refused_where_it_is_given():
    answer = call("--task", "teacher-student", "--scale-invariant")
    assert answer.exit_code == 2
    assert "--task teacher-student has no --scale-invariant" in answer.stderr


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--seeds", "a"], "--seeds must be whole numbers"),
        (["--width", "0"], "width must be finite and >= 1, got 0\n"),
        (["--setting", "train_size=5000"], "train_size must be in [1, 1438], got 5000\n"),
        (["--task", "digits"], "--task must be one of"),
        (["--data", "here"], "--task digits-mlp reads no folder; leave out --data"),
        (["--task", "cifar10", "--data", "/no/such"], "--data: folder must be a folder that exists, got '/no/such'"),
        (["--task", "cifar10"], "give the folder that they are in as --data"),
        (["--setting", "width=4"], "is given a second time"),
        (["--setting", "split_sed=1"], "did you mean '--split-seed'"),
        (["--setting", "split_seed"], "--setting must be name=value"),
        (["--device", "gpu"], "device must be one that this torch has"),
        (["--observables", "parameter-norm"], "use --json"),
        (["--optimizer", "radam"], "--optimizer radam: torch.optim has it, but no record here describes it; there are"),
        (["--optimizer", "SparseAdam"], "torch.optim has it, but no record"),
        (["--optimizer", "adamm"], "did you mean 'adam"),
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


def test_every_optimizer_of_torch_has_a_record_or_is_known_to_have_none():
    torchs = {name.lower() for name, kind in vars(torch.optim).items() if isinstance(kind, type)} - {"optimizer"}
    records = {name.replace("-", "") for name in nouns.optimizer_kinds()}
    assert torchs <= {*records, *nouns.TORCHS_OWN}
    assert not records & set(nouns.TORCHS_OWN)
