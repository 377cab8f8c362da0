"""Claims judged under Lyu et al., "Dichotomy of early and late phase implicit biases can provably induce grokking"."""

from .grokking import CLAIM as C37

CLAIMS = (C37,)
