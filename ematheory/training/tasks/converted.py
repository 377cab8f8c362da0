"""Rows of a stored array that are converted when they are taken, so that a large data set stays as small as stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class ConvertedRows:
    """`rows[index]` is `convert(stored[index])`, of `dtype`; `np.asarray(rows)` converts all of them at once.

    `stored` may be mapped from a file. Conversion keeps the shape.

    >>> rows = ConvertedRows(np.arange(6, dtype=np.uint8).reshape(3, 2), lambda taken: taken / 2, np.float64)
    >>> rows[np.array([2, 0])].tolist(), len(rows), rows.shape
    ([[2.0, 2.5], [0.0, 0.5]], 3, (3, 2))
    """

    def __init__(self, stored: Array, convert: Callable[[Array], Array], dtype: npt.DTypeLike) -> None:
        self.stored, self.convert, self.dtype = stored, convert, np.dtype(dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stored.shape

    @property
    def ndim(self) -> int:
        return self.stored.ndim

    def __len__(self) -> int:
        return len(self.stored)

    def __getitem__(self, index: Any) -> Array:
        return self.convert(np.asarray(self.stored[index])).astype(self.dtype, copy=False)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return self[:] if dtype is None else self[:].astype(dtype)
