"""delta of one unit for one row, unfolded layer by layer down to the loss.

    hidden     delta_j = (Σ_k w_jk delta_k) · f′(z_j)          k runs over the units of the next Dense
    output     delta_j = dL/da_j · f′(z_j),  or  a_j − y_j where loss and activation are a pair

Dropout between two layers multiplies the sum by the unit's mask factor. The factors and the deltas are those that
back-propagation left behind; what is done here is to write the sum out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from ...kinds import Dense
from ...parameters import Array
from .trace import Trace

#: How delta comes about: through a slope, through softmax's Jacobian, or as a − y at once.
Way = Literal["slope", "jacobian", "pair"]


@final
@dataclass(frozen=True, slots=True)
class Term:
    """One term of Σ_k w_jk delta_k."""

    unit: int
    weight: float
    delta: float
    product: float


@final
@dataclass(frozen=True, slots=True)
class UnitDelta:
    """delta of one unit for one row, in its factors.

    Attributes
    ----------
    layer, unit : int
    way : str
        "slope", "jacobian" (softmax), or "pair" (a − y at once).
    z, a, delta : float
    slope : float or None
        f′(z); None for softmax.
    upstream : float or None
        dL/da, mask and sample weight included; None where a pair makes it unnecessary.
    target : float or None
        y, for an output.
    mask : float or None
        Factor of the Dropout above this layer, None without one.
    next_layer : int or None
        Where the terms' units are; None for an output.
    terms : list of Term
        Of Σ_k w_jk delta_k, the largest first; all of them unless there are many.
    rest_count, rest_sum
        The terms left out, and what they add up to.
    sample_weight : float
        What the row counts; contained in delta.
    """

    layer: int
    unit: int
    way: Way
    z: float
    a: float
    delta: float
    slope: float | None
    upstream: float | None
    target: float | None
    mask: float | None
    next_layer: int | None
    terms: list[Term]
    rest_count: int
    rest_sum: float
    sample_weight: float

    @property
    def total(self) -> float:
        """Σ_k w_jk delta_k, all terms of it."""
        return sum(term.product for term in self.terms) + self.rest_sum

    @property
    def equation(self) -> str:
        """The formula, with the numbers of the unit's indices."""
        j, weighted = self.unit, "" if self.sample_weight == 1.0 else f" · {self.sample_weight:g}"
        if self.way == "pair":
            return f"delta_{j} = (a_{j} − y_{j}){weighted}"
        summed = f"(Σ_k w[{j}, k] delta_k)" + ("" if self.mask is None else f" · m_{j}")
        if self.way == "jacobian":
            written_out = "" if self.next_layer is None else f",  dL/da_{j} = {summed}"
            return f"delta_{j} = a_{j} · (dL/da_{j} − Σ_m a_m dL/da_m){written_out}"
        return f"delta_{j} = {f'dL/da_{j}' if self.next_layer is None else summed} · f′(z_{j})"


def unfold_delta(trace: Trace, layer: int, unit: int, row: int, most: int) -> list[list[UnitDelta]]:
    """The unit's delta, and below it those of the units it is made of, one list a layer down to the output.

    Every sum shows its `most` largest terms, and every layer at most `most` units: those of the largest terms.
    """
    levels: list[list[UnitDelta]] = []
    units, here = [unit], layer
    while True:
        found = [_unit_delta(trace, here, j, row, most) for j in units]
        levels.append(found)
        following = found[0].next_layer
        if following is None:
            return levels
        sizes: dict[int, float] = {}
        for term in (term for item in found for term in item.terms):
            sizes[term.unit] = max(sizes.get(term.unit, 0.0), abs(term.product))
        units = sorted(sizes, key=lambda k: -sizes[k])[:most]
        here = following


def _unit_delta(trace: Trace, layer: int, unit: int, row: int, most: int) -> UnitDelta:
    passed = trace.layers[layer]
    z, delta = filled(passed.z), filled(passed.delta)  # (n, units)
    following = next((i for i in range(layer + 1, len(trace.layers)) if isinstance(trace.net.layers[i], Dense)), None)
    way: Way = "slope" if passed.slope is not None else "jacobian"
    mask: float | None = None
    target: float | None = None
    upstream: float | None
    terms: list[Term] = []
    products = np.empty(0)
    if following is None:
        target = float(trace.y[row, unit])
        upstream = float(_loss_gradient(trace, row)[unit])
        if trace.net.paired:
            way, upstream = "pair", None
    else:
        w = trace.net.parameters.view(f"{following}.weight")[unit]  # (units of the next Dense,)
        deltas = filled(trace.layers[following].delta)[row]  # (units of the next Dense,)
        products = (w * deltas).astype(np.float64)
        largest = np.argsort(-np.abs(products), kind="stable")[:most]
        terms = [Term(int(k), float(w[k]), float(deltas[k]), float(products[k])) for k in largest]
        upstream = float(np.dot(w, deltas))
        for between in trace.layers[layer + 1 : following]:
            mask = (1.0 if mask is None else mask) * float(filled(between.mask)[row, unit])
        upstream *= 1.0 if mask is None else mask
    return UnitDelta(
        layer=layer,
        unit=unit,
        way=way,
        z=float(z[row, unit]),
        a=float(passed.a[row, unit]),
        delta=float(delta[row, unit]),
        slope=None if passed.slope is None else float(passed.slope[row, unit]),
        upstream=upstream,
        target=target,
        mask=mask,
        next_layer=following,
        terms=terms,
        rest_count=products.size - len(terms),
        rest_sum=float(products.sum()) - sum(term.product for term in terms),
        sample_weight=1.0 if trace.weight is None else float(trace.weight[row]),
    )


def _loss_gradient(trace: Trace, row: int) -> Array:
    """dL/da of one row at the output, times its sample weight, by the network's own loss."""
    a, y = trace.layers[-1].a[row : row + 1], trace.y[row : row + 1]  # (1, outputs)
    out = np.empty_like(a)
    trace.net.loss_function.gradient(a, y, out, np.empty((2, *a.shape), a.dtype))
    return np.asarray(out[0] if trace.weight is None else out[0] * trace.weight[row])


def filled(array: Array | None) -> Array:
    """An array that a Dense layer from the first one on always has."""
    if array is None:
        raise ValueError("Dropout has neither z nor delta of its own")
    return array
