"""A bad call says what was wrong, what was received, and what to do: in one sentence, as an error of a known kind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import exceptions
from backlit.exceptions import (
    BacklitError,
    DataError,
    LabelError,
    MissingExtraError,
    NonFiniteError,
    ShapeError,
)

X = np.arange(12.0).reshape(4, 3)
Y = np.zeros((4, 2))


def net(output: str = "identity", units: int = 2, **settings: Any) -> bl.Network:
    return bl.Network([bl.Dense(units, output)], inputs=3, **settings)


def classifier() -> bl.Network:
    return net("softmax", loss="cross_entropy")


def trained(labels: Any) -> bl.Network:
    network = classifier()
    bl.fit(network, X, labels, epochs=1, progress=False)
    return network


def fit(**settings: Any) -> bl.History:
    return bl.fit(net(), X, Y, progress=False, **settings)


def holed(row: int, column: int, value: float) -> np.ndarray:
    array = X.copy()
    array[row, column] = value
    return array


Call = Callable[[], object]
Case = tuple[Call, type[BacklitError], str]

DATA: dict[str, Case] = {
    # X
    "one row without brackets": (
        lambda: net().forward([1.0, 2.0, 3.0]),
        ShapeError,
        "X must be (n_samples, 3), received shape (3,): X.reshape(1, -1) makes one row of it",
    ),
    "three dimensions": (
        lambda: net().forward(np.zeros((2, 3, 4))),
        ShapeError,
        "X must be (n_samples, 3), received shape (2, 3, 4): one row a sample, one column a feature",
    ),
    "columns": (
        lambda: net().forward(X[:, :2]),
        ShapeError,
        "X must have 3 columns, one for each input of the network, received shape (4, 2)",
    ),
    "no rows": (lambda: net().forward(X[:0]), ShapeError, "X must have at least one row, received shape (0, 3)"),
    "ragged rows": (
        lambda: net().forward([[1, 2, 3], [1, 2]]),
        ShapeError,
        "X must have rows of equal length, received rows of several lengths",
    ),
    "text": (
        lambda: net().forward(X.astype(str)),
        DataError,
        "X must hold numbers, received an array of <U32: encode text and categories first",
    ),
    "objects": (
        lambda: net().forward(np.array([["a", 1, None]], dtype=object)),
        DataError,
        "X must hold numbers, received an array of object: encode text and categories first",
    ),
    "nan": (
        lambda: net().forward(holed(2, 1, np.nan)),
        NonFiniteError,
        "X has nan in row 2, column 1: remove or impute such values first",
    ),
    "infinity": (
        lambda: bl.fit(net(), holed(3, 0, -np.inf), Y),
        NonFiniteError,
        "X has -inf in row 3, column 0: remove or impute such values first",
    ),
    "nan far down": (
        lambda: net().forward(np.vstack([np.zeros((70_000, 3)), holed(2, 1, np.nan)])),
        NonFiniteError,
        "X has nan in row 70002, column 1",
    ),
    # y
    "rows of y": (
        lambda: net().loss(X, Y[:3]),
        ShapeError,
        "y must have 4 rows, one for each row of X, received shape (3, 2)",
    ),
    "a single y": (
        lambda: net().loss(X, 1.0),
        ShapeError,
        "y must have 4 rows, one for each row of X, received shape ()",
    ),
    "columns of y": (
        lambda: net().loss(X, np.zeros((4, 3))),
        ShapeError,
        "y must be (4, 2), one column for each output, received shape (4, 3)",
    ),
    "y that would broadcast": (
        lambda: net().loss(X, np.zeros(4)),
        ShapeError,
        "y must be (4, 2), one target value for each output, received shape (4,): class labels go with",
    ),
    "X beyond float32": (
        lambda: net().forward([[1e39, -1e39, 0.0]]),
        NonFiniteError,
        'X has 1e+39 in row 0, column 0, which float32 cannot hold: scale it, or use dtype="float64"',
    ),
    "X beyond float32 in training": (
        lambda: bl.fit(net(), np.where(X > 0, 1e39, X), Y, progress=False),
        NonFiniteError,
        "X has 1e+39 in row 0, column 1, which float32 cannot hold",
    ),
    "X beyond float32 once scaled": (
        lambda: net(input_scale=1e30).loss(np.full((4, 3), 1e10), Y),
        NonFiniteError,
        "X has 10000000000.0 in row 0, column 0, which float32 cannot hold",
    ),
    "outputs beyond float32": (
        lambda: bl.Network([bl.Dense(1, "exp", weight_init=1.0)], inputs=1).forward(np.float32([[1], [100]])),
        NonFiniteError,
        "output 0 of row 1 is inf: the numbers grow beyond float32 on their way through the network; train it again",
    ),
    "y beyond float32": (
        lambda: net().loss(X, np.where(np.arange(8).reshape(4, 2) == 5, -1e39, 0.0)),
        NonFiniteError,
        "y has a number in row 2, column 1, which float32 cannot hold",
    ),
    "weights beyond float32": (
        lambda: net().loss(X, Y, sample_weight=[3e38] * 4),
        DataError,
        "sample_weight adds up to 1.2e+39, and float32 holds numbers up to 3.4e+38: divide all of them by the largest",
    ),
    "weights that float32 makes zero": (
        lambda: bl.fit(net(), X, Y, sample_weight=[1e-50] * 4, progress=False),
        DataError,
        "sample_weight is at most 1e-50, and float32 needs one of at least 1e-31",
    ),
    "ragged y": (lambda: net().loss(X, [[1, 2], [1], [2], [3]]), ShapeError, "y must have rows of equal length"),
    "nan in y": (
        lambda: net().loss(X, np.where(np.arange(8).reshape(4, 2) == 5, np.nan, 0.0)),
        NonFiniteError,
        "y has nan in row 2, column 1",
    ),
    "text for numbers": (
        lambda: net(units=1).loss(X, ["a", "b", "c", "d"]),
        DataError,
        "y must hold numbers, received an array of <U1",
    ),
    # labels
    "a label too large": (
        lambda: classifier().loss(X, [0, 1, 2, 1]),
        LabelError,
        "the label 2 in row 2 is outside the classes 0 to 1",
    ),
    "a negative label": (
        lambda: bl.fit(net("softmax", 3, loss="cross_entropy"), X, [0, -1, 2, 5]),
        LabelError,
        "the label -1 in row 1 is outside the classes 0 to 2",
    ),
    "too many labels": (
        lambda: classifier().loss(X, ["a", "b", "c", "a"]),
        LabelError,
        "y has 3 different labels where the network distinguishes 2: found 'a', 'b', 'c'",
    ),
    "too few labels": (
        lambda: classifier().loss(X, ["a"] * 4),
        LabelError,
        "y has 1 different labels where the network distinguishes 2: found 'a'",
    ),
    "an unknown label": (
        lambda: trained(["no", "yes"] * 2).loss(X, ["no", "yes", "Yes", "no"]),
        LabelError,
        "the label 'Yes' in row 2 is outside the classes 'no', 'yes'",
    ),
    "an unknown number": (
        lambda: trained([10, 20] * 2).loss(X, [10, 20, 15, 10]),
        LabelError,
        "the label 15 in row 2 is outside the classes 10, 20",
    ),
    "numbers for text": (
        lambda: trained(["no", "yes"] * 2).loss(X, [0, 1, 0, 1]),
        LabelError,
        "the label 0 in row 0 is outside the classes 'no', 'yes'",
    ),
    "text for numbers, as objects": (
        lambda: trained([10, 20] * 2).loss(X, np.array(["a", "b"] * 2, dtype=object)),
        LabelError,
        "the label 'a' in row 0 is outside the classes 10, 20",
    ),
    "a mixture of labels": (
        lambda: trained(["no", "yes"] * 2).loss(X, np.array(["no", 1, "yes", "no"], dtype=object)),
        LabelError,
        "the labels in y must be all numbers or all text, received a mixture",
    ),
    "a missing label": (
        lambda: classifier().loss(X, np.array(["no", "yes", None, "no"], dtype=object)),
        LabelError,
        "y has no label in row 2 (received None): leave such rows out",
    ),
    "a label that is nan": (lambda: classifier().loss(X, [0, 1, np.nan, 1]), NonFiniteError, "y has nan in row 2"),
    "rows that do not add up": (
        lambda: classifier().loss(X, [[1.0, 0.0], [0.7, 0.7], [0.0, 1.0], [0.5, 0.5]]),
        LabelError,
        "rows of y must add up to 1 for softmax, received 1.4 in row 1",
    ),
    "a probability above 1": (
        lambda: net("sigmoid", 1, loss="cross_entropy").loss(X, [0.0, 1.0, 2.0, 1.0]),
        LabelError,
        "cross_entropy needs targets from 0 to 1, received 2.0 in row 2, column 0: give class labels",
    ),
    "hinge with -1": (
        lambda: net(loss="hinge").loss(X, [[1, -1], [-1, 1]] * 2),
        LabelError,
        "hinge needs one-hot rows of 0 and 1, received -1 in row 0, column 1",
    ),
    "a negative count": (
        lambda: net("exp", loss="poisson").loss(X, [[1, 2], [3, 4], [5, -6], [7, 8]]),
        DataError,
        "poisson needs targets of at least 0, received -6 in row 2, column 1",
    ),
    # sample_weight
    "weights of another length": (
        lambda: net().loss(X, Y, sample_weight=[1.0, 2.0]),
        ShapeError,
        "sample_weight must be (4,), one number for each row of X, received shape (2,)",
    ),
    "a negative weight": (
        lambda: fit(sample_weight=[1.0, 1.0, -0.5, 1.0]),
        DataError,
        "sample_weight must not be negative, received -0.5 in row 2",
    ),
    "no weight at all": (
        lambda: net().gradient(X, Y, sample_weight=np.zeros(4)),
        DataError,
        "sample_weight is zero in every row: at least one row has to count",
    ),
    "nan as a weight": (
        lambda: net().loss(X, Y, sample_weight=[1.0, np.nan, 1.0, 1.0]),
        NonFiniteError,
        "sample_weight has nan in row 1",
    ),
    "text as a weight": (
        lambda: net().loss(X, Y, sample_weight=list("abcd")),
        DataError,
        "sample_weight must hold numbers",
    ),
    # validation
    "validation columns": (
        lambda: fit(validation=(X[:, :2], Y)),
        ShapeError,
        "in the validation data, X must have 3 columns",
    ),
    "validation nan": (
        lambda: fit(validation=(holed(1, 2, np.nan), Y)),
        NonFiniteError,
        "in the validation data, X has nan in row 1, column 2",
    ),
    "validation label": (
        lambda: bl.fit(classifier(), X, [0, 1, 0, 1], validation=(X, [0, 1, 2, 1])),
        LabelError,
        "in the validation data, the label 2 in row 2 is outside the classes 0, 1",
    ),
    "a source of other columns": (
        lambda: bl.fit(net(), type("Source", (), {"shape": (4, 5), "fetch": print})(), Y),
        ShapeError,
        "X must have 3 columns, one for each input, received shape (4, 5)",
    ),
}


def sentence(call: Call, error: type[BacklitError]) -> str:
    """The message of the error that the call raises: one line, one sentence."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    message = str(caught.value)
    assert "\n" not in message
    assert not message.endswith(".")
    return message


