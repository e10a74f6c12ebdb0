"""What a fitted network computes for new rows: its outputs, and the activations of its hidden layers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from typing import Any, final

import numpy as np
from scipy.sparse import issparse
from sklearn.utils._set_output import ADAPTERS_MANAGER, _get_output_config
from sklearn.utils.validation import check_is_fitted

from ..checks import check_outputs, check_reach
from ..exceptions import ConfigurationError, NonFiniteError, NotFittedError, RebindingError, ShapeError
from ..network import Network
from ..parameters import Array, written
from ..training.choose import obstacle_to_predicting, warn_of_fallback
from ..training.threads import blas_limit, blas_threads
from .rows import SparseRows, check_X


def layers_with_weights(net: Network) -> list[int]:
    """The places of the layers that have weights."""
    return [int(name.split(".")[0]) for name in net.parameters.weight_names]


def activations(net: Network, X: Any, layer: int) -> Array:
    """The activation of the layer of that index, shape (n, units), without dropout; X may be sparse."""
    n = X.shape[0]
    result = np.empty((n, net.layers[layer].outputs), net.dtype)
    source = SparseRows(X) if issparse(X) else None
    pieces = list(net.pieces(n, sparse=source is not None))
    sparse = pieces[0][1].takes_sparse and source is not None
    threads = blas_threads(net, pieces[0][1].n, sparse=True) if sparse else nullcontext()
    with threads, np.errstate(over="ignore", invalid="ignore"):
        for rows, work in pieces:
            if source is None:
                work.load(X[rows])
            else:
                work.fetch_inputs(source, rows)
            net.forward_pass(work)
            result[rows] = work.a[layer % len(net.layers) + 1]
    return result


def hidden_index(net: Network, layer: int) -> int:
    """The index, among all layers, of a hidden layer counted from the input (0, 1, …) or from the output (-1, …)."""
    hidden = layers_with_weights(net)[:-1]
    if not hidden:
        raise ConfigurationError("the network has no hidden layer: give hidden_layer_sizes at least one size")
    if isinstance(layer, bool) or not hasattr(layer, "__index__") or not -len(hidden) <= layer < len(hidden):
        raise ConfigurationError(
            f"layer must be a whole number from {-len(hidden)} to {len(hidden) - 1}, one of {len(hidden)} hidden "
            f"layers, received {layer!r}"
        )
    return hidden[layer]


def unit_names(estimator: Any, layer: int) -> Array:
    """Names of a hidden layer's units: mlpclassifier0, mlpclassifier1, …"""
    check_is_fitted(estimator, "network_")
    net: Network = estimator.network_
    units = net.layers[hidden_index(net, layer)].outputs
    prefix = type(estimator).__name__.lower()
    return np.array([f"{prefix}{unit}" for unit in range(units)], dtype=object)


def in_container(estimator: Any, data: Array, X: Any, names: Array) -> Any:
    """The columns in what `set_output` asked for.

    scikit-learn's own wrapper around `transform` knows the names of one layer only.
    """
    chosen = _get_output_config("transform", estimator)["dense"]
    if chosen == "default":
        return data
    adapter = ADAPTERS_MANAGER.adapters[chosen]
    return adapter.create_container(data, X, columns=names, inplace=False)


def outputs(estimator: Any, X: Any) -> Array:
    """The outputs of a fitted estimator's network for X, shape (n, n_outputs)."""
    if not hasattr(estimator, "network_"):  # at once, where scikit-learn would look through all that it knows of it
        check_is_fitted(estimator, "network_")
    checked = check_X(estimator, X)
    net: Network = estimator.network_
    if estimator.engine == "compiled" and not issparse(checked) and in_machine_code(estimator):
        return net.forward(checked)
    with blas_limit(estimator.n_threads), np.errstate(over="ignore", invalid="ignore"):
        a = activations(net, checked, -1)
    try:
        check_outputs(a)
    except NonFiniteError:
        if not issparse(checked):
            check_reach(checked, net.dtype, "X")
        raise
    return a


def in_machine_code(estimator: Any) -> bool:
    """Have a fitted estimator's network compiled for predictions, where it can be; whether it is.

    What has no kernel was trained by the reference engine, which was said then.
    """
    net: Network = estimator.network_
    if not net.compiled and obstacle_to_predicting(net) is None:
        if find_spec("numba") is None:  # it was fitted elsewhere
            warn_of_fallback("numba is not installed")
        else:
            net.compile(n_threads=estimator.n_threads)
    return net.compiled


def hidden_activations(estimator: Any, X: Any, layer: int) -> Any:
    """The activations of a hidden layer of a fitted estimator, in the container that `set_output` chose."""
    check_is_fitted(estimator, "network_")
    checked = check_X(estimator, X)
    index = hidden_index(estimator.network_, layer)
    with blas_limit(estimator.n_threads):
        data = activations(estimator.network_, checked, index)
    return in_container(estimator, data, X, unit_names(estimator, layer))


@final
class ParameterViews(list[Array]):
    """Views of a network's parameters, one a layer; putting an array in a place writes through to the network.

    Examples
    --------
    >>> weight = np.zeros((1, 2))
    >>> views = ParameterViews([weight])
    >>> views[0] = [[1.0, 2.0]]
    >>> weight
    array([[1., 2.]])
    """

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            set_views(self[index], value)
        else:
            set_views([self[index]], [value])

    def _fixed(self, *arguments: Any, **more: Any) -> Any:
        raise RebindingError(
            "the list of a fitted network's parameters cannot be changed: write into its arrays, coefs_[0] = W, or fit "
            "an estimator with other hidden_layer_sizes"
        )

    append = extend = insert = remove = pop = clear = sort = reverse = _fixed
    __delitem__ = __iadd__ = __imul__ = _fixed

    def __reduce__(self) -> Any:
        """A copy is a list of its own arrays: none of a network's."""
        return list, (list(self),)


def weight_views(estimator: Any) -> ParameterViews:
    """Views of the weights, layer by layer, each (inputs, units)."""
    parameters = _network(estimator).parameters
    return ParameterViews(parameters.view(name) for name in parameters.weight_names)


def bias_views(estimator: Any) -> ParameterViews:
    """Views of the biases, layer by layer, each (units,)."""
    parameters = _network(estimator).parameters
    return ParameterViews(parameters.view(name) for name in parameters.names if name.endswith(".bias"))


def set_views(views: Sequence[Array], arrays: Any) -> None:
    """Write one array into each view, or none at all; the shapes have to be the same."""
    shapes = [np.shape(array) for array in arrays]
    if shapes != [view.shape for view in views]:
        raise ShapeError(f"the arrays must have the shapes {[view.shape for view in views]}, received {shapes}")
    given = [written(array, view, "each of the arrays") for view, array in zip(views, arrays, strict=True)]
    for view, array in zip(views, given, strict=True):
        view[...] = array


def _network(estimator: Any) -> Network:
    # An AttributeError, so that hasattr(estimator, "coefs_") tells whether it is fitted.
    if "network_" not in vars(estimator):
        raise NotFittedError(f"this {type(estimator).__name__} has no parameters yet: call fit first")
    net: Network = estimator.network_
    return net


def set_container(estimator: Any, transform: str | None) -> None:
    """Remember what `transform` is to give, where scikit-learn looks for it."""
    if transform is None:
        return
    known = ("default", *ADAPTERS_MANAGER.supported_outputs)
    if transform not in known:
        raise ConfigurationError(f"set_output knows {', '.join(sorted(set(known)))}, received {transform!r}")
    estimator._sklearn_output_config = {"transform": transform}
