"""Updates that take sums over the vector (AdamP, Amos) by mean field: each sum is its expectation over coordinates.

Given the sums a step is linear in each coordinate's members and gradient: `forms` says which. Here the moments of the
vector take that step, with one second moment for each coordinate (`projected`) or for the whole vector (`pooled`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..optimizers import Optimizer
from ..typing import FloatArray, Value
from .closure import (
    NOISIER,
    SLOWER,
    ClosedMoments,
    Gradient,
    Linearised,
    Square,
    linearised,
    spread,
    with_gradient,
)
from .forms import OFTENER, RARER, SHARED, SQUARED, Field, Form, Sum, Sums
from .members import BEYOND, Beyond, Images, Row, Structure, combined, number, product, total

# Pessimism besides that of a moment closure, with one second moment: a larger mean square in the decay, and no
# fluctuations but a coordinate's own.
DECAYING, ALONE = 3, 4
POOLED, PROJECTED = (SLOWER, NOISIER, DECAYING, ALONE), (SLOWER, NOISIER, RARER, OFTENER)
# The step of v, in parts of it, by which its derivatives are read off in the complex plane: to about 10⁻⁸.
SHIFT = 1e-4


class VectorStructure(Structure):
    """The structure of an optimizer whose step takes sums over the vector; `field` is the vector, once there is one.

    `sums` and `weight` are of the last whole step.
    """

    field: Field | None = None
    sums: Sums
    weight: Form

    def __init__(self, optimizer: Optimizer, coordinates: int) -> None:
        super().__init__(optimizer)
        self.coordinates = coordinates
        if not optimizer.vector_members:
            # Found once, and not for each vector.
            _ = self.mask, self.direct_mask, self.quotient_mask, self.point_mask, self.divided

    def on(self, x: ClosedMoments, g: Gradient, c: Any, pessimism: int) -> VectorStructure:
        """The structure on a vector of these moments."""
        found = copy.copy(self)
        found.field = Field(x, g, g.row(self.point_row(c)), self.coordinates, pessimism)
        return found

    def form(self, place: int) -> Form:
        """The member of this number."""
        zero = (0,) * len(self.members)
        return Form(zero, whole=1) if place == 0 else Form((*zero[:place], 1, *zero[place + 1 :]))

    def after(self, xp: Any, c: Any, known: dict[str, Value]) -> Any:
        """The state after a step, as forms of that before; `known` are the members that are not linear."""
        named: dict[str, Any] = {name: self.form(place) for place, name in enumerate(self.members)}
        gradient = Form((0,) * len(self.members), 1)
        return self.optimizer.update(xp, self.optimizer.State(**{**named, **known}), gradient, c)

    def stepped(self, xp: Sums, c: Any) -> Any:
        """The state after a step whose second moment differs between coordinates."""
        return self.after(xp, c, {"second_moment": SQUARED})

    def images(self, root: Value | Beyond, c: Any, known: Sequence[Value]) -> Images:
        """As for one coordinate; without what is divided by √v̂ the sums stay those of the whole step before."""
        xp = Sums(root, self.field, self.sums.seen if root is BEYOND else None)
        state = self.stepped(xp, c)
        if root is not BEYOND:
            self.sums, self.weight = xp, state.weight
        forms = [getattr(state, name) for name in self.members]
        return Images(tuple(form.row() for form in forms), tuple(form.by for form in forms))

    def weight_if(self, met: float, c: Any, moved: int | None = None) -> Value:
        """What a step leaves of the weight where every condition is met (1) or none (0), the sums as they were.

        That of the number `moved` is larger by its standard deviation.
        """
        seen = list(self.sums.seen)
        if moved is not None:
            seen[moved] = seen[moved].larger()
        xp = Sums(self.sums.root, self.field, seen)
        xp.met = np.full_like(self.sums.shares[0], met)
        return self.stepped(xp, c).weight.row()[0]


def mean_field(
    structure: VectorStructure,
    x: ClosedMoments,
    g: Gradient,
    c: Any,
    known: Sequence[Value],
    pessimism: int,
    step: float,
) -> Linearised:
    """Update step+1 from a state of these moments, as `closure.linearised`."""
    own = structure.on(x, g, c, pessimism)
    return pooled(own, x, g, c) if structure.optimizer.vector_members else projected(own, x, g, c, known, step)


def projected(
    own: VectorStructure, x: ClosedMoments, g: Gradient, c: Any, known: Sequence[Value], step: float
) -> Linearised:
    """The step of an optimizer with a second moment for each coordinate and conditions on sums."""
    assert own.field is not None
    pessimism = own.field.pessimism if own.field.pessimism in (SLOWER, NOISIER) else 0
    if pessimism:
        # A sum over few coordinates is not its expectation.
        own.images(1.0, c, known)
        g = g._replace(lasting=g.lasting + own.sums.shares[0] / own.coordinates)
    a = linearised(own, x, g, c, known, pessimism)
    share = own.sums.shares[0]
    if not np.any(share):
        return a._replace(lost=number(a.lost) - own.weight.parts[0])
    plain, met = own.weight_if(0.0, c), own.weight_if(1.0, c)
    # Some runs meet the condition and others do not: what that makes of the weight differs between them.
    differs = np.where(share > 0, met - plain, 0.0)
    shaken = share * (1 - share) * differs * differs
    if not g.across:
        # So do the sums that it is made of, in steps that last as the buffer does, and at worst as the weights do.
        kept, worst = number(a.matrix[1][1]), own.field.pessimism == OFTENER
        lost = np.maximum(-own.weight.parts[0], 1e-300)
        span = np.minimum(2 * step + 2, 2 / lost) if worst else 1.0
        for place, each in enumerate(own.sums.seen):
            deviation = np.sqrt(np.maximum(each.variance, 0.0))
            swing = np.where(share > 0, own.weight_if(1.0, c, place) - met, 0.0)
            if own.field.pessimism != RARER:
                rest = np.where(each.variance > 0, 1 - each.own / np.where(each.variance > 0, each.variance, 1.0), 0.0)
                shaken = shaken + (2 if worst else 1) * share * swing * swing * rest * each.lasting(kept, span)
            if each.mixed:
                push = share * np.where(deviation > 0, swing / np.where(deviation > 0, deviation, 1.0), 0.0)
                a = with_own(a, x, each, push * x.means[0])
    others = (np.sqrt(np.maximum(shaken, 0.0) * x.mean_square), *(None,) * (len(a.matrix) - 1))
    return a._replace(lost=number(a.lost) - own.weight.parts[0], others=others)


def with_own(a: Linearised, x: ClosedMoments, each: Sum, push: Value) -> Linearised:
    """The step with what a coordinate's own part of a sum does to its weight, `push` times it.

    The sum's mean is in the step before: only the part's fluctuations are added.
    """
    mean, (row, noise, by) = each.factors
    push = push * mean
    moved = tuple(product(push, entry) for entry in row)
    first = tuple(total([one, other]) for one, other in zip(a.matrix[0], moved, strict=True))
    # The part is divided by √v̂ as the update is.
    share = 1 + push * by / np.where(a.weight_gradient, a.weight_gradient, 1.0)
    return a._replace(
        matrix=(first, *a.matrix[1:]),
        offsets=(total([a.offsets[0], -number(combined(moved, x.means))]), *a.offsets[1:]),
        noises=(total([a.noises[0], push * noise]), *a.noises[1:]),
        update=(product(a.update[0], share), *a.update[1:]),
        lost=number(a.lost) - number(moved[0]),
    )


class Pool(NamedTuple):
    """The mean square of a vector's gradient, and what its fluctuations are made of.

    `mean` is E mean(g²); `each` is the variance that a coordinate's own square has where it is normal, `drifting` the
    largest variance of a coordinate that the members make, `shared` the variance of the mean that all coordinates have
    in common.
    """

    row: Row
    root: FloatArray
    variance: FloatArray
    mean: FloatArray
    each: FloatArray
    drifting: FloatArray
    shared: FloatArray


def pool(f: Field) -> Pool:
    """What Amos's second moment averages; v is one number, so the other coordinates' fluctuations add up in it."""
    g, row, x = f.g, f.slopes, f.x
    root = np.broadcast_to(number(total([combined(row, x.means), g.offset])), f.shape)
    drifting = np.broadcast_to(spread(row, x), f.shape)
    variance = drifting + g.scale * g.scale
    mean = f.over(variance + root * root) / f.coordinates
    common = SHARED * g.excess * (f.over(variance) / f.coordinates) ** 2
    each = variance * (2 * variance + 4 * root * root)
    return Pool(row, root, variance, mean, each, drifting.max(axis=-1, keepdims=True), common)


class MeanSquares(Sums):
    """The sums of a vector whose gradient has this mean square."""

    def __init__(self, own: VectorStructure, square: Value) -> None:
        super().__init__(1.0, own.field)
        self.square, self.coordinates = square, own.coordinates

    def sum_of(self, one: Form, other: Form) -> Sum:
        return Sum(self.coordinates * (self.square if one.is_gradient and other.is_gradient else 1.0))


def pooled(own: VectorStructure, x: ClosedMoments, g: Gradient, c: Any) -> Linearised:
    """The step of an optimizer with one second moment for the vector."""
    f = own.field
    assert f is not None
    p, count, scalar = pool(f), len(own.members), own.optimizer.vector_members
    numbers = {name: x.means[own.members.index(name)][..., :1] for name in scalar if name != "second_moment"}

    def after(before: Value, square: Value) -> Any:
        return own.after(MeanSquares(own, square), c, {**numbers, "second_moment": before})

    before = x.second_mean[..., :1]
    kept, taken = after(1.0, 0.0).second_moment, after(0.0, 1.0).second_moment
    second = kept * before + taken * p.mean
    usable = np.where(second > 0, second, 1.0)
    doubt = 1 + doubt_of(f, p, kept, taken, usable) + g.lasting
    factor = doubt * doubt if f.pessimism == SLOWER else 1.0
    more = doubt if f.pessimism == DECAYING else 1.0
    scale = g.scale * {SLOWER: doubt, NOISIER: np.sqrt(doubt)}.get(f.pessimism, 1.0)

    def moved(v: Value, square: Value) -> tuple[Any, Images]:
        """The state after the step with v' and the new square moved, and its members' rows."""
        held = np.where(kept > 0, (v - taken * square) / np.where(kept > 0, kept, 1.0), 0.0)
        state = after(factor * (before + held), factor * (more * p.mean + square))
        return state, images_of(own, state)

    state, whole = moved(0.0, 0.0)
    # Derivatives along the imaginary axis lose nothing; v' moves with the new square where it has no other past.
    step = SHIFT * usable
    by_second, by_square = moved(1j * step, 0.0)[1], moved(0.0, 1j * step)[1]
    divided = each_entry(lambda entry: -np.imag(entry) / step, by_second)
    bending = number(by_second.gradient[0])
    first = np.imag(bending) / step
    bent = (number(whole.gradient[0]) - np.real(bending)) / (step * step)
    curve = np.where(first != 0, -bent / np.where(first != 0, first, 1.0), 0.0)
    pushed = at_means(each_entry(lambda entry: np.imag(entry) / step, by_square), p.row, x, g)
    each = taken / own.coordinates
    slant, jitter, skewness = 1.0, 2 * (each * p.variance) ** 2, None
    if f.pessimism == NOISIER:
        slant = 1 / doubt
        jitter = 3 * jitter + g.excess * (each * p.variance) ** 2
        skewness = None if g.third is None else g.third * doubt
    # The new square is moved by the coordinate's own fluctuations and by all others'.
    leaning = 2 * p.root / own.coordinates
    linear = 4 * p.root * p.root * p.variance
    rest = np.sqrt(np.maximum(f.over(p.each) - linear, 0.0) / own.coordinates**2 + p.shared)
    still = (None,) * len(g.foretold)
    alone = f.pessimism == ALONE
    nothing: Row = (None,) * len(p.row)
    numbered = tuple(np.broadcast_to(getattr(state, name), f.shape) if name in scalar else None for name in own.members)
    return Linearised(
        matrix=(
            *(
                tuple(
                    total([entry, product(product(push, leaning), slope)])
                    for entry, slope in zip(row, p.row, strict=True)
                )
                for row, push in zip(with_gradient(whole, p.row), pushed, strict=True)
            ),
            *(((None,) * count) + row for row in g.memory),
        ),
        offsets=(
            *(
                # The row has what the mean square's own mean does; its fluctuations have none.
                total([fixed, product(by, g.offset), product(push, -leaning * number(combined(p.row, x.means)))])
                for fixed, by, push in zip(numbered, whole.gradient, pushed, strict=True)
            ),
            *still,
        ),
        noises=(
            *(
                total([product(by, scale), product(push, leaning * scale)])
                for by, push in zip(whole.gradient, pushed, strict=True)
            ),
            *g.memory_noises,
        ),
        quotient=(*with_gradient(divided, p.row), *(nothing for _ in still)),
        quotient_noises=(*(product(by, scale) for by in divided.gradient), *still),
        update=(*at_means(divided, p.row, x, g), *still),
        square=Square(kept, each, None, p.row, p.root, p.variance, p.drifting),
        second_mean=np.broadcast_to(second, f.shape),
        square_row=tuple(product(2 * each * p.root, part) for part in p.row),
        square_noise=2 * each * p.root * scale,
        skewed=(*(product(by, skewness) for by in divided.gradient), *still),
        jitter=jitter,
        slant=slant,
        curve=curve,
        weight_gradient=number(whole.gradient[0]),
        copies=None if alone else f.copies,
        shared=taken * taken * p.shared,
        others=() if alone else (*(product(push, rest) for push in pushed), *still),
        others_second=taken * rest,
    )


def images_of(own: VectorStructure, state: Any) -> Images:
    """The rows of the members, with nothing for those that are one number."""
    nothing: Row = (None,) * len(own.members)
    numbers = own.optimizer.vector_members
    forms = [None if name in numbers else getattr(state, name) for name in own.members]
    return Images(
        tuple(nothing if form is None else form.row() for form in forms),
        tuple(None if form is None else form.by for form in forms),
    )


def each_entry(change: Callable[[Value], Value], images: Images) -> Images:
    def of(row: Row) -> Row:
        return tuple(None if entry is None else change(entry) for entry in row)

    return Images(tuple(of(row) for row in images.rows), of(images.gradient))


def at_means(images: Images, slopes: Row, x: ClosedMoments, g: Gradient) -> Row:
    """What the images make of the means."""
    return tuple(
        total([combined(row, x.means), product(by, g.offset)])
        for row, by in zip(with_gradient(images, slopes), images.gradient, strict=True)
    )


def doubt_of(f: Field, p: Pool, kept: Value, taken: Value, second: Value) -> FloatArray:
    """v's variance over its squared mean, with what the weights' fluctuations make of it for long."""
    own = taken / f.coordinates
    old = kept * kept * f.x.second_variance[..., :1]
    variance = old + f.over(own * own * (p.each + f.g.excess * p.variance * p.variance)) + taken * taken * p.shared
    return np.asarray(variance / (second * second) + 2 * p.drifting * own / second)
