"""How many threads BLAS may use while a network is trained.

A product of small matrices is over before a second thread has woken up; and on a busy machine the first one then waits
for the second to be scheduled, which made training up to 28 times slower here. So small steps run on one thread.
"""

from __future__ import annotations

import functools
import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, final

from ..network import Network

#: Multiplications in a layer's product of one batch, below which one thread is at least as fast as several.
SMALL_PRODUCT: Final = 2**23


def blas_threads(net: Network, batch_size: int) -> AbstractContextManager[Any]:
    """A context in which BLAS uses one thread where the products of a batch are small, and its own choice elsewhere.

    The number of threads belongs to the process: where runs in several threads overlap, the first one to begin lowers
    it, and the last one to end puts it back.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> from backlit.kinds import Dense
    >>> with blas_threads(Network([Dense(3)], inputs=2), batch_size=10):
    ...     {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
    {1}
    """
    largest = max(batch_size * net.parameters.view(name).size for name in net.parameters.weight_names)
    if largest >= SMALL_PRODUCT:
        return nullcontext()
    return _ONE_THREAD


@final
class _OneThread:
    """The limit, shared by all who want it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._limiter: Any = None

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._limiter = _controller("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas")
            self._users += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._limiter.restore_original_limits()
                self._limiter = None


_ONE_THREAD: Final = _OneThread()


@functools.cache
def _controller(with_scipy: bool) -> Any:
    """Finding the loaded BLAS libraries takes milliseconds: once is enough, and again when SciPy has loaded its own."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
