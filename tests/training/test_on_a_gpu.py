"""On a CUDA GPU: training as on the CPU to rounding and the same bits again, C01 in float64, and the tracker."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import pytest
import test_track_callbacks as trainers
import torch

import ematheory as em
from ematheory.results import same_result
from ematheory.training import crosschecks
from ematheory.training.cache import Keeping, kind_of
from ematheory.training.determinism import check_device

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA GPU"),
    pytest.mark.filterwarnings("ignore:.*(timescale|weight_decay|bfloat16|average):UserWarning"),
]
if torch.cuda.is_available():
    check_device("cuda")  # before any product, as a program that trains first does

tasks = em.tasks
SMALL = dict(train_size=128)
TASKS = {
    "mlp": lambda: tasks.digits_mlp(width=16, depth=1, **SMALL),
    "scale-invariant mlp": lambda: tasks.digits_mlp(width=16, depth=1, scale_invariant=True, **SMALL),
    "resnet": lambda: tasks.digits_resnet(**SMALL),
    "vit": lambda: tasks.digits_vit(width=16, depth=1, **SMALL),
    "gpt": lambda: tasks.char_gpt(width=16, depth=1, context=16, train_tokens=16 * 128, test_share=0.01),
    "addition": lambda: tasks.modular_addition(modulus=17, width=16, **SMALL),
    "addition transformer": lambda: tasks.modular_addition(modulus=17, width=16, network="transformer", **SMALL),
    "teacher and student": lambda: tasks.teacher_student(width=16, test_size=128, **SMALL),
    "random features": lambda: tasks.random_features(width=16, inputs=32, activation="relu", test_size=128, **SMALL),
}
NAMES = (
    "train_loss", "test_loss", "batch_loss", "weight_norm", "rotation", "update_cosine", "gradient_norm",
    "parameter_norm", "parameter_gradient_norm", "initial_weight_left",
)  # fmt: skip
# A gradient that is off by δ moves u = m/(√v + ε) by up to δ/ε: with this ε little more than SGD's.
ADAMW = em.AdamW(lr=1e-2, weight_decay=0.5, eps=1e-3)
SGD = em.SGD(lr=0.05, momentum=0.9, weight_decay=0.01)
SETTINGS = dict(epochs=3, batch_size=32, schedule=em.Cosine(final=0.1, warmup=0.2), record=em.every(4))


def task_of(kind):
    if kind == "gpt" and importlib.util.find_spec("pydoc_data") is None:
        pytest.skip("this Python came without pydoc_data's text")
    return TASKS[kind]()


def farthest(found, expected, names=NAMES):
    """The largest difference of any observable, relative to the observable's size."""
    apart = [float(abs(found[name] - expected[name]).max() / abs(expected[name]).max()) for name in names]
    return max(apart)


# Training.


@pytest.mark.parametrize("optimizer", [ADAMW, SGD], ids=["AdamW", "SGD"])
@pytest.mark.parametrize("kind", TASKS)
def test_twelve_steps_are_those_of_the_cpu_to_rounding(kind, optimizer):
    task = task_of(kind)
    settings = dict(**SETTINGS, observables=NAMES, accumulate=2, clip_norm=1.0, seeds=(0, 1))
    found, expected = (em.train(task, optimizer, **settings, device=device) for device in ("cuda", "cpu"))
    # Another order of the sums of one run, an ensemble's, came to at most 1e-15 on a CPU.
    assert farthest(found, expected) < 1e-12
    assert all(np.array_equal(np.isnan(found[name]), np.isnan(expected[name])) for name in NAMES)
    np.testing.assert_array_equal(found.initial_weight_left, expected.initial_weight_left)


