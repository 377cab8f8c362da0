"""What a torch optimizer's weight_decay does, told from its class and its parameter group; torch is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...conventions import (
    ADAMP,
    APEX,
    BITSANDBYTES,
    COMPOSER,
    CONVENTIONS,
    CORRECTED,
    DEEPSPEED,
    INDEPENDENT,
    L2,
    NO_LAMBDA,
    PER_LR,
    SGDP,
    SQUARED,
    TIMM,
    TIMM_CORRECTED,
    TORCH_ADAM,
    TORCH_ADAMW,
    TORCH_MUON,
    TORCH_SGD,
    TRANSFORMERS,
    Convention,
    convention,
)  # fmt: skip
from ...optimizers import SGD as SGDRecord
from ...optimizers import Adam, AdamW, Lion, Optimizer, RMSprop, SignSGD
from ...optimizers.optimizer import SymbolicTime
from ...records import check_choice

Group = Mapping[str, Any]

# What `decay=` may say, besides a framework of conventions.py.
DECAYS = {"per_lr": PER_LR, "l2": L2, "independent": INDEPENDENT, "corrected": CORRECTED}
ADAM, SGD, LION, OTHER = "adam", "sgd", "lion", "other"
# The records whose updates have predictions. SignSGD with momentum takes Lion's sign at β₁ = β₂.
UPDATES = {AdamW: ADAM, Adam: ADAM, SGDRecord: SGD, Lion: LION, SignSGD: LION}
TIMM_LION = replace(TIMM, framework="timm.Lion", update=LION, epsilon=None, source="timm/optim/lion.py", checked="run")
LION_PYTORCH = replace(
    TIMM_LION, framework="lion_pytorch.Lion", source="lion_pytorch/lion_pytorch.py: p.mul_(1 - lr * wd)", checked="read"
)


def of_torch(name: str, like: Convention, update: str = OTHER) -> Convention:
    return replace(like, framework=f"torch.optim.{name}", update=update, source=f"torch.optim.{name}'s source")


# By the first name of the module and the class: what each optimizer that a loop may hold means.
CLASSES: dict[tuple[str, str], Convention] = {
    ("torch", "AdamW"): TORCH_ADAMW,
    ("torch", "Adam"): TORCH_ADAM,
    ("torch", "SGD"): TORCH_SGD,
    ("torch", "Muon"): TORCH_MUON,
    ("torch", "Adafactor"): of_torch("Adafactor", TORCH_ADAMW),
    **{
        ("torch", name): of_torch(name, TORCH_ADAM)
        for name in ("NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad", "Adadelta", "ASGD")
    },
    ("composer", "DecoupledAdamW"): COMPOSER,
    ("composer", "DecoupledSGDW"): replace(COMPOSER, framework="composer.DecoupledSGDW", update=OTHER),
    ("timm", "AdamWLegacy"): TIMM,
    ("timm", "Lion"): TIMM_LION,
    ("lion_pytorch", "Lion"): LION_PYTORCH,
    ("transformers", "AdamW"): TRANSFORMERS,
    ("apex", "FusedAdam"): APEX,
    ("deepspeed", "FusedAdam"): APEX,
    ("deepspeed", "DeepSpeedCPUAdam"): DEEPSPEED,
    ("bitsandbytes", "AdamW"): BITSANDBYTES,
    ("bitsandbytes", "AdamW8bit"): BITSANDBYTES,
    ("bitsandbytes", "PagedAdamW"): BITSANDBYTES,
    ("bitsandbytes", "PagedAdamW8bit"): BITSANDBYTES,
    ("adamp", "AdamP"): ADAMP,
    ("adamp", "SGDP"): SGDP,
}


@dataclass(frozen=True)
class Meaning:
    """What one parameter group's weight_decay means.

    convention : what multiplies λ; None where the optimizer is not known and nobody has said.
    update : ``"adam"``, ``"sgd"`` and ``"lion"`` have predictions of norm and rotation, ``"other"`` has none.
    """

    convention: Convention | None
    update: str

    @property
    def adds_to_gradient(self) -> bool:
        """Whether decay is L2."""
        return self.convention is not None and self.convention.multiplies == L2

    @property
    def multiplies_weight(self) -> bool:
        """Whether each step takes a share α_k of every weight."""
        return self.convention is not None and self.convention.multiplies not in NO_LAMBDA

    def decay_per_step(self, lr: float, weight_decay: float, peak: float) -> float:
        """α_k at the rate η_k = `lr` of this step, `peak` the largest; NaN where decay is no share of the weight.

        >>> Meaning(COMPOSER, ADAM).decay_per_step(lr=5e-4, weight_decay=1e-4, peak=1e-3)
        5e-05
        """
        if weight_decay == 0:
            return 0.0
        if self.convention is None or not self.multiplies_weight:
            return float("nan")
        if self.convention.multiplies == PER_LR:
            return float(self.convention.decay_per_step(weight_decay, lr))
        return float(self.convention.decay_per_step(weight_decay, peak, lr / peak if peak else 0.0))

    def words(self) -> str:
        """What multiplies λ, for people and for the record."""
        if self.convention is None:
            return "unknown"
        return {L2: "l2", PER_LR: "per_lr", INDEPENDENT: "independent", CORRECTED: "corrected", SQUARED: "lr²"}.get(
            self.convention.multiplies, self.convention.multiplies
        )


def chosen(decay: str | None) -> Convention | None:
    """The convention that the user names. Raises `ValueError` listing the words for one that is not known."""
    if decay is None:
        return None
    if decay in DECAYS:
        like = TORCH_ADAM if decay == "l2" else TORCH_ADAMW
        return replace(like, framework=f"decay={decay!r}", multiplies=DECAYS[decay], update=OTHER)
    if decay in CONVENTIONS or any(decay == name.split(".")[0] for name in CONVENTIONS):
        return convention(decay)
    check_choice("decay", decay, DECAYS, CONVENTIONS)
    return None


def meaning(optimizer: Any, group: Group, decay: str | None = None) -> Meaning:
    """What the group's weight_decay means: as `decay` says, else as its own mark and its class do.

    >>> class AdamW: __module__ = "torch.optim.adamw"
    >>> meaning(AdamW(), {"decoupled_weight_decay": True}).words()
    'per_lr'
    """
    by_class = marked(known(optimizer), optimizer, group)
    told = chosen(decay)
    found = told or by_class
    if found is None:
        return Meaning(None, OTHER)
    like = by_class or found
    update = like.update if like.update in (ADAM, SGD, LION) and plain_update(group) else OTHER
    return Meaning(found, update)


def known(optimizer: Any) -> Convention | None:
    """By the record of a `RecordOptimizer`, else by the class or the nearest one that it extends."""
    if isinstance(record := getattr(optimizer, "record", None), Optimizer):
        return of_record(record)
    keys = ((kind.__module__.split(".")[0], kind.__name__) for kind in type(optimizer).__mro__)
    return next((CLASSES[key] for key in keys if key in CLASSES), None)


def of_record(record: Optimizer) -> Convention | None:
    """What a record's own `decay_per_step` makes of λ; None where no one number says it, as for cautious decay.

    >>> from ematheory import AdamW, Lion
    >>> [of_record(each).multiplies == PER_LR for each in (Lion(lr=0.1), AdamW(lr=0.1, decay="independent"))]
    [True, False]
    """
    lr, decay, multiplier = 0.5, 0.25, 0.125
    share = record.decay_per_step(SymbolicTime(1, lr, decay, multiplier))
    shares = {lr * decay: PER_LR, multiplier * decay: INDEPENDENT, lr * multiplier * decay: CORRECTED}
    if getattr(record, "decay", "") == "l2" or isinstance(record, Adam | RMSprop):
        multiplies = L2
    elif share in shares and not record.decays_where_aligned:
        multiplies = shares[share]
    else:
        return None
    like = TORCH_ADAM if multiplies == L2 else TORCH_ADAMW
    if isinstance(record, AdamW):
        like = replace(like, order=record.decay_order, epsilon=record.eps_placement)
    name = f"ematheory.{type(record).__name__}"
    return replace(like, framework=name, multiplies=multiplies, update=update_of(record), source=name)


def update_of(record: Optimizer) -> str:
    """The family of a record's update, where it is the one that predictions are about."""
    plain = not getattr(record, "own_words", None) and getattr(record, "bias_correction", True)
    return UPDATES.get(type(record), OTHER) if plain else OTHER


def marked(found: Convention | None, optimizer: Any, group: Group) -> Convention | None:
    """What the optimizer or its group says of itself beyond its class."""
    if found is None:
        return None
    if found is TIMM and group.get("corrected_weight_decay"):
        return TIMM_CORRECTED
    if found is TIMM_LION and group.get("corrected_weight_decay"):
        return replace(found, multiplies=CORRECTED)
    if found is LION_PYTORCH and getattr(optimizer, "decoupled_wd", False):  # λ over the rate that it was made with
        return replace(found, multiplies=INDEPENDENT)
    if found in (APEX, DEEPSPEED):
        return found if getattr(optimizer, "adam_w_mode", True) else replace(found, multiplies=L2, order=None)
    mark = group.get("decoupled_weight_decay")
    if isinstance(mark, bool) and mark == (found.multiplies == L2):
        return replace(found, multiplies=PER_LR if mark else L2, order="before" if mark else None)
    return found


def plain_update(group: Group) -> bool:
    """Whether the update is the one that the predictions are about: no AMSGrad, dampened momentum or caution."""
    return not any(map(group.get, ("amsgrad", "dampening", "caution")))
