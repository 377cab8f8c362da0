"""CIFAR-10 and ImageNet-32 in the files that their authors publish, for the networks of `images.py`.

Images stay as bytes, one array of 3072 bytes an image, and are standardised when taken. No augmentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ...typing import FloatArray
from .converted import ConvertedRows
from .files import all_present, check_unchanged, checked_folder, fingerprint, unpickled, unzipped
from .images import ImageTask
from .scalable import check_train_size
from .task import Split

PIXELS = 3 * 32 * 32
PIECE = 1024
Bytes = npt.NDArray[np.uint8]
Classes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Labels:
    """The classes that files of a data set may have: `first`, `first` + 1, …, `count` of them."""

    first: int
    count: int
    data_set: str


def read_images(path: Path, labels: Labels) -> tuple[Bytes, Classes]:
    """Images (n, 3072) and classes 0… (n,) of one file, by its name: .bin records, .npz arrays, else a pickle.

    Raises `ValueError` where the file is not what its name says, or images and labels do not match.
    """
    if path.suffix == ".bin":
        return read_records(path, labels)
    fields = unzipped(path) if path.suffix == ".npz" else unpickled(path, labels.data_set)
    missing = {"data", "labels"} - set(fields)
    if missing:
        raise ValueError(f"{path}: expected 'data' and 'labels', found {', '.join(map(repr, fields)) or 'nothing'}")
    return checked_images(path, fields["data"]), checked_labels(path, fields["labels"], len(fields["data"]), labels)


def read_records(path: Path, labels: Labels) -> tuple[Bytes, Classes]:
    """CIFAR-10's binary version: records of one byte of class and 3072 of image."""
    content = np.fromfile(path, dtype=np.uint8)
    whole, more = divmod(content.size, PIXELS + 1)
    if content.size == 0 or more:
        raise ValueError(
            f"{path}: expected records of {PIXELS + 1} bytes (a class and an image), found {content.size} bytes, "
            f"which is {whole} records and {more} bytes"
        )
    records = content.reshape(-1, PIXELS + 1)
    return records[:, 1:], checked_labels(path, records[:, 0], len(records), labels)


def checked_images(path: Path, images: Any) -> Bytes:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 2 or images.shape[1] != PIXELS:
        found = f"{images.dtype} of shape {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"{path}: 'data' must be uint8 of shape (images, {PIXELS}), found {found}")
    if not len(images):
        raise ValueError(f"{path}: 'data' holds no image")
    return images


def checked_labels(path: Path, given: Any, images: int, labels: Labels) -> Classes:
    values = np.asarray(given)
    if values.shape != (images,) or values.dtype.kind not in "iu":
        raise ValueError(
            f"{path}: 'labels' must be {images} whole numbers, one per image, found {values.dtype} of {values.shape}"
        )
    classes = values.astype(np.int64) - labels.first
    if classes.min() < 0 or classes.max() >= labels.count:
        last = labels.first + labels.count - 1
        raise ValueError(f"{path}: 'labels' must be {labels.first}…{last}, found {values.min()}…{values.max()}")
    return classes


def read_all(paths: Sequence[Path], labels: Labels, wanted: int | None) -> tuple[Bytes, Classes]:
    """The first `wanted` images of the files in order (all of them for None), and their classes.

    Files are copied into one array as they are read, so that the most memory at once is that array and one file, twice.
    Those that are not needed are not read. Raises `ValueError` for too few images, or a file that lacks some.
    """
    images, found, filled, first = np.empty((wanted or 0, PIXELS), dtype=np.uint8), [], 0, 0
    for path in paths:
        more, classes = read_images(path, labels)
        first = first or len(more)
        check_equal(path, len(more), paths, first)
        if wanted is None and filled + len(more) > len(images):
            # Room for all files, then for the few more of ImageNet-32's last.
            images.resize((max(first * len(paths), filled + len(more)), PIXELS), refcheck=False)
        filled += place(images, filled, more)
        found.append(classes)
        if filled == wanted:
            break
    if wanted is not None:
        check_train_size(wanted, filled)
    return images[:filled], np.concatenate(found)[:filled]


