"""The tasks: what their data are, which settings tell them apart, and that each can be learnt."""

import json
import pickle
import re

import numpy as np
import pytest
import torch

import ematheory as em
from ematheory import tasks
from ematheory.results import text as as_json
from ematheory.training.determinism import deterministic
from ematheory.training.tasks import text
from ematheory.training.tasks.regression import TEACHER, TEST, TRAIN, drawn

WHOLE_AND_PART = {
    "digits": (tasks.digits_vit(), tasks.digits_vit(train_size=100)),
    "text": (tasks.char_gpt(context=8, train_tokens=4000), tasks.char_gpt(context=8, train_tokens=800)),
    "addition": (tasks.modular_addition(7), tasks.modular_addition(7, train_size=9)),
    "teacher": (tasks.teacher_student(train_size=400), tasks.teacher_student(train_size=9)),
    "random features": (tasks.random_features(train_size=400), tasks.random_features(train_size=9)),
    "one example": (tasks.random_features(train_size=7), tasks.random_features(train_size=1)),
}


@pytest.mark.parametrize(("whole", "part"), WHOLE_AND_PART.values(), ids=WHOLE_AND_PART)
def test_a_smaller_training_set_begins_a_larger_one_and_has_the_same_test(whole, part):
    more, fewer = whole.data(), part.data()
    size = len(fewer.train_targets)
    assert len(fewer.train_inputs) == size < len(more.train_targets)
    np.testing.assert_array_equal(more.train_inputs[:size], fewer.train_inputs)
    np.testing.assert_array_equal(more.train_targets[:size], fewer.train_targets)
    np.testing.assert_array_equal(more.test_inputs, fewer.test_inputs)
    np.testing.assert_array_equal(more.test_targets, fewer.test_targets)
    assert whole != part
    assert as_json(whole) != as_json(part)


def test_wrong_classes_are_as_many_as_asked_for_and_the_test_has_none():
    right, wrong = tasks.digits_mlp().data(), tasks.digits_mlp(label_noise=0.25).data()
    assert (right.train_targets != wrong.train_targets).sum() == round(0.25 * len(right.train_targets))
    assert set(wrong.train_targets) == set(range(10))
    np.testing.assert_array_equal(right.train_inputs, wrong.train_inputs)
    np.testing.assert_array_equal(right.test_targets, wrong.test_targets)
    fewer = tasks.digits_mlp(label_noise=0.25, train_size=100).data()
    np.testing.assert_array_equal(wrong.train_targets[:100], fewer.train_targets)
    assert tasks.digits_mlp() != tasks.digits_mlp(label_noise=0.25)
    with pytest.raises(ValueError, match=r"label_noise"):
        tasks.digits_mlp(label_noise=1.5)


@pytest.mark.parametrize("task", [pair[0] for pair in WHOLE_AND_PART.values()], ids=WHOLE_AND_PART)
def test_data_have_the_kinds_that_training_expects(task):
    data = task.data()
    assert {data.train_inputs.dtype, data.test_inputs.dtype} <= {np.dtype(np.int64), np.dtype(np.float64)}
    assert data.train_targets.dtype == (np.int64 if task.scores_accuracy else np.float64)
    assert len(data.test_inputs) == len(data.test_targets) > 0
    assert json.loads(as_json(task))["type"] == type(task).__name__


@pytest.mark.parametrize("task", [pair[1] for pair in WHOLE_AND_PART.values()], ids=WHOLE_AND_PART)
def test_a_task_goes_to_another_process(task):
    again = pickle.loads(pickle.dumps(task))
    assert again == task
    assert hash(again) == hash(task)
    np.testing.assert_array_equal(again.data().train_targets, task.data().train_targets)


def test_a_network_of_the_users_own_has_plain_rates():
    class Own(tasks.Task):
        def network(self, seed, dtype):
            return torch.nn.Linear(2, 3, dtype=dtype)

    network = Own().network(0, torch.float32)
    assert Own().lr_multipliers(network) == {"weight": 1.0, "bias": 1.0}
    assert Own().scale_invariant_parameters(network) == ()


