"""Who may talk to the lab: whoever opened the address with its token, from this machine, from the lab's own page.

Every start draws a new token. Opening the address exchanges it for a cookie of this browser (HttpOnly, SameSite=Strict,
with a name of its own for each port), and the token leaves the address bar. Without either nothing is answered.

    Host     must be 127.0.0.1 or localhost with the lab's port: a foreign name that points here is refused
             (DNS rebinding)
    Origin   must be the lab's own wherever a browser sends one, and on every WebSocket: a foreign page cannot use
             the cookie
    policy   the page may load scripts and styles from the lab alone, and talk to nobody else
"""

from __future__ import annotations

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, final
from urllib.parse import parse_qs

#: Sent with everything.
HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@final
class Guard:
    """An ASGI application in front of another one, which it protects.

    Parameters
    ----------
    app : ASGI application
    port : int
        That the lab listens on.

    Attributes
    ----------
    token : str
        What the address holds.
    """

    def __init__(self, app: Any, port: int) -> None:
        self.app = app
        self.port = port
        self.token = secrets.token_urlsafe(24)
        self._cookie = secrets.token_urlsafe(24)
        self._cookie_name = f"backlit-lab-{port}"
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Refuse, let in, or exchange the token for the cookie."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal:
            await _refused(scope, receive, send, refusal)
        elif scope["type"] == "http" and self._has_token(scope):
            await _redirected(send, self._cookie_header())
        else:
            await self.app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Any, headers: dict[bytes, bytes]) -> str:
        """Why a request is not answered; empty where it is."""
        host, origin = headers.get(b"host", b""), headers.get(b"origin")
        if host not in self._hosts:
            return "this is not the lab's address: open the one that it printed"
        if origin is None and scope["type"] == "websocket":
            return "a WebSocket without an origin is not the lab's page"
        if origin is not None and origin != b"http://" + host:
            return "another page may not talk to the lab"
        if self._has_token(scope) or self._has_cookie(headers):
            return ""
        return "the lab answers only to the address with its token: open the one that it printed when it was started"

    def _has_token(self, scope: Any) -> bool:
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        return scope["path"] == "/" and hmac.compare_digest(given.encode(), self.token.encode())

    def _has_cookie(self, headers: dict[bytes, bytes]) -> bool:
        try:
            cookies = SimpleCookie(headers.get(b"cookie", b"").decode("latin-1"))
        except CookieError:
            return False
        found = cookies.get(self._cookie_name)
        return found is not None and hmac.compare_digest(found.value.encode(), self._cookie.encode())

    def _cookie_header(self) -> str:
        return f"{self._cookie_name}={self._cookie}; Path=/; HttpOnly; SameSite=Strict"


def _with_headers(send: Any) -> Any:
    async def send_with_headers(message: Any) -> None:
        if message["type"] == "http.response.start":
            own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *own]}
        await send(message)

    return send_with_headers


async def _redirected(send: Any, cookie: str) -> None:
    headers = [(b"location", b"/"), (b"set-cookie", cookie.encode()), (b"content-length", b"0")]
    await _with_headers(send)({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refused(scope: Any, receive: Any, send: Any, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": why[:120]})
        return
    body = f"{why[:1].upper()}{why[1:]}.\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await _with_headers(send)({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
