"""How many threads may be used while a network is trained: by the compiled engine, and by BLAS.

BLAS's product of small matrices is over before a second thread has woken up; and on a busy machine the first one then
waits for the second to be scheduled, which made training up to 28 times slower here. So there small steps run on one
thread. The compiled engine has threads of its own, with the same bits for any number of them.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Final, final

from ..checks import positive_whole
from ..exceptions import ConfigurationError
from ..network import Network

#: The environment variable that stands in for `n_threads` where that is not given.
VARIABLE: Final = "BACKLIT_NUM_THREADS"

#: Multiplications in a layer's product of one batch, below which one thread is at least as fast as several.
SMALL_PRODUCT: Final = 2**23


def wanted_threads(n_threads: int | None) -> int | None:
    """The number of threads that is asked for: `n_threads`, or the environment's; None where nobody says.

    Raises
    ------
    ConfigurationError
        For what is no whole number of at least 1.

    Examples
    --------
    >>> wanted_threads(2)
    2
    """
    if n_threads is not None:
        return positive_whole("n_threads", n_threads)
    said = os.environ.get(VARIABLE, "").strip()
    if not said:
        return None
    if not (said.isascii() and said.isdigit() and int(said) >= 1):
        raise ConfigurationError(
            f"{VARIABLE} must be a whole number of at least 1, received {said!r}: set it, or unset it"
        )
    return int(said)


def usable_threads(wanted: int | None) -> int:
    """How many threads the compiled engine may use: those that are wanted, else the cores that this process may use.

    ``OMP_NUM_THREADS``, by which programs that start several processes at once leave each its share, counts as well.
    """
    if wanted is not None:
        return wanted
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    others = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(others)) if others.isascii() and others.isdigit() and int(others) >= 1 else cores


def blas_threads(net: Network, batch_size: int, *, sparse: bool = False) -> AbstractContextManager[Any]:
    """A context in which BLAS uses one thread where the products of a batch are small, and its own choice elsewhere.

    With `sparse`, the batch is sparse rows, and the product of the first layer with weights is none of BLAS's.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> from backlit.kinds import Dense
    >>> with blas_threads(Network([Dense(3)], inputs=2), batch_size=10):
    ...     {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
    {1}
    """
    names = net.parameters.weight_names[1 if sparse else 0 :]
    largest = max((batch_size * net.parameters.view(name).size for name in names), default=0)
    return nullcontext() if largest >= SMALL_PRODUCT else blas_limit(1)


def blas_limit(n_threads: int | None) -> AbstractContextManager[None]:
    """A context in which BLAS uses `n_threads` threads; None leaves it alone.

    The number belongs to the process: where several such contexts overlap, in one thread or in many, the smallest one
    holds, and the last one to end puts back what was found.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> with blas_limit(2), blas_limit(1):
    ...     {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}
    {1}
    """
    return nullcontext() if n_threads is None else _LIMITS.wanted(n_threads)


@final
class _Limits:
    """The limits that are wanted now, by whatever thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: list[int] = []
        self._holds: int | None = None
        self._limiter: Any = None

    @contextmanager
    def wanted(self, n_threads: int) -> Iterator[None]:
        with self._lock:
            self._wanted.append(n_threads)
            self._apply()
        try:
            yield
        finally:
            with self._lock:
                self._wanted.remove(n_threads)
                self._apply()

    def _apply(self) -> None:
        smallest = min(self._wanted, default=None)
        if smallest == self._holds:
            return
        if self._limiter is not None:
            self._limiter.restore_original_limits()
            self._limiter = None
        if smallest is not None:
            self._limiter = _controller("scipy.linalg" in sys.modules).limit(limits=smallest, user_api="blas")
        self._holds = smallest


_LIMITS: Final = _Limits()


@functools.cache
def _controller(with_scipy: bool) -> Any:
    """Finding the loaded BLAS libraries takes milliseconds: once is enough, and again when SciPy has loaded its own."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
