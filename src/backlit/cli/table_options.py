"""The options that every command on a new table has: an option that is added here, they all have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, final

from cyclopts import Parameter

from ..data.model import Reading
from .settings import Choice, Flag, TaskOption, separator

Texts = Annotated[list[str] | None, Parameter(negative=())]


@final
@Parameter(name="*")
@dataclass(frozen=True)
class ReadingOptions:
    """How the file is read.

    Parameters
    ----------
    no_header
        The first line is data; the columns are named c0, c1, …
    missing
        A text that means a missing value, besides the empty one, NA, NaN, null and ?
    categorical
        Take this column as categories, whatever it holds.
    numeric
        Take this column as numbers.
    delimiter
        The sign between the fields of a text file; found from its first lines unless given ("tab" for a tab).
    decimal
        The decimal sign of a text file; found from its first lines unless given.
    """

    no_header: Annotated[bool, Flag] = False
    missing: Texts = None
    categorical: Texts = None
    numeric: Texts = None
    delimiter: str | None = None
    decimal: Literal[".", ","] | None = None

    def reading(self) -> Reading:
        texts, numbers, groups = (tuple(names or ()) for names in (self.missing, self.numeric, self.categorical))
        return Reading(not self.no_header, texts, numbers, groups, separator(self.delimiter), self.decimal)


@final
@Parameter(name="*")
@dataclass(frozen=True)
class LearningOptions:
    """What is learnt from.

    Parameters
    ----------
    keep
        Learn from this column although it looks like an identifier or a count of the rows.
    drop
        Leave this column out.
    class_weight
        balanced: every class weighs the same in training, however many rows it has.
    loose_labels
        In a validation file, take labels that differ only by case, blanks or a full stop as the same.
    """

    keep: Texts = None
    drop: Texts = None
    class_weight: Literal["balanced"] | None = None
    loose_labels: Annotated[bool, Flag] = False

    def choice(self, target: str | None, task: TaskOption) -> Choice:
        balanced = self.class_weight == "balanced"
        return Choice(target, task, tuple(self.keep or ()), tuple(self.drop or ()), balanced, self.loose_labels)


AS_FOUND: Final = ReadingOptions()
AS_IT_IS: Final = LearningOptions()
