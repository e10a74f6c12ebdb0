"""Estimators for scikit-learn: a network with `fit`, `predict`, `score`, and the steps that prepare a table for it."""

from __future__ import annotations

from .classifier import MLPClassifier
from .columns import TablePreparation
from .displays import LossCurveDisplay
from .regressor import MLPRegressor
from .tabular import TabularClassifier, TabularRegressor
from .tracking import MLflowLog, OptunaPruning

__all__ = [
    "LossCurveDisplay",
    "MLPClassifier",
    "MLPRegressor",
    "MLflowLog",
    "OptunaPruning",
    "TablePreparation",
    "TabularClassifier",
    "TabularRegressor",
]
