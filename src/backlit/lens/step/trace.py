"""One forward and one backward pass, with every number they left behind.

The numbers are the buffers of `Network.forward_pass`, `backward_pass` and `average` themselves, on a copy of the
network, in its own dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ...checking.batch_loss import FrozenBatch
from ...exceptions import ConfigurationError, ShapeError
from ...kinds import Layer
from ...network import Network
from ...pages import plain
from ...parameters import Array
from ...workspace import Workspace


@final
@dataclass(frozen=True)
class LayerPass:
    """What one layer took and gave, forwards and backwards, for n rows.

    Attributes
    ----------
    index : int
        Its place in the network's list.
    layer : Layer
        The layer itself, in the copy of the network that the pass ran through.
    description : str
        ``"Dense(30, 'sigmoid')"``.
    activation : str or None
        None for a layer without.
    a_in : ndarray, shape (n, inputs)
    a : ndarray, shape (n, units)
    delta : ndarray, shape (n, units), or None
        dL/dz of each row (times its sample weight), not divided by n; for a layer without activation dL/da of what it
        gave. None where nobody needs it, below the first layer that learns.
    upstream : ndarray, shape (n, units), or None
        dL/da as it arrived from above. None where there is no delta, and for an output that got a − y at once.
    room : dict of str to ndarray
        The arrays that the layer worked in.
    values : dict of str to ndarray
        What the units took and gave, (n, units) each, by symbol in the order of the pass, as the layer itself tells it.
    note : str
        What is special about slope or delta here, or empty.
    """

    index: int
    layer: Layer
    description: str
    activation: str | None
    a_in: Array
    a: Array
    delta: Array | None
    upstream: Array | None
    room: dict[str, Array]
    values: dict[str, Array]
    note: str = ""

    @property
    def units(self) -> int:
        return int(self.a.shape[1])

    @property
    def z(self) -> Array | None:
        """The pre-activations, shape (n, units), of a layer that has them."""
        return self.values.get("z")

    @property
    def slope(self) -> Array | None:
        """f′(z), shape (n, units); None for a layer without, and where the units of a row depend on each other."""
        return self.values.get("f′(z)")

    @property
    def mask(self) -> Array | None:
        """The factors of dropout, shape (n, units): all 1 in inference."""
        return self.values.get("mask")

    @property
    def delta_name(self) -> str:
        """What `delta` is here: "delta", which is dL/dz, or "dL/da" for a layer without activation."""
        return "dL/da" if self.activation is None else "delta"

    def columns(self, row: int, target: Array | None = None) -> dict[str, Array]:
        """`values` for one row; with targets for the output."""
        found: dict[str, Array] = {}
        for symbol, array in self.values.items():
            found[symbol] = array[row]
            if symbol == "a" and target is not None:
                found["y"] = target
        return found

    def to_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Everything, for JSON; arrays of more than `limit` numbers by their size only."""
        arrays = {"z": self.z, "a": self.a, "slope": self.slope, "delta": self.delta, "mask": self.mask}
        others = {
            symbol: array
            for symbol, array in self.values.items()
            if not any(array is known for known in arrays.values())
        }
        return {
            "index": self.index,
            "description": self.description,
            "activation": self.activation,
            "note": self.note,
            **{name: None if array is None else numbers_or_size(array, limit) for name, array in arrays.items()},
            "values": {symbol: numbers_or_size(array, limit) for symbol, array in others.items()},
        }


@final
@dataclass(frozen=True)
class Trace:
    """One batch, forwards and backwards.

    Attributes
    ----------
    net : Network
        A copy with the parameters of this pass.
    layers : list of LayerPass
    inputs : ndarray, shape (n, inputs)
        a_0: the rows, cast and scaled as the network does.
    y : ndarray, shape (n, outputs)
        Target values.
    weight : ndarray, shape (n,), or None
        Sample weights.
    weight_sum : float
        Σ w, or n: what the sums are divided by.
    step : int or None
        The training step whose pass this is; None for the pass of inference.
    row_labels : list of str
    row_losses : ndarray, shape (n,)
        Without penalty.
    loss : float
        Their mean, penalty included.
    data_gradient, penalty_gradient, gradient : ndarray, shape (P,)
        Of the mean loss, of the penalty, and of both.
    data : tuple
        (X, Y, weight) as `Network.check_data` gave them, copied.
    """

    net: Network
    layers: list[LayerPass]
    inputs: Array
    y: Array
    weight: Array | None
    weight_sum: float
    step: int | None
    row_labels: list[str]
    row_losses: Array
    loss: float
    data_gradient: Array
    penalty_gradient: Array
    gradient: Array
    data: tuple[Array, Array, Array | None]

    @property
    def n(self) -> int:
        return int(self.y.shape[0])

    @property
    def which_pass(self) -> str:
        """Whether this is the pass of training or of inference, in a sentence; empty where they are the same."""
        random = _titles(layer for layer in self.net.layers if layer.random)
        mixing = _titles(layer for layer in self.net.layers if layer.mixes_rows)
        if self.step is None:
            if not mixing:
                return ""
            return (
                f"This is the pass of inference: {mixing} uses what it remembers of training (running statistics). "
                "With step= the pass of training is explained."
            )
        said = [f"{random} with the mask of training step {self.step}"] * bool(random)
        said += [f"{mixing} with mean and spread of this very batch, so that its rows depend on each other"] * bool(
            mixing
        )
        return f"This is the pass of training: {'; '.join(said)}." if said else ""

    def check_row(self, row: Any) -> int:
        """The number of a row of this batch, or a `ConfigurationError`."""
        if isinstance(row, bool) or not hasattr(row, "__index__") or not 0 <= int(row) < self.n:
            known = "it has one row, 0" if self.n == 1 else f"its rows are 0 to {self.n - 1}"
            raise ConfigurationError(f"there is no row {row!r} in this batch: {known}")
        return int(row)

    def frozen(self) -> FrozenBatch:
        """The same batch in float64, for finite differences and for the loss along the step."""
        return FrozenBatch(self.net, *self.data, self.step)


