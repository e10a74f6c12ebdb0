"""delta of one unit for one row, unfolded layer by layer down to the loss.

    hidden     delta_j = (Σ_k w_jk delta_k) · f′(z_j)          k runs over the units of the next layer with weights
    output     delta_j = dL/da_j · f′(z_j),  or  a_j − y_j where loss and activation are a pair

Layers between the two multiply the sum by a factor of their own where each of their units stands alone: m_j of dropout,
s_j of a scale. Where units depend on each other (layer norm, batch norm in training), dL/da passes through all of them
at once, and stands above and below. A layer without activation has no delta: what is unfolded is its dL/da.

The factors and the deltas are those that back-propagation left behind; what is done here is to write the sum out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final

import numpy as np

from ...kinds import Layer
from ...parameters import Array
from .trace import LayerPass, Trace

#: How delta comes about: through a slope, through a Jacobian, as a − y at once; or it is dL/da itself.
Way = Literal["slope", "jacobian", "pair", "given"]


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
class Factor:
    """What a layer between two layers with weights multiplies dL/da of one unit by: its symbol and the number."""

    layer: int
    symbol: str
    value: float


@final
@dataclass(frozen=True, slots=True)
class UnitDelta:
    """delta of one unit for one row, in its factors.

    Attributes
    ----------
    layer, unit : int
    name : str
        "delta", or "dL/da" for a layer without activation.
    way : str
        "slope", "jacobian" (softmax), "pair" (a − y at once), or "given": it is dL/da itself.
    z : float or None
    a, delta : float
    slope : float or None
        f′(z), where the way is "slope".
    upstream : float or None
        dL/da, factors and sample weight included; None where a pair makes it unnecessary.
    target : float or None
        y, for an output.
    factors : list of Factor
        Of the layers above this one, up to `next_layer`.
    next_layer : int or None
        The layer above whose units dL/da comes from; None for an output.
    through : str
        Empty where dL/da is a sum over the units of `next_layer`. Else how it comes through that layer, whose units
        depend on each other.
    terms : list of Term
        Of Σ_k w_jk delta_k, the largest first; all of them unless there are many.
    rest_count, rest_sum
        The terms left out, and what they add up to.
    total : float
        Σ_k w_jk delta_k, all terms of it; or dL/da below the layer that it comes through.
    sample_weight : float
        What the row counts; contained in delta.
    """

    layer: int
    unit: int
    name: str
    way: Way
    z: float | None
    a: float
    delta: float
    slope: float | None
    upstream: float | None
    target: float | None
    factors: list[Factor]
    next_layer: int | None
    through: str
    terms: list[Term]
    rest_count: int
    rest_sum: float
    total: float
    sample_weight: float

    @property
    def factor(self) -> float:
        """What the layers between multiply dL/da by together."""
        return math.prod(factor.value for factor in self.factors)

    @property
    def symbol(self) -> str:
        """ "delta_2", or "dL/da_2"."""
        return f"{self.name}_{self.unit}"

    @property
    def summed(self) -> str:
        """dL/da of the unit as a formula, for what is no output: "(Σ_k w[2, k] delta_k) · m_2"."""
        j = self.unit
        start = f"dL/da {self.through}" if self.through else f"Σ_k w[{j}, k] delta_k"
        if self.way == "given" and not self.factors:
            return start
        return " · ".join([f"({start})", *(numbered(factor.symbol, j) for factor in self.factors)])

    @property
    def equation(self) -> str:
        """The formula, with the numbers of the unit's indices."""
        j, weighted = self.unit, "" if self.sample_weight == 1.0 else f" · {self.sample_weight:g}"
        if self.way == "pair":
            return f"{self.symbol} = (a_{j} − y_{j}){weighted}"
        summed = f"dL/da_{j}" if self.next_layer is None else self.summed
        if self.way == "slope":
            return f"{self.symbol} = {summed} · f′(z_{j})"
        if self.way == "jacobian":
            written_out = "" if self.next_layer is None else f" = {summed}"
            return f"{self.symbol}: all dL/da of the row through the Jacobian,  dL/da_{j}{written_out}"
        return f"{self.symbol} = {summed}"


def numbered(symbol: str, j: int) -> str:
    """A symbol with the number of a unit.

    Examples
    --------
    >>> numbered("m", 2), numbered("γ/σ", 0)
    ('m_2', 'γ_0/σ_0')
    """
    return "/".join(f"{part}_{j}" for part in symbol.split("/"))


