"""Traces the functions that take dot products over a vector: passes over its coordinates with sums between them.

A dot product needs every coordinate first. So what a function does is cut into passes: pass p gives the terms of those
dot products that need only the ones of earlier passes, and the last one gives the function's own result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..optimizers import Optimizer
from ..problems import LinearRegression, Problem
from .tracing import Members, Namespace, Program, Traced, expect_data, function, operand, struct, trace_point, words


class CoupledProgram(Program):
    """A program that also keeps the two factors of each dot product; its value is an argument of later passes."""

    def __init__(self) -> None:
        super().__init__()
        self.dots: list[tuple[str, str]] = []

    def needed(self, names: Iterable[str]) -> list[str]:
        """The statements that these values are made of, in order."""
        made = {re.split(r"\W+", statement)[2]: statement for statement in self.statements}
        wanted, left = set[str](), list(names)
        while left:
            name = left.pop()
            if name in made and name not in wanted:
                wanted.add(name)
                left += words([made[name].split("=", 1)[1]])
        return [statement for name, statement in made.items() if name in wanted]

    def passes(self) -> list[int]:
        """The pass in which each dot product is summed."""
        found: list[int] = []
        for number, factors in enumerate(self.dots):
            used = words([*self.needed(factors), *factors])
            found.append(1 + max((found[other] for other in range(number) if f"dot{other}" in used), default=-1))
        return found

    def part(self, names: Iterable[str]) -> CoupledProgram:
        part = CoupledProgram()
        part.statements = self.needed(names)
        return part


class CoupledNamespace(Namespace):
    """The namespace of a traced function that may take dot products."""

    @staticmethod
    def dot(x: Any, y: Any) -> Traced:
        one, other = expect_data("xp.dot", x), expect_data("xp.dot", y)
        program = one.program
        assert isinstance(program, CoupledProgram)
        program.dots.append((one.name, other.name))
        return Traced(program, f"dot{len(program.dots) - 1}")

    @staticmethod
    def zeros_like(x: Any) -> Traced:
        value = expect_data("xp.zeros_like", x)
        return Traced(value.program, value.program.record("T(0)"))


def functions(
    program: CoupledProgram, head: str, parameters: Sequence[str], members: Sequence[Members], end: Sequence[str]
) -> list[str]:
    """The terms of each pass, `template <int PASS>`, then the function itself, which has all dot products."""
    dots = Members("dots", tuple(f"dot{number}" for number in range(len(program.dots))))
    members, given = [*members, dots], [*parameters, *(["const T *dots"] if program.dots else [])]
    found = [terms_of(program, number, given, members) for number in range(passes_of(program))]
    whole = program.part(words(end))
    return [*found, function(head, given, whole, members, list(end)), *pass_of(program)]


def pass_of(program: CoupledProgram) -> list[str]:
    """In which pass a dot product is summed."""
    if not program.dots:
        return []
    listed = "".join(f"dot == {dot} ? {number} : " for dot, number in enumerate(program.passes()))
    return [f"  EMATHEORY_FUNCTION static constexpr int pass_of(const int dot) {{ return {listed}-1; }}"]


def terms_of(program: CoupledProgram, number: int, given: Sequence[str], members: Sequence[Members]) -> str:
    """The terms of the dot products of one pass, at their places; a dot product of another pass has none."""
    own = {place: program.dots[place] for place, of in enumerate(program.passes()) if of == number}
    lines = [f"terms[{place}] = double({one}) * double({other});" for place, (one, other) in own.items()]
    constant = [text if text.startswith("const ") else f"const {text}" for text in given]
    part = program.part(name for factors in own.values() for name in factors)
    return function("void terms", [f"Pass<{number}>", *constant, "double *terms"], part, members, lines)


def passes_of(program: CoupledProgram) -> int:
    return max(program.passes(), default=-1) + 1


def sizes_of(program: CoupledProgram, **others: int) -> dict[str, int]:
    return {**others, "PASSES": passes_of(program), "DOTS": len(program.dots)}


def optimizer_struct(name: str, record: Optimizer) -> str:
    program, state, c = CoupledProgram(), Members.state(record), Members.coefficients(record)
    result = record.update(
        CoupledNamespace(), state.traced(program, record.State, False), Traced(program, "gradient"),
        c.traced(program, record.Coefficients, True),
    )  # fmt: skip
    end = [f"state[{place}] = {operand(value)};" for place, value in enumerate(result)]
    sizes = sizes_of(program, STATE=len(record.State._fields), COEFFICIENTS=len(record.Coefficients._fields))
    update = functions(program, "void update", ["T *state", "const T gradient", "const T *c"], [state, c], end)
    return struct(name, sizes, [trace_point(record), *update])


def problem_struct(name: str, record: Problem) -> str:
    """A vector's gradient; where it has samples that of one, with its label's normal as a last coefficient."""
    program, c = CoupledProgram(), Members.coefficients(record)
    given = c.traced(program, record.Coefficients, True)
    weight, noise = Traced(program, "weight"), Traced(program, "noise")
    samples = isinstance(record, LinearRegression)
    if isinstance(record, LinearRegression):
        c = Members("c", (*c.names, "label"))
        result = record.sample_gradient(CoupledNamespace(), weight, noise, Traced(program, "label"), given)
    else:
        result = record.gradient(CoupledNamespace(), weight, noise, given)
    parameters = ["const T weight", "const T noise", "const T *c"]
    found = functions(program, "T gradient", parameters, [c], [f"return {operand(result)};"])
    if isinstance(record, LinearRegression):
        found.append(mean_of(record))
    sizes = sizes_of(program, COEFFICIENTS=len(given), SAMPLES=int(samples), BATCH=place_of_batch(record))
    return struct(name, sizes, found)


def place_of_batch(record: Problem) -> int:
    """Where the batch size stands among the coefficients; −1 where none is, since it is in the noise's scale."""
    fields = record.Coefficients._fields
    return fields.index("batch_size") if "batch_size" in fields else -1


def mean_of(record: LinearRegression) -> str:
    """The batch's gradient from the sum of its samples'."""
    program, c = Program(), Members.coefficients(record)
    mean = record.mean_gradient(Traced(program, "total"), c.traced(program, record.Coefficients, True))
    return function("T mean", ["const T total", "const T *c"], program, [c], [f"return {operand(mean)};"])
