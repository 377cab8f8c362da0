"""Deciding that an expression is zero: rational functions over atoms, cancelled until literally 0 is left or is not.

Atoms are what rational arithmetic does not look into: unevaluated sums and products, functions, powers with a symbolic
exponent (split as b^(m+1) = b·b^m) and roots (with r^q = radicand). Equal atoms must become the same expression once
their arguments are themselves in normal form; nothing else is known of them. So a zero is certain, and whatever is not
literally 0 counts as undecided.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from .equations import Expression


class Undecided(ValueError):
    """An expression that the normal form has no rule for."""


class Atoms:
    """The atoms met in an expression, each with a generator that stands for it."""

    def __init__(self) -> None:
        self.generators: dict[Any, sp.Dummy] = {}
        self.originals: dict[sp.Dummy, Expression] = {}
        self.roots: list[tuple[sp.Dummy, int, Expression]] = []

    def generator(self, key: Any, original: Expression) -> sp.Dummy:
        if key not in self.generators:
            dummy = sp.Dummy(f"X{len(self.generators)}")
            self.generators[key] = dummy
            self.originals[dummy] = original
        return self.generators[key]

    def root(self, radicand: Expression, degree: int, original: Expression) -> sp.Dummy:
        known = len(self.generators)
        dummy = self.generator(("root", radicand, degree), original)
        if len(self.generators) > known:
            self.roots.append((dummy, degree, radicand))
        return dummy

    def rational(self, e: Expression) -> Expression:
        """The expression as a rational function of symbols and generators."""
        if e.is_Rational or e.is_Symbol:
            return e
        if e.is_Add or e.is_Mul:
            return e.func(*map(self.rational, e.args))
        if e.is_Pow or isinstance(e, sp.exp):
            return self.power(*(e.args if e.is_Pow else (sp.E, e.args[0])))
        if e is sp.I:
            return self.root(sp.Integer(-1), 2, e)
        if e in (sp.pi, sp.E):
            return self.generator(("constant", e), e)
        return self.atom(e)

    def power(self, base: Expression, exponent: Expression) -> Expression:
        if exponent.is_Integer:
            return self.rational(base) ** exponent
        base = base if base is sp.E else self.canonical(base)
        total: Expression = sp.Integer(1)
        for factor, multiplicity in factors(base) if exponent.is_integer else ((base, 1),):
            for term in sp.Add.make_args(sp.expand(exponent * multiplicity)):
                total *= self.power_term(factor, *term.as_coeff_Mul(rational=True))
        return total

    def power_term(self, base: Expression, count: Expression, rest: Expression) -> Expression:
        """base^(count·rest) with a rational count; `rest` is 1 or has no rational factor."""
        if not count.is_Rational:
            raise Undecided(f"the exponent of {base} is {count}")
        whole = self.rational(base) if rest == 1 else self.generator(("power", base, rest), base**rest)
        if count.q == 1:
            # (−1)^(2m) = 1: only bases split for an integer exponent are −1
            return whole ** (count % 2 if base == -1 else count)
        return self.root(whole, int(count.q), base ** (rest / count.q)) ** count.p

    def atom(self, e: Expression) -> Expression:
        if isinstance(e, sp.Sum | sp.Product):
            e = self.series(e)
        elif isinstance(e, sp.Derivative):
            done = e.doit()
            if not done.has(sp.Derivative):
                return self.rational(done)
        elif e.is_Function and not isinstance(e, sp.Piecewise):
            same = e.func(*map(self.canonical, e.args))
            if same.func is not e.func:
                return self.rational(same)
            e = same
        elif not isinstance(e, sp.Piecewise | sp.Integral | sp.Derivative):
            raise Undecided(f"no rule for {type(e).__name__}: {e}")
        return e if e.is_Rational else self.generator(("atom", e), e)

    def series(self, e: Expression) -> Expression:
        """A sum or product with its index renamed and its term and limits in normal form."""
        if len(e.limits) != 1:
            raise Undecided(f"nest the sums instead of giving one several limits: {e}")
        index, low, high = e.limits[0]
        depth = sum(isinstance(x, sp.Sum | sp.Product) for x in sp.preorder_traversal(e))
        same = sp.Symbol(f"index{depth}", integer=True)
        term = self.canonical(e.function.xreplace({index: same}))
        if term == (0 if isinstance(e, sp.Sum) else 1):
            return term
        return e.func(term, (same, self.canonical(low), high if high == sp.oo else self.canonical(high)))

    def canonical(self, e: Expression) -> Expression:
        """The expression in normal form, in the original symbols."""
        return normal_form(e)

    def restored(self, e: Expression) -> Expression:
        return e.xreplace(self.originals)

    def reduced(self, e: Expression) -> Expression:
        """A quotient of polynomials with every r^q replaced by its radicand, the outermost roots first."""
        e = sp.cancel(sp.together(e))
        for dummy, degree, radicand in reversed(self.roots):
            if e.has(dummy):
                parts = (self.without_powers(part, dummy, degree, radicand) for part in sp.fraction(e))
                top, bottom = parts
                if sp.cancel(sp.together(bottom)) == 0:
                    raise Undecided("the denominator is zero")
                e = sp.cancel(sp.together(top / bottom))
        return e

    def without_powers(self, e: Expression, dummy: sp.Dummy, degree: int, radicand: Expression) -> Expression:
        under = radicand if radicand in self.originals else self.rational(radicand)
        terms = sp.Poly(e, dummy).terms()
        return sp.Add(*(c * dummy ** (n % degree) * under ** (n // degree) for (n,), c in terms))


def factors(base: Expression) -> list[tuple[Expression, Expression]]:
    """The factors of a base with their multiplicities: (xy)^n = x^n y^n for an integer n, whatever the signs.

    Each factor's constant term is positive where it has one, so that x − 1 and 1 − x share an atom; −1 goes apart.
    """
    found, sign = [], sp.Integer(1)
    for factor, multiplicity in (part.as_base_exp() for part in sp.Mul.make_args(sp.factor(base))):
        constant = factor if factor.is_number else factor.as_independent(*factor.free_symbols, as_Add=True)[0]
        if multiplicity.is_Integer and constant.is_negative:
            factor, sign = sp.expand(-factor), sign * (-1) ** multiplicity
        if factor != 1:
            found.append((factor, multiplicity))
    return found if sign == 1 else [*found, (sign, sp.Integer(1))]


def normal_form(expression: Expression) -> Expression:
    """The expression as one cancelled quotient over its atoms; literally 0 only if it is zero.

    Raises `Undecided` for an infinity or a kind of node without a rule.

    >>> a, t = sp.symbols("a t", positive=True)
    >>> normal_form(a ** (t + 1) - a * a**t), normal_form(sp.sqrt(a + 1) ** 3 - (a + 1) * sp.sqrt(a + 1))
    (0, 0)
    """
    e = sp.sympify(expression)
    if e.is_Symbol or e.is_Rational:
        return e
    if e.has(sp.nan) or (e.has(sp.oo, -sp.oo, sp.zoo) and not e.has(sp.Sum, sp.Integral)):
        raise Undecided(f"not a finite expression: {e}")
    atoms = Atoms()
    rational = atoms.rational(e)
    try:
        return atoms.restored(atoms.reduced(rational))
    except (ZeroDivisionError, sp.PolynomialError) as error:
        raise Undecided(f"{e}: {error}") from None
