"""The tracer: the committed C++ is current, and what the Update contract forbids is refused with the reason."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from ematheory.optimizers import COUPLED, RECORDS, AdamW
from ematheory.simulation import engine_tracing, tracing

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "csrc" / "core" / "generated.h"


class State(NamedTuple):
    weight: object


class Coefficients(NamedTuple):
    lr: object
    decay: object


class Trial(AdamW):
    """An optimizer whose update is the function under test, of (xp, weight, gradient, c)."""

    State = State
    Coefficients = Coefficients

    def update(self, xp, state, gradient, c):
        return State(self.formula(xp, state.weight, gradient, c))


def traced(formula) -> str:
    return tracing.trace_update(Trial(lr=1.0).substituted(formula=formula))


def test_committed_file_is_current():
    assert GENERATED.read_text(encoding="utf-8") == engine_tracing.generated(), "run `make generate`"


def called(*arguments: str) -> int:
    return tracing.main(arguments, engine_tracing.generated, "engine_tracing")


def test_check_reports_a_stale_file(tmp_path, capsys):
    stale = tmp_path / "generated.h"
    stale.write_text("")
    assert called("--check", str(stale)) == 1
    assert "make generate" in capsys.readouterr().err
    assert called(str(stale)) == 0
    assert called("--check", str(stale)) == 0


@pytest.mark.parametrize("module", ["engine_tracing", "moment_tracing"])
@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--help"], 0, "write nothing; exit with 1"),
        ([], 2, "arguments are required: PATH"),
        (["--chek", "generated.h"], 2, "unrecognized arguments: --chek"),
        (["one.h", "other.h"], 2, "unrecognized arguments: other.h"),
    ],
)
def test_what_is_no_path_is_never_written(module, arguments, status, says, tmp_path):
    """`--help` was once taken for the path of a file."""
    command = [sys.executable, "-m", f"ematheory.simulation.{module}", *arguments]
    found = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert found.returncode == status
    assert says in found.stdout + found.stderr
    assert f"python -m ematheory.simulation.{module}" in found.stdout + found.stderr
    assert not list(tmp_path.iterdir())


def test_every_variant_is_listed():
    for record in (*RECORDS, *COUPLED):
        for name in record.variants():
            assert f"X({name})" in engine_tracing.generated()


def test_order_of_operations_is_pythons():
    text = traced(lambda xp, w, g, c: w - c.lr * (g + 2 * w) / 3)
    lines = [line.strip() for line in text.splitlines() if "const T t" in line]
    assert lines == [
        "const T t0 = T(2) * weight;",
        "const T t1 = gradient + t0;",
        "const T t2 = c_lr * t1;",
        "const T t3 = t2 / T(3);",
        "const T t4 = weight - t3;",
    ]


def test_constants_are_exact():
    assert "T(0x1.999999999999ap-4)" in traced(lambda xp, w, g, c: w - 0.1 * g)


def test_sign_is_two_choices():
    text = traced(lambda xp, w, g, c: w - c.lr * xp.sign(g))
    assert "gradient < T(0)" in text
    assert "gradient > T(0)" in text
    assert text.count("?") == 2


def test_comparisons_and_negation():
    text = traced(lambda xp, w, g, c: xp.where(w != g, -w, xp.where(c.decay == 0, w, g)))
    assert "weight != gradient" in text
    assert "c_decay == T(0)" in text
    assert "-weight" in text


def plain_if(xp, w, g, c):
    return w if g > 0 else g


FORBIDDEN = {
    "power": (lambda xp, w, g, c: w**2, r"\*\* is not traced"),
    "if on data": (plain_if, "choose with xp.where"),
    "bool": (lambda xp, w, g, c: w and g, "choose with xp.where"),
    "math": (lambda xp, w, g, c: w - math.exp(g), "function of numbers"),
    "numpy function": (lambda xp, w, g, c: w - np.exp(g), None),
    "other name of xp": (lambda xp, w, g, c: w - xp.exp(g), r"xp\.exp is not traced"),
    "abs": (lambda xp, w, g, c: abs(w), "abs is not traced"),
    "coefficients alone": (lambda xp, w, g, c: w - (c.lr * c.decay) * w, r"c_lr \* c_decay: arithmetic among"),
    "coefficient and number": (lambda xp, w, g, c: (1 - c.decay) * w, r"T\(1\) - c_decay: arithmetic among"),
    "root of a coefficient": (lambda xp, w, g, c: xp.sqrt(c.lr) * w, "arithmetic among coefficients"),
    "array": (lambda xp, w, g, c: w * np.ones(3), None),
    "where on a number": (lambda xp, w, g, c: xp.where(True, w, g), "needs a comparison"),
    "text": (lambda xp, w, g, c: w + "1", "Python numbers"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_outside_the_contract(name):
    formula, message = FORBIDDEN[name]
    with pytest.raises(TypeError, match=message):
        traced(formula)