def trained_losses(task, steps, lr, dtype=torch.float32, size=128):
    """The loss of one batch before and after some steps of AdamW on it."""
    data, network = task.data(), task.network(0, dtype)
    inputs, targets = torch.tensor(data.train_inputs[:size]), torch.tensor(data.train_targets[:size])
    inputs = inputs.to(dtype) if inputs.is_floating_point() else inputs
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr)
    losses = []
    for _ in range(steps + 1):
        optimizer.zero_grad()
        loss = task.loss(network(inputs), targets)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses[0], losses[-1]


LEARNT = {
    "digits mlp": (tasks.digits_mlp(width=32), 1e-2),
    "digits mlp, scale-invariant": (tasks.digits_mlp(width=32, scale_invariant=True), 1e-2),
    "digits resnet": (tasks.digits_resnet(), 1e-2),
    "digits resnet, scale-invariant": (tasks.digits_resnet(scale_invariant=True), 1e-2),
    "digits vit": (tasks.digits_vit(width=16), 1e-2),
    "digits vit, scale-invariant": (tasks.digits_vit(width=16, scale_invariant=True), 1e-2),
    "text": (tasks.char_gpt(width=32, depth=1, train_tokens=4096), 1e-2),
    "text, scale-invariant": (tasks.char_gpt(width=32, depth=1, scale_invariant=True, train_tokens=4096), 3e-3),
    "addition mlp": (tasks.modular_addition(13), 1e-2),
    "addition transformer": (tasks.modular_addition(13, width=32, network="transformer"), 1e-2),
    "teacher": (tasks.teacher_student(), 1e-2),
    "random features": (tasks.random_features(), 1e-2),
    "random features, relu": (tasks.random_features(activation="relu"), 1e-2),
}


@pytest.mark.parametrize(("task", "lr"), LEARNT.values(), ids=LEARNT)
def test_the_loss_falls(task, lr):
    with deterministic():
        before, after = trained_losses(task, 40, lr)
    assert after < 0.7 * before


@pytest.mark.parametrize("name", ["digits mlp", "digits resnet", "digits vit", "text", "addition transformer"])
def test_the_loss_falls_with_bfloat16_weights(name):
    task, lr = LEARNT[name]
    with deterministic():
        before, after = trained_losses(task, 30, lr, torch.bfloat16)
    assert after < 0.7 * before


def test_starting_losses_are_those_of_guessing():
    for task, outcomes in ((tasks.char_gpt(train_tokens=3200), 97), (tasks.modular_addition(31), 31)):
        before, _ = trained_losses(task, 0, 0.0)
        assert before == pytest.approx(np.log(outcomes), rel=0.15)
    before, _ = trained_losses(tasks.random_features(), 0, 0.0, size=1024)
    # The readout starts at 0 and the target has variance 1: a mean of 1024 squares is off by √(2/1024).
    assert before == pytest.approx(1, abs=5 * (2 / 1024) ** 0.5)


def test_grokking():
    """Trained pairs are known by step 150, the others much later: a third at 500, nearly all at 1500 (not run here)."""
    task = tasks.modular_addition()
    data, network = task.data(), task.network(0, torch.float32)
    train, test = ((torch.tensor(data[i]), torch.tensor(data[i + 1])) for i in (0, 2))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=1.0, betas=(0.9, 0.98))
    known = {}
    with deterministic():
        for step in range(501):
            loss = task.loss(network(train[0]), train[1])
            if step in (150, 500):
                known[step] = [right(network, *pairs) for pairs in (train, test)]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert known[150][0] > 0.99
    assert known[150][1] < 0.05
    assert known[500][1] > 0.25


def right(network, inputs, targets):
    with torch.no_grad():
        return float((network(inputs).argmax(dim=-1) == targets).float().mean())


