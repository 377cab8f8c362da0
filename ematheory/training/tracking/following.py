"""The tensors of one optimizer that a tracker follows: which they are, what λ means to them, and what it did so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .equilibria import by_scale, equilibrium
from .forecast import Rates, begun, on_flow, unknown
from .history import History
from .joined import Found, Joined, found, found_at_start, joined
from .meaning import SGD, Meaning, meaning
from .rows import Before, Seen, expected, flowing
from .steps import Raw, Taken, otherwise, raw, taken
from .tensors import Tracked, cohorts, columns, names_of, peaks_now, reals, same, taken_up


class Following:
    """The tensors of an optimizer, in the order of its groups.

    `meanings` are of its groups and `peaks` their largest rates so far; `columns` are the tensors' numbers as arrays,
    `cohorts` those that took the same steps, `joined` those of one device and dtype.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, names: Any, decay: str | None, sample: int) -> None:
        self.optimizer, self.model, self.decay, self.sample = optimizer, names, decay, sample
        self.names, self.otherwise = names_of(names), otherwise(optimizer)
        self.listed: list[list[Tensor]] = []
        self.tracked: list[Tracked] = []
        self.tensors: list[Tensor] = []
        self.counts: list[int] = []
        self.columns, self.cohorts = columns(self.tracked), cohorts(self.tracked)
        self.joined: list[Joined] = []
        self.meanings: list[Meaning] = []
        self.peaks = [float(group.get("lr") or 0.0) for group in optimizer.param_groups]

    # Which tensors they are.

    @property
    def is_current(self) -> bool:
        """Whether the optimizer holds the tensors that are followed, each of the size it had."""
        listed = [group["params"] for group in self.optimizer.param_groups]
        return same(listed, self.listed) and list(map(Tensor.numel, self.tensors)) == self.counts

    def take_up(self) -> list[Tracked]:
        """Follow tensors that are new (all at first) and no more those that are gone; those with another's name."""
        groups, before = self.optimizer.param_groups, self.tracked
        if self.listed and isinstance(self.model, torch.nn.Module):
            self.names = names_of(self.model)
        listed = [list(group["params"]) for group in groups]
        self.meanings = [meaning(self.optimizer, group, self.decay) for group in groups]
        peaks = peaks_now(self.peaks, before, listed)  # by the groups that tensors were in
        self.tracked = taken_up(before, self.optimizer, self.names, self.meanings, self.sample)
        self.peaks, self.listed = peaks, listed
        self.join()
        were = {each.name: each for each in before}
        return [each for each in self.tracked if were.get(each.name, each) is not each]

    def join(self) -> None:
        """Put the tensors' samples end to end; the tensors have them as views."""
        starts = [each.start for each in self.tracked]
        self.tensors, self.counts = [each.tensor for each in self.tracked], [each.count for each in self.tracked]
        self.joined = joined(reals(self.tensors), starts)
        for part in self.joined:
            for i, start in zip(part.members, part.starts(starts), strict=True):
                self.tracked[i].start = start
        self.columns, self.cohorts = columns(self.tracked), cohorts(self.tracked)

    def join_where_moved(self) -> None:
        """model.to(...) moves and casts tensors in place."""
        tensors = reals(self.tensors)
        if not all(part.holds(tensors) for part in self.joined):
            self.join()

    @torch.no_grad()
    def copied(self) -> list[Tensor]:
        """All weights as they are now."""
        tensors = reals(self.tensors)
        return [part.copied(tensors) for part in self.joined]

    # The steps.

    def taken(self) -> Taken:
        """The step that the optimizer has just taken."""
        return taken(self.optimizer, self.tensors, self.otherwise)

    def rates_now(self) -> list[Rates]:
        groups = enumerate(self.optimizer.param_groups)
        return [self.rates(number, raw(group, self.otherwise)) for number, group in groups]

    def advance(self, idle: frozenset[int], steps: Sequence[Taken]) -> list[Rates]:
        """More steps: every history of tensors with a gradient goes on. The last one's rates."""
        moving, rates = self.moving(idle), list[Rates]()
        for step in steps:
            rates = [self.rates(number, each) for number, each in enumerate(step.groups)]
            for number, history in moving:
                history.advance(rates[number])
        return rates

    def moving(self, idle: frozenset[int]) -> list[tuple[int, History]]:
        """The histories that go on, with their groups; of those in which some stay behind, the others have a copy."""
        if idle:
            for cohort in self.cohorts:
                apart = [i for i in cohort.places.tolist() if i not in idle]
                if 0 < len(apart) < len(cohort.places):
                    history = cohort.history.copy()
                    for i in apart:
                        self.tracked[i].history = history
            self.cohorts = cohorts(self.tracked)
        return [(cohort.group, cohort.history) for cohort in self.cohorts if cohort.places[0] not in idle]

    def rates(self, number: int, given: Raw) -> Rates:
        """A group's numbers as floats, and its decay per step."""
        lr, weight_decay = float(given.lr), float(given.weight_decay)
        known = [float(rate) for rate in (given.initial_lr, given.max_lr) if rate is not None]
        self.peaks[number] = max(self.peaks[number], lr, *known)
        # Conventions that name a rate mean the one that the optimizer began with, where it says so.
        peak = self.peaks[number] if given.initial_lr is None else float(given.initial_lr)
        alpha = self.meanings[number].decay_per_step(lr, weight_decay, peak)
        memory = float(given.beta1), float(given.beta2), float(given.momentum)
        return Rates(lr, weight_decay, alpha, *memory, given.nesterov)

    # What is seen of them.

    def seen_at_start(self) -> tuple[Seen, dict[int, Tensor]]:
        """Every tensor before the first step, and its sample."""
        there = found_at_start(self.joined, reals(self.tensors), [each.start for each in self.tracked])
        start, count = self.columns.start, len(self.tracked)
        seen = Seen(there.measured, there.projection, begun(start), unknown(count), np.ones(count), start)
        return seen, there.samples

    def seen(self, step: Taken, copies: list[Tensor]) -> tuple[list[Rates], Seen, dict[int, Tensor]]:
        """Every tensor at the step that `copies` were taken before: its groups' rates, and samples of bfloat16."""
        self.moving(step.idle)
        before = [Before(cohort.history.moments, cohort.history.left) for cohort in self.cohorts]
        rates = self.advance(step.idle, [step])
        sized = [by_scale(what, own.weight_decay) for what, own in zip(self.meanings, rates, strict=True)]
        asked = [each.tensor if sized[each.group] else None for each in self.tracked]
        there = found(self.joined, copies, reals(self.tensors), asked)
        return rates, self.beside_theory(step.idle, rates, before, there), there.samples

    def beside_theory(self, idle: frozenset[int], rates: list[Rates], befores: list[Before], there: Found) -> Seen:
        """What was found, and what is expected."""
        start, count = self.columns.start, len(self.tracked)
        way, rest, left = unknown(count), unknown(count), np.empty(count)
        pushes = there.measured.gradient * there.measured.before
        for (group, history, places), before in zip(self.cohorts, befores, strict=True):
            what, own, sizes, push = self.meanings[group], rates[group], self.columns.size[places], pushes[places]
            moves = places[0] not in idle
            way.put(places, expected(what, before, own, sizes, start[places], moves))
            if what.update == SGD:
                mine = [self.tracked[i] for i in places]
                flows = flowing(what, [each.flow for each in mine], own, history.steps, push)
                for each, flow in zip(mine, flows, strict=True):
                    each.flow = flow
                way.put(places, on_flow(np.array([flow.norm for flow in flows])))
            rest.put(places, equilibrium(what, own, sizes, push))
            left[places] = history.left
        return Seen(there.measured, there.projection, way, rest, left, start)
