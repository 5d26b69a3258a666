"""The routes of people: the user's library of characters, and who a story takes from it."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path as File
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from PIL import Image

from ..errors import ConfigError, RunError, StoryError
from ..runs.characters import archive, consent, library
from ..runs.characters.archive import CharacterFile
from ..story.file import MAX_NAME_BYTES
from . import consents, hiring, pictures, told
from .asked import Width
from .asked_cast import (
    CandidatesAsked,
    CastAsked,
    FindAsked,
    KeepAsked,
    LookAsked,
    RenameAsked,
    TakeAsked,
)
from .board import Board
from .desk import Desk
from .edits import edited
from .kept import said, stamp
from .library import ChangedError, NothingError
from .stories import UPLOAD, Id

Name = Annotated[str, Path(min_length=1, max_length=MAX_NAME_BYTES)]
Called = Annotated[str | None, Query(min_length=1, max_length=MAX_NAME_BYTES)]
Index = Annotated[int, Path(ge=0, lt=256)]
REMEMBERED = 4  # people who were removed, as long as the server runs


def routes(desk: Desk) -> APIRouter:
    """The routes of people on ``desk``."""
    router = APIRouter(prefix="/api")
    removed: OrderedDict[str, CharacterFile] = OrderedDict()

    @router.get("/characters", response_model=told.Characters)
    def listed() -> Any:
        """Who is in the user's library."""
        return {"characters": [kept(name) for name in library.names()]}

    @router.post(
        "/characters/import",
        status_code=201,
        response_model=told.Kept,
        openapi_extra={"requestBody": UPLOAD},
    )
    async def import_(request: Request, called: Called = None) -> Any:
        """A character file for the library, looked through before it is taken."""
        content = await request.body()

        def work() -> Any:
            person = archive.read(content, "this file")
            return kept(library.add(person, called or "").stem)

        return await run_in_threadpool(work)

    @router.get("/characters/{name}", response_model=told.Kept)
    def one(name: Name) -> Any:
        """Somebody of the library."""
        return kept(known(name))

    @router.get(
        "/characters/{name}/portraits/{index}",
        response_class=Response,
        responses={200: {"content": {"image/png": {}, "image/webp": {}}}},
    )
    def portrait(name: Name, index: Index, width: Width = "0") -> Response:
        """A portrait that their face was found in, whole or small."""
        with mended(name) as file:
            if width == "0":
                return Response(_portrait(file, index), media_type="image/png")
            content = _small(file, index, int(width), *stamp(file))
        return Response(content, media_type="image/webp")

    @router.get("/characters/{name}/file", response_class=Response)
    def export(name: Name) -> Response:
        """Their file, for another machine or a story's folder."""
        person = library.read(known(name))
        if why := consent.why_not(person.told.consent):
            raise consent.refused(person.told.name, why)
        shown = quote(f"{name}{archive.SUFFIX}")
        headers = {"content-disposition": f"attachment; filename*=UTF-8''{shown}"}
        return Response(person.content, media_type="application/octet-stream", headers=headers)

    @router.post("/characters/{name}/rename", response_model=told.Kept)
    def rename(name: Name, asked: RenameAsked) -> Any:
        """Calls somebody otherwise, in the stories of this library too."""
        to = library.rename(known(name), asked.to).stem
        for id_ in desk.library.ids():
            with suppress(NothingError, ChangedError, StoryError):
                desk.recast(id_, name, to)
        return kept(to)

    @router.post("/characters/{name}/look", response_model=told.Kept)
    def look(name: Name, asked: LookAsked) -> Any:
        """Gives somebody a look, or deletes it if nothing is said of it."""
        library.look(known(name), asked.look, asked.wears, asked.description)
        return kept(name)

    @router.post("/characters/{name}/withdraw", response_model=told.Withdrawn)
    def withdraw(name: Name) -> Any:
        """Ends the consent for a face of photos, and deletes what is kept of it; nothing brings it back."""
        stories = consents.withdraw(desk.library, desk.queue, known(name))
        for called in [n for n, it in removed.items() if consent.why_not(it.told.consent)]:
            del removed[called]
        return {"character": kept(name), "stories": stories}

    @router.delete("/characters/{name}", status_code=204)
    def remove(name: Name) -> None:
        """Deletes somebody's file; `restore` brings it back while this server runs."""
        with suppress(RunError):  # a damaged file is not worth remembering
            removed[name] = library.read(known(name))
            removed.move_to_end(name)
        if len(removed) > REMEMBERED:
            removed.popitem(last=False)
        library.remove(known(name))

    @router.post("/characters/{name}/restore", response_model=told.Kept)
    def restore(name: Name) -> Any:
        """Brings back somebody who was removed."""
        if name not in removed:
            raise NothingError
        back = kept(library.add(removed[name], name).stem)
        del removed[name]
        return back

    @router.post("/stories/{id}/cast", response_model=told.Story)
    def cast(id: Id, asked: CastAsked) -> Any:
        """Gives a story's character, or a new one, a face of the library; or takes it out again."""
        entry = desk.seen(id, asked.revision)
        text = edited(entry.text, [_edit(asked, desk.board(entry))])
        return desk.board(desk.library.save(id, text, asked.revision)).told()

    @router.post("/stories/{id}/find", status_code=202, response_model=told.Job)
    def find(id: Id, asked: FindAsked) -> Any:
        """Puts a search for another person of the same words into the queue."""
        return desk.told(hiring.find(desk, id, asked.revision, asked.name, asked.seed))

    @router.post("/stories/{id}/candidates", status_code=202, response_model=told.Job)
    def candidates(id: Id, asked: CandidatesAsked) -> Any:
        """Puts several people of the same words into the queue, each to be painted in two scenes."""
        return desk.told(hiring.candidates(desk, id, asked))

    @router.post("/stories/{id}/candidates/cost", response_model=told.Cost)
    def candidates_cost(id: Id, asked: CandidatesAsked) -> Any:
        """What that would take; nothing is done."""
        return hiring.candidates_cost(desk, id, asked)

    @router.post("/stories/{id}/take", status_code=202, response_model=told.Job)
    def take(id: Id, asked: TakeAsked) -> Any:
        """Makes a candidate the story's person, by way of the queue."""
        return desk.told(hiring.take(desk, id, asked.revision, asked.name, asked.number, asked.kin))

    @router.post("/stories/{id}/keep", status_code=202, response_model=told.Job)
    def keep(id: Id, asked: KeepAsked) -> Any:
        """Puts somebody whom the story found into the library, by way of the queue."""
        return desk.told(
            hiring.keep(desk, id, asked.revision, asked.name, asked.called or asked.name)
        )

    return router


