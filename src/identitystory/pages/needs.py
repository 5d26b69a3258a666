"""The libraries of the extra ``pages``, and what is said where one is not installed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from ..errors import ConfigError


@contextmanager
def _wanted(what: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"{what} needs {error.name}: pip install 'identitystory[pages]'"
        ) from None


def reportlab_fonts() -> ModuleType:
    """reportlab's reader of fonts."""
    with _wanted("setting pages"):
        from reportlab.pdfbase import ttfonts
    return ttfonts


def reportlab_canvas() -> tuple[Any, Any, Any]:
    """reportlab's canvas, its list of fonts, and its reader of pictures."""
    with _wanted("a PDF"):
        from reportlab import rl_config
        from reportlab.lib.utils import ImageReader
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfgen import canvas
    rl_config.useA85 = 0  # pictures as bytes, not as letters: smaller, and ten times faster
    return canvas, pdfmetrics, ImageReader


def joined_and_turned(text: str, base: str) -> str:
    """``text`` in visual order, whose paragraph runs in direction ``base`` (L or R)."""
    with _wanted("text that is read from right to left"):
        from arabic_reshaper import reshape
        from bidi import get_display
    return str(get_display(reshape(text), base_dir=base))


def pyav() -> Any:
    """PyAV, with FFmpeg's libraries."""
    os.environ.setdefault("SVT_LOG", "1")  # the encoder of AV1 tells mistakes, and no more
    with _wanted("a film"):
        import av
    return av


def timelines() -> Any:
    """OpenTimelineIO."""
    with _wanted("a cut for an editor"):
        import opentimelineio
    return opentimelineio
