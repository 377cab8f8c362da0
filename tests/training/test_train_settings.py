"""train()'s settings: groups, accumulation, clipping, dtypes, tasks of any kind, and every observable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch.nn import functional

import ematheory as em
from ematheory.optimizers import Optimizer
from ematheory.records import NON_NEGATIVE, as_field
from ematheory.results import same_result
from ematheory.training import Group
from ematheory.training.observables import OBSERVABLES, Look
from ematheory.training.optimizers import plan
from ematheory.training.run import Run
from ematheory.training.tasks import Split, Task

TASK = em.tasks.digits_mlp(width=8, depth=1)
ADAMW = em.AdamW(lr=1e-2, weight_decay=0.1)


class Bigram(torch.nn.Module):
    """Logits of the next token from this one, with an embedding."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(seed)
        self.embedding = torch.nn.Parameter(torch.randn(5, 4, generator=source, dtype=torch.float64).to(dtype))
        self.head = torch.nn.Parameter(torch.randn(5, 4, generator=source, dtype=torch.float64).to(dtype))

    def forward(self, tokens: Any) -> Any:
        return functional.embedding(tokens, self.embedding) @ self.head.T


@dataclass(frozen=True, eq=False, repr=False)
class Tokens(Task):
    """Windows of a periodic text; `folder` keeps it in files that are mapped."""

    folder: str = ""
    multiple: float = 1.0

    def data(self) -> Split:
        text = (np.arange(641) ** 2 % 5).astype(np.uint16)
        inputs, targets = text[:640].reshape(80, 8), text[1:641].reshape(80, 8)
        if self.folder:
            inputs, targets = (mapped(self.folder, name, part) for name, part in (("x", inputs), ("y", targets)))
        return Split(inputs[:64], targets[:64], inputs[64:], targets[64:])

    def network(self, seed: int, dtype: torch.dtype) -> Bigram:
        return Bigram(seed, dtype)

    def lr_multipliers(self, network: Any, adaptive: bool = True) -> dict[str, float]:
        return {"embedding": self.multiple if adaptive else 2 * self.multiple}


def mapped(folder: str, name: str, values: Any) -> Any:
    np.save(f"{folder}/{name}.npy", values)
    return np.load(f"{folder}/{name}.npy", mmap_mode="r")


@dataclass(frozen=True, eq=False, repr=False)
class Line(Task):
    """Regression on one number, whose targets are no classes."""

    scores_accuracy = False

    def data(self) -> Split:
        x = np.linspace(-1, 1, 100)[:, None]
        return Split(x[:80], 3 * x[:80], x[80:], 3 * x[80:])

    def network(self, seed: int, dtype: torch.dtype) -> torch.nn.Module:
        layer = torch.nn.Linear(1, 1, dtype=dtype)
        with torch.no_grad():
            layer.weight.fill_(0.5)
            layer.bias.zero_()
        return layer

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (outputs - targets).square().mean()


def test_tokens_train_and_memory_maps_give_the_same_bits(tmp_path):
    run = em.train(Tokens(), em.AdamW(lr=0.1), epochs=20, batch_size=16)
    assert run.train_loss[0, -1] < 0.5 * run.train_loss[0, 0]
    assert 0 <= run.test_accuracy.min() < run.test_accuracy.max() <= 1
    again = em.train(Tokens(str(tmp_path)), em.AdamW(lr=0.1), epochs=20, batch_size=16)
    assert same_result(run.drop_attrs(), again.drop_attrs())


def test_a_task_without_classes_has_no_accuracy():
    run = em.train(Line(), em.SGD(lr=0.1), epochs=20, batch_size=16)
    assert "test_accuracy" not in run
    assert run.train_loss[0, -1] < 0.1 * run.train_loss[0, 0]
    with pytest.raises(ValueError, match="targets of Line are no classes"):
        em.train(Line(), em.SGD(lr=0.1), epochs=1, observables="test_accuracy")


def test_scores_are_the_same_in_any_chunks(monkeypatch):
    whole = em.train(TASK, ADAMW, epochs=1)
    monkeypatch.setattr("ematheory.training.examples.EVALUATED", 64 * 100)
    cut = em.train(TASK, ADAMW, epochs=1)
    for name in ("train_loss", "test_loss", "test_accuracy"):
        np.testing.assert_allclose(cut[name], whole[name], rtol=1e-13)


