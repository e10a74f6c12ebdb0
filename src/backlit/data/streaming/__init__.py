"""Rows that do not fit into memory: read in pieces, prepared on disk, trained on a window at a time.

A table goes through `places` (which files), `reading` (blocks of rows), `survey` (what the columns are, and what is
learnt about them) and `preparing` (the prepared rows, in a `store`). `windows` has some of its blocks in memory, in the
`order` of an epoch, and `source` is how a run of `fit` sees them. `images` reads arrays in place.
"""

from __future__ import annotations

from .opening import stream
from .stream import Stream

__all__ = ["Stream", "stream"]
