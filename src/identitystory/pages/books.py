"""Comics for readers' programs: a web page in one file, an EPUB of fixed layout, a comic book in a zip."""

from __future__ import annotations

import io
import uuid
import zipfile
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from string import Template

from ..types import png
from . import web
from .book import Book
from .colophon import made_by
from .raster import raster
from .sheet import Page

DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can tell; the same book, the same bytes
MODIFIED = "2000-01-01T00:00:00Z"

_HTML = Template("""<!DOCTYPE html>
<html lang="$language" dir="$order">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'"/>
<title>$title</title>
<style>
$faces$style
body { margin: 0; background: #e9e9e6; }
.page { position: relative; width: min(96vw, 54rem); margin: 2vw auto; background: white; container-type: inline-size;
  aspect-ratio: $width / $height; box-shadow: 0 1px 6px #0004; }
@media print { .page { width: 100vw; margin: 0; box-shadow: none; break-after: page; } }
</style>
</head>
<body>
<main>
$pages
</main>
</body>
</html>
""")
_PAGE = Template("""<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="$language" xml:lang="$language">
<head>
<title>$title, $number</title>
<meta name="viewport" content="width=$width, height=$height"/>
<link rel="stylesheet" type="text/css" href="page.css"/>
</head>
<body>
<section class="page">
$inside
</section>
</body>
</html>
""")
_NAV = Template("""<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="$language" xml:lang="$language">
<head><title>$title</title></head>
<body>
<nav epub:type="toc"><h1>$title</h1><ol><li><a href="001.xhtml">$title</a></li></ol></nav>
<nav epub:type="page-list" hidden=""><ol>$links</ol></nav>
</body>
</html>
""")
_OPF = Template("""<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="$language">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">urn:uuid:$id</dc:identifier>
<dc:title>$title</dc:title>
<dc:language>$language</dc:language>
<dc:description>$made_by</dc:description>
<meta property="dcterms:modified">$modified</meta>
<meta property="rendition:layout">pre-paginated</meta>
<meta property="rendition:orientation">auto</meta>
<meta property="rendition:spread">auto</meta>
<meta property="schema:accessMode">textual</meta>
<meta property="schema:accessMode">visual</meta>
<meta property="schema:accessModeSufficient">textual</meta>
<meta property="schema:accessibilityFeature">alternativeText</meta>
<meta property="schema:accessibilityFeature">readingOrder</meta>
<meta property="schema:accessibilityHazard">none</meta>
<meta property="schema:accessibilitySummary">Every picture has an alternative text; what is said stands as text, in the order it is read.</meta>
</metadata>
<manifest>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>
<item id="css" href="page.css" media-type="text/css"/>
$items
</manifest>
<spine page-progression-direction="$order">
$spine
</spine>
</package>
""")
_CONTAINER = """<?xml version="1.0" encoding="utf-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="book/package.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>
"""
_COMIC_INFO = Template("""<?xml version="1.0" encoding="utf-8"?>
<ComicInfo>
<Title>$title</Title>
<Notes>$made_by</Notes>
<PageCount>$count</PageCount>
<LanguageISO>$language</LanguageISO>
<Manga>$manga</Manga>
</ComicInfo>
""")


def html(book: Book, pages: Sequence[Page]) -> bytes:
    """One file that asks for nothing outside of it."""
    data = lambda kind, content: f"data:{kind};base64,{b64encode(content).decode()}"
    pictures = {p.number: data("image/png", png(p.picture(), None)) for p in book.panels}
    sections = [
        f'<section class="page" aria-label="{number}">\n'
        f"{web.inside(page, lambda p: pictures[p.number], web.share_of(page.width))}\n</section>"
        for number, page in enumerate(pages, 1)
    ]
    faces = web.font_faces(web.fonts_on(pages), lambda f: data("font/ttf", f.content))
    return _HTML.substitute(
        _told(book),
        faces=faces,
        style=web.STYLE,
        width=f"{pages[0].width:g}",
        height=f"{pages[0].height:g}",
        pages="\n".join(sections),
    ).encode()


def epub(book: Book, pages: Sequence[Page]) -> bytes:
    """An EPUB 3 of fixed layout."""
    fonts = web.fonts_on(pages)
    files = {f"pictures/{p.number:04d}.png": png(p.picture(), None) for p in book.panels}
    files |= {f"fonts/{font.name}.ttf": font.content for font in fonts}
    style = web.font_faces(fonts, lambda f: f"fonts/{f.name}.ttf") + web.STYLE
    size = f"width: {pages[0].width:g}px; height: {pages[0].height:g}px"
    style += f"body {{ margin: 0; }}\n.page {{ position: relative; {size}; }}\n"
    drawn = {}
    for number, page in enumerate(pages, 1):
        inside = web.inside(page, lambda p: f"pictures/{p.number:04d}.png")
        size_ = {"width": f"{page.width:g}", "height": f"{page.height:g}"}
        drawn[f"{number:03d}.xhtml"] = _PAGE.substitute(
            _told(book), inside=inside, number=number, **size_
        )
    kinds = {"png": "image/png", "ttf": "font/ttf", "xhtml": "application/xhtml+xml"}
    items = [
        f'<item id="f{n}" href="{name}" media-type="{kinds[name.rpartition(".")[2]]}"'
        + ' properties="svg"' * ("<svg" in drawn.get(name, ""))
        + "/>"
        for n, name in enumerate([*files, *drawn])
    ]
    spine = [f'<itemref idref="f{len(files) + n}"/>' for n in range(len(drawn))]
    links = "".join(f'<li><a href="{n}">{i}</a></li>' for i, n in enumerate(drawn, 1))
    words = "\n".join((*drawn.values(), *(p.key for p in book.panels)))
    opf = _OPF.substitute(
        _told(book),
        id=uuid.uuid5(uuid.NAMESPACE_URL, f"identitystory:{words}"),
        modified=MODIFIED,
        items="\n".join(items),
        spine="\n".join(spine),
    )
    texts = {"package.opf": opf, "nav.xhtml": _NAV.substitute(_told(book), links=links)}
    texts |= {"page.css": style, **drawn}
    files |= {name: text.encode() for name, text in texts.items()}
    return _zip(
        {"mimetype": b"application/epub+zip", "META-INF/container.xml": _CONTAINER.encode()}
        | {f"book/{name}": content for name, content in files.items()}
    )


def cbz(book: Book, pages: Sequence[Page]) -> bytes:
    """Pages as pictures in a zip, with what comic readers want to know."""
    files = {f"{n:03d}.png": png(raster(page), None) for n, page in enumerate(pages, 1)}
    manga = "YesAndRightToLeft" if book.order == "rtl" else "No"
    info = _COMIC_INFO.substitute(_told(book), count=len(pages), manga=manga)
    return _zip({"ComicInfo.xml": info.encode(), **files})


def _told(book: Book) -> dict[str, str]:
    told = {"title": book.title, "language": book.language, "made_by": made_by(book)}
    return {name: escape(value) for name, value in told.items()} | {"order": book.order}


def _zip(files: dict[str, bytes]) -> bytes:
    """The files in this order, with one date; what is small already is only stored."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, DATE)
            stored = name == "mimetype" or name.endswith(".png")
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return made.getvalue()
