"""One vector: layers hold views of it, through every way of copying."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pytest

import backlit as bl
from backlit.checking.batch_loss import FrozenBatch
from backlit.exceptions import DataError, ParameterNameError, RebindingError, ShapeError
from backlit.parameters import ParameterVector


def network(**settings: object) -> bl.Network:
    layers = [bl.Dense(4, "tanh"), bl.Dropout(0.5), bl.Dense(3, "sigmoid", bias=False), bl.Dense(2)]
    return bl.Network(layers, inputs=5, **settings)


def through_joblib(net: bl.Network) -> bl.Network:
    file = io.BytesIO()
    joblib.dump(net, file)
    file.seek(0)
    return joblib.load(file)


WAYS: dict[str, Callable[[bl.Network], bl.Network]] = {
    "new": lambda net: net,
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda net: pickle.loads(pickle.dumps(net)),
    "joblib": through_joblib,
    "astype": lambda net: net.astype("float64"),
    "from_spec": lambda net: bl.Network.from_spec(net.spec()),
}
each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


@each_way
def test_layers_hold_views_of_the_vector(way: Callable[[bl.Network], bl.Network]) -> None:
    net = way(network())
    parameters = net.parameters
    assert np.shares_memory(parameters.gradients, parameters.sums)
    for index in (0, 2, 3):
        layer = net.layers[index]
        assert np.shares_memory(layer.weight, parameters.values)
        assert np.shares_memory(layer.weight_gradient, parameters.gradients)
        assert np.shares_memory(layer.weight, parameters.view(f"{index}.weight"))
        assert np.shares_memory(layer.weight_gradient, parameters.gradient_view(f"{index}.weight"))
        assert (layer.bias is None) == (index == 2)
        if layer.bias is not None:
            assert np.shares_memory(layer.bias, parameters.values)
            assert np.shares_memory(layer.bias_gradient, parameters.sums)


@each_way
def test_writing_the_vector_changes_the_output(way: Callable[[bl.Network], bl.Network]) -> None:
    net = way(network())
    net.parameters.values[:] = 0.0
    net.parameters.view("3.bias")[:] = [1.0, 2.0]
    np.testing.assert_array_equal(net.forward(np.ones((1, 5))), [[1.0, 2.0]])


@pytest.mark.parametrize("name", ["copy.copy", "copy.deepcopy", "pickle", "joblib", "astype"])
def test_a_copy_has_the_same_values_and_its_own_memory(name: str) -> None:
    net = network(dtype="float64")
    net.parameters.values[:] = np.arange(net.parameters.size)
    other = WAYS[name](net)
    np.testing.assert_array_equal(other.parameters.values, net.parameters.values)
    assert not np.shares_memory(other.parameters.values, net.parameters.values)
    assert not np.shares_memory(other.parameters.sums, net.parameters.sums)


@pytest.mark.parametrize("name", ["copy.copy", "copy.deepcopy", "pickle", "joblib", "astype", "frozen batch"])
def test_a_copy_draws_no_initial_values(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    data = net.check_data(np.ones((1, 5)), np.ones((1, 2)))

    def refuse(*arguments: object) -> None:
        raise AssertionError("initial values were drawn for a copy")

    monkeypatch.setattr("backlit.network.set_initial_values", refuse)
    other = FrozenBatch(net, *data).net if name == "frozen batch" else WAYS[name](net)
    np.testing.assert_array_equal(other.parameters.values, net.parameters.values)
    with pytest.raises(AssertionError, match="were drawn"):
        network()


def test_a_network_of_given_values() -> None:
    net = bl.Network([bl.Dense(1)], inputs=2, values=[1.0, 2.0, 3.0])
    np.testing.assert_array_equal(net.forward([[1.0, 1.0]]), [[6.0]])
    with pytest.raises(ShapeError, match=r"has 3 parameters, received values of shape \(2,\)"):
        bl.Network([bl.Dense(1)], inputs=2, values=[1.0, 2.0])


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_the_vector_alone_keeps_its_views_in_a_copy(duplicate: Callable[[ParameterVector], ParameterVector]) -> None:
    vector = network().parameters
    vector.sums[:] = np.arange(vector.sums.size)
    other = duplicate(vector)
    assert np.shares_memory(other.gradients, other.sums)
    assert not np.shares_memory(other.values, vector.values)
    np.testing.assert_array_equal(other.sums, vector.sums)
    np.testing.assert_array_equal(other.weight_mask, vector.weight_mask)
    assert other.names == vector.names


def test_a_network_keeps_copies_of_its_layers() -> None:
    shared = bl.Dense(2)
    first, second = bl.Network([shared], inputs=1), bl.Network([shared], inputs=1)
    assert not np.shares_memory(first.layers[0].weight, second.layers[0].weight)


@pytest.mark.parametrize("name", ["values", "gradients", "sums", "buffers", "state", "weight_mask"])
def test_the_arrays_cannot_be_rebound(name: str) -> None:
    vector = network().parameters
    before = getattr(vector, name).copy()
    message = rf"parameters\.{name} cannot be replaced, .*: write into the array, parameters\.{name}\[:\] = "
    with pytest.raises(RebindingError, match=message):
        setattr(vector, name, np.zeros(vector.size))
    with pytest.raises(RebindingError, match=message):
        delattr(vector, name)
    np.testing.assert_array_equal(getattr(vector, name), before)


def test_working_in_place_is_no_rebinding() -> None:
    net = network()
    vector, before = net.parameters, net.parameters.values.copy()
    vector.values *= 2.0
    net.layers[0].weight += 1.0
    before *= 2.0
    before[:20] += 1.0
    np.testing.assert_array_equal(vector.values, before)


def test_a_network_keeps_its_layers_and_its_vector() -> None:
    net = network()
    layers, vector = net.layers, net.parameters
    fixed = r"the layers of a network cannot be changed, .*: make a new Network\(\[\*net\.layers, …\], …\)"
    changes: list[Callable[[], Any]] = [
        lambda: setattr(net, "layers", [bl.Dense(2)]),
        lambda: net.layers.__setitem__(0, bl.Dense(4)),
        lambda: net.layers.__setitem__(slice(0, 1), [bl.Dense(4)]),
        lambda: net.layers.__delitem__(0),
        lambda: net.layers.append(bl.Dense(2)),
        lambda: net.layers.insert(0, bl.Dense(2)),
        lambda: net.layers.extend([bl.Dense(2)]),
        lambda: net.layers.pop(),
        lambda: net.layers.reverse(),
    ]
    for change in changes:
        with pytest.raises(RebindingError, match=fixed):
            change()
    with pytest.raises(RebindingError, match=fixed):
        net.layers += (bl.Dense(2),)
    with pytest.raises(RebindingError, match="the parameters of a network cannot be replaced"):
        net.parameters = ParameterVector({}, np.dtype("float32"))
    for name in ("layers", "parameters"):
        with pytest.raises(AttributeError):
            delattr(net, name)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = net.layers.nonsense
    assert net.layers is layers
    assert net.parameters is vector
    assert not hasattr(net.layers, "append")
    assert [*copy.deepcopy(net).layers] != [*net.layers]


def test_a_parameter_is_written_through_and_checked() -> None:
    net = network()
    layer = net.layers[0]
    layer.weight = np.arange(20).reshape(5, 4)
    np.testing.assert_array_equal(net.parameters.values[:20], np.arange(20))
    layer.bias = [1, 2, 3, 4]
    np.testing.assert_array_equal(net.parameters.view("0.bias"), [1, 2, 3, 4])
    before = net.parameters.values.copy()
    for wrong in (np.ones((5, 4), complex), np.full((5, 4), "1"), np.full((5, 4), None)):
        with pytest.raises(DataError, match=r"weight of Dense\(4.* holds real numbers, received an array of"):
            layer.weight = wrong
    with pytest.raises(ShapeError, match=r"bias of Dense\(4.* has shape \(4,\), received \(\)"):
        layer.bias = 0.0
    with pytest.raises(RebindingError, match=r"weight of Dense\(4.* belongs to its network and cannot be deleted"):
        del layer.weight
    np.testing.assert_array_equal(net.parameters.values, before)
    assert np.shares_memory(layer.weight, net.parameters.values)


def test_names_and_shapes_are_in_the_order_of_the_values() -> None:
    vector = network().parameters
    assert vector.names == ["0.weight", "0.bias", "2.weight", "3.weight", "3.bias"]
    assert vector.shapes == {"0.weight": (5, 4), "0.bias": (4,), "2.weight": (4, 3), "3.weight": (3, 2), "3.bias": (2,)}
    assert vector.size == 20 + 4 + 12 + 6 + 2
    assert vector.sums.size == vector.size + 2
    flat = np.concatenate([vector.view(name).ravel() for name in vector.names])
    np.testing.assert_array_equal(flat, vector.values)


def test_the_mask_is_one_on_weights_and_zero_on_biases() -> None:
    vector = network().parameters
    expected = np.concatenate([np.full(np.prod(vector.shapes[n]), float(n.endswith("weight"))) for n in vector.names])
    np.testing.assert_array_equal(vector.weight_mask, expected)


def test_every_position_is_located_where_its_view_has_it() -> None:
    vector = network(dtype="float64").parameters
    vector.values[:] = np.arange(vector.size)
    for position in range(vector.size):
        name, index = vector.locate(position)
        assert vector.view(name)[index] == position


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda v: v.view("0.weights"), "there is no parameter '0.weights': did you mean '0.weight'"),
        (lambda v: v.view("1.weight"), "there is no parameter '1.weight': did you mean"),
        (lambda v: v.gradient_view("zzz"), "there is no parameter 'zzz': known are '0.weight', '0.bias'"),
        (lambda v: v.locate(44), "position 44 is outside the 44 parameters: choose 0 to 43"),
        (lambda v: v.locate(-1), "position -1 is outside the 44 parameters: choose 0 to 43"),
    ],
    ids=["close name", "no such layer", "far name", "too large", "negative"],
)
def test_an_unknown_parameter_is_named_with_its_nearest(ask: Callable[[ParameterVector], object], message: str) -> None:
    with pytest.raises(ParameterNameError) as caught:
        ask(network().parameters)
    assert str(caught.value).startswith(message)
    assert isinstance(caught.value, KeyError)
