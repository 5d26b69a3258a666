"""Pages as a PDF: pictures as they are, words that can be searched, the same bytes each time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

from .book import Book
from .needs import reportlab_canvas
from .sheet import INK, Page, Picture, Shape, Words


def pdf(book: Book, pages: Sequence[Page]) -> bytes:
    """The file."""
    made = io.BytesIO()
    canvas, pdfmetrics, reader = reportlab_canvas()
    sheet = canvas.Canvas(made, invariant=1, pageCompression=1, lang=book.language)
    sheet.setTitle(book.title)
    sheet.setCreator("identitystory")
    sheet.setViewerPreference("Direction", "R2L" if book.order == "rtl" else "L2R")
    for page in pages:
        sheet.setPageSize((page.width, page.height))
        for item in page.items:
            if isinstance(item, Picture):
                _picture(sheet, item, page.height, reader)
            elif isinstance(item, Shape):
                _shape(sheet, item, page.height)
            else:
                pdfmetrics.registerFont(item.font.face)
                _words(sheet, item, page.height)
        sheet.showPage()
    sheet.save()
    return made.getvalue()


def _picture(sheet: Any, item: Picture, height: float, reader: Any) -> None:
    box, crop = item.box, item.crop
    wide, high = box.width / crop.width, box.height / crop.height
    left, top = box.left - crop.left * wide, box.top - crop.top * high
    picture: Image.Image = item.panel.picture()
    sheet.saveState()
    seen = sheet.beginPath()
    seen.rect(box.left, height - box.bottom, box.width, box.height)
    sheet.clipPath(seen, stroke=0, fill=0)
    sheet.drawImage(reader(picture), left, height - top - high, wide, high)
    sheet.restoreState()


def _shape(sheet: Any, item: Shape, height: float) -> None:
    """The outline of bubble and tail first, then both filled, so that they are one."""
    sheet.setLineJoin(1)
    sheet.setStrokeColor(INK)
    for stroke in (True, False) if item.fill else (True,):
        sheet.setLineWidth(2 * item.line if item.fill else item.line)
        if item.fill:
            sheet.setFillColor(item.fill)
        for outline in (_tail, _round):
            path = sheet.beginPath()
            outline(path, item, height)
            sheet.drawPath(path, stroke=int(stroke), fill=int(not stroke))


def _tail(path: Any, item: Shape, height: float) -> None:
    for number, (x, y) in enumerate(item.tail or ()):
        (path.lineTo if number else path.moveTo)(x, height - y)
    if item.tail:
        path.close()


def _round(path: Any, item: Shape, height: float) -> None:
    box = item.box
    path.roundRect(box.left, height - box.bottom, box.width, box.height, item.radius)


def _words(sheet: Any, item: Words, height: float) -> None:
    sheet.setFont(item.font.name, item.size)
    sheet.setFillColor(item.colour)
    draw = {
        "left": sheet.drawString,
        "middle": sheet.drawCentredString,
        "right": sheet.drawRightString,
    }[item.align]
    for number, line in enumerate(item.visual):
        draw(item.x, height - item.baseline(number), line)
