"""The loss of all rows and its gradient as a compiled function: what L-BFGS asks for.

The rows are worked off in blocks, of which everything that is computed stays in the processor's cache. Threads share
the rows of a block and, for its gradient, the rows of W, as in a step; gradients are added up block after block. The
blocks are of the same size whoever works on them, so that the number of threads does not show in the bits.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, ClassVar, Final, final

import numpy as np

from ..kinds.kernel import KERNEL
from ..network import Network
from ..parameters import Array
from ..training.job import Data
from .cache import kept
from .chain import IS_WEIGHT, LAYER, PART, ROW, START, STOP, Batch, Chain
from .describe import LEAST_WORK, chain_of, check_own_loss, most_threads
from .math import compiled
from .passes import ROWS
from .plan import Plan, plan_for
from .products import Room, room_for_products
from .references import refer
from .step import sums_of_rows_for
from .team import Team, TeamSize, run_together, share, wait
from .update import BLOCK, LINE, TALL, around, layer_gradient_for, penalised_loss

#: Bytes of what is computed of a block, which a second cache holds, and the fewest rows of one: as many as are worth
#: another look at all weights.
BLOCK_BYTES: Final = 2**20
FEWEST_ROWS: Final = 128


@final
class CompiledWhole:
    """The loss of a network on all rows and its gradient, at the parameters that it has, by compiled code.

    Parameters
    ----------
    net : Network
        `choose.obstacle_of_network` tells what cannot be compiled.
    data : (X, Y, weight)
        X is an array.
    n_threads : int
        At the most.
    least_work : int
        Multiply-adds for each thread, below which there are fewer.
    """

    name: ClassVar[str] = "compiled"

    def __init__(self, net: Network, data: Data, n_threads: int, *, least_work: int = LEAST_WORK) -> None:
        self._net, self._data = net, data
        self._most = most_threads(net, data[1].shape[0], n_threads, least_work)
        self._size = TeamSize(self._most)
        self._run: Any = None
        self._rows: Batch | None = None
        self._chains: list[Chain] = []
        self._block = 0

    def __call__(self) -> tuple[float, Array]:
        """The mean loss, penalty included, and its gradient: an array of its own, in float64."""
        first = self._run is None
        if first:
            self._prepare()
        gradient = np.empty(self._net.parameters.size)
        threads, _ = self._size.choose()

        def run(team: Team) -> float:
            found: float = self._run(self._rows, self._chains[team.place], gradient, self._block, team)
            return found

        started = time.perf_counter()
        loss = run_together(run, threads)
        if not first:  # which may have been compiled before
            self._size.note(1, time.perf_counter() - started)
        return loss, gradient

    def _prepare(self) -> None:
        net, (X, Y, weight) = self._net, self._data
        check_own_loss(net, X, Y)
        plan = plan_for(net)
        self._block = rows_of_block(net, Y.shape[0])
        chain = chain_of(net, X, self._block, plan)
        rooms: list[Room] = [chain.room, *(room_for_products(net.dtype) for _ in range(1, self._most))]
        self._chains = [chain._replace(room=room) for room in rooms]
        self._rows = _all_rows(net, X, Y, weight)
        self._run = whole_for(plan)


def rows_of_block(net: Network, n: int) -> int:
    """How many rows are worked on at once."""
    width = net.inputs + sum(2 * layer.outputs + layer.kernel_room(1) for layer in net.layers)
    return min(n, max(FEWEST_ROWS, BLOCK_BYTES // (width * net.dtype.itemsize)))


def _all_rows(net: Network, X: Array, Y: Array, weight: Array | None) -> Batch:
    """The rows as the network takes them: as they stand where they are so already."""
    if X.dtype != net.dtype or net.input_scale != 1.0:
        X = np.multiply(X, net.input_scale, dtype=net.dtype, casting="unsafe")
    Y = Y if net.aim is None else net.aim(Y)
    weight = np.ones(len(Y), net.dtype) if weight is None else weight
    return Batch(*(np.require(array, requirements=["C", "A", "W"]) for array in (X, Y, weight)))


@functools.cache
def whole_for(plan: Plan) -> Callable[..., float]:
    """The compiled function for a plan; of built-in kinds it is kept on disk for the next process."""
    sums_of_rows, layer_gradient = sums_of_rows_for(plan), layer_gradient_for(plan)

    def add_gradients(chain: Chain, team: Team, a_0: Array, total: Array, fresh: bool) -> None:
        """Add the team member's rows of the gradients of a block to those of the blocks before it."""
        sums = chain.sums
        for k in range(chain.parts.shape[0]):
            part = chain.parts[k]
            i, row, begin = part[LAYER], part[ROW], part[START]
            a_in, delta = around(chain, part, a_0)
            first, stop = share((part[STOP] - begin) // row, max(ROWS, LINE // row), team)
            height = max(BLOCK // row, TALL) // TALL * TALL
            for top in range(first, stop, height):
                bottom = min(top + height, stop)
                out = sums[begin + top * row : begin + bottom * row]
                layer_gradient(chain.layers[i, KERNEL], chain, i, part[PART], a_in, delta, top, bottom, out)
                if fresh:
                    for place in range(begin + top * row, begin + bottom * row):
                        total[place] = sums[place]
                else:
                    for place in range(begin + top * row, begin + bottom * row):
                        total[place] += sums[place]

    def finish(chain: Chain, team: Team, total: Array, weight: float) -> None:
        """Make the mean of the team member's part of the gradient, and add that of the penalty."""
        real = chain.values.dtype.type
        scale = 1.0 / weight if weight > 0.0 else 0.0
        share_of_penalty = scale if chain.divide_penalty else 1.0
        l1, l2 = share_of_penalty * chain.l1, share_of_penalty * chain.l2
        for k in range(chain.parts.shape[0]):
            part = chain.parts[k]
            row, begin = part[ROW], part[START]
            first, stop = share((part[STOP] - begin) // row, max(ROWS, LINE // row), team)
            for place in range(begin + first * row, begin + stop * row):
                total[place] = total[place] * scale if weight > 0.0 else 0.0  # rows that do not count teach nothing
            if part[IS_WEIGHT] == 1 and (l1 > 0.0 or l2 > 0.0):
                for place in range(begin + first * row, begin + stop * row):
                    w = chain.values[place]
                    total[place] += l2 * w + (l1 if w > 0 else (-l1 if w < 0 else 0.0))
            for place in range(begin + first * row, begin + stop * row):
                chain.sums[place] = real(total[place])

    added, finished = compiled(add_gradients), compiled(finish)

    def loss_and_gradient(rows: Batch, chain: Chain, gradient: Array, size: int, team: Team) -> float:
        """Return the loss of all rows, and leave its gradient: in blocks of so many rows."""
        chain = refer(chain)
        if not wait(team):  # after this nothing can keep a thread from coming
            return 0.0
        loss_sum = weight = 0.0
        for first in range(0, rows.weight.size, size):
            stop = min(first + size, rows.weight.size)
            a_0 = rows.a[first:stop]
            losses, weights = sums_of_rows(chain, team, a_0, rows.y[first:stop], rows.weight[first:stop], 0)
            loss_sum += losses
            weight += weights
            added(chain, team, a_0, gradient, first == 0)
            wait(team)  # the next block takes the same room
        loss = loss_sum / weight if weight > 0.0 else 0.0
        if chain.l1 > 0.0 or chain.l2 > 0.0:
            loss = penalised_loss(chain, team, loss_sum, weight)
        finished(chain, team, gradient, weight)
        if team.place == 0:
            chain.sums[-2], chain.sums[-1] = loss_sum, weight
        return float(loss)

    return kept(loss_and_gradient, plan)
