"""A network, an estimator or a pipeline as an ONNX graph."""

from __future__ import annotations

from .model import OnnxReport, export_onnx

__all__ = ["OnnxReport", "export_onnx"]
