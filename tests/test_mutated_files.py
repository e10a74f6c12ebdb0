"""Thousands of damaged and hostile files of every kind: each is refused with a `BacklitError`, or what it holds works.

Nothing takes long or much memory, no other exception leaves, and no code of a file is run. Files that somebody made for
one purpose each are in test_hostile_files.py.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import time
import tracemalloc
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.mutations import BYTES, Rng, mutated_text

import backlit as bl
from backlit.archives import ALWAYS, read_archive, stored_archive, write_archive
from backlit.data.model import TableModel
from backlit.data.preparation import Preparation
from backlit.exceptions import BacklitError
from backlit.files import arrays_in
from backlit.lens import Recorder
from backlit.lens.recording.recording import Recording
from backlit.training.checkpoint import _digest

SHORT, LONG = 50, 3400  # files of each of the six kinds
SECONDS = 2.0  # of a processor
# What memory may be taken: times the size of the file, and bytes beyond. Parts no larger than `ALWAYS` together
# may be held five times while they are read: unpacked, in the archive for skops (twice), by skops, and as arrays.
TIMES, FLOOR = 10, 5 * ALWAYS

_rng = np.random.default_rng(0)
X = _rng.normal(size=(24, 3))
LABELS = np.where(X[:, 0] > 0, "yes", "no")
TABLE = pl.DataFrame({
    "age": X[:, 0],
    "day": [f"2024-0{1 + k % 9}-1{k % 10}" for k in range(24)],
    "town": [["Rome", "Oslo", "Lima"][k % 3] for k in range(24)],
})  # fmt: skip
KINDS = {"age": "numeric", "day": "date", "town": "categorical"}

# ── the kinds of files: how one is written, and what is done with one that is read ─────────────────────────


def network(inputs: int = 3) -> bl.Network:
    layers = [
        bl.NumericEmbedding(1, frequencies=2, columns=1), bl.Dense(4, "tanh"), bl.BatchNorm(),
        bl.Dropout(bl.CosineDecay(0.2, 9)), bl.LayerNorm(), bl.Scale(), bl.Parametric("tanh"),
        bl.ParallelDense(2, 2, "tanh"), bl.Dense(2, "softmax"),
    ]  # fmt: skip
    return bl.Network(layers, inputs=inputs, loss="cross_entropy", l2=0.01, dtype="float64")


def train(net: bl.Network, **settings: Any) -> bl.Network:
    bl.fit(net, X[:, : net.inputs], LABELS, batch_size=8, optimizer=bl.Adam(0.01), **{"epochs": 2, **settings})
    return net


def write_network(path: Path) -> None:
    bl.save(train(network()), path)


def write_table(path: Path) -> None:
    preparation = Preparation.learn(TABLE, KINDS)
    net = network(preparation.width)
    inputs = preparation.apply(TABLE, dtype=net.dtype)
    history = bl.fit(net, inputs, np.arange(24) % 2, epochs=2)
    model = TableModel(net, preparation, "owns", np.array(["no", "yes"]), columns=(*KINDS, "owns"), history=history)
    bl.save(model, path)


def write_estimator(path: Path) -> None:
    bl.save(fitted(bl.MLPClassifier((4,), max_iter=3, random_state=0, early_stopping=True), LABELS), path)


def write_pipeline(path: Path) -> None:
    model = make_pipeline(
        StandardScaler(), bl.MLPRegressor(hidden_layer_sizes=(3,), solver="sgd", max_iter=3, random_state=0)
    )
    bl.save(fitted(model, X[:, 1]), path)


def fitted(model: Any, y: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def write_recording(path: Path) -> None:
    recorder = Recorder()
    train(network(), callbacks=[recorder])
    recorder.recording.save(path)


def write_checkpoint(path: Path) -> None:
    train(network(), callbacks=[bl.Checkpoint(path), bl.EarlyStopping(patience=9)], validation=(X, LABELS))


def use_model(path: Path) -> Any:
    model = bl.load(path)
    if isinstance(model, bl.Network):
        return model.predict(np.linspace(-1, 1, 2 * model.inputs).reshape(2, -1))
    return model.predict(TABLE if isinstance(model, TableModel) else X)


def use_recording(path: Path) -> Any:
    recording = Recording.load(path)
    player = recording.player()
    player.at(recording.steps[0], sample=0, direction="backward", layer=0, unit=0, term=0)
    return recording.before(recording.steps[-1])[0]


def use_checkpoint(path: Path) -> Any:
    callbacks = [bl.EarlyStopping(patience=9)]
    return train(network(), epochs=3, resume=path, callbacks=callbacks, validation=(X, LABELS)).predict(X)


FILES: dict[str, tuple[Callable[[Path], None], Callable[[Path], Any]]] = {
    "network": (write_network, use_model),
    "table's model": (write_table, use_model),
    "estimator": (write_estimator, use_model),
    "pipeline": (write_pipeline, use_model),
    "recording": (write_recording, use_recording),
    "checkpoint": (write_checkpoint, use_checkpoint),
}

# ── what is done to files with a header ────────────────────────────────────────────────────────────────────


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def with_header(text: str, body: bytes) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw + body


def mutate_header(data: bytes, rng: Rng, canary: Path) -> bytes:
    header, body = header_of(data)
    return with_header(mutated_text(json.dumps(header), rng), body)


def mutate_description(data: bytes, rng: Rng, canary: Path) -> bytes:
    """In the texts of JSON that the metadata hold."""
    header, body = header_of(data)
    about = header["__metadata__"]
    name = str(rng.choice([key for key, text in about.items() if text[:1] == "{"]))
    about[name] = mutated_text(about[name], rng)
    return with_header(json.dumps(header), body)


def mutate_numbers(data: bytes, rng: Rng, canary: Path) -> bytes:
    """Numbers of every size, NaN and infinity in the arrays; a checkpoint gets a digest that is right again."""
    header, body = header_of(data)
    found = bytearray(body)
    name = str(rng.choice([key for key in header if key != "__metadata__"]))
    begin, end = header[name]["data_offsets"]
    kind = {"F32": "<f4", "F64": "<f8"}[header[name]["dtype"]]
    array = np.frombuffer(bytes(found[begin:end]), kind).copy()
    hostile = [np.nan, np.inf, -1.0, 0.0, 1e30, -1e38, 1e-45, np.finfo(kind).max]
    if array.size:
        array[rng.integers(array.size, size=int(rng.integers(1, 4)))] = rng.choice(hostile)
    found[begin:end] = array.tobytes()
    return with_header(json.dumps(signed(header, bytes(found))), bytes(found))


def signed(header: dict[str, Any], body: bytes) -> dict[str, Any]:
    about = header["__metadata__"]
    if "digest" in about:
        entries = {key: entry for key, entry in header.items() if key != "__metadata__"}
        about["digest"] = _digest(about["run"], arrays_in(struct.pack("<Q", 0) + body, entries))
    return header


# ── what is done to zip files ──────────────────────────────────────────────────────────────────────────────

#: Types that a file must not name, and how skops would make each.
MALICE = [
    ("os", "system", "FunctionNode"), ("posix", "system", "MethodNode"), ("builtins", "eval", "TypeNode"),
    ("builtins", "exec", "OperatorFuncNode"), ("subprocess", "Popen", "ObjectNode"), ("os", "system", "ReduceNode"),
    ("functools", "partial", "PartialNode"), ("os", "popen", "ConstructorFromReduceNode"), ("os", "system", "TreeNode"),
    ("shutil", "rmtree", "LossNode"), ("pathlib", "Path", "ObjectNode"), ("builtins", "open", "JsonNode"),
    ("numpy", "fromfile", "NdArrayNode"), ("numpy.testing", "rundocs", "TypeNode"), ("os", "system", "CachedNode"),
    ("sklearn.utils", "os", "DefaultDictNode"), ("backlit.io", "write_bytes", "FunctionNode"),
]  # fmt: skip


class RunsWhenLoaded:
    """Unpickled, it makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


