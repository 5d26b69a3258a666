"""Writes our 100 sets of 10 prompts: ``python benchmarks/write_stories.py``.

Every person and every scene was written by hand and stands in dev/story_texts.toml. What the seed
decides is only which scenes of a theme a set gets, and in which order, those that fewest sets have
had before the others: 80 sets with one character, 10 with two, 10 with three, in the sizes of the
paper's benchmark.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np

from identitystory.story.sets import set_text

ROOT = Path(__file__).parent.parent
TEXTS = ROOT / "dev/story_texts.toml"
TARGET = ROOT / "src/identitystory/data/consistory_human.toml"
SCENES_A_SET = 10
HEAD = """\
# 100 sets of 10 prompts to measure story generation on: 80 with one character, 10 with two, 10 with three.
# The text is ours; the sizes are those of ConsiStory-Human. Written by benchmarks/write_stories.py.
"""
MONOCHROME = "black-and-white photograph"  # whose people and scenes are told without colours
COLOURS = re.compile(
    r"\b(?:black|white|gr[ea]y|red|orange|yellow|green|blue|violet|purple|pink|brown|blonde?|ginger"
    r"|auburn|copper|silver|gold(?:en)?|colour(?:s|ed|ful)?)\b"
)
STYLES = (
    "photograph, natural light", "cinematic film still", "watercolour illustration",
    "oil painting", "storybook illustration", "coloured pencil drawing", "gouache painting",
    MONOCHROME, "digital concept art", "comic book panel",
)  # fmt: skip


def people(line: str) -> list[tuple[str, str]]:
    """(name, description) of each person in "Nora: a young woman | Emil: an old man"."""
    pairs = (part.split(":", 1) for part in line.split("|"))
    return [(name.strip(), description.strip()) for name, description in pairs]


def filled(scene: str, cast: list[tuple[str, str]]) -> str:
    """A scene with its people's names in the braces, and "his" or "her" after the first of them."""
    female = re.search(r"\b(?:woman|girl|lady)\b", cast[0][1])
    scene = scene.replace("{his}", "her" if female else "his").replace("{P}", "{A}")
    for letter, (name, _) in zip("ABC", cast, strict=False):
        scene = scene.replace(f"{{{letter}}}", f"{{{name}}}")
    return scene


def sets() -> list[tuple[str, str, list[tuple[str, str]], list[str]]]:
    """(title, style, people, scenes) of all 100 sets."""
    texts = tomllib.loads(TEXTS.read_text("utf-8"))
    blocks = {**texts["theme"], "pair": texts["pair"], "trio": texts["trio"]}
    groups = [(t, people(p), b["scenes"]) for t, b in blocks.items() for p in b["people"]]
    made, used = [], Counter[str]()
    for number, (theme, cast, scenes) in enumerate(groups):
        style = STYLES[(number + number // len(STYLES)) % len(STYLES)]
        fit = [s for s in scenes if style != MONOCHROME or not COLOURS.search(s)]
        shuffled = [fit[k] for k in np.random.default_rng([100, number]).permutation(len(fit))]
        chosen = sorted(shuffled, key=lambda s: used[s])[:SCENES_A_SET]
        used.update(chosen)
        title = f"{theme}: {', '.join(name for name, _ in cast)}"
        made.append((title, style, cast, [filled(scene, cast) for scene in chosen]))
    return made


def toml() -> str:
    """The file's text."""
    return "\n".join(
        [
            HEAD,
            *(set_text(title, cast, scenes, style=style) for title, style, cast, scenes in sets()),
        ]
    )


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(toml(), encoding="utf-8")
