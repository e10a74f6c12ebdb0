"""`backlit evaluate --stream` and `predict --stream`: a saved model on files that are read in pieces."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from ..data.columns import looks_like_data
from ..data.model import TableModel
from ..data.strange import Strangeness
from ..data.streaming.images import image_pieces
from ..data.streaming.measures import Baseline, ClassMeasures, Measures, ValueMeasures
from ..data.streaming.places import find_parts
from ..data.streaming.preparing import encoded
from ..data.streaming.reading import Block, form_for, table_blocks
from ..data.streaming.windows import ahead
from ..data.targets import left_out_remark
from ..exceptions import ConfigurationError, TableError
from ..io import write_bytes
from ..network import Network
from ..parameters import Array
from . import show
from .rows import begins_with_header, in_place, predictions_csv

if TYPE_CHECKING:
    import polars as pl

_NUMBERS: Final = 2**22  # of the inputs that are prepared at once
_SIGNS: Final = 2**20  # that go to stdout at once


def files_of(file: str, *, stream: bool) -> dict[str, str]:
    """What a command reads, by what it is called: no output may be one of these."""
    if not stream or Path(file).exists():
        return {"the file": file}
    return {f"the file {part.path.name!r}": str(part.path) for part in find_parts(file)}


def new_measures(model: TableModel) -> Measures:
    """Measures of what a model predicts."""
    return ValueMeasures() if model.classes is None else ClassMeasures(len(model.classes))


def later_blocks(model: TableModel, file: str, *, no_header: bool = False) -> Iterator[Block]:
    """Blocks of later files with the columns' names of the training file, as `rows.read_later` has them."""
    parts, reading = find_parts(file), model.reading
    header = reading.header and not no_header
    known = set(model.preparation.kinds)
    blocks = table_blocks(parts, form_for(reading, header=header))
    first = next(blocks)
    by_place = not header or parts[0].suffix in (".npz", ".npy")
    if not by_place and not known & set(first.frame.columns) and looks_like_data(first.frame.columns):
        show.remark(f"{file} seems to have no header: its columns are taken in the order of the training file")
        by_place = True
        blocks = table_blocks(parts, form_for(reading, header=False))
        first = next(blocks)
    elif by_place and begins_with_header(in_place(first.frame, model), model):
        show.remark(f"the first row of {file} looks like a header, and is left out")
        blocks = table_blocks(parts, form_for(reading, header=True))
        first = next(blocks)
        by_place = not known <= set(first.frame.columns)
    for block in _with(first, blocks):
        yield dataclasses.replace(block, frame=_by_place(block.frame, model)) if by_place else block


def _with(first: Block, others: Iterator[Block]) -> Iterator[Block]:
    yield first
    yield from others


def _by_place(frame: pl.DataFrame, model: TableModel) -> pl.DataFrame:
    frame = frame.rename({name: f"c{i}" for i, name in enumerate(frame.columns)})
    return in_place(frame, model)


