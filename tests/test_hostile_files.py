"""Files that somebody made to do harm, or that are no files: refused with one sentence, before much is made of them."""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import backlit as bl
from backlit.archives import read_archive, stored_archive
from backlit.data.model import TableModel
from backlit.data.preparation import Preparation
from backlit.exceptions import ConfigurationError, ModelFileError, NonFiniteError, OutputError
from backlit.files import check_version, checked_header, write_bytes

DROPOUT = {"kind": "Dropout", "rate": 0.5}


def network() -> bl.Network:
    return bl.Network([bl.Dense(3, "softmax")], inputs=2, loss="cross_entropy")


@pytest.fixture(scope="module")
def classifier() -> Any:
    X, y = load_iris(return_X_y=True)
    return bl.MLPClassifier((4,), solver="lbfgs", max_iter=50, random_state=0).fit(X, y)


def refused(data: bytes, folder: Path, fragment: str) -> None:
    (folder / "bad").write_bytes(data)
    with pytest.raises(ModelFileError) as caught:
        bl.load(folder / "bad")
    assert fragment in str(caught.value)
    assert len(str(caught.value)) < 700


def saved(model: Any, folder: Path) -> bytes:
    bl.save(model, folder / "good")
    return (folder / "good").read_bytes()


# ── descriptions ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        ({"loss": "x"}, "wrong in its loss"),
        ({"layers": ["ab"]}, "wrong in its layer 0"),
        ({"layers": "ab"}, "wrong in its layers"),
        ({"layers": [DROPOUT] * 4097}, "wrong in its layers"),
        ({"layers": [{"kind": "Dense", "units": 2**40}]}, "wrong in its layer 0"),
        ({"layers": [{"kind": "Dense", "units": [3]}]}, "wrong in its layer 0"),
        ({"layers": [{"kind": ["Dense"], "units": 3}]}, "wrong in its layer 0"),
        ({"layers": [{"kind": "Embedding", "categories": [[3]]}]}, "wrong in its layer 0"),
        ({"layers": [{"kind": "Embedding", "categories": [3.0]}]}, "wrong in its layer 0"),
        ({"layers": [{"kind": "Embedding", "categories": [1] * 4097}]}, "wrong in its layer 0"),
        ({"layers": [{"kind": "Embedding", "categories": {"a": 3}}]}, "categories must be a whole number"),
        ({"layers": [{"kind": "Dropout", "rate": {"name": {"a": 1}}}]}, "wrong in its layer 0"),
        ({"layers": [{"kind": "Dropout", "rate": {"name": "StepDecay"}}]}, "a StepDecay cannot be made of"),
        ({"layers": [{"kind": "Dropout", "rate": [3]}]}, "the dropout rate must be at least 0 and below 1"),
        ({"classes": [[1], [2, 3]]}, "wrong in its classes"),
        ({"classes": ["a", 1, "b"]}, "wrong in its classes"),
        ({"classes": ["a", "a", "b"]}, "wrong in its classes"),
        ({"classes": ["a" * 2**23, "b", "c"]}, "wrong in its classes"),
        ({"inputs": 10**400}, "wrong in its settings"),
        ({"l2": 10**400}, "wrong in its settings"),
        ({"dtype": ","}, "wrong in its dtype"),
        ({"unknown": 1}, "wrong in its names"),
        ({"inputs": 2**39, "layers": [{"kind": "Dense", "units": 2**39}]}, "fewer than"),
    ],
)
def test_descriptions_that_no_network_has(tmp_path: Path, change: dict[str, Any], fragment: str) -> None:
    spec = {**network().spec(), **change}
    if fragment != "fewer than":  # that one is refused by the sizes of the file
        with pytest.raises(ConfigurationError, match=fragment):
            bl.Network.from_spec(spec)
    data = saved(network(), tmp_path)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["network"] = json.dumps(spec)
    text = json.dumps(header).encode()
    refused(struct.pack("<Q", len(text)) + text + data[8 + length :], tmp_path, fragment)


