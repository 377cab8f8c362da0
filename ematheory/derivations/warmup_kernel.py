"""What a warm-up does to AdamW's average over a run, whatever schedule follows it (E5)."""

from __future__ import annotations

from typing import Any

import mpmath
import sympy as sp

from ..schedules import Linear, Schedule
from . import symbols as sym
from .assumptions import Assumptions, between, positive
from .cases import settled
from .checks import Identity
from .derivation import Derivation, Step
from .equations import Equation, Expression
from .evaluation import Number, Point, as_real
from .schedule_kernels import Piece, tau, x

warmup, mean = sp.symbols("x_w m", positive=True)  # the warm-up's share of the run, and S₀(0)
shape_after = sp.Function("s_0", positive=True)


class IntegralAfter(sp.Function):  # type: ignore[misc]
    """S₀, known by S₀' = −s₀, S₀(1) = 0 and S₀(0) = m."""

    @classmethod
    def eval(cls, share: Expression) -> Expression | None:
        return sp.Integer(0) if share == 1 else mean if share == 0 else None

    def fdiff(self, argindex: int = 1) -> Expression:
        return -shape_after(self.args[0])


class AnyShape(Schedule):
    """A schedule of any shape, for what the warm-up alone does."""

    def bare_shape(self, xp: Any, x: Any) -> Any:
        return shape_after(x)

    def bare_integral(self, xp: Any, x: Any) -> Any:
        return IntegralAfter(x)


def warmup_pieces() -> tuple[Piece, ...]:
    schedule, before = AnyShape().substituted(warmup=warmup), sp.Lt(x, warmup)
    shape, integral = schedule.at(x, sym.xp), schedule.integral(x, sym.xp)
    ends = ((sp.Integer(0), warmup, before), (warmup, sp.Integer(1), sp.Not(before)))
    return tuple(Piece(a, b, settled(shape, at), settled(integral, at), at) for a, b, at in ends)


def warmed_up(point: Point) -> Number:
    """e^{−S(0)/τ} by quadrature of a linear shape with the mean m, behind its warm-up."""
    share, level = as_real(point[warmup]), as_real(point[mean])
    schedule = Linear().substituted(final=2 * level - 1, warmup=share)
    area = mpmath.quad(lambda s: schedule.at(s, sym.numbers), [mpmath.mpf(0), share, mpmath.mpf(1)])
    return mpmath.exp(-area / as_real(point[tau]))


def kernel_warmup() -> Derivation:
    """E5 behind a warm-up: S(0) = x_w/2 + (1 − x_w) S₀(0) for every shape."""
    pieces = warmup_pieces()
    whole = pieces[0].integral.subs(x, 0)
    area = warmup / 2 + (1 - warmup) * mean
    return Derivation(
        name="kernel-warmup",
        title="AdamW's average over a run with a warm-up before any schedule",
        statement=(
            "A linear warm-up over the first share x_w, then the shape s₀ over what follows: the mean multiplier is "
            "x_w/2 + (1 − x_w) S₀(0), and the share of the initial weight e^{−S(0)/τ}."
        ),
        assumptions=Assumptions((between(warmup, 0, 1), between(mean, 0, 1), between(x, 0, 1), positive(tau))),
        steps=(
            *(
                Step(
                    "slope" + piece.name,
                    Equation(sp.Derivative(piece.integral, x), -piece.shape),
                    "S' = −s, where S₀' = −s₀; and S(1) = 0 where S₀(1) is",
                    Identity(),
                )
                for piece in pieces
            ),
            Step(
                "join",
                Equation(pieces[0].integral.subs(x, warmup), pieces[1].integral.subs(x, warmup)),
                "S is continuous where the warm-up ends",
                Identity(),
                shown=sp.Subs(pieces[0].integral, x, warmup),
            ),
            Step(
                "mean multiplier",
                Equation(whole, area),
                "S(0): the warm-up has the mean 1/2; it is “subtract x_w/2” only for a shape that is 1 meanwhile",
                Identity(),
                shown=sp.Subs(pieces[0].integral, x, 0),
            ),
            Step(
                "initial weight left",
                Equation(sp.exp(-whole / tau), sp.exp(-area / tau)),
                "and e^{−S(0)/τ} is left of the initial weight",
                Identity(),
                shown=sp.exp(-sp.Subs(pieces[0].integral, x, 0) / tau),
            ),
        ),
        results={"initial_weight_left": "initial weight left"},
        brute_force={"initial_weight_left": warmed_up},
        source="E5",
        arguments={warmup: "warmup", mean: "mean_multiplier", tau: "tau"},
    )


DERIVATIONS = {"kernel-warmup": kernel_warmup}
