"""Every way in which a layer's own gradients may have been made of its delta: left factors, and sums of a bias."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...parameters import Array
from .passes import Mistake, Passes
from .ways import Way


def _way(value: Any, name: str, index: int, kind: str, extra: float = 0.0, **numbers: Any) -> Way:
    layer = numbers.pop("layer", index)
    return Way(np.asarray(value), (Mistake(name, layer, index, f"{index}.{kind}", numbers=numbers),), extra)


def left_factors(passes: Passes, index: int) -> Iterator[Way]:
    """What may have stood in the place of a_in in dL/dW = a_inᵀ delta, each (n, inputs)."""
    work, n = passes.work, passes.n
    right = work.a[index]
    shape, below = right.shape, passes.below(index)

    def fits(array: Array) -> bool:
        return array.shape == shape and not np.array_equal(array, right)

    start = -1 if below is None else below
    masks = [passes.masks[i] for i in range(start + 1, index) if i in passes.masks]
    dropped = any((mask != 1.0).any() for mask in masks)
    if dropped and fits(work.a[start + 1]):
        yield _way(work.a[start + 1], "dropout_mask_missing", index, "weight", layer=index - 1)
    if below is not None:
        z = work.z[below]
        if fits(z) and not np.array_equal(z, work.a[below + 1]):
            yield _way(z, "preactivation_for_activation", index, "weight", z_of_layer=below)
            if dropped:
                masked = np.prod([z, *masks], axis=0)
                yield _way(masked, "preactivation_for_activation", index, "weight", z_of_layer=below)
    if fits(work.a[index + 1]):
        yield _way(work.a[index + 1], "output_for_input", index, "weight")
    for i in range(len(passes.layers) + 1):
        if i not in (index, index + 1, start + 1) and fits(work.a[i]):
            yield _way(work.a[i], "input_of_another_layer", index, "weight", 0.02, a_of_layer=i)
    if below is not None and passes.delta.get(below) is not None and fits(passes.delta[below]):
        yield _way(passes.delta[below], "delta_for_input", index, "weight")
    ones = np.ones_like(right)
    if fits(ones):
        yield _way(ones, "ones_for_input", index, "weight")
    if passes.net.input_scale != 1.0 and index == 0:
        yield _way(right / passes.net.input_scale, "input_not_scaled", index, "weight")
    if n > 1:
        yield _way(np.broadcast_to(right.mean(axis=0), shape), "means_multiplied", index, "weight")
        for order, rows in (
            ("in reverse", right[::-1]),
            ("+1 row", np.roll(right, 1, 0)),
            ("−1 row", np.roll(right, -1, 0)),
        ):
            if fits(rows):
                yield _way(rows, "input_of_other_rows", index, "weight", order=order)
    yield _way(right**2, "input_squared", index, "weight", 0.05)


def whole_weights(passes: Passes, index: int, delta: Array) -> Iterator[Way]:
    """Weight gradients that are no product a_inᵀ delta, each (inputs, units)."""
    weight, m = passes.dense[index].weight, passes.weight_sum
    a_in = passes.work.a[index]
    yield _way(weight * (delta.sum(axis=0) / m), "weight_for_input", index, "weight")
    if passes.n > 1:
        for name, row in (("only_last_row", -1), ("only_first_row", 0)):
            product = np.outer(a_in[row], delta[row])
            yield _way(product, name, index, "weight", divided="no")
            yield _way(product / m, name, index, "weight", divided="by the rows")


def bias_sums(passes: Passes, index: int, delta: Array) -> Iterator[Way]:
    """What may have been taken for Σ_rows delta / m, each (units,)."""
    m, units = passes.weight_sum, delta.shape[1]
    a_in = passes.work.a[index]
    total = float(delta.sum())
    if units > 1:
        for said, scalar in (("sum", total), ("sum / m", total / m), ("mean", total / delta.size)):
            yield _way(np.full(units, scalar), "bias_scalar", index, "bias", taken=said)
    if passes.n > 1:
        for name, row in (("bias_first_row", 0), ("bias_last_row", -1)):
            yield _way(delta[row], name, index, "bias", divided="no")
            yield _way(delta[row] / m, name, index, "bias", divided="by the rows")
        if passes.n == units:
            for said, over in (("sum", 1.0), ("mean", 1.0 / units), ("sum / m", 1.0 / m)):
                yield _way(delta.sum(axis=1) * over, "bias_over_wrong_axis", index, "bias", taken=said)
    for said, x in (("Σ x", a_in.sum(axis=1)), ("mean of x", a_in.mean(axis=1)), ("x_0", a_in[:, 0])):
        yield _way(x @ delta / m, "bias_times_input", index, "bias", x=said)
    bias = passes.dense[index].bias
    if bias is not None and bias.any():
        yield _way(bias * (delta.sum(axis=0) / m), "bias_times_itself", index, "bias", 0.05)
