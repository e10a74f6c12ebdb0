"""The products of a layer with its inputs, which may be sparse rows.

Sparse rows are an array of SciPy's in CSR form. They multiply by their own ``@``, which goes over the stored numbers
alone: where 0.3 % of the inputs are not zero, that is 0.3 % of the work.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..parameters import Array


def product(A: Any, B: Array, out: Array) -> None:
    """out ← A B.

    Examples
    --------
    >>> out = np.empty((1, 1))
    >>> product(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), out)
    >>> out
    array([[11.]])
    """
    if isinstance(A, np.ndarray):
        A.dot(B, out)  # as np.dot, without its detour through the arguments
    else:
        out[...] = A @ B


def transposed_product(A: Any, B: Array, out: Array) -> None:
    """out ← Aᵀ B.

    Examples
    --------
    >>> out = np.empty((2, 1))
    >>> transposed_product(np.array([[1.0, 2.0]]), np.array([[3.0]]), out)
    >>> out
    array([[3.],
           [6.]])
    """
    if isinstance(A, np.ndarray):
        np.dot(A.T, B, out=out)
    else:
        out[...] = A.T @ B
