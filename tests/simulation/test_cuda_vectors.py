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
from ematheory.simulation.options import StepArrays
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
    "rayleigh_quotient": lambda size: em.RayleighQuotient(np.ones(size)),
    "linear_regression": lambda size: em.LinearRegression(np.ones(size), batch_size=BATCHES),
    "reshuffled": lambda size: em.ReshuffledData(np.ones(size), size=ITEMS, batch_size=BATCHES),
    "replaced": lambda size: em.ReshuffledData(np.ones(size), size=ITEMS, batch_size=BATCHES, sampling="replaced"),
    "noisy_quadratic": lambda size: em.NoisyQuadratic(np.ones(size)),
    "random_walk": lambda size: em.RandomWalk(size=size),
}
AVERAGES = 2
# What a step does besides; of the two points the norms clip one's gradients alone.
OPTIONS: dict[str, tuple[str, ...]] = {
    "clipped": ("clip_norm",),
    "averaged": ("averaging",),
    "drifting": ("drift",),
    "nearest": ("nearest",),
    "stochastic": ("stochastic",),
    "all": ("clip_norm", "averaging", "drift", "stochastic"),
}
OPTION_PAIRS = [
    ("noisy_quadratic", "adamw"), ("noisy_quadratic", "adamp"), ("random_walk", "sgd_l2"), ("scale_invariant", "amos"),
    ("rayleigh_quotient", "adamw"), ("scale_invariant", "schedule_free_adamw"), ("linear_regression", "lion"),
    ("reshuffled", "adamw"), ("replaced", "adamp"),
]  # fmt: skip
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


def with_options(arguments: dict, names: tuple[str, ...]) -> dict:
    """The same with options, whose arrays follow in the state and stand in the snapshots."""
    rng = np.random.default_rng(4)
    state, steps = arguments["state"], arguments["coefficients"].shape[1]
    averages, moving = AVERAGES * ("averaging" in names), int("drift" in names)
    copies = max(averages, 1) + moving
    numbers = rng.uniform(0, 1, (averages + moving, *state.shape[1:])).astype(state.dtype)
    snapshots = np.zeros((len(arguments["snapshots_at"]), POINTS * copies, *state.shape[2:]), state.dtype)
    options = StepArrays(
        clip_norm=np.array([0.3, 1e6]) if "clip_norm" in names else None,
        averaging=rng.uniform(0, 1, (steps, averages, 2)).astype(state.dtype) if averages else None,
        rounding=next((name for name in names if name in ("nearest", "stochastic")), ""),
        drift=rng.uniform(0, 1, (2, POINTS, state.shape[-1])).astype(state.dtype) if moving else None,
    )
    return {**arguments, "state": np.concatenate([state, numbers]), "snapshots": snapshots, "options": options}


def advance(arguments: dict, on_host: bool) -> None:
    """The module's `advance` of the arguments of `Reference.advance`."""
    given = dict(arguments)
    words = backends.words_of(given.pop("problem"), given.pop("optimizer"))
    options = given.pop("options", StepArrays())
    cuda.advance(on_host=on_host, **words, **options.given, **given)


def copied(arguments: dict) -> dict:
    return {**arguments, **{key: arguments[key].copy() for key in ("state", "snapshots")}}


def assert_same_bits(arguments: dict, on_host: bool) -> None:
    wanted, seen = copied(arguments), copied(arguments)
    Reference().advance(**wanted)
    advance(seen, on_host)
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
        ("scale_invariant", "schedule_free_adamw"), ("rayleigh_quotient", "adamp"), ("linear_regression", "amos"),
        ("reshuffled", "adamw"),
        ("replaced", "sgd_l2"), ("noisy_quadratic", "adamp"),
    ],
)  # fmt: skip
def test_vectors_that_do_not_fill_their_blocks(problem, optimizer, size, dtype, on_host):
    if problem in ("scale_invariant", "rayleigh_quotient") and size == 1:
        size = 3  # one coordinate has no direction
    assert_same_bits(case(PROBLEMS[problem](size), OPTIMIZERS[optimizer], dtype), on_host)


def is_of(dtype: str, option: str) -> bool:
    """Whether weights of the dtype take the option."""
    return dtype == "float32" or not {"nearest", "stochastic"} & set(OPTIONS[option])


