"""rescale(): a recipe for another batch, data set or model, by what is to stay as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import expm1, isclose, log, log1p
from operator import itemgetter
from typing import Any

from ..derivations.exponents import Powers, Solution, solve
from ..power_laws import POWER_LINES
from ..recipes import Recipe
from ..records import POSITIVE, check_kind, check_number, probably_meant
from .invariants import AXES, LATEX, UNKNOWNS, Invariant, find, monomial, power_law_timescale
from .presets import Preset
from .presets import find as find_preset

Exponents = Mapping[str, Powers]


@dataclass(frozen=True)
class Choice:
    """What resolves a clash: give up the invariant `drop`, whose value then changes by `factor`, and keep the others.

    also : the invariants that other clashes make one give up besides, of those that then change least, with their
        factors; empty where the others can all be kept.
    """

    drop: str
    factor: float
    exponents: Exponents
    also: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        moved = in_letters(self.exponents) or "nothing moves"
        also = "".join(f", and without {name} too, by {factor:.4g}" for name, factor in self.also.items())
        return f"without {self.drop}: it changes by the factor {self.factor:.4g}{also}; {moved}"


@dataclass(frozen=True)
class Clash:
    """Invariants that cannot all be kept, a smallest such set, and what each choice costs, the least first."""

    invariants: tuple[str, ...]
    choices: tuple[Choice, ...]

    def __str__(self) -> str:
        lines = [f"these clash: {', '.join(self.invariants)}"]
        return "\n".join([*lines, *(f"  {choice}" for choice in self.choices)])


@dataclass(frozen=True, eq=False)
class Rescaling:
    """What `rescale` finds.

    recipe : the new recipe; None when the invariants clash.
    exponents : of every hyperparameter that moves, in each axis that changed: ``{"lr": {"batch_size": 1/2}}``. Empty
        when the invariants clash.
    free : directions in the exponents along which the invariants stay as well; the exponents given move least.
    clashes : minimal sets of invariants that cannot be kept together.
    suggestion : the rescaling that gives up those invariants which then change least (by the sum of the logarithms of
        their factors); None without a clash.
    keep : the invariants asked for.
    factors : new over old of each axis that changed.
    notes : what the rule leaves out, and what else to know.
    intervals : of each hyperparameter that a fitted power law moves, what it becomes with the law's exponent a standard
        error lower and higher; empty where no power law is kept.
    """

    recipe: Recipe | None
    exponents: Exponents
    free: tuple[Powers, ...]
    clashes: tuple[Clash, ...]
    suggestion: Rescaling | None
    keep: tuple[Invariant, ...]
    factors: Mapping[str, float]
    notes: tuple[str, ...] = field(default=())
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def uncertainty(self) -> tuple[str, ...]:
        """The intervals in words, each on a line, with whose error they are of; none without a fitted power law."""
        shown = [f"{UNKNOWNS[name]} from {low:.4g} to {high:.4g}" for name, (low, high) in self.intervals.items()]
        return (f"{', '.join(shown)} by the fit's error: {POWER_LINES.uncertainty}",) if shown else ()

    @property
    def derivation(self) -> str:
        """Why, in words: each invariant, the equation of exponents that it is, and what follows."""
        lines = [f"{each.name}: {each.meaning} ({each.source})" for each in self.keep]
        lines += [f"  keeps {each.formula}{in_equations(each, self.factors)}" for each in self.keep]
        order = [line for pair in zip(lines[: len(self.keep)], lines[len(self.keep) :], strict=True) for line in pair]
        if self.clashes:
            return "\n".join([*order, *map(str, self.clashes)])
        found = in_letters(self.exponents) or "nothing has to move"
        free = [f"free: {monomial(direction)} by any power, least change chosen" for direction in self.free]
        return "\n".join([*order, f"so {found}", *free, *self.uncertainty])

    def latex(self) -> str:
        """The equations of exponents and their solution as a LaTeX align environment, with a fitted law's intervals."""
        rows = [
            rf"{latex_monomial(each.powers)} &= \mathrm{{const}} && \text{{{each.name.replace('_', ' ')}}}"
            for each in self.keep
        ]
        rows += [
            rf"{LATEX[name]} &\propto {latex_monomial(powers)}" for name, powers in self.exponents.items() if powers
        ]
        fitted = rf"\text{{by the law's exponent, }} {POWER_LINES.exponent:g} \pm {POWER_LINES.exponent_error():.2g}"
        rows += [
            rf"{LATEX[name]} &\in [{latex_number(low)}, {latex_number(high)}] && {fitted}"
            for name, (low, high) in self.intervals.items()
        ]
        return "\\begin{align}\n" + " \\\\\n".join(rows) + "\n\\end{align}"

    def __str__(self) -> str:
        return "\n".join([self.derivation, *(f"note: {note}" for note in self.notes)])


