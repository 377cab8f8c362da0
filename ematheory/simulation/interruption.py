"""The Dataset of a run that was interrupted: what is known, NaN elsewhere, and over how many replicas it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from ..typing import FloatArray
from .distributions import PASSAGE, Arrays
from .journal import Journal, Share
from .nodes import Values, points_first
from .observables import GROUPED
from .specification import Specification
from .statistics import arrays_of, coordinates_of, on_grid

# The attribute that says so.
INTERRUPTED = "interrupted"
# Of every point and record, the number of replicas that its statistics are over.
REPLICAS_DONE = "replicas_done"


def shares_of(asked: Specification, journal: Journal) -> list[Share]:
    """What is known of every block of points of which anything is."""
    whole = [Share(points, asked.replicas, found) for points, found in journal.done.items()]
    return whole + journal.in_progress(asked.replicas)


def dataset_so_far(asked: Specification, shares: Sequence[Share]) -> xr.Dataset:
    """As `statistics.dataset`, of one share or more of what was asked for."""
    points = asked.result_grid.points
    done = np.zeros((points, len(asked.record)), dtype=np.int64)
    coords = coordinates_of(asked)
    sizes = {name: len(values) for name, values in coords.items()}
    filled: Arrays = {}
    for share in shares:
        done[measured_of(asked, share), : share.records] = len(share.replicas)
        for name, (dims, values) in arrays_of_share(asked, share).items():
            shape = (points, *(sizes[dim] for dim in dims))
            # Of histograms nothing is counted yet.
            nothing = 0 if values.dtype.kind == "i" else np.nan
            into = filled.setdefault(name, (dims, np.full(shape, nothing, dtype=values.dtype)))[1]
            put(asked, share, values, into)
    return on_grid(asked, {**filled, REPLICAS_DONE: (("step",), done)})


def measured_of(asked: Specification, share: Share) -> slice:
    """Where a share's points stand in the result, each with all the averages that are measured of it."""
    return slice(share.points.start * asked.per_point, share.points.stop * asked.per_point)


def arrays_of_share(asked: Specification, share: Share) -> Arrays:
    """The arrays of a share as those of a request for it alone; first passages are NaN while their block runs."""
    chosen = tuple(number for number in asked.trajectories if number in share.replicas)
    own = replace(asked, replicas=share.replicas, record=asked.record[: share.records], trajectories=chosen)
    unknown = {
        name + PASSAGE: nowhere(asked, share, name) for name in asked.first_passage if name + PASSAGE not in share.found
    }
    found = {**share.found, **unknown}
    arrays = arrays_of(own, {name: points_first(node) for name, node in found.items()})
    for name in arrays if unknown else ():
        dims, values = arrays[name]
        # Only what is said of first passages is over all records at once.
        arrays[name] = dims, values if "step" in dims else np.full_like(values, np.nan)
    return arrays


def nowhere(asked: Specification, share: Share, name: str) -> Values:
    """First steps at a target that no replica of the share has come to."""
    grouped = (len(asked.groups),) if asked.groups and name in GROUPED else ()
    return Values(np.full((1, len(share.points) * asked.per_point, len(share.replicas), *grouped), np.inf))


def put(asked: Specification, share: Share, values: FloatArray, into: FloatArray) -> None:
    """Write a share's values, shape (its points, …), at their place: its records and trajectories are the first."""
    into[(measured_of(asked, share), *(slice(size) for size in values.shape[1:]))] = values
