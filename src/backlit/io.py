"""Saving and loading: networks as safetensors, estimators and pipelines through skops; never pickle.

A network's file is a safetensors file, one tensor for each parameter, whose metadata holds the format version, the
network's description as JSON, the seed and the library version. Nothing in it names code: layers, activations and
losses come from closed lists. What is read is validated before it is trusted.

A file is written beside its name, brought to the disk, and moved into place: after a crash the old one is still there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from .archives import ZIP_MARK
from .assembly import check_spec, check_state, number_of_values, parameter_shapes
from .estimator_file import TRUSTED_TYPES, check_finite, estimator_bytes, read_estimator
from .exceptions import BacklitError, ConfigurationError, ModelFileError
from .files import (
    FORMAT_VERSION,
    arrays_in,
    check_version,
    checked_header,
    library_version,
    read_bytes,
    read_json,
    shortened,
    tensor_file,
    write_bytes,
)
from .network import Network
from .parameters import Array
from .typing import Spec

__all__ = ["TRUSTED_TYPES", "load", "read_bytes", "save", "write_bytes"]

#: Of the model of a table: a reader of format 1 would not know what to do with it, one of 2 not of clipped numbers.
TABLE_VERSION: Final = 3


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
    write_bytes(_pieces(model), path)


def _pieces(model: Any) -> bytes | list[bytes | memoryview]:
    if isinstance(model, Network):
        return _network_file(model)
    from .data.description import describe
    from .data.model import TableModel

    if isinstance(model, TableModel):
        text, arrays = describe(model)
        return _network_file(model.network, arrays, {"table": text, "format_version": str(TABLE_VERSION)})
    return estimator_bytes(model)


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
    return read_estimator(data, name) if data[:4] == ZIP_MARK else _read_network(data, name)


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────────────


def _network_file(
    net: Network, arrays: Mapping[str, Array] = MappingProxyType({}), more: Mapping[str, str] = MappingProxyType({})
) -> list[bytes | memoryview]:
    """The pieces of a network's file, with further arrays and metadata in it."""
    if net.has_own():
        raise ConfigurationError(
            "the network has a layer, an activation, a loss or a schedule of your own, which no file can hold: "
            "save net.parameters.values with numpy.save, and make the network anew"
        )
    check_spec(net.spec())
    check_finite(net)
    parameters = net.parameters
    tensors = {name: parameters.view(name) for name in parameters.names}
    tensors |= {name: parameters.buffer(name) for name in parameters.buffer_names}
    tensors |= arrays
    metadata = {
        "format": "backlit",
        "format_version": str(FORMAT_VERSION),
        "library_version": library_version(),
        "seed": str(net.seed),
        "network": json.dumps(net.spec()),
        **more,
    }
    return tensor_file(tensors, metadata)


def _read_network(data: bytes, name: str) -> Any:
    """The network in a file, or the model of a table around it."""
    header = checked_header(data, name)
    metadata = header.pop("__metadata__", None)
    spec = _network_spec(metadata, name)
    table = metadata.get("table")
    further = {key for key in header if key.startswith("table.")} if table is not None else set()
    try:
        check_spec(spec)
        shapes, buffers = parameter_shapes(spec)
        expected = {**shapes, **buffers}
        if {key: tuple(entry["shape"]) for key, entry in header.items() if key not in further} != expected:
            raise ModelFileError("its parameters do not fit the network it describes")
        tensors = arrays_in(data, header)
        net = Network.from_spec(spec, np.broadcast_to(0.0, number_of_values((shapes, buffers))))
        _fill(net, tensors)
        if table is None:
            return net
        from .data.description import described

        return described(str(table), {key: tensors[key] for key in further}, net)
    except (BacklitError, OverflowError) as error:
        raise ModelFileError(f"the model file {name} is damaged: {shortened(error, 300)}") from error


def _fill(net: Network, tensors: Mapping[str, Array]) -> None:
    parameters = net.parameters
    views = {name: parameters.view(name) for name in parameters.names}
    views |= {name: parameters.buffer(name) for name in parameters.buffer_names}
    for key, view in views.items():
        if tensors[key].dtype != net.dtype or not np.isfinite(tensors[key]).all():
            raise ModelFileError(f"{key!r} is not made of finite {net.dtype} numbers")
        view[...] = tensors[key]
    check_state(net.layers)


def _network_spec(metadata: Any, name: str) -> Spec:
    if not isinstance(metadata, Mapping) or metadata.get("format") != "backlit":
        raise ModelFileError(
            f"{name} is a safetensors file, but not a Backlit model: it lacks the metadata that save writes"
        )
    newest = TABLE_VERSION if "table" in metadata else FORMAT_VERSION
    check_version(metadata.get("format_version"), metadata.get("library_version"), name, newest)
    try:
        spec = read_json(metadata["network"])
    except (KeyError, ValueError, RecursionError) as error:
        raise ModelFileError(f"the model file {name} is damaged: the network's description cannot be read") from error
    if not isinstance(spec, dict):
        raise ModelFileError(f"the model file {name} is damaged: the network's description is not a JSON object")
    return spec
