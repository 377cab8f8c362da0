"""Cached, resumed and shared-out runs: the same bits, no run done twice, and nothing left behind."""

from __future__ import annotations

import dataclasses
import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import sweep_to_kill
import torch
from published_files import write_tokens

import ematheory as em
from ematheory.results import same_result
from ematheory.training import Group, workers
from ematheory.training.cache import Cache, Keeping, code_of
from ematheory.training.determinism import deterministic
from ematheory.training.request import Job, Request, observe

TASK = em.tasks.digits_mlp(width=8, depth=1)
ADAMW = em.AdamW(lr=1e-2, weight_decay=0.1)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def counted(monkeypatch) -> list[Job]:
    """The jobs that are run from here on."""
    ran = []
    monkeypatch.setattr(workers, "observe", lambda *given: ran.append(given[1]) or observe(*given))
    return ran


def test_a_second_call_does_no_run_again(tmp_path, monkeypatch):
    ran = counted(monkeypatch)
    settings = dict(epochs=2, seeds=(0, 1), observables=("train_loss", "rotation", "parameter_norm"))
    first = em.train(TASK, ADAMW, cache=tmp_path / "runs", **settings)
    stored = contents(tmp_path / "runs")
    again = em.train(TASK, ADAMW, cache=tmp_path / "runs", **settings)
    assert len(ran) == 2
    assert same_result(first, again)
    assert same_result(first, em.train(TASK, ADAMW, **settings))
    wider = em.train(TASK, em.AdamW(lr=[1e-2, 1e-3], weight_decay=0.1), cache=tmp_path / "runs", **settings)
    assert len(ran) == 2 + 2 + 2
    assert wider.sel(lr=1e-2).train_loss.equals(first.train_loss.assign_coords(lr=1e-2))
    assert stored.items() <= contents(tmp_path / "runs").items()


def test_the_same_files_in_another_folder_are_the_same_data(tmp_path, monkeypatch):
    """Moved, or named from where one stands; other files in the same folder are not."""
    ran, settings = counted(monkeypatch), dict(epochs=1, batch_size=8, cache=tmp_path / "runs")
    small = dict(width=8, depth=1, heads=2, context=8)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    write_tokens(first)
    shutil.copytree(first, second)
    monkeypatch.chdir(tmp_path)
    found = [em.train(em.tasks.tokens(folder, **small), ADAMW, **settings) for folder in (first, second, "first")]
    assert len(ran) == 1
    assert all(one.drop_attrs().identical(found[0].drop_attrs()) for one in found)
    write_tokens(first, count=201)
    em.train(em.tasks.tokens(first, **small), ADAMW, **settings)
    assert len(ran) == 2