def zipped(members: dict[str, bytes], rng: Rng) -> bytes:
    return write_archive(members) if rng.random() < 0.5 else stored_archive(members)


def mutate_schema(data: bytes, rng: Rng, canary: Path) -> bytes:
    members = read_archive(data)
    name = "backlit.json" if rng.random() < 0.1 else "schema.json"
    return zipped({**members, name: mutated_text(members[name].decode(), rng).encode()}, rng)


def poison_schema(data: bytes, rng: Rng, canary: Path) -> bytes:
    """A type of somebody's own in a place of the schema, with a command where it would look for its arguments."""
    members = read_archive(data)
    schema = json.loads(members["schema.json"])
    nodes: list[dict[str, Any]] = []

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            if "__class__" in node:
                nodes.append(node)
            for inside in node.values():
                collect(inside)
        elif isinstance(node, list):
            for inside in node:
                collect(inside)

    collect(schema)
    node, (module, kind, loader) = nodes[int(rng.integers(len(nodes)))], MALICE[int(rng.integers(len(MALICE)))]
    node |= {"__module__": module, "__class__": kind}
    if rng.random() < 0.8:
        node["__loader__"] = loader
    if rng.random() < 0.8:
        command = f"mkdir {canary}"
        arguments = {
            "__class__": "str",
            "__module__": "builtins",
            "__loader__": "JsonNode",
            "content": json.dumps(command),
        }
        node["content"] = [command, {"func": command, "args": command}, [arguments], arguments, {"attrs": arguments}][
            int(rng.integers(5))
        ]
    return zipped({**members, "schema.json": json.dumps(schema).encode()}, rng)


