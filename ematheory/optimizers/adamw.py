"""AdamW (Loshchilov & Hutter, arXiv 1711.05101): Adam's step with the decay applied to the weight itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import NON_NEGATIVE, POSITIVE, as_field, check_choice, check_flag
from ..typing import Field, Value
from .adaptive import DEFAULT_BETAS, resolve_betas
from .decay import CAUTIOUS, NUMBERS, PER_LR, DecayingOptimizer
from .optimizer import Optimizer, Time

# Where ε stands and when decay acts; torch's way first.
EPS_PLACEMENTS = ("outside", "inside", "uncorrected")
DECAY_ORDERS = ("before", "after")


class AdamWState(NamedTuple):
    """The weight and the two running moments of the gradient."""

    weight: Value
    first_moment: Value
    second_moment: Value


class AdamWCoefficients(NamedTuple):
    """What one step needs of time: η_k/(1−β₁^k), the decay per step, the betas, 1/(1−β₂^k) and ε_k."""

    step_size: Value
    decay: Value
    beta1: Value
    one_minus_beta1: Value
    beta2: Value
    one_minus_beta2: Value
    inverse_correction2: Value
    eps: Value


@dataclass(frozen=True, eq=False, repr=False)
class AdamW(DecayingOptimizer):
    """AdamW as torch.optim.AdamW: w ← (1 − α_k) w − η_k u_k, u = m̂/(√v̂ + ε).

    Parameters
    ----------
    lr : the peak learning rate η, > 0; a sequence is a sweep axis.
    weight_decay : λ ≥ 0. What multiplies the old weight each step is 1 − α_k with, by `decay`:

        ``"per_lr"`` (PyTorch): α_k = η_k λ_k;
        ``"independent"`` (arXiv 1711.05101): α_k = s_k λ_k, so that λ here is ηλ there;
        ``"corrected"`` (arXiv 2506.02285; timm): α_k = η_k² λ_k/η;
        ``"cautious"`` (arXiv 2510.12402): α_k = η_k λ_k where u·w ≥ 0, else 0.
    betas : (β₁, β₂), each in [0, 1); or give `beta1` and `beta2`, which may be sweep axes.
    eps : ε ≥ 0, added where `eps_placement` says.
    bias_correction : whether m̂ = m/(1−β₁^k) and v̂ = v/(1−β₂^k); False takes m and v for them.
    eps_placement : ``"outside"`` the root, √v̂ + ε (PyTorch); ``"inside"``, √(v̂ + ε) (optax's `eps_root`);
        ``"uncorrected"``, outside the root of v before its correction (Keras, TensorFlow: "epsilon hat"), which is
        ε/√(1−β₂^k) outside the corrected one.
    decay_order : ``"before"`` the step, on the old weight: (1 − α_k) w − η_k u_k (PyTorch); ``"after"`` it, on the new
        one: (1 − α_k)(w − η_k u_k).

    Cautious decay, ε inside and decay after the step each have an update function of their own, and one at a time.

    Raises
    ------
    ValueError : a value outside its range, an empty sweep axis, an unknown word, two of those three together.
    TypeError : a value that is not a number, `bias_correction` that is neither True nor False.

    Example
    -------
    >>> AdamW(lr=1e-3, weight_decay=[0.01, 0.1]).weight_decay.dims
    ('weight_decay',)
    """

    lr: Field
    weight_decay: Field = 1e-2
    betas: Any = DEFAULT_BETAS
    eps: Field = 1e-8
    decay: str = PER_LR
    beta1: Any = None
    beta2: Any = None
    bias_correction: bool = True
    eps_placement: str = "outside"
    decay_order: str = "before"

    State = AdamWState
    repeated = ("betas",)
    implied = {"bias_correction": True, "eps_placement": "outside", "decay_order": "before"}
    decays = (*NUMBERS, CAUTIOUS)
    Coefficients = AdamWCoefficients

    def __post_init__(self) -> None:
        self.check_decay()
        check_choice("eps_placement", self.eps_placement, EPS_PLACEMENTS)
        check_choice("decay_order", self.decay_order, DECAY_ORDERS)
        check_flag("bias_correction", self.bias_correction)
        self.check_one_at_a_time()
        resolve_betas(self)
        object.__setattr__(self, "lr", as_field("lr", self.lr, POSITIVE))
        object.__setattr__(self, "weight_decay", as_field("weight_decay", self.weight_decay, NON_NEGATIVE))
        object.__setattr__(self, "eps", as_field("eps", self.eps, NON_NEGATIVE))

    def check_one_at_a_time(self) -> None:
        """Raise `ValueError` for two words at once that have no update function together."""
        if len(self.own_words) > 1:
            raise ValueError(
                f"AdamW has no update with {' and '.join(self.own_words.values())}: each of cautious decay, ε inside "
                "the root and decay after the step goes with the defaults of the others"
            )

    @property
    def own_words(self) -> Mapping[str, str]:
        """Those of the record's words that have an update function of their own: its suffix, and the word as given."""
        chosen = {
            "cautious": (self.decays_where_aligned, "decay='cautious'"),
            "inside": (self.eps_is_inside, "eps_placement='inside'"),
            "after": (self.decays_after_step, "decay_order='after'"),
        }
        return {suffix: word for suffix, (is_so, word) in chosen.items() if is_so}

    def coefficients(self, xp: Any, time: Time) -> AdamWCoefficients:
        correction1, correction2 = self.corrections(time)
        return AdamWCoefficients(
            step_size=time.lr / correction1,
            decay=self.decay_per_step(time),
            beta1=self.beta1,
            one_minus_beta1=1 - self.beta1,
            beta2=self.beta2,
            one_minus_beta2=1 - self.beta2,
            inverse_correction2=1 / correction2 if self.bias_correction else 1,
            eps=self.eps / xp.sqrt(correction2) if self.eps_placement == "uncorrected" else self.eps,
        )

    def corrections(self, time: Time) -> tuple[Value, Value]:
        """1 − β₁^k and 1 − β₂^k, or 1 for both without bias correction."""
        if self.bias_correction:
            return 1 - time.power(self.beta1), 1 - time.power(self.beta2)
        return 1, 1

    def update(self, xp: Any, state: AdamWState, gradient: Value, c: AdamWCoefficients) -> AdamWState:
        first = c.beta1 * state.first_moment + c.one_minus_beta1 * gradient
        second = c.beta2 * state.second_moment + c.one_minus_beta2 * (gradient * gradient)
        step = (c.step_size * first) / self.root(xp, second * c.inverse_correction2, c.eps)
        if self.decays_after_step:
            moved = state.weight - step
            return AdamWState(moved - c.decay * moved, first, second)
        return AdamWState(self.kept(xp, state.weight, c.decay * state.weight, step) - step, first, second)

    def root(self, xp: Any, corrected: Value, eps: Value) -> Value:
        """What the step is divided by, with ε where the record puts it."""
        return xp.sqrt(corrected + eps) if self.eps_is_inside else xp.sqrt(corrected) + eps

    @property
    def eps_is_inside(self) -> bool:
        return self.eps_placement == "inside"

    @property
    def decays_after_step(self) -> bool:
        return self.decay_order == "after"

    @property
    def variant(self) -> str:
        return "_".join(["adamw", *self.own_words])

    @classmethod
    def variants(cls) -> Mapping[str, Optimizer]:
        words: tuple[dict[str, Any], ...] = (
            {},
            {"decay": CAUTIOUS},
            {"eps_placement": "inside"},
            {"decay_order": "after"},
        )
        records = (cls(lr=1.0, **chosen) for chosen in words)
        return {record.variant: record for record in records}
