"""The figure of a tracked run: timescale, initial weights left, norm and rotation, measured beside expected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

    from ..typing import FloatArray

# Each panel: the quantity, its axis, and whether it is drawn on a logarithmic scale.
PANELS = (
    ("timescale_steps", "timescale, steps", True),
    ("initial_weight_left", "share of the initial weights left", False),
    ("weight_norm", "weight norm", True),
    ("rotation", "rotation, radians per step", True),
)
# More curves than colours cannot be told apart.
MOST = 7
# A logarithmic axis spans at most this factor.
MOST_SPANNED = 1e4


def tracked_figure(result: xr.Dataset, chosen: Sequence[str], path: Path) -> None:
    """Draw the groups or parameters named in `chosen` to a file.

    Marks are measured; lines are expected from the start of the run, dashes where it would come to rest.
    """
    from .drawing import save

    def draw(axes: Any) -> None:
        for panel, (name, label, logarithmic) in zip(axes.flat, PANELS, strict=True):
            draw_panel(panel, result, chosen, name, logarithmic)
            panel.set_ylabel(label)
        for panel in axes[-1]:
            panel.set_xlabel("step")
        axes.flat[0].figure.suptitle(title(result), x=0.01, ha="left", fontsize=10)
        legend(axes.flat[0].figure, chosen)

    save(draw, path, size=(9.5, 6.2), panels=(2, 2), sharex=True)


def title(result: xr.Dataset) -> str:
    run = f" of {int(result.attrs['steps']):,} planned" if "steps" in result.attrs else ""
    return f"{result.attrs['optimizer']}, {int(result.step[-1]):,} steps{run}"


def draw_panel(panel: Any, result: xr.Dataset, chosen: Sequence[str], name: str, logarithmic: bool) -> None:
    from ..report.figures import COLOURS

    steps = result.step.values
    for colour, member in zip(COLOURS, chosen, strict=False):
        lines, marks, errors, rest = curves(result, member, name)
        draw_curve(panel, steps, lines, color=colour, lw=1.4)
        draw_curve(panel, steps, rest, color=colour, lw=1.0, ls=(0, (4, 3)))
        if np.isfinite(marks).any():
            panel.errorbar(steps, marks, errors, fmt="o", ms=3.0, mfc="none", color=colour, lw=0.8)
    if name == "timescale_steps" and "steps" in result.attrs:
        panel.axhline(result.attrs["steps"], color="0.4", lw=0.8)
        panel.annotate("the run", (0.99, result.attrs["steps"]), xycoords=("axes fraction", "data"), fontsize=7,
                       ha="right", va="bottom", color="0.4")  # fmt: skip
    if logarithmic:
        set_logarithmic(panel, result, chosen, name)
    else:
        panel.set_ylim(bottom=min(0.0, panel.get_ylim()[0]))


def draw_curve(panel: Any, steps: FloatArray, values: FloatArray, **style: Any) -> None:
    shown = np.where(np.isfinite(values), values, np.nan)
    if not np.isnan(shown).all():
        panel.plot(steps, shown, **style)


def set_logarithmic(panel: Any, result: xr.Dataset, chosen: Sequence[str], name: str) -> None:
    """A logarithmic axis over what is measured and expected; a rate that ends at 0 must not stretch it."""
    shown = np.concatenate([part for member in chosen for part in curves(result, member, name)[:2]])
    shown = shown[np.isfinite(shown) & (shown > 0)]
    if not len(shown):
        return
    panel.set_yscale("log")
    longest = name == "timescale_steps"
    low = shown.min() if longest else max(shown.min(), shown.max() / MOST_SPANNED)
    high = min(shown.max(), shown.min() * MOST_SPANNED) if longest else shown.max()
    panel.set_ylim(low / 1.5, max(high, result.attrs.get("steps", 0) if longest else 0) * 1.5)


def curves(result: xr.Dataset, member: str, name: str) -> tuple[FloatArray, FloatArray, Any, FloatArray]:
    """What is expected, measured (with two standard errors) and at rest, of one group or parameter."""
    nothing = np.full(result.sizes["step"], np.nan)
    if name == "timescale_steps":
        return of(result, member, name), nothing, None, nothing
    if name == "initial_weight_left":
        sem = of(result, member, f"{name}_measured_sem")
        return of(result, member, name), of(result, member, f"{name}_measured"), 2 * sem, nothing
    return (
        of(result, member, f"{name}_predicted"),
        of(result, member, name),
        None,
        of(result, member, f"{name}_equilibrium"),
    )


def of(result: xr.Dataset, member: str, name: str) -> FloatArray:
    """A quantity of a group, or of a parameter under its name there."""
    from ..training.tracking.series import parameter_name

    grouped = member in result.group.values
    values = result[name if grouped else parameter_name(name)]
    return np.asarray(values.sel({"group" if grouped else "parameter": member}).values, dtype=np.float64)


def legend(canvas: Any, chosen: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    from ..report.figures import COLOURS

    members = [Line2D([], [], color=colour, label=name) for colour, name in zip(COLOURS, chosen, strict=False)]
    kinds = [
        Line2D([], [], color="0.3", marker="o", mfc="none", ls="", ms=4, label="measured"),
        Line2D([], [], color="0.3", lw=1.4, label="expected"),
        Line2D([], [], color="0.3", lw=1.0, ls=(0, (4, 3)), label="at rest"),
    ]
    canvas.legend(handles=[*members, *kinds], loc="outside right upper")
