"""What the lab's networks learn from: built-in sets, files, arrays, models; and what leaves the lab again."""

from __future__ import annotations

import io
import json
import os
import runpy
import shlex
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import backlit as bl
from backlit.data.builtin import ABOUT, BUILTIN, load
from backlit.data.choosing import choose_columns
from backlit.data.model import TableModel
from backlit.exceptions import (
    BacklitError,
    ConfigurationError,
    MissingExtraError,
    ModelFileError,
    ShapeError,
    TableError,
)
from backlit.lab.exports import EXPORTS, export, train_command
from backlit.lab.material import Material, from_arrays, material_of
from backlit.lab.reading import read_given, read_upload
from backlit.lab.session import Given, Session
from backlit.lab.settings import DataSettings, Settings

BACKLIT = [sys.executable, "-c", "from backlit.cli import main; main()"]
RNG = np.random.default_rng(0)


def of(name: str, **data: Any) -> Material:
    return material_of(Settings.from_json({"data": {"name": name, **data}}))


# ── built-in sets ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", BUILTIN)
def test_every_built_in_set(name: str) -> None:
    material = of(name, rows=50, held_out=0.2)
    held = load(name, rows=50) if ABOUT[name].drawn else load(name)
    rows = len(held.y)
    few = rows < 10
    assert len(material.X_train) + len(material.X_test) == rows
    assert len(material.X_test) == (0 if few else pytest.approx(0.2 * rows, abs=2))
    assert material.X_train.dtype == material.X_test.dtype == np.float64
    assert material.X_train.shape[1] == len(material.input_names)
    assert material.task == ABOUT[name].task
    assert material.classes == held.class_names
    assert material.y_train.dtype == (np.float64 if held.class_names is None else np.int64)
    assert material.title
    assert material.description == held.description
    assert (material.raw_train is not None) == (ABOUT[name].kind == "plane")
    assert (material.image is not None) == (ABOUT[name].kind == "image")
    assert len(material.y_test) == len(material.X_test)


def test_rows_are_divided_by_the_seed_and_no_row_is_on_both_sides() -> None:
    first, again, other = of("digits"), of("digits"), of("digits", seed=1)
    np.testing.assert_array_equal(first.X_test, again.X_test)
    assert not np.array_equal(first.X_test, other.X_test)
    both = np.vstack([first.X_train, first.X_test])
    np.testing.assert_array_equal(np.sort(both, axis=0), np.sort(load("digits").X / 16, axis=0))


def test_every_class_has_its_share_of_the_test() -> None:
    assert np.bincount(of("circle", held_out=0.25).y_test).tolist() == [50, 50]
    assert np.bincount(of("iris", held_out=0.2).y_test).tolist() == [10, 10, 10]


def test_none_held_out() -> None:
    material = of("circle", held_out=0)
    assert (len(material.X_train), len(material.X_test)) == (400, 0)


def test_points_are_raw_and_crossed() -> None:
    material = of("xor", features=["x2", "x1·x2"], noise=0.1, rows=30, seed=5)
    points = load("xor", rows=30, noise=0.1, seed=5).X
    assert material.raw_train is not None
    assert material.raw_test is not None
    np.testing.assert_array_equal(
        np.sort(np.vstack([material.raw_train, material.raw_test]), axis=0), np.sort(points, axis=0)
    )
    x1, x2 = material.raw_train.T
    np.testing.assert_array_equal(material.X_train, np.column_stack([x2, x1 * x2]))
    np.testing.assert_array_equal(material.cross(material.raw_test), material.X_test)
    assert material.input_names == ("x2", "x1·x2")


def test_the_plane_holds_every_point() -> None:
    for name, noise in (("gauss", 0.5), ("moons", 0.5), ("circle", 0.0)):
        material = of(name, noise=noise, rows=2000)
        assert material.raw_train is not None
        reach = material.extent[1]
        assert material.extent == (-reach, reach, -reach, reach)
        assert np.abs(material.raw_train).max() < reach
        assert reach >= 6.0
    for name in ("circle", "plane"):
        assert of(name).extent == (-6.0, 6.0, -6.0, 6.0)


def without_clip(x: np.ndarray) -> np.ndarray:
    """x = s / √(1 + (s/3)²) turned round: s = x / √(1 − (x/3)²)."""
    return np.asarray(x / np.sqrt(1.0 - (x / 3.0) ** 2))


