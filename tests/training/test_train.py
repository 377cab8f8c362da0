"""train(): the Dataset, determinism, what it leaves alone, and what it refuses."""

import json

import numpy as np
import pytest
import torch
import xarray as xr

import ematheory as em
from ematheory.results import same_result
from ematheory.training import Group
from ematheory.training.observables import DEFAULT, OBSERVABLES
from ematheory.training.progress import Progress

TASK = em.tasks.digits_mlp(width=8, depth=1)
ADAMW = em.AdamW(lr=1e-2, weight_decay=0.1)


def test_dims_are_sweep_axes_then_seed_then_step():
    optimizer = em.AdamW(lr=[1e-3, 1e-2], weight_decay=0.1)
    names = ("train_loss", "weight_norm", "parameter_norm")
    run = em.train(TASK, optimizer, epochs=2, batch_size=256, seeds=(3, 5), record=em.every(4), observables=names)
    assert run.train_loss.dims == ("lr", "seed", "step")
    assert run.step.values.tolist() == [0, 4, 8, 10]
    assert run.seed.values.tolist() == [3, 5]
    assert run.lr.values.tolist() == [1e-3, 1e-2]
    np.testing.assert_allclose(np.sqrt((run.parameter_norm**2).sum("parameter")), run.weight_norm, rtol=1e-12)


def test_no_name_is_an_attribute_of_dataset():
    assert not [name for name in (*OBSERVABLES, "parameter", "group", "seed", "step") if hasattr(xr.Dataset, name)]


def test_training_learns_and_values_are_sane():
    run = em.train(em.tasks.digits_mlp(width=32), em.AdamW(lr=1e-2, weight_decay=0.1), epochs=4).isel(seed=0)
    assert run.train_loss[-1] < 0.2 * run.train_loss[0]
    assert run.test_accuracy[-1] > 0.9
    assert np.isnan(run.rotation[0])
    assert np.isnan(run.update_cosine[0])
    assert (run.rotation[1:] > 0).all()
    assert (abs(run.update_cosine[1:]) < 1).all()


def test_same_call_same_bits_and_seeds_differ():
    first = em.train(TASK, ADAMW, epochs=1, seeds=(0, 1))
    assert same_result(first, em.train(TASK, ADAMW, epochs=1, seeds=(0, 1)))
    assert first.train_loss[0, -1] != first.train_loss[1, -1]
    alone = em.train(TASK, ADAMW, epochs=1, seeds=(1,))
    assert (alone.train_loss[0] == first.train_loss[1]).all()


def test_a_sweep_holds_what_single_runs_give():
    sweep = em.train(TASK, em.AdamW(lr=[1e-3, 1e-2], weight_decay=0.1), epochs=1)
    single = em.train(TASK, ADAMW, epochs=1)
    for name in DEFAULT:
        np.testing.assert_array_equal(sweep[name].sel(lr=1e-2), single[name])


def test_fields_that_share_a_dim_are_zipped():
    lr = xr.DataArray([1e-3, 1e-2], dims="contour")
    run = em.train(TASK, em.AdamW(lr=lr, weight_decay=1e-3 / lr), epochs=1)
    assert run.train_loss.dims == ("contour", "seed", "step")
    np.testing.assert_allclose(run.initial_weight_left[:, 0, -1], (1 - 1e-3) ** int(run.step[-1]), rtol=1e-13)


def test_global_torch_state_is_left_alone():
    torch.manual_seed(7)
    threads, state, default = torch.get_num_threads(), torch.get_rng_state(), torch.get_default_dtype()
    with torch.no_grad():
        em.train(TASK, ADAMW, epochs=1)
        assert not torch.is_grad_enabled()
    with pytest.raises(RuntimeError, match="stop"), em.training.determinism.deterministic():
        raise RuntimeError("stop")
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() == default
    assert not torch.are_deterministic_algorithms_enabled()


