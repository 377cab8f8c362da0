"""A GPU's block on a coupled vector against the records' own functions, bit for bit: on the host, and on a device.

On the host the block's threads run in turns, each until the next barrier, the first or the last of them first.
"""

from __future__ import annotations

import numpy as np
import pytest

import ematheory as em
from ematheory import native, optimizers
from ematheory.optimizers import Optimizer
from ematheory.problems import Problem
from ematheory.simulation import backends
from ematheory.simulation.reference import Reference

cuda = pytest.importorskip("ematheory._cuda", reason="no CUDA module (it needs nvcc)")

from test_cuda import NO_DEVICE, PLACES, HostCuda  # noqa: E402
from test_native import PROBLEMS as SEPARABLE  # noqa: E402
from test_native import bits  # noqa: E402

RECORDS = (*optimizers.RECORDS, *optimizers.COUPLED)
OPTIMIZERS = {name: record for kind in RECORDS for name, record in kind.variants().items()}
COUPLED = [name for kind in optimizers.COUPLED for name in kind.variants()]
POINTS, REPLICAS, ITEMS, BATCHES = 2, 2, 12, [1, 3]
PROBLEMS = {
    "scale_invariant": lambda size: em.ScaleInvariant(size=size),
    "linear_regression": lambda size: em.LinearRegression(np.ones(size), batch_size=BATCHES),
    "reshuffled": lambda size: em.ReshuffledData(np.ones(size), size=ITEMS, batch_size=BATCHES),
    "replaced": lambda size: em.ReshuffledData(np.ones(size), size=ITEMS, batch_size=BATCHES, sampling="replaced"),
    "noisy_quadratic": lambda size: em.NoisyQuadratic(np.ones(size)),
    "random_walk": lambda size: em.RandomWalk(size=size),
}
# At least one of a pair couples the coordinates; the others are test_cuda.py's.
PAIRS = [(one, other) for one in PROBLEMS for other in OPTIMIZERS if one not in SEPARABLE or other in COUPLED]


def case(problem: Problem, optimizer: Optimizer, dtype: str, *, steps: int = 6, scale: float = 1.0) -> dict:
    """Arguments of `Reference.advance` with arbitrary numbers; the first step is in the middle of a Philox call."""
    rng = np.random.default_rng(3)
    counts = [len(kind._fields) for kind in (optimizer.State, problem.Coefficients, optimizer.Coefficients)]
    shape = (POINTS, REPLICAS, problem.coordinates)
    columns = scale * rng.uniform(0, 1, (counts[1], POINTS, problem.coordinates))
    if "batch_size" in problem.Coefficients._fields:
        columns[problem.Coefficients._fields.index("batch_size")] = np.resize(problem.batch_size, POINTS)[:, None]
    offsets = np.array([0, 1, steps])
    return {
        "problem": problem,
        "optimizer": optimizer,
        "state": (scale * rng.uniform(0, 1, (counts[0], *shape))).astype(dtype),
        "problem_coefficients": columns.astype(dtype),
        "coefficients": rng.uniform(0, 0.5, (POINTS, steps, counts[2])).astype(dtype),
        "first_step": 2**33 + 6,
        "seed": 2**63 + 11,
        "first_replica": 2**31 - 1,
        "point_numbers": np.array([0, 2**28 - 1], dtype=np.uint32),
        "snapshots_at": offsets,
        "snapshots": np.zeros((len(offsets), *shape), dtype=dtype),
    }


def assert_same_bits(arguments: dict, on_host: bool) -> None:
    wanted, seen = ({**arguments, **{key: arguments[key].copy() for key in ("state", "snapshots")}} for _ in range(2))
    Reference().advance(**wanted)
    words = backends.words_of(seen.pop("problem"), seen.pop("optimizer"))
    cuda.advance(on_host=on_host, **words, **seen)
    assert bits(seen["state"]) == bits(wanted["state"])
    assert bits(seen["snapshots"]) == bits(wanted["snapshots"])


@pytest.mark.parametrize("on_host", PLACES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("problem", "optimizer"), PAIRS)
def test_advance_has_the_bits_of_the_records(problem, optimizer, dtype, on_host):
    assert_same_bits(case(PROBLEMS[problem](70), OPTIMIZERS[optimizer], dtype), on_host)


