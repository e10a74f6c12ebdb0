"""The lab's server: who may talk to it, and that it keeps talking whatever its pages do."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import backlit as bl
from backlit.exceptions import ConfigurationError
from backlit.lab.frames import unpack

pytest.importorskip("uvicorn", reason="the lab needs backlit[web]")
httpx = pytest.importorskip("httpx", reason="the lab's tests need httpx")
from websockets.exceptions import InvalidStatus  # noqa: E402
from websockets.sync.client import ClientConnection, connect  # noqa: E402

from backlit.lab import launch, server  # noqa: E402
from backlit.lab.launch import Lab  # noqa: E402


@pytest.fixture(scope="module")
def running() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.close()


OPEN = ExitStack()


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Clients and sockets of a test are closed after it."""
    yield
    OPEN.close()


def browser(lab: Lab) -> Any:
    """A browser that has opened the address."""
    client = OPEN.enter_context(
        httpx.Client(base_url=f"http://127.0.0.1:{lab.port}", follow_redirects=True, timeout=20)
    )
    assert client.get(lab.address).status_code == 200
    return client


def cookie(lab: Lab) -> str:
    client = browser(lab)
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())


class Page:
    """A page's side of the WebSocket."""

    def __init__(self, lab: Lab, settings: Any = None, session: Any = None) -> None:
        origin: Any = f"http://127.0.0.1:{lab.port}"
        address, headers = f"ws://127.0.0.1:{lab.port}/ws", {"Cookie": cookie(lab)}
        opening = connect(address, origin=origin, additional_headers=headers, max_size=None)
        self.socket: ClientConnection = OPEN.enter_context(opening)
        self.number = 0
        self.frames: list[Any] = []
        self.hello = self.ask("hello", settings=settings, session=session)

    def ask(self, do: str, **fields: Any) -> Any:
        """The result; an error as a text that begins with "error"."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "do": do, **fields}))
        while True:
            message = self.socket.recv(timeout=20)
            if isinstance(message, bytes):
                self.frames.append(unpack(message))
                continue
            answer = json.loads(message)
            if answer.get("id") == self.number:
                return answer.get("result", f"error: {answer.get('error')}")

    def frame(self, *views: str) -> Any:
        """The next frame of the network."""
        self.frames.clear()
        self.ask("frame", views=list(views), fresh=True)
        while not self.frames or self.frames[-1][0]["kind"] != "state":
            message = self.socket.recv(timeout=20)
            if isinstance(message, bytes):
                self.frames.append(unpack(message))
        return self.frames[-1]


# ── who may talk to it ───────────────────────────────────────────────────────────────────────────────────────


def test_it_listens_on_this_machine_alone(running: Lab) -> None:
    assert running._socket.getsockname()[0] == "127.0.0.1"
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for address in others:
        with pytest.raises(OSError):
            socket.create_connection((str(address), running.port), timeout=2).close()


def test_nothing_is_answered_without_the_token(running: Lab) -> None:
    for path in ("/", "/page/main.js", "/export/script", "/?token=x", f"/page/main.js?{running.address.split('?')[1]}"):
        answer = httpx.get(f"http://127.0.0.1:{running.port}{path}")
        assert answer.status_code == 403, path
        assert "token" in answer.text
    assert httpx.post(f"http://127.0.0.1:{running.port}/upload", content=b"x").status_code == 403


def test_the_token_is_another_one_every_time_and_leaves_the_address(running: Lab) -> None:
    other = Lab()
    try:
        assert other.address.split("token=")[1] != running.address.split("token=")[1]
        assert len(other.address.split("token=")[1]) >= 32
    finally:
        other.close()
    answer = httpx.get(running.address)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    given = answer.headers["set-cookie"]
    assert "HttpOnly" in given
    assert "SameSite=Strict" in given
    assert running.address.split("token=")[1] not in given


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "0.0.0.0:{port}", ""])
def test_a_foreign_host_is_refused(running: Lab, host: str) -> None:
    headers = {"Host": host.format(port=running.port), "Cookie": cookie(running)}
    assert httpx.get(f"http://127.0.0.1:{running.port}/", headers=headers).status_code in (400, 403)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1"])
def test_a_foreign_origin_is_refused(running: Lab, origin: str) -> None:
    headers = {"Origin": origin.format(port=running.port), "Cookie": cookie(running)}
    assert httpx.get(f"http://127.0.0.1:{running.port}/", headers=headers).status_code == 403
    with pytest.raises(InvalidStatus):
        OPEN.enter_context(connect(f"ws://127.0.0.1:{running.port}/ws", additional_headers=headers))


@pytest.mark.parametrize("with_cookie", [True, False])
def test_a_socket_needs_the_origin_and_the_cookie(running: Lab, with_cookie: bool) -> None:
    headers = {"Cookie": cookie(running)} if with_cookie else {"Origin": f"http://127.0.0.1:{running.port}"}
    with pytest.raises(InvalidStatus):
        OPEN.enter_context(connect(f"ws://127.0.0.1:{running.port}/ws", additional_headers=headers))


def test_the_policy_lets_nothing_in_from_elsewhere(running: Lab) -> None:
    answer = browser(running).get("/")
    policy = dict(part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for text in (answer.text, *(content.decode() for name, content in server.page_files().items())):
        found = text.replace("http://www.w3.org/2000/svg", "").replace("http://www.w3.org/1999/xhtml", "")
        assert "http://" not in found
        assert "https://" not in found
        assert " style=" not in found.split("<body")[-1] or "<body" not in found


@pytest.mark.parametrize(
    "path", ["/page/../server.py", "/page/..%2fserver.py", "/page/%2e%2e/server.py", "/page//etc/passwd"]
)
def test_files_come_from_the_page_alone(running: Lab, path: str) -> None:
    client = browser(running)
    request = client.build_request("GET", "/")
    request.url = request.url.copy_with(raw_path=path.encode())
    assert client.send(request).status_code == 404
    assert client.get("/page/index.html").status_code == 200


def test_an_upload_is_bounded_and_read_by_the_readers(running: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    client, page = browser(running), Page(running)
    rows = "age,town,y\n" + "".join(f"{20 + i},{'ab'[i % 2]},{['no', 'yes'][i % 2]}\n" for i in range(40))
    where = {"session": page.hello["session"], "name": "people.csv", "target": "y"}
    answer = client.post("/upload", params=where, content=rows.encode())
    assert answer.json()["columns"] == ["age", "town", "y"]
    layout = page.ask("configure", settings=answer.json()["settings"])["layout"]
    assert layout["inputs"] == ["age", "town_a", "town_b"]
    assert page.ask("step", unit="epoch")["epoch"] == 1.0
    for name, content in (("x.csv", b"\x00\xff" * 50), ("x.exe", b"MZ"), ("x.backlit", b"junk"), ("../../x.csv", b"")):
        answer = client.post("/upload", params={**where, "name": name}, content=content)
        assert answer.status_code == 400
        assert "/tmp" not in answer.json()["error"]
    monkeypatch.setattr(server, "MOST_UPLOAD", 1000)
    assert "larger than" in client.post("/upload", params=where, content=b"x" * 2000).json()["error"]
    assert "ended" in client.post("/upload", params={"session": "x"}, content=b"").json()["error"]


# ── that it keeps talking ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"do": 5}', '{"do": "eval"}', '{"do": "__class__"}', "[" * 50_000, '{"id": 1}']
)
def test_a_message_that_is_none_is_answered_with_a_sentence(running: Lab, text: str) -> None:
    page = Page(running)
    page.socket.send(text)
    answer = json.loads(page.socket.recv(timeout=10))
    assert answer["error"]
    assert page.ask("step", unit="batch")["step"] == 1


def test_code_is_not_run_unless_the_lab_was_started_so(running: Lab) -> None:
    page = Page(running)
    assert not page.hello["allow_code"]
    assert "--allow-code" in page.ask("run_code", layer=0, source="dW = 0")


def test_a_page_that_comes_back_finds_its_session(running: Lab) -> None:
    page = Page(running)
    page.ask("goto", step=7)
    page.socket.close()
    again = Page(running, session=page.hello["session"])
    assert again.hello["resumed"]
    assert again.frame()[0]["step"] == 7
    fresh = Page(running, session="unknown", settings={"data": {"name": "xor"}})
    assert not fresh.hello["resumed"]
    assert fresh.hello["settings"]["data"]["name"] == "xor"


def test_a_page_gone_in_the_middle_of_a_frame_leaves_the_others_alone(running: Lab) -> None:
    stays = Page(running)
    for _ in range(3):
        leaves = Page(running)
        leaves.ask("run")
        leaves.socket.send(json.dumps({"id": 99, "do": "frame", "views": ["maps", "histograms"]}))
        leaves.socket.socket.shutdown(socket.SHUT_RDWR)
    assert stays.ask("step", unit="batch")["step"] == 1
    deadline = time.monotonic() + 10
    while any(session.running for session in running.server.sessions.values()):
        assert time.monotonic() < deadline, "a session still runs for a page that has gone"
        time.sleep(0.02)


def test_twenty_pages_train_at_once(running: Lab) -> None:
    problems: list[str] = []

    def use(seed: int) -> None:
        page = Page(running, settings={"network": {"seed": seed}})
        page.ask("speed", steps_per_second=None)
        page.ask("run")
        steps = [page.frame("maps")[0]["step"] for _ in range(5)]
        if sorted(steps) != steps or steps[-1] <= steps[0]:
            problems.append(f"page {seed} saw the steps {steps}")
        page.ask("pause")
        page.socket.close()

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not problems


def test_it_stops_and_starts_again_on_its_port() -> None:
    first = Lab()
    page = Page(first)
    port = first.port
    first.close()
    with pytest.raises(Exception, match=r"."):
        page.socket.recv(timeout=5)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    second = Lab(port=port)
    try:
        assert second.port == port
        assert not Page(second, session=page.hello["session"]).hello["resumed"]
        with pytest.raises(ConfigurationError, match=f"port {port}"):
            Lab(port=port)
    finally:
        second.close()


@pytest.mark.parametrize("port", [-1, 70_000, "80", True])
def test_a_port_that_is_none_is_refused(port: Any) -> None:
    with pytest.raises(ConfigurationError, match="port"):
        launch._listening(port)


def test_lab_opens_on_a_network_and_gives_back_its_copy(capsys: pytest.CaptureFixture[str]) -> None:
    net = bl.Network([bl.Dense(3, "tanh"), bl.Dense(1, "sigmoid")], inputs=2, loss="cross_entropy")
    opened = bl.lab(net, [[0, 0], [0, 1], [1, 0], [1, 1]] * 5, [0, 1, 1, 0] * 5, browser=False, block=False)
    try:
        assert capsys.readouterr().out == f"The lab is open at {opened.address}\n"
        page = Page(opened)
        page.ask("step", unit="epoch")
        assert opened.network is not net
        assert page.hello["layout"]["loss"] == "cross_entropy"
    finally:
        opened.close()
    with pytest.raises(ConfigurationError, match="none of the three"):
        bl.lab(net, browser=False)


def test_downloads_are_what_the_library_writes(running: Lab, tmp_path: Path) -> None:
    page, client = Page(running), browser(running)
    page.ask("goto", epoch=2)
    where = {"session": page.hello["session"]}
    answer = client.get("/export/model", params=where)
    (tmp_path / "m.backlit").write_bytes(answer.content)
    loaded = bl.load(tmp_path / "m.backlit")
    assert "attachment" in answer.headers["content-disposition"]
    values = running.server.sessions[page.hello["session"]].course.net.parameters.values
    assert (loaded.parameters.values == values).all()
    assert "import numpy as np" in client.get("/export/script", params=where).text
    assert "<html" in client.get("/export/report", params=where).text
    assert "choose one of" in client.get("/export/passwd", params=where).json()["error"]