def test_global_random_state_has_no_influence():
    torch.manual_seed(1)
    first = em.train(TASK, ADAMW, epochs=1)
    torch.manual_seed(2)
    assert same_result(first, em.train(TASK, ADAMW, epochs=1))


def test_initial_weight_left_is_the_product():
    schedule, decay_schedule = em.Cosine(final=0.1, warmup=0.2), em.Linear(final=0.5)
    run = em.train(TASK, ADAMW, epochs=1, batch_size=128, schedule=schedule, decay_schedule=decay_schedule)
    steps = int(run.step[-1])
    decay = 1e-3 * schedule.multipliers(steps) * decay_schedule.multipliers(steps)
    assert float(run.initial_weight_left[0, -1]) == pytest.approx(np.prod(1 - decay), rel=1e-13)


def test_float32_is_near_float64_and_starts_from_the_same_weights():
    double = em.train(TASK, ADAMW, epochs=1)
    single = em.train(TASK, ADAMW, epochs=1, dtype="float32")
    assert float(abs(single.weight_norm - double.weight_norm)[0, 0]) < 1e-6
    assert single.weight_norm[0, -1] != double.weight_norm[0, -1]
    np.testing.assert_allclose(single.train_loss, double.train_loss, rtol=1e-3)


def test_attributes_say_what_can_change_the_answer():
    run = em.train(TASK, ADAMW, epochs=1, schedule=em.Linear())
    assert json.loads(run.attrs["task"])["width"] == 8
    assert json.loads(run.attrs["optimizer"])["type"] == "AdamW"
    assert json.loads(run.attrs["run"])["torch"] == torch.__version__


def test_progress_goes_to_a_terminals_stderr_only(capsys, monkeypatch):
    em.train(TASK, ADAMW, epochs=1, progress=True)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    em.train(TASK, ADAMW, epochs=2, progress=True)
    captured = capsys.readouterr()
    assert "epoch 2 of 2" in captured.err
    assert captured.out == ""


def test_the_time_left_is_of_the_epochs_that_were_not_in_the_cache():
    report = Progress(None, 10)
    report.advance(4, fresh=False)
    assert report.words(3) == "training: epoch 4 of 10"
    report.advance()
    report.advance()
    assert report.words(60) == "training: epoch 6 of 10, 2 min 0 s left"
    report.advance(4)
    assert report.words(99) == "training: epoch 10 of 10"


def test_progress_calls_back_once_an_epoch():
    seen = []
    em.train(TASK, ADAMW, epochs=2, seeds=(0, 1), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"optimizer": "adamw"}, TypeError, "an optimizer record such as"),
        ({"task": "digits"}, TypeError, "ematheory.tasks"),
        ({"epochs": 0}, ValueError, "epochs must be"),
        ({"epochs": 1.5}, TypeError, "epochs must be a whole number"),
        ({"batch_size": 5000}, ValueError, r"batch_size must be in \[1, 1438\], got 5000"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be a whole number, got 1.5"),
        (
            {"batch_size": [16, 32]},
            TypeError,
            r"batch_size must be one value, got \[16, 32\]: only the",
        ),
        ({"epochs": np.array([1, 2])}, TypeError, r"call train once for each value and join .* with xr\.concat"),
        ({"dtype": ("float64", "float32")}, TypeError, "dtype must be one value"),
        ({"progress": "yes"}, TypeError, "progress must be"),
        ({"dtype": "float16"}, ValueError, "'float64', 'float32'"),
        ({"seeds": ()}, ValueError, "at least one"),
        ({"seeds": (1, 1)}, ValueError, "different"),
        ({"seeds": (-1,)}, TypeError, ">= 0"),
        ({"schedule": [1.0, 0.5]}, ValueError, "one multiplier per step"),
        ({"decay_schedule": [1.0, 0.5]}, ValueError, "decay_schedule given as an array needs one multiplier per step"),
        ({"record": [0, 10_000]}, ValueError, "increasing step counts"),
        ({"observables": "train_los"}, ValueError, "did you mean 'train_loss'"),
        ({"observables": ()}, ValueError, "at least one"),
        ({"observables": (1,)}, TypeError, "must be names"),
        ({"device": "gpu"}, ValueError, "device must be one that this torch has"),
        ({"accumulate": 3}, ValueError, "accumulate=3 must divide batch_size=64"),
        ({"clip_norm": 0}, ValueError, "clip_norm must be finite and > 0"),
        ({"evaluate": 0}, ValueError, "evaluate must be"),
        ({"groups": ("*.bias",)}, TypeError, "Group records"),
        (
            {"groups": (Group(names="*.bias"),)},
            ValueError,
            r"'\*\.bias' of a Group holds no parameter; there are weights.0",
        ),
        ({"optimizer": em.Amos(lr=1e-3), "observables": "effective_learning_rate"}, ValueError, "no formula for Amos"),
    ],
)
def test_wrong_input_says_what_is_allowed(change, error, message):
    given = {"task": TASK, "optimizer": ADAMW, "epochs": 1, **change}
    with pytest.raises(error, match=message):
        em.train(given.pop("task"), given.pop("optimizer"), **given)


