"""The README's Python and its cheap commands run and print what the README says."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"```python\n(.*?)```\s*prints\s*```text\n(.*?)```", re.DOTALL)
# A command, which a backslash continues, and what it prints.
CONSOLE = re.compile(r"```console\n\$ ((?:[^\n]*\\\n)*[^\n]*)\n(.*?)```", re.DOTALL)
# Verbs that answer from formulas. What the others print takes minutes, and seconds that differ each time.
CHEAP = ("derive", "timescale", "translate", "rescale", "recipes")


def commands():
    """The words after `ematheory`, and what is said to be printed, of every cheap command."""
    text = README.read_text(encoding="utf-8")
    found = [(shlex.split(command.replace("\\\n", ""), comments=True), said) for command, said in CONSOLE.findall(text)]
    return [(words, said) for (program, *words), said in found if program == "ematheory" and words[0] in CHEAP]


def run(*arguments):
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, encoding="utf-8", timeout=300, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("code", "printed"), BLOCK.findall(README.read_text(encoding="utf-8")))
def test_a_block_prints_what_is_said(code, printed):
    assert run("-c", code) == printed


def test_every_block_of_python_says_what_it_prints():
    text = README.read_text(encoding="utf-8")
    assert len(BLOCK.findall(text)) == text.count("```python") > 0


@pytest.mark.parametrize(("words", "printed"), commands(), ids=[words[0] for words, _ in commands()])
def test_a_cheap_command_prints_what_is_said(words, printed):
    lines = [line.rstrip() for line in run("-m", "ematheory", *words).splitlines()]  # a table's lines end in blanks
    assert "\n".join(lines).strip("\n") == printed.strip("\n")


def test_every_cheap_command_is_compared():
    written = re.findall(rf"^\$ ematheory (?:{'|'.join(CHEAP)})\b", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands()) == len(written) > 0
