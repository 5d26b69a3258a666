"""A draft as a story file, with what is to be filled in marked in it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Container
from pathlib import Path

from ...errors import StoryError
from .. import text
from ..document import MAX_BYTES
from ..schema import MAX_CAPTION, MAX_LINES
from .draft import Draft, Shot, plain

_WIDTH = 98
_MAX_COMMENT = 10_000  # letters


def missing(draft: Draft) -> list[str]:
    """What `generate` will ask for, one sentence each."""
    nobody = [name for name, said in draft.people.items() if not said]
    nouns = [name for name, said in draft.people.items() if said and text.noun_in(said) is None]
    empty = [str(number) for number, shot in enumerate(draft.shots, 1) if not shot.text]
    return [
        *([f"descriptions of {', '.join(nobody)}"] * bool(nobody)),
        *([f"nouns of {', '.join(nouns)}"] * bool(nouns)),
        *([f"prompts of scenes {', '.join(empty)}"] * bool(empty)),
    ]


def story_text(draft: Draft, source: str) -> str:
    """A story file, TOML; ``source`` is the name of the file that it was made from."""
    lines = _comment(f"Made from {plain(source)} by `identitystory import`.")
    if missing(draft):
        lines += _comment("Fill in what is empty; `identitystory generate` names what it lacks.")
    lines += [f"title = {_quoted(draft.title)}"] * bool(draft.title)
    lines += [f"style = {_quoted(draft.style)}"] * bool(draft.style)
    if not draft.people:
        lines += ["character = []  # nobody is named; add [[character]] tables"]
    for name, said in draft.people.items():
        lines += ["", "[[character]]", f"name = {_quoted(name)}"]
        if name in draft.hints:
            lines += _comment(f"the file says: {draft.hints[name]}")
        if not said:
            lines += [
                'description = ""  # fill in who it is, as in "an old man with a white beard"'
            ]
            continue
        lines += [f"description = {_quoted(said)}"]
        noun = text.noun_in(said)
        if noun is None:
            lines += ['# noun = "woman"  # fill in the word of the description that says who it is']
        elif not text.is_person(noun):
            lines += ["identity = false  # nobody with a face: painted from words alone"]
    for shot in draft.shots:
        lines += ["", "[[scene]]", *_scene(shot, draft.people)]
    return "\n".join(lines) + "\n"


def write_story(path: Path, draft: Draft, source: str) -> None:
    """Writes `story_text` to ``path``, where no file may be yet.

    Raises:
        StoryError: there is a file, it cannot be written there, or it is too large to be read back.
    """
    content = story_text(draft, source).encode()
    if len(content) > MAX_BYTES:
        raise StoryError(
            f"the story of {source} would be larger than {MAX_BYTES >> 10} KiB; split the file"
        )
    try:
        with path.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise StoryError(f"{path} is there already; choose another file with --out") from None
    except (PermissionError, FileNotFoundError, NotADirectoryError) as error:
        raise StoryError(f"{path} cannot be written: {error.strerror}; choose --out") from None


def _scene(shot: Shot, people: Container[str]) -> list[str]:
    lines = [line for note in shot.notes for line in _comment(note)]
    lines += [
        f"prompt = {_quoted(shot.text)}"
        + '  # fill in what happens, as in "{Mara} reads"' * (not shot.text)
    ]
    caption, rest = shot.caption[:MAX_CAPTION], shot.caption[MAX_CAPTION:]
    lines += [f"caption = {_quoted(caption)}"] * bool(caption) + _comment(rest)
    taken = [(who, says) for who, says in shot.dialogue if who in people and says]
    taken = [(who, says) for who, says in taken if len(says) <= MAX_CAPTION][:MAX_LINES]
    said = [f"    {{ who = {_quoted(who)}, says = {_quoted(says)} }}," for who, says in taken]
    lines += ["dialogue = [", *said, "]"] if said else []
    others = [each for each in shot.dialogue if each not in taken]
    return lines + [line for who, says in others for line in _comment(f"{who}: {says}")]


def _comment(said: str) -> list[str]:
    return [
        f"# {line}" for line in textwrap.wrap(said[:_MAX_COMMENT], _WIDTH, break_on_hyphens=False)
    ]


def _quoted(said: str) -> str:
    return json.dumps(said, ensure_ascii=False)