def test_evaluate_scores_the_first_examples():
    run = em.train(TASK, ADAMW, epochs=1, evaluate=10, record=[0])
    data, network = TASK.data(), TASK.network(0, torch.float64)
    logits = network(torch.tensor(data.train_inputs[:10])).detach()
    expected = float(TASK.loss(logits, torch.tensor(data.train_targets[:10])))
    assert float(run.train_loss[0, 0]) == pytest.approx(expected, rel=1e-14)


def test_accumulated_gradients_are_those_of_the_full_batch():
    whole = em.train(TASK, ADAMW, epochs=1)
    cut = em.train(TASK, ADAMW, epochs=1, accumulate=4)
    assert not cut.drop_attrs().equals(whole.drop_attrs())
    np.testing.assert_allclose(cut.train_loss, whole.train_loss, rtol=1e-11)
    np.testing.assert_allclose(cut.weight_norm, whole.weight_norm, rtol=1e-11)


def test_clipping_is_torchs():
    names = ("gradient_norm", "update_norm")
    run = em.train(TASK, em.SGD(lr=0.5), epochs=1, clip_norm=0.1, observables=names, record=em.every(1)).isel(seed=0)
    assert (run.gradient_norm[1:] > 0.1).any()
    np.testing.assert_allclose(
        run.update_norm[1:], 0.5 * np.minimum(run.gradient_norm, 0.1 / (1 + 1e-6 / run.gradient_norm))[1:], rtol=1e-12
    )


def test_bfloat16_weights_are_bfloat16s_and_learn():
    run = em.train(em.tasks.digits_mlp(width=32), em.AdamW(lr=1e-2), epochs=3, dtype="bfloat16")
    assert run.train_loss[0, -1] < 0.5 * run.train_loss[0, 0]
    single = Run(TASK, ADAMW, plan(ADAMW, 1), batch_size=8, dtype=torch.bfloat16)
    single.step()
    assert all(parameter.dtype == torch.bfloat16 for parameter in single.parameters)


def test_groups_train_with_their_multiples():
    """Biases without decay at twice the rate: torch's own groups by hand."""
    groups = [Group("biases.*", lr=2, weight_decay=0)]
    schedule = em.Linear()
    run = em.train(
        TASK, ADAMW, epochs=1, groups=groups, schedule=schedule, record=em.every(1),
        observables=("parameter_norm", "learning_rate", "decay_per_step", "timescale_steps", "initial_weight_left"),
    ).isel(seed=0)  # fmt: skip
    steps = int(run.step[-1])
    rate = 1e-2 * schedule.multipliers(steps)
    assert run.group.values.tolist() == ["lr × 1, weight_decay × 1", "lr × 2, weight_decay × 0"]
    np.testing.assert_allclose(run.learning_rate[1:], np.stack([rate, 2 * rate], -1), rtol=1e-15)
    np.testing.assert_allclose(run.decay_per_step[1:, 0], 0.1 * rate, rtol=1e-15)
    assert np.isinf(run.timescale_steps[1:, 1]).all()
    assert float(run.initial_weight_left[-1, 0]) == pytest.approx(np.prod(1 - 0.1 * rate), rel=1e-13)
    by_hand = Run(TASK, ADAMW, plan(ADAMW, steps, schedule), batch_size=64)
    parts = by_hand.parameters
    by_hand.optimizer = torch.optim.AdamW([{"params": parts[:2]}, {"params": parts[2:], "weight_decay": 0.0}], lr=1e-2)
    for k in range(steps):
        by_hand.set_gradients(next(by_hand.batches))
        by_hand.optimizer.param_groups[0].update(lr=rate[k], weight_decay=0.1)
        by_hand.optimizer.param_groups[1].update(lr=2 * rate[k])
        by_hand.optimizer.step()
    assert run.parameter.values.tolist() == ["weights.0", "weights.1", "biases.0", "biases.1"]
    np.testing.assert_allclose(run.parameter_norm[-1], [float(part.norm().detach()) for part in parts], rtol=1e-12)


