"""Traces the steps of predict's moments into C++: ``python -m ematheory.simulation.moment_tracing PATH``.

A program is one step of the moments of one optimizer's state, on one coordinate: the functions of `prediction`, run
once on values that record what is done with them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..optimizers import Optimizer
from ..prediction.averaging import Averaged, advance_averaged
from ..prediction.closure import ClosedMoments, Gradient, advance_closed, linearised
from ..prediction.epochs import Epochs, advance_epoch
from ..prediction.linear import EpochMap, EpochRows, EpochTime, ProblemMap, StepMap, UpdateMap, images, put_in
from ..prediction.members import Structure
from ..prediction.moments import Moments, advance_with_memory, advance_without_memory
from ..prediction.stepping import (
    AVERAGED,
    FROZEN,
    LINEAR,
    PESSIMISTIC,
    averaged_name,
    closed_name,
    closed_variants,
    frozen_name,
    linear_name,
    memoryless_variants,
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
    variants,
)

GRADIENT = Members("gradient", Gradient._fields[:3])
EPOCHS = Members("gradient", EpochRows._fields)


def members_of(record: Optimizer, *more: str) -> Members:
    """A step's coefficients, then what is known from time alone, and `more` of that."""
    return Members("c", tuple(f"c_{name}" for name in (*record.Coefficients._fields, *record.known_members, *more)))


def traced(program: Program, members: Members) -> list[Any]:
    return [Traced(program, name) for name in members.names]


def program_struct(
    name: str, program: Program, state: Members, c: Members, after: Sequence[Any], gradient: Members = GRADIENT
) -> str:
    end = [f"state[{place}] = {operand(value)};" for place, value in enumerate(after)]
    parameters = ["T *state", "const T *gradient", "const T *c"]
    step = function("void step", parameters, program, [state, gradient, c], end)
    sizes = {"STATE": len(state.names), "GRADIENT": len(gradient.names), "COEFFICIENTS": len(c.names)}
    return struct(name, sizes, [step])


def epoch_members(record: Optimizer) -> Members:
    return members_of(record, *EpochTime._fields)


def epoch_time(program: Program) -> EpochTime:
    return EpochTime(*(Traced(program, f"c_{name}") for name in EpochTime._fields))


def closed_struct(record: Optimizer, pessimism: int, epochs: bool = False) -> str:
    """The moments of an adaptive optimizer's members, of the noise's own state, and of its second moment."""
    program, structure = Program(free=True), Structure(record)
    c, rows = (epoch_members(record), EPOCHS) if epochs else (members_of(record), GRADIENT)
    given: Any = traced(program, rows)
    gradient = EpochRows(*given).gradient(epoch_time(program)) if epochs else Gradient(*given)
    count = len(structure.members) + len(gradient.memory)
    state = Members("state", tuple(f"x{place}" for place in range(ClosedMoments.size(count))))
    x = ClosedMoments.of(traced(program, state), count)
    own = traced(program, members_of(record))
    sizes = len(record.Coefficients._fields)
    coefficients = record.Coefficients(*own[:sizes])
    found = linearised(structure, x, gradient, coefficients, own[sizes:], pessimism, Namespace())
    name = closed_name(record, pessimism) + (EpochMap.suffix if epochs else "")
    return program_struct(name, program, state, c, advance_closed(x, found).flat(), rows)


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


def epoch_struct(record: Optimizer, memoryless: bool = False) -> str:
    """The same as `linear_struct`'s on a data set that is passed through in epochs."""
    program, state = Program(free=True), Members("state", Epochs._fields)
    x: Any = Epochs(*traced(program, state))
    rows = EpochRows(*traced(program, EPOCHS))
    after = advance_epoch(x, linear_step(program, record), rows, epoch_time(program), advanced(memoryless))
    name = linear_name(record, memoryless) + EpochMap.suffix
    return program_struct(name, program, state, epoch_members(record), after, EPOCHS)


def averaged_struct(record: Optimizer, memoryless: bool = False) -> str:
    """The same with an average of the iterates, of which each step takes a share."""
    program, state = Program(free=True), Members("state", Averaged._fields)
    x: Any = Averaged(*traced(program, state))
    taken: Any = Traced(program, "c_taken")
    after = advance_averaged(x, linear_step(program, record), taken, advanced(memoryless))
    return program_struct(averaged_name(record, memoryless), program, state, members_of(record, "taken"), after)


def programs() -> list[str]:
    """The C++ of every program, in the order of their numbers."""
    linear = [(record, False) for _, record in variants(LINEAR)]
    averaged = [(record, False) for _, record in variants(AVERAGED)]
    plain = [(record, True) for record in memoryless_variants()]
    closed = [(record, number) for record in closed_variants() for number in PESSIMISTIC]
    return [
        *(linear_struct(*one) for one in (*linear, *plain)),
        *(averaged_struct(*one) for one in (*averaged, *plain)),
        *(epoch_struct(*one) for one in (*linear, *plain)),
        *(frozen_struct(record) for _, record in variants(FROZEN) if not record.decays_where_aligned),
        *(closed_struct(*one, epochs) for epochs in (False, True) for one in closed),
    ]


def generated() -> str:
    """The text of csrc/core/moments.h."""
    structs = {text.split()[1]: text for text in programs()}
    return "\n".join([HEADER.format(origin="ematheory/prediction/"), section("moments", structs), "", FOOTER])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], generated))
