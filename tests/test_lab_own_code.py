"""Write it yourself: code in a process of its own with limits, and what the library says of the gradients it leaves."""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError, OwnCodeError
from backlit.kinds import ACTIVATIONS, LAYERS
from backlit.lab import sandbox
from backlit.lab.own_code import judge, template
from backlit.lab.sandbox import run
from backlit.lens.step.trace import Trace, trace_batch

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="needs a system that limits a process"),
    pytest.mark.xdist_group("own code"),
]


def refused(source: str, **limits: Any) -> OwnCodeError:
    with pytest.raises(OwnCodeError) as caught:
        run(source, {"x": np.arange(6.0).reshape(2, 3)}, {"y": 100}, **limits)
    assert "\n" not in str(caught.value)
    return caught.value


# ── the process ──────────────────────────────────────────────────────────────────────────────────────────────


def test_arrays_go_in_and_come_back() -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    given = {"x": x, "n": 2}
    result = run("y = x.T / n\nz = x > 1\nx[:] = 0\nprint(type(n).__name__, n)", given, {"y": 6, "z": 6})
    np.testing.assert_array_equal(result.arrays["y"], x.T / 2)
    assert result.arrays["y"].dtype == np.float32
    assert result.arrays["z"].dtype == np.bool_
    assert result.printed == "int 2\n"
    assert x[1, 2] == 5.0  # what the code does to its arrays stays in its process


def test_a_loop_without_end_is_stopped() -> None:
    began = time.monotonic()
    error = refused("while True: pass", seconds=0.5)
    assert "ran for more than 0.5 seconds and was stopped: look for a loop without end" in str(error)
    assert time.monotonic() - began < 20.0


def test_sleeping_and_waiting_are_stopped_too() -> None:
    assert "ran for more than 0.5 seconds" in str(refused("import time; time.sleep(100)", seconds=0.5))
    assert "ran for more than 0.5 seconds" in str(
        refused("import signal; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64)); signal.pause()", seconds=0.5)
    )


def test_processor_time_is_limited_by_the_system() -> None:
    """The process says what its own limits are."""
    source = "import resource as r; y = [r.getrlimit(k)[1] for k in (r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_NPROC)]"
    cpu, size, processes = run(source, {}, {"y": 3}, seconds=3).arrays["y"]
    assert 3 <= cpu <= 30
    assert (size, processes) == (0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold this limit")
@pytest.mark.parametrize(
    "source",
    [
        "y = np.ones(2**40)",
        "kept = []\nwhile True: kept.append(np.ones(2**20))",
        "def grow(kept):\n    while True: kept.append(bytearray(2**20))\ngrow([])",
    ],
)
def test_memory_is_limited(source: str) -> None:
    assert "MemoryError" in str(refused(source, megabytes=64, seconds=30))


def test_an_error_is_told_when_there_is_no_memory_left() -> None:
    fill = "kept = [None] * 10**6\ni = 0\nfor size in (2**20, 2**16, 2**12, 500, 100, 40, 1):\n    try:\n"
    fill += "        while True:\n            kept[i] = bytes(size)\n            i += 1\n    except MemoryError:\n"
    assert "IndexError" in str(refused(fill + "        pass\nkept[10**6]", megabytes=64, seconds=30))


def test_what_fits_into_the_limit_of_memory_runs() -> None:
    assert run("y = np.ones(2**22).sum()", {}, {"y": 1}, megabytes=64).arrays["y"] == 2**22


def running(mark: str) -> int:
    """How many processes have a mark in their command."""
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found += mark.encode() in (folder / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    "source",
    [
        "import os\nfor _ in range(5): os.fork()",  # a few, should the limit not hold
        "import os\nif os.fork() == 0:\n    os.setsid()\n    while True: pass\ny = 1",
        "import os\nos.posix_spawn('/bin/sleep', ['sleep', '1000'], {})",
        "import threading\nthreading.Thread(target=print).start()",
    ],
)
def test_no_further_process_can_be_started(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = f"# {secrets.token_hex(8)}"
    monkeypatch.setattr(sandbox, "_RUNNER", sandbox._RUNNER + mark)
    error = refused(source, seconds=5)
    assert error.line in (2, 3)
    assert "unavailable" in str(error) or "can't start new thread" in str(error)
    end = time.monotonic() + 20.0
    while running(mark) and time.monotonic() < end:
        time.sleep(0.05)
    assert running(mark) == 0


def test_no_file_can_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    path = tmp_path / "mine.txt"
    error = refused(f"with open({str(path)!r}, 'w') as file: file.write('x' * 100_000)")
    assert error.line == 1
    assert not path.exists() or path.read_text() == ""


def test_nothing_of_the_environment_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLIT_SECRET", "token")
    names = run("import os; print(sorted(os.environ))\ny = 1", {}, {"y": 1}).printed
    assert "BACKLIT_SECRET" not in names
    assert "PATH" in names


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_open_file_of_ours_is_there(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)
        source = "import os; print([os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd') if "
        seen = run(source + "os.path.lexists(f'/proc/self/fd/{n}')])\ny = 1", {}, {"y": 1}).printed
    assert str(tmp_path) not in seen


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("y = 1\nz = nothing", 2, "line 2: NameError: name 'nothing' is not defined"),
        ("def f():\n    return x @ x\n\ny = f()", 2, "line 2: ValueError: matmul"),
        ("y = (", 1, "line 1: SyntaxError"),
        ("import sys\nsys.exit()", 2, "line 2: SystemExit"),
        ("raise KeyboardInterrupt", 1, "line 1: KeyboardInterrupt"),
        ("y\x00 = 1", None, "null bytes"),
        ("import json\njson.loads('')", 2, "line 2: JSONDecodeError"),
    ],
)
def test_an_error_is_told_with_its_line(source: str, line: int | None, said: str) -> None:
    error = refused(source)
    assert said in str(error)
    assert error.line == line