WEIGHT = torch.nn.Parameter(torch.ones(1))


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (
            torch.optim.AdamW,
            r"got the class torch\.optim\.adamw\.AdamW: write ematheory\.AdamW\(lr=…, weight_decay=…\)",
        ),
        (torch.optim.SGD([WEIGHT], lr=0.1), r"got an instance of torch\.optim\.sgd\.SGD: write ematheory\.SGD\(lr=…"),
        (torch.optim.RAdam, r"RAdam, which no record describes; there are AdEMAMix, Adam, AdamC, AdamP, AdamW, Amos"),
        (torch.optim.Adagrad([WEIGHT]), "Adagrad, which no record describes; there are AdEMAMix, "),
        (em.AdamW, r"got the class AdamW: call it, AdamW\(lr=…\)"),
        (em.training.RecordOptimizer([WEIGHT], em.Lion(lr=0.1)), r"give its record, Lion\(lr=0\.1"),
    ],
    ids=["class", "instance", "class without a record", "instance without a record", "class of a record", "wrapped"],
)
def test_an_optimizer_that_is_no_record_is_told_which_record_to_use(optimizer, message):
    with pytest.raises(TypeError, match=message) as raised:
        em.train(TASK, optimizer, epochs=1)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"width": 0}, ValueError, "width must be"),
        ({"width": 1.5}, TypeError, "width must be a whole number"),
        ({"test_share": 1.0}, ValueError, "test_share must be"),
        ({"split_seed": -1}, ValueError, "split_seed must be"),
        (
            {"width": [8, 16]},
            TypeError,
            r"width must be one value, got \[8, 16\]: only the optimizer's fields and seeds",
        ),
        ({"test_share": xr.DataArray([0.1, 0.2], dims="share")}, TypeError, "for each value and join the results"),
    ],
)
def test_wrong_tasks(fields, error, message):
    with pytest.raises(error, match=message):
        em.tasks.digits_mlp(**fields)


def test_the_data_are_real_split_and_standardised():
    data = TASK.data()
    assert (len(data.train_targets), len(data.test_targets)) == (1438, 359)
    assert sorted(set(data.test_targets)) == list(range(10))
    np.testing.assert_allclose(data.train_inputs.mean(axis=0), 0, atol=1e-12)
    spread = data.train_inputs.std(axis=0)
    np.testing.assert_allclose(spread[spread > 0], 1)
    assert em.tasks.digits_mlp(split_seed=1).data().test_targets.tolist() != data.test_targets.tolist()


def test_a_missing_package_names_the_extra():
    from ematheory.training import require

    with pytest.raises(ModuleNotFoundError, match=r"ematheory\[torch\]"):
        require("no_such_module")
