"""Learning slows when the output is badly wrong: one sigmoid neuron, squared error against cross-entropy.

a = σ(w x + b),  x = 1, y = 0, started at w = b = 2 where a = 0.98 should be 0

squared error    ∂L/∂w = (a − y) σ′(z) x        σ′(z) = a (1 − a) is nearly 0 there
cross-entropy    ∂L/∂w = (a − y) x              the slope has cancelled: the worse, the faster
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

from ..kinds import Dense
from ..kinds.optimizers import SGD
from ..network import Network
from ..training.callbacks import Callback, Training
from ..training.fit import fit
from . import page

if TYPE_CHECKING:
    from rich.console import Console

START: Final = 2.0  # w and b
LEARNING_RATE: Final = 0.15
EPOCHS: Final = 300
LOSSES: Final = ("squared_error", "cross_entropy")


@final
@dataclass(frozen=True)
class Neuron:
    """The output of the neuron at the start and after each epoch, and the first gradient of w."""

    loss: str
    outputs: list[float]
    first_gradient: float


@final
class _Output(Callback):
    """Keeps the neuron's output for x = 1 after every epoch."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_epoch_end(self, training: Training) -> None:
        self.values.append(float(training.net.forward([[1.0]])[0, 0]))


def run() -> list[Neuron]:
    """The neuron with each of the two losses, from the same bad start."""
    neurons = []
    for loss in LOSSES:
        layers = [Dense(1, "sigmoid", weight_init=START, bias_init=START)]
        net, output = Network(layers, inputs=1, loss=loss, dtype="float64"), _Output()
        first, gradient = float(net.forward([[1.0]])[0, 0]), float(net.gradient([[1.0]], [0.0])[0])
        settings: dict[str, Any] = {"optimizer": SGD(LEARNING_RATE), "callbacks": [output], "progress": False}
        fit(net, [[1.0]], [0.0], epochs=EPOCHS, **settings)
        neurons.append(Neuron(loss, [first, *output.values], gradient))
    return neurons


def show(neurons: list[Neuron], out: Console) -> None:
    """Print the table."""
    page.heading(out, "Learning slows when the output is badly wrong")
    page.paragraph(
        out,
        f"One sigmoid neuron, input 1, wanted output 0, started at w = b = {START:g}; learning rate {LEARNING_RATE:g}.",
    )
    shown = (0, 25, 50, 100, 150, 200, 300)
    rows = [
        (n.loss.replace("_", " "), f"{n.first_gradient:.4f}", *(f"{n.outputs[epoch]:.3f}" for epoch in shown))
        for n in neurons
    ]
    page.table(out, ("output at epoch", "first ∂L/∂w", *(f"{epoch}" for epoch in shown)), rows)
    squared, cross = neurons
    page.note(
        out,
        f"By squared error the first gradient is {cross.first_gradient / squared.first_gradient:.0f} times smaller, "
        "because it has the slope of the sigmoid as a factor; with cross-entropy that factor cancels.",
    )


def draw(ax: Any, neurons: list[Neuron]) -> None:
    """Both curves in one picture."""
    for neuron, color in zip(neurons, ("tab:blue", "tab:orange"), strict=True):
        ax.plot(neuron.outputs, color=color, label=neuron.loss.replace("_", " "))
    ax.set(xlabel="epoch", ylabel="output (wanted: 0)", ylim=(0, 1), title="one neuron, started badly wrong")
    ax.grid(alpha=0.25)
    ax.legend(frameon=False)