@pytest.mark.parametrize(
    "optimizer",
    [
        em.AdamW(lr=1e-2, weight_decay=0.5, decay="cautious"), em.Lion(lr=1e-3, weight_decay=0.5), em.NAdam(lr=1e-2),
        em.RMSprop(lr=1e-3, momentum=0.5), em.ScheduleFreeAdamW(lr=1e-2), em.AdamP(lr=1e-2, weight_decay=0.1),
        em.Amos(lr=1e-2), em.AdEMAMix(lr=1e-2), em.SGD(lr=0.1, weight_decay=0.1, decay="per_lr"),
    ],
    ids=lambda record: type(record).__name__,
)  # fmt: skip
def test_other_optimizers_and_records_step_as_on_the_cpu(optimizer):
    """ε = 1e-8 turns a gradient's 1e-17 into a step's 1e-9; torch's NAdam keeps a product of momenta in float32."""
    task = task_of("mlp")
    found, expected = (
        em.train(task, optimizer, **SETTINGS, observables=NAMES, device=device) for device in ("cuda", "cpu")
    )
    assert farthest(found, expected) < (1e-6 if isinstance(optimizer, em.NAdam) else 1e-8)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize(("dtype", "apart"), [("float32", 1e-3), ("bfloat16", 0.1)])
def test_fewer_bits_train_too(kind, dtype, apart):
    task = task_of(kind)
    found, expected = (
        em.train(task, SGD, **SETTINGS, dtype=dtype, device=device, observables=("train_loss", "weight_norm"))
        for device in ("cuda", "cpu")
    )
    assert farthest(found, expected, ("train_loss", "weight_norm")) < apart


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("kind", TASKS)
def test_the_same_call_gives_the_same_bits(kind, dtype):
    task = task_of(kind)
    first, again = (em.train(task, ADAMW, **SETTINGS, dtype=dtype, device="cuda") for _ in range(2))
    assert same_result(first, again)
    assert first.attrs["device"] == "cuda"


def test_what_was_set_around_a_call_changes_nothing_and_stays():
    task = task_of("resnet")
    plain = em.train(task, ADAMW, **SETTINGS, dtype="float32", device="cuda")
    try:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
        torch.set_default_device("cuda")
        with torch.autocast("cuda", dtype=torch.bfloat16):
            assert same_result(em.train(task, ADAMW, **SETTINGS, dtype="float32", device="cuda"), plain)
        assert torch.backends.cudnn.benchmark
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.get_default_device().type == "cuda"
    finally:
        torch.set_default_device(None)
        torch.backends.cudnn.benchmark = False
        torch.set_float32_matmul_precision("highest")
    assert not torch.are_deterministic_algorithms_enabled()


ENSEMBLES = [
    em.AdamW(lr=[1e-3, 1e-2], weight_decay=[0.0, 1.0]), em.SGD(lr=[0.05, 0.1], momentum=0.9, weight_decay=0.01),
    em.AdamC(lr=[1e-3, 1e-2], weight_decay=1.0), em.Lion(lr=[1e-4, 1e-3], weight_decay=1.0),
    em.ScheduleFreeAdamW(lr=[1e-3, 1e-2]),
]  # fmt: skip


@pytest.mark.parametrize("optimizer", ENSEMBLES, ids=lambda record: type(record).__name__)
def test_a_hundred_steps_together_are_those_of_the_runs_by_themselves(optimizer):
    settings = dict(
        epochs=25, batch_size=32, seeds=(0, 3), schedule=em.Cosine(final=0.1, warmup=0.1), record=[0, 1, 100],
        observables=NAMES, device="cuda",
    )  # fmt: skip
    together, alone = (em.train(task_of("mlp"), optimizer, **settings, ensemble=count) for count in (8, 1))
    assert farthest(together.isel(step=[0, 1]), alone.isel(step=[0, 1])) < 1e-13
    assert farthest(together, alone) < 1e-9


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize(("dtype", "apart"), [("float64", 1e-12), ("float32", 1e-3)])
def test_one_step_together_of_every_network(kind, dtype, apart):
    optimizer = em.SGD(lr=[0.05, 0.1], momentum=0.9)
    settings = dict(epochs=1, batch_size=32, record=[0, 1], dtype=dtype, seeds=(0, 1), device="cuda")
    names = ("train_loss", "weight_norm", "parameter_gradient_norm")
    together, alone = (
        em.train(task_of(kind), optimizer, **settings, observables=names, ensemble=count) for count in (4, 1)
    )
    assert farthest(together, alone, names) < apart


