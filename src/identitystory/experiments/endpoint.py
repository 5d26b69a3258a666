"""An endpoint that speaks OpenAI's chat completions, asked without a word to anybody else."""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ..deadline import within
from ..errors import ConfigError, RunError

LOCAL = ("localhost", "127.0.0.1", "::1")
MAX_ANSWER = 2**20  # bytes
MAX_WAIT = 120.0  # seconds, however long an endpoint asks to wait
_HINTS = {
    401: "is the key in its environment variable right?",
    403: "may the key use this model?",
    404: "are the URL and --judge-model spelt right?",
}


class UnusableError(Exception):
    """An answer that is not what was asked for, or an endpoint that may recover: asked again.

    ``wait``: seconds that the endpoint asks to be left alone for.
    """

    def __init__(self, told: str, wait: float = 0.0) -> None:
        super().__init__(told)
        self.wait = wait


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
        timeout: seconds for one answer, from the first byte sent to the last received.
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
    """The endpoint's answer to ``body``. No message holds a word of it: it may hold the key.

    Raises:
        UnusableError: it may answer when it is asked again.
        RunError: it refuses.
    """
    headers = {"Content-Type": "application/json"}
    if judge.key:
        headers["Authorization"] = f"Bearer {judge.key}"
    request = urllib.request.Request(judge.url, body, headers, method="POST")
    try:
        status, answer, after = within(judge.timeout, lambda: _exchange(request, judge.timeout))
    except http.client.HTTPException as error:
        raise UnusableError(f"{judge.url} speaks no HTTP ({type(error).__name__})") from None
    except OSError as error:
        raise UnusableError(f"{judge.url} cannot be reached: {error}") from None
    if status in (408, 409, 429) or status >= 500:
        raise UnusableError(f"HTTP {status}", min(after, MAX_WAIT))
    if not 200 <= status < 300:
        hint = _HINTS.get(status, "its own words are not shown, for they may hold the key")
        raise RunError(f"{judge.url} refuses (HTTP {status}); {hint}")
    if len(answer) > MAX_ANSWER:
        raise UnusableError("the answer is too long")
    return answer


def _exchange(request: urllib.request.Request, timeout: float) -> tuple[int, bytes, float]:
    """Status, body (at most one byte more than is taken) and wished wait of a reply or refusal."""
    handlers: list[Any] = [_NoRedirect]
    if request.type == "http":  # this machine: no proxy gets the key
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        reply: Any = urllib.request.build_opener(*handlers).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        reply = error
    with reply:
        return reply.status, reply.read(MAX_ANSWER + 1), _seconds(reply.headers["Retry-After"])


def _seconds(after: str | None) -> float:
    """Seconds from now of a Retry-After, a number or a date; 0 if it is neither."""
    try:
        if after and after.isdigit():
            return float(after[:9])
        return parsedate_to_datetime(after or "").timestamp() - time.time()
    except ValueError:
        return 0.0
