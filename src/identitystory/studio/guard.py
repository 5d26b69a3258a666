"""Who may ask: checked before any route, for every request.

A page of somebody else in the same browser can reach this server too. It is told apart by ``Host``
(another name for this address), ``Origin`` and ``Sec-Fetch-Site`` (another page).
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from .queue import Queue

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

COOKIE = "identitystory"
_LARGE = 413, "large", "a request is at most 4 MiB, a story 512 KiB, and a character file 64 MiB"
DAYS = 30  # that a login lasts
MAX_BODY = 4 << 20  # bytes: a story of 512 KiB, as JSON
MAX_FILE = 64 << 20  # of a character file; `identitystory cast import` takes larger ones
FILES = "/api/characters/import"
LOCAL = ("localhost", "127.0.0.1", "::1")
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
OPEN = {"/api/session"}  # of the API, what is answered without a login


class Door:
    """Logins of a server that other machines can reach; on this machine alone nobody logs in."""

    def __init__(self, queue: Queue, *, needed: bool) -> None:
        self.queue, self.needed = queue, needed
        self.token = secrets.token_urlsafe(32)
        self.lock = Lock()

    def exchange(self, token: str) -> str | None:
        """A new cookie's value for the token, which is no longer good then; None for a wrong one."""
        with self.lock:
            if not hmac.compare_digest(token.encode("utf-8", "replace"), self.token.encode()):
                return None
            self.token = secrets.token_urlsafe(32)
        value = secrets.token_urlsafe(32)
        self.queue.keep(_name(value), str(time.time()))
        return value

    def knows(self, cookie: str) -> bool:
        """Whether whoever has this cookie is logged in."""
        if not self.needed:
            return True
        made = self.queue.kept(_name(cookie)) if cookie else None
        return made is not None and time.time() - float(made) < DAYS * 86400

    def close(self, cookie: str) -> None:
        """Logs out."""
        self.queue.forget(_name(cookie))


def _name(cookie: str) -> str:
    """Under what a login is kept: what a thief of the file could use stands nowhere in it."""
    return f"login {sha256(cookie.encode('utf-8', 'replace')).hexdigest()}"


class Guard:
    """Lets through what comes from this server's own page, or from a program on this machine."""

    def __init__(self, app: App, *, door: Door, names: Collection[str]) -> None:
        self.app, self.door, self.names = app, door, names

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":  # there are no websockets here
            return None
        headers = _headers(scope)
        api = scope["path"].startswith("/api")

        most = MAX_FILE if scope["path"] == FILES else MAX_BODY
        body = _Body(receive, most)

        async def guarded(message: Message) -> None:
            if body.too_long:
                return  # answered below
            if message["type"] == "http.response.start":
                told = [(k, v) for k, v in message["headers"] if k.lower() != b"server"]
                named = {k.lower() for k, _ in told}
                more = HEADERS | ({"cache-control": "no-store"} if api else {})
                told += [
                    (k.encode(), v.encode()) for k, v in more.items() if k.encode() not in named
                ]
                message = {**message, "headers": told}
            await send(message)

        refused = self._refused(scope, headers, api)
        if refused is None and _length(headers) > most:
            refused = _LARGE
        if refused is not None:
            return await _answer(guarded, *refused)
        await self.app(scope, body.receive, guarded)
        if body.too_long:
            body.too_long = False
            await _answer(guarded, *_LARGE)
        return None

    def _refused(
        self, scope: Mapping[str, Any], headers: Mapping[str, list[str]], api: bool
    ) -> tuple[int, str, str] | None:
        """Why a request is not let through: status, code, sentence; None if it is."""
        hosts = headers.get("host", [])
        if len(hosts) != 1 or not self._ours(hosts[0]):
            return 403, "forbidden", "this server is asked by a name that is not its own"
        for origin in headers.get("origin", []):
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or parts.netloc.lower() != hosts[0].lower():
                return 403, "forbidden", "this was asked by another page"
        if any(site not in ("same-origin", "none") for site in headers.get("sec-fetch-site", [])):
            whole_page = scope["method"] == "GET" and headers.get("sec-fetch-mode") == ["navigate"]
            if api or not whole_page:
                return 403, "forbidden", "this was asked by another page"
        if api and scope["path"] not in OPEN and not self.door.knows(cookie_of(headers)):
            return 401, "login", "log in with the link that the server printed"
        return None

    def _ours(self, host: str) -> bool:
        """Whether ``host`` is this server by name or, where others may reach it, by a plain address."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
            urlsplit(f"//{host}").port  # noqa: B018  (ValueError for what is none)
        except ValueError:
            return False
        if not host or any(ch in host for ch in "/@?# \\,"):
            return False
        if name in LOCAL or name in self.names:
            return True
        return self.door.needed and _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _headers(scope: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def cookie_of(headers: Mapping[str, list[str]]) -> str:
    """The login that a request carries; empty if it has none."""
    for line in headers.get("cookie", []):
        try:
            if found := SimpleCookie(line).get(COOKIE):
                return found.value
        except CookieError:
            continue
    return ""


def _length(headers: Mapping[str, list[str]]) -> int:
    given = headers.get("content-length", ["0"])[0]
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else MAX_FILE + 1


class _Body:
    """A body as it comes, cut off where it is too long."""

    def __init__(self, receive: Receive, most: int) -> None:
        self.more, self.most, self.seen, self.too_long = receive, most, 0, False

    async def receive(self) -> Message:
        message = await self.more()
        self.seen += len(message.get("body", b""))
        if self.seen > self.most:
            self.too_long = True
            return {"type": "http.request", "body": b"", "more_body": False}
        return message


async def _answer(send: Send, status: int, code: str, message: str) -> None:
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
