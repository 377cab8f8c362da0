"""Where claims are found, by paper or by id: one module per paper, imported when asked for."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from ..records import probably_meant
from .claim import Claim

# Each paper's key, which is also its module here, and its title.
PAPERS = {
    "wang2025": "How to set AdamW's weight decay as you scale model and dataset size (arXiv 2405.13698)",
    "kosson2024": "Rotational equilibrium: how weight decay balances learning (arXiv 2305.17212)",
    "kosson2025": "Weight decay may matter more than muP for learning rate transfer in practice (arXiv 2510.19093)",
    "malladi2022": "On the SDEs and scaling rules for adaptive gradient algorithms (arXiv 2205.10287)",
    "loshchilov2019": "Decoupled weight decay regularization (arXiv 1711.05101)",
    "li2019": "An exponential learning rate schedule for deep learning (arXiv 1910.07454)",
    "li2020": "Reconciling modern deep learning with traditional optimization analyses (arXiv 2010.02916)",
    "defazio2025": "Why gradients rapidly increase near the end of training (arXiv 2506.02285)",
    "xie2024": "Implicit bias of AdamW: l-infinity norm constrained optimization (arXiv 2404.04454)",
    "andriushchenko2024": "Why do we need weight decay in modern deep learning? (arXiv 2310.04415)",
    "bergsma2025a": "Straight to zero: why linearly decaying the learning rate to zero works best (arXiv 2502.15938)",
    "chen2025": "Cautious weight decay (arXiv 2510.12402)",
    "bergsma2025b": "Power lines: scaling laws for weight decay and batch size in LLM pre-training (arXiv 2505.13738)",
    "zhang2019": "Which algorithmic choices matter at which batch sizes? (arXiv 1907.04164)",
    "lyu2024": "Dichotomy of early and late phase implicit biases can provably induce grokking (arXiv 2311.18817)",
}


def claims_of(paper: str) -> tuple[Claim, ...]:
    """The claims judged under one paper, in order of id."""
    claims: tuple[Claim, ...] = import_module(f".{paper}", __package__).CLAIMS
    return claims


def find(*names: str) -> tuple[Claim, ...]:
    """The claims that the names stand for (a paper's key or a claim's id); all of them without names.

    Raises `ValueError` listing the known names for one that is neither.
    """
    claims = [claim for paper in PAPERS for claim in claims_of(paper)]
    check_names(names, claims)
    wanted = set(names or PAPERS)
    return tuple(claim for claim in claims if claim.id in wanted or claim.paper in wanted)


def check_names(names: Iterable[str], claims: Iterable[Claim]) -> None:
    known = [*PAPERS, *(claim.id for claim in claims)]
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"claims and papers are words, one by one, such as 'wang2025', 'C01'; got {name!r}")
        if name not in known:
            raise ValueError(f"no claim or paper {name!r}; known are {', '.join(known)}{probably_meant(name, known)}")
