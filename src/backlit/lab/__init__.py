"""The lab: a local page on which a network trains live, and every number can be opened down to its arithmetic.

``backlit.lab(net, X, y)`` opens it, with the arguments of `backlit.lab.launch.lab`:

>>> import backlit as bl
>>> net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(1, "sigmoid")], inputs=2, loss="cross_entropy")
>>> opened = bl.lab(net, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], browser=False, block=False)
The lab is open at http://127.0.0.1:.../?token=...
>>> opened.close()
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, final


@final
class _Callable(ModuleType):
    """This package is called like the function in it: importing a part of it binds ``backlit.lab`` to the package."""

    def __call__(self, *arguments: Any, **settings: Any) -> Any:
        from .launch import lab

        return lab(*arguments, **settings)


sys.modules[__name__].__class__ = _Callable
