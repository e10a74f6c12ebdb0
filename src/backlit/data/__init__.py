"""Data: tables and images from files, built-in sets, and the split into training and validation.

`arrays` reads .npz, `tables` CSV, TSV and Parquet; `columns` finds what the columns are and `targets` what
is to be learned; `images` reads MNIST's files; `builtin` holds small sets; `split` divides rows; `streaming`
is for rows that do not fit into memory.
"""

from __future__ import annotations

from . import augment
from .arrays import read_arrays
from .builtin import BUILTIN, Dataset, load
from .columns import find_kinds, looks_like_data, resolve_column, typed
from .images import ImageFolder, find_mnist, is_image_folder, read_idx, read_image_folder
from .split import split_rows
from .streaming import Stream, stream
from .tables import MISSING_TEXTS, SUFFIXES, read_parquet, read_table, read_text
from .targets import match_labels, target_column

__all__ = [
    "BUILTIN",
    "MISSING_TEXTS",
    "SUFFIXES",
    "Dataset",
    "ImageFolder",
    "Stream",
    "augment",
    "find_kinds",
    "find_mnist",
    "is_image_folder",
    "load",
    "looks_like_data",
    "match_labels",
    "read_arrays",
    "read_idx",
    "read_image_folder",
    "read_parquet",
    "read_table",
    "read_text",
    "resolve_column",
    "split_rows",
    "stream",
    "target_column",
    "typed",
]
