"""Traces the steps of predict's moments into C++: ``python -m ematheory.simulation.moment_tracing PATH``.

A program is one step of the moments of one optimizer's state, on one coordinate: the functions of `prediction`, run
once on values that record what is done with them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..optimizers import Optimizer
from ..prediction.averaging import Averaged, advance_averaged
from ..prediction.closure import ClosedMoments, Gradient, advance_closed, linearised
from ..prediction.epochs import Epochs, advance_epoch
from ..prediction.gradient_maps import (
    EpochMap,
    EpochRows,
    EpochTime,
    ProblemMap,
    RelativeMap,
    SampledMap,
    SampledRows,
    SampledSums,
    SizedRows,
)
from ..prediction.linear import StepMap, UpdateMap, images, put_in
from ..prediction.members import Structure
from ..prediction.moments import Moments, advance_with_memory, advance_without_memory
from ..prediction.pure_noise import Fluctuation, NoiseMoments, NoiseStep, advance_noise
from ..prediction.signs import SignMoments, advance_signed, sign_images, signed_step
from ..prediction.stepping import (
    AVERAGED,
    FROZEN,
    LINEAR,
    PESSIMISTIC,
    SIGN_PESSIMISTIC,
    averaged_name,
    closed_name,
    closed_variants,
    doubted_name,
    frozen_name,
    linear_name,
    memoryless_variants,
    signed_name,
    signed_variants,
    variants_read,
)
from .tracing import (
    FOOTER,
    HEADER,
    Members,
    Namespace,
    Program,
    Traced,
    function,
    main,
    operand,
    section,
    struct,
)

GRADIENT = Members("gradient", Gradient._fields[:3])
EPOCHS = Members("gradient", EpochRows._fields)
SIZED = Members("gradient", SizedRows._fields)
SAMPLED = Members("gradient", SampledRows._fields)
SUMS = Members("sums", SampledSums._fields)


def members_of(record: Optimizer, *more: str) -> Members:
    """A step's coefficients, then what is known from time alone, and `more` of that."""
    return Members("c", tuple(f"c_{name}" for name in (*record.Coefficients._fields, *record.known_members, *more)))


def traced(program: Program, members: Members) -> list[Any]:
    return [Traced(program, name) for name in members.names]


def program_struct(
    name: str, program: Program, state: Members, c: Members, after: Sequence[Any], gradient: Members = GRADIENT,
    terms: str = "",
) -> str:  # fmt: skip
    """A program's struct; `terms` is the function of what a coordinate adds to the sums that the step takes."""
    end = [f"state[{place}] = {operand(value)};" for place, value in enumerate(after)]
    parameters, given = ["T *state", "const T *gradient", "const T *c"], [state, gradient, c]
    if terms:
        parameters, given = [*parameters, "const T *sums"], [*given, SUMS]
    step = function("void step", parameters, program, given, end)
    sizes = {"STATE": len(state.names), "GRADIENT": len(gradient.names), "COEFFICIENTS": len(c.names)}
    sizes["SUMS"] = len(SUMS.names) if terms else 0
    return struct(name, sizes, [terms, step] if terms else [step])


class Numbers(Namespace):
    """The namespace of `prediction.gaussian`, whose functions take powers of two apart."""

    @staticmethod
    def two_to(whole: Traced) -> Traced:
        return Traced(whole.program, whole.program.record(f"two_to({whole.name})"))

    @staticmethod
    def exponent(x: Traced) -> Traced:
        return Traced(x.program, x.program.record(f"exponent({x.name})"))


def epoch_time(program: Program) -> EpochTime:
    return EpochTime(*(Traced(program, f"c_{name}") for name in EpochTime._fields))


def plain_gradient(program: Program, _: Any) -> Gradient:
    return Gradient(*traced(program, GRADIENT))


def epoch_gradient(program: Program, _: Any) -> Gradient:
    return EpochRows(*traced(program, EPOCHS)).gradient(epoch_time(program))


def sized_gradient(program: Program, x: Any) -> Gradient:
    return SizedRows(*traced(program, SIZED)).gradient(x.mean_square, Numbers())


