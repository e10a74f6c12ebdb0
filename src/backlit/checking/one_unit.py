"""Finite differences of many parameters at once: a nudge changes one unit, and what stands above it.

    z_j(θ ± ε) = z_j ± ε a_i  for W[i, j],   z_j ± ε  for b[j];     all other units of the layer stay as they are
    a_j(θ ± ε) = f(z_j(θ ± ε))
    z of the layer above = z + (a_j(θ ± ε) − a_j) W[j]

From there on the layers do what they always do, for the rows of many nudges below each other. For a layer of 784 inputs
and 128 units that is a tenth of a pass for each parameter, or less; the differences are those of whole passes but for
rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, final

import numpy as np

from ..kinds import Layer
from ..network import Network
from ..parameters import Array
from ..workspace import Workspace

_ROWS: Final = 4096  # rows of all nudges together: what one layer makes of them stays in a cache


@final
class OneUnit:
    """The differences of one batch at the present parameters, whose forward pass has been done.

    Parameters
    ----------
    net : Network
    work : Workspace
        Of the batch, after `Network.forward_pass`; what it holds is not changed.
    in_training : bool
        Whether that pass was one of training: layers that are random, or mix the rows, then take whole passes.
    """

    def __init__(self, net: Network, work: Workspace, in_training: bool) -> None:
        self.net, self.work = net, work
        self.weight_sum = float(work.n) if work.weight is None else float(work.weight.sum())
        self._known: dict[str, int] = {}  # the places of the layers, by the names of their parameters
        by_rows = True  # whether the layers above treat each row by itself
        for index in range(len(net.layers) - 1, -1, -1):
            if net.layers[index].affine and by_rows and self.weight_sum > 0.0:
                for name in ("weight", "bias"):
                    if f"{index}.{name}" in net.parameters.names:
                        self._known[f"{index}.{name}"] = index
            by_rows &= not (in_training and (net.layers[index].random or net.layers[index].mixes_rows))
        self._rooms: dict[int, Workspace] = {}

    def central(self, positions: Sequence[int], epsilon: float) -> Array:
        """∂L/∂θ at positions of the vector, penalty included; NaN for those that need whole passes."""
        found = np.full(len(positions), np.nan)
        units: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for place, position in enumerate(positions):
            name, where = self.net.parameters.locate(position)
            if name in self._known:
                # the input of a weight, −1 for a bias
                key = self._known[name], where[-1]
                units.setdefault(key, []).append((place, where[0] if len(where) == 2 else -1))
        for (index, unit), nudged in units.items():
            inputs = np.array([i for _, i in nudged])
            found[[place for place, _ in nudged]] = self._of_unit(index, unit, inputs, epsilon, "central")
        return found + self._penalty(np.asarray(positions), epsilon, "central")

    def every(self, epsilon: float, scheme: str, out: Array) -> Array:
        """∂L/∂θ into `out`, shape (P,), penalty included; returns the positions that need whole passes instead.

        A weight whose input is 0 in every row is not nudged: that would change nothing.
        """
        parameters = self.net.parameters
        out.fill(0.0)
        if self.weight_sum > 0.0:
            for index in set(self._known.values()):
                weight, bias = (parameters.slice(f"{index}.weight"), f"{index}.bias" in self._known)
                layer: Any = self.net.layers[index]
                inputs = np.flatnonzero(self._inputs(index).any(axis=0))
                nudged = np.append(inputs, -1) if bias else inputs
                slopes = out[weight].reshape(layer.inputs, layer.outputs)
                for unit in range(layer.outputs):
                    found = self._of_unit(index, unit, nudged, epsilon, scheme)
                    slopes[inputs, unit] = found[: inputs.size]
                    if bias:
                        out[parameters.slice(f"{index}.bias").start + unit] = found[-1]
        out += self._penalty(np.arange(out.size), epsilon, scheme)
        if self.weight_sum <= 0.0:  # no row counts: there is nothing but the penalty
            return np.arange(0)
        whole = [parameters.slice(name) for name in parameters.names if name not in self._known]
        return np.concatenate([np.arange(where.start, where.stop) for where in whole] or [np.arange(0)])

    def _inputs(self, index: int) -> Array:
        """What a layer takes, (n, inputs)."""
        a_in: Any = self.work.a[index]
        return a_in if isinstance(a_in, np.ndarray) else a_in.toarray()  # rows that are sparse

    def _of_unit(self, index: int, unit: int, inputs: Array, epsilon: float, scheme: str) -> Array:
        """Of the weights into one unit from some inputs (−1: of its bias), without the penalty."""
        n, found = self.work.n, np.empty(inputs.size)
        # a power of two: rooms come in these sizes
        most = 1 << (max(1, _ROWS // (2 * n)).bit_length() - 1)
        most -= scheme == "forward" and most > 1  # and one pass without a nudge
        a_in = self._inputs(index)
        for start in range(0, inputs.size, most):
            some = inputs[start : start + most]
            # ∂z_j: the input for a weight, 1 for a bias
            steps = epsilon * np.where(some[:, None] < 0, 1.0, a_in[:, some].T)  # (count, n)
            up, down = self._losses(index, unit, steps, central=scheme == "central")
            width = 2.0 * epsilon if scheme == "central" else epsilon
            found[start : start + most] = (up - down) / self.weight_sum / width
        return found

    def _losses(self, index: int, unit: int, steps: Array, *, central: bool) -> tuple[Array, Array | float]:
        """The losses of all rows together, z_j being z_j + each of the steps; and those of z_j − it, or of z_j itself.

        All are rows of the same products: so they are rounded alike.
        """
        count, n = steps.shape
        room = self._room(2 * count if central else count + 1)
        nudges = np.zeros((room.n // n, n), self.net.dtype)  # passes below each other; nothing where there is room left
        nudges[:count] = steps
        if central:
            nudges[count : 2 * count] = -steps
        self._pass(index, unit, nudges, room)
        losses = self.net.row_losses(room).reshape(-1, n).astype(np.float64)
        if self.work.weight is not None:
            losses *= self.work.weight
        sums = losses.sum(axis=1)  # of each pass
        return sums[:count], sums[count : 2 * count] if central else float(sums[count])

    def _pass(self, index: int, unit: int, nudges: Array, room: Workspace) -> None:
        """The forward pass from a layer on, with z_j + nudges for z_j: (k, n) for k passes below each other."""
        layers: tuple[Layer, ...] = self.net.layers
        layer: Any = layers[index]
        z, shape = self.work.room[index]["z"], (*nudges.shape, -1)
        if layer.activation.slope is None or index == len(layers) - 1:  # f of a unit hangs on the others, or is the end
            changed = room.room[index]["z"].reshape(shape)
            changed[...] = z
            changed[:, :, unit] += nudges
            layer.activation.f(room.room[index]["z"], room.a[index + 1])
            first = index + 1
        else:
            a = np.empty_like(nudges)
            layer.activation.f(z[:, unit] + nudges, a)
            if layers[index + 1].affine:
                above: Any = layers[index + 1]
                changed = room.room[index + 1]["z"].reshape(shape)
                np.multiply((a - self.work.a[index + 1][:, unit])[:, :, None], above.weight[unit], out=changed)
                changed += self.work.room[index + 1]["z"]
                above.activation.f(room.room[index + 1]["z"], room.a[index + 2])
                first = index + 2
            else:
                changed = room.a[index + 1].reshape(shape)
                changed[...] = self.work.a[index + 1]
                changed[:, :, unit] = a
                first = index + 1
        for i in range(first, len(layers)):
            if room.a[i + 1] is not room.a[i]:
                layers[i].forward(room, i, None)

    def _room(self, passes: int) -> Workspace:
        """For the rows of so many passes, or up to twice as many: a handful of sizes serves all units."""
        passes = 1 << (passes - 1).bit_length()
        if passes not in self._rooms:
            net, n = self.net, self.work.n
            made = Workspace(net.layers, net.inputs, passes * n, net.dtype, aim=net.aim, training=False)
            made.y = np.tile(self.work.y, (passes, 1))
            self._rooms[passes] = made
        return self._rooms[passes]

    def _penalty(self, positions: Array, epsilon: float, scheme: str) -> Array:
        """The difference of l1 |w| + (l2/2) w², which is 0 for what is not a weight."""
        parameters, net = self.net.parameters, self.net
        if not (net.l1 or net.l2):
            return np.zeros(positions.size)
        w, is_weight = parameters.values[positions].astype(np.float64), parameters.weight_mask[positions]
        if scheme == "central":
            change = net.l1 * (np.abs(w + epsilon) - np.abs(w - epsilon)) / (2.0 * epsilon) + net.l2 * w
        else:
            change = net.l1 * (np.abs(w + epsilon) - np.abs(w)) / epsilon + net.l2 * (w + 0.5 * epsilon)
        return np.asarray(net.penalty_share(self.weight_sum) * change * is_weight)
