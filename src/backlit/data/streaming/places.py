"""Which files a stream is made of, and that they stay what they are while it is read."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final, final

from ...exceptions import FileMissingError, TableError
from ..tables import TEXT_SUFFIXES

#: Kinds of files that are read in pieces.
SUFFIXES: Final = (*TEXT_SUFFIXES, ".parquet", ".npz", ".npy")


@final
@dataclass(frozen=True)
class Part:
    """A file of a stream, with what its folder said about it when the stream began: size, time, and number."""

    path: Path
    state: tuple[int, int, int]

    @property
    def suffix(self) -> str:
        return self.path.suffix.lower()

    @property
    def size(self) -> int:
        """In bytes."""
        return self.state[0]

    def check_unchanged(self) -> None:
        """Refuse a file that has gone, or has been written to, since the stream began.

        Raises
        ------
        FileMissingError, TableError
        """
        try:
            now = _state(self.path)
        except FileNotFoundError as error:
            raise FileMissingError(
                f"{self.path} has gone while the stream was read: put it back, and begin again"
            ) from error
        except OSError as error:
            raise TableError(f"{self.path} cannot be read: {error.strerror or error}") from error
        if now != self.state:
            raise TableError(f"{self.path} has changed while the stream was read: begin again when nobody writes to it")


def _state(path: Path) -> tuple[int, int, int]:
    about = path.stat()
    return about.st_size, about.st_mtime_ns, about.st_ino


def part_of(path: Path) -> Part:
    """A file as it is now."""
    try:
        return Part(path, _state(path))
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from error


def find_parts(given: str | PathLike[str]) -> list[Part]:
    """The files that a path names: a file, those of a folder, or those that fit a pattern such as ``part-*.parquet``.

    They come in the order of their names, numbers in them by their size: part-2 before part-10. In a folder, names
    that begin with a full stop or an underscore are left out, and so are folders in it.

    Raises
    ------
    FileMissingError
        Nothing of that name, or nothing that fits.
    TableError
        Files of several kinds, or of one that is not read in pieces.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> for k in (10, 2):
    ...     _ = pathlib.Path(folder.name, f"part-{k}.csv").write_text("a,b\\n1,2\\n")
    >>> [part.path.name for part in find_parts(folder.name + "/part-*.csv")]
    ['part-2.csv', 'part-10.csv']
    >>> folder.cleanup()
    """
    text = str(given)
    place = Path(given)
    if place.is_dir():
        inside = (path for path in place.iterdir() if path.is_file() and not path.name.startswith((".", "_")))
        paths = [path for path in inside if path.suffix.lower() in SUFFIXES]
        if not paths:
            raise FileMissingError(f"the folder {text!r} holds no file of a kind that is read in pieces ({_known()})")
    elif place.exists():
        paths = [place]
    else:
        paths = [path for path in map(Path, glob.glob(text)) if path.is_file()]
        if not paths:
            what = "no file fits the pattern" if glob.has_magic(text) else "there is no file or folder"
            raise FileMissingError(f"{what} {text!r}")
    paths.sort(key=lambda path: _natural(path.name))
    _check_kinds(paths)
    return [part_of(path) for path in paths]


def _known() -> str:
    return ", ".join(SUFFIXES)


def _natural(name: str) -> list[tuple[int, int, str]]:
    pieces = re.split(r"(\d+)", name)
    return [(0, int(piece), "") if piece.isdecimal() and piece.isascii() else (1, 0, piece) for piece in pieces]


def _check_kinds(paths: Sequence[Path]) -> None:
    for path in paths:
        if not path.is_file():
            raise TableError(f"{path} is a pipe or a device, which can be read only once: write it into a file first")
        if path.suffix.lower() not in SUFFIXES:
            raise TableError(
                f"{path} cannot be read in pieces, its suffix is {path.suffix!r} ({_known()} can): "
                "convert it to Parquet or CSV, or leave out --stream"
            )
    kinds = {path.suffix.lower() for path in paths}
    if len(kinds) > 1:
        first = paths[0]
        other = next(path for path in paths if path.suffix.lower() != first.suffix.lower())
        raise TableError(f"{first} and {other} are files of two kinds: name those of one, {first.parent!s}/*.csv say")