def mutate_member(data: bytes, rng: Rng, canary: Path) -> bytes:
    """The bytes of one part, in a zip file whose checksums are right."""
    members = read_archive(data)
    name = str(rng.choice([name for name, content in members.items() if content]))
    change = BYTES[int(rng.integers(len(BYTES)))]
    return zipped({**members, name: change(members[name], rng)}, rng)


def mutate_array(data: bytes, rng: Rng, canary: Path) -> bytes:
    """An array of another type, another shape, other numbers, or of objects that run code when they are unpickled."""
    members = read_archive(data)
    name = str(rng.choice([name for name in members if name.endswith(".npy")]))
    array = np.load(io.BytesIO(members[name]), allow_pickle=False)
    changed = [
        lambda: array.astype(np.float16), lambda: array.astype("U8"), lambda: array.astype(complex),
        lambda: array.reshape(-1)[:-1], lambda: array[None], lambda: np.full(array.shape, np.nan),
        lambda: np.full(array.shape, 1e308), lambda: np.zeros(0), lambda: np.zeros((0, 5)), lambda: -array,
        lambda: array.astype(">f8"), lambda: np.zeros(array.shape, [("a", "i4")]), lambda: array.astype("M8[s]"),
        lambda: np.array([RunsWhenLoaded(canary)], object),
    ][int(rng.integers(14))]  # fmt: skip
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            np.save(buffer, changed())
        except (TypeError, ValueError):  # labels are no numbers
            np.save(buffer, array[::-1])
    content = buffer.getvalue()
    if rng.random() < 0.1:
        content = pickle.dumps(RunsWhenLoaded(canary))
    return zipped({**members, name: content}, rng)


