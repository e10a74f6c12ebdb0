"""What `import backlit` gives, and what it does not load."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import Any

import pytest

import backlit as bl

# Add a name here when you add it to `backlit.__all__`: taking one away breaks somebody's program.
NAMES = [
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

# Documented without an example: there is nothing to call, or the example stands with the function that returns it.
WITHOUT_EXAMPLE = {
    "BacklitError", "BacklitWarning", "ColumnEffects", "Diagnosis", "EpsilonSweep", "Frame", "GradientReport",
    "HealthReport", "Ledger", "LossAccount", "OnnxReport", "RowEffects", "ShapeLedger", "UnfoldedWeight", "data",
    "load",
}  # fmt: skip

# Larger libraries, loaded where they are used: importing Backlit has to stay quick.
HEAVY = ["sklearn", "polars", "rich", "matplotlib", "skops", "safetensors", "cyclopts", "numba", "mpi4py"]


def test_the_exported_names_are_these() -> None:
    assert sorted(bl.__all__) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_can_be_imported(name: str) -> None:
    assert getattr(bl, name).__doc__


def test_dir_lists_the_names_and_the_version() -> None:
    assert dir(bl) == sorted([*NAMES, "__version__"])


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'backlit' has no attribute 'Netwrok'"):
        _ = bl.Netwrok


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT_EXAMPLE])
def test_a_public_name_is_documented_with_an_example(name: str) -> None:
    thing: Any = getattr(bl, name)
    assert ">>> " in (inspect.getdoc(thing) or ""), f"backlit.{name} has no example in its docstring"


def test_importing_backlit_loads_no_large_library() -> None:
    code = f"import sys, backlit; print(*[name for name in {HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []


def test_training_a_network_loads_no_large_library() -> None:
    code = (
        "import sys, backlit as bl; net = bl.Network([bl.Dense(1)], inputs=1); bl.fit(net, [[1.0]], [1.0]);"
        f"print(*[name for name in {HEAVY} if name in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []
