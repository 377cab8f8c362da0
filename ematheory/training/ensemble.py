"""Many runs of one network advanced together: one vectorised gradient, and one update of all their weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from ..optimizers import Optimizer
from ..optimizers.optimizer import SymbolicTime
from ..simulation import arrays
from . import tensors
from .determinism import TRAINED_DTYPES, deterministic
from .examples import Batches, both_parts
from .groups import Placed, placed
from .observables import check_one_group
from .optimizers import planned
from .request import Job, Observed, Request, Tick, look_at, observed
from .run import Score, as_outputs, lr_multipliers, score
from .stacked_gradient import StackedGradient
from .stacked_update import columns, update_of

# On a CPU so many weights are stepped at a time: a core's cache keeps them, and what their gradient is made of.
BLOCK = 2**19
# What torch.nn.utils.clip_grad_norm_ adds to the norm.
MARGIN = 1e-6


class Member:
    """One of the ensemble's runs, as observables see it."""

    reads_state = False
    unrounded = None

    def __init__(self, ensemble: Ensemble, place: int, job: Job, groups: list[Placed]) -> None:
        self.ensemble, self.place, self.record, self.groups = ensemble, place, job.record, groups
        self.names = ensemble.names
        self.gradient_norms = [math.nan] * len(self.names)
        self.batch_loss = math.nan

    @property
    def step_count(self) -> int:
        return self.ensemble.step_count

    @property
    def parameters(self) -> list[Tensor]:
        return [stacked[self.place] for stacked in self.ensemble.stacked]

    def update(self) -> Tensor:
        raise NotImplementedError("an ensemble keeps no state of torch.optim to read u from")

    def score(self, part: str) -> Score:
        ensemble = self.ensemble
        own = dict(zip(self.names, self.parameters, strict=True))
        own.update({name: values[self.place] for name, values in ensemble.fixed.items()})
        network = partial(functional_call, ensemble.network, own)
        return score(
            ensemble.request.task, lambda inputs: network((inputs,)), ensemble.evaluated[part],
            ensemble.request.batch_size,
        )  # fmt: skip


class Block(NamedTuple):
    """Members that are stepped at a time: their places, and views of what they have.

    Of each parameter that is the state, and the weight in the parameter's own shape; of the rest what is fixed.
    """

    rows: slice
    states: list[Any]
    weights: list[Tensor]
    fixed: list[Tensor]


