"""How long a step takes on many processes: the model of `docs/scaling.md`, and what the program says before it begins.

A step of one process takes t seconds for its rows and u for the optimiser. On p processes each takes t/p + u, and
between the two the sums of s bytes are added up:

    tree    log₂p messages of s bytes there and as many back           2 log₂p (λ + s/β)
    ring    p − 1 messages of s/p bytes there and as many back         2 (p − 1) λ + 2 (p − 1)/p · s/β
    halving log₂p messages of s/2, s/4, … bytes there, and back        2 log₂p λ   + 2 (p − 1)/p · s/β

with the latency λ of a message and the bandwidth β. Backlit's own reduction is the last one: as few messages as the
tree, as few bytes as the ring. Where it overlaps with the backward pass, what is left of it begins when the first
layer's gradient is there. Source: Thakur, Rabenseifner & Gropp, "Optimization of collective communication operations
in MPICH" (2005).
"""

from __future__ import annotations

import math
from typing import Final, Literal, NamedTuple

Way = Literal["tree", "ring", "halving"]


class Link(NamedTuple):
    """Between two processes: the seconds of an empty message, and bytes a second."""

    latency: float
    bandwidth: float


#: Measured between two processes of one machine (`benchmarks/scaling.py`), through Backlit's reduction.
SHARED_MEMORY: Final = Link(4.5e-6, 5.7e9)

#: What is published for usual networks of a cluster; not measured here.
NETWORKS: Final = {
    "100 Gbit/s InfiniBand": Link(2e-6, 12e9),
    "10 Gbit/s Ethernet": Link(30e-6, 1.1e9),
    "1 Gbit/s Ethernet": Link(60e-6, 0.117e9),
}


def reduction_seconds(size: float, ranks: int, link: Link, way: Way = "halving") -> float:
    """The seconds in which `ranks` processes add up `size` bytes of each.

    Examples
    --------
    >>> link = Link(latency=1.0, bandwidth=1.0)
    >>> [reduction_seconds(8, 4, link, way) for way in ("tree", "ring", "halving")]
    [36.0, 18.0, 16.0]
    >>> reduction_seconds(8, 1, link)
    0.0
    """
    if ranks == 1:
        return 0.0
    levels, moved = math.log2(ranks), 2 * (ranks - 1) / ranks * size
    if way == "tree":
        return 2 * levels * (link.latency + size / link.bandwidth)
    messages = 2 * (ranks - 1) if way == "ring" else 2 * levels
    return messages * link.latency + moved / link.bandwidth


def step_seconds(
    shared: float, update: float, size: float, ranks: int, link: Link, way: Way = "halving", overlap: float = 0.0
) -> float:
    """The seconds of a step on `ranks` processes.

    Parameters
    ----------
    shared, update : float
        Seconds that one process needs for what is shared, the passes over the rows, and for what each does wholly, the
        optimiser's step.
    size : float
        Bytes of the sums.
    ranks : int
    link : Link
    way : {"tree", "ring", "halving"}
    overlap : float, default=0.0
        The part of the passes during which sums can be on their way: the reduction hides behind it.

    Examples
    --------
    >>> link = Link(latency=0.0, bandwidth=1.0)
    >>> step_seconds(16.0, 1.0, 2.0, 2, link), step_seconds(16.0, 1.0, 2.0, 2, link, overlap=0.5)
    (11.0, 9.0)
    """
    own = shared / ranks
    return own + update + max(0.0, reduction_seconds(size, ranks, link, way) - overlap * own)


def efficiency(
    shared: float, update: float, size: float, ranks: int, link: Link, way: Way = "halving", overlap: float = 0.0
) -> float:
    """What a process of many does, measured by one that works alone: 1 where nothing is lost.

    Examples
    --------
    >>> efficiency(16.0, 0.0, 2.0, 2, Link(latency=0.0, bandwidth=1.0))
    0.8
    """
    return (shared + update) / (ranks * step_seconds(shared, update, size, ranks, link, way, overlap))
