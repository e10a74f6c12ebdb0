"""The shape ledger: every product of a pass forwards and backwards, with its shapes, and why this transpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, final

from ...checks import positive_whole
from ...kinds.layer import Axes, Computation, axes
from ...network import Network
from ...pages import Page, Words, count, plain, shown


@final
@dataclass(frozen=True, slots=True)
class ShapeStep:
    """One computation at its place in the pass.

    Attributes
    ----------
    layer : int
        Index in the network's list.
    direction : str
        "forward" or "backward".
    computation : Computation
        What the layer tells of it: equation, operands, result, meets, reason, multiplications.
    """

    layer: int
    direction: str
    computation: Computation

    @property
    def equation(self) -> str:
        return self.computation.equation

    @property
    def operands(self) -> tuple[Axes, ...]:
        return self.computation.operands

    @property
    def result(self) -> Axes:
        return self.computation.result

    @property
    def meets(self) -> str:
        return self.computation.meets

    @property
    def reason(self) -> str:
        return self.computation.reason

    @property
    def multiplications(self) -> int:
        return self.computation.multiplications

    @property
    def shapes(self) -> str:
        """The shapes in words."""
        sign = " · " if self.multiplications else " with "
        over = f", summed over the {self.meets}" if self.meets else ""
        return f"{sign.join(_named(axes) for axes in self.operands)} → {_named(self.result)}{over}"

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {"layer": self.layer, "direction": self.direction, **plain(asdict(self.computation))}


@shown
@final
@dataclass(frozen=True)
class ShapeLedger:
    """Every computation of one pass forwards and backwards, in the order in which it happens.

    Attributes
    ----------
    steps : list of ShapeStep
    samples : int
        Rows of the batch.
    """

    steps: list[ShapeStep]
    samples: int

    @property
    def cost(self) -> str:
        """For how many samples, and what the matrix products cost."""
        total = sum(step.multiplications for step in self.steps)
        return f"{count(self.samples, 'sample')}, {count(total, 'multiplication')} in matrix products"

    def page(self) -> Page:
        """The ledger as a page."""
        blocks: list[Words] = []
        for step in self.steps:
            blocks += [
                Words(""),
                Words(f"layer {step.layer}, {step.direction}: {step.equation}", "strong"),
                Words(step.shapes, "", 4),
                Words(step.reason, "dim", 4),
            ]
        return Page(f"Shapes of one pass: {self.cost}", [*blocks])

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {"samples": self.samples, "steps": [step.to_dict() for step in self.steps]}


def shapes(net: Network, n: int) -> ShapeLedger:
    """Every product of a batch of n rows forwards and backwards through the network, with shapes and reasons.

    Examples
    --------
    >>> from backlit.kinds import Dense
    >>> ledger = shapes(Network([Dense(3, "tanh"), Dense(1)], inputs=2), 5)
    >>> print(ledger.steps[0].equation, "|", ledger.steps[0].shapes)
    z = a_in W + b | (5 samples × 2 inputs) · (2 inputs × 3 units) → (5 samples × 3 units), summed over the inputs
    """
    n = positive_whole("n", n)
    steps: list[ShapeStep] = []
    for index in range(len(net.layers)):
        steps += (ShapeStep(index, "forward", step) for step in _forward(net, index, n))
    for index in range(len(net.layers) - 1, net.first_learning - 1, -1):
        steps += (ShapeStep(index, "backward", step) for step in _backward(net, index, n))
    return ShapeLedger(steps, n)


_UNTOLD = "The layer is your own, and does not tell its computations (forward_steps, backward_steps)."


def _forward(net: Network, index: int, n: int) -> Iterator[Computation]:
    layer = net.layers[index]
    a_in, a = axes(n, layer)
    found = layer.forward_steps(n)
    yield from found or [Computation(f"a = {layer.title}(a_in)", (a_in,), a, "", _UNTOLD)]


def _backward(net: Network, index: int, n: int) -> Iterator[Computation]:
    layer, below = net.layers[index], index > net.first_learning
    a_in, a = axes(n, layer)
    pair = ""
    if index == len(net.layers) - 1 and net.paired:
        names = f"{net.loss_function.name} and {net.output_layer.activation.name}"
        pair = f"{names} are a pair: one number for each sample and output."
    found = layer.backward_steps(n, below=below, pair=pair)
    if not found and below:
        found = [Computation(f"dL/da_in from dL/da, through {layer.title}", (a,), a_in, "", _UNTOLD)]
    yield from found


def _named(axes: Axes) -> str:
    inside = " × ".join(f"{size} {name[:-1] if size == 1 else name}" for size, name in axes)
    return f"({inside})"