def header_of(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def test_headers_that_would_take_long() -> None:
    long_shape = b'{"a":{"dtype":"F32","shape":[' + b"9999999999," * 700_000 + b'1],"data_offsets":[0,4]}}'
    with pytest.raises(ModelFileError, match="not a short list"):
        checked_header(header_of(long_shape), "x")
    with pytest.raises(ModelFileError, match="brackets"):
        checked_header(header_of(b'{"a":[' + b"{}," * 300_000 + b"0]}"), "x")
    with pytest.raises(ModelFileError, match="not whole numbers from 0 to below"):
        checked_header(header_of(b'{"a":{"dtype":"F32","shape":[1.5,1%s],"data_offsets":[0,4]}}' % (b"0" * 400)), "x")


@pytest.mark.parametrize("version", ["1" * 5000, "-1", "0", "", True, 1.0, None, "²"])
def test_versions_that_are_none(version: Any) -> None:
    with pytest.raises(ModelFileError, match="is not a format version"):
        check_version(version, "0.1.0", "'x'")


def test_loading_draws_no_initial_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bl.save(network(), tmp_path / "n")

    def never(*given: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr("backlit.network.set_initial_values", never)
    assert bl.load(tmp_path / "n").parameters.size == 9


# ── values ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_network_with_nan_is_not_saved(tmp_path: Path) -> None:
    net = network()
    net.parameters.view("0.weight")[1, 2] = np.nan
    with pytest.raises(ConfigurationError, match=r"because 0\.weight\[1, 2\] is nan"):
        bl.save(net, tmp_path / "n")
    assert not list(tmp_path.iterdir())


def test_an_estimator_with_nan_is_neither_saved_nor_loaded(tmp_path: Path, classifier: Any) -> None:
    members = read_archive(saved(classifier, tmp_path))
    before = classifier.coefs_[0][0, 0]
    classifier.coefs_[0][0, 0] = np.inf
    try:
        with pytest.raises(ConfigurationError, match=r"0\.weight\[0, 0\] is inf"):
            bl.save(classifier, tmp_path / "n")
    finally:
        classifier.coefs_[0][0, 0] = before
    size = classifier.network_.parameters.size
    for name, content in members.items():
        if name.endswith(".npy"):
            array = np.load(io.BytesIO(content))
            if array.shape == (size,):
                array[0] = np.nan
                buffer = io.BytesIO()
                np.save(buffer, array)
                members[name] = buffer.getvalue()
    refused(stored_archive(members), tmp_path, "parameters that are not finite")


def with_batch_norm(variance: float) -> bl.Network:
    net = bl.Network([bl.BatchNorm(), bl.Dense(2)], inputs=2)
    net.parameters.buffer("0.variance")[:] = [1.0, variance]
    return net


def test_a_variance_below_zero_is_refused(tmp_path: Path) -> None:
    """A network's file, an estimator's, and a recording: a square root would make NaN of every prediction."""
    message = r"a running variance of BatchNorm\(.*\) is -2.0, below 0"
    bl.save(with_batch_norm(0.0), tmp_path / "n")
    assert bl.load(tmp_path / "n").predict([[0.0, 0.0]]).shape == (1, 2)
    bl.save(with_batch_norm(-2.0), tmp_path / "n")
    with pytest.raises(ModelFileError, match=message):
        bl.load(tmp_path / "n")
    model = bl.MLPRegressor(hidden_layer_sizes=(2,), random_state=0).partial_fit(np.eye(2), np.eye(2))
    model.network_ = with_batch_norm(-2.0)
    bl.save(model, tmp_path / "e")
    with pytest.raises(ModelFileError, match=message):
        bl.load(tmp_path / "e")
    recorder = bl.Recorder()
    net = with_batch_norm(1.0)
    bl.fit(net, np.eye(2), np.eye(2), epochs=1, callbacks=[recorder])
    recorder.recording.net.parameters.buffer("0.variance")[:] = -2.0
    recorder.recording.save(tmp_path / "r")
    with pytest.raises(ModelFileError, match=message):
        type(recorder.recording).load(tmp_path / "r")


@pytest.mark.parametrize("classes", [[0.0, 1.0, np.nan], [0.0, 1.0, 1.0]])
def test_classes_that_are_none(tmp_path: Path, classes: list[float], classifier: Any) -> None:
    kept = classifier.classes_
    classifier.classes_ = np.array(classes)
    try:
        data = saved(classifier, tmp_path)
    finally:
        classifier.classes_ = kept
    refused(data, tmp_path, "a class is not a finite number" if np.isnan(classes[2]) else "a class stands twice")


def test_a_prediction_is_a_number_or_refused() -> None:
    """Finite parameters that are too large to compute with: of a network, an estimator, and a table's model."""
    model = bl.MLPRegressor(hidden_layer_sizes=(2,), random_state=0).partial_fit(np.ones((3, 2)), np.ones(3))
    model.network_.parameters.values[:] = np.finfo(model.network_.dtype).max
    net = bl.Network([bl.Dense(1)], inputs=1)
    preparation = Preparation.learn(pl.DataFrame({"x": [1.0, 2.0]}), {"x": "numeric"})
    table = TableModel(net, preparation, "y", mean=1e308, scale=1e308)
    for predict in (
        lambda: model.predict(np.ones((3, 2))),
        lambda: model.network_.predict(np.ones((3, 2), model.network_.dtype)),
        lambda: table.values(np.ones((2, 1))),
    ):
        with pytest.raises(NonFiniteError, match="output 0 of row 0 is inf: the numbers grow beyond float"):
            predict()


# ── zip files ──────────────────────────────────────────────────────────────────────────────────────────────
def test_a_flipped_bit_in_an_estimator_is_refused_or_harmless(tmp_path: Path, classifier: Any) -> None:
    data = saved(classifier, tmp_path)
    X, _ = load_iris(return_X_y=True)
    expected = classifier.predict(X).tolist()
    refusals = 0
    for position in range(0, len(data), 37):
        damaged = bytearray(data)
        damaged[position] ^= 1 << position % 8
        (tmp_path / "bad").write_bytes(bytes(damaged))
        try:
            again = bl.load(tmp_path / "bad")
        except ModelFileError:  # any other exception fails the test
            refusals += 1
        else:
            assert again.predict(X).tolist() == expected
    assert refusals > len(data) / 37 / 2


@pytest.mark.parametrize("name", ["backlit.json", "schema.json", "other.npy"])
def test_zip_bombs(tmp_path: Path, name: str, classifier: Any) -> None:
    members = read_archive(saved(classifier, tmp_path))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in {**members, name: b" " * (100 * 2**20)}.items():
            archive.writestr(member, content)
    refused(buffer.getvalue(), tmp_path, "unpacks to more than")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_ways_to_pack(tmp_path: Path, method: int, classifier: Any) -> None:
    members = read_archive(saved(classifier, tmp_path))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    refused(buffer.getvalue(), tmp_path, "packed in a way that save does not use")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"n_features_in_"', b'"n_features_on_"'),
        (b'"spec"', b'"spek"'),
        (b'"impute_missing"', b'"impute_nothing"'),  # asked for only when a row is refused
    ],
)
def test_an_estimator_that_cannot_predict(tmp_path: Path, old: bytes, new: bytes, classifier: Any) -> None:
    members = read_archive(saved(classifier, tmp_path))
    assert old in members["schema.json"]
    members["schema.json"] = members["schema.json"].replace(old, new)
    refused(stored_archive(members), tmp_path, "damaged")