def test_a_table_is_prepared_by_its_training_rows() -> None:
    material = of("iris")
    standardised = without_clip(material.X_train)
    np.testing.assert_allclose(standardised.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(standardised.std(axis=0), 1.0)
    assert abs(material.X_test.mean(axis=0)).max() > 1e-3
    values = of("diabetes")
    np.testing.assert_allclose([values.y_train.mean(), values.y_train.std()], [0.0, 1.0], atol=1e-12)
    assert values.table is not None
    np.testing.assert_allclose(
        np.sort(np.r_[values.y_train, values.y_test]) * values.table.scale + values.table.mean,
        np.sort(load("diabetes").y),
    )


def test_the_five_systems_have_their_published_rows() -> None:
    assert of("line").X_train.tolist() == [[1.0], [2.0], [3.0], [4.0]]
    assert of("line").y_train.tolist() == [2.0, 4.0, 6.0, 8.0]
    assert of("two-two-one").X_train.tolist() == [[1.0, 1.0]]
    assert of("digits").X_train.max() == 1.0
    assert of("planar").raw_train is not None


def test_words_for_targets_and_outputs() -> None:
    material = of("iris")
    net = bl.Network([bl.Dense(3, "softmax")], inputs=4, loss="cross_entropy")
    assert material.target_text(np.array([0.0, 1.0, 0.0])) == "versicolor"
    assert material.output_text(net, np.array([0.1, 0.2, 0.7])) == "virginica"
    assert material.names_of_outputs(net) == ("setosa", "versicolor", "virginica")
    two = of("circle")
    sigmoid = bl.Network([bl.Dense(1, "sigmoid")], inputs=2, loss="cross_entropy")
    margin = bl.Network([bl.Dense(1)], inputs=2, loss="hinge")
    assert [two.target_text(np.array([y])) for y in (0.0, 1.0)] == ["ring", "disc"]
    assert two.output_text(sigmoid, np.array([0.4])) == "ring"
    assert two.output_text(margin, np.array([0.4])) == "disc"
    assert two.names_of_outputs(sigmoid) == ("disc",)
    assert two.names_of_outputs(bl.Network([bl.Dense(2, "softmax")], inputs=2, loss="cross_entropy")) == (
        "ring",
        "disc",
    )
    assert two.names_of_outputs(bl.Network([bl.Dense(3)], inputs=2)) == ("output 0", "output 1", "output 2")
    values = of("diabetes")
    assert values.table is not None
    assert values.target_text(np.array([0.0])) == f"{values.table.mean:.4g}"
    assert of("plane").target_text(np.array([0.25])) == "0.25"


# ── files ────────────────────────────────────────────────────────────────────────────────────────────────────

PEOPLE = "id,age,town,born,income\n" + "".join(
    f"{i},{20 + i % 30},{'Oslo' if i % 3 else 'Bergen'},1990-01-{1 + i % 28:02d},{100 + 3.5 * (i % 30):.1f}\n"
    for i in range(60)
)


def test_a_table_from_bytes() -> None:
    given = read_upload(PEOPLE.encode(), "people.csv", "income")
    material = given.material
    assert given.net is None
    assert (material.task, material.title, material.value_names) == ("regression", "people.csv", ("income",))
    assert material.columns == ("id", "age", "town", "born", "income")
    assert "the column 'id' is left out: it counts the rows" in material.description
    assert material.input_names[0] == "age"
    assert "town_Oslo" in material.input_names
    assert (len(material.X_train), len(material.X_test)) == (30, 30)
    net = bl.Network([bl.Dense(1)], inputs=len(material.input_names), dtype="float64")
    net.check_data(material.X_train, material.y_train)


def test_a_file_is_divided_and_read_as_the_settings_say() -> None:
    given = read_upload(PEOPLE.encode(), "people.csv", "income").material
    other = material_of(
        Settings.from_json({"data": {"name": "file", "target": "town", "held_out": 0.2, "seed": 3}}), given
    )
    assert (other.classes, other.task) == (("Bergen", "Oslo"), "classification")
    assert (len(other.X_train), len(other.X_test)) == (48, 12)
    assert "income" in other.input_names
    again = material_of(Settings.from_json({"data": {"name": "file"}}), other)
    assert again.value_names == ("income",)


def test_without_a_target_the_last_column_that_can_be_learnt_is_taken() -> None:
    material = read_upload(b"a,b,c\n" + b"1.5,x,7\n2.5,y,7\n" * 10, "t.csv").material
    assert material.classes == ("x", "y")
    assert "'b' is the last column that can be learnt, for none was named as the target" in material.description
    with pytest.raises(TableError, match=r"'t.csv' has no column that can be predicted"):
        read_upload(b"a,b\n1,1\n1,1\n", "t.csv")


def test_rows_without_a_target_are_left_out() -> None:
    rows = "".join(f"{i},{i % 7},{'' if i % 4 == 0 else i % 2}\n" for i in range(40))
    material = read_upload(("u,v,y\n" + rows).encode(), "t.csv", "y").material
    assert "10 of 40 rows have no target ('y') and are left out" in material.description
    assert len(material.X_train) + len(material.X_test) == 30
    assert material.table is not None
    learnt = material.table.preparation.numbers
    u = np.rint(without_clip(material.X_train[:, 0]) * learnt.scale[0] + learnt.mean[0]).astype(int)
    np.testing.assert_array_equal(u % 2, material.y_train)  # each row still has its own target


def test_columns_of_places_are_shown_in_the_plane() -> None:
    text = "u,v,w\n" + "".join(f"{u},{v},{'a' if u * v > 0 else 'b'}\n" for u in range(-5, 5) for v in range(-5, 5))
    material = read_upload(text.encode(), "t.csv", "w").material
    np.testing.assert_array_equal(material.raw_train, material.X_train)
    x0, x1, y0, y1 = material.extent
    assert x0 < material.X_train[:, 0].min() < material.X_train[:, 0].max() < x1
    assert y0 < material.X_test[:, 1].min() < material.X_test[:, 1].max() < y1
    assert material.features == ()
    np.testing.assert_array_equal(material.cross(material.X_test), material.X_test)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.parquet", lambda frame, path: frame.write_parquet(path)),
        ("t.feather", lambda frame, path: frame.write_ipc(path)),
        ("t.jsonl", lambda frame, path: frame.write_ndjson(path)),
        ("t.tsv", lambda frame, path: frame.write_csv(path, separator="\t")),
        ("T.CSV", lambda frame, path: frame.write_csv(path)),
        ("t.npz", lambda frame, path: np.savez(path, X=frame.select("a", "b").to_numpy(), y=frame["y"].to_numpy())),
    ],
)
def test_every_kind_of_file(tmp_path: Path, name: str, write: Callable[[Any, Path], Any]) -> None:
    path = tmp_path / name
    write(pl.DataFrame({"a": [1.0, 2.0] * 10, "b": [3.5, 1.5, 2.5, 0.5] * 5, "y": [0, 1] * 10}), path)
    material = read_upload(path.read_bytes(), name, "y").material
    assert (material.classes, material.X_train.shape) == (("0", "1"), (10, 2))
    np.testing.assert_array_equal(read_given(str(path), "y").material.X_train, material.X_train)


