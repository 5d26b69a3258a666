"""StoryDiffusion's way to write a story: ``[Bob] a man in a black suit``, ``[Bob] at home #caption``.

Its app takes characters and prompts in two fields; a file has the characters first, a line each.
``[NC]`` stands in front of a prompt without anybody; ``#`` begins a caption.
"""

from __future__ import annotations

import re

from .draft import Draft, Shot, drafted

_LINE = re.compile(r"\s*\[([^\[\]\n]{1,60})\](.*)")
_NOBODY = "NC"


def fits(content: str) -> bool:
    """Whether the first line begins with a name in brackets; a table of TOML has nothing after them."""
    first = _LINE.match(content)
    return first is not None and first[2].strip()[:1] not in ("", "#", "=", ".")


def draft(content: str, source: str) -> Draft:
    """The draft: whoever has a line at the top is a character, every later line a picture.

    Raises:
        StoryError: there is no prompt after the characters.
    """
    lines = content.strip().splitlines()
    people: dict[str, str] = {}
    while lines and (match := _LINE.match(lines[0])):
        who, said = match[1].strip(), match[2]
        if who == _NOBODY or who in people or "#" in said:
            break
        people[who] = said
        lines.pop(0)
    prompts = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return drafted(people, [_shot(line) for line in prompts], source=source)


def _shot(line: str) -> Shot:
    prompt, _, caption = line.partition("#")
    cast = [who.strip() for who in re.findall(r"\[([^\[\]]{1,60})\]", prompt)]
    return Shot(
        text=_unbracketed(prompt),
        cast=[who for who in cast if who != _NOBODY],
        caption=_unbracketed(caption),
    )


def _unbracketed(said: str) -> str:
    return re.sub(rf"\[{_NOBODY}\]|[\[\]]", " ", said)
