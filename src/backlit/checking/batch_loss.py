"""The loss of one batch as a function of the parameters: what finite differences, and the lens, are taken of."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Final, final

import numpy as np

from ..exceptions import ConfigurationError
from ..network import Network
from ..parameters import Array
from ..targets import adding_up_to_one
from ..workspace import Workspace
from .one_unit import OneUnit

EPSILON: Final = 1e-5  # near the cube root of float64's precision, where truncation and rounding balance


@final
class FrozenBatch:
    """L(θ) and its slopes on one batch, everything random in it frozen.

    Parameters
    ----------
    net : Network
        A copy of it is used, in `dtype`.
    X, Y, weight : ndarray
        As `Network.check_data` gives them.
    step : int, optional
        Dropout is at work with the mask of that step; without, there is no dropout.
    dtype : {"float64", "float32"}

    Attributes
    ----------
    values : ndarray, shape (P,)
        θ. Write into it to move.

    Examples
    --------
    >>> from backlit.kinds import Dense
    >>> net = Network([Dense(1, weight_init=3.0)], inputs=1)
    >>> batch = FrozenBatch(net, *net.check_data([[1.0]], [1.0]))
    >>> batch.loss(), batch.gradient(), round(batch.central(0), 6)              # ½ (3 − 1)²
    (2.0, array([2., 2.]), 2.0)
    """

    def __init__(
        self, net: Network, X: Array, Y: Array, weight: Array | None, step: int | None = None, dtype: str = "float64"
    ) -> None:
        self.net = net.astype(dtype)
        self.values = self.net.parameters.values
        self.step = step
        self.work = Workspace(
            self.net.layers,
            self.net.inputs,
            X.shape[0],
            self.net.dtype,
            aim=self.net.aim,
            input_scale=self.net.input_scale,
        )
        Y = Y.astype(dtype)
        if self.net.loss_function.targets == "probabilities" and self.net.output_layer.activation.sums_to_one:
            Y = adding_up_to_one(Y)  # anew: what adds up to 1 in float32 does not quite in float64
        self.work.load(X, Y.astype(dtype), None if weight is None else weight.astype(dtype))

    def loss(self) -> float:
        """L(θ), penalty included."""
        with np.errstate(all="ignore"):
            return batch_loss(self.net, self.work, self.step)

    def gradient(self) -> Array:
        """∂L/∂θ by back-propagation, shape (P,), as a copy."""
        with np.errstate(all="ignore"):
            self.net.forward_pass(self.work, self.step)
            self.net.backward_pass(self.work)
            self.net.average()
        return self.net.parameters.gradients.copy()

    def central(self, position: int, epsilon: float = EPSILON) -> float:
        """∂L/∂θ at a position in `values`: (L(θ + ε) − L(θ − ε)) / 2ε."""
        kept = self.values[position]
        self.values[position] = kept + epsilon
        up = self.loss()
        self.values[position] = kept - epsilon
        down = self.loss()
        self.values[position] = kept
        return (up - down) / (2.0 * epsilon)

    def centrals(self, positions: Sequence[int], epsilon: float = EPSILON) -> Array:
        """`central` at many positions; where one parameter changes one unit, only what stands above it is computed."""
        self.loss()
        with np.errstate(all="ignore"):
            found = OneUnit(self.net, self.work, self.step is not None).central(positions, epsilon)
        for place in np.flatnonzero(~np.isfinite(found)):
            found[place] = self.central(positions[int(place)], epsilon)
        return found

    def along(self, direction: Array, epsilon: float = EPSILON) -> float:
        """The slope of the loss along a direction v, shape (P,): (L(θ + ε v) − L(θ − ε v)) / 2ε."""
        kept = self.values.copy()
        np.add(kept, epsilon * direction, out=self.values)
        up = self.loss()
        np.subtract(kept, epsilon * direction, out=self.values)
        down = self.loss()
        self.values[:] = kept
        return (up - down) / (2.0 * epsilon)

    def kink_between(self, direction: Array, epsilon: float = EPSILON) -> str:
        """A point between θ − ε v and θ + ε v where the loss is not smooth, in words; empty where there is none."""
        kept = self.values.copy()
        np.add(kept, epsilon * direction, out=self.values)
        self.loss()
        up = sides(self.net, self.work)
        np.subtract(kept, epsilon * direction, out=self.values)
        self.loss()
        down = sides(self.net, self.work)
        self.values[:] = kept
        for what, one, other in zip(_kink_names(self.net), up, down, strict=True):
            crossed = np.argwhere(one != other)
            if crossed.size:
                row, unit = crossed[0]
                return f"{what} (unit {unit}, row {row}) lies between θ − ε and θ + ε"
        reach = epsilon * np.abs(direction) * self.net.parameters.weight_mask
        if self.net.l1 and ((np.abs(kept) <= reach) & (reach > 0.0)).any():
            return "the kink of the l1 penalty at w = 0 lies between w − ε and w + ε"
        return ""


def batch_loss(net: Network, work: Workspace, step: int | None = None) -> float:
    """The mean loss of the batch in `work`, penalty included, by one forward pass: the loss that a step is to lower.

    With a `step` number dropout is at work, with the mask of that step. Without a row that counts, it is the penalty.
    """
    net.forward_pass(work, step)
    return net.mean_loss(*net.loss_sums(work))


def hidden_gradient(loss: float, epsilon: float = EPSILON) -> float:
    """The largest gradient that the rounding of the loss can hide at this ε: 16 · 2⁻⁵² (|L| + 1) / ε."""
    return float(16.0 * np.finfo(np.float64).eps * (abs(loss) + 1.0) / epsilon)


def sides(net: Network, work: Workspace) -> list[Array]:
    """On which side of its kink every relu-like unit and every loss term stands, after a forward pass."""
    found: list[Array] = []
    for layer, a_in, z in zip(net.layers, work.a[:-1], work.z, strict=True):
        if layer.function is not None:
            taken = z if layer.activation is not None else a_in
            found.extend(taken > kink for kink in layer.function.kinks)
    if net.loss_function.sides is not None:
        found.append(net.loss_function.sides(work.a[-1], work.y))
    return found


def _kink_names(net: Network) -> list[str]:
    """What the arrays of `sides` stand for."""
    found = []
    for index, layer in enumerate(net.layers):
        if layer.function is not None:
            found += [f"a {layer.function.name} kink of layer {index}"] * len(layer.function.kinks)
    if net.loss_function.sides is not None:
        found.append(f"a kink of the loss {net.loss_function.name}")
    return found


def check_step(step: Any) -> int | None:
    """The number of a training step, from 0, or None; else a `ConfigurationError`."""
    if step is None:
        return None
    if isinstance(step, bool) or not hasattr(step, "__index__") or operator.index(step) < 0:
        raise ConfigurationError(f"step must be a whole number of at least 0, or None, received {step!r}")
    return operator.index(step)
