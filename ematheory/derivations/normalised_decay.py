"""Normalised weight decay (§5): λ_ind ∝ √(B/(NE)) is a timescale that shrinks as T^{−1/2} of the run."""

from __future__ import annotations

import mpmath
import sympy as sp
from sympy.codegen.cfunctions import log1p

from ..optimizers import AdamW
from ..optimizers.optimizer import SymbolicTime
from . import symbols as x
from .assumptions import Assumptions, integer, positive
from .batch_scaling import batch, rule, slope
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, replaced
from .evaluation import Number, Point, as_real
from .lemmas import STABLE
from .limits import Limit, Series, Solve
from .random_walk import ROOT_OF_PRODUCT

lam = x.lam  # independent: what a step takes away
T = sp.Symbol("T", integer=True, positive=True)  # steps of the run, NE/B
normalised = sp.Symbol("ell", positive=True)  # λ_norm
data, epochs = sp.symbols("N E", positive=True)
inverse_root = sp.Symbol("z", positive=True)  # 1/√T
RECORD = AdamW(lr=1.0, weight_decay=0.1, decay="independent")
decay = normalised / sp.sqrt(T)


def steps() -> tuple[Step, ...]:
    named, weight = x.with_symbols(RECORD), sp.Symbol("w", positive=True)
    quiet = named.State(weight, sp.Integer(0), x.v_t(x.t))
    left = x.symbolic_update(named, x.clock(constant=True), quiet, sp.Integer(0)).weight
    share = 1 / (normalised * sp.sqrt(T))
    scale, exponent = sp.Symbol("k", positive=True), sp.Symbol("x_tau", real=True)
    by_run = {T: data * epochs / batch}
    return (
        Step(
            "decay per step",
            Equation(left, (1 - lam) * weight),
            "AdamW's own update without a gradient, λ independent of η: λ itself is what a step takes away",
            Identity(),
        ),
        Step(
            "decay of a run",
            Equation(normalised * sp.sqrt(batch / (data * epochs)), decay),
            "Loshchilov and Hutter's normalised decay, by the number of steps T = NE/B",
            Identity(where=by_run, lemmas=(ROOT_OF_PRODUCT,)),
        ),
        Step(
            "timescale of a run",
            Equation(1 / (lam * T), share),
            "1/λ steps over the T of the run",
            Identity(where={lam: decay}),
        ),
        Step(
            "exponent",
            Equation(exponent, -sp.Rational(1, 2)),
            "so that it is a share of the run that falls as T^(−1/2): ∂ log/∂ log T of τ over that power is 0",
            Solve(conditions=(Equation(slope(share.subs(T, scale * T) / scale**exponent, scale), 0),)),
        ),
        Step(
            "timescale in epochs",
            Equation(epochs * share.subs(by_run), sp.sqrt(batch * epochs / data) / normalised),
            "and in epochs √(BE/N)/λ_norm: neither share of the run nor epochs stay when the data grow",
            Identity(lemmas=(ROOT_OF_PRODUCT,)),
            shown=epochs * replaced(share, by_run),
        ),
        *rule("share of the run: ", {"share": lam * T}, (lam,), "the timescale as a share of the run", axis=T),
        Step(
            "time constant",
            Equation(-1 / (T * sp.log(1 - decay)), -1 / (T * log1p(-decay))),
            "exactly: the steps in which the weight falls by e, over T",
            Identity(lemmas=STABLE),
        ),
        Step(
            "long runs",
            Equation(
                (-1 / sp.log(1 - normalised * inverse_root)) * inverse_root**2,
                inverse_root / normalised - inverse_root**2 / 2,
            ),
            "which is 1/(λ_norm√T) − 1/(2T) + …, z being 1/√T",
            Series(variable=inverse_root, order=3),
        ),
        Step(
            "initial weight left",
            Equation((1 - decay) ** T, sp.exp(T * log1p(-decay))),
            "what the run leaves of the initial weight",
            Identity(lemmas=STABLE),
        ),
        Step(
            "initial weight of long runs",
            Equation(sp.log(1 - normalised * inverse_root) / inverse_root, -normalised),
            "near e^(−λ_norm√T): a longer run forgets its start, where at a fixed share of the run some of it is left",
            Limit(variable=inverse_root, to=0),
        ),
    )


def weights(point: Point) -> list[Number]:
    """The weights, from 1, of a run of AdamW itself without a gradient, at the normalised decay of batch and data."""
    count, size, repeats = int(point[T]), as_real(point[batch]), as_real(point[epochs])
    samples = count * size / repeats  # N, so that NE/B is T
    value = as_real(point[normalised]) * mpmath.sqrt(size / (samples * repeats))
    record = RECORD.substituted(beta1=mpmath.mpf(0), beta2=mpmath.mpf(0), eps=mpmath.mpf(1))
    c = record.coefficients(x.numbers, SymbolicTime(as_real(1), as_real(1), value))
    states = [record.initial(x.numbers, mpmath.mpf(1))]
    for _ in range(count):
        states.append(record.update(x.numbers, states[-1], mpmath.mpf(0), c))
    return [state.weight for state in states]


def timescale(point: Point) -> Number:
    """One over the share that a step takes away, over the number of steps."""
    run = weights(point)
    return 1 / ((1 - run[1] / run[0]) * (len(run) - 1))


def normalised_decay() -> Derivation:
    """§5: what normalised weight decay keeps, and what not."""
    return Derivation(
        name="normalised-decay",
        title="Normalised weight decay: a timescale that falls as T^(−1/2) of the run",
        statement=(
            "λ_ind = λ_norm√(B/(NE)) is λ_norm/√T with T = NE/B steps. The timescale is then √T/λ_norm steps, "
            "1/(λ_norm√T) of the run and √(BE/N)/λ_norm epochs. A share of the run that stays needs λ_ind ∝ 1/T."
        ),
        assumptions=Assumptions(
            (
                integer(T, 1, most=7), positive(normalised), positive(batch), positive(data), positive(epochs),
                positive(lam),
            ),
            (sp.Lt(normalised, sp.sqrt(T)),),
        ),
        steps=steps(),
        results={
            "run_timescale": "timescale of a run", "run_time_constant": "time constant",
            "initial_weight_left": "initial weight left",
        },
        brute_force={
            "run_timescale": timescale,
            "run_time_constant": lambda point: -1 / mpmath.log(weights(point)[-1]),
            "initial_weight_left": lambda point: weights(point)[-1],
        },
        source="Loshchilov & Hutter, arXiv 1711.05101 (normalised weight decay); THEORY.md §5",
        arguments={normalised: "normalised_decay", T: "steps"},
        corrects=(
            "that normalised decay is neutral to the length of the run: as a timescale it is a share of the run that "
            "falls as T^(−1/2)"
        ),
    )  # fmt: skip


DERIVATIONS = {"normalised-decay": normalised_decay}
