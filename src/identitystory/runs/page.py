"""sheet.png: all frames of a run on one page, each with its words and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..errors import RunError
from . import files, people, sheets
from .folder import RunFolder
from .looked import Looked, read_looked
from .request import RunRequest
from .strip import told_of


def write(
    folder: RunFolder,
    request: RunRequest,
    ready: Mapping[int, str],
    told: Mapping[int, people.Told],
) -> Path:
    """The page of the frames that are ``ready``, made only if one of them or its words changed.

    Args:
        ready: the key of each finished frame, by its scene's index.
        told: who is in each, see `people.told`.
    """
    story, root, looked = request.story, folder.root, Looked()
    with suppress(RunError):  # broken, which a check tells; a page needs none
        looked = read_looked(folder)
    captions = []
    for index, key in ready.items():
        caption, found = people.caption(story, index, told[index]), looked.frames.get(key)
        captions.append(f"{caption} [{found.words}]" if found and found.faults else caption)
    key = files.part_key(["page", list(ready.values()), captions])
    facts = files.read_png_facts(folder.sheet, root)
    if facts is None or facts.get("key") != key:
        pictures = (files.read_picture(folder.frame(i), root) for i in ready)
        named = told_of(request, lambda: {"key": key, "title": story.title})
        made = sheets.frames_page(pictures, captions)
        files.write_png(folder.sheet, made, named, root)
    return folder.sheet
