"""The examples run, are short, and print a prediction beside a measurement."""

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(FOLDER.glob("[0-9][0-9]_*.py"))
# What each must have printed: that it came to its end, with the numbers as theory wants them.
LAST_WORDS = {
    "01_timescale_of_a_run": "the coefficients sum to 1.0",
    "02_adamw_is_an_ema": "verified",
    "03_noisy_quadratic": "predicted  measured     z",
    "04_judging_a_claim": "as expected",
    "05_effective_learning_rate": "measured  standard error",
    "06_track_a_char_gpt": "by chance",
}
# Steps in place of those of half a minute.
ARGUMENTS = {"06_track_a_char_gpt": ["40"]}
WRITTEN = {"06_track_a_char_gpt": {"char_gpt.jsonl", "char_gpt.png"}}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(path, tmp_path):
    command = [sys.executable, str(path), *ARGUMENTS.get(path.stem, [])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert LAST_WORDS[path.stem] in done.stdout
    assert {written.name for written in tmp_path.iterdir()} == WRITTEN.get(path.stem, set())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60


def test_every_example_says_what_it_must_print():
    assert {path.stem for path in EXAMPLES} == set(LAST_WORDS)