REQUEST = Request(
    task=TASK, per_epoch=22, batch_size=64, schedule=np.ones(22), decay_schedule=np.ones(22),
    recorded=frozenset([0, 22]), observables=("train_loss",),
)  # fmt: skip
CHANGES = {
    "task": em.tasks.digits_mlp(width=9, depth=1), "batch_size": 32, "schedule": np.full(22, 0.5),
    "decay_schedule": np.full(22, 0.5), "recorded": frozenset([0, 21]), "observables": ("test_loss",),
    "dtype": "float32", "foreach": True, "accumulate": 2, "clip_norm": 1.0, "groups": (Group("biases.*", lr=2),),
    "evaluate": 10,
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_all_that_can_change_the_answer_is_in_the_key(name, tmp_path):
    job = Job(ADAMW, 0)
    changed = dataclasses.replace(REQUEST, **{name: CHANGES[name]})
    assert Cache(tmp_path, 60, REQUEST).path(job) != Cache(tmp_path, 60, changed).path(job)


def test_every_setting_but_the_device_is_tried():
    derived = {"per_epoch", "device"}
    assert {field.name for field in dataclasses.fields(Request)} == {*CHANGES, *derived}


def test_point_seed_data_code_torch_and_device_are_in_the_key(tmp_path, monkeypatch):
    keys = [Cache(tmp_path, 60, REQUEST).path(Job(record, seed)) for record, seed in ((ADAMW, 0), (ADAMW, 1))]
    keys.append(Cache(tmp_path, 60, REQUEST).path(Job(em.AdamW(lr=1e-2, weight_decay=0.2), 0)))
    for name in ("digest_of", "package_code", "kind_of", "code_of"):
        with monkeypatch.context() as patched:
            patched.setattr(f"ematheory.training.cache.{name}", lambda *_: "other")
            keys.append(Cache(tmp_path, 60, REQUEST).path(Job(ADAMW, 0)))
    monkeypatch.setattr(torch, "__version__", "0")
    keys.append(Cache(tmp_path, 60, REQUEST).path(Job(ADAMW, 0)))
    assert len(set(keys)) == len(keys)


OPTIMIZERS = [
    em.AdamW(lr=1e-2, weight_decay=0.1), em.SGD(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    em.NAdam(lr=1e-3), em.RMSprop(lr=1e-3, momentum=0.5), em.Lion(lr=1e-3, weight_decay=0.1),
    em.ScheduleFreeAdamW(lr=1e-2), em.Amos(lr=1e-2),
]  # fmt: skip


class Stopped(Exception):
    """Raised in mid-run."""


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_a_run_goes_on_to_the_same_bits(optimizer, dtype, tmp_path, monkeypatch):
    """Stopped in the second epoch, after a checkpoint at a step that is no epoch's end."""
    settings = dict(epochs=3, record=em.every(7), schedule=em.Cosine(warmup=0.1), dtype=dtype, clip_norm=1.0)
    whole = em.train(TASK, optimizer, **settings)
    keep = Keeping.keep

    def stopping(self, run, rows):
        if run.step_count == 31:
            self.next_write = 0
            keep(self, run, rows)
        if run.step_count == 40:
            raise Stopped

    with monkeypatch.context() as patched:
        patched.setattr(Keeping, "keep", stopping)
        with pytest.raises(Stopped):
            em.train(TASK, optimizer, cache=tmp_path, **settings)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    steps = []
    monkeypatch.setattr(Keeping, "keep", lambda self, run, rows: steps.append(run.step_count))
    assert same_result(em.train(TASK, optimizer, cache=tmp_path, **settings), whole)
    assert steps[0] == 32
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]


def test_an_early_checkpoint_keeps_nadams_float32_product_of_momenta():
    """Later it is 0; torch's own load_state_dict makes it the weights' dtype."""
    job = Job(em.NAdam(lr=1e-2), 0)
    with deterministic():
        one, other = REQUEST.run(job), REQUEST.run(job)
        for _ in range(3):
            one.step()
        other.go_to(one.state())
        for run in (one, other):
            run.step()
    assert torch.equal(one.weights(), other.weights())


def killed_after(folder: Path, processes: int, epochs: int) -> list[int]:
    """Start the sweep in a process of its own and SIGKILL it after so many epochs; returns its children then."""
    arguments = [sys.executable, sweep_to_kill.__file__, str(folder), str(processes)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."}) as sweep:
        for line in sweep.stdout:
            if int(line) >= epochs:
                break
        children = subprocess.run(["pgrep", "-P", str(sweep.pid)], capture_output=True, text=True, check=False).stdout
        sweep.send_signal(signal.SIGKILL)
    return [int(each) for each in children.split()]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_killed_sweep_ends_with_the_same_stored_bytes(processes, tmp_path, monkeypatch):
    sweep_to_kill.sweep(str(tmp_path / "whole"), 1)
    killed_after(tmp_path / "killed", processes, 15)
    time.sleep(0.5)
    left = contents(tmp_path / "killed")
    done = [name for name in left if name.endswith(".npz") and not name.startswith(".")]
    assert len(done) < 3
    assert [name for name in left if name.endswith(".part")]
    ran = counted(monkeypatch)
    sweep_to_kill.sweep(str(tmp_path / "killed"), 1)
    assert len(ran) == 3 - len(done)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.slow
def test_no_worker_outlives_a_killed_sweep(tmp_path):
    children = killed_after(tmp_path / "killed", 2, 1)
    time.sleep(1.0)
    assert len(children) >= 2
    assert not [each for each in children if alive(each)]


def test_workers_give_the_same_bits_in_the_same_order(tmp_path):
    optimizer = em.AdamW(lr=[1e-3, 1e-2], weight_decay=0.1)
    seen = []
    several = em.train(
        TASK, optimizer, epochs=2, seeds=(0, 1), workers=2, progress=lambda done, total: seen.append((done, total))
    )
    assert same_result(several, em.train(TASK, optimizer, epochs=2, seeds=(0, 1)))
    assert seen == [(done, 8) for done in range(1, 9)]


@pytest.mark.slow
def test_an_error_in_a_worker_is_raised_and_ends_the_others():
    groups = [Group("no_such_parameter")]
    with pytest.raises(ValueError, match="holds no parameter"):
        em.train(TASK, ADAMW, epochs=1, seeds=(0, 1), workers=2, groups=groups)


@pytest.mark.slow
def test_ctrl_c_ends_the_workers():
    """The callback's KeyboardInterrupt stands for the terminal's."""

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        em.train(TASK, ADAMW, epochs=500, seeds=(0, 1), workers=2, progress=interrupt)
    import multiprocessing

    assert multiprocessing.active_children() == []


def test_a_task_of_a_function_cannot_be_shared_out():
    class Local(type(TASK)):
        pass

    with pytest.raises(TypeError, match="define them in a module, or use workers=1"):
        em.train(Local(width=8, depth=1), ADAMW, epochs=1, seeds=(0, 1), workers=2)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"cache": 3}, TypeError, "cache must be the path of a folder"),
        ({"cache": __file__}, ValueError, "is a file"),
        ({"cache": "/no/such/parent"}, ValueError, "no folder '/no/such'"),
        ({"cache": "runs", "checkpoint_every": -1}, ValueError, "checkpoint_every"),
        ({"cache": ""}, ValueError, "got an empty one"),
        ({"cache": "/proc"}, ValueError, "cannot be written to"),
        ({"workers": 0}, ValueError, "workers must be"),
    ],
)
def test_wrong_settings(given, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        em.train(TASK, ADAMW, epochs=1, **given)


@pytest.mark.parametrize("suffix", [".npz", ".part"])
def test_a_damaged_file_is_named(suffix, tmp_path):
    em.train(TASK, ADAMW, epochs=1, cache=tmp_path)
    (stored,) = tmp_path.iterdir()
    stored.with_suffix(suffix).write_bytes(b"PK not one")
    if suffix == ".part":
        stored.unlink()
    with pytest.raises(ValueError, match=r"cannot be read .* delete it"):
        em.train(TASK, ADAMW, epochs=1, cache=tmp_path)


def test_what_another_program_kept_is_no_run_under_way(tmp_path):
    em.train(TASK, ADAMW, epochs=1, cache=tmp_path)
    (stored,) = tmp_path.iterdir()
    stored.unlink()
    torch.save({"epoch": 1}, stored.with_suffix(".part"))
    with pytest.raises(ValueError, match=r"cannot be read .* delete it"):
        em.train(TASK, ADAMW, epochs=1, cache=tmp_path)


TYPED = """
from ematheory.training.tasks import Task

class Typed(Task):
    def loss(self, outputs, targets):
        return {factor} * outputs.square().mean() if targets.dtype in {{"a", "b", "c"}} else [o for o in outputs]
"""


def typed_in(factor):
    """A task of a type that no file holds, as a notebook's is."""
    names = {"__name__": "no_such_module"}
    exec(TYPED.format(factor=factor), names)
    return names["Typed"]()


def test_a_type_without_a_file_is_told_by_its_methods():
    first, again, other = (code_of(typed_in(factor)) for factor in (2, 2, 3))
    assert first == again
    assert first != other


def test_a_type_is_told_by_those_that_it_extends_too(tmp_path, monkeypatch):
    (tmp_path / "of_base.py").write_text("from ematheory.training.tasks import Task\nclass Base(Task):\n    x = 1\n")
    (tmp_path / "of_own.py").write_text("from of_base import Base\nclass Own(Base):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    made = importlib.import_module("of_own").Own()
    before = code_of(made)
    (tmp_path / "of_base.py").write_text("class Base: ...\n")
    assert code_of(made) != before


@contextmanager
def set_aside():
    """torch's global settings that change float32 numbers, all changed."""
    torch.set_float32_matmul_precision("medium")
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
            yield
            assert torch.get_float32_matmul_precision() == "medium"
            assert torch.get_default_dtype() == torch.float64
            assert torch.is_autocast_enabled("cpu")
            assert torch.is_inference_mode_enabled()
    finally:
        torch.set_float32_matmul_precision("highest")
        torch.set_default_dtype(torch.float32)


def test_torchs_global_settings_change_no_bit():
    plain = em.train(TASK, ADAMW, epochs=1, dtype="float32")
    with set_aside():
        assert same_result(em.train(TASK, ADAMW, epochs=1, dtype="float32"), plain)
