"""What a GPU would meet, without one: tensors on one device, torch's settings of precision, and few reads of it.

The meta device stands for the GPU: it computes nothing, and an operation on it and the CPU together is an error.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import ematheory as em
from ematheory.training.determinism import deterministic
from ematheory.training.ensemble import Ensemble
from ematheory.training.observables import ACCURACIES, EFFECTIVE, OBSERVABLES
from ematheory.training.request import Job, Request, advance, look_at
from ematheory.training.tracking import tracker as tracker_module

TASKS = {
    "mlp": em.tasks.digits_mlp(width=8, depth=1, train_size=16),
    "resnet": em.tasks.digits_resnet(train_size=16),
    "vit": em.tasks.digits_vit(train_size=16),
    "gpt": em.tasks.char_gpt(width=16, depth=1, context=8, train_tokens=160),
    "addition": em.tasks.modular_addition(modulus=7, width=8, train_size=16),
    "addition transformer": em.tasks.modular_addition(modulus=7, width=8, network="transformer", train_size=16),
    "teacher and student": em.tasks.teacher_student(width=8, train_size=16, test_size=16),
    "random features": em.tasks.random_features(width=8, inputs=8, train_size=16, test_size=16),
}
RECORDS = [
    em.AdamW(lr=1e-2), em.SGD(lr=0.1, momentum=0.9, nesterov=True), em.NAdam(lr=1e-3), em.Lion(lr=1e-3),
    em.ScheduleFreeAdamW(lr=1e-3), em.AdamP(lr=1e-3), em.Amos(lr=1e-3), em.AdEMAMix(lr=1e-3),
    em.AdamW(lr=1e-2, weight_decay=0.1, decay="cautious"),
]  # fmt: skip


class Numbers(TorchDispatchMode):
    """Any number that is read from a tensor is 0.5."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        return 0.5 if function is torch.ops.aten._local_scalar_dense.default else function(*args, **(kwargs or {}))


def asked(task, dtype):
    left_out = EFFECTIVE if task.scores_accuracy else (*EFFECTIVE, *ACCURACIES)
    names = tuple(name for name in OBSERVABLES if name not in left_out)
    return Request(
        task, 2, 8, np.ones(2), np.ones(2), frozenset([0, 1, 2]), names, dtype=dtype, device="meta", accumulate=2,
        clip_norm=1.0,
    )  # fmt: skip


def follow(request, record):
    rows = {name: [] for name in request.observables}
    with deterministic(), Numbers():
        run = request.run(Job(record, 0))
        look_at(request, run, None, rows)
        for _ in range(2):
            advance(request, run, rows)
        run.go_to(run.state())
    assert all(parameter.is_meta for parameter in run.parameters)
    assert all(len(values) == 3 for values in rows.values())


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@pytest.mark.parametrize("kind", TASKS)
def test_every_task_trains_on_one_device(kind, dtype):
    follow(asked(TASKS[kind], dtype), RECORDS[0])


@pytest.mark.parametrize("record", RECORDS, ids=repr)
def test_every_optimizer_steps_on_one_device(record):
    follow(asked(TASKS["mlp"], "float32"), record)


@pytest.mark.parametrize("kind", TASKS)
def test_an_ensemble_of_each_is_on_one_device(kind):
    with deterministic(), Numbers():
        ensemble = Ensemble(asked(TASKS[kind], "float32"), [Job(RECORDS[0], seed) for seed in (0, 1)])
        ensemble.step()
    assert all(weights.is_meta for weights in ensemble.stacked)


CHOICES = """
import torch
from ematheory.training.determinism import deterministic
def state():
    found = [owner.fp32_precision for owner in (
        torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.mkldnn.matmul, torch.backends.mkldnn.conv
    )]
    return [*found, torch.backends.cudnn.benchmark, torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction]
torch.backends.cudnn.benchmark = True
{chosen}
before = state()
with deterministic():
    assert state() == ["ieee"] * 4 + [False, False], state()
    torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
assert state() == before, (before, state())
"""


@pytest.mark.skipif(not hasattr(torch.backends, "fp32_precision"), reason="torch before 2.9 has no fp32_precision")
@pytest.mark.parametrize(
    "chosen",
    [
        "torch.backends.cuda.matmul.fp32_precision = 'tf32'", "torch.backends.cudnn.conv.fp32_precision = 'ieee'",
        "torch.backends.fp32_precision = 'tf32'", "torch.set_float32_matmul_precision('medium')",
    ],
)  # fmt: skip
def test_neither_way_of_choosing_a_precision_reaches_a_run(chosen):
    """In a process of its own, for torch does not forget that both were used."""
    subprocess.run([sys.executable, "-c", CHOICES.format(chosen=chosen)], check=True)


