"""A network as one plain NumPy program."""

from __future__ import annotations

from .program import export_numpy

__all__ = ["export_numpy"]
