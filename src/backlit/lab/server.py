"""The lab's server: the page's files, one WebSocket for each page, uploads and downloads. On 127.0.0.1 alone.

Training and looking happen in worker threads, under the session's lock; the event loop only waits and sends. The page
asks for a frame when it has drawn the last one, so a slow page gets fewer frames and never an old one.
"""

from __future__ import annotations

import asyncio
import json
import time
from importlib import resources
from pathlib import PurePosixPath
from typing import Any, Final, final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ..exceptions import BacklitError, ConfigurationError
from ..files import library_version
from ..training.threads import blas_limit
from . import changing, looking, moving, writing
from .asking import Asked
from .exports import EXPORTS, export
from .frames import finite
from .reading import read_upload
from .session import Given, Session

MOST_UPLOAD: Final = 64 * 2**20
MOST_MESSAGE: Final = 2**20
_MOST_SESSIONS: Final = 64
_KEPT_SECONDS: Final = 600.0  # that a session outlives its page
_TICK: Final = 1.0 / 60.0

_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

#: What the page can ask for, by name.
COMMANDS: Final = {
    function.__name__: function
    for function in (
        *(moving.run, moving.pause, moving.speed, moving.step, moving.back, moving.goto, moving.sample),
        *(looking.unfold, looking.guess, looking.neuron, looking.stage, looking.ledger, looking.health),
        *(changing.configure, changing.edit, changing.undo, changing.redo, changing.compare),
        *(writing.command, writing.code, writing.run_code, writing.diagnose),
    )
}


