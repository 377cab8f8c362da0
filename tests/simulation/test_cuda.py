"""The CUDA engine against the records' own functions, bit for bit: its source on the host, and on a device if any."""

from __future__ import annotations

import numpy as np
import pytest

import ematheory as em
from ematheory import native
from ematheory.simulation import backends

cuda = pytest.importorskip("ematheory._cuda", reason="no CUDA module (it needs nvcc)")
module = pytest.importorskip("ematheory._native", reason="the native engine was not built")

from test_native import (  # noqa: E402
    COORDINATES,
    OPTIMIZERS,
    POINTS,
    PROBLEMS,
    REPLICAS,
    STEPS,
    WRONG,
    bits,
    case,
    plain_loop,
    resized,
)

NO_DEVICE = cuda.why_no_device()
on_device = pytest.param(False, id="device", marks=pytest.mark.skipif(bool(NO_DEVICE), reason=NO_DEVICE or "-"))
PLACES = [pytest.param(True, id="host"), on_device]


def assert_same_bits(arguments: dict, on_host: bool) -> None:
    state, snapshots = plain_loop(arguments)
    copy = {**arguments, "state": arguments["state"].copy(), "snapshots": arguments["snapshots"].copy()}
    cuda.advance(on_host=on_host, **copy)
    assert bits(copy["state"]) == bits(state)
    assert bits(copy["snapshots"]) == bits(snapshots)


def test_module_holds_every_variant():
    assert cuda.optimizers() == module.optimizers()
    assert cuda.problems() == module.problems()


