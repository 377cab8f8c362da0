"""The networks of the tasks: every one draws its starting weights in float64 from a seed, then rounds them."""

from __future__ import annotations

from .perceptron import Perceptron, ScaleInvariantPerceptron

__all__ = ["Perceptron", "ScaleInvariantPerceptron"]
