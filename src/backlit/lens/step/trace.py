"""One forward and one backward pass, with every number they left behind.

The numbers are the buffers of `Network.forward_pass`, `backward_pass` and `average` themselves, on a copy of the
network, in its own dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ...checking.batch_loss import FrozenBatch
from ...exceptions import ConfigurationError, ShapeError
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
    description : str
        ``"Dense(30, 'sigmoid')"``.
    activation : str or None
        None for Dropout.
    a_in : ndarray, shape (n, inputs)
    z : ndarray, shape (n, units), or None
        None for Dropout.
    a : ndarray, shape (n, units)
    slope : ndarray, shape (n, units), or None
        f′(z); None for Dropout and for softmax, whose units depend on each other.
    delta : ndarray, shape (n, units), or None
        dL/dz of each row (times its sample weight), not divided by n. For Dropout dL/da of its output, or None where
        nobody needs it, below the first Dense.
    mask : ndarray, shape (n, units), or None
        The factors of Dropout: all 1 in inference.
    note : str
        What is special about slope or delta here, or empty.
    """

    index: int
    description: str
    activation: str | None
    a_in: Array
    z: Array | None
    a: Array
    slope: Array | None
    delta: Array | None
    mask: Array | None
    note: str = ""

    @property
    def units(self) -> int:
        return int(self.a.shape[1])

    def columns(self, row: int, target: Array | None = None) -> dict[str, Array]:
        """What the units took and gave for one row, by name, in the order of the pass; with targets for the output."""
        found: dict[str, Array] = {}
        if self.mask is not None:
            found |= {"a_in": self.a_in[row], "mask": self.mask[row]}
        if self.z is not None:
            found["z"] = self.z[row]
        found["a"] = self.a[row]
        if target is not None:
            found["y"] = target
        if self.slope is not None:
            found["f′(z)"] = self.slope[row]
        if self.delta is not None:
            found["delta" if self.mask is None else "dL/da"] = self.delta[row]
        return found

    def to_dict(self, limit: int | None = None) -> dict[str, Any]:
        """Everything, for JSON; arrays of more than `limit` numbers by their size only."""
        arrays = {"z": self.z, "a": self.a, "slope": self.slope, "delta": self.delta, "mask": self.mask}
        return {
            "index": self.index,
            "description": self.description,
            "activation": self.activation,
            "note": self.note,
            **{name: None if array is None else numbers_or_size(array, limit) for name, array in arrays.items()},
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
        The training step whose dropout mask is at work.
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
) -> Trace:
    """Run one batch forwards and backwards through a copy of the network, and keep every number."""
    net = net.astype(net.dtype)
    X, Y, weight = net.check_data(X, y, sample_weight=sample_weight)
    data = (X.copy(), Y.copy(), None if weight is None else weight.copy())
    labels = _labels(row_labels, X.shape[0])
    work = Workspace(net.layers, net.inputs, X.shape[0], net.dtype, input_scale=net.input_scale)
    work.load(*data)
    sums = net.parameters.sums
    with np.errstate(all="ignore"):
        net.forward_pass(work, step)
        net.backward_pass(work)
        weight_sum = float(sums[-1])
        data_gradient = net.parameters.gradients * (1.0 / weight_sum)
        penalty_gradient = net.penalty_gradient(net.parameters.values, weight_sum)
        loss = net.average()
        row_losses = net.row_losses(work)
        layers = [_layer_pass(net, work, index) for index in range(len(net.layers))]
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


def _layer_pass(net: Network, work: Workspace, index: int) -> LayerPass:
    layer = net.layers[index]
    if layer.activation is None:
        delta = None if index < net.first_learning else work.delta[index]
        return LayerPass(
            index, repr(layer), None, work.a[index], None, work.a[index + 1], None, delta, work.mask.get(index)
        )
    paired = net.paired and index == len(net.layers) - 1
    slope: Array | None = work.slope[index]
    note = ""
    if layer.activation.slope is None:
        slope = None
        note = "softmax has a Jacobian, not a slope: delta_j = a_j (dL/da_j − Σ_m a_m dL/da_m)"
    if paired:
        # Back-propagation did not need the slope here; it is computed by the same function for the display.
        if layer.activation.slope is not None:
            layer.activation.slope(work.z[index], work.a[index + 1], work.slope[index], work.scratch[index])
            note = (
                f"delta = a − y at once: {net.loss_function.name} and {layer.activation.name} are a pair, f′(z) cancels"
            )
        else:
            note = f"delta = a − y at once: {net.loss_function.name} and {layer.activation.name} are a pair"
    return LayerPass(
        index,
        repr(layer),
        layer.activation.name,
        work.a[index],
        work.z[index],
        work.a[index + 1],
        slope,
        work.delta[index],
        None,
        note,
    )


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
