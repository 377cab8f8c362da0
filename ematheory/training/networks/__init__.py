"""The networks of the tasks: every one draws its starting weights in float64 from a seed, then rounds them.

In bfloat16 every parameter is bfloat16, and so are activations and logits. Float32 inside one operation and rounded
after it: sums of matrix products and convolutions, the statistics of normalisations, the softmax of attention and the
norms of scale-invariant rows. The loss is taken of logits widened to float32.
"""

from __future__ import annotations

from .gpt import GPT
from .network import Network
from .perceptron import Perceptron, ScaleInvariantPerceptron, TokenPerceptron
from .random_features import RandomFeatures
from .resnet import ResNet
from .sequence import SequenceClassifier
from .vit import ViT

__all__ = [
    "GPT",
    "Network",
    "Perceptron",
    "RandomFeatures",
    "ResNet",
    "ScaleInvariantPerceptron",
    "SequenceClassifier",
    "TokenPerceptron",
    "ViT",
]
