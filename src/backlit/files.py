"""Files: written whole or not at all, and what they hold checked before it is trusted.

A file is written beside its name, brought to the disk, and moved into place: after a crash the old one is still there.
What is read stays within bounds (`docs/reliability.md` has them) that are checked before anything is made of it.
"""

from __future__ import annotations

import io
import json
import math
import os
import platform
import re
import secrets
import stat
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from .exceptions import BacklitError, ConfigurationError, FileMissingError, ModelFileError, OutputError

FORMAT_VERSION: Final = 1
HEADER_LIMIT: Final = 16 * 2**20  # bytes of JSON that a header may have
BRACKET_LIMIT: Final = 2**17  # lists and objects in a header: they cost more memory than other text
SIZE_LIMIT: Final = 2**40  # any size is below it: of an array, or of a side of one
_SIDES: Final = 8  # of an array's shape
_DTYPES: Final[dict[str, np.dtype[Any]]] = {"F32": np.dtype("float32"), "F64": np.dtype("float64")}
_PART: Final = re.compile(r"\.[0-9a-f]{8}-([1-9][0-9]{0,9})-[0-9a-f]{8}\.part")


def read_bytes(path: str | os.PathLike[str], what: str) -> bytes:
    """What a regular file holds; `what` names its kind in the error.

    A pipe or a device is refused: it has no end that is known, and cannot be read twice.
    """
    place = Path(path)
    try:
        # opening a pipe must not wait for somebody to write into it
        opened = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(opened, "rb") as file:
            about = os.fstat(opened)
            if not stat.S_ISREG(about.st_mode):
                raise ModelFileError(f"the {what} {str(place)!r} cannot be read: it is a pipe or a device, not a file")
            return file.read(about.st_size)
    except FileNotFoundError as error:
        raise FileMissingError(f"there is no {what} {str(place)!r}") from error
    except (OSError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"the {what} {str(place)!r} cannot be read: {_reason(error)}") from error
    except MemoryError as error:
        raise ModelFileError(f"the {what} {str(place)!r} does not fit into memory") from error


def _reason(error: OSError | ValueError) -> str:
    """Of a failure; a name with a NUL in it is a ValueError."""
    return str(error.strerror if isinstance(error, OSError) and error.strerror else error)


def write_bytes(data: bytes | Iterable[bytes | memoryview], path: str | os.PathLike[str]) -> None:
    """Write a file, or its pieces, so that a crash leaves either the old one or the new one, never half of one.

    A file that is replaced leaves its permissions to the new one. What processes that are dead left half-written in the
    folder is removed. Pieces may be made while the file is written: after an error in one of them the old file stays.
    """
    try:
        place = Path(os.path.realpath(path))
        before = place.stat() if place.exists() else None
    except (OSError, ValueError) as error:
        raise OutputError(f"{str(path)!r} cannot be written: {_reason(error)}") from error
    if before is not None and not stat.S_ISREG(before.st_mode):
        kind = "a folder" if stat.S_ISDIR(before.st_mode) else "a pipe or a device"
        raise OutputError(f"{str(path)!r} cannot be written: it is {kind}")
    mode = 0o666 if before is None else stat.S_IMODE(before.st_mode)
    temporary = place.with_name(f".{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with open(os.open(temporary, flags, mode), "wb") as file:
            if before is not None:
                os.chmod(temporary, mode)  # the umask has no say in it
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, place)
        if os.name == "posix":
            folder = os.open(place.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, BacklitError):  # of a piece: a file to read has gone, say
            raise
        raise OutputError(f"{str(path)!r} cannot be written: {error.strerror}") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _remove_parts_of_the_dead(place.parent)


