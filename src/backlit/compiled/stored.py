"""The products of a batch of sparse rows, for Numba: over the numbers that are stored, where they stand in all rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..exceptions import DataError
from ..parameters import Array
from ..typing import SparseSource
from .math import compiled


class Stored(NamedTuple):
    """All rows in CSR form, and which of them are the batch: row r has ``data[indptr[r] : indptr[r + 1]]``."""

    rows: Array  # (batch,), int64
    indptr: Array  # (n + 1,), int64
    indices: Array  # (stored,), int32: the columns
    data: Array  # (stored,)


@compiled
def are_stored(stored: Any) -> bool:
    """Whether the batch is sparse rows."""
    if stored is not None:
        return bool(stored.rows.size > 0)
    return False


@compiled
def multiply_stored(stored: Any, first: Any, B: Array, C: Array) -> None:
    """C ← A B for rows of A from the `first` on: each adds up those rows of B that are columns with a number in A."""
    for i in range(C.shape[0]):
        for j in range(C.shape[1]):
            C[i, j] = 0
        row = stored.rows[first + i]
        for k in range(stored.indptr[row], stored.indptr[row + 1]):
            column, x = stored.indices[k], stored.data[k]
            for j in range(C.shape[1]):
                C[i, j] += x * B[column, j]


@compiled
def multiply_stored_transposed(stored: Any, first: Any, B: Array, C: Array) -> None:
    """C ← Aᵀ B for columns of A from the `first` on: zero but in those that have a number in the batch."""
    for i in range(C.shape[0]):
        for j in range(C.shape[1]):
            C[i, j] = 0
    for i in range(B.shape[0]):
        row = stored.rows[i]
        for k in range(stored.indptr[row], stored.indptr[row + 1]):
            row_of_C, x = stored.indices[k] - first, stored.data[k]
            if 0 <= row_of_C < C.shape[0]:
                for j in range(C.shape[1]):
                    C[row_of_C, j] += x * B[i, j]


def stored_rows(source: SparseSource, inputs: int, batch_size: int, dtype: Any) -> Stored:
    """All rows of a source, in the one form that is compiled for; what is in it already is not copied.

    Raises
    ------
    DataError
        For rows that are not in CSR form: machine code would read beyond its arrays.
    """
    n = source.shape[0]
    found = source.sparse_rows(slice(0, n))
    indptr, indices = np.asarray(found.indptr), np.asarray(found.indices)
    size = min(indices.size, found.data.size)
    if indptr.shape != (n + 1,):
        raise DataError(f"the indptr of sparse X must have {n + 1} entries, received {indptr.size}: give X in CSR form")
    if indptr[0] < 0 or indptr[-1] > size or (np.diff(indptr) < 0).any():
        raise DataError(
            f"the indptr of sparse X must rise from 0 to at most {size}, as many numbers as are stored, received "
            f"{indptr.min()} to {indptr.max()}, falling {int((np.diff(indptr) < 0).sum())} times: give X in CSR form"
        )
    used = indices[indptr[0] : indptr[-1]]
    if used.size and not 0 <= used.min() <= used.max() < inputs:
        raise DataError(
            f"the indices of sparse X must be columns from 0 to {inputs - 1}, received {used.min()} to {used.max()}: "
            "give X in CSR form, with as many columns as it has"
        )
    with np.errstate(over="ignore"):  # a loss that is not finite ends the run
        data = found.data.astype(dtype, copy=False)
    rows = np.arange(min(batch_size, n), dtype=np.int64)
    return Stored(rows, *map(_in_one_form, (indptr, indices, data), (np.int64, np.int32, dtype)))


def nothing_stored(dtype: Any) -> Stored:
    """In the place of sparse rows where there are none, for machine code that knows them."""
    kinds = (np.int64, np.int32, dtype)
    return Stored(np.empty(0, np.int64), *(_in_one_form(np.empty(0, kind), kind) for kind in kinds))


def _in_one_form(array: Array, dtype: Any) -> Array:
    # Numba compiles for each kind of array that it meets, the read-only ones being another kind
    form = np.require(array, dtype, ["C", "A"]).view()
    form.flags.writeable = False
    return form
