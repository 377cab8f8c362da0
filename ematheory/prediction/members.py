"""What an optimizer's state is made of, found by evaluating its own `update` at arguments that show it.

The members are the entries that a step maps linearly once √v̂ is given: the weight, then its buffers. Beside them stand
the second moment, and what is known from time alone. Evaluation is on any numbers: arrays, or traced values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..optimizers import Optimizer
from ..typing import FloatArray, Value

# None is an entry that is zero for this optimizer at every value of its coefficients.
Row: TypeAlias = tuple[Value | None, ...]
Matrix: TypeAlias = tuple[Row, ...]


class Unknown:
    """What one coordinate alone cannot tell, and what is made of it."""

    __array_ufunc__ = None

    def __add__(self, _: Any) -> Unknown:
        return self

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __lt__ = __gt__ = __add__


UNKNOWN = Unknown()


class OneCoordinate:
    """What a namespace makes of a vector of which it sees one coordinate."""

    xp: Any = np

    def dot(self, one: Value, other: Value) -> Unknown:
        return UNKNOWN

    def zeros_like(self, value: Value) -> Value:
        return 0

    def where(self, condition: Value, one: Value, other: Value) -> Value:
        return UNKNOWN if condition is UNKNOWN else self.xp.where(condition, one, other)


class FrozenRoot(OneCoordinate):
    """An array namespace in which every square root is the value given: the second moment at its expectation."""

    def __init__(self, root: Value) -> None:
        self.root = root

    def sqrt(self, _: Value) -> Value:
        return self.root


class SeenRoot(OneCoordinate):
    """An array namespace that keeps the last square root that was taken, of what is known."""

    root: Value

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def sqrt(self, value: Value) -> Value:
        if value is UNKNOWN:
            return value
        self.root = self.xp.sqrt(value)
        return self.root


class Beyond:
    """A root beyond all numbers: what is divided by it is 0."""

    __array_ufunc__ = None

    def __add__(self, _: Any) -> Beyond:
        return self

    __radd__ = __add__

    def __rtruediv__(self, _: Any) -> int:
        return 0


BEYOND = Beyond()


class Images(NamedTuple):
    """A step's rows on the members and what it makes of the gradient, for the whole step or a part of it."""

    rows: Matrix
    gradient: Row