@pytest.mark.parametrize("on_host", PLACES)
@pytest.mark.parametrize(
    ("dtype", "option"), [(dtype, name) for dtype in ("float32", "float64") for name in OPTIONS if is_of(dtype, name)]
)
@pytest.mark.parametrize(("problem", "optimizer"), OPTION_PAIRS)
def test_options_of_a_step(problem, optimizer, option, dtype, on_host):
    plain = case(PROBLEMS[problem](70), OPTIMIZERS[optimizer], dtype)
    asked = with_options(plain, OPTIONS[option])
    assert_same_bits(asked, on_host)
    # The option is seen at all; a random walk has no optimum that could move.
    Reference().advance(**plain)
    advance(asked, on_host)
    is_same = bits(asked["snapshots"][-1, 0]) == bits(plain["snapshots"][-1, 0])
    assert is_same == ((problem, option) == ("random_walk", "drifting"))


@pytest.mark.parametrize("on_host", PLACES)
@pytest.mark.parametrize("size", [1, 63, 64, 65, 200])
def test_options_of_vectors_that_do_not_fill_their_blocks(size, on_host):
    plain = case(PROBLEMS["noisy_quadratic"](size), OPTIMIZERS["adamw"], "float32")
    assert_same_bits(with_options(plain, OPTIONS["all"]), on_host)


@pytest.mark.parametrize("on_host", PLACES)
def test_ties_go_to_the_even_number(on_host):
    """Weights half between two that bfloat16 holds, and beside the middle, which steps of size 0 leave alone."""
    plain = case(PROBLEMS["random_walk"](70), OPTIMIZERS["sgd_l2"], "float32")
    words = plain["state"].view(np.uint32)
    words[:] = (words & np.uint32(0xFFFF0000)) | np.resize(np.uint32([0x8000, 0x7FFF, 0x8001]), words.shape)
    plain["coefficients"][:] = 0
    assert_same_bits(with_options(plain, OPTIONS["nearest"]), on_host)


@pytest.mark.parametrize("on_host", PLACES)
@pytest.mark.parametrize("option", OPTIONS)
def test_options_of_denormals_and_divergence(option, on_host):
    limits = np.finfo("float32")
    for scale in (4 * float(limits.smallest_normal), float(limits.max) ** 0.6, float(limits.max)):
        plain = case(PROBLEMS["noisy_quadratic"](70), OPTIMIZERS["adamw"], "float32", scale=scale)
        assert_same_bits(with_options(plain, OPTIONS[option]), on_host)


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
@pytest.mark.parametrize("options", [(), OPTIONS["all"]])
@pytest.mark.parametrize("problem", ["scale_invariant", "linear_regression", "reshuffled"])
def test_calls_in_parts_are_one_call(problem, options, on_host):
    arguments = with_options(case(PROBLEMS[problem](5), OPTIMIZERS["adamp"], "float32"), options)
    whole = copied(arguments)
    Reference().advance(**whole)
    nothing = {"snapshots_at": arguments["snapshots_at"][:0], "snapshots": arguments["snapshots"][:0]}
    asked = arguments["options"]
    for first, last in ((0, 3), (3, 4), (4, 4), (4, 6)):
        part = np.ascontiguousarray(arguments["coefficients"][:, first:last])
        shares = None if asked.averaging is None else asked.averaging[first:last]
        now = {**arguments, **nothing, "coefficients": part, "first_step": arguments["first_step"] + first}
        advance({**now, "options": asked._replace(averaging=shares)}, on_host)
    assert bits(arguments["state"]) == bits(whole["state"])


@pytest.mark.parametrize("options", [(), OPTIONS["all"]])
def test_nothing_to_do_is_done(options):
    arguments = with_options(case(PROBLEMS["linear_regression"](3), OPTIMIZERS["adamp"], "float32"), options)
    for name in ("state", "problem_coefficients", "snapshots"):
        arguments[name] = arguments[name][..., :0]
    if options:
        arguments["options"] = arguments["options"]._replace(drift=arguments["options"].drift[..., :0])
    advance(arguments, True)