def test_an_upload_leaves_nothing_behind_and_its_name_leads_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("../../up.csv", "/etc/up.csv", "C:\\up.csv", "a\x00b.csv", "." * 300 + ".csv"):
        assert read_upload(PEOPLE.encode(), name, "income").material.columns
    with pytest.raises(BacklitError):
        read_upload(b"\x00\x01", "bad.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "name", "target", "error", "said"),
    [
        (b"a,b\n1,2\n", "t.exe", None, TableError, "'t.exe' must be a table"),
        (b"a,b\n1,2\n", "noname", None, TableError, "received the suffix ''"),
        (b"a,b\n1,2\n3,4\n", "t.csv", "c", TableError, "'c'"),
        (b"", "t.csv", None, TableError, "t.csv"),
        (b"not a parquet file", "t.parquet", "y", TableError, "t.parquet is not a Parquet file"),
        (b"PK\x03\x04", "t.npz", "y", TableError, "t.npz is not a .npz file"),
        (b"{}", "model.backlit", None, ModelFileError, "model.backlit"),
        (b"a,b\n1,x\n2,x\n3,x\n", "t.csv", "b", BacklitError, "the one value x"),
    ],
)
def test_files_that_cannot_be_read(data: bytes, name: str, target: str | None, error: type, said: str) -> None:
    with pytest.raises(error) as caught:
        read_upload(data, name, target)
    assert said in str(caught.value)
    assert "backlit-lab-" not in str(caught.value)


