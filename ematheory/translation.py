"""translate(): what a weight decay of one framework is in another, for one number or a whole schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .conventions import NO_LAMBDA, POWERS, TORCH_ADAMW, Convention, convention, raised
from .recipes import Recipe
from .records import NON_NEGATIVE, POSITIVE, UNIT, Interval, as_number_array, check_values, check_whole
from .schedules import multipliers
from .typing import FloatArray, Value

# What recipes, and this package throughout, mean by weight_decay.
DEFAULT = TORCH_ADAMW.framework


@dataclass(frozen=True, eq=False)
class Translation:
    """The same training in another framework's meaning of its hyperparameters.

    source, target : the conventions.
    weight_decay : λ in the target's meaning; where no one number does, an array of shape (T,), one per step.
    lr : the peak rate, or where it changes an array η_k of shape (T,).
    decay_per_step : α_k, the share of the weight that goes at the peak rate; an array over a schedule.
    notes : what else to set or to know.
    """

    source: Convention
    target: Convention
    weight_decay: float | FloatArray
    lr: float | FloatArray
    decay_per_step: float | FloatArray
    notes: tuple[str, ...]

    def eps_at(self, eps: float, step: int | FloatArray, beta2: float) -> Any:
        """The target's ε at update number `step` (from 1) that is the source's `eps` there, for this β₂.

        The placement of ε decides: ε̂ inside the step's correction is ε√(1−β₂^k), so that one number of the one is a
        number that changes with k of the other; the two agree once β₂^k is small.
        """
        check_values("eps", eps, NON_NEGATIVE)
        check_values("beta2", beta2, UNIT)
        check_values("step", step, Interval(1.0))
        return self.source.eps_outside(eps, step, beta2) / self.target.eps_outside(1.0, step, beta2)

    def __str__(self) -> str:
        lines = [f"{self.source.framework} → {self.target.framework}"]
        lines += [f"  weight_decay = {in_words(self.weight_decay)}", f"  lr           = {in_words(self.lr)}"]
        return "\n".join([*lines, f"  decay per step, α = {in_words(self.decay_per_step)}", *map(bullet, self.notes)])


def bullet(note: str) -> str:
    return f"  note: {note}"


def in_words(value: float | FloatArray) -> str:
    """A number, or the first, largest and last of an array."""
    if np.ndim(value) == 0:
        return f"{value:.6g}"
    array = np.asarray(value)
    return f"{len(array)} values, one per step: {array[0]:.6g} first, {array.max():.6g} largest, {array[-1]:.6g} last"


def translate(
    given: Any,
    to: str,
    *,
    source: str = DEFAULT,
    lr: Any = None,
    schedule: Any = None,
    steps: int | None = None,
) -> Translation:
    """What to give the framework `to` so that its weights decay, and train, as they do in `source`.

    Parameters
    ----------
    given : λ in `source`'s meaning: a number, or an array of shape (T,) with one per step; or a `Recipe`, whose λ is
        torch.optim.AdamW's and which brings its rate, schedule and steps along.
    to, source : names of `CONVENTIONS`; the part before the dot is enough where it is unique.
    lr : the peak rate η > 0, or the rates η_k of the T steps, of which the largest counts as the peak.
    schedule, steps : as for `predict`: of the rate, for the pairs whose λ depends on it. ``Constant()`` if it is.

    Raises
    ------
    ValueError : an unknown framework; a value out of range; a pair whose λ depends on the schedule without one; and,
        with the reason, where no λ gives the same dynamics: L2, data-dependent decay, another update, a rate of zero
        whose step decays elsewhere.
    TypeError : a recipe with sweep axes, or values that are no numbers.

    Example
    -------
    >>> translate(0.1, "composer", lr=1e-3).weight_decay
    0.0001
    >>> translate(1e-4, "torch.optim.AdamW", source="paper", lr=1e-3).weight_decay
    0.1
    """
    if isinstance(given, Recipe):
        return of_recipe(given, to, source, lr, schedule, steps)
    there, here = convention(to), convention(source)
    decay = as_number_array("weight_decay", given)
    check_some("weight_decay", decay)
    check_values("weight_decay", decay, NON_NEGATIVE)
    if here == there:
        return same(here, decay, lr)
    refuse_other_dynamics(here, there)
    rates = Rates.of(lr, schedule, steps, decay)
    return between(here, there, decay, rates)


def of_recipe(recipe: Recipe, to: str, source: str, lr: Any, schedule: Any, steps: int | None) -> Translation:
    if source != DEFAULT or not (lr is None and schedule is None and steps is None):
        raise ValueError(
            f"a recipe's weight_decay is {DEFAULT}'s and it brings lr, schedule and steps along: give "
            "none of them, nor source="
        )
    if not all(isinstance(value, float) for value in (recipe.lr, recipe.weight_decay, recipe.steps)):
        raise TypeError("translate takes one recipe, not one with sweep axes; take a point of it")
    return translate(recipe.weight_decay, to, lr=recipe.lr, schedule=recipe.schedule, steps=max(1, round(recipe.steps)))


def same(here: Convention, decay: FloatArray, lr: Any) -> Translation:
    kept = number_or_array(decay)
    rate: Any = np.nan if lr is None else number_or_array(as_number_array("lr", lr))
    taken: Any = np.nan if lr is None or here.multiplies in NO_LAMBDA else here.decay_per_step(kept, np.max(rate))
    return Translation(here, here, kept, rate, taken, ())


def check_some(name: str, values: FloatArray) -> None:
    """Raise `ValueError` for an array without values."""
    if values.size == 0:
        raise ValueError(f"{name} must be a number, or an array with one value per step, got no value")


def number_or_array(values: FloatArray) -> Any:
    return float(values) if np.ndim(values) == 0 else values


def refuse_other_dynamics(here: Convention, there: Convention) -> None:
    pair = f"weight_decay cannot be translated from {here.framework} to {there.framework}"
    for side in (here, there):
        if side.multiplies in NO_LAMBDA:
            raise ValueError(f"{pair}: {side.framework} {NO_LAMBDA[side.multiplies]}")
    if here.update != there.update:
        raise ValueError(
            f"{pair}: no weight decay makes {there.framework}'s update the other's; to decay as fast there, choose "
            "the λ with the same Recipe(…).timescale()"
        )


@dataclass(frozen=True, eq=False)
class Rates:
    """The peak rate η and, where known, the multipliers s_k, shape (T,)."""

    peak: float
    multipliers: FloatArray | None

    @classmethod
    def of(cls, lr: Any, schedule: Any, steps: int | None, decay: FloatArray) -> Rates:
        """From what `translate` is given; `decay` with one value per step says how many there are."""
        if lr is None:
            raise ValueError("give lr=, the peak rate, or the rates of all steps: λ is multiplied by it on one side")
        rates = as_number_array("lr", lr)
        check_some("lr", rates)
        check_values("lr", rates, NON_NEGATIVE if rates.ndim else POSITIVE)
        if rates.ndim:
            if schedule is not None or steps is not None:
                raise ValueError("lr with one value per step is a schedule already: give no schedule= or steps=")
            check_values("the largest lr", rates.max(initial=0.0), POSITIVE)
            made = cls(float(rates.max()), rates / rates.max())
        else:
            made = cls(float(rates), shape_of(schedule, steps if decay.ndim == 0 else steps or len(decay)))
        if decay.ndim and made.multipliers is not None and len(decay) != len(made.multipliers):
            raise ValueError(f"weight_decay has {len(decay)} values for {len(made.multipliers)} steps")
        return made


def shape_of(schedule: Any, steps: int | None) -> FloatArray | None:
    """The multipliers of a schedule; None where nothing is known of it."""
    if schedule is None:
        return None
    if steps is None:
        steps = len(schedule) if isinstance(schedule, np.ndarray | list | tuple) else None
    if steps is None:
        raise ValueError("give steps=, the length of the schedule's run")
    found: FloatArray = multipliers(schedule, check_whole("steps", steps, Interval(1)))
    return found


def between(here: Convention, there: Convention, decay: FloatArray, rates: Rates) -> Translation:
    """λ and η such that each step takes the same share of the weight away and adds the same update."""
    notes = [f"{side.framework}: {side.note}" for side in (here, there) if side.note]
    if here.epsilon != there.epsilon and None not in (here.epsilon, there.epsilon):
        notes.append("ε stands elsewhere there: .eps_at(eps, step, beta2) gives it, the same number at late steps")
    moved = (here.order == "after") != (there.order == "after")
    constant = rates.multipliers is None or bool((rates.multipliers == 1).all())
    alone = POWERS[here.multiplies][1] == POWERS[there.multiplies][1]
    if rates.multipliers is None and not alone:
        raise ValueError(
            f"λ of {there.framework} follows the schedule when {here.framework}'s does not, or the other way: give "
            "schedule= and steps= (Constant() for a constant rate), or lr= with one value per step"
        )
    shape: Any = 1.0 if constant else rates.multipliers
    kept = rates.peak if constant else rates.peak * shape
    alpha = np.asarray(here.decay_per_step(decay, rates.peak, shape))
    refuse_impossible(there, alpha, shape)
    if not moved:
        number = alone and decay.ndim == 0
        found = ratio(here, there, decay, rates.peak, 1.0 if number else shape)
        return Translation(here, there, number_or_array(found), rates.peak, number_or_array(alpha), tuple(notes))
    if rates.multipliers is None:
        notes.append(
            "decay comes after the step on one side and before it on the other: the timescale is the same, the "
            "updates differ by the factor 1 − α_k; schedule= and steps= give lr and λ per step at which they do not"
        )
        found = ratio(here, there, decay, rates.peak, 1.0)
        return Translation(here, there, number_or_array(found), rates.peak, number_or_array(alpha), tuple(notes))
    # The new weight's decay scales the update by 1 − α_k as well.
    lr = kept / (1 - alpha) if there.order == "after" else kept * (1 - alpha)
    found = per_step(there, alpha, lr)
    return Translation(here, there, number_or_array(found), number_or_array(np.asarray(lr)), alpha, tuple(notes))


def refuse_impossible(there: Convention, alpha: FloatArray, shape: Value) -> None:
    if (alpha >= 1).any():
        raise ValueError(f"the decay per step must be below 1, got {alpha.max():g}; is λ meant in another convention?")
    if POWERS[there.multiplies][1] and bool(((np.asarray(shape) == 0) & (alpha > 0)).any()):
        raise ValueError(
            f"no λ decays a step of rate 0 in {there.framework}, which multiplies λ by the rate; here the step decays"
        )


def ratio(here: Convention, there: Convention, decay: FloatArray, peak: float, shape: Value) -> FloatArray:
    """λ·k/k′ with k what multiplies λ here and k′ there; powers of η and s that both have are not multiplied in."""
    (lr, multiplier), (lr_there, multiplier_there) = POWERS[here.multiplies], POWERS[there.multiplies]
    scaled = decay * raised(peak, max(0, lr - lr_there)) / raised(peak, max(0, lr_there - lr))
    return divided(scaled * raised(shape, max(0, multiplier - multiplier_there)), shape, multiplier_there - multiplier)


def divided(values: FloatArray, shape: Value, power: int) -> FloatArray:
    """values/shape^power; where the rate is 0 nothing is decayed on either side if it multiplies both."""
    if power <= 0:
        return np.asarray(values)
    over = np.broadcast_to(np.asarray(raised(shape, power)), np.broadcast_shapes(np.shape(values), np.shape(shape)))
    return np.where(over == 0, 0.0, np.broadcast_to(values, over.shape) / np.where(over == 0, 1.0, over))


def per_step(there: Convention, alpha: FloatArray, lr: Value) -> FloatArray:
    """λ_k = α_k over what multiplies it there, at the rates η_k = `lr`, the largest of which is the peak."""
    peak = np.max(lr)
    return divided(np.asarray(alpha), there.decay_per_step(1.0, peak, np.asarray(lr) / peak), 1)
