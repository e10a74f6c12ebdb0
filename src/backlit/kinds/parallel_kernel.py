"""The kernel of `ParallelDense`: its equations as loops over numbers, with a row for each member of a sample."""

from __future__ import annotations

from typing import Any, Final

from ..parameters import Array
from .kernel import (
    ACTIVATION,
    INPUTS,
    OUTPUTS,
    PARAMETERS,
    ROOM,
    Kernel,
    add_products,
    add_rows,
    flat,
    matrix,
    multiply,
    multiply_left_transposed,
    multiply_right_transposed,
)


def _arrays(chain: Any, i: int, n: int) -> Any:
    """k, whether the inputs are shared; W, r, s, b; z (and g in its place), q, c and t, with a row for each member."""
    k, shared = int(chain.settings[i, 0]), chain.settings[i, 1] != 0.0
    inputs, outputs = chain.layers[i, INPUTS], chain.layers[i, OUTPUTS]
    p, units = inputs if shared else inputs // k, outputs // k
    place, room = chain.layers[i, PARAMETERS], chain.layers[i, ROOM]
    own = place + (units + k) * p  # behind W and r
    W, r = matrix(chain.values, place, p, units), matrix(chain.values, place + p * units, k, p)
    s, b = matrix(chain.values, own, k, units), matrix(chain.values, own + outputs, k, units)
    z, q = matrix(chain.memory, room, n * k, units), matrix(chain.memory, room + n * outputs, n * k, units)
    begin = room + 2 * n * outputs
    c, t = matrix(chain.memory, begin, n * k, p), matrix(chain.memory, begin + n * k * p, n * k, p)
    return k, shared, W, r, s, b, z, q, c, t


def _forward(
    chain: Any, i: int, a_in: Array, a: Array, w: Array, step: int, activate: Any, start: int, stop: int
) -> None:
    k, shared, W, r, s, b, z, q, c, _ = _arrays(chain, i, a.shape[0])
    p, units = W.shape
    # c_m = a_in ⊙ r_m
    for row in range(start, stop):
        for m in range(k):
            begin = 0 if shared else m * p
            x, r_m, c_m = a_in[row][begin : begin + p], r[m], c[row * k + m]
            for j in range(p):
                c_m[j] = x[j] * r_m[j]
    # q_m = c_m W, z_m = q_m ⊙ s_m + b_m, a_m = f(z_m)
    first, last = start * k, stop * k
    multiply(c[first:last], W, q[first:last], chain)
    for row in range(first, last):
        z_m, q_m, s_m, b_m = z[row], q[row], s[row % k], b[row % k]
        for j in range(units):
            z_m[j] = q_m[j] * s_m[j] + b_m[j]
    activate(chain.layers[i, ACTIVATION], z[first:last], matrix(flat(a), first * units, last - first, units))


def _backward(
    chain: Any, i: int, a: Array, delta: Array, delta_in: Array, w: Array, below: bool, slopes: bool,
    times_slope: Any, start: int, stop: int,
) -> None:  # fmt: skip
    k, shared, W, r, s, _, g, _, _, t = _arrays(chain, i, a.shape[0])
    p, units = W.shape
    first, last = start * k, stop * k
    own = matrix(flat(delta), first * units, last - first, units)
    # delta_m = dL/da_m ⊙ f′(z_m)
    if slopes:
        a_m = matrix(flat(a), first * units, last - first, units)
        times_slope(chain.layers[i, ACTIVATION], g[first:last], a_m, own)
    # g_m = delta_m ⊙ s_m, in the place of z_m; t_m = g_m Wᵀ
    for row in range(first, last):
        g_m, delta_m, s_m = g[row], own[row - first], s[row % k]
        for j in range(units):
            g_m[j] = delta_m[j] * s_m[j]
    multiply_right_transposed(g[first:last], W, t[first:last], chain)
    # dL/da_in = Σ_m t_m ⊙ r_m, or each by itself
    if below:
        for row in range(start, stop):
            for m in range(k):
                begin = 0 if shared else m * p
                d, r_m, t_m = delta_in[row][begin : begin + p], r[m], t[row * k + m]
                if m == 0 or not shared:
                    for j in range(p):
                        d[j] = t_m[j] * r_m[j]
                else:
                    for j in range(p):
                        d[j] += t_m[j] * r_m[j]


def _gradient(chain: Any, i: int, part: int, a_in: Array, delta: Array, start: int, stop: int, out: Array) -> None:
    n = delta.shape[0]
    k, shared, W, _, _, _, g, q, c, t = _arrays(chain, i, n)
    p, units = W.shape
    # dL/dW = Σ_m c_mᵀ g_m, dL/dr_m = Σ_rows a_in ⊙ t_m, dL/ds = Σ_rows delta ⊙ q, dL/db = Σ_rows delta
    if part == 0:
        multiply_left_transposed(c, start, g, matrix(out, 0, stop - start, units), chain)
    elif part == 1:
        for j in range(out.size):
            out[j] = 0
        for row in range(n):
            for m in range(start, stop):
                begin, place = 0 if shared else m * p, (m - start) * p
                total, x, t_m = out[place : place + p], a_in[row][begin : begin + p], t[row * k + m]
                for j in range(p):
                    total[j] += x[j] * t_m[j]
    elif part == 2:
        add_products(delta, matrix(flat(q), 0, n, k * units), start, out)
    else:
        add_rows(delta, start, out)


PARALLEL_KERNEL: Final = Kernel(_forward, _backward, _gradient)