def test_a_file_where_there_is_none() -> None:
    with pytest.raises(ConfigurationError, match="there is no file yet: upload one"):
        of("file")


def test_columns_that_are_dropped_and_used() -> None:
    table = pl.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [None, None]}, schema_overrides={"c": pl.String})
    assert choose_columns(table)[:2] == (
        {"a": "numeric", "b": "numeric"},
        {"c": "every value in it is missing"},
    )
    assert list(choose_columns(table, drop=["a"])[0]) == ["b"]
    with pytest.raises(ConfigurationError, match="column 'a' is to be dropped and to be used: choose one"):
        choose_columns(table, drop=["a"], keep=["a"])


# ── arrays and models ────────────────────────────────────────────────────────────────────────────────────────


def test_arrays_with_labels() -> None:
    net = bl.Network([bl.Dense(2, "softmax")], inputs=3, loss="cross_entropy")
    X = RNG.standard_normal((20, 3))
    material = from_arrays(net, X, np.array(["no", "yes"])[np.arange(20) % 2], names=["a", "b", "c"])
    assert (material.classes, material.input_names) == (("no", "yes"), ("a", "b", "c"))
    assert material.y_train.dtype == np.int64
    every = material_of(Settings.from_json({"data": {"name": "file", "held_out": 0}}), material)
    np.testing.assert_array_equal(every.X_train, X)
    np.testing.assert_array_equal(every.y_train, np.arange(20) % 2)
    with pytest.raises(ShapeError, match="names must be 3, one for each column of X, received 2 of them"):
        from_arrays(net, X, np.arange(20) % 2, names=["a", "b"])


@pytest.mark.parametrize(
    ("output", "loss", "y", "classes"),
    [
        (bl.Dense(1, "sigmoid"), "cross_entropy", np.arange(12) % 2, ("0", "1")),
        (bl.Dense(1, "sigmoid"), "cross_entropy", ["a", "b"] * 6, ("a", "b")),
        (bl.Dense(3, "softmax"), "cross_entropy", np.eye(3)[np.arange(12) % 3], ("0", "1", "2")),
        (bl.Dense(1), "hinge", ["a", "b"] * 6, ("a", "b")),
        (bl.Dense(1, "sigmoid"), "cross_entropy", np.linspace(0, 1, 12), None),
        (bl.Dense(3, "sigmoid"), "cross_entropy", np.ones((12, 3)), None),
        (bl.Dense(1), "squared_error", np.arange(12) % 2, None),
        (bl.Dense(2), "squared_error", np.ones((12, 2)), None),
    ],
)
def test_what_arrays_stand_for(output: bl.Dense, loss: str, y: Any, classes: tuple[str, ...] | None) -> None:
    net = bl.Network([output], inputs=2, loss=loss, dtype="float64")
    material = from_arrays(net, RNG.standard_normal((12, 2)), y)
    assert material.classes == classes
    assert len(material.names_of_outputs(net)) == net.outputs
    net.check_data(material.X_train, material.y_train)


def test_arrays_of_pixels_are_pictures() -> None:
    net = bl.Network([bl.Dense(1)], inputs=64)
    pixels = RNG.random((12, 64))
    assert from_arrays(net, pixels, np.zeros(12)).image == (8, 8)
    assert from_arrays(net, pixels - 0.5, np.zeros(12)).image is None
    assert from_arrays(bl.Network([bl.Dense(1)], inputs=63), pixels[:, 1:], np.zeros(12)).image is None


def test_a_network_that_came_without_rows(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(3, "softmax")], inputs=4, loss="cross_entropy", seed=1)
    net.classes = np.array(["x", "y", "z"])
    bl.save(net, tmp_path / "net.backlit")
    given = read_given(str(tmp_path / "net.backlit"))
    assert given.net is not None
    np.testing.assert_array_equal(given.net.parameters.values, net.parameters.values)
    material = given.material
    assert material.classes == ("x", "y", "z")
    assert "no rows came with 'net.backlit': 200 are made up" in material.description
    again = material_of(Settings.from_json({"data": {"name": "file", "held_out": 0}}), material)
    assert again.description == material.description
    np.testing.assert_array_equal(again.y_train, net.forward(again.X_train).argmax(axis=1))
    session = Session(given=given)
    np.testing.assert_array_equal(session.course.net.parameters.values, net.parameters.values)


