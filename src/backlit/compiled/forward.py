"""Predictions in machine code: `Network.forward_pass` in inference, over blocks of rows that a cache holds.

It is one function that Numba compiles for the kinds of a network; what the layers do is in their kinds (`Kernel`). It
reads the network's one vector where that stands. Rows know nothing of each other: any block of them, on any thread,
gives the same bits.
"""

from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple, final

import numpy as np
from numba import types

from ..checks import check_outputs, check_reach
from ..exceptions import ConfigurationError
from ..kinds.kernel import BUFFERS, KERNEL, OUTPUTS, ROOM, A
from ..network import Network
from ..parameters import Array
from ..targets import check_inputs
from ..training.choose import obstacle_to_predicting
from ..training.threads import usable_threads, wanted_threads
from .cache import kept
from .chain import described
from .math import compiled
from .passes import activation_of, forward_of
from .plan import Plan, plan_to_predict
from .products import PANEL, PANELS, Room, numbers_in_vectors
from .references import refer
from .team import Team, run_together
from .tiles import WIDTH
from .vectors import VECTOR, flat, matrix

#: Numbers of the widest layer that are worked on at once, and the least and most rows: the products of wide layers go
#: through all weights for every block.
BLOCK, FEWEST, MOST = 2**20, 64, 512

#: Multiply-adds that a thread takes at once, and for which another one is worth starting.
LEAST_WORK: Final = 2**24

#: What the compiled function says of the numbers that it read, and of those that it wrote.
INPUTS_NOT_FINITE, OUTPUTS_NOT_FINITE = 1, 2

# Numba compiles a function anew for a number that is written out where it is called: this one has a type alone.
_NOTHING: Final = np.intp(0)


class Known(NamedTuple):
    """What the kernels find of the network (see `kinds.kernel`)."""

    layers: Array  # (layers, COLUMNS)
    settings: Array  # (layers, largest number of settings)
    memory: Array
    values: Array  # (P + B,): `parameters.state`
    buffers: Array  # the same, with BUFFERS counted from its beginning
    room: Room
    stored: None  # no sparse rows
    single_rows: bool  # no: products of many rows take one as well


@compiled
def _not_finite(numbers: Array) -> int:
    """How many are not; without a branch, so that several are looked at at once."""
    x, limit = flat(numbers), numbers.dtype.type(np.inf)
    found = 0
    for i in range(x.size):
        found += 0 if abs(x[i]) < limit else 1
    return found


@functools.cache
def forward_for(plan: Plan, dtype: np.dtype[Any]) -> Any:
    """The compiled function for a plan and a type of numbers, with one form; of built-in kinds it is kept on disk."""
    activate, layer_forward = activation_of(plan), forward_of([k.inference or k.forward for k in plan.kernels])

    def forward(
        rows: Array, result: Array, layers: Array, settings: Array, state: Array, memory: Array, block: int,
        panels: int,
    ) -> int:  # fmt: skip
        """Fill the result, block by block; returns what is not finite.

        `memory` begins with room for so many panels of a product, and as many ones as a block has rows.
        """
        inputs, outputs, last = rows.shape[1], result.shape[1], layers.shape[0] - 1
        panel = PANEL // memory.itemsize
        room = Room(matrix(memory, _NOTHING, panels, panel), memory[:0], memory[:0], memory[:0])
        known = refer(Known(layers, settings, memory, state, state, room, None, False))
        ones = memory[panels * panel : panels * panel + block]
        found = 0
        for first in range(0, rows.shape[0], block):
            n = min(block, rows.shape[0] - first)
            a_in = matrix(rows, first * inputs, n, inputs)
            if _not_finite(a_in) > 0:
                found |= INPUTS_NOT_FINITE
            for i in range(last + 1):
                layer = layers[i]
                a = (
                    matrix(memory, layer[A], n, layer[OUTPUTS])
                    if i < last
                    else matrix(result, first * outputs, n, outputs)
                )
                layer_forward(layer[KERNEL], known, i, a_in, a, ones, _NOTHING, activate, _NOTHING, n)
                a_in = a
            if _not_finite(a_in) > 0:
                found |= OUTPUTS_NOT_FINITE
        return found

    real = types.float32 if dtype == np.float32 else types.float64
    vector, table = types.Array(real, 1, "C"), types.Array(real, 2, "C")
    arguments = (
        types.Array(real, 2, "C", readonly=True), table, types.Array(types.int64, 2, "C"),
        types.Array(types.float64, 2, "C"), vector, vector, types.intp, types.intp,
    )  # fmt: skip
    made: Any = kept(forward, plan)
    made.compile(arguments)
    return made


