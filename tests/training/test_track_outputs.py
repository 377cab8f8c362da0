"""Where a tracker's records go: JSON lines that survive a kill, TensorBoard, a function; and `ematheory track plot`."""

import json
import sys

import numpy as np
import pytest
import torch
import xarray as xr
from typer.testing import CliRunner

import ematheory as em
from ematheory.cli import application
from ematheory.training import tracking

pytestmark = pytest.mark.filterwarnings("ignore:.*timescale:UserWarning")


def optimizer_of(seed=0):
    source = torch.Generator().manual_seed(seed)
    weights = [torch.nn.Parameter(torch.randn(6, 4, generator=source)) for _ in range(2)]
    return torch.optim.AdamW(
        [{"params": weights[:1], "weight_decay": 0.5}, {"params": weights[1:], "weight_decay": 0.0}], lr=0.02
    )


def go(optimizer, count, seed=1):
    source = torch.Generator().manual_seed(seed)
    for _ in range(count):
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = torch.randn(weight.shape, generator=source)
        optimizer.step()


def written(path, count=40, **options):
    optimizer = optimizer_of()
    with em.track(optimizer, steps=40, every=10, out=path, **options) as tracker:
        go(optimizer, count)
    return tracker


def test_what_is_read_is_what_the_tracker_holds(tmp_path):
    tracker = written(tmp_path / "run.jsonl")
    read = tracking.dataset(tracking.read(tmp_path / "run.jsonl"))
    xr.testing.assert_identical(read.drop_attrs(), tracker.dataset().drop_attrs())
    assert read.attrs == {**tracker.dataset().attrs, "run": read.attrs["run"]}
    assert read.step.values.tolist() == [0, 10, 20, 30, 40]


def test_every_line_is_strict_json_and_is_there_at_once(tmp_path):
    path, optimizer = tmp_path / "run.jsonl", optimizer_of()
    em.track(optimizer, every=2, out=path)
    go(optimizer, 2)
    rows = [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]
    assert [row["record"] for row in rows] == ["start", "step", "step"]
    assert rows[1]["groups"]["group 0"]["rotation"] is None
    assert rows[1]["groups"]["group 1"]["timescale_steps"] == "inf"


def test_a_torn_last_line_is_left_out_and_cut_off_by_the_next_run(tmp_path):
    path = tmp_path / "run.jsonl"
    tracker = written(path)
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    assert tracking.dataset(tracking.read(path)).step.values.tolist() == [0, 10, 20, 30]
    second = optimizer_of()
    resumed = em.track(second, steps=60, every=10, out=path)
    resumed.load_state_dict(tracker.state_dict())
    go(second, 20)
    read = tracking.dataset(tracking.read(path))
    assert read.step.values.tolist() == [0, 10, 20, 30, 50, 60]
    assert read.attrs["steps"] == 60


def test_a_restart_from_an_earlier_step_replaces_what_came_after(tmp_path):
    path, first = tmp_path / "run.jsonl", optimizer_of()
    tracker = em.track(first, every=10, out=path)
    go(first, 20)
    state = tracker.state_dict()
    go(first, 20, seed=2)
    old = tracking.dataset(tracking.read(path))
    second = optimizer_of(seed=9)
    resumed = em.track(second, every=10, out=path)
    resumed.load_state_dict(state)
    go(second, 10, seed=3)
    assert old.step.values.tolist() == [0, 10, 20, 30, 40]
    new = tracking.dataset(tracking.read(path))
    assert new.step.values.tolist() == [0, 10, 20, 30]
    xr.testing.assert_identical(new.drop_attrs(), resumed.dataset().drop_attrs())
    assert float(new.weight_norm[-1, 0]) != float(old.weight_norm[-2, 0])


def test_a_new_run_in_the_same_file_stands_for_the_old_one(tmp_path):
    path = tmp_path / "run.jsonl"
    written(path)
    tracker = written(path, count=20)
    read = tracking.dataset(tracking.read(path))
    xr.testing.assert_identical(read.drop_attrs(), tracker.dataset().drop_attrs())


def test_several_optimizers_share_a_file(tmp_path):
    path = tmp_path / "run.jsonl"
    written(path, name="body")
    written(path, name="head")
    lines = tracking.read(path)
    assert tracking.dataset(lines, "head").attrs["optimizer"] == "head"
    with pytest.raises(ValueError, match="'body', 'head': choose one"):
        tracking.dataset(lines)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no whole record"),
        ('{"record": "st', "no whole record"),
        ("a line\n", "line 1 .* is no record"),
        ("[1]\n", "no record"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, content, words):
    path = tmp_path / "run.jsonl"
    path.write_text(content)
    with pytest.raises(ValueError, match=words):
        tracking.read(path)


def test_a_function_gets_each_record(tmp_path):
    seen = []
    written([seen.append, tmp_path / "run.jsonl"])
    assert [line["record"] for line in seen if line["record"] != "warning"] == ["start", *["step"] * 5]
    assert (tmp_path / "run.jsonl").exists()


class Writer:
    """What of TensorBoard's SummaryWriter is used."""

    def __init__(self):
        self.scalars, self.texts = {}, []

    def add_scalar(self, name, value, step):
        self.scalars[name, step] = value

    def add_text(self, name, text, step):
        self.texts.append(text)

    def flush(self):
        pass


def test_a_tensorboard_writer_gets_finite_numbers():
    writer = Writer()
    tracker = written(writer)
    assert writer.scalars["AdamW/group 0/weight_norm", 40] == float(tracker.dataset().weight_norm[-1, 0])
    assert ("AdamW/group 0/rotation", 0) not in writer.scalars
    assert all(np.isfinite(value) for value in writer.scalars.values())


