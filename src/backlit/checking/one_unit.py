"""Central differences of many parameters at once: a nudge changes one unit, and what stands above it.

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
        In float64.
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
        most = max(1, _ROWS // (2 * self.work.n))
        for (index, unit), nudged in units.items():
            for start in range(0, len(nudged), most):
                part = nudged[start : start + most]
                places = [place for place, _ in part]
                found[places] = self._of_unit(index, unit, [i for _, i in part], epsilon)
        return found + self._penalty(np.asarray(positions), epsilon)

    def _of_unit(self, index: int, unit: int, inputs: list[int], epsilon: float) -> Array:
        """Of the weights into one unit from some inputs, and of its bias: without the penalty."""
        n, count = self.work.n, len(inputs)
        a_in = self.work.a[index]  # (n, inputs)
        # ∂z_j: the input for a weight, 1 for a bias
        steps = np.where(np.asarray(inputs)[:, None] < 0, 1.0, a_in[:, inputs].T)  # (count, n)
        room = self._room(count)
        nudges = np.zeros((room.n // n, n))  # above each other: θ + ε, θ − ε, and nothing where there is room left
        nudges[:count], nudges[count : 2 * count] = epsilon * steps, -epsilon * steps
        self._pass(index, unit, nudges, room)
        losses = self.net.row_losses(room).reshape(-1, n)
        if self.work.weight is not None:
            losses = losses * self.work.weight
        sums = losses.sum(axis=1)  # of each nudge
        return np.asarray((sums[:count] - sums[count : 2 * count]) / self.weight_sum / (2.0 * epsilon))

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
            a = np.empty(nudges.shape)
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

    def _room(self, count: int) -> Workspace:
        """For the rows of twice `count` passes, or up to twice as many: a handful of sizes serves all units."""
        passes = 2 << max(0, count - 1).bit_length()
        if passes not in self._rooms:
            net, n = self.net, self.work.n
            made = Workspace(net.layers, net.inputs, passes * n, net.dtype, aim=net.aim, training=False)
            made.y = np.tile(self.work.y, (passes, 1))
            self._rooms[passes] = made
        return self._rooms[passes]

    def _penalty(self, positions: Array, epsilon: float) -> Array:
        """The central difference of l1 |w| + (l2/2) w², which is 0 for what is not a weight."""
        parameters, share = self.net.parameters, self.net.penalty_share(self.weight_sum)
        w, is_weight = parameters.values[positions], parameters.weight_mask[positions]
        change = self.net.l1 * (np.abs(w + epsilon) - np.abs(w - epsilon)) / (2.0 * epsilon) + self.net.l2 * w
        return np.asarray(share * change * is_weight)
