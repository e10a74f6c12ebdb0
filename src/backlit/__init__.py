"""Backlit: feed-forward neural networks on NumPy whose back-propagation is written out and can be seen.

import backlit as bl

net = bl.Network([bl.Dense(30, "sigmoid"), bl.Dense(10, "softmax")], inputs=784, loss="cross_entropy")
history = bl.fit(net, X, y, epochs=10, optimizer=bl.SGD(0.5))
bl.check_gradients(net, X[:20], y[:20])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .checking.gradcheck import FiniteDifference, GradientReport, check_gradients
from .checking.gradreport import EpsilonSweep
from .exceptions import BacklitError, BacklitWarning
from .kinds import (
    BatchNorm,
    Dense,
    Dropout,
    Embedding,
    Layer,
    LayerNorm,
    NumericEmbedding,
    ParallelDense,
    Parametric,
    Scale,
)
from .kinds.losses import cross_entropy, huber, quantile
from .kinds.optimizers import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from .kinds.schedules import CosineCycles, CosineDecay, ExponentialDecay, FlatCosine, InverseDecay, StepDecay
from .network import Network
from .parameters import ParameterVector
from .training.averaging import WeightAverage
from .training.callbacks import Callback, EarlyStopping, LearningRateLog, Monitor
from .training.checkpoint import Checkpoint
from .training.fit import fit
from .training.history import History
from .training.lbfgs import LBFGS

if TYPE_CHECKING:
    from . import data, parallel
    from .data.model import TableModel
    from .estimators import MLPClassifier, MLPRegressor, TablePreparation, TabularClassifier, TabularRegressor
    from .export.numpy.program import export_numpy
    from .export.onnx.model import OnnxReport, export_onnx
    from .io import load, save
    from .lab.launch import lab
    from .lens.columns import ColumnEffects, RowEffects, column_effects
    from .lens.diagnosis.diagnose import Diagnosis, diagnose
    from .lens.diagnosis.function import diagnose_function
    from .lens.healthcheck.health import HealthMonitor, HealthReport, health
    from .lens.plots import plot_boundary
    from .lens.recording.frames import Frame
    from .lens.recording.recorder import Recorder
    from .lens.recording.recording import Recording
    from .lens.report.page import report
    from .lens.step.account import LossAccount
    from .lens.step.ledger import Ledger, explain, loss_account
    from .lens.step.shape_ledger import ShapeLedger, shapes
    from .lens.step.weight import UnfoldedWeight

__version__ = "0.1.0"

__all__ = [
    "LBFGS",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "BacklitError",
    "BacklitWarning",
    "BatchNorm",
    "Callback",
    "Checkpoint",
    "ColumnEffects",
    "CosineCycles",
    "CosineDecay",
    "Dense",
    "Diagnosis",
    "Dropout",
    "EarlyStopping",
    "Embedding",
    "EpsilonSweep",
    "ExponentialDecay",
    "FiniteDifference",
    "FlatCosine",
    "Frame",
    "GradientReport",
    "HealthMonitor",
    "HealthReport",
    "History",
    "InverseDecay",
    "Layer",
    "LayerNorm",
    "LearningRateLog",
    "Ledger",
    "Lion",
    "LossAccount",
    "MLPClassifier",
    "MLPRegressor",
    "Monitor",
    "Network",
    "NumericEmbedding",
    "OnnxReport",
    "ParallelDense",
    "ParameterVector",
    "Parametric",
    "RMSprop",
    "Recorder",
    "Recording",
    "RowEffects",
    "Scale",
    "ShapeLedger",
    "StepDecay",
    "TableModel",
    "TablePreparation",
    "TabularClassifier",
    "TabularRegressor",
    "UnfoldedWeight",
    "WeightAverage",
    "check_gradients",
    "column_effects",
    "cross_entropy",
    "data",
    "diagnose",
    "diagnose_function",
    "explain",
    "export_numpy",
    "export_onnx",
    "fit",
    "health",
    "huber",
    "lab",
    "load",
    "loss_account",
    "parallel",
    "plot_boundary",
    "quantile",
    "report",
    "save",
    "shapes",
]

# The upper floors stand on larger libraries (scikit-learn, safetensors): they are loaded when first used.
_UPPER_FLOORS = {
    "ColumnEffects": ".lens.columns",
    "Diagnosis": ".lens.diagnosis.diagnose",
    "Frame": ".lens.recording.frames",
    "HealthMonitor": ".lens.healthcheck.health",
    "HealthReport": ".lens.healthcheck.health",
    "Ledger": ".lens.step.ledger",
    "LossAccount": ".lens.step.account",
    "MLPClassifier": ".estimators",
    "MLPRegressor": ".estimators",
    "OnnxReport": ".export.onnx.model",
    "Recorder": ".lens.recording.recorder",
    "Recording": ".lens.recording.recording",
    "RowEffects": ".lens.columns",
    "ShapeLedger": ".lens.step.shape_ledger",
    "TableModel": ".data.model",
    "TablePreparation": ".estimators",
    "TabularClassifier": ".estimators",
    "TabularRegressor": ".estimators",
    "UnfoldedWeight": ".lens.step.weight",
    "data": ".data",
    "column_effects": ".lens.columns",
    "diagnose": ".lens.diagnosis.diagnose",
    "diagnose_function": ".lens.diagnosis.function",
    "explain": ".lens.step.ledger",
    "export_numpy": ".export.numpy.program",
    "export_onnx": ".export.onnx.model",
    "health": ".lens.healthcheck.health",
    "lab": ".lab",
    "load": ".io",
    "loss_account": ".lens.step.ledger",
    "losses": ".kinds.losses",
    "parallel": ".parallel",
    "plot_boundary": ".lens.plots",
    "report": ".lens.report.page",
    "save": ".io",
    "shapes": ".lens.step.shape_ledger",
}


def __getattr__(name: str) -> Any:
    if name not in _UPPER_FLOORS:
        raise AttributeError(f"module 'backlit' has no attribute {name!r}")
    module = import_module(_UPPER_FLOORS[name], __name__)
    return module if name in ("data", "lab", "losses", "parallel") else getattr(module, name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
