"""The story that a new library begins with: the lighthouse, and its finished run, packed as small data.

``lighthouse.zip`` holds a run folder. Its pictures are WebP there, without loss but for the page of
portraits, and what each says of itself is in ``facts.json``; `unpacked` makes the PNGs of them again.
``dev/lighthouse.py`` paints and packs it anew, which new weights ask for.
"""

from __future__ import annotations

import io
import json
import zipfile
from importlib import resources
from pathlib import Path

from PIL import Image

from ..runs.files import read_png_facts, write_png, write_whole

FACTS = "facts.json"
LOSSY = "cast/"  # pages of portraits are only looked at
LEFT_OUT = ("sheet.png", "events.jsonl", ".lock")
_DAY = (1980, 1, 1, 0, 0, 0)  # of every file, so that the same run gives the same bytes


def text() -> str:
    """The story."""
    place = resources.files("identitystory") / "data" / "lighthouse.toml"
    return place.read_text(encoding="utf-8")


def run(folder: Path) -> None:
    """Makes ``folder`` the story's finished run."""
    place = resources.files("identitystory") / "data" / "lighthouse.zip"
    unpacked(place.read_bytes(), folder)


def packed(folder: Path) -> bytes:
    """The run at ``folder``, all that a page shows of it and that painting goes on from."""
    files, facts = {}, {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name in LEFT_OUT:
            continue
        files[name] = path.read_bytes()
        if path.suffix == ".png":
            with Image.open(path) as image:
                if image.mode == "RGB":
                    facts[name] = read_png_facts(path)
                    files[f"{name}.webp"] = _webp(image, lossless=not name.startswith(LOSSY))
                    del files[name]
    files[FACTS] = json.dumps(facts, ensure_ascii=False, sort_keys=True).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, _DAY), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def unpacked(content: bytes, folder: Path) -> None:
    """Makes ``folder`` the run that `packed` gave ``content`` for; its run.json comes last."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        facts = json.loads(archive.read(FACTS))
        for name in sorted(set(archive.namelist()) - {FACTS}):
            if name.endswith(".webp"):
                with Image.open(io.BytesIO(archive.read(name))) as image:
                    picture = name.removesuffix(".webp")
                    write_png(folder / picture, image.convert("RGB"), facts[picture], folder)
            else:
                write_whole(folder / name, archive.read(name), folder)


def _webp(image: Image.Image, *, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=lossless, quality=100 if lossless else 85, method=6)
    return buffer.getvalue()
