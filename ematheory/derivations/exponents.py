"""Exponents of scaling rules: linear algebra in exact rationals over invariants that are monomials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp

# Exponents by the names of what they are exponents of.
Powers = Mapping[str, Fraction]


@dataclass(frozen=True)
class Solution:
    """How unknowns must scale: `exponents[unknown][axis]`, of least change, and the directions that stay free.

    Adding any multiple of a direction in `free` to the exponents of one axis keeps every invariant as well.
    """

    exponents: Mapping[str, Powers]
    free: tuple[Powers, ...]


def solve(conditions: Mapping[str, Powers], unknowns: Sequence[str], axes: Sequence[str]) -> Solution | tuple[str, ...]:
    """Exponents x of the unknowns in each axis κ for which every monomial stays constant, or the clashing conditions.

    A condition Π unknown^e · Π axis^f = constant asks Σ e x + f = 0 for every axis. Among many solutions the one with
    the least Σ x² is given. Without any, the answer is a minimal set of conditions that clash.

    >>> half = solve({"product": {"a": Fraction(1), "b": Fraction(1), "n": Fraction(-1)}}, ("a", "b"), ("n",))
    >>> half.exponents["a"], half.free
    ({'n': Fraction(1, 2)}, ({'a': Fraction(-1, 1), 'b': Fraction(1, 1)},))
    """
    names = tuple(conditions)
    matrix, right = system(conditions, names, unknowns, axes)
    if consistent(matrix, right):
        return least_change(matrix, right, unknowns, axes)
    return clashing(conditions, unknowns, axes)


def system(
    conditions: Mapping[str, Powers], names: Sequence[str], unknowns: Sequence[str], axes: Sequence[str]
) -> tuple[sp.Matrix, sp.Matrix]:
    """A and the columns b of A x = b, one column per axis."""

    def entry(name: str, of: str, sign: int) -> sp.Rational:
        value = conditions[name].get(of, Fraction(0))
        return sp.Rational(sign * value.numerator, value.denominator)

    matrix = sp.Matrix(len(names), len(unknowns), lambda i, j: entry(names[i], unknowns[j], 1))
    right = sp.Matrix(len(names), len(axes), lambda i, j: entry(names[i], axes[j], -1))
    return matrix, right


def consistent(matrix: sp.Matrix, right: sp.Matrix) -> bool:
    return bool(matrix.rank() == matrix.row_join(right).rank())


def least_change(matrix: sp.Matrix, right: sp.Matrix, unknowns: Sequence[str], axes: Sequence[str]) -> Solution:
    """x = Aᵀ(AAᵀ)⁻¹b over independent rows, which is the solution of least Σ x²."""
    independent = list(matrix.T.rref()[1])
    rows, wanted = matrix.extract(independent, range(matrix.cols)), right.extract(independent, range(right.cols))
    found = rows.T * (rows * rows.T).LUsolve(wanted) if independent else sp.zeros(matrix.cols, right.cols)
    exponents = {
        unknown: {axis: fraction(found[i, j]) for j, axis in enumerate(axes)} for i, unknown in enumerate(unknowns)
    }
    free = tuple(
        {unknown: fraction(vector[i]) for i, unknown in enumerate(unknowns) if vector[i]}
        for vector in matrix.nullspace()
    )
    return Solution(exponents, free)


def fraction(value: sp.Rational) -> Fraction:
    return Fraction(int(value.p), int(value.q))


def clashing(conditions: Mapping[str, Powers], unknowns: Sequence[str], axes: Sequence[str]) -> tuple[str, ...]:
    """A minimal set of conditions that cannot all be kept: without any one of them the others of the set can."""
    core = list(conditions)
    for name in conditions:
        without = [other for other in core if other != name]
        if not consistent(*system(conditions, without, unknowns, axes)):
            core = without
    return tuple(core)
