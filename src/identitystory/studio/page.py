"""The page's own files: read once, named by a table, so that no path is ever made of what is asked for."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "webmanifest": "application/manifest+json",
    "svg": "image/svg+xml",
    "png": "image/png",
    "webp": "image/webp",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
}
_WITHOUT = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>identitystory</title>
<h1>identitystory</h1><p>The page is not built; the API is at <a href="/api/openapi.json">/api</a>.</p></html>"""


def files() -> dict[str, tuple[bytes, str]]:
    """Content and media type of each file by its name below /; ``""`` is the page itself."""
    found: dict[str, tuple[bytes, str]] = {}
    _read(resources.files(__package__) / "static", "", found)
    found[""] = found.get("index.html", (_WITHOUT, TYPES["html"]))
    return found


def _read(folder: Traversable, name: str, found: dict[str, tuple[bytes, str]]) -> None:
    for each in folder.iterdir() if folder.is_dir() else ():
        if each.is_dir():
            _read(each, f"{name}{each.name}/", found)
        elif (kind := each.name.rpartition(".")[2]) in TYPES:
            found[name + each.name] = (each.read_bytes(), TYPES[kind])
