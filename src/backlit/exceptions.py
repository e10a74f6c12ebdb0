"""Every error Backlit raises, drawn as a tree.

Each error is a `BacklitError` and also the built-in it specialises, so that both
``except BacklitError`` and ``except ValueError`` do what their reader expects.
A message is one sentence: what was wrong, what was received, what to do.

    BacklitError
    ├── ConfigurationError   (ValueError)       a layer, loss, optimiser or option that cannot be
    │   └── DerivativeError                     a user's own function whose derivative is wrong
    ├── DataError            (ValueError)       data that cannot be used as given
    │   ├── ShapeError                          arrays whose shapes do not fit
    │   ├── NonFiniteError                      NaN or infinity in the data
    │   ├── LabelError                          a label outside the classes
    │   └── TableError                          a table that cannot be read, or lacks something
    ├── FileMissingError     (FileNotFoundError) a file that is not there
    ├── OutputError          (OSError)          a path that cannot be written
    ├── ModelFileError       (ValueError)       a model file that is damaged or foreign
    ├── ParameterNameError   (KeyError)         no parameter of that name
    ├── HistoryNameError     (KeyError)         no column of that name in a history
    ├── DivergenceError      (ArithmeticError)  training whose loss left the finite numbers
    ├── NotFittedError       (AttributeError)   a result asked for before training
    ├── RankError            (RuntimeError)     one of several processes that is silent, or not as the others
    ├── OwnCodeError         (RuntimeError)     code of the reader's that failed or was stopped
    ├── WorkerLostError      (RuntimeError)     a process that did a part of the work is gone
    ├── RebindingError       (AttributeError, TypeError)   another array, or layer, in the place of a network's own
    └── MissingExtraError    (ImportError)      an optional package that is not installed

    BacklitWarning           (UserWarning)      something that is done otherwise than was asked
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BacklitError(Exception):
    """Base of every error that Backlit raises on purpose."""


class ConfigurationError(BacklitError, ValueError):
    """A layer, loss, optimiser or option that cannot be."""


class DerivativeError(ConfigurationError):
    """The derivative given with a user's own function is not its derivative."""


class DataError(BacklitError, ValueError):
    """Data that cannot be used as given."""


class ShapeError(DataError):
    """Arrays whose shapes do not fit each other or the network."""


class NonFiniteError(DataError):
    """NaN or infinity in the data."""


class LabelError(DataError):
    """A label outside the classes."""


class TableError(DataError):
    """A table that cannot be read, or that lacks what was asked of it."""


class FileMissingError(BacklitError, FileNotFoundError):
    """A file that is not there."""


class OutputError(BacklitError, OSError):
    """A path that cannot be written."""


class ModelFileError(BacklitError, ValueError):
    """A model file that is damaged, cut short, or of another format."""


class ParameterNameError(BacklitError, KeyError):
    """No parameter of that name."""

    def __str__(self) -> str:
        # KeyError shows the repr of its argument; a sentence should read as one.
        return str(self.args[0])


class HistoryNameError(BacklitError, KeyError):
    """No column of that name in a history."""

    def __str__(self) -> str:
        return str(self.args[0])


class DivergenceError(BacklitError, ArithmeticError):
    """Training whose loss stopped being finite, or exploded.

    Attributes
    ----------
    epoch, step : int
        Where it happened: epoch from 1, step from 1 over the whole run.
    layer : int or None
        Index of the layer where the numbers went wrong first.
    """

    def __init__(self, message: str, *, epoch: int, step: int, layer: int | None) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.step = step
        self.layer = layer


class NotFittedError(BacklitError, AttributeError):
    """A result asked for before training."""


class RankError(BacklitError, RuntimeError):
    """Of processes that train together one does not answer, or is no longer as the others.

    Attributes
    ----------
    speaks : bool
        Whether this process is the one that says so: several find out at once.
    """

    def __init__(self, message: str, *, speaks: bool = True) -> None:
        super().__init__(message)
        self.speaks = speaks


class OwnCodeError(BacklitError, RuntimeError):
    """Code that somebody wrote in the lab, which failed or was stopped.

    Attributes
    ----------
    line : int or None
        Of the code, from 1, where it failed.
    printed : str
        What it had printed.
    """

    def __init__(self, message: str, *, line: int | None = None, printed: str = "") -> None:
        super().__init__(message)
        self.line = line
        self.printed = printed


class WorkerLostError(BacklitError, RuntimeError):
    """A process that did a part of the work is gone."""


class RebindingError(BacklitError, AttributeError, TypeError):
    """Another array, or another layer, in the place of one that a network holds."""


class MissingExtraError(BacklitError, ImportError):
    """An optional package that is not installed."""


class BacklitWarning(UserWarning):
    """Something is done otherwise than was asked."""


def missing_extra(package: str, extra: str, purpose: str) -> MissingExtraError:
    """The error for an optional package that is not installed, naming the extra to install."""
    return MissingExtraError(f"{purpose} needs {package}, which is not installed: pip install 'backlit[{extra}]'")


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that offers the known names nearest to a mistyped one, or lists them all.

    Examples
    --------
    >>> nearest("sigmiod", ["sigmoid", "tanh"])
    "did you mean 'sigmoid'?"
    >>> nearest("xyz", ["sigmoid", "tanh"])
    "known are 'sigmoid', 'tanh'"
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3)
    if close:
        return "did you mean " + " or ".join(repr(n) for n in close) + "?"
    return "known are " + ", ".join(repr(n) for n in names)
