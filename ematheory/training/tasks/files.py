"""Reading other people's data files: which must be there, what they hold, and pickles without running code.

Everything is checked before anything is returned, and errors name the file, what it should be and what it is.
"""

from __future__ import annotations

import codecs
import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

# What a pickle of arrays, numbers, strings, lists and dictionaries needs; NumPy has had two names for its core.
NUMPY_CORES = ("numpy.core", "numpy._core")
ALLOWED = {
    *((f"{core}.multiarray", name) for core in NUMPY_CORES for name in ("_reconstruct", "scalar")),
    *((f"{core}.numeric", "_frombuffer") for core in NUMPY_CORES),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
SAMPLE = 2**20
# So much of a file tells whether it is text.
TOLD = 2**16


class Refused(pickle.UnpicklingError):
    """A pickle asks for more than plain data."""


class PlainUnpickler(pickle.Unpickler):
    """Unpickles numbers, strings, bytes, lists, dictionaries and NumPy arrays of numbers; refuses all else.

    A pickle may name any function for the reader to call; here only those that rebuild arrays are looked up.
    """

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise Refused(f"it asks for {module}.{name}, and only plain data and NumPy arrays are read")
        return super().find_class(module, name)


def is_text(content: bytes) -> bool:
    """Whether bytes are UTF-8 of printable characters and spaces only, which may be cut off in a character.

    >>> is_text("Zwölf".encode()[:3]), is_text(bytes([128, 2, 125])), is_text(b"")
    (True, False, False)
    """
    try:
        characters = codecs.getincrementaldecoder("utf-8")().decode(content)
    except UnicodeDecodeError:
        return False
    return bool(characters) and all(each.isprintable() or each.isspace() for each in characters)


def beginning(path: Path, size: int = TOLD) -> bytes:
    """The first bytes of a file."""
    with open(path, "rb") as file:
        return file.read(size)


def unpickled(path: Path, of: str = "") -> dict[str, Any]:
    """The dictionary in a pickle, with its keys as strings (Python 2 wrote bytes).

    Raises `ValueError` for a file that is no such pickle, is cut off, or asks for anything but plain data; `of` says
    which data set the file should be of.
    """
    try:
        with open(path, "rb") as file:
            found = PlainUnpickler(file, encoding="bytes").load()
    except (FileNotFoundError, PermissionError):
        raise
    except Refused as error:
        raise ValueError(f"{path}: expected a pickled dictionary of plain data, and {error}") from error
    # A damaged pickle can raise nearly anything; all of it means the same here.
    except Exception as error:
        found_instead = "it is text" if is_text(beginning(path)) else f"it cannot be read ({error})"
        raise ValueError(
            f"{path} is no pickle file{of and ' of '}{of}, or a damaged one: expected a pickled dictionary of plain "
            f"data, and {found_instead}"
        ) from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a pickled dictionary, found a {type(found).__name__}")
    return {key.decode("latin-1") if isinstance(key, bytes) else str(key): value for key, value in found.items()}


def unzipped(path: Path) -> dict[str, Any]:
    """The arrays of an npz file. Raises `ValueError` for a file that is none, is cut off or holds objects."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array")
            return {name: arrays[name] for name in arrays.files}
    except (FileNotFoundError, PermissionError):
        raise
    # As above: zipfile and NumPy's reader of headers raise kinds of their own, and NotImplementedError.
    except Exception as error:
        raise ValueError(f"{path}: expected an npz file of plain arrays, and could not read it: {error}") from error


def checked_folder(folder: Any) -> Path:
    """The folder as a path. Raises `TypeError` or `NotADirectoryError` for what is none."""
    if not isinstance(folder, str | Path):
        raise TypeError(f"folder must be a path, got {folder!r}")
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise NotADirectoryError(f"folder must be a folder that exists, got {str(path)!r}")
    return path


def all_present(folder: Path, choices: Sequence[Sequence[str]]) -> list[Path]:
    """The files of the first choice of names of which any is there.

    Raises `FileNotFoundError` naming the missing ones, what else would do, and a folder inside that has them.
    """
    started = next((names for names in choices if any((folder / name).is_file() for name in names)), None)
    if started is None:
        wanted = "; or ".join(
            f"{names[0]} … {names[-1]}" if len(names) > 2 else " and ".join(names) for names in choices
        )
        raise FileNotFoundError(f"{folder}: expected {wanted}; found {listing(folder)}{meant(folder, choices)}")
    missing = [name for name in started if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{folder}: {', '.join(missing)} missing, beside {listing(folder)}")
    return [folder / name for name in started]


def listing(folder: Path, most: int = 6) -> str:
    """The first names in a folder, for an error."""
    names = sorted(path.name for path in folder.iterdir())
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nothing") + more


def meant(folder: Path, choices: Sequence[Sequence[str]]) -> str:
    """``; did you mean …?`` where a folder inside has the files, on the command line as in Python."""
    for inside in sorted(path for path in folder.iterdir() if path.is_dir()):
        if any((inside / names[0]).is_file() for names in choices):
            return f"; did you mean the folder {str(inside)!r}?"
    return ""


def fingerprint(paths: Sequence[Path]) -> str:
    """16 hexadecimal digits of a SHA-256 over the files' names, sizes, first and last MiB.

    It tells data sets apart without reading all of a large one; a change in the middle of a file goes unseen.
    """
    digest = hashlib.sha256()
    for path in paths:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size};".encode())
        with open(path, "rb") as file:
            digest.update(file.read(SAMPLE))
            file.seek(max(size - SAMPLE, 0))
            digest.update(file.read(SAMPLE))
    return digest.hexdigest()[:16]


def check_unchanged(folder: Path, wanted: str | None, found: str) -> str:
    """The fingerprint. Raises `ValueError` when settings ask for files other than those there."""
    if wanted not in (None, found):
        raise ValueError(
            f"{folder}: its files have fingerprint {found}, and the settings ask for {wanted}: they are not the same "
            "data; give the folder that the settings come from, or leave fingerprint out to take this one"
        )
    return found
