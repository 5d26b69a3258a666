"""The routes of pictures: painting them, the queue, takes, locks, events, exports."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path as File
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from . import costs, pictures, told
from .asked import (
    ChooseAsked,
    CostAsked,
    Export,
    Kind,
    LockAsked,
    OrderAsked,
    PaintAsked,
    RerollAsked,
    Width,
    plain_edits,
)
from .asked_cast import CheckAsked
from .desk import Desk, random_seeds
from .edits import edited
from .events import stream
from .exporting import exported
from .library import NothingError
from .stories import Id

Key = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
Index = Annotated[int, Path(ge=0, lt=1000)]
JobId = Annotated[int, Path(ge=0, lt=2**53)]
_TYPES = {
    "cbz": "application/vnd.comicbook+zip",
    "epub": "application/epub+zip",
    "mp4": "video/mp4",
    "gif": "image/gif",
}


def routes(desk: Desk) -> APIRouter:
    """The routes of pictures on ``desk``."""
    router = APIRouter(prefix="/api")
    queue = desk.queue

    def story(id_: str) -> Any:
        return desk.board(desk.library.entry(id_)).told()

    @router.post("/stories/{id}/cost", response_model=told.Cost)
    def cost(id: Id, asked: CostAsked) -> Any:
        """What painting would paint, and what it would take; nothing is done."""
        entry = desk.seen(id, asked.revision)
        if asked.text is not None:
            entry = replace(entry, text=asked.text)
        if asked.edits is not None:
            entry = replace(entry, text=edited(entry.text, plain_edits(asked.edits)))
        board = desk.right(entry, asked.only or ())
        if asked.reroll is not None:
            return costs.of_seeds(board, sorted(set(asked.only or ())), asked.reroll)
        return costs.cost(board, asked.only or ())

    @router.post("/stories/{id}/paint", status_code=202, response_model=told.Job)
    def paint(id: Id, asked: PaintAsked) -> Any:
        """Puts what is not there into the queue."""
        return desk.told(desk.paint(id, asked.revision, asked.only or (), asked.cast_only))

    @router.post("/stories/{id}/reroll", status_code=202, response_model=told.Job)
    def reroll(id: Id, asked: RerollAsked) -> Any:
        """Puts scenes into the queue, to be painted with other seeds."""
        seeds = asked.seeds or random_seeds(asked.count)
        return desk.told(desk.reroll(id, asked.revision, asked.indexes, seeds))

    @router.post("/stories/{id}/check", status_code=202, response_model=told.Job)
    def check(id: Id, asked: CheckAsked) -> Any:
        """Puts a look at every finished picture into the queue: who is in it, and what is wrong."""
        return desk.told(desk.check(id, asked.revision))

    @router.get("/stories/{id}/scenes/{index}/takes", response_model=told.Takes)
    def takes(id: Id, index: Index) -> Any:
        """Every finished picture of a scene."""
        board = desk.board(desk.library.entry(id))
        if board.story is None or index >= len(board.story.scenes):
            raise NothingError
        return {"takes": board.takes(index)}

    @router.post("/stories/{id}/scenes/{index}/choose", response_model=told.Story)
    def choose(id: Id, index: Index, asked: ChooseAsked) -> Any:
        """Makes a take the scene's picture."""
        desk.choose(id, index, asked.revision, asked.picture)
        return story(id)

    @router.post("/stories/{id}/scenes/{index}/lock", response_model=told.Story)
    def lock(id: Id, index: Index, asked: LockAsked) -> Any:
        """Keeps a scene's picture as it is, or no longer."""
        desk.lock(id, index, asked.revision, asked.locked)
        return story(id)

    @router.get(
        "/stories/{id}/pictures/{key}",
        response_class=Response,
        responses={200: {"content": {"image/png": {}, "image/webp": {}}}},
    )
    def picture(id: Id, key: Key, kind: Kind = "frame", width: Width = "0") -> Response:
        """A picture, whole or small."""
        content, media = pictures.content(desk.library.entry(id).run, key, kind, int(width))
        headers = {"cache-control": "private, max-age=31536000, immutable"}
        return Response(content, media_type=media, headers=headers)

    @router.get("/stories/{id}/export/{kind}", response_class=Response)
    def export(id: Id, kind: Export) -> Response:
        """The story as one file to hand out."""
        board = desk.board(desk.library.entry(id))
        with tempfile.TemporaryDirectory(prefix="identitystory-") as folder:
            file = exported(board, kind, File(folder))
            content = file.read_bytes()
        name = f"story{file.suffix}"
        media = _TYPES.get(kind, "application/octet-stream")
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type=media, headers=headers)

    @router.get("/queue", response_model=told.Jobs)
    def jobs() -> Any:
        """What is painted, what waits, what is done."""
        return desk.jobs()

    @router.put("/queue", response_model=told.Jobs)
    def order(asked: OrderAsked) -> Any:
        """Puts what waits in another order."""
        queue.order(asked.order)
        return desk.jobs()

    @router.post("/jobs/{job}/cancel", response_model=told.Job)
    def cancel(job: JobId) -> Any:
        """Ends a job at its next step; what is finished stays."""
        return desk.told(queue.cancel(job))

    @router.post("/jobs/{job}/again", status_code=202, response_model=told.Job)
    def again(job: JobId) -> Any:
        """Puts a job into the queue once more."""
        return desk.told(desk.again(job))

    @router.get(
        "/jobs/{job}/preview",
        response_class=Response,
        responses={200: {"content": {"image/webp": {}}}},
    )
    def preview(job: JobId) -> Response:
        """The picture of a running job as it is now."""
        return Response(queue.preview(job), media_type="image/webp")

    @router.get("/events", response_class=EventSourceResponse)
    async def events(
        story: Annotated[str | None, Query(pattern="^[0-9a-f]{12}$")] = None,
        at: Annotated[int | None, Query(ge=0, lt=2**53)] = None,
        last_event_id: Annotated[str | None, Header(max_length=20)] = None,
    ) -> AsyncIterator[ServerSentEvent]:
        """What happens, from now on or since an event."""
        since = int(last_event_id) if last_event_id and last_event_id.isdecimal() else at
        told = desk.library, queue, desk.jobs, story, since, desk.hello
        async for event in stream(*told, ended=desk.ended):
            yield event

    return router
