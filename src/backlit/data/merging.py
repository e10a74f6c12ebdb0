"""Networks that predict together, as one network.

The mean of the outputs of networks that are alike, before the last activation, is the output of a network of the same
kind: hidden layers side by side, and the output layers, each divided by the number of networks, one below the other.

    z = 1/k Σ_j (a_j V_j + c_j) = [a_1 … a_k] [V_1; …; V_k]/k + mean(c_j)

Between two hidden layers stand the weights of each network as a block, and zeros elsewhere: no network sees another.
An embedding of numbers has the waves of all networks, and each network reads the numbers made of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..exceptions import ConfigurationError
from ..kinds import Dense, Layer, NumericEmbedding
from ..network import Network
from ..parameters import Array


def merged(networks: Sequence[Network]) -> Network:
    """One network whose output before the last activation is the mean of those of `networks`.

    Parameters
    ----------
    networks : sequence of Network
        Made of `Dense`, of layers that have no parameters, and of a `NumericEmbedding` where it is the first; all with
        the same layers.

    Raises
    ------
    ConfigurationError
        For another layer with parameters.

    Examples
    --------
    >>> one, two = (Network([Dense(3, "tanh"), Dense(1)], inputs=2, dtype="float64", seed=seed) for seed in (0, 1))
    >>> both = merged([one, two])
    >>> both
    Network(2 → Dense(6, 'tanh') → Dense(1, 'identity'), loss='squared_error', 25 parameters in float64)
    >>> row = [[0.5, -1.0]]
    >>> bool(np.isclose(both.forward(row), (one.forward(row) + two.forward(row)) / 2))
    True
    """
    first, k = networks[0], len(networks)
    if k == 1:
        return first
    last = len(first.layers) - 1
    layers = [_together(first, i, k) for i in range(len(first.layers))]
    net = Network(layers, inputs=first.inputs, loss=first.loss_function, dtype=first.dtype, seed=first.seed)
    dense = [i for i, layer in enumerate(layers) if isinstance(layer, Dense)]
    embedding = first.layers[0] if isinstance(first.layers[0], NumericEmbedding) else None
    if embedding is not None:
        _embed(net, networks, embedding)
    for i in dense:
        weights = [member.parameters.view(f"{i}.weight") for member in networks]  # k of (inputs, units)
        biases = np.stack([member.parameters.view(f"{i}.bias") for member in networks])  # (k, units)
        W, b = net.parameters.view(f"{i}.weight"), net.parameters.view(f"{i}.bias")
        if i == dense[0] and embedding is not None:
            weights = [_on_own_numbers(weight, j, k, embedding) for j, weight in enumerate(weights)]
        if i == dense[0] == last:
            W[...] = np.mean(weights, axis=0)
        elif i == dense[0]:
            W[...] = np.hstack(weights)
        elif i == last:
            W[...] = np.vstack(weights) / k
        else:
            W[...] = block_diagonal(weights)
        b[...] = biases.mean(axis=0) if i == last else biases.ravel()
    return net


def _together(net: Network, i: int, k: int) -> Layer:
    """Layer i of k networks, side by side."""
    layer = net.layers[i]
    if isinstance(layer, Dense):
        return Dense(layer.units * (k if i != len(net.layers) - 1 else 1), layer.activation)
    if isinstance(layer, NumericEmbedding) and not i:
        return NumericEmbedding(
            k * layer.size, frequencies=k * layer.frequencies, scale=layer.scale, columns=layer.embedded
        )
    if net.parameters.names_of(i) or net.parameters.buffer_names_of(i):
        raise ConfigurationError(
            f"networks become one where layers besides Dense learn nothing, and layer {i} is {layer!r}: leave it out"
        )
    return layer


def _embed(net: Network, networks: Sequence[Network], layer: NumericEmbedding) -> None:
    """The waves of all networks side by side; of each feature their weights as blocks, its numbers by network."""
    columns, size, m, k = layer.embedded, layer.size, layer.frequencies, len(networks)
    for name in ("0.frequency", "0.phase"):
        net.parameters.view(name)[...] = np.hstack([member.parameters.view(name) for member in networks])
    V = net.parameters.view("0.weight").reshape(columns, k, size, k, m)
    c = net.parameters.view("0.shift").reshape(columns, k, size)
    V[...] = 0.0
    for j, member in enumerate(networks):
        V[:, j, :, j, :] = member.parameters.view("0.weight").reshape(columns, size, m)
        c[:, j] = member.parameters.view("0.shift").reshape(columns, size)


def _on_own_numbers(weight: Array, j: int, k: int, layer: NumericEmbedding) -> Array:
    """The weights of network j behind the embedding of all k networks: zeros on the others' numbers."""
    inputs, units = layer.inputs, weight.shape[1]
    found = np.zeros((layer.embedded, k, layer.size, units), dtype=weight.dtype)
    found[:, j] = weight[inputs:].reshape(layer.embedded, layer.size, units)
    return np.vstack([weight[:inputs], found.reshape(-1, units)])


def block_diagonal(blocks: Sequence[Array]) -> Array:
    """Matrices of one shape along a diagonal, zeros elsewhere.

    Examples
    --------
    >>> block_diagonal([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
    array([[1., 2., 0., 0.],
           [0., 0., 3., 4.]])
    """
    rows, columns = blocks[0].shape
    found = np.zeros((len(blocks), rows, len(blocks), columns), dtype=blocks[0].dtype)
    for j, block in enumerate(blocks):
        found[j, :, j, :] = block
    return found.reshape(len(blocks) * rows, len(blocks) * columns)


def with_output(net: Network, activation: str, factor: float = 1.0) -> Network:
    """A copy of a network with another last activation, its last z times `factor`.

    Examples
    --------
    >>> net = Network([Dense(2, "softmax", weight_init=1.0)], inputs=1, loss="cross_entropy", dtype="float64")
    >>> with_output(net, "identity", 0.5).forward([[3.0]])
    array([[1.5, 1.5]])
    """
    layers = [*net.layers[:-1], Dense(net.outputs, activation)]
    loss = net.loss_function if activation == net.output_layer.activation.name else "squared_error"
    state = net.parameters.state.copy()
    copy = Network(layers, inputs=net.inputs, loss=loss, dtype=net.dtype, seed=net.seed, values=state)
    copy.output_layer.weight *= factor
    if copy.output_layer.bias is not None:
        copy.output_layer.bias *= factor
    return copy
