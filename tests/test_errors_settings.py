"""Settings that cannot be: each refused in one sentence, naming what was received and, for names, the nearest known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError
from backlit.kinds import layer_from_spec
from backlit.kinds.losses import huber, loss_from_spec, quantile
from backlit.randomness import check_seed

X = np.arange(12.0).reshape(4, 3)
Y = np.zeros((4, 2))


def net(**settings: Any) -> bl.Network:
    return bl.Network([bl.Dense(2)], inputs=3, **settings)


def fit(**settings: Any) -> bl.History:
    return bl.fit(net(), X, Y, progress=False, **settings)


Call = Callable[[], object]

SETTINGS: dict[str, tuple[Call, str]] = {
    # layers
    "units": (lambda: bl.Dense(0), "units must be a whole number of at least 1, received 0"),
    "units in a half": (lambda: bl.Dense(2.5), "units must be a whole number of at least 1, received 2.5"),
    "units in a list": (
        lambda: bl.Dense(np.array([3, 4])),
        "units must be a whole number of at least 1, received array",
    ),
    "activation": (lambda: bl.Dense(1, "sigmiod"), "there is no activation 'sigmiod': did you mean 'sigmoid'?"),
    "a far activation": (lambda: bl.Dense(1, "qqq"), "there is no activation 'qqq': known are 'identity'"),
    "activation as a number": (
        lambda: bl.Dense(1, 3),
        "an activation is a name or a pair (f, df) of functions of z, received 3",
    ),
    "softmax over one": (
        lambda: bl.Dense(1, "softmax"),
        "softmax over 1 unit is always 1: use 2 units, or 1 unit with sigmoid",
    ),
    "initialiser": (
        lambda: bl.Dense(1, weight_init="he_norml"),
        "there is no initialiser 'he_norml': did you mean 'he_normal'",
    ),
    "constant without number": (
        lambda: bl.Dense(1, bias_init="constant"),
        "the initialiser 'constant' needs its number: write the number itself, or ('constant', 0.5)",
    ),
    "initialiser nan": (
        lambda: bl.Dense(1, bias_init=np.nan),
        "an initialiser is a name or a finite number, received nan",
    ),
    "dropout of everything": (lambda: bl.Dropout(1.0), "the dropout rate must be at least 0 and below 1, received 1.0"),
    "dropout as text": (lambda: bl.Dropout("0.5"), "the dropout rate must be at least 0 and below 1, received '0.5'"),
    "layer kind": (lambda: layer_from_spec({"kind": "Dens"}), "there is no layer 'Dens': did you mean 'Dense'?"),
    "layer settings": (
        lambda: layer_from_spec({"kind": "Dropout", "size": 1}),
        "a Dropout layer cannot be made of {'size': 1}",
    ),
    # losses
    "loss": (lambda: net(loss="cross_entorpy"), "there is no loss 'cross_entorpy': did you mean 'cross_entropy'?"),
    "loss as a number": (
        lambda: net(loss=3),
        "a loss is a name or a pair (value, gradient) of functions of (a, y), received 3",
    ),
    "huber": (lambda: huber(0.0), "huber's delta must be a finite number above 0, received 0.0"),
    "quantile at 0": (lambda: quantile(0.0), "the quantile q must be a finite number above 0, received 0.0"),
    "quantile at 1": (lambda: quantile(1.0), "the quantile q must be at least 0 and below 1, received 1.0"),
    "a description without inputs": (
        lambda: bl.Network.from_spec({"layers": [{"kind": "Dense", "units": 2}], "loss": {"name": "squared_error"}}),
        "a network's description is wrong in its names: it lacks inputs",
    ),
    "a description with more than a network has": (
        lambda: bl.Network.from_spec({**net().spec(), "momentum": 0.9}),
        "a network's description is wrong in its names: it has 'momentum', which no network has",
    ),
    "loss in a file": (lambda: loss_from_spec({"name": "hubr"}), "there is no loss 'hubr': did you mean 'huber'?"),
    "loss settings": (lambda: loss_from_spec({"name": "huber", "q": 1}), "the loss 'huber' cannot be made of {'q': 1}"),
    # networks
    "no layers": (lambda: bl.Network([], inputs=2), "a network needs at least one layer, received none"),
    "not a layer": (
        lambda: bl.Network([30], inputs=2),
        "a layer is one of Dense, Dropout, BatchNorm, LayerNorm, Scale, NumericEmbedding, Embedding, "
        "ParallelDense, Parametric or your own Layer, received 30",
    ),
    "dropout last": (
        lambda: bl.Network([bl.Dense(2), bl.Dropout(0.5)], inputs=2),
        "the last layer must be Dense, received Dropout(0.5)",
    ),
    "inputs": (
        lambda: bl.Network([bl.Dense(1)], inputs="784"),
        "inputs must be a whole number of at least 1, received '784'",
    ),
    "l1": (lambda: net(l1=-0.1), "l1 must be a finite number of at least 0, received -0.1"),
    "l2": (lambda: net(l2=np.inf), "l2 must be a finite number of at least 0, received inf"),
    "dtype": (lambda: net(dtype="float16"), "dtype must be 'float32' or 'float64', received 'float16'"),
    "no dtype": (lambda: net().astype(None), "dtype must be 'float32' or 'float64', received None"),
    "seed": (lambda: net(seed=-1), "the seed must be a whole number from 0 to 2**64 - 1, received -1"),
    "seed as a float": (lambda: check_seed(1.5), "the seed must be a whole number from 0 to 2**64 - 1, received 1.5"),
    "input_scale": (lambda: net(input_scale=0.0), "input_scale must be a finite number above 0, received 0.0"),
    # optimisers and schedules
    "learning rate": (lambda: bl.SGD(-0.1), "learning_rate must be a finite number of at least 0, received -0.1"),
    "learning rate as text": (
        lambda: bl.Adam("fast"),
        "learning_rate must be a number or a function of the epoch, received 'fast'",
    ),
    "momentum": (lambda: bl.SGD(0.1, momentum=1.0), "momentum must be at least 0 and below 1, received 1.0"),
    "nesterov": (lambda: bl.SGD(0.1, nesterov=True), "nesterov needs a momentum above 0, received momentum=0.0"),
    "rho": (lambda: bl.RMSprop(rho=1.5), "rho must be at least 0 and below 1, received 1.5"),
    "epsilon": (lambda: bl.Adagrad(epsilon=0.0), "epsilon must be a finite number above 0, received 0.0"),
    "beta_1": (lambda: bl.Adam(beta_1=1.0), "beta_1 must be at least 0 and below 1, received 1.0"),
    "beta_2": (lambda: bl.AdamW(beta_2=-0.1), "beta_2 must be at least 0 and below 1, received -0.1"),
    "weight_decay": (
        lambda: bl.AdamW(weight_decay=-1),
        "weight_decay must be a finite number of at least 0, received -1",
    ),
    "clip_norm": (lambda: bl.SGD(clip_norm=0), "clip_norm must be a finite number above 0, received 0"),
    "memory": (lambda: bl.LBFGS(memory=0), "memory must be a whole number of at least 1, received 0"),
    "factor": (lambda: bl.StepDecay(0.1, factor=0.0), "factor must be a finite number above 0, received 0.0"),
    "rate": (lambda: bl.ExponentialDecay(0.1, rate=-1.0), "rate must be a finite number above 0, received -1.0"),
    "power": (lambda: bl.InverseDecay(0.1, power=0.0), "power must be a finite number above 0, received 0.0"),
    "warm-up": (
        lambda: bl.CosineDecay(0.1, epochs=3, warmup=3),
        "epochs must be more than the warm-up of 3, received 3",
    ),
    "cosine epochs": (lambda: bl.CosineDecay(0.1, epochs="3"), "epochs must be a finite number above 0, received '3'"),
    "schedule": (
        lambda: fit(optimizer=bl.SGD(lambda epoch: 0.1 - epoch)),
        "the schedule gave the learning rate -0.9 at epoch 1: it must be finite and at least 0",
    ),
    # fit
    "epochs": (lambda: fit(epochs=0), "epochs must be a whole number of at least 1, received 0"),
    "batch_size": (lambda: fit(batch_size=-3), "batch_size must be a whole number of at least 1, received -3"),
    "gradient": (
        lambda: fit(gradient="backprob"),
        "gradient must be one of 'backprop', 'finite_difference', 'central_difference', received 'backprob'",
    ),
    "engine": (lambda: fit(engine="fast"), "engine must be one of 'auto', 'reference', 'compiled', received 'fast'"),
    "a list for a network": (
        lambda: bl.fit([bl.Dense(1)], X, Y),
        "fit trains a Network, received [Dense(1, 'identity')]",
    ),
    "optimizer by name": (
        lambda: fit(optimizer="adam"),
        "optimizer must be an optimiser such as Adam(0.001), received 'adam'",
    ),
    "optimizer as a class": (
        lambda: fit(optimizer=bl.Adam),
        "optimizer must be an optimiser such as Adam(0.001), received <class",
    ),
    "one callback": (
        lambda: fit(callbacks=bl.EarlyStopping("loss")),
        "callbacks must be a list such as [EarlyStopping()], received EarlyStopping(",
    ),
    "callback as a class": (
        lambda: fit(callbacks=[bl.EarlyStopping]),
        "callbacks must be a list such as [EarlyStopping()]",
    ),
    "patience": (lambda: bl.EarlyStopping(patience=0), "patience must be a whole number of at least 1, received 0"),
    "min_delta": (
        lambda: bl.EarlyStopping(min_delta=-1),
        "min_delta must be a finite number of at least 0, received -1",
    ),
    "resume": (lambda: fit(resume=True), "resume must be the History of an earlier fit or a checkpoint, received True"),
    "resume with another optimiser": (
        lambda: fit(optimizer=bl.Adam(), resume=fit(optimizer=bl.SGD())),
        "the optimiser's state to resume from has shape (0, 8), but Adam(0.001) on this network needs (2, 8): ",
    ),
    "resume with an optimiser that remembers something else": (
        lambda: fit(optimizer=bl.RMSprop(), resume=fit(optimizer=bl.SGD(0.001, momentum=0.9))),
        "the optimiser's state to resume from is SGD's, received RMSprop(0.001): resume with the same optimiser",
    ),
    "explain with the state of another optimiser": (
        lambda: bl.explain(net(), X, Y, optimizer=bl.RMSprop(), state=fit(optimizer=bl.SGD(0.001, momentum=0.9)).state),
        "the optimiser's state is SGD's, received RMSprop(0.001): give the state that this optimiser left",
    ),
    "validation": (
        lambda: fit(validation=X),
        "validation must be (X, y) or (X, y, sample_weight), received ndarray of length 4",
    ),
    "validation of one": (
        lambda: fit(validation=(X,)),
        "validation must be (X, y) or (X, y, sample_weight), received tuple of",
    ),
    "dropout with L-BFGS": (
        lambda: bl.fit(bl.Network([bl.Dropout(0.5), bl.Dense(2)], inputs=3), X, Y, optimizer=bl.LBFGS()),
        "LBFGS needs a loss that stays the same: leave out Dropout(0.5), or choose another optimiser",
    ),
    "nudging with L-BFGS": (
        lambda: fit(optimizer=bl.LBFGS(), gradient="finite_difference"),
        "LBFGS takes its gradient from back-propagation: leave out gradient=",
    ),
    # gradient check
    "nudge": (lambda: bl.FiniteDifference(0.0), "nudge must be a finite number above 0, received 0.0"),
    "scheme": (
        lambda: bl.FiniteDifference(scheme="both"),
        "scheme must be one of 'forward', 'central', received 'both'",
    ),
    "check epsilon": (
        lambda: bl.check_gradients(net(), X, Y, epsilon=-1),
        "epsilon must be a finite number above 0, received -1",
    ),
    "check sample": (
        lambda: bl.check_gradients(net(), X, Y, sample=0),
        "sample must be a whole number of at least 1, received 0",
    ),
}


@pytest.mark.parametrize(("call", "fragment"), SETTINGS.values(), ids=SETTINGS)
def test_a_bad_setting(call: Call, fragment: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(fragment)
    assert "\n" not in message
    assert not message.endswith(".")
