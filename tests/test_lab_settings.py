"""The lab's settings: checked as they come in, whole as they go out, and the networks and optimisers made of them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

import backlit as bl
from backlit.data.builtin import ABOUT
from backlit.exceptions import ConfigurationError
from backlit.kinds import ACTIVATIONS
from backlit.kinds.initializers import DRAWN
from backlit.kinds.losses import LOSSES
from backlit.kinds.optimizers import OPTIMIZERS
from backlit.kinds.schedules import SCHEDULES
from backlit.lab.building import build_network, build_optimizer, numbered, settings_of
from backlit.lab.catalogue import catalogue
from backlit.lab.crossing import FEATURES, crossed
from backlit.lab.material import material_of
from backlit.lab.settings import Settings

WHOLE = {
    "data": {
        "name": "circle", "noise": 0.0, "held_out": 0.5, "rows": 400, "seed": 0, "features": ["x1", "x2"],
        "target": None,
    },
    "network": {
        "hidden": [{"units": 4, "activation": "tanh", "dropout": 0.0}], "output": "auto", "loss": "auto",
        "init": "glorot_uniform", "l1": 0.0, "l2": 0.0, "seed": 0,
    },
    "training": {
        "optimizer": "SGD", "learning_rate": 0.1, "schedule": "constant", "batch_size": 10, "momentum": 0.0,
    },
}  # fmt: skip

OTHER = {
    "data": {
        "name": "moons", "noise": 0.25, "held_out": 0.2, "rows": 77, "seed": 2**64 - 1, "features": ["x1", "sin x2"],
        "target": "y",
    },
    "network": {
        "hidden": [
            {"units": 256, "activation": "relu", "dropout": 0.5}, {"units": 1, "activation": "gelu", "dropout": 0.0},
        ],
        "output": "softmax", "loss": "cross_entropy", "init": "he_normal", "l1": 0.5, "l2": 0.25, "seed": 3,
    },
    "training": {
        "optimizer": "SGD", "learning_rate": 3.0, "schedule": "CosineDecay", "batch_size": 20_000, "momentum": 0.9,
    },
}  # fmt: skip


# ── in and out ───────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_not_said_has_its_default() -> None:
    assert Settings.from_json({}).to_json() == WHOLE
    assert Settings.from_json({"data": {}, "network": {"hidden": [{}]}}).to_json() == WHOLE
    assert Settings().to_json() == WHOLE


def test_what_is_said_comes_out_again() -> None:
    assert Settings.from_json(OTHER).to_json() == OTHER
    assert Settings.from_json(json.loads(json.dumps(OTHER))) == Settings.from_json(OTHER)
    assert Settings.from_json({"network": {"hidden": []}}).to_json()["network"]["hidden"] == []


def test_numbers_as_a_page_sends_them() -> None:
    found = Settings.from_json({"data": {"rows": 100.0, "noise": 0}, "training": {"learning_rate": 1}})
    assert (found.data.rows, found.data.noise, found.training.learning_rate) == (100, 0.0, 1.0)
    assert isinstance(found.data.rows, int)
    assert isinstance(found.training.learning_rate, float)


def test_features_are_kept_in_the_order_of_their_table_and_once() -> None:
    found = Settings.from_json({"data": {"features": ["sin x1", "x1", "sin x1"]}})
    assert found.data.features == ("x1", "sin x1")


def test_a_given_network_says_so() -> None:
    assert Settings.from_json({"network": {"given": True}}).to_json()["network"]["given"] is True
    assert "given" not in Settings.from_json({"network": {"given": False}}).to_json()["network"]


@pytest.mark.parametrize("wanted", [{}, OTHER, {"network": {"hidden": []}}, {"network": {"given": True}}])
def test_a_fragment_is_what_differs(wanted: dict[str, Any]) -> None:
    settings = Settings.from_json(wanted)
    fragment = settings.fragment()
    assert fragment.startswith("#")
    assert Settings.from_json(json.loads(unquote(fragment[1:]))) == settings
    assert set(fragment[1:]) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~%")


def test_a_fragment_of_the_defaults_is_empty() -> None:
    assert unquote(Settings().fragment()) == "#{}"


@pytest.mark.parametrize(
    ("part", "name", "value", "said"),
    [
        ("data", "nosie", 0.1, "there is no setting 'nosie' in data: did you mean 'noise'?"),
        ("training", "lr", 0.1, "there is no setting 'lr' in training"),
        ("data", "name", "spirla", "data.name cannot be 'spirla': did you mean 'spiral'?"),
        ("data", "name", 3, "data.name cannot be 3"),
        ("data", "noise", 0.6, "data.noise must be a number from 0 to 0.5, received 0.6"),
        ("data", "noise", "0.1", "data.noise must be a number from 0 to 0.5, received '0.1'"),
        ("data", "noise", float("nan"), "data.noise must be a number"),
        ("data", "noise", True, "data.noise must be a number"),
        ("data", "held_out", 0.95, "data.held_out must be a number from 0 to 0.9, received 0.95"),
        ("data", "held_out", -0.1, "data.held_out must be a number from 0 to 0.9"),
        ("data", "rows", 0, "data.rows must be a whole number from 1 to 20,000, received 0"),
        ("data", "rows", 20_001, "data.rows must be a whole number from 1 to 20,000, received 20001"),
        ("data", "rows", 2.5, "data.rows must be a whole number"),
        ("data", "rows", float("inf"), "data.rows must be a whole number"),
        ("data", "seed", -1, "data.seed: the seed must be a whole number"),
        ("data", "features", [], "data.features must be a list of at least one feature, received []"),
        ("data", "features", "x1", "data.features must be a list"),
        ("data", "features", ["x3"], "data.features cannot be 'x3'"),
        ("data", "features", [["x1"]], "data.features cannot be"),
        ("data", "target", 3, "data.target must be the name of a column, or null, received 3"),
        ("data", "target", "a" * 201, "data.target must be the name of a column"),
        ("network", "hidden", [{}] * 7, "network.hidden must be a list of at most 6 layers, received 7 of them"),
        ("network", "hidden", {"units": 3}, "network.hidden must be a list of at most 6 layers"),
        ("network", "hidden", [3], "network.hidden[0] must be an object of settings by name, received 3"),
        ("network", "hidden", [{"units": 0}], "network.hidden[0].units must be a whole number from 1 to 256"),
        ("network", "hidden", [{}, {"units": 257}], "network.hidden[1].units must be a whole number from 1 to 256"),
        ("network", "hidden", [{"unit": 3}], "there is no setting 'unit' in network.hidden[0]: did you mean 'units'?"),
        ("network", "hidden", [{"activation": "rulu"}], "network.hidden[0].activation cannot be 'rulu': did you mean"),
        ("network", "hidden", [{"dropout": 1.0}], "network.hidden[0].dropout must be at least 0 and below 1"),
        ("network", "output", "sigmiod", "network.output cannot be 'sigmiod': did you mean 'sigmoid'?"),
        ("network", "loss", "crossentropy", "network.loss cannot be 'crossentropy': did you mean 'cross_entropy'?"),
        ("network", "init", "constant", "network.init cannot be 'constant'"),
        ("network", "l1", True, "network.l1 must be a number from 0"),
        ("data", "rows", True, "data.rows must be a whole number"),
        ("network", "l1", -1, "network.l1 must be a number from 0"),
        ("network", "l2", 10**400, "network.l2 must be a number from 0"),
        ("network", "seed", 1.5, "network.seed: the seed must be a whole number"),
        ("network", "given", 1, "network.given must be true or false, received 1"),
        ("training", "optimizer", "sgd", "training.optimizer cannot be 'sgd'"),
        ("training", "learning_rate", 0, "training.learning_rate must be a finite number above 0, received 0"),
        ("training", "learning_rate", float("inf"), "training.learning_rate must be a finite number above 0"),
        ("training", "learning_rate", 10**400, "training.learning_rate must be a finite number above 0"),
        ("training", "schedule", "StepDekay", "training.schedule cannot be 'StepDekay': did you mean 'StepDecay'?"),
        ("training", "batch_size", 0, "training.batch_size must be a whole number from 1 to 20,000"),
        ("training", "momentum", 1.0, "training.momentum must be at least 0 and below 1"),
        ("training", "momentum", None, "training.momentum must be at least 0 and below 1"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(part: str, name: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_json({part: {name: value}})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("wanted", [None, [], "data", {"data": 3}, {"data": None}, {"network": [1]}, {"traning": {}}])
def test_what_is_no_object_is_refused(wanted: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"must be an object of settings|no setting 'traning' in the settings"):
        Settings.from_json(wanted)


def test_momentum_is_for_optimizers_that_have_one() -> None:
    assert Settings.from_json({"training": {"momentum": 0.9}}).training.momentum == 0.9
    with pytest.raises(ConfigurationError, match=r"Adam has no momentum, received training.momentum=0.9: set it to 0"):
        Settings.from_json({"training": {"optimizer": "Adam", "momentum": 0.9}})


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────────────


def built(data: str = "circle", **network: Any) -> bl.Network:
    settings = Settings.from_json({"data": {"name": data, "rows": 60}, "network": network})
    material = material_of(settings)
    net = build_network(settings, material)
    net.check_data(material.X_train, material.y_train)  # the targets fit
    return net


def summary(net: bl.Network) -> tuple[str, int, str]:
    return net.output_layer.activation.name, net.outputs, net.loss_function.name


@pytest.mark.parametrize(
    ("data", "settings", "expected"),
    [
        ("circle", {}, ("sigmoid", 1, "cross_entropy")),
        ("iris", {}, ("softmax", 3, "cross_entropy")),
        ("digits", {}, ("softmax", 10, "cross_entropy")),
        ("plane", {}, ("identity", 1, "squared_error")),
        ("circle", {"output": "softmax"}, ("softmax", 2, "cross_entropy")),
        ("circle", {"output": "tanh"}, ("tanh", 1, "squared_error")),
        ("circle", {"loss": "hinge"}, ("identity", 1, "hinge")),
        ("iris", {"loss": "hinge"}, ("identity", 3, "hinge")),
        ("circle", {"loss": "squared_error"}, ("sigmoid", 1, "squared_error")),
        ("iris", {"output": "sigmoid"}, ("sigmoid", 3, "cross_entropy")),
        ("plane", {"output": "tanh"}, ("tanh", 1, "squared_error")),
        ("plane", {"loss": "huber"}, ("identity", 1, "huber")),
        ("line", {"loss": "poisson"}, ("exp", 1, "poisson")),
    ],
)
def test_output_and_loss_suit_the_data(data: str, settings: dict[str, Any], expected: tuple[str, int, str]) -> None:
    assert summary(built(data, **settings)) == expected


@pytest.mark.parametrize(
    ("data", "settings", "said"),
    [
        ("plane", {"loss": "cross_entropy"}, "cross_entropy goes with"),
        ("plane", {"output": "softmax"}, "softmax over 1 unit is always 1"),
        ("iris", {"output": "tanh"}, "class labels go with softmax or sigmoid outputs"),
    ],
)
def test_output_and_loss_that_do_not_go_together(data: str, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(bl.BacklitError, match=said):
        built(data, **settings)


def test_the_network_is_that_of_the_settings() -> None:
    hidden = [{"units": 5, "activation": "relu", "dropout": 0.25}, {"units": 3, "activation": "gelu"}]
    net = built(hidden=hidden, l1=0.1, l2=0.2, seed=7, init="he_normal")
    assert [repr(layer) for layer in net.layers] == [
        "Dense(5, 'relu')", "Dropout(0.25)", "Dense(3, 'gelu')", "Dense(1, 'sigmoid')",
    ]  # fmt: skip
    assert (net.l1, net.l2, net.seed, net.dtype) == (0.1, 0.2, 7, np.dtype("float64"))
    same = bl.Network(
        [
            bl.Dense(5, "relu", weight_init="he_normal"), bl.Dropout(0.25),
            bl.Dense(3, "gelu", weight_init="he_normal"), bl.Dense(1, "sigmoid", weight_init="he_normal"),
        ],
        inputs=2, loss="cross_entropy", dtype="float64", seed=7,
    )  # fmt: skip
    np.testing.assert_array_equal(net.parameters.values, same.parameters.values)


@pytest.mark.parametrize("init", DRAWN)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_kind_makes_a_network(activation: str, init: str) -> None:
    assert built(hidden=[{"units": 2, "activation": activation}], init=init).parameters.size == 9


@pytest.mark.parametrize("schedule", [None, *SCHEDULES])
@pytest.mark.parametrize("kind", OPTIMIZERS.values())
def test_every_optimizer_with_every_schedule(kind: Any, schedule: Any) -> None:
    name = "constant" if schedule is None else schedule.__name__
    wanted = {"optimizer": kind.__name__, "schedule": name, "learning_rate": 0.25}
    made = build_optimizer(Settings.from_json({"training": wanted}))
    assert type(made) is kind
    assert made.learning_rate == 0.25 if schedule is None else isinstance(made.learning_rate, schedule)
    top = 100 * (2**0.5 - 1) / 15 if name == "CosineCycles" else 0.0  # which begins at 0
    assert schedule is None or made.learning_rate(top) == 0.25  # type: ignore[operator]


def test_momentum_reaches_the_optimizer() -> None:
    assert build_optimizer(Settings.from_json({"training": {"momentum": 0.9}})).momentum == 0.9  # type: ignore[attr-defined]


def test_the_settings_of_a_network_make_it_again() -> None:
    settings = Settings.from_json(OTHER)
    net = build_network(settings, material_of(settings))
    said = settings_of(net)
    assert said is not None
    again = build_network(Settings(settings.data, said, settings.training), material_of(settings))
    assert again.spec() == net.spec()


@pytest.mark.parametrize(
    "net",
    [
        bl.Network([bl.Dense(2), bl.BatchNorm(), bl.Dense(1)], inputs=2),
        bl.Network([bl.Dropout(0.1), bl.Dense(1)], inputs=2),
        bl.Network([bl.Dense(2), bl.Dropout(0.1), bl.Dropout(0.1), bl.Dense(1)], inputs=2),
        bl.Network([bl.Dense(257), bl.Dense(1)], inputs=2),
        bl.Network([bl.Dense(2)] * 8, inputs=2),
        bl.Network([bl.Dense(2, bias=False), bl.Dense(1)], inputs=2),
        bl.Network([bl.Dense(2), bl.Dense(1, bias=False)], inputs=2),
        bl.Network([bl.Dense(2, (np.sin, np.cos)), bl.Dense(1)], inputs=2),
        bl.Network([bl.Dense(1)], inputs=2, loss=bl.huber(2.0)),
        bl.Network([bl.Dense(1)], inputs=2, loss=(lambda a, y: (a - y).sum(axis=1), lambda a, y: np.ones_like(a))),
        bl.Network([bl.Dense(1)], inputs=2, divide_penalty=True),
        bl.Network([bl.Dense(1)], inputs=2, input_scale=0.5),
    ],
)
def test_networks_that_the_settings_cannot_say(net: bl.Network) -> None:
    assert settings_of(net) is None


def test_numbers_of_classes_in_place_of_labels() -> None:
    net = bl.Network([bl.Dense(2, "softmax")], inputs=1, loss="cross_entropy", dtype="float64")
    net.classes = np.array(["b", "a"])
    other = numbered(net)
    np.testing.assert_array_equal(other.gradient([[1.0], [2.0]], [0, 1]), net.gradient([[1.0], [2.0]], ["b", "a"]))
    assert net.classes.tolist() == ["b", "a"]


# ── features and catalogue ───────────────────────────────────────────────────────────────────────────────────


def test_each_feature() -> None:
    x1, x2 = 0.7, -1.3
    expected = [x1, x2, x1**2, x2**2, x1 * x2, np.sin(x1), np.sin(x2)]
    np.testing.assert_allclose(crossed(np.array([[x1, x2]]), list(FEATURES))[0], expected)


def test_the_catalogue_has_every_kind_of_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACTIVATIONS, "new", ACTIVATIONS["tanh"])
    monkeypatch.setitem(LOSSES, "newer", LOSSES["huber"])
    found = json.loads(json.dumps(catalogue()))
    assert [one["name"] for one in found["data"]] == list(ABOUT)
    assert found["activations"] == list(ACTIVATIONS)
    assert found["outputs"] == ["auto", *ACTIVATIONS]
    assert found["losses"] == ["auto", *LOSSES]
    assert found["initializers"] == list(DRAWN)
    assert [one["name"] for one in found["optimizers"]] == [kind.__name__ for kind in OPTIMIZERS.values()]
    assert [one["name"] for one in found["schedules"]] == ["constant", *(kind.__name__ for kind in SCHEDULES)]
    assert "new" in found["activations"]
    assert "newer" in found["losses"]


def test_the_catalogue_says_what_an_optimizer_begins_with() -> None:
    found = {one["name"]: one for one in catalogue()["optimizers"]}
    assert found["SGD"] == {"name": "SGD", "learning_rate": 0.01, "momentum": True}
    assert found["Adam"] == {"name": "Adam", "learning_rate": 0.001, "momentum": False}


def test_everything_in_the_catalogue_is_understood() -> None:
    found = catalogue()
    limits = found["limits"]
    for name in [one["name"] for one in found["data"]]:
        Settings.from_json({"data": {"name": name}})
    Settings.from_json({"data": {"features": found["features"], "noise": limits["noise"], "rows": limits["rows"]}})
    Settings.from_json({"data": {"held_out": limits["held_out"]}, "training": {"batch_size": limits["batch_size"]}})
    Settings.from_json({"network": {"hidden": [{"units": limits["units"]}] * limits["hidden_layers"]}})
    for name in found["outputs"]:
        Settings.from_json({"network": {"output": name}})
    for name in found["losses"]:
        Settings.from_json({"network": {"loss": name}})
