"""The record of a benchmark as a figure: rates of the contenders, rate against cells, cost against size."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ematheory.report.figures import COLOURS, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_rates(axes: Axes, found: dict[str, Any]) -> None:
    """Bars of the medians, with each measurement as a dot."""
    names = list(found)[::-1]
    colours = [COLOURS[0] if name.startswith("ematheory") else COLOURS[4] for name in names]
    axes.barh(names, [found[name]["rate"] for name in names], color=colours, alpha=0.8)
    for place, name in enumerate(names):
        axes.plot(found[name]["rates"], [place] * len(found[name]["rates"]), "k.", ms=2)
        axes.annotate(f"  {found[name]['rate']:.2g}", (max(found[name]["rates"]), place), va="center", fontsize=7)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.tick_params("y", labelsize=8)
    axes.set_xlabel("particle-steps per second")
    axes.set_title("AdamW on 10⁴ coordinates, each at its best", loc="left")


def draw_cells(axes: Axes, found: dict[str, dict[str, float]]) -> None:
    for colour, (axis, row) in zip(COLOURS, found.items(), strict=False):
        axes.loglog([int(cells) for cells in row], list(row.values()), "o-", ms=3.5, color=colour, label=axis)
    axes.set_xlabel("cells along one axis, the others 1")
    axes.set_ylabel("particle-steps per second")
    axes.set_ylim(bottom=1e6)
    axes.set_title("One thread", loc="left")
    axes.legend()


def draw_cost(axes: Axes, found: dict[str, Any]) -> None:
    """Marks: measured; lines: the fit a + b·n."""
    for colour, (axis, fit) in zip(COLOURS, found.items(), strict=False):
        sizes = np.array(fit["sizes"])
        axes.loglog(sizes / sizes[0], fit["seconds"], "o", ms=3.5, mfc="none", color=colour)
        axes.loglog(
            sizes / sizes[0], fit["start"] + fit["per_unit"] * sizes, color=colour, label=f"{axis}, {sizes[0]} × n"
        )
    axes.set_xlabel("n")
    axes.set_ylabel("seconds of simulate")
    axes.set_title("Cost, and a + b·n", loc="left")
    axes.legend()


def draw(found: dict[str, Any], path: Path) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        canvas = Figure(figsize=(11, 6.4), layout="constrained")
        whole = canvas.add_gridspec(2, 2, width_ratios=(1.5, 1))
        draw_rates(canvas.add_subplot(whole[:, 0]), found["contenders"])
        draw_cells(canvas.add_subplot(whole[0, 1]), found["few_cells"])
        draw_cost(canvas.add_subplot(whole[1, 1]), found["linear_cost"])
        canvas.savefig(path, dpi=130)