def test_text_windows_follow_each_other_and_targets_are_next_characters():
    task = tasks.char_gpt(context=8)
    data = task.data()
    np.testing.assert_array_equal(data.train_inputs[:, 1:], data.train_targets[:, :-1])
    np.testing.assert_array_equal(data.train_inputs[1:, 0], data.train_targets[:-1, -1])
    stream = text.encoded("topics")
    assert data.train_inputs.size + data.test_inputs.size > len(stream) - 3 * 8
    np.testing.assert_array_equal(data.train_inputs.ravel()[:500], stream[:500])
    read = "".join(text.CHARACTERS[token] for token in stream)
    assert "statement" in read
    assert tasks.char_gpt(train_tokens=1000, context=8).data().train_targets.size == 1000


def test_both_corpora_are_english_or_code_in_one_set_of_characters():
    for corpus, least in (("topics", 300_000), ("library", 3_000_000)):
        stream = text.encoded(corpus)
        assert len(stream) > least
        assert set(np.unique(stream)) <= set(range(len(text.CHARACTERS)))
        # Few characters are not ASCII.
        assert (stream == text.OTHER).mean() < 0.01
    assert tasks.char_gpt().vocabulary() == 97


def test_a_task_says_which_text_it_has_and_refuses_another():
    task = tasks.char_gpt()
    assert re.fullmatch("[0-9a-f]{16}", task.text)
    assert f"text='{task.text}'" in repr(task)
    assert tasks.char_gpt(text=task.text) == task
    assert tasks.char_gpt(corpus="library").text != task.text
    with pytest.raises(ValueError, match=r"fingerprint 0123456789abcdef, and that of Python 3\..* varies between"):
        tasks.char_gpt(text="0123456789abcdef")


