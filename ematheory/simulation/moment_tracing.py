"""Traces the steps of predict's moments into C++: ``python -m ematheory.simulation.moment_tracing PATH``.

A program is one step of the moments of one optimizer's state, on one coordinate: the functions of `prediction`, run
once on values that record what is done with them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from ..optimizers import Optimizer
from ..prediction.averaging import Averaged, advance_averaged
from ..prediction.closure import ClosedMoments, Gradient, advance_closed, linearised
from ..prediction.linear import ProblemMap, StepMap, UpdateMap, images, put_in
from ..prediction.members import Structure
from ..prediction.moments import Moments, advance_with_memory, advance_without_memory
from ..prediction.stepping import (
    AVERAGED,
    LINEAR,
    PESSIMISTIC,
    averaged_name,
    closed_name,
    closed_variants,
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


def members_of(record: Optimizer) -> Members:
    """A step's coefficients, then what is known from time alone."""
    return Members("c", tuple(f"c_{name}" for name in (*record.Coefficients._fields, *record.known_members)))


def traced(program: Program, members: Members) -> list[Any]:
    return [Traced(program, name) for name in members.names]


def program_struct(name: str, program: Program, state: Members, c: Members, after: Sequence[Any]) -> str:
    end = [f"state[{place}] = {operand(value)};" for place, value in enumerate(after)]
    parameters = ["T *state", "const T *gradient", "const T *c"]
    step = function("void step", parameters, program, [state, GRADIENT, c], end)
    return struct(name, {"STATE": len(state.names), "COEFFICIENTS": len(c.names)}, [step])


def closed_struct(record: Optimizer, pessimism: int) -> str:
    """The moments of an adaptive optimizer's members and of its second moment."""
    program, structure, c = Program(free=True), Structure(record), members_of(record)
    count = len(structure.members)
    state = Members("state", tuple(f"x{place}" for place in range(ClosedMoments.size(count))))
    x = ClosedMoments.of(traced(program, state), count)
    given = traced(program, c)
    sizes = len(record.Coefficients._fields)
    gradient = Gradient(*traced(program, GRADIENT))
    found = linearised(
        structure, x, gradient, record.Coefficients(*given[:sizes]), given[sizes:], pessimism, Namespace()
    )
    return program_struct(closed_name(record, pessimism), program, state, c, advance_closed(x, found).flat())


def linear_step(program: Program, record: Optimizer) -> StepMap:
    """A step of a linear update on a traced gradient."""
    c = members_of(record)
    entries: Any = images(record, 1, record.Coefficients(*traced(program, c)))
    gradient: Any = ProblemMap(*traced(program, GRADIENT))
    averaged = Structure(record).point_mask != (True, False)
    return put_in(UpdateMap(*(*entries, 0.0)), gradient, averaged)


def linear_struct(record: Optimizer, memoryless: bool = False) -> str:
    """The moments of the weight and one buffer under a linear update."""
    program, state = Program(free=True), Members("state", Moments._fields)
    x: Any = Moments(*traced(program, state))
    moved = advance_without_memory if memoryless else advance_with_memory
    after = moved(x, linear_step(program, record))
    return program_struct(linear_name(record, memoryless), program, state, members_of(record), after)


def averaged_struct(record: Optimizer, memoryless: bool = False) -> str:
    """The same with an average of the iterates, of which each step takes a share."""
    program, state = Program(free=True), Members("state", Averaged._fields)
    c = Members("c", (*members_of(record).names, "c_taken"))
    x: Any = Averaged(*traced(program, state))
    taken: Any = Traced(program, "c_taken")
    moved = advance_without_memory if memoryless else advance_with_memory
    after = advance_averaged(x, linear_step(program, record), taken, moved)
    return program_struct(averaged_name(record, memoryless), program, state, c, after)


def generated() -> str:
    """The text of csrc/core/moments.h."""
    structs = {linear_name(record): linear_struct(record) for _, record in variants(LINEAR)}
    structs.update({averaged_name(record): averaged_struct(record) for _, record in variants(AVERAGED)})
    for plain in memoryless_variants():
        structs[linear_name(plain, True)] = linear_struct(plain, True)
        structs[averaged_name(plain, True)] = averaged_struct(plain, True)
    for record in closed_variants():
        structs.update({closed_name(record, number): closed_struct(record, number) for number in PESSIMISTIC})
    return "\n".join([HEADER.format(origin="ematheory/prediction/"), section("moments", structs), "", FOOTER])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], generated))
