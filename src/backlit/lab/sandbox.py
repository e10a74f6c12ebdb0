"""Code that somebody typed, run in a process of its own with limits.

It is the person's own code on the person's own machine, run because the lab was started with ``--allow-code``: the
limits keep a slip (an endless loop, an array of terabytes, a fork in a loop) from taking the machine or the lab along.
They are not a wall against somebody who means harm: the code can read what the person can read, and reach the network.

What holds: the process has a session of its own and is killed with all that is in it; it gets no environment but
``PATH`` and nothing that the lab has open; processor time, memory, the size of files and the number of processes have
limits of the system; arrays come back as ``.npz`` without pickle, in a bounded number of bytes.
"""

from __future__ import annotations

import io
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from ..archives import read_archive
from ..exceptions import ConfigurationError, OwnCodeError
from ..parameters import Array

SECONDS: Final = 5.0
MEGABYTES: Final = 512
MOST_PRINTED: Final = 10_000  # characters
LONGEST_SOURCE: Final = 100_000  # characters
_STARTING: Final = 60.0  # seconds for the process to load NumPy, on a busy machine
_FRAME: Final = 4  # bytes of a length
_ROOM: Final = 2**20  # bytes for what is told besides the arrays

#: What the process runs. It reads a request from its standard input, says that it is ready, and answers on the pipe.
_RUNNER: Final = r"""
import io, json, os, resource, signal, struct, sys
answers = int(sys.argv[1])
sys.path.append(sys.argv[2])
import math, numpy as np, numpy.fft, numpy.linalg, numpy.random  # loaded while every file can be read

def main(np, io, json, os, struct, sys, BaseException=BaseException, str=str, len=len, type=type, set=set):
    size = struct.unpack("<I", sys.stdin.buffer.read(4))[0]
    request = json.loads(sys.stdin.buffer.read(size))
    with np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False) as file:
        given = {name: file[name] if file[name].ndim else file[name].item() for name in file.files}
    savez, asarray, write, dumps, pack, BytesIO = np.savez, np.asarray, os.write, json.dumps, struct.pack, io.BytesIO

    class Printed(io.TextIOBase):
        text, cut = "", False
        def writable(self):
            return True
        def write(self, more):
            left = request["printed"] - len(self.text)
            self.text += more[:left]
            self.cut = self.cut or len(more) > left
            return len(more)
    printed = Printed()
    sys.stdout = sys.stderr = printed

    def limit(kind, value):
        kind = getattr(resource, kind, None)
        if kind is not None:
            resource.setrlimit(kind, (value, value))
    try:
        if os.geteuid() == 0:  # root has no limit to its processes: nobody has
            os.setgroups([]); os.setgid(65534); os.setuid(65534)
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit("RLIMIT_CPU", int(used.ru_utime + used.ru_stime + request["seconds"]) + 2)  # the clock is first
        limit("RLIMIT_FSIZE", 0)
        limit("RLIMIT_CORE", 0)
        limit("RLIMIT_NPROC", 0)
        if os.path.exists("/proc/self/statm"):
            with open("/proc/self/statm") as file:
                pages = int(file.read().split()[0])
            limit("RLIMIT_AS", pages * resource.getpagesize() + request["bytes"])
        elif sys.platform != "darwin":  # whose limit of memory does not hold
            limit("RLIMIT_AS", 2 * request["bytes"])
    except (OSError, ValueError) as error:
        answer = {"refused": "the system does not set the limits of its process: " + str(error)}
        write(answers, b"R" + pack("<I", len(dumps(answer))) + dumps(answer).encode())
        return
    write(answers, b"R")

    answer, found = {"error": None, "line": None}, {}
    space = {"np": np, "__name__": "__main__", **given}
    try:
        exec(compile(request["source"], "<your code>", "exec"), space)
        found = {name: asarray(space[name]) for name in request["asked"] if name in space}
        answer["odd"] = [name for name, array in found.items() if array.dtype.kind not in "biuf"]
        answer["large"] = [name for name, array in found.items() if array.nbytes > request["largest"]]
        unfit = set(answer["odd"]) | set(answer["large"])
        found = {name: array for name, array in found.items() if name not in unfit}
    except BaseException as error:
        space.clear()  # what fills the memory goes: the answer needs some
        found = {}
        answer["error"] = type(error).__name__ + (": " + str(error)[:500] if str(error) else "")
        line = error.lineno if isinstance(error, SyntaxError) and error.filename == "<your code>" else None
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == "<your code>":
                line = trace.tb_lineno
            trace = trace.tb_next
        answer["line"] = line
    answer["printed"], answer["cut"] = printed.text, printed.cut
    arrays = BytesIO()
    savez(arrays, **found)
    head = dumps(answer).encode()
    whole = pack("<I", len(head)) + head + arrays.getvalue()
    while whole:
        whole = whole[write(answers, whole):]

main(np, io, json, os, struct, sys)
os._exit(0)
"""


@final
@dataclass(frozen=True)
class Result:
    """What code left: the arrays that were asked for, and what it printed, cut after 10,000 characters."""

    arrays: dict[str, Array]
    printed: str