def check_equal(path: Path, images: int, paths: Sequence[Path], first: int) -> None:
    """Raise `ValueError` for a file with another number of images than the first: one of them lost some.

    The last may have more, as ImageNet-32's has.
    """
    if images < first or (images > first and path != paths[-1]):
        raise ValueError(f"{path}: expected {first} images, as many as {paths[0].name} has, found {images}")


def place(images: Bytes, start: int, more: Bytes) -> int:
    """Copy what there is room for; returns how many."""
    room = min(len(images) - start, len(more))
    images[start : start + room] = more[:room]
    return room


@dataclass(frozen=True, eq=False)
class Standardisation:
    """Channels' means and standard deviations, each of shape (3, 1, 1), of bytes."""

    mean: FloatArray
    spread: FloatArray

    def __call__(self, images: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray((images - self.mean) / self.spread)


def standardisation(images: Bytes) -> Standardisation:
    """From counts of each byte, so that the sums are exact; a channel that never changes keeps its scale."""
    counts = np.zeros((3, 256), dtype=np.int64)
    # In pieces, because counting widens the bytes.
    for start in range(0, len(images), PIECE):
        piece = images[start : start + PIECE].reshape(-1, 3, PIXELS // 3)
        for channel in range(3):
            counts[channel] += np.bincount(piece[:, channel].ravel(), minlength=256)
    values, total = np.arange(256.0), counts.sum(axis=1)
    mean = counts @ values / total
    variance = (counts * (values - mean[:, None]) ** 2).sum(axis=1) / total
    spread = np.sqrt(np.where(variance > 0, variance, 1.0))
    return Standardisation(mean.reshape(3, 1, 1), spread.reshape(3, 1, 1))


@lru_cache(maxsize=1)
def loaded(paths: tuple[Path, ...], labels: Labels, train_size: int | None, key: str) -> Split:
    """The task's examples; the last of the paths is the test. `key` renews the cache when the files change."""
    train, classes = read_all(paths[:-1], labels, train_size)
    standard = standardisation(read_images(paths[0], labels)[0])
    test, test_classes = read_images(paths[-1], labels)
    rows = (ConvertedRows(images.reshape(-1, 3, 32, 32), standard, np.float64) for images in (train, test))
    return Split(next(rows), classes, next(rows), test_classes)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ImageFolder(ImageTask):
    """Images of 32×32 in a folder of published files; `fingerprint` tells which files (see `files.fingerprint`).

    `train_size` takes the first images in the files' order. Channels are standardised by the first training file,
    whatever `train_size`.
    """

    folder: str | Path
    fingerprint: str | None = None

    places = ("folder",)
    image = (3, 32)
    patch = 4
    stages = 3
    labels: ClassVar[Labels]
    # The names of the files, training ones in order and then the test, in each format.
    formats: ClassVar[tuple[tuple[str, ...], ...]]

    def __post_init__(self) -> None:
        super().__post_init__()
        paths = self.paths()
        object.__setattr__(self, "folder", str(paths[0].parent))
        object.__setattr__(self, "fingerprint", check_unchanged(paths[0].parent, self.fingerprint, fingerprint(paths)))

    def paths(self) -> list[Path]:
        return all_present(checked_folder(self.folder), self.formats)

    def data(self) -> Split:
        """Standardised images (n, 3, 32, 32), converted to float64 when taken, and classes (n,).

        Takes 3072 bytes of memory an image, and twice one file's while loading. Raises `ValueError` for a file that is
        not of its format, and when the files are no longer those that the task was made with.
        """
        paths = self.paths()
        key = check_unchanged(paths[0].parent, self.fingerprint, fingerprint(paths))
        return loaded(tuple(paths), self.labels, self.train_size, key)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CIFAR10(ImageFolder):
    """Classification of CIFAR-10; made by `cifar10`."""

    classes = 10
    labels = Labels(0, 10, "CIFAR-10")
    usual = {"mlp": (512, 2, None), "resnet": (16, 3, None), "vit": (128, 6, 4)}
    formats = (
        (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"),
        (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"),
    )


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ImageNet32(ImageFolder):
    """Classification of ImageNet downsampled to 32×32; made by `imagenet32`."""

    classes = 1000
    labels = Labels(1, 1000, "ImageNet-32")
    usual = {"mlp": (1024, 2, None), "resnet": (32, 3, None), "vit": (256, 6, 8)}
    formats = (
        (*(f"train_data_batch_{i}" for i in range(1, 11)), "val_data"),
        (*(f"train_data_batch_{i}.npz" for i in range(1, 11)), "val_data.npz"),
    )


def cifar10(
    folder: str | Path,
    network: str = "resnet",
    width: int | None = None,
    depth: int | None = None,
    *,
    heads: int | None = None,
    scale_invariant: bool = False,
    parametrization: str = "standard",
    base_width: int | None = None,
    train_size: int | None = None,
    fingerprint: str | None = None,
) -> CIFAR10:
    """CIFAR-10 from the files of its Python version (data_batch_1 …) or its binary version (data_batch_1.bin …).

    Parameters
    ----------
    folder : where the six files are.
    network : "resnet" (the usual width 16 and 3 blocks in each of 3 stages: ResNet-20), "mlp" (512 units, 2 layers) or
        "vit" (width 128, 6 blocks, 4 heads, patches of 4×4).
    width, depth, heads : of the network; by default the usual ones.
    scale_invariant, parametrization : as in `digits_mlp`; the base width is the usual width.
    train_size : train on the first so many images only; files that are not needed are not read.
    fingerprint : of the files, from another result's settings.

    Raises `FileNotFoundError` for missing files, `ValueError` for files of another format or a setting out of range.

    >>> cifar10("no/such/folder")
    Traceback (most recent call last):
    NotADirectoryError: folder must be a folder that exists, got 'no/such/folder'
    """
    sizes = usual_sizes(CIFAR10, network, width, depth, heads)
    return CIFAR10(
        **sizes, folder=folder, scale_invariant=scale_invariant, parametrization=parametrization,
        base_width=base_width, train_size=train_size, fingerprint=fingerprint,
    )  # fmt: skip


def imagenet32(
    folder: str | Path,
    network: str = "resnet",
    width: int | None = None,
    depth: int | None = None,
    *,
    heads: int | None = None,
    scale_invariant: bool = False,
    parametrization: str = "standard",
    base_width: int | None = None,
    train_size: int | None = None,
    fingerprint: str | None = None,
) -> ImageNet32:
    """ImageNet downsampled to 32×32 (arXiv 1707.08819) from train_data_batch_1 … 10 and val_data, pickles or .npz.

    Parameters and errors as in `cifar10`; the usual sizes are twice as wide, and the ViT has 8 heads. All training
    images take 3.9 GB of memory, and 0.8 GB more while loading.

    >>> imagenet32("no/such/folder")
    Traceback (most recent call last):
    NotADirectoryError: folder must be a folder that exists, got 'no/such/folder'
    """
    sizes = usual_sizes(ImageNet32, network, width, depth, heads)
    return ImageNet32(
        **sizes, folder=folder, scale_invariant=scale_invariant, parametrization=parametrization,
        base_width=base_width, train_size=train_size, fingerprint=fingerprint,
    )  # fmt: skip


def usual_sizes(
    kind: type[ImageFolder], network: str, width: int | None, depth: int | None, heads: int | None
) -> dict[str, Any]:
    """The architecture with its usual sizes where none are given; an unknown one is left for the record to refuse."""
    usual = kind.usual.get(network, (1, 1, None))
    chosen = (own if given is None else given for given, own in zip((width, depth, heads), usual, strict=True))
    return {"architecture": network, **dict(zip(("width", "depth", "heads"), chosen, strict=True))}
