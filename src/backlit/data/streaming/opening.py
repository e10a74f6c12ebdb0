"""`stream`: from files to rows that training takes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from os import PathLike
from typing import Any, Literal

from ...checks import float_dtype, fraction, positive_whole
from ...randomness import check_seed
from ..delimited import TextForm
from .holding import HeldOut
from .places import find_parts
from .preparing import prepare
from .store import WINDOW_BYTES
from .stream import Stream
from .survey import Progress, Wanted, survey


def stream(
    path: str | PathLike[str],
    *,
    target: str | int,
    task: Literal["auto", "classification", "regression"] = "auto",
    validation: float = 0.0,
    seed: int = 0,
    header: bool = True,
    missing: Iterable[str] = (),
    numeric: Iterable[str] = (),
    categorical: Iterable[str] = (),
    keep: Iterable[str] = (),
    drop: Iterable[str] = (),
    delimiter: str | None = None,
    decimal: str | None = None,
    class_weight: Literal["balanced"] | None = None,
    dtype: Any = "float32",
    window: int = WINDOW_BYTES,
    folder: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Stream:
    parts = find_parts(path)
    form = TextForm(header, tuple(missing), delimiter, decimal)
    wanted = Wanted(target, task, tuple(numeric), tuple(categorical), tuple(keep), tuple(drop))
    held = HeldOut(fraction("validation", validation), check_seed(seed))
    about = survey(parts, form, wanted, held, progress)
    return prepare(
        parts,
        form,
        about,
        held,
        dtype=float_dtype(dtype),
        window=positive_whole("window", window),
        folder=tempfile.gettempdir() if folder is None else str(folder),
        balanced=class_weight == "balanced",
        progress=progress,
    )
