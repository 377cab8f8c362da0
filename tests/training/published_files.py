"""Small data sets in the formats of published ones: CIFAR-10, ImageNet-32 and nanoGPT's tokens."""

import io
import pickle

import numpy as np

CIFAR = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
IMAGENET = [*(f"train_data_batch_{i}" for i in range(1, 11)), "val_data"]


def images(count, seed):
    return np.random.default_rng(seed).integers(0, 256, (count, 3072), dtype=np.uint8)


def python_two(content):
    """The content as Python 2 pickled it: its strings are bytes under the opcodes of Python 2's str."""

    class Writer(pickle._Pickler):
        def save_bytes(self, value):
            short = len(value) < 256
            self.write(b"U" + bytes([len(value)]) if short else b"T" + len(value).to_bytes(4, "little"))
            self.write(value)

        dispatch = {
            **pickle._Pickler.dispatch,
            bytes: save_bytes,
            str: lambda self, text: self.save_bytes(text.encode()),
        }

    out = io.BytesIO()
    Writer(out, protocol=2).dump(content)
    return out.getvalue().replace(b"numpy._core.", b"numpy.core.")


def write_cifar(folder, count=6, version="python"):
    """Six files as the authors publish them; returns images and labels of each."""
    written = []
    for number, name in enumerate(CIFAR):
        data, labels = images(count, number), [(number + i) % 10 for i in range(count)]
        written.append((data, labels))
        if version == "binary":
            records = np.concatenate([np.array(labels, dtype=np.uint8)[:, None], data], axis=1)
            (folder / f"{name}.bin").write_bytes(records.tobytes())
        else:
            content = {"batch_label": name, "labels": labels, "data": data, "filenames": ["a.png"] * count}
            (folder / name).write_bytes(python_two(content))
    return written


def write_imagenet(folder, kind="pickle", count=4):
    written = []
    for number, name in enumerate(IMAGENET):
        # The last training file has a few images more, as the real one.
        data = images(count + 2 * (number == 9), number)
        labels = [1 + (97 * i + number) % 1000 for i in range(len(data))]
        written.append((data, labels))
        content = {"data": data, "labels": labels, "mean": data.mean(axis=0)}
        if kind == "npz":
            np.savez(folder / f"{name}.npz", **content)
        else:
            (folder / name).write_bytes(pickle.dumps(content))
    return written


def write_tokens(folder, count=200, vocabulary=11, meta=True):
    stream = np.random.default_rng(0).integers(0, vocabulary, count).astype(np.uint16)
    stream.tofile(folder / "train.bin")
    stream[:50].tofile(folder / "val.bin")
    if meta:
        names = [chr(97 + i) for i in range(vocabulary)]
        content = {
            "vocab_size": vocabulary,
            "itos": dict(enumerate(names)),
            "stoi": {c: i for i, c in enumerate(names)},
        }
        (folder / "meta.pkl").write_bytes(pickle.dumps(content))
    return stream
