"""Saving and loading: networks as safetensors, estimators and pipelines through skops; never pickle.

A network's file is a safetensors file, one tensor for each parameter, whose metadata holds the format version, the
network's description as JSON, the seed and the library version. Nothing in it names code: layers, activations and
losses come from closed lists. What is read is validated before it is trusted.

A file is written beside its name, brought to the disk, and moved into place: after a crash the old one is still there.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from .assembly import parameter_shapes
from .exceptions import BacklitError, ConfigurationError, FileMissingError, ModelFileError, OutputError
from .network import Network
from .parameters import Array
from .typing import Spec

FORMAT_VERSION: Final = 1
TABLE_VERSION: Final = 2  # of the model of a table: a reader of format 1 would not know what to do with it
_HEADER_LIMIT: Final = 16 * 2**20  # bytes of JSON that a network's header may have
_UNPACKED_LIMIT: Final = 4 * 2**30  # bytes that a skops file may unpack to
_DTYPES: Final[dict[str, np.dtype[Any]]] = {"F32": np.dtype("float32"), "F64": np.dtype("float64")}
_ZIP: Final = b"PK\x03\x04"

#: The types, beyond scikit-learn's, NumPy's and SciPy's own, that a saved estimator may hold.
TRUSTED_TYPES: Final = (
    "backlit.data.preparation.Categories",
    "backlit.data.preparation.Dates",
    "backlit.data.preparation.Numbers",
    "backlit.data.preparation.Preparation",
    "backlit.estimators.classifier.MLPClassifier",
    "backlit.estimators.columns.TablePreparation",
    "backlit.estimators.regressor.MLPRegressor",
    "backlit.kinds.optimizers.Adagrad",
    "backlit.kinds.optimizers.Adam",
    "backlit.kinds.optimizers.AdamW",
    "backlit.kinds.optimizers.OptimizerState",
    "backlit.kinds.optimizers.RMSprop",
    "backlit.kinds.optimizers.SGD",
    "backlit.kinds.schedules.CosineDecay",
    "backlit.kinds.schedules.ExponentialDecay",
    "backlit.kinds.schedules.InverseDecay",
    "backlit.kinds.schedules.StepDecay",
    "backlit.network.Network",
    "backlit.training.callbacks.EarlyStopping",
    "backlit.training.callbacks.LearningRateLog",
    "backlit.training.history.History",
    "backlit.training.lbfgs.LBFGS",
    "numpy.dtype",
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
        if int.from_bytes(data[:8], "little") > _HEADER_LIMIT:
            raise ConfigurationError(
                f"the model remembers over {_HEADER_LIMIT // 2**20} MB of categories: leave out columns of long texts"
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


def read_bytes(path: str | os.PathLike[str], what: str) -> bytes:
    """What a file holds; `what` names its kind in the error."""
    place = Path(path)
    try:
        return place.read_bytes()
    except FileNotFoundError as error:
        raise FileMissingError(f"there is no {what} {str(place)!r}") from error
    except OSError as error:
        raise ModelFileError(f"the {what} {str(place)!r} cannot be read: {error.strerror}") from error


def write_bytes(data: bytes, path: str | os.PathLike[str]) -> None:
    """Write a file so that a crash leaves either the old one or the new one, never half of one."""
    place = Path(os.path.realpath(path))
    if place.is_dir():
        raise OutputError(f"{str(path)!r} cannot be written: it is a folder")
    temporary = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


# ── networks ─────────────────────────────────────────────────────────────────────────────────────────────────


def _network_bytes(
    net: Network, arrays: Mapping[str, Array] = MappingProxyType({}), more: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """The file of a network, with further arrays and metadata in it."""
    from safetensors.numpy import save as to_safetensors

    if "own" in net.__getstate__():
        raise ConfigurationError(
            "the network has an activation or a loss of your own, which no file can hold: "
            "save net.parameters.values with numpy.save, and make the network anew"
        )
    tensors = {name: np.ascontiguousarray(net.parameters.view(name)) for name in net.parameters.names}
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
        shapes = parameter_shapes(spec)
        if {key: tuple(entry["shape"]) for key, entry in header.items() if key not in further} != shapes:
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
        net.parameters.view(key)[...] = tensor
    if table is None:
        return net
    from .data.description import described

    try:
        return described(str(table), arrays, net)
    except ModelFileError as error:
        raise ModelFileError(f"the model file {name} is damaged: {error}") from error


def checked_header(data: bytes, name: str) -> dict[str, Any]:
    """The header of a safetensors file: its size, its first byte, no key twice, dtypes, and offsets that fit."""
    damaged = f"{name} is not a Backlit model file, or is damaged"
    length = int.from_bytes(data[:8], "little")
    if len(data) < 10 or length > _HEADER_LIMIT or data[8:9] != b"{":
        raise ModelFileError(f"{damaged}: it does not begin like one")
    if 8 + length > len(data):
        raise ModelFileError(f"{damaged}: it is cut short, {len(data)} bytes where its header alone has {8 + length}")
    try:
        header = json.loads(data[8 : 8 + length], object_pairs_hook=no_key_twice)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{damaged}: its header cannot be read ({error})") from error
    end = 0
    entries = [(key, entry) for key, entry in header.items() if key != "__metadata__"]
    try:
        for key, entry in sorted(entries, key=lambda item: item[1]["data_offsets"]):
            begin, stop = entry["data_offsets"]
            size = _DTYPES[entry["dtype"]].itemsize * math.prod(entry["shape"])
            if not all(type(n) is int and n >= 0 for n in [begin, stop, *entry["shape"]]):
                raise ModelFileError(f"{damaged}: the sizes of {key!r} are not whole numbers")
            if begin != end or stop - begin != size:
                raise ModelFileError(f"{damaged}: the place of {key!r} does not fit its shape")
            end = stop
    except ModelFileError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{damaged}: its header does not describe parameters") from error
    if 8 + length + end != len(data):
        raise ModelFileError(f"{damaged}: it has {len(data)} bytes where its header promises {8 + length + end}")
    return dict(header)


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


def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def check_version(version: Any, library: Any, name: str, newest: int = FORMAT_VERSION) -> None:
    if not (str(version).isascii() and str(version).isdigit()):
        raise ModelFileError(f"the model file {name} is damaged: {version!r} is not a format version")
    if int(version) > newest:
        raise ModelFileError(
            f"the model file {name} has format {version}, written by Backlit {library}: "
            f"this is Backlit {library_version()}, which reads format {newest}; upgrade it"
        )


def library_version() -> str:
    from importlib.metadata import version

    return version("backlit")


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
