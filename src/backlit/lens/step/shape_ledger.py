"""The shape ledger: every product of a pass forwards and backwards, with its shapes, and why this transpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, final

from ...checks import positive_whole
from ...kinds import Dense
from ...network import Network
from ...pages import Page, Words, count, plain, shown

#: Sizes with the names of their axes: ((32, "samples"), (784, "inputs")).
Axes = tuple[tuple[int, str], ...]


@final
@dataclass(frozen=True, slots=True)
class ShapeStep:
    """One computation and its shapes.

    Attributes
    ----------
    layer : int
        Index in the network's list.
    direction : str
        "forward" or "backward".
    equation : str
    operands : tuple of Axes
        The shapes that go in, each axis with its name.
    result : Axes
    meets : str
        The axis that a matrix product or a sum runs over, or empty for work element by element.
    reason : str
    multiplications : int
        Of numbers: the cost of a matrix product.
    """

    layer: int
    direction: str
    equation: str
    operands: tuple[Axes, ...]
    result: Axes
    meets: str
    reason: str
    multiplications: int = 0

    @property
    def shapes(self) -> str:
        """The shapes in words."""
        sign = " · " if self.multiplications else " with "
        over = f", summed over the {self.meets}" if self.meets else ""
        return f"{sign.join(_named(axes) for axes in self.operands)} → {_named(self.result)}{over}"


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

    def page(self) -> Page:
        """The ledger as a page."""
        cost = sum(step.multiplications for step in self.steps)
        blocks: list[Words] = []
        for step in self.steps:
            blocks += [
                Words(""),
                Words(f"layer {step.layer}, {step.direction}: {step.equation}", "strong"),
                Words(step.shapes, "", 4),
                Words(step.reason, "dim", 4),
            ]
        title = (
            f"Shapes of one pass: {count(self.samples, 'sample')}, {count(cost, 'multiplication')} in matrix products"
        )
        return Page(title, [*blocks])

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {"samples": self.samples, "steps": [plain(asdict(step)) for step in self.steps]}


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
    first = next(i for i, layer in enumerate(net.layers) if isinstance(layer, Dense))
    steps: list[ShapeStep] = []
    for index in range(len(net.layers)):
        steps += _forward(net, index, n)
    for index in range(len(net.layers) - 1, first - 1, -1):
        steps += _backward(net, index, n, first)
    return ShapeLedger(steps, n)


def _forward(net: Network, index: int, n: int) -> Iterator[ShapeStep]:
    layer = net.layers[index]
    a_in, a, weight = _axes(n, layer)
    if not isinstance(layer, Dense):
        reason = "Each activation meets its own factor: 0 or 1/(1 − rate) in training, 1 in inference."
        yield ShapeStep(index, "forward", "a = a_in ⊙ m", (a_in, a_in), a, "", reason)
        return
    yield ShapeStep(
        index,
        "forward",
        "z = a_in W + b" if layer.has_bias else "z = a_in W",
        (a_in, weight),
        a,
        "inputs",
        "No transpose: a row of a_in is one sample's inputs, a column of W the weights into one unit; they meet over "
        "the inputs." + (" The bias, one number a unit, is added to every row." if layer.has_bias else ""),
        n * layer.inputs * layer.units,
    )
    name = layer.activation.name
    reason = "Every number by itself: the shape stays."
    if name == "softmax":
        reason = "Along each row: the units of one sample share 1 between them; samples do not mix."
    yield ShapeStep(index, "forward", f"a = f(z), {name}", (a,), a, "", reason)


def _backward(net: Network, index: int, n: int, first: int) -> Iterator[ShapeStep]:
    layer = net.layers[index]
    a_in, a, weight = _axes(n, layer)
    last = index == len(net.layers) - 1
    if not isinstance(layer, Dense):
        reason = "Backwards through the same factors: what was zero forwards gets no blame."
        yield ShapeStep(index, "backward", "dL/da_in = dL/da ⊙ m", (a, a), a_in, "", reason)
        return
    if last and net.paired:
        reason = (
            f"{net.loss_function.name} and {layer.activation.name} are a pair: one number for each sample and output."
        )
        yield ShapeStep(index, "backward", "delta = a − y", (a, a), a, "", reason)
    elif layer.activation.slope is None:
        reason = "softmax mixes the units of a row, so its Jacobian does too; samples do not mix."
        yield ShapeStep(index, "backward", "delta = a ⊙ (dL/da − Σ_k a_k dL/da_k)", (a, a), a, "", reason)
    else:
        reason = "Element by element, because f was: each z feeds its own a and no other."
        yield ShapeStep(index, "backward", "delta = dL/da ⊙ f′(z)", (a, a), a, "", reason)
    yield ShapeStep(
        index,
        "backward",
        "dL/dW = a_inᵀ delta",
        ((a_in[1], a_in[0]), a),
        weight,
        "samples",
        "a_in is transposed so that samples meet samples: every weight sums a_i · delta_j over the batch, and the "
        "result has the shape of W.",
        n * layer.inputs * layer.units,
    )
    if layer.has_bias:
        reason = "A bias is a weight whose input is 1 in every sample: only the sum over the samples is left."
        yield ShapeStep(index, "backward", "dL/db = Σ_rows delta", (a,), (a[1],), "samples", reason)
    if index > first:
        yield ShapeStep(
            index,
            "backward",
            "dL/da_in = delta Wᵀ",
            (a, (weight[1], weight[0])),
            a_in,
            "units",
            "W is transposed so that units meet units: each input collects from every unit that it fed, through the "
            "same weight, and the result has the shape of a_in.",
            n * layer.inputs * layer.units,
        )


def _axes(n: int, layer: Any) -> tuple[Axes, Axes, Axes]:
    """a_in, a and W with the names of their axes."""
    samples, inputs, units = (n, "samples"), (layer.inputs, "inputs"), (layer.outputs, "units")
    return (samples, inputs), (samples, units), (inputs, units)


def _named(axes: Axes) -> str:
    inside = " × ".join(f"{size} {name[:-1] if size == 1 else name}" for size, name in axes)
    return f"({inside})"
