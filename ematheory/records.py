"""Frozen records whose fields may be sweep axes, and the grid that several records span together.

Optimizers and problems are records. A scalar field may be given as a 1-D sequence (a sweep axis named after the
field) or as an `xarray.DataArray`, which names its own dims; fields that share a dim are zipped.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from numbers import Real
from typing import Any, ClassVar, TypeVar

import numpy as np
import xarray as xr

from .typing import FloatArray

Self = TypeVar("Self", bound="Record")

# The dims that belong to a value itself (one per weight; one per member of the pair of betas) and are not sweep axes.
VALUE_DIMS = ("coordinate", "betas")

# The dims that results have beside the sweep axes: what is recorded, `simulate`'s moments, `train`'s runs.
RESULT_DIMS = ("step", "order", "seed")


@dataclasses.dataclass(frozen=True)
class Interval:
    """The values a field may take: from `low` to `high`, each end included or not."""

    low: float = -np.inf
    high: float = np.inf
    closed_low: bool = True
    closed_high: bool = False

    def contains(self, values: FloatArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
        above = values >= self.low if self.closed_low else values > self.low
        below = values <= self.high if self.closed_high else values < self.high
        return np.asarray(above & below)

    def __str__(self) -> str:
        if self == FINITE:
            return "finite"
        low, high = ended(self.low), ended(self.high)
        if self.high == np.inf:
            return f"finite and {'>=' if self.closed_low else '>'} {low}"
        return f"in {'[' if self.closed_low else '('}{low}, {high}{']' if self.closed_high else ')'}"


def ended(end: float) -> str:
    """An interval's end for people: a whole number with all its digits."""
    return f"{end:.0f}" if float(end).is_integer() and abs(end) < 2**53 else f"{end:g}"


FINITE = Interval(closed_low=False)
NON_NEGATIVE = Interval(0.0)
POSITIVE = Interval(0.0, closed_low=False)
UNIT = Interval(0.0, 1.0)


def check_values(name: str, value: Any, allowed: Interval) -> None:
    """Raise `ValueError` naming the first value of `value` outside `allowed` (NaN is outside every interval)."""
    values = np.atleast_1d(np.asarray(value, dtype=np.float64))
    wrong = ~(np.isfinite(values) & allowed.contains(values))
    if wrong.any():
        position = "" if values.size == 1 else f"[{', '.join(map(str, np.argwhere(wrong)[0]))}]"
        raise ValueError(f"{name}{position} must be {allowed}, got {values[wrong][0]}")


def check_choice(name: str, value: str, allowed: Iterable[str], also: Iterable[str] = ()) -> None:
    """Raise `ValueError` listing the allowed words, and the one that was probably meant, when `value` is none of them.

    `also` are other words for them, which are not listed but may have been meant.

    >>> check_choice("colour", "gren", ("red", "green"))
    Traceback (most recent call last):
    ValueError: colour must be one of 'red', 'green', got 'gren'; did you mean 'green'?
    """
    known = tuple(allowed)
    if value not in known:
        listed = ", ".join(map(repr, known))
        raise ValueError(f"{name} must be one of {listed}, got {value!r}{probably_meant(value, (*known, *also))}")


def check_flag(name: str, value: Any) -> None:
    """Raise `TypeError` for what is neither True nor False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")


def probably_meant(value: object, known: Iterable[str]) -> str:
    """``; did you mean 'green'?`` where one of the known words is close to `value`, whatever its case; else nothing."""
    if not isinstance(value, str):
        return ""
    words = {word.lower(): word for word in known}
    near = get_close_matches(value.lower(), list(words), n=1)
    return f"; did you mean {words[near[0]]!r}?" if near else ""


ORDER = "; the problem comes first, then the optimizer"


def check_kind(name: str, value: Any, kind: type[Any], example: str, hint: str = ORDER) -> None:
    """Raise `TypeError` when `value` is not a `kind`, as when the arguments of a verb are swapped."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be one such as {example}, got {value!r}{hint}")


def check_number(name: str, value: Any, allowed: Interval) -> float:
    """One number as a float. Raises `TypeError` for what is none, `ValueError` for one outside `allowed`."""
    scalar = getattr(value, "shape", None) == () and np.asarray(value).dtype.kind in "iuf"
    if isinstance(value, bool) or not (scalar or isinstance(value, Real)):
        raise TypeError(f"{name} must be one number, got {value!r}")
    check_values(name, value, allowed)
    return float(value)