def latex_monomial(powers: Powers) -> str:
    return r"\,".join(f"{LATEX[name]}^{{{power}}}" if power != 1 else LATEX[name] for name, power in powers.items())


def latex_number(value: float) -> str:
    """``0.05``, ``1.2 \\times 10^{-5}``."""
    digits, _, power = f"{value:.4g}".partition("e")
    return rf"{digits} \times 10^{{{int(power)}}}" if power else digits


def in_letters(exponents: Exponents) -> str:
    """``η ∝ B¹ᐟ², λ ∝ B¹ᐟ²·N⁻¹``."""
    return ", ".join(f"{UNKNOWNS[name]} ∝ {monomial(powers)}" for name, powers in exponents.items() if powers)


def in_equations(each: Invariant, factors: Mapping[str, float]) -> str:
    """The equation of exponents in each axis that changed: ``; in B: −x_η − x_λ + 1 = 0``."""
    unknown = " ".join(signed(power, f"x_{UNKNOWNS[name]}") for name, power in each.powers.items() if name in UNKNOWNS)
    return "".join(
        f"; in {AXES[axis]}: {unknown} {signed(each.powers.get(axis, Fraction(0)))} = 0".replace(" + 0 ", " ")
        for axis in factors
    )


def signed(power: Fraction, letter: str = "") -> str:
    size = abs(power)
    number = str(size) if size != 1 or not letter else ""
    return f"{'−' if power < 0 else '+'} {number}{'·' if number and letter else ''}{letter}"


def rescale(recipe: Recipe, *, keep: Sequence[str] = (), preset: str | None = None, **to: float) -> Rescaling:
    """The hyperparameters for another batch, data set or model, from what is to stay as it was.

    Invariants are monomials in η, λ, 1−β₁, 1−β₂, ε, 1−ρ, σ_init and in what changes, so that their exponents are
    solutions of linear equations, in exact rationals (THEORY.md §5). Hyperparameters that occur in no invariant stay.
    For a finite factor κ a memory is kept exactly by β → β^κ and a timescale by 1 − ηλ → (1 − ηλ)^κ.

    Parameters
    ----------
    recipe : where one comes from, at one point.
    to : the new absolute values, of `batch_size`, `dataset_size`, `epochs`, `width`, `depth`, `parameters`; a recipe's
        width and depth are 1 unless it says otherwise, so that ``width=2`` is twice the width.
    keep : names of invariants (`ematheory.scaling.INVARIANTS`).
    preset : a published rule (`ematheory.scaling.PRESETS`), whose invariants are kept as well.

    Raises
    ------
    ValueError : an unknown name, nothing to keep or nothing that changes, a value out of range, a timescale that cannot
        be kept (without decay, or ηλ ≥ 1), a power law without `parameters`.
    TypeError : no recipe or one with sweep axes, values that are no numbers.

    Example
    -------
    >>> recipe = Recipe(lr=1e-3, weight_decay=0.1, batch_size=256, dataset_size=1e6)
    >>> found = rescale(recipe, batch_size=1024, preset="malladi2022")
    >>> found.exponents["lr"], round(found.recipe.lr, 6), found.recipe.beta1
    ({'batch_size': Fraction(1, 2)}, 0.002, 0.6561)
    """
    check_kind("recipe", recipe, Recipe, "Recipe(lr=1e-3, weight_decay=0.1, batch_size=256, dataset_size=1e6)", "")
    rule = None if preset is None else find_preset(preset)
    kept = kept_invariants(keep, rule)
    factors = changed(recipe, to)
    notes = remarks(recipe, rule, factors, to, kept)
    unknowns = tuple(name for name in UNKNOWNS if any(name in each.powers for each in kept))
    return solved(Task(recipe, factors, {name: float(value) for name, value in to.items()}, notes, unknowns), kept)


def kept_invariants(keep: Sequence[str], rule: Preset | None) -> tuple[Invariant, ...]:
    names = dict.fromkeys([*(rule.keep if rule else ()), *([keep] if isinstance(keep, str) else keep)])
    if not names:
        raise ValueError("give keep=, what is to stay as it was, or preset=, a published rule")
    return tuple(find(name) for name in names)


def changed(recipe: Recipe, to: Mapping[str, float]) -> dict[str, float]:
    """New over old of every axis that changes."""
    for name in to:
        if name not in AXES:
            raise ValueError(
                f"{name!r} is nothing that a recipe is rescaled to; give one of {', '.join(AXES)}"
                f"{probably_meant(name, AXES)}"
            )
    numbers = [value for name, value in recipe.field_values().items() if name not in ("schedule", "betas", "unit")]
    if not all(value is None or isinstance(value, float) for value in numbers):
        raise TypeError("rescale takes one recipe, not one with sweep axes; take a point of it")
    factors = {}
    for name, value in to.items():
        new = check_number(name, value, POSITIVE)
        old = getattr(recipe, name)
        if old is None:
            raise ValueError(f"the recipe has no {name}: give it there, as rescaling needs the ratio")
        if new != old:
            factors[name] = new / old
    if not factors:
        raise ValueError(f"nothing changes: give a new value of {', '.join(AXES)}")
    return factors