def name_twice(path: Path, other: Path) -> None:
    """Give a file a second name, in the place of whatever had it: at every moment both names are of whole files.

    Where the disk knows no second names, it is copied.

    Raises
    ------
    OutputError
    """
    temporary = path.with_name(f".{_machine()}-{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        os.link(path, temporary)
        os.replace(temporary, other)
        temporary.unlink(missing_ok=True)  # a name of the same file is not replaced
    except OSError:
        temporary.unlink(missing_ok=True)
        write_bytes(read_bytes(path, "file"), other)


def write_picture(figure: Any, path: str | os.PathLike[str], dpi: float = 120) -> None:
    """Write a figure of matplotlib's in the same way; the ending of the name says what kind of picture."""
    drawn = io.BytesIO()
    try:
        figure.savefig(drawn, format=Path(path).suffix[1:].lower(), dpi=dpi)
    except ValueError as error:
        raise OutputError(f"{str(path)!r} cannot be written: {error}") from error
    write_bytes(drawn.getvalue(), path)


def _machine() -> str:
    """Eight letters for this machine: in a shared folder, the processes of another one cannot be asked for."""
    return f"{zlib.crc32(platform.node().encode()):08x}"


def _remove_parts_of_the_dead(folder: Path) -> None:
    """Remove the half-written files of processes of this machine that are gone."""
    if os.name != "posix":
        return
    try:
        parts = [entry.name for entry in os.scandir(folder) if entry.name.startswith(f".{_machine()}-")]
    except OSError:
        return  # a folder that can be written into, but not listed
    for name in parts:
        found = _PART.fullmatch(name)
        if found and not _is_alive(int(found[1])):
            try:
                (folder / name).unlink(missing_ok=True)
            except OSError:
                continue  # somebody else's


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True  # it is there, and another user's
    return True


def checked_header(data: bytes, name: str) -> dict[str, Any]:
    """The header of a safetensors file: its size, its first byte, no key twice, dtypes, and offsets that fit."""
    damaged = f"{name} is not a Backlit model file, or is damaged"
    length = int.from_bytes(data[:8], "little")
    if len(data) < 10 or length > HEADER_LIMIT or data[8:9] != b"{":
        raise ModelFileError(f"{damaged}: it does not begin like one")
    if 8 + length > len(data):
        raise ModelFileError(f"{damaged}: it is cut short, {len(data)} bytes where its header alone has {8 + length}")
    try:
        header = read_json(data[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{damaged}: its header cannot be read ({error})") from error
    try:
        metadata = header.get("__metadata__", {})
        if not all(isinstance(text, str) for text in metadata.values()):
            raise ModelFileError(f"{damaged}: its metadata is not made of texts")
        entries = [(_place(entry), key) for key, entry in header.items() if key != "__metadata__"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, ModelFileError):
            raise
        raise ModelFileError(f"{damaged}: its header does not describe parameters ({error})") from error
    end = 0
    for (begin, stop, size), key in sorted(entries):
        if begin != end or stop - begin != size:
            raise ModelFileError(f"{damaged}: the place of {shortened(key)!r} does not fit its shape")
        end = stop
    if 8 + length + end != len(data):
        raise ModelFileError(f"{damaged}: it has {len(data)} bytes where its header promises {8 + length + end}")
    return dict(header)


def _place(entry: dict[str, Any]) -> tuple[int, int, int]:
    """Where an array of a header begins and ends, and how many bytes its shape and dtype ask for."""
    shape, offsets = entry["shape"], entry["data_offsets"]
    if type(shape) is not list or type(offsets) is not list or len(shape) > _SIDES or len(offsets) != 2:
        raise ValueError("a shape or a place is not a short list")
    if not all(type(n) is int and 0 <= n < SIZE_LIMIT for n in [*shape, *offsets]):
        raise ValueError(f"sizes are not whole numbers from 0 to below {SIZE_LIMIT}")
    begin, stop = offsets
    return begin, stop, _DTYPES[entry["dtype"]].itemsize * math.prod(shape)


def tensor_file(arrays: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, str]) -> list[bytes | memoryview]:
    """The pieces of a safetensors file: its header, and the arrays as they are, of which no copy is made.

    Examples
    --------
    >>> header, numbers = tensor_file({"a": np.zeros(2, np.float32)}, {"format": "mine"})
    >>> header[8:].strip()
    b'{"__metadata__":{"format":"mine"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'

    Raises
    ------
    ConfigurationError
        If the header is longer than `checked_header` reads.
    """
    names = {dtype: name for name, dtype in _DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    pieces: list[bytes | memoryview] = []
    end = 0
    for key, array in sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0])):
        begin, end = end, end + array.nbytes
        header[key] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": [begin, end]}
        if array.size:
            pieces.append(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the numbers stand where a processor wants them
    if len(text) > HEADER_LIMIT or _brackets(text) > BRACKET_LIMIT:
        raise ConfigurationError(
            f"the model remembers more than {HEADER_LIMIT // 2**20} MB of classes and categories: leave out columns of "
            "long texts"
        )
    return [len(text).to_bytes(8, "little") + text, *pieces]


def _brackets(text: bytes) -> int:
    return text.count(b"[") + text.count(b"{")


def arrays_in(data: bytes, header: dict[str, Any]) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """The arrays of a file whose header has been checked: read-only views of its bytes."""
    start = 8 + int.from_bytes(data[:8], "little")
    found = {}
    for key, entry in header.items():
        count = math.prod(entry["shape"])
        place = start + entry["data_offsets"][0] if count else 0
        dtype = _DTYPES[entry["dtype"]]
        array = np.frombuffer(data, dtype.newbyteorder("<"), count, place) if count else np.empty(0, dtype)
        # a header may have any length, and then the numbers behind it do not stand where a processor wants them
        found[key] = np.require(array.reshape(entry["shape"]), dtype, "A")
    return found


def read_json(text: bytes | str) -> Any:
    """What a JSON text holds, no key twice.

    Raises
    ------
    ValueError
        For what is no JSON, and for more than `HEADER_LIMIT` of it or more than `BRACKET_LIMIT` lists and objects.
    """
    raw = text.encode() if isinstance(text, str) else text
    if len(raw) > HEADER_LIMIT or _brackets(raw) > BRACKET_LIMIT:
        raise ValueError(f"it has more than {HEADER_LIMIT // 2**20} MB of text or {BRACKET_LIMIT} brackets")
    return json.loads(text, object_pairs_hook=no_key_twice)


def shortened(text: Any, length: int = 60) -> str:
    """What comes from a file, for a message of one line."""
    found = "".join(letter if letter.isprintable() else " " for letter in str(text)[: length + 1])
    return found if len(found) <= length else f"{found[:length]}…"


def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def check_version(version: Any, library: Any, name: str, newest: int = FORMAT_VERSION) -> None:
    digits = str(version) if type(version) in (str, int) else ""
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise ModelFileError(f"the model file {name} is damaged: {shortened(digits)!r} is not a format version")
    if int(digits) > newest:
        raise ModelFileError(
            f"the model file {name} has format {digits}, written by Backlit {shortened(library)}: "
            f"this is Backlit {library_version()}, which reads format {newest}; upgrade it"
        )
    if int(digits) < 1:
        raise ModelFileError(f"the model file {name} is damaged: {digits!r} is not a format version")


def library_version() -> str:
    from importlib.metadata import version

    return version("backlit")
