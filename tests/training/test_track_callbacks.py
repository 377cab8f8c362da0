"""The tracker in three trainers: a plain loop, Hugging Face's Trainer and Lightning's give the same numbers."""

import warnings

import numpy as np
import pytest
import torch

import ematheory as em
from ematheory.training import tracking

STEPS, BATCH = 24, 8
OPTIONS = {"every": 6, "tokens_per_step": BATCH}


def network():
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.Tanh(), torch.nn.Linear(7, 1))


def data():
    inputs = torch.randn(STEPS * BATCH // 2, 5, generator=torch.Generator().manual_seed(4))
    return inputs, inputs.sum(1, keepdim=True)


def optimizer_of(model):
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.5)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda k: 1 - k / STEPS)
    return optimizer, schedule


def plain_loop(steps=STEPS, device="cpu"):
    """Two passes over the data in order."""
    model, (inputs, targets) = network().to(device), (part.to(device) for part in data())
    optimizer, schedule = optimizer_of(model)
    with em.track(optimizer, steps=STEPS, steps_per_epoch=STEPS / 2, names=model, **OPTIONS) as tracker:
        for k in range(steps):
            batch = slice(k * BATCH % len(inputs), k * BATCH % len(inputs) + BATCH)
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(model(inputs[batch]), targets[batch]).backward()
            optimizer.step()
            schedule.step()
    return tracker.dataset()


def same(found, expected):
    """Every number of every record; names may have what the trainer's module puts before them."""
    assert list(found.step.values) == list(expected.step.values)
    assert set(found.data_vars) == set(expected.data_vars)
    for name in expected.data_vars:
        np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=str(name))


def hugging_face(folder, callback, resume=None, stop_after=None, use_cpu=True):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, inputs, labels):
            return {"loss": torch.nn.functional.mse_loss(self.inner(inputs), labels)}

    class InOrder(transformers.Trainer):
        def _get_train_sampler(self, *_):
            return torch.utils.data.SequentialSampler(self.train_dataset)

    class Stop(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **given):
            control.should_training_stop = state.global_step == stop_after

    inputs, targets = data()
    model = Model()
    rows = [{"inputs": x, "labels": y} for x, y in zip(inputs, targets, strict=True)]
    args = transformers.TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=BATCH, num_train_epochs=2, max_grad_norm=0, use_cpu=use_cpu,
        report_to=[], save_strategy="steps", save_steps=9, disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    trainer = InOrder(
        model=model, args=args, train_dataset=rows, optimizers=optimizer_of(model), callbacks=[callback, Stop()]
    )
    trainer.train(resume_from_checkpoint=resume)
    return callback.tracker.dataset()


def callback_of(kind):
    pytest.importorskip({"huggingface": "transformers", "lightning": "lightning"}[kind])
    return getattr(tracking, kind).TrackCallback


def test_hugging_face_gives_the_numbers_of_the_loop(tmp_path):
    same(hugging_face(tmp_path, callback_of("huggingface")(**OPTIONS)), plain_loop())


def test_a_resumed_hugging_face_run_goes_on_where_it_was(tmp_path, monkeypatch):
    # This transformers reads its own random state, which holds NumPy arrays, with torch.load's default of later years.
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    kind = callback_of("huggingface")
    hugging_face(tmp_path, kind(**OPTIONS), stop_after=9)
    same(hugging_face(tmp_path, kind(**OPTIONS), resume=str(tmp_path / "checkpoint-9")), plain_loop())


def lightning_run(folder, callback, resume=None, epochs=2, accelerator="cpu"):
    lightning = pytest.importorskip("lightning.pytorch")

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def training_step(self, batch, _):
            return torch.nn.functional.mse_loss(self.inner(batch[0]), batch[1])

        def configure_optimizers(self):
            optimizer, schedule = optimizer_of(self)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*data()), batch_size=BATCH)
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator=accelerator, devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=[callback], default_root_dir=str(folder),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(Module(), loader, ckpt_path=resume)
    return trainer


def test_lightning_gives_the_numbers_of_the_loop(tmp_path):
    callback = callback_of("lightning")(**OPTIONS)
    lightning_run(tmp_path, callback)
    same(callback.trackers[0].dataset(), plain_loop())


def test_a_resumed_lightning_run_goes_on_where_it_was(tmp_path):
    kind = callback_of("lightning")
    first = lightning_run(tmp_path, kind(steps=STEPS, **OPTIONS), epochs=1)
    first.save_checkpoint(tmp_path / "first.ckpt")
    callback = kind(steps=STEPS, **OPTIONS)
    lightning_run(tmp_path, callback, resume=tmp_path / "first.ckpt")
    same(callback.trackers[0].dataset(), plain_loop())
