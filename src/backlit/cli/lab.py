"""`backlit lab`: a page on which a network trains, and every number can be opened."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ..exceptions import missing_extra
from . import show
from .settings import Flag


def lab(
    file: str | None = None,
    /,
    *,
    target: str | None = None,
    port: int | None = None,
    browser: Annotated[bool, Parameter(negative="--no-browser")] = True,
    allow_code: Annotated[bool, Flag] = False,
) -> None:
    """Open a page on which a network trains live, is stepped and rewound, and every number can be opened.

    Parameters
    ----------
    file
        A table, or a saved model (.backlit). Without one the page begins with a built-in set.
    target
        Column to predict: a name, or a number counted from 0 (negative from the end).
    port
        Where the page is served, on this machine alone. [default: a free one]
    browser
        Open the page in the browser at once; its address is printed in any case.
    allow_code
        Let the page run NumPy that you type in, in a process of its own with limits.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise missing_extra(error.name or "starlette", "web", "the lab") from error
    from ..lab.launch import start
    from ..lab.reading import read_given

    given = None if file is None else read_given(file, target)
    show.release()
    start(given, port=port, browser=browser, allow_code=allow_code)