def adds_up(layer: Layer) -> bool:
    """Whether the layer is one with weights, z_j = Σ_i a_i w[i, j] + b_j, by its own account.

    Examples
    --------
    >>> from backlit.kinds import Dense, Scale
    >>> from backlit.network import Network
    >>> [adds_up(layer) for layer in Network([Scale(), Dense(1)], inputs=2).layers]
    [False, True]
    """
    weight: Array | float = getattr(layer, "weight", 0.0)
    if layer.activation is None or np.shape(weight) != (layer.inputs, layer.outputs):
        return False
    return any(step.meets == "inputs" for step in layer.forward_steps(1))


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
        if found[0].through:
            units = _through_units(filled(trace.layers[following].delta)[row], units, most)
        else:
            sizes: dict[int, float] = {}
            for term in (term for item in found for term in item.terms):
                sizes[term.unit] = max(sizes.get(term.unit, 0.0), abs(term.product))
            units = sorted(sizes, key=lambda k: -sizes[k])[:most]
        here = following


def _through_units(above: Array, units: list[int], most: int) -> list[int]:
    """Which units of a layer that mixes them are shown: the same ones, then those with the largest dL/da."""
    largest = [int(k) for k in np.argsort(-np.abs(above), kind="stable")]
    same = [unit for unit in units if unit < above.size]
    return [*same, *(k for k in largest if k not in same)][: max(most, len(same))]


def _unit_delta(trace: Trace, layer: int, unit: int, row: int, most: int) -> UnitDelta:
    passed = trace.layers[layer]
    last = layer == len(trace.layers) - 1
    upstream = None if passed.upstream is None else float(passed.upstream[row, unit])
    factors: list[Factor] = []
    terms: list[Term] = []
    products = np.empty(0)
    following, between, through = (None, [], "") if last else way_up(trace, layer)
    total = 0.0 if upstream is None else upstream
    if following is not None:
        factors = [Factor(i, symbol, float(values[row, unit])) for i, symbol, values in between]
        if through:
            total = float(filled(trace.layers[following - 1].upstream)[row, unit])
        else:
            w = trace.net.parameters.view(f"{following}.weight")[unit]  # (units of the next layer with weights,)
            deltas = filled(trace.layers[following].delta)[row]  # (units of the next layer with weights,)
            products = (w * deltas).astype(np.float64)
            largest = np.argsort(-np.abs(products), kind="stable")[:most]
            terms = [Term(int(k), float(w[k]), float(deltas[k]), float(products[k])) for k in largest]
            total = float(products.sum())
    return UnitDelta(
        layer=layer,
        unit=unit,
        name=passed.delta_name,
        way=_way(trace, passed),
        z=None if passed.z is None else float(passed.z[row, unit]),
        a=float(passed.a[row, unit]),
        delta=float(filled(passed.delta)[row, unit]),
        slope=None if passed.slope is None else float(passed.slope[row, unit]),
        upstream=upstream,
        target=float(trace.y[row, unit]) if last else None,
        factors=factors,
        next_layer=following,
        through=through,
        terms=terms,
        rest_count=products.size - len(terms),
        rest_sum=float(products.sum()) - sum(term.product for term in terms),
        total=total,
        sample_weight=1.0 if trace.weight is None else float(trace.weight[row]),
    )


def way_up(trace: Trace, layer: int) -> tuple[int, list[tuple[int, str, Array]], str]:
    """From a hidden layer up: the next layer with weights, and the factors of the layers between.

    Where a layer between has no factors, its number instead, those below it, and what dL/da comes through there.
    """
    factors: list[tuple[int, str, Array]] = []
    for passed in trace.layers[layer + 1 :]:
        if adds_up(passed.layer):
            return passed.index, factors, ""
        symbol, values = passed.layer.through(passed.room)
        if values is None:
            return passed.index, factors, symbol
        factors.append((passed.index, symbol, values))
    raise ValueError("the last layer of a network has weights")


def _way(trace: Trace, passed: LayerPass) -> Way:
    activation = passed.layer.activation
    if passed is trace.layers[-1] and trace.net.paired:
        return "pair"
    if passed.slope is not None:
        return "slope"
    return "given" if activation is None or activation.jacobian is None else "jacobian"


def filled(array: Array | None) -> Array:
    """An array that every layer from the first that learns on has."""
    if array is None:
        raise ValueError("below the first layer that learns nobody needs dL/da")
    return array
