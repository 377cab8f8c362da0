"""Types that signatures across the package share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

FloatArray: TypeAlias = npt.NDArray[np.float64]
# A hyperparameter as the user writes it: a number, a sweep axis, or an array that names its own dims.
Field: TypeAlias = "float | Sequence[float] | npt.NDArray[Any] | xr.DataArray"
# Whatever an update computes with: NumPy arrays, SymPy expressions, mpmath numbers, torch tensors, traced values.
Value: TypeAlias = Any
