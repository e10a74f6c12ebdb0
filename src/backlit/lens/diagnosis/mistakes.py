"""One step of back-propagation with a mistake in it, on the buffers that the reference implementation filled.

`Passes` holds z, a, slopes and masks of one batch. `Passes.delta` takes the step from one layer's delta to the next
one's below, as `Network.backward_pass` does, with a `Variation`: one or two mistakes that somebody may have made there.
The step without a mistake gives the reference's own bits.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, final

import numpy as np

from ...checking.batch_loss import FrozenBatch
from ...kinds import Activation, Dense
from ...kinds.activations import softmax_jacobian_product
from ...network import Network
from ...parameters import Array

RIGHT: Final = "right"
MISSING: Final = "missing"
AT_ACTIVATION: Final = "at activation"
OTHER_SIDE: Final = "other side of the kink"


@final
@dataclass(frozen=True)
class Mistake:
    """One mistake at one place.

    Attributes
    ----------
    name : str
    layer : int
        Where it was made: index in the network's list.
    shows : int
        The Dense layer whose gradients it changes first.
    onward : bool
        Whether it is in delta, and so handed on to every layer below; else it is in this layer's gradients alone.
    numbers : dict
        What was measured.
    """

    name: str
    layer: int
    shows: int
    onward: bool = False
    numbers: Mapping[str, float | str] = field(default_factory=dict)


@final
@dataclass(frozen=True)
class Variation:
    """How one step of delta was taken; without arguments, rightly.

    Attributes
    ----------
    mistakes : tuple of Mistake
    weight : ndarray, shape (inputs, units), or None
        What stood in the place of W of the layer above; None is W itself.
    unmasked : tuple of int
        Dropout layers whose mask was left out.
    slope : str
        f′ was taken rightly, left out, taken at a, or (no mistake, a convention) taken on the other side of a kink.
    factor : float
        By which delta was multiplied.
    """

    mistakes: tuple[Mistake, ...] = ()
    weight: Array | None = None
    unmasked: tuple[int, ...] = ()
    slope: str = RIGHT
    factor: float = 1.0


@final
class Passes:
    """The buffers of one forward and one backward pass of the reference over one batch.

    Parameters
    ----------
    batch : FrozenBatch
    mistakes : tuple of Mistake
        Mistakes already in the forward pass (see `softmax_over_batch`).
    over_rows : int, optional
        The layer whose softmax is taken over the rows in the backward pass too.

    Attributes
    ----------
    dense : dict of int to Dense
        The Dense layers by index, from the output down.
    gradient : ndarray, shape (P,)
        The reference's, penalty included.
    """

    def __init__(self, batch: FrozenBatch, mistakes: tuple[Mistake, ...] = (), over_rows: int | None = None) -> None:
        self.net: Network = batch.net
        self.work = batch.work
        self.mistakes = mistakes
        self.gradient = batch.gradient()
        self.weight_sum = float(self.net.parameters.sums[-1])
        layers = reversed(list(enumerate(self.net.layers)))
        self.dense: dict[int, Dense] = {i: layer for i, layer in layers if isinstance(layer, Dense)}
        self._over_rows = over_rows
        self._slopes: dict[tuple[int, str], Array] = {}
        self._options: dict[int, list[list[Variation]]] = {}

    def above(self, index: int) -> int | None:
        """The next Dense layer above, or None for the output layer."""
        return min((i for i in self.dense if i > index), default=None)

    def factors(self) -> list[tuple[str, float]]:
        """Constant factors that are known mistakes; a factor of 1 (a batch of one row) is none."""
        found = [("sign_flipped", -1.0)]
        for m in dict.fromkeys((self.weight_sum, float(self.work.n))):
            if m != 1.0:
                found += [("sum_not_mean", m), ("extra_batch_division", 1.0 / m)]
        return found

    def penalties(self, index: int) -> list[tuple[str, Array]]:
        """The parts of the penalty's gradient on this layer's weights, each (inputs, units): l1 sign(w), and l2 w."""
        parts = [(kind, self._penalty_gradient(index, [kind])) for kind in ("l1", "l2")]
        return [(kind, part) for kind, part in parts if part.any()]

    def penalty(self, index: int) -> Array:
        """The whole of it: l1 sign(w) + l2 w."""
        return self._penalty_gradient(index, ["l1", "l2"])

    def _penalty_gradient(self, index: int, parts: Sequence[str]) -> Array:
        parameters, weight = self.net.parameters, self.dense[index].weight
        whole = self.net.penalty_gradient(parameters.values, self.weight_sum, parts=parts)  # (P,)
        return np.asarray(whole[parameters.slice(f"{index}.weight")].reshape(weight.shape))

    def inputs(self, index: int) -> list[tuple[tuple[Mistake, ...], Array]]:
        """What may have stood in the place of a_in in dL/dW = a_inᵀ delta, each (n, inputs); the right one first."""
        work = self.work
        found: list[tuple[tuple[Mistake, ...], Array]] = [((), work.a[index])]
        below = max((i for i in self.dense if i < index), default=-1)
        masks = [work.mask[i] for i in range(below + 1, index)]
        dropped = any((mask != 1.0).any() for mask in masks)
        if dropped:
            found.append(((Mistake("dropout_mask_missing", index - 1, index),), work.a[below + 1]))
        if below >= 0 and not np.array_equal(work.z[below], work.a[below + 1]):
            mistakes = (Mistake("preactivation_for_activation", index, index, numbers={"z_of_layer": below}),)
            found.append((mistakes, work.z[below]))
            if dropped:
                found.append((mistakes, np.prod([work.z[below], *masks], axis=0)))
        return found

    # ── one step ─────────────────────────────────────────────────────────────────────────────────────────

    def delta(self, index: int, above: Array | None, variation: Variation) -> Array:
        """delta of layer `index`, shape (n, units), from the delta of the Dense layer above it (None at the output).

        delta = dL/da ⊙ f′(z), where dL/da is (delta Wᵀ of the layer above) ⊙ m, or comes from the loss.
        """
        upper = self.above(index)
        if upper is None or above is None:
            delta = self._output_delta(index, variation.slope)
        else:
            delta = above @ (self.dense[upper].weight if variation.weight is None else variation.weight).T
            for i in range(upper - 1, index, -1):
                if i not in variation.unmasked:
                    delta *= self.work.mask[i]
            delta = self._times_slope(index, delta, variation.slope)
        return delta if variation.factor == 1.0 else delta * variation.factor

    def _output_delta(self, index: int, slope: str) -> Array:
        work = self.work
        if slope == RIGHT and self._over_rows != index:
            return work.delta[index].copy()
        if self.net.paired:
            # delta = a − y has no slope in it; dL/da is delta / f′(z)
            slopes = self.slope(index, RIGHT)
            dL_da = np.divide(work.delta[index], slopes, out=np.zeros_like(slopes), where=slopes != 0.0)
        else:
            dL_da = np.empty_like(work.delta[index])
            self.net.loss_function.gradient(work.a[-1], work.y, dL_da, work.loss_scratch)
            if work.weight is not None:
                dL_da *= work.weight[:, None]
        return self._times_slope(index, dL_da, slope)

    def _times_slope(self, index: int, dL_da: Array, slope: str) -> Array:
        if slope == MISSING:
            return dL_da
        if self.dense[index].activation.slope is not None:
            return np.multiply(dL_da, self.slope(index, slope), out=dL_da)
        a, scratch = self.work.a[index + 1], self.work.scratch[index]
        if self._over_rows == index:
            softmax_jacobian_product(a.T, dL_da.T, scratch.reshape(a.T.shape))
        else:
            softmax_jacobian_product(a, dL_da, scratch)
        return dL_da

    def slope(self, index: int, kind: str) -> Array:
        """f′ of layer `index`, shape (n, units): at z, at a, or at z with what stands on a kink moved over it."""
        if (index, kind) not in self._slopes:
            activation, z, a = self.dense[index].activation, self.work.z[index], self.work.a[index + 1]
            if kind == AT_ACTIVATION:
                z = a
            elif kind == OTHER_SIDE:
                z = np.where(self._on_kink(index), np.nextafter(z, np.inf), z)
            if kind != RIGHT:
                a = np.empty_like(z)
                activation.f(z, a)
            result = np.ones_like(z)
            if activation.slope is not None:
                activation.slope(z, a, result, np.empty_like(z))
            self._slopes[index, kind] = result
        return self._slopes[index, kind]

    def _on_kink(self, index: int) -> Array:
        z = self.work.z[index]
        found = np.zeros(z.shape, bool)
        for kink in self.dense[index].activation.kinks:
            found |= z == kink
        return found

    # ── which steps there may be ─────────────────────────────────────────────────────────────────────────

    def variations(self, index: int, mistakes: int, weights: Sequence[Variation] = ()) -> list[Variation]:
        """Every way of taking the step to layer `index` with so many mistakes.

        `weights` are variations with something else in the place of W of the layer above.
        """
        if mistakes == 0:
            return [Variation(), *self._other_side(index)]
        if index not in self._options:
            factors = [
                Variation((Mistake(name, index, index, True, {"expected_ratio": factor}),), factor=factor)
                for name, factor in self.factors()
            ]
            slopes = [*self._slope_options(index), *self._other_side(index)]
            self._options[index] = [self._mask_options(index), slopes, factors]
        options = [weights, *self._options[index]]
        found = []
        for weight, mask, slope, factor in itertools.product(*([Variation(), *option] for option in options)):
            made = weight.mistakes + mask.mistakes + slope.mistakes + factor.mistakes
            if len(made) == mistakes:
                found.append(Variation(made, weight.weight, mask.unmasked, slope.slope, factor.factor))
        return found

    def transposed_weight(self, index: int) -> list[Variation]:
        """W in the place of Wᵀ on the way to layer `index`, which is possible where W is square."""
        upper = self.above(index)
        if upper is None:
            return []
        weight = self.dense[upper].weight
        if weight.shape[0] != weight.shape[1] or np.array_equal(weight, weight.T):
            return []
        return [Variation((Mistake("transposed", upper, index, True, {"where": "backward pass"}),), weight.T)]

    def _mask_options(self, index: int) -> list[Variation]:
        upper = self.above(index)
        dropouts = [i for i in range(index + 1, upper or 0) if (self.work.mask[i] != 1.0).any()]
        found = []
        for chosen in itertools.chain(itertools.combinations(dropouts, 1), itertools.combinations(dropouts, 2)):
            mistakes = []
            for i in chosen:
                numbers = {"share_of_zeros_in_mask": float(np.mean(self.work.mask[i] == 0.0))}
                mistakes.append(Mistake("dropout_mask_missing", i, index, True, numbers))
            found.append(Variation(tuple(mistakes), unmasked=chosen))
        return found

    def _slope_options(self, index: int) -> list[Variation]:
        """The slope left out or taken elsewhere, as far as that changes anything."""
        if self.dense[index].activation.slope is None:
            paired = self.net.paired and self.above(index) is None
            return [] if paired else [Variation((Mistake("missing_slope", index, index, True),), slope=MISSING)]
        slope, elsewhere = self.slope(index, RIGHT), self.slope(index, AT_ACTIVATION)
        found = []
        if (slope != 1.0).any():
            numbers = {"smallest_slope": float(slope.min()), "largest_slope": float(slope.max())}
            found.append(Variation((Mistake("missing_slope", index, index, True, numbers),), slope=MISSING))
        if not np.array_equal(elsewhere, slope):
            numbers = {"largest_difference_of_slopes": float(np.abs(elsewhere - slope).max())}
            mistake = Mistake("slope_at_activation", index, index, True, numbers)
            found.append(Variation((mistake,), slope=AT_ACTIVATION))
        return found

    def _other_side(self, index: int) -> list[Variation]:
        return [Variation(slope=OTHER_SIDE)] if self._on_kink(index).any() else []


def softmax_over_batch(batch: FrozenBatch, index: int, *, backward_too: bool) -> Passes:
    """The passes of somebody whose softmax in layer `index` is normalised over the rows instead of the units.

    The reference's own passes, with another f: a_nk = e^(z_nk) / Σ_rows e^(z_nk). Its slope is softmax's, over the
    units, or with `backward_too` over the rows.
    """
    layer = batch.net.layers[index]
    if isinstance(layer, Dense):
        softmax = layer.activation.f

        def over_rows(z: Array, out: Array) -> None:
            turned = np.empty(z.T.shape, z.dtype)
            softmax(np.ascontiguousarray(z.T), turned)
            out[...] = turned.T

        layer.activation = Activation("softmax", over_rows, None, jacobian=softmax_jacobian_product, sums_to_one=True)
    mistake = Mistake("softmax_over_batch", index, index, True)
    passes = Passes(batch, (mistake,), over_rows=index if backward_too else None)
    row_sums = passes.work.a[index + 1].sum(axis=1)
    numbers = {"smallest_row_sum_of_a": float(row_sums.min()), "largest_row_sum_of_a": float(row_sums.max())}
    passes.mistakes = (replace(mistake, numbers=numbers),)
    return passes
