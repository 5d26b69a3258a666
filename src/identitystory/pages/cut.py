"""A story as a cut for an editor, OTIO and EDL, and the timings of one that an editor has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..errors import ConfigError, IdentityStoryError
from ..runs.folder import RunFolder
from ..runs.inside import mendable, read
from ..story.plain import plain_json
from ..story.schema import MAX_SECONDS
from .book import RATE, Book, frame_count
from .needs import timelines

KEY = "identitystory"
MAX_CUT = 1 << 24  # bytes


def otio(book: Book, out: Path) -> bytes:
    """An OTIO timeline: a clip for each scene, its picture by the way from ``out`` to it."""
    written = timelines().adapters.write_to_string(_timeline(book, out), "otio_json")
    return (str(written) + "\n").encode()


def edl(book: Book, out: Path) -> bytes:
    """A CMX 3600 list of the same clips."""
    timeline = _timeline(book, out)
    return str(timelines().adapters.write_to_string(timeline, "cmx_3600", rate=RATE)).encode()


def _timeline(book: Book, out: Path) -> Any:
    of = timelines()
    time = lambda frames: of.opentime.RationalTime(frames, RATE)
    line = of.schema.Timeline(book.title, global_start_time=time(RATE * 3600))
    track = of.schema.Track("pictures", kind=of.schema.TrackKind.Video)
    line.tracks.append(track)
    for panel in book.panels:
        frame = RunFolder(panel.root).frame(panel.number - 1).resolve()
        way = Path(os.path.relpath(frame, out.resolve().parent)).as_posix()
        scene = panel.scene
        told = {
            "scene": panel.number,
            "action": panel.action,
            "caption": scene.caption,
            "dialogue": [f"{who}: {says}" for who, says in scene.dialogue],
            "shot": scene.shot,
            "camera": scene.camera,
            "notes": scene.notes,
        }
        length = of.opentime.TimeRange(time(0), time(frame_count(panel)))
        clip = of.schema.Clip(
            panel.label,
            of.schema.ExternalReference(way),
            length,
            metadata={KEY: {name: value for name, value in told.items() if value}},
        )
        track.append(clip)
    return line


def read_timings(path: Path, book: Book) -> tuple[dict[int, float], list[str]]:
    """Seconds by scene number that a cut gives the panels of ``book``, and what it says of no panel.

    Clips are known by what we wrote beside them, or by their names. A scene that comes several times
    stands for the sum.

    Raises:
        ConfigError: it is no OTIO or EDL file, none of its clips is a panel's, or one has no length or
            stands too long.
    """
    timeline = _read(path)
    names = {f"{panel.number:03d}": panel.number for panel in book.panels}
    names |= {panel.label: panel.number for panel in book.panels}
    found: dict[int, float] = {}
    strange: list[str] = []
    for clip in timeline.find_clips():
        beside = clip.metadata.get(KEY, {})
        number = beside.get("scene") if hasattr(beside, "get") else None
        if number not in names.values():
            number = names.get(Path(str(clip.name)).stem)
        if number is None:
            strange.append(str(clip.name)[:40])
            continue
        found[number] = found.get(number, 0.0) + _stands(clip, path)
    if not found:
        raise ConfigError(f"{path}: no clip in it is a scene of this run, by its name (001, 002)")
    for number, seconds in found.items():
        if not 1 / RATE <= seconds <= MAX_SECONDS:
            raise ConfigError(
                f"{path}: scene {number} stands {seconds:g} seconds; at most {MAX_SECONDS} are taken"
            )
    return {number: round(seconds, 3) for number, seconds in sorted(found.items())}, strange


def _stands(clip: Any, path: Path) -> float:
    """Seconds of a clip in the cut."""
    try:
        return float(clip.duration().to_seconds())
    except timelines().exceptions.OTIOError:
        raise ConfigError(
            f"{path}: the clip {str(clip.name)[:40]!r} has no length; give it a source range in the editor"
        ) from None


def _read(path: Path) -> Any:
    kinds = {".otio": "otio_json", ".edl": "cmx_3600"}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(f"--timings {path} is none of {', '.join(kinds)}")
    of = timelines()
    try:
        with mendable(path, "read"):
            text = read(path.resolve(), most=MAX_CUT).decode("utf-8")
        if kind == "otio_json":
            plain_json(text)  # nothing nested too deep for its reader
        found = of.adapters.read_from_string(
            text, kind, **({} if kind[0] == "o" else {"rate": RATE})
        )
        found.find_clips()
    except IdentityStoryError:
        raise
    except Exception as error:  # whatever a strange file makes the readers raise
        raise ConfigError(
            f"--timings {path} is no cut: {' '.join(str(error).split())[:200]}"
        ) from None
    return found
