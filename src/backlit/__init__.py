"""Backlit: feed-forward neural networks on NumPy whose back-propagation is written out and can be seen.

import backlit as bl

net = bl.Network([bl.Dense(30, "sigmoid"), bl.Dense(10, "softmax")], inputs=784, loss="cross_entropy")
history = bl.fit(net, X, y, epochs=10, optimizer=bl.SGD(0.5))
bl.check_gradients(net, X[:20], y[:20])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .callbacks import Callback, EarlyStopping, LearningRateLog
from .exceptions import BacklitError
from .gradcheck import FiniteDifference, GradientReport, check_gradients
from .history import History
from .layers import Dense, Dropout
from .lbfgs import LBFGS
from .network import Network
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .parameters import ParameterVector
from .schedules import CosineDecay, ExponentialDecay, InverseDecay, StepDecay
from .trainer import fit

if TYPE_CHECKING:
    from . import data
    from .estimators import MLPClassifier, MLPRegressor
    from .io import load, save

__version__ = "0.1.0"

__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "BacklitError",
    "Callback",
    "CosineDecay",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "ExponentialDecay",
    "FiniteDifference",
    "GradientReport",
    "History",
    "InverseDecay",
    "LearningRateLog",
    "MLPClassifier",
    "MLPRegressor",
    "Network",
    "ParameterVector",
    "RMSprop",
    "StepDecay",
    "check_gradients",
    "data",
    "fit",
    "load",
    "save",
]

# The upper floors stand on larger libraries (scikit-learn, safetensors): they are loaded when first used.
_UPPER_FLOORS = {
    "MLPClassifier": ".estimators",
    "MLPRegressor": ".estimators",
    "data": ".data",
    "load": ".io",
    "save": ".io",
}


def __getattr__(name: str) -> Any:
    if name not in _UPPER_FLOORS:
        raise AttributeError(f"module 'backlit' has no attribute {name!r}")
    module = import_module(_UPPER_FLOORS[name], __name__)
    return module if name == "data" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