def remarks(
    recipe: Recipe,
    rule: Preset | None,
    factors: Mapping[str, float],
    to: Mapping[str, float],
    kept: Sequence[Invariant],
) -> tuple[str, ...]:
    notes = [f"{rule.name} ({rule.source}) leaves out: {rule.drops}"] if rule else []
    shape = {"width", "depth"} & set(factors)
    if shape and recipe.parameters is not None and "parameters" not in to:
        if any("parameters" in each.powers for each in kept):
            raise ValueError(f"{' and '.join(sorted(shape))} changes the number of parameters: give parameters= too")
        notes.append("the number of parameters changes with the model's shape and is left out of the new recipe")
    if getattr(recipe.schedule, "warmup_steps", None):
        notes.append("warmup_steps stay the number that they are")
    return tuple(notes)


@dataclass(frozen=True)
class Task:
    """What is solved: the recipe, its new values and their ratios, and the hyperparameters that may move."""

    recipe: Recipe
    factors: Mapping[str, float]
    to: Mapping[str, float]
    notes: tuple[str, ...]
    unknowns: tuple[str, ...]

    def solve(self, kept: Sequence[Invariant]) -> Solution | tuple[str, ...]:
        return solve({each.name: each.powers for each in kept}, self.unknowns, tuple(self.factors))

    def factor(self, powers: Powers) -> float:
        """By what a monomial in the axes alone changes."""
        return product(self.factors[axis] ** float(power) for axis, power in powers.items() if axis in self.factors)

    def change(self, each: Invariant, exponents: Exponents) -> float:
        """By what an invariant changes under these exponents."""
        moved = (self.factor(exponents.get(name, {})) ** float(power) for name, power in each.powers.items())
        return self.factor(each.powers) * product(moved)


def solved(task: Task, kept: tuple[Invariant, ...]) -> Rescaling:
    found = task.solve(kept)
    if isinstance(found, Solution):
        moved = moving(found.exponents)
        made = rescaled(task, kept, moved)
        return Rescaling(
            made, moved, found.free, (), None, kept, task.factors, task.notes, fitted_intervals(task, kept, made)
        )
    left, clashes = least_loss(task, kept, found)
    return Rescaling(None, {}, (), clashes, solved(task, left), kept, task.factors, task.notes)


def moving(exponents: Exponents) -> dict[str, dict[str, Fraction]]:
    """The exponents that are not 0."""
    nonzero = {name: {axis: power for axis, power in powers.items() if power} for name, powers in exponents.items()}
    return {name: powers for name, powers in nonzero.items() if powers}


@dataclass(frozen=True)
class Resolution:
    """A way out of clashes: what is `left` of what was to be kept, what is `gone` with its factors, and what moves."""

    left: tuple[Invariant, ...]
    gone: Mapping[str, float]
    exponents: Exponents

    @property
    def loss(self) -> tuple[float, int]:
        """By how much what is gone changes, rounded so that equal losses are equal; then how much is gone."""
        return round(sum(abs(log(factor)) for factor in self.gone.values()), 12), len(self.gone)


def least_loss(
    task: Task, kept: tuple[Invariant, ...], clash: tuple[str, ...]
) -> tuple[tuple[Invariant, ...], tuple[Clash, ...]]:
    """What is left when the invariants are given up that change least, and the clashes met on the way there."""
    resolutions, cores = resolved(task, kept, clash)
    ordered = sorted(resolutions, key=lambda each: each.loss)
    return ordered[0].left, tuple(Clash(core, choices(core, ordered)) for core in cores)


def resolved(
    task: Task, kept: tuple[Invariant, ...], clash: tuple[str, ...]
) -> tuple[list[Resolution], list[tuple[str, ...]]]:
    """Every way out that gives up no more than it has to, and the clashes met in finding them."""
    cores: dict[frozenset[str], tuple[str, ...]] = {}
    made: dict[frozenset[str], Resolution] = {}
    waiting = [(kept, clash)]
    while waiting:
        names, core = waiting.pop()
        cores.setdefault(frozenset(core), core)
        for dropped in core:
            left = tuple(each for each in names if each.name != dropped)
            found = task.solve(left)
            if isinstance(found, Solution):
                gone = {each.name: task.change(each, found.exponents) for each in kept if each not in left}
                made[frozenset(gone)] = Resolution(left, gone, moving(found.exponents))
            elif (left, found) not in waiting:
                waiting.append((left, found))
    return [each for gone, each in made.items() if not any(other < gone for other in made)], list(cores.values())


