"""Files: written whole or not at all, and the header of a safetensors file checked before it is trusted.

A file is written beside its name, brought to the disk, and moved into place: after a crash the old one is still there.
"""

from __future__ import annotations

import json
import math
import os
import secrets
from pathlib import Path
from typing import Any, Final

import numpy as np

from .exceptions import FileMissingError, ModelFileError, OutputError

FORMAT_VERSION: Final = 1
HEADER_LIMIT: Final = 16 * 2**20  # bytes of JSON that a header may have
_DTYPES: Final[dict[str, np.dtype[Any]]] = {"F32": np.dtype("float32"), "F64": np.dtype("float64")}


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


def checked_header(data: bytes, name: str) -> dict[str, Any]:
    """The header of a safetensors file: its size, its first byte, no key twice, dtypes, and offsets that fit."""
    damaged = f"{name} is not a Backlit model file, or is damaged"
    length = int.from_bytes(data[:8], "little")
    if len(data) < 10 or length > HEADER_LIMIT or data[8:9] != b"{":
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