@pytest.mark.parametrize(("call", "error", "fragment"), DATA.values(), ids=DATA)
def test_bad_data(call: Call, error: type[BacklitError], fragment: str) -> None:
    assert sentence(call, error).startswith(fragment)


@pytest.mark.parametrize(
    ("name", "builtin"),
    {
        "ConfigurationError": ValueError,
        "DerivativeError": ValueError,
        "DataError": ValueError,
        "ShapeError": ValueError,
        "NonFiniteError": ValueError,
        "LabelError": ValueError,
        "TableError": ValueError,
        "FileMissingError": FileNotFoundError,
        "OutputError": OSError,
        "ModelFileError": ValueError,
        "ParameterNameError": KeyError,
        "HistoryNameError": KeyError,
        "DivergenceError": ArithmeticError,
        "NotFittedError": AttributeError,
        "OwnCodeError": RuntimeError,
        "MissingExtraError": ImportError,
    }.items(),
)
def test_an_error_is_ours_and_the_builtin_that_it_specialises(name: str, builtin: type[Exception]) -> None:
    error = getattr(exceptions, name)
    assert issubclass(error, BacklitError)
    assert issubclass(error, builtin)
    assert f"{name} " in (exceptions.__doc__ or "")


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    history = fit(epochs=1)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = sentence(history.plot, MissingExtraError)
    assert message == "drawing the learning curve needs matplotlib, which is not installed: pip install 'backlit[plot]'"


def test_a_refused_fit_leaves_the_parameters_alone() -> None:
    network = net()
    before = network.parameters.values.copy()
    for bad in ({"y": np.full((4, 2), np.nan)}, {"validation": (X, Y[:2])}, {"optimizer": "adam"}, {"engine": "fast"}):
        with pytest.raises(BacklitError, match=r"nan|rows|optimiser|engine"):
            bl.fit(network, X, **{"y": Y, "progress": False, **bad})
    np.testing.assert_array_equal(network.parameters.values, before)
