"""What people see: remarks, the table of results. With --json it all goes to stderr.

Text that is not ours (names of columns, labels, files, what a model file says) is shown as text: nothing in it is
markup, and no control character reaches the terminal.
"""

from __future__ import annotations

import codecs
import json
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, final

import numpy as np

from ..network import Network
from ..training.callbacks import Callback, Training

if TYPE_CHECKING:
    from rich.console import Console

_STDERR: Final = 2  # the file descriptor
_PERCENT: Final = ("accuracy", "balanced_accuracy")
_SHOWN: Final = {
    "→": "->",
    "×": "x",
    "·": ".",
    "…": "...",
    "—": "-",
    "–": "-",
    "−": "-",
    "≤": "<=",
    "²": "^2",
    "█": "#",
}


class Ended(Exception):
    """The command ends early, with these words on stderr, a line each, and this exit code."""

    def __init__(self, code: int, *lines: str) -> None:
        super().__init__(*lines)
        self.code = code
        self.lines = lines


def plain(text: str) -> str:
    """Text of others on one line, its control characters and those that turn the direction of writing made visible.

    Examples
    --------
    >>> plain("a\\x1b[31mb\\nc [red]")
    'a\\\\x1b[31mb\\\\nc [red]'
    """
    if text.isprintable():
        return text
    return "".join(
        repr(sign)[1:-1] if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") else sign
        for sign in text
    )


def console(as_json: bool = False) -> Console:
    """Where people read: stdout, or stderr when stdout is for JSON."""
    from rich.console import Console

    return Console(stderr=as_json, highlight=False, soft_wrap=True)


def as_the_terminal_can() -> None:
    """Let signs that the terminal's encoding lacks be written as others, not end the command."""
    codecs.register_error("backlit", _replaced)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and "utf" not in (stream.encoding or "").lower():
            stream.reconfigure(errors="backlit")


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_SHOWN.get(sign, "?") for sign in error.object[error.start : error.end]), error.end


_held: list[str] = []


def remark(text: str) -> None:
    """Hold a line about something that was decided or noticed; `release` shows it.

    Where the data cannot be used after all, the error is the one line that people get.
    """
    _held.append(text)


def release(*, shown: bool = True) -> None:
    """Print the lines held so far on stderr, or forget them."""
    for text in _held:
        if shown:
            note(text)
    _held.clear()


@final
class ReleaseRemarks(Callback):
    """Shows the remarks held so far when training begins: by then data and settings are known to be good."""

    def on_fit_begin(self, training: Training) -> None:
        release()


def note(text: str) -> None:
    """Print one line on stderr at once."""
    from rich.text import Text

    words = plain(" ".join(text.split()))
    console(as_json=True).print(Text("note: ", style="yellow") + Text(words))


def line(out: Console, text: str) -> None:
    """Print one line as it stands."""
    from rich.text import Text

    out.print(Text("\n".join(plain(part) for part in text.split("\n"))))


@contextmanager
def others_silent(silent: bool) -> Iterator[None]:
    """Keep from the terminal what libraries write past Python: where polars panics, its traceback before the error."""
    sys.stderr.flush()
    try:
        kept = os.dup(_STDERR) if silent else None
    except OSError:  # the process was started without one
        kept = None
    if kept is None:
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), _STDERR)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, _STDERR)
        os.close(kept)


@contextmanager
def reading(file: str) -> Iterator[Callable[[float], None] | None]:
    """A line on a terminal's stderr that says how much of a file has been read, gone when it is."""
    if not sys.stderr.isatty():
        yield None
        return
    started = last = time.monotonic()
    name = plain(Path(file).name)
    terminal = _apart(sys.stderr)

    def progress(share: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - started > 0.5 and now - last > 0.1:
            last = now
            terminal.write(f"\r\x1b[Kreading {name}: {100 * share:.0f} %")
            terminal.flush()

    try:
        yield progress
    finally:
        if last > started:
            terminal.write("\r\x1b[K")
            terminal.flush()
        if terminal is not sys.stderr:
            terminal.close()


def _apart(stream: TextIO) -> TextIO:
    """The same terminal by a descriptor of its own, as the usual one may be silenced; the stream itself without one."""
    try:
        return os.fdopen(os.dup(stream.fileno()), "w", encoding=stream.encoding, errors="replace")
    except OSError:
        return stream


@contextmanager
def waiting(what: str, needed: bool = True) -> Iterator[None]:
    """A line on a terminal's stderr while something slow is done, gone when it is."""
    shown = needed and sys.stderr.isatty()
    if shown:
        sys.stderr.write(f"{plain(what)} …")
        sys.stderr.flush()
    try:
        yield
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")


def facts(out: Console, rows: Mapping[str, str]) -> None:
    """A list of names and values."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    for name, value in rows.items():
        table.add_row(Text(plain(name)), Text(plain(value)))
    out.print(table)


def metrics(out: Console, sets: Mapping[str, Mapping[str, float]]) -> None:
    """The results: one row for each set of data, one column for each metric."""
    names = list(dict.fromkeys(name for values in sets.values() for name in values))
    rows = [[label, *(formatted(name, values.get(name)) for name in names)] for label, values in sets.items()]
    _table(out, ["", *(name.replace("_", " ") for name in names)], rows)


def confusion(out: Console, counts: Sequence[Sequence[int]], labels: Sequence[str]) -> None:
    """The confusion matrix: the class of a row down, the class predicted across."""
    rows = [[label, *(f"{count:,}" for count in line)] for label, line in zip(labels, counts, strict=True)]
    _table(out, ["class ↓  predicted →", *labels], rows)


def _table(out: Console, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for i, name in enumerate(head):
        table.add_column(Text(plain(name)), justify="right" if i else "left")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    out.print(table)


def formatted(name: str, value: float | None) -> str:
    """A metric as people write it; a small one keeps its digits.

    Examples
    --------
    >>> formatted("accuracy", 0.9754), formatted("loss", 0.08123), formatted("rmse", 1234.5), formatted("loss", 1.23e-5)
    ('97.54 %', '0.0812', '1234', '0.000012')
    """
    if value is None:
        return ""
    if name in _PERCENT:
        return f"{100 * value:.2f} %"
    if value == 0.0 or 0.001 <= abs(value) < 10:
        return f"{value:.4f}"
    if abs(value) >= 10:
        return f"{value:.4g}"
    return np.format_float_positional(float(f"{value:.2g}")) if abs(value) >= 1e-6 else f"{value:.2g}"


def network_text(net: Network) -> str:
    """The network in one line: ``784 → 128 relu → 10 softmax (101,770 parameters)``."""
    parts = [str(net.inputs), *(layer.title for layer in net.layers)]
    return f"{' → '.join(parts)} ({net.parameters.size:,} parameters)"


def print_json(result: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    write(json.dumps(result, ensure_ascii="utf" not in (sys.stdout.encoding or "").lower()) + "\n")


def write(text: str) -> None:
    """Data for other programs on stdout: UTF-8, as it is; on a terminal, as what can be shown there."""
    if sys.stdout.isatty():
        text = "\n".join(plain(part) for part in text.split("\n"))
    raw = getattr(sys.stdout, "buffer", None)
    if raw is None or "utf" in (sys.stdout.encoding or "").lower():
        sys.stdout.write(text)
    else:
        sys.stdout.flush()
        raw.write(text.encode())
    sys.stdout.flush()


def size_text(path: str | Path) -> str:
    """The size of a file: ``94 kB``."""
    size = Path(path).stat().st_size
    return f"{size / 1000:,.0f} kB" if size < 1e6 else f"{size / 1e6:,.1f} MB"
