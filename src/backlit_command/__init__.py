"""The program `backlit`: while it loads its libraries, Ctrl-C ends it at once and without a traceback.

It stands outside of `backlit`, because a file inside can run nothing before the whole library is imported.
"""

from __future__ import annotations

import os
import signal
from types import FrameType


def main() -> None:
    """Load the command line, and run it."""
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, _end)
    from backlit.cli import main as command

    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command()


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, b"backlit: interrupted\n")
    os._exit(128 + number)
