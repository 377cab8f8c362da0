"""Simulation: optimizer dynamics on problems whose answer can be known, with the same bits on every machine."""

from .combination import combine
from .correlation import autocorrelation_timescale
from .simulation import simulate

__all__ = ["autocorrelation_timescale", "combine", "simulate"]