@pytest.mark.parametrize("on_host", PLACES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize(
    ("problem", "optimizer"),
    [
        ("scale_invariant", "schedule_free_adamw"), ("linear_regression", "amos"), ("reshuffled", "adamw"),
        ("replaced", "sgd_l2"), ("noisy_quadratic", "adamp"),
    ],
)  # fmt: skip
def test_vectors_that_do_not_fill_their_blocks(problem, optimizer, size, dtype, on_host):
    if (problem, size) == ("scale_invariant", 1):
        size = 3  # one coordinate has no direction
    assert_same_bits(case(PROBLEMS[problem](size), OPTIMIZERS[optimizer], dtype), on_host)


@pytest.mark.parametrize("on_host", PLACES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", COUPLED)
def test_denormals_and_divergence(optimizer, dtype, on_host):
    for scale in (4 * float(np.finfo(dtype).smallest_normal), float(np.finfo(dtype).max) ** 0.6):
        assert_same_bits(case(PROBLEMS["noisy_quadratic"](70), OPTIMIZERS[optimizer], dtype, scale=scale), on_host)


@pytest.mark.parametrize("on_host", PLACES)
@pytest.mark.parametrize("items", [1, 2, 3, 5, 8, 63, 64, 65, 130])
def test_the_items_of_any_data_set_come_in_their_order(items, on_host):
    """An epoch and a half, one item a step, from the middle of an epoch on."""
    data = em.ReshuffledData([1.0], size=items)
    arguments = case(data, OPTIMIZERS["sgd_l2"], "float64", steps=items + items // 2 + 1)
    assert_same_bits({**arguments, "first_step": items // 3}, on_host)


@pytest.mark.parametrize("on_host", PLACES)
@pytest.mark.parametrize("problem", ["scale_invariant", "linear_regression", "reshuffled"])
def test_calls_in_parts_are_one_call(problem, on_host):
    arguments = case(PROBLEMS[problem](5), OPTIMIZERS["adamp"], "float32")
    whole = {**arguments, "state": arguments["state"].copy()}
    Reference().advance(**whole)
    words = backends.words_of(arguments.pop("problem"), arguments.pop("optimizer"))
    nothing = {"snapshots_at": arguments["snapshots_at"][:0], "snapshots": arguments["snapshots"][:0]}
    for first, last in ((0, 3), (3, 4), (4, 4), (4, 6)):
        part = np.ascontiguousarray(arguments["coefficients"][:, first:last])
        now = {**arguments, **nothing, "coefficients": part, "first_step": arguments["first_step"] + first}
        cuda.advance(on_host=on_host, **words, **now)
    assert bits(arguments["state"]) == bits(whole["state"])


def test_nothing_to_do_is_done():
    arguments = case(PROBLEMS["linear_regression"](3), OPTIMIZERS["adamp"], "float32")
    words = backends.words_of(arguments.pop("problem"), arguments.pop("optimizer"))
    for name in ("state", "problem_coefficients", "snapshots"):
        arguments[name] = arguments[name][..., :0]
    cuda.advance(on_host=True, **words, **arguments)


def test_wrong_batches():
    arguments = case(PROBLEMS["reshuffled"](3), OPTIMIZERS["adamw"], "float64")
    words = backends.words_of(arguments.pop("problem"), arguments.pop("optimizer"))
    with pytest.raises(ValueError, match="batch size must divide items=10, got 3"):
        cuda.advance(on_host=True, **{**words, "items": 10}, **arguments)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("problem", "optimizer"),
    [
        (em.ScaleInvariant(size=30), em.AdamP(lr=[0.01, 0.1], weight_decay=0.1)),
        (em.LinearRegression(1 / np.arange(1, 31), batch_size=[1, 4]), em.AdamW(lr=0.01, weight_decay=0.1)),
        (em.ReshuffledData(np.ones(3), size=12, batch_size=[2, 3]), em.SGD(lr=0.1)),
    ],
)
def test_simulate_gives_the_references_result(monkeypatch, problem, optimizer, dtype):
    run = dict(steps=14, schedule=em.Cosine(warmup=0.1), record=em.every(5), observables=problem.observables)
    run |= dict(replicas=range(60, 70), dtype=dtype, random_numbers="independent")
    wanted = em.simulate(problem, optimizer, **run, backend="reference")
    if NO_DEVICE:
        monkeypatch.setattr(backends, "Cuda", HostCuda)
        monkeypatch.setattr(native, "why_no_cuda", lambda: "")
    found = em.simulate(problem, optimizer, **run, backend="cuda")
    assert found.equals(wanted)
    assert '"cuda"' in found.attrs["run"]
