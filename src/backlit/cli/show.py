"""What people see: remarks, the table of results. With --json it all goes to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..network import Network
from ..training.callbacks import Callback, Training


def console(as_json: bool = False) -> Console:
    """Where people read: stdout, or stderr when stdout is for JSON."""
    return Console(stderr=as_json, highlight=False, soft_wrap=True)


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
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        Text("note: ", style="yellow") + Text(" ".join(text.split()))
    )


def facts(out: Console, rows: Mapping[str, str]) -> None:
    """A list of names and values."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column()
    for name, value in rows.items():
        table.add_row(name, Text(value))
    out.print(table)


def metrics(out: Console, sets: Mapping[str, Mapping[str, float]]) -> None:
    """The results: one row for each set of data, one column for each metric."""
    names = list(dict.fromkeys(name for values in sets.values() for name in values))
    table = Table()
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for label, values in sets.items():
        table.add_row(label, *(formatted(name, values.get(name)) for name in names))
    out.print(table)


def formatted(name: str, value: float | None) -> str:
    """A metric as people write it.

    Examples
    --------
    >>> formatted("accuracy", 0.9754), formatted("loss", 0.08123), formatted("rmse", 1234.5)
    ('97.54 %', '0.0812', '1234')
    """
    if value is None:
        return ""
    if name == "accuracy":
        return f"{100 * value:.2f} %"
    return f"{value:.4f}" if abs(value) < 10 else f"{value:.4g}"


def network_text(net: Network) -> str:
    """The network in one line: ``784 → 128 relu → 10 softmax (101,770 parameters)``."""
    parts = [str(net.inputs), *(layer.title for layer in net.layers)]
    return f"{' → '.join(parts)} ({net.parameters.size:,} parameters)"


def print_json(result: Mapping[str, Any]) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def size_text(path: str | Path) -> str:
    """The size of a file: ``94 kB``."""
    size = Path(path).stat().st_size
    return f"{size / 1000:,.0f} kB" if size < 1e6 else f"{size / 1e6:,.1f} MB"
