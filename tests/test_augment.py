"""The enlarged training set: keyed pictures, batch by batch."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.data.augment import Augmented

PICTURES = np.random.default_rng(0).integers(0, 256, (12, 30), dtype=np.uint8)  # 6×5


def fetched(source: Augmented, rows: list[int], epoch: int) -> np.ndarray:
    out = np.empty((len(rows), 30), np.float32)
    source.fetch(np.array(rows), out, epoch=epoch)
    return out


def test_the_same_key_gives_the_same_picture_in_any_batch() -> None:
    source, again = Augmented(PICTURES, (6, 5), seed=3), Augmented(PICTURES, (6, 5), seed=3)
    together = fetched(source, [4, 7, 1], epoch=2)
    assert np.array_equal(together[1], fetched(again, [7], epoch=2)[0])


@pytest.mark.parametrize(("seed", "epoch"), [(3, 1), (4, 2)])
def test_another_epoch_or_seed_gives_another_picture(seed: int, epoch: int) -> None:
    one = fetched(Augmented(PICTURES, (6, 5), seed=3), [7], epoch=2)
    assert not np.array_equal(one, fetched(Augmented(PICTURES, (6, 5), seed=seed), [7], epoch=epoch))


def test_nothing_asked_for_changes_nothing() -> None:
    source = Augmented(PICTURES, (6, 5), shift=0, rotation=0.0, elastic=0.0)
    assert np.array_equal(fetched(source, list(range(12)), epoch=0), PICTURES)


def test_shifts_are_whole_pixels_of_all_nine_kinds() -> None:
    dot = np.zeros((1, 25))
    dot[0, 12] = 1.0
    source = Augmented(dot, (5, 5), rotation=0.0, elastic=0.0)
    places = set()
    for epoch in range(200):
        out = np.empty((1, 25))
        source.fetch([0], out, epoch=epoch)
        assert sorted(out[0])[-2:] == [0.0, 1.0]
        places.add(divmod(int(out.argmax()), 5))
    assert places == {(row, column) for row in (1, 2, 3) for column in (1, 2, 3)}


def test_rotation_is_scipys() -> None:
    from scipy.ndimage import rotate

    picture = np.zeros((9, 9))
    picture[4, 1:8] = 1.0
    source = Augmented(picture.reshape(1, 81), (9, 9), shift=0, rotation=30.0, elastic=0.0)
    # The angle of this picture, from the place that it reads its corner pixel from.
    y, x = source._places([0], 5)[0][:, 0, 0] - 4.0
    angle = np.rad2deg(np.arctan2(-x, -y) - np.pi / 4)
    assert 0.1 < abs(angle) <= 30.0
    out = np.empty((1, 81))
    source.fetch([0], out, epoch=5)
    assert np.allclose(out.reshape(9, 9), rotate(picture, -angle, reshape=False, order=1), atol=1e-9)


def test_elastic_deformation_is_smooth_and_of_the_stated_strength() -> None:
    source = Augmented(np.zeros((50, 784)), (28, 28), shift=0, rotation=0.0, elastic=34.0, smoothness=4.0)
    field = source._places(range(50), 0) - np.indices((28, 28))  # (50, 2, 28, 28)
    middle = field[:, :, 10:18, 10:18]
    # A uniform ±1 field has deviation 1/√3; a Gaussian of σ in the plane leaves 1/(2σ√π) of it.
    assert middle.std() == pytest.approx(34.0 / np.sqrt(3) / (2 * 4.0 * np.sqrt(np.pi)), rel=0.1)
    assert np.abs(np.diff(middle, axis=3)).mean() < 0.35 * middle.std()


def test_training_on_a_source_is_reproducible_and_resumes() -> None:
    y = np.arange(12) % 3
    source = Augmented(PICTURES, (6, 5), seed=1)
    settings = {"batch_size": 5, "optimizer": bl.SGD(0.1), "progress": False}

    def fresh() -> bl.Network:
        return bl.Network([bl.Dense(3, "softmax")], inputs=30, loss="cross_entropy", input_scale=1 / 255)

    whole, parts = fresh(), fresh()
    bl.fit(whole, source, y, epochs=3, **settings)
    history = bl.fit(parts, source, y, epochs=1, **settings)
    bl.fit(parts, source, y, epochs=2, resume=history, **settings)
    assert np.array_equal(whole.parameters.values, parts.parameters.values)
    plain = fresh()
    bl.fit(plain, PICTURES, y, epochs=3, **settings)
    assert not np.array_equal(plain.parameters.values, whole.parameters.values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (5, 5)}, "one picture of 5×5 a row"),
        ({"shape": (6, 5), "shift": -1}, "shift must be a whole number"),
        ({"shape": (6, 5), "shift": 0.5}, "shift must be a whole number"),
        ({"shape": (6, 5), "rotation": -1.0}, "rotation"),
        ({"shape": (6, 5), "smoothness": 0.0}, "smoothness"),
    ],
)
def test_wrong_settings_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(bl.BacklitError, match=message):
        Augmented(PICTURES, **arguments)  # type: ignore[arg-type]