def test_an_estimator_that_is_not_fitted_needs_its_settings(tmp_path: Path) -> None:
    members = read_archive(saved(bl.MLPClassifier((4,)), tmp_path))
    assert bl.load(tmp_path / "good").hidden_layer_sizes == (4,)
    members["schema.json"] = members["schema.json"].replace(b'"impute_missing"', b'"impute_nothing"')
    refused(stored_archive(members), tmp_path, "lacks its setting 'impute_missing'")


def test_a_pipeline_without_its_steps(tmp_path: Path) -> None:
    members = read_archive(saved(make_pipeline(StandardScaler(), bl.MLPClassifier((4,))), tmp_path))
    members["schema.json"] = members["schema.json"].replace(b'"steps"', b'"stops"')
    refused(stored_archive(members), tmp_path, "neither predicts nor transforms")


def test_a_long_history_keeps_its_values_in_a_small_file(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    model = bl.MLPClassifier((2,), random_state=0).partial_fit(X, y, classes=[0, 1, 2])
    for epoch in range(5000):
        model.history_.append(loss=1.0 / (epoch + 1))
    bl.save(model, tmp_path / "m")
    again = bl.load(tmp_path / "m")
    assert len(read_archive((tmp_path / "m").read_bytes())["schema.json"]) < 2**18
    assert again.loss_curve_ == model.loss_curve_
    assert again.partial_fit(X, y).history_.epochs == 5002


# ── places ─────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.skipif(os.name != "posix", reason="pipes and devices have no names elsewhere")
def test_pipes_and_devices(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ModelFileError, match="a pipe or a device"):
            bl.load(path)
        with pytest.raises(OutputError, match="a pipe or a device"):
            bl.save(network(), path)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    with pytest.raises(ModelFileError, match="cannot be read"):
        bl.load("a\0b")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_replaced_file_leaves_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "n"
    bl.save(network(), path)
    path.chmod(mode)
    bl.save(network(), path)
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(os.name != "posix", reason="a process is asked for with a signal")
def test_half_written_files_of_the_dead_are_removed(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from backlit.files import write_bytes\n"
        "os.replace = lambda *paths: os._exit(9)\n"
        "write_bytes(b'half', Path(sys.argv[1]) / 'n')"
    )
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert run.returncode == 9
    (left,) = tmp_path.iterdir()
    prefix, _, token = left.name.split("-")
    alive = tmp_path / f"{prefix}-{os.getpid()}-{token}"
    other = tmp_path / ".mine.part"
    alive.write_bytes(b"")
    other.write_bytes(b"")
    write_bytes(b"whole", tmp_path / "n")
    assert set(tmp_path.iterdir()) == {alive, other, tmp_path / "n"}
    assert (tmp_path / "n").read_bytes() == b"whole"
