"""The native engine against a plain NumPy loop through the records' own functions, bit for bit, and its refusals."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from test_noise import KNOWN_ANSWERS

from ematheory import optimizers, problems
from ematheory.native import cuda_module
from ematheory.simulation import arrays
from ematheory.simulation.normal import normals

native = pytest.importorskip("ematheory._native", reason="the native engine was not built")

CSRC = Path(__file__).parents[2] / "csrc"
ISAS = native.isas()
OPTIMIZERS = {name: record for kind in optimizers.RECORDS for name, record in kind.variants().items()}
PROBLEMS = {name: record for kind in problems.RECORDS for name, record in kind.variants().items()}
POINTS, REPLICAS, COORDINATES, STEPS = 2, 3, 37, 11


def case(problem: str, optimizer: str, dtype: str, *, size: float = 1.0, scale: float = 0.5, seed: int = 0) -> dict:
    """Arguments of `advance` with arbitrary numbers; the first step is in the middle of a Philox call."""
    rng = np.random.default_rng(seed)
    state_size = len(OPTIMIZERS[optimizer].State._fields)
    coefficient_count = len(OPTIMIZERS[optimizer].Coefficients._fields)
    problem_count = len(PROBLEMS[problem].Coefficients._fields)
    offsets = np.array([0, 1, 6, STEPS])
    return {
        "problem": problem,
        "optimizer": optimizer,
        "state": (size * rng.uniform(0, 1, (state_size, POINTS, REPLICAS, COORDINATES))).astype(dtype),
        "problem_coefficients": (size * rng.uniform(0, 1, (problem_count, POINTS, COORDINATES))).astype(dtype),
        "coefficients": (scale * rng.uniform(0, 1, (POINTS, STEPS, coefficient_count))).astype(dtype),
        "first_step": 2**33 + 6,
        "seed": 2**63 + 11,
        "first_replica": 2**31 - 2,
        "point_numbers": np.array([0, 2**28 - 1], dtype=np.uint32),
        "snapshots_at": offsets,
        "snapshots": np.zeros((len(offsets), POINTS, REPLICAS, COORDINATES), dtype=dtype),
    }


def resized(arguments: dict, cells: int) -> dict:
    """The same with another number of coordinates."""
    arrays_of = ("state", "problem_coefficients", "snapshots")
    shaped = {name: np.resize(arguments[name], (*arguments[name].shape[:-1], cells)) for name in arrays_of}
    return {**arguments, **{name: np.ascontiguousarray(values) for name, values in shaped.items()}}


def of_many_points(arguments: dict, points: int) -> dict:
    """The same for another number of points, every other coefficient being one number at all steps."""
    axes = {"state": 1, "problem_coefficients": 1, "coefficients": 0, "snapshots": 1}
    taken = {name: np.take(arguments[name], np.arange(points) % POINTS, axis) for name, axis in axes.items()}
    rng = np.random.default_rng(points)
    taken["coefficients"] = taken["coefficients"] * rng.uniform(0.5, 1, (points, 1, 1)).astype(taken["state"].dtype)
    taken["coefficients"][..., ::2] = taken["coefficients"][:, :1, ::2]
    return {**arguments, **taken, "point_numbers": rng.integers(0, 2**28, points, dtype=np.uint32)}


def plain_loop(arguments: dict) -> tuple[np.ndarray, np.ndarray]:
    """The final state and the snapshots, one step after another in the state's dtype."""
    problem, optimizer = PROBLEMS[arguments["problem"]], OPTIMIZERS[arguments["optimizer"]]
    state, c = arguments["state"].copy(), arguments["coefficients"]
    replicas = arguments["first_replica"] + np.arange(state.shape[2])
    numbers = np.arange(c.shape[1]) + arguments["first_step"]
    noise = normals(arguments["seed"], numbers, range(state.shape[3]), replicas, arguments["point_numbers"])
    weights = [state[0].copy()]
    with np.errstate(all="ignore"):
        for point, step in product(range(state.shape[1]), range(c.shape[1])):
            now = optimizer.Coefficients(*c[point, step])
            of_problem = problem.Coefficients(*arguments["problem_coefficients"][:, point, None])
            old = optimizer.State(*state[:, point])
            at = optimizer.point(arrays, old, now)
            gradient = problem.gradient(arrays, at, noise[step, point].astype(state.dtype), of_problem)
            state[:, point] = np.stack(optimizer.update(arrays, old, gradient, now))
            weights += [np.empty_like(weights[0])] if point == 0 else []
            weights[step + 1][point] = state[0, point]
    return state, np.stack(weights)[arguments["snapshots_at"]]


