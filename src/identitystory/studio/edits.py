"""Small edits of a story's text that leave all else in it as it was written, comments too."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Table

from ..errors import StoryError
from .comments import lay, lift
from .texts import SOURCE, story_of

Values = Mapping[str, Any]


def edited(text: str, edits: Iterable[Mapping[str, Any]]) -> str:
    """``text`` after all of ``edits``; see docs/studio_api.md for what there is.

    Raises:
        StoryError: the text is no TOML, an edit does not fit it, or the story would be wrong after them.
    """
    try:
        document = tomlkit.parse(text if text.endswith("\n") else f"{text}\n")
    except (TOMLKitError, ValueError, RecursionError):
        story_of(text)  # says where
        raise StoryError(f"{SOURCE} cannot be edited so; edit its text") from None
    heads = lift(document)
    for edit in edits:
        _EDITS[edit["do"]](document, edit)
    lay(document, heads)
    made = tomlkit.dumps(document)
    story_of(made)
    return made


def _order(document: Any, edit: Values) -> None:
    scenes, order = _tables(document, "scene"), list(edit["scenes"])
    if sorted(order) != list(range(len(scenes))):
        raise StoryError(f"the order must name each of the {len(scenes)} scenes once, from 0")
    _put(document, [scenes[n] for n in order])


def _scene(document: Any, edit: Values) -> None:
    _set(_at(_tables(document, "scene"), edit["index"]), edit["set"])


def _add(document: Any, edit: Values) -> None:
    scenes, table = list(_tables(document, "scene")), tomlkit.table()
    _set(table, {"prompt": "", **edit["set"]})
    scenes.insert(edit["index"], table)
    _put(document, scenes)


def _remove(document: Any, edit: Values) -> None:
    scenes = list(_tables(document, "scene"))
    _at(scenes, edit["index"])
    del scenes[edit["index"]]
    if not scenes:
        raise StoryError("a story has at least one scene")
    _put(document, scenes)


def _character(document: Any, edit: Values) -> None:
    for table in _tables(document, "character"):
        if table.get("name") == edit["name"]:
            return _set(table, edit["set"])
    raise _nobody(edit["name"])


def _nobody(name: str) -> StoryError:
    return StoryError(f"nobody is called {name!r} in {SOURCE}")


def _person(document: Any, edit: Values) -> None:
    table = tomlkit.table()
    _set(table, edit["set"])
    _tables(document, "character").append(table)


def _dismiss(document: Any, edit: Values) -> None:
    tables = _tables(document, "character")
    for n, table in enumerate(tables):
        if table.get("name") == edit["name"]:
            del tables[n]
            return
    raise _nobody(edit["name"])


def _story(document: Any, edit: Values) -> None:
    _set(document, edit["set"])


_EDITS = {
    "order": _order,
    "scene": _scene,
    "add": _add,
    "remove": _remove,
    "character": _character,
    "person": _person,
    "dismiss": _dismiss,
    "story": _story,
}


def _tables(document: Any, key: str) -> Any:
    found = document.get(key)
    if not isinstance(found, AoT):
        raise StoryError(f"{SOURCE}: write [[{key}]] tables, to edit them here")
    return found


def _at(tables: Any, index: int) -> Any:
    if not 0 <= index < len(tables):
        raise StoryError(f"there is no scene {index + 1}; there are scenes 1 to {len(tables)}")
    return tables[index]


def _set(table: Any, values: Values) -> None:
    for key, value in values.items():
        if value is None or isinstance(value, Mapping | list):
            table.pop(key, None)  # a table below is written elsewhere than a table on a line
        if value is not None:
            table[key] = _item(value)


def _item(value: Any) -> Any:
    """``value`` as it is written on one line, or a list of tables a line each."""
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        table.update({key: _item(inner) for key, inner in value.items()})
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        array.extend(map(_item, value))
        return array.multiline(len(value) > 1)
    return value


def _put(document: Any, scenes: list[Table]) -> None:
    """The document with these scenes, in this order, and nothing else changed."""
    wanted = [scene.unwrap() for scene in scenes]
    tables = tomlkit.aot()
    for scene in scenes:
        tables.append(scene)
    document["scene"] = tables
    if tomllib.loads(tomlkit.dumps(document)).get("scene") != wanted:
        raise StoryError(f"the scenes of {SOURCE} cannot be moved so; edit its text")
