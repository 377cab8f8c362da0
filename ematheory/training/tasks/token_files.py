"""nanoGPT's token files, train.bin and val.bin, mapped from disk, for a GPT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...records import Interval, check_whole
from .converted import ConvertedRows
from .files import all_present, beginning, check_unchanged, checked_folder, fingerprint, is_text, unpickled
from .language import LanguageTask
from .task import Split

FILES = ("train.bin", "val.bin")
# A token is 16 bits.
MOST_TOKENS = 2**16
# The bytes from which one can tell what a file holds.
LEAST = 128


def mapped(path: Path) -> npt.NDArray[np.uint16]:
    """The tokens of a file, mapped: memory is taken for what is read.

    Raises `ValueError` for half a token or none, and for a file that plainly holds something else.
    """
    check_tokens(path)
    size = path.stat().st_size
    if size == 0 or size % 2:
        raise ValueError(f"{path}: expected 16-bit tokens, an even number of bytes above 0, found {size} bytes")
    return np.memmap(path, dtype="<u2", mode="r")


def check_tokens(path: Path) -> None:
    """Raise `ValueError` for text, and for tokens of 32 bits: every second number of 16 is 0, though not the others.

    Neither happens by chance in the first so many bytes of tokens; of fewer than `LEAST` nothing can be said.
    """
    start = beginning(path)
    start = start[: len(start) // 4 * 4]
    if len(start) < LEAST:
        return
    if is_text(start):
        raise ValueError(f"{path}: expected 16-bit tokens, and it is text; encode it, as nanoGPT's prepare.py does")
    low, high = np.frombuffer(start, dtype="<u2").reshape(-1, 2).T
    if not high.any() and len(np.unique(low)) > 1:
        raise ValueError(
            f"{path}: expected 16-bit tokens, and every second one is 0: it looks like 32-bit tokens; write them as "
            "uint16, as nanoGPT's prepare.py does"
        )


@dataclass(frozen=True)
class Bounded:
    """Passes tokens on, and refuses those that the vocabulary lacks."""

    path: Path
    vocabulary: int

    def __call__(self, tokens: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if tokens.size and tokens.max() >= self.vocabulary:
            raise ValueError(
                f"{self.path}: expected tokens 0…{self.vocabulary - 1}, found {tokens.max()}; vocab_size is too small, "
                "or the file holds something else"
            )
        return tokens


def stated_vocabulary(folder: Path) -> int:
    """The vocab_size in meta.pkl. Raises `FileNotFoundError` without that file, `ValueError` for one without it."""
    path = folder / "meta.pkl"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing, which nanoGPT writes for characters: give vocab_size= (50257 for GPT-2's tokens, "
            "which nanoGPT pads to 50304)"
        )
    meta = unpickled(path)
    size = meta.get("vocab_size")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 < size <= MOST_TOKENS:
        raise ValueError(f"{path}: expected 'vocab_size' in 1…{MOST_TOKENS}, found {size!r} among {sorted(meta)}")
    return size


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TokenFolder(LanguageTask):
    """Tokens of nanoGPT's files, predicted by a GPT; made by `tokens`.

    `fingerprint` tells which files (see `files.fingerprint`).
    """

    folder: str | Path
    vocab_size: int | None = None
    fingerprint: str | None = None

    places = ("folder",)

    def __post_init__(self) -> None:
        super().__post_init__()
        paths = self.paths()
        folder = paths[0].parent
        size = stated_vocabulary(folder) if self.vocab_size is None else self.vocab_size
        check_whole("vocab_size", size, Interval(1, MOST_TOKENS, closed_high=True))
        found = check_unchanged(folder, self.fingerprint, fingerprint(paths))
        for name, value in (("folder", str(folder)), ("vocab_size", size), ("fingerprint", found)):
            object.__setattr__(self, name, value)

    def paths(self) -> list[Path]:
        return all_present(checked_folder(self.folder), [FILES])

    def usual_width(self) -> int:
        return 384

    def vocabulary(self) -> int:
        assert self.vocab_size is not None
        return self.vocab_size

    def data(self) -> Split:
        """Windows of tokens and the same shifted by one, each of shape (windows, context), int64 when taken.

        The files stay on disk, mapped. Raises `ValueError` for files too short, or changed since the task was made; a
        token beyond the vocabulary is refused when it is taken.
        """
        paths = self.paths()
        check_unchanged(paths[0].parent, self.fingerprint, fingerprint(paths))
        parts: list[Any] = []
        for path, limit in zip(paths, (self.train_tokens, None), strict=True):
            bounded = Bounded(path, self.vocabulary())
            parts += [ConvertedRows(rows, bounded, np.int64) for rows in self.windows_of(path, limit)]
        return Split(*parts)

    def windows_of(self, path: Path, limit: int | None) -> tuple[Any, Any]:
        """`windows` of a file, which the error names."""
        stream = mapped(path)
        try:
            return self.windows(stream, limit)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def tokens(
    folder: str | Path,
    width: int = 384,
    depth: int = 6,
    *,
    vocab_size: int | None = None,
    context: int = 256,
    heads: int = 6,
    bias: bool = False,
    scale_invariant: bool = False,
    parametrization: str = "standard",
    base_width: int | None = None,
    train_tokens: int | None = None,
    fingerprint: str | None = None,
) -> TokenFolder:
    """The tokens in nanoGPT's train.bin and val.bin (16 bits each), predicted by its architecture.

    Parameters
    ----------
    folder : where the two files are, and meta.pkl, whose vocab_size holds where none is given.
    width, depth, context, heads : by default those of nanoGPT's characters of Shakespeare.
    vocab_size : how many different tokens; 50257 for GPT-2's.
    bias, scale_invariant, parametrization, train_tokens : as in `char_gpt`; the base width is 384.
    fingerprint : of the files, from another result's settings.

    Raises `FileNotFoundError` for missing files, `ValueError` for files of another format or a setting out of range.

    >>> tokens("no/such/folder")
    Traceback (most recent call last):
    NotADirectoryError: folder must be a folder that exists, got 'no/such/folder'
    """
    return TokenFolder(
        width=width, depth=depth, context=context, heads=heads, bias=bias, scale_invariant=scale_invariant,
        parametrization=parametrization, base_width=base_width, train_tokens=train_tokens, folder=folder,
        vocab_size=vocab_size, fingerprint=fingerprint,
    )  # fmt: skip