@final
class CompiledForward:
    """What `Network.forward` does, for one network as it is described now; its parameters may change.

    Raises
    ------
    ConfigurationError
        For a layer or an activation without a kernel.
    """

    def __init__(self, net: Network, n_threads: int | None = None) -> None:
        reason = obstacle_to_predicting(net)
        if reason is not None:
            raise ConfigurationError(
                f"the network cannot be compiled: {reason}; without compile() the reference pass predicts"
            )
        wanted_threads(n_threads)  # which is to be a number
        self._n_threads = n_threads
        self._inputs, self._outputs, self._dtype = net.inputs, net.outputs, net.dtype
        self._takes_codes, self._check_codes = bool(net.layers[0].categories), net.layers[0].check_inputs
        self._scale, self._state, self._work = net.input_scale, net.parameters.state, net.row_work
        width, size = max(layer.outputs for layer in net.layers), net.dtype.itemsize
        self._block = max(FEWEST, min(BLOCK // width, MOST))
        self._panels = min(PANELS // PANEL, -(-width * size // (WIDTH * VECTOR)))
        self._rows_at_once = max(FEWEST, LEAST_WORK // self._work // self._block * self._block)
        plan = plan_to_predict(net)
        places = [i for i, layer in enumerate(net.layers) if not layer.same_in_inference]
        self._layers, self._settings = described(net, plan, places)
        # Places of a block's arrays, behind the panels and the ones: in turn what a layer takes and what it gives.
        self._ones = self._panels * PANEL // size
        begin, room = self._ones + self._block, 2 * self._block * width
        self._layers[:, A] = begin + np.arange(len(places)) % 2 * self._block * width
        self._layers[:, ROOM] = begin + room
        self._layers[:, BUFFERS] += net.parameters.size
        self._numbers = begin + room + max(net.layers[place].kernel_room(self._block) for place in places)
        self._function = forward_for(plan, net.dtype)
        (form,) = self._function.overloads.values()
        # called as it is: the types of the arguments are always these, which Numba would look at each time
        self._run: Callable[..., int] = form.entry_point
        self._local = threading.local()  # each thread has memory of its own

    def _memory(self) -> Array:
        try:
            found: Array = self._local.memory
        except AttributeError:
            found = self._local.memory = numbers_in_vectors(self._numbers, self._dtype)
            found[self._ones : self._ones + self._block] = 1
        return found

    def __call__(self, X: Any) -> Array:
        """The outputs for X, shape (n, outputs)."""
        as_it_is = self._readable(X)
        if not as_it_is:
            X = check_inputs(X, self._inputs)
            as_it_is = self._readable(X)
        n = X.shape[0]
        if self._takes_codes:
            self._check_codes(X)
        result = np.empty((n, self._outputs), self._dtype)
        if n <= self._rows_at_once:
            found = self._fill(X if as_it_is else self._converted(X), result)
        else:
            found = self._fill_together(X, result, as_it_is=as_it_is)
        if found:
            if as_it_is and found & INPUTS_NOT_FINITE:
                check_inputs(X, self._inputs)
            if found & OUTPUTS_NOT_FINITE:
                check_reach(X, self._dtype, "X", self._scale)
                check_outputs(result)
        return result

    def _readable(self, X: Any) -> bool:
        """Whether machine code can read the rows where they stand."""
        if type(X) is not np.ndarray or X.dtype != self._dtype or self._scale != 1.0:
            return False
        shape, flags = X.shape, X.flags
        return len(shape) == 2 and shape[1] == self._inputs and shape[0] > 0 and flags.c_contiguous and flags.aligned

    def _converted(self, X: Array) -> Array:
        # a_0 = X · input_scale
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is looked for in the outputs
            return np.multiply(X, self._scale, dtype=self._dtype, casting="unsafe", order="C")

    def _fill(self, rows: Array, result: Array) -> int:
        return self._run(
            rows, result, self._layers, self._settings, self._state, self._memory(), self._block, self._panels
        )

    def _fill_together(self, X: Array, result: Array, *, as_it_is: bool) -> int:
        """The same by several threads, each of which takes the next rows when it is done with others."""
        n, size = X.shape[0], self._rows_at_once
        threads = min(usable_threads(wanted_threads(self._n_threads)), n * self._work // LEAST_WORK)
        starts, ended, found = iter(range(0, n, size)), threading.Event(), []

        def work(team: Team) -> int:
            try:
                for start in starts:
                    if ended.is_set():
                        break
                    rows = X[start : start + size]
                    found.append(self._fill(rows if as_it_is else self._converted(rows), result[start : start + size]))
            except BaseException:
                ended.set()
                raise
            return 0

        run_together(work, max(1, threads))
        return functools.reduce(operator.or_, found, 0)
