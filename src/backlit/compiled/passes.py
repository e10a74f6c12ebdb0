"""The forward and the backward pass as compiled functions: each thread of a team fills rows of its own.

They are the passes of `Network`; what the layers and the loss do is in their kinds.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ..kinds.kernel import BY_COLUMNS, DELTA, INPUTS, KERNEL, OUTPUTS, ROOM, A, matrix
from ..parameters import Array
from .chain import Chain
from .math import as_argument, compiled
from .plan import Plan, compiled_activation, compiled_loss, compiled_slope, one_of
from .team import Team, share, wait

#: Threads share rows of a batch and of a parameter in whole grains of so many, and columns in these.
ROWS: Final = np.intp(4)  # a number that has a type alone: see `products`
COLUMNS_AT_ONCE: Final = np.intp(16)


def _no_slope(Z: Array, A: Array, DELTA: Array) -> None:
    """In the place of a slope that no layer of the plan needs."""


def one_compiled(functions: list[Any], arguments: str) -> Any:
    return compiled(one_of(functions, arguments), inside=True)


def activation_of(plan: Plan) -> Any:
    """What a layer's forward function calls with its z."""
    return as_argument(one_of([compiled_activation(f) for f in plan.activations], "Z, A"))


def forward_of(functions: list[Any]) -> Any:
    """The forward function of a layer, by the number of its kernel."""
    arguments = "chain, i, a_in, a, w, step, activate, start, stop"
    return one_compiled([compiled(function) for function in functions], arguments)


def passes(plan: Plan) -> tuple[Any, Any]:
    """The forward pass, and the backward pass as far as the deltas."""
    activate, layer_forward = activation_of(plan), forward_of([kernel.forward for kernel in plan.kernels])
    slopes = [compiled_slope(f) if f in plan.slopes else compiled(_no_slope) for f in plan.activations]
    times_slope = as_argument(one_of(slopes, "Z, A, DELTA"))
    losses_and_delta = one_compiled([compiled_loss(loss) for loss in plan.losses], "z, a, y, w, s, delta, losses")
    pairs = plan.pairs
    layer_backward = one_compiled(
        [compiled(kernel.backward) for kernel in plan.kernels],
        "chain, i, a, delta, delta_in, w, below, slopes, times_slope, start, stop",
    )

    def forward(chain: Chain, team: Team, a_0: Array, w: Array, step: int) -> None:
        """Fill the team member's rows of a of every layer, as `Network.forward_pass` does."""
        n = a_0.shape[0]
        a_in = a_0
        for i in range(chain.layers.shape[0]):
            layer = chain.layers[i]
            a = matrix(chain.memory, layer[A], n, layer[OUTPUTS])
            start, stop = _share_of_layer(layer, n, team)
            layer_forward(layer[KERNEL], chain, i, a_in, a, w, step, activate, start, stop)
            if layer[BY_COLUMNS]:
                wait(team)
            a_in = a

    def backward(chain: Chain, team: Team, n: int, y: Array, w: Array) -> None:
        """Fill the team member's rows of the losses and of every delta, as `Network.backward_pass` does."""
        last = chain.layers.shape[0] - 1
        chain.room.held[0] = 0  # the deltas are about to change
        output, outputs = chain.layers[last], y.shape[1]
        start, stop = share(n, ROWS, team)
        first, rows = start * outputs, stop - start
        losses_and_delta(
            chain.loss, matrix(chain.memory, output[ROOM] + first, rows, outputs),
            matrix(chain.memory, output[A] + first, rows, outputs), y[start:stop], w[start:stop],
            y.dtype.type(chain.loss_setting), matrix(chain.memory, output[DELTA] + first, rows, outputs),
            chain.losses[start:stop],
        )  # fmt: skip
        for i in range(last, chain.first_learning - 1, -1):
            layer = chain.layers[i]
            below, slopes = i > chain.first_learning, i < last or chain.loss >= pairs
            a = matrix(chain.memory, layer[A], n, layer[OUTPUTS])
            delta = matrix(chain.memory, layer[DELTA], n, layer[OUTPUTS])
            # dL/da_in, which nobody needs below the first layer that learns
            delta_in = matrix(chain.memory, chain.layers[max(i - 1, 0), DELTA], n, layer[INPUTS] if below else 0)
            start, stop = _share_of_layer(layer, n, team)
            layer_backward(layer[KERNEL], chain, i, a, delta, delta_in, w, below, slopes, times_slope, start, stop)
            if layer[BY_COLUMNS]:
                wait(team)

    return compiled(forward), compiled(backward)


@compiled
def _share_of_layer(layer: Array, n: int, team: Team) -> Any:
    """The team member's rows; or its columns, where a layer works over all rows, once these are there."""
    if layer[BY_COLUMNS]:
        wait(team)
        return share(layer[OUTPUTS], COLUMNS_AT_ONCE, team)
    return share(n, ROWS, team)
