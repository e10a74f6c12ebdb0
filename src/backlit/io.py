"""Saving and loading: networks as safetensors, estimators and pipelines through skops; never pickle.

A network's file is a safetensors file, one tensor for each parameter, whose metadata holds the format version, the
network's description as JSON, the seed and the library version. Nothing in it names code: layers, activations and
losses come from closed lists. What is read is validated before it is trusted.

A file is written beside its name, brought to the disk, and moved into place: after a crash the old one is still there.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from .assembly import parameter_shapes
from .exceptions import BacklitError, ConfigurationError, ModelFileError
from .files import (
    FORMAT_VERSION,
    HEADER_LIMIT,
    check_version,
    checked_header,
    library_version,
    no_key_twice,
    read_bytes,
    write_bytes,
)
from .kinds.optimizers import OPTIMIZERS, OptimizerState
from .kinds.schedules import SCHEDULES
from .network import Network
from .parameters import Array
from .typing import Spec

__all__ = ["TRUSTED_TYPES", "load", "read_bytes", "save", "write_bytes"]

TABLE_VERSION: Final = 2  # of the model of a table: a reader of format 1 would not know what to do with it
_UNPACKED_LIMIT: Final = 4 * 2**30  # bytes that a skops file may unpack to
_ZIP: Final = b"PK\x03\x04"

#: The types, beyond scikit-learn's, NumPy's and SciPy's own, that a saved estimator may hold. An optimiser may stand
#: in a file of its own, and is known by the name of the table it is in as well.
TRUSTED_TYPES: Final = (
    "backlit.data.preparation.Categories",
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


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Save a network, an estimator or a pipeline.

    Parameters
    ----------
    model : Network, TableModel, or a scikit-learn estimator or pipeline
    path : str or path
        Any name; ``.backlit`` is customary. What was there before stays until the new file is complete.

    Raises
    ------
    OutputError
        If the path cannot be written.
    ConfigurationError
        If the model holds a user's own functions, which no file can hold, or an unknown type.

    Examples
    --------
    >>> import tempfile, backlit as bl
    >>> net = bl.Network([bl.Dense(2, "tanh")], inputs=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bl.save(net, folder + "/net.backlit")
    ...     again = bl.load(folder + "/net.backlit")
    >>> bool((again.parameters.values == net.parameters.values).all())
    True
    """
    write_bytes(_model_bytes(model), path)


def _model_bytes(model: Any) -> bytes:
    if isinstance(model, Network):
        return _network_bytes(model)
    from .data.description import describe
    from .data.model import TableModel

    if isinstance(model, TableModel):
        text, arrays = describe(model)
        data = _network_bytes(model.network, arrays, {"table": text, "format_version": str(TABLE_VERSION)})
        if int.from_bytes(data[:8], "little") > HEADER_LIMIT:
            raise ConfigurationError(
                f"the model remembers over {HEADER_LIMIT // 2**20} MB of categories: leave out columns of long texts"
            )
        return data
    return _estimator_bytes(model)


def load(path: str | os.PathLike[str]) -> Any:
    """Load what `save` wrote: a network, the model of a table, an estimator or a pipeline.

    Raises
    ------
    FileMissingError
        If there is no such file.
    ModelFileError
        If the file is damaged, cut short, of another format, or made by a newer version.
    """
    data = read_bytes(path, "model file")
    name = repr(str(Path(path)))
    return _read_estimator(data, name) if data[:4] == _ZIP else _read_network(data, name)


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────────────


