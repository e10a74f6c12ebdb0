"""What the page asks for: one JSON object, whose fields are checked as they are read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, final

from ..exceptions import ConfigurationError

_REQUIRED: Any = object()


@final
class Asked:
    """A message of the page.

    Examples
    --------
    >>> asked = Asked({"do": "goto", "step": 12})
    >>> asked.whole("step", least=0)
    12
    >>> asked.number("value")
    Traceback (most recent call last):
        ...
    backlit.exceptions.ConfigurationError: 'goto' needs a number 'value', received None
    """

    def __init__(self, message: Mapping[str, Any]) -> None:
        self.message = message

    @property
    def what(self) -> str:
        return str(self.message.get("do"))

    def get(self, name: str) -> Any:
        return self.message.get(name)

    def refuse(self, name: str, kind: str) -> ConfigurationError:
        received = repr(self.message.get(name))
        received = received if len(received) < 80 else received[:77] + "…"
        return ConfigurationError(f"{self.what!r} needs {kind} {name!r}, received {received}")

    def whole(self, name: str, *, least: int = 0, most: int = 2**53, default: Any = _REQUIRED) -> Any:
        """A whole number within bounds."""
        value = self.message.get(name)
        if value is None and default is not _REQUIRED:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refuse(name, f"a whole number of {least} to {most}" if most < 2**53 else "a whole number")
        return value

    def number(self, name: str, default: Any = _REQUIRED) -> Any:
        """A finite number."""
        value = self.message.get(name)
        if value is None and default is not _REQUIRED:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
            raise self.refuse(name, "a number")
        return float(value)

    def text(self, name: str, known: Sequence[str] | None = None, default: Any = _REQUIRED) -> Any:
        """A text, one of `known` where that is given."""
        value = self.message.get(name)
        if value is None and default is not _REQUIRED:
            return default
        if not isinstance(value, str):
            raise self.refuse(name, "a text")
        if known is not None and value not in known:
            raise self.refuse(name, f"one of {', '.join(known)} as")
        return value

    def indices(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers: the index of a weight."""
        value = self.message.get(name)
        if not isinstance(value, list) or not all(isinstance(i, int) and not isinstance(i, bool) for i in value):
            raise self.refuse(name, "a list of whole numbers")
        return tuple(value)

    def texts(self, name: str) -> list[str]:
        """A list of texts; empty where nothing is given."""
        value = self.message.get(name) or []
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise self.refuse(name, "a list of texts")
        return value
