"""An enlarged training set: each picture shifted, turned and bent a little, anew in every epoch, batch by batch.

Source: Simard, Steinkraus & Platt, "Best practices for convolutional neural networks applied to visual document
analysis" (2003).
"""

from __future__ import annotations

from typing import Any, final

import numpy as np

from ..checks import not_negative, positive
from ..exceptions import ConfigurationError, ShapeError
from ..parameters import Array
from ..randomness import check_seed, keyed_generator


@final
class Augmented:
    """Pictures that are a little different in every epoch: a source of batches to give to `fit` in place of X.

        source(p) = centre + R(θ) (p − centre) + s + α (G ∗ u)(p)

    The pixel p of the new picture is read from source(p) of the old one, between pixels linearly, outside as 0.

        θ   an angle, uniform in ± rotation
        s   a whole number of pixels, uniform in −shift … shift, in each direction
        u   a random field, uniform in ± 1 at every pixel, for each direction; G a Gaussian with σ = smoothness

    Parameters
    ----------
    X : ndarray, shape (n, height·width)
        Pictures as rows, 0 for the background; kept in the type they came in.
    shape : (int, int)
        (height, width).
    seed : int, default=0
        With the epoch and the number of the row it is the key of a picture: the same three give the same picture.
    shift : int, default=1
        Pixels; 0 for none.
    rotation : float, default=10.0
        Degrees; 0 for none.
    elastic : float, default=15.0
        α in pixels, strength of the elastic deformation; 0 for none. Simard et al. use 34.
    smoothness : float, default=4.0
        σ in pixels: how far the deformation of one pixel moves its neighbours with it.

    Attributes
    ----------
    shape : (int, int)
        (n, height·width), as of an array.

    Raises
    ------
    ShapeError
        If the rows of X are no pictures of that shape.

    Examples
    --------
    >>> pictures = np.zeros((1, 9)); pictures[0, 4] = 16.0
    >>> source = Augmented(pictures, (3, 3), rotation=0.0, elastic=0.0)
    >>> batch = np.empty((1, 9))
    >>> source.fetch([0], batch, epoch=2)
    >>> batch.reshape(3, 3)
    array([[ 0.,  0.,  0.],
           [ 0.,  0.,  0.],
           [ 0., 16.,  0.]])
    """

    def __init__(
        self,
        X: Any,
        shape: tuple[int, int],
        *,
        seed: int = 0,
        shift: int = 1,
        rotation: float = 10.0,
        elastic: float = 15.0,
        smoothness: float = 4.0,
    ) -> None:
        self._X = np.asarray(X)
        height, width = shape
        if self._X.ndim != 2 or self._X.shape[1] != height * width:
            raise ShapeError(
                f"X must be (n_pictures, {height * width}), one picture of {height}×{width} a row, "
                f"received shape {self._X.shape}"
            )
        if isinstance(shift, bool) or not isinstance(shift, int) or shift < 0:
            raise ConfigurationError(f"shift must be a whole number of pixels, at least 0, received {shift!r}")
        self._size = (height, width)
        self._seed = check_seed(seed)
        self._shift = shift
        self._rotation = np.deg2rad(not_negative("rotation", rotation))
        self._elastic = not_negative("elastic", elastic)
        positive("smoothness", smoothness)
        # The places of the pixels, from the centre of the picture.
        self._grid = np.indices(shape) - (np.array(shape)[:, None, None] - 1) / 2.0  # (2, height, width)
        # A Gaussian filter is linear: of a field u it makes A_rows u A_columnsᵀ, A being its answers to unit pulses.
        self._smooth = tuple(_gaussian_matrix(size, smoothness) for size in shape)

    @property
    def shape(self) -> tuple[int, int]:
        return self._X.shape[0], self._X.shape[1]

    def fetch(self, rows: Any, out: Array, *, epoch: int) -> None:
        """Write the pictures numbered `rows` into `out`, shape (len(rows), height·width), as they are in that epoch."""
        from scipy.ndimage import map_coordinates

        places = self._places(rows, epoch)  # (len(rows), 2, height, width)
        for row, place, picture in zip(rows, places, out, strict=True):
            old = self._X[row].reshape(self._size).astype(np.float64)
            picture[...] = map_coordinates(old, place, order=1, mode="constant", cval=0.0).ravel()

    def _places(self, rows: Any, epoch: int) -> Array:
        """source(p) for every pixel of every picture, shape (len(rows), 2, height, width)."""
        height, width = self._size
        # One generator a picture, keyed by its epoch and row, so that a picture does not depend on its batch.
        drawn = np.stack(
            [
                keyed_generator(self._seed, "augmentation", epoch, int(row)).random(3 + 2 * height * width)
                for row in rows
            ]
        )  # (len(rows), 3 + 2 height width), uniform in 0 … 1
        s = np.floor(drawn[:, :2] * (2 * self._shift + 1)) - self._shift  # (len(rows), 2)
        theta = (2.0 * drawn[:, 2] - 1.0) * self._rotation  # (len(rows),)
        cos, sin = np.cos(theta)[:, None, None], np.sin(theta)[:, None, None]
        y, x = self._grid  # (height, width) each
        places = np.stack([cos * y - sin * x, sin * y + cos * x], axis=1)  # R(θ) (p − centre)
        centre = (np.array(self._size) - 1) / 2.0
        places += (centre + s)[:, :, None, None]
        if self._elastic:
            u = 2.0 * drawn[:, 3:].reshape(-1, 2, height, width) - 1.0
            by_rows, by_columns = self._smooth
            places += self._elastic * (by_rows @ u @ by_columns.T)
        return places


def _gaussian_matrix(size: int, sigma: float) -> Array:
    """The matrix A, shape (size, size), with A u = the Gaussian filter of u."""
    from scipy.ndimage import gaussian_filter1d

    return np.asarray(gaussian_filter1d(np.eye(size), sigma, axis=0, mode="constant"))
