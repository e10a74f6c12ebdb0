"""The reference's own buffers of one batch, and the same with a mistake in the forward pass.

`Passes` holds what one forward and one backward pass left: a, z, masks, and delta of every Dense layer. What lies
between two Dense layers is gone through by the layers themselves, whatever they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, final

import numpy as np

from ...checking.batch_loss import FrozenBatch
from ...kinds import ACTIVATIONS, Activation, Dense
from ...network import Network
from ...parameters import Array

UNKNOWN: Final = "unknown"


@final
@dataclass(frozen=True)
class Mistake:
    """One mistake at one place.

    Attributes
    ----------
    name : str
        In the catalogue.
    layer : int
        Where it was made: index in the network's list.
    shows : int
        The layer whose gradients it changes first.
    array : str
        The one array that it is in, "0.bias"; empty where it is in more.
    onward : bool
        Whether it is in delta, and so handed on to the layers below.
    numbers : mapping
        What was measured.
    """

    name: str
    layer: int
    shows: int
    array: str = ""
    onward: bool = False
    numbers: Mapping[str, float | str] = field(default_factory=dict)


@final
class Passes:
    """The buffers of one forward and one backward pass of the reference over one batch.

    Parameters
    ----------
    batch : FrozenBatch
    mistakes : tuple of Mistake
        Those already in the forward pass.
    forward_values : ndarray, shape (P,), optional
        Parameters that the forward pass runs on instead of the network's own.

    Attributes
    ----------
    dense : dict of int to Dense
        By index, from the output down.
    delta : dict of int to ndarray
        dL/dz of each Dense layer, (n, units), times the sample weight, not divided by n.
    gradient : ndarray, shape (P,)
        The right one, penalty included.
    """

    def __init__(
        self, batch: FrozenBatch, mistakes: tuple[Mistake, ...] = (), forward_values: Array | None = None
    ) -> None:
        self.net: Network = batch.net
        self.work = batch.work
        self.mistakes = mistakes
        if forward_values is None:
            self.gradient = batch.gradient()
        else:
            kept = batch.values.copy()
            batch.values[:] = forward_values
            self.net.forward_pass(self.work, batch.step)
            batch.values[:] = kept
            self.net.backward_pass(self.work)
            self.net.average()
            self.gradient = self.net.parameters.gradients.copy()
        self.weight_sum = float(self.net.parameters.sums[-1]) or 1.0
        self.layers = list(self.net.layers)
        self.dense: dict[int, Dense] = {
            i: layer for i, layer in reversed(list(enumerate(self.layers))) if isinstance(layer, Dense)
        }
        self.delta = {i: self.work.delta[i].copy() for i in self.dense if i >= self.net.first_learning}
        self.mixed: dict[int, Array] = {}  # what the judge keeps of each layer's input
        self.masks = {i: mask.copy() for i, mask in self.work.mask.items()}

    @property
    def n(self) -> int:
        return self.work.n

    def above(self, index: int) -> int | None:
        """The next Dense layer above, or None for the output layer."""
        return min((i for i in self.dense if i > index), default=None)

    def below(self, index: int) -> int | None:
        """The next Dense layer below, or None for the first."""
        return max((i for i in self.dense if i < index), default=None)

    def row_weights(self) -> Array | float:
        """What each row counts, (n, 1), or 1."""
        return 1.0 if self.work.weight is None else self.work.weight[:, None]

    def loss_gradient(self, y: Array) -> Array:
        """dL/da of the network's own loss for targets y, (n, outputs); of a pair, a − y."""
        a = self.work.a[-1]
        if self.net.paired:
            return np.asarray(a - y)
        found = np.empty_like(a)
        self.net.loss_function.gradient(a, y, found, np.empty((2, *a.shape), a.dtype))
        return found

    def times_slope(self, index: int, dL_da: Array) -> Array:
        """delta = dL/da ⊙ f′(z), or through the Jacobian, as a new array."""
        z, a, result = self.work.z[index], self.work.a[index + 1], dL_da.copy()
        self.dense[index].activation.times_slope(z, a, result, np.empty_like(z), np.empty_like(z))
        return result

    def slope(self, index: int) -> Array | None:
        """f′(z) of a layer, (n, units); None where it has a Jacobian."""
        return slope_of(self.dense[index].activation, self.work.z[index], self.work.a[index + 1])

    def between(self, upper: int, index: int) -> list[int]:
        """The layers from `upper` down to `index`, both left out."""
        return list(range(upper - 1, index, -1))

    def through(self, upper: int, index: int, dL_da: Array, skipped: tuple[int, ...] = ()) -> Array:
        """dL/da on its way down from what the Dense layer `upper` took to what the one at `index` gave."""
        for i in self.between(upper, index):
            if i in skipped:
                continue
            if i in self.masks:
                dL_da = dL_da * self.masks[i]
                continue
            self.work.delta[i][...] = dL_da
            if i == 0:
                break
            self.layers[i].backward(self.work, i, True)
            dL_da = self.work.delta[i - 1].copy()
        return dL_da

    def part(self, name: str) -> Array:
        """The right gradient of one parameter, in its shape."""
        parameters = self.net.parameters
        return np.asarray(self.gradient[parameters.slice(name)].reshape(parameters.shapes[name]))

    def penalty(self, name: str, *parts: str) -> Array:
        """The penalty's gradient on one parameter: l1 sign(w) + l2 w, or one of the two."""
        parameters = self.net.parameters
        whole = self.net.penalty_gradient(parameters.values, self.weight_sum, parts=parts or ("l1", "l2"))
        return np.asarray(whole[parameters.slice(name)].reshape(parameters.shapes[name]))


