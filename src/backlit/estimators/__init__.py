"""Estimators for scikit-learn: a network with `fit`, `predict`, `score`, and the steps that prepare a table for it."""

from __future__ import annotations

from .mlp import MLPClassifier, MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
