"""The Formula contract away from the grid: every numeric form at random inputs, chosen to make it lose digits.

Inputs are drawn log-uniformly between the least and the largest of `SETTINGS`, their ends and what is close to 1
included; some are made nearly equal, some have a product near 1, and some lie at the edge of the declared domain.
"""

import math
import random

import numpy as np
import pytest
from test_registered_derivations import SETTINGS, numeric_results

from ematheory.derivations import derive

QUICK, MANY = 10, 150  # points for each result
CLOSEST = 1e-9  # how near to 1 a share is drawn
COINCIDENCES = (0.0, 1e-15, 1e-12, 1e-9, 1e-6)  # relative distances of nearly equal inputs
DRAWS_PER_POINT = 100
HALVINGS = range(4, 40)  # towards the edge of the domain


def log_uniform(generator, low, high):
    return min(max(math.exp(generator.uniform(math.log(low), math.log(high))), low), high)


def ends(word):
    sizes = [abs(value) for value in SETTINGS[word] if value]
    return min(sizes), max(sizes)


class Sampler:
    """Inputs of one numeric function that its derivation allows."""

    def __init__(self, derivation, function, seed):
        self.derivation, self.words = derivation, list(function.words)
        self.generator = random.Random(f"{function.name} {seed}")
        whole = {domain.symbol for domain in derivation.assumptions.domains if domain.integer}
        self.whole = {word for symbol, word in derivation.arguments.items() if symbol in whole}

    def number(self, word):
        low, high = ends(word)
        kind = self.generator.random()
        if kind < 0.2:
            value = self.generator.choice(SETTINGS[word])
        elif kind < 0.35 and 0.9 < high <= 1:
            value = 1 - log_uniform(self.generator, CLOSEST, 0.5)
        else:
            sign = self.generator.choice((1, -1)) if min(SETTINGS[word]) < 0 else 1
            value = sign * log_uniform(self.generator, low, high)
        return float(round(value)) if word in self.whole else value

    def partner(self, word, other):
        """A value for `word` close to that of `other`, or whose product with it is near 1."""
        generator = self.generator
        if generator.random() < 0.6:
            value = other * (1 + generator.choice((1, -1)) * generator.choice(COINCIDENCES))
        else:
            value = log_uniform(generator, 0.1, 100) / abs(other) if other else 0.0
        return float(round(value)) if word in self.whole else value

    def draw(self):
        values = {word: self.number(word) for word in self.words}
        if len(values) > 1 and self.generator.random() < 0.5:
            word, other = self.generator.sample(self.words, 2)
            low, high = ends(word)
            value = self.partner(word, values[other])
            values[word] = value if low <= abs(value) <= high else values[word]
        return values

    def at_edge(self, inside, outside):
        """Between an allowed and a refused setting, close to where the domain ends; whole numbers stay."""
        moved = [word for word in self.words if word not in self.whole and inside[word] * outside[word] > 0]
        low, high = 0.0, 1.0

        def between(share):
            ratios = {word: (outside[word] / inside[word]) ** share for word in moved}
            return {word: value * ratios.get(word, 1) for word, value in inside.items()}

        for _ in range(self.generator.choice(HALVINGS)):
            middle = (low + high) / 2
            low, high = (middle, high) if self.derivation.allows(between(middle)) else (low, middle)
        return between(low)

    def points(self, count):
        found, refused = [], None
        for _ in range(DRAWS_PER_POINT * count):
            values = self.draw()
            if not self.derivation.allows(values):
                refused = values
                continue
            edge = self.at_edge(values, refused) if refused and self.generator.random() < 0.25 else values
            found.append(edge if self.derivation.allows(edge) else values)
            if len(found) == count:
                break
        return found


def failures(name, result, count, seed):
    derivation = derive(name)
    function = derivation.function(result)
    points = Sampler(derivation, function, seed).points(count) if function.words else [{}]
    assert len(points) == (count if function.words else 1), "too few draws are allowed"
    with np.errstate(over="ignore"):  # inf where the value is beyond the largest float
        excesses = [(values, function.excess(**values)) for values in points]
    return [found for found in excesses if not found[1] <= 1]  # a NaN is no success


@pytest.mark.parametrize(("name", "result"), numeric_results())
def test_random_inputs(name, result):
    assert failures(name, result, QUICK, "quick") == []


@pytest.mark.slow
@pytest.mark.parametrize(("name", "result"), numeric_results())
def test_many_random_inputs(name, result):
    assert failures(name, result, MANY, "many") == []
