"""What the compiled engine keeps on disk: damaged, cut short, or in a folder that takes nothing."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

numba = pytest.importorskip("numba")

from backlit.compiled import cache  # noqa: E402
from backlit.exceptions import BacklitWarning  # noqa: E402


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    cache._said.clear()
    yield tmp_path
    cache._said.clear()


def plus_one(x: float) -> float:
    return x + 1.0


def in_a_new_process() -> tuple[float, bool]:
    """What the function gives, and whether its machine code came from the disk."""
    dispatcher = numba.njit(plus_one)
    cache.keep_on_disk(dispatcher)
    found = dispatcher(2.0)
    return found, sum(dispatcher.stats.cache_hits.values()) == 1


def files(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*.nb[ci]"))
    assert [path.suffix for path in found] == [".nbc", ".nbi"]
    return found


def test_it_is_found_again(folder: Path) -> None:
    assert in_a_new_process() == (3.0, False)
    assert in_a_new_process() == (3.0, True)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "one byte": lambda data: data[:1],
    "cut short": lambda data: data[: len(data) // 2],
    "its last byte gone": lambda data: data[:-1],
    "longer": lambda data: data + b"\0",
    "zeros": lambda data: bytes(len(data)),
    "no digest": lambda data: data[16:],
    "another pickle": lambda data: pickle.dumps({"a": 1}),
}


@pytest.mark.parametrize("which", [0, 1], ids=["data", "index"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_damaged_file_is_said_once_and_compiled_anew(change: str, which: int, folder: Path) -> None:
    in_a_new_process()
    path = files(folder)[which]
    path.write_bytes(CHANGES[change](path.read_bytes()))
    with pytest.warns(BacklitWarning, match="is damaged: it compiles anew, with the same results") as caught:
        assert in_a_new_process() == (3.0, False)
    assert len(caught) == 1
    assert in_a_new_process() == (3.0, True)  # what was damaged has been replaced


@pytest.mark.parametrize("seed", range(40))
def test_any_changed_bit_is_seen(seed: int, folder: Path) -> None:
    in_a_new_process()
    dice = random.Random(seed)
    path = files(folder)[seed % 2]
    data = bytearray(path.read_bytes())
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)
    with pytest.warns(BacklitWarning, match="is damaged"):
        assert in_a_new_process() == (3.0, False)


def test_a_missing_file_is_no_trouble(folder: Path) -> None:
    for which in (0, 1):
        in_a_new_process()
        files(folder)[which].unlink()
        assert in_a_new_process() == (3.0, False)


def test_what_cannot_be_read(folder: Path) -> None:
    in_a_new_process()
    path = files(folder)[1]
    path.unlink()
    path.mkdir()
    with pytest.warns(BacklitWarning) as caught:
        assert in_a_new_process() == (3.0, False)
    words = [str(warning.message) for warning in caught]
    assert [word.split(" keeps in ")[1].split("' ")[1][:17] for word in words] == [
        "cannot be read (I",
        "cannot be written",
    ]


def test_a_folder_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(BacklitWarning, match=r"cannot be written \(No space left on device\)") as caught:
        assert [in_a_new_process() for _ in range(2)] == [(3.0, False)] * 2
    assert len(caught) == 1


ENGINE = """
import sys, warnings, numpy as np, backlit as bl
net = bl.Network([bl.Dense(3, "softmax")], inputs=4, loss="cross_entropy", seed=0)
bl.fit(net, np.eye(4), [0, 1, 2, 0], epochs=2, engine="compiled", progress=False)
print(net.parameters.values.tobytes().hex())
"""


def trained(folder: Path) -> tuple[str, str]:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    command = [sys.executable, "-c", ENGINE]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


@pytest.mark.torture
def test_the_engine_itself_trains_the_same_bits_from_a_damaged_cache(folder: Path) -> None:
    first, said = trained(folder)
    assert said == ""
    for which in (0, 1):
        path = files(folder)[which]
        path.write_bytes(path.read_bytes()[:1000])
        again, said = trained(folder)
        assert again == first
        assert said.count("BacklitWarning") == 1
        assert "is damaged: it compiles anew" in said
        assert trained(folder) == (first, "")


def test_a_warning_of_the_cache_is_one_of_backlits() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cache._say("is damaged", "a")
        cache._say("is damaged", "b")
    assert [warning.category for warning in caught] == [BacklitWarning]
