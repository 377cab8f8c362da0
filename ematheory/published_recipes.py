"""The published recipes of recipes.toml, with their sources, and schedules made of pieces, which some of them need."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from .power_laws import POWER_LINES
from .recipes import Recipe
from .records import check_choice
from .schedules import Constant, Cosine, Schedule
from .typing import Value

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# What an entry may say of itself; anything else is an error, so that no input is dropped silently.
RECIPE_KEYS = ("lr", "weight_decay", "batch_size", "dataset_size", "epochs", "parameters", "betas", "eps", "schedule")
ABOUT_KEYS = ("name", "source", "optimizer", "active_parameters", "note")


class Piece(NamedTuple):
    """Up to the share `until` of the run: `level` times `shape`, which would take `length` of the run to its end."""

    until: float
    level: float
    shape: Schedule
    length: float


@dataclass(frozen=True, eq=False, repr=False)
class Pieces(Schedule):
    """A schedule of pieces, one after the other; the last one's `until` is 1.

    >>> Pieces((Piece(0.5, 1.0, Constant(), 0.5), Piece(1.0, 0.1, Constant(), 0.5))).multipliers(4)
    array([1. , 1. , 0.1, 0.1])
    """

    pieces: tuple[Piece, ...] = (Piece(1.0, 1.0, Constant(), 1.0),)

    def placed(self, xp: Any, x: Value) -> list[tuple[Piece, Value, Value]]:
        """Each piece with whether x has reached it, and x in its own share, kept inside it."""
        found, start = [], 0.0
        for piece in self.pieces:
            inside = xp.where(x < start, start + 0 * x, xp.where(x > piece.until, piece.until + 0 * x, x))
            found.append((piece, x >= start, (inside - start) / piece.length))
            start = piece.until
        return found

    def bare_shape(self, xp: Any, x: Value) -> Value:
        value = 0 * x
        for piece, reached, own in self.placed(xp, x):
            value = xp.where(reached, piece.level * piece.shape.bare_shape(xp, own), value)
        return value

    def bare_integral(self, xp: Any, x: Value) -> Value:
        total = 0 * x
        ends = self.placed(xp, 1 + 0 * x)
        for (piece, _, own), (_, _, end) in zip(self.placed(xp, x), ends, strict=True):
            rest = piece.shape.bare_integral(xp, own) - piece.shape.bare_integral(xp, end)
            total = total + piece.level * piece.length * rest
        return total


@dataclass(frozen=True)
class Published:
    """A published recipe and where its numbers come from.

    source : ``"release"`` (a released config or the authors' code), ``"paper"`` or ``"memory"`` (unconfirmed).
    optimizer : AdamW unless said otherwise.
    active_parameters : of a mixture of experts, per token; None for a dense model.
    entry : the recipe as recipes.toml has it.
    """

    name: str
    source: str
    entry: Mapping[str, Any]
    optimizer: str = "AdamW"
    active_parameters: float | None = None
    note: str = ""

    @property
    def recipe(self) -> Recipe:
        """The entry as a recipe. Raises `ValueError` naming the key that a recipe cannot express."""
        return recipe_of(self.name, self.entry)

    @property
    def tokens_per_parameter(self) -> float:
        """Tokens of the whole run per parameter, active ones for a mixture of experts."""
        return float(self.entry["dataset_size"] / (self.active_parameters or self.entry["parameters"]))

    @property
    def power_law_run_fraction(self) -> float:
        """The share of the run that the power law of arXiv 2505.13738 gives as the best timescale at the peak rate."""
        return float(POWER_LINES.run_fraction(self.tokens_per_parameter))

    @property
    def power_law_interval(self) -> tuple[float, float]:
        """The same with the law's exponent a standard error lower and higher; see `PowerLaw.run_fraction_interval`."""
        low, high = POWER_LINES.run_fraction_interval(self.tokens_per_parameter)
        return float(low), float(high)


@cache
def published() -> dict[str, Published]:
    """The published recipes by name.

    >>> published()["Llama-2 7B"].recipe.lr
    0.0003
    """
    text = files(__package__).joinpath("recipes.toml").read_text(encoding="utf-8")
    return {entry["name"]: described(entry) for entry in tomllib.loads(text)["recipe"]}


def recipe_in(path: Path, name: str | None = None) -> Recipe:
    """The recipe in a TOML file; see `Recipe.from_toml`."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        said = f"{error.strerror}; a recipe is read from the path of a TOML file, not from its text"
        raise type(error)(error.errno, said, error.filename) from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    entries = given.get("recipe", [given])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries) or not entries:
        raise ValueError(f"{path}: 'recipe' must be one or more tables, each headed [[recipe]]")
    names = [str(entry.get("name", path.stem)) for entry in entries]
    if name is None and len(entries) > 1:
        raise ValueError(f"{path} has {len(entries)} recipes; give name=, one of {', '.join(map(repr, names))}")
    if name is not None:
        check_choice(f"name of a recipe in {path}", name, names)
    place = 0 if name is None else names.index(name)
    for key in ("lr", "weight_decay", "batch_size", "dataset_size"):
        if key not in entries[place]:
            raise ValueError(f"recipe {names[place]!r} in {path} has no {key}")
    return described({"source": "given", **entries[place], "name": names[place]}).recipe


def described(entry: Mapping[str, Any]) -> Published:
    for key in entry:
        check_choice(f"recipe {entry.get('name')!r}: key", key, RECIPE_KEYS + ABOUT_KEYS)
    about = {key: entry[key] for key in ABOUT_KEYS if key in entry}
    return Published(**about, entry={key: entry[key] for key in RECIPE_KEYS if key in entry})


def recipe_of(name: str, entry: Mapping[str, Any]) -> Recipe:
    """A recipe from an entry; its dataset_size, the tokens of the whole run, becomes those of one epoch."""
    fields = dict(entry)
    if isinstance(entry["weight_decay"], str):
        raise ValueError(
            f"recipe {name!r}: weight_decay = {entry['weight_decay']!r} is a formula, not a number: a recipe has "
            "PyTorch's λ, whose decay per step is a number times the learning rate"
        )
    if "schedule" not in entry:
        raise ValueError(f"recipe {name!r} has no schedule; give one, {{ kind = 'constant' }} if it is constant")
    tokens = float(entry["dataset_size"])
    fields["dataset_size"] = tokens / entry.get("epochs", 1)
    try:
        fields["schedule"] = schedule_of(entry["schedule"], tokens, tokens / entry["batch_size"])
    except ValueError as error:
        raise ValueError(f"recipe {name!r}: {error}") from None
    return Recipe(**fields)


def schedule_of(entry: Mapping[str, Any], tokens: float, steps: float) -> Schedule:
    """A schedule from its entry, for a run of so many tokens and steps. Raises `ValueError` naming an unknown key."""
    given = dict(entry)
    kind = given.pop("kind")
    check_choice("schedule.kind", kind, KINDS)
    if "warmup_tokens" in given:
        warmup, words = given.pop("warmup_tokens") / tokens, "warmup"
        warm = {words: warmup}
    else:
        count = given.pop("warmup_steps", 0)
        warmup, warm = count / steps, {"warmup_steps": count} if count else {}

    def after_warmup(share: float) -> float:
        """A share of the run as a share of what follows the warm-up, over which shapes run."""
        return float((share - warmup) / (1 - warmup))

    make, keys = KINDS[kind]
    for key in given:
        check_choice(f"schedule.{kind}: key", key, (*keys, "warmup_tokens", "warmup_steps"))
    return make(given, tokens, after_warmup, warm)


Shares = Callable[[float], float]
Maker = Callable[[dict[str, Any], float, Shares, dict[str, Any]], Schedule]


def constant(given: dict[str, Any], tokens: float, shares: Shares, warm: dict[str, Any]) -> Schedule:
    return Constant(**warm)


def cosine(given: dict[str, Any], tokens: float, shares: Shares, warm: dict[str, Any]) -> Schedule:
    """A cosine to `final`; its horizon may end before the run, which then keeps the final rate, or after it."""
    final = given.get("final", 0.0)
    if "horizon_tokens" not in given:
        return Cosine(final=final, **warm)
    horizon = shares(given["horizon_tokens"] / tokens)
    pieces = [Piece(min(horizon, 1.0), 1.0, Cosine(final=final), horizon)]
    if horizon < 1:
        pieces.append(Piece(1.0, final, Constant(), 1 - horizon))
    return Pieces(tuple(pieces), **warm)


def steps(given: dict[str, Any], tokens: float, shares: Shares, warm: dict[str, Any]) -> Schedule:
    """The peak rate, then from each share `at` of the run the multiplier `to`."""
    edges, levels = [*map(shares, given["at"]), 1.0], [1.0, *given["to"]]
    pairs = zip([0.0, *edges], edges, levels, strict=False)
    return Pieces(tuple(Piece(end, level, Constant(), end - start) for start, end, level in pairs), **warm)


def phases(given: dict[str, Any], tokens: float, shares: Shares, warm: dict[str, Any]) -> Schedule:
    """Phases of `tokens` each with multipliers `from` and `to`, joined by half a cosine; the first has the warm-up."""
    pieces: list[Piece] = []
    start, passed = 0.0, 0.0
    total = sum(phase["tokens"] for phase in given["phases"])
    for phase in given["phases"]:
        passed += phase["tokens"]
        end = shares(passed / total)
        level, last = phase["from"], phase["to"]
        shape: Schedule = Constant() if level == last else Cosine(final=last / level)
        pieces.append(Piece(end, level, shape, end - start))
        start = end
    return Pieces(tuple(pieces), **warm)


# Each kind of schedule in recipes.toml: how it is made, and the keys that it takes.
KINDS: dict[str, tuple[Maker, tuple[str, ...]]] = {
    "constant": (constant, ()),
    "cosine": (cosine, ("final", "horizon_tokens")),
    "steps": (steps, ("at", "to")),
    "phases": (phases, ("phases",)),
}
