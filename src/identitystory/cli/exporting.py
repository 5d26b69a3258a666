"""The command ``export``: a run as pages, a film or a cut."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from .options import Marks, Run, say, tell

File = Annotated[Path, "FILE"]


def export(
    *,
    run: Run,
    as_: Literal[
        "comic", "storyboard", "contact", "cbz", "epub", "mp4", "gif", "html", "otio", "edl"
    ] = "comic",
    out: File | None = None,
    order: Literal["ltr", "rtl"] = "ltr",
    page: Literal["a4", "letter", "comic"] = "a4",
    enlarge: Literal["2", "4"] | None = None,
    font: File | None = None,
    language: Annotated[str, "TAG"] = "en",
    timings: File | None = None,
    codec: Literal["av1", "vp9", "h264"] = "av1",
    marks: Marks,
) -> int:
    """Hand out a run as a comic, a storyboard, a book, a film or a cut.

    Writes the finished pictures of a run, with the captions and the dialogue of its story, as one file
    (of a film also its subtitles, .srt and .vtt). Words lie on a picture where its masks say that nobody
    is, never on a face, or below it. Needs the extra: pip install 'identitystory[pages]'.

    Args:
        run: the run folder
        as_: comic, storyboard, contact (sheet): PDF. cbz, epub, html: the comic for reading programs.
            mp4, gif: the pictures, moving a little. otio, edl: a cut for an editor
        out: the file (default: pages/ in the run folder)
        order: how it is read, from left to right or from right to left
        page: size of a page; comic is 168 x 260 mm
        enlarge: print pictures at twice or four times their size; for models that have an enlarger
        font: a TrueType font (.ttf) for scripts that the fonts that come along lack, such as Japanese
        language: of the story's captions and dialogue, as in en or pt-BR
        timings: an OTIO or EDL file that an editor saved; its seconds stand instead of the story's
        codec: of mp4; h264 is read everywhere, and has patents in some countries
    """
    from ..pages.export import Wanted
    from ..pages.export import export as made
    from ..pages.finish import Marking

    times, how = int(enlarge or 1), Marking(marks.marks is not False, marks.signer())
    wanted = Wanted(as_, out, order, page, times, font, language, timings, codec, how)
    files, told = made(run, wanted)
    for sentence in told:
        tell(f"identitystory: {sentence}")
    say("\n".join(map(str, files)))
    return 0
