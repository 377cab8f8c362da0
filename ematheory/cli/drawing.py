"""What the command line draws: the kernel of a run's weight decay, and the published recipes beside the power law."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..published_recipes import Published
    from ..recipes import Recipe

BLOCKS = " ▁▂▃▄▅▆▇█"
WIDTH, HEIGHT = 60, 8
SUFFIXES = (".png", ".svg", ".pdf")


def kernel_text(recipe: Recipe, width: int = WIDTH, height: int = HEIGHT) -> str:
    """Bars for a terminal: each column is a part of the run, as high as its updates' share of the last weight."""
    from ..timescales import kernel_shares

    initial, shares = kernel_shares(recipe, width)
    eighths = np.rint(shares / shares.max() * 8 * height).astype(int)
    rows = ["".join(BLOCKS[int(np.clip(n - 8 * row, 0, 8))] for n in eighths) for row in reversed(range(height))]
    axis = f"{'start':<{width - 3}}end"
    return "\n".join(
        [
            f"share of the last weight made by each 1/{width} of the run, highest {shares.max():.3g}",
            *(f"│{row}" for row in rows),
            f"└{'─' * width}",
            f" {axis}",
            f"initial weight left: {initial:.3g}",
        ]
    )


def kernel_figure(recipe: Recipe, path: Path) -> None:
    """The same as a figure, as a density over the run."""
    from ..timescales import kernel_shares

    bins = 400
    initial, shares = kernel_shares(recipe, bins)

    def draw(axes: Any) -> None:
        axes.stairs(shares * bins, np.arange(bins + 1) / bins, fill=True, alpha=0.35)
        axes.set_xlim(0, 1)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("share of the run")
        axes.set_ylabel("density of the last weight")
        axes.set_title(
            f"What AdamW's last weight averages: η {recipe.lr:g}, λ {recipe.weight_decay:g}, "
            f"{recipe.steps:,.0f} steps; initial weight left {initial:.2g}",
            loc="left",
        )

    save(draw, path)


def recipes_figure(rows: Sequence[tuple[Published, float]], path: Path) -> None:
    """Each recipe's timescale at the peak rate, as a share of the run, over tokens per parameter, and the power law.

    The band is `PowerLaw.run_fraction_interval`: what the error of the law's exponent makes of it.
    """
    from ..power_laws import POWER_LINES

    tokens = np.array([entry.tokens_per_parameter for entry, _ in rows])
    line = np.geomspace(tokens.min() / 1.5, tokens.max() * 1.5, 50)

    def draw(axes: Any) -> None:
        law = f"{POWER_LINES.coefficient}·TPP^{POWER_LINES.exponent} (arXiv 2505.13738)".replace("-", "−")
        axes.plot(line, POWER_LINES.run_fraction(line), color="0.3", lw=1.2, label=law)
        error = f"its exponent ± {POWER_LINES.exponent_error():.2g}, a standard error at most"
        axes.fill_between(line, *POWER_LINES.run_fraction_interval(line), color="0.3", alpha=0.15, lw=0, label=error)
        for source, marker in (("release", "o"), ("paper", "s"), ("memory", "^")):
            chosen = [(entry, value) for entry, value in rows if entry.source == source]
            if chosen:
                points = [(entry.tokens_per_parameter, value) for entry, value in chosen]
                axes.plot(*zip(*points, strict=True), marker, mfc="none", ls="", label=f"published ({source})")
        places = [(entry.name, entry.tokens_per_parameter, value) for entry, value in rows]
        for (name, *place), shift in zip(places, offsets(places), strict=True):
            axes.annotate(name, place, (5, shift), textcoords="offset points", fontsize=6.5)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("tokens per parameter (active ones of a mixture of experts)")
        axes.set_ylabel("timescale at the peak rate, share of the run")
        axes.legend(loc="lower left")

    save(draw, path, size=(9.5, 6.4))


# Of the figure of recipes: points of the page per decade, and a label's height and width per letter.
ACROSS, UP, HIGH, LETTER = 140.0, 130.0, 7.5, 3.8


def offsets(places: Sequence[tuple[str, float, float]]) -> list[float]:
    """How far to shift each label up, in points: the least that keeps it off other labels and marks.

    `places` are the labels with the coordinates of their marks.
    """
    marks = [(np.log10(x) * ACROSS, np.log10(y) * UP) for _, x, y in places]
    taken = [(across - 4, across + 4, up - 2.5) for across, up in marks]
    shifts = []
    for (name, _, _), (across, up) in zip(places, marks, strict=True):
        left, right = across + 5, across + 5 + LETTER * len(name)
        tries = sorted(np.arange(-60.0, 60.0, 1.5), key=lambda shift: abs(shift + 2))
        free = (s for s in tries if all(right < a or b < left or abs(up + s - at) > HIGH for a, b, at in taken))
        shifts.append(next(free, -2.0))
        taken.append((left, right, up + shifts[-1]))
    return shifts


def save(
    draw: Any, path: Path, size: tuple[float, float] = (7.6, 3.6), panels: tuple[int, int] = (1, 1), **shared: Any
) -> None:
    """Draw on one pair of axes, or on rows and columns of them, and write the file, whole or not at all.

    Raises `ValueError` for a kind of file that is not known, a folder that does not exist, a file that cannot be
    written.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"--figure must end in {', '.join(SUFFIXES)}, got {str(path)!r}")
    if not path.parent.is_dir():
        raise ValueError(f"--figure {str(path)!r}: the folder {str(path.parent)!r} does not exist")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    from ..report.figures import STYLE

    with rc_context(STYLE):
        canvas = Figure(figsize=size, layout="constrained", dpi=150)
        draw(canvas.subplots(*panels, **shared))
        drawn = BytesIO()
        kind = path.suffix[1:]
        canvas.savefig(drawn, format=kind, metadata={"Date": None} if kind == "svg" else None)
    try:
        write_whole(path, drawn.getvalue())
    except OSError as error:
        raise ValueError(f"--figure {str(path)!r} cannot be written: {error.strerror}") from None


def write_whole(path: Path, content: bytes) -> None:
    """The content under a name of its own first, so that a file that was there stays until the new one is complete."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
