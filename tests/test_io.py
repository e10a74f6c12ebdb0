"""Saving and loading: what was saved comes back, and nothing damaged, foreign or hostile gets in."""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import backlit as bl
from backlit import losses
from backlit.exceptions import ConfigurationError, FileMissingError, ModelFileError, OutputError
from backlit.kinds import ACTIVATIONS, LAYERS


def small_network(**more: Any) -> bl.Network:
    layers = [bl.Dense(4, "tanh"), bl.Dropout(0.5), bl.Dense(3, "softmax", bias=False)]
    return bl.Network(layers, inputs=2, loss="cross_entropy", l2=0.1, seed=7, **more)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    X, y = load_iris(return_X_y=True)
    mlp = bl.MLPClassifier((8,), solver="lbfgs", max_iter=200, random_state=0)
    return make_pipeline(StandardScaler(), mlp).fit(X, y)


# ── what was saved comes back ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_comes_back_bit_for_bit(tmp_path: Path, dtype: str) -> None:
    net = small_network(dtype=dtype, input_scale=0.5)
    net.classes = np.array(["a", "b", "c"])
    bl.save(net, tmp_path / "n.backlit")
    again = bl.load(tmp_path / "n.backlit")
    assert again.spec() == net.spec()
    assert again.parameters.values.tobytes() == net.parameters.values.tobytes()
    assert again.classes.tolist() == ["a", "b", "c"]
    X = np.linspace(-1, 1, 10).reshape(5, 2)
    assert again.forward(X).tobytes() == net.forward(X).tobytes()


@pytest.mark.parametrize("loss", [losses.huber(2.0), losses.quantile(0.9), "absolute_error"])
def test_losses_keep_their_settings(tmp_path: Path, loss: Any) -> None:
    net = bl.Network([bl.Dense(1)], inputs=2, loss=loss)
    bl.save(net, tmp_path / "n")
    assert bl.load(tmp_path / "n").loss_function.spec() == net.loss_function.spec()


@pytest.mark.parametrize(
    "name", [name for name in LAYERS if name != "Embedding"]
)  # the one that must be first: tests/test_embedding.py
def test_every_layer_comes_back(name: str, tmp_path: Path) -> None:
    known: dict[str, Any] = {
        "Dense": bl.Dense(3, "relu", bias=False), "Dropout": bl.Dropout(0.25),
        "ParallelDense": bl.ParallelDense(3, 2, "relu"), "Parametric": bl.Parametric("gelu", 0.5),
    }  # fmt: skip
    made = known.get(name) or LAYERS[name]()
    net = bl.Network([bl.Dense(4, "tanh"), made, bl.Dense(2)], inputs=2, seed=5)
    net.parameters.state[:] += np.linspace(0.1, 0.4, net.parameters.state.size)  # buffers too
    bl.save(net, tmp_path / "n")
    again = bl.load(tmp_path / "n")
    assert again.spec() == net.spec()
    assert again.parameters.state.tobytes() == net.parameters.state.tobytes()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_comes_back(name: str, tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(2, name), bl.Dense(1)], inputs=2)
    bl.save(net, tmp_path / "n")
    assert bl.load(tmp_path / "n").layers[0].activation is net.layers[0].activation


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_comes_back(name: str, tmp_path: Path) -> None:
    record = losses.get_loss(name)
    output = next(iter(record.pairs), "softplus")
    net = bl.Network([bl.Dense(2, output)], inputs=2, loss=name)
    bl.save(net, tmp_path / "n")
    assert bl.load(tmp_path / "n").loss_function.spec() == record.spec()


def test_a_network_file_is_safetensors_that_anybody_can_read(tmp_path: Path) -> None:
    from safetensors import safe_open

    net = small_network()
    bl.save(net, tmp_path / "n")
    with safe_open(tmp_path / "n", "np") as file:
        assert set(file.keys()) == set(net.parameters.names)
        metadata = file.metadata()
    assert metadata["format_version"] == "1"
    assert metadata["seed"] == "7"
    assert metadata["library_version"] == bl.__version__
    assert json.loads(metadata["network"])["layers"][0]["activation"] == "tanh"


