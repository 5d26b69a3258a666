"""The server: routes behind a guard, a worker beside them, mistakes as one line of JSON."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from .. import __version__
from ..errors import (
    BusyError,
    ConfigError,
    IdentityStoryError,
    ModelError,
    PromptError,
    RunError,
    StoryError,
    one_line,
)
from ..runs.service import Service, describe_model
from . import characters, page, painting, stories
from .asked import TokenAsked
from .desk import Desk
from .exporting import MissingError
from .guard import COOKIE, DAYS, Door, Guard, cookie_of
from .library import ChangedError, Library, NothingError, TooLargeError

_CODES = {
    StoryError: "story",
    ConfigError: "config",
    PromptError: "prompt",
    ModelError: "model",
    RunError: "run",
}
_GONE = "there is nothing of that name here"


def create_app(
    root: Path,
    service: Service | None = None,
    *,
    device: str = "auto",
    login: bool = False,
    names: Collection[str] = (),
    worker: bool = True,
    announce: Callable[[str], None] = lambda token: None,
    ready: Callable[[], None] = lambda: None,
    ended: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """The studio on the library at ``root``.

    Args:
        root: made if it is not there.
        service: paints; None is the real one.
        device: of the worker.
        login: whether a token is asked for.
        names: by which the server may be asked, beside this machine's own.
        worker: whether a worker is started with the server.
        announce: hears of each token that may be used next.
        ready: is called when the server starts.
        ended: whether the server is about to end, as streams of events must before it can.
    """
    desk = Desk(root, service or Service(describe=_Described()), device, ended)
    door = Door(desk.queue, needed=login)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if login:
            announce(door.token)
        ready()
        keeper = asyncio.create_task(_keep_worker(root, device)) if worker else None
        yield
        if keeper is not None:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper

    app = FastAPI(
        title="identitystory studio",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
        responses={code: {"description": text} for code, text in _RESPONSES.items()},
    )
    app.add_middleware(Guard, door=door, names=frozenset(names))
    _mistakes(app, desk.library)
    app.include_router(stories.routes(desk))
    app.include_router(painting.routes(desk))
    app.include_router(characters.routes(desk))

    @app.get("/api/session")
    def session(request: Request) -> dict[str, bool]:
        """Whether whoever asks may ask."""
        return {"open": door.knows(_cookie(request))}

    @app.post("/api/session", status_code=204)
    def enter(asked: TokenAsked) -> Response:
        """Exchanges the token that the server printed for a cookie."""
        value = door.exchange(asked.token) if login else None
        if value is None:
            return _error(401, "login", "this link was used already, or is not of this server")
        announce(door.token)
        response = Response(status_code=204)
        response.set_cookie(
            COOKIE, value, max_age=DAYS * 86400, httponly=True, samesite="strict", path="/"
        )
        return response

    @app.delete("/api/session", status_code=204)
    def leave(request: Request) -> Response:
        """Logs out."""
        door.close(_cookie(request))
        response = Response(status_code=204)
        response.delete_cookie(COOKIE, path="/")
        return response

    files = page.files()

    @app.get("/{name:path}", include_in_schema=False)
    def file(name: str) -> Response:
        if name.startswith("api/") or name == "api":
            raise NothingError
        found = files.get(name) or (files[""] if "." not in name else None)
        if found is None:
            raise NothingError
        content, media = found
        lasting = (
            "public, max-age=31536000, immutable" if name.startswith("assets/") else "no-cache"
        )
        return Response(content, headers={"content-type": media, "cache-control": lasting})

    return app


_RESPONSES: dict[int | str, str] = {
    400: "the user can mend it",
    401: "a login is needed",
    403: "asked by another page",
    404: "there is none",
    405: "not here",
    409: "the text was changed meanwhile, or the run is being written",
    413: "too large",
    422: "not the shape that is asked for",
    501: "not in this installation",
}


class _Described:
    """`describe_model`, which reads the weights of each model once."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str, str], Any] = {}

    def __call__(self, model: str, device: str, dtype: str) -> Any:
        asked = model, device, dtype
        if asked not in self.known:
            self.known[asked] = describe_model(*asked)
        return self.known[asked]


def _cookie(request: Request) -> str:
    return cookie_of({"cookie": request.headers.getlist("cookie")})


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": one_line(message)}}, status)


def _mistakes(app: FastAPI, library: Library) -> None:
    """Every exception as one line, with the status of its kind."""

    @app.exception_handler(IdentityStoryError)
    def mendable(_: Request, error: IdentityStoryError) -> Response:
        if isinstance(error, BusyError):
            return _error(409, "busy", "this story is being painted; wait for it, or cancel it")
        return _error(400, _CODES.get(type(error), "run"), library.said(error))

    @app.exception_handler(RequestValidationError)
    def misshapen(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = [str(part) for part in first["loc"]]
        if place[0] == "path":
            return _error(404, "nothing", _GONE)
        return _error(422, "request", f"{'.'.join(place)[:100]}: {str(first['msg'])[:200]}")

    @app.exception_handler(HTTPException)
    def refused(_: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return _error(404, "nothing", _GONE)
        answer = _error(error.status_code, "request", str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    told: dict[type[Exception], tuple[int, str, str]] = {
        NothingError: (404, "nothing", _GONE),
        ChangedError: (409, "conflict", "the text was changed elsewhere; load it again"),
        TooLargeError: (413, "large", "that is too large: a story has at most 512 KiB"),
        RecursionError: (422, "request", "the body is nested too deep"),
        OverflowError: (409, "busy", "too many jobs wait already; cancel some"),
    }
    for kind, answer in told.items():
        app.exception_handler(kind)(lambda _, error, answer=answer: _error(*answer))

    @app.exception_handler(MissingError)
    def missing(_: Request, error: MissingError) -> Response:
        return _error(501, "missing", str(error))

    @app.exception_handler(Exception)
    def bug(_: Request, error: Exception) -> Response:
        if isinstance(error, OSError):
            return _error(
                500,
                "machine",
                f"{error.strerror or 'the machine failed'}. What is finished is kept",
            )
        return _error(
            500, "bug", f"a mistake of the program ({type(error).__name__}); the terminal has more"
        )


async def _keep_worker(root: Path, device: str) -> None:
    """A worker, and another when it dies."""
    command = [sys.executable, "-m", "identitystory.studio.worker", str(root), device]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        while True:
            await asyncio.sleep(0.5)
            if process.poll() is not None:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    finally:
        process.terminate()
        process.wait()