def bomb(data: bytes, rng: Rng, canary: Path) -> bytes:
    """Parts that unpack to very much, that stand twice, that are too many, or that are zip files themselves."""
    members = list(read_archive(data).items())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile remarks on names that stand twice
        what = int(rng.integers(6))
        large = io.BytesIO()
        np.save(large, np.zeros(ALWAYS // 8 - 2**14))
        arrays = [name for name, _ in members if name.endswith(".npy")]
        if what == 5:
            members = [(name, large.getvalue() if name == arrays[0] else content) for name, content in members]
        for name, content in members:
            archive.writestr(name, content)
            if what == 0 and rng.random() < 0.3:
                archive.writestr(name, content)
        if what == 1:
            archive.writestr("more.npy", bytes(int(rng.choice([2**20, 2**25, 2**27]))))
        elif what == 2:
            for k in range(17_000):
                archive.writestr(str(k), b"")
        elif what == 3:
            archive.writestr("more.npy", data)
        elif what == 4:
            header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }"
            archive.writestr(arrays[0], header.ljust(127) + b"\n")
    return buffer.getvalue()


HEADED = (mutate_header, mutate_description, mutate_description, mutate_numbers)
ZIPPED = (mutate_schema, mutate_schema, poison_schema, poison_schema, mutate_member, mutate_array, bomb)


def mutated_file(data: bytes, rng: Rng, canary: Path) -> tuple[str, bytes]:
    """What was done, and the file that it makes."""
    if rng.random() < 0.3:
        change = BYTES[int(rng.integers(len(BYTES)))]
        return change.__name__, change(data, rng)
    changes = ZIPPED if data[:2] == b"PK" else HEADED
    malice = changes[int(rng.integers(len(changes)))]
    return malice.__name__, malice(data, rng, canary)


# ── the tests ──────────────────────────────────────────────────────────────────────────────────────────────


def judge(use: Callable[[Path], Any], path: Path, size: int) -> tuple[str, float, int]:
    """What became of a file, the seconds that it took, and the most memory."""
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    started = time.process_time()
    try:
        # Of finite numbers near the largest NumPy says that they overflow, and of a complex scale that it is made real.
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
            result = np.asarray(use(path))
    except BacklitError:
        found = "refused"
    except (AttributeError, ValueError):
        # The numbers of a scaler are scikit-learn's own, as is a last step of nothing; and so is what it says of them.
        if not is_pipeline(path):
            raise
        found = "loaded, and refused by scikit-learn"
    else:
        assert result.size
        assert result.dtype.kind != "f" or np.isfinite(result).all() or use is use_recording
        found = "loaded"
    seconds = time.process_time() - started
    return found, seconds, tracemalloc.get_traced_memory()[1] - before


def is_pipeline(path: Path) -> bool:
    return hasattr(bl.load(path), "steps")


def check_kind(kind: str, count: int, folder: Path) -> tuple[Counter[str], float, int]:
    write, use = FILES[kind]
    good, bad, canary = folder / "good", folder / "bad", folder / "canary"
    write(good)
    data = good.read_bytes()
    bad.write_bytes(data[:-1])
    seen: Counter[str] = Counter()
    slowest, most = 0.0, 0
    tracemalloc.start()
    try:
        assert judge(use, good, len(data))[0] == "loaded"
        judge(use, bad, len(data))  # what is imported for an error is imported
        for number in range(count):
            what, changed = mutated_file(data, np.random.default_rng([7, number]), canary)
            bad.write_bytes(changed)
            try:
                found, seconds, memory = judge(use, bad, len(changed))
            except Exception as error:
                error.add_note(f"{kind} {number}, {what}")
                raise
            assert seconds <= SECONDS, f"{kind} {number}, {what}: {seconds:.1f} s"
            assert memory <= TIMES * len(changed) + FLOOR, f"{kind} {number}, {what}: {memory:,} bytes"
            assert not canary.exists(), f"{kind} {number}, {what}: code was run"
            seen[found] += 1
            slowest, most = max(slowest, seconds), max(most, memory - TIMES * len(changed))
    finally:
        tracemalloc.stop()
    return seen, slowest, most


@pytest.mark.parametrize("kind", FILES)
def test_mutated_files(kind: str, tmp_path: Path) -> None:
    seen, _, _ = check_kind(kind, SHORT, tmp_path)
    assert seen["refused"] > SHORT / 4
    assert seen["loaded"] > 0


@pytest.mark.torture
@pytest.mark.parametrize("kind", FILES)
def test_many_mutated_files(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seen, slowest, most = check_kind(kind, LONG, tmp_path)
    with capsys.disabled():
        counts = ", ".join(f"{name} {count:,}" for name, count in sorted(seen.items()))
        print(f"\n{kind}: {counts}; slowest {slowest:.2f} s, most memory {TIMES} x its size + {most / 2**20:.1f} MB")


def test_the_canary_sings(tmp_path: Path) -> None:
    """What the poisoned files carry would run if they were unpickled."""
    pickle.loads(pickle.dumps(RunsWhenLoaded(tmp_path / "canary")))
    assert (tmp_path / "canary").exists()