@pytest.mark.parametrize("decay", ["per_lr", "independent", "corrected"])
def test_a_multiple_of_the_rate_changes_the_decay_as_the_convention_says(decay):
    record = em.AdamW(lr=1e-2, weight_decay=0.01, decay=decay)
    run = em.train(
        TASK, record, epochs=1, groups=[Group("biases.*", lr=4)], observables=("decay_per_step",), record=[1]
    )
    first, second = run.decay_per_step.values[0, 0]
    assert second / first == pytest.approx({"per_lr": 4, "independent": 1, "corrected": 4}[decay], rel=1e-12)


def test_the_tasks_own_multiples_of_the_rate_count():
    run = em.train(
        Tokens(multiple=0.5), ADAMW, epochs=1, batch_size=16, observables=("learning_rate", "parameter_norm"),
        groups=[Group("head", lr=3)],
    )  # fmt: skip
    assert run.learning_rate.values[0, -1].tolist() == [1e-2 * 0.5, 1e-2 * 3]
    plain = em.train(Tokens(multiple=0.5), em.SGD(lr=1e-2), epochs=1, batch_size=16, observables="learning_rate")
    assert plain.learning_rate.values[0, -1] == 1e-2


@pytest.mark.parametrize(
    "optimizer",
    [
        ADAMW, em.AdamW(lr=1e-2, weight_decay=1.0, decay="cautious"), em.SGD(lr=0.1, momentum=0.5, weight_decay=0.1),
        em.SGD(lr=0.1, weight_decay=0.1, decay="per_lr"), em.Lion(lr=1e-3, weight_decay=0.1),
        em.SignSGD(lr=1e-3), em.RMSprop(lr=1e-3), em.NAdam(lr=1e-3), em.AdEMAMix(lr=1e-3), em.AdamP(lr=1e-3),
    ],
    ids=repr,
)  # fmt: skip
def test_every_observable_of_every_optimizer(optimizer):
    run = em.train(TASK, optimizer, epochs=1, observables=OBSERVABLES, record=em.every(11)).isel(seed=0)
    assert set(run.data_vars) == set(OBSERVABLES)
    later = run.isel(step=slice(1, None))
    # No number says how much of its weights cautious decay takes.
    unknown = {"initial_weight_left", "decay_per_step"} if optimizer.decays_where_aligned else set()
    for name in set(OBSERVABLES) - {"timescale_steps"} - unknown:
        assert np.isfinite(later[name]).all(), name
    np.testing.assert_allclose(np.sqrt((run.parameter_norm**2).sum("parameter")), run.weight_norm, rtol=1e-12)
    np.testing.assert_allclose(
        np.sqrt((later.parameter_gradient_norm**2).sum("parameter")), later.gradient_norm, rtol=1e-12
    )
    np.testing.assert_allclose(
        later.effective_learning_rate * later.update_norm / later.update_ratio,
        later.learning_rate if not isinstance(optimizer, em.SGD)
        else later.learning_rate * later.update_ratio / later.update_norm,
        rtol=1e-12,
    )  # fmt: skip


@pytest.mark.parametrize("decay", ["per_lr", "cautious"])
def test_the_cosine_from_weights_is_that_from_torchs_state(decay, monkeypatch):
    record = em.AdamW(lr=1e-2, weight_decay=1.0, decay=decay)
    names, when = ("update_cosine",), em.every(5)
    if decay == "cautious":
        # The same run, with u = m̂/(√v̂ + ε) from the record's own moments.
        found = em.train(TASK, record, epochs=1, observables=names, record=when)
        monkeypatch.setattr("ematheory.training.observables.Look.update", update_of_moments)
    else:
        found = em.train(TASK, record, epochs=1, observables=names, record=when)
        monkeypatch.setattr(Run, "reads_state", False)
    other = em.train(TASK, record, epochs=1, observables=names, record=when)
    np.testing.assert_allclose(found.update_cosine[0, 1:], other.update_cosine[0, 1:], rtol=1e-9)


