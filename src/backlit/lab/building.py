"""From settings to a network and its optimiser, and back."""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from typing import Any, Final

from ..data.learning import knowing_nothing
from ..kinds import ACTIVATIONS, Dense, Dropout, Embedding, Layer
from ..kinds.losses import get_loss
from ..kinds.optimizers import Optimizer
from ..kinds.schedules import LearningRate
from ..network import Network
from .material import Material
from .settings import (
    AUTO,
    CONSTANT,
    MOST_HIDDEN,
    MOST_UNITS,
    OPTIMIZER_NAMES,
    SCHEDULE_NAMES,
    HiddenLayer,
    NetworkSettings,
    Settings,
    TrainingSettings,
    takes_momentum,
)

SCHEDULE_EPOCHS: Final = 100.0  # over which a schedule runs that has to be told


def build_network(settings: Settings, material: Material) -> Network:
    """The network of the settings, with fresh initial values, in float64.

    With "auto" two classes get one sigmoid output, more of them softmax, values identity; and the loss is cross entropy
    for those outputs, squared error for others. An output that is asked for by its loss alone suits the loss.

    Raises
    ------
    ConfigurationError
        For an output and a loss that do not go together.

    Examples
    --------
    >>> from .material import material_of
    >>> settings = Settings()
    >>> build_network(settings, material_of(settings))
    Network(2 → Dense(4, 'tanh') → Dense(1, 'sigmoid'), loss='cross_entropy', 17 parameters in float64)
    """
    chosen = settings.network
    codes = () if material.table is None else material.table.preparation.codes
    layers: list[Layer] = [Embedding(codes)] if codes else []
    for hidden in chosen.hidden:
        layers.append(Dense(hidden.units, hidden.activation, weight_init=chosen.init))
        if hidden.dropout:
            layers.append(Dropout(hidden.dropout))
    output = _output(chosen, material)
    layers.append(Dense(_output_units(output, material), output, weight_init=chosen.init))
    net = Network(
        layers,
        inputs=material.X_train.shape[1],
        loss=_loss(chosen, material, output),
        l1=chosen.l1,
        l2=chosen.l2,
        dtype="float64",
        seed=chosen.seed,
    )
    return knowing_nothing(net)


def _output(chosen: NetworkSettings, material: Material) -> str:
    """The activation of the output."""
    if chosen.output != AUTO:
        return chosen.output
    suits = _class_output(material) if material.classes is not None else "identity"
    if chosen.loss == AUTO:
        return suits
    loss = get_loss(chosen.loss)
    if loss.targets == "classes":  # a margin: the output is not a probability
        return "identity"
    if loss.positive and not ACTIVATIONS[suits].positive:
        return next(iter(loss.pairs), suits)
    return suits


def _class_output(material: Material) -> str:
    return "sigmoid" if len(material.classes or ()) == 2 else "softmax"


def _output_units(output: str, material: Material) -> int:
    """How many: one tells two classes apart, unless they share 1 between them."""
    if material.classes is None:
        return len(material.value_names)
    return 1 if len(material.classes) == 2 and not ACTIVATIONS[output].sums_to_one else len(material.classes)


def _loss(chosen: NetworkSettings, material: Material, output: str) -> str:
    if chosen.loss != AUTO:
        return chosen.loss
    entropy = "cross_entropy"
    return entropy if material.classes is not None and output in get_loss(entropy).pairs else "squared_error"


def build_optimizer(settings: Settings) -> Optimizer:
    """The optimiser of the settings, with its schedule.

    Examples
    --------
    >>> build_optimizer(Settings.from_json({"training": {"learning_rate": 0.5, "momentum": 0.9}}))
    SGD(0.5, momentum=0.9)
    """
    chosen = settings.training
    rate: LearningRate = chosen.learning_rate
    if chosen.schedule != CONSTANT:
        rate = schedule_at(chosen.schedule, chosen.learning_rate)
    more = {"momentum": chosen.momentum} if takes_momentum(chosen.optimizer) else {}
    made: Optimizer = OPTIMIZER_NAMES[chosen.optimizer](rate, **more)
    return made


def schedule_at(name: str, initial: float) -> Any:
    """The schedule of that name; its other settings are its own, and 100 epochs where it has to be told."""
    kind: Any = SCHEDULE_NAMES[name]
    needed = [part.name for part in fields(kind) if part.default is MISSING and part.name != "initial"]
    return kind(initial, **dict.fromkeys(needed, SCHEDULE_EPOCHS))


def settings_of(net: Network) -> NetworkSettings | None:
    """A given network in the settings of the page; None where they cannot say it.

    They can where its layers are `Dense`, each hidden one with a `Dropout` behind it or not, with biases, named
    activations and a named loss, and no larger than the page makes them. Values and dtype are not part of it.

    Examples
    --------
    >>> net = Network([Dense(3, "relu"), Dropout(0.2), Dense(1)], inputs=2)
    >>> settings_of(net).hidden
    (HiddenLayer(units=3, activation='relu', dropout=0.2),)
    >>> settings_of(Network([Dense(3, "relu"), Dense(1, bias=False)], inputs=2)) is None
    True
    """
    hidden: list[HiddenLayer] = []
    for layer in net.layers[:-1]:
        if isinstance(layer, Dense) and _sayable(layer) and layer.units <= MOST_UNITS:
            hidden.append(HiddenLayer(layer.units, layer.activation.name))
        elif isinstance(layer, Dropout) and layer.schedule is None and hidden and not hidden[-1].dropout:
            hidden[-1] = HiddenLayer(hidden[-1].units, hidden[-1].activation, layer.rate)
        else:
            return None
    loss, output = net.loss_function, net.output_layer
    own_loss = not loss.builtin or loss.settings != get_loss(loss.name).settings
    if own_loss or not _sayable(output) or len(hidden) > MOST_HIDDEN or net.divide_penalty or net.input_scale != 1.0:
        return None
    init = next((layer.weight_init for layer in net.layers if isinstance(layer, Dense)), None)
    return NetworkSettings(
        hidden=tuple(hidden),
        output=output.activation.name,
        loss=loss.name,
        init=init if isinstance(init, str) else NetworkSettings.init,
        l1=net.l1,
        l2=net.l2,
        seed=net.seed,
        given=True,
    )


def training_of(optimizer: Optimizer | None, batch_size: int | None) -> TrainingSettings:
    """How a given network is trained, in the settings of the page as far as they can say it.

    Examples
    --------
    >>> from ..kinds.optimizers import SGD
    >>> training_of(SGD(0.5, momentum=0.9), 20)
    TrainingSettings(optimizer='SGD', learning_rate=0.5, schedule='constant', batch_size=20, momentum=0.9)
    """
    found = TrainingSettings() if batch_size is None else TrainingSettings(batch_size=batch_size)
    name = type(optimizer).__name__
    if optimizer is None or name not in OPTIMIZER_NAMES:
        return found
    rate = getattr(optimizer, "learning_rate", None)
    return replace(
        found,
        optimizer=name,
        learning_rate=float(rate) if isinstance(rate, int | float) else found.learning_rate,
        momentum=float(getattr(optimizer, "momentum", 0.0)) if takes_momentum(name) else 0.0,
    )


def _sayable(layer: Dense) -> bool:
    return layer.has_bias and layer.activation.builtin


def numbered(net: Network) -> Network:
    """A copy of a given network that takes numbers of classes in place of its labels, as the page's data has them."""
    copy = net.astype(net.dtype)
    copy.classes = None
    return copy
