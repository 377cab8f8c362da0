"""Tasks: a data set and a network to train on it, as records that are cheap to make and load their data when used."""

from __future__ import annotations

from .arithmetic import ModularAddition, modular_addition
from .converted import ConvertedRows
from .digits import Digits, digits_mlp, digits_resnet, digits_scale_invariant, digits_vit
from .image_files import CIFAR10, ImageNet32, cifar10, imagenet32
from .regression import RandomFeatureRegression, TeacherStudent, random_features, teacher_student
from .task import Split, Task
from .text import CharacterGPT, char_gpt
from .token_files import TokenFolder, tokens

__all__ = [
    "CIFAR10",
    "CharacterGPT",
    "ConvertedRows",
    "Digits",
    "ImageNet32",
    "ModularAddition",
    "RandomFeatureRegression",
    "Split",
    "Task",
    "TeacherStudent",
    "TokenFolder",
    "char_gpt",
    "cifar10",
    "digits_mlp",
    "digits_resnet",
    "digits_scale_invariant",
    "digits_vit",
    "imagenet32",
    "modular_addition",
    "random_features",
    "teacher_student",
    "tokens",
]