def sampled_gradient(program: Program, x: Any) -> Gradient:
    return SampledRows(*traced(program, SAMPLED)).gradient(x, SampledSums(*traced(program, SUMS)), Numbers())


def sampled_terms(state: Members, c: Members, given: Callable[[Program], Any]) -> str:
    """The function of what a coordinate adds to a vector's sums, where the gradient is taken: `given` makes that."""
    program = Program(free=True)
    terms = SampledRows(*traced(program, SAMPLED)).terms(given(program))
    end = [f"terms[{place}] = {operand(value)};" for place, value in enumerate(terms)]
    parameters = ["const T *state", "const T *gradient", "const T *c", "T *terms"]
    return function("void terms", parameters, program, [state, SAMPLED, c], end)


class Kind(NamedTuple):
    """A kind of problem: what a program's name ends in, what it is given of a cell and of time, and its gradient."""

    suffix: str
    rows: Members
    time: tuple[str, ...]
    gradient: Callable[[Program, Any], Gradient]
    remembered: int  # members of the noise's own state
    sums: bool = False  # whether it takes sums over the vector


KINDS = (
    Kind(ProblemMap.suffix, GRADIENT, (), plain_gradient, 0),
    Kind(EpochMap.suffix, EPOCHS, EpochTime._fields, epoch_gradient, 2),
    Kind(RelativeMap.suffix, SIZED, (), sized_gradient, 0),
    Kind(SampledMap.suffix, SAMPLED, (), sampled_gradient, 0, sums=True),
)


def numbered(count: int) -> Members:
    return Members("state", tuple(f"x{place}" for place in range(count)))


def closed_struct(record: Optimizer, pessimism: int, kind: Kind) -> str:
    """The moments of an adaptive optimizer's members, of the noise's own state, and of its second moment."""
    program, structure, sizes = Program(free=True), Structure(record), len(record.Coefficients._fields)
    count = len(structure.members) + kind.remembered
    state, columns = numbered(ClosedMoments.size(count)), members_of(record, *kind.time)

    def begun(program: Program) -> tuple[ClosedMoments, Any, Any]:
        x = ClosedMoments.of(traced(program, state), count)
        c = record.Coefficients(*traced(program, members_of(record))[:sizes])
        return x, c, x.at_point(structure.point_row(c))

    x, c, there = begun(program)
    known = traced(program, members_of(record))[sizes:]
    found = linearised(structure, x, kind.gradient(program, there), c, known, pessimism, Numbers())
    name, after = closed_name(record, pessimism) + kind.suffix, advance_closed(x, found).flat()
    terms = sampled_terms(state, columns, lambda program: begun(program)[2]) if kind.sums else ""
    return program_struct(name, program, state, columns, after, kind.rows, terms)


def signed_struct(record: Optimizer, pessimism: int, kind: Kind) -> str:
    """The moments of the members of an optimizer that takes signs, and of the noise's own state."""
    program, structure = Program(free=True), Structure(record)
    count = len(structure.members) + kind.remembered
    state, columns = numbered(SignMoments.size(count, pessimism)), members_of(record, *kind.time)

    def begun(program: Program) -> SignMoments:
        return SignMoments.of(traced(program, state), count, pessimism)

    x = begun(program)
    c = record.Coefficients(*traced(program, members_of(record)))
    gradient = kind.gradient(program, x)
    a = signed_step(sign_images(structure, c), structure.point_row(c), gradient)
    after = advance_signed(x, a, gradient, pessimism, Numbers())[0].flat()
    name = signed_name(record, pessimism) + kind.suffix
    terms = sampled_terms(state, columns, begun) if kind.sums else ""
    return program_struct(name, program, state, columns, after, kind.rows, terms)


def linear_step(program: Program, record: Optimizer, root: Any = 1) -> StepMap:
    """A step of a linear update on a traced gradient."""
    c = members_of(record)
    entries: Any = images(record, root, record.Coefficients(*traced(program, c)))
    gradient: Any = ProblemMap(*traced(program, GRADIENT))
    averaged = Structure(record).point_mask != (True, False)
    return put_in(UpdateMap(*(*entries, 0.0)), gradient, averaged)


