"""The command line: train, tune, evaluate, predict, explain, check, diagnose, inspect, lab, export, learn and demo."""

from __future__ import annotations

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, Final

from cyclopts import App, CycloptsError

from ..exceptions import BacklitError
from . import processes, show

_COMMANDS: Final = {
    "train:train": "Train a network on a table or on images, and save it.",
    "tune:tune": "Try settings out on a table, and train a model with the best of them.",
    "apply:evaluate": "Measure a saved model on a file that holds the target too.",
    "apply:predict": "Predict every row of a file, and write the predictions as CSV.",
    "explain:explain": "Show what one step of back-propagation does with one row, and why.",
    "apply:check": "Check back-propagation of a saved model against finite differences.",
    "inspect:inspect": "Say how a table will be read, column by column, before anything is trained on it.",
    "diagnose:diagnose": "Name the mistake in gradients of your own.",
    "lab:lab": "Open a page on which a network trains live, and every number can be opened.",
    "export:export": "Write a saved model as ONNX, or as one plain NumPy script.",
    "learn:learn": "Back-propagation in eight lessons, as notebooks with exercises that are checked.",
}


def make_app() -> App:
    """The application with its commands."""
    from importlib.metadata import version

    app = App(
        name="backlit",
        version=version("backlit"),
        help="Train small neural networks on your data, and see what back-propagation did.",
        suppress_keyboard_interrupt=False,  # `run` says in one line what has happened
    )
    # The files of the commands load large libraries: each is imported when its command is called.
    for place, text in _COMMANDS.items():
        app.command(f"backlit.cli.{place}", help=text)
    app.command(
        "backlit.cli.demo:app",
        name="demo",
        help="Five small systems, trained as their write-ups have them, exact to the digit.",
    )
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what is wrong becomes one line on stderr and exit code 2."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code.

    Examples
    --------
    >>> run(["--version"])
    0.1.0
    0
    """
    warnings.showwarning = _one_line_warning
    show.as_the_terminal_can()
    try:
        processes.begin(arguments)
        make_app()(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()  # here a reader that has gone is no traceback
    except show.Ended as end:
        return _fail(end, end.lines, end.code)
    except (CycloptsError, BacklitError) as error:
        return _fail(error, [str(error)])
    except KeyboardInterrupt as error:
        return _fail(error, ["interrupted"], 130)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): not an error, and nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except SystemExit as end:
        if not isinstance(end.__context__, BrokenPipeError):  # rich's way of saying the same
            raise
    except Exception as error:
        if os.environ.get("BACKLIT_TRACEBACK"):
            raise
        return _fail(error, [_unexpected(error)])
    show.release()
    return 0


def _unexpected(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EFBIG):
        return f"what is to be shown cannot be written: {error.strerror}"
    return f"unexpected {type(error).__name__}: {error} (BACKLIT_TRACEBACK=1 shows where)"


def _fail(error: BaseException, lines: Sequence[str], code: int = 2) -> int:
    show.release(shown=False)
    processes.end(error, lines, code)
    sys.stderr.writelines(f"backlit: {show.plain(' '.join(line.split()))}\n" for line in lines)
    return code


def _one_line_warning(message: Any, category: Any, *place: Any, **more: Any) -> None:
    show.note(str(message))
