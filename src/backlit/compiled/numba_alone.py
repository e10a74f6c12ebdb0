"""Numba without SciPy's BLAS: nothing here calls it, and Numba's look for it is a quarter of loading machine code.

What of a user's own calls it, Numba looks for it once more as it compiles that.
"""

from __future__ import annotations

import sys
from typing import Any

from numba.np import linalg


def _nothing() -> None:
    """In the place of the look: SciPy, which brings BLAS, is what Backlit needs as well."""


def _import_without_a_look() -> None:
    numba_linalg: Any = linalg  # without types
    ensure_blas = getattr(numba_linalg, "ensure_blas", None)
    if ensure_blas is None:  # a Numba that does not look
        return
    numba_linalg.ensure_blas = _nothing
    try:
        import numba.np.arraymath  # noqa: F401 — which looks as it is imported
    finally:
        numba_linalg.ensure_blas = ensure_blas


if "numba.np.arraymath" not in sys.modules:
    _import_without_a_look()