def choices(core: tuple[str, ...], resolutions: Sequence[Resolution]) -> tuple[Choice, ...]:
    """Each invariant of a clash given up in turn, all others kept that can be; `resolutions` have the least loss first.

    Every invariant of a smallest clash is given up in some resolution that gives up no more than it has to.
    """
    made = []
    for name in core:
        place, best = next(each for each in enumerate(resolutions) if name in each[1].gone)
        also = {other: factor for other, factor in best.gone.items() if other != name}
        made.append((place, Choice(name, best.gone[name], best.exponents, also)))
    return tuple(choice for _, choice in sorted(made, key=itemgetter(0)))


def fitted_intervals(task: Task, kept: Sequence[Invariant], made: Recipe) -> dict[str, tuple[float, float]]:
    """What a kept power law's hyperparameters become with its exponent a standard error lower and higher."""
    law = find("power_law_timescale")
    if law not in kept:
        return {}
    ends = []
    for exponent in POWER_LINES.exponents():
        moved = [power_law_timescale(Fraction(exponent)) if each is law else each for each in kept]
        found = task.solve(moved)
        assert isinstance(found, Solution)  # no clash hangs on a fitted number
        ends.append(rescaled(task, moved, moving(found.exponents)))
    values = {name: [getattr(each, name.removeprefix("one_minus_")) for each in (*ends, made)] for name in UNKNOWNS}
    pairs = {name: (min(own), max(own)) for name, own in values.items() if None not in own}
    # Where the tokens per parameter stay, the ends differ by rounding alone.
    return {name: pair for name, pair in pairs.items() if not isclose(*pair, rel_tol=1e-12)}


def product(values: Any) -> float:
    total = 1.0
    for value in values:
        total *= value
    return total


def rescaled(task: Task, kept: Sequence[Invariant], exponents: Exponents) -> Recipe:
    """The recipe with every hyperparameter changed by its factor, memories and decay in their exact form."""
    recipe, by = task.recipe, {name: task.factor(powers) for name, powers in exponents.items()}
    exact = exactly_kept(kept)
    values: dict[str, Any] = dict(task.to)
    for name in ("lr", "weight_decay", "eps", "init_std"):
        if name in by and getattr(recipe, name) is not None:
            values[name] = getattr(recipe, name) * by[name]
    for name in ("beta1", "beta2", "ema"):
        old = getattr(recipe, name)
        if f"one_minus_{name}" in by and old is not None:
            values[name] = forgotten(name, old, by[f"one_minus_{name}"], name in exact)
    if "decay" in exact:
        values["weight_decay"] = decayed(recipe, values.get("lr", recipe.lr), by)
    if {"width", "depth"} & set(task.factors) and "parameters" not in task.to:
        values["parameters"] = None
    betas = tuple(values.pop(name, getattr(recipe, name)) for name in ("beta1", "beta2"))
    own = {name: value for name, value in recipe.field_values().items() if name not in ("betas", "beta1", "beta2")}
    return Recipe(**{**own, **values, "betas": betas})


# What a finite form replaces, and with it what every other invariant with that in it would lose.
REPLACED = {
    "decay": "weight_decay", "beta1": "one_minus_beta1", "beta2": "one_minus_beta2", "ema": "one_minus_ema",
}  # fmt: skip


def exactly_kept(kept: Sequence[Invariant]) -> set[str]:
    """The finite forms that may be used: where another invariant keeps the monomial, the monomial it is."""
    plain = {name for each in kept if not each.finite for name in each.powers}
    return {each.finite for each in kept if each.finite and REPLACED[each.finite] not in plain}


def forgotten(name: str, old: float, factor: float, exact: bool) -> float:
    """β^κ where its memory is kept; else 1 − (1−β)κ."""
    if exact:
        return float(old**factor)
    value = 1 - (1 - old) * factor
    if not 0 <= value < 1:
        raise ValueError(f"{name} = {old:g} would become {value:g}: 1 − {name} cannot grow by the factor {factor:g}")
    return value


def decayed(recipe: Recipe, lr: float, by: Mapping[str, float]) -> float:
    """The λ with which 1 − ηλ becomes (1 − ηλ)^κ, κ the factor of ηλ."""
    alpha = recipe.lr * recipe.weight_decay  # type: ignore[operator]
    if not 0 < alpha < 1:
        raise ValueError(
            f"a timescale is kept only of a recipe with 0 < lr·weight_decay < 1, got {alpha:g}; keep other invariants"
        )
    factor = by.get("lr", 1.0) * by.get("weight_decay", 1.0)
    if factor == 1.0:
        return float(recipe.weight_decay / by.get("lr", 1.0))  # type: ignore[operator]
    return -expm1(factor * log1p(-alpha)) / lr
