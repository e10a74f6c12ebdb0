"""Gradients and the optimiser's step as a compiled function: piece by piece, each by the thread that computed it."""

from __future__ import annotations

import math
from typing import Any, Final

from ..kinds.kernel import DELTA, INPUTS, KERNEL, OUTPUTS, A, matrix
from ..parameters import Array
from .chain import IS_WEIGHT, LAYER, LEFT, PART, ROW, START, STOP, Chain, Rule
from .math import compiled
from .passes import ROWS, one_compiled
from .plan import Plan
from .products import GRADIENTS, SMALL, all_panels_fit
from .stored import are_stored
from .team import Team, share, wait
from .vectors import placed

#: Numbers of a parameter that are worked on at once, in rows a multiple of the heights of a tile, where the panels of
#: delta have to be made for each of them: for many rows at once. LINE is the least that is worth another thread.
BLOCK, TALL, LINE = 2**20, 24, 2**10

#: Where delta is small, so that no panels are made of it: then they stay in the first cache. Where all panels stay,
#: GRADIENTS at once, whose gradient never leaves the second one before the optimiser has come.
NEAR: Final = 2**12

#: Sums over the whole vector are made of sums over pieces of it, each of so many sums at once.
PIECE: Final = 2**13
PARALLEL: Final = 2**8


def _no_gradient(chain: Chain, i: int, part: int, a_in: Array, delta: Array, start: int, stop: int, out: Array) -> None:
    """In the place of `gradient`, for a layer without, or whose `backward` leaves it."""


def _no_layers_gradient(
    kernel: int, chain: Chain, i: int, part: int, a_in: Array, delta: Array, start: int, stop: int, out: Array
) -> None:
    """In the place of the layers' gradients, where these are there."""


@compiled
def sum_of_pieces(chain: Chain, count: int) -> float:
    total, pieces = 0.0, chain.pieces
    for piece in range(count):
        total += pieces[piece]
    return total


@compiled
def _square_sum(x: Array, room: Array) -> float:
    """Σ x², in as many sums at once as there is room for."""
    room[:] = 0
    whole = x.size - x.size % room.size
    for start in range(0, whole, room.size):
        for j in range(room.size):
            room[j] += x[start + j] * x[start + j]
    for i in range(whole, x.size):
        room[i - whole] += x[i] * x[i]
    return float(room.sum())


@compiled
def penalties(chain: Chain, team: Team) -> int:
    """Leave l1 Σ|w| + (l2/2) Σ w² of every piece of the weights in `pieces`; return how many there are."""
    piece, room = 0, chain.room.rows[:PARALLEL]
    for k in range(chain.parts.shape[0]):
        for start in range(chain.parts[k, START], chain.parts[k, STOP] if chain.parts[k, IS_WEIGHT] else 0, PIECE):
            if piece % team.members == team.place:
                w = chain.values[start : min(start + PIECE, chain.parts[k, STOP])]
                size = 0.0
                if chain.l1 > 0.0:
                    for i in range(w.size):
                        size += abs(w[i])
                chain.pieces[piece] = chain.l1 * size + 0.5 * chain.l2 * _square_sum(w, room)
            piece += 1
    return piece


@compiled
def penalised_loss(chain: Chain, team: Team, loss_sum: float, weight: float) -> float:
    """The mean loss, penalty included, of rows that weigh so much together, as `Network.mean_loss` has it."""
    pieces = penalties(chain, team)
    wait(team)
    penalty: float = sum_of_pieces(chain, pieces)
    wait(team)  # the gradient's norm takes the same room
    if weight > 0.0:
        return loss_sum / weight + (penalty / weight if chain.divide_penalty else penalty)
    return 0.0 if chain.divide_penalty else penalty


@compiled
def around(chain: Chain, part: Array, a_0: Array) -> Any:
    """a_in and delta of the layer that a parameter belongs to."""
    i, n = part[LAYER], a_0.shape[0]
    layer = chain.layers[i]
    a_in = matrix(chain.memory, chain.layers[i - 1, A], n, layer[INPUTS]) if i > 0 else a_0
    return a_in, matrix(chain.memory, layer[DELTA], n, layer[OUTPUTS])


@compiled
def _norm(chain: Chain, team: Team) -> float:
    """‖gradient‖, once every gradient is there."""
    wait(team)
    piece, room = 0, chain.room.rows[:PARALLEL]
    for start in range(0, chain.values.size, PIECE):
        if piece % team.members == team.place:
            gradients = chain.sums[start : min(start + PIECE, chain.values.size)]
            chain.pieces[piece] = _square_sum(gradients, room)
        piece += 1
    wait(team)
    return math.sqrt(sum_of_pieces(chain, piece))


@compiled
def _penalised(w: Array, gradient: Array, scale: Any, l1: Any, l2: Any) -> None:
    """Make the mean of a gradient of weights, and add l1 sign(w) + l2 w."""
    for i in range(w.size):
        gradient[i] *= scale
    if l2 > 0.0:
        for i in range(w.size):
            gradient[i] += l2 * w[i]
    if l1 > 0.0:
        for i in range(w.size):
            gradient[i] += l1 * (type(l1)(1) if w[i] > 0 else (type(l1)(-1) if w[i] < 0 else type(l1)(0)))