def test_a_pipeline_comes_back(tmp_path: Path, pipeline: Pipeline) -> None:
    X, _ = load_iris(return_X_y=True)
    bl.save(pipeline, tmp_path / "p")
    again = bl.load(tmp_path / "p")
    assert again.predict_proba(X).tobytes() == pipeline.predict_proba(X).tobytes()


# ── what cannot be saved ─────────────────────────────────────────────────────────────────────────────────────


def test_own_functions_cannot_be_saved(tmp_path: Path) -> None:
    net = bl.Network([bl.Dense(1, (np.sin, np.cos))], inputs=2)
    with pytest.raises(ConfigurationError, match="of your own, which no file can hold"):
        bl.save(net, tmp_path / "n")
    own = make_pipeline(FunctionTransformer(small_network), StandardScaler())
    with pytest.raises(ConfigurationError, match="cannot be saved"):
        bl.save(own, tmp_path / "n")
    with pytest.raises(ConfigurationError, match="received dict"):
        bl.save({}, tmp_path / "n")
    assert not list(tmp_path.iterdir())


def test_paths_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="it is a folder"):
        bl.save(small_network(), tmp_path)
    with pytest.raises(OutputError, match="No such file"):
        bl.save(small_network(), tmp_path / "missing" / "n")


def test_a_crash_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "n"
    bl.save(small_network(), path)
    before = path.read_bytes()

    def crash(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        bl.save(small_network(dtype="float64"), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["n"]


def test_the_file_has_ordinary_permissions(tmp_path: Path) -> None:
    bl.save(small_network(), tmp_path / "n")
    (tmp_path / "other").write_bytes(b"")
    assert stat.S_IMODE((tmp_path / "n").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


# ── what must not get in ─────────────────────────────────────────────────────────────────────────────────────


def saved(model: Any, folder: Path) -> bytes:
    bl.save(model, folder / "good")
    return (folder / "good").read_bytes()


def refused(data: bytes, folder: Path, fragment: str) -> None:
    (folder / "bad").write_bytes(data)
    with pytest.raises(ModelFileError) as caught:
        bl.load(folder / "bad")
    message = str(caught.value)
    assert fragment in message
    assert "\n" not in message
    assert isinstance(caught.value, ValueError)


def with_header(data: bytes, change: Any) -> bytes:
    """The same file with a header changed by a function of its JSON text."""
    length = int.from_bytes(data[:8], "little")
    header = change(data[8 : 8 + length].decode()).encode()
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def edited(change: Any) -> Any:
    """A change of the header's JSON as a dictionary."""

    def apply(text: str) -> str:
        header = json.loads(text)
        change(header)
        return json.dumps(header)

    return apply


def spec_edited(**values: Any) -> Any:
    def change(header: dict[str, Any]) -> None:
        spec = json.loads(header["__metadata__"]["network"])
        header["__metadata__"]["network"] = json.dumps({**spec, **values})

    return edited(change)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match="there is no model file"):
        bl.load(tmp_path / "nothing")
    with pytest.raises(ModelFileError, match="cannot be read: Is a directory"):
        bl.load(tmp_path)


@pytest.mark.parametrize("keep", [0, 5, 9, 40, 300, -1])
def test_a_network_cut_short(tmp_path: Path, keep: int) -> None:
    refused(saved(small_network(), tmp_path)[:keep], tmp_path, "not a Backlit model file, or is damaged")


@pytest.mark.parametrize(
    ("data", "fragment"),
    [
        (b"a,b\n1,2\n" * 9, "does not begin like one"),
        (b"\x80\x04\x95" + b"x" * 40, "does not begin like one"),  # a pickle
        (struct.pack("<Q", 2**40) + b"{" + b" " * 40, "does not begin like one"),
        (struct.pack("<Q", 20) + b"{" + b"[" * 19, "header cannot be read"),
        (struct.pack("<Q", 100_000) + b'{"a":' + b"[" * 99_995, "header cannot be read"),
    ],
    ids=["text", "pickle", "huge header", "no JSON", "deep nesting"],
)
def test_other_formats(tmp_path: Path, data: bytes, fragment: str) -> None:
    refused(data, tmp_path, fragment)


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (lambda text: text.replace('"0.weight":', '"0.bias":'), "a key stands twice"),
        (edited(lambda h: h["0.weight"].update(dtype="I32")), "does not describe parameters"),
        (edited(lambda h: h["0.weight"].update(shape=[2, 5])), "does not fit its shape"),
        (edited(lambda h: h["0.weight"].update(shape=[-2, -4])), "not whole numbers"),
        (edited(lambda h: h["0.weight"].update(shape=[4, 2])), "do not fit the network it describes"),
        (edited(lambda h: h["0.weight"].update(data_offsets=[0, 4])), "does not fit its shape"),
        (edited(lambda h: h.pop("2.weight")), "its header promises"),
        (edited(lambda h: h.pop("__metadata__")), "not a Backlit model"),
        (edited(lambda h: h["__metadata__"].update(format_version="99")), "which reads format 1; upgrade it"),
        (edited(lambda h: h["__metadata__"].update(format_version="x")), "not a format version"),
        (edited(lambda h: h["__metadata__"].update(network="[]")), "not a JSON object"),
        (spec_edited(inputs=10**11), "do not fit the network it describes"),
        (spec_edited(inputs=10**12), "fewer than 1099511627776 parameters"),
        (spec_edited(inputs="2"), "damaged"),
        (spec_edited(layers=[{"kind": "os.system", "units": 1}]), "there is no layer"),
        (spec_edited(loss={"name": "builtins.eval"}), "there is no loss"),
        (spec_edited(l2=float("nan")), "l2 must be a finite number"),
        (spec_edited(classes=["a"]), "do not tell 1 classes apart"),
        (spec_edited(unknown=1), "damaged"),
    ],
)
def test_damaged_headers(tmp_path: Path, change: Any, fragment: str) -> None:
    refused(with_header(saved(small_network(), tmp_path), change), tmp_path, fragment)


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    data = bytearray(saved(small_network(), tmp_path))
    data[-4:] = struct.pack("<f", float("nan"))
    refused(bytes(data), tmp_path, "not made of finite float32 numbers")


