"""The command line: `backlit train`, `evaluate`, `predict`, `check`, `demo`."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError

from ..exceptions import BacklitError
from . import show


def make_app() -> App:
    """The application with its commands; each is imported when it is called."""
    from importlib.metadata import version

    app = App(
        name="backlit",
        version=version("backlit"),
        help="Train small neural networks on your data, and see what back-propagation did.",
    )
    app.command("backlit.cli.train:train")
    app.command("backlit.cli.apply:evaluate")
    app.command("backlit.cli.apply:predict")
    app.command("backlit.cli.apply:check")
    app.command("backlit.cli.demo:app", name="demo")
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
    try:
        make_app()(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, BacklitError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): not an error, and nothing more can be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if os.environ.get("BACKLIT_TRACEBACK"):
            raise
        return _fail(f"unexpected {type(error).__name__}: {error} (BACKLIT_TRACEBACK=1 shows where)")
    return 0


def _fail(message: str, code: int = 2) -> int:
    sys.stderr.write(f"backlit: {' '.join(message.split())}\n")
    return code


def _one_line_warning(message: Any, category: Any, *place: Any, **more: Any) -> None:
    show.remark(str(message))