def layer_gradient_for(plan: Plan) -> Any:
    """The gradients of one parameter, some rows of it, by the layer that it belongs to."""
    return one_compiled(
        [compiled(kernel.gradient or _no_gradient) for kernel in plan.kernels],
        "chain, i, part, a_in, delta, start, stop, out",
    )


def gradients_alone(plan: Plan) -> Any:
    """The gradients, summed over the rows, of one thread."""
    layer_gradient = layer_gradient_for(plan)

    def gradients(chain: Chain, a_0: Array) -> None:
        for k in range(chain.parts.shape[0]):
            part = chain.parts[k]
            i = part[LAYER]
            a_in, delta = around(chain, part, a_0)
            rows = (part[STOP] - part[START]) // part[ROW]
            out = chain.sums[part[START] : part[STOP]]
            layer_gradient(chain.layers[i, KERNEL], chain, i, part[PART], a_in, delta, 0, rows, out)

    return compiled(gradients)


def gradients_and_update(plan: Plan, *, summed: bool = False) -> Any:
    """The gradients, and the optimiser's step, piece by piece while a piece is in the processor's cache.

    Where they are `summed`, the gradients are there already.
    """
    penalises, clips = plan.penalises, plan.clips
    layer_gradient = compiled(_no_layers_gradient) if summed else layer_gradient_for(plan)
    update = one_compiled(
        [compiled(kernel) for kernel in plan.updates],
        "values, gradients, slots, start, stop, scale, rate, t, is_weight, settings",
    )

    def gradients(
        chain: Chain, team: Team, rule: Rule, a_0: Array, weight: float, rate: float, t: int, moves: bool, keep: bool
    ) -> None:
        """The team member's rows of every parameter: its gradient, and where the step is taken the step.

        Gradients that are not to be kept may never leave the cache.
        """
        real = chain.values.dtype.type
        values, sums = chain.values, chain.sums
        penalised, clipped = penalises and (chain.l1 > 0.0 or chain.l2 > 0.0), clips and rule.clip_norm < math.inf
        later = clipped or rule.whole
        scale = real(1.0 / weight if weight > 0.0 else 1.0)
        share_of_penalty = 1.0
        if chain.divide_penalty:
            share_of_penalty = 1.0 / weight if weight > 0.0 else 0.0
        l1, l2 = real(share_of_penalty * chain.l1), real(share_of_penalty * chain.l2)
        left = real(1.0) if penalised or clipped else scale
        for k in range(chain.parts.shape[0]):
            part = chain.parts[k]
            i, row, begin = part[LAYER], part[ROW], part[START]
            is_weight = part[IS_WEIGHT] == 1
            kernel = chain.layers[i, KERNEL]
            a_in, delta = around(chain, part, a_0)
            first, stop = share((part[STOP] - begin) // row, max(ROWS, LINE // row), team)
            near = delta.size * delta.itemsize <= SMALL
            stays = near or all_panels_fit(delta, chain.room)
            block = NEAR if near else (GRADIENTS if stays else BLOCK)
            height = max(block // row, TALL) // TALL * TALL
            # of sparse rows all stored numbers are gone through each time: that is once
            once = i == 0 and are_stored(chain.stored)
            if once:
                out = sums[begin + first * row : begin + stop * row]
                layer_gradient(kernel, chain, i, part[PART], a_in, delta, first, stop, out)
            aside = moves and stays and not (summed or keep or later or once or part[LEFT] == 1)
            for top in range(first, stop, height):
                bottom = min(top + height, stop)
                start, end = begin + top * row, begin + bottom * row
                out = sums[start:end]
                if aside and end - start <= GRADIENTS:
                    out = chain.room.gradients[: end - start]
                if not once:
                    layer_gradient(kernel, chain, i, part[PART], a_in, delta, top, bottom, out)
                if weight <= 0.0:  # a batch in which no row counts teaches nothing
                    out[:] = 0
                if penalised and is_weight:
                    _penalised(values[start:end], out, scale, l1, l2)
                elif penalised or clipped or not moves:
                    for place in range(out.size):
                        out[place] *= scale
                if moves and not later:
                    update(
                        rule.kind, values, placed(out, start, values.size), rule.slots, start, end, left, rate, t,
                        is_weight, rule.settings,
                    )  # fmt: skip
        if clipped:
            norm = _norm(chain, team)
            if norm > rule.clip_norm:
                left = real(rule.clip_norm / norm)
        if later and moves:
            if not clipped:  # the norm has waited
                wait(team)
            for k in range(chain.parts.shape[0]):
                part = chain.parts[k]
                rows = (part[STOP] - part[START]) // part[ROW]
                first, stop = share(rows, max(ROWS, LINE // part[ROW]), team)
                if rule.whole:
                    first, stop = 0, rows if k % team.members == team.place else 0
                start, end = part[START] + first * part[ROW], part[START] + stop * part[ROW]
                update(
                    rule.kind, values, sums[: values.size], rule.slots, start, end, left, rate, t,
                    part[IS_WEIGHT] == 1, rule.settings,
                )  # fmt: skip

    return compiled(gradients)