def bits(values: np.ndarray) -> bytes:
    """The bits, NaN being NaN whatever its payload."""
    return np.where(np.isnan(values), np.nan, values).astype(values.dtype).tobytes()


def assert_same_bits(arguments: dict, isa: str, threads: int) -> None:
    state, snapshots = plain_loop(arguments)
    copy = {**arguments, "state": arguments["state"].copy(), "snapshots": arguments["snapshots"].copy()}
    native.advance(isa=isa, threads=threads, **copy)
    assert bits(copy["state"]) == bits(state)
    assert bits(copy["snapshots"]) == bits(snapshots)


def test_module_holds_every_variant():
    assert native.optimizers() == [*OPTIMIZERS, "adamp", "amos"]
    assert native.problems() == [*PROBLEMS, *(kind.name for kind in problems.COUPLED)]
    assert ISAS[0] == "portable"


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_known_answers(counter, key, words):
    assert native.philox(counter, key[0] | key[1] << 32) == words


@pytest.mark.parametrize("isa", ISAS)
def test_contraction_is_off(isa):
    assert native.contraction_is_off(isa)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(("columns", "replicas", "steps"), [(1, 1, 1), (1, 300, 9), (37, 11, 50), (1000, 2, 33)])
def test_normals_have_numpys_bits(isa, columns, replicas, steps):
    numbers = {"first_step": 2**34 - 64, "steps": steps, "columns": columns, "replicas": replicas}
    seen = native.normals(isa=isa, seed=2**64 - 3, first_replica=2**32 - 300, point=2**28 - 1, **numbers)
    steps_of = np.arange(steps) + 2**34 - 64
    wanted = normals(2**64 - 3, steps_of, range(columns), np.arange(replicas) + 2**32 - 300, 2**28 - 1)
    assert seen.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_advance_has_the_bits_of_the_records(optimizer, problem, dtype):
    arguments = case(problem, optimizer, dtype)
    for isa, threads in product(ISAS, (1, 2, 3)):
        assert_same_bits(arguments, isa, threads)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_denormals_and_divergence(optimizer, dtype, isa):
    tiny = float(np.finfo(dtype).smallest_normal)
    small = case("noisy_quadratic", optimizer, dtype, size=4 * tiny)
    state, _ = plain_loop(small)
    assert ((np.abs(state) < tiny) & (state != 0)).any()
    assert_same_bits(small, isa, 2)
    large = case("noisy_quadratic", optimizer, dtype, size=float(np.finfo(dtype).max) ** 0.25, scale=1e9)
    state, _ = plain_loop(large)
    # A step of one size cannot diverge.
    assert np.isfinite(state).all() == (optimizer.split("_")[0] in ("lion", "signsgd") and dtype == "float64")
    assert_same_bits(large, isa, 2)


