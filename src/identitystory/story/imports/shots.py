"""Shot lists: CSV tables, and YAML with the same columns as keys, whatever they are called."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from ...errors import StoryError, quoted
from ..schema import MAX_SCENES
from .draft import Draft, Shot, drafted, plain

SUFFIXES = (".csv", ".tsv")
# What a column is taken for, by its name in small letters without blanks and signs. Where several
# say what a shot shows, their texts are joined.
_COLUMNS = {
    "number": "scene sceneno scenenr scenenumber sceneid sc shot shotno shotnr shotnumber shotid"
    " no nr number id panel panelno frame frameno",
    "text": "text description desc shotdescription scenedescription action prompt visual visuals"
    " content shotcontent picture subject what",
    "cast": "cast character characters charactersappearing actor actors people persons who talent",
    "place": "location place setting settingdescription set background environment sceneheading"
    " heading slug time timeofday daynight dn",
    "camera": "camera cameraangle angle shottype shotsize size framing composition perspective",
    "caption": "caption narration voiceover vo subtitle subtitles",
    "dialogue": "dialogue dialog lines speech",
}
_MEANS = {name: meaning for meaning, names in _COLUMNS.items() for name in names.split()}
_LISTS = ("shots", "scenes", "panels", "frames", "storyboard")
_SPEAKER = ("who", "character", "speaker", "name")
_NOBODY = ("", "-", "none", "nobody", "n/a", "no")
_BY_LINE = ("cast", "dialogue")  # each line of a cell is an entry of its own
_SIGNS = "\t;,"  # what parts cells; the commas of a single column are of its words
_HEADER_ROWS = 20  # a title may stand above the columns' names
_MAX_COLUMNS = 100


def from_csv(content: str, source: str) -> Draft:
    """The draft of a table with commas, semicolons or tabs; a picture for each row.

    Raises:
        StoryError: it is no table, or no column says what a shot shows.
    """
    headers = {sign: _header(content, sign) for sign in _SIGNS}
    understood = lambda sign: sum(bool(_means(name)) for name in headers[sign])
    sign = max(_SIGNS, key=lambda sign: (understood(sign), len(headers[sign])))
    header = headers[sign]
    try:
        rows = list(_rows(content, sign if header else max(_SIGNS, key=content.count)))
    except csv.Error as error:
        raise StoryError(f"{source}: not a table: {error}") from None
    if not header:
        raise _no_text(source, rows[0] if rows else [])
    below = rows[rows.index(header) + 1 :]
    shots = [dict(zip(header, row, strict=False)) for row in below if any(row)]
    return _drafted({}, shots, source, header)


def _rows(content: str, sign: str) -> Iterator[list[str]]:
    """The rows of a table whose cells ``sign`` parts; a cell keeps its line breaks."""
    return csv.reader(io.StringIO(content, newline=""), delimiter=sign)


def _header(content: str, sign: str) -> list[str]:
    """The row with the names of the columns if ``sign`` parts them; empty if there is none."""
    with suppress(csv.Error):
        return next(filter(_is_header, islice(_rows(content, sign), _HEADER_ROWS)), [])
    return []


def from_yaml(data: Any, source: str) -> Draft:
    """The draft of a parsed YAML document: a list of shots, or a table with such a list.

    Scenes may hold ``shots``, which then have what the scene says too. The table may have
    ``title``, ``style`` and ``characters``, with descriptions.

    Raises:
        StoryError: there is no list of shots, or none says what it shows.
    """
    story = {_key(k): v for k, v in data.items()} if isinstance(data, dict) else {}
    found = data if isinstance(data, list) else next(filter(None, map(story.get, _LISTS)), None)
    if not isinstance(found, list):
        raise StoryError(f"{source}: no list of shots in it; it is called {quoted(_LISTS[:2])}")
    shots = list(islice(_shots(found), MAX_SCENES + 1))
    header = list(dict.fromkeys(name for shot in shots for name in shot))
    known = {"title": plain(story.get("title")), "style": plain(story.get("style"))}
    return _drafted(_people(story.get("characters")), shots, source, header, **known)


def _shots(entries: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Each shot of a list of scenes or of shots, with what its scene says."""
    for entry in entries:
        scene = entry if isinstance(entry, dict) else {"text": entry}
        inner = next((k for k in scene if _key(k) == "shots" and isinstance(scene[k], list)), None)
        around = {k: v for k, v in islice(scene.items(), _MAX_COLUMNS) if k != inner}
        for shot in scene[inner] if inner is not None else ({},):
            yield around | (shot if isinstance(shot, dict) else {"text": shot})