def check_whole(name: str, value: Any, allowed: Interval) -> int:
    """A whole number as an int. Raises `TypeError` for what is none, `ValueError` for one outside `allowed`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if not allowed.contains(np.asarray(value, dtype=np.float64)):
        raise ValueError(f"{name} must be {allowed}, got {value}")
    return int(value)


def as_number_array(name: str, value: Any) -> FloatArray:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError):
        # Ragged lists, and tensors that NumPy cannot read.
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be a number, a 1-D sequence of numbers or an xarray.DataArray, got {value!r}")
    return array.astype(np.float64)


def as_field(name: str, value: Any, allowed: Interval) -> float | xr.DataArray:
    """A scalar field in its one form: a float, or a DataArray whose dims are sweep axes.

    Raises `TypeError` for what is not a number and `ValueError` for an empty axis, more than one dimension without
    names, an axis with the same coordinate twice or with a name that results need, or a value outside `allowed`.
    """
    if isinstance(value, xr.DataArray):
        for dim in VALUE_DIMS:
            if dim in value.dims:
                raise ValueError(f"{name} is one number for all weights: it cannot have the dim {dim!r}")
    return swept(name, value, allowed)


def swept(name: str, value: Any, allowed: Interval) -> float | xr.DataArray:
    """`as_field` without a word on the dims that belong to a value."""
    if isinstance(value, xr.DataArray):
        field = value.copy(data=as_number_array(name, value.values))
        for dim in field.dims:
            if dim not in field.coords:
                field = field.assign_coords({dim: np.arange(field.sizes[dim])})
    else:
        array = as_number_array(name, value)
        if array.ndim == 0:
            check_values(name, array, allowed)
            return float(array)
        if array.ndim > 1:
            raise ValueError(
                f"{name} has {array.ndim} dimensions without names; give a 1-D sequence (a sweep axis named "
                f"{name!r}) or an xarray.DataArray, which names its dims"
            )
        field = xr.DataArray(array, dims=(name,), coords={name: array})
    if field.size == 0:
        raise ValueError(f"{name}: a sweep axis needs at least one value, got none")
    check_values(name, field.values, allowed)
    for dim in map(str, field.dims):
        if dim not in VALUE_DIMS:
            check_axis(name, dim, np.asarray(field[dim].values))
    return float(field) if field.ndim == 0 else field


def check_axis(name: str, dim: str, values: np.ndarray[Any, Any]) -> None:
    """Raise `ValueError` for a sweep axis that a result cannot have, or whose points cannot be told apart."""
    if dim in RESULT_DIMS or hasattr(xr.Dataset, dim):
        taken = ", ".join(map(repr, RESULT_DIMS))
        raise ValueError(
            f"{name}: a sweep axis cannot be called {dim!r}, which results need for themselves (as they do {taken} and "
            "the attributes of an xarray.Dataset); give the DataArray another dim"
        )
    if values.dtype.kind == "f" and np.isnan(values).any():
        raise ValueError(f"{name}: the coordinates of the sweep axis {dim!r} must not be NaN, got {values}")
    distinct, counts = np.unique(values, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"{name}: the sweep axis {dim!r} has {distinct[counts > 1][0]!s} twice; give each point once, or a "
            "DataArray with coordinates of its own"
        )


def as_vector(name: str, value: Any, allowed: Interval) -> float | xr.DataArray:
    """A vector field (one value per weight) in its one form: a float, or a DataArray with the dim `coordinate`.

    A DataArray may have further dims, which are sweep axes; one without `coordinate` is the same for every weight.
    Raises as `as_field` does.
    """
    if not isinstance(value, xr.DataArray):
        array = as_number_array(name, value)
        if array.ndim == 0:
            check_values(name, array, allowed)
            return float(array)
        if array.ndim > 1:
            raise ValueError(f"{name} must be a number or one number per coordinate, got shape {array.shape}")
        if array.size == 0:
            raise ValueError(f"{name} needs at least one coordinate, got none")
        check_values(name, array, allowed)
        return xr.DataArray(array, dims=("coordinate",))
    return swept(name, value.drop_vars("coordinate", errors="ignore"), allowed)


class Record:
    """Base of the nouns: equality by value, and copies with fields replaced unchecked."""

    # Fields that repeat others, which `repr` leaves out.
    repeated: ClassVar[tuple[str, ...]] = ()
    # Fields that are left out of what is written of a record while they have these values: those that records got
    # after results with them were kept.
    implied: ClassVar[Mapping[str, Any]] = {}
    # Whether a field may be an array of its own, one value per weight, beside numbers, words and sweep axes.
    has_vectors: ClassVar[bool] = True

    def substituted(self: Self, **values: Any) -> Self:
        """A copy with fields set as given, unchecked: for SymPy symbols and for flattened arrays."""
        twin = copy.copy(self)
        for name, value in values.items():
            object.__setattr__(twin, name, value)
        return twin

    def field_values(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def written_values(self) -> dict[str, Any]:
        """The fields without those that have their implied values."""
        implied = self.implied
        return {k: v for k, v in self.field_values().items() if k not in implied or not equal_values(v, implied[k])}

    def __repr__(self) -> str:
        shown = (
            f"{name}={short(value)}"
            for name, value in self.written_values().items()
            if value is not None and name not in self.repeated
        )
        return f"{type(self).__name__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        mine, theirs = self.field_values(), vars(other)
        return all(equal_values(value, theirs[name]) for name, value in mine.items())

    def __hash__(self) -> int:
        return hash((type(self), *map(hashable, self.field_values().values())))


def short(value: Any) -> str:
    """A field's value in one line: arrays as lists, long ones abridged."""
    if isinstance(value, xr.DataArray | np.ndarray):
        text = np.array2string(np.asarray(value), separator=", ", threshold=8, edgeitems=2)
        return " ".join(text.split())
    if isinstance(value, tuple):
        return f"({', '.join(map(short, value))})"
    return repr(value)