def known(name: str) -> str:
    """``name``, if somebody of the library has it; NothingError otherwise."""
    if name not in library.names():
        raise NothingError
    return name


@contextmanager
def mended(name: str) -> Iterator[File]:
    """The file of somebody of the library, without what their consent does not allow any more."""
    try:
        file = library.place(known(name))
        agreed = said(file).told.consent
        if agreed and not agreed.ended and consent.why_not(agreed):
            library.read(name)  # deletes what is kept of the face
        yield file
    except OSError:  # deleted meanwhile
        raise NothingError from None


def kept(name: str) -> dict[str, Any]:
    """KEPT of the contract: somebody of the library, or what is wrong with their file."""
    nothing = dict.fromkeys(("description", "noun", "model", "licence", "sha256"), "")
    try:
        with mended(name) as file:
            it, sha256, _ = said(file)
    except RunError:
        broken = {"looks": {}, "portraits": 0, "commercial": False, "consent": None}
        why = "the file is damaged; import it again, or remove it"
        return nothing | broken | {"name": name, "called": name, "usable": False, "why": why}
    agreed = it.consent
    why = consent.why_not(agreed)
    return {
        "name": name,
        "called": it.name,
        "description": it.description,
        "noun": it.noun,
        "looks": {key: value.model_dump() for key, value in it.looks.items()},
        "portraits": len(it.portraits),
        "model": it.made.model,
        "licence": it.licence.name,
        "commercial": it.licence.commercial,
        "consent": agreed and agreed.model_dump(exclude={"id"}),
        "usable": not why,
        "why": f"the consent {why}" if why else "",
        "sha256": sha256,
    }


@lru_cache(1000)
def _small(file: File, index: int, width: int, *_: int) -> bytes:
    with Image.open(io.BytesIO(_portrait(file, index)), formats=("PNG",)) as image:
        if max(image.size) > archive.MAX_SIDE:
            raise NothingError
        image.load()
        return pictures.small(image, width)


def _portrait(file: File, index: int) -> bytes:
    """A portrait as it is; NothingError if there is none."""
    parts = archive.open_file(file, file.parent, whole=False).parts
    if (content := parts.get(f"portraits/{index:03d}.png")) is None:
        raise NothingError
    return content


def _edit(asked: CastAsked, board: Board) -> dict[str, Any]:
    """The edit of the text that `cast` stands for."""
    name = asked.name
    if asked.character is None:
        own = board.entries.get(name or "", {})
        who = {c.name: c for c in board.story.characters}.get(name or "") if board.story else None
        if who is None or not own.get("cast"):
            raise ConfigError(f"{name!r} is nobody who has a face of your library here")
        words = {} if own.get("description") else {"description": who.description, "noun": who.noun}
        return {"do": "character", "name": name, "set": {"cast": None, "look": None, **words}}
    name = name or library.read(known(asked.character), whole=False).told.name
    face = {"cast": asked.character, "look": asked.look}
    if name in board.entries:
        own_words = dict.fromkeys(("description", "noun", "seed", "identity"))
        return {"do": "character", "name": name, "set": {**own_words, **face}}
    new = {"name": name, **{key: value for key, value in face.items() if value}}
    return {"do": "person", "set": new}
