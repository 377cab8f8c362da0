"""Results as the command line prints them: JSON for programs, and a table of measurement beside prediction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr
    from rich.table import Table

# More rows than this say less than --json does.
ROWS = 200


def refuse_long(size: int) -> None:
    """Raise `ValueError` for a table that nobody would read."""
    if size > ROWS:
        raise ValueError(f"a table of {size} rows says little; record less often with --every, or use --json")


def as_json(result: xr.Dataset) -> dict[str, Any]:
    """Coordinates, observables (each with its dims, undefined numbers as null) and attributes."""
    return {
        "coords": {str(name): nulls_for_undefined(values.values.tolist()) for name, values in result.coords.items()},
        "observables": {
            str(name): {"dims": list(map(str, values.dims)), "values": nulls_for_undefined(values.values.tolist())}
            for name, values in result.data_vars.items()
            if not str(name).endswith("_central_sums")
        },
        "attrs": dict(result.attrs),
    }


def nulls_for_undefined(value: Any) -> Any:
    """Nested lists with null for what JSON lacks: NaN and infinities."""
    if isinstance(value, list):
        return [nulls_for_undefined(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(title: str, measured: xr.Dataset, predicted: xr.Dataset | None, names: Sequence[str]) -> Table:
    """One row per observable and place in the result: measured, its standard error, predicted, z."""
    from rich import box
    from rich.table import Table

    axes = [str(dim) for dim in measured[list(names)].dims]
    made = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    columns = ["measured", "± s.e.", *(["predicted", "z"] if predicted is not None else [])]
    for heading in (*axes, "observable", *columns):
        made.add_column(heading, justify="left" if heading == "observable" else "right")
    for name in names:
        for place in places(measured[name]):
            made.add_row(*(f"{place[axis]:g}" if axis in place else "" for axis in axes), name, *cells(
                measured, predicted, name, place
            ))  # fmt: skip
    return made


def print_whole(made: Table) -> None:
    """Print a table as wide as it is: a name that is cut off says nothing, while wrapped lines can be read."""
    from rich.console import Console

    needed = Console(width=1000).measure(made).maximum
    Console(width=max(needed, Console().width)).print(made)


def places(values: xr.DataArray) -> Iterator[dict[str, float]]:
    """The coordinates of every element, in order."""
    import numpy as np

    for index in np.ndindex(*values.shape):
        yield {str(dim): float(values[dim].values[i]) for dim, i in zip(values.dims, index, strict=True)}


def cells(measured: xr.Dataset, predicted: xr.Dataset | None, name: str, place: dict[str, float]) -> list[str]:
    value = float(measured[name].sel(place))
    # Counts have no standard error.
    error = float(measured[f"{name}_sem"].sel(place)) if f"{name}_sem" in measured else math.nan
    shown = [f"{value:.6g}", "" if f"{name}_sem" not in measured else f"{error:.2g}"]
    if predicted is None:
        return shown
    # A prediction of the whole vector says nothing of a group.
    if name not in predicted or set(predicted[name].dims) != set(place):
        return [*shown, "", ""]
    expected = float(predicted[name].sel(place))
    z = f"{(value - expected) / error:+.2f}" if error > 0 else "" if value != expected else "+0.00"
    return [*shown, f"{expected:.6g}", z]