def test_what_was_printed_before_an_error_is_kept() -> None:
    assert refused("print('so far')\n1 / 0").printed == "so far\n"


def test_a_flood_of_print_is_cut() -> None:
    printed = run("y = 1\nfor i in range(100_000): print('line', i)", {}, {"y": 1}, seconds=30).printed
    assert printed.startswith("line 0\nline 1\n")
    assert printed.endswith(" … (more was printed)")
    assert len(printed) <= sandbox.MOST_PRINTED + 30
    assert run("y = 1; print('é' * 9_999)", {}, {"y": 1}).printed == "é" * 9_999 + "\n"


@pytest.mark.parametrize(
    "source",
    [
        "import sys; sys.stdout.close(); sys.stderr.close(); y = 1",
        "import os; os.close(1); os.close(2); y = 1",
        "import os; os.write(1, b'x' * 10**6); y = 1",
        "import sys; sys.stdout = None; y = 1",
    ],
)
def test_standard_output_may_be_closed_or_flooded(source: str) -> None:
    assert run(source, {}, {"y": 1}).arrays["y"] == 1


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os; os._exit(0)", "ended its process before it was done"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by the system (SIGSEGV)"),
        ("import os; os.closerange(3, 1000)\nwhile True: pass", "closed the pipe"),
        ("import os, sys; os.write(int(sys.argv[1]), b'x' * 10**5); y = 1", "answer cannot be read"),
        ("import os, sys\nwhile True: os.write(int(sys.argv[1]), b'x' * 10**6)", "wrote more into its answer"),
    ],
)
def test_an_answer_that_does_not_come_is_told(source: str, said: str) -> None:
    assert said in str(refused(source, seconds=1))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("z = 1", "the code leaves no y: assign it"),
        ("y = [1, 'a']", "y must be an array of real numbers"),
        ("y = {}", "y must be an array of real numbers"),
        ("y = x * 1j", "y must be an array of real numbers"),
        ("y = np.zeros(101)", "y is an array of more than 100 numbers"),
        ("y = np.zeros(101, bool)", "y is an array of more than 100 numbers"),
        ("y = np.array([1, x], dtype=object)", "y must be an array of real numbers"),
    ],
)
def test_what_is_left_has_to_be_an_array_of_numbers(source: str, said: str) -> None:
    assert said in str(refused(source))


