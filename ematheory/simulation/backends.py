"""What advances a block of trajectories: the NumPy reference, or the native engine or a GPU where there is one."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from .. import native, optimizers, problems
from ..optimizers import Optimizer
from ..problems import Problem, ReshuffledData
from ..records import check_choice
from .groups import Groups, spans
from .options import CLIP_EACH, NO_OPTIONS, StepArrays
from .reference import Reference

BACKENDS = ("auto", "reference", "cpu", "cuda")
# From so many particle-steps on a GPU pays for its start and its copies: about two seconds of two CPU cores.
WORTH_A_GPU = 2**32


# The arrays of a call of `advance` whose last axis is that of the coordinates.
BY_COORDINATE = ("state", "problem_coefficients", "snapshots")


class Backend(Protocol):
    """One signature for every engine; blocks, snapshots, observables and statistics are the same code for all."""

    @property
    def name(self) -> str: ...

    @property
    def isa(self) -> str: ...

    @property
    def threads(self) -> int: ...

    @property
    def cells_per_block(self) -> int: ...

    @property
    def work_per_call(self) -> int:
        """The most cell-steps that one `advance` may do, so that an interrupt is answered within half a second."""

    def advance(
        self,
        *,
        problem: Problem,
        optimizer: Optimizer,
        state: np.ndarray[Any, Any],
        problem_coefficients: np.ndarray[Any, Any],
        coefficients: np.ndarray[Any, Any],
        first_step: int,
        seed: int,
        first_replica: int,
        point_numbers: np.ndarray[Any, Any],
        snapshots_at: np.ndarray[Any, Any],
        snapshots: np.ndarray[Any, Any],
        groups: Groups = (),
        options: StepArrays = NO_OPTIONS,
    ) -> None:
        """As `Reference.advance`."""


def words_of(problem: Problem, optimizer: Optimizer) -> dict[str, Any]:
    """What a compiled `advance` is told of the records: their traced functions' names, and the data set if any."""
    words: dict[str, Any] = {"problem": problem.name, "optimizer": optimizer.variant}
    if isinstance(problem, ReshuffledData):
        words |= {"items": problem.size, "is_replaced": problem.sampling == "replaced"}
    return words


class Compiled:
    """What the engines of machine code share: groups are stepped one after another, where each is a vector."""

    def advance(
        self, *, problem: Problem, optimizer: Optimizer, groups: Groups = (), options: StepArrays = NO_OPTIONS,
        **block: Any,
    ) -> None:  # fmt: skip
        if not are_stepped_apart(problem, optimizer, groups, bool(options.clip_groups)):
            self.step(problem, optimizer, **block, **options.given)
            return
        # `choose` has refused the others that would be given here.
        assert (options._replace(clip_norm=None, clip_groups=()) if options.clip_groups else options) == NO_OPTIONS
        for columns in spans(groups):
            own = {name: np.ascontiguousarray(block[name][..., columns]) for name in BY_COORDINATE}
            self.step(problem, optimizer, **{**block, **own}, **options.given, first_column=columns.start)
            for name in ("state", "snapshots"):
                block[name][..., columns] = own[name]

    def step(self, problem: Problem, optimizer: Optimizer, **block: Any) -> None:
        """One call of a module's `advance`."""
        raise NotImplementedError


class Native(Compiled):
    """The native engine at one instruction set and number of threads; neither changes a bit."""

    name = "cpu"
    cells_per_block = 2**20
    work_per_call = 2**28

    def __init__(self, isa: str, threads: int) -> None:
        self.isa = isa
        self.threads = threads

    def step(self, problem: Problem, optimizer: Optimizer, **block: Any) -> None:
        module = native.native_module()
        assert module is not None
        module.advance(isa=self.isa, threads=self.threads, **words_of(problem, optimizer), **block)


class Cuda(Compiled):
    """The CUDA engine on the current device, with the CPU's bits; each call copies the state there and back."""

    name = "cuda"
    threads = 1
    cells_per_block = 2**22
    # A call takes about so many seconds, for an interrupt waits for its end.
    SECONDS = 0.2

    def __init__(self) -> None:
        major, minor = self.module.devices()[0]["compute_capability"]
        self.isa = f"sm_{major}{minor}"
        self.work_per_call = 2**30

    @property
    def module(self) -> Any:
        module = native.cuda_module()
        assert module is not None
        return module

    def step(self, problem: Problem, optimizer: Optimizer, **block: Any) -> None:
        began = time.monotonic()
        self.module.advance(**words_of(problem, optimizer), **block)
        seconds = max(time.monotonic() - began, 1e-6)
        drawn = block["state"][0].size * problem.normals_per_step // problem.coordinates
        work = drawn * block["coefficients"].shape[1]
        # The first calls are short, and tell how fast this device is; a cut changes no bit.
        rate = work / seconds
        self.work_per_call = int(min(max(rate * self.SECONDS, 2**24), 4 * self.work_per_call))


