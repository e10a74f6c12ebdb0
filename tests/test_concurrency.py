"""Many at once: threads upon one network, processes upon one empty cache, processes that were forked or spawned."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import backlit as bl

X = np.random.default_rng(0).standard_normal((4_096, 20))


def network() -> bl.Network:
    layers = [bl.Dense(64, "relu"), bl.LayerNorm(), bl.Dense(3, "softmax")]
    return bl.Network(layers, inputs=20, loss="cross_entropy", seed=1, dtype="float64")


def trained_bits(engine: str) -> bytes:
    net = network()
    bl.fit(net, X[:200], np.arange(200) % 3, epochs=2, engine=engine, progress=False)
    return net.parameters.values.tobytes()


def test_eight_threads_predict_the_bits_of_one() -> None:
    net = network()
    pieces = [X[: 1 + 500 * k] for k in range(1, 9)]
    alone = [net.predict(rows) for rows in pieces]
    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            for found, expected in zip(threads.map(net.predict, pieces), alone, strict=True):
                np.testing.assert_array_equal(found, expected)


def test_threads_that_train_networks_of_their_own_give_the_bits_of_one() -> None:
    alone = trained_bits("reference")
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(trained_bits, ["reference"] * 8)) == {alone}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_forked_and_spawned_processes_train_the_same_bits(method: str) -> None:
    expected = [trained_bits(engine) for engine in ("reference", "auto")]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as processes:
        assert list(processes.map(trained_bits, ["reference", "auto"])) == expected


NO_HOME = """
import numpy as np, backlit as bl
net = bl.Network([bl.Dense(3, "softmax")], inputs=4, loss="cross_entropy", seed=0)
history = bl.fit(net, np.eye(4), [0, 1, 2, 0], epochs=2, progress=False)
from backlit.cli import run
raise SystemExit(run(["demo", "line", "--json"]))
"""


@pytest.mark.parametrize("home", ["/proc/no-such-home", None], ids=["that cannot be written", "none"])
def test_a_home_folder_that_is_of_no_use(home: str | None, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    if home is not None:
        environment["HOME"] = home
    command = [sys.executable, "-c", NO_HOME]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.torture
def test_two_processes_compile_into_one_empty_cache(tmp_path: Path) -> None:
    code = (
        "import numpy as np, backlit as bl; "
        "net = bl.Network([bl.Dense(3, 'softmax')], inputs=4, loss='cross_entropy', seed=0); "
        "bl.fit(net, np.eye(4), [0, 1, 2, 0], epochs=2, engine='compiled', progress=False); "
        "print(net.parameters.values.tobytes().hex())"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert len(set(printed)) == 1
    assert printed[0].strip()
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
        == printed[0]
    )