@pytest.mark.parametrize("on_host", PLACES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_advance_has_the_bits_of_the_records(optimizer, problem, dtype, on_host):
    assert_same_bits(case(problem, optimizer, dtype), on_host)


@pytest.mark.parametrize("on_host", PLACES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_denormals_and_divergence(optimizer, dtype, on_host):
    tiny = float(np.finfo(dtype).smallest_normal)
    assert_same_bits(case("noisy_quadratic", optimizer, dtype, size=4 * tiny), on_host)
    huge = float(np.finfo(dtype).max) ** 0.25
    assert_same_bits(case("noisy_quadratic", optimizer, dtype, size=huge, scale=1e9), on_host)


@pytest.mark.parametrize("on_host", PLACES)
@pytest.mark.parametrize("cells", [1, 127, 128, 129, 257, 600])
@pytest.mark.parametrize("first_step", [0, 1, 2, 3])
def test_blocks_that_do_not_fill(cells, first_step, on_host):
    arguments = {**case("noisy_quadratic", "adamw", "float32"), "first_step": first_step}
    assert_same_bits(resized(arguments, cells), on_host)


@pytest.mark.parametrize("on_host", PLACES)
def test_calls_in_parts_are_one_call(on_host):
    arguments = case("noisy_quadratic", "adamw", "float32")
    whole, _ = plain_loop(arguments)
    nothing = {"snapshots_at": arguments["snapshots_at"][:0], "snapshots": arguments["snapshots"][:0]}
    for first, last in ((0, 3), (3, 4), (4, 4), (4, STEPS)):
        part = np.ascontiguousarray(arguments["coefficients"][:, first:last])
        now = {**arguments, **nothing, "coefficients": part, "first_step": arguments["first_step"] + first}
        cuda.advance(on_host=on_host, **now)
    assert bits(arguments["state"]) == bits(whole)


# What the GPU's calls do not take.
OF_CPUS = ("isa", "threads")


@pytest.mark.parametrize("name", [name for name in WRONG if name not in OF_CPUS])
def test_wrong_arguments(name):
    value, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        cuda.advance(on_host=True, **{**case("noisy_quadratic", "adamw", "float64"), name: value})


@pytest.mark.skipif(not NO_DEVICE, reason="there is a device")
def test_without_a_device_it_says_why():
    assert cuda.devices() == []
    with pytest.raises(RuntimeError, match="CUDA"):
        cuda.advance(**case("noisy_quadratic", "adamw", "float64"))
    with pytest.raises(RuntimeError, match="CUDA"):
        cuda.contraction_is_off()
    with pytest.raises(ValueError, match=r"backend 'cuda': .*CUDA.*; use 'cpu', 'reference' or 'auto'"):
        em.simulate(em.RandomWalk(), em.SGD(lr=0.1), steps=1, backend="cuda")


@pytest.mark.skipif(bool(NO_DEVICE), reason=NO_DEVICE or "-")
def test_the_device_rounds_twice():
    assert cuda.contraction_is_off()


class HostCuda(backends.Cuda):
    """The backend with the threads' source run on the host."""

    def __init__(self) -> None:
        self.isa, self.work_per_call = "host", 2**14

    def advance(self, **block):
        super().advance(on_host=True, **block)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_simulate_gives_the_references_result(monkeypatch, dtype):
    problem = em.NoisyQuadratic(curvature=1 / np.arange(1, 131), batch_size=[1.0, 4.0])
    own = em.AdamW(lr=[0.01, 0.1], weight_decay=0.1)
    run = dict(steps=50, schedule=em.Cosine(warmup=0.1), record=em.every(9), observables=problem.observables)
    run |= dict(replicas=range(3, 200), dtype=dtype, random_numbers="independent")
    wanted = em.simulate(problem, own, **run, backend="reference")
    if NO_DEVICE:
        monkeypatch.setattr(backends, "Cuda", HostCuda)
        monkeypatch.setattr(native, "why_no_cuda", lambda: "")
    found = em.simulate(problem, own, **run, backend="cuda")
    assert found.equals(wanted)
    assert '"cuda"' in found.attrs["run"]


def test_auto_takes_a_device_for_large_work_alone(monkeypatch):
    monkeypatch.setattr(backends, "Cuda", HostCuda)
    monkeypatch.setattr(native, "why_no_cuda", lambda: "")
    pair = (em.RandomWalk(), em.SGD(lr=0.1))
    assert backends.choose("auto", "auto", None, *pair, work=2**32).name == "cuda"
    assert backends.choose("auto", "auto", None, *pair, work=2**32 - 1).name == "cpu"
    assert backends.choose("auto", "portable", None, *pair, work=2**40).name == "cpu"
    assert backends.choose("auto", "auto", None, em.ScaleInvariant(size=4), pair[1], work=2**40).name == "cuda"
    monkeypatch.setattr(native, "why_no_cuda", lambda: "none")
    assert backends.choose("auto", "auto", None, *pair, work=2**40).name == "cpu"
    monkeypatch.setattr(native, "why_no_cuda", lambda: "")
    with pytest.raises(ValueError, match="isa='portable' is for the native engine"):
        backends.choose("cuda", "portable", None, *pair)


@pytest.mark.parametrize(("seconds", "work"), [(1e-12, 2**16), (1.0, 2**16), (1e-9, 2**16)])
def test_the_work_of_a_call_grows_at_most_fourfold(monkeypatch, seconds, work):
    assert work_after(monkeypatch, 2**14, seconds) == work


def test_the_work_of_a_call_follows_the_rate(monkeypatch):
    cells = POINTS * REPLICAS * COORDINATES * STEPS
    # At 2³⁰ cell-steps a second; a slow device is left with the least.
    assert work_after(monkeypatch, 2**40, cells / 2**30) == int(0.2 * 2**30)
    assert work_after(monkeypatch, 2**40, 100.0) == 2**24


def work_after(monkeypatch, before: int, seconds: float) -> int:
    """What a call may do after one that took so long."""
    ticks = iter((0.0, seconds))
    engine, (problem, optimizer) = HostCuda(), (PROBLEMS["random_walk"], OPTIMIZERS["sgd_l2"])
    engine.work_per_call = before
    monkeypatch.setattr(backends.time, "monotonic", lambda: next(ticks))
    block = {k: v for k, v in case("random_walk", "sgd_l2", "float64").items() if k not in ("problem", "optimizer")}
    engine.advance(problem=problem, optimizer=optimizer, **block)
    return engine.work_per_call