@pytest.mark.parametrize("on_host", PLACES)
def test_a_part_of_a_vectors_columns_has_the_noise_of_its_place(on_host):
    """Where nothing couples the coordinates, those from one on are stepped as they are among all."""
    arguments = with_options(case(PROBLEMS["noisy_quadratic"](70), OPTIMIZERS["adamw"], "float32"), ("stochastic",))
    whole, part = copied(arguments), copied(arguments)
    Reference().advance(**whole)
    for name in ("state", "problem_coefficients", "snapshots"):
        part[name] = np.ascontiguousarray(part[name][..., 3:])
    advance({**part, "first_column": 3}, on_host)
    assert bits(part["state"]) == bits(whole["state"][..., 3:])


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
        (em.RayleighQuotient(1 / np.arange(1, 31), batch_size=[1, 4]), em.AdamW(lr=0.01, weight_decay=0.1)),
        (em.LinearRegression(1 / np.arange(1, 31), batch_size=[1, 4]), em.AdamW(lr=0.01, weight_decay=0.1)),
        (em.ReshuffledData(np.ones(3), size=12, batch_size=[2, 3]), em.SGD(lr=0.1)),
    ],
)
def test_simulate_gives_the_references_result(monkeypatch, problem, optimizer, dtype):
    run = dict(steps=14, schedule=em.Cosine(warmup=0.1), record=em.every(5), observables=problem.observables)
    run |= dict(replicas=range(60, 70), dtype=dtype, random_numbers="independent")
    assert_same_result(monkeypatch, problem, optimizer, run)


def assert_same_result(monkeypatch, problem: Problem, optimizer: Optimizer, run: dict) -> None:
    """A run by the backend, on a device if any, is the reference's."""
    wanted = em.simulate(problem, optimizer, **run, backend="reference")
    if NO_DEVICE:
        monkeypatch.setattr(backends, "Cuda", HostCuda)
        monkeypatch.setattr(native, "why_no_cuda", lambda: "")
    found = em.simulate(problem, optimizer, **run, backend="cuda")
    assert found.equals(wanted)
    assert '"cuda"' in found.attrs["run"]


@pytest.mark.parametrize(
    "options",
    [
        {"clip_norm": [0.1, 1.0, 1e9]},
        {"iterate_average": [0.5, 0.9], "weights": "bfloat16"},
        {"tail_average": 0.5, "clip_norm": 1.0, "weights": "bfloat16", "rounding": "stochastic"},
    ],
)
@pytest.mark.parametrize("drift", [0.0, 0.2])
def test_simulate_with_options_gives_the_references_result(monkeypatch, options, drift):
    problem = em.NoisyQuadratic(1 / np.arange(1, 31), drift=drift, drift_reversion=drift / 2)
    run = dict(steps=14, record=em.every(5), replicas=range(60, 70), dtype="float32", lags=[0, 2], **options)
    assert_same_result(monkeypatch, problem, em.AdamW(lr=[0.01, 0.1], weight_decay=0.1), run)


@pytest.mark.parametrize(
    ("problem", "optimizer"),
    [
        (em.ScaleInvariant(size=75), em.SGD(lr=[0.05, 0.1], weight_decay=0.1)),
        (em.ScaleInvariant(size=75), em.Amos(lr=0.01, scale=0.3)),
        (em.RayleighQuotient(1 / np.arange(1, 76)), em.SGD(lr=[0.05, 0.1], weight_decay=0.1)),
        (em.ReshuffledData(np.ones(75), size=12, batch_size=3), em.AdamP(lr=0.01, weight_decay=0.1)),
    ],
)
def test_simulate_steps_groups_as_vectors_of_their_own(monkeypatch, problem, optimizer):
    run = dict(steps=7, replicas=range(60, 70), groups=[70, 2, 3], observables=("weight_norm", "weight_mean"))
    assert_same_result(monkeypatch, problem, optimizer, run)


def test_auto_takes_a_device_for_options_and_not_for_groups(monkeypatch):
    monkeypatch.setattr(backends, "Cuda", HostCuda)
    monkeypatch.setattr(native, "why_no_cuda", lambda: "")
    asked = ("auto", "auto", None, em.ScaleInvariant(size=4), em.SGD(lr=0.1), 2**40)
    assert backends.choose(*asked, options=("clip_norm",)).name == "cuda"
    assert backends.choose(*asked, groups=(2, 2)).name == "cpu"
