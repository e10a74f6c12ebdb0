"""Zip files of estimators: read within bounds, and nothing of them used before all of it has been checked."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Final

ZIP_MARK: Final = b"PK\x03\x04"
MEMBER_LIMIT: Final = 2**14  # members of a file
SCHEMA_LIMIT: Final = 32 * 2**20  # bytes of JSON that describe the estimator
DESCRIPTION_LIMIT: Final = 2**16  # bytes of JSON that say what the file is
SPREAD_LIMIT: Final = 10  # times the size of the file that it may unpack to, beyond the first `ALWAYS` bytes
ALWAYS: Final = 8 * 2**20

_LIMITS: Final = {"schema.json": SCHEMA_LIMIT, "backlit.json": DESCRIPTION_LIMIT}
_PIECE: Final = 2**20


def read_archive(data: bytes) -> dict[str, bytes]:
    """The members of a zip file by name, each with the right checksum.

    Raises
    ------
    ValueError
        For a file that is damaged, is packed in another way than Backlit's, or unpacks to more than it may.

    Examples
    --------
    >>> read_archive(write_archive({"a": b"1", "b": b"2"}))
    {'a': b'1', 'b': b'2'}
    """
    return _members(data, ALWAYS + SPREAD_LIMIT * len(data), within=False)


def _members(data: bytes, room: int, *, within: bool) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MEMBER_LIMIT:
                raise ValueError(f"it has more than {MEMBER_LIMIT} parts")
            if len({entry.filename for entry in entries}) != len(entries):
                raise ValueError("a part of it stands twice")
            for entry in entries:
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or entry.flag_bits & 1:
                    raise ValueError("a part of it is packed in a way that save does not use")
                limit = min(room, _LIMITS.get(entry.filename, room) if not within else room)
                found[entry.filename] = content = _content(archive, entry, limit)
                room -= len(content)
                if content[:4] == ZIP_MARK:  # arrays within: unpacked later, and so within the same bounds
                    if within:
                        raise ValueError("a part of it is a zip file within a zip file")
                    room -= sum(map(len, _members(content, room, within=True).values()))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError, ValueError) as error:
        raise ValueError(str(error)) from error
    return found


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes:
    """What a member holds; its checksum is compared at its end."""
    pieces, size = [], 0
    with archive.open(entry) as member:
        while piece := member.read(_PIECE):
            size += len(piece)
            if size > limit:
                raise ValueError(f"{entry.filename!r} unpacks to more than {limit} bytes")
            pieces.append(piece)
    if size != entry.file_size:
        raise ValueError(f"{entry.filename!r} is cut short")
    return b"".join(pieces)


def write_archive(members: Mapping[str, bytes]) -> bytes:
    """A zip file of these members, packed where that does not make it one that `read_archive` refuses."""
    size = sum(map(len, members.values()))
    packed = _archive(members, zipfile.ZIP_DEFLATED)
    return packed if size <= ALWAYS + SPREAD_LIMIT * len(packed) else _archive(members, zipfile.ZIP_STORED)


def stored_archive(members: Mapping[str, bytes]) -> bytes:
    """A zip file of these members as they are, to be read at once."""
    return _archive(members, zipfile.ZIP_STORED)


def _archive(members: Mapping[str, bytes], method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return buffer.getvalue()
