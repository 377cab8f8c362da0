"""What the networks of the tasks have in common: they say how their parameters follow the width and the scale."""

from __future__ import annotations

from torch import nn

from .layers import Weighted
from .parametrization import Role, lr_multiplier


class Network(nn.Module):
    """A network with no buffers that training changes and no randomness in its forward pass.

    So an example's output does not depend on the others in its batch, and nothing differs in evaluation.
    `width_ratio` is muP's m, 1 in the standard parametrization.
    """

    width_ratio: float = 1.0

    def weighted(self) -> dict[str, Weighted]:
        """The layers by the names of their weights."""
        return {f"{name}.weight": layer for name, layer in self.named_modules() if isinstance(layer, Weighted)}

    def roles(self) -> dict[str, Role]:
        """Each parameter's role; biases, gains and positions are "input"."""
        layers = self.weighted()
        return {name: layers[name].role if name in layers else "input" for name, _ in self.named_parameters()}

    def lr_multipliers(self, adaptive: bool = True) -> dict[str, float]:
        """What multiplies the learning rate of each parameter; all 1 in the standard parametrization."""
        return {name: lr_multiplier(role, self.width_ratio, adaptive) for name, role in self.roles().items()}

    def scale_invariant_parameters(self) -> tuple[str, ...]:
        """Parameters whose multiplication by any c > 0 leaves the function as it is, up to rounding."""
        return tuple(name for name, layer in self.weighted().items() if layer.unit)