@final
class Server:
    """The pages that are open, and what they look at.

    Parameters
    ----------
    given : Given, optional
        What the lab was opened on.
    allow_code : bool
        Whether the page may run its reader's own NumPy.
    """

    def __init__(self, given: Given | None = None, *, allow_code: bool = False) -> None:
        self.given = given
        self.allow_code = allow_code
        self.sessions: dict[str, Session] = {}
        self.app = Starlette(
            routes=[
                Route("/", self._page),
                Route("/page/{name}", self._page),
                Route("/upload", self._upload, methods=["POST"]),
                Route("/export/{kind}", self._export),
                WebSocketRoute("/ws", self._talk),
            ]
        )

    # ── files ────────────────────────────────────────────────────────────────────────────────────────────

    async def _page(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        content = page_files().get(name)
        if content is None:
            return Response("There is no such file.\n", 404, media_type="text/plain")
        return Response(content, media_type=_TYPES[PurePosixPath(name).suffix])

    async def _upload(self, request: Request) -> Response:
        try:
            session = self._session_of(request)
            name, target = request.query_params.get("name", ""), request.query_params.get("target")
            data = await _body(request)
            given = await asyncio.to_thread(read_upload, data, name, target)
            session.given = given
        except BacklitError as error:
            return JSONResponse({"error": str(error)}, 400)
        answer = {"ok": True, "file": name, "model": given.net is not None, "columns": given.material.columns}
        return JSONResponse(finite({**answer, "settings": session.first_settings().to_json()}))

    async def _export(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        try:
            session = self._session_of(request)
            if kind not in EXPORTS:
                raise ConfigurationError(f"there is no export {kind!r}: choose one of {', '.join(EXPORTS)}")
            name, data, media = await asyncio.to_thread(_exported, session, kind)
        except BacklitError as error:
            return JSONResponse({"error": str(error)}, 400)
        return Response(data, media_type=media, headers={"content-disposition": f'attachment; filename="{name}"'})

    def _session_of(self, request: Request) -> Session:
        session = self.sessions.get(request.query_params.get("session", ""))
        if session is None:
            raise ConfigurationError("this page's session has ended: reload the page")
        session.seen = time.monotonic()
        return session

    # ── the page's WebSocket ─────────────────────────────────────────────────────────────────────────────

    async def _talk(self, socket: WebSocket) -> None:
        await socket.accept()
        with blas_limit(1):  # a second thread would wait, busily, for products that are over before it wakes
            await self._serve(Connection(self, socket))

    async def _serve(self, connection: Connection) -> None:
        tasks = [asyncio.create_task(part()) for part in (connection.listen, connection.train, connection.draw)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            if connection.session is not None:
                connection.session.running = False
                connection.session.seen = time.monotonic()
        for error in done:
            gone = isinstance(error, WebSocketDisconnect | asyncio.CancelledError | RuntimeError)
            if isinstance(error, BaseException) and not gone:
                raise error

    def open(self, wanted: Any, settings: Any) -> tuple[Session, bool]:
        """The session that a page had, or a new one; and whether it is the one it had."""
        self._forget_old()
        if isinstance(wanted, str) and wanted in self.sessions:
            session = self.sessions[wanted]
            session.seen = time.monotonic()
            return session, True
        if len(self.sessions) >= _MOST_SESSIONS:
            raise ConfigurationError(f"the lab has {_MOST_SESSIONS} pages open already: close some, and reload")
        session = Session(settings, self.given)
        self.sessions[session.id] = session
        return session, False

    def _forget_old(self) -> None:
        limit = time.monotonic() - _KEPT_SECONDS
        for name in [name for name, session in self.sessions.items() if session.seen < limit]:
            del self.sessions[name]


@final
class Connection:
    """One page's WebSocket: what it asks for, its session's training, and its frames."""

    def __init__(self, server: Server, socket: WebSocket) -> None:
        self.server = server
        self.socket = socket
        self.session: Session | None = None
        self._wanted: Asked | None = None
        self._shown = -1  # version of the session in the frame sent last
        self._points_of: Any = None
        self._epochs = 0
        self._changed = asyncio.Event()
        self._started = asyncio.Event()

    async def listen(self) -> None:
        """Answer what the page asks."""
        while True:
            message = await self.socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is None or len(text) > MOST_MESSAGE:
                await self._send({"error": f"a message is a text of at most {MOST_MESSAGE:,} characters"})
                continue
            await self._answer(text)

    async def _answer(self, text: str) -> None:
        number: Any = None
        try:
            message = json.loads(text)
            if not isinstance(message, dict):
                raise ConfigurationError("a message is a JSON object")
            number = message.get("id")
            result = await self._done(Asked(message))
        except json.JSONDecodeError as error:
            await self._send({"id": None, "error": f"the message is not JSON: {error}"})
        except RecursionError:
            await self._send({"id": None, "error": "the message is nested too deeply"})
        except BacklitError as error:
            await self._send({"id": number, "error": str(error)})
        else:
            await self._send({"id": number, "ok": True, "result": result})
            self._changed.set()

    async def _done(self, asked: Asked) -> dict[str, Any]:
        if asked.what == "hello":
            return await self._hello(asked)
        session = self.session
        if session is None:
            raise ConfigurationError("say hello first")
        session.seen = time.monotonic()
        if asked.what == "frame":
            self._wanted = asked
            if asked.get("fresh"):
                self._shown = -1
            return {}
        command = COMMANDS.get(asked.what)
        if command is None:
            raise ConfigurationError(f"the lab cannot do {asked.what!r}")
        if asked.what == "run_code" and not self.server.allow_code:
            raise ConfigurationError(
                "code runs only where the lab was started with --allow-code: start it so, or paste gradients"
            )
        result = await asyncio.to_thread(_locked, session, command, asked)
        if asked.what == "configure":
            self._epochs = 0
        return result

    async def _hello(self, asked: Asked) -> dict[str, Any]:
        wanted, settings = asked.get("session"), asked.get("settings")
        session, resumed = await asyncio.to_thread(self.server.open, wanted, settings)
        self.session = session
        self._started.set()
        return {
            "session": session.id,
            "catalogue": session.catalogue(),
            "settings": session.settings.to_json(),
            "layout": session.layout(),
            "allow_code": self.server.allow_code,
            "resumed": resumed,
            "given": self.server.given is not None,
            "version": library_version(),
        }

    async def train(self) -> None:
        """Let the session train, a piece at a time."""
        await self._started.wait()
        last = time.perf_counter()
        while True:
            await asyncio.sleep(_TICK)
            now, session = time.perf_counter(), self.session
            if session is not None and session.running:
                session.seen = time.monotonic()
                before = session.version
                await asyncio.to_thread(_ticked, session, min(now - last, 0.25))
                if session.version != before:
                    self._changed.set()
            last = now

    async def draw(self) -> None:
        """Send a frame whenever the page wants one and there is something new in it."""
        await self._started.wait()
        while True:
            await self._changed.wait()
            self._changed.clear()
            asked, session = self._wanted, self.session
            if asked is None or session is None or session.version == self._shown:
                continue
            self._wanted, self._shown = None, session.version
            try:
                points, frame = await asyncio.to_thread(self._drawn, session, asked)
            except BacklitError as error:
                await self._send({"event": "error", "error": str(error)})
                continue
            if points is not None:
                await self.socket.send_bytes(points)
            await self.socket.send_bytes(frame)

    def _drawn(self, session: Session, asked: Asked) -> tuple[bytes | None, bytes]:
        with session.lock:
            points = None
            if self._points_of is not session.material or asked.get("fresh"):
                points, self._points_of, self._epochs = session.points(), session.material, 0
            frame = session.frame(asked.texts("views"), self._epochs)
            self._epochs = session.course.epochs_done
            return points, frame

    async def _send(self, message: dict[str, Any]) -> None:
        await self.socket.send_text(json.dumps(finite(message), ensure_ascii=False))


def page_files() -> dict[str, bytes]:
    """The page's files by name: a closed list, read once."""
    if not _PAGE:
        for file in resources.files(__package__).joinpath("page").iterdir():
            if file.is_file() and PurePosixPath(file.name).suffix in _TYPES:
                _PAGE[file.name] = file.read_bytes()
    return _PAGE


_PAGE: Final[dict[str, bytes]] = {}


def _locked(session: Session, command: Any, asked: Asked) -> dict[str, Any]:
    with session.lock:
        result: dict[str, Any] = command(session, asked)
        return result


def _ticked(session: Session, seconds: float) -> None:
    with session.lock:
        session.tick(seconds)


def _exported(session: Session, kind: str) -> tuple[str, bytes, str]:
    with session.lock:
        return export(kind, session)


async def _body(request: Request) -> bytes:
    """The body of an upload, refused as soon as it is too large."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_UPLOAD:
            raise ConfigurationError(
                f"the file is larger than {MOST_UPLOAD // 2**20} MB: start the lab on it, `backlit lab FILE`"
            )
        parts.append(part)
    return b"".join(parts)
