"""`ematheory derive`: numbered steps, each with its reason and "checked"; a failed check fails the command."""

from __future__ import annotations

import json
import re

import pytest

from ematheory import derivations
from ematheory.cli import main


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["derive", *arguments])
    return stopped.value.code, *capsys.readouterr()


def test_steps_are_numbered_reasoned_and_checked(capsys):
    code, out, err = run(capsys, "adamw-ema")
    steps = derivations.derive("adamw-ema").steps
    assert (code, err) == (0, "")
    assert re.findall(r"^(\d+)\. ", out, re.MULTILINE) == [str(n) for n in range(1, len(steps) + 1)]
    assert out.count("checked: ") == len(steps)
    assert all(step.label in out for step in steps)


@pytest.mark.parametrize(("form", "text"), [("latex", r"\begin{align}"), ("markdown", "$$"), ("text", "checked: ")])
def test_formats(capsys, form, text):
    code, out, _ = run(capsys, "adamw-ema", "--format", form)
    assert code == 0
    assert text in out


def test_an_optimizer_whose_weights_are_no_average_is_refused(capsys):
    code, out, err = run(capsys, "adamw-ema", "--optimizer", "adam")
    assert (code, out) == (2, "")
    assert "Adam with L2 is no EMA of its updates: no constant multiplies the weight" in err


def test_words_of_a_record_are_options(capsys):
    code, out, _ = run(capsys, "adamw-ema", "--decay-order", "after", "--no-bias-correction")
    assert code == 0
    assert "(1 − α_t) u_t" in out
    code, _, err = run(capsys, "adamw-ema", "--optimizer", "lion", "--decay", "cautious")
    assert code == 2
    assert "Lion with cautious decay is no EMA" in err


def test_json(capsys):
    code, out, _ = run(capsys, "adamw-ema", "--json")
    (printed,) = json.loads(out)
    assert code == 0
    assert printed["verified"] is True
    assert all(step["checked"] and step["reason"] for step in printed["steps"])


def test_a_failed_check_exits_one(capsys, monkeypatch):
    whole = derivations.derive("adamw-ema")
    last = whole.steps[-1].equation
    broken = whole.with_step(len(whole.steps) - 1, type(last)(last.lhs, last.rhs + 1))
    monkeypatch.setattr(derivations, "derive", lambda name: broken)
    code, out, _ = run(capsys, "adamw-ema", "--verify")
    assert code == 1
    assert "NOT verified" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("adamw-em",), "derivation must be one of 'adamw-ema'"),
        ((), "give one name or --all; derivations are adamw-ema"),
        (("adamw-ema", "--all"), "give one name or --all"),
        (("adamw-ema", "--format", "html"), "--format must be one of 'text', 'latex', 'markdown'"),
    ],
)
def test_wrong_input_exits_two(capsys, arguments, message):
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
