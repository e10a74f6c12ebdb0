"""`stream`: from files to rows that training takes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from ...checks import float_dtype, fraction, one_of, positive_whole
from ...exceptions import ConfigurationError, TableError
from ...randomness import check_seed
from ..delimited import TextForm
from .holding import HeldOut
from .images import is_array, stream_arrays
from .places import find_parts
from .preparing import prepare
from .spool import Spool
from .store import WINDOW_BYTES
from .stream import Stream
from .survey import Progress, Wanted, survey


def stream(
    path: str | PathLike[str],
    y: str | PathLike[str] | None = None,
    *,
    target: str | int | None = None,
    task: Literal["auto", "classification", "regression"] = "auto",
    validation: float = 0.0,
    seed: int = 0,
    header: bool = True,
    missing: Sequence[str] = (),
    numeric: Sequence[str] = (),
    categorical: Sequence[str] = (),
    keep: Sequence[str] = (),
    drop: Sequence[str] = (),
    delimiter: str | None = None,
    decimal: str | None = None,
    class_weight: Literal["balanced"] | None = None,
    dtype: Any = "float32",
    window: int = WINDOW_BYTES,
    scratch: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Stream:
    """Rows that stay on disk, for `fit` in place of X and y.

    **A table** is one file, those of a folder, or those that fit a pattern, of text or Parquet, or arrays with a target
    among their columns. One pass learns what its columns are and how they are prepared: kinds, categories, means and
    scales as `backlit train` has them in memory (a mean in its last digits), and medians, which stand for missing
    values, within a bound: their rank is wrong by at most n log₂(n / 4096) / 8192 rows, for 10⁸ rows 0.2 %; below 4,096
    rows they are exact (`streaming.sketch.Quantiles`). Up to 262,144 distinct texts of a column are counted, exactly; a
    column with more is left out. A second pass is made where a column turned out late to be of another kind. The
    prepared rows are written to a file in `scratch` that has no name and is gone with the process, with as many bytes
    as four for a number, one for a category and four or eight for the target; beside it, while columns are learnt, lie
    the columns of text files where there is room.

    **An array** (`target` is None) is taken as it is, uint8 images too: a `.npz` file with X and y, `.npy` or IDX files
    for each, or a folder with MNIST's files, of which these are the training pair. It is read in place. The rows held
    out are copied to `scratch`, and all of a packed file (`.gz`, ``savez_compressed``).

    In training, blocks come in an order keyed by the network's seed and the epoch; those of a window are in memory
    together, and their rows come in a keyed order too. A thread reads the next window meanwhile, so that up to four are
    in memory. Where one window holds all rows, their order is that of `fit` in memory, and so are all bits; with
    ``shuffle=False`` always.

    Parameters
    ----------
    path : path
        A file, a folder, or a pattern such as ``"part-*.parquet"``; files come in the order of their names, numbers in
        them by their size.
    y : path, optional
        The file of an array's targets.
    target : str or int, optional
        The column of a table that is to be learnt, by name or number.
    task : {"auto", "classification", "regression"}
        As for `backlit train`; of an array, "auto" takes floating-point targets for values and all else for classes.
    validation : float, default=0.0
        Share of the rows held out, each drawn by its number: ``stream.held``.
    seed : int, default=0
        The same seed holds out the same rows.
    header, missing, delimiter, decimal
        How text is read, as `backlit.data.read_table` has it; what is found out holds for all files.
    numeric, categorical, keep, drop : sequence of str
        Columns whose kind is decided, or that are used or left out whatever they look like.
    class_weight : {"balanced"}, optional
        Every class of a table weighs the same, however many rows it has.
    dtype : {"float32", "float64"}
        Of the prepared rows of a table.
    window : int, default=2**26
        Bytes of rows that are in memory together.
    scratch : path, optional
        A folder with room on its disk; the system's for temporary files unless given.
    progress : callable, optional
        Called with the share of the files that a pass has read.

    Returns
    -------
    Stream

    Raises
    ------
    FileMissingError
        Nothing of that name, or a file that has gone meanwhile.
    TableError
        Files with other columns than the first, a damaged or an empty one, one that has changed meanwhile; each named.
    LabelError, NonFiniteError
        As for tables in memory.
    OutputError
        No room for the prepared rows.

    Examples
    --------
    >>> import pathlib, tempfile, backlit as bl
    >>> folder = tempfile.TemporaryDirectory()
    >>> for k in range(2):
    ...     rows = "".join(f"{i},{'low' if i < 50 else 'high'}\\n" for i in range(k, 100, 2))
    ...     _ = pathlib.Path(folder.name, f"part-{k}.csv").write_text("height,size\\n" + rows)
    >>> rows = stream(folder.name, target="size")
    >>> rows
    Stream(100 rows of 1 numbers, 2 classes)
    >>> net = bl.Network([bl.Dense(2, "softmax")], inputs=rows.shape[1], loss="cross_entropy")
    >>> history = bl.fit(net, rows, epochs=20, optimizer=bl.Adam(0.1), progress=False)
    >>> import polars as pl
    >>> rows.model(net, history).predict(pl.DataFrame({"height": [10.0, 90.0]}))
    array(['low', 'high'], dtype='<U4')
    >>> folder.cleanup()
    """
    one_of("task", task, ("auto", "classification", "regression"))
    if class_weight not in (None, "balanced"):
        raise ConfigurationError(f"class_weight must be 'balanced' or None, received {class_weight!r}")
    folder = tempfile.gettempdir() if scratch is None else str(scratch)
    held = HeldOut(fraction("validation", validation), check_seed(seed))
    window = positive_whole("window", window)
    if target is None:
        if class_weight is not None:
            raise ConfigurationError("class_weight is for the classes of a table, and without target= this is an array")
        if not (Path(path).is_dir() or is_array(path)):
            raise ConfigurationError(f"target= must name the column of {str(path)!r} to learn: an array has its own y")
        return stream_arrays(path, y, task=task, held=held, window=window, folder=folder)
    if y is not None:
        raise ConfigurationError("target= names a column of a table, and y= the file of an array's targets: give one")
    form = TextForm(header, tuple(missing), delimiter, decimal)
    wanted = Wanted(target, task, tuple(numeric), tuple(categorical), tuple(keep), tuple(drop))
    table = Spool(find_parts(path), form, folder)
    about = survey(table, wanted, held, progress)
    if not about.preparation.kinds:
        raise TableError(f"{str(path)!r} has no column to learn from besides the target {about.target!r}")
    balanced = class_weight is not None
    if balanced and about.labels is None:
        raise ConfigurationError("class_weight is for classes, and this is a regression: leave it out")
    return prepare(
        table,
        about,
        held,
        dtype=float_dtype(dtype),
        window=window,
        folder=folder,
        balanced=balanced,
        progress=progress,
    )