def trace_batch(
    net: Network,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    row_labels: Sequence[Any] | None = None,
    step: int | None = None,
    epoch: float | None = None,
) -> Trace:
    """Run one batch forwards and backwards through a copy of the network, and keep every number.

    Rates that follow a schedule are those of the `epoch`; of that which the network was in, unless given.
    """
    net = net.astype(net.dtype)
    if epoch is not None:
        net.begin_epoch(epoch)
    X, Y, weight = net.check_data(X, y, sample_weight=sample_weight)
    data = (X.copy(), Y.copy(), None if weight is None else weight.copy())
    labels = _labels(row_labels, X.shape[0])
    work = Workspace(net.layers, net.inputs, X.shape[0], net.dtype, aim=net.aim, input_scale=net.input_scale)
    work.load(*data)
    sums = net.parameters.sums
    with np.errstate(all="ignore"):
        net.forward_pass(work, step)
        upstream = _backward_pass(net, work)
        weight_sum = float(sums[-1])
        data_gradient = net.parameters.gradients * (1.0 / weight_sum)
        penalty_gradient = net.penalty_gradient(net.parameters.values, weight_sum)
        loss = net.average()
        row_losses = net.row_losses(work)
        layers = [_layer_pass(net, work, index, upstream.get(index)) for index in range(len(net.layers))]
    return Trace(
        net=net,
        layers=layers,
        inputs=work.a[0],
        y=work.y,
        weight=work.weight,
        weight_sum=weight_sum,
        step=step,
        row_labels=labels,
        row_losses=row_losses,
        loss=loss,
        data_gradient=data_gradient,
        penalty_gradient=penalty_gradient,
        gradient=net.parameters.gradients.copy(),
        data=data,
    )


def _backward_pass(net: Network, work: Workspace) -> dict[int, Array]:
    """The network's own backward pass; dL/da of each layer, kept just before the layer turns it into its delta.

    The layers are those of a copy, and get their own `backward` back.
    """
    upstream: dict[int, Array] = {}

    def watched(backward: Callable[[Workspace, int, bool], None]) -> Callable[[Workspace, int, bool], None]:
        def keep(work: Workspace, i: int, below: bool) -> None:
            if not work.paired_output(i):
                upstream[i] = work.delta[i].copy()
            backward(work, i, below)

        return keep

    for layer in net.layers:
        layer.__dict__["backward"] = watched(layer.backward)
    try:
        net.backward_pass(work)
    finally:
        for layer in net.layers:
            del layer.__dict__["backward"]
    return upstream


def _layer_pass(net: Network, work: Workspace, index: int, upstream: Array | None) -> LayerPass:
    layer, room = net.layers[index], work.room[index]
    activation, a_in, a = layer.activation, work.a[index], work.a[index + 1]
    delta = None if index < net.first_learning else work.delta[index]
    note = ""
    if activation is not None:
        if activation.slope is None:
            formula = f": {activation.script.slope}" if activation.script else ""
            note = f"{activation.name} has a Jacobian, not a slope{formula}"
        if work.paired_output(index):
            note = f"delta = a − y at once: {net.loss_function.name} and {activation.name} are a pair"
            if activation.slope is not None:
                # Back-propagation did not need the slope here; it is computed by the same function for the display.
                activation.slope(room["z"], a, room["slope"], work.scratch[index])
                note += ", f′(z) cancels"
    return LayerPass(
        index=index,
        layer=layer,
        description=repr(layer),
        activation=None if activation is None else activation.name,
        a_in=a_in,
        a=a,
        delta=delta,
        upstream=upstream,
        room=room,
        values=layer.columns(room, a_in, a, delta),
        note=note,
    )


def _titles(layers: Iterable[Layer]) -> str:
    """The titles of layers, each once: "dropout 0.2 and batch norm"."""
    return " and ".join(dict.fromkeys(layer.title for layer in layers))


def _labels(row_labels: Sequence[Any] | None, n: int) -> list[str]:
    if row_labels is None:
        return [str(row) for row in range(n)]
    labels = [str(label) for label in row_labels]
    if len(labels) != n:
        raise ShapeError(f"row_labels must have {n} entries, one for each row of X, received {len(labels)}")
    return labels


def numbers_or_size(array: Array, limit: int | None) -> Any:
    """The array in lists; or, where it has more numbers than `limit`, its shape, norm and extremes."""
    if limit is None or array.size <= limit:
        return plain(array)
    values = array.astype(np.float64)
    return plain(
        {
            "shape": list(array.shape),
            "norm": float(np.linalg.norm(values)),
            "mean": float(values.mean()),
            "min": float(values.min()),
            "max": float(values.max()),
        }
    )