def test_an_estimator_is_no_network() -> None:
    clf = bl.MLPClassifier(hidden_layer_sizes=(2,), max_iter=300, tol=10.0)
    clf.fit(RNG.standard_normal((20, 2)), np.arange(20) % 2)
    with tempfile.TemporaryDirectory() as folder:
        bl.save(clf, folder + "/clf.backlit")
        with pytest.raises(ModelFileError, match=r"'clf.backlit' holds a MLPClassifier, not a network"):
            read_given(folder + "/clf.backlit")


# ── what leaves the lab ──────────────────────────────────────────────────────────────────────────────────────


def trained(name: str = "circle", given: Given | None = None, **settings: Any) -> Session:
    session = Session({"data": {"name": name}, **settings}, given)
    session.course.advance(session.course.job.steps + 3)
    return session


def test_the_script_is_the_network(tmp_path: Path) -> None:
    session = trained(data={"name": "circle", "features": ["x1", "x2²"]})
    name, data, media = export("script", session)
    assert (name, media) == ("network.py", "text/x-python")
    assert data.startswith(b"# Columns of X: x1, x2\xc2\xb2.\n")
    (tmp_path / name).write_bytes(data)
    by_hand = runpy.run_path(str(tmp_path / name))
    net, material = session.course.net, session.material
    np.testing.assert_allclose(by_hand["forward"](material.X_test), net.forward(material.X_test), rtol=1e-12)
    assert by_hand["loss"](material.X_test, np.array(["ring", "disc"])[material.y_test]) == pytest.approx(
        net.loss(material.X_test, material.y_test), rel=1e-12
    )


def test_a_large_script_comes_with_its_parameters(tmp_path: Path) -> None:
    session = trained("digits", network={"hidden": [{"units": 64}]})
    name, data, media = export("script", session)
    assert (name, media) == ("network.zip", "application/zip")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert sorted(archive.namelist()) == ["network.py", "network_parameters.npz"]
        archive.extractall(tmp_path)
    text = (tmp_path / "network.py").read_text()
    assert text.startswith("# X has 64 columns, pixel_0_0 to pixel_7_7.\n")
    by_hand = runpy.run_path(str(tmp_path / "network.py"))
    X = session.material.X_test[:5]
    np.testing.assert_allclose(by_hand["forward"](X), session.course.net.forward(X), rtol=1e-10)


def test_the_model_knows_its_labels(tmp_path: Path) -> None:
    session = trained("moons")
    name, data, media = export("model", session)
    assert (name, media) == ("model.backlit", "application/octet-stream")
    (tmp_path / name).write_bytes(data)
    net = bl.load(tmp_path / name)
    assert net.classes.tolist() == ["upper moon", "lower moon"]
    np.testing.assert_array_equal(net.parameters.values, session.course.net.parameters.values)
    assert session.course.net.classes is None


def test_the_model_of_a_file_takes_the_file(tmp_path: Path) -> None:
    given = read_upload(PEOPLE.encode(), "people.csv", "town")
    session = trained("file", given, training={"optimizer": "Adam", "learning_rate": 0.02})
    (tmp_path / "model.backlit").write_bytes(export("model", session)[1])
    (tmp_path / "people.csv").write_text(PEOPLE)
    model = bl.load(tmp_path / "model.backlit")
    assert isinstance(model, TableModel)
    assert (model.target, model.optimizer, model.learning_rate) == ("town", "adam", 0.02)
    assert model.columns == session.material.columns
    assert model.history.epochs == session.course.epochs_done
    frame = bl.data.read_table(tmp_path / "people.csv")
    right = float((model.predict(frame) == frame["town"].to_numpy()).mean())
    result = subprocess.run(
        [*BACKLIT, "evaluate", "model.backlit", "people.csv", "--json"],
        cwd=tmp_path, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(result.stdout)["test"]["accuracy"] == pytest.approx(right)


def test_the_model_of_values_gives_them_in_their_own_units(tmp_path: Path) -> None:
    given = read_upload(PEOPLE.encode(), "people.csv", "income")
    session = trained("file", given)
    (tmp_path / "model.backlit").write_bytes(export("model", session)[1])
    (tmp_path / "people.csv").write_text(PEOPLE)
    predicted = bl.load(tmp_path / "model.backlit").predict(bl.data.read_table(tmp_path / "people.csv"))
    assert predicted.min() > 50


@pytest.mark.parametrize("name", ["circle", "iris", "diabetes"])
def test_onnx_agrees(name: str) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    file, data, _ = export("onnx", trained(name))
    assert file == "model.onnx"
    assert onnxruntime.InferenceSession(data).get_inputs()


def test_without_onnx_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match="onnx and onnxruntime, which is not installed: pip install"):
        export("onnx", trained())