@pytest.mark.parametrize("cells", [1, 127, 128, 129, 300])
def test_tiles_that_do_not_fill(cells):
    assert_same_bits(resized(case("noisy_quadratic", "adamw", "float32"), cells), ISAS[-1], 2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_points_of_few_cells_share_tiles(optimizer, problem, dtype):
    arguments = of_many_points(resized(case(problem, optimizer, dtype), 5), 9)
    for isa in ISAS:
        assert_same_bits(arguments, isa, 2)


@pytest.mark.parametrize("cells", [1, 5, 6])
@pytest.mark.parametrize("points", [1, 2, 43, 130])
def test_points_that_do_not_fill_tiles(cells, points):
    """Three replicas of 5 coordinates still share tiles, of 6 they do not."""
    arguments = of_many_points(resized(case("noisy_quadratic", "adamw", "float32"), cells), points)
    assert_same_bits(arguments, ISAS[-1], 2)


@pytest.mark.parametrize("cells", [1, COORDINATES])
def test_calls_in_parts_are_one_call(cells):
    arguments = resized(case("noisy_quadratic", "adamw", "float32"), cells)
    whole, _ = plain_loop(arguments)
    nothing = {"snapshots_at": arguments["snapshots_at"][:0], "snapshots": arguments["snapshots"][:0]}
    for first, last in ((0, 3), (3, 4), (4, 4), (4, STEPS)):
        part = np.ascontiguousarray(arguments["coefficients"][:, first:last])
        now = {**arguments, **nothing, "coefficients": part, "first_step": arguments["first_step"] + first}
        native.advance(isa=ISAS[-1], threads=2, **now)
    assert bits(arguments["state"]) == bits(whole)


def test_callers_flush_to_zero_changes_nothing():
    torch = pytest.importorskip("torch")
    small = case("noisy_quadratic", "adamw", "float32", size=4 * float(np.finfo("float32").smallest_normal))
    state, _ = plain_loop(small)
    if not torch.set_flush_denormal(True):
        pytest.skip("this CPU has no flush-to-zero")
    try:
        native.advance(isa=ISAS[-1], threads=1, **small)
    finally:
        torch.set_flush_denormal(False)
    assert bits(small["state"]) == bits(state)


def update_case(optimizer: str, dtype: str, *, rows: int = 3, columns: int = COORDINATES, scale: float = 1.0) -> dict:
    """Arguments of `update`, every state member a row's with its own numbers."""
    rng = np.random.default_rng(rows)
    members = len(OPTIMIZERS[optimizer].State._fields)
    coefficients = rng.uniform(0, 1, (rows, len(OPTIMIZERS[optimizer].Coefficients._fields)))
    return {
        "optimizer": optimizer,
        "state": [(scale * rng.uniform(0, 1, (rows, columns))).astype(dtype) for _ in range(members)],
        "gradient": (scale * rng.standard_normal((rows, columns))).astype(dtype),
        "coefficients": coefficients.astype(dtype),
    }


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_update_has_the_bits_of_the_records(optimizer, dtype, isa):
    """Also of denormals, and where the last vector of lanes is not full."""
    record = OPTIMIZERS[optimizer]
    for scale in (1.0, 1e-40 if dtype == "float32" else 1e-310):
        arguments = update_case(optimizer, dtype, scale=scale)
        c = record.Coefficients(*arguments["coefficients"].T[..., None])
        with np.errstate(all="ignore"):
            wanted = record.update(arrays, record.State(*arguments["state"]), arguments["gradient"], c)
        wanted = [np.array(values, copy=True) for values in wanted]
        native.update(isa=isa, **arguments)
        assert [bits(values) for values in arguments["state"]] == [bits(values) for values in wanted]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "adamp"}, "adamp takes sums over a vector"),
        ({"optimizer": "adamx"}, "optimizer must be one of 'adamw', .*, got 'adamx'"),
        ({"state": []}, "state must hold 3 arrays, got 0"),
        ({"gradient": np.zeros(3)}, "gradient must have 2 dimensions"),
        ({"gradient": np.zeros((3, COORDINATES), dtype=np.int64)}, "gradient must be float32, got int64"),
        ({"gradient": np.zeros((3, COORDINATES))}, "coefficients must be float64, got float32"),
        ({"gradient": np.zeros((COORDINATES, 3), dtype=np.float32).T}, "gradient must be C-contiguous"),
        ({"coefficients": np.zeros((1, 8), dtype=np.float32)}, r"coefficients must have shape \(3, 8\), got \(1, 8\)"),
        ({"isa": "vax"}, "isa must be one of"),
    ],
)
def test_wrong_updates(changes, message):
    with pytest.raises(ValueError, match=message):
        native.update(**{"isa": ISAS[0], **update_case("adamw", "float32"), **changes})