def test_tensorboard_itself(tmp_path):
    pytest.importorskip("tensorboard")
    written(tracking.tensorboard(tmp_path))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Scalars("AdamW/group 0/weight_norm")] == [0, 10, 20, 30, 40]


def test_without_tensorboard_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("ematheory.training.tracking.sinks.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'ematheory\[tensorboard\]'"):
        tracking.tensorboard(tmp_path)


@pytest.mark.parametrize("kind", ["huggingface", "lightning"])
def test_without_a_trainers_package_it_is_named(kind, monkeypatch):
    module = getattr(tracking, kind)
    monkeypatch.setattr("ematheory.training.tracking.find_spec", lambda name: None)
    monkeypatch.delitem(vars(module), "TrackCallback", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"needs (transformers|lightning), which is not installed"):
        module.TrackCallback  # noqa: B018


def test_only_the_first_rank_writes(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    tracker = written(tmp_path / "run.jsonl")
    assert not (tmp_path / "run.jsonl").exists()
    assert tracker.dataset().sizes["step"] == 5


def call(*arguments):
    return CliRunner().invoke(application(("train", "track")), ["track", *map(str, arguments)])


def test_plot_draws_a_figure_and_prints_the_last_record(tmp_path):
    written(tmp_path / "run.jsonl", steps_per_epoch=4)
    answer = call("plot", tmp_path / "run.jsonl")
    assert answer.exit_code == 0, answer.output
    assert (tmp_path / "run.png").stat().st_size > 10_000
    for words in (
        "AdamW after 40 steps",
        "timescale, epochs",
        "initial weight left, measured",
        "warning: group 0: timescale",
    ):
        assert words in answer.stdout
    assert "nan" not in answer.stdout


def test_plot_draws_tensors_by_name(tmp_path):
    written(tmp_path / "run.jsonl")
    target = tmp_path / "run.svg"
    assert call("plot", tmp_path / "run.jsonl", "--parameters", "0.0,1.0", "--figure", target).exit_code == 0
    drawn = target.read_text()
    assert "<!-- 0.0 -->" in drawn
    assert "<!-- at rest -->" in drawn


def test_plot_as_json_is_the_dataset(tmp_path):
    tracker = written(tmp_path / "run.jsonl")
    answer = call("plot", tmp_path / "run.jsonl", "--json")
    found = json.loads(answer.stdout, parse_constant=pytest.fail)
    assert found["observables"]["weight_norm"]["dims"] == ["step", "group"]
    assert found["observables"]["weight_norm"]["values"] == tracker.dataset().weight_norm.values.tolist()
    assert not (tmp_path / "run.png").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plott", "run.jsonl"], "did you mean 'plot'"),
        (["plot", "none.jsonl"], "is no file"),
        (["plot", "run.jsonl", "--parameters", "0.1"], "--parameters must be one of '0.0', '1.0'"),
        (["plot", "run.jsonl", "--optimizer", "SGD"], "'AdamW'"),
        (["plot", "run.jsonl", "--figure", "run.gif"], "must end in .png"),
    ],
)
def test_wrong_calls_are_one_sentence(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "run.jsonl")
    answer = call(*arguments)
    assert answer.exit_code == 2
    assert words in answer.stderr


def test_records_are_read_without_torch(tmp_path):
    import subprocess

    written(tmp_path / "run.jsonl")
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from ematheory.training.tracking import dataset, read\n"
        f"print(dataset(read({str(tmp_path / 'run.jsonl')!r})).sizes['step'])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "5"


def in_turns(path, *names):
    """Two optimizers tracked into one file."""
    first, second = optimizer_of(0), optimizer_of(1)
    trackers = [em.track(each, every=1, out=path, name=name) for each, name in zip((first, second), names, strict=True)]
    for _ in range(3):
        go(first, 1)
        go(second, 1)
    for tracker in trackers:
        tracker.detach()


def test_two_optimizers_under_one_name_in_one_file_are_told_of(tmp_path):
    with pytest.warns(UserWarning, match="give each its own track"):
        in_turns(tmp_path / "run.jsonl", None, None)
    in_turns(tmp_path / "apart.jsonl", "1", "2")
    assert tracking.dataset(tracking.read(tmp_path / "apart.jsonl"), "1").sizes["step"] == 4


@pytest.mark.parametrize("line", ['{"record": "step"}', '{"record": "step", "optimizer": "A", "step": 1}', "[1]"])
def test_half_a_record_is_none(line, tmp_path):
    (tmp_path / "run.jsonl").write_text(line + "\n")
    with pytest.raises(ValueError, match=r"line 1 of .* is no record of a tracker"):
        tracking.read(tmp_path / "run.jsonl")


def test_a_header_alone_is_no_dataset(tmp_path):
    (tmp_path / "run.jsonl").write_text('{"record": "start", "optimizer": "A", "step": 0}\n')
    with pytest.raises(ValueError, match="no record of a step yet"):
        tracking.dataset(tracking.read(tmp_path / "run.jsonl"))


def test_no_two_tensors_or_groups_share_a_name():
    first, second = (torch.nn.Parameter(torch.ones(n)) for n in (2, 3))
    optimizer = torch.optim.AdamW([{"params": [first], "name": "group 1"}, {"params": [second]}], lr=0.02)
    with em.track(optimizer, every=1, names=[("1.0", first)]) as tracker:
        go(optimizer, 1)
    found = tracker.dataset()
    assert found.parameter.values.tolist() == ["1.0", "1.0 (1.0)"]
    assert found.group.values.tolist() == ["group 0", "group 1"]
    np.testing.assert_allclose(found.parameter_norm[0], [2**0.5, 3**0.5])
