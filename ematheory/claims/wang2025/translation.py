"""C26: weight-decay conventions translate into each other; the rows of torch.optim."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...conventions import PAPER
from ...optimizers import SGD, Adam, AdamW, Optimizer
from ...schedules import Cosine, Schedule
from ...translation import translate
from ..claim import Claim, Level
from ..evidence import Curve, Evidence, Exact, Fails, Figure, largest
from ..proof import proof
from ..seeds import chosen_seed

LR, INDEPENDENT, SEED = 1e-2, 1e-3, 0
SCHEDULE: Schedule = Cosine(final=0.1, warmup=0.1)
STEPS = {"smoke": 100, "quick": 1000, "full": 10_000}
SETTINGS = {"smoke": 20, "quick": 200, "full": 2000}
RECORDS: dict[str, Optimizer] = {
    "AdamW": AdamW(lr=LR, weight_decay=0.1),
    "Adam with L2": Adam(lr=LR, weight_decay=0.1),
    "SGD with L2": SGD(lr=LR, weight_decay=0.1),
    "SGD with L2 and momentum": SGD(lr=LR, momentum=0.9, weight_decay=0.1),
    "SGD, Nesterov": SGD(lr=LR, momentum=0.9, weight_decay=0.1, nesterov=True),
}
UNIT = 2.0**-53


def numeric(tier: str) -> Evidence:
    """Independent decay and torch's with λ translated, both run in 60 digits; untranslated they part."""
    from ...derivations.evaluation import DIGITS

    steps = STEPS["smoke"]
    generator = np.random.default_rng(chosen_seed(SEED))
    settings = [(10.0 ** generator.uniform(-5, -1), 10.0 ** generator.uniform(-5, -2)) for _ in range(SETTINGS[tier])]
    worst = largest(apart(lr, decay, translated=True, steps=steps) for lr, decay in settings)
    nearest = -largest(-apart(lr, decay, translated=False, steps=steps) for lr, decay in settings)
    # λ_ind/η and η s_k are float64s, each rounded once, so every α_k is off by 2⁻⁵² at most; both runs may be.
    bound = 4 * steps * UNIT
    reason = f"λ and η_k round once each (2⁻⁵³); the rest runs in {DIGITS} digits"
    return Evidence(
        (
            Exact("independent decay against per-LR decay with λ_ind/η", worst, bound, len(settings), reason),
            Fails("the same number under both conventions", nearest, bound, len(settings), "ηλ_ind instead of λ_ind"),
        ),
        seeds=(chosen_seed(SEED), chosen_seed(SEED + 1)),
    )


def apart(lr: float, independent: float, translated: bool, steps: int) -> float:
    """max_t |w − w'| / max|w| of the two conventions on the same gradients, which follow the weight."""
    weight_decay = translate(independent, "torch.optim.AdamW", source=PAPER.framework, lr=lr).weight_decay
    theirs = AdamW(lr=lr, weight_decay=weight_decay if translated else independent)
    ours = AdamW(lr=lr, weight_decay=independent, decay="independent")
    first, second = (trajectory(record, steps) for record in (ours, theirs))
    return largest(abs(x - y) for x, y in zip(first, second, strict=True)) / largest(map(abs, first))


def trajectory(record: AdamW, steps: int) -> list[Any]:
    from ...derivations.symbols import run

    multipliers = SCHEDULE.multipliers(steps).tolist()
    noise = np.random.default_rng(chosen_seed(SEED + 1)).normal(size=steps).tolist()
    states = run(
        record, 1.0, steps, lambda k, state: state.weight + noise[k - 1], lambda k: record.lr * multipliers[k - 1],
        lambda k: record.weight_decay, lambda k: multipliers[k - 1],
    )  # fmt: skip
    return [state.weight for state in states]


def trained(tier: str) -> Evidence:
    """Our records step by step against torch.optim, and the paper's decay against torch's with λ translated."""
    from ...training import crosschecks

    seed = chosen_seed(SEED)
    run: dict[str, Any] = {"steps": STEPS[tier], "schedule": SCHEDULE, "seed": seed}
    rows = {name: crosschecks.same_update(record, **run) for name, record in RECORDS.items()}
    translated = crosschecks.translated_decay(INDEPENDENT, LR, **run)
    untranslated = crosschecks.translated_decay(INDEPENDENT, LR, **run, translated=False)
    return Evidence(
        findings=(
            *(equal(found, f"torch.optim: {name}") for name, found in rows.items()),
            equal(translated, "independent decay (1711.05101) on torch.optim.AdamW with λ/η"),
            Fails(
                "the paper's number given to torch as it stands", untranslated.residual, rounding(untranslated),
                untranslated.steps * untranslated.coordinates, "the decay per step would be η times the paper's",
            ),
        ),
        seeds=(seed,),
        figures=(residual_figure(translated),),
    )  # fmt: skip


def equal(found: Any, what: str) -> Exact:
    n = found.steps * found.coordinates
    return Exact(
        what, found.residual, rounding(found), n, "20 roundings a step in each of two programs, all of one sign"
    )


def rounding(found: Any) -> float:
    """Two programs with at most 20 roundings a step each, which add up at worst; relative to max|w|."""
    return 40.0 * float(found.steps) * UNIT


def residual_figure(found: Any) -> Figure:
    order = np.argsort(found.expected)
    curve = Curve("last weights", np.arange(1, order.size + 1), found.expected[order], found.weights[order])
    title = "Independent decay (line) and torch.optim.AdamW with λ/η (marks)"
    return Figure(title, "weights in order of size", "value", (curve,))


CLAIM = Claim(
    id="C26",
    paper="wang2025",
    statement=(
        "Weight-decay conventions translate into each other: independent decay λ_ind (shrink 1 − s_tλ_ind) is "
        "torch.optim.AdamW's λ = λ_ind/η at every step of every schedule; torch's Adam and SGD add λw to the gradient."
    ),
    source="Loshchilov & Hutter, arXiv 1711.05101, algorithm 2; torch.optim's sources; THEORY.md §10, the torch rows",
    assumptions=("one learning-rate schedule for both", "decay acts on the old weight", "ε outside the corrected root"),
    kinds=("exact",),
    levels={
        "symbolic": Level(proof("conventions")),
        "numeric": Level(numeric),
        "trained": Level(trained, needs=("torch",)),
    },
)