PRODUCTS = torch.backends.cuda.matmul


@pytest.mark.skipif(
    not hasattr(PRODUCTS, "allow_bf16_reduced_precision_reduction_split_k"), reason="this torch has no such switch"
)
def test_where_sums_are_split_comes_back():
    try:
        PRODUCTS.allow_bf16_reduced_precision_reduction = (False, False)
        with deterministic():
            assert PRODUCTS.allow_bf16_reduced_precision_reduction_split_k
        assert not PRODUCTS.allow_bf16_reduced_precision_reduction_split_k
        assert not PRODUCTS.allow_bf16_reduced_precision_reduction
    finally:
        PRODUCTS.allow_bf16_reduced_precision_reduction = True


@pytest.fixture
def elsewhere():
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("kind", TASKS)
def test_a_default_device_around_a_run_moves_none_of_its_tensors(kind):
    """Neither to the default device nor, where networks say `torch.as_tensor`, to the CPU in its place."""
    follow(asked(TASKS[kind], "float32"), RECORDS[0])
    with deterministic():
        assert torch.zeros(1).device.type == "cpu"
        assert torch.as_tensor(torch.zeros(1, device="meta")).is_meta
    assert torch.zeros(1).is_meta


@pytest.mark.usefixtures("elsewhere")
def test_a_default_device_is_not_where_runs_and_samples_are_drawn():
    assert em.train(TASKS["mlp"], RECORDS[0], epochs=1, batch_size=8).train_loss.notnull().all()
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(30, device="cpu"))], weight_decay=0.1)
    with em.track(optimizer, every=1, sample=10) as tracker:
        optimizer.step()
    assert float(tracker.dataset().initial_weight_left_measured[-1, 0]) == 1.0


def test_a_captured_step_is_left_alone_and_told_once(monkeypatch):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))], lr=0.1)
    tracker = em.track(optimizer, every=1)
    with monkeypatch.context() as patched:
        patched.setattr(tracker_module, "in_capture", lambda: True)
        with pytest.warns(UserWarning, match="replays run no hooks"):
            optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            optimizer.step()
    assert tracker.count == 0
    optimizer.step()
    assert tracker.count == 1


class Reads(TorchDispatchMode):
    """Counts the numbers that are read one by one; lists of them are read at once."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


def reads(tensors, dtype):
    """How many numbers the tracker reads by itself in ten steps at a rate that is a tensor, and at their record."""
    weights = [torch.nn.Parameter(torch.ones(5, dtype=dtype)) for _ in range(tensors)]
    optimizer = torch.optim.SGD(weights, lr=torch.tensor(0.01), weight_decay=0.1)
    with em.track(optimizer, every=10) as tracker:
        tracker.before_step()
        with Reads() as found:
            for _ in range(10):
                tracker.after_step()
                tracker.before_step()
    assert tracker.count == 10
    return found.count


@pytest.mark.filterwarnings("ignore:.*(timescale|weight_decay|bfloat16|average):UserWarning")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_numbers_of_many_steps_and_tensors_are_read_together(dtype):
    assert reads(2, dtype) == reads(30, dtype) == 0


class Launches(TorchDispatchMode):
    """Counts the operations that a GPU has something to do for: not views, and no memory that is not filled."""

    WITHOUT = ("detach", "view", "slice", "split_with_sizes", "empty")

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name().removeprefix("aten::").partition(".")[0]
        if name not in self.WITHOUT:
            self.names.append(name)
        return function(*args, **(kwargs or {}))


def launches(make, tensors, dtype):
    """What one record asks for, from the copy before its step on."""
    weights = [torch.nn.Parameter(torch.ones(1 + i % 7, 5, dtype=dtype)) for i in range(tensors)]
    optimizer = make(weights)
    with em.track(optimizer, every=2, sample=20) as tracker:
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        optimizer.step()
        with Launches() as found:
            tracker.before_step()
        with torch.no_grad():
            torch._foreach_mul_(weights, 0.9)
        with found:
            tracker.after_step()
    assert tracker.lines[-1]["step"] == 2
    return found.names


@pytest.mark.filterwarnings("ignore:.*(timescale|weight_decay|bfloat16|average):UserWarning")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("make", [torch.optim.AdamW, torch.optim.SGD])
def test_a_record_asks_the_device_for_as_little_of_many_tensors_as_of_few(make, dtype):
    few, many = (launches(partial(make, weight_decay=0.1), count, dtype) for count in (2, 60))
    assert few == many
    assert len(many) <= 40
