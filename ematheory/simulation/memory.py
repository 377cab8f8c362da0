"""How much memory a simulation takes, known before it starts, and a refusal of one that does not fit."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from .autocovariance import kept_at_once, sources
from .backends import Backend, is_separable
from .blocks import COEFFICIENTS, SNAPSHOTS, Layout
from .distributions import TRAJECTORY
from .observables import COORDINATES, GROUPED, TEMPORARY, WEIGHT, buffers_of, samples_of
from .specification import Specification
from .starting import PER_NORMAL

MEMORY_INFORMATION = Path("/proc/meminfo")
FLOAT = np.dtype(np.float64).itemsize
# Moments are a mean and three central sums.
MOMENTS = 4
# How many copies there are at the peak: of a result while it is joined and turned, and of a block's arrays. They are
# upper bounds, which the tests hold against what runs of every kind allocate.
RESULT_COPIES, REPLICA_COPIES, BLOCK_COPIES, COEFFICIENT_COPIES, TEMPORARIES = 4, 3, 3, 6, 8

# What to ask less of, by the part that is largest.
ADVICE = {
    "moments": "record fewer steps, leave out observables per coordinate, or cut the sweep into several calls",
    "quantiles": "record fewer steps or run fewer replicas: quantiles keep every replica's value",
    "histogram": "record fewer steps, or give fewer edges",
    TRAJECTORY: "record fewer steps or choose fewer trajectories",
    "block": "use fewer coordinates, or fewer lags between far records: one point's 64 replicas are held together",
}


def estimate(asked: Specification, engine: Backend, cut: Layout, is_kept: bool = False) -> dict[str, int]:
    """The bytes at the peak, by part; an upper bound that is seldom more than a few times what is taken.

    A run that is kept in a checkpoint holds a copy of its block's state and, while it writes, one of what it found.
    """
    points, records, replicas = asked.result_grid.points, len(asked.record), len(asked.replicas)
    levels = math.ceil(replicas / cut.replicas).bit_length() if replicas > cut.replicas else 0
    copies = RESULT_COPIES + is_kept + levels * min(cut.points, asked.grid.points) / asked.grid.points
    own = samples_of(asked.observables)
    per_place = sum(asked.problem.coordinates if name in COORDINATES else groups_of(asked, name) for name in own)
    scalars = sum(groups_of(asked, name) for name in own if name not in COORDINATES)
    arrivals = sum(groups_of(asked, name) for name in asked.first_passage)
    by_replica = records * scalars * bool(asked.quantiles) + 3 * arrivals
    tables = groups_of(asked, WEIGHT) * len(asked.lags) ** 2
    counts = sum((len(edges) + 2) * groups_of(asked, name) for name, edges in asked.histogram.items())
    chosen = len(asked.trajectories) * asked.problem.coordinates
    parts = {
        "moments": copies * FLOAT * MOMENTS * points * records * (per_place + pairs_of(asked) + tables),
        "quantiles": (REPLICA_COPIES + is_kept) * FLOAT * points * replicas * by_replica,
        "histogram": copies * FLOAT * points * records * counts,
        TRAJECTORY: (RESULT_COPIES + is_kept) * FLOAT * points * records * chosen,
        "block": block_bytes(asked, engine, cut, is_kept),
    }
    return {name: math.ceil(size) for name, size in parts.items()}


def groups_of(asked: Specification, sample: str) -> int:
    """How many numbers a sample has of each replica: one, or one per group."""
    return max(len(asked.groups), 1) if sample in (*GROUPED, WEIGHT) else 1


def block_bytes(asked: Specification, engine: Backend, cut: Layout, is_kept: bool) -> int:
    """A block's state, copies, kept weights, coefficients, normals, and what is made of them on the way."""
    rows = min(cut.points, asked.grid.points) * min(cut.replicas, len(asked.replicas))
    cells, drawn = rows * asked.problem.coordinates, rows * asked.problem.normals_per_step
    size = np.dtype(asked.dtype).itemsize
    state = (len(asked.optimizer.State._fields) + len(asked.averages.values) + asked.drifts) * cells
    copied = len(set(asked.record.tolist()) | set(sources(asked.record, asked.lags)))
    # Each copy is of the weights, or of their averages.
    cells *= asked.copies
    per_call = 2 if buffers_of(asked.measured) else max(2, SNAPSHOTS // cells)
    copies = min(2 * copied, per_call) * cells
    kept = kept_at_once(sources(asked.record, asked.lags)) * cells + copies * bool(asked.lags)
    per_step = len(asked.optimizer.Coefficients._fields) + 2 * len(asked.averages.values)
    coefficients = min(COEFFICIENTS, cut.points * asked.steps * per_step)
    # The reference makes arrays of a block's size for every operation of a step; engines of machine code do not.
    working = 12 * (state + drawn) if engine.name == "reference" else 0
    # The starting weights' normals are drawn piece by piece, at least one replica's.
    piece = max(cut.points * asked.problem.coordinates, min(TEMPORARY // PER_NORMAL, cells))
    drawing = PER_NORMAL * piece // 4 if np.any(np.asarray(asked.problem.init_std)) else 0
    of_state = (BLOCK_COPIES + is_kept) * state + (1 + is_kept) * kept
    held = size * (of_state + BLOCK_COPIES * copies + COEFFICIENT_COPIES * coefficients + working)
    measured = max(groups_of(asked, name) for name in (*asked.measured, *asked.histogram))
    values = copies // asked.problem.coordinates * (measured + pairs_of(asked))
    made = min(TEMPORARY, copies) + values + largest_piece(asked, cut) + drawing
    return held + FLOAT * TEMPORARIES * made + scratch_bytes(asked, engine)


def scratch_bytes(asked: Specification, engine: Backend) -> int:
    """What the native engine holds of whole vectors, one a thread: normals of four steps, counters, noise of one."""
    if engine.name != "cpu" or (is_separable(asked.problem, asked.optimizer) and not asked.step_options):
        return 0
    return engine.threads * asked.problem.normals_per_step * (4 * 4 + 3 * 4 + np.dtype(asked.dtype).itemsize)


def pairs_of(asked: Specification) -> int:
    """How many numbers each replica has of its lags: one of each, and one of each two, of each group."""
    return groups_of(asked, WEIGHT) * len(asked.lags) * (len(asked.lags) + 1) // 2


def largest_piece(asked: Specification, cut: Layout) -> int:
    """The numbers of the smallest pieces that a measurement can be cut into: a record's, of one replica or leaf."""
    d = asked.problem.coordinates
    points = cut.points * asked.copies
    return max(points * d, 64 * d if asked.lags else 0, 64 * points)


def available() -> int:
    """The bytes that this machine can give: what Linux calls available, elsewhere all of its memory."""
    if MEMORY_INFORMATION.exists():
        for line in MEMORY_INFORMATION.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_fits(parts: dict[str, int], limit: float | None) -> int:
    """The whole estimate. Raises `ValueError` with the figures, and what to ask less of, where it is over the limit."""
    needed, most = sum(parts.values()), available() if limit is None else limit
    if needed > most:
        figures = ", ".join(f"{name} {size / 1e9:.3g}" for name, size in parts.items() if size)
        largest = max(parts, key=lambda name: parts[name])
        allowed = "are available" if limit is None else "memory_limit allows"
        raise ValueError(
            f"this run would take about {needed / 1e9:.3g} GB of memory ({figures}), more than the {most / 1e9:.3g} GB "
            f"that {allowed}; {ADVICE[largest]}, or give a larger memory_limit= in bytes"
        )
    return needed
