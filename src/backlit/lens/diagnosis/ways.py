"""Every way in which delta of a layer may have been made: rightly, and with each mistake of the grammar.

A way is an array and the mistakes that lead to it. The functions come from the tables of kinds: whatever activation or
loss there is has been taken in place of the right one.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np

from ...kinds import ACTIVATIONS
from ...kinds.losses import LOSSES
from ...parameters import Array
from .passes import Mistake, Passes, slope_of, value_of

_ALL_ORDERS: Final = 4  # outputs up to which every order of the columns is tried
_LESS_LIKELY: Final = 0.05


@final
@dataclass(frozen=True)
class Way:
    """An array, the mistakes that lead to it, and what they cost beside one each."""

    value: Array
    mistakes: tuple[Mistake, ...] = ()
    extra: float = 0.0

    @property
    def cost(self) -> float:
        return len(self.mistakes) + self.extra


def _way(value: Any, name: str, index: int, extra: float = 0.0, **numbers: Any) -> Way:
    """A way with one mistake, made at the layer `index` or at `layer`."""
    layer = numbers.pop("layer", None)
    mistake = Mistake(name, index if layer is None else layer, index, onward=True, numbers=numbers)
    return Way(np.asarray(value), (mistake,), extra)


def rows_of(delta: Array, weight_sum: float, index: int, lowest: int) -> Iterator[Way]:
    """The same delta with rows left out or averaged; averaged in the lowest layer, it is `means_multiplied`."""
    if len(delta) < 2:
        return
    for name, row in (("only_last_row", len(delta) - 1), ("only_first_row", 0)):
        one = np.zeros_like(delta)
        one[row] = delta[row]
        yield _way(one * weight_sum, name, index, divided="no")
        yield _way(one, name, index, divided="by the rows")
    if index != lowest:
        yield _way(np.broadcast_to(delta.mean(axis=0), delta.shape), "delta_averaged_first", index)


# ── the output ─────────────────────────────────────────────────────────────────────────────────────────────


def output_ways(passes: Passes, index: int) -> list[Way]:
    """delta of the output with one mistake."""
    with np.errstate(all="ignore"):
        found = [
            *_error_ways(passes, index), *_target_ways(passes, index), *_loss_ways(passes, index),
            *rows_of(passes.delta[index], passes.weight_sum, index, min(passes.delta)),
        ]  # fmt: skip
        if passes.work.weight is not None and (passes.work.weight != passes.work.weight[0]).any():
            unweighted = passes.delta[index] / np.where(passes.row_weights() == 0.0, np.nan, passes.row_weights())
            found.append(_way(unweighted * passes.weight_sum / passes.n, "sample_weight_ignored", index))
            found.append(_way(unweighted, "sample_weight_ignored", index, _LESS_LIKELY))
    return [way for way in found if np.isfinite(way.value).all()]


def _delta_of(passes: Passes, index: int, dL_da: Array) -> Array:
    """delta of the output from dL/da, or from a − y of a pair; rows weighted."""
    found = dL_da if passes.net.paired else passes.times_slope(index, dL_da)
    return np.asarray(found * passes.row_weights())


def _error_ways(passes: Passes, index: int) -> Iterator[Way]:
    a, y, w = passes.work.a[-1], passes.work.y, passes.row_weights()
    activation, error = passes.dense[index].activation, (passes.work.a[-1] - passes.work.y)
    own = passes.loss_gradient(y)
    if not passes.net.paired:
        yield from slope_ways(passes, index, own * w)
        return
    yield _way(passes.times_slope(index, error) * w, "slope_with_pair", index)
    yield _way(error * a * w, "activation_for_slope", index)
    slope = passes.slope(index)
    if slope is None:
        yield _way(error * a * (1.0 - a) * w, "softmax_elementwise_slope", index)
        yield _way(-y * (1.0 - a) * w, "softmax_elementwise_slope", index, form="−y/a · a (1 − a)")
        yield _way(-y / a * w, "missing_slope", index)
        yield _way(-y * w, "cross_entropy_term_missing", index)
    else:
        yield _way(error / slope * w, "missing_slope", index, 0.0, **_range(slope))
        for value, name in _terms(a, y) if activation.probabilities else ():
            yield _way(value * w, name, index)


def _terms(a: Array, y: Array) -> Iterator[tuple[Array, str]]:
    """delta where one term of −y log a − (1 − y) log(1 − a) has the wrong sign, or is left out."""
    first, second = -y * (1.0 - a), (1.0 - y) * a
    yield first - second, "cross_entropy_term_sign"
    yield second - first, "cross_entropy_term_sign"
    yield first, "cross_entropy_term_missing"
    yield second, "cross_entropy_term_missing"


def _loss_ways(passes: Passes, index: int) -> Iterator[Way]:
    """The gradients of the other losses, with the slope, and where the own loss has it cancelled, without."""
    a, y, w = passes.work.a[-1], passes.work.y, passes.row_weights()
    own = np.abs(passes.loss_gradient(y))
    if not (own == own[0, 0]).all():  # else the own loss is made of the sign, and what differs is a factor
        yield _way(np.sign(a - y) * w, "sign_of_error", index)
    for name, make in LOSSES.items():
        loss = make()
        if name == passes.net.loss_function.name:
            continue
        if loss.needs_pair:
            yield _way((a - y) * w, "other_loss", index, _LESS_LIKELY, loss=name)
            continue
        dL_da = np.empty_like(a)
        loss.gradient(a, y, dL_da, np.empty((2, *a.shape)))
        yield _way(passes.times_slope(index, dL_da) * w, "other_loss", index, _LESS_LIKELY, loss=name)
        if passes.net.paired:
            yield _way(dL_da * w, "other_loss", index, 2 * _LESS_LIKELY, loss=name, slope="left out")


def _target_ways(passes: Passes, index: int) -> Iterator[Way]:
    """delta for targets that are not those of these rows and outputs."""
    y, k = passes.work.y, passes.net.outputs

    def given(targets: Array, name: str, **numbers: Any) -> Way:
        return _way(_delta_of(passes, index, passes.loss_gradient(targets)), name, index, **numbers)

    if k > 2:
        yield given(np.roll(y, 1, axis=1), "targets_shifted", shift="+1")
        yield given(np.roll(y, -1, axis=1), "targets_shifted", shift="−1")
    if 1 < k <= _ALL_ORDERS:
        orders: list[tuple[int, ...]] = list(itertools.permutations(range(k)))[1:]
    else:
        orders = [tuple(range(k))[::-1]] if k > 1 else []
    rolled = [tuple(np.roll(range(k), j)) for j in (1, -1)] if k > 2 else []
    for order in orders:
        if order not in rolled:
            yield given(y[:, order], "targets_permuted", order=" ".join(map(str, order)))
    if len(y) > 1:
        by_class = np.lexsort(y.T[::-1])
        for shown, rows in (("in reverse", y[::-1]), ("sorted", y[by_class]), ("sorted down", y[by_class[::-1]])):
            yield given(rows, "targets_of_other_rows", order=shown)
        for by in (1, -1):
            yield given(np.roll(y, by, axis=0), "targets_of_other_rows", order=f"{by:+d} row")
    yield given(np.zeros_like(y), "targets_left_out")
    if ((y == 0.0) | (y == 1.0)).all():
        yield given(1.0 - y, "targets_inverted")
        yield given(2.0 * y - 1.0, "targets_plus_minus_one")


# ── the slope ──────────────────────────────────────────────────────────────────────────────────────────────


def _range(slope: Array) -> dict[str, float]:
    return {"smallest_slope": float(slope.min()), "largest_slope": float(slope.max())}


def slope_ways(passes: Passes, index: int, dL_da: Array) -> Iterator[Way]:
    """delta of a layer from a right dL/da with something else in the place of f′(z)."""
    activation, z, a = passes.dense[index].activation, passes.work.z[index], passes.work.a[index + 1]
    slope = passes.slope(index)
    if slope is None:
        yield _way(dL_da, "missing_slope", index)
        yield _way(dL_da * a * (1.0 - a), "softmax_elementwise_slope", index)
        yield _way(dL_da * a, "activation_for_slope", index, _LESS_LIKELY)
        yield _way(passes.times_slope(index, passes.times_slope(index, dL_da)), "slope_twice", index)
        return
    if (slope == 1.0).all() and activation.steepest is None and not activation.kinks:
        return
    yield _way(dL_da, "missing_slope", index, 0.0, **_range(slope))
    at_a = slope_of(activation, a, value_of(activation, a))
    if at_a is not None:
        numbers = {"largest_difference_of_slopes": float(np.abs(at_a - slope).max())}
        yield _way(dL_da * at_a, "slope_at_activation", index, 0.0, **numbers)
    # what a formula in a gives where a itself is taken for z
    by_formula = slope_of(activation, a, a)
    if by_formula is not None and not np.array_equal(by_formula, slope):
        yield _way(dL_da * by_formula, "slope_at_activation", index)
    yield _way(dL_da * slope**2, "slope_twice", index, 0.0, **_range(slope))
    yield _way(dL_da * a, "activation_for_slope", index)
    yield _way(dL_da * (1.0 - a), "slope_one_factor", index)
    yield _way(dL_da / np.where(slope == 0.0, np.nan, slope), "divided_by_slope", index)
    yield _way(dL_da * z, "preactivation_for_slope", index)
    for name, other in ACTIVATIONS.items():
        if name == activation.name or other.slope is None:
            continue
        for where, at, value in (("z", z, value_of(other, z)), ("a", z, a), ("f′(a)", a, value_of(other, a))):
            made = slope_of(other, at, value)
            if made is not None and not (made == 1.0).all():
                yield _way(dL_da * made, "slope_of_another", index, _LESS_LIKELY, used=name, at=where)
    for i in passes.dense:
        other_slope = passes.slope(i)
        if i == index or other_slope is None or other_slope.shape != slope.shape:
            continue
        if not (other_slope == 1.0).all():
            yield _way(dL_da * other_slope, "slope_of_another_layer", index, slope_of_layer=i)


# ── what comes down ────────────────────────────────────────────────────────────────────────────────────────


def source_ways(
    passes: Passes, index: int, above: Array, updated: Sequence[tuple[Array, dict[str, float]]]
) -> list[Way]:
    """dL/da of what layer `index` gave, with one mistake on the way down from the delta `above`.

    `updated` holds weights of the layer above after an update.
    """
    upper = passes.above(index)
    if upper is None:
        return []
    weight, found = passes.dense[upper].weight, []

    def down(delta: Array, matrix: Array, name: str, extra: float = 0.0, **numbers: Any) -> None:
        dL_da = passes.through(upper, index, delta @ matrix.T)
        found.append(_way(dL_da, name, index, extra, layer=upper, **numbers))

    inputs, units = weight.shape
    if inputs == units and not np.array_equal(weight, weight.T):
        down(above, weight.T, "transposed", where="backward pass")
    elif min(weight.shape) > 1:
        down(above, weight.reshape(units, inputs).T, "reshaped_weight")
    for i, layer in passes.dense.items():
        if i != upper and layer.weight.shape == weight.shape:
            down(above, layer.weight, "weight_of_another_layer", weight_of_layer=i)
    down(above, np.ones_like(weight), "weight_left_out")
    down(above, np.abs(weight), "weight_without_sign", 0.05)
    down(passes.work.a[upper + 1], weight, "value_for_delta")
    slope = passes.slope(upper)
    if slope is not None and not (slope == 1.0).all():
        with np.errstate(all="ignore"):
            undone = np.where(slope == 0.0, 0.0, above / slope)
        if (slope != 0.0).all():
            down(undone, weight, "slope_lost_below")
        elif (higher := passes.above(upper)) is not None:
            dL_da = passes.through(higher, upper, passes.delta[higher] @ passes.dense[higher].weight.T)
            down(dL_da, weight, "slope_lost_below")
        down(above * slope, weight, "slope_twice_below")
    for values, numbers in updated:
        down(above, values, "updated_weights_in_backward", 0.1 * bool(numbers), **numbers)
    right = above @ weight.T
    dropped = [i for i in passes.between(upper, index) if i in passes.masks and (passes.masks[i] != 1.0).any()]
    for size in (1, 2):
        for chosen in itertools.combinations(dropped, size):
            numbers = {"share_of_zeros_in_mask": float(np.mean(passes.masks[chosen[0]] == 0.0))}
            way = _way(
                passes.through(upper, index, right, chosen), "dropout_mask_missing", index, layer=chosen[0], **numbers
            )
            found.append(replace(way, extra=0.5 * (size - 1)))
    for i in dropped:
        scale = float(passes.masks[i].max())
        if scale != 1.0:
            found.append(_way(passes.through(upper, index, right) / scale, "dropout_mask_unscaled", index, layer=i))
    return found


def kink_slopes(passes: Passes, index: int) -> Array | None:
    """f′(z) with what stands on a kink moved over it: the other convention, which is no mistake; None without."""
    activation, z = passes.dense[index].activation, passes.work.z[index]
    on_kink = np.zeros(z.shape, bool)
    for kink in activation.kinks:
        on_kink |= z == kink
    if not on_kink.any():
        return None
    moved = np.where(on_kink, np.nextafter(z, np.inf), z)
    return slope_of(activation, moved, value_of(activation, moved))