class Structure:
    """Which entries of an optimizer's step there are at all; of `optimizer` only the functions matter, not the numbers.

    `divided` holds the numbers of the members that something divided by √v̂ goes into.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        fields = optimizer.State._fields
        self.known = optimizer.known_members
        self.members = tuple(name for name in fields if name not in (*self.known, "second_moment"))
        rng = np.random.default_rng(0)
        self.probe = optimizer.Coefficients(*map(float, rng.uniform(0.1, 0.9, len(optimizer.Coefficients._fields))))
        self.probe_known = tuple(map(float, rng.uniform(0.1, 0.9, len(self.known))))

    def state(self, values: Mapping[int, Value], second: Value, known: Sequence[Value]) -> Any:
        """The optimizer's state with these members, the others 0."""
        named = {name: values.get(place, 0) for place, name in enumerate(self.members)}
        named.update(zip(self.known, known, strict=True))
        if "second_moment" in self.optimizer.State._fields:
            named["second_moment"] = second
        return self.optimizer.State(**named)

    def images(self, root: Value | Beyond, c: Any, known: Sequence[Value]) -> Images:
        """The step with √v̂ given; every entry, also those that are always 0."""
        xp = FrozenRoot(root)
        units = [({place: 1}, 0) for place in range(len(self.members))]
        columns = [
            self.optimizer.update(xp, self.state(values, 0, known), gradient, c)
            for values, gradient in (*units, ({}, 1))
        ]
        rows = [[getattr(column, name) for column in columns] for name in self.members]
        return Images(tuple(tuple(row[:-1]) for row in rows), tuple(row[-1] for row in rows))

    def known_after(self, c: Any, known: tuple[Any, ...]) -> tuple[Any, ...]:
        """The members known from time alone, a step later."""
        if not known:
            return known
        after = self.optimizer.update(FrozenRoot(1.0), self.state({}, 0, known), 0, c)
        return tuple(getattr(after, name) for name in self.known)

    def whole(self, root: Value, c: Any, known: Sequence[Value]) -> Images:
        return kept(self.images(root, c, known), self.mask)

    def direct(self, c: Any, known: Sequence[Value]) -> Images:
        """The step without what is divided by √v̂."""
        return kept(self.images(BEYOND, c, known), self.direct_mask)

    def quotient(self, whole: Images, direct: Images) -> Images:
        """The part of the step that is divided by √v̂."""
        rows = tuple(
            tuple(less(a, b, there) for a, b, there in zip(one, other, row, strict=True))
            for one, other, row in zip(whole.rows, direct.rows, self.quotient_mask.rows, strict=True)
        )
        triples = zip(whole.gradient, direct.gradient, self.quotient_mask.gradient, strict=True)
        return Images(rows, tuple(less(a, b, there) for a, b, there in triples))

    def point_row(self, c: Any) -> Row:
        """Where the gradient is taken, as a combination of the members."""
        parts = self.points(c)
        return tuple(part if there else None for part, there in zip(parts, self.point_mask, strict=True))

    def points(self, c: Any) -> tuple[Value, ...]:
        places = range(len(self.members))
        return tuple(self.optimizer.point(None, self.state({j: 1}, 0, self.probe_known), c) for j in places)

    @cached_property
    def point_mask(self) -> tuple[bool, ...]:
        return tuple(part != 0 for part in self.points(self.probe))

    @cached_property
    def mask(self) -> Images:
        return where_not_zero(self.images(0.7, self.probe, self.probe_known))

    @cached_property
    def direct_mask(self) -> Images:
        return where_not_zero(self.images(BEYOND, self.probe, self.probe_known))

    @cached_property
    def quotient_mask(self) -> Images:
        whole, direct = (self.images(root, self.probe, self.probe_known) for root in (0.7, BEYOND))

        def apart(row: Row, other: Row) -> Row:
            return tuple(a != b for a, b in zip(row, other, strict=True))

        rows = tuple(apart(one, other) for one, other in zip(whole.rows, direct.rows, strict=True))
        return Images(rows, apart(whole.gradient, direct.gradient))

    @cached_property
    def divided(self) -> frozenset[int]:
        rows = zip(self.quotient_mask.rows, self.quotient_mask.gradient, strict=True)
        return frozenset(number for number, (row, by) in enumerate(rows) if any((*row, by)))

    @cached_property
    def has_l2(self) -> bool:
        """Whether the weight enters what the second moment averages."""
        state = self.state({0: 1.0}, 0.0, self.probe_known)
        return bool(self.optimizer.update(FrozenRoot(1.0), state, 0.0, self.probe).second_moment != 0)


def where_not_zero(images: Images) -> Images:
    return Images(
        tuple(tuple(bool(entry != 0) for entry in row) for row in images.rows),
        tuple(bool(entry != 0) for entry in images.gradient),
    )


def kept(images: Images, mask: Images) -> Images:
    """The images with None for what is always 0."""

    def of(row: Row, there: Row) -> Row:
        return tuple(entry if is_there else None for entry, is_there in zip(row, there, strict=True))

    rows = tuple(of(row, there) for row, there in zip(images.rows, mask.rows, strict=True))
    return Images(rows, of(images.gradient, mask.gradient))


def less(one: Value | None, other: Value | None, there: Value | None) -> Value | None:
    """one − other where the difference is not always 0."""
    if not there:
        return None
    return number(one) if other is None else number(one) - other


def product(one: Value | None, other: Value | None) -> Value | None:
    return None if one is None or other is None else one * other


def total(terms: Sequence[Value | None]) -> Value | None:
    """The sum of those that are there, from the left."""
    found: Value | None = None
    for term in terms:
        if term is not None:
            found = term if found is None else found + term
    return found


def combined(row: Row, column: Sequence[Value | None]) -> Value | None:
    """row·column."""
    return total([product(a, b) for a, b in zip(row, column, strict=True)])


def number(value: Value | None) -> Value:
    return 0.0 if value is None else value


def ratio(one: FloatArray, other: FloatArray) -> FloatArray:
    """one/other, 0 where there is no other."""
    return np.asarray(np.where(other > 0, one / np.where(other > 0, other, 1.0), 0.0))


def each_pair(count: int, make: Callable[[int, int], Value]) -> tuple[Value, ...]:
    """The lower triangle of a symmetric matrix, row by row."""
    return tuple(make(i, j) for i in range(count) for j in range(i + 1))
