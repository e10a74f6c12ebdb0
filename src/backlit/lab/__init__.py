"""The lab: a local page on which a network trains live, and every number can be opened down to its arithmetic.

``backlit.lab(net, X, y)`` opens it; see `backlit.lab.launch.lab`.
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
