"""The nouns (problem, optimizer, schedule) as a command line has them: each is written with options and made of them.

Which of the options a problem, optimizer or schedule takes, its record's fields decide.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import options
from .options import given, numbers, option

if TYPE_CHECKING:
    from ..optimizers.optimizer import Optimizer
    from ..problems import Problem
    from ..schedules import Schedule

# Where the command line's problems begin, unless told otherwise.
COORDINATES, DATASET_SIZE = 100, 1000
# The optimizers of torch.optim that have no record: nobody who names one of them means another.
TORCHS_OWN = (
    "adadelta", "adafactor", "adagrad", "adamax", "asgd", "lbfgs", "muon", "radam", "rprop", "sparseadam",
)  # fmt: skip


def fields_of(
    what: str,
    kind: type[Any],
    chosen: Mapping[str, Any],
    renamed: Mapping[str, str] | None = None,
    beside: Sequence[str] = (),
) -> dict[str, Any]:
    """A record's fields from the options chosen, their text read as the field says: as numbers, or as a word.

    `renamed` gives the option of a field that is not called as it is, `beside` the options that are no field; those
    are left out. Raises `ValueError` listing what `what` takes for an option that is neither.
    """
    own = {each.name: each for each in dataclasses.fields(kind) if each.name not in kind.repeated}
    spelled = {(renamed or {}).get(name, name): name for name in own}
    refuse_unknown(what, chosen, [*beside, *spelled])
    return {spelled[key]: value_of(own[spelled[key]], key, chosen[key]) for key in chosen if key in spelled}


def value_of(field: dataclasses.Field[Any], name: str, written: Any) -> Any:
    """What was written for a field: numbers, or a word where the field's default is one."""
    if not isinstance(written, str):
        return written
    try:
        return numbers(option(name), written)
    except ValueError:
        if isinstance(field.default, str):
            return written
        raise


def problem(
    name: str,
    *,
    coordinates: int | None = None,
    power: float | None = None,
    precondition: float | None = None,
    **fields: Any,
) -> Problem:
    """The problem called `name`, its fields as written on the command line; None leaves the default.

    Where curvatures are a field, they are `coordinates` terms of i^−`power` unless given, and `dataset_size` stands for
    `size`; elsewhere `coordinates` does.

    Raises `ValueError` listing what it takes for an unknown name or an option that it has not.

    >>> problem("noisy-quadratic", coordinates=3, batch_size="4,8").batch_size.dims
    ('batch_size',)
    >>> problem("random-walk", coordinates=3, noise="1,2,3").coordinates
    3
    """
    from .. import problems
    from ..records import Interval, check_choice, check_whole

    known = {option(kind.name): kind for kind in (*problems.RECORDS, *problems.COUPLED)}
    check_choice("--problem", name, known)
    kind: type[Any] = known[name]
    own = [each.name for each in dataclasses.fields(kind)]
    shaped = "curvature" in own
    beside = {"coordinates": shaped, "power": shaped, "precondition": hasattr(kind, "preconditioned")}
    chosen = given(coordinates=coordinates, power=power, precondition=precondition, **fields)
    values = fields_of(
        f"--problem {name}",
        kind,
        chosen,
        {"size": "dataset_size" if shaped else "coordinates"},
        [key for key, taken in beside.items() if taken],
    )
    if coordinates is not None:
        check_whole("--coordinates", coordinates, Interval(1))
    if "size" in own:
        values.setdefault("size", DATASET_SIZE if shaped else COORDINATES)
    if "curvature" in values and not {"coordinates", "power"}.isdisjoint(chosen):
        raise ValueError("--curvature gives every h_i; leave out --coordinates and --power")
    if shaped:
        values.setdefault("curvature", spectrum(chosen.get("coordinates", COORDINATES), chosen.get("power", 1.0)))
    made: Any = kind(**values)
    posed: Problem = made if precondition is None else made.preconditioned(precondition)
    return posed


def spectrum(coordinates: int, power: float) -> list[float]:
    """1, 2^−power, … d^−power."""
    try:
        return [index**-power for index in range(1, coordinates + 1)]
    except OverflowError:
        raise ValueError(f"--power {power:g} makes a curvature i^{-power:g} too large for a float64") from None


def optimizer(name: str, **fields: Any) -> Optimizer:
    """The optimizer called `name`, its fields as written on the command line; None means the record's default.

    Raises `ValueError` listing what it takes for an unknown name or an option that it has not.

    >>> optimizer("sgd", lr="0.1", momentum="0.5,0.9").momentum.dims
    ('momentum',)
    >>> optimizer("schedule-free-adamw", lr="0.1", beta1="0.95").beta1
    0.95
    """
    from ..records import check_choice

    known = optimizer_kinds()
    if name.lower().replace("-", "") in TORCHS_OWN:
        raise ValueError(
            f"--optimizer {name}: torch.optim has it, but no record here describes it; there are {', '.join(known)}"
        )
    check_choice("--optimizer", name, known)
    made: Optimizer = known[name](**fields_of(f"--optimizer {name}", known[name], given(**fields)))
    return made


