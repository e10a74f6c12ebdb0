"""`backlit inspect`: how a file will be read, before anything is trained on it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from ..data.columns import Kind, find_kinds, looks_like_data, parse_numbers, resolve_column
from ..data.leaving import column_remarks, columns_left_out
from ..data.model import TableModel
from ..data.survey import ColumnFacts, bars, survey
from ..data.targets import target_column
from ..data.values import day_format, moments
from ..exceptions import ConfigurationError
from ..io import write_bytes
from ..pages import Cell, Page, Table, Words
from ..pages import show as show_page
from ..parameters import Array
from . import show
from .outputs import check_output
from .rows import load_model, read_labelled, read_later, read_rows
from .settings import Flag
from .table_options import AS_FOUND, ReadingOptions

if TYPE_CHECKING:
    import polars as pl

    from ..lens.columns import ColumnEffects

_MOST_COLUMNS = 100  # on the screen and the page; JSON has them all
_MOST_ROWS = 10_000  # that an association is estimated from
_MOST_ASSOCIATED = 2_000  # columns


def inspect(
    file: str,
    /,
    *,
    target: str | None = None,
    model: str | None = None,
    reading: ReadingOptions = AS_FOUND,
    html: str | None = None,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Say how a table will be read: each column with its kind and why, what it holds, and what it tells of the target.

    Parameters
    ----------
    file
        A table, as for `backlit train`.
    target
        Column to predict: a name, or a number counted from 0 (negative from the end).
    model
        What `backlit train` saved of such a table: also say what each column does to its predictions, on rows that it
        has not learnt from, best. The file is then read as the model's was.
    html
        Also write the whole as a page for a browser, into this file.
    json
        Print one JSON object to stdout; everything else goes to stderr.
    """
    if html is not None:
        check_output("--html", html, inputs={"the file": file, "the model": model or file})
    loaded = None if model is None else _table_model(model)
    if loaded is None:
        frame = read_rows(file, reading.reading())
    else:
        frame = read_later(loaded, file, no_header=reading.no_header)
        target = loaded.target if target is None else target
    said = {resolve_column(frame.columns, c): "--numeric" for c in reading.numeric or ()}
    said |= {resolve_column(frame.columns, c): "--categorical" for c in reading.categorical or ()}
    remarks = [] if reading.no_header else [text for text in [looks_like_data(frame.columns, frame)] if text]
    facts = _column_facts(frame, target, said, remarks)
    effects = None if loaded is None else _effects(loaded, file, no_header=reading.no_header)
    pages = [_page(file, frame, facts, remarks), *([] if effects is None else [effects.page()])]
    if html is not None:
        write_bytes(_document(pages).encode(), html)
    console = show.console(json)
    for page in pages:
        show_page(page, console)
    if html is not None:
        show.line(console, f"page written to {html} ({show.size_text(html)})")
    if json:
        found = [column.to_dict() for column in facts]
        more = {} if effects is None else {"model": model, "effects": effects.to_dict()}
        show.print_json({"file": file, "rows": frame.height, "columns": found, "remarks": remarks, **more})


def _table_model(name: str) -> TableModel:
    loaded = load_model(name)
    if not isinstance(loaded, TableModel):
        raise ConfigurationError(f"{name!r} is a model of images, and a table is inspected here: leave --model out")
    return loaded


def _effects(model: TableModel, file: str, *, no_header: bool) -> ColumnEffects:
    """What the columns do to the predictions, on some of the rows."""
    from ..lens.columns import column_effects

    rows, y = read_labelled(model, file, loose_labels=True, no_header=no_header)
    if len(y) > _MOST_ROWS:
        some = np.sort(np.random.default_rng(0).choice(len(y), _MOST_ROWS, replace=False))
        rows, y = rows[some], y[some]
    found = column_effects(model, rows, y)
    return replace(found, columns=[replace(column, name=show.plain(column.name)) for column in found.columns])


def _column_facts(
    frame: pl.DataFrame, target: str | None, said: dict[str, str], remarks: list[str]
) -> list[ColumnFacts]:
    """The facts of every column in the order of the table; remarks are added."""
    name = None if target is None else resolve_column(frame.columns, target)
    features = frame if name is None else frame.drop(name)
    groups = {option: [c for c, why in said.items() if why == option and c != name] for option in set(said.values())}
    kinds = find_kinds(features, numeric=groups.get("--numeric", ()), categorical=groups.get("--categorical", ()))
    left_out = columns_left_out(features, {c: kind for c, kind in kinds.items() if c not in said})
    remarks += [f"the column {c!r} is left out: {why}" for c, why in left_out.items()]
    remarks += column_remarks(features, {c: k for c, k in kinds.items() if c not in left_out}, said=said)
    associations: dict[str, str] = {}
    decided: dict[str, Kind] = dict(kinds)
    if name is not None:
        y, task, keep, more = target_column(frame, name, allow_single=True)
        remarks += more
        associations = _associations(features.filter(keep), kinds, y, task)
        decided[name] = "numeric" if task == "regression" else "categorical"
    reasons = {**said, **({} if name is None else {name: "the target"})}
    found = {f.name: f for f in survey(frame, {c: decided[c] for c in frame.columns}, reasons, associations)}
    for column, why in left_out.items():
        old = found[column]
        found[column] = ColumnFacts(
            old.name, "left out", why, old.missing, old.distinct, old.holds, old.histogram, old.association
        )
    return list(found.values())