@pytest.mark.parametrize(
    "record",
    [
        em.AdamW(lr=0.1, weight_decay=2.0, decay_order="after"), em.AdamW(lr=0.1, weight_decay=2.0, decay="cautious"),
        em.AdamW(lr=0.1, weight_decay=20.0, decay_order="after", decay="corrected"),
    ],
    ids=repr,
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:AdamW is unstable")  # a decay per step of 2, at the peak
def test_the_update_read_from_the_weights_is_that_of_the_moments(record):
    """Decay after the step shrinks the step too, by 1 − α of a fifth here."""
    seen = []

    class Watching(Run):
        def step(self, watch=False):
            before = [parameter.detach().clone() for parameter in self.parameters]
            loss = super().step(watch)
            look = Look(self, self.step_count, before)
            seen.append((look.update(), update_of_moments(look)))
            return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ematheory.training.request.Run", Watching)
        em.train(TASK, record, epochs=1, dtype="float64", schedule=em.Linear(final=0.5), observables="train_loss")
    assert seen
    for found, expected in seen:
        assert float((found - expected.reshape(-1)).abs().max()) < 1e-9


def update_of_moments(look):
    parts = []
    for parameter in look.run.parameters:
        state = look.run.optimizer.state[parameter]
        first = state["first_moment"] / (1 - 0.9**look.step)
        parts.append(first / ((state["second_moment"] / (1 - 0.999**look.step)).sqrt() + 1e-8))
    return torch.cat(parts)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@pytest.mark.parametrize("optimizer", [em.Lion(lr=1e-3, weight_decay=0.1), em.SignSGD(lr=1e-3)], ids=repr)
def test_a_records_update_is_seen_before_it_is_rounded(dtype, optimizer):
    """The updates of these are signs, which weights in bfloat16 do not show."""
    seen = []

    class Watching(Run):
        def step(self, watch=False):
            before = [parameter.detach().clone() for parameter in self.parameters]
            loss = super().step(watch)
            if watch:
                seen.append((Look(self, self.step_count, before).update(), before, self.weights()))
            return loss

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ematheory.training.request.Run", Watching)
        found = em.train(TASK, optimizer, epochs=1, dtype=dtype, observables="update_cosine", record=em.every(5))
    assert len(seen) == found.sizes["step"] - 1
    for (update, before, after), cosine in zip(seen, found.update_cosine.values[0, 1:], strict=True):
        # (w − w')/η is off by the rounding of w, in float64 too.
        assert float((update.abs() - update.abs().round()).abs().max()) < 1e-11
        assert set(update.round().unique().tolist()) <= {-1.0, 0.0, 1.0}
        old = torch.cat([weights.reshape(-1) for weights in before]).double()
        assert cosine == pytest.approx(float(old @ update.round() / (old.norm() * update.norm())), rel=1e-10)
        from_weights = ((old - after) / 1e-3 - optimizer.weight_decay * old - update).abs().max()
        assert (float(from_weights) > 0.1) == (dtype == "bfloat16")


@pytest.mark.parametrize(
    ("optimizer", "ensemble", "message"),
    [
        (em.Lion(lr=1e-3), 1, "this Lion trains by its record's own update"),
        (em.AdamW(lr=1e-3, decay="cautious"), 1, "this AdamW trains by its record's own update"),
        (ADAMW, 2, "ensemble=2 trains by the record's own update"),
    ],
)
@pytest.mark.parametrize("foreach", [True, False])
def test_torchs_implementations_are_no_choice_where_torchs_own_does_not_train(optimizer, ensemble, message, foreach):
    with pytest.raises(ValueError, match=f"foreach={foreach} chooses.*{message}.*leave foreach out"):
        em.train(TASK, optimizer, epochs=1, foreach=foreach, ensemble=ensemble, seeds=(0, 1))
    with pytest.raises(TypeError, match="fused"):
        em.train(TASK, optimizer, epochs=1, fused=True)


def test_the_whole_networks_effective_rate_is_of_one_group():
    with pytest.raises(ValueError, match="there are 2 groups"):
        em.train(TASK, ADAMW, epochs=1, groups=[Group("biases.*", lr=2)], observables="effective_learning_rate")


def test_a_sweep_axis_cannot_be_called_as_an_observable_is():
    import xarray as xr

    with pytest.raises(ValueError, match="cannot be called 'train_loss'"):
        em.train(TASK, em.AdamW(lr=xr.DataArray([1e-3, 1e-2], dims="train_loss")), epochs=1)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"names": ()}, ValueError, "at least one pattern"),
        ({"names": (1,)}, TypeError, "patterns such as"),
        ({"names": "a", "lr": 0}, ValueError, r"Group\.lr must be finite and > 0"),
        ({"names": "a", "weight_decay": -1}, ValueError, r"Group\.weight_decay must be"),
    ],
)
def test_wrong_groups(fields, error, message):
    with pytest.raises(error, match=message):
        Group(**fields)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"seeds": None}, TypeError, "whole numbers >= 0, got None"),
        ({"seeds": [2**63]}, ValueError, "seeds must be at most"),
        ({"seeds": [[0, 1]]}, TypeError, "whole numbers >= 0"),
        ({"foreach": "yes"}, TypeError, "foreach must be True, False or None"),
        ({"groups": 5}, TypeError, "a list of Group records"),
        ({"observables": 5}, TypeError, "observables must be names"),
        ({"device": "meta"}, ValueError, "device must be one"),
    ],
)
def test_values_of_the_wrong_kind_are_told(given, error, message):
    with pytest.raises(error, match=message):
        em.train(TASK, ADAMW, epochs=1, **given)


