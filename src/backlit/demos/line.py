"""y = w·x + b learnt without calculus: nudge each parameter, see what the loss does, move it by that.

    gradient    ∂L/∂w ≈ (L(w + 0.0001, b) − L(w, b)) / 0.0001          the same for b
    step        w ← w − η ∂L/∂w                                        η = 0.01

Beside it, from the same start, back-propagation, which finds all gradients in one pass forward and one back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from ..checking.gradcheck import FiniteDifference
from ..data import load
from ..kinds import Dense
from ..kinds.optimizers import SGD
from ..network import Network
from ..parameters import Array
from ..training.callbacks import Callback, Training
from ..training.fit import fit
from . import page, picture

if TYPE_CHECKING:
    from rich.console import Console

_DATA: Final = load("line")
X: Final = _DATA.X  # (4, 1)
Y: Final = _DATA.y[:, None]  # (4, 1)
START: Final = (1.477867, 0.0)  # w and b, the published ones
NUDGE: Final = 1e-4
LEARNING_RATE: Final = 0.01
EPOCHS: Final = 1000
SHOWN: Final = (1, 10, 100, 1000)  # epochs

#: How gradients are found: its name, `gradient` of `fit`, passes forward and back for P parameters.
WAYS: Final[dict[str, tuple[Any, int, int, int]]] = {
    # name: (gradient, passes forward = first + second × P, passes back)
    "nudging, forward": (FiniteDifference(NUDGE, "forward"), 1, 1, 0),
    "nudging, central": (FiniteDifference(NUDGE, "central"), 1, 2, 0),
    "back-propagation": ("backprop", 1, 0, 1),
}


@final
class Path(Callback):
    """Keeps w and b after every epoch."""

    def __init__(self) -> None:
        self.values: list[Array] = []

    def on_epoch_end(self, training: Training) -> None:
        self.values.append(training.net.parameters.values.copy())


@final
@dataclass(frozen=True)
class Learnt:
    """One way of learning, from start to end.

    Attributes
    ----------
    path : ndarray, shape (epochs + 1, 2)
        w and b at the start and after each epoch.
    forward_passes, backward_passes : int
        Passes of a batch through the network, over all steps: one for each loss that is found. Of a nudged one only
        what the nudge changes is computed anew.
    """

    name: str
    batch_size: int
    path: Array
    loss: float
    steps: int
    forward_passes: int
    backward_passes: int
    seconds: float


@final
@dataclass(frozen=True)
class LineResults:
    """`ways` with the chosen batch size; `batches` by nudging, one for each batch size."""

    ways: list[Learnt]
    batches: list[Learnt]

    def as_json(self) -> dict[str, Any]:
        nudged, central, backprop = self.ways
        return {
            **_after_epoch(nudged),
            "central_difference": _after_epoch(central),
            "backprop": _after_epoch(backprop),
            "forward_passes": {way.name: way.forward_passes for way in self.ways},
            "seconds": {way.name: way.seconds for way in self.ways},
        }


def _after_epoch(way: Learnt) -> dict[str, Any]:
    epochs = [epoch for epoch in SHOWN if epoch < len(way.path)]
    return {"after_epoch": {str(e): {"w": float(way.path[e, 0]), "b": float(way.path[e, 1])} for e in epochs}}


def start(seed: int | None) -> Network:
    """y = w·x + b as a network: one unit without activation. `seed` None is the published start."""
    net = Network(
        [Dense(1, weight_init="standard_normal", bias_init="standard_normal")],
        inputs=1,
        loss="mean_squared_error",
        dtype="float64",
        seed=0 if seed is None else seed,
    )
    if seed is None:
        net.parameters.values[:] = START
    return net


def learn(name: str, seed: int | None, batch_size: int) -> Learnt:
    """Learn the line in the way of that name."""
    gradient, once, for_each_parameter, back = WAYS[name]
    net, path = start(seed), Path()
    path.values.append(net.parameters.values.copy())
    history = fit(
        net,
        X,
        Y,
        epochs=EPOCHS,
        batch_size=batch_size,
        optimizer=SGD(LEARNING_RATE),
        gradient=gradient,
        callbacks=[path],
        progress=False,
    )
    steps = EPOCHS * -(-len(X) // batch_size)
    return Learnt(
        name=name,
        batch_size=min(batch_size, len(X)),
        path=np.array(path.values),
        loss=net.loss(X, Y),
        steps=steps,
        forward_passes=steps * (once + for_each_parameter * net.parameters.size),
        backward_passes=steps * back,
        seconds=sum(history["seconds"]),
    )


def run(seed: int | None = None, batch_size: int = len(X)) -> LineResults:
    """Learn the line by nudging (forward and central) and by back-propagation; and by nudging with smaller batches."""
    ways = [learn(name, seed, batch_size) for name in WAYS]
    nudged = ways[0]
    sizes = (4, 2, 1)
    return LineResults(
        ways, batches=[nudged if size == nudged.batch_size else learn(nudged.name, seed, size) for size in sizes]
    )


def show(results: LineResults, out: Console) -> None:
    """Print the page."""
    nudged, _, backprop = results.ways
    page.heading(out, "y = w·x + b, learnt without calculus")
    page.paragraph(
        out,
        f"Four points on y = 2x. Start: w = {nudged.path[0, 0]:g}, b = {nudged.path[0, 1]:g}. Each of the two is "
        f"nudged by {NUDGE:g}; what that does to the loss, mean (w·x + b − y)², says how far to move it. Learning rate "
        f"{LEARNING_RATE:g}, batches of {nudged.batch_size}.",
    )
    rows = [
        (
            f"{epoch:,}",
            *(f"{way.path[epoch, i]:.7f}" for way in (nudged, backprop) for i in (0, 1)),
            f"{np.abs(nudged.path[epoch] - backprop.path[epoch]).max():.1e}",
        )
        for epoch in (0, *SHOWN)
    ]
    page.table(out, ("epoch", "w, nudging", "b, nudging", "w, backprop", "b, backprop", "apart"), rows, ())

    page.heading(out, f"What {nudged.steps:,} steps took")
    rows = [
        (
            way.name,
            f"{way.forward_passes:,}",
            f"{way.backward_passes:,}",
            page.duration(way.seconds),
            f"{way.loss:.2e}",
            f"{np.abs(way.path - backprop.path).max():.1e}",
        )
        for way in results.ways
    ]
    page.table(out, ("way", "forward passes", "backward", "time", "loss", "apart by"), rows)
    page.note(
        out,
        f"The forward difference leans by half a nudge times the curvature, which is why it stays "
        f"{np.abs(nudged.path - backprop.path).max():.0e} beside the path; the central difference has no such lean.",
    )

    page.heading(out, f"Batch size, over the same {EPOCHS:,} epochs of nudging")
    rows = [
        (
            f"{way.batch_size}",
            f"{way.steps:,}",
            f"{way.forward_passes:,}",
            page.duration(way.seconds),
            f"{way.path[10, 0]:.5f}",
            f"{way.path[10, 1]:.5f}",
            f"{way.path[-1, 0]:.5f}",
            f"{way.path[-1, 1]:.5f}",
        )
        for way in results.batches
    ]
    columns = ("batch", "steps", "forward", "time", "w, ep. 10", "b, ep. 10", "w, end", "b, end")
    page.table(out, columns, rows, ())
    page.note(
        out,
        "Half the batch is twice the steps in an epoch, each from fewer points: an epoch costs twice the passes and "
        "comes farther. Every way of nudging ends half a nudge beside the line, in w or in b.",
    )
    page.conclusion(
        out,
        "Nudging and back-propagation walk the same path, but nudging needs one pass for every parameter and one more: "
        f"{1 + nudged.path.shape[1]} a step here, 23,861 for the 784-30-10 network of `backlit demo digits`, where "
        "back-propagation needs one forward and one back.",
    )


def draw(results: LineResults, path: str) -> None:
    """The paths over the loss, and the loss over the epochs."""
    figure = picture.new_figure(11, 4.5)
    left, right = figure.subplots(1, 2)
    every_step = results.batches[-1]
    nudged, _, backprop = results.ways
    all_values = np.concatenate([nudged.path, every_step.path, [[2.0, 0.0]]])
    (w_low, b_low), (w_high, b_high) = all_values.min(axis=0), all_values.max(axis=0)
    w_room, b_room = 0.15 * (w_high - w_low), 0.25 * (b_high - b_low)
    w = np.linspace(w_low - w_room, w_high + w_room, 200)
    b = np.linspace(b_low - b_room, b_high + b_room, 200)
    surface = ((w[:, None, None] * X[:, 0] + b[None, :, None] - Y[:, 0]) ** 2).mean(axis=2)  # (w, b)
    left.contour(w, b, surface.T, levels=np.geomspace(1e-3, surface.max(), 14), colors="0.8", linewidths=0.8, zorder=0)
    left.plot(*backprop.path.T, color="tab:orange", linewidth=4, alpha=0.5, label="back-propagation")
    left.plot(*nudged.path.T, color="tab:blue", linewidth=1.2, label=f"nudging, batches of {nudged.batch_size}")
    left.plot(*every_step.path.T, color="tab:green", linewidth=1.0, linestyle="--", label="nudging, batches of 1")
    left.plot(*nudged.path[0], "o", color="black", markersize=5, label="start")
    left.plot(2.0, 0.0, "*", color="black", markersize=10, label="y = 2x")
    left.set(xlabel="w", ylabel="b", title="the path of w and b, over lines of equal loss")
    left.legend(frameon=False)
    epochs = np.arange(EPOCHS + 1)
    for way, color, width in ((backprop, "tab:orange", 4.0), (nudged, "tab:blue", 1.2), (every_step, "tab:green", 1.0)):
        loss = ((way.path @ np.hstack([X, np.ones_like(X)]).T - Y[:, 0]) ** 2).mean(axis=1)
        right.plot(epochs, loss, color=color, linewidth=width, alpha=0.5 if width > 2 else 1.0)
    right.set(xlabel="epoch", ylabel="loss", yscale="log", title="the loss of all four points")
    right.grid(alpha=0.25)
    picture.save_figure(figure, path)
