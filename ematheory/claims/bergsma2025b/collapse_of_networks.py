"""C42 on networks: whether loss curves over their last loss collapse across widths at one TPP, shape and τ_run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...optimizers import AdamW
from ...schedules import Linear
from ...typing import FloatArray
from ..devices import chosen_device
from ..evidence import Below, Curve, Evidence, Figure, Sampled
from ..seeds import chosen_seeds
from ..valleys import bootstrapped

# A character GPT of one block; its rate at the base width, and the share of a run that its weights remember.
BASE, HEADS, CONTEXT, BATCH = 16, 2, 16, 16
LR, BETAS, SCHEDULE = 0.02, (0.9, 0.98), Linear(warmup=0.1)
TOKENS_PER_PARAMETER, RUN_FRACTION = 20.0, 0.3
WIDTHS = {"quick": (16, 24), "full": (16, 24, 32)}
SEEDS = {"quick": 16, "full": 32}
FIRST_SEED = 4200
DTYPE, EVALUATED = "float32", 512  # windows of the test text
PLACES = (0.25, 0.5, 0.75, 1.0)
# Of how far the base's curve falls between the first place and the last, what would be seen as another curve: the share
# that is asked for on the model. And τ_run of the control.
RESOLUTION, OTHER_RUN_FRACTION = 1 / 7, RUN_FRACTION / 4


class Setting(NamedTuple):
    """A width and τ_run; tokens are in proportion to all trained parameters, in a single pass."""

    width: int
    run_fraction: float = RUN_FRACTION

    def losses(self, tier: str) -> FloatArray:
        """The test loss at the places, shape (seeds, places); muP's rates, and λ that keeps τ_run in every weight."""
        from ...training import Group, tasks, train
        from ...training.determinism import TRAINED_DTYPES

        def made(tokens: int) -> tasks.CharacterGPT:
            return tasks.char_gpt(
                self.width, depth=1, context=CONTEXT, heads=HEADS, parametrization="mup", base_width=BASE,
                train_tokens=tokens,
            )  # fmt: skip

        network = made(2 * CONTEXT).network(0, TRAINED_DTYPES[DTYPE])
        steps = self.steps(sum(parameter.numel() for parameter in network.parameters()))
        multiples = network.lr_multipliers()
        hidden = [name for name, multiple in multiples.items() if multiple != 1]
        groups = [Group(hidden, weight_decay=self.width / BASE)] if hidden else []
        optimizer = AdamW(lr=LR, weight_decay=1 / (LR * self.run_fraction * steps), betas=BETAS)
        run = train(
            made(steps * BATCH * CONTEXT + 1), optimizer, epochs=1, batch_size=BATCH, schedule=SCHEDULE,
            seeds=chosen_seeds(FIRST_SEED, SEEDS[tier]), dtype=DTYPE, groups=groups, evaluate=EVALUATED,
            record=[round(place * steps) for place in PLACES], observables="test_loss", ensemble=32,
            device=chosen_device(),
        )  # fmt: skip
        return np.asarray(run.test_loss.transpose("seed", "step"))

    @staticmethod
    def steps(parameters: int) -> int:
        return round(TOKENS_PER_PARAMETER * parameters / (BATCH * CONTEXT))


def judged(widths: tuple[int, ...], samples: FloatArray) -> Evidence:
    """From losses of shape (seeds, settings, places): those of the widths, the base's first, and the control's.

    Each curve over its last loss less the base's, as a share of how far the base's falls from the first place; and how
    far wider networks are from the base, root mean square over the places, less how far the base with another τ_run is.
    """

    def estimate(mean: FloatArray) -> FloatArray:
        curves = mean / mean[:, -1:]
        apart = ((curves[1:] - curves[0]) / (curves[0, 0] - 1.0))[:, :-1]
        distance = np.sqrt((apart**2).mean(axis=1))
        return np.concatenate([apart[:-1].ravel(), distance[:-1] - distance[-1]])

    found, errors = bootstrapped(samples, estimate)
    n, wider = len(samples), len(widths) - 1
    cut = len(found) - wider
    findings = (
        Sampled("normalised loss less the base's, share of the base's fall", found[:cut], 0.0, errors[:cut], n,
                RESOLUTION, errors_by="bootstrap"),
        Below("distance of wider networks less that of another τ_run", found[cut:], errors[cut:], 0.0, n, "bootstrap"),
    )  # fmt: skip
    return Evidence(findings, tuple(chosen_seeds(FIRST_SEED, n)), (collapse(widths, samples),))


def collapse(widths: tuple[int, ...], samples: FloatArray) -> Figure:
    """Each curve, predicted to be the base's; errors are those of its difference from the base's, by the bootstrap."""

    def normalised(mean: FloatArray) -> FloatArray:
        return mean / mean[:, -1:]

    over = normalised(samples.mean(axis=0))
    _, errors = bootstrapped(samples, lambda mean: normalised(mean)[1:] - normalised(mean)[0])
    labels = [*(f"width {width}" for width in widths[1:]), f"width {BASE}, τ_run = {OTHER_RUN_FRACTION:g}"]
    rows = zip(labels, over[1:], errors, strict=True)
    curves = tuple(Curve(label, PLACES, over[0], row, of_it) for label, row, of_it in rows)
    title = f"Losses of character GPTs at one TPP, {len(samples)} seeds"
    return Figure(title, "share of the run", "test loss over the last", curves)


def trained(tier: str) -> Evidence:
    """Curves of wider networks against the narrowest one's, and its own at another τ_run as a control."""
    widths = WIDTHS[tier]
    settings = [*(Setting(width) for width in widths), Setting(BASE, OTHER_RUN_FRACTION)]
    return judged(widths, np.stack([setting.losses(tier) for setting in settings], axis=1))