def _associations(features: pl.DataFrame, kinds: dict[str, Kind], y: Array, task: str) -> dict[str, str]:
    """Pearson's correlation of numbers with a number, else the mutual information in nats (scikit-learn's)."""
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    rows = np.arange(len(y))
    if len(rows) > _MOST_ROWS:
        rows = np.random.default_rng(0).choice(len(y), _MOST_ROWS, replace=False)
    y = y[rows]
    labels = np.unique(y, return_inverse=True)[1] if task == "classification" else y
    found: dict[str, str] = {}
    if task == "classification" and _mostly_single(labels):
        return found
    for name, kind in list(kinds.items())[:_MOST_ASSOCIATED]:
        if kind == "empty" or len(rows) < 5:
            continue
        column = features.get_column(name).gather(rows)
        values = _as_numbers(column, kind)
        if kind != "categorical" and task == "regression":
            if values.std() and y.std():
                found[name] = f"r {np.corrcoef(values, y)[0, 1]:+.2f}"
            continue
        estimate: Any = mutual_info_classif if task == "classification" else mutual_info_regression
        discrete = kind == "categorical"
        if discrete and _mostly_single(values):
            continue
        information = estimate(values[:, None], labels, discrete_features=[discrete], random_state=0)[0]
        found[name] = f"MI {information:.2f}"
    return found


def _mostly_single(classes: Array) -> bool:
    """Whether there are more classes than half the rows: the estimate leaves classes of one row out."""
    return 2 * len(np.unique(classes)) > len(classes)


def _as_numbers(column: pl.Series, kind: Kind) -> Array:
    """A column as numbers without gaps: categories by their order, dates by their days, the median where missing."""
    if kind == "categorical":
        texts = np.array([text or "" for text in column.cast(str).to_list()], dtype=np.str_)
        return np.asarray(np.unique(texts, return_inverse=True)[1])
    if kind == "date":
        form = day_format(column)
        values = moments(column, form[0] if form else "%Y-%m-%d").to_physical().cast(float) / 86_400e6
    else:
        values = parse_numbers(column)
    median: Any = values.median()
    return values.fill_null(0.0 if median is None else median).to_numpy()


def _page(file: str, frame: pl.DataFrame, facts: list[ColumnFacts], remarks: list[str]) -> Page:
    rows = []
    for column in facts[:_MOST_COLUMNS]:
        tone: Any = {"left out": "dim", "empty": "dim"}.get(column.kind, "")
        gaps = f"{100 * column.missing:.3g} %" if column.missing else ""
        cells = (column.name, column.kind, column.why, gaps, f"{column.distinct:,}", column.association)
        rows.append([Cell(show.plain(text), tone) for text in (*cells, bars(column.histogram), column.holds)])
    title = show.plain(f"{file}: {frame.height:,} rows, {frame.width:,} columns")
    blocks: list[Words | Table] = [
        Table(["column", "kind", "why", "missing", "distinct", "target", "histogram", "holds"], rows, "lllrrlll")
    ]
    if len(facts) > _MOST_COLUMNS:
        blocks.append(Words(f"… and {len(facts) - _MOST_COLUMNS:,} columns more", "dim"))
    if any(column.association for column in facts):
        blocks.append(
            Words(
                "target: r is the correlation with it, MI the mutual information in nats; 0 is none. Both look at one "
                "column at a time.",
                "dim",
            )
        )
    blocks += [Words(f"note: {show.plain(text)}") for text in remarks]
    return Page(title, blocks)


def _document(pages: list[Page]) -> str:
    """The pages as an HTML document that asks for nothing from elsewhere."""
    from ..lens.report.markup import Html, document, inner, page_blocks

    first, *more = pages
    parts = [Html(f"<h1>{inner(first.title)}</h1>"), page_blocks(first)]
    for page in more:
        parts += [Html(f"<h2>{inner(page.title)}</h2>"), page_blocks(page)]
    return document(first.title, *parts, generator="backlit inspect")