def run(
    source: str,
    arrays: Mapping[str, Any],
    asked: Mapping[str, int],
    *,
    seconds: float = SECONDS,
    megabytes: int = MEGABYTES,
) -> Result:
    """Run NumPy code in a process of its own.

    Parameters
    ----------
    source : str
        Python, in which ``np`` is NumPy.
    arrays : mapping of str to array or number
        What the code finds under these names; what it changes there stays in its process.
    asked : mapping of str to int
        The names that it has to leave, each with the most numbers that its array may have.
    seconds : float, default=5
        Of processor and of wall time, once NumPy is loaded.
    megabytes : int, default=512
        Of memory beyond what NumPy itself needs.

    Returns
    -------
    Result

    Raises
    ------
    OwnCodeError
        If the code raised an error, ended its process, ran into a limit, or left no array of numbers under a name.
    ConfigurationError
        For source of more than 100,000 characters, and on a system that cannot set the limits (Windows).

    Examples
    --------
    >>> run("y = x @ x.T; print(y.shape)", {"x": np.ones((2, 3))}, {"y": 100})
    Result(arrays={'y': array([[3., 3.],
           [3., 3.]])}, printed='(2, 2)\\n')
    """
    if os.name != "posix":
        raise ConfigurationError(
            "code can be run only where the system limits a process (Linux, macOS): paste the gradients instead"
        )
    if len(source) > LONGEST_SOURCE:
        raise ConfigurationError(f"the code has {len(source):,} characters: at most {LONGEST_SOURCE:,} are run")
    largest = 8 * max(asked.values(), default=0)
    request = {
        "source": source,
        "asked": list(asked),
        "seconds": seconds,
        "bytes": megabytes * 2**20,
        "printed": MOST_PRINTED,
        "largest": largest,
    }
    answer = _answer(_packed(request, arrays), seconds, len(asked) * (largest + _ROOM) + _ROOM)
    return _result(answer, asked)


def _packed(request: dict[str, Any], arrays: Mapping[str, Any]) -> bytes:
    head, body = json.dumps(request).encode(), io.BytesIO()
    np.savez(body, **{name: np.asarray(value) for name, value in arrays.items()})  # type: ignore[arg-type]
    return len(head).to_bytes(_FRAME, "little") + head + body.getvalue()


def _answer(request: bytes, seconds: float, most: int) -> bytes:
    """What the process answers, at most so many bytes; it is gone afterwards, with all that it started."""
    reading, writing = os.pipe()
    numpy_home = os.path.dirname(os.path.dirname(np.__file__))
    command = [sys.executable, "-I", "-c", _RUNNER, str(writing), numpy_home]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    try:
        # A file and not a pipe: nobody has to wait until the process has read it.
        with tempfile.TemporaryFile() as given:
            given.write(request)
            given.seek(0)
            process = subprocess.Popen(
                command,
                stdin=given,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                pass_fds=(writing,),
                start_new_session=True,
            )
        os.close(writing)
        writing = -1
        try:
            return _read(reading, process, seconds, most)
        finally:
            if process.returncode is None:  # until it is waited for, no other process can have its number
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)


def _read(pipe: int, process: subprocess.Popen[bytes], seconds: float, most: int) -> bytes:
    """Everything up to the end of the answer; the clock runs from when the process is ready."""
    found, ready = b"", False
    end = time.monotonic() + _STARTING
    while True:
        left = end - time.monotonic()
        if left <= 0.0 or not select.select([pipe], [], [], left)[0]:
            raise OwnCodeError(
                f"the code ran for more than {seconds:g} seconds and was stopped: look for a loop without end"
                if ready
                else f"the process for the code did not start within {_STARTING:g} seconds: try again"
            )
        piece = os.read(pipe, 2**16)
        if not piece:
            break
        if not ready:
            ready, piece, end = True, piece[1:], time.monotonic() + seconds + 0.5
        found += piece
        if len(found) > most:
            raise OwnCodeError("the code wrote more into its answer than the arrays that were asked for")
    if len(found) <= _FRAME:
        raise OwnCodeError(_ended(process, seconds))
    return found


def _ended(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Why a process ended without an answer."""
    try:
        code = process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return "the code closed the pipe that its answer goes through: leave the open files of its process alone"
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"the code used more than {seconds:g} seconds of the processor and was stopped: look for a loop"
    if code < 0:
        return f"the code's process was ended by the system ({signal.Signals(-code).name}), perhaps for its memory"
    return "the code ended its process before it was done: leave out os._exit, and leave the open files alone"


def _result(answer: bytes, asked: Mapping[str, int]) -> Result:
    """The answer, in which nothing is trusted: code may have written into the pipe."""
    size = int.from_bytes(answer[:_FRAME], "little")
    body = answer[_FRAME + size :]
    try:
        told = json.loads(answer[_FRAME : _FRAME + size])
        if told.get("refused"):
            raise ConfigurationError(str(told["refused"]))
        printed = str(told["printed"])[:MOST_PRINTED] + (" … (more was printed)" if told["cut"] else "")
        error, line, odd, large = told["error"], told["line"], told.get("odd", ()), told.get("large", ())
        read_archive(body)  # refuses what unpacks to more than it may
        with np.load(io.BytesIO(body), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name in asked}
    except ConfigurationError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, MemoryError) as wrong:
        raise OwnCodeError("the code's answer cannot be read: leave the open files of its process alone") from wrong
    if error is not None:
        where = f"line {line}: " if isinstance(line, int) else ""
        raise OwnCodeError(f"{where}{error}", line=line if isinstance(line, int) else None, printed=printed)
    for name, most in asked.items():
        array = arrays.get(name)
        if name in odd:
            raise OwnCodeError(f"{name} must be an array of real numbers, and is something else", printed=printed)
        if name in large or (array is not None and array.size > most):
            raise OwnCodeError(f"{name} is an array of more than {most:,} numbers", printed=printed)
        if array is None:
            raise OwnCodeError(f"the code leaves no {name}: assign it", printed=printed)
        if array.dtype.kind not in "biuf":
            raise OwnCodeError(f"{name} must be an array of real numbers, received {array.dtype}", printed=printed)
    return Result(arrays, printed)