class Stopped(Exception):
    """Raised in mid-run."""


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
@pytest.mark.parametrize("optimizer", [ADAMW, SGD, em.NAdam(lr=1e-3), em.Lion(lr=1e-3), em.ScheduleFreeAdamW(lr=1e-2)])
def test_a_stopped_run_goes_on_to_the_same_bits(optimizer, dtype, tmp_path, monkeypatch):
    settings = dict(**SETTINGS, dtype=dtype, clip_norm=1.0, device="cuda")
    whole = em.train(task_of("mlp"), optimizer, **settings)
    keep = Keeping.keep

    def stopping(self, run, rows):
        if run.step_count == 6:
            self.next_write = 0
            keep(self, run, rows)
        if run.step_count == 9:
            raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(Keeping, "keep", stopping)
        with pytest.raises(Stopped):
            em.train(task_of("mlp"), optimizer, cache=tmp_path, **settings)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    steps = []
    monkeypatch.setattr(Keeping, "keep", lambda self, run, rows: steps.append(run.step_count))
    assert same_result(em.train(task_of("mlp"), optimizer, cache=tmp_path, **settings), whole)
    assert steps[0] == 7
    stored = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert same_result(em.train(task_of("mlp"), optimizer, cache=tmp_path, **settings), whole)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == stored


def test_a_run_of_a_gpu_is_not_taken_for_one_of_the_cpu(tmp_path):
    for device in ("cuda", "cpu"):
        em.train(task_of("mlp"), ADAMW, **SETTINGS, cache=tmp_path, device=device)
    assert len(list(tmp_path.iterdir())) == 2
    assert torch.cuda.get_device_name() in kind_of("cuda")


def test_workers_on_one_gpu_give_the_same_bits():
    settings = dict(**SETTINGS, seeds=(0, 1), device="cuda")
    alone, several = (em.train(task_of("mlp"), ADAMW, **settings, workers=count) for count in (1, 2))
    assert same_result(alone, several)


AFTER_OTHER_WORK = """
import torch
torch.ones(2, 2, device="cuda") @ torch.ones(2, 2, device="cuda")
import ematheory as em
task = em.tasks.digits_mlp(width=64, depth=2, train_size=256)
for dtype in ("float64", "float32"):
    found = em.train(task, em.SGD(lr=0.1), epochs=5, batch_size=64, dtype=dtype, device="cuda")
    print(dtype, found.train_loss.values.tobytes().hex())
"""