def test_code_that_is_too_long_and_systems_without_limits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="the code has 100,001 characters: at most 100,000 are run"):
        run("#" * 100_001, {}, {})
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(ConfigurationError, match="paste the gradients instead"):
        run("y = 1", {}, {"y": 1})


def test_several_at_once() -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda k=k: found.append(int(run(f"y = {k}", {}, {"y": 1}).arrays["y"])))
        for k in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(6))


def forged(dtype: str, shape: tuple[int, ...], packed: bool) -> str:
    """Code that answers by itself, with an array that claims to be of that dtype and shape."""
    return f"""
import io, json, os, struct, sys, zipfile
head = json.dumps({{"error": None, "line": None, "printed": "", "cut": False}}).encode()
npy = io.BytesIO()
np.lib.format.write_array_header_1_0(npy, {{"descr": {dtype!r}, "fortran_order": False, "shape": {shape}}})
whole = io.BytesIO()
with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("y.npy", npy.getvalue() + bytes({150 * 2**20 if packed else 8}))
os.write(int(sys.argv[1]), struct.pack("<I", len(head)) + head + whole.getvalue())
os._exit(0)
"""


@pytest.mark.parametrize(
    ("dtype", "shape", "packed"), [("<f8", (150 * 2**17,), True), ("<f8", (2**50,), False), ("|O", (1,), False)]
)
def test_an_answer_is_not_trusted(dtype: str, shape: tuple[int, ...], packed: bool) -> None:
    """Bytes that unpack to a multiple, an array larger than any memory, and one that only pickle could read."""
    error = refused(forged(dtype, shape, packed), seconds=30, megabytes=1024)
    assert "answer cannot be read" in str(error), error


# ── a layer's backward step ──────────────────────────────────────────────────────────────────────────────────

RNG = np.random.default_rng(0)
X = RNG.standard_normal((9, 3))
OWN: dict[str, tuple[Any, ...]] = {
    "Dropout": (0.3,), "Dense": (4, "gelu"),
    "ParallelDense": (3, 2, "gelu"), "Parametric": ("silu", 0.7),
}  # fmt: skip


def traced(*layers: Any, y: Any = None, step: int | None = 3, **settings: Any) -> Trace:
    net = bl.Network([*layers], inputs=3, **{"dtype": "float64", "seed": 1, **settings})
    for name in net.parameters.names:  # biases of zero would hide what is not added
        net.parameters.view(name)[...] += 0.1 * np.random.default_rng(2).standard_normal(net.parameters.shapes[name])
    targets = RNG.standard_normal((9, net.outputs)) if y is None else y
    return trace_batch(net, X, targets, step=step)


def right_as_it_stands(trace: Trace) -> None:
    for layer in range(trace.net.first_learning, len(trace.net.layers)):
        found = template(trace, layer)
        judged = judge(trace, layer, found.source)
        assert judged.diagnosis.ok, (layer, judged.diagnosis)
        assert {name: judged.arrays[name].shape for name, *_ in found.asked} == {n: s for n, s, _ in found.asked}
        assert {name: np.shape(found.arrays[name]) for name, *_ in found.given} == {n: s for n, s, _ in found.given}


