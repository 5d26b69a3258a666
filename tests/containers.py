"""A small file of each kind that is marked."""

import base64
import io
import zipfile

import numpy as np
import pytest
from PIL import Image


def picture(seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8))


def saved(form, **more):
    buffer = io.BytesIO()
    picture().save(buffer, form, **more)
    return buffer.getvalue()


def film():
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=5)
        stream.width, stream.height = 32, 24
        for seed in range(3):
            out.mux(stream.encode(av.VideoFrame.from_image(picture(seed))))
        out.mux(stream.encode())
    return buffer.getvalue()


def archive(names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        out.writestr(zipfile.ZipInfo("mimetype"), b"application/epub+zip")
        for name in names:
            form = "JPEG" if name.endswith("g") and "jp" in name else "PNG"
            out.writestr(name, saved(form), zipfile.ZIP_DEFLATED)
        out.writestr("text.xhtml", b"<html/>", zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def page():
    uri = base64.b64encode(saved("PNG")).decode()
    return f'<!DOCTYPE html>\n<html><head><title>t</title></head><body><img src="data:image/png;base64,{uri}"></body></html>'.encode()


def sheet_of_reportlab():
    canvas = pytest.importorskip("reportlab.pdfgen.canvas")
    buffer = io.BytesIO()
    made = canvas.Canvas(buffer, invariant=True)
    made.setTitle("Salt")
    for n in range(2):
        made.drawString(50, 50, f"page {n}")
        made.showPage()
    made.save()
    return buffer.getvalue()


MADE = {
    "png": lambda: saved("PNG"),
    "jpeg": lambda: saved("JPEG", quality=90, exif=Image.Exif()),
    "gif": lambda: saved("GIF", save_all=True, append_images=[picture(1), picture(2)], loop=0),
    "pdf": lambda: saved("PDF", save_all=True, append_images=[picture(1)]),
    "mp4": film,
    "epub": lambda: archive(["a.png", "b/c.JPG".lower()]),
    "cbz": lambda: archive(["1.png", "2.jpeg"]),
    "html": page,
}
