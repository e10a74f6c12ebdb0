"""Randomness is keyed, not consumed.

Every random number comes from a Philox generator keyed by (seed, purpose, counters). Nothing has to
remember how many numbers were drawn before: a resumed run, or a run split over several processes,
draws the same numbers as an unbroken one, and no generator state needs saving.

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np

from .exceptions import ConfigurationError

Purpose = Literal[
    "initial values",
    "shuffle",
    "dropout",
    "augmentation",
    "sampling",
    "split",
    "data",
    "members",
    "blocks",
    "trials",
]

PURPOSES: Final[dict[Purpose, int]] = {
    "initial values": 1,
    "shuffle": 2,
    "dropout": 3,
    "augmentation": 4,
    "sampling": 5,
    "split": 6,
    "data": 7,
    "members": 8,
    "blocks": 9,
    "trials": 10,
}


def check_seed(seed: int) -> int:
    """The seed as an int in 0 … 2⁶⁴ − 1, or a `ConfigurationError`."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= int(seed) < 2**64:
        raise ConfigurationError(f"the seed must be a whole number from 0 to 2**64 - 1, received {seed!r}")
    return int(seed)


def keyed_generator(
    seed: int, purpose: Purpose, first: int = 0, second: int = 0, *, skip: int = 0
) -> np.random.Generator:
    """The generator for one purpose at one place.

    Parameters
    ----------
    seed : int
        The user's seed.
    purpose : str
        What the numbers are for; two purposes never share numbers.
    first, second : int
        Where: for example (epoch, shard), or (layer, step).
    skip : int, default=0
        How many float32 numbers to leave out at the beginning: those of earlier rows, which somebody else draws.

    Examples
    --------
    The same key gives the same numbers, whatever was drawn before.

    >>> a = keyed_generator(0, "shuffle", 3).permutation(5)
    >>> b = keyed_generator(0, "shuffle", 3).permutation(5)
    >>> bool((a == b).all())
    True
    >>> whole = keyed_generator(0, "dropout").random(20, dtype=np.float32)
    >>> rest = keyed_generator(0, "dropout", skip=13).random(7, dtype=np.float32)
    >>> bool((whole[13:] == rest).all())
    True
    """
    # Philox has a 128-bit key and a 256-bit counter. Draws advance the low words of the counter;
    # the place stands in its two high words, so that streams never overlap.
    key = np.array([seed, PURPOSES[purpose]], dtype=np.uint64)
    # A block of the counter gives eight float32 numbers.
    counter = np.array([skip // 8, 0, first, second], dtype=np.uint64)
    generator = np.random.Generator(np.random.Philox(key=key, counter=counter))
    if skip % 8:
        generator.random(skip % 8, dtype=np.float32)
    return generator
