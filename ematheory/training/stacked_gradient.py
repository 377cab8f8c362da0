"""The gradients of many members' losses, traced once to plain tensor operations that are then run step after step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx
from torch.func import vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel

Loss = Callable[[dict[str, Tensor], Tensor, Tensor], Tensor]

aten = torch.ops.aten
# What leaves numbers where they are, and may leave the shape as well.
VIEWS = (aten.detach.default, aten.view.default, aten._unsafe_view.default, aten.expand.default)
# The last two axes of three, as `bmm` has them.
TURNED = ((1, 2), (2, 1), (-2, -1), (-1, -2))


class StackedGradient:
    """The gradient of each member's own loss by its own weights.

    `loss(values, inputs, targets)` is one member's, of its named `values`: those it trains (`trained`) and others.
    torch.func vectorises it; a step is then traced for each shape of its arguments, because torch.func's dispatch of
    every operation takes longer than a small network's arithmetic. What the loss does may depend on shapes only.
    """

    def __init__(self, loss: Loss, trained: Sequence[str], fixed: Sequence[str]) -> None:
        self.losses, self.names, self.count = vmap(loss), (*trained, *fixed), len(trained)
        self.traced: dict[tuple[torch.Size, torch.Size], Any] = {}

    def __call__(
        self, trained: Sequence[Tensor], fixed: Sequence[Tensor], inputs: Tensor, targets: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        """The gradient by each of the `trained`, shape (members, …), and the losses, shape (members,)."""
        arguments = (*trained, *fixed, inputs, targets)
        shapes = inputs.shape, targets.shape
        if shapes not in self.traced:
            self.traced[shapes] = simplified(self.operations(arguments))
        *gradients, losses = self.traced[shapes](*arguments)
        return gradients, losses

    def operations(self, arguments: Sequence[Tensor]) -> fx.GraphModule:
        """Those of a step. Raises `ValueError` where torch.func cannot vectorise the loss."""
        # Tracing runs the loss, and what it writes to (running statistics) must be written to by the steps alone.
        copies = [each.clone() for each in arguments]
        try:
            return make_fx(self.plain)(*copies)
        except RuntimeError as error:
            if not str(error).startswith("vmap: "):
                raise
            raise ValueError(
                "ensemble > 1 takes the losses of many runs at once, by torch.func.vmap, and this task's is not of a "
                f"kind that it takes ({str(error).removeprefix('vmap: ').split('. ')[0]}): it may draw no random numbers, as "
                "dropout does, and decide nothing by values; use ensemble=1"
            ) from error

    def plain(self, *arguments: Tensor) -> list[Tensor]:
        *values, inputs, targets = arguments
        leaves = [value.detach().requires_grad_() for value in values[: self.count]]
        named = dict(zip(self.names, [*leaves, *values[self.count :]], strict=True))
        # A GPU's fused attention cannot be vectorised.
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
            losses = self.losses(named, inputs, targets)
            # The sum's gradient by a member's weights is that of its own loss.
            return [*torch.autograd.grad(losses.sum(), leaves, materialize_grads=True), losses.detach()]


def simplified(module: fx.GraphModule) -> fx.GraphModule:
    """The same operations without views that change nothing, and with no product that is only wanted transposed."""
    graph = module.graph
    for node in list(graph.nodes):
        if node.target in VIEWS and is_laid_out_as(node, node.args[0]):
            replace(graph, node, node.args[0])
    for node in list(graph.nodes):
        product = node.args[0] if is_turned(node) else None
        if isinstance(product, fx.Node) and product.target is aten.bmm.default and len(product.users) == 1:
            with graph.inserting_before(product):
                left, right = (turned(graph, factor) for factor in product.args)
                replace(graph, node, graph.call_function(aten.bmm.default, (right, left)))
            graph.erase_node(product)
    module.recompile()
    return module


def is_laid_out_as(node: fx.Node, other: Any) -> bool:
    """Whether both have the same numbers at the same places, as one is a view of the other.

    Of a tensor that the network keeps as a plain attribute tracing notes nothing: its views stay.
    """
    ours, theirs = (one.meta.get("tensor_meta") for one in (node, other))
    if ours is None or theirs is None:
        return False
    return bool(ours.shape == theirs.shape and ours.stride == theirs.stride and ours.dtype == theirs.dtype)


def is_turned(node: fx.Node) -> bool:
    return node.target is aten.transpose.int and node.args[1:] in TURNED


def turned(graph: fx.Graph, node: Any) -> fx.Node:
    """A factor of `bmm` transposed; what is a transpose already gives what it is of."""
    if is_turned(node):
        return node.args[0]  # type: ignore[no-any-return]
    return graph.call_function(aten.transpose.int, (node, 1, 2))


def replace(graph: fx.Graph, node: fx.Node, other: fx.Node) -> None:
    node.replace_all_uses_with(other)
    graph.erase_node(node)