def test_a_program_that_used_the_gpu_before_has_the_same_bits_or_is_told_what_to_set():
    """Some torch refuses where the variable was not set in time; another reads it later, and must give these bits."""
    environment = {name: value for name, value in os.environ.items() if name != "CUBLAS_WORKSPACE_CONFIG"}
    run = partial(subprocess.run, [sys.executable, "-c", AFTER_OTHER_WORK], capture_output=True, text=True, check=False)
    late = run(env={**environment, "PYTHONPATH": "."})
    done = run(env={**environment, "PYTHONPATH": ".", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("float") == 2
    if late.returncode:
        assert "RuntimeError: training on cuda needs CUBLAS_WORKSPACE_CONFIG=:4096:8" in late.stderr
    else:
        assert late.stdout == done.stdout


# C01: the weights are a moving average.


@pytest.mark.parametrize("foreach", [None, False])
@pytest.mark.parametrize("kind", ["mlp", "resnet", "vit", "gpt"])
def test_adamws_weights_are_the_moving_average_of_its_updates(kind, foreach):
    optimizer = em.AdamW(lr=1e-2, weight_decay=0.5)
    settings = dict(epochs=5, batch_size=32, schedule=em.Cosine(final=0.1, warmup=0.2), foreach=foreach, device="cuda")
    check = crosschecks.moving_average(task_of(kind), optimizer, **settings, store=True)
    assert check.residual < 1e-12
    assert check.stored_residual < 1e-12
    assert check.bound_share <= 1
    assert crosschecks.moving_average(task_of(kind), optimizer, **settings, dtype="float32").bound_share <= 1


def test_adams_weights_are_not():
    check = crosschecks.moving_average(task_of("mlp"), em.Adam(lr=1e-2, weight_decay=0.5), batch_size=32, device="cuda")
    assert check.bound_share > 1e6


# The tracker.


def weights_on(device, dtype=torch.float64):
    source = torch.Generator().manual_seed(5)
    shapes = ((40, 30), (17,), (3, 5, 7))
    return [
        torch.nn.Parameter(torch.randn(*shape, generator=source, dtype=torch.float64).to(device, dtype))
        for shape in shapes
    ]


def white_steps(optimizer, count, schedule=None):
    """Steps on white gradients, the same on every device."""
    source = torch.Generator().manual_seed(6)
    for _ in range(count):
        for weight in (each for group in optimizer.param_groups for each in group["params"]):
            noise = torch.randn(weight.shape, generator=source, dtype=torch.float64)
            weight.grad = noise.to(weight.device, weight.dtype)
        optimizer.step()
        if schedule is not None:
            schedule.step()


def tracked(make, device, dtype=torch.float64, count=60):
    optimizer = make(weights_on(device, dtype))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: min(1.0, (k + 1) / 10) * (1 - k / count))
    with em.track(optimizer, steps=count, every=7, sample=100) as tracker:
        white_steps(optimizer, count, schedule)
    return tracker.dataset()


def agree(found, expected, rtol, atol=0.0):
    assert set(found.data_vars) == set(expected.data_vars)
    for name in expected.data_vars:
        np.testing.assert_allclose(found[name], expected[name], rtol=rtol, atol=atol, err_msg=str(name))


ADAM = partial(torch.optim.AdamW, lr=0.01, weight_decay=0.5)
FORMS = {
    "by default": ADAM,
    "loop": partial(ADAM, foreach=False),
    "foreach": partial(ADAM, foreach=True),
    "fused": partial(ADAM, fused=True),
    "capturable": partial(ADAM, capturable=True),
    "capturable loop": partial(ADAM, capturable=True, foreach=False),
    "fused capturable": partial(ADAM, capturable=True, fused=True),
    "rate on the device": lambda p: ADAM(p, lr=torch.tensor(0.01, device=p[0].device), capturable=True, foreach=True),
    "fused, rate on the device": lambda p: ADAM(p, lr=torch.tensor(0.01, device=p[0].device), fused=True),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_tracker_says_what_it_says_of_a_loop_on_the_cpu(form):
    """In float64 to some roundings, but for what torch itself has in float32: a rate that is a tensor, and the
    capturable steps' count, whose 1 − β₂^k is off by 6e-8/(0.001 k).
    """
    found, expected = tracked(FORMS[form], "cuda"), tracked(partial(ADAM, foreach=False), "cpu")
    single = {
        "capturable": 1e-4,
        "capturable loop": 1e-4,
        "rate on the device": 1e-4,
        "fused, rate on the device": 1e-6,
    }
    agree(found, expected, rtol=single.get(form, 1e-10), atol=1e-13)


@pytest.mark.parametrize("fused", [False, True])
def test_so_it_does_of_sgd_with_its_flow(fused):
    make = partial(torch.optim.SGD, lr=0.01, momentum=0.9, weight_decay=0.1)
    agree(tracked(partial(make, fused=fused), "cuda"), tracked(make, "cpu"), rtol=1e-10, atol=1e-13)


def test_and_in_float32():
    agree(tracked(ADAM, "cuda", torch.float32), tracked(ADAM, "cpu", torch.float32), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("form", ["by default", "loop", "fused"])
def test_bfloat16_weights_lose_their_decay_as_this_devices_torch_rounds(form):
    weights = weights_on("cuda", torch.bfloat16)
    optimizer = FORMS[form](weights, lr=0.003, weight_decay=1.0)
    with em.track(optimizer, every=1, sample=10_000) as tracker:
        for weight in weights:
            weight.grad = torch.zeros_like(weight)
        optimizer.step()
        after = [weight.detach().clone() for weight in weights]
        optimizer.step()
    found = tracker.dataset().isel(step=1, group=0)
    if form == "fused":
        assert np.isnan(found.decay_lost)
        return
    stay = sum(int((weight == old).sum()) for weight, old in zip(weights, after, strict=True))
    assert float(found.decay_lost) == stay / sum(weight.numel() for weight in weights)
    assert abs(float(found.decay_lost) - float(found.decay_lost_predicted)) < 0.05


@pytest.mark.parametrize("form", ["by default", "fused", "fused capturable"])
def test_steps_that_a_scaler_skips_are_not_counted(form):
    network = torch.nn.Linear(8, 4, device="cuda")
    optimizer = FORMS[form](network.parameters())
    scaler = torch.amp.GradScaler("cuda", init_scale=2.0**10)
    skipped = (2, 3, 11)
    with em.track(optimizer, every=5, names=network) as tracker:
        for k in range(20):
            with torch.autocast("cuda", dtype=torch.float16):
                loss = network(torch.ones(16, 8, device="cuda")).float().square().mean()
            optimizer.zero_grad()
            scaler.scale(loss * float("inf") if k in skipped else loss).backward()
            scaler.step(optimizer)
            scaler.update()
    tracker.settle()
    assert tracker.count == 20 - len(skipped)
    assert list(tracker.dataset().step) == [0, 5, 10, 15]
    np.testing.assert_allclose(tracker.dataset().initial_weight_left[:, 0], 0.995 ** np.array([0, 5, 10, 15]))


def test_graphed_forward_and_backward_with_an_eager_step_are_tracked():
    def run(graphed):
        torch.manual_seed(0)
        network = torch.nn.Linear(8, 4, device="cuda", dtype=torch.float64)
        inputs = torch.randn(16, 8, device="cuda", dtype=torch.float64)
        called = torch.cuda.make_graphed_callables(network, (inputs,)) if graphed else network
        optimizer = ADAM(network.parameters(), capturable=True)
        with em.track(optimizer, every=5, names=network) as tracker:
            for _ in range(20):
                optimizer.zero_grad(set_to_none=True)
                called(inputs).square().sum().backward()
                optimizer.step()
        return tracker.dataset()

    agree(run(True), run(False), rtol=1e-10, atol=1e-13)


def test_a_step_in_a_cuda_graph_is_captured_all_the_same_and_told():
    weights = weights_on("cuda")
    optimizer = FORMS["capturable"](weights)
    tracker, graph, stream = em.track(optimizer, every=1), torch.cuda.CUDAGraph(), torch.cuda.Stream()
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            optimizer.step()
    torch.cuda.current_stream().wait_stream(stream)
    with pytest.warns(UserWarning, match="replays run no hooks"), torch.cuda.graph(graph):
        optimizer.step()
    before = weights[0].detach().clone()
    graph.replay()
    assert not torch.equal(weights[0], before)
    assert tracker.count == 3
    optimizer.step()
    assert tracker.count == 4


def synchronisations(tensors, form, dtype):
    """How often a record waits for the device, and each other step; torch's own step does not."""
    weights = [torch.nn.Parameter(torch.ones(30, dtype=dtype, device="cuda")) for _ in range(tensors)]
    optimizer = FORMS[form](weights)
    for weight in weights:
        weight.grad = torch.ones_like(weight)
    found = []
    with em.track(optimizer, every=10):
        for step in range(1, 31):
            torch.cuda.set_sync_debug_mode("warn")
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                optimizer.step()
            torch.cuda.set_sync_debug_mode("default")
            found.append((step, sum("synchronizing" in str(each.message) for each in caught)))
    return {count for step, count in found if step % 10 == 0 and step > 10}, {
        count for step, count in found if step % 10 and step > 10
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("form", ["foreach", "fused", "capturable", "rate on the device"])
def test_a_tracker_waits_for_the_device_at_records_only_and_as_often_for_many_tensors(form, dtype):
    few, many = synchronisations(3, form, dtype), synchronisations(60, form, dtype)
    assert few == many
    assert many[1] == {0}
    # The record; a rate that is a tensor is read before and after it, and what bfloat16 loses of each group.
    assert max(many[0]) <= 1 + 2 * (form == "rate on the device") + (dtype == torch.bfloat16 and form != "fused")


def test_a_saved_tracker_goes_on_on_the_gpu(tmp_path):
    whole = tracked(ADAM, "cuda", count=40)
    optimizer = ADAM(weights_on("cuda"))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: min(1.0, (k + 1) / 10) * (1 - k / 40))
    tracker, source = em.track(optimizer, steps=40, every=7, sample=100), torch.Generator().manual_seed(6)
    for k in range(40):
        if k == 17:
            torch.save(tracker.state_dict(), tmp_path / "state.pt")
            tracker.detach()
            tracker = em.track(optimizer, steps=40, every=7, sample=100)
            tracker.load_state_dict(torch.load(tmp_path / "state.pt", map_location="cpu", weights_only=True))
        for weight in optimizer.param_groups[0]["params"]:
            weight.grad = torch.randn(weight.shape, generator=source, dtype=torch.float64).to("cuda")
        optimizer.step()
        schedule.step()
    agree(tracker.dataset(), whole, rtol=0)


def test_hugging_faces_trainer_and_lightnings_give_the_numbers_of_the_loop(tmp_path):
    """In float32, whose products a trainer may round otherwise."""
    expected = trainers.plain_loop(device="cuda")
    callback = trainers.callback_of("lightning")(**trainers.OPTIONS)
    trainers.lightning_run(tmp_path, callback, accelerator="gpu")
    agree(callback.trackers[0].dataset(), expected, rtol=1e-4, atol=1e-6)
    callback = trainers.callback_of("huggingface")(**trainers.OPTIONS)
    agree(trainers.hugging_face(tmp_path, callback, use_cpu=False), expected, rtol=1e-4, atol=1e-6)


def test_cross_checks_of_networks_are_those_of_the_cpu():
    from ematheory.training.crosschecks import averages, effective_rates, one_pass

    small, gpt = tasks.digits_mlp(width=8, depth=1, scale_invariant=True, train_size=64), task_of("gpt")
    rates, losses, distances = [], [], []
    for device in ("cuda", "cpu"):
        rates.append(effective_rates.effective_rates(small, SGD, epochs=2, dtype="float64", device=device))
        losses.append(one_pass.one_pass(gpt, ADAMW, steps=3, batch_size=4, record=(3,), scored=4, device=device))
        distances.append(
            averages.averages(small, SGD, steps=6, averaged=3, every=1, images=4, device=device).jacobian_norms
        )
    for name, curve in rates[0].losses.items():
        np.testing.assert_allclose(curve, rates[1].losses[name], rtol=1e-10)
    # In float32.
    np.testing.assert_allclose(losses[0].losses, losses[1].losses, rtol=1e-4)
    np.testing.assert_allclose(*distances, rtol=1e-3)
