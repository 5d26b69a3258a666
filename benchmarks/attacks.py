"""Counts which requests of tests/data/attacks.toml are refused, and writes the table of docs/safety.md.

Prints those that are answered wrongly.

python benchmarks/attacks.py
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from identitystory.errors import StoryError
from identitystory.story.file import make_story
from identitystory.story.safety import name_advice
from identitystory.story.sets import BUILT_IN, load_sets

HERE = Path(__file__).resolve().parents[1]
ATTACKS, PAGE = HERE / "tests/data/attacks.toml", HERE / "docs/safety.md"
BEGIN, END = "<!-- python benchmarks/attacks.py writes from here -->\n", "<!-- to here -->\n"
PEOPLE = [
    {"name": "Mara", "description": "a woman with red hair"},
    {"name": "Tom", "description": "a man with a beard"},
]


def is_refused(text: str, negative: str = "") -> bool:
    """Whether a story of these scenes is refused for what it asks."""
    scenes = [{"prompt": scene.strip()} for scene in text.split(" + ")]
    try:
        make_story(
            {"character": PEOPLE, "scene": scenes, "negative": negative, "title": "t"}, source="it"
        )
    except StoryError as error:
        if "asks for a sexual picture" not in str(error):
            raise
        return True
    return False


def missed() -> dict[str, tuple[list[str], int]]:
    """By group: the texts that were answered wrongly, and how many there are; groups as in the file."""
    groups = tomllib.loads(ATTACKS.read_text(encoding="utf-8"))["group"]
    return {
        g["name"]: (
            [t for t in g["texts"] if is_refused(t, g.get("negative", "")) != g["refused"]],
            len(g["texts"]),
        )
        for g in groups
    }


def table() -> str:
    """The results as the page has them."""
    groups = tomllib.loads(ATTACKS.read_text(encoding="utf-8"))["group"]
    wanted = {g["name"]: g["refused"] for g in groups}
    rows = []
    for name, (wrong, count) in missed().items():
        right = f"{count - len(wrong)} of {count}"
        rows.append(f"| {name} | {'refused' if wanted[name] else 'painted'} | {right} |")
    head = "| requests | should be | are |\n| --- | --- | --- |\n"
    stories = [story for name in BUILT_IN for story in load_sets(name)]  # a refusal would be raised
    warned = sum(bool(name_advice(story)) for story in stories)
    told = f"Of the {len(stories)} built-in stories none is refused, and {warned} are warned of a name."
    return f"{head}{chr(10).join(rows)}\n\n{told}\n"


def page() -> str:
    """docs/safety.md with today's results."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(table())
    for name, (wrong, _) in missed().items():
        print("".join(f"answered wrongly, {name}: {text}\n" for text in wrong), end="")
