"""Where a formula holds: measured beside predicted over two parameters, with bands of 1, 5 and 20 %."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..typing import FloatArray
from .figures import STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BANDS = (0.01, 0.05, 0.2)
BAND_NAMES = ("< 1 %", "< 5 %", "< 20 %", "≥ 20 %")
# From light to dark, so that it reads in grey too.
BAND_COLOURS = ("#f7fbff", "#c6dbef", "#6baed6", "#08519c")
LARGEST = 999.0


@dataclass(frozen=True)
class Row:
    """One setting: measured values with standard errors, and predictions by name, each of shape (y, x).

    The first prediction is shown beside the measurement, and the ratio to each of them.
    """

    label: str
    measured: FloatArray
    errors: FloatArray
    predicted: Mapping[str, FloatArray]


@dataclass(frozen=True)
class RegimeMap:
    """Rows of panels over the same two axes; `quantity` is what is measured, with its unit."""

    title: str
    quantity: str
    x_label: str
    y_label: str
    x: Sequence[float]
    y: Sequence[float]
    rows: Sequence[Row]


def band_of(ratio: FloatArray) -> FloatArray:
    """0 where measured over predicted is within 1 % of 1, then 1 and 2, and 3 from 20 % on or where it is no number.

    >>> band_of(np.array([1.005, 0.97, 1.1, 1.25, np.nan])).tolist()
    [0, 1, 2, 3, 3]
    """
    off = np.abs(ratio - 1)
    return np.asarray(np.where(np.isfinite(off), np.searchsorted(BANDS, off, side="right"), len(BANDS)))


def percent(ratio: float) -> str:
    """How far measured is from predicted, in per cent; above `LARGEST` as a factor.

    >>> percent(1.0149), percent(0.5), percent(40.0)
    ('+1.5', '−50', '40×')
    """
    off = 100 * (ratio - 1)
    if not abs(off) < LARGEST:
        return f"{ratio:.2g}×"
    return f"{off:+.{1 if abs(off) < 9.95 else 0}f}".replace("-", "−")


def draw_values(axes: Axes, values: FloatArray, limits: tuple[float, float]) -> Any:
    from matplotlib.colors import LogNorm

    image = axes.imshow(values, origin="lower", aspect="auto", cmap="viridis", norm=LogNorm(*limits))
    middle = np.sqrt(limits[0] * limits[1])
    write_in(axes, values, lambda value: f"{value:.3g}", lambda value: "black" if value > middle else "white")
    return image


def draw_ratio(axes: Axes, ratio: FloatArray) -> Any:
    from matplotlib.colors import ListedColormap

    bands = band_of(ratio)
    image = axes.imshow(bands, origin="lower", aspect="auto", cmap=ListedColormap(BAND_COLOURS), vmin=-0.5, vmax=3.5)
    write_in(axes, ratio, percent, lambda value: "white" if band_of(np.array(value)) == 3 else "black")
    return image


def write_in(axes: Axes, values: FloatArray, words: Any, colour: Any) -> None:
    """Each value as text in its cell."""
    for (row, column), value in np.ndenumerate(values):
        axes.text(column, row, words(value), color=colour(value), ha="center", va="center", fontsize=6.5)


def label(axes: Axes, over: RegimeMap, is_first: bool, is_last: bool) -> None:
    """Ticks at every cell; words only along the outer edges."""
    axes.grid(False)
    axes.set_xticks(range(len(over.x)), [f"{value:.3g}" for value in over.x], rotation=45)
    axes.set_yticks(range(len(over.y)), [f"{value:.3g}" for value in over.y])
    axes.tick_params(labelleft=is_first, labelbottom=is_last)
    if is_last:
        axes.set_xlabel(over.x_label)
    if is_first:
        axes.set_ylabel(over.y_label)


def draw_row(panels: Sequence[Axes], row: Row, limits: tuple[float, float]) -> tuple[Any, Any]:
    """Measured, predicted, and measured over each prediction; the two images that the colour bars are for."""
    first = next(iter(row.predicted))
    values = draw_values(panels[0], row.measured, limits)
    draw_values(panels[1], row.predicted[first], limits)
    panels[0].set_title(f"{row.label}\nmeasured", loc="left", fontsize=8.5)
    panels[1].set_title(f"predicted: {first}", loc="left", fontsize=8.5)
    ratios = None
    for axes, (name, predicted) in zip(panels[2:], row.predicted.items(), strict=True):
        ratios = draw_ratio(axes, row.measured / predicted)
        axes.set_title(f"measured over {name}, − 1 in %", loc="left", fontsize=8.5)
    return values, ratios


def draw(over: RegimeMap, path: Path) -> None:
    """Write the map as a PNG."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    count = 2 + max(len(row.predicted) for row in over.rows)
    shown = [grid for row in over.rows for grid in (row.measured, next(iter(row.predicted.values())))]
    limits = (min(float(np.nanmin(grid)) for grid in shown), max(float(np.nanmax(grid)) for grid in shown))
    largest = max(float(np.nanmax(row.errors / np.abs(row.measured))) for row in over.rows)
    with rc_context(STYLE):
        canvas = Figure(figsize=(3.3 * count + 1, 2.6 * len(over.rows) + 0.9), layout="constrained")
        panels = canvas.subplots(len(over.rows), count, squeeze=False)
        for place, (line, row) in enumerate(zip(panels, over.rows, strict=True)):
            values, ratios = draw_row(line, row, limits)
            for number, axes in enumerate(line):
                label(axes, over, number == 0, place == len(over.rows) - 1)
        canvas.colorbar(values, ax=list(panels[:, :2].flat), label=over.quantity, location="bottom", fraction=0.05)
        bands = canvas.colorbar(
            ratios, ax=list(panels[:, 2:].flat), location="bottom", fraction=0.05, label="measured off predicted by"
        )
        bands.set_ticks(range(4), labels=BAND_NAMES)
        canvas.suptitle(f"{over.title} (standard errors ≤ {largest:.1g} of the value)", fontsize=11)
        canvas.savefig(path, dpi=110)


def record(over: RegimeMap) -> dict[str, Any]:
    """The map's numbers as JSON-ready data."""
    rows = [
        {
            "label": row.label,
            "measured": row.measured.tolist(),
            "standard_errors": row.errors.tolist(),
            "predicted": {name: grid.tolist() for name, grid in row.predicted.items()},
        }
        for row in over.rows
    ]
    words = {name: getattr(over, name) for name in ("title", "quantity", "x_label", "y_label")}
    return {**words, "x": list(map(float, over.x)), "y": list(map(float, over.y)), "rows": rows}
