"""Data on its way into a network: checked once, and brought into the form that the arithmetic needs.

Nothing is guessed silently: shapes that would broadcast, labels outside the classes, NaN and infinity are refused,
naming row and column (rows and columns are counted from 0, as in the array).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .exceptions import DataError, LabelError, NonFiniteError, ShapeError
from .kinds.activation import Activation
from .kinds.loss import Loss
from .parameters import Array

_FEW_NUMBERS = 4096  # up to here they are looked at in less time than it takes to ask for it
_PLAIN_TYPES = (np.dtype(np.float32), np.dtype(np.float64))
_ROWS_AT_ONCE = 65536  # a check reads this many rows at a time, so that it needs little memory


def plain_inputs(X: Any, inputs: int) -> bool:
    """Whether X needs no further check: a few rows of finite numbers in one piece, in float32 or float64.

    It takes a fifth of the time of `check_inputs`, which for one row is as long as a layer. What is not finite has no
    finite sum of squares; numbers so large that theirs is not finite either are left to the longer way.

    Examples
    --------
    >>> plain_inputs(np.ones((1, 2)), 2), plain_inputs(np.array([[1.0, np.nan]]), 2), plain_inputs([[1.0, 2.0]], 2)
    (True, False, False)
    """
    if type(X) is not np.ndarray or X.ndim != 2 or X.shape[1] != inputs or not 0 < X.size <= _FEW_NUMBERS:
        return False
    if X.dtype not in _PLAIN_TYPES or not X.flags.c_contiguous:
        return False
    numbers = X.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(numbers.dot(numbers))


def check_inputs(X: Any, inputs: int, what: str = "X") -> Array:
    """X as an array of numbers of shape (n, inputs), all finite; its dtype stays as it is.

    Raises
    ------
    ShapeError, NonFiniteError, DataError

    Examples
    --------
    >>> check_inputs([[1.0, float("nan")]], 2)
    Traceback (most recent call last):
        ...
    backlit.exceptions.NonFiniteError: X has nan in row 0, column 1: remove or impute such values first
    """
    array = _as_array(X, what)
    if array.ndim != 2:
        hint = "X.reshape(1, -1) makes one row of it" if array.ndim == 1 else "one row a sample, one column a feature"
        raise ShapeError(f"{what} must be (n_samples, {inputs}), received shape {array.shape}: {hint}")
    if array.shape[1] != inputs:
        raise ShapeError(
            f"{what} must have {inputs} columns, one for each input of the network, received shape {array.shape}"
        )
    if array.shape[0] == 0:
        raise ShapeError(f"{what} must have at least one row, received shape {array.shape}")
    array = _numeric(array, what)
    check_finite(array, what)
    return array


def _as_array(data: Any, what: str) -> Array:
    try:
        return np.asarray(data)
    except ValueError as error:
        raise ShapeError(f"{what} must have rows of equal length, received rows of several lengths") from error


def _numeric(array: Array, what: str) -> Array:
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.kind == "O":
        try:
            return array.astype(np.float64)
        except (TypeError, ValueError):
            pass
    raise DataError(f"{what} must hold numbers, received an array of {array.dtype}: encode text and categories first")


def check_finite(array: Array, what: str) -> None:
    """Refuse NaN and infinity, naming the first row and column."""
    if array.dtype.kind != "f":
        return
    for start in range(0, array.shape[0], _ROWS_AT_ONCE):
        part = array[start : start + _ROWS_AT_ONCE]
        finite = np.isfinite(part)
        if np.count_nonzero(finite) < finite.size:
            place = np.argwhere(~finite)[0]
            column = f", column {place[1]}" if array.ndim == 2 else ""
            raise NonFiniteError(
                f"{what} has {part[tuple(place)]} in row {start + place[0]}{column}: remove or impute such values first"
            )


def check_sample_weight(sample_weight: Any, n: int) -> Array | None:
    """Sample weights as an array of shape (n,): finite, not negative, not all zero."""
    if sample_weight is None:
        return None
    weight = _numeric(_as_array(sample_weight, "sample_weight"), "sample_weight").astype(np.float64)
    if weight.shape != (n,):
        raise ShapeError(f"sample_weight must be ({n},), one number for each row of X, received shape {weight.shape}")
    check_finite(weight, "sample_weight")
    if (weight < 0).any():
        raise DataError(f"sample_weight must not be negative, received {weight.min()} in row {int(weight.argmin())}")
    if not weight.any():
        raise DataError("sample_weight is zero in every row: at least one row has to count")
    return weight


def encode_targets(
    y: Any, n: int, outputs: int, activation: Activation, loss: Loss, classes: Array | None, dtype: np.dtype[Any]
) -> tuple[Array, Array | None]:
    """The target values Y, shape (n, outputs), that the loss compares with the outputs a.

    Class labels become one-hot rows where several outputs are probabilities (softmax, sigmoid), or the loss is for
    classes (hinge), and 0 or 1 for one unit. Everything else is taken as target values.

    Parameters
    ----------
    y : array_like, shape (n,), (n, 1) or (n, outputs)
    n : int
        Number of rows of X.
    outputs, activation, loss
        Units and activation of the last layer, and the loss.
    classes : ndarray or None
        The labels known from training, in the order of the outputs.
    dtype : numpy dtype
        Of the result.

    Returns
    -------
    Y : ndarray, shape (n, outputs)
    classes : ndarray or None
        The labels in the order of the outputs, where y held labels.

    Examples
    --------
    >>> from backlit.kinds.activations import get_activation
    >>> from backlit.kinds.losses import get_loss
    >>> softmax, cross_entropy = get_activation("softmax"), get_loss("cross_entropy")
    >>> encode_targets(["no", "yes", "no"], 3, 2, softmax, cross_entropy, None, np.dtype("float64"))
    (array([[1., 0.],
           [0., 1.],
           [1., 0.]]), array(['no', 'yes'], dtype='<U3'))
    """
    array = _as_array(y, "y")
    if array.ndim == 0 or array.shape[0] != n:
        raise ShapeError(f"y must have {n} rows, one for each row of X, received shape {array.shape}")
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    classes_only = loss.targets == "classes"
    if array.ndim == 1 and (outputs > 1 or classes_only or _two_labels(array, activation)):
        if outputs > 1 and not activation.probabilities and not classes_only:
            raise ShapeError(
                f"y must be ({n}, {outputs}), one target value for each output, received shape {np.shape(y)}: "
                "class labels go with softmax or sigmoid outputs"
            )
        return _encode_labels(array, outputs, classes, dtype)
    if array.ndim == 1:
        array = array[:, None]
    if array.shape != (n, outputs):
        raise ShapeError(f"y must be ({n}, {outputs}), one column for each output, received shape {np.shape(y)}")
    Y = _numeric(array, "y")
    check_finite(Y, "y")
    if loss.check_targets is not None:
        loss.check_targets(Y, activation)
    if loss.targets == "probabilities" and activation.sums_to_one:
        Y = adding_up_to_one(Y)
    return Y.astype(dtype), classes


def adding_up_to_one(Y: Array) -> Array:
    """Rows of probabilities, divided by their sums where rounding to some digits left those beside 1.

    delta = a − y is the gradient of the loss only for rows that add up to 1.

    Examples
    --------
    >>> adding_up_to_one(np.array([[0.3333, 0.3333, 0.3333], [0.0, 1.0, 0.0]])).sum(axis=1)
    array([1., 1.])
    """
    sums = Y.sum(axis=1, dtype=np.float64, keepdims=True)  # (n, 1)
    return Y if (sums == 1.0).all() else Y / sums


def _two_labels(array: Array, activation: Activation) -> bool:
    """Text for one unit that is a probability is two labels; numbers are taken as they are."""
    return activation.probabilities and array.dtype.kind in "OUST" and not _is_numeric_object(array)


def _is_numeric_object(array: Array) -> bool:
    return array.dtype.kind == "O" and all(isinstance(v, int | float | np.number) for v in array)


def _encode_labels(labels: Array, outputs: int, classes: Array | None, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    if labels.dtype.kind == "O":
        labels = _plain_labels(labels)
    if labels.dtype.kind == "f":
        check_finite(labels, "y")
        if (labels == np.floor(labels)).all():
            labels = labels.astype(np.int64)
    count = 2 if outputs == 1 else outputs
    if classes is None:
        classes = _find_classes(labels, count)
    order = np.argsort(classes, kind="stable")
    if _sort_of(classes) != _sort_of(labels):
        raise LabelError(f"the label {labels.tolist()[0]!r} in row 0 is outside the classes {_listed(classes)}")
    found = np.searchsorted(classes[order], labels).clip(0, count - 1)
    index = order[found]
    unknown = classes[index] != labels
    if unknown.any():
        row = int(np.argmax(unknown))
        raise LabelError(f"the label {labels.tolist()[row]!r} in row {row} is outside the classes {_listed(classes)}")
    if outputs == 1:
        return index.astype(dtype)[:, None], classes
    Y = np.zeros((labels.size, outputs), dtype)
    Y[np.arange(labels.size), index] = 1.0
    return Y, classes


def _plain_labels(labels: Array) -> Array:
    """Labels that came as Python objects (a pandas column, say) in the type that they are."""
    for row, value in enumerate(labels):
        if value is None or value != value:
            raise LabelError(f"y has no label in row {row} (received {value!r}): leave such rows out")
    text = sum(isinstance(value, str) for value in labels)
    if 0 < text < labels.size:
        raise LabelError("the labels in y must be all numbers or all text, received a mixture")
    return labels.astype(str) if text else np.array(labels.tolist()) if _is_numeric_object(labels) else labels


def _sort_of(labels: Array) -> str:
    """Numbers can be compared with numbers, text with text."""
    return "number" if labels.dtype.kind in "biuf" else labels.dtype.kind


def _listed(classes: Array) -> str:
    shown = ", ".join(repr(c) for c in classes[:10].tolist())
    return shown if classes.size <= 10 else f"{shown}, … ({classes.size} in all)"


def _find_classes(labels: Array, count: int) -> Array:
    """Whole numbers from 0 to count − 1, or else exactly `count` labels of any kind, sorted."""
    if labels.dtype.kind == "b" and count == 2:
        return np.array([False, True])
    if labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < count:
        return np.arange(count)
    try:
        found = np.unique(labels)
    except TypeError as error:
        raise LabelError("the labels in y must be all numbers or all text, received a mixture") from error
    if found.size == count:
        return found
    if labels.dtype.kind in "iu":
        row = int(np.argmax((labels < 0) | (labels >= count)))
        raise LabelError(f"the label {labels[row]} in row {row} is outside the classes 0 to {count - 1}")
    raise LabelError(
        f"y has {found.size} different labels where the network distinguishes {count}: found {_listed(found)}"
    )
