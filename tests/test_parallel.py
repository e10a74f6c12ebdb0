"""Several processes of MPI: the bits of one, and an end for all of them, whatever happens to one.

`tests/mpi_program.py` is what each process runs. MPICH comes with the package; the matrix of faults is run with
Debian's Open MPI as well, where that is installed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mpi4py", reason="mpi4py is not installed: pip install 'backlit[mpi]'")

from backlit.exceptions import BacklitError
from backlit.parallel.launch import launch, launcher_of_mpi

try:
    launcher_of_mpi()
except BacklitError as error:
    pytest.skip(str(error), allow_module_level=True)

DEADLINE = 2.0  # seconds
PROGRAM = Path(__file__).parent / "mpi_program.py"
SOURCE = Path(__file__).parent.parent / "src"
pytestmark = pytest.mark.xdist_group("mpi")  # several at once would be more processes than cores


@pytest.fixture(autouse=True)
def this_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is started is the source that is tested."""
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))


@pytest.fixture
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The MPI that a test is to run with."""
    if request.param == "Open MPI":
        found = shutil.which("mpiexec.openmpi")
        if found is None:
            pytest.skip("Open MPI is not installed: apt-get install openmpi-bin")
        monkeypatch.setenv("BACKLIT_MPIEXEC", found)
        monkeypatch.setenv("MPI4PY_MPIABI", "openmpi")
        monkeypatch.setenv("MPI4PY_LIBMPI", "libmpi.so.40")
        monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
        monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")


LIBRARIES = pytest.mark.parametrize("library", ["MPICH", "Open MPI"], indirect=True)


def mpiexec(n: int, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*launcher_of_mpi(), "-n", str(n), sys.executable, *command],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def bits(n: int, *more: str) -> str:
    done = mpiexec(n, "-W", "ignore", str(PROGRAM), "bits", *more)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ── the same bits ──────────────────────────────────────────────────────────────────────────────────────────
def test_two_processes_leave_the_bits_of_one() -> None:
    one = bits(1)
    assert len(one.splitlines()) == 10
    assert bits(2) == one


@pytest.mark.torture
@LIBRARIES
@pytest.mark.parametrize("n", [2, 4, 8])
@pytest.mark.parametrize("engine", ["reference", "compiled"])
def test_any_power_of_two_leaves_the_bits_of_one(engine: str, n: int, library: None) -> None:
    if engine == "compiled":
        pytest.importorskip("numba")
    assert bits(1, "--engines", engine) == bits(n, "--engines", engine)


# ── faults ─────────────────────────────────────────────────────────────────────────────────────────────────
class Run:
    """One start of the program with a fault in it, or several where it may go on."""

    def __init__(self, folder: Path, capfd: Any) -> None:
        self.checkpoint, self.capfd = folder / "run", capfd

    def __call__(self, fault: str, when: str, rank: int, restarts: int = 0) -> tuple[int, str, float]:
        """The exit code, what was said, and the seconds it took."""

        deadline = DEADLINE if fault == "stop" else 60.0

        def command(resume: Path | None) -> list[str]:
            given = ["--deadline", str(deadline), "--fault", fault, "--when", when, "--rank", str(rank)]
            given += [] if resume is None else ["--resume", str(resume)]
            return [sys.executable, "-W", "ignore", str(PROGRAM), "train", str(self.checkpoint), *given]

        started = time.monotonic()
        code = launch(command, 2, deadline=deadline, checkpoint=str(self.checkpoint), max_restarts=restarts)
        said = self.capfd.readouterr()
        return code, said.out + said.err, time.monotonic() - started


@pytest.fixture
def run(tmp_path: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    # pytest's own stream writes to the one that is captured here
    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    monkeypatch.setattr(sys, "stdout", sys.__stdout__)
    return Run(tmp_path, capfd)


def undisturbed(run: Run) -> str:
    code, said, _ = run("none", "never", 1)
    assert code == 0, said
    return digest(said)


def digest(said: str) -> str:
    return re.findall(r"digest ([0-9a-f]{16})", said)[-1]


def line(said: str) -> str:
    """The one line that says what was wrong."""
    found = [one for one in said.splitlines() if one.startswith("backlit: ") and "the run goes on" not in one]
    assert len(found) == 1, said
    return found[0]


def nobody_is_left(checkpoint: Path) -> bool:
    """Whether no process of the run is there any more."""
    for _ in range(40):
        alive = [p for p in Path("/proc").glob("[0-9]*/cmdline") if str(checkpoint).encode() in read(p)]
        if not alive:
            return True
        time.sleep(0.1)
    return False


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # the process is gone
        return b""


def test_a_killed_process_ends_all_and_the_restart_leaves_the_bits_of_an_undisturbed_run(run: Run) -> None:
    whole = undisturbed(run)
    code, said, _ = run("kill", "step", 1, restarts=1)
    assert line(said) == "backlit: rank 1 was ended by SIGKILL in step 14"
    assert f"the run goes on from '{run.checkpoint}', 1 restarts are left" in said
    assert (code, digest(said)) == (0, whole)
    assert nobody_is_left(run.checkpoint)


def test_an_exception_ends_all(run: Run) -> None:
    code, said, _ = run("exception", "step", 1)
    assert code == 1
    assert line(said) == "backlit: rank 1 failed in step 14: ZeroDivisionError: as the test wants it"
    assert nobody_is_left(run.checkpoint)


def test_a_stopped_process_ends_all_at_the_deadline(run: Run) -> None:
    code, said, _ = run("stop", "step", 1)
    assert code == 1
    assert line(said) == "backlit: rank 1 has not answered for 2 s in step 14: the run is ended"
    assert nobody_is_left(run.checkpoint)


WORDS = {
    ("kill", "start"): r"rank {rank} was ended by SIGKILL before the first step",
    ("kill", "step"): r"rank {rank} was ended by SIGKILL in step 14",
    ("kill", "checkpoint"): r"rank {rank} was ended by SIGKILL in step 1[01]",
    ("kill", "end"): r"rank {rank} was ended by SIGKILL in step 40",
    ("stop", "start"): r"rank {rank} has not answered for 2 s before the first step: the run is ended",
    ("stop", "step"): r"rank {rank} has not answered for 2 s in step 14: the run is ended",
    ("stop", "checkpoint"): r"rank {rank} has not answered for 2 s in step 11: the run is ended",
    ("stop", "end"): r"(rank 0 showed no life for 2 s in step 40|not all ranks have come to the end within 2 s)",
    ("exception", "start"): r"rank {rank} failed before the first step: ZeroDivisionError: as the test wants it",
    ("exception", "step"): r"rank {rank} failed in step 14: ZeroDivisionError: as the test wants it",
    ("exception", "checkpoint"): r"rank {rank} failed in step 1[01]: ZeroDivisionError: as the test wants it",
    ("exception", "end"): r"rank {rank} failed after the last step: ZeroDivisionError: as the test wants it",
    ("disk", "start"): r"'.*run' cannot be written: File too large",
    ("disk", "step"): r"rank 0 failed in step 15: '.*run' cannot be written: File too large",
    ("disk", "checkpoint"): r"rank 0 failed in step 10: '.*run' cannot be written: File too large",
    ("disk", "end"): r"rank 0 failed after the last step: '.*run.model' cannot be written: File too large",
    ("nan", "start"): r"rank 1 does not have the same parameters to begin with as rank 0: .*",
    ("nan", "step"): r"training diverged in epoch 4, step 15: .* on rank {rank}; .*",
    ("nan", "checkpoint"): r"training diverged in epoch 3, step 1[12]: .* on rank {rank}; .*",
    ("nan", "end"): r"ranks 0 and 1 no longer have the same parameters after step 40: .*",
}


@pytest.mark.torture
@LIBRARIES
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("fault", WORDS, ids=" at ".join)
def test_every_fault_at_every_place(fault: tuple[str, str], rank: int, library: None, run: Run) -> None:
    if fault[0] == "disk" and rank:
        pytest.skip("rank 0 alone writes")
    started = time.monotonic()
    whole = undisturbed(run)
    usual = time.monotonic() - started
    code, said, seconds = run(*fault, rank)
    assert code != 0
    assert re.fullmatch("backlit: " + WORDS[fault].format(rank=rank), line(said)), said
    assert nobody_is_left(run.checkpoint)
    assert seconds < 2 * usual + DEADLINE + 2.0  # other work on the machine makes the one slower than the other
    if fault[1] != "start":
        code, said, _ = run(*fault, rank, restarts=1)
        assert (code, digest(said)) == (0, whole), said


@pytest.mark.torture
@pytest.mark.parametrize("when", ["start", "step", "checkpoint", "end"])
def test_nobody_outlives_the_launcher(when: str, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from backlit.parallel.launch import launch\n"
        f"program = [sys.executable, '-W', 'ignore', {str(PROGRAM)!r}, 'train', {str(tmp_path / 'run')!r}]\n"
        f"launch(lambda resume: [*program, '--fault', 'launcher', '--when', {when!r}], 2, deadline=60.0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert nobody_is_left(tmp_path / "run")


@pytest.mark.torture
@LIBRARIES
def test_nobody_outlives_mpiexec(tmp_path: Path, library: None) -> None:
    program = [sys.executable, str(PROGRAM), "train", str(tmp_path / "run"), "--fault", "stop", "--when", "step"]
    process = subprocess.Popen([*launcher_of_mpi(), "-n", "2", *program])
    while not (tmp_path / "run").exists():
        time.sleep(0.1)
    time.sleep(1.0)
    process.kill()
    process.wait()
    assert nobody_is_left(tmp_path / "run")


# ── the command line ───────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(2)
    path = tmp_path_factory.mktemp("mpi") / "table.csv"
    rows = [f"{a:.4f},{b:.4f},{'p' if a + b > 1 else 'q'}" for a, b in rng.random((300, 2))]
    path.write_text("\n".join(["a,b,y", *rows]), encoding="utf-8")
    return path


def backlit(*arguments: str, n: int = 0) -> subprocess.CompletedProcess[str]:
    command = ["-P", "-m", "backlit", *arguments]
    if n:
        return mpiexec(n, *command)
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=300, check=False)


def train(table: Path, out: Path, *more: str, n: int = 0) -> subprocess.CompletedProcess[str]:
    given = [
        *(() if "--target" in more else ("--target", "y")),
        "--preset",
        "fast",
        "--epochs",
        "2",
        "--engine",
        "reference",
        "--out",
        str(out),
    ]
    return backlit("train", str(table), *given, *more, n=n)


def test_the_command_line_leaves_one_model_for_any_number_of_processes(table: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert train(table, one, "--processes", "1").returncode == 0
    done = train(table, two, "--processes", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == 2
    assert "this run would take about 1 s on one core" in done.stderr
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.torture
def test_mpiexec_starts_the_command_line_too(table: Path, tmp_path: Path) -> None:
    assert train(table, tmp_path / "one", "--processes", "1").returncode == 0
    done = train(table, tmp_path / "four", n=4)
    assert done.returncode == 0, done.stderr
    assert f"4 processes share the {os.cpu_count()} cores" in done.stderr or (os.cpu_count() or 1) >= 4
    assert (tmp_path / "one").read_bytes() == (tmp_path / "four").read_bytes()


def test_a_number_of_processes_that_does_not_fit_is_one_sentence(table: Path, tmp_path: Path) -> None:
    done = train(table, tmp_path / "model", "--processes", "3")
    assert done.returncode == 2
    assert line(done.stderr) == (
        "backlit: the exact reduction takes a power of two of processes, up to the 8 shards of a batch, received 3: "
        "start 2, or choose the fast reduction"
    )


@pytest.mark.torture
@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--processes", "4", "--shards", "2"), "up to the 2 shards of a batch, received 4: start 2"),
        (("--processes", "2", "--shards", "6"), "shards must be a power of two, received 6"),
        (("--processes", "2", "--target", "x"), "there is no column 'x': known are 'a', 'b', 'y'"),
        (("--processes", "2", "--optimizer", "sgd", "--learning-rate", "1e30"), "training diverged in epoch 1, step 2"),
    ],
)
def test_what_all_refuse_is_said_once(table: Path, tmp_path: Path, more: Any, complaint: str) -> None:
    done = train(table, tmp_path / "model", *more)
    assert done.returncode == 2
    assert complaint in line(done.stderr)


@pytest.mark.torture
def test_processes_that_see_other_files_do_not_begin(table: Path, tmp_path: Path) -> None:
    """A shell gives each rank a file of its own."""
    other = tmp_path / "other.csv"
    other.write_text(table.read_text(encoding="utf-8").replace("0.5", "0.6", 1), encoding="utf-8")
    rank = "${PMI_RANK:-$OMPI_COMM_WORLD_RANK}"
    script = f'if [ {rank} = 0 ]; then f={table}; else f={other}; fi; exec {sys.executable} -P -m backlit train "$f"'
    given = f"{script} --target y --preset fast --epochs 2 --out {tmp_path / 'model'}"
    done = subprocess.run(
        [*launcher_of_mpi(), "-n", "2", "sh", "-c", given],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert line(done.stderr) == (
        "backlit: rank 1 does not have the same data as rank 0: give every process the same files and settings"
    )


@pytest.mark.torture
def test_processes_of_other_versions_do_not_begin() -> None:
    code = (
        "import os, numpy, backlit as bl\n"
        "if os.environ.get('PMI_RANK', os.environ.get('OMPI_COMM_WORLD_RANK')) == '1': numpy.__version__ = '1.0'\n"
        "bl.parallel.mpi()"
    )
    done = mpiexec(2, "-c", code)
    assert done.returncode != 0
    assert re.search(r"rank 1 runs Backlit .*, NumPy 1.0, Python .*, and rank 0 Backlit .*NumPy 2", line(done.stderr))


@pytest.mark.torture
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_all_after_the_same_step_and_the_run_goes_on(
    number: int, code: int, table: Path, tmp_path: Path
) -> None:
    model, kept = tmp_path / "model", tmp_path / "run"
    given = [
        "train", str(table), "--target", "y", "--preset", "fast", "--engine", "reference", "--out", str(model),
        "--checkpoint", str(kept), "--epochs", "120", "--batch-size", "4",
    ]  # fmt: skip
    assert backlit(*given, "--processes", "2").returncode == 0
    whole = model.read_bytes()
    kept.unlink()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "backlit", *given, "--processes", "2"], stderr=subprocess.PIPE
    )
    while not kept.exists():
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert b"what was learnt so far is saved as" in said
    assert backlit(*given, "--processes", "1", "--resume", str(kept)).returncode == 0
    assert model.read_bytes() == whole


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (("--processes", "0"), "--processes must be a whole number of at least 1, received 0"),
        (("--processes", "2", "--max-restarts", "1"), "give --processes N and --checkpoint FILE too"),
        (("--processes", "2", "--minutes", "1"), "--minutes goes by the clock"),
        (("--processes", "2", "--deadline", "0"), "--deadline must be"),
        (("--processes", "2", "--max-restarts", "-1"), "--max-restarts must be at least 0, received -1"),
    ],
)
def test_options_that_do_not_go_together(table: Path, more: Any, complaint: str, capsys: Any) -> None:
    from backlit.cli import run as command

    assert command(["train", str(table), "--target", "y", *more]) == 2
    assert complaint in capsys.readouterr().err
