"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A neighbour of `path` to write to, which takes its place at the end; where that fails it is gone again."""
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=neighbour(path))
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def neighbour(path: Path) -> str:
    """How the names of such neighbours begin."""
    return f".{path.name}."