@contextmanager
def _pieces(model: TableModel, file: str, *, no_header: bool) -> Iterator[Iterator[tuple[pl.DataFrame, Block, int]]]:
    """A context with the rows of later files, as many at once as there is room for, and the rows before them."""
    some = max(1, _NUMBERS // max(1, model.preparation.width))
    silent = find_parts(file)[0].suffix == ".parquet"
    with show.reading(file) as progress, show.others_silent(silent):

        def pieces() -> Iterator[tuple[pl.DataFrame, Block, int]]:
            for block in ahead(later_blocks(model, file, no_header=no_header)):
                for start in range(0, block.frame.height, some):
                    yield block.frame.slice(start, some), block, block.first + start
                if progress is not None:
                    progress(block.share)

        yield pieces()


def measured_in_pieces(
    loaded: Network | TableModel, model: str, file: str, *, loose_labels: bool, no_header: bool
) -> Measures:
    """Measures of a model on files that hold the target too."""
    if isinstance(loaded, Network):
        return _measured_images(loaded, model, file)
    return measured_file(loaded, file, loose_labels=loose_labels, no_header=no_header)


def measured_file(
    model: TableModel,
    file: str,
    *,
    loose_labels: bool,
    no_header: bool = False,
    baseline: Baseline | None = None,
) -> Measures:
    """Measures of a table's model; what is strange about the rows is said."""
    measures, strange = new_measures(model), Strangeness(model.preparation)
    rows = left_out = 0
    with _pieces(model, file, no_header=no_header) as pieces:
        for frame, block, first in pieces:
            with block.named():
                if model.target not in frame.columns:
                    raise TableError(
                        f"there is no column {model.target!r}, which holds the target, among {len(frame.columns)}"
                    )
                column = frame.get_column(model.target)
                rows += frame.height
                left_out += column.null_count()
                if column.null_count() == frame.height:
                    continue
                y = encoded(column, model.classes, first, loose=loose_labels)
                kept = frame.filter(column.is_not_null()) if column.null_count() else frame
                strange.add(kept, first)
                a = model.network.forward(model.preparation.apply(kept, None, model.network.dtype, first=first))
            if isinstance(measures, ClassMeasures):
                measures.add(model.probabilities(a), y)
            else:
                measures.add(model.values(a), y)
            if baseline is not None:
                baseline.add(y)
    if not measures.rows:
        raise TableError(f"the target {model.target!r} has no value in any row of {file!r}: nothing can be measured")
    for text in [*left_out_remark(model.target, left_out, rows), *strange.remarks()]:
        show.remark(text)
    return measures


def predict_in_pieces(
    loaded: Network | TableModel, model: str, file: str, *, no_header: bool, interval: float | None, out: str | None
) -> None:
    """Write the predictions of every row, piece by piece: all of them, or none where an error comes."""
    if isinstance(loaded, Network):
        if interval is not None:
            raise ConfigurationError(f"--interval is for values, and {model!r} predicts classes: leave it out")
        pieces = _predicted_images(loaded, model, file)
    else:
        pieces = _predicted_rows(loaded, file, no_header, None if interval is None else loaded.half_width(interval))
    with closing(pieces):  # also where an error comes from elsewhere: what it says is to be seen
        if out is not None:
            counted = _Counted(pieces)
            write_bytes(counted, out)
            show.line(show.console(), f"{counted.rows:,} predictions written to {out}")
            return
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="", prefix=".backlit-") as spool:
            for text, _ in pieces:
                spool.write(text)
            spool.seek(0)
            while text := spool.read(_SIGNS):
                show.write(text)


@final
class _Counted:
    """Pieces of text as bytes, and how many rows they had."""

    def __init__(self, pieces: Iterator[tuple[str, int]]) -> None:
        self._pieces = pieces
        self.rows = 0

    def __iter__(self) -> Iterator[bytes]:
        for text, rows in self._pieces:
            self.rows += rows
            yield text.encode()


def _predicted_rows(
    model: TableModel, file: str, no_header: bool, half: float | None
) -> Generator[tuple[str, int], None, None]:
    strange, header = Strangeness(model.preparation), True
    with _pieces(model, file, no_header=no_header) as pieces:
        for frame, block, first in pieces:
            with block.named():
                strange.add(frame, first)
                a = model.network.forward(model.preparation.apply(frame, None, model.network.dtype, first=first))
            probability = None if model.classes is None else model.probabilities(a)
            predicted = _predicted(model, a, probability)
            yield predictions_csv(predicted, probability, model.classes, half, header=header), len(predicted)
            header = False
    for text in strange.remarks():
        show.remark(text)


def _predicted(model: TableModel, a: Array, probability: Array | None) -> Array:
    if probability is None or model.classes is None:
        return model.values(a)
    return np.asarray(model.classes[probability.argmax(axis=1)])


# ── images ───────────────────────────────────────────────────────────────────────────────────────────────────


def _measured_images(net: Network, model: str, file: str) -> Measures:
    from .images import class_names, known_labels

    classes = class_names(net)
    measures = ClassMeasures(len(classes))
    row = 0
    for X, y in image_pieces(file, net.inputs, model):
        if y is None:
            raise ConfigurationError(f"{file!r} has no array y to compare the predictions with")
        measures.add(net.forward(X), known_labels(y, classes, row))
        row += len(X)
    return measures


def _predicted_images(net: Network, model: str, file: str) -> Generator[tuple[str, int], None, None]:
    from .images import class_names

    classes: Any = class_names(net)
    header = True
    for X, _ in image_pieces(file, net.inputs, model):
        probability = net.forward(X)
        yield predictions_csv(classes[probability.argmax(axis=1)], probability, classes, None, header=header), len(X)
        header = False