def hashable(value: Any) -> Any:
    """Something hashable that is the same for equal values (−0.0 equals 0.0, a NumPy integer an int)."""
    if isinstance(value, xr.DataArray):
        return value.dims, (value.values + 0.0).tobytes()
    if isinstance(value, np.ndarray):
        return value.shape, (value + 0.0).tobytes() if value.dtype.kind in "iuf" else ()
    return tuple(map(hashable, value)) if isinstance(value, tuple | list) else value


def equal_values(x: Any, y: Any) -> bool:
    if isinstance(x, xr.DataArray) or isinstance(y, xr.DataArray):
        return isinstance(x, xr.DataArray) and x.identical(y)
    if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
        return type(x) is type(y) and np.array_equal(x, y)
    if isinstance(x, tuple) and isinstance(y, tuple):
        return len(x) == len(y) and all(map(equal_values, x, y))
    return bool(x == y)


@dataclasses.dataclass(frozen=True)
class Grid:
    """The points spanned by the sweep axes of some records: dims in the order met, C order when flattened."""

    coords: Mapping[str, FloatArray]

    @property
    def dims(self) -> tuple[str, ...]:
        return tuple(self.coords)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(values) for values in self.coords.values())

    @property
    def points(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def flat(self, value: float | xr.DataArray) -> FloatArray:
        """The field's value at every point: shape (points,), or (points, d) for one with a `coordinate` dim."""
        if not isinstance(value, xr.DataArray):
            return np.full(self.points, float(value))
        own = tuple(dim for dim in VALUE_DIMS if dim in value.dims)
        missing = {dim: size for dim, size in zip(self.dims, self.shape, strict=True) if dim not in value.dims}
        full = value.expand_dims(missing).transpose(*self.dims, *own)
        return np.ascontiguousarray(full.values.reshape(self.points, *(value.sizes[dim] for dim in own)))

    def dataset(self, variables: Mapping[str, tuple[tuple[str, ...], Any]], **coords: Any) -> xr.Dataset:
        """A Dataset from arrays whose first dimension is the flattened grid.

        `variables` maps a name to (further dims, array of shape (points, …)).
        """
        unfolded = {
            name: (self.dims + dims, np.asarray(array).reshape(self.shape + np.shape(array)[1:]))
            for name, (dims, array) in variables.items()
        }
        return xr.Dataset(unfolded, coords={**self.coords, **coords})


def grid(*records: Record) -> Grid:
    """The grid that the records' sweep axes span.

    Raises `ValueError` when two fields disagree on a shared dim, or an axis has the name of an observable, and
    `TypeError` for a list that its record has not made a sweep axis of.
    """
    coords: dict[str, FloatArray] = {}
    observables = {name for record in records for name in getattr(record, "observables", ())}
    for record in records:
        for name, value in record.field_values().items():
            if not isinstance(value, xr.DataArray):
                check_made(record, name, value)
                continue
            for dim in map(str, value.dims):
                if dim in VALUE_DIMS:
                    continue
                if dim in observables:
                    raise ValueError(
                        f"{type(record).__name__}.{name}: a sweep axis cannot be called {dim!r}, as an observable is"
                    )
                values = np.asarray(value[dim].values)
                if not np.array_equal(coords.setdefault(dim, values), values):
                    raise ValueError(
                        f"{type(record).__name__}.{name} has other coordinates on the shared dim {dim!r} "
                        f"than another field: {values} against {coords[dim]}"
                    )
    return Grid(coords)


def check_made(record: Record, name: str, value: Any) -> None:
    """Raise `TypeError` where a record keeps several numbers as they were given: they would be no axis."""
    if record.has_vectors or name in record.repeated or not isinstance(value, list | np.ndarray) or not np.ndim(value):
        return
    kind = type(record).__name__
    raise TypeError(
        f"{kind}.{name} must be one number or a sweep axis (an xarray.DataArray), got {' '.join(repr(value).split())}; "
        f"in {kind}.__post_init__, object.__setattr__(self, {name!r}, as_field({name!r}, self.{name}, NON_NEGATIVE)) "
        "makes an axis of it (from ematheory.records import NON_NEGATIVE, as_field)"
    )


def flattened(record: Self, over: Grid) -> Self:
    """The record with every numeric field as an array over the grid's points, shape (points, 1) or (points, d)."""
    columns: dict[str, Any] = {}
    for name, value in record.field_values().items():
        if isinstance(value, float | xr.DataArray):
            array = over.flat(value)
            columns[name] = array if array.ndim == 2 else array[:, None]
    return record.substituted(**columns)
