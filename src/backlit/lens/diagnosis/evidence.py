"""More than gradients."""
from dataclasses import dataclass
from typing import Any
@dataclass(frozen=True)
class Evidence:
    forward: Any
    deltas: Any
    loss: Any
    after: Any
    optimizer: Any
    state: Any
    n: int
def weigh(evidence, exact, frozen, found, turned):
    return found