def test_the_report_is_that_of_the_step_that_comes_next() -> None:
    session = trained()
    name, data, media = export("report", session)
    text = data.decode()
    assert (name, media) == ("report.html", "text/html; charset=utf-8")
    assert f"Circle, step {session.course.step}" in text
    assert "disc" in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_exports_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    session = trained()
    for kind in ("script", "model", "report"):
        assert export(kind, session)[1]
    assert list(tmp_path.iterdir()) == []
    assert list(EXPORTS) == ["script", "model", "onnx", "report"]


# ── the command ──────────────────────────────────────────────────────────────────────────────────────────────


def run_command(command: str, notes: list[str], folder: Path) -> None:
    words = shlex.split(command)
    assert words[0] == "backlit"
    making = [note.removeprefix("make the file first: ") for note in notes if note.startswith("make the file first")]
    for line in making:
        program = shlex.split(line)
        assert program[:2] == ["python", "-c"]
        subprocess.run([sys.executable, *program[1:]], cwd=folder, check=True)
    more = ["--epochs", "2", "--json"]
    subprocess.run([*BACKLIT, *words[1:], *more], cwd=folder, check=True, capture_output=True)


def test_the_command_runs_on_a_built_in_set(tmp_path: Path) -> None:
    hidden = [{"units": 5, "activation": "relu", "dropout": 0.25}, {"units": 3, "activation": "relu", "dropout": 0.25}]
    settings = Settings.from_json(
        {"data": {"name": "spiral", "noise": 0.1}, "network": {"hidden": hidden}, "training": {"learning_rate": 0.03}}
    )
    command, notes = train_command(settings, material_of(settings))
    assert command == (
        "backlit train spiral.npz --hidden 5 --hidden 3 --activation relu --dropout 0.25 --batch-size 10 "
        "--optimizer sgd --learning-rate 0.03 --validation 0.5 --seed 0"
    )
    run_command(command, notes, tmp_path)
    with np.load(tmp_path / "spiral.npz") as made:
        np.testing.assert_array_equal(made["X"], load("spiral", noise=0.1).X)


def test_the_command_runs_on_a_file(tmp_path: Path) -> None:
    (tmp_path / "-my people.csv").write_text(PEOPLE)
    given = read_upload(PEOPLE.encode(), "-my people.csv", "town").material
    settings = Settings(DataSettings("file", held_out=0.2))
    command, notes = train_command(settings, material_of(settings, given))
    assert command.startswith("backlit train './-my people.csv' --target town --hidden 4")
    run_command(command, notes, tmp_path)


def test_the_command_says_what_it_cannot_say() -> None:
    settings = Settings.from_json(
        {
            "data": {"features": ["x1", "x1²"], "seed": 4},
            "network": {
                "hidden": [{"units": 2}, {"units": 2, "activation": "relu"}],
                "output": "tanh", "init": "he_normal", "l1": 0.5, "l2": 0.25, "seed": 5, "given": True,
            },
            "training": {"schedule": "StepDecay", "momentum": 0.5},
        }
    )  # fmt: skip
    said = " | ".join(train_command(settings, material_of(settings))[1])
    for part in (
        "standardises every column", "fresh initial values", "one activation and one dropout", "x1, x1²",
        "init, which is he_normal", "l1, which is 0.5", "l2, which is 0.25", "tanh with squared_error",
        "constant, here StepDecay", "no momentum, here 0.5", "divided with 4, and the network has 5",
    ):  # fmt: skip
        assert part in said
    plain = " | ".join(train_command(Settings(), of("circle"))[1])
    assert "momentum" not in plain
    assert "StepDecay" not in plain
    assert "64 units" in " | ".join(train_command(Settings.from_json({"network": {"hidden": []}}), of("circle"))[1])