def test_a_python_without_sources_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(text.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(FileNotFoundError, match="corpus='library' needs the source of _pydecimal"):
        text.library()


def test_sums_are_sums_and_every_pair_is_once_in_train_or_test():
    data = tasks.modular_addition(modulus=11, train_share=0.3).data()
    pairs = np.concatenate([data.train_inputs, data.test_inputs])
    assert len({tuple(pair) for pair in pairs}) == len(pairs) == 121
    np.testing.assert_array_equal(pairs.sum(axis=1) % 11, np.concatenate([data.train_targets, data.test_targets]))
    assert len(data.train_targets) == round(0.3 * 121)
    other = tasks.modular_addition(modulus=11, train_share=0.3, split_seed=1).data()
    assert (other.train_inputs != data.train_inputs).any()


def test_generated_data_are_normal_and_parts_are_unrelated():
    parts = {part: drawn(0, part, 512, 8) for part in (TRAIN, TEST, TEACHER)}
    for values in parts.values():
        assert abs(values.mean()) < 5 / 4096**0.5
        assert abs(values.var() - 1) < 5 * (2 / 4096) ** 0.5
    for one, other in ((TRAIN, TEST), (TRAIN, TEACHER)):
        assert abs((parts[one] * parts[other]).mean()) < 5 / 4096**0.5
    assert (drawn(1, TRAIN, 512, 8) != parts[TRAIN]).all()


def test_a_student_as_wide_as_the_teacher_can_be_the_teacher():
    task = tasks.teacher_student(width=8, inputs=6, noise=0.0, train_size=32)
    network, data = task.network(0, torch.float64), task.data()
    with torch.no_grad():
        network.weights[0].copy_(torch.tensor(drawn(0, TEACHER, 8, 6)) * (2 / 6) ** 0.5)
        network.weights[1].copy_(torch.tensor(drawn(0, TEACHER, 1, 8, 1)) / 8**0.5)
        for bias in network.biases:
            bias.zero_()
    loss = task.loss(network(torch.tensor(data.train_inputs)), torch.tensor(data.train_targets))
    assert float(loss.detach()) < 1e-28


def test_noise_is_added_to_training_targets_only():
    quiet, noisy = (tasks.teacher_student(noise=noise, train_size=2000).data() for noise in (0.0, 0.5))
    added = noisy.train_targets - quiet.train_targets
    assert abs(added.std() - 0.5) < 5 * 0.5 / 4000**0.5
    np.testing.assert_array_equal(noisy.test_targets, quiet.test_targets)


def test_random_features_have_the_power_law_and_mean_square_one():
    task = tasks.random_features(width=64, inputs=100, spectrum=1.2, source=2.0, train_size=4000)
    data = task.data()
    k = np.arange(1, 101)
    # A variance from 4000 normals is off by √(2/4000); five of these.
    np.testing.assert_allclose(data.train_inputs.var(axis=0) * k**1.2, 1, atol=5 * (2 / 4000) ** 0.5)
    assert data.train_targets.var() == pytest.approx(1, abs=5 * (2 / 4000) ** 0.5)
    solved = np.linalg.lstsq(data.train_inputs, data.train_targets, rcond=None)[0] * k**-0.6
    np.testing.assert_allclose(solved**2 * k**2, 1 / (1 / k**2).sum(), rtol=1e-8)
    features = task.network(0, torch.float64).features.numpy()
    assert (data.train_inputs @ features.T).var() == pytest.approx(1, abs=0.5)
    assert list(dict(task.network(0, torch.float64).named_parameters())) == ["readout.weight"]


def test_images_keep_their_pixels_and_patches_their_place():
    images = tasks.digits_mlp().data().train_inputs
    assert images.shape == (1438, 1, 8, 8)
    from ematheory.training.networks.vit import cut

    picture = torch.arange(2 * 64).reshape(1, 2, 8, 8)
    patches = cut(picture, 2)
    assert patches.shape == (1, 16, 8)
    np.testing.assert_array_equal(patches[0, 5].reshape(2, 2, 2), picture[0, :, 2:4, 2:4])


def test_train_takes_a_residual_network():
    run = em.train(tasks.digits_resnet(width=4, train_size=128), em.AdamW(lr=1e-2), epochs=1)
    assert run.train_loss[0, -1] < run.train_loss[0, 0]


WRONG = [
    (lambda: tasks.digits_mlp(train_size=0), ValueError, "train_size must be"),
    (lambda: tasks.digits_mlp(train_size=2000).data(), ValueError, r"train_size must be in \[1, 1438\], got 2000"),
    (lambda: tasks.digits_mlp(scale_invariant="yes"), TypeError, "scale_invariant must be True or False, got 'yes'"),
    (lambda: tasks.digits_resnet(width=6), ValueError, "width must be a multiple of the 4 groups"),
    (lambda: tasks.digits_resnet(depth=0), ValueError, "depth must be"),
    (lambda: tasks.digits_vit(width=30), ValueError, "heads must divide width, got 4 heads and width 30"),
    (lambda: tasks.char_gpt(corpus="topic"), ValueError, "did you mean 'topics'"),
    (lambda: tasks.char_gpt(context=0), ValueError, "context must be"),
    (lambda: tasks.char_gpt(context=64, train_tokens=63), ValueError, "train_tokens must be finite and >= 64, got 63"),
    (lambda: tasks.char_gpt(train_tokens=10**9).data(), ValueError, r"train_tokens must be at most \d+, the tokens"),
    (lambda: tasks.char_gpt(test_share=1e-6).data(), ValueError, "context 32 needs at least 33 tokens, got 0"),
    (lambda: tasks.modular_addition(1), ValueError, "modulus must be"),
    (lambda: tasks.modular_addition(network="transfomer"), ValueError, "did you mean 'transformer'"),
    (lambda: tasks.modular_addition(heads=2), ValueError, "heads belong to network='transformer'"),
    (lambda: tasks.modular_addition(2, train_share=0.01).data(), ValueError, "train_share must leave pairs"),
    (lambda: tasks.teacher_student(noise=-1), ValueError, "noise must be"),
    (lambda: tasks.teacher_student(inputs=1.5), TypeError, "inputs must be a whole number"),
    (lambda: tasks.random_features(activation="rlu"), ValueError, "did you mean 'relu'"),
    (lambda: tasks.random_features(spectrum=float("nan")), ValueError, "spectrum must be"),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG)
def test_wrong_settings_say_what_is_allowed(make, error, message):
    with pytest.raises(error, match=message):
        make()
