"""An endpoint that speaks OpenAI's chat completions, asked without a word to anybody else."""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ..errors import ConfigError, RunError

LOCAL = ("localhost", "127.0.0.1", "::1")
MAX_ANSWER = 2**20  # bytes
MAX_QUOTE = 300  # characters of an endpoint's text in a message


class UnusableError(Exception):
    """An answer that is not what was asked for, or an endpoint that may recover: asked again."""


@dataclass(frozen=True)
class Judge:
    """Whom to ask, and how.

    Attributes:
        endpoint: base URL, ``https://.../v1``; plain http only to this machine.
        model: as the endpoint calls it.
        key: sent as a bearer token, and shown nowhere; empty sends none.
        side: of the pictures sent, pixels.
        seed: of the letters.
        attempts: for each story.
        wait: seconds before the second attempt; doubled each time.
        timeout: seconds for one answer.
    """

    endpoint: str
    model: str
    key: str = field(default="", repr=False)
    side: int = 256
    seed: int = 0
    attempts: int = 5
    wait: float = 2.0
    timeout: float = 180.0

    def __post_init__(self) -> None:
        """Refuse what would send pictures or the key where nobody meant them to go."""
        shown = re.sub("(?s).*@", "***@", self.endpoint)  # a user name comes with a password
        parts = _parts(self.endpoint)
        if parts is None:
            raise ConfigError(
                f"the endpoint is {shown!r}; give a URL like https://host/v1, without a user name"
            )
        if parts.scheme == "http" and parts.hostname not in LOCAL:
            raise ConfigError(
                f"the endpoint {shown!r} is not encrypted; use https (http only for a server on "
                "this machine)"
            )
        if not (self.key.isascii() and self.key.isprintable()) or " " in self.key:
            raise ConfigError(
                "the key holds a blank, a line break or a character that is not ASCII, and is not "
                "shown here; set its environment variable to the key alone"
            )

    @property
    def url(self) -> str:
        """Where questions are sent to."""
        return self.endpoint.rstrip("/") + "/chat/completions"

    def quoted(self, text: str) -> str:
        """The start of ``text`` of the endpoint on one line, without the key."""
        line = "".join(filter(str.isprintable, text))
        if self.key:  # also as JSON or Python would escape it
            line = re.sub(r"\\*".join(map(re.escape, self.key)), "***", line)
        return line[:MAX_QUOTE]


def _parts(endpoint: str) -> SplitResult | None:
    """The endpoint's parts; None where it is no URL of the web, or holds a user name."""
    try:
        parts = urlsplit(endpoint)
        host = (parts.hostname or "").encode("idna")
        _ = parts.port, (parts.path + parts.query).encode("ascii")
    except ValueError:
        return None
    plain = host and "@" not in parts.netloc
    return parts if plain and parts.scheme in ("http", "https") else None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """The key and the pictures go where they were told to, and nowhere else."""
        return


def post(judge: Judge, body: bytes) -> bytes:
    """The endpoint's answer to ``body``.

    Raises:
        UnusableError: it may answer when it is asked again.
        RunError: it refuses.
    """
    headers = {"Content-Type": "application/json"}
    if judge.key:
        headers["Authorization"] = f"Bearer {judge.key}"
    request = urllib.request.Request(judge.url, body, headers, method="POST")
    try:
        status, answer = _exchange(request, judge.timeout)
    except (OSError, http.client.HTTPException) as error:
        raise UnusableError(f"{judge.url} cannot be reached: {error}") from None
    if status in (408, 409, 429) or status >= 500:
        raise UnusableError(f"HTTP {status}")
    if not 200 <= status < 300:
        text = judge.quoted(answer.decode(errors="replace"))
        raise RunError(f"{judge.url} refuses (HTTP {status}): {text}")
    if len(answer) > MAX_ANSWER:
        raise UnusableError("the answer is too long")
    return answer


def _exchange(request: urllib.request.Request, timeout: float) -> tuple[int, bytes]:
    """Status and body of the reply, of a refusal too; one byte more than the most shows."""
    handlers: list[Any] = [_NoRedirect]
    if request.type == "http":  # this machine: no proxy gets the key
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        reply: Any = urllib.request.build_opener(*handlers).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        reply = error
    with reply:
        return reply.status, reply.read(MAX_ANSWER + 1)