class Ensemble:
    """The runs of some jobs, whose records differ in numbers only, at some step.

    The optimizer is the record's own `update` on weights of shape (members, size). Each member has its own weights,
    batches, rates and decay, and follows the run by itself to rounding.
    """

    def __init__(self, request: Request, jobs: Sequence[Job]) -> None:
        self.request, self.step_count = request, 0
        self.record: Any = stacked_record([job.record for job in jobs])
        dtype, device, data = TRAINED_DTYPES[request.dtype], request.device, request.task.data()
        self.network = request.task.network(jobs[0].seed, dtype).to(device)
        self.names = [name for name, _ in self.network.named_parameters()]
        multiples = lr_multipliers(request.task, self.network, jobs[0].record)
        self.members = [
            Member(
                self, place, job,
                placed(
                    self.names, request.groups, multiples, job.record,
                    planned(job.record, request.schedule, request.decay_schedule),
                ),
            )
            for place, job in enumerate(jobs)
        ]  # fmt: skip
        networks = [request.task.network(job.seed, dtype).to(device) for job in jobs]
        starts = [[parameter.detach() for parameter in network.parameters()] for network in networks]
        # What each network draws and does not train, such as random features: shape (members, …).
        buffers = [dict(network.named_buffers()) for network in networks]
        self.fixed = {name: torch.stack([each[name] for each in buffers]) for name in buffers[0]}
        self.shapes = [start.shape for start in starts[0]]
        self.states = [self.first_state(of_members) for of_members in zip(*starts, strict=True)]
        self.group_of = {place: i for i, group in enumerate(self.members[0].groups) for place in group.members}
        self.examples, self.evaluated = both_parts(data, dtype, device, request.evaluate)
        self.batches = [Batches(len(data.train_targets), request.batch_size, job.seed) for job in jobs]
        self.gradient = StackedGradient(self.loss, self.names, list(self.fixed))
        self.update = update_of(self.record, device)
        self.losses = torch.zeros(len(jobs), dtype=torch.float64, device=device)
        self.blocks = self.cut()

    def first_state(self, starts: Sequence[Tensor]) -> Any:
        """The optimizer's state of one parameter, from every member's own: one row each."""
        state = self.record.initial(tensors, torch.stack([start.reshape(-1) for start in starts]))
        # Members of a state may be one tensor at first (NAdam's moments), and `update` writes over each.
        return type(state)(*(values.clone() for values in state))

    def shaped(self, rows: Sequence[Tensor]) -> list[Tensor]:
        """Each parameter's matrix, one row per member, in the parameter's shape: (members, …)."""
        return [matrix.view(-1, *shape) for matrix, shape in zip(rows, self.shapes, strict=True)]

    @property
    def stacked(self) -> list[Tensor]:
        """The weights of each parameter, shape (members, …)."""
        return self.shaped([state.weight for state in self.states])

    def loss(self, values: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        """One member's loss on its micro-batch, over the number of micro-batches."""
        outputs = functional_call(self.network, values, (inputs,))
        return self.request.task.loss(outputs, as_outputs(targets, outputs)) / self.request.accumulate

    def cut(self) -> list[Block]:
        """All members, some at a time: on a CPU so many that caches hold them, as updates are written in place."""
        count, size = len(self.members), sum(shape.numel() for shape in self.shapes)
        blocks = min(count, math.ceil(count * size / BLOCK)) if self.request.device == "cpu" else 1
        # Of one size where that is possible: each size is traced by itself.
        step = math.ceil(count / blocks)
        return [self.block(slice(at, at + step)) for at in range(0, count, step)]

    def block(self, rows: slice) -> Block:
        states = [type(state)(*(values[rows] for values in state)) for state in self.states]
        weights = self.shaped([state.weight for state in states])
        return Block(rows, states, weights, [values[rows] for values in self.fixed.values()])

    @torch.no_grad()
    def step(self, watch: bool = False) -> None:
        """One step of every member; `watch` keeps the norm of each parameter's gradient, before clipping."""
        self.step_count += 1
        coefficients = [self.coefficients(group) for group in range(len(self.members[0].groups))]
        places = torch.stack([next(batches) for batches in self.batches])
        for block in self.blocks:
            self.advance(block, places[block.rows], [of_group[block.rows] for of_group in coefficients], watch)

    def advance(self, block: Block, places: Tensor, of_groups: Sequence[Tensor], watch: bool) -> None:
        """One step of a block's members on the examples at `places`, shape (members, batch)."""
        gradients = self.gradients(block, self.points(block, of_groups), places)
        if watch:
            norms = torch.stack([flat_norms(gradient) for gradient in gradients], 1).tolist()
            for member, of_member in zip(self.members[block.rows], norms, strict=True):
                member.gradient_norms = of_member
        if self.request.clip_norm is not None:
            gradients = clipped(gradients, self.request.clip_norm)
        for place, (state, gradient) in enumerate(zip(block.states, gradients, strict=True)):
            self.update(state, gradient.flatten(1), of_groups[self.group_of[place]])

    def points(self, block: Block, of_groups: Sequence[Tensor]) -> list[Tensor]:
        """Where the gradient is taken: each parameter of shape (members, …)."""
        if type(self.record).point is Optimizer.point:
            return block.weights
        apart = [columns(self.record, c) for c in of_groups]
        return self.shaped(
            [self.record.point(tensors, state, apart[self.group_of[place]]) for place, state in enumerate(block.states)]
        )

    def gradients(self, block: Block, points: Sequence[Tensor], places: Tensor) -> list[Tensor]:
        """Of each parameter, shape (members, …), at `points`; keeps every member's loss on its batch."""
        total: list[Tensor] = []
        self.losses[block.rows] = 0
        for part in places.chunk(self.request.accumulate, 1):
            fresh, losses = self.gradient(points, block.fixed, *self.examples.take(part))
            total = [old + new for old, new in zip(total, fresh, strict=True)] if total else fresh
            self.losses[block.rows] += losses
        return total

    def coefficients(self, group: int) -> Tensor:
        """The coefficients of this step, a row for each member, made in float64 on the host."""
        plans = [member.groups[group].plan for member in self.members]
        peaks = [member.groups[group].record for member in self.members]
        k = self.step_count - 1
        lr = column([plan.lr[k] for plan in plans])
        decay = column([each.weight_decay * plan.decay_multiplier[k] for each, plan in zip(peaks, plans, strict=True)])
        time = SymbolicTime(np.float64(self.step_count), lr, decay, plans[0].multiplier[k])
        found = [np.broadcast_to(value, lr.shape) for value in self.record.coefficients(arrays, time)]
        dtype = TRAINED_DTYPES[self.request.dtype]
        return torch.from_numpy(np.concatenate(found, axis=1)).to(self.request.device, dtype)


def column(values: Sequence[float]) -> Any:
    return np.array(values, dtype=np.float64)[:, None]


def stacked_record(records: Sequence[Any]) -> Optimizer:
    """A record whose numeric fields are columns, shape (members, 1)."""
    names = [name for name, value in records[0].field_values().items() if isinstance(value, float)]
    first: Optimizer = records[0].substituted(
        **{name: column([getattr(record, name) for record in records]) for name in names}
    )
    return first


def flat_norms(gradient: Tensor) -> Tensor:
    """Each member's norm, in float64."""
    wide: Tensor = gradient.flatten(1).to(torch.float64).norm(dim=1)
    return wide


def clipped(gradients: list[Tensor], most: float) -> list[Tensor]:
    """Each member's gradient with its norm over all parameters at most so large, as clip_grad_norm_ makes it."""
    norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients], 1).norm(dim=1)
    factor = (most / (norms + MARGIN)).clamp(max=1.0)
    return [gradient * factor.reshape(-1, *[1] * (gradient.dim() - 1)) for gradient in gradients]


