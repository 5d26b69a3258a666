"""Fountain screenplays: plain text in which capitals and blank lines tell what is what.

Scene headings, action, characters' cues, dialogue, notes and the title page are read; transitions,
sections, synopses, lyrics and page breaks are passed over. The syntax is that of fountain.io.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ...errors import StoryError
from .draft import Draft, Shot, drafted, plain

SUFFIXES = (".fountain", ".spmd")
_HEADING = re.compile(
    r"\s*(?:\.(?=[\w\"'])|(?:INT\.?/EXT|EXT\.?/INT|INT|EXT|EST|I/E)[. ]+)(?P<rest>.*)", re.I
)
_TITLE_KEY = re.compile(
    r"(title|credit|authors?|source|notes|draft date|date|contact|copyright)\s*:", re.I
)
# None of these runs over the text more than once, however it is made.
_LEFT_OUT = re.compile(r"/\*(?:(?!\*/|/\*).)*\*/|\[\[(?:(?!\]\]|\[\[).)*\]\]", re.S)
_NO_ACTION = re.compile(r"\s*(?:[#=>~]|[A-Z .]{0,40}(?:TO:|FADE IN:|FADE OUT[.:]?)\s*$)")
_UNSEEN = re.compile(r"\((?:V\.?O\.?|O\.?S\.?|O\.?C\.?)", re.I)
_TIMES = {
    "day": "by day",
    **dict.fromkeys(("night", "dawn", "dusk", "noon", "midnight", "sunset", "sunrise"), "at {}"),
    **dict.fromkeys(("morning", "afternoon", "evening"), "in the {}"),
}
_SAME_TIME = re.compile(r"(moments? )?later|same( time)?|continuous|cont'd", re.I)


@dataclass
class _Scene:
    """What stands between two headings."""

    heading: str
    place: str
    action: list[str] = field(default_factory=list)
    cast: list[str] = field(default_factory=list)
    dialogue: list[tuple[str, str]] = field(default_factory=list)


def fits(content: str) -> bool:
    """Whether a text begins as screenplays do: with a title page or a scene's heading."""
    first = next(_blocks(content[:10_000]), [""])[0]
    return bool(_TITLE_KEY.match(first) or re.match(r"\s*(INT|EXT|EST|I/E)[./ ]", first))


def draft(content: str, source: str) -> Draft:
    """The draft of a screenplay: a picture for each scene's heading, a character for each cue.

    Raises:
        StoryError: there is no scene's heading.
    """
    blocks = list(_blocks(_LEFT_OUT.sub(" ", content)))
    title = ""
    if blocks and _TITLE_KEY.match(blocks[0][0]):
        page = re.search(
            r"^title\s*:((?:.*)(?:\n[ \t]+.*)*)", "\n".join(blocks.pop(0)), re.I | re.M
        )
        title = _unmarked(page[1]) if page else ""
    scenes: list[_Scene] = []
    time = ""
    for block in blocks:
        if heading := _HEADING.match(block[0]):
            place, time = _place(heading["rest"], time)
            said = ", ".join(filter(None, (place, time)))
            scenes.append(_Scene(_unmarked(block.pop(0)), said))
        if block and scenes:
            _take(block, scenes[-1])
    if not scenes:
        raise StoryError(
            f"{source}: no scene heading in it. One begins with INT. or EXT., after an empty line"
        )
    shots = [
        Shot(" ".join(s.action), s.cast, s.place, dialogue=s.dialogue, notes=[s.heading])
        for s in scenes
    ]
    return drafted({}, shots, source=source, title=title)


def _blocks(content: str) -> Iterator[list[str]]:
    """The lines between empty lines; in dialogue a line of two blanks is none, but before a heading."""
    block: list[str] = []
    spoken = goes_on = False
    for line in [*content.splitlines(), ""]:
        filled = bool(line.strip())
        if goes_on and _HEADING.match(line):
            yield block
            block = []
        if filled and len(block) == 1:
            spoken = bool(_cue(block[0]))
        goes_on = spoken and not filled and len(line) > 1 and len(block) > 1
        if filled:
            block.append(line)
        elif block and not goes_on:
            yield block
            block = []


def _take(block: list[str], scene: _Scene) -> None:
    """Adds a block to its scene: as dialogue if it begins with a cue, else as action."""
    if len(block) > 1 and (who := _cue(block[0])):
        spoken = [line.strip() for line in block[1:] if not line.lstrip().startswith("(")]
        scene.dialogue.append((who, _unmarked(" ".join(spoken))))
        scene.cast += [] if _UNSEEN.search(block[0]) else [who]
        return
    action = [line.strip() for line in block if not _NO_ACTION.match(line)]
    scene.action += [_unmarked(line.removeprefix("!")) for line in action]


def _cue(line: str) -> str:
    """Who speaks below a line if it is a cue; empty if it is none."""
    cue = "" if _HEADING.match(line) else line.strip()
    name = re.sub(r"\([^()]*\)|\^", "", cue.removeprefix("@")).strip(" *_")
    if cue.startswith("@"):
        return name
    capitals = name.upper() == name != name.lower() and cue[0] not in "!#=>~"
    return _written(name) if capitals and not _NO_ACTION.match(cue) else ""


def _place(heading: str, before: str) -> tuple[str, str]:
    """Where and when of a heading's words; ``before`` is the time of the scene before it."""
    said = re.sub(r"#[^#]*#$", "", _unmarked(heading)).strip()
    parts = re.fullmatch(r"(.*)\s[-\u2013\u2014]+\s(.*)", said)
    if not parts:
        return said.lower(), ""
    time = re.sub(r"\([^()]*\)", "", parts[2]).strip().lower()
    words = before if _SAME_TIME.fullmatch(time) else _TIMES.get(time, "{}").format(time)
    return parts[1].lower(), words


def _written(name: str) -> str:
    """``Mara O'Neil`` of a cue in capitals."""
    return re.sub(r"(?<![\w'])\w|(?<=\bo')\w", lambda m: m[0].upper(), name.lower())


def _unmarked(said: str) -> str:
    """Without the signs of bold, italics and underlining."""
    return plain(re.sub(r"[*_\\]", "", said))
