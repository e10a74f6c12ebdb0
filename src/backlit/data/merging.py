"""Networks that predict together, as one network.

The mean of the outputs of networks that are alike, before the last activation, is the output of a network of the same
kind: hidden layers side by side, and the output layers, each divided by the number of networks, one below the other.

    z = 1/k Σ_j (a_j V_j + c_j) = [a_1 … a_k] [V_1; …; V_k]/k + mean(c_j)

Between two hidden layers stand the weights of each network as a block, and zeros elsewhere: no network sees another.
An embedding has what all networks have learnt beside each other, and each network reads the numbers made of its own;
the shares of a parametric activation behind a hidden layer stand side by side as its units do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..exceptions import ConfigurationError
from ..kinds import Dense, Embedding, Layer, NumericEmbedding, Parametric
from ..network import Network
from ..parameters import Array


def merged(networks: Sequence[Network]) -> Network:
    """One network whose output before the last activation is the mean of those of `networks`.

    Parameters
    ----------
    networks : sequence of Network
        Made of `Dense`, of `Parametric` behind one, and of layers that have no parameters; before them there may be an
        `Embedding`, and then a `NumericEmbedding` of features that all networks share. All with the same layers.

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
    last, front = len(first.layers) - 1, _embeddings(first)
    layers = [_together(first, i, k, front) for i in range(len(first.layers))]
    net = Network(layers, inputs=first.inputs, loss=first.loss_function, dtype=first.dtype, seed=first.seed)
    dense = [i for i, layer in enumerate(layers) if isinstance(layer, Dense)]
    places = [np.arange(first.inputs)] * k  # of what a network's first dense layer takes, among what all of them take
    for i in range(front):
        places = _embed(net, networks, i, places)
    for i, layer in enumerate(layers):
        if isinstance(layer, Parametric):
            net.parameters.view(f"{i}.share")[...] = np.hstack(
                [member.parameters.view(f"{i}.share") for member in networks]
            )
    for i in dense:
        weights = [member.parameters.view(f"{i}.weight") for member in networks]  # k of (inputs, units)
        biases = np.stack([member.parameters.view(f"{i}.bias") for member in networks])  # (k, units)
        W, b = net.parameters.view(f"{i}.weight"), net.parameters.view(f"{i}.bias")
        if i == dense[0]:
            weights = [_at(own, weight, len(W)) for own, weight in zip(places, weights, strict=True)]
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


def _embeddings(net: Network) -> int:
    """How many embeddings the layers begin with."""
    front = int(isinstance(net.layers[0], Embedding))
    return front + isinstance(net.layers[front], NumericEmbedding)


def _together(net: Network, i: int, k: int, front: int) -> Layer:
    """Layer i of k networks, side by side."""
    layer = net.layers[i]
    if isinstance(layer, Dense):
        return Dense(layer.units * (k if i != len(net.layers) - 1 else 1), layer.activation)
    if isinstance(layer, Embedding):
        return Embedding(layer.categories, k * layer.size)
    if isinstance(layer, NumericEmbedding) and i < front:
        before = net.layers[0]
        if isinstance(before, Embedding) and layer.embedded > before.others:
            raise ConfigurationError(
                f"networks become one where {layer!r} embeds features that all of them share, and behind {before!r} "
                f"there are {before.others}: give columns={before.others} or fewer"
            )
        return NumericEmbedding(
            k * layer.size, frequencies=k * layer.frequencies, scale=layer.scale, columns=layer.embedded
        )
    if isinstance(layer, Parametric) and any(isinstance(before, Dense) for before in net.layers[:i]):
        return Parametric(layer.f)
    if net.parameters.names_of(i) or net.parameters.buffer_names_of(i):
        raise ConfigurationError(
            "networks become one where layers besides Dense learn nothing, but for a Parametric that stands behind a "
            f"Dense, and layer {i} is {layer!r}: leave it out"
        )
    return layer


def _embed(net: Network, networks: Sequence[Network], i: int, places: Sequence[Array]) -> list[Array]:
    """Write what embedding i of all networks has learnt; where each network's numbers then are, from where they were.

    Of a feature, or of a column of categories, the numbers of all networks stand side by side, network by network.
    """
    layer: Any = networks[0].layers[i]
    k, size = len(networks), layer.size
    if isinstance(layer, Embedding):
        columns, kept = len(layer.categories), layer.others
        E = net.parameters.view(f"{i}.weight").reshape(-1, k, size)
        for j, member in enumerate(networks):
            E[:, j] = member.parameters.view(f"{i}.weight")
    else:
        columns, kept, m = layer.embedded, layer.inputs, layer.frequencies
        for name in (f"{i}.frequency", f"{i}.phase"):
            net.parameters.view(name)[...] = np.hstack([member.parameters.view(name) for member in networks])
        V = net.parameters.view(f"{i}.weight").reshape(columns, k, size, k, m)
        c = net.parameters.view(f"{i}.shift").reshape(columns, k, size)
        V[...] = 0.0
        for j, member in enumerate(networks):
            V[:, j, :, j, :] = member.parameters.view(f"{i}.weight").reshape(columns, size, m)
            c[:, j] = member.parameters.view(f"{i}.shift").reshape(columns, size)
    outputs = net.layers[i].outputs
    made = np.arange(outputs - columns * k * size, outputs).reshape(columns, k, size)
    return [np.concatenate([own[:kept], made[:, j].ravel()]) for j, own in enumerate(places)]


def _at(places: Array, weight: Array, inputs: int) -> Array:
    """The weights of one network's inputs at these places among all inputs, and zeros at the others."""
    found = np.zeros((inputs, weight.shape[1]), dtype=weight.dtype)
    found[places] = weight
    return found


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
