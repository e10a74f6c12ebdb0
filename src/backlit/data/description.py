"""A table's model as JSON and arrays, for a file; and back, with nothing in it trusted."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import numpy as np

from ..exceptions import ConfigurationError, ModelFileError
from ..files import read_json
from ..network import Network
from ..parameters import Array
from ..training.history import History
from .categories import Categories
from .model import Reading, TableModel
from .preparation import Dates, Numbers, Preparation
from .values import DAY_FORMATS

#: Names of the arrays of a preparation in a file begin with this, and no parameter's name does.
PREFIX: Final = "table."
_ERRORS: Final = f"{PREFIX}errors"
_KINDS: Final = ("numeric", "categorical", "date")


def describe(model: TableModel) -> tuple[str, dict[str, Array]]:
    """JSON and arrays that hold all of a model but its network.

    Raises
    ------
    ConfigurationError
        Where the network does not take what the preparation makes.
    """
    preparation = model.preparation
    if wrong := _misfit(preparation, model.network):
        raise ConfigurationError(f"{wrong}: make the network for the preparation, with an Embedding of its codes first")
    arrays = {f"{PREFIX}numbers": _stacked(preparation.numbers)}
    arrays |= {f"{PREFIX}date.{i}": _stacked(date.parts) for i, date in enumerate(preparation.dates)}
    if model.errors is not None:
        arrays[_ERRORS] = np.asarray(model.errors, dtype=np.float64)
    reading = model.reading
    classes = model.classes
    found = {
        "target": model.target,
        "classes": None if classes is None else classes.tolist(),
        "mean": float(model.mean),
        "scale": float(model.scale),
        "columns": list(model.columns),
        "optimizer": model.optimizer,
        "learning_rate": model.learning_rate,
        "reading": {
            "header": reading.header,
            "missing": list(reading.missing),
            "numeric": list(reading.numeric),
            "categorical": list(reading.categorical),
            "delimiter": reading.delimiter,
            "decimal": reading.decimal,
        },
        "kinds": list(preparation.kinds.items()),
        "clipped": preparation.numbers.clipped,
        "dates": [
            {"name": d.name, "form": d.form, "first": d.first, "clock": d.clock, "parts": d.parts.names}
            for d in preparation.dates
        ],
        "categories": [
            {
                "name": c.name,
                "frequent": c.frequent,
                "rare": c.rare,
                "rare_column": c.rare_column,
                "missing": c.missing,
                "all_known": c.all_known,
                "coded": c.coded,
            }
            for c in preparation.categories
        ],
        "history": {
            # without the seconds: the same run gives the same file
            "columns": {
                name: [_jsonable(v) for v in values]
                for name, values in model.history.to_dict().items()
                if name != "seconds"
            },
            "stopped": model.history.stopped,
            "best_epoch": model.history.best_epoch,
        },
    }
    return json.dumps(found), arrays


def _stacked(numbers: Numbers) -> Array:
    """Shape (5, columns)."""
    return np.stack([numbers.median, numbers.mean, numbers.scale, numbers.low, numbers.high]).astype(np.float64)


def _jsonable(value: float) -> float | None:
    return value if math.isfinite(value) else None


def described(text: str, arrays: dict[str, Array], network: Network) -> TableModel:
    """The model that `describe` described.

    Raises
    ------
    ModelFileError
        A description that does not fit itself, the arrays or the network.
    """
    try:
        found = read_json(text)
        model = _model(found, arrays, network)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise ModelFileError(f"the description of the table is damaged ({error})") from error
    if wrong := _misfit(model.preparation, network):
        raise ModelFileError(wrong)
    return model


def _misfit(preparation: Preparation, network: Network) -> str:
    """What a network does not take of a preparation's columns, in words; empty where it takes them."""
    codes, categories = list(preparation.codes), list(network.layers[0].categories)
    if preparation.width != network.inputs:
        return f"the description of the table has {preparation.width} inputs, the network {network.inputs}"
    if codes != categories:
        return f"the description of the table has codes of {codes} categories, the network of {categories}"
    return ""