def test_progress_is_reported_and_its_error_stops_the_run():
    shares = []
    native.advance(isa=ISAS[-1], threads=1, progress=shares.append, **case("random_walk", "sgd_l2", "float64"))
    assert shares[-1] == 1.0

    def fail(share):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        native.advance(isa=ISAS[-1], threads=1, progress=fail, **case("random_walk", "sgd_l2", "float64"))


WRONG = {
    "isa": ("sparc", "isa must be one of 'portable'"),
    "problem": ("walk", "problem must be one of 'noisy_quadratic', 'random_walk', .*, got 'walk'"),
    "optimizer": ("adamax", "optimizer must be one of 'adamw'"),
    "threads": (0, "threads must be at least 1, got 0"),
    "first_step": (2**34, "first_step"),
    "first_replica": (2**32 - 1, r"first_replica \+ replicas"),
    "point_numbers": (np.array([0, 2**28], dtype=np.uint32), "point_numbers"),
    "snapshots_at": (np.array([0, 6, 1, STEPS]), r"increasing numbers in 0…11, got 1 at place 2"),
    "state": (np.zeros((2, POINTS, REPLICAS, COORDINATES)), r"state must have shape \(3, 2, 3, 37\), got \(2"),
    "problem_coefficients": (np.zeros((3, POINTS, COORDINATES), "float32"), "must be float64, got float32"),
    "coefficients": (np.zeros((POINTS, 2 * STEPS, 8))[:, ::2], "coefficients must be C-contiguous"),
    "first_column": (5, "first_column is for vectors without samples, got 5"),
    "items": (4, "items are for problems with a data set, got 4 for noisy_quadratic"),
    "snapshots": (np.zeros((3, POINTS, REPLICAS, COORDINATES)), "snapshots must have shape"),
    "clip_norm": (np.ones(POINTS + 1), r"clip_norm must have shape \(2,\), got \(3,\)"),
    "averaging": (np.ones((STEPS, 2)), "averaging must have 3 dimensions"),
    "rounding": ("nearest", "rounding to bfloat16 is of float32 weights"),
    "drift": (np.ones((2, POINTS, COORDINATES)), r"state must have shape \(4, 2, 3, 37\), got \(3"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments(name):
    value, message = WRONG[name]
    arguments = {"isa": ISAS[-1], "threads": 1, **case("noisy_quadratic", "adamw", "float64"), name: value}
    with pytest.raises(ValueError, match=message):
        native.advance(**arguments)


BATCHES = {
    "items": (0, "items must be at least 1, got 0"),
    "problem_coefficients": (np.full((4, POINTS, COORDINATES), 1.5), "batch size must be a whole number .*, got 1.5"),
    "is_replaced": (False, "batch size must divide items=3, got 2"),
    "first_step": (2**34 - STEPS, r"epochs must stay below 4294967296, got 1717986"),
}


@pytest.mark.parametrize("name", BATCHES)
def test_wrong_batches(name):
    value, message = BATCHES[name]
    right = case("noisy_quadratic", "adamw", "float64")
    data = {"problem": "reshuffled_data", "problem_coefficients": np.ones((4, POINTS, COORDINATES)), "items": 1}
    if name == "is_replaced":
        data |= {"problem_coefficients": 2 * data["problem_coefficients"], "items": 3}
    if name == "first_step":
        data |= {"problem_coefficients": 8 * data["problem_coefficients"], "items": 8}
    with pytest.raises(ValueError, match=message):
        native.advance(isa=ISAS[-1], threads=1, **{**right, **data, name: value})


@pytest.mark.parametrize(
    ("column", "message"),
    [(-1, "at least 0, got -1"), (2**32, r"first_column \+ coordinates"), (2**62, "first_column")],
)
def test_wrong_columns(column, message):
    data = {"problem": "scale_invariant", "problem_coefficients": np.ones((1, POINTS, COORDINATES))}
    with pytest.raises(ValueError, match=message):
        native.advance(
            isa=ISAS[-1], threads=1, first_column=column, **{**case("noisy_quadratic", "adamw", "float64"), **data}
        )


def test_float16_is_refused():
    arguments = case("noisy_quadratic", "adamw", "float64")
    with pytest.raises(ValueError, match="state must be float32 or float64, got float16"):
        native.advance(isa=ISAS[-1], threads=1, **{**arguments, "state": arguments["state"].astype("float16")})


LONG_RUN = """
import signal
import numpy as np
from ematheory import _native

seen = []
def interrupted(number, frame):
    raise KeyboardInterrupt
signal.signal(signal.SIGINT, interrupted)
steps, cells = 2_000_000, 50_000
started = False
def progress(share):
    global started
    if not started:
        started = True
        print("started", flush=True)
try:
    _native.advance(
        isa=_native.isas()[0], problem="random_walk", optimizer="sgd_l2", state=np.zeros((2, 1, 1, cells)),
        problem_coefficients=np.ones((1, 1, cells)), coefficients=np.full((1, steps, 3), 1e-3), first_step=0, seed=0,
        first_replica=0, point_numbers=np.zeros(1, np.uint32), snapshots_at=np.zeros(0, np.int64),
        snapshots=np.zeros((0, 1, 1, cells)), threads=2, progress=progress,
    )
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_interrupt_stops_a_long_run():
    """Which would take minutes more; benchmarks/interrupt.py says how soon."""
    with subprocess.Popen([sys.executable, "-c", LONG_RUN], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "started\n"
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=60)[0] == "interrupted\n"


EXPORTS = {
    "engine": ["advance", "cells_per_tile", "contraction_is_off", "normals"],
    "coupled": ["advance_vector"],
    "moments": ["cells_per_moments_tile", "moments"],
    "update": ["update"],
}


@pytest.mark.skipif(not (shutil.which("g++") and shutil.which("nm")), reason="needs g++ and nm")
@pytest.mark.parametrize("kernel", EXPORTS)
def test_kernels_export_no_shared_symbols(kernel, tmp_path):
    target = tmp_path / "engine.o"
    level = [f"-march={ISAS[-1]}"] if ISAS[-1] != "portable" else []
    flags = ["-O0", "-std=c++17", "-fno-exceptions", "-DEMATHEORY_LEVEL=test", *level]
    subprocess.run(["g++", "-c", *flags, str(CSRC / "cpu" / f"{kernel}.cpp"), "-o", str(target)], check=True)
    listed = subprocess.run(["nm", "-C", str(target)], check=True, capture_output=True, text=True).stdout.splitlines()
    kinds = {line.split(maxsplit=2)[-1]: line[17:18] for line in listed}
    assert [name for name, kind in kinds.items() if kind in "WVu"] == []
    assert sorted(name for name, kind in kinds.items() if kind == "T") == [
        f"ematheory_test_{name}" for name in EXPORTS[kernel]
    ]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc")
@pytest.mark.parametrize("source", ["engine.cu", "vectors.cu"])
def test_the_cuda_engine_compiles_for_every_generation(source, tmp_path):
    listed = subprocess.run(["nvcc", "--list-gpu-arch"], check=True, capture_output=True, text=True).stdout.split()
    first = {arch[:-1]: arch for arch in reversed(listed)}.values()
    exact = ["-fmad=false", "-prec-div=true", "-prec-sqrt=true", "-ftz=false", "-Werror", "all-warnings"]
    targets = [f"-gencode=arch={arch},code={arch.replace('compute', 'sm')}" for arch in first]
    output = ["-o", str(tmp_path / "engine.o")]
    subprocess.run(["nvcc", "-std=c++17", *exact, *targets, "-c", str(CSRC / "cuda" / source), *output], check=True)


@pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc")
def test_the_cuda_module_was_built_where_nvcc_is():
    # It is optional, so that a failing compile would otherwise pass unseen.
    assert cuda_module() is not None
