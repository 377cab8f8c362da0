"""Cross-checks of the theory against real torch.optim: each returns what was measured, for claims to judge and plot."""

from .average import AverageCheck, moving_average
from .conventions import MatchCheck, same_update, translated_decay
from .data import averaged_items, regularised_means
from .equilibrium import EquilibriumCheck, equilibrium
from .fixed_norm import turned
from .invariance import InvarianceCheck, theorem_one
from .invariant_runs import invariant_run, relative, rounding
from .kernels import InitialShareCheck, KernelCheck, initial_share, schedule_kernel
from .momentum import driven
from .precision import stochastically_stored, stored, walked_in_float32
from .quadratic import pushed, quadratic_run
from .tangential import Walk, tangential_walk

__all__ = [
    "AverageCheck",
    "EquilibriumCheck",
    "InitialShareCheck",
    "InvarianceCheck",
    "KernelCheck",
    "MatchCheck",
    "Walk",
    "averaged_items",
    "driven",
    "equilibrium",
    "initial_share",
    "invariant_run",
    "moving_average",
    "pushed",
    "quadratic_run",
    "regularised_means",
    "relative",
    "rounding",
    "same_update",
    "schedule_kernel",
    "stochastically_stored",
    "stored",
    "tangential_walk",
    "theorem_one",
    "translated_decay",
    "turned",
    "walked_in_float32",
]
