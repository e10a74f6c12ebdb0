"""`backlit demo`: the list of the five networks that Backlit grew from. The pages are loaded when one is asked for."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from ..demos import DEMOS
from ..exceptions import ConfigurationError, nearest
from . import show

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]

app = App(name="demo", help="Five networks, each as a page: backlit demo NAME.")
for _name, _what in DEMOS.items():
    app.command(f"backlit.cli.demo_pages:{_name.replace('-', '_')}_command", name=_name, help=f"{_what}.")


@app.default
def overview(name: Annotated[str | None, Parameter(show=False)] = None, /, *, json: Flag = False) -> None:
    """List the demos: name, what it shows, and how to run one.

    Parameters
    ----------
    json
        Print one JSON object to stdout: the sentence of each demo.
    """
    if name is not None:
        raise ConfigurationError(f"there is no demo {name!r}: {nearest(name, DEMOS)}")
    if json:
        show.print_json(DEMOS)
        return
    widest = max(len(name) for name in DEMOS)
    lines = [f"  {name:<{widest}}  {what}" for name, what in DEMOS.items()]
    head = "Five networks, each trained as its write-up has it:"
    tail = "backlit demo NAME runs one, and backlit demo NAME --help says what can be changed."
    print("\n".join([head, "", *lines, "", tail]))
