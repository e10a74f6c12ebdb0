"""Where results may be written: checked before any work is done, and never over what is read."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..exceptions import ConfigurationError, OutputError

_LONGEST_NAME: Final = 200  # bytes; beside the name stands that of a temporary file
_PICTURES: Final = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".eps", ".ps", ".tif", ".tiff", ".webp")


def check_output(option: str, path: str, *, inputs: Mapping[str, str], others: Mapping[str, str] | None = None) -> None:
    """Refuse a path that cannot be written, that is read by the command, or that another output goes to.

    Parameters
    ----------
    option : str
        What the path was given with: "--out".
    path : str
    inputs, others : mapping of str to str
        What the command reads, and what else it writes: paths by what they are called.

    Raises
    ------
    OutputError
    """
    place = Path(path)
    if not path or "\0" in path:
        raise OutputError(f"{path!r} cannot be written: it names no file")
    if len(os.fsencode(place.name)) > _LONGEST_NAME:
        raise OutputError(f"{path!r} cannot be written: the name is longer than {_LONGEST_NAME} bytes")
    folder = place.resolve().parent
    if place.is_dir():
        raise OutputError(f"{path!r} cannot be written: it is a folder")
    if not folder.is_dir():
        raise OutputError(f"{path!r} cannot be written: there is no folder {str(folder)!r}")
    if place.exists() and not stat.S_ISREG(place.stat().st_mode):
        raise OutputError(f"{path!r} cannot be written: it is a pipe or a device, not a file")
    for what, read in inputs.items():
        if _inside(place, Path(read)):
            raise OutputError(f"{option} {path!r} is {what} that is read: choose another name")
    for name, other in (others or {}).items():
        if _same(place, Path(other)):
            raise OutputError(f"{option} and {name} are both {path!r}: choose another name for one of them")
    probe = folder / f".{place.name}.probe"
    try:
        probe.touch()
        probe.unlink(missing_ok=True)  # another process may look at the same time
    except OSError as error:
        raise OutputError(f"{path!r} cannot be written: {error.strerror}") from error


def check_picture(path: str) -> None:
    """Refuse a picture of a kind that cannot be drawn."""
    if Path(path).suffix.lower() not in _PICTURES:
        raise ConfigurationError(f"--plot must end in one of {', '.join(_PICTURES[:4])}, …, received {path!r}")


def _inside(place: Path, read: Path) -> bool:
    """Whether a file is the one that is read, or one of a folder's that is read."""
    if read.is_dir():
        return place.exists() and any(_same(place, part) for part in read.iterdir())
    return _same(place, read)


def _same(one: Path, other: Path) -> bool:
    """Whether two paths are one file: by identity where both are there, by their places where not."""
    if one.exists() and other.exists():
        return one.samefile(other)
    first, second = one.resolve(), other.resolve()
    if first == second:
        return True
    # in a folder that takes capitals and small letters as the same, two new names may be one
    return (
        not one.exists()
        and not other.exists()
        and first.parent == second.parent
        and first.name.casefold() == second.name.casefold()
    )