def observe_together(request: Request, jobs: Sequence[Job], tick: Tick) -> list[Observed]:
    """Advance the jobs' runs together to their end, each observed as by itself; `tick` is told of their epochs."""
    paired, watched = request.watched
    rows: list[dict[str, list[Any]]] = [{name: [] for name in request.observables} for _ in jobs]
    with deterministic():
        ensemble = Ensemble(request, jobs)
        check_one_group(request.observables, ensemble.members[0].groups)
        look_at_all(request, ensemble, None, rows)
        while ensemble.step_count < request.steps:
            recorded = ensemble.step_count + 1 in request.recorded
            before = [values.clone() for values in ensemble.stacked] if recorded and paired else None
            ensemble.step(watch=recorded and watched)
            if recorded:
                look_at_all(request, ensemble, before, rows)
            if ensemble.step_count % request.per_epoch == 0:
                tick(len(jobs))
    labels = [group.label for group in ensemble.members[0].groups]
    return [observed(request, ensemble.names, labels, own) for own in rows]


def look_at_all(request: Request, ensemble: Ensemble, before: Any, rows: list[dict[str, list[Any]]]) -> None:
    for place, member in enumerate(ensemble.members):
        own = None if before is None else [values[place] for values in before]
        member.batch_loss = float(ensemble.losses[place]) if ensemble.step_count else math.nan
        look_at(request, member, own, rows[place])
