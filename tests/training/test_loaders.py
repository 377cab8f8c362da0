"""Loaders of published files, on small files in their formats; and what they say of files that are not."""

import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest
import torch
from published_files import images, python_two, write_cifar, write_imagenet, write_tokens

from ematheory import tasks
from ematheory.training.determinism import deterministic
from ematheory.training.tasks.files import fingerprint, unpickled
from ematheory.training.tasks.image_files import Labels, read_images


def test_the_pickles_of_this_test_are_python_twos():
    opcodes = {opcode.name for opcode, _, _ in pickletools.genops(python_two({"labels": [1], "data": images(2, 0)}))}
    assert "SHORT_BINSTRING" in opcodes
    assert "BINSTRING" in opcodes
    assert not any("UNICODE" in name for name in opcodes - {"BINUNICODE"})


@pytest.mark.parametrize("version", ["python", "binary"])
def test_cifar10_comes_back_standardised_in_its_order(tmp_path, version):
    written = write_cifar(tmp_path, version=version)
    data = tasks.cifar10(tmp_path).data()
    raw = np.concatenate([batch for batch, _ in written[:5]]).reshape(-1, 3, 32, 32)
    first = raw[:6].astype(float)
    expected = (raw - first.mean(axis=(0, 2, 3), keepdims=True)) / first.std(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(data.train_inputs[np.arange(30)], expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(data.train_targets, np.concatenate([labels for _, labels in written[:5]]))
    np.testing.assert_array_equal(data.test_targets, written[5][1])
    assert (data.train_inputs.shape, data.train_inputs.dtype) == ((30, 3, 32, 32), np.float64)
    assert data.train_inputs.stored.dtype == np.uint8
    np.testing.assert_array_equal(np.asarray(data.test_inputs), data.test_inputs[:])


@pytest.mark.parametrize("kind", ["pickle", "npz"])
def test_imagenet32_counts_its_classes_from_one(tmp_path, kind):
    written = write_imagenet(tmp_path, kind)
    task = tasks.imagenet32(tmp_path, "mlp", width=8, depth=1)
    data = task.data()
    np.testing.assert_array_equal(data.train_targets, np.concatenate([labels for _, labels in written[:10]]) - 1)
    assert len(data.train_inputs) == 42
    raw = np.concatenate([batch for batch, _ in written[:10]])
    np.testing.assert_array_equal(data.train_inputs.stored.reshape(42, -1), raw)
    assert task.network(0, torch.float32)(torch.tensor(data.test_inputs[:2]).float()).shape == (2, 1000)


def test_a_smaller_training_set_is_the_first_images_and_reads_only_their_files(tmp_path):
    write_imagenet(tmp_path)
    whole = tasks.imagenet32(tmp_path).data()
    (tmp_path / "train_data_batch_9").write_bytes(b"broken")
    part = tasks.imagenet32(tmp_path, train_size=7).data()
    np.testing.assert_array_equal(part.train_inputs[:], whole.train_inputs[:7])
    np.testing.assert_array_equal(part.train_targets, whole.train_targets[:7])


@pytest.mark.parametrize("network", ["mlp", "resnet", "vit"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_networks_take_the_images(tmp_path, network, dtype):
    write_cifar(tmp_path, count=2)
    task = tasks.cifar10(tmp_path, network, width=8, depth=1)
    data = task.data()
    inputs, targets = (
        torch.tensor(data.train_inputs[np.array([3, 0])]).to(dtype),
        torch.tensor(data.train_targets[[3, 0]]),
    )
    with deterministic():
        assert torch.isfinite(task.loss(task.network(0, dtype)(inputs), targets))


def test_usual_sizes_are_the_documented_ones(tmp_path):
    write_cifar(tmp_path, count=2)
    made = [tasks.cifar10(tmp_path, network) for network in ("mlp", "resnet", "vit")]
    assert [(task.width, task.depth, task.heads) for task in made] == [(512, 2, None), (16, 3, None), (128, 6, 4)]
    # ResNet-20, with 1×1 convolutions where sizes change: near the paper's 0.27 M.
    assert sum(p.numel() for p in made[1].network(0, torch.float32).parameters()) == pytest.approx(0.27e6, rel=0.03)


def test_tokens_are_windows_of_the_files_mapped_and_converted(tmp_path):
    stream = write_tokens(tmp_path)
    task = tasks.tokens(tmp_path, width=8, depth=1, heads=2, context=16)
    data = task.data()
    assert task.vocab_size == 11
    assert isinstance(data.train_inputs.stored.base, np.memmap) or isinstance(data.train_inputs.stored, np.memmap)
    np.testing.assert_array_equal(data.train_inputs[np.array([2, 0])], [stream[32:48], stream[:16]])
    np.testing.assert_array_equal(data.train_targets[0], stream[1:17])
    assert data.train_inputs[0].dtype == np.int64
    assert len(data.train_inputs) == 199 // 16
    assert len(tasks.tokens(tmp_path, context=16, train_tokens=40).data().train_inputs) == 2
    logits = task.network(0, torch.float32)(torch.tensor(data.train_inputs[:3]))
    assert logits.shape == (3, 16, 11)


def test_tokens_without_meta_take_a_vocabulary(tmp_path):
    write_tokens(tmp_path, meta=False)
    assert tasks.tokens(tmp_path, vocab_size=50257).vocabulary() == 50257
    with pytest.raises(FileNotFoundError, match=r"meta\.pkl is missing.*give vocab_size="):
        tasks.tokens(tmp_path)


def test_a_task_notices_changed_files(tmp_path):
    write_cifar(tmp_path, version="binary")
    task = tasks.cifar10(tmp_path)
    assert task == tasks.cifar10(str(tmp_path), fingerprint=task.fingerprint)
    assert task.fingerprint in repr(task)
    path = tmp_path / "data_batch_2.bin"
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)
    assert tasks.cifar10(tmp_path) != task
    for act in (task.data, lambda: tasks.cifar10(tmp_path, fingerprint=task.fingerprint)):
        with pytest.raises(ValueError, match=f"the settings ask for {task.fingerprint}: they are not the same"):
            act()


def test_fingerprints_read_both_ends(tmp_path):
    path = tmp_path / "big"
    seen = set()
    for change in (None, 0, 3 * 2**20 - 1):
        content = bytearray(3 * 2**20)
        if change is not None:
            content[change] = 1
        path.write_bytes(content)
        seen.add(fingerprint([path]))
    assert len(seen) == 3


class Told:
    """Pickles as a call of a function, as a malicious file would."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_unpickling_calls_nothing(tmp_path, protocol):
    path, touched = tmp_path / "meta.pkl", tmp_path / "touched"
    path.write_bytes(pickle.dumps({"data": Told(touched)}, protocol=protocol))
    with pytest.raises(ValueError, match=r"meta\.pkl: expected a pickled dictionary of plain data.*only plain data"):
        unpickled(path)
    assert not touched.exists()
    # The test can fail: plain unpickling does it.
    pickle.loads(path.read_bytes())
    assert touched.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_pickles_of_every_protocol_are_read(tmp_path, protocol):
    path = tmp_path / "plain"
    content = {"data": images(2, 0), b"labels": [1, 2], "count": np.int64(3), "more": {"x": (1.5, None, "y", b"z")}}
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    read = unpickled(path)
    np.testing.assert_array_equal(read["data"], content["data"])
    assert read["labels"] == [1, 2]
    assert read["count"] == 3


def pickled(folder, name, **change):
    fields = {"data": images(6, 0), "labels": [1] * 6, **change}
    content = {name: value for name, value in fields.items() if value is not None}
    (folder / name).write_bytes(pickle.dumps(content))


def cut_off(folder):
    path = folder / "data_batch_3"
    path.write_bytes(path.read_bytes()[:-1000])


def short_binary(folder):
    path = folder / "data_batch_1.bin"
    path.write_bytes(path.read_bytes()[:-1000])


BROKEN = {
    "cut off": (
        "python",
        cut_off,
        r"data_batch_3 is no pickle file of CIFAR-10, or .* and it cannot be read",
    ),
    "no pickle": (
        "python",
        lambda f: (f / "data_batch_2").write_bytes(b"\x89PNG"),
        "data_batch_2 is no pickle file",
    ),
    "text": (
        "python",
        lambda f: (f / "data_batch_2").write_text("hello"),
        "data_batch_2 is no pickle file of CIFAR-10, .* and it is text",
    ),
    "a list": (
        "python",
        lambda f: (f / "test_batch").write_bytes(pickle.dumps([1])),
        "pickled dictionary, found a list",
    ),
    "no labels": (
        "python",
        lambda f: pickled(f, "data_batch_1", labels=None),
        "expected 'data' and 'labels', found 'data'",
    ),
    "CIFAR-100": (
        "python",
        lambda f: pickled(f, "data_batch_1", labels=[99] * 6),
        r"'labels' must be 0…9, found 99…99",
    ),
    "too few labels": (
        "python",
        lambda f: pickled(f, "data_batch_1", labels=[1]),
        "'labels' must be 6 whole numbers, one per image",
    ),
    "words": ("python", lambda f: pickled(f, "data_batch_1", labels=["cat"] * 6), "'labels' must be 6 whole numbers"),
    "floats": (
        "python",
        lambda f: pickled(f, "data_batch_4", data=np.zeros((6, 3072))),
        r"'data' must be uint8 of shape \(images, 3072\), found float64 of shape \(6, 3072\)",
    ),
    "64×64": (
        "python",
        lambda f: pickled(f, "data_batch_4", data=np.zeros((6, 12288), np.uint8)),
        r"found uint8 of shape \(6, 12288\)",
    ),
    "lost images": (
        "python",
        lambda f: pickled(f, "data_batch_4", data=images(5, 0), labels=[1] * 5),
        "data_batch_4: expected 6 images, as many as data_batch_1 has, found 5",
    ),
    "half a record": (
        "binary",
        short_binary,
        r"expected records of 3073 bytes.*found 17438 bytes, which is 5 records and 2073 bytes",
    ),
    "lost bytes": (
        "binary",
        lambda f: (f / "test_batch.bin").write_bytes((f / "test_batch.bin").read_bytes()[:-5]),
        r"test_batch\.bin: .*found 18433 bytes, which is 5 records and 3068 bytes",
    ),
    "empty": ("binary", lambda f: (f / "test_batch.bin").write_bytes(b""), "found 0 bytes"),
}


@pytest.mark.parametrize(("version", "harm", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_images_name_the_file_and_what_was_found(tmp_path, version, harm, message):
    write_cifar(tmp_path, version=version)
    harm(tmp_path)
    with pytest.raises(ValueError, match=message):
        tasks.cifar10(tmp_path).data()


def test_a_broken_npz_is_named(tmp_path):
    write_imagenet(tmp_path, "npz")
    path = tmp_path / "train_data_batch_2.npz"
    whole = path.read_bytes()
    for content in (whole[:-500], b"no zip", pickle.dumps({"data": 1})):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"train_data_batch_2\.npz: expected an npz file of plain arrays"):
            tasks.imagenet32(tmp_path).data()
    np.savez(path, data=images(4, 0), labels=np.array([{}] * 4, dtype=object))
    with pytest.raises(ValueError, match="expected an npz file of plain arrays"):
        tasks.imagenet32(tmp_path).data()


def test_whatever_byte_of_an_npz_is_damaged_the_error_names_it(tmp_path):
    write_imagenet(tmp_path, "npz", count=2)
    path, source = tmp_path / "train_data_batch_1.npz", np.random.default_rng(0)
    whole, errors = path.read_bytes(), []
    for _ in range(300):
        content = bytearray(whole)
        # The structure is at the ends: headers, and the list of contents.
        content[int(source.integers(-700, 300))] = int(source.integers(0, 256))
        path.write_bytes(content)
        try:
            read_images(path, Labels(1, 1000, "ImageNet-32"))
        except ValueError as error:
            errors.append(str(error))
    assert len(errors) > 100
    assert all(str(path) in error for error in errors)


def test_missing_files_are_listed(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected data_batch_1 … test_batch; or .*found nothing"):
        tasks.cifar10(tmp_path)
    inside = tmp_path / "cifar-10-batches-py"
    inside.mkdir()
    write_cifar(inside)
    with pytest.raises(FileNotFoundError, match=r"did you mean the folder '.*cifar-10-batches-py'"):
        tasks.cifar10(tmp_path)
    (inside / "data_batch_4").unlink()
    with pytest.raises(FileNotFoundError, match="data_batch_4 missing, beside data_batch_1, data_batch_2"):
        tasks.cifar10(inside)
    with pytest.raises(FileNotFoundError, match=r"expected train_data_batch_1 … val_data; or"):
        tasks.imagenet32(inside)


TOKENS = {
    "half a token": (
        lambda f: (f / "train.bin").write_bytes(b"abc"),
        ValueError,
        "an even number of bytes above 0, found 3",
    ),
    "too short": (
        lambda f: (f / "val.bin").write_bytes(b"ab" * 9),
        ValueError,
        r"val\.bin: context 16 needs at least 17 tokens, got 9",
    ),
    "text": (
        lambda f: (f / "train.bin").write_bytes("Tränen und Wörter, ".encode() * 19),
        ValueError,
        r"train\.bin: expected 16-bit tokens, and it is text",
    ),
    "32 bits": (
        lambda f: np.arange(50_000, 50_200, dtype="<u4").tofile(f / "val.bin"),
        ValueError,
        r"val\.bin: expected 16-bit tokens, and every second one is 0: it looks like 32-bit tokens",
    ),
    "no meta": (
        lambda f: (f / "meta.pkl").write_bytes(pickle.dumps({"itos": {}})),
        ValueError,
        "expected 'vocab_size' in 1",
    ),
    "one file": (lambda f: (f / "val.bin").unlink(), FileNotFoundError, "val.bin missing, beside meta.pkl, train.bin"),
}


@pytest.mark.parametrize(("harm", "error", "message"), TOKENS.values(), ids=TOKENS)
def test_broken_tokens_say_what_was_found(tmp_path, harm, error, message):
    write_tokens(tmp_path)
    harm(tmp_path)
    with pytest.raises(error, match=message):
        tasks.tokens(tmp_path, context=16).data()


@pytest.mark.parametrize(
    "stream",
    [
        np.zeros(500),
        np.tile([1, 0], 200),
        np.random.default_rng(0).integers(0, 2, 400),
        np.random.default_rng(0).integers(0, 50257, 400),
        np.random.default_rng(0).integers(32, 127, 400),
        np.full(40, 0x6161),
    ],
    ids=["one token", "two in turn", "bits", "GPT-2's", "characters", "few that are letters"],
)
def test_tokens_are_not_mistaken_for_something_else(tmp_path, stream):
    for name in ("train.bin", "val.bin"):
        stream.astype("<u2").tofile(tmp_path / name)
    data = tasks.tokens(tmp_path, vocab_size=50257, context=16).data()
    np.testing.assert_array_equal(data.test_inputs[:][0], stream[:16])


def test_a_token_beyond_the_vocabulary_is_refused_when_taken(tmp_path):
    write_tokens(tmp_path, meta=False)
    data = tasks.tokens(tmp_path, vocab_size=5, context=16).data()
    with pytest.raises(ValueError, match=r"train\.bin: expected tokens 0…4, found 10; vocab_size is too small"):
        data.train_inputs[:]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda f: tasks.cifar10(f, "resnt"), ValueError, "did you mean 'resnet'"),
        (lambda f: tasks.cifar10(f, "mlp", heads=2), ValueError, "heads belong to network='vit'"),
        (lambda f: tasks.cifar10(f, train_size=31).data(), ValueError, r"train_size must be in \[1, 30\], got 31"),
        (lambda f: tasks.cifar10(f / "data_batch_1"), NotADirectoryError, "folder must be a folder that exists"),
        (lambda f: tasks.cifar10(None), TypeError, "folder must be a path, got None"),
        (lambda f: tasks.tokens(5), TypeError, "folder must be a path, got 5"),
        (lambda f: tasks.tokens(f, vocab_size=70_000), FileNotFoundError, "expected train.bin and val.bin"),
    ],
)
def test_wrong_settings_say_what_is_allowed(tmp_path, make, error, message):
    write_cifar(tmp_path)
    with pytest.raises(error, match=message):
        make(tmp_path)
