"""A story that moves a little: each picture as long as its scene, with a slow zoom or pan."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Literal

from PIL import Image, ImageDraw

from ..errors import ConfigError
from .book import RATE, Book, frame_count
from .fonts import Fonts, visual, wrap
from .needs import pyav
from .raster import drawn_font
from .sheet import BASE, LEADING, Box
from .subtitles import cues

Codec = Literal["av1", "vp9", "h264"]
HEIGHT = 720  # pixels
ENCODERS = {
    "av1": ("libsvtav1", {"preset": "8", "crf": "34"}),
    "vp9": ("libvpx-vp9", {"crf": "32", "b": "0", "cpu-used": "4", "row-mt": "0"}),
    "h264": ("libx264", {"crf": "20", "preset": "medium"}),
}
NEARER = 0.07  # of a picture's side, that a move goes
GIF_RATE, GIF_SIDE = 5, 320
GIF_TEXT = 14.0
DARK = (20, 20, 20)


def mp4(book: Book, codec: Codec = "av1") -> bytes:
    """The film, without sound; the same bytes with the same FFmpeg.

    Raises:
        ConfigError: PyAV is not installed, or has no such encoder.
    """
    av = pyav()
    name, options = ENCODERS[codec]
    if name not in av.codecs_available:
        others = [each for each, (found, _) in ENCODERS.items() if found in av.codecs_available]
        raise ConfigError(f"--codec {codec} is not in this FFmpeg; it has {', '.join(others)}")
    made = io.BytesIO()
    size = _size(book, HEIGHT)
    with av.open(made, "w", format="mp4", options={"fflags": "+bitexact"}) as film:
        film.metadata["title"] = book.title
        stream = film.add_stream(name, rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.thread_count = 1
        for picture in _moving(book, size, RATE):
            for packet in stream.encode(av.VideoFrame.from_image(picture)):
                film.mux(packet)
        for packet in stream.encode():
            film.mux(packet)
    return made.getvalue()


def gif(book: Book, fonts: Fonts) -> bytes:
    """The film as a GIF, small, with its words below."""
    size = _size(book, round(GIF_SIDE / max(1.0, book.panels[0].aspect)))
    said = cues(book, GIF_RATE)
    high = max((len(_set(cue.text, fonts, size[0])) for cue in said), default=0)
    strip = round(high * GIF_TEXT * LEADING + 12) if high else 0
    frames: list[Image.Image] = []
    for number, picture in enumerate(_moving(book, size, GIF_RATE)):
        at = (number + 0.5) / GIF_RATE
        text = next((cue.text for cue in said if cue.start <= at < cue.end), "")
        page = Image.new("RGB", (size[0], size[1] + strip), "white")
        page.paste(picture)
        _draw(page, text, fonts, size)
        frames.append(page.quantize(192, dither=Image.Dither.NONE))
    made = io.BytesIO()
    frames[0].save(
        made,
        "GIF",
        save_all=True,
        append_images=frames[1:],
        duration=1000 // GIF_RATE,
        loop=0,
        disposal=1,
    )
    return made.getvalue()


def _set(text: str, fonts: Fonts, width: int) -> list[str]:
    return wrap(text, fonts.of(text), GIF_TEXT, width - 16)


def _draw(page: Image.Image, text: str, fonts: Fonts, size: tuple[int, int]) -> None:
    draw = ImageDraw.Draw(page)
    font = drawn_font(fonts.of(text), GIF_TEXT)
    for n, line in enumerate(_set(text, fonts, size[0])):
        place = size[0] / 2, size[1] + 6 + GIF_TEXT * (BASE + n * LEADING)
        draw.text(place, visual(line, text), "black", font, "ms")


def _size(book: Book, height: int) -> tuple[int, int]:
    """Of the film, even numbers: as wide as the first picture asks for."""
    return 2 * round(height * book.panels[0].aspect / 2), 2 * round(height / 2)


def _moving(book: Book, size: tuple[int, int], rate: int) -> Iterator[Image.Image]:
    """Every picture of the film."""
    for panel in book.panels:
        picture, count = panel.picture(), frame_count(panel, rate)
        wide, high = picture.size
        scale = min(size[0] / wide, size[1] / high)
        inner = round(wide * scale), round(high * scale)
        place = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
        for number in range(count):
            seen = _view(panel.number, number / max(1, count - 1))
            box = (seen.left * wide, seen.top * high, seen.right * wide, seen.bottom * high)
            shown = picture.resize(inner, Image.Resampling.BICUBIC, box=box)
            page = Image.new("RGB", size, DARK)
            page.paste(shown, place)
            yield page


def _view(number: int, time: float) -> Box:
    """What is seen of a picture at ``time``, 0 to 1: nearer, farther, to one side, to the other."""
    moved = time * time * (3 - 2 * time)  # starts and ends gently
    kind = number % 4
    if kind in (1, 2):
        cut = NEARER * (moved if kind == 1 else 1 - moved)
        return Box(cut / 2, cut / 3, 1 - cut, 1 - cut)
    left = NEARER * (moved if kind == 3 else 1 - moved)
    return Box(left, NEARER / 3, 1 - NEARER, 1 - NEARER)
