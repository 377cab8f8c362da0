"""Checks under a relation: one case, or a relation and its negation, which settle the branches of every Piecewise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import sympy as sp

from .checks import Check, Context
from .equations import Equation, Expression


def settled(e: Expression, relation: Expression) -> Expression:
    """The expression with the branches of every Piecewise decided where `relation`, or its negation, is a condition."""
    return e.replace(lambda x: isinstance(x, sp.Piecewise), lambda x: settled_piecewise(x, relation))


def settled_piecewise(e: Expression, relation: Expression) -> Expression:
    left = [(branch, condition) for branch, condition in e.args if condition != sp.Not(relation)]
    for number, (branch, condition) in enumerate(left):
        if condition in (relation, sp.true):
            left[number:] = [(branch, sp.true)]
            break
    return sp.Piecewise(*left, evaluate=False) if len(left) > 1 else left[0][0]


@dataclass(frozen=True, kw_only=True)
class Cases(Check):
    """The equation holds where `when` does by the check `yes`, elsewhere by `no`; the case is assumed in its check."""

    when: Expression
    yes: Check
    no: Check

    kind = "cases"

    def needs(self) -> tuple[str, ...]:
        return (*self.yes.needs(), *self.no.needs(), *self.uses)

    def words(self) -> str:
        return f"where {self.when}: {self.yes.words()}; elsewhere: {self.no.words()}"

    def prove(self, equation: Equation, context: Context) -> str:
        parts = []
        for relation, check in ((self.when, self.yes), (sp.Not(self.when), self.no)):
            within, known = case(equation, relation), in_case(context, relation)
            parts.append(f"where {relation}: {check.prove(within, known)}")
        return "; ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Within(Check):
    """The equation holds where `relation` does, by `check`."""

    relation: Expression
    check: Check

    kind = "where a relation holds"

    def needs(self) -> tuple[str, ...]:
        return (*self.check.needs(), *self.uses)

    def words(self) -> str:
        return f"where {self.relation}: {self.check.words()}"

    def prove(self, equation: Equation, context: Context) -> str:
        return self.check.prove(case(equation, self.relation), in_case(context, self.relation))


def case(equation: Equation, relation: Expression) -> Equation:
    return Equation(settled(equation.lhs, relation), settled(equation.rhs, relation))


def in_case(context: Context, relation: Expression) -> Context:
    """The context with the relation assumed, and its definitions and equations settled by it."""
    given = context.assumptions
    changed: dict[str, Any] = {
        "assumptions": replace(given, relations=(*given.relations, relation)),
        "definitions": {key: settled(sp.sympify(value), relation) for key, value in context.definitions.items()},
        "equations": {label: case(equation, relation) for label, equation in context.equations.items()},
    }
    return replace(context, **changed)