@pytest.mark.parametrize("optimizer", [em.SGD(lr=0.1, momentum=0.9), ADAMW], ids=repr)
def test_effective_rates_of_weights_that_begin_at_zero(optimizer):
    """Biases do; and the first step of a warm-up has no rate."""
    asked = ["parameter_effective_learning_rate", "parameter_norm", "learning_rate"]
    settings = dict(epochs=1, schedule=em.Linear(final=0.5, warmup=0.2), record=em.every(1), observables=asked)
    run = em.train(TASK, optimizer, **settings).isel(seed=0)
    power = 2 if isinstance(optimizer, em.SGD) else 1
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = run.learning_rate.values[1:, None] / run.parameter_norm.values[:-1] ** power
    expected[0] = 0
    assert run.learning_rate.values[1] == 0
    assert np.isinf(expected).any()
    np.testing.assert_allclose(run.parameter_effective_learning_rate.values[1:], expected, rtol=1e-12)


class Step(NamedTuple):
    weight: Any


class Rates(NamedTuple):
    lr: Any


@dataclass(frozen=True, eq=False, repr=False)
class Plain(Optimizer):
    """A user's own gradient descent, with fields as they were given."""

    lr: Any
    weight_decay: Any = 0.0

    State = Step
    Coefficients = Rates

    def coefficients(self, xp: Any, time: Any) -> Rates:
        return Rates(time.lr)

    def update(self, xp: Any, state: Step, gradient: Any, c: Rates) -> Step:
        return Step(state.weight - c.lr * gradient)


@dataclass(frozen=True, eq=False, repr=False)
class Swept(Plain):
    """The same with sweep axes."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lr", as_field("lr", self.lr, NON_NEGATIVE))


@pytest.mark.parametrize("lr", [[0.1, 0.2], np.array([0.1, 0.2])], ids=["list", "array"])
@pytest.mark.parametrize(
    "verb",
    [
        lambda record: em.train(TASK, record, epochs=1, observables="train_loss"),
        lambda record: em.simulate(em.NoisyQuadratic(curvature=[1.0]), record, steps=3, replicas=2),
    ],
    ids=["train", "simulate"],
)
def test_a_record_that_makes_no_axes_is_told_how_to(verb, lr):
    message = (
        r"^Plain\.lr must be one number or a sweep axis \(an xarray\.DataArray\), got .*0\.1\s?, 0\.2.*; in "
        r"Plain\.__post_init__, object\.__setattr__\(self, 'lr', as_field\('lr', self\.lr, NON_NEGATIVE\)\)"
    )
    with pytest.raises(TypeError, match=message):
        verb(Plain(lr=lr))
    assert verb(Swept(lr=lr)).sizes["lr"] == 2
    assert "lr" not in verb(Plain(lr=0.1)).sizes