def slope_of(activation: Activation, z: Array, a: Array) -> Array | None:
    """f′ of an activation at z, with a where its formula is in a; None without a slope."""
    if activation.slope is None:
        return None
    result = np.empty_like(z)
    activation.slope(z, a, result, np.empty_like(z))
    return result


def value_of(activation: Activation, z: Array) -> Array:
    """f(z), a new array."""
    result = np.empty_like(z)
    activation.f(z, result)
    return result


# ── forward passes with a mistake ──────────────────────────────────────────────────────────────────────────


def wrong_forwards(frozen: Callable[[], FrozenBatch]) -> list[Callable[[], Passes]]:
    """Every forward pass with one mistake in it, to be made when it is asked for; from the output down."""
    net = frozen().net
    found: list[Callable[[], Passes]] = []
    dense = {i: layer for i, layer in reversed(list(enumerate(net.layers))) if isinstance(layer, Dense)}
    for index, layer in dense.items():
        found += [_another_f(frozen, index, name, f) for name, f in _other_functions(layer.activation)]
        if layer.bias is not None and layer.bias.any():
            found.append(_other_values(frozen, "forward_without_bias", index, {f"{index}.bias": None}))
        weight = layer.weight
        if weight.shape[0] == weight.shape[1] and not np.array_equal(weight, weight.T):
            found.append(_other_values(frozen, "forward_transposed", index, {f"{index}.weight": weight.T}))
    biases = {f"{i}.bias": None for i, layer in dense.items() if layer.bias is not None and layer.bias.any()}
    if len(biases) > 1:
        found.append(_other_values(frozen, "forward_without_bias", min(dense), biases))
    found += [_unscaled(frozen, i) for i, layer in enumerate(net.layers) if hasattr(layer, "draw_mask")]
    return found


def _other_functions(own: Activation) -> list[tuple[str, Callable[[Array, Array], Any]]]:
    found: list[tuple[str, Callable[[Array, Array], Any]]] = []
    if own.sums_to_one:

        def over_rows(z: Array, out: Array) -> None:
            turned = np.empty(z.T.shape, z.dtype)
            own.f(np.ascontiguousarray(z.T), turned)
            out[...] = turned.T

        def over_everything(z: Array, out: Array) -> None:
            own.f(z.reshape(1, -1), out.reshape(1, -1))

        found = [("softmax_over_batch", over_rows), ("softmax_over_everything", over_everything)]
    return found + [(name, one.f) for name, one in ACTIVATIONS.items() if name != own.name]


def _another_f(
    frozen: Callable[[], FrozenBatch], index: int, name: str, f: Callable[[Array, Array], Any]
) -> Callable[[], Passes]:
    def make() -> Passes:
        batch = frozen()
        layer = batch.net.layers[index]
        own = layer.activation
        if not isinstance(layer, Dense) or own is None:
            return Passes(batch)
        known = ACTIVATIONS.get(name)
        # The slope goes with the function that was used, except for softmax over another axis.
        slope, jacobian = (own.slope, own.jacobian) if known is None else (known.slope, known.jacobian)
        layer.activation = replace(own, f=f, slope=slope, jacobian=jacobian)
        label = name if known is None else "forward_activation"
        mistake = Mistake(label, index, index, onward=True, numbers={} if known is None else {"used": name})
        passes = Passes(batch, (mistake,))
        if known is None:
            sums = passes.work.a[index + 1].sum(axis=1)
            numbers = {"smallest_row_sum_of_a": float(sums.min()), "largest_row_sum_of_a": float(sums.max())}
            passes.mistakes = (replace(mistake, numbers=numbers),)
        return passes

    return make


def _other_values(
    frozen: Callable[[], FrozenBatch], name: str, index: int, changes: Mapping[str, Array | None]
) -> Callable[[], Passes]:
    def make() -> Passes:
        batch = frozen()
        values, parameters = batch.values.copy(), batch.net.parameters
        for parameter, array in changes.items():
            values[parameters.slice(parameter)] = 0.0 if array is None else array.ravel()
        several = {"layers": ", ".join(key.split(".")[0] for key in changes)} if len(changes) > 1 else {}
        return Passes(batch, (Mistake(name, index, index, onward=True, numbers=several),), values)

    return make


def _unscaled(frozen: Callable[[], FrozenBatch], index: int) -> Callable[[], Passes]:
    def make() -> Passes:
        batch = frozen()
        layer: Any = batch.net.layers[index]
        draw = layer.draw_mask

        def without_scale(mask: Array, uniform: Array, key: tuple[int, int, int], first: int = 0) -> None:
            draw(mask, uniform, key, first)
            np.greater(mask, 0.0, out=mask)

        layer.draw_mask = without_scale
        return Passes(batch, (Mistake("forward_mask_unscaled", index, index, onward=True),))

    return make
