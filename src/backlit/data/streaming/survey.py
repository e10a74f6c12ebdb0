"""The pass over a table that learns what its columns are and how they are prepared.

A second pass is made only where a column turned out late to be of another kind than its first rows said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, final

import numpy as np

from ...exceptions import ConfigurationError, LabelError, TableError
from ...parameters import Array
from ..categories import Categories
from ..choosing import EMPTY, MOST_VALUES, TOO_MANY
from ..columns import Kind, looks_like_data, resolve_column
from ..leaving import (
    COUNTS_ROWS,
    FEWEST_NUMBERS,
    FEWEST_TEXTS,
    NEARLY_ALL,
    date_remark,
    dressed_remark,
    named_like_counts,
    never_the_same,
)
from ..preparation import Dates, Numbers, Preparation
from ..targets import Task, labels_of, left_out_remark, task_of
from .facts import ColumnFacts, number_of
from .holding import HELD, HeldOut
from .learners import CategoryLearner, DateLearner, NumberLearner
from .reading import Block
from .spool import Spool

if TYPE_CHECKING:
    import polars as pl

#: Called with the share of the files that has been read.
Progress = Callable[[float], None]

Learner = NumberLearner | DateLearner | CategoryLearner


@final
@dataclass(frozen=True)
class Wanted:
    """What is asked of a table: its target, and columns whose kind or use is decided."""

    target: str | int
    task: Literal["auto", "classification", "regression"] = "auto"
    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


@final
@dataclass(frozen=True)
class Survey:
    """What is known of a table after the pass.

    Attributes
    ----------
    columns : tuple of str
    target : str
    task : "classification" or "regression"
    labels : ndarray or None
        The classes, of all rows.
    class_rows : ndarray or None
        Rows of each class among those to train on.
    values : NumberLearner
        Of the target of a regression, on the rows to train on.
    preparation : Preparation
    rows, kept, held : int
        Rows in all, those with a target, and those of them held out.
    left_out : dict of str to str
        Columns that are not learnt from, with why.
    remarks : list of str
    """

    columns: tuple[str, ...]
    target: str
    task: Task
    labels: Array | None
    class_rows: Array | None
    values: NumberLearner
    preparation: Preparation
    rows: int
    kept: int
    held: int
    left_out: dict[str, str]
    remarks: list[str]


def survey(table: Spool, wanted: Wanted, held: HeldOut, progress: Progress | None = None) -> Survey:
    """Read a table once, block by block, and learn its preparation from the rows that are not held out.

    Raises
    ------
    DataError
        As the readers, `columns.find_kinds` and `targets.target_column` have it; rows are named with their file.
    """
    fixed: dict[str, tuple[Kind, str | None]] = {}
    while True:
        named = table.form.header and table.parts[0].suffix not in (".npz", ".npy")
        looked = _Pass(wanted, held, fixed, remark_on_header=named)
        for block in table.blocks():
            looked.add(block)
            if progress is not None:
                progress(block.share)
        mistaken = looked.mistaken()
        if not mistaken:
            return looked.result()
        fixed |= mistaken


@final
class _Pass:
    """One pass; `fixed` are columns whose kind an earlier one has found out too late, dates with their form."""

    def __init__(
        self, wanted: Wanted, held: HeldOut, fixed: dict[str, tuple[Kind, str | None]], *, remark_on_header: bool
    ) -> None:
        self._wanted, self._held, self._fixed = wanted, held, fixed
        self._remark_on_header = remark_on_header
        self._names: list[str] = []
        self._facts: dict[str, ColumnFacts] = {}
        self._learners: dict[str, Learner | None] = {}
        self._said: dict[str, Kind] = {}
        self._kept_anyway: set[str] = set()
        self._gaps: dict[str, int] = {}  # rows to train on before the first value of a column
        self._rows = self._kept = self._held_rows = 0
        self._values, self._classes = NumberLearner(), CategoryLearner()
        self._remarks: list[str] = []

    def _begin(self, frame: pl.DataFrame) -> None:
        wanted = self._wanted
        self._names = frame.columns
        self._target = resolve_column(self._names, wanted.target)
        features = [name for name in self._names if name != self._target]
        numbers, groups, kept, dropped = (
            [resolve_column(features, column) for column in given]
            for given in (wanted.numeric, wanted.categorical, wanted.keep, wanted.drop)
        )
        for name in dropped:
            if name in (*numbers, *groups, *kept):
                raise ConfigurationError(f"column {name!r} is to be dropped and to be used: choose one")
        for name in sorted(set(numbers) & set(groups)):
            raise ConfigurationError(f"column {name!r} is said to be both numeric and categorical: choose one")
        self._said = {**dict.fromkeys(numbers, "numeric"), **dict.fromkeys(groups, "categorical")}
        self._kept_anyway = {*numbers, *groups, *kept}
        for name in features:
            if name not in dropped:
                counted = (self._said.get(name) or self._fixed.get(name, (None,))[0]) == "categorical"
                self._facts[name] = ColumnFacts(name, counted=counted)
        self._about_target = ColumnFacts(self._target, counted=True)
        if self._remark_on_header and (noticed := looks_like_data(self._names, frame)):
            self._remarks.append(noticed)

    def add(self, block: Block) -> None:
        """Take a block of rows."""
        with block.named():
            if not self._names:
                self._begin(block.frame)
            self._add(block)

    def _add(self, block: Block) -> None:
        frame, file = block.frame, str(block.part.path)
        column = frame.get_column(self._target)
        start, self._rows = self._rows, self._rows + frame.height
        held = self._held.purpose(start, self._rows) == HELD
        self._about_target.add(column, file, block.first)
        if column.null_count():
            present = column.is_not_null()
            frame, held = frame.filter(present), held[present.to_numpy()]
        self._kept += frame.height
        self._held_rows += int(held.sum())
        train = frame.filter(~held) if held.any() else frame
        self._learn_target(train.get_column(self._target), block.first)
        for name, facts in self._facts.items():
            facts.add(frame.get_column(name), file, block.first)
            self._learn(name, facts, train.get_column(name), block.first)

    def _learn_target(self, column: pl.Series, first: int) -> None:
        if self._wanted.task != "classification" and self._about_target.guess == "numeric":
            self._values.add(column, first)
        if self._wanted.task != "regression":
            self._classes.add(column, first)

    def _learn(self, name: str, facts: ColumnFacts, column: pl.Series, first: int) -> None:
        kind, form = self._fixed.get(name) or (self._said.get(name, facts.guess), None)
        if kind == "empty":
            self._gaps[name] = self._gaps.get(name, 0) + len(column)
            return
        form = form or (facts.forms[0] if kind == "date" else None)
        if name not in self._learners:
            learner = _learner(kind, form)
            learner.add_gaps(self._gaps.get(name, 0))
            self._learners[name] = learner
        found = self._learners[name]
        if found is not None and _suits(found, kind, form):
            found.add(column, first)
        else:
            self._learners[name] = None  # another pass is needed

    def mistaken(self) -> dict[str, tuple[Kind, str | None]]:
        """The columns that are of another kind than their first rows said, with that kind."""
        found: dict[str, tuple[Kind, str | None]] = {}
        for name, facts in self._facts.items():
            kind = self._kind(facts)
            if kind == "empty" or name in self._fixed:
                continue
            if self._learners[name] is None or (kind == "categorical" and facts.uncounted):
                found[name] = kind, (facts.forms[0] if kind == "date" else None)
        return found

    def _kind(self, facts: ColumnFacts) -> Kind:
        if not facts.present:
            return "empty"
        return self._said.get(facts.name) or facts.kind(f"--categorical {facts.name!r}")

    def result(self) -> Survey:
        """What was learnt, after the last block."""
        self._values.finish()
        kinds = {name: self._kind(facts) for name, facts in self._facts.items()}
        left_out = self._left_out(kinds)
        used = {name: kind for name, kind in kinds.items() if name not in left_out}
        task, labels, remarks = self._about_the_target()
        class_rows = None
        if labels is not None:
            counts = self._classes.counts.found
            class_rows = np.array([counts[str(label)] for label in labels.tolist()])
        remarks = [*self._remarks, *remarks]
        if used:
            remarks += self._about_columns(used)
        return Survey(
            tuple(self._names),
            self._target,
            task,
            labels,
            class_rows,
            self._values,
            self._preparation(used),
            self._rows,
            self._kept,
            self._held_rows,
            left_out,
            remarks,
        )

    def _left_out(self, kinds: dict[str, Kind]) -> dict[str, str]:
        """Why columns are not learnt from: as `leaving.columns_left_out`."""
        found = {name: EMPTY for name, kind in kinds.items() if kind == "empty"}
        judged = {name: kind for name, kind in kinds.items() if kind != "empty" and name not in self._kept_anyway}
        named = named_like_counts([name for name in self._names if name != self._target], judged)
        for name, kind in kinds.items():
            facts = self._facts[name]
            many = kind == "categorical" and facts.counts.too_many
            if many and name in self._kept_anyway:
                raise TableError(f"the column {name!r} cannot be learnt from: {TOO_MANY}; pass --drop {name!r}")
            if many:
                found[name] = TOO_MANY
            elif name not in judged:
                continue
            elif kind == "numeric" and name in named and facts.counts_rows and facts.present >= FEWEST_NUMBERS:
                found[name] = COUNTS_ROWS
            elif kind == "categorical" and not facts.numbers_only and facts.present >= FEWEST_TEXTS:
                distinct = len(facts.counts.found)
                if distinct >= NEARLY_ALL * facts.present:
                    found[name] = never_the_same(distinct, facts.present)
        return found

    def _about_the_target(self) -> tuple[Task, Array | None, list[str]]:
        """The task, the classes, and what is to be said: as `targets.target_column`."""
        facts, name = self._about_target, self._target
        if not facts.present:
            raise TableError(f"the target {name!r} has no value in any row: choose another column with --target")
        remarks = left_out_remark(name, facts.rows - facts.present, facts.rows)
        counts = facts.counts
        distinct = MOST_VALUES + 1 if counts.too_many else len(counts.found)
        task: Task
        if self._wanted.task == "auto":
            text = facts.kind("--task classification") != "numeric"
            task, remark = task_of(name, distinct, whole=None if text else facts.whole)
            remarks.append(remark.replace(f"{MOST_VALUES + 1} distinct", f"more than {MOST_VALUES:,} distinct"))
        else:
            task = self._wanted.task
        if distinct == 1:
            raise LabelError(
                f"the target {name!r} has the one value {next(iter(counts.found))!s} in all {facts.present} rows: "
                "there is nothing to learn, choose another column with --target"
            )
        if task == "regression":
            return task, None, remarks
        if counts.too_many:
            raise LabelError(f"the target {name!r} cannot be learnt as classes: {TOO_MANY}; pass --task regression")
        return task, np.unique(classes_of(list(counts.found))), remarks

    def _about_columns(self, used: dict[str, Kind]) -> list[str]:
        """What to say about how columns are read: as `leaving.column_remarks`."""
        remarks = []
        for name, kind in used.items():
            facts = self._facts[name]
            if kind == "date":
                remarks.append(date_remark(name, facts.forms[0] if facts.ambiguous else None))
            elif kind == "numeric" and name not in self._kept_anyway and (example := facts.dressed_example()):
                remarks.append(dressed_remark(name, example.value, number_of(example.value)))
        return remarks

    def _preparation(self, used: dict[str, Kind]) -> Preparation:
        numbers: list[tuple[float, ...]] = []
        dates: list[Dates] = []
        categories: list[Categories] = []
        for name in used:
            learner = self._learners[name]
            if isinstance(learner, NumberLearner):
                numbers.append(learner.learnt())
            elif isinstance(learner, DateLearner):
                dates.append(learner.learnt(name))
            elif isinstance(learner, CategoryLearner):
                categories.append(learner.learnt(name))
        named = [name for name, kind in used.items() if kind == "numeric"]
        columns = np.array(numbers).reshape(-1, 5).T
        return Preparation(used, Numbers(named, *columns, clipped=True), dates, categories)


def classes_of(texts: Sequence[str]) -> Array:
    """Labels in their canonical texts as the classes that they are: whole numbers where all are, else the texts."""
    import polars as pl

    labels = pl.Series(texts, dtype=pl.String)
    return labels_of(labels, labels)


def _learner(kind: Kind, form: str | None) -> Learner:
    if kind == "numeric":
        return NumberLearner()
    return CategoryLearner() if form is None else DateLearner(form)


def _suits(learner: Learner, kind: Kind, form: str | None) -> bool:
    """Whether a learner is one for this kind, and form of dates."""
    if isinstance(learner, DateLearner):
        return kind == "date" and learner.form == form
    return kind == ("numeric" if isinstance(learner, NumberLearner) else "categorical")
