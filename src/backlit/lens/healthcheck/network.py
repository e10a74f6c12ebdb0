"""Signs of ill health in the network itself, read off one traced batch.

Every threshold stands here with its reason. A *warning* is worth stopping for; a *note* is worth knowing. Healthy
networks should give no warning: where a sign also occurs in good networks, the threshold lies beyond what they show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, final

import numpy as np

from ...network import Network
from ...pages import count, number, plain
from ...parameters import Array
from ...randomness import keyed_generator
from ..step.delta import adds_up
from ..step.trace import LayerPass, Trace

Severity = Literal["note", "warning"]

#: Statistics over fewer rows than this say nothing about a unit: a coin falls on the same side 16 times in 65,536.
FEWEST_ROWS: Final = 16

# Saturated: f′(z) below 4 % of its largest value, which is a outside 0.01 … 0.99 for sigmoid and |a| > 0.98 for tanh,
# on 95 % of the rows. Some such units are found in good networks; half a layer of them passes next to no delta down
# (Glorot & Bengio 2010, figures 2 and 4).
_FLAT: Final = 0.04
_FLAT_ROWS: Final = 0.95
_SATURATED_WARNING, _SATURATED_NOTE = 0.5, 0.25
# An output whose slope is not cancelled by the loss: a row is stuck where it is wrong by more than ½ and flat. A few
# rows are in good networks, too; a quarter of them is the "learning slowdown" (Nielsen 2015, chapter 3).
_STUCK_ROWS: Final = 0.25

# Dead relu units: good networks have some, and a learning rate that is too high kills "as much as 40 %" (Stanford's
# CS231n, Neural Networks Part 1).
_DEAD_WARNING, _DEAD_NOTE = 0.4, 0.2

# Identical units have the same weights in and out, up to the rounding that training adds.
_SAME: Final = 1e-4
_IDENTICAL_WARNING: Final = 0.5

# Between neighbouring layers the size of delta changes by a factor near 1 with a good initialisation, 0.1 with sigmoid
# (Glorot & Bengio 2010), and three such layers still learn. A ten-thousandth of the output's delta is a fourth.
_VANISHED, _EXPLODED = 1e-4, 1e4

# Inputs should have mean 0 and spread 1 (LeCun et al. 1998, "Efficient BackProp", 4.3). 0 … 1 and ±3 work as well; ten
# times the spread is where a learning rate that suits the other weights is too large for these.
_LARGE_INPUT, _SMALL_INPUT = 10.0, 0.01

# Outputs that vary by less than 1 % of what the targets do give every row the same answer.
_CONSTANT: Final = 0.01

# A deep sigmoid network may begin by giving one answer to every row, and learn well from the fifth epoch on: until then
# what outputs do is no more than a note.
_EARLY: Final = 4


@final
@dataclass(frozen=True)
class Finding:
    """One sign of ill health.

    Attributes
    ----------
    name : str
        ``"dead_units"``, …; all of them are listed at `backlit.lens.healthcheck.health`.
    layer : int or None
        Index in the network's list, or None where it is about the whole.
    severity : "note" or "warning"
    numbers : dict
        What was measured.
    cause : str
        What it comes from, in one sentence with the numbers.
    advice : str
        What to change.
    which : tuple of int
        The units of the layer that it is about, where it is about some of them.
    """

    name: str
    layer: int | None
    severity: Severity
    numbers: dict[str, Any]
    cause: str
    advice: str
    which: tuple[int, ...] = ()

    @property
    def place(self) -> str:
        """The name, with its layer."""
        return self.name if self.layer is None else f"{self.name}, layer {self.layer}"

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        result: dict[str, Any] = plain(asdict(self))
        return result


def network_findings(trace: Trace, epochs: int | None) -> Iterator[Finding]:
    """All signs in one traced batch of a network that was trained for that many epochs."""
    if not all(
        np.isfinite(array).all() for layer in trace.layers for array in (layer.a, layer.delta) if array is not None
    ):
        yield _not_finite(trace)
        return
    yield from _inputs(trace)
    yield from _identical(trace)
    if trace.n >= FEWEST_ROWS:
        for layer in trace.layers:
            yield from _saturated(trace, layer)
            yield from _dead(trace, layer)
        yield from _constant_outputs(trace, epochs)
    yield from _delta_sizes(trace)


def settled(epochs: int | None) -> bool:
    """Whether a network that was trained for that many epochs (None: nobody knows) should have learnt something."""
    return epochs is None or epochs > _EARLY


def _not_finite(trace: Trace) -> Finding:
    layer = next((layer.index for layer in trace.layers if not np.isfinite(layer.a).all()), trace.layers[-1].index)
    wrong = {"not_finite_parameters": int((~np.isfinite(trace.net.parameters.values)).sum())}
    cause = f"The numbers are not finite any more, beginning in layer {layer}"
    return Finding(
        "not_finite",
        layer,
        "warning",
        wrong,
        f"{cause}: training has diverged.",
        "Go back to earlier parameters, and use a smaller learning rate or clip_norm.",
    )


def _inputs(trace: Trace) -> Iterator[Finding]:
    X = _numbers_taken(trace)
    if not X.size:
        return  # codes alone
    sizes = np.sqrt((X * X).mean(axis=0))  # (inputs,)
    largest = int(sizes.argmax())
    above = int((sizes > _LARGE_INPUT).sum())
    numbers = {
        "largest": float(sizes[largest]),
        "column": largest,
        "mean": float(X[:, largest].mean()),
        "spread": float(X[:, largest].std()),
        "columns_above": above,
    }
    size = number(sizes[largest], 3)
    if sizes[largest] > _LARGE_INPUT:
        yield Finding(
            "inputs_not_scaled",
            None,
            "warning",
            numbers,
            f"The inputs reach the network unscaled: column {largest} has the typical size {size}, and "
            f"{count(above, 'column')} of {sizes.size:,} exceed {_LARGE_INPUT:g}.",
            "Bring every column to mean 0 and spread 1 (StandardScaler), or set input_scale, 1/255 for images.",
        )
    elif 0.0 < sizes[largest] < _SMALL_INPUT:
        yield Finding(
            "inputs_not_scaled",
            None,
            "warning",
            numbers,
            f"The inputs are tiny: no column has a typical size above {size}, so the first weights hardly learn.",
            "Bring every column to mean 0 and spread 1 (StandardScaler); look whether they were scaled twice.",
        )


def _numbers_taken(trace: Trace) -> Array:
    """What reaches the first weights, shape (n, numbers): a norm in front scales it, and codes have no size."""
    codes = len(trace.net.layers[0].categories)
    weighted = {int(name.split(".")[0]) for name, shape in trace.net.parameters.shapes.items() if len(shape) > 1}
    first = min(weighted - {0} if codes else weighted)  # the weights of codes are looked up, and hand numbers on
    taken: Array = trace.layers[first].a_in[:, : trace.net.inputs - codes].astype(np.float64)
    return taken


def _saturated(trace: Trace, layer: LayerPass) -> Iterator[Finding]:
    activation = layer.layer.activation
    if activation is None or activation.steepest is None or layer.slope is None:
        return
    flat = layer.slope < _FLAT * activation.steepest  # (n, units)
    if layer is trace.layers[-1]:
        if trace.net.paired:
            return
        stuck = (flat & (np.abs(layer.a - trace.y) > 0.5)).any(axis=1)  # (n,)
        if stuck.mean() >= _STUCK_ROWS:
            yield Finding(
                "saturated_units",
                layer.index,
                "warning",
                {"stuck_rows": int(stuck.sum()), "rows": trace.n, "share": float(stuck.mean())},
                f"On {stuck.sum():,} of {trace.n:,} rows an output is wrong by more than 0.5 and flat at the same "
                f"time: {trace.net.loss_function.name} multiplies its delta by f′(z), which is nearly 0 there.",
                "Use the loss cross_entropy, whose delta is a − y however flat the output is; or smaller weights.",
            )
        return
    which = np.flatnonzero(flat.mean(axis=0) >= _FLAT_ROWS)
    units = which.size
    share = units / layer.units
    if share >= _SATURATED_NOTE:
        yield Finding(
            "saturated_units",
            layer.index,
            "warning" if share >= _SATURATED_WARNING else "note",
            {"units": units, "of": layer.units, "share": share, "mean_slope": float(layer.slope.mean())},
            f"{units:,} of {layer.units:,} {layer.activation} units are at the flat end of f on nearly all of "
            f"{trace.n:,} rows, where f′(z) lets next to no delta through.",
            "Start from smaller weights (glorot_uniform), scale the inputs, or use relu in the hidden layers.",
            tuple(which.tolist()),
        )


def _dead(trace: Trace, layer: LayerPass) -> Iterator[Finding]:
    if layer.layer.activation is None or not layer.layer.activation.dies:
        return
    which = np.flatnonzero((layer.a == 0.0).all(axis=0))
    units = which.size
    share = units / layer.units
    if share >= _DEAD_NOTE:
        yield Finding(
            "dead_units",
            layer.index,
            "warning" if share >= _DEAD_WARNING else "note",
            {"units": units, "of": layer.units, "share": share, "rows": trace.n},
            f"{units:,} of {layer.units:,} {layer.activation} units are 0 on all {trace.n:,} rows, so that no "
            "gradient reaches their weights.",
            "Use a smaller learning rate, he_normal initial weights, or leaky_relu; scale the inputs.",
            tuple(which.tolist()),
        )


def _identical(trace: Trace) -> Iterator[Finding]:
    """Hidden units with the same weights in and out: they get the same gradients, and stay the same."""
    net = trace.net
    for index, layer in enumerate(net.layers):
        vectors = _in_and_out(net, index)
        if vectors is None:
            continue
        which, groups = _twins(vectors)
        units = which.size
        if units:
            share = units / layer.outputs
            yield Finding(
                "identical_units",
                index,
                "warning" if share >= _IDENTICAL_WARNING else "note",
                {"units": units, "of": layer.outputs, "groups": groups, "share": share},
                f"{units:,} of {layer.outputs:,} units have a twin with the same weights in and out: they get the same "
                "gradient, so that training cannot tell them apart.",
                "Start from random weights (glorot_uniform, he_normal), not from zeros or a constant.",
                tuple(which.tolist()),
            )


def _in_and_out(net: Network, index: int) -> Array | None:
    """All that is learnt of each unit up to the next layer with weights, (units, numbers); None where it has no next.

    Also None where a parameter between the two belongs to no single unit.
    """
    units = net.layers[index].outputs
    above = [i for i in range(index + 1, len(net.layers)) if adds_up(net.layers[i])]
    if not adds_up(net.layers[index]) or not above:
        return None
    parts = []
    for name in net.parameters.names:
        place, short = name.split(".", 1)
        view = net.parameters.view(name).astype(np.float64)
        if int(place) == above[0] and short == "weight":
            parts.append(view.T)  # the bias of the next layer is not theirs
        elif index <= int(place) < above[0]:
            if view.shape[-1] != units or view.ndim > 2:
                return None
            parts.append(np.atleast_2d(view))
    return np.concatenate(parts).T


def _twins(vectors: Array) -> tuple[Array, int]:
    """Which of the rows equal another one, and in how many groups; up to `_SAME` of their size.

    Equal rows have equal projections on a random direction: only neighbours in their order need comparing.
    """
    direction = keyed_generator(0, "sampling", 4).standard_normal(vectors.shape[1])
    order = np.argsort(vectors @ direction, kind="stable")
    ordered = vectors[order]
    apart = np.linalg.norm(np.diff(ordered, axis=0), axis=1)
    sizes = np.linalg.norm(ordered, axis=1)
    same = apart <= _SAME * np.maximum(sizes[1:], sizes[:-1])  # (units − 1,): whether a row equals the next one
    edges = np.diff(np.concatenate([[0], same, [0]]).astype(np.int64))
    twins = np.concatenate([same, [False]]) | np.concatenate([[False], same])  # equal to the next, or to the one before
    return np.sort(order[twins]), int((edges == 1).sum())


def _delta_sizes(trace: Trace) -> Iterator[Finding]:
    sizes = {
        layer.index: float(np.sqrt(np.mean(layer.delta.astype(np.float64) ** 2)))
        for layer in trace.layers
        if layer.activation is not None and layer.delta is not None
    }
    *hidden, last = sizes
    if not sizes[last]:
        return  # every row fits exactly
    numbers = {"rms_delta": sizes}
    listed = ", ".join(f"{number(size, 2)} in layer {index}" for index, size in sizes.items())
    # from the output down: the first layer where it is too much
    small = next((i for i in reversed(hidden) if sizes[i] < _VANISHED * sizes[last]), None)
    large = next((i for i in reversed(hidden) if sizes[i] > _EXPLODED * sizes[last]), None)
    if small is not None:
        yield Finding(
            "vanishing_deltas",
            small,
            "warning",
            {**numbers, "ratio": sizes[hidden[0]] / sizes[last]},
            f"delta shrinks on its way down to nothing: its rms is {listed}.",
            "Use relu or tanh instead of sigmoid, he_normal or glorot_uniform initial weights, or fewer layers.",
        )
    if large is not None:
        yield Finding(
            "exploding_deltas",
            large,
            "warning",
            {**numbers, "ratio": sizes[hidden[0]] / sizes[last]},
            f"delta grows on its way down: its rms is {listed}.",
            "Start from smaller weights (glorot_uniform, he_normal), or clip the gradient with clip_norm.",
        )


def _constant_outputs(trace: Trace, epochs: int | None) -> Iterator[Finding]:
    spread = float(trace.layers[-1].a.astype(np.float64).std(axis=0).max())
    wanted = float(trace.y.astype(np.float64).std(axis=0).max())
    if spread < _CONSTANT * wanted:
        yield Finding(
            "constant_outputs",
            trace.layers[-1].index,
            "warning" if settled(epochs) else "note",
            {"spread": spread, "target_spread": wanted, "rows": trace.n},
            f"The outputs are the same on all {trace.n:,} rows: they spread by {number(spread, 2)}, the targets by "
            f"{number(wanted, 2)}.",
            "Look for dead or saturated units and unscaled inputs above; else train longer or with a larger rate.",
        )