def advanced(memoryless: bool) -> Callable[[Moments, StepMap], Moments]:
    return advance_without_memory if memoryless else advance_with_memory


def linear_struct(record: Optimizer, memoryless: bool = False) -> str:
    """The moments of the weight and one buffer under a linear update."""
    program, state = Program(free=True), Members("state", Moments._fields)
    x: Any = Moments(*traced(program, state))
    after = advanced(memoryless)(x, linear_step(program, record))
    return program_struct(linear_name(record, memoryless), program, state, members_of(record), after)


def frozen_struct(record: Optimizer) -> str:
    """The same of an adaptive optimizer's with √v̂ given."""
    program, state = Program(free=True), Members("state", Moments._fields)
    x: Any = Moments(*traced(program, state))
    after = advance_with_memory(x, linear_step(program, record, Traced(program, "root")))
    gradient = Members("gradient", (*GRADIENT.names, "root"))
    return program_struct(frozen_name(record), program, state, members_of(record), after, gradient)


def doubted_struct(record: Optimizer) -> str:
    """The same with what the fluctuations of v̂ make of the moments."""
    program, state = Program(free=True), Members("state", NoiseMoments._fields)
    root, eps = Traced(program, "root"), Traced(program, "c_eps")
    time = Fluctuation._fields[:3]
    taken, variance, doubt = (Traced(program, f"c_{name}") for name in time)
    second = Fluctuation(taken, variance, doubt, root / (root + eps))
    step = NoiseStep(linear_step(program, record, root), second)
    after = advance_noise(NoiseMoments(*traced(program, state)), step)
    gradient = Members("gradient", (*GRADIENT.names, "root"))
    return program_struct(doubted_name(record), program, state, members_of(record, *time), after, gradient)


def epoch_struct(record: Optimizer, memoryless: bool = False) -> str:
    """The same as `linear_struct`'s on a data set that is passed through in epochs."""
    program, state = Program(free=True), Members("state", Epochs._fields)
    x: Any = Epochs(*traced(program, state))
    rows = EpochRows(*traced(program, EPOCHS))
    after = advance_epoch(x, linear_step(program, record), rows, epoch_time(program), advanced(memoryless))
    name = linear_name(record, memoryless) + EpochMap.suffix
    return program_struct(name, program, state, members_of(record, *EpochTime._fields), after, EPOCHS)


def averaged_struct(record: Optimizer, memoryless: bool = False) -> str:
    """The same with an average of the iterates, of which each step takes a share."""
    program, state = Program(free=True), Members("state", Averaged._fields)
    x: Any = Averaged(*traced(program, state))
    taken: Any = Traced(program, "c_taken")
    after = advance_averaged(x, linear_step(program, record), taken, advanced(memoryless))
    return program_struct(averaged_name(record, memoryless), program, state, members_of(record, "taken"), after)


def programs() -> list[str]:
    """The C++ of every program, in the order of their numbers."""
    linear = [(record, False) for record in variants_read(LINEAR)]
    averaged = [(record, False) for record in variants_read(AVERAGED)]
    plain = [(record, True) for record in memoryless_variants()]
    closed = [(record, number) for record in closed_variants() for number in PESSIMISTIC]
    signed = [(record, number) for record in signed_variants() for number in SIGN_PESSIMISTIC]
    return [
        *(linear_struct(*one) for one in (*linear, *plain)),
        *(averaged_struct(*one) for one in (*averaged, *plain)),
        *(epoch_struct(*one) for one in (*linear, *plain)),
        *(frozen_struct(record) for record in variants_read(FROZEN)),
        *(doubted_struct(record) for record in variants_read(FROZEN)),
        *(closed_struct(*one, kind) for kind in KINDS for one in closed),
        *(signed_struct(*one, kind) for kind in KINDS for one in signed),
    ]


def generated() -> str:
    """The text of csrc/core/moments.h."""
    structs = {text.split()[1]: text for text in programs()}
    return "\n".join([HEADER.format(origin="ematheory/prediction/"), section("moments", structs), "", FOOTER])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], generated, "ematheory.simulation.moment_tracing"))
