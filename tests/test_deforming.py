"""Pictures deformed: machine code against NumPy, distribution against SciPy, keys, and copies when predicting."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import affine_transform, gaussian_filter, gaussian_filter1d

import backlit as bl
from backlit.data.deforming import Deformation, Deformed, _box_matrix, _box_strength, box_widths, mean_over_copies
from backlit.exceptions import ConfigurationError, DataError, ShapeError

PICTURES = np.random.default_rng(0).integers(0, 256, (40, 14 * 11), dtype=np.uint8)
NOTHING = Deformation(0.0, 0.0, 0.0, 0.0, 0.0)


def made(source: Deformed, rows: list[int], epoch: int = 3) -> np.ndarray:
    out = np.empty((len(rows), source.shape[1]), np.uint8)
    source.fetch(rows, out, epoch=epoch)
    return out


@pytest.mark.parametrize(
    "deformation",
    [
        Deformation(),
        Deformation(elastic=0.0),
        Deformation(1.5, 0.9, 2.0, 20.0, 300.0, 6.0),
        Deformation(smoothness=1.5),
    ],
    ids=["default", "no field", "very strong", "rough"],
)
def test_machine_code_makes_the_bits_of_numpy(deformation: Deformation) -> None:
    pytest.importorskip("numba")
    source = Deformed(PICTURES, (14, 11), deformation, seed=2**63 + 5)
    rows, slow = np.arange(40)[::-1].copy(), np.empty_like(PICTURES)
    source._in_numpy(rows, 7, slow)
    quick = np.empty_like(PICTURES)
    source._compiled(rows, 7, quick)
    assert quick.tobytes() == slow.tobytes()


def test_a_picture_hangs_on_seed_epoch_and_row_alone() -> None:
    source = Deformed(PICTURES, (14, 11), seed=3)
    together = made(source, [4, 7, 1])
    assert np.array_equal(together[1], made(Deformed(PICTURES, (14, 11), seed=3), [7])[0])
    assert not np.array_equal(together[1], made(source, [7], epoch=2)[0])
    assert not np.array_equal(together[1], made(Deformed(PICTURES, (14, 11), seed=4), [7])[0])
    as_floats = np.empty((3, 154), np.float32)
    source.fetch([4, 7, 1], as_floats, epoch=3)
    assert np.array_equal(as_floats, together)


def test_nothing_asked_for_changes_nothing() -> None:
    assert np.array_equal(made(Deformed(PICTURES, (14, 11), NOTHING), list(range(40))), PICTURES)


def test_an_affine_picture_is_scipys() -> None:
    smooth = gaussian_filter(np.random.default_rng(1).uniform(0, 255, (20, 24)), 1.5)
    picture = (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    picture[[0, -1]] = picture[:, [0, -1]] = 0
    source = Deformed(picture.reshape(1, -1), (20, 24), Deformation(0.5, 0.3, 0.4, 2.0, 0.0), seed=8)
    generator = bl.randomness.keyed_generator(8, "augmentation", 3, 0).bit_generator
    words = generator.random_raw(8)
    y, x = (axis[0].astype(np.float64) for axis in source._sources(words[None]))
    matrix = np.array([[y[1, 0] - y[0, 0], y[0, 1] - y[0, 0]], [x[1, 0] - x[0, 0], x[0, 1] - x[0, 0]]])
    expected = affine_transform(picture.astype(float), matrix, offset=[y[0, 0], x[0, 0]], order=1, mode="constant")
    np.testing.assert_allclose(made(source, [0])[0].reshape(20, 24), expected, atol=0.51)
    assert not np.allclose(matrix, np.eye(2), atol=0.05)


def test_sizes_reach_their_bounds_and_no_further() -> None:
    source = Deformed(np.zeros((1, 25), np.uint8), (5, 5), Deformation(0.4, 0.2, 0.3, 1.5, 0.0))
    extreme = np.zeros((3, 8), np.uint64)
    extreme[0, 0], extreme[1, 1:3], extreme[2, 3:6] = 2**64 - 1, 2**64 - 1, 2**64 - 1
    extreme[extreme == 0] = 2**63  # the middle: no rotation, stretching, shear or shift
    y, x = source._sources(extreme)
    turned = np.arctan2(y[0, 2, 2] - y[0, 2, 3], x[0, 2, 3] - x[0, 2, 2])
    assert turned == pytest.approx(0.4, abs=1e-5)
    assert (y[1, 3, 2] - y[1, 2, 2], x[1, 2, 3] - x[1, 2, 2]) == pytest.approx((1.2, 1.2), abs=1e-5)
    assert x[2, 3, 2] - x[2, 2, 2] == pytest.approx(0.3, abs=1e-5)
    assert (y[2, 2, 2], x[2, 2, 2]) == pytest.approx((3.5, 3.5), abs=1e-5)


@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0, 6.0])
def test_the_filters_make_fields_of_scipys_spread_and_correlation(sigma: float) -> None:
    """A filter k of independent numbers leaves the spread √Σ k² and the correlation Σ k_i k_(i+d) / Σ k²."""
    pulse = np.zeros(121)
    pulse[60] = 1.0
    widths = box_widths(sigma)
    ours = _box_matrix(121, widths) @ pulse
    scipys = gaussian_filter1d(pulse, sigma, mode="constant")
    assert 256 * _box_strength(sigma, widths) * (ours @ ours) == pytest.approx(scipys @ scipys, rel=1e-3)
    one, other = (np.correlate(k, k, "full")[120:] / (k @ k) for k in (ours, scipys))
    np.testing.assert_allclose(one[: int(3 * sigma)], other[: int(3 * sigma)], atol=0.03)
    assert sum(one) == pytest.approx(sum(other), rel=0.05)  # the correlation length
    assert 255 * int(np.prod(widths)) ** 2 < 2**31  # the sums are whole numbers of 32 bits


def test_displacements_are_distributed_as_scipys() -> None:
    """In the middle of 200 pictures: as far, and as alike nearby, as α times a Gaussian of uniform numbers."""
    size, n = 41, 200
    ramp = np.tile(np.arange(size, dtype=np.uint8) * 6, (size, 1))  # a pixel's brightness tells where it was read
    only_elastic = Deformation(0.0, 0.0, 0.0, 0.0, elastic=40.0, smoothness=4.0)
    source = Deformed(np.tile(ramp.reshape(1, -1), (n, 1)), (size, size), only_elastic)
    inner = slice(14, 27)
    ours = (made(source, list(range(n))).reshape(n, size, size) / 6.0 - np.arange(size))[:, inner, inner]
    u = np.random.default_rng(2).uniform(-1, 1, (n, size, size))
    scipys = 40.0 * np.stack([gaussian_filter(field, 4.0, mode="constant") for field in u])[:, inner, inner]
    assert abs(ours.mean()) < 0.2
    assert ours.std() == pytest.approx(scipys.std(), rel=0.06)
    for axis in (1, 2):
        one, other = (
            (np.take(f, range(8), axis) * np.take(f, range(4, 12), axis)).mean() / f.var() for f in (ours, scipys)
        )
        assert one == pytest.approx(other, abs=0.06)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"rotation": -0.1}, "rotation must be"),
        ({"rotation": 1.6}, "rotation must be at most π/2"),
        ({"scale": 1.0}, "scale must be"),
        ({"shear": float("nan")}, "shear must be"),
        ({"shift": -1}, "shift must be"),
        ({"elastic": float("inf")}, "elastic must be"),
        ({"smoothness": 1.4}, "smoothness must be from 1.5 to 6"),
        ({"smoothness": 6.5}, "smoothness must be from 1.5 to 6"),
    ],
)
def test_sizes_that_cannot_be_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Deformation(**settings)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ShapeError, match="one picture of 5×5 a row"):
        Deformed(PICTURES, (5, 5))
    with pytest.raises(DataError, match="bytes"):
        Deformed(PICTURES.astype(float), (14, 11))


def test_copies_are_the_mean_of_the_outputs() -> None:
    net = bl.Network([bl.Dense(3, "softmax")], inputs=154, loss="cross_entropy", input_scale=1 / 255)
    found = mean_over_copies(net, PICTURES, (14, 11), copies=2, deformation=Deformation(), seed=4)
    source = Deformed(PICTURES, (14, 11), seed=4)
    rows = list(range(40))
    expected = (net.forward(PICTURES) + sum(net.forward(made(source, rows, epoch)) for epoch in (0, 1))) / 3
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    with pytest.raises(ConfigurationError, match="copies must be"):
        mean_over_copies(net, PICTURES, (14, 11), copies=0)
