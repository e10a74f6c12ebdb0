"""Every output of every command: when it cannot be written, the old file is whole, and one line says why."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from backlit.cli import run

TABLE = ["train", "t.csv", "--target", "y", "--hidden", "8", "--epochs", "2", "--engine", "reference"]
OLD = b"the old file"


@dataclass(frozen=True)
class Output:
    """A command with the option that names its output."""

    command: list[str]
    option: str
    name: str
    reads: str = "t.csv"

    def into(self, path: str) -> list[str]:
        return [*self.command, self.option, path]


OUTPUTS = {
    "train --out": Output(TABLE, "--out", "new.backlit"),
    "train --plot": Output(TABLE, "--plot", "new.png"),
    "train --checkpoint": Output(TABLE, "--checkpoint", "new.run"),
    "predict --out": Output(["predict", "m", "t.csv"], "--out", "new.csv"),
    "explain --html": Output(["explain", "m", "t.csv", "--row", "1"], "--html", "new.html", "m"),
    "export numpy": Output(["export", "m", "--format", "numpy"], "--out", "new.py", "m"),
    "export onnx": Output(["export", "m", "--format", "onnx"], "--out", "new.onnx", "m"),
    "inspect --html": Output(["inspect", "t.csv"], "--html", "new.html"),
    "demo --plot": Output(["demo", "line"], "--plot", "new.png", ""),
}
EACH = pytest.mark.parametrize("output", OUTPUTS.values(), ids=OUTPUTS)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    lines = [f"{a},{b},{'yes' if a > b else 'no'}" for a, b in np.random.default_rng(0).uniform(size=(90, 2)).tolist()]
    Path("t.csv").write_text("a,b,y\n" + "\n".join(lines) + "\n")
    assert run([*TABLE, "--out", "m"]) == 0
    return tmp_path


def needed(output: Output) -> None:
    pytest.importorskip("matplotlib" if output.option == "--plot" else "onnx" if "onnx" in output.command else "numpy")


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    capsys.readouterr()
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "unexpected" not in captured.err
    return captured.err


FULL = """
import resource, sys
from backlit.cli import run
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.exit(run(sys.argv[2:]))
"""


@EACH
def test_a_full_disk(output: Output) -> None:
    """A limit on the size of files stands for it: the same error in the same place."""
    needed(output)
    place = Path(output.name)
    place.write_bytes(OLD)
    limit, arguments = 100, output.into(output.name)
    if output.command == TABLE and output.option == "--plot":  # the model comes first, and has to find its place
        limit, arguments = Path("m").stat().st_size, [*arguments, "--out", "m"]
    command = [sys.executable, "-c", FULL, str(limit), *arguments]
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert f"{output.name!r} cannot be written: File too large" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before


@EACH
def test_a_folder_that_is_not_there_or_takes_nothing(output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    needed(output)
    assert "there is no folder" in refused(capsys, output.into(f"nowhere/{output.name}"))
    if Path("/proc/self").is_dir():
        assert "cannot be written: " in refused(capsys, output.into(f"/proc/{output.name}"))
    Path("closed").mkdir()
    os.chmod("closed", 0o500)
    if os.getuid():  # nothing is closed to root
        assert "cannot be written: Permission denied" in refused(capsys, output.into(f"closed/{output.name}"))


@EACH
def test_a_folder_that_goes_while_it_works(
    output: Output, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    needed(output)
    Path("folder").mkdir()
    replace_file = os.replace

    def gone(source: str, target: str) -> None:
        if Path(target).parent.name == "folder":
            raise FileNotFoundError(2, "No such file or directory")
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", gone)
    capsys.readouterr()
    assert run(output.into(f"folder/{output.name}")) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"{output.name}' cannot be written: No such file or directory" in last
    assert not list(Path("folder").iterdir())


@EACH
def test_a_folder_or_a_file_that_is_read_in_its_place(output: Output, capsys: pytest.CaptureFixture[str]) -> None:
    needed(output)
    Path(output.name).mkdir()
    assert "it is a folder" in refused(capsys, output.into(output.name))
    if output.reads:
        kind = Path(output.name).suffix
        read = output.reads if output.option != "--plot" else f"t{kind}"
        Path(read).write_bytes(Path(output.reads).read_bytes())
        before = Path(read).read_bytes()
        command = [read if word == output.reads else word for word in output.command]
        assert "choose another name" in refused(capsys, replace(output, command=command).into(read))
        assert Path(read).read_bytes() == before


def test_the_parameters_beside_a_script_are_no_input(capsys: pytest.CaptureFixture[str]) -> None:
    os.rename("m", "net_parameters.npz")
    before = Path("net_parameters.npz").read_bytes()
    err = refused(capsys, ["export", "net_parameters.npz", "--format", "numpy", "--out", "net.py"])
    assert "--out 'net_parameters.npz' is the model that is read" in err
    assert Path("net_parameters.npz").read_bytes() == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("command", [["predict", "m", "t.csv"], ["inspect", "t.csv"], ["demo"], [*TABLE, "--json"]])
def test_a_terminal_or_file_that_takes_no_more(command: list[str]) -> None:
    code = "from backlit.cli import main; main()"
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "backlit: what is to be shown cannot be written: No space left on device"