def is_separable(problem: Problem, optimizer: Optimizer) -> bool:
    """Whether both records take each coordinate by itself, and their traced functions are theirs."""
    return type(problem) in problems.RECORDS and optimizers.is_traced(optimizer)


def is_generated(problem: Problem, optimizer: Optimizer) -> bool:
    """Whether the compiled engines hold the traced functions of both records."""
    known = (*optimizers.RECORDS, *optimizers.COUPLED)
    return type(problem) in (*problems.RECORDS, *problems.COUPLED) and optimizers.is_traced(optimizer, known)


def are_stepped_apart(problem: Problem, optimizer: Optimizer, groups: Groups, are_clipped: bool = False) -> bool:
    """Whether there are several vectors, and one of the records the package has sums over each, or clipping does."""
    are_summed = problem.sums_groups or type(optimizer) in optimizers.COUPLED
    return len(groups) > 1 and (are_summed or are_clipped)


def of_whole_vectors(options: Sequence[str]) -> list[str]:
    """Those of a step's options that groups which are stepped apart cannot have."""
    return [name for name in options if CLIP_EACH not in options or name not in (CLIP_EACH, "clip_norm")]


def native_backend(isa: str, threads: int) -> Native:
    """The native engine. Raises `ValueError` for an instruction set that this CPU or build lacks."""
    known = native.isas()
    check_choice("isa", isa, ("auto", *known))
    return Native(known[-1] if isa == "auto" else isa, threads)


def choose(
    backend: str,
    isa: str,
    threads: int | None,
    problem: Problem,
    optimizer: Optimizer,
    work: int = 0,
    groups: Groups = (),
    options: Sequence[str] = (),
) -> Backend:
    """The backend that a user's words ask for.

    ``"auto"`` is a GPU where there is one and the `work` (in particle-steps) is large enough to pay, the native engine
    where it was built, and the reference for records that these do not hold. `options` names what a step
    does besides (see `StepOptions`). Raises `ValueError` for an unknown word, and for a backend that cannot run this
    request, with the reason.
    """
    check_choice("backend", backend, BACKENDS)
    count = native.check_threads(threads)
    built, generated = native.native_module() is not None, is_generated(problem, optimizer)
    refuse_groups(backend, problem, optimizer, groups, options)
    apart = are_stepped_apart(problem, optimizer, groups, CLIP_EACH in options)
    generated = generated and not (apart and (problem.sums_whole or of_whole_vectors(options)))
    refuse(backend, problem, optimizer, built, generated)
    if backend == "auto" and not built:
        warnings.warn("the native engine was not built: the NumPy reference runs, with the same bits", stacklevel=3)
    # Groups would be a call each, with copies of its own.
    large = backend == "auto" and isa == "auto" and generated and not apart and work >= WORTH_A_GPU
    if backend == "cuda" or (large and not native.why_no_cuda()):
        if isa != "auto":
            raise ValueError(f"isa={isa!r} is for the native engine on the CPU, but backend is 'cuda'; leave isa out")
        return Cuda()
    if backend == "reference" or not (built and generated):
        if isa != "auto":
            raise ValueError(f"isa={isa!r} is for the native engine, but the NumPy reference runs; leave isa out")
        return Reference()
    return native_backend(isa, count)


def refuse_groups(backend: str, problem: Problem, optimizer: Optimizer, groups: Groups, options: Sequence[str]) -> None:
    """Raise `ValueError` for a compiled backend that cannot step these groups as vectors of their own."""
    if backend not in ("cpu", "cuda") or not are_stepped_apart(problem, optimizer, groups, CLIP_EACH in options):
        return
    if others := of_whole_vectors(options):
        raise ValueError(
            f"backend {backend!r} steps each of the {len(groups)} groups by itself, and has no {', '.join(others)} "
            "then; use 'reference' or 'auto'"
        )
    if problem.sums_whole:
        summed = "clipping" if CLIP_EACH in options else type(optimizer).__name__
        raise ValueError(
            f"backend {backend!r} steps each of the {len(groups)} groups by itself, but {type(problem).__name__} has "
            f"sums over all weights and {summed} over each group; use 'reference' or 'auto'"
        )


def refuse(backend: str, problem: Problem, optimizer: Optimizer, built: bool, generated: bool) -> None:
    """Raise `ValueError` for a compiled backend that is not there or does not hold both records."""
    if backend == "cpu" and not built:
        raise ValueError("backend 'cpu': the native engine was not built (no compiler?); use 'reference' or 'auto'")
    if backend in ("cpu", "cuda") and not generated:
        held = (*problems.RECORDS, *optimizers.RECORDS, *problems.COUPLED, *optimizers.COUPLED)
        ours = ", ".join(kind.__name__ for kind in held)
        raise ValueError(
            f"backend {backend!r} holds only {ours}; {type(problem).__name__} with {type(optimizer).__name__} "
            "runs on backend='reference' or 'auto'"
        )
    if backend == "cuda" and (why := native.why_no_cuda()):
        raise ValueError(f"backend 'cuda': {why}; use 'cpu', 'reference' or 'auto'")
