"""The door to pages: one run, one kind, one file (of a film three)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..errors import ConfigError, shown
from ..runs.enlarge import enlarge, wanted_enlarger
from ..runs.folder import opened
from ..runs.request import recorded
from ..runs.strip import check_free
from . import books, cut, film, subtitles
from .book import Book, Order, read_book
from .comic import comic_pages
from .contact import contact_pages
from .finish import Marking, hand_out
from .fonts import Fonts, open_fonts
from .pdf import pdf
from .storyboard import storyboard_pages

Kind = Literal["comic", "storyboard", "contact", "cbz", "epub", "mp4", "gif", "html", "otio", "edl"]
Size = Literal["a4", "letter", "comic"]


@dataclass(frozen=True)
class Wanted:
    """How a run is handed out.

    Attributes:
        kind: of the file.
        out: of the file; None is ``pages/`` in the run folder.
        order: how it is read.
        size: of a page.
        enlarge: 2 or 4 for pictures at so many times their size.
        font: a TrueType file for what the fonts that come along do not have.
        language: of the words, a BCP 47 tag.
        timings: a cut whose seconds stand instead of the story's.
        codec: of a film.
        marking: what the file says of who made it.
    """

    kind: Kind
    out: Path | None = None
    order: Order = "ltr"
    size: Size = "a4"
    enlarge: int = 1
    font: Path | None = None
    language: str = "en"
    timings: Path | None = None
    codec: film.Codec = "av1"
    marking: Marking = Marking()  # noqa: RUF009


@dataclass(frozen=True)
class Maker:
    """A kind of file.

    Attributes:
        name: of its file.
        make: the file from a book, the fonts, what is wanted and where it will lie.
        written: whether it is set in letters written by hand; None is in no letters.
    """

    name: str
    make: Callable[[Book, Fonts, Wanted, Path], bytes]
    written: bool | None = True


MAKERS: Mapping[Kind, Maker] = {
    "comic": Maker("comic.pdf", lambda b, f, w, _: pdf(b, comic_pages(b, f, w.size))),
    "storyboard": Maker(
        "storyboard.pdf", lambda b, f, w, _: pdf(b, storyboard_pages(b, f, w.size)), False
    ),
    "contact": Maker("contact.pdf", lambda b, f, w, _: pdf(b, contact_pages(b, f, w.size)), False),
    "cbz": Maker("comic.cbz", lambda b, f, w, _: books.cbz(b, comic_pages(b, f, w.size))),
    "epub": Maker("comic.epub", lambda b, f, w, _: books.epub(b, comic_pages(b, f, w.size))),
    "html": Maker("comic.html", lambda b, f, w, _: books.html(b, comic_pages(b, f, w.size))),
    "mp4": Maker("film.mp4", lambda b, f, w, _: film.mp4(b, w.codec), None),
    "gif": Maker("film.gif", lambda b, f, w, _: film.gif(b, f)),
    "otio": Maker("cut.otio", lambda b, f, w, out: cut.otio(b, out), None),
    "edl": Maker("cut.edl", lambda b, f, w, out: cut.edl(b, out), None),
}


def export(root: Path, wanted: Wanted) -> tuple[list[Path], list[str]]:
    """Writes the run at ``root`` as the kind that is wanted: the files, and what is to be told.

    The same run gives the same bytes.

    Raises:
        RunError: there is no run, no picture in it, or the file cannot be written, lies in a run but
            for its ``pages/``, or is there already and bears no mark of ours.
        ConfigError: the name does not fit the kind, a library is missing, or a font or a cut is none.
        ModelError: pictures are to be enlarged, and the model has no enlarger.
    """
    maker = MAKERS[wanted.kind]
    out = wanted.out or root / "pages" / maker.name
    suffix = Path(maker.name).suffix
    if out.suffix.lower() != suffix:
        raise ConfigError(f"--out {out} must end in {suffix}, as {wanted.kind} is written")
    if not re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", wanted.language):
        given = shown(wanted.language)
        raise ConfigError(f"--language {given} is no language tag; give one like en or pt-BR")
    if wanted.out is not None and out.resolve().parent != (root / "pages").resolve():
        check_free(out)
    book = read_book(root, order=wanted.order, language=wanted.language)
    told = []
    if book.missing:
        numbers = ", ".join(map(str, book.missing[:20]))
        told.append(f"not painted yet, and left out: scenes {numbers}")
    if wanted.timings is not None:
        timings, strange = cut.read_timings(wanted.timings, book)
        book = replace(
            book, panels=[replace(p, given=timings.get(p.number, 0.0)) for p in book.panels]
        )
        told += [f"no scene of this run: {', '.join(strange[:10])}"] * bool(strange)
        kept = ", ".join(f"{number}: {seconds:g}" for number, seconds in timings.items())
        told.append(f"seconds by scene, to keep as 'seconds' in the story: {kept}")
    if wanted.enlarge > 1:
        _enlarged(root, wanted.enlarge)
        book = replace(book, panels=[replace(p, times=wanted.enlarge) for p in book.panels])
    fonts = Fonts([])
    if maker.written is not None:
        fonts = open_fonts(wanted.font, comic=maker.written)
        told += fonts.told(book.texts)
    files = {out: maker.make(book, fonts, wanted, out)}
    if wanted.kind == "mp4":
        files |= {out.with_suffix(".srt"): subtitles.srt(book)}
        files |= {out.with_suffix(".vtt"): subtitles.vtt(book)}
    return hand_out(files, root, wanted.marking), told


def _enlarged(root: Path, times: int) -> None:
    """Makes the larger copies of the frames that are not there yet."""
    request = replace(recorded(root), enlarge=times)
    enlarger = wanted_enlarger(request)
    if enlarger is not None:
        with opened(root) as folder:
            enlarge(folder, enlarger, times, lambda event: None)
