"""Makes the runs that ``test_golden.py`` repeats: ``.venv/bin/python -m tests.golden``.

Once for each new miniature: a run is kept by whoever reads its folder later, and what it lost is painted
again as it was, as long as the checkpoint is the same. Runs that an earlier miniature made are kept beside
them under its version's name. They are painted in float32: bfloat16's bits are another processor's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from identitystory.runs.options import new_request
from identitystory.runs.service import Service
from identitystory.settings import Overrides
from identitystory.story.file import load_story

GOLDEN = Path(__file__).parent / "data" / "golden"
STORY = GOLDEN / "story.toml"
METHODS = {"ours": "identitystory", "consistory": "consistory"}  # folder -> method
FEW = Overrides(steps=4, portraits=32)


def make(folder: Path, method: str) -> None:
    """One run, without what is made of its pictures."""
    shutil.rmtree(folder, ignore_errors=True)
    request = new_request(
        load_story(str(STORY)), folder, FEW, method=method, device="cpu", dtype="float32"
    )
    for _ in Service().run(request):
        pass
    for made in (folder / "sheet.png", folder / ".lock"):
        made.unlink(missing_ok=True)


if __name__ == "__main__":
    for name, method in METHODS.items():
        make(GOLDEN / name, method)
