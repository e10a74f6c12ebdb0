"""Estimators and pipelines as files: skops' format, read within bounds, with a closed list of types; never pickle."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from .archives import ALWAYS, SCHEMA_LIMIT, SPREAD_LIMIT, read_archive, stored_archive, write_archive
from .assembly import check_state
from .exceptions import BacklitError, ConfigurationError, ModelFileError
from .files import FORMAT_VERSION, check_version, library_version, no_key_twice, read_json, shortened
from .kinds.optimizers import OPTIMIZERS, OptimizerState
from .kinds.schedules import SCHEDULES
from .network import Network

#: The types, beyond scikit-learn's, NumPy's and SciPy's own, that a saved estimator may hold. An optimiser may stand
#: in a file of its own, and is known by the name of the table it is in as well.
TRUSTED_TYPES: Final = (
    "backlit.data.categories.Categories",
    "backlit.data.preparation.Categories",  # of files that were written when it stood there
    "backlit.data.preparation.Dates",
    "backlit.data.preparation.Numbers",
    "backlit.data.preparation.Preparation",
    "backlit.estimators.classifier.MLPClassifier",
    "backlit.estimators.columns.TablePreparation",
    "backlit.estimators.regressor.MLPRegressor",
    "backlit.training.callbacks.EarlyStopping",
    "backlit.kinds.loss.Loss",
    "backlit.training.callbacks.LearningRateLog",
    "backlit.training.callbacks.Monitor",
    "backlit.training.history.History",
    "backlit.training.lbfgs.LBFGS",
    "numpy.dtype",
    *(f"backlit.kinds.optimizers.{kind.__name__}" for kind in (*OPTIMIZERS.values(), OptimizerState)),
    *(f"{kind.__module__}.{kind.__name__}" for kind in (*OPTIMIZERS.values(), *SCHEDULES, OptimizerState, Network)),
)

#: Where the types of files written by 0.1.0 stand now.
_MOVED: Final = {
    "backlit.callbacks": "backlit.training.callbacks",
    "backlit.history": "backlit.training.history",
    "backlit.lbfgs": "backlit.training.lbfgs",
    "backlit.optimizers": "backlit.kinds.optimizers",
    "backlit.schedules": "backlit.kinds.schedules",
}


#: Lists and objects in a schema: each costs skops a dozen microseconds.
_NODE_LIMIT: Final = 2**18


def estimator_bytes(model: Any) -> bytes:
    """The file of an estimator or a pipeline."""
    from skops.io import dumps, get_untrusted_types

    kind = type(model).__name__
    if not hasattr(model, "get_params"):
        raise ConfigurationError(
            f"a model to save is a Network or a scikit-learn estimator or pipeline, received {kind}"
        )
    for part in _parts(model):
        if isinstance(part, Network):
            check_finite(part)
    try:
        data: bytes = dumps(model)
    except Exception as error:  # skops raises many kinds for what it cannot hold
        raise ConfigurationError(f"{kind} cannot be saved: {error}") from error
    foreign = sorted(set(get_untrusted_types(data=data)) - set(TRUSTED_TYPES))
    if foreign:
        raise ConfigurationError(
            f"{kind} cannot be saved, because it holds {', '.join(foreign)}: "
            "functions and types of your own have no place in a file"
        )
    description = {"format": "backlit", "format_version": FORMAT_VERSION, "library_version": library_version()}
    members = {**read_archive(data), "backlit.json": json.dumps(description).encode()}
    if _is_too_long(members["schema.json"]):
        raise ConfigurationError(
            f"{kind} cannot be saved: its description takes more than {SCHEMA_LIMIT // 2**20} MB, so leave out columns "
            "of very many categories"
        )
    return write_archive(members)


def check_finite(net: Network) -> None:
    """Refuse to write a network with NaN or infinity in it, which no file may hold."""
    parameters = net.parameters
    if np.isfinite(parameters.state).all():
        return
    for names, array in ((parameters.names, parameters.view), (parameters.buffer_names, parameters.buffer)):
        for name in names:
            wrong = np.argwhere(~np.isfinite(array(name)))
            if len(wrong):
                place = ", ".join(map(str, wrong[0].tolist()))
                raise ConfigurationError(
                    f"the network cannot be saved, because {name}[{place}] is {array(name)[tuple(wrong[0])]}: "
                    "train it again, with a smaller learning rate"
                )


def read_estimator(data: bytes, name: str) -> Any:
    """The estimator or the pipeline in a file."""
    damaged = f"the model file {name} is damaged"
    try:
        members = read_archive(data)
        if not {"backlit.json", "schema.json"} <= members.keys():
            raise ModelFileError(f"{name} is a zip file, but not a Backlit model")
        about = read_json(members["backlit.json"])
        if not isinstance(about, dict) or about.get("format") != "backlit":
            raise ModelFileError(f"{name} is a zip file, but not a Backlit model")
        check_version(about.get("format_version"), about.get("library_version"), name)
        _check_schema(members, len(data))
    except (ValueError, RecursionError) as error:
        if isinstance(error, BacklitError):
            raise
        raise ModelFileError(f"{damaged} or cut short: {shortened(error, 300)}") from error
    members["schema.json"] = _with_types_where_they_are(members["schema.json"])
    model = _unpacked(stored_archive(members), name)
    try:
        _check_model(model)
    except Exception as error:  # what stands in a hand-made file can fail in any way
        raise ModelFileError(f"{damaged}: {shortened(error, 300)}") from error
    return model


def _is_too_long(schema: bytes) -> bool:
    return len(schema) > SCHEMA_LIMIT or schema.count(b"{") + schema.count(b"[") > _NODE_LIMIT


def _check_schema(members: dict[str, bytes], size: int) -> None:
    """That the schema is no longer than it may be, and that it does not unpack one array very often."""
    schema = members["schema.json"]
    if _is_too_long(schema):
        raise ValueError("its description is too long")
    files: Counter[str] = Counter()

    def count(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        node = no_key_twice(pairs)
        files[str(node.get("file"))] += 1
        return node

    json.loads(schema, object_pairs_hook=count)
    if sum(len(members.get(file, b"")) * times for file, times in files.items()) > ALWAYS + SPREAD_LIMIT * size:
        raise ValueError("it uses its arrays more often than an estimator does")


def _unpacked(data: bytes, name: str) -> Any:
    from skops.io import get_untrusted_types, loads

    try:
        foreign = sorted(set(get_untrusted_types(data=data)) - set(TRUSTED_TYPES))
    except Exception as error:  # a hand-made schema can fail anywhere in skops
        raise ModelFileError(f"the model file {name} is damaged: {shortened(error, 300)}") from error
    if foreign:
        types = shortened(", ".join(foreign), 300)
        raise ModelFileError(f"the model file {name} is not trusted, because it holds {types}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numbers out of range are found by what follows
            return loads(data, trusted=list(TRUSTED_TYPES))
    except Exception as error:
        raise ModelFileError(f"the model file {name} is damaged: {shortened(error, 300)}") from error


def _with_types_where_they_are(schema: bytes) -> bytes:
    """The schema with the modules of `_MOVED` renamed."""
    for old, new in _MOVED.items():
        schema = schema.replace(f'"__module__": "{old}"'.encode(), f'"__module__": "{new}"'.encode())
    return schema


# ── what has been loaded ───────────────────────────────────────────────────────────────────────────────────


def _parts(model: Any) -> Iterator[Any]:
    """Everything that a model is made of, itself first, each once."""
    waiting, seen = [model], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, dict):
            waiting.extend(part.values())
        elif isinstance(part, list | tuple | set):
            waiting.extend(part)
        elif isinstance(part, np.ndarray):
            waiting.extend(part.ravel().tolist() if part.dtype == object else ())
        elif not isinstance(part, Network | type) and _has_parts(part):
            waiting.extend(vars(part).values())


def _has_parts(part: Any) -> bool:
    """Whether its attributes belong to the model: those of a function, a module or somebody's own object do not."""
    library = type(part).__module__.split(".")[0]
    return hasattr(part, "__dict__") and (library in ("backlit", "sklearn") or hasattr(part, "get_params"))


#: What a model does; a pipeline without its steps does none of it.
_WORK: Final = ("predict", "transform", "fit_predict", "fit_transform")


def _check_model(model: Any) -> None:
    """That it is a model, whose networks hold finite numbers and whose estimators of ours predict."""
    from .estimators.base import BaseMLP

    if not hasattr(model, "get_params"):
        raise ValueError("it does not hold an estimator")
    if not any(hasattr(model, work) for work in _WORK):
        raise ValueError("what it holds neither predicts nor transforms")
    parts = list(_parts(model))
    for part in parts:
        if isinstance(part, Network):
            if not np.isfinite(part.parameters.state).all():
                raise ValueError("a network in it has parameters that are not finite")
            check_state(part.layers)
    for part in parts:  # which predict with those networks
        if isinstance(part, BaseMLP):
            part.check_loaded()
