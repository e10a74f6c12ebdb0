"""Pictures of bytes, each deformed a little in every epoch: made quickly, in machine code where Numba is there.

    source(p) = A (p − centre) + centre + s + α (G ∗ u)(p)

The pixel p of the new picture is read from source(p) of the old one, between pixels linearly, outside as 0.

    A   R(θ) S: a rotation, and S = [[k_y, 0], [h, k_x]] that stretches and shears
    s   a shift
    u   a random field, uniform in ± 1 at every pixel, for each direction
    G   nearly a Gaussian: three box filters, one after the other, as strong as it at the centre

Sources: Simard, Steinkraus & Platt, "Best practices for convolutional neural networks applied to visual document
analysis" (2003); Wells, "Efficient synthesis of Gaussian filters by cascaded uniform filters" (1986).

The numbers are the same with and without Numba, to the bit, and whatever was made before: a picture's key is the seed,
the epoch and the number of its row.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Final, final

import numpy as np

from ..checks import fraction, not_negative, positive, positive_whole
from ..exceptions import ConfigurationError, DataError, ShapeError
from ..network import Network
from ..parameters import Array
from ..randomness import check_seed, keyed_generator

_AFFINE_WORDS: Final = 8
_SIZES: Final = ("rotation", "scale", "shear", "shift", "elastic")
_ROUGHEST: Final = 1.5  # pixels: narrower boxes are no Gaussian
_SMOOTHEST: Final = 6.0  # the sums of wider ones would leave 32 bits
_FIELD_UNIT: Final = 256.0  # of the whole numbers 2b − 255 that a byte b makes: a uniform number is one 256th
_TOGETHER: Final = 2**18  # pixels of the pictures that the NumPy form makes at once


@final
@dataclass(frozen=True)
class Deformation:
    """How much pictures are deformed.

    Attributes
    ----------
    rotation : float
        Radians: θ = 2 atan t with t uniform in ± tan(rotation / 2), which is next to uniform for small angles.
    scale : float
        k_y and k_x are uniform in 1 ± scale, each by itself.
    shear : float
        h is uniform in ± shear.
    shift : float
        Pixels: uniform in ± shift, in each direction.
    elastic : float
        α, in pixels; 0 for none.
    smoothness : float
        σ of the Gaussian in pixels, from 1.5 to 6.

    Examples
    --------
    >>> Deformation().strength(0.5)
    Deformation(rotation=0.1, scale=0.06, shear=0.075, shift=0.5, elastic=16.0, smoothness=4.0)
    """

    rotation: float = 0.2
    scale: float = 0.12
    shear: float = 0.15
    shift: float = 1.0
    elastic: float = 32.0
    smoothness: float = 4.0

    def __post_init__(self) -> None:
        fraction("scale", self.scale)
        for name in _SIZES:
            not_negative(name, getattr(self, name))
        if self.rotation > math.pi / 2:
            raise ConfigurationError(f"rotation must be at most π/2 radians, received {self.rotation!r}")
        if not _ROUGHEST <= positive("smoothness", self.smoothness) <= _SMOOTHEST:
            raise ConfigurationError(
                f"smoothness must be from {_ROUGHEST:g} to {_SMOOTHEST:g} pixels, received {self.smoothness!r}"
            )

    def strength(self, share: float) -> Deformation:
        """The same, each size but the smoothness times a number."""
        return replace(self, **{name: share * getattr(self, name) for name in _SIZES})


@final
class Deformed:
    """A source of training pictures that are deformed anew in every epoch: give it to `fit` in place of X.

    Parameters
    ----------
    X : ndarray of uint8, shape (n, height·width)
        0 is the background.
    shape : (int, int)
        (height, width).
    deformation : Deformation, optional
    seed : int, default=0

    Attributes
    ----------
    shape : (int, int)
        (n, height·width), as of an array.
    dtype : numpy dtype
        uint8: an epoch's pictures can be held as such, which `fit` does, making those of the next epoch ahead.

    Raises
    ------
    ShapeError, DataError
        If the rows of X are no pictures of that shape, or no bytes.

    Examples
    --------
    >>> pictures = np.zeros((1, 25), np.uint8); pictures[0, 12] = 200
    >>> source = Deformed(pictures, (5, 5), Deformation(elastic=0.0, shift=0.0))
    >>> batch = np.empty((1, 25), np.uint8)
    >>> source.fetch([0], batch, epoch=2)
    >>> int(batch[0, 12])                          # turned and stretched about its centre
    200
    """

    def __init__(
        self, X: Any, shape: tuple[int, int], deformation: Deformation | None = None, *, seed: int = 0
    ) -> None:
        self._X = np.ascontiguousarray(X)
        height, width = shape
        if self._X.ndim != 2 or self._X.shape[1] != height * width:
            raise ShapeError(
                f"X must be (n_pictures, {height * width}), one picture of {height}×{width} a row, "
                f"received shape {self._X.shape}"
            )
        if self._X.dtype != np.uint8:
            raise DataError(f"pictures to deform are bytes (uint8), 0 to 255, received {self._X.dtype}")
        self._size = (int(height), int(width))
        self._deformation = Deformation() if deformation is None else deformation
        self._seed = check_seed(seed)
        self.dtype = self._X.dtype
        made = self._deformation
        self._sizes = np.array([math.tan(made.rotation / 2.0), made.scale, made.shear, made.shift])
        self._widths = box_widths(made.smoothness)
        self._amplitude = np.float32(made.elastic * _box_strength(made.smoothness, self._widths))
        self._make: Callable[[Array, int, Array], None] = self._in_numpy
        if find_spec("numba") is not None:
            self._make = self._compiled

    @property
    def shape(self) -> tuple[int, int]:
        return self._X.shape[0], self._X.shape[1]

    @property
    def description(self) -> str:
        """What a run that goes on has to have again: the pictures, and how they are deformed."""
        digest = zlib.crc32(self._X.data)
        return f"{self._deformation}, seed {self._seed}, pictures {self._X.shape} {digest}"

    def fetch(self, rows: Any, out: Array, *, epoch: int) -> None:
        """Write the pictures numbered `rows` into `out`, shape (len(rows), height·width), as they are in that epoch."""
        rows = np.asarray(rows, np.int64)
        direct = out.dtype == np.uint8 and out.flags.c_contiguous
        made = out if direct else np.empty(out.shape, np.uint8)
        self._make(rows, epoch, made)
        if not direct:
            out[...] = made

    def _compiled(self, rows: Array, epoch: int, out: Array) -> None:
        from ..compiled.pictures import deform

        size = np.array(self._size)
        deform(
            self._X, rows, np.uint64(self._seed), epoch, size, self._sizes, self._widths, self._amplitude, out
        )  # fmt: skip

    # ── the same in NumPy ────────────────────────────────────────────────────────────────────────────────────

    def _in_numpy(self, rows: Array, epoch: int, out: Array) -> None:
        together = max(1, _TOGETHER // self._X.shape[1])
        for start in range(0, len(rows), together):
            part = slice(start, start + together)
            self._some_in_numpy(rows[part], epoch, out[part])

    def _some_in_numpy(self, rows: Array, epoch: int, out: Array) -> None:
        height, width = self._size
        n, words = len(rows), _AFFINE_WORDS + 4 * ((2 * height * width + 31) // 32)
        drawn = np.stack(
            [
                keyed_generator(self._seed, "augmentation", epoch, int(row)).bit_generator.random_raw(words)
                for row in rows
            ]
        )  # (n, words)
        y, x = self._sources(drawn[:, :_AFFINE_WORDS])  # (n, height, width) each, in float32
        if self._amplitude > 0.0:
            bytes_ = drawn[:, _AFFINE_WORDS:].astype("<u8").view(np.uint8)[:, : 2 * height * width]
            u = (2.0 * bytes_ - 255.0).reshape(n, 2, height, width)
            by_rows, by_columns = (_box_matrix(size, self._widths) for size in self._size)
            # sums of whole numbers, which float64 holds exactly
            smooth = (by_rows @ u @ by_columns.T).astype(np.float32)
            y += self._amplitude * smooth[:, 0]
            x += self._amplitude * smooth[:, 1]
        old = np.zeros((n, height + 3, width + 3), np.float32)
        old[:, 1:-2, 1:-2] = self._X[rows].reshape(n, height, width)
        one = np.float32(1)
        y, x = np.clip(y, -one, np.float32(height)) + one, np.clip(x, -one, np.float32(width)) + one
        i, j = y.astype(np.int64), x.astype(np.int64)
        v, u = y - i.astype(np.float32), x - j.astype(np.float32)
        k = np.arange(n)[:, None, None]
        above = old[k, i, j] * (one - u) + old[k, i, j + 1] * u
        below = old[k, i + 1, j] * (one - u) + old[k, i + 1, j + 1] * u
        out[...] = (above * (one - v) + below * v + np.float32(0.5)).astype(np.uint8).reshape(n, -1)

    def _sources(self, words: Array) -> tuple[Array, Array]:
        """A (p − centre) + centre + s, the rows and the columns of it, (n, height, width) each."""
        uniform = 2.0**-52 * (words >> np.uint64(11)).astype(np.float64) - 1.0  # (n, 8), from −1 to 1
        tangent, scale, shear, shift = self._sizes
        t = uniform[:, 0] * tangent
        cos, sin = (1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t)
        k_y, k_x, h = 1.0 + uniform[:, 1] * scale, 1.0 + uniform[:, 2] * scale, uniform[:, 3] * shear
        middle = [0.5 * (size - 1) for size in self._size]
        rows = (cos * k_y - sin * h, -sin * k_x, middle[0] + uniform[:, 4] * shift)
        columns = (sin * k_y + cos * h, cos * k_x, middle[1] + uniform[:, 5] * shift)
        from_y, from_x = (
            np.arange(size, dtype=np.float32) - np.float32(centre)
            for size, centre in zip(self._size, middle, strict=True)
        )
        y, x = (
            a[:, None, None] * from_y[:, None] + b[:, None, None] * from_x + c[:, None, None]
            for a, b, c in ([number.astype(np.float32) for number in numbers] for numbers in (rows, columns))
        )
        return y, x


def mean_over_copies(
    net: Network, X: Any, shape: tuple[int, int], copies: int, deformation: Deformation | None = None, *, seed: int = 0
) -> Array:
    """The mean of the outputs for each picture and for copies of it that are deformed a little.

    Parameters
    ----------
    net : Network
        Its outputs are probabilities.
    X : ndarray of uint8, shape (n, height·width)
    shape : (int, int)
    copies : int
        Deformed ones, besides the picture itself.
    deformation : Deformation, optional
        Half of the default's sizes unless given.
    seed : int, default=0

    Returns
    -------
    ndarray, shape (n, outputs)

    Examples
    --------
    >>> from backlit import Dense
    >>> net = Network([Dense(2, "softmax")], inputs=4, loss="cross_entropy")
    >>> mean_over_copies(net, np.zeros((3, 4), np.uint8), (2, 2), copies=2).sum(axis=1).round(5)
    array([1., 1., 1.], dtype=float32)
    """
    positive_whole("copies", copies)
    source = Deformed(X, shape, Deformation().strength(0.5) if deformation is None else deformation, seed=seed)
    total = net.forward(X).astype(np.float64)
    made = np.empty(source.shape, np.uint8)
    for copy in range(copies):
        source.fetch(np.arange(len(made)), made, epoch=copy)
        total += net.forward(made)
    return (total / (copies + 1)).astype(net.dtype)


# ── three box filters in the place of a Gaussian ───────────────────────────────────────────────────────────


def box_widths(sigma: float) -> Array:
    """Widths of three box filters whose variances add up to nearly σ².

    A box of width w has the variance (w² − 1)/12.

    Examples
    --------
    >>> box_widths(4.0).tolist()
    [8, 8, 8]
    """
    lower = int(math.sqrt(4.0 * sigma * sigma + 1.0))  # three of them are not too wide
    choices = [np.array([lower] * (3 - k) + [lower + 1] * k) for k in range(4)]
    return min(choices, key=lambda widths: abs(math.sqrt(((widths**2 - 1) / 12.0).sum()) - sigma))


def _box_strength(sigma: float, widths: Array) -> float:
    """What makes the sums of the filters, over whole numbers from −255 to 255, as large as a Gaussian's means.

    The spread of a filtered field is that of the field times √Σ k², of both directions together Σ k².
    """
    boxes = np.ones(1)
    for width in widths:
        boxes = np.convolve(boxes, np.ones(width))
    reach = np.arange(-math.ceil(8 * sigma), math.ceil(8 * sigma) + 1)
    gaussian = np.exp(-0.5 * (reach / sigma) ** 2)
    gaussian /= gaussian.sum()
    return float((gaussian @ gaussian) / (boxes @ boxes) / _FIELD_UNIT)


def _box_matrix(size: int, widths: Array) -> Array:
    """The matrix B, shape (size, size), with B u = the three box sums of u, 0 beyond the edges after each."""
    places = np.arange(size)
    further = places - places[:, None]
    product = np.eye(size)
    for k, width in enumerate(widths):
        # an even width has its middle between two pixels: once above, once below
        before, after = (width // 2, (width - 1) // 2) if k != 1 else ((width - 1) // 2, width // 2)
        product = ((further >= -before) & (further <= after)).astype(np.float64) @ product
    return product
