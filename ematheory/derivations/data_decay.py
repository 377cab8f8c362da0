"""Weight decay by data (§5): what λ has to do as batch, data and epochs change, for each thing that may be kept."""

from __future__ import annotations

import mpmath
import sympy as sp

from ..optimizers import AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, between, positive
from .batch_scaling import batch, rule, slope
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation
from .evaluation import Number, Point, as_real
from .limits import Solve

eta, lam = x.eta, x.lam
data, epochs, tokens, parameters, weight = sp.symbols("N E D P w", positive=True)
epoch, run = sp.symbols("M T", positive=True)  # steps
level, power = sp.symbols("C p", positive=True)  # of the power law τ_run = C·TPP^(−p)
RECORD = AdamW(lr=1.0, weight_decay=0.1)
KEPT = {"epochs": batch / (eta * lam * data), "share of the run": batch / (eta * lam * data * epochs)}
asked = sp.symbols("x_B x_D x_P", real=True)


def steps() -> tuple[Step, ...]:
    named = x.with_symbols(RECORD)
    state = named.State(weight, sp.Integer(0), x.v_t(x.t))
    quiet = x.symbolic_update(named, x.clock(constant=True), state, sp.Integer(0)).weight
    share, law = batch / (eta * lam * tokens), level * (tokens / parameters) ** (-power)
    found = batch / (eta * level * tokens) * (tokens / parameters) ** power
    axes = (batch, tokens, parameters)
    return (
        Step(
            "decay per step",
            Equation(quiet, (1 - eta * lam) * weight),
            "AdamW's own update without a gradient: a timescale of 1/(ηλ) steps",
            Identity(),
        ),
        Step(
            "timescales",
            Equation(
                sp.Tuple(1 / (eta * lam * epoch), 1 / (eta * lam * run)),
                sp.Tuple(*KEPT.values()),
            ),
            "in epochs of M = N/B steps, and as a share of a run of T = NE/B",
            Identity(where={epoch: data / batch, run: data * epochs / batch}),
        ),
        *(
            step
            for what, monomial in KEPT.items()
            for axis in (batch, data, epochs)
            if monomial.has(axis)
            for step in rule(f"{what}, {axis}: ", {what: monomial}, (lam,), f"the timescale in {what} at one η", axis)
        ),
        *rule(
            "square root of B: ", {"drift": eta / sp.sqrt(batch), "share": share}, (eta, lam),
            "Adam's drift on noise and the share of the run: λ ∝ √B then",
        ),
        *rule(
            "one η, D: ", {"η": eta, "share": share}, (eta, lam), "η and the share of the run", tokens
        ),
        Step(
            "power law",
            Equation(lam, found),
            "the λ that follows a power law of tokens per parameter, B/(ηλD) = C (D/P)^(−p)",
            Solve(conditions=(Equation(eta * lam * tokens * law, batch),)),
        ),
        Step(
            "exponents of the power law",
            Equation(sp.Tuple(*asked), sp.Tuple(1, power - 1, -power)),
            "so λ ∝ B·D^(p−1)·P^(−p) at one η: ∂ log λ by each is the exponent",
            Solve(
                conditions=tuple(
                    Equation(slope(found, axis) - exponent, 0) for axis, exponent in zip(axes, asked, strict=True)
                )
            ),
        ),
    )  # fmt: skip


def weight_decay(point: Point) -> Number:
    """The λ with which one update of AdamW itself takes 1/(Tτ) of a weight away, the loss being linear in λ."""
    lr, size, count, model, top, fall = (as_real(point[s]) for s in (eta, batch, tokens, parameters, level, power))
    record = RECORD.substituted(beta1=mpmath.mpf(0), beta2=mpmath.mpf(0), eps=mpmath.mpf(1))
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), lr, as_real(1)))
    taken = 1 - record.update(x.numbers, record.initial(x.numbers, mpmath.mpf(1)), mpmath.mpf(0), c).weight
    share = top / mpmath.exp(fall * mpmath.log(count / model))
    return 1 / (share * (count / size)) / taken


def data_decay() -> Derivation:
    """§5: λ along the axes of batch and data."""
    return Derivation(
        name="data-decay",
        title="Weight decay by batch, data and epochs: which rule keeps what",
        statement=(
            "At one η a timescale kept in epochs needs λ ∝ B/N and no change for more epochs; kept as a share of the "
            "run it needs λ ∝ B/(NE). With η ∝ √B the second is λ ∝ √B/D. A power law τ/T = C·(D/P)^(−p) needs "
            "λ ∝ B·D^(p−1)·P^(−p)."
        ),
        assumptions=Assumptions(
            (
                positive(eta), positive(lam), positive(batch), positive(data), positive(epochs), positive(tokens),
                positive(parameters), positive(level), between(power, 0, 1), positive(weight),
            )
        ),
        steps=steps(),
        results={"weight_decay": "power law"},
        brute_force={"weight_decay": weight_decay},
        source=(
            "Wang & Aitchison, arXiv 2405.13698 (epochs); Bergsma et al., arXiv 2505.13738 (power law); nanochat "
            "(√B/D); THEORY.md §5"
        ),
        arguments={
            eta: "lr", batch: "batch_size", tokens: "tokens", parameters: "parameters", level: "law_coefficient",
            power: "law_exponent",
        },
        corrects=(
            "that one rule for the data does for repeated data as well: with E times the epochs λ stays for the one "
            "timescale and falls as 1/E for the other"
        ),
    )  # fmt: skip


DERIVATIONS = {"data-decay": data_decay}
