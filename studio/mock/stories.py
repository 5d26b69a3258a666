"""The stories of the mock, and what it knows of story files."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

ANCHOR = {
    "title": "The lighthouse",
    "character": [
        {"name": "Mara", "description": "a young woman with fair skin and long red hair"},
        {"name": "Tom", "description": "an old man with a white beard and glasses"},
    ],
    "scene": [
        (
            "{Mara} reading a book in a library, in a blue sweater",
            "She found it on the last shelf.",
        ),
        ("a portrait of {Mara} surprised in a forest by day", "The map had been right all along."),
        ("a portrait of {Mara} laughing in snowy mountains by day", "Snow, and nobody for miles."),
        ("a portrait of {Mara} with a calm face in a cafe at sunset", ""),
        ("a portrait of {Mara} smiling on a beach at sunset", "The sea smelled of storms."),
        ("a portrait of {Mara} happy at a lighthouse at night", "And there it was, still lit."),
    ],
}


STORM = [
    ("a portrait of {Mara} in a library", "The wind found every gap in the shutters."),
    ("a portrait of {Mara} surprised in a forest at night", "Nobody had warned her."),
    ("a portrait of {Mara} laughing in snowy mountains", "Up here it could not reach her."),
    ("{Mara} and {Tom} in a cafe at sunset", "Tom came late, as always."),
    ("a portrait of {Mara} on a beach", "The boats were gone."),
    ("a portrait of {Mara} at a lighthouse at night", "One lamp, and it held."),
    ("{Tom} smiling in a harbour by day", "In the morning they counted the roofs."),
    ("{Mara} and {Tom} on a beach by day", ""),
]


class Refusal(Exception):  # noqa: N818
    """An answer that is an error: status, code and message."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.body = status, {"error": {"code": code, "message": message, **more}}


def written(value: Any) -> str:
    """A value as TOML has it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return json.dumps(value, ensure_ascii=False)


def toml(story: dict[str, Any]) -> str:
    """The story as a story file."""
    own = {k: v for k, v in story.items() if k not in ("character", "scene") and v}
    lines = [f"{k} = {written(v)}" for k, v in own.items()]
    for table in ("character", "scene"):
        for item in story[table]:
            lines += ["", f"[[{table}]]"]
            lines += [f"{k} = {written(v)}" for k, v in item.items() if v]
    return "\n".join(lines) + "\n"


def checked(text: str) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The story of a text, or the problem with it."""
    try:
        story = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+), column (\d+)", str(error))
        line, column = map(int, place.groups()) if place else (None, None)
        return None, {"message": str(error), "line": line, "column": column}
    story = {"title": "Story", "character": [], "scene": [], **story}
    names = {one.get("name") for one in story["character"]}
    for i, scene in enumerate(story["scene"]):
        for name in re.findall(r"\{(.+?)\}", scene.get("prompt", "")):
            if name not in names:
                told = f"scene {i + 1} names {{{name}}}, who is no character of this story"
                at = next((n for n, t in enumerate(text.splitlines(), 1) if f"{{{name}}}" in t), 1)
                return None, {"message": told, "line": at, "column": 1}
    return story, None


def edited(story: dict[str, Any], edits: list[dict[str, Any]]) -> str:
    """The story's text after the edits."""
    parsed = tomllib.loads(story["text"])
    scenes, people = parsed.setdefault("scene", []), parsed.setdefault("character", [])
    for edit in edits:
        match edit["do"]:
            case "order":
                scenes[:] = [scenes[i] for i in edit["scenes"]]
            case "scene":
                scenes[edit["index"]].update(edit["set"])
            case "add":
                scenes.insert(edit["index"], edit["set"])
            case "remove":
                del scenes[edit["index"]]
            case "character":
                next(p for p in people if p["name"] == edit["name"]).update(edit["set"])
            case "person":
                people.append(edit["set"])
            case "story":
                parsed.update(edit["set"])
    text = toml(parsed)
    problem = checked(text)[1]
    if problem:
        raise Refusal(400, "story", problem["message"])
    return text
