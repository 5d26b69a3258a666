"""The routes of stories: their texts, settings and boards."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool

from .. import __version__
from ..story.document import MAX_BYTES
from . import told
from .asked import (
    EXPORTS,
    MODELS,
    EditsAsked,
    ReadAsked,
    SaveAsked,
    SettingsAsked,
    TextAsked,
    plain_edits,
)
from .desk import Desk
from .edits import edited
from .exporting import there
from .library import Settings, TooLargeError
from .texts import NEW, imported

Id = Annotated[str, Path(pattern="^[0-9a-f]{12}$")]
Name = Annotated[str, Query(min_length=1, max_length=200)]
UPLOAD = {
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
}


def routes(desk: Desk) -> APIRouter:
    """The routes of stories on ``desk``."""
    router = APIRouter(prefix="/api")
    library = desk.library

    def story(id_: str) -> Any:
        return desk.board(library.entry(id_)).told()

    @router.get("/options")
    def options() -> dict[str, Any]:
        """What there is to choose from."""
        from ..methods.registry import METHODS
        from ..presets import PRESETS

        exports = [{"kind": kind, "there": there(kind)} for kind in EXPORTS]
        return {
            "version": __version__,
            "presets": list(PRESETS),
            "methods": list(METHODS),
            "models": list(MODELS),
            "exports": exports,
            "tour": desk.queue.kept("toured") is None,
        }

    @router.post("/tour/done", status_code=204)
    def toured() -> None:
        """The tour was seen."""
        desk.queue.keep("toured", desk.started)

    @router.get("/stories", response_model=told.Stories)
    def listed() -> Any:
        """All stories, the last changed first."""
        return {"stories": desk.rows()}

    @router.post("/stories", status_code=201, response_model=told.Story)
    def add(asked: TextAsked) -> Any:
        """A new story."""
        text = NEW if asked.text is None else asked.text
        if asked.title:
            text = edited(text, [{"do": "story", "set": {"title": asked.title}}])
        return story(library.add(text).id)

    @router.post(
        "/import",
        status_code=201,
        response_model=told.Imported,
        openapi_extra={"requestBody": UPLOAD},
    )
    async def import_(request: Request, name: Name) -> Any:
        """A story from a file: Fountain, a shot list, TOML, JSON, other tools' formats."""
        content = await request.body()
        if len(content) > MAX_BYTES:
            raise TooLargeError

        def work() -> Any:
            text, told, fill_in = imported(name, content)
            made = story(library.add(text).id)
            return {"story": made, "told": told[:100], "fill_in": fill_in[:100]}

        return await run_in_threadpool(work)

    @router.post("/check", response_model=told.Checked)
    def check(asked: ReadAsked) -> Any:
        """What is wrong with a text, and what is understood of it."""
        entry = library.entry(asked.story) if asked.story else library.nobodys()
        return desk.board(replace(entry, text=asked.text)).read()

    @router.get("/stories/{id}", response_model=told.Story)
    def read(id: Id) -> Any:
        """A story as it stands."""
        return story(id)

    @router.put("/stories/{id}/text", response_model=told.Story)
    def save(id: Id, asked: SaveAsked) -> Any:
        """Another text, right or wrong."""
        library.save(id, asked.text, asked.revision)
        return story(id)

    @router.post("/stories/{id}/edit", response_model=told.Story)
    def edit(id: Id, asked: EditsAsked) -> Any:
        """Small edits of the text, all or none."""
        entry = desk.seen(id, asked.revision)
        library.save(id, edited(entry.text, plain_edits(asked.edits)), asked.revision)
        return story(id)

    @router.put("/stories/{id}/settings", response_model=told.Story)
    def settings(id: Id, asked: SettingsAsked) -> Any:
        """Other settings."""
        library.settle(id, Settings(**asked.model_dump()))
        return story(id)

    @router.get("/stories/{id}/settings")
    def settings_of(id: Id) -> dict[str, Any]:
        """Those that were given."""
        return asdict(library.entry(id).settings)

    @router.delete("/stories/{id}", status_code=204)
    def remove(id: Id) -> None:
        """Puts a story aside, and cancels what is being painted of it."""
        library.entry(id)
        for job in desk.queue.jobs(id, shown=0):
            desk.queue.cancel(job.id)
        library.remove(id)

    @router.post("/stories/{id}/restore", response_model=told.Story)
    def restore(id: Id) -> Any:
        """Brings back a story that was put aside."""
        library.restore(id)
        return story(id)

    return router
