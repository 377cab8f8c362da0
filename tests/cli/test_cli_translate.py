"""`ematheory translate`."""

import json

import pytest
from typer.testing import CliRunner

from ematheory.cli import application
from ematheory.conventions import CONVENTIONS


def run(*arguments):
    return CliRunner().invoke(application(), ["translate", *arguments])


def test_a_number():
    found = run("composer", "--weight-decay", "0.1", "--lr", "1e-3")
    assert found.exit_code == 0
    assert "weight_decay = 0.0001" in found.output


def test_json_over_a_schedule():
    found = run(
        "schedulefree", "--weight-decay", "0.1", "--lr", "1e-3", "--schedule", "linear", "--final", "0.5", "--steps",
        "2", "--json",
    )  # fmt: skip
    told = json.loads(found.output)
    assert told["weight_decay"] == pytest.approx([100, 100 / 0.75])
    assert told["to"] == "schedulefree.AdamC"


def test_the_table_lists_every_framework():
    table = run("--list").output
    assert all(name in table for name in CONVENTIONS)
    assert [row["framework"] for row in json.loads(run("--list", "--json").output)] == list(CONVENTIONS)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("torch.optim.Adam", "--weight-decay", "0.1", "--lr", "1e-3"), "adds λw to the gradient"),
        (("composer",), "give a framework and --weight-decay"),
        (("composer", "--weight-decay", "x", "--lr", "1"), "--weight-decay must be a number"),
        (("schedulefree", "--weight-decay", "0.1", "--lr", "1e-3"), "schedule"),
        (
            ("composer", "--weight-decay", "0.1", "--lr", "1", "--final", "0.1"),
            "without --schedule the rate",
        ),
    ],
)
def test_wrong_input_is_told_in_one_sentence(arguments, reason):
    found = run(*arguments)
    assert found.exit_code == 2
    assert reason in found.output
