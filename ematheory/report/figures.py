"""Recorded figures drawn: prediction and measurement on one axis, residuals below, as self-contained SVG."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..typing import FloatArray
from .record import Record, array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, which colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    # 0.02 rather than 2 × 10⁻², which takes three times the room.
    "axes.formatter.min_exponent": 4,
    "svg.hashsalt": "ematheory",
}


def svg(figure: Record) -> str:
    """The figure as SVG text; drawn without a display."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        canvas = Figure(figsize=(7.6, 4.6), layout="constrained")
        above, below = canvas.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1)})
        draw_values(above, figure)
        shown = "bars" if figure["places"] else "line"
        canvas.legend(loc="outside right upper", title=f"{shown}: predicted\nmarks: measured", alignment="left")
        draw_residuals(below, figure["curves"])
        below.set_xlabel(figure["x_label"])
        if figure["places"]:
            below.set_xticks(range(len(figure["places"])), figure["places"])
            below.set_xlim(-0.5, len(figure["places"]) - 0.5)
        written = io.StringIO()
        canvas.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def embedded(figure: Record) -> str:
    """The figure as a data URI, so that a page needs no other file."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg(figure).encode()).decode()


def draw_values(axes: Axes, figure: Record) -> None:
    """Each prediction as a line and its measurement as marks in the same colour, with two standard errors."""
    for colour, curve in zip(COLOURS * 9, figure["curves"], strict=False):
        x, predicted, measured = (array(curve[name]) for name in ("x", "predicted", "measured"))
        bars = None if curve["standard_errors"] is None else 2 * array(curve["standard_errors"])
        axes.errorbar(x, measured, bars, fmt="o", ms=3.5, mfc="none", color=colour, lw=0.9)
        style = {"marker": "_", "ms": 16, "ls": "", "mew": 1.4} if figure["places"] else {"lw": 1.4}
        axes.plot(x, predicted, color=colour, label=curve["label"], **style)
    axes.set_xscale("log" if figure["log_x"] else "linear")
    axes.set_yscale("log" if figure["log_y"] else "linear")
    axes.set_ylabel(figure["y_label"])
    axes.set_title(figure["title"], loc="left")


def draw_residuals(axes: Axes, curves: Sequence[Record]) -> None:
    """Measured less predicted, in standard errors where every curve has them, else relative to the prediction."""
    in_errors = all(curve["standard_errors"] is not None for curve in curves)
    for colour, curve in zip(COLOURS * 9, curves, strict=False):
        axes.plot(array(curve["x"]), residuals(curve, in_errors), "o", ms=3.5, mfc="none", color=colour)
    axes.axhline(0.0, color="0.4", lw=0.8)
    if in_errors:
        axes.axhspan(-2, 2, color="0.5", alpha=0.12, lw=0)
    axes.set_ylabel("residual / s.e." if in_errors else "rel. residual")


def residuals(curve: Record, in_errors: bool) -> FloatArray:
    measured, predicted = array(curve["measured"]), array(curve["predicted"])
    scale = array(curve["standard_errors"]) if in_errors else np.abs(predicted)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(measured == predicted, 0.0, (measured - predicted) / scale)
