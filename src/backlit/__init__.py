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
from .exceptions import BacklitError, BacklitWarning
from .gradcheck import FiniteDifference, GradientReport, check_gradients
from .history import History
from .layers import Dense, Dropout
from .lbfgs import LBFGS
from .monitor import Monitor
from .network import Network
from .optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from .parameters import ParameterVector
from .schedules import CosineDecay, ExponentialDecay, InverseDecay, StepDecay
from .trainer import fit

if TYPE_CHECKING:
    from . import data
    from .estimators import MLPClassifier, MLPRegressor
    from .export.numpy import export_numpy
    from .export.onnx import export_onnx
    from .io import load, save
    from .lens import (
        Diagnosis,
        HealthMonitor,
        Ledger,
        Recorder,
        Recording,
        diagnose,
        explain,
        health,
        loss_account,
        report,
        shapes,
    )

__version__ = "0.1.0"

__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "BacklitError",
    "BacklitWarning",
    "Callback",
    "CosineDecay",
    "Dense",
    "Diagnosis",
    "Dropout",
    "EarlyStopping",
    "ExponentialDecay",
    "FiniteDifference",
    "GradientReport",
    "HealthMonitor",
    "History",
    "InverseDecay",
    "LearningRateLog",
    "Ledger",
    "MLPClassifier",
    "MLPRegressor",
    "Monitor",
    "Network",
    "ParameterVector",
    "RMSprop",
    "Recorder",
    "Recording",
    "StepDecay",
    "check_gradients",
    "data",
    "diagnose",
    "explain",
    "export_numpy",
    "export_onnx",
    "fit",
    "health",
    "load",
    "loss_account",
    "report",
    "save",
    "shapes",
]

# The upper floors stand on larger libraries (scikit-learn, safetensors): they are loaded when first used.
_UPPER_FLOORS = {
    "Diagnosis": ".lens",
    "HealthMonitor": ".lens",
    "Ledger": ".lens",
    "MLPClassifier": ".estimators",
    "MLPRegressor": ".estimators",
    "Recorder": ".lens",
    "Recording": ".lens",
    "data": ".data",
    "diagnose": ".lens",
    "explain": ".lens",
    "export_numpy": ".export.numpy",
    "export_onnx": ".export.onnx",
    "health": ".lens",
    "load": ".io",
    "loss_account": ".lens",
    "report": ".lens",
    "save": ".io",
    "shapes": ".lens",
}


def __getattr__(name: str) -> Any:
    if name not in _UPPER_FLOORS:
        raise AttributeError(f"module 'backlit' has no attribute {name!r}")
    module = import_module(_UPPER_FLOORS[name], __name__)
    return module if name == "data" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
