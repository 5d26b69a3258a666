"""The command ``import``: other people's formats as story files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from .commands import Argument
from .options import say


def import_(
    *, file: Annotated[Path, Argument("FILE")], out: Annotated[Path, "STORY.toml"] | None = None
) -> int:
    """Turn a screenplay, a shot list or another tool's story into a story file.

    Reads a Fountain screenplay (.fountain), a shot list (.csv, .tsv, .yaml), a story in the way of
    StoryDiffusion's app (.txt), or a story of ViStoryBench or ConsiStory-Human (.json), and writes a
    story file. What the other file does not say is left empty in it, and marked: fill it in, then
    run generate. No file is ever overwritten.

    Args:
        file: the file to read
        out: the story file to write (default: FILE with the ending .toml)
    """
    from ..story.imports.registry import draft_of
    from ..story.imports.toml import missing, write_story

    draft = draft_of(file)
    out = out or file.with_suffix(".toml")
    write_story(out, draft, file.name)
    say(f"{out}: {len(draft.people)} characters, {len(draft.shots)} scenes")
    for line in draft.told:
        say(line)
    for line in missing(draft):
        say(f"fill in: {line}")
    say(f"then: identitystory generate {out}")
    return 0
