"""What a run has done so far, in a form from which it can go on or tell what it found: never half a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..typing import FloatArray
from .blocks import Layout
from .nodes import Node, Statistics, along, joined_statistics
from .reductions import LEAF, Moments


class Midway(NamedTuple):
    """A block of points and replicas after `updates` of its steps, with all that its further steps depend on.

    `found` has the records so far, `arrival` the first passages, `lagged` the weights kept for later records by their
    step, and `powers` the clock's running products.
    """

    points: range
    replicas: range
    updates: int
    state: np.ndarray[Any, Any]
    found: Sequence[Statistics]
    arrival: Mapping[str, FloatArray]
    lagged: Mapping[int, np.ndarray[Any, Any]]
    powers: Mapping[bytes, tuple[int, FloatArray]]

    def copy(self) -> Midway:
        """The same, which stays as it is while the run goes on: that writes over no array but the state."""
        return self._replace(
            state=self.state.copy(),
            found=list(self.found),
            arrival=dict(self.arrival),
            lagged=dict(self.lagged),
            powers=dict(self.powers),
        )


class Begun(NamedTuple):
    """The block that is being run, and its records so far: the list is the run's own."""

    points: range
    replicas: range
    found: list[Statistics]


class Share(NamedTuple):
    """What was found of some points over some replicas, arrays (records, points, …) of the first of the records."""

    points: range
    replicas: range
    found: Statistics

    @property
    def records(self) -> int:
        return records_of(self.found)


class Keeper(Protocol):
    """Whoever keeps a run's journal for later."""

    def keep(self, journal: Journal, midway: Midway) -> None:
        """Called after every call of the engine, with where the run is."""

    def write(self, journal: Journal) -> None:
        """Called when the run is interrupted."""


@dataclass
class Journal:
    """Of a run that is cut up by `layout`: the blocks of points that are done, and how far the one begun is.

    `subtrees` has, of a block of points, the nodes over replicas that are done, by (level, index) of the tree over
    blocks of replicas. An interrupt between any two statements leaves it true: what is done is entered before the parts
    that it is made of are dropped, each under the points and replicas that it is of.
    """

    layout: Layout
    done: dict[range, Statistics] = field(default_factory=dict)
    subtrees: dict[range, dict[tuple[int, int], Statistics]] = field(default_factory=dict)
    midway: Midway | None = None
    begun: Begun | None = None
    keeper: Keeper | None = None

    @property
    def points_done(self) -> int:
        return max((points.stop for points in self.done), default=0)

    def subtrees_of(self, points: range) -> dict[tuple[int, int], Statistics]:
        """The nodes of a block of points, to be brought up to date by the run."""
        if points not in self.subtrees:
            self.subtrees = {points: {}}
        return self.subtrees[points]

    def midway_of(self, points: range, replicas: range) -> Midway | None:
        """From where to go on with a block, its state the run's own; None for from its start."""
        here = self.midway
        if here is None or (here.points, here.replicas) != (points, replicas):
            return None
        return here.copy()

    def begin(self, points: range, replicas: range, found: list[Statistics]) -> None:
        self.begun = Begun(points, replicas, found)

    def reached(self, midway: Midway) -> None:
        """After a call of the engine; what only copies a record at step 0 leaves the block at its start."""
        if self.keeper is not None and midway.updates:
            self.keeper.keep(self, midway)

    def in_progress(self, replicas: range) -> list[Share]:
        """What is known of blocks of points that are not done: over the replicas that are, or else the records so far.

        `replicas` are those of the whole run.
        """
        found = [
            Share(points, self.replicas_in(nodes, replicas), in_order(nodes))
            for points, nodes in self.subtrees.items()
            if nodes and points not in self.done
        ]
        known = {*self.done, *(share.points for share in found)}
        here = self.begun
        if here is not None and here.found and here.points not in known:
            found.append(Share(here.points, here.replicas, end_to_end(here.found)))
        return found

    def replicas_in(self, nodes: Mapping[tuple[int, int], Statistics], replicas: range) -> range:
        stop = max((index + 1) << level for level, index in nodes) * (LEAF << self.layout.level)
        return range(replicas.start, min(replicas.stop, stop))

    def going_on(self, replicas: range) -> Midway | None:
        """The copy of a block in mid-run, unless that block was done since."""
        here = self.midway
        if here is None or here.points in self.done:
            return None
        nodes = self.subtrees.get(here.points)
        return None if nodes and here.replicas.start in self.replicas_in(nodes, replicas) else here

    def updates(self, replicas: range, steps: int) -> int:
        """How many updates of a replica at a point are made, of runs of so many steps over `replicas`."""
        made = sum(len(points) for points in self.done) * len(replicas) * steps
        for points, nodes in self.subtrees.items():
            if nodes and points not in self.done:
                made += len(points) * len(self.replicas_in(nodes, replicas)) * steps
        here = self.going_on(replicas)
        return made + (0 if here is None else len(here.points) * len(here.replicas) * here.updates)


def end_to_end(parts: Sequence[Statistics]) -> dict[str, Node]:
    """Parts of the same replicas, one after another along the records."""
    return {name: along([part[name] for part in parts], axis=0) for name in parts[0]}


def side_by_side(blocks: Sequence[Statistics]) -> dict[str, Node]:
    """Blocks of points, one after another."""
    return {name: along([block[name] for block in blocks], axis=1) for name in blocks[0]}


def in_order(nodes: Mapping[tuple[int, int], Statistics]) -> Statistics:
    """The nodes of an unfinished tree as one, from the first replica on; those within another count for nothing."""
    found, stop = None, 0
    # Of two that begin at the same replica the longer comes first.
    for level, index in sorted(nodes, key=lambda place: (place[1] << place[0], -place[0])):
        if found is None or index << level >= stop:
            node = nodes[level, index]
            found, stop = node if found is None else joined_statistics(found, node), (index + 1) << level
    assert found is not None
    return found


def records_of(found: Statistics) -> int:
    """How many records there are; a first passage has one entry over all of them."""
    return max(len(node.mean if isinstance(node, Moments) else node[0]) for node in found.values())