def optimizer_kinds() -> dict[str, type[Any]]:
    """Each optimizer's record by its name on the command line, which is its file's."""
    from .. import optimizers

    kinds = (*optimizers.RECORDS, optimizers.AdamC, *optimizers.COUPLED)
    return {option(kind.__module__.rpartition(".")[2]): kind for kind in kinds}


def schedule(name: str | None, **fields: Any) -> Schedule | None:
    """The schedule called `name`, or None where nothing was said; fields that are None are left to its defaults.

    `decay_share` stands for WSD's `decay`, and `harmonic_timescale` for the harmonic schedule's `timescale`.

    >>> schedule("wsd", decay_share=0.1, final=None)
    WSD(warmup=0.0, decay=0.1, shape='linear')
    >>> schedule(None, warmup=0.1)
    Constant(warmup=0.1)
    """
    from .. import schedules
    from ..records import check_choice

    chosen = given(**fields)
    if name is None and not chosen:
        return None
    what = f"--schedule {name}" if name else "without --schedule the rate is constant, which"
    name = name or "constant"
    check_choice("--schedule", name, schedules.SCHEDULES)
    renamed = {"decay": "decay_share", "timescale": "harmonic_timescale"}
    return schedules.named(name, **fields_of(what, schedules.SCHEDULES[name], chosen, renamed))


def refuse_unknown(what: str, chosen: Mapping[str, Any], takes: Sequence[str]) -> None:
    from ..records import probably_meant

    for name in chosen:
        if name not in takes:
            written, allowed = f"--{option(name)}", [f"--{option(key)}" for key in takes]
            raise ValueError(
                f"{what} has no {written}; it takes {', '.join(allowed)}{probably_meant(written, allowed)}"
            )


@dataclasses.dataclass(frozen=True)
class Noun:
    """The options that a noun is written with, each with its annotation, the name's first, and what makes it of them.

    An option that has no default here is None when it is left out.
    """

    make: Callable[..., Any]
    options: Mapping[str, Any]
    defaults: Mapping[str, Any]

    def parameters(self, defaults: Mapping[str, Any]) -> list[inspect.Parameter]:
        """The options as a function's parameters, with further defaults."""
        known = {**self.defaults, **defaults}
        return [parameter(name, kind, known.get(name)) for name, kind in self.options.items()]

    def made(self, written: dict[str, Any]) -> Any:
        """The noun; its options are taken out of `written`."""
        name, *fields = (written.pop(each) for each in self.options)
        return self.make(name, **dict(zip(list(self.options)[1:], fields, strict=True)))


PROBLEM = Noun(problem, options.PROBLEM, {"problem": "noisy-quadratic"})
OPTIMIZER = Noun(optimizer, options.OPTIMIZER, {"optimizer": "sgd", "lr": "0.1", "weight_decay": "0"})
SCHEDULE = Noun(schedule, options.SCHEDULE, {})

Verb = Callable[..., None]


def spelled_out(defaults: Mapping[str, Any] | None = None, **nouns: Noun) -> Callable[[Verb], Verb]:
    """A verb whose parameters named here are nouns; on the command line each is its options, in its place.

    `defaults` are the verb's own, of those options. Wrong options raise as the nouns' makers do.

    >>> @spelled_out(schedule=SCHEDULE)
    ... def show(schedule: Schedule, often: int = 1) -> None:
    ...     print(schedule, often)
    >>> show(**dict.fromkeys(SCHEDULE.options), often=2)
    None 2
    """

    def decorated(verb: Verb) -> Verb:
        # The nouns' types are not imported here, which costs time; no option has them.
        unknown = dict.fromkeys(("Problem", "Optimizer", "Schedule"), Any)
        own = inspect.signature(verb, locals=unknown, eval_str=True)
        parts: list[inspect.Parameter] = []
        for name, each in own.parameters.items():
            spelled = nouns[name].parameters(defaults or {}) if name in nouns else []
            parts += spelled or [parameter(name, each.annotation, each.default)]

        @functools.wraps(verb)
        def run(**given: Any) -> None:
            made = {name: noun.made(given) for name, noun in nouns.items()}
            verb(**made, **given)

        run.__signature__ = own.replace(parameters=parts)  # type: ignore[attr-defined]
        run.__annotations__ = {part.name: part.annotation for part in parts}
        return run

    return decorated


def parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