def _drafted(
    people: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    source: str,
    header: Sequence[str],
    **known: str,
) -> Draft:
    header = header[:_MAX_COLUMNS]
    means = {name: meaning for name in header if (meaning := _means(name))}
    if "text" not in means.values():
        raise _no_text(source, header)
    unknown = [plain(name)[:40] for name in header if name not in means and plain(name)]
    told = [f"columns understood: {', '.join(f'{plain(n)!r} ({m})' for n, m in means.items())}"]
    told += [f"columns not understood: {quoted(unknown[:20])}"] * bool(unknown)
    shots = [_shot(row, means) for row in rows[: MAX_SCENES + 1]]
    shots = [shot for shot in shots if shot.text or shot.cast or shot.dialogue]
    return drafted(people, shots, source=source, told=told, **known)


def _shot(row: Mapping[str, Any], means: Mapping[str, str]) -> Shot:
    said: dict[str, list[tuple[str, str]]] = {meaning: [] for meaning in _COLUMNS}
    for name, meaning in means.items():
        value = row.get(name)
        if isinstance(value, str) and meaning not in _BY_LINE:
            value = plain(value)
        said[meaning] += [(plain(name), line) for line in _lines(value)]
    words = {meaning: ", ".join(line for _, line in lines) for meaning, lines in said.items()}
    cast = [
        re.sub(r"\([^()]*\)", "", who).strip()
        for _, line in said["cast"]
        for who in re.split(r"[,;/&+|]| and ", line)
        if who.strip().lower() not in _NOBODY
    ]
    spoken = [_spoken(line, cast) for _, line in said["dialogue"]]
    return Shot(
        words["text"],
        cast,
        words["place"],
        words["camera"],
        caption=" ".join([words["caption"], *(says for who, says in spoken if not who)]).strip(),
        dialogue=[(who, says) for who, says in spoken if who],
        notes=[", ".join(f"{name} {line}" for name, line in said["number"])],
    )


def _spoken(line: str, cast: list[str]) -> tuple[str, str]:
    """Who says what of ``Mara: Good morning``; without a name it is whoever is alone in the shot."""
    who, colon, says = line.partition(":")
    if colon and len(who) <= 40:
        return re.sub(r"\([^()]*\)", "", who).strip(), says.strip().strip('"')
    return cast[0] if len(cast) == 1 else "", line.strip('"')


def _lines(value: Any) -> list[str]:
    """The lines of a cell or of a YAML value, of a list one an entry, without the empty ones."""
    if isinstance(value, dict):
        small = {_key(k): v for k, v in value.items()}
        who = next((small.pop(k) for k in _SPEAKER if k in small), None)
        rest = [line for v in small.values() for line in _lines(v)]
        if who is None and len(value) == 1:
            who = next(iter(value))
        return [f"{plain(who)}: {' '.join(rest)}"] if who else rest
    if isinstance(value, list):
        return [line for entry in value for line in _lines(entry)]
    return [line for line in map(plain, str(value or "").splitlines()) if line]


def _people(value: Any) -> dict[str, str]:
    """Descriptions by name of ``characters``: a table, or a list of names or of tables."""
    entries = value.items() if isinstance(value, dict) else []
    people = {plain(name): " ".join(_lines(_description(said))) for name, said in entries}
    for entry in value if isinstance(value, list) else ():
        said = {_key(k): v for k, v in entry.items()} if isinstance(entry, dict) else {}
        name = plain(said.get("name", entry if isinstance(entry, str) else ""))
        people[name] = " ".join(_lines(_description(said)))
    return people


def _description(said: Any) -> Any:
    if not isinstance(said, dict):
        return said
    return next((said[k] for k in said if _key(k) in ("description", "prompt", "look")), "")


def _is_header(row: list[str]) -> bool:
    return any(_means(name) == "text" for name in row)


def _means(name: Any) -> str:
    """What a column is taken for; empty if it is not understood."""
    return _MEANS.get(_key(name), "")


def _key(name: Any) -> str:
    return re.sub(r"[\W_]", "", str(name)).lower()


def _no_text(source: str, names: Iterable[str]) -> StoryError:
    there = quoted([plain(name)[:40] for name in names if plain(name)][:20]) or "none"
    return StoryError(
        f"{source}: no column says what a shot shows; call it 'description'. There are: {there}"
    )