def test_flipping_any_byte_is_either_refused_or_harmless(tmp_path: Path) -> None:
    data = saved(small_network(), tmp_path)
    for position in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[position] ^= 0x15
        (tmp_path / "bad").write_bytes(bytes(damaged))
        with contextlib.suppress(ModelFileError):  # any other exception fails the test
            bl.load(tmp_path / "bad")


def rezipped(data: bytes, change: Any) -> bytes:
    """The same zip with its parts changed by a function of a dictionary."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def foreign_type(parts: dict[str, bytes]) -> None:
    schema = json.loads(parts["schema.json"])
    schema["__class__"], schema["__module__"] = "Popen", "subprocess"
    parts["schema.json"] = json.dumps(schema).encode()


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (lambda p: p.pop("backlit.json"), "a zip file, but not a Backlit model"),
        (lambda p: p.pop("schema.json"), "a zip file, but not a Backlit model"),
        (lambda p: p.update({"backlit.json": b"[]"}), "a zip file, but not a Backlit model"),
        (lambda p: p.update({"backlit.json": b'{"format": "backlit", "format_version": 2}'}), "upgrade it"),
        (lambda p: p.update({"schema.json": b"{}"}), "damaged"),
        (foreign_type, "not trusted, because it holds subprocess.Popen"),
    ],
    ids=["no description", "no schema", "wrong description", "newer", "empty schema", "foreign type"],
)
def test_damaged_pipelines(tmp_path: Path, pipeline: Pipeline, change: Any, fragment: str) -> None:
    refused(rezipped(saved(pipeline, tmp_path), change), tmp_path, fragment)


@pytest.mark.parametrize("keep", [10, 1000, -1, -30])
def test_a_pipeline_cut_short(tmp_path: Path, pipeline: Pipeline, keep: int) -> None:
    refused(saved(pipeline, tmp_path)[:keep], tmp_path, "damaged")