def _model(found: dict[str, Any], arrays: dict[str, Array], network: Network) -> TableModel:
    kinds = {_text(name): _of(kind, _KINDS) for name, kind in found["kinds"]}
    names = [name for name, kind in kinds.items() if kind == "numeric"]
    clipped = bool(found.get("clipped", False))  # formats up to 2 knew no clip
    dates = []
    for i, date in enumerate(found["dates"]):
        parts = _numbers(arrays[f"{PREFIX}date.{i}"], _texts(date["parts"]), clipped)
        if len(parts.names) != (8 if date["clock"] else 6):
            raise ValueError("a date has another number of parts")
        first = int(date["first"])
        dates.append(Dates(_text(date["name"]), _of(date["form"], DAY_FORMATS), first, bool(date["clock"]), parts))
    categories = [
        Categories(
            _text(column["name"]),
            _distinct(column["frequent"]),
            _texts(column["rare"]),
            bool(column["rare_column"]),
            bool(column["missing"]),
            bool(column["all_known"]),
            bool(column.get("coded", False)),  # earlier files have no codes
        )
        for column in found["categories"]
    ]
    for kind, named in (("date", dates), ("categorical", categories)):
        if [part.name for part in named] != [name for name in kinds if kinds[name] == kind]:
            raise ValueError("the kinds of the columns do not fit what was learnt about them")
    if set(arrays) - {_ERRORS} != {f"{PREFIX}numbers", *(f"{PREFIX}date.{i}" for i in range(len(dates)))}:
        raise ValueError("an array too many")
    reading = found["reading"]
    return TableModel(
        network,
        Preparation(kinds, _numbers(arrays[f"{PREFIX}numbers"], names, clipped), dates, categories),
        _text(found["target"]),
        _classes(found["classes"], network),
        _finite(found["mean"]),
        _finite(found["scale"]),
        Reading(
            bool(reading["header"]),
            tuple(_texts(reading["missing"])),
            tuple(_texts(reading["numeric"])),
            tuple(_texts(reading["categorical"])),
            None if reading["delimiter"] is None else _text(reading["delimiter"]),
            None if reading["decimal"] is None else _text(reading["decimal"]),
        ),
        tuple(_texts(found["columns"])),
        _history(found["history"]),
        _text(found["optimizer"]),
        _finite(found["learning_rate"]),
        _errors(arrays.get(_ERRORS)),
    )


def _errors(given: Array | None) -> Array | None:
    if given is None:
        return None
    if given.ndim != 1 or not np.isfinite(given).all() or (np.diff(given, prepend=0.0) < 0).any():
        raise ValueError("the errors are not finite numbers in ascending order")
    return given


def _numbers(stacked: Array, names: list[str], clipped: bool) -> Numbers:
    if stacked.shape != (5, len(names)) or not np.isfinite(stacked).all() or not (stacked[2] > 0).all():
        raise ValueError("what was learnt about its numbers does not fit its columns")
    return Numbers(names, *stacked, clipped=clipped)


def _classes(given: Any, network: Network) -> Array | None:
    if given is None:
        if network.outputs != 1:
            raise ValueError("a regression has one output")
        return None
    count = max(2, network.outputs)
    whole = all(type(label) is int for label in given)
    if not isinstance(given, list) or len(given) != count or len(set(given)) != count:
        raise ValueError("the classes do not fit the network's outputs")
    return np.array(given, dtype=np.int64) if whole else np.array(_texts(given), dtype=np.str_)


def _history(given: dict[str, Any]) -> History:
    history = History()
    columns = {
        _text(name): [math.nan if v is None else float(v) for v in values] for name, values in given["columns"].items()
    }
    for row in zip(*columns.values(), strict=True):
        history.append(**dict(zip(columns, row, strict=True)))
    history.stopped = None if given["stopped"] is None else _text(given["stopped"])
    history.best_epoch = None if given["best_epoch"] is None else int(given["best_epoch"])
    return history


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is no list")
    return [_text(value) for value in values]


def _distinct(values: Any) -> list[str]:
    texts = _texts(values)
    if len(set(texts)) != len(texts):
        raise ValueError("a category stands twice")
    return texts


def _of(value: Any, known: tuple[str, ...]) -> Any:
    if value not in known:
        raise ValueError(f"{value!r} is none of {known}")
    return value


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is not finite")
    return number
