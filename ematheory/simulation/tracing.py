"""Traces the optimizers' updates and the problems' gradients into C++.

Each function runs once on values that record what is done with them, so that the C++ repeats Python's operations in
Python's order. With ``--check`` nothing is written: the exit status says whether the file is current.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ..optimizers import Optimizer
from ..prediction.members import BEYOND
from ..problems import Problem

CONTRACT = "an update uses only + − × ÷, comparisons and xp.sqrt, xp.where, xp.sign (DESIGN.md, Update)"

ELSEWHERE = "arithmetic among coefficients belongs into coefficients(), which computes in float64"


class Program:
    """The statements recorded so far, one local constant each.

    A `free` one is no update: arithmetic among coefficients is its own, and products and sums with a plain 0 or 1 are
    not written.
    """

    def __init__(self, free: bool = False) -> None:
        self.statements: list[str] = []
        self.free = free

    def record(self, expression: str, kind: str = "T") -> str:
        name = f"t{len(self.statements)}"
        self.statements.append(f"const {kind} {name} = {expression};")
        return name


class Traced:
    """A number in a program: a name, and whether it is a coefficient (known before the data are)."""

    # NumPy scalars on the left give way to the operators here.
    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, program: Program, name: str, is_coefficient: bool = False) -> None:
        self.program = program
        self.name = name
        self.is_coefficient = is_coefficient

    def __add__(self, other: Any) -> Any:
        return arithmetic(self.program, self, "+", other)

    def __radd__(self, other: Any) -> Any:
        return arithmetic(self.program, other, "+", self)

    def __sub__(self, other: Any) -> Any:
        return arithmetic(self.program, self, "-", other)

    def __rsub__(self, other: Any) -> Any:
        return arithmetic(self.program, other, "-", self)

    def __mul__(self, other: Any) -> Any:
        return arithmetic(self.program, self, "*", other)

    def __rmul__(self, other: Any) -> Any:
        return arithmetic(self.program, other, "*", self)

    def __truediv__(self, other: Any) -> Any:
        return NotImplemented if other is BEYOND else arithmetic(self.program, self, "/", other)

    def __rtruediv__(self, other: Any) -> Any:
        return arithmetic(self.program, other, "/", self)

    def __neg__(self) -> Traced:
        return Traced(self.program, self.program.record(f"-{self.name}"), self.is_coefficient)

    def __lt__(self, other: Any) -> Condition:
        return comparison(self, "<", other)

    def __le__(self, other: Any) -> Condition:
        return comparison(self, "<=", other)

    def __gt__(self, other: Any) -> Condition:
        return comparison(self, ">", other)

    def __ge__(self, other: Any) -> Condition:
        return comparison(self, ">=", other)

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return comparison(self, "==", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return comparison(self, "!=", other)

    def __pow__(self, exponent: Any) -> NoReturn:
        raise TypeError(f"** is not traced: {CONTRACT}; write a square as x * x")

    def __bool__(self) -> NoReturn:
        raise TypeError(f"`if` on data is not traced: {CONTRACT}; choose with xp.where")

    def __abs__(self) -> NoReturn:
        raise TypeError(f"abs is not traced: {CONTRACT}; write xp.where(x < 0, -x, x)")

    def __float__(self) -> NoReturn:
        raise TypeError(f"a function of numbers (math, numpy) is not traced: {CONTRACT}")


class Condition:
    """What a comparison gives; only `xp.where` takes it."""

    def __init__(self, program: Program, name: str) -> None:
        self.program = program
        self.name = name

    def __bool__(self) -> NoReturn:
        raise TypeError(f"`if` on data is not traced: {CONTRACT}; choose with xp.where")


class Namespace:
    """The array namespace that a traced function sees as ``xp``."""

    @staticmethod
    def sqrt(x: Any) -> Traced:
        value = expect_data("xp.sqrt", x)
        return Traced(value.program, value.program.record(f"root({value.name})"))

    @staticmethod
    def where(condition: Any, x: Any, y: Any) -> Traced:
        if not isinstance(condition, Condition):
            raise TypeError(f"xp.where needs a comparison first, got {condition!r}: {CONTRACT}")
        choice = f"{condition.name} ? {operand(x)} : {operand(y)}"
        return Traced(condition.program, condition.program.record(choice))

    @classmethod
    def sign(cls, x: Any) -> Traced:
        value = expect_data("xp.sign", x)
        return cls.where(value > 0, 1, cls.where(value < 0, -1, 0))

    def __getattr__(self, name: str) -> NoReturn:
        raise TypeError(f"xp.{name} is not traced: {CONTRACT}")


def operand(value: Any) -> str:
    """How a traced value or a Python number is written in C++: a number exactly, then rounded to T as NumPy does."""
    if isinstance(value, Traced):
        return value.name
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a traced function computes with its arguments and Python numbers, got {value!r}: {CONTRACT}")
    return f"T({int(value)})" if value == int(value) and abs(value) < 2**53 else f"T({float(value).hex()})"


def expect_data(name: str, value: Any) -> Traced:
    if not isinstance(value, Traced):
        raise TypeError(f"{name} needs a traced value, got {value!r}: {CONTRACT}")
    if value.is_coefficient and not value.program.free:
        raise TypeError(f"{name} of the coefficient {value.name}: {ELSEWHERE}")
    return value


def without_units(left: Any, operator: str, right: Any) -> Any:
    """What left·right is without computing, where one is a plain 0 or 1; None where it has to be computed."""
    if operator in "*/" and is_plain(left, 0):
        return 0
    if operator == "*" and is_plain(right, 0):
        return 0
    if (operator in "+-" and is_plain(right, 0)) or (operator in "*/" and is_plain(right, 1)):
        return left
    if (operator == "+" and is_plain(left, 0)) or (operator == "*" and is_plain(left, 1)):
        return right
    return -right if operator == "-" and is_plain(left, 0) else None


def is_plain(value: Any, number: int) -> bool:
    return not isinstance(value, Traced) and isinstance(value, int | float) and value == number


def arithmetic(program: Program, left: Any, operator: str, right: Any) -> Any:
    """Record left·right; one of them must be data, but in a free program."""
    if program.free:
        simple = without_units(left, operator, right)
        return (
            Traced(program, program.record(f"{operand(left)} {operator} {operand(right)}"))
            if simple is None
            else simple
        )
    expression = f"{operand(left)} {operator} {operand(right)}"
    if not any(isinstance(value, Traced) and not value.is_coefficient for value in (left, right)):
        raise TypeError(f"{expression}: {ELSEWHERE}")
    return Traced(program, program.record(expression))


def comparison(left: Traced, operator: str, right: Any) -> Condition:
    return Condition(left.program, left.program.record(f"{left.name} {operator} {operand(right)}", "bool"))


class Members(NamedTuple):
    """An array parameter of a C++ function, and the local names of its members."""

    parameter: str
    names: tuple[str, ...]

    @classmethod
    def state(cls, record: Optimizer) -> Members:
        return cls("state", record.State._fields)

    @classmethod
    def coefficients(cls, record: Optimizer | Problem) -> Members:
        # The prefix keeps them apart from members of the state: SGD has a momentum in both.
        return cls("c", tuple(f"c_{field}" for field in record.Coefficients._fields))

    def traced(self, program: Program, kind: type[Any], is_coefficient: bool) -> Any:
        return kind(*(Traced(program, name, is_coefficient) for name in self.names))

    def loads(self, used: set[str]) -> list[str]:
        named = enumerate(self.names)
        return [f"const T {name} = {self.parameter}[{place}];" for place, name in named if name in used]


def words(lines: Sequence[str]) -> set[str]:
    return set(re.findall(r"\w+", " ".join(lines)))


def function(head: str, parameters: Sequence[str], program: Program, members: Sequence[Members], end: list[str]) -> str:
    """A C++ function: the members that it uses, the program, its end. Unused parameters stay unnamed."""
    statements = [*program.statements, *end]
    used = words(statements)
    lines = [*(load for one in members for load in one.loads(used)), *statements]
    mentioned = words(lines)
    declared = [text if text.split()[-1].lstrip("*") in mentioned else unnamed(text) for text in parameters]
    body = "\n".join(f"    {line}" for line in lines)
    return f"  template <class T>\n  EMATHEORY_FUNCTION static {head}({', '.join(declared)}) {{\n{body}\n  }}"


def unnamed(parameter: str) -> str:
    return re.sub(r"\w+$", "", parameter).rstrip()


def trace_point(record: Optimizer) -> str:
    program, state, c = Program(), Members.state(record), Members.coefficients(record)
    result = record.point(
        Namespace(), state.traced(program, record.State, False), c.traced(program, record.Coefficients, True)
    )
    end = [f"return {operand(result)};"]
    return function("T point", ["const T *state", "const T *c"], program, [state, c], end)


def trace_update(record: Optimizer) -> str:
    program, state, c = Program(), Members.state(record), Members.coefficients(record)
    result = record.update(
        Namespace(),
        state.traced(program, record.State, False),
        Traced(program, "gradient"),
        c.traced(program, record.Coefficients, True),
    )
    end = [f"state[{place}] = {operand(value)};" for place, value in enumerate(result)]
    return function("void update", ["T *state", "const T gradient", "const T *c"], program, [state, c], end)


def trace_gradient(record: Problem) -> str:
    program, c = Program(), Members.coefficients(record)
    result = record.gradient(
        Namespace(), Traced(program, "weight"), Traced(program, "noise"), c.traced(program, record.Coefficients, True)
    )
    end = [f"return {operand(result)};"]
    return function("T gradient", ["const T weight", "const T noise", "const T *c"], program, [c], end)


# What the engine of coupled vectors reads of every struct (coupled_tracing.py).
SEPARABLE = {"PASSES": 0, "DOTS": 0}


def struct(name: str, sizes: dict[str, int], functions: Sequence[str]) -> str:
    constants = [f"  static constexpr int {key} = {size};" for key, size in sizes.items()]
    return "\n".join([f"struct {name} {{", *constants, *functions, "};"])


def optimizer_struct(name: str, record: Optimizer) -> str:
    sizes = {"STATE": len(record.State._fields), "COEFFICIENTS": len(record.Coefficients._fields), **SEPARABLE}
    return struct(name, sizes, [trace_point(record), trace_update(record)])


def problem_struct(name: str, record: Problem) -> str:
    sizes = {"COEFFICIENTS": len(record.Coefficients._fields), "SAMPLES": 0, "BATCH": -1, **SEPARABLE}
    return struct(name, sizes, [trace_gradient(record)])


def variants(records: Sequence[Any]) -> Iterator[tuple[str, Any]]:
    for record in records:
        yield from record.variants().items()


def written(records: Sequence[Any], write: Callable[[str, Any], str]) -> dict[str, str]:
    return {name: write(name, record) for name, record in variants(records)}


def section(namespace: str, structs: Mapping[str, str], prefix: str = "") -> str:
    """The structs of one kind in their namespace, and the list macro that names them all."""
    listed = " ".join(f"X({name})" for name in structs)
    lines = [
        f"#define EMATHEORY_{prefix.upper()}{namespace.upper()}(X) {listed}",
        f"namespace {namespace} {{",
        *structs.values(),
    ]
    return "\n\n".join([*lines, f"}}  // namespace {namespace}"])


HEADER = """\
// Traced from {origin} by `make generate`; edit those, not this.
#pragma once

#include "portable.h"

// Unnamed, so that each instruction set keeps its own copy: the linker must never share one compiled for another.
namespace ematheory {{
namespace {{
"""
FOOTER = """\
}  // namespace
}  // namespace ematheory
"""


def main(arguments: Sequence[str], generated: Callable[[], str], module: str) -> int:
    """Write what `generated` makes to the path given, or check that it stands there; `module` is what was called.

    Raises `SystemExit` with status 2 for arguments that are none of these, and 0 after help.
    """
    asked = read(arguments, module)
    text = generated()
    if not asked.check:
        asked.path.write_text(text, encoding="utf-8")
        return 0
    if asked.path.exists() and asked.path.read_text(encoding="utf-8") == text:
        return 0
    print(f"{asked.path} is not what the records say; run `make generate`", file=sys.stderr)
    return 1


def read(arguments: Sequence[str], module: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}", description="Write the C++ that is traced from the Python records.",
        allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("path", type=Path, metavar="PATH", help="the C++ file, as `make generate` names it")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where the file is not current")
    return parser.parse_args(arguments)
