"""Assumptions as data: the domains of symbols and sequences, relations among them, exact points that satisfy both."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef, UndefinedFunction

from .equations import Expression
from .evaluation import Number, evaluate, holds

WIDTH = 8  # how far a sample reaches into an unbounded domain
ATTEMPTS = 200  # draws per point before the assumptions are called vacuous


@dataclass(frozen=True)
class Domain:
    """Where a symbol, or every value of a sequence, lies: between `low` and `high`, integers or rationals.

    Integer ends are included, rational ends are not. An end may be an expression in symbols declared before.
    `most` caps the samples of an integer that has no upper end. `sampled` gives narrower ends for the samples, where
    brute force would take too long beyond them; the statement is about all of low … high.
    """

    symbol: Any
    low: Expression = -sp.oo
    high: Expression = sp.oo
    integer: bool = False
    most: int = WIDTH
    sampled: tuple[Expression, Expression] | None = None

    def draw(self, generator: random.Random, point: dict[Any, Any]) -> Number:
        low, high = self.ends(point)
        if self.integer:
            return generator.randint(int(low), int(high)) if low <= high else None
        if low >= high:
            return None
        parts = generator.randint(3, 97)
        return low + (high - low) * Fraction(generator.randint(1, parts - 1), parts)

    def ends(self, point: dict[Any, Any]) -> tuple[Number, Number]:
        """Between which values to draw."""
        if self.sampled is not None:
            bottom, top = (evaluate(sp.sympify(each), point) for each in self.sampled)
            return bottom, top
        low, high = sp.sympify(self.low), sp.sympify(self.high)
        reach = self.most if self.integer else WIDTH
        if low == -sp.oo and high == sp.oo:
            return Fraction(-WIDTH, 2), Fraction(WIDTH, 2)
        if low == -sp.oo:
            top = evaluate(high, point)
            return top - reach, top
        bottom = evaluate(low, point)
        return bottom, bottom + reach if high == sp.oo else evaluate(high, point)

    def bounds(self) -> str:
        """The ends in words: "above 0 and below 1", for an integer "at least 1"."""
        least, most = ("at least", "at most") if self.integer else ("above", "below")
        low = [] if self.low == -sp.oo else [f"{least} {self.low}"]
        return " and ".join(low if self.high == sp.oo else [*low, f"{most} {self.high}"])

    def renamed(self, names: Mapping[Any, Any]) -> Domain:
        """Other symbols in place of its own."""
        low, high = (end.xreplace(names) for end in (self.low, self.high))
        return replace(self, symbol=names.get(self.symbol, self.symbol), low=low, high=high)

    def within(self, symbols: set[Any]) -> Domain:
        """The domain as far as these symbols alone say: without an end that others stand in."""
        low = self.low if self.low.free_symbols <= symbols else -sp.oo
        return replace(self, low=low, high=self.high if self.high.free_symbols <= symbols else sp.oo)

    def words(self) -> str:
        sequence = isinstance(self.symbol, UndefinedFunction)
        less = "≤" if self.integer else "<"
        low = "" if self.low == -sp.oo else f"{self.low} {less} "
        high = "" if self.high == sp.oo else f" {less} {self.high}"
        kind = "integer" if self.integer else "real"
        return f"{kind} {low}{self.symbol}{'_t' * sequence}{high}{' for every t' * sequence}"

    def sampled_words(self) -> str:
        return "" if self.sampled is None else " (sampled from {} to {})".format(*self.sampled)


def between(
    symbol: Any, low: Expression, high: Expression, sampled: tuple[Expression, Expression] | None = None
) -> Domain:
    """low < symbol < high, a real symbol or each value of a real sequence; `sampled` as for `Domain`."""
    return Domain(symbol, sp.sympify(low), sp.sympify(high), sampled=sampled)


def positive(symbol: Any) -> Domain:
    """symbol > 0."""
    return Domain(symbol, sp.Integer(0))


def real(symbol: Any) -> Domain:
    """A real symbol or sequence without bounds."""
    return Domain(symbol)


def integer(symbol: Any, low: Expression = 0, high: Expression = sp.oo, most: int = WIDTH) -> Domain:
    """An integer low ≤ symbol ≤ high; samples reach `most` beyond `low` when there is no upper end."""
    return Domain(symbol, sp.sympify(low), sp.sympify(high), integer=True, most=most)


class Table:
    """A sequence's values at a sampled point: drawn when first asked for, the same ever after."""

    def __init__(self, domain: Domain, seed: str, point: dict[Any, Any]) -> None:
        self.domain, self.seed, self.point = domain, seed, point

    def __call__(self, *arguments: Number) -> Number:
        generator = random.Random(f"{self.seed} {self.domain.symbol} {arguments}")
        return self.domain.draw(generator, self.point)


