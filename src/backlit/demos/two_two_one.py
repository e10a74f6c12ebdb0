"""Two inputs, two linear hidden neurons, one output; every weight 1, every bias 0; one sample, ([1, 1] → 1).

    h = x W + b        (2,)    W (2, 2), b (2,)
    out = h V + c      (1,)    V (2, 1), c (1,)
    L = (y − out)²

Nine parameters, nine gradients, each a product along the way from the loss back to the parameter:

    ∂L/∂c = 2(out − y)              ∂L/∂V[j] = ∂L/∂c · h[j]
    ∂L/∂b[j] = ∂L/∂c · V[j]         ∂L/∂W[i,j] = ∂L/∂b[j] · x[i]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from ..checking.gradcheck import check_gradients
from ..data import load
from ..kinds import Dense
from ..kinds.optimizers import SGD
from ..network import Network
from ..parameters import Array
from ..training.fit import fit
from ..training.history import History
from . import page, picture

if TYPE_CHECKING:
    from rich.console import Console

_DATA: Final = load("two-two-one")
X: Final = _DATA.X  # (1, 2)
Y: Final = _DATA.y[:, None]  # (1, 1)
LEARNING_RATE: Final = 0.1
EPOCHS: Final = 10

#: Exclusive or: 1 where one of two is on, but not both. No line (no plane over the inputs) gives these four values.
XOR_X: Final = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
XOR_Y: Final = np.array([[0.0], [1.0], [1.0], [0.0]])
XOR_EPOCHS: Final = 300
LEARNT: Final = 0.05  # a largest loss below this is learnt: every output is within 0.23 of its target


@final
@dataclass(frozen=True)
class Gradient:
    """One of the nine: its chain-rule factors, what back-propagation found, and what nudging finds."""

    name: str
    rule: str
    factors: tuple[float, ...]
    backprop: float
    finite_difference: float

    @property
    def product(self) -> float:
        return math.prod(self.factors)


@final
@dataclass(frozen=True)
class Epoch:
    """One epoch: the output and the gradients before its step, its losses, and the values after it."""

    out: float
    smallest: float
    mean: float
    largest: float
    gradients: list[Gradient]
    values_after: Array


@final
@dataclass(frozen=True)
class Attempt:
    """The same network on exclusive or: how it started, its activation, and how far it came."""

    start: str
    activation: str
    history: History
    outputs: Array
    loss: float

    @property
    def learnt(self) -> bool:
        return float(((self.outputs - XOR_Y) ** 2).max()) < LEARNT


@final
@dataclass(frozen=True)
class TwoTwoOneResults:
    """`epochs` of the network of equal weights; `attempts` at exclusive or; `slope` and `offset` of the line it is."""

    epochs: list[Epoch]
    attempts: list[Attempt]
    slope: Array
    offset: float

    def as_json(self) -> dict[str, Any]:
        first, last = self.epochs[0], self.epochs[-1]
        return {
            "first": {"loss_before": first.mean, "out_before": first.out, **_weights_after(first)},
            "last": {"loss_before_epoch_10": last.mean, **_weights_after(last)},
        }


def _weights_after(epoch: Epoch) -> dict[str, float]:
    return {"hidden_weight_after": float(epoch.values_after[0]), "output_weight_after": float(epoch.values_after[6])}


def equal_network(activation: str = "identity") -> Network:
    """2-2-1 with every weight 1 and every bias 0."""
    layers = [Dense(2, activation, weight_init=1.0), Dense(1, weight_init=1.0)]
    return Network(layers, inputs=2, loss="mean_squared_error", dtype="float64")


def random_network(activation: str, seed: int) -> Network:
    """2-2-1 with standard normal weights."""
    layers = [Dense(2, activation, weight_init="standard_normal"), Dense(1, weight_init="standard_normal")]
    return Network(layers, inputs=2, loss="mean_squared_error", dtype="float64", seed=seed)


def chain_rule(net: Network) -> list[Gradient]:
    """The nine gradients at the net's present values, in the order of its parameters."""
    W, b = net.parameters.view("0.weight"), net.parameters.view("0.bias")  # (2, 2), (2,)
    V, c = net.parameters.view("1.weight")[:, 0], net.parameters.view("1.bias")  # (2,), (1,)
    x, y = X[0], Y[0, 0]
    h = x @ W + b  # (2,)
    d = float(2.0 * ((h @ V + c)[0] - y))  # ∂L/∂out = 2(out − y)
    rules: list[tuple[str, str, tuple[float, ...]]] = [
        *((f"W[{i},{j}]", f"d · V[{j}] · x[{i}]", (d, V[j], x[i])) for i in (0, 1) for j in (0, 1)),
        *((f"b[{j}]", f"d · V[{j}]", (d, V[j])) for j in (0, 1)),
        *((f"V[{j}]", f"d · h[{j}]", (d, h[j])) for j in (0, 1)),
        ("c", "d", (d,)),
    ]
    checked = check_gradients(net, X, Y).rows
    return [
        Gradient(name, rule, tuple(map(float, factors)), row.gradient, row.finite_difference)
        for (name, rule, factors), row in zip(rules, checked, strict=True)
    ]


