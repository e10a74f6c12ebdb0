"""Machine code kept on disk for the next process: Numba's cache, whose files are checked before they are trusted.

Each of its files begins with a digest of the rest. What is cut short, changed or cannot be read or written is left
alone: the code is compiled anew, with the same results, and it is said once.
"""

from __future__ import annotations

import functools
import hashlib
import pickle
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, final

from numba.core.caching import FunctionCache, IndexDataCacheFile

from .. import kinds
from ..exceptions import BacklitWarning
from .math import whole
from .plan import Plan

_DIGEST: Final = 16  # bytes
_Cache: Any = FunctionCache  # without types
_Files: Any = IndexDataCacheFile


def kept(function: Callable[..., Any], plan: Plan) -> Callable[..., Any]:
    """Compiled, and kept on disk for the next process where all its kinds are built in."""
    found: Callable[..., Any] = whole(function, _nrt=False)
    if plan.key is not None:
        keep_or_say(found, (plan.key, _fingerprint()), "the compiled engine compiles", stacklevel=4)
    return found


@functools.cache
def _fingerprint() -> int:
    here, there = Path(__file__).parent, Path(kinds.__file__).parent
    return fingerprint([*sorted(here.glob("*.py")), *sorted(there.glob("*.py"))])


def fingerprint(files: Sequence[Path]) -> int:
    """Of the files that machine code is made of: Numba sees a change in the file of a function alone."""
    return zlib.crc32(b"".join(file.read_bytes() for file in files))


def keep_or_say(dispatcher: Any, key: Any, what: str, *, stacklevel: int = 3) -> None:
    """Keep a function as `keep_on_disk` does; where that cannot be, say what is done in every process."""
    try:
        keep_on_disk(dispatcher, key)
    except RuntimeError:  # Numba looks for a folder to write to: beside this file, or the user's own
        warnings.warn(
            f"{what} anew in every process, as Numba finds no folder to keep its functions in: "
            "set NUMBA_CACHE_DIR to one that can be written",
            BacklitWarning,
            stacklevel=stacklevel,
        )


def keep_on_disk(dispatcher: Any, key: Any = None) -> None:
    """Let a function that Numba compiles be kept; with a key of its own where its code does not tell it from others.

    Raises
    ------
    RuntimeError
        Where Numba finds no folder to write to.
    """
    dispatcher._cache = CheckedCache(dispatcher.py_func, key)


@final
class CheckedCache(_Cache):  # type: ignore[misc]
    """The machine code of one function."""

    def __init__(self, function: Callable[..., Any], key: Any = None) -> None:
        super().__init__(function)
        self._key = key
        # a name of its own: Numba's files have no digest
        name, stamp = self._impl.filename_base, self._impl.locator.get_source_stamp()
        self._cache_file = _CheckedFiles(self._cache_path, f"{name}.checked", stamp)

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        if self._key is None:
            return super()._index_key(sig, codegen)
        return sig, codegen.magic_tuple(), self._key

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep it, where that can be done."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _say(f"cannot be written ({error.strerror})", self._cache_path)


@final
class _CheckedFiles(_Files):  # type: ignore[misc]
    """An index of what is kept, and the data of each, in the form that is checked."""

    def _load_index(self) -> dict[Any, str]:
        found = _read(Path(self._index_path))
        if found is None:
            return {}
        version, stamp, kept = found
        return dict(kept) if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        with self._open_for_write(self._index_path) as file:
            file.write(_checked(self._dump((self._version, self._source_stamp, overloads))))

    def _load_data(self, name: str) -> Any:
        return _read(Path(self._data_path(name)))

    def _save_data(self, name: str, data: Any) -> None:
        with self._open_for_write(self._data_path(name)) as file:
            file.write(_checked(self._dump(data)))


def _checked(data: bytes) -> bytes:
    return _digest(data) + data


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()


def _read(path: Path) -> Any:
    """What a file holds; None where there is none, and where it is not as it was written."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _say(f"cannot be read ({error.strerror})", path)
        return None
    if data[:_DIGEST] != _digest(data[_DIGEST:]):
        _say("is damaged", path)
        return None
    return pickle.loads(data[_DIGEST:])


_said: set[str] = set()


def _say(what: str, path: str | Path) -> None:
    """Warn of one trouble once in a process, however many functions meet it."""
    if what not in _said:
        _said.add(what)
        warnings.warn(
            f"what the compiled engine keeps in {str(path)!r} {what}: it compiles anew, with the same results",
            BacklitWarning,
            stacklevel=2,
        )
