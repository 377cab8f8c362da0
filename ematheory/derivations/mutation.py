"""Broken copies of equations (a sign, an exponent, an index, a limit, a swap), to show that the checks would notice."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import combinations, islice

import sympy as sp
from sympy.core.function import AppliedUndef

from .assumptions import Assumptions
from .derivation import Derivation
from .equations import Equation, Expression, substitute
from .evaluation import EvaluationError, agree, evaluate

POINTS = 5  # a mutant that equals the original at this many exact points is no mutant


def mutants(e: Expression) -> Iterator[Expression]:
    """Every copy of `e` with one thing changed, in the order of a walk over its tree."""
    yield from local_mutants(e)
    for position, child in enumerate(e.args):
        if not mutable(e, position):
            continue
        for changed in mutants(child):
            yield e.func(*e.args[:position], changed, *e.args[position + 1 :])


def mutable(e: Expression, position: int) -> bool:
    """Whether to walk into an argument: not into limits (changed as a whole), conditions or exponents of −1."""
    if isinstance(e, sp.Sum | sp.Product | sp.Integral):
        return position == 0
    if isinstance(e, sp.functions.elementary.piecewise.ExprCondPair):
        return position == 0
    return not (e.is_Pow and position == 1 and e.args[1] == -1)


def local_mutants(e: Expression) -> Iterator[Expression]:
    if e.is_Add:
        for term in e.args:
            yield e - 2 * term
    elif e.is_Pow:
        yield e.base ** (e.exp + 1)
        yield e.base ** (e.exp - 1)
    elif isinstance(e, AppliedUndef):
        for shift in (1, -1):
            yield e.func(*e.args[:-1], e.args[-1] + shift)
    elif isinstance(e, sp.Sum | sp.Product | sp.Integral):
        index, low, high = e.limits[0]
        for ends in ((low + 1, high), (low - 1, high), (low, high + 1), (low, high - 1)):
            yield e.func(e.function, (index, *ends))
    elif e.is_Rational and e not in (0, -1):
        yield e + 1
    elif isinstance(e, sp.Min | sp.Max):
        yield (sp.Max if isinstance(e, sp.Min) else sp.Min)(*e.args)
    elif isinstance(e, sp.Function) and not isinstance(e, sp.Piecewise) and not e.args[0].is_number:
        yield e.func(-e.args[0])


def swaps(e: Expression) -> Iterator[Expression]:
    """Copies with two free symbols exchanged."""
    for x, y in combinations(sorted(e.free_symbols, key=str), 2):
        yield e.xreplace({x: y, y: x})


def scalar_mutants(e: Expression) -> Iterator[Expression]:
    yield -e
    yield from mutants(e)
    yield from swaps(e)


def differs(x: Expression, y: Expression, assumptions: Assumptions) -> bool:
    """Whether two expressions differ at one of some random exact points; a value that only one of them has counts."""
    for point in assumptions.covering([x, y]).points(POINTS, seed=6):
        values = []
        for e in (x, y):
            try:
                values.append(evaluate(e, point))
            except EvaluationError:
                values.append(None)
        if (values[0] is None) != (values[1] is None) or (values[0] is not None and not agree(*values)):
            return True
    return False


def mutated_equations(derivation: Derivation, number: int) -> list[Equation]:
    """Every mutant of the right-hand side of step `number` (from 0) that says something else than the original."""
    pairs, known = list(derivation.steps[number].equation.pairs()), derivation.known()
    found: dict[Equation, None] = {}
    for position, (_, rhs) in enumerate(pairs):
        original = substitute(rhs, derivation.definitions)
        for mutant in scalar_mutants(rhs):
            if mutant.has(sp.nan, sp.zoo) or not differs(substitute(mutant, derivation.definitions), original, known):
                continue
            sides = [mutant if k == position else side for k, (_, side) in enumerate(pairs)]
            lhs = sp.Tuple(*(side for side, _ in pairs)) if len(pairs) > 1 else pairs[0][0]
            found[Equation(lhs, sp.Tuple(*sides) if len(pairs) > 1 else sides[0])] = None
    return list(found)


def counted(derivation: Derivation) -> int:
    """How many mutants a derivation has, over all its steps."""
    return sum(len(mutated_equations(derivation, number)) for number in range(len(derivation.steps)))


def caught(derivation: Derivation, number: int, equation: Equation) -> bool:
    """Whether the step's own check fails for the mutant, or the brute force of a result that the step states."""
    broken = derivation.with_step(number, equation)
    if not broken.check_step(number):
        return True
    label = derivation.steps[number].label
    return any(not broken.check_result(name) for name, stated in derivation.results.items() if stated == label)


def survivors(
    derivation: Derivation, per_step: int | None = None, seed: int = 0, only: Sequence[int] | None = None
) -> list[tuple[str, Equation]]:
    """The mutants that nothing catches, as (step's label, equation): of `per_step` random ones a step, or of all.

    `only` gives the numbers (from 0) of the steps to break.
    """
    generator = random.Random(seed)
    missed = []
    for number in range(len(derivation.steps)) if only is None else only:
        step = derivation.steps[number]
        tried = mutated_equations(derivation, number)
        generator.shuffle(tried)
        missed += [(step.label, m) for m in islice(tried, per_step) if not caught(derivation, number, m)]
    return missed
