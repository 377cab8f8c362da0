"""The standard library's own text, character by character, and a small GPT to predict it."""

from __future__ import annotations

import hashlib
import platform
import sysconfig
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...records import Interval, check_choice, check_values
from .language import LanguageTask
from .task import Split

CORPORA = ("topics", "library")

# The same characters for every corpus and Python, so that the network's shape is too: a line's end, printable ASCII,
# and one for every other character.
CHARACTERS = "\n" + "".join(map(chr, range(32, 127))) + "\ufffd"
OTHER = len(CHARACTERS) - 1

# Modules written in Python that 3.10 to 3.13 all have, as single files.
LIBRARY = (
    "_pydecimal", "argparse", "ast", "asyncio.base_events", "asyncio.tasks", "calendar", "codecs", "collections",
    "concurrent.futures.process", "configparser", "copy", "csv", "ctypes", "dataclasses", "difflib", "dis", "doctest",
    "email.message", "enum", "fractions", "ftplib", "functools", "gettext", "heapq", "html.parser", "http.client",
    "http.cookiejar", "imaplib", "inspect", "ipaddress", "json.decoder", "locale", "logging", "logging.handlers",
    "mailbox", "mimetypes", "multiprocessing.managers", "ntpath", "optparse", "os", "pdb", "pickle", "pickletools",
    "platform", "plistlib", "posixpath", "pprint", "pydoc", "random", "sched", "shlex", "shutil", "smtplib", "socket",
    "ssl", "statistics", "string", "subprocess", "tarfile", "tempfile", "textwrap", "threading", "tokenize", "trace",
    "traceback", "turtle", "typing", "unittest.mock", "urllib.parse", "urllib.request", "uuid", "warnings", "weakref",
    "xml.dom.minidom", "xml.etree.ElementTree", "xmlrpc.client", "zipapp",
)  # fmt: skip


def topics() -> str:
    """The language reference that `help()` shows: 0.46 million characters of English in Python 3.11."""
    texts = import_module("pydoc_data.topics").topics
    return "\n".join(texts[name] for name in sorted(texts))


def library() -> str:
    """The source of the modules of `LIBRARY`, joined in that order."""
    return "\n".join(source(module) for module in LIBRARY)


def source(module: str) -> str:
    """A module's source, read without importing it. Raises `FileNotFoundError` where Python came without it."""
    base = Path(sysconfig.get_path("stdlib"), *module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise FileNotFoundError(
        f"corpus='library' needs the source of {module}, and Python {platform.python_version()} came without "
        f"{base}.py; use corpus='topics'"
    )


@lru_cache(maxsize=len(CORPORA))
def encoded(corpus: str) -> npt.NDArray[np.int64]:
    """The corpus as tokens, positions in `CHARACTERS`: int64, 8 bytes a character; not to be written to."""
    text = (topics if corpus == "topics" else library)()
    points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    table = np.full(128, OTHER, dtype=np.int64)
    table[[ord(character) for character in CHARACTERS[:-1]]] = np.arange(OTHER)
    tokens: npt.NDArray[np.int64] = table[np.minimum(points, 127)]
    tokens.flags.writeable = False
    return tokens


@lru_cache(maxsize=len(CORPORA))
def fingerprint(corpus: str) -> str:
    """16 hexadecimal digits of the SHA-256 of the tokens as bytes."""
    return hashlib.sha256(encoded(corpus).astype(np.uint8).tobytes()).hexdigest()[:16]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CharacterGPT(LanguageTask):
    """Characters of the standard library's text, predicted by a small GPT; made by `char_gpt`.

    `text` is the fingerprint of the corpus that this Python has; the last `test_share` of it is for testing.
    """

    corpus: str = "topics"
    text: str | None = None
    test_share: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("corpus", self.corpus, CORPORA)
        check_values("test_share", self.test_share, Interval(0.0, 1.0, closed_low=False))
        found = fingerprint(self.corpus)
        if self.text not in (None, found):
            raise ValueError(
                f"text: the settings ask for the corpus {self.corpus!r} with fingerprint {self.text}, and that of "
                f"Python {platform.python_version()} has {found}: it varies between versions, so their results "
                "cannot be compared; run the Python that the settings come from, or leave text out to take this one's"
            )
        object.__setattr__(self, "text", found)

    def usual_width(self) -> int:
        return 64

    def vocabulary(self) -> int:
        return len(CHARACTERS)

    def data(self) -> Split:
        """Windows of int64 tokens and the same shifted by one: two arrays of shape (windows, context) each."""
        tokens: Any = encoded(self.corpus)
        cut = len(tokens) - round(self.test_share * len(tokens))
        return Split(*self.windows(tokens[:cut], self.train_tokens), *self.windows(tokens[cut:]))


def char_gpt(
    width: int = 64,
    depth: int = 2,
    *,
    context: int = 32,
    heads: int = 4,
    bias: bool = False,
    scale_invariant: bool = False,
    parametrization: str = "standard",
    base_width: int | None = None,
    corpus: str = "topics",
    text: str | None = None,
    train_tokens: int | None = None,
    test_share: float = 0.1,
) -> CharacterGPT:
    """Characters of Python's own documentation or source, predicted by nanoGPT's architecture.

    Parameters
    ----------
    width, depth, heads, context : of the vectors, blocks, attention heads, tokens per window.
    bias : biases in linear maps and norms.
    scale_invariant : every row of every weight is divided by its norm and there are no gains, so that the function is
        exactly invariant under w → c·w, c > 0, of any parameter.
    parametrization : "standard" (GPT-2's: every weight N(0, 0.02²)) or "mup"; they agree at `base_width` (64).
    corpus : "topics" (`help()`'s texts, 0.46 M characters) or "library" (the source of 77 modules, 4 M characters).
    text : the corpus's fingerprint, from another result's settings; the text varies between Python versions.
    train_tokens : train on the first so many tokens only.
    test_share : the last part of the text, for testing.

    Raises `ValueError` for a setting out of range, and for a `text` that this Python does not have.

    >>> task = char_gpt(context=16, train_tokens=1000)
    >>> task.data().train_inputs.shape, len(task.text)
    ((62, 16), 16)
    """
    return CharacterGPT(
        width=width, depth=depth, context=context, heads=heads, bias=bias, scale_invariant=scale_invariant,
        parametrization=parametrization, base_width=base_width, corpus=corpus, text=text, train_tokens=train_tokens,
        test_share=test_share,
    )  # fmt: skip
