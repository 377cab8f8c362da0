"""Whether the numbers given to a numeric function lie where its derivation holds: whole arrays, in floats.

Open domains are taken with their ends, where a formula may have a limit: no decay, or no momentum. What floats put
outside, where an end or a relation is an expression, is asked again in 60 digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import sympy as sp

from .assumptions import Assumptions, Domain
from .equations import Expression
from .evaluation import EvaluationError, as_real, evaluate

Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Values: TypeAlias = Mapping[str, Any]  # an array for each word


@dataclass(frozen=True)
class Condition:
    """`margin` is not below 0; where it is 0, `open` says that this is a limit of what the derivation is about."""

    margin: Expression
    open: bool
    words: str

    @property
    def about(self) -> list[str]:
        return sorted(map(str, self.margin.free_symbols))

    def seen(self, values: Values) -> str:
        """The numbers that it is about, with their words unless there is only one."""
        if len(self.about) == 1:
            return f"{float(values[self.about[0]])!r}"
        return ", ".join(f"{word} = {float(values[word])!r}" for word in self.about)

    def fails(self, values: Values, limits: bool) -> bool:
        """Whether the numbers are outside (with `limits`, or at the end of an open domain), in 60 digits."""
        if not all(np.isfinite(values[word]) for word in self.about):
            return True  # floats have said so, and no digits can be added
        point = {symbol: Fraction(float(values[str(symbol)])) for symbol in self.margin.free_symbols}
        try:
            margin = as_real(evaluate(self.margin, point))
        except EvaluationError:
            return True
        return bool(margin <= 0 if limits else margin < 0)


def of_domain(domain: Domain) -> Iterator[Condition]:
    for end, sign in ((domain.low, 1), (domain.high, -1)):
        if not end.is_infinite:
            words = f"{domain.symbol} must be {domain.bounds()}"
            yield Condition(sign * (domain.symbol - end), not domain.integer, words)


def of_relation(relation: Expression) -> Iterator[Condition]:
    """What an inequality asks, or each of several; that two differ keeps nothing out but a limit, their equality."""
    if isinstance(relation, sp.And):
        for part in relation.args:
            yield from of_relation(part)
    else:
        unequal = isinstance(relation, sp.Ne)
        margin = sp.Abs(relation.lhs - relation.rhs) if unequal else relation.gts - relation.lts
        yield Condition(margin, isinstance(relation, sp.Ne | sp.Lt | sp.Gt), f"{relation} must hold")


@dataclass(frozen=True)
class ArgumentDomains:
    """The assumptions about a numeric function's arguments alone, in symbols that bear the words of its callers."""

    assumptions: Assumptions

    @cached_property
    def symbols(self) -> dict[str, Any]:
        return {str(domain.symbol): domain.symbol for domain in self.assumptions.domains}

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        given = self.assumptions
        every = (*map(of_domain, given.domains), *map(of_relation, given.relations))
        return tuple(condition for group in every for condition in group)

    @cached_property
    def margins(self) -> Callable[..., Any]:
        return sp.lambdify(list(self.symbols.values()), [c.margin for c in self.conditions], modules="numpy")  # type: ignore[no-any-return]

    def failing(self, values: Values, limits: bool = False, where: Any = True) -> tuple[Condition, Values] | None:
        """The first condition that fails with the numbers at which it does; only `where` a mask says."""
        with np.errstate(all="ignore"):
            margins = self.margins(*(values[word] for word in self.symbols))
        for condition, margin in zip(self.conditions, margins, strict=True):
            if limits and not condition.open:
                continue
            suspect = where & (margin <= 0 if limits else margin < 0)
            if np.any(suspect):
                for point in points(values, suspect):
                    if condition.fails(point, limits):
                        return condition, point
        return None

    def check(self, name: str, values: Values) -> None:
        """Raise `ValueError` at the first argument beyond the ends of what is allowed; NaN passes."""
        found = self.failing(values)
        if found is not None:
            condition, point = found
            raise ValueError(f"{name}: {condition.words}, got {condition.seen(point)}")

    def __str__(self) -> str:
        """The domains and relations in words."""
        given = self.assumptions
        return "; ".join([*(domain.words() for domain in given.domains), *map(str, given.relations)])


def points(values: Values, mask: Mask) -> Iterator[Values]:
    """The numbers at each place of the arrays, broadcast, that the mask marks."""
    mask, *arrays = np.broadcast_arrays(mask, *values.values())
    for place in np.flatnonzero(mask):
        yield {word: array.flat[place] for word, array in zip(values, arrays, strict=True)}
