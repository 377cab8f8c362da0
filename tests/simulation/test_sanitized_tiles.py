"""The engine's tiles under AddressSanitizer and UBSan, compiled alone: `make sanitize` does all of the module."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from ematheory.native import isas

SOURCE = Path(__file__).with_name("sanitized_tiles.cpp")
LEVELS = [name for name in isas() if name.startswith("x86-64")] if platform.machine() == "x86_64" else []
SANITIZED = [
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-ffp-contract=off",
    "-fno-tree-slp-vectorize",
]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")
@pytest.mark.parametrize("level", ["", *LEVELS])
def test_tiles_stay_within_their_arrays(level: str, tmp_path: Path) -> None:
    target = tmp_path / "tiles"
    flags = ["-std=c++17", "-O1", *SANITIZED, *([f"-march={level}"] if level else [])]
    subprocess.run(["g++", *flags, str(SOURCE), "-o", str(target)], check=True, capture_output=True)
    # Leaks are left out: what looks for them needs ptrace, which containers may not have.
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    ran = subprocess.run([str(target)], capture_output=True, text=True, env=environment)
    assert (ran.returncode, ran.stdout) == (0, "960 runs\n"), ran.stderr[-2000:]