@pytest.mark.parametrize(
    "kind", [kind for kind in LAYERS if kind != "Embedding"]
)  # the one that must be first: tests/test_embedding.py
def test_the_code_of_every_layer_is_right_as_it_stands(kind: str) -> None:
    right_as_it_stands(traced(bl.Dense(4, "tanh"), LAYERS[kind](*OWN.get(kind, ())), bl.Dense(2)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_code_of_every_activation_is_right_as_it_stands(name: str) -> None:
    right_as_it_stands(traced(bl.Dense(4, name), bl.Dense(2)))


def test_the_code_of_outputs_and_penalties_is_right_as_it_stands() -> None:
    labels = RNG.integers(3, size=9)
    right_as_it_stands(traced(bl.Dense(3, "softmax"), y=labels, loss="cross_entropy", l1=0.01, l2=0.1))
    right_as_it_stands(traced(bl.Dense(2, bias=False), bl.Dense(1, "sigmoid"), loss="squared_error", l2=0.1))
    right_as_it_stands(traced(bl.Dense(2), bl.Dense(2), loss="huber", l2=0.1, divide_penalty=True, dtype="float32"))
    right_as_it_stands(traced(bl.Dropout(0.2), bl.Dense(2), bl.Dense(1), input_scale=0.5))
    right_as_it_stands(traced(bl.Dense(4), bl.BatchNorm(), bl.Dense(1), step=None))


def test_what_is_given_and_asked() -> None:
    trace = traced(bl.Dense(4, "tanh"), bl.Dense(3, "softmax"), y=RNG.integers(3, size=9), loss="cross_entropy")
    hidden, output = template(trace, 0), template(trace, 1)
    assert [name for name, *_ in hidden.given] == ["a_in", "W", "b", "z", "a", "dL_da", "n"]
    assert [name for name, *_ in output.given] == ["a_in", "W", "b", "z", "a", "y", "n"]
    assert [name for name, *_ in hidden.asked] == ["dW", "db"]
    assert [name for name, *_ in output.asked] == ["dW", "db", "dL_da_in"]
    np.testing.assert_array_equal(hidden.arrays["a_in"], X)
    np.testing.assert_allclose(
        hidden.arrays["dL_da"], (output.arrays["a"] - output.arrays["y"]) @ output.arrays["W"].T, rtol=1e-12
    )


def test_a_layer_without_a_backward_step() -> None:
    with pytest.raises(ConfigurationError, match="nothing is learnt in layer 0 or below it: it has no backward step"):
        template(traced(bl.Dropout(0.2), bl.Dense(1)), 0)


TRACE = traced(bl.Dense(4, "tanh"), bl.Dense(4, "sigmoid"), bl.Dense(2))


@pytest.mark.parametrize(
    ("layer", "before", "after", "name", "where"),
    [
        (0, "dL_da * (1 - a**2)", "dL_da", "missing_slope", 0),
        (1, "dL_da * a * (1 - a)", "dL_da", "missing_slope", 1),
        (2, "delta @ W.T", "(delta @ W.T) * 2", "", 1),
        (2, ".T @ delta / n", ".T @ delta", "sum_not_mean", 2),
        (2, "delta.sum(axis=0) / n", "delta / n", "bias_unsummed", 2),
        (1, "delta @ W.T", "delta @ W", "transposed", 1),
    ],
)
def test_a_mistake_is_named(layer: int, before: str, after: str, name: str, where: int) -> None:
    source = template(TRACE, layer).source
    assert before in source
    diagnosis = judge(TRACE, layer, source.replace(before, after)).diagnosis
    assert not diagnosis.ok
    assert name in "".join(finding.name for finding in diagnosis.findings)
    assert where in [finding.layer for finding in diagnosis.findings], diagnosis


def test_a_mistake_in_what_is_handed_down_shows_only_below() -> None:
    source = template(TRACE, 1).source.replace("delta @ W.T", "0.5 * delta @ W.T")
    wrong = {each.name for each in judge(TRACE, 1, source).diagnosis.comparisons if not each.ok}
    assert wrong == {"0.weight", "0.bias"}


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("dL_da_in = delta", "dL_da_in must have the shape of a_in, (9, 4), received (9, 2)"),
        ("dL_da_in = a_in / 0", "dL_da_in has "),
        ("print('hm')\ndel dW, db, dL_da_in", "the code leaves no dW: assign it"),
    ],
)
def test_what_is_no_gradient_is_refused(after: str, said: str) -> None:
    with pytest.raises(OwnCodeError) as caught:
        judge(TRACE, 2, template(TRACE, 2).source + after)
    assert said in str(caught.value)


def test_a_gradient_of_another_shape_is_refused() -> None:
    with pytest.raises(bl.BacklitError, match="must have shape"):
        judge(TRACE, 2, template(TRACE, 2).source + "dW = dW[:3]")