def run(seed: int | None = None) -> TwoTwoOneResults:
    """Ten epochs of the network of equal weights, then four attempts at exclusive or.

    The equal start is the subject; `seed` is that of the random one.
    """
    net, history, epochs = equal_network(), History(), []
    for _ in range(EPOCHS):
        out, gradients = float(net.forward(X)[0, 0]), chain_rule(net)
        history = fit(net, X, Y, epochs=1, batch_size=1, optimizer=SGD(LEARNING_RATE), progress=False, resume=history)
        row = history.last()
        values = net.parameters.values.copy()
        epochs.append(Epoch(out, row["batch_loss_min"], row["loss"], row["batch_loss_max"], gradients, values))
    W, b = net.parameters.view("0.weight"), net.parameters.view("0.bias")
    V, c = net.parameters.view("1.weight"), net.parameters.view("1.bias")
    attempts = [
        attempt(start, activation, 0 if seed is None else seed)
        for start in ("all equal", "random")
        for activation in ("identity", "tanh")
    ]
    # (x W + b) V + c = x (W V) + (b V + c)
    return TwoTwoOneResults(epochs, attempts, slope=(W @ V)[:, 0], offset=float((b @ V + c)[0]))


def attempt(start: str, activation: str, seed: int) -> Attempt:
    """Learn exclusive or, one sample at a time."""
    net = equal_network(activation) if start == "all equal" else random_network(activation, seed)
    history = fit(net, XOR_X, XOR_Y, epochs=XOR_EPOCHS, batch_size=1, optimizer=SGD(LEARNING_RATE), progress=False)
    return Attempt(start, activation, history, net.forward(XOR_X), net.loss(XOR_X, XOR_Y))


def show(results: TwoTwoOneResults, out: Console) -> None:
    """Print the page."""
    page.heading(out, "2-2-1 without activations, every weight 1, every bias 0: nine gradients an epoch")
    page.paragraph(
        out,
        "h = x·W + b, out = h·V + c, loss (y − out)²; one sample, x = [1, 1], y = 1; learning rate "
        f"{LEARNING_RATE:g}. Each gradient is the product of the slopes on its way, with d = 2(out − y); beside it "
        "what back-propagation found, and what nudging the parameter finds.",
    )
    for number, epoch in enumerate(results.epochs, 1):
        page.heading(out, f"Epoch {number}   out {epoch.out:.6f}")
        page.paragraph(out, f"loss: smallest {epoch.smallest:.6f}, mean {epoch.mean:.6f}, largest {epoch.largest:.6f}")
        rows = [
            (
                g.name,
                g.rule,
                " · ".join(f"{factor:.5g}" for factor in g.factors),
                f"{g.product:.5f}",
                f"{g.backprop:.5f}",
                f"{g.finite_difference:.5f}",
            )
            for g in epoch.gradients
        ]
        page.table(out, ("∂L/∂", "chain rule", "in numbers", "product", "backprop", "nudged"), rows, (0, 1))

    values = results.epochs[-1].values_after
    page.heading(out, "What it has become")
    page.paragraph(
        out,
        f"After {len(results.epochs)} epochs all four weights of W are {values[0]:.6f}, and both of V are "
        f"{values[6]:.6f}: still equal. Both hidden neurons see the same inputs, have the same weights and send their "
        "output through the same V, so their gradients are the same too: two copies of one neuron for ever. And "
        "without activations the network is a line, whatever its weights: x·W·V + (b·V + c), here "
        f"out = {results.offset:.4f} {results.slope[0]:+.4f}·x[0] {results.slope[1]:+.4f}·x[1].",
    )

    page.heading(out, f"The same network on exclusive or, {XOR_EPOCHS:,} epochs, four samples one at a time")
    tries = [
        (
            a.start,
            a.activation,
            *(f"{a.history[name][-1]:.4f}" for name in ("batch_loss_min", "loss", "batch_loss_max")),
            "  ".join(f"{v:.2f}" for v in a.outputs[:, 0].round(2) + 0.0),
            "yes" if a.learnt else "no",
        )
        for a in results.attempts
    ]
    columns = ("start", "activation", "smallest", "mean", "largest", "outputs", "learnt")
    page.table(out, columns, tries, (0, 1, 6))
    page.note(
        out,
        "Smallest, mean and largest loss of a sample in the last epoch; the outputs for (0, 0), (0, 1), (1, 0) "
        "and (1, 1) ought to be 0, 1, 1, 0.",
    )
    both = results.attempts[-1]
    if both.learnt:
        page.conclusion(
            out,
            "Equal weights get equal gradients and stay equal, and layers without activations are one line; "
            "a random start and an activation together are what lets 2-2-1 learn more.",
        )
    else:
        page.conclusion(
            out,
            "Equal weights get equal gradients and stay equal, and layers without activations are one line; a random "
            "start and an activation are needed, though from this seed's start 2-2-1 has still found a poor valley: "
            "try another --seed.",
        )


def draw(results: TwoTwoOneResults, path: str) -> None:
    """The loss of the ten epochs, and that of the four attempts."""
    figure = picture.new_figure(11, 4.2)
    left, right = figure.subplots(1, 2)
    left.plot(range(1, len(results.epochs) + 1), [epoch.mean for epoch in results.epochs], marker="o", markersize=4)
    left.set(xlabel="epoch", ylabel="loss (y − out)²", title="one sample, every weight equal")
    looks = (("0.75", "-", 2.5), ("tab:orange", "-", 1.0), ("0.35", "--", 1.0), ("tab:blue", "-", 1.8))
    for a, (color, line, width) in zip(results.attempts, looks, strict=True):
        epochs = np.arange(1, a.history.epochs + 1)
        right.plot(
            epochs,
            a.history["loss"],
            color=color,
            linestyle=line,
            linewidth=width,
            label=f"{a.start} start, {a.activation}",
        )
        if a is results.attempts[-1]:
            low, high = a.history["batch_loss_min"], a.history["batch_loss_max"]
            right.fill_between(epochs, low, high, color=color, alpha=0.12, linewidth=0)
    right.set(xlabel="epoch", ylabel="loss", ylim=(0, 1), title="exclusive or: mean loss (shaded: smallest to largest)")
    right.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.25)
    picture.save_figure(figure, path)
