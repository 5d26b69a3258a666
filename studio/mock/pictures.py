"""The pictures of the mock: those of a finished run, or plain colours."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

from PIL import Image


def measured(run: Path, frame: Path) -> dict[str, float | None] | None:
    """The scores of a frame of the run, as its scores.json has them."""
    file = run / "scores.json"
    told = json.loads(file.read_text()) if file.is_file() else {"pictures": {}}
    key = json.loads(Image.open(frame).info.get("identitystory", "{}")).get("key")
    scores: dict[str, float | None] | None = told["pictures"].get(key)
    return scores


class Pictures:
    """Pictures by key; ``sample`` are the keys of the run's frames, ``portraits`` that of a contact sheet."""

    def __init__(self, run: Path | None) -> None:
        self.kept: dict[str, dict[str, Image.Image]] = {}
        self.files: dict[tuple[str, str, int], bytes] = {}
        self.sample: list[str] = []
        found = sorted(run.glob("frames/[0-9][0-9][0-9].png")) if run else []
        for i in range(len(found) or 6):
            if found:
                kinds = {
                    kind: Image.open(found[i].with_suffix(end)).convert("RGB")
                    for kind, end in (
                        ("frame", ".png"),
                        ("template", ".template.png"),
                        ("masks", ".masks.png"),
                    )
                }
            else:
                plain = Image.new("RGB", (256, 256), (40 * i, 120, 220 - 30 * i))
                kinds = dict.fromkeys(("frame", "template", "masks"), plain)
            self.sample.append(self.store(kinds))
        self.scores = [measured(run, file) for file in found] if run else []
        sheets = sorted(run.glob("cast/*.png")) if run else []
        sheet = Image.open(sheets[0]) if sheets else Image.new("RGB", (512, 512), (180, 170, 160))
        self.portraits = self.store({"portraits": sheet.convert("RGB")})

    def store(self, kinds: dict[str, Image.Image]) -> str:
        """The key of a new picture."""
        key = hashlib.sha256(str(len(self.kept)).encode()).hexdigest()
        self.kept[key] = kinds
        return key

    def file(self, key: str, kind: str, width: int) -> bytes:
        """A picture's bytes: PNG at width 0, else WebP."""
        if (key, kind, width) not in self.files:
            picture = self.kept[key][kind].copy()
            out = io.BytesIO()
            if width:
                picture.thumbnail((width, width * 4))
            picture.save(out, "WEBP" if width else "PNG", quality=88)
            self.files[key, kind, width] = out.getvalue()
        return self.files[key, kind, width]