def _network_bytes(
    net: Network, arrays: Mapping[str, Array] = MappingProxyType({}), more: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """The file of a network, with further arrays and metadata in it."""
    from safetensors.numpy import save as to_safetensors

    if "own" in net.__getstate__():
        raise ConfigurationError(
            "the network has a layer, an activation or a loss of your own, which no file can hold: "
            "save net.parameters.values with numpy.save, and make the network anew"
        )
    parameters = net.parameters
    tensors = {name: np.ascontiguousarray(parameters.view(name)) for name in parameters.names}
    tensors |= {name: np.ascontiguousarray(parameters.buffer(name)) for name in parameters.buffer_names}
    tensors |= arrays
    metadata = {
        "format": "backlit",
        "format_version": str(FORMAT_VERSION),
        "library_version": library_version(),
        "seed": str(net.seed),
        "network": json.dumps(net.spec()),
        **more,
    }
    return bytes(to_safetensors(tensors, metadata))


def _read_network(data: bytes, name: str) -> Any:
    """The network in a file, or the model of a table around it."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_safetensors

    header = checked_header(data, name)
    metadata = header.pop("__metadata__", None)
    spec = _network_spec(metadata, name)
    table = metadata.get("table")
    further = {key for key in header if key.startswith("table.")} if table is not None else set()
    try:
        shapes, buffers = parameter_shapes(spec)
        expected = {**shapes, **buffers}
        if {key: tuple(entry["shape"]) for key, entry in header.items() if key not in further} != expected:
            raise ModelFileError(
                f"the model file {name} is damaged: its parameters do not fit the network it describes"
            )
        net = Network.from_spec(spec)
        tensors = from_safetensors(data)
    except (KeyError, TypeError, ConfigurationError, SafetensorError) as error:
        raise ModelFileError(f"the model file {name} is damaged: {error}") from error
    arrays = {key: tensors.pop(key) for key in further}
    for key, tensor in tensors.items():
        if tensor.dtype != net.dtype or not np.isfinite(tensor).all():
            raise ModelFileError(f"the model file {name} is damaged: {key!r} is not made of finite {net.dtype} numbers")
        parameters = net.parameters
        (parameters.view(key) if key in parameters.names else parameters.buffer(key))[...] = tensor
    if table is None:
        return net
    from .data.description import described

    try:
        return described(str(table), arrays, net)
    except ModelFileError as error:
        raise ModelFileError(f"the model file {name} is damaged: {error}") from error


def _network_spec(metadata: Any, name: str) -> Spec:
    if not isinstance(metadata, Mapping) or metadata.get("format") != "backlit":
        raise ModelFileError(
            f"{name} is a safetensors file, but not a Backlit model: it lacks the metadata that save writes"
        )
    newest = TABLE_VERSION if "table" in metadata else FORMAT_VERSION
    check_version(metadata.get("format_version"), metadata.get("library_version"), name, newest)
    try:
        spec = json.loads(str(metadata["network"]), object_pairs_hook=no_key_twice)
    except (KeyError, ValueError, RecursionError) as error:
        raise ModelFileError(f"the model file {name} is damaged: the network's description cannot be read") from error
    if not isinstance(spec, dict):
        raise ModelFileError(f"the model file {name} is damaged: the network's description is not a JSON object")
    return spec


# ── estimators and pipelines ─────────────────────────────────────────────────────────────────────────────────


def _estimator_bytes(model: Any) -> bytes:
    from skops.io import dumps, get_untrusted_types

    if not hasattr(model, "get_params"):
        raise ConfigurationError(
            f"a model to save is a Network or a scikit-learn estimator or pipeline, received {type(model).__name__}"
        )
    try:
        data: bytes = dumps(model, compression=zipfile.ZIP_DEFLATED)
    except Exception as error:  # skops raises many kinds for what it cannot hold
        raise ConfigurationError(f"{type(model).__name__} cannot be saved: {error}") from error
    foreign = sorted(set(get_untrusted_types(data=data)) - set(TRUSTED_TYPES))
    if foreign:
        raise ConfigurationError(
            f"{type(model).__name__} cannot be saved, because it holds {', '.join(foreign)}: "
            "functions and types of your own have no place in a file"
        )
    description = {"format": "backlit", "format_version": FORMAT_VERSION, "library_version": library_version()}
    buffer = BytesIO(data)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("backlit.json", json.dumps(description))
    return buffer.getvalue()


def _read_estimator(data: bytes, name: str) -> Any:
    damaged = f"the model file {name} is damaged"
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _UNPACKED_LIMIT:
                raise ModelFileError(f"{damaged}: it would unpack to more than {_UNPACKED_LIMIT // 2**30} GB")
            if len({entry.filename for entry in archive.infolist()}) != len(archive.infolist()):
                raise ModelFileError(f"{damaged}: a part of it stands twice")
            if "backlit.json" not in archive.namelist() or "schema.json" not in archive.namelist():
                raise ModelFileError(f"{name} is a zip file, but not a Backlit model")
            description = json.loads(archive.read("backlit.json"))
            if not isinstance(description, dict) or description.get("format") != "backlit":
                raise ModelFileError(f"{name} is a zip file, but not a Backlit model")
            check_version(description.get("format_version"), description.get("library_version"), name)
            if archive.testzip() is not None:
                raise ModelFileError(f"{damaged}: a part of it does not match its checksum")
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RecursionError, EOFError) as error:
        if isinstance(error, BacklitError):
            raise
        raise ModelFileError(f"{damaged} or cut short ({error})") from error
    return _unpack(data, name)


def _unpack(data: bytes, name: str) -> Any:
    from skops.io import get_untrusted_types, loads

    try:
        data = _with_types_where_they_are(data)
        foreign = sorted(set(get_untrusted_types(data=data)) - set(TRUSTED_TYPES))
    except Exception as error:  # a hand-made schema can fail anywhere in skops
        raise ModelFileError(f"the model file {name} is damaged: {error}") from error
    if foreign:
        raise ModelFileError(f"the model file {name} is not trusted, because it holds {', '.join(foreign)}")
    try:
        return loads(data, trusted=list(TRUSTED_TYPES))
    except Exception as error:
        raise ModelFileError(f"the model file {name} is damaged: {error}") from error


def _with_types_where_they_are(data: bytes) -> bytes:
    """The file with the modules of `_MOVED` renamed; the very same where there are none."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        schema = archive.read("schema.json")
        renamed = schema
        for old, new in _MOVED.items():
            renamed = renamed.replace(f'"__module__": "{old}"'.encode(), f'"__module__": "{new}"'.encode())
        if renamed == schema:
            return data
        buffer = BytesIO()
        with zipfile.ZipFile(buffer, "w") as copied:
            for name in archive.namelist():
                copied.writestr(name, renamed if name == "schema.json" else archive.read(name))
    return buffer.getvalue()
