"""The README's Python runs and prints what the README says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"```python\n(.*?)```\s*prints\s*```text\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize(("code", "printed"), BLOCK.findall(README.read_text(encoding="utf-8")))
def test_a_block_prints_what_is_said(code, printed):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


def test_every_block_of_python_says_what_it_prints():
    text = README.read_text(encoding="utf-8")
    assert len(BLOCK.findall(text)) == text.count("```python") > 0
