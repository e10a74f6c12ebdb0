"""How many threads BLAS may use while a network is trained.

A product of small matrices is over before a second thread has woken up; and on a busy machine the first one then waits
for the second to be scheduled, which made training up to 28 times slower here. So small steps run on one thread.
"""

from __future__ import annotations

import functools
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from ..network import Network

#: Multiplications in a layer's product of one batch, below which one thread is at least as fast as several.
SMALL_PRODUCT: Final = 2**23


def blas_threads(net: Network, batch_size: int) -> AbstractContextManager[Any]:
    """A context in which BLAS uses one thread where the products of a batch are small, and its own choice elsewhere.

    Examples
    --------
    >>> from backlit.kinds import Dense
    >>> with blas_threads(Network([Dense(3)], inputs=2), batch_size=10):
    ...     pass
    """
    largest = max(batch_size * net.parameters.view(name).size for name in net.parameters.weight_names)
    if largest >= SMALL_PRODUCT:
        return nullcontext()
    limits: AbstractContextManager[Any] = _controller("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas")
    return limits


@functools.cache
def _controller(with_scipy: bool) -> Any:
    """Finding the loaded BLAS libraries takes milliseconds: once is enough, and again when SciPy has loaded its own."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
