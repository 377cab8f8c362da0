"""track(): the timescales of anyone's training run, from the step hooks of its torch optimizer."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import groupby
from operator import attrgetter
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from ... import __version__
from . import cautions
from .cautions import Caution
from .equilibria import assumed
from .following import Following
from .forecast import Rates, horizons, slow_mode
from .lines import Line
from .low_precision import lost, lost_together
from .restarts import STATE_VERSION, check_state, kept, put_back
from .rows import Row, Seen, observables, rows, together
from .series import dataset
from .settings import Settings
from .sinks import Sink, sinks
from .steps import Taken, first_after_step, in_capture, read
from .tensors import group_name, unwrapped

# Steps whose numbers may wait on the device until they are read.
WAITING = 256


def track(
    optimizer: torch.optim.Optimizer,
    *,
    steps: int | None = None,
    steps_per_epoch: float | None = None,
    tokens_per_step: float | None = None,
    every: int | None = None,
    out: Any = None,
    names: Any = None,
    decay: str | None = None,
    sample: int = 4096,
    name: str | None = None,
) -> Tracker:
    """Follow what weight decay does to a run: one line beside its optimizer, in anyone's training loop.

    The tracker hangs on the optimizer's step hooks and stays until `detach()`, or the end of its `with` block. It
    follows every step's rates, and measures at recorded steps alone.

    Parameters
    ----------
    optimizer : any torch optimizer, also one that Accelerate or Lightning has wrapped.
    steps : the planned length of the run; without it nothing is said of the whole run.
    steps_per_epoch, tokens_per_step : give the timescale in epochs and in tokens too.
    every : steps between records; by default 1 % of `steps` but at least 20, and 100 where `steps` is not given.
    out : where records go besides `tracker.dataset()`: the path of a file of JSON lines (appended to, flushed after
        each), a function of the record, a TensorBoard SummaryWriter (or `tracking.tensorboard(folder)`), or a list.
        In a distributed run only rank 0 writes.
    names : the model, or its `named_parameters()`, to name tensors by; else they are `0.3`, group then place.
    decay : what weight_decay means where the class does not tell, or another than it tells: "per_lr" (per step
        η_k λ), "l2" (λw added to the gradient), "independent" (s_k λ), "corrected" (η_k² λ/η), or a framework that
        `ematheory translate --list` names.
    sample : coordinates of each tensor that are kept from the start to measure how much of it is left; 16 bytes each
        for float64, 12 for float32. During a recorded step there is also one copy of all weights.
    name : of this optimizer among several in one file; by default its class's.

    Returns
    -------
    A `Tracker`: `.dataset()`, `.warnings`, `.state_dict()`, `.load_state_dict(state)`, `.detach()`.

    Raises
    ------
    TypeError : no torch optimizer; `out` or `names` of another kind; a number that is not whole.
    ValueError : a number below 1, an unknown `decay`, a file that cannot be written to.

    Example
    -------
    >>> weight = torch.nn.Parameter(torch.ones(4))
    >>> optimizer = torch.optim.AdamW([weight], lr=0.01, weight_decay=0.5)
    >>> with track(optimizer, steps=100, every=50, steps_per_epoch=20) as tracker:
    ...     for step in range(100):
    ...         weight.grad = torch.randn(4)
    ...         optimizer.step()
    >>> found = tracker.dataset()
    >>> found.sizes["step"], float(found.timescale_epochs[-1, 0]), round(float(found.initial_weight_left[-1, 0]), 4)
    (3, 10.0, 0.6058)
    """
    settings = Settings(steps, steps_per_epoch, tokens_per_step, every, sample, decay)
    return Tracker(unwrapped(optimizer), settings, names, sinks(out), name)


class Tracker:
    """Follows one optimizer; made by `track`.

    `warnings` lists what it warned of. `memory_bytes` is what it keeps of the start.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        settings: Settings,
        names: Any,
        outputs: Sequence[Sink],
        name: str | None,
    ) -> None:
        self.optimizer, self.settings = optimizer, settings
        self.name = type(optimizer).__name__ if name is None else name
        self.outputs = outputs if first_rank() else ()
        self.following = Following(optimizer, names, settings.decay, settings.sample)
        self.count, self.begun, self.captured = 0, False, False
        self.waiting: list[Taken] = []
        self.copies: list[Tensor] | None = None
        self.lines: list[Line] = []
        self.warned: set[tuple[str, str]] = set()
        self.hooks = [optimizer.register_step_pre_hook(self.before_step), first_after_step(optimizer, self.after_step)]

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()

    def __repr__(self) -> str:
        tensors, every = len(self.following.tracked), self.settings.interval
        return f"<Tracker of {self.name}: {self.count} steps, {tensors} tensors, every {every}>"

    def detach(self) -> None:
        """Take the hooks off the optimizer; what was recorded stays."""
        for hook in self.hooks:
            hook.remove()
        self.settle()
        self.copies = None

    @property
    def warnings(self) -> list[str]:
        return [line["text"] for line in self.lines if line["record"] == "warning"]

    @property
    def memory_bytes(self) -> int:
        kept = [part for each in self.following.tracked for part in (each.start.places, each.start.weights)]
        return sum(part.numel() * part.element_size() for part in kept)

    def dataset(self) -> xr.Dataset:
        """The records so far, as an xarray Dataset with dims (step, group) and (step, parameter).

        For each group, at each recorded step (step 0 is the start); NaN where there is no theory, no value or no step:

        * `lr` η_k, `weight_decay` λ_k, `lr_weight_decay` ηλ; `decay_per_step` α_k, the share of a weight that the step
          takes (in the long run, for SGD with L2; NaN for L2 under an adaptive update);
        * `timescale_steps` 1/α_k; `timescale_epochs` and `timescale_tokens` where steps_per_epoch and tokens_per_step
          were given; `timescale_run_fraction`, of the planned steps; `timescale_elapsed_fraction`, of those so far;
        * `weight_norm` ‖w‖ after the step, in the weights' unit; `update_norm` ‖w'−w‖; `update_ratio` ‖w'−w‖/‖w‖;
        * `rotation`, the angle between the weights before and after the step, radians;
        * `initial_weight_left`, the share of the start that the steps so far leave, Π(1 − α_k) for AdamW, and
          `initial_weight_left_measured`, the projection ⟨w, w_0⟩/‖w_0‖² on a sample of coordinates, with what that
          sample leaves uncertain, `initial_weight_left_measured_sem` (0 where all were taken). A walk that does not
          know its start projects on it by chance too: ± ‖w‖/(‖w_0‖√n) over n coordinates;
        * `decay_lost`, of bfloat16 weights alone: the share of them that the step's decay leaves as they were, by
          rounding, on the sample; `decay_lost_predicted`, the same for log-uniform significands.

        `weight_norm_predicted`, `rotation_predicted` are on the way there, `…_equilibrium` the end of it at the
        step's rates. The way is known of AdamW and of Adam without decay, and under SGD with L2 and plain momentum
        the norm's; the end of AdamW, SGD, Lion, SignSGD and Adam with L2. Both are NaN where nothing is derived
        (NAdam, RAdam, Adamax, RMSprop, Adagrad, Muon, …; AMSGrad, Nesterov's and dampened momentum, cautious decay).
        `attrs["assumed"]` says what they assume. Of each tensor the same with `parameter_` before it
        (`parameter_norm` for weight_norm), but for the rates and the timescales other than `parameter_decay_per_step`
        and `parameter_timescale_steps`; the coordinate `parameter_group` names its group. `attrs` has the settings
        and `warnings`, a JSON list.

        Raises `ValueError` before the first step.
        """
        if not self.lines:
            raise ValueError("nothing is recorded yet: the tracker sees its first step when optimizer.step() is called")
        return dataset(self.lines)

    # The hooks.

    def before_step(self, *_: Any) -> None:
        """Take a copy of the weights where this step will be recorded."""
        self.captured = in_capture()
        if self.captured:
            return self.warn_of_capture()
        self.find_tensors()
        due = self.settings.due(self.count + len(self.waiting) + 1)
        if due or not self.begun:
            self.following.join_where_moved()
        if not self.begun:
            self.begin()
        if due:
            self.settle()
            if self.settings.due(self.count + 1):
                self.copies = self.following.copied()

    def after_step(self, *_: Any) -> None:
        """Note the step's rates, and record it where its turn has come."""
        if self.captured:
            return
        step = self.following.taken()
        copies, self.copies = self.copies, None
        if copies is None:
            self.waiting.append(step)
            if len(self.waiting) >= WAITING:
                self.settle()
        else:
            for done in read([step]):
                self.record(done, copies)

    def find_tensors(self) -> None:
        """Take up tensors that are new (all at first) and let go of those that the optimizer no longer holds."""
        if self.following.is_current:
            return
        self.settle()
        for each in self.following.take_up():
            self.caution(group_name(self.optimizer, each.group), [cautions.of_replaced(each.name, self.count)])

    def settle(self) -> None:
        """Read the numbers of the steps that wait, and go through them."""
        waiting, self.waiting = self.waiting, []
        for idle, alike in groupby(read(waiting), key=attrgetter("idle")):
            steps = list(alike)
            self.following.advance(idle, steps)
            self.count += len(steps)

    # The records.

    def begin(self) -> None:
        """The header; at step 0 a record of the start."""
        self.begun = True
        decays = {group_name(self.optimizer, n): each.words() for n, each in enumerate(self.following.meanings)}
        date = datetime.now(timezone.utc).isoformat(timespec="seconds")
        self.emit(
            {
                "record": "start", "step": self.count, "class": type(self.optimizer).__name__, **self.settings.given(),
                "decay": decays, "assumed": self.assumed(), "torch": str(torch.__version__), "ematheory": __version__,
                "date": date,
            }
        )  # fmt: skip
        if self.count == 0:
            self.write(self.following.rates_now(), *self.following.seen_at_start())

    def assumed(self) -> list[str]:
        """What the predictions of these groups assume, in words."""
        found = map(assumed, self.following.meanings, self.following.rates_now())
        return [words for words in dict.fromkeys(found) if words is not None]

    def record(self, step: Taken, copies: list[Tensor]) -> None:
        """The step that `copies` were taken before."""
        self.count += 1
        self.write(*self.following.seen(step, copies))

    def write(self, rates: list[Rates], seen: Seen, samples: dict[int, Tensor]) -> None:
        """A record of this step, and what there is to warn of."""
        titles = [group_name(self.optimizer, number) for number in range(len(rates))]
        shared = [self.group_row(number, each) for number, each in enumerate(rates)]
        tensors, groups = self.rows(seen, titles, shared)
        self.add_losses(tensors, groups, samples)
        parameters = dict(zip([each.name for each in self.following.tracked], tensors, strict=True))
        named = dict(zip(titles, groups, strict=True))
        self.emit({"record": "step", "step": self.count, "groups": named, "parameters": parameters})
        for number, title in enumerate(titles):
            self.caution(title, self.cautions(number, rates[number], groups[number]))

    def rows(self, seen: Seen, titles: list[str], shared: list[Row]) -> tuple[list[Row], list[Row]]:
        """One of each tensor, and one of each group: its tensors as one vector, nothing of a group without any."""
        owners, count = self.following.columns.group, len(self.following.tracked)
        found = observables(seen.beside(together(seen, owners, len(titles))))
        mine = owners.tolist()
        own = {name: [shared[owner][name] for owner in mine] for name in ("decay_per_step", "timescale_steps")}
        of_tensors = {name: numbers[:count] for name, numbers in found.items()}
        tensors = rows({"group": [titles[owner] for owner in mine], **own, **of_tensors})
        of_groups = rows({name: numbers[count:] for name, numbers in found.items()})
        return tensors, [row | of_groups[number] if number in mine else row for number, row in enumerate(shared)]

    def add_losses(self, tensors: list[Row], groups: list[Row], samples: dict[int, Tensor]) -> None:
        """What bfloat16 tensors lose of their decay, in their rows and in those of their groups."""
        sizes = self.following.columns.size
        for number, row in enumerate(groups):
            mine = {i: sample for i, sample in samples.items() if self.following.tracked[i].group == number}
            losses = lost(mine, row["decay_per_step"], self.optimizer.param_groups[number])
            for i, loss in losses.items():
                tensors[i].update(loss)
            row.update(lost_together((loss, sizes[i]) for i, loss in losses.items()))

    def group_row(self, number: int, rates: Rates) -> Row:
        """ηλ and the timescale of a group, at this step's rates."""
        share, timescale = slow_mode(self.following.meanings[number], rates)
        set_ = self.settings
        spans = {"timescale_run_fraction": set_.steps, "timescale_elapsed_fraction": self.count}
        return {
            "lr": rates.lr, "weight_decay": rates.weight_decay, "lr_weight_decay": rates.lr * rates.weight_decay,
            "decay_per_step": share, **horizons(timescale, set_.steps_per_epoch, set_.tokens_per_step, **spans),
        }  # fmt: skip

    def cautions(self, number: int, rates: Rates, found: Row) -> list[Caution]:
        what, group = self.following.meanings[number], self.optimizer.param_groups[number]
        half = any(tensor.dtype == torch.bfloat16 for tensor in group["params"]) and not group.get("fused")
        return [
            *cautions.of_meaning(what, rates, type(self.optimizer).__name__),
            *cautions.of_timescale(what, rates, self.following.peaks[number], self.settings.steps),
            *(cautions.of_bfloat16(rates.decay_per_step) if half else ()),
            *cautions.of_weights(found.get("weight_norm", 0.0), self.count),
        ]

    def caution(self, title: str, found: Sequence[Caution]) -> None:
        """Warn of what was not warned of before."""
        for kind, text in found:
            if (title, kind) not in self.warned:
                self.warned.add((title, kind))
                self.emit({"record": "warning", "step": self.count, "group": title, "text": f"{title}: {text}"})
                warnings.warn(f"{self.name}, {title}: {text}", stacklevel=2)

    def warn_of_capture(self) -> None:
        if (self.name, "capture") not in self.warned:
            self.warned.add((self.name, "capture"))
            warnings.warn(
                f"{self.name}: this step is being captured in a CUDA graph, whose replays run no hooks, so nothing of "
                "them is tracked; capture forward and backward only (torch.cuda.make_graphed_callables) and call "
                "optimizer.step() outside",
                stacklevel=2,
            )

    def emit(self, line: Line) -> None:
        line = {"record": line["record"], "optimizer": self.name, **line}
        self.lines.append(line)
        for output in self.outputs:
            output(line)

    # What survives a restart.

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers, words and tensors, for `torch.save` beside the optimizer's own."""
        self.find_tensors()
        self.settle()
        return {
            "version": STATE_VERSION, "count": self.count, "lines": list(self.lines),
            "warned": sorted(map(list, self.warned)), **kept(self.following),
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`; the optimizer must hold the same tensors in the same order.

        Raises `ValueError` where it does not, or for a state of which something is missing, and `TypeError` for what is
        no state. Nothing has changed then.
        """
        self.find_tensors()
        check_state(state, self.following)
        self.waiting, self.count, self.begun = [], int(state["count"]), False
        # The records are this tracker's now, also where it has another name.
        self.lines = [{**line, "optimizer": self.name} for line in state["lines"]]
        self.warned = {(title, kind) for title, kind in state["warned"]}
        put_back(self.following, state)


def first_rank() -> bool:
    """Whether this process is the one of a distributed run that writes."""
    distributed = torch.distributed
    return not (distributed.is_available() and distributed.is_initialized() and distributed.get_rank() > 0)
