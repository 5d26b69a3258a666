"""Does each character keep one face? ``python benchmarks/consistency.py --out runs/consistency``.

Paints 20 stories of one character (held-out people and scenes, 4 pictures each) and asks a
recogniser that knows nothing of us, dlib's: in how many pictures is there a face, and are two
pictures of one character more alike than pictures of two? The same is asked of the templates, the
general generator's pictures before the identity is injected. Broken off, it goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from identitystory.cli import default_service
from identitystory.evaluation import Wanted, evaluate
from identitystory.metrics.faces import DLIB_THRESHOLD
from identitystory.requests import new_request
from identitystory.story import inline_story

STORIES = Path(__file__).with_name("held_out_stories.json")


def paint(out: Path, count: int, **options) -> list[Path]:
    """The run folders of the first ``count`` stories, painted where they are not yet."""
    folders = []
    for k, entry in enumerate(json.loads(STORIES.read_text())[:count]):
        story = inline_story([f"Person: {entry['description']}"], entry["scenes"])
        folder = out / f"{k:02d}"
        for _ in default_service().run(new_request(story, folder, **options)):
            pass
        print(f"{folder}: {entry['description']}", flush=True)
        folders.append(folder)
    return folders


def measure(folders: list[Path], *, templates: bool) -> dict[str, float]:
    """Detection rate, AUC and mean distances; the package's own measures (``metrics/suite.py``).

    ``auc``: every pair of one character against every pair of two, over pictures with a face.
    ``within``, ``between``: mean distances of these pairs, the first averaged story by story.
    """
    wanted = Wanted(tuple(folders), templates=templates, clip="none", faces="dlib")
    result = evaluate(wanted)
    score = {s.name: s.value for s in result.groups["all"]}
    distance = lambda similarity: round((1 - similarity) * 2 * DLIB_THRESHOLD, 3)
    return {
        "frames": result.sizes["all"][1],
        "detection": round(score["face detection"], 3),
        "auc": round(score["AUC"], 3),
        "within": distance(score["Face-Sim"]),
        "between": distance(score["Face-Sim different"]),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/consistency"))
    parser.add_argument("--stories", type=int, default=20)
    parser.add_argument("--model", default="miniature")
    parser.add_argument("--preset", default="recommended")
    parser.add_argument("--portraits", type=int)
    options = parser.parse_args()
    folders = paint(
        options.out, options.stories, model=options.model, preset_name=options.preset,
        portraits=options.portraits,
    )  # fmt: skip
    result = {
        "with identity": measure(folders, templates=False),
        "without (template)": measure(folders, templates=True),
    }
    (options.out / "consistency.json").write_text(json.dumps(result, indent=1) + "\n")
    for name, numbers in result.items():
        print(f"{name:20s}", "  ".join(f"{k} {v}" for k, v in numbers.items()))


if __name__ == "__main__":
    main()
