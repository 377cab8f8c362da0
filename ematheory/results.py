"""What `predict`, `simulate` and `train` return in common: the attributes of their Datasets."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from . import __version__
from .records import Record

# The attribute that says what ran a result; left out of equality and of content keys.
RUN = "run"


# The most numbers of an array whose JSON is kept: writing ten thousand takes as long as a short run does.
KEPT = 2**16


def opened(value: Any) -> Any:
    """A record as its type and fields, an array with dims as these and its values; anything else as it is."""
    if isinstance(value, Record):
        return {"type": type(value).__name__, **value.written_values()}
    return {"dims": list(value.dims), "values": value.values} if isinstance(value, xr.DataArray) else value


def plain(value: Any) -> Any:
    """A value as JSON: records by type and fields, arrays as lists with their dims."""
    value = opened(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def text(value: Any) -> str:
    """`plain` as text.

    >>> text({"lr": np.array([0.1, 0.2])}) == json.dumps(plain({"lr": np.array([0.1, 0.2])}))
    True
    """
    value = opened(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(str(key))}: {text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, np.ndarray) and value.dtype == np.float64 and value.size <= KEPT:
        return text_of_numbers(value.tobytes(), value.shape)
    return json.dumps(plain(value))


@lru_cache(maxsize=8)
def text_of_numbers(numbers: bytes, shape: tuple[int, ...]) -> str:
    return json.dumps(np.frombuffer(numbers).reshape(shape).tolist())


def attributes(**settings: Any) -> dict[str, Any]:
    """Everything that can change an answer, as JSON strings and numbers (None is left out)."""
    return {
        name: value if isinstance(value, int | float | str) and not isinstance(value, bool) else text(value)
        for name, value in settings.items()
        if value is not None
    }


def run_attribute(**what: Any) -> dict[str, str]:
    """The one attribute `run`: backend, instruction set, threads, seconds, and the date and versions, as JSON."""
    common = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "ematheory": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    return {RUN: json.dumps({**plain(what), **common})}


def same_result(x: xr.Dataset, y: xr.Dataset) -> bool:
    """Whether two results are equal in every bit of data and in all attributes but `run` (NaN equals NaN)."""
    return x.drop_attrs().identical(y.drop_attrs()) and without_run(x) == without_run(y)


def without_run(result: xr.Dataset) -> dict[str, Any]:
    return {str(name): value for name, value in result.attrs.items() if name != RUN}
