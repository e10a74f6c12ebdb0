"""Gradients under the names, and in the order, that people keep them in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from ...exceptions import ParameterNameError, ShapeError, nearest
from ...parameters import ParameterVector

# What people call weights and biases, and what may stand around it: dW1, nabla_w, grads["W2"], fc1.weight, coefs_.
_KINDS: Final = {
    "weight": {"w", "dw", "gw", "weight", "weights", "dweight", "dweights", "kernel", "kernels", "coef", "coefs",
               "theta", "dtheta"},
    "bias": {"b", "db", "gb", "bias", "biases", "dbias", "dbiases", "intercept", "intercepts"},
}  # fmt: skip
_AROUND: Final = {
    "d", "g", "dl", "nabla", "grad", "grads", "gradient", "gradients", "layer", "layers", "fc", "linear", "dense",
    "lin", "model", "net", "hidden", "h", "out", "output", "o", "seq", "module", "my",
}  # fmt: skip


def named_arrays(gradients: Any, parameters: ParameterVector, what: str) -> tuple[dict[str, Any], list[str]]:
    """What was given by the network's own parameter names, and how it was read where that was not plain.

    Raises
    ------
    ShapeError
        For a list of a length that fits nothing, or nothing at all.
    ParameterNameError
        For a name that says nothing.

    Examples
    --------
    >>> p = ParameterVector({"0.weight": (2, 3), "0.bias": (3,)}, np.dtype("float64"))
    >>> named_arrays({"dW1": 1, "db1": 2}, p, "my_gradients")
    ({'0.weight': 1, '0.bias': 2}, ['dW1 was read as 0.weight, db1 as 0.bias'])
    """
    if isinstance(gradients, Iterator):
        gradients = list(gradients)
    if isinstance(gradients, list | tuple) and gradients and all(_is_pair(one) for one in gradients):
        gradients = dict(gradients)
    if isinstance(gradients, Mapping):
        if not gradients:
            raise ShapeError(f"{what} is empty: give at least one array, such as {what}[{parameters.names[0]!r}]")
        return _by_name({str(name): value for name, value in gradients.items()}, parameters)
    return _in_order(list(gradients), parameters, what)


def _is_pair(one: Any) -> bool:
    return isinstance(one, tuple) and len(one) == 2 and isinstance(one[0], str)


def of_kind(parameters: ParameterVector, kind: str) -> list[str]:
    """The names of all parameters of that kind, from the input up."""
    return [name for name in parameters.names if name.split(".", 1)[1] == kind]


def kind_of(name: str, parameters: ParameterVector) -> str | None:
    """ "weight", "bias", or what a parameter is called; None for a name that says nothing."""
    tokens = [token.lower() for token in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", re.sub(r"\bd([WB])\b", r"\1", name))]
    own = {other.split(".", 1)[1] for other in parameters.names}
    found = {kind for kind, words in _KINDS.items() for token in tokens if token in words or "".join(tokens) in words}
    found |= {token for token in tokens if token in own}
    unknown = [t for t in tokens if t not in _AROUND and t not in own and not any(t in w for w in _KINDS.values())]
    return found.pop() if len(found) == 1 and not unknown else None


def _by_name(given: dict[str, Any], parameters: ParameterVector) -> tuple[dict[str, Any], list[str]]:
    if all(name in parameters.names for name in given):
        return given, []
    kinds = {name: kind_of(name, parameters) for name in given}
    for name, kind in kinds.items():
        if kind is None or not of_kind(parameters, kind):
            raise ParameterNameError(f"there is no parameter {name!r}: {nearest(name, parameters.names)}")
    found: dict[str, Any] = {}
    told: list[str] = []
    for kind in dict.fromkeys(kinds.values()):
        names, places = [name for name in given if kinds[name] == kind], of_kind(parameters, str(kind))
        if len(names) == 1 and isinstance(given[names[0]], list | tuple) and len(given[names[0]]) == len(places):
            arrays = given[names[0]]
            if all(np.ndim(one) > 0 for one in arrays):
                found |= dict(zip(places, arrays, strict=True))
                told.append(f"{names[0]}[0] was read as {places[0]}, and so on")
                continue
        for name, place in zip(names, _places(names, places, given, parameters), strict=True):
            found[place] = given[name]
            told.append(f"{name} {'was read ' if not told else ''}as {place}")
    return found, [", ".join(told)]


def _places(names: list[str], places: list[str], given: dict[str, Any], parameters: ParameterVector) -> list[str]:
    """The parameter that each name of one kind stands for: by its number, counted from 0 or 1, or by rank."""
    numbers = [int(found[-1]) if (found := re.findall(r"\d+", name)) else None for name in names]
    if any(number is None for number in numbers):
        if len(names) == len(places):
            return places
        raise ParameterNameError(
            f"{names[0]!r} does not say which layer it is of: number the names, or use {', '.join(places)}"
        )
    counted = [number for number in numbers if number is not None]
    if len(set(counted)) != len(counted):
        raise ParameterNameError(f"two of the names {', '.join(names)} have the same number: use {', '.join(places)}")
    if len(names) == len(places):
        ranks = sorted(counted)
        return [places[ranks.index(number)] for number in counted]
    fitting = []
    for first in (0, 1):
        if all(0 <= number - first < len(places) for number in counted):
            chosen = [places[number - first] for number in counted]
            if all(_could_be(given[n], parameters.shapes[p]) for n, p in zip(names, chosen, strict=True)):
                fitting.append(chosen)
    if len(fitting) != 1:
        raise ParameterNameError(f"{', '.join(names)} could be of several layers, or of none: use {', '.join(places)}")
    return fitting[0]


def _could_be(array: Any, shape: tuple[int, ...]) -> bool:
    given = np.shape(array)
    return given in (shape, shape[::-1], (1, *shape), (*shape, 1))


def _in_order(given: list[Any], parameters: ParameterVector, what: str) -> tuple[dict[str, Any], list[str]]:
    names, weights, biases = parameters.names, of_kind(parameters, "weight"), of_kind(parameters, "bias")
    if len(given) == len(weights) and all(isinstance(one, Mapping) for one in given):
        merged = {f"{key}{i}": array for i, one in enumerate(given) for key, array in one.items()}
        return _by_name(merged, parameters)
    if len(given) == 2 and all(isinstance(one, list | tuple) for one in given) and np.ndim(given[0][0]) > 0:
        # two lists, of weights and of biases, in either order
        first = len(given[0]) == len(weights) and all(np.ndim(one) == 2 for one in given[0])
        if first and any(np.ndim(one) == 2 and np.shape(one)[-1] != 1 for one in given[1]):
            first = all(_could_be(one, parameters.shapes[p]) for one, p in zip(given[0], weights, strict=True))
        order = (given[0], given[1]) if first else (given[1], given[0])
        if len(order[0]) == len(weights) and len(order[1]) == len(biases):
            found = {**dict(zip(weights, order[0], strict=True)), **dict(zip(biases, order[1], strict=True))}
            words = "weights, then biases" if first else "biases, then weights"
            return found, [f"{what} was read as two lists: {words}, from the input up"]
    if len(given) == len(names):
        note = f"{what} was read in the order {', '.join(names)}"
        return dict(zip(names, given, strict=True)), [note]
    if len(given) == len(weights):
        return dict(zip(weights, given, strict=True)), [f"{what} was read as the weights alone: {', '.join(weights)}"]
    raise ShapeError(
        f"{what} must be one array of numbers, shape ({parameters.size},), a dict by parameter name, or a list in the "
        f"order {', '.join(names)}, received {len(given)} arrays"
    )