@dataclass(frozen=True)
class Assumptions:
    """The domains of the symbols, in an order in which they can be drawn, and relations among them.

    >>> a, b = sp.symbols("a b")
    >>> one = Assumptions((between(a, 0, 1), between(b, 0, 1)), (sp.Lt(a, b),))
    >>> all(0 < p[a] < p[b] < 1 for p in one.points(4))
    True
    """

    domains: tuple[Domain, ...] = ()
    relations: tuple[Expression, ...] = ()

    def points(self, count: int, seed: int = 0) -> Iterator[dict[Any, Any]]:
        """Up to `count` exact points that satisfy everything; fewer, or none, when the draws find no more."""
        generator = random.Random(seed)
        found = 0
        for attempt in range(ATTEMPTS * count):
            point = self.draw(generator, f"{seed}.{attempt}")
            if point is not None and all(holds(relation, point) for relation in self.relations):
                yield point
                found += 1
            if found == count:
                return

    def allow(self, point: dict[Any, Any]) -> bool:
        """Whether a point of some symbols satisfies every domain and relation that concerns only those."""
        concerned = self.concerning(set(point))
        for domain in concerned.domains:
            low, high = (x if x.is_infinite else evaluate(x, point) for x in (domain.low, domain.high))
            value = point[domain.symbol]
            if not (low <= value <= high if domain.integer else low < value < high):
                return False
        return all(holds(r, point) for r in concerned.relations)

    def concerning(self, symbols: set[Any]) -> Assumptions:
        """What concerns these symbols alone: their domains, without an end in other symbols, and relations."""
        known = tuple(domain.within(symbols) for domain in self.domains if domain.symbol in symbols)
        return Assumptions(known, tuple(r for r in self.relations if r.free_symbols <= symbols))

    def renamed(self, names: Mapping[Any, Any]) -> Assumptions:
        """Other symbols in place of these."""
        return Assumptions(
            tuple(domain.renamed(names) for domain in self.domains), tuple(r.xreplace(names) for r in self.relations)
        )

    def draw(self, generator: random.Random, seed: str) -> dict[Any, Any] | None:
        point: dict[Any, Any] = {}
        for domain in self.domains:
            if isinstance(domain.symbol, UndefinedFunction):
                point[domain.symbol] = Table(domain, seed, dict(point))
                continue
            value = domain.draw(generator, point)
            if value is None:
                return None
            point[domain.symbol] = value
        return point

    def covering(self, expressions: Iterable[Expression]) -> Assumptions:
        """These assumptions with domains for whatever else occurs in the expressions, from SymPy's own assumptions."""
        known = {domain.symbol for domain in self.domains}
        found: set[Any] = set()
        for e in map(sp.sympify, expressions):
            found |= e.free_symbols | {call.func for call in e.atoms(AppliedUndef)}
        return Assumptions(self.domains + tuple(map(default_domain, sorted(found - known, key=str))), self.relations)

    def is_positive(self, expression: Expression) -> bool:
        """Whether the assumptions prove expression > 0; False means only that they do not.

        Each factor's sign is found apart, then multiplied.
        """
        top, bottom = sp.fraction(sp.together(sp.sympify(expression)))
        total = 1
        for factor in (*sp.Mul.make_args(sp.factor(top)), *sp.Mul.make_args(sp.factor(bottom))):
            base, exponent = factor.as_base_exp()
            total *= self.sign(base) if exponent.is_Integer and exponent % 2 else self.sign(base) ** 2
        return total == 1

    def sign(self, factor: Expression) -> int:
        """1, −1, or 0 when the assumptions do not settle the sign.

        A declared strict relation serves as it stands, or with something nonnegative added. A symbol between two
        numbers is written with a positive unknown p as low + (high − low)·p/(1 + p), one above a number as low + p;
        the rest is SymPy's.
        """
        known = {d.symbol: value for d in self.domains if (value := bounded(d)) is not None}
        for sign in (1, -1):
            slacks = (sp.expand(sign * factor - excess) for excess in self.excesses())
            if positive_quotient((sign * factor).xreplace(known)) or any(
                slack == 0 or positive_quotient(slack.xreplace(known)) for slack in slacks
            ):
                return sign
        return 0

    def is_nonzero(self, expression: Expression) -> bool:
        """Whether the assumptions prove expression ≠ 0."""
        unequal = [r.lhs - r.rhs for r in self.relations if isinstance(r, sp.Ne)]
        top = sp.factor(sp.fraction(sp.together(sp.sympify(expression)))[0])
        return all(
            self.sign(base) != 0 or any(sp.expand(sign * d - base) == 0 for d in unequal for sign in (1, -1))
            for base, _ in (factor.as_base_exp() for factor in sp.Mul.make_args(top))
        )

    def excesses(self) -> Iterator[Expression]:
        """What the strict relations say is positive."""
        for relation in self.relations:
            for part in relation.args if isinstance(relation, sp.And) else (relation,):
                if isinstance(part, sp.Lt):
                    yield part.rhs - part.lhs
                elif isinstance(part, sp.Gt):
                    yield part.lhs - part.rhs

    def words(self) -> list[str]:
        """One line for each domain and relation."""
        domains = [domain.words() + domain.sampled_words() for domain in self.domains]
        return domains + [sp.pretty(r, use_unicode=True) for r in self.relations]


def positive_quotient(expression: Expression) -> bool:
    top, bottom = map(sp.expand, sp.fraction(sp.together(expression)))
    return bool((top.is_positive and bottom.is_positive) or (top.is_negative and bottom.is_negative))


def bounded(domain: Domain) -> Expression | None:
    """The symbol written with a positive unknown, where it is real and its ends are numbers."""
    if domain.integer or not isinstance(domain.symbol, sp.Symbol):
        return None
    unknown = sp.Dummy("p", positive=True)
    low, high = domain.low, domain.high
    if low.is_number and low.is_finite and high == sp.oo:
        return low + unknown
    if low.is_number and high.is_number and low.is_finite and high.is_finite:
        return low + (high - low) * unknown / (1 + unknown)
    return None


def default_domain(symbol: Any) -> Domain:
    """A domain from SymPy's assumptions about a symbol or about a function's values."""
    sample = symbol(sp.Symbol("t")) if isinstance(symbol, UndefinedFunction) else symbol
    low: Expression = -sp.oo
    if sample.is_nonnegative:
        low = sp.Integer(1 if sample.is_positive and sample.is_integer else 0)
    return Domain(symbol, low, integer=bool(sample.is_integer))
