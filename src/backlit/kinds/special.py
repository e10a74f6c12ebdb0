"""scipy.special, imported when one of its functions is first needed: it takes longer to load than all of Backlit."""

from __future__ import annotations

from typing import Any, Final


class _Special:
    def __getattr__(self, name: str) -> Any:
        import scipy.special

        setattr(self, name, getattr(scipy.special, name))
        return self.__dict__[name]


special: Final = _Special()

#: σ in a script.
SIGMOID_SOURCE: Final = '''
def sigmoid(z):
    """σ(z) = 1/(1 + e⁻ᶻ), of any shape."""
    with np.errstate(over="ignore"):  # e⁻ᶻ may become infinity, and 1/∞ = 0 is right
        return 1 / (1 + np.exp(-z))
'''
