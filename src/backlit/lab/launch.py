"""Starting the lab: from the command line, from a script, from a notebook."""

from __future__ import annotations

import socket
import sys
import threading
import time
import webbrowser
from typing import Any, final

from ..exceptions import ConfigurationError, missing_extra
from ..kinds.optimizers import Optimizer
from ..network import Network
from .material import from_arrays
from .session import Given


@final
class Lab:
    """A lab that is running, in a thread of its own.

    Attributes
    ----------
    address : str
        With its token: whoever opens it uses the lab.
    """

    def __init__(self, given: Given | None = None, *, port: int | None = None, allow_code: bool = False) -> None:
        try:
            import uvicorn

            from .safety import Guard
            from .server import MOST_MESSAGE, Server
        except ImportError as error:
            raise missing_extra(error.name or "starlette", "web", "the lab") from error
        self._socket = _listening(port)
        self.port = int(self._socket.getsockname()[1])
        self.server = Server(given, allow_code=allow_code)
        guard = Guard(self.server.app, self.port)
        self.address = f"http://127.0.0.1:{self.port}/?token={guard.token}"
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                guard,
                log_level="error",
                lifespan="off",
                ws_max_size=2 * MOST_MESSAGE,
                ws_per_message_deflate=False,
                server_header=False,
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._serve, name="backlit-lab", daemon=True)
        self._thread.start()
        while not self._uvicorn.started and self._thread.is_alive():
            time.sleep(0.005)

    def _serve(self) -> None:
        self._uvicorn.run(sockets=[self._socket])

    @property
    def network(self) -> Network | None:
        """The network of the page that was used last, as it stands; None before a page was open."""
        sessions = sorted(self.server.sessions.values(), key=lambda session: session.seen)
        return sessions[-1].course.net if sessions else None

    def open(self) -> None:
        """Open the page in the person's browser."""
        webbrowser.open(self.address)

    def wait(self) -> None:
        """Until Ctrl-C."""
        try:
            while self._thread.is_alive():
                self._thread.join(0.5)
        except KeyboardInterrupt:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Stop; the pages that are open say so."""
        self._uvicorn.should_exit = True
        self._thread.join(5.0)
        self._socket.close()

    def __repr__(self) -> str:
        return f"Lab({self.address})"


def lab(
    net: Network | None = None,
    X: Any = None,
    y: Any = None,
    *,
    optimizer: Optimizer | None = None,
    batch_size: int | None = None,
    port: int | None = None,
    browser: bool = True,
    allow_code: bool = False,
    block: bool | None = None,
) -> Lab:
    """Open the lab: a page in the browser on which a network trains, is stepped, and every number can be opened.

    Needs ``backlit[web]``. The page trains a copy of `net`; ``lab(…).network`` is that copy as it stands. Without
    `net`, `X` and `y` the page begins with a built-in set. While a page is open, BLAS uses one thread in this process.

    Parameters
    ----------
    net : Network, optional
        To look at and to train; with `X` and `y`.
    X, y : array_like, optional
        Training data, as for `fit`.
    optimizer : Optimizer, optional
        SGD(0.1) unless given.
    batch_size : int, optional
        10 unless given.
    port : int, optional
        A free one unless given. The lab listens on 127.0.0.1 alone.
    browser : bool, default=True
        Open the page at once. The address, with its token, is printed in any case.
    allow_code : bool, default=False
        Let the page run NumPy that its reader types in, in a process of its own with limits.
    block : bool, optional
        Wait until Ctrl-C; True unless Python is interactive, as in a notebook.

    Raises
    ------
    ConfigurationError
        Where the port is taken, or only some of `net`, `X` and `y` are given.
    MissingExtraError
        Without the extra.

    Examples
    --------
    >>> import backlit as bl
    >>> net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(1, "sigmoid")], inputs=2, loss="cross_entropy")
    >>> page = lab(net, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], browser=False, block=False)
    The lab is open at http://127.0.0.1:.../?token=...
    >>> page.close()
    """
    given = None
    if net is not None or X is not None or y is not None:
        if net is None or X is None or y is None:
            raise ConfigurationError("the lab needs a network with its data, lab(net, X, y), or none of the three")
        given = Given(from_arrays(net, X, y), net, optimizer, batch_size)
    return start(given, port=port, browser=browser, allow_code=allow_code, block=block)


def start(given: Given | None, *, port: int | None, browser: bool, allow_code: bool, block: bool | None = True) -> Lab:
    """Start the lab and say where it is."""
    running = Lab(given, port=port, allow_code=allow_code)
    print(f"The lab is open at {running.address}", flush=True)
    if browser:
        running.open()
    if block if block is not None else not _interactive():
        running.wait()
    return running


def _interactive() -> bool:
    return hasattr(sys, "ps1")  # IPython and notebooks have it too


def _listening(port: int | None) -> socket.socket:
    """A socket on this machine alone."""
    number = 0 if port is None else port
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 2**16:
        raise ConfigurationError(f"port must be a number from 0 to 65535, received {port!r}")
    # Named as TCP, asyncio lets small messages go at once (TCP_NODELAY); a frame would wait 40 ms for them otherwise.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", number))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"the lab cannot listen on port {number} ({error.strerror}): choose another one, or none for a free one"
        ) from error
    return listening
