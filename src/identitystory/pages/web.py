"""Pages as HTML: pictures with alternative texts, words as words, everything in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape

from .book import Panel
from .fonts import Font
from .sheet import INK, LEADING, Item, Page, Picture, Shape, Words

Unit = Callable[[float], str]


def points(value: float) -> str:
    """A length of a page whose width is fixed."""
    return f"{value:.2f}px"


def share_of(width: float) -> Unit:
    """Lengths of a page that is as wide as its window, and ``width`` points wide on paper."""
    return lambda value: f"{100 * value / width:.3f}cqw"


def inside(page: Page, source: Callable[[Panel], str], unit: Unit = points) -> str:
    """The elements of a page, in XHTML.

    Args:
        page: what is on it.
        source: of each panel, where its picture is found.
        unit: how lengths are written.
    """
    return "\n".join(_element(item, page, source, unit) for item in page.items)


def _element(item: Item, page: Page, source: Callable[[Panel], str], unit: Unit) -> str:
    if isinstance(item, Words):
        return _words(item, unit)
    if isinstance(item, Shape):
        return _shape(item, page)
    box, crop = item.box, item.crop
    wide, high = box.width / crop.width, box.height / crop.height
    place = _place((-crop.left * wide, -crop.top * high, wide, high), unit)
    alt = escape(item.panel.action)
    return (
        f'<div class="picture" style="{_place(_of(item), unit)}">'
        f'<img src="{source(item.panel)}" alt="{alt}" style="{place}"/></div>'
    )


def _shape(item: Shape, page: Page) -> str:
    """A drawing that nobody reads out: outline first, then filled, so that bubble and tail are one."""
    box, drawn = item.box, []
    tail = " ".join(f"{x:.2f},{y:.2f}" for x, y in item.tail or ())
    round_ = (
        f'x="{box.left:.2f}" y="{box.top:.2f}" width="{box.width:.2f}" height="{box.height:.2f}" '
        f'rx="{item.radius:.2f}"'
    )
    outline = f'fill="none" stroke="{INK}" stroke-linejoin="round"'
    looks = [f'{outline} stroke-width="{item.line * (2 if item.fill else 1):.2f}"']
    looks += [f'fill="{item.fill}"'] * bool(item.fill)
    for look in looks:
        drawn += [f'<polygon points="{tail}" {look}/>'] * bool(tail)
        drawn.append(f"<rect {round_} {look}/>")
    return (
        f'<svg class="shape" aria-hidden="true" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {page.width:g} {page.height:g}">{"".join(drawn)}</svg>'
    )


def _words(item: Words, unit: Unit) -> str:
    align = {"middle": "center"}.get(item.align, item.align)
    lines = "<br/>".join(escape(line) for line in item.lines)
    style = (
        f"{_place(_of(item), unit)};font-family:{item.font.name},sans-serif;"
        f"font-size:{unit(item.size)};line-height:{LEADING};text-align:{align};color:{item.colour}"
    )
    return f'<p dir="auto" style="{style}">{lines}</p>'


def _of(item: Picture | Words) -> tuple[float, float, float, float]:
    return item.box.left, item.box.top, item.box.width, item.box.height


def _place(box: tuple[float, float, float, float], unit: Unit) -> str:
    names = ("left", "top", "width", "height")
    return ";".join(f"{name}:{unit(value)}" for name, value in zip(names, box, strict=True))


STYLE = """
.picture { position: absolute; overflow: hidden; }
.picture img { position: absolute; }
.shape { position: absolute; left: 0; top: 0; width: 100%; height: 100%; }
p { position: absolute; margin: 0; white-space: nowrap; }
"""


def fonts_on(pages: Iterable[Page]) -> list[Font]:
    """The fonts that the pages use, each once."""
    used = {
        item.font.name: item.font
        for page in pages
        for item in page.items
        if isinstance(item, Words)
    }
    return [used[name] for name in sorted(used)]


def font_faces(fonts: Iterable[Font], source: Callable[[Font], str]) -> str:
    """The rules that tell a browser where the fonts are found."""
    return "".join(
        f"@font-face {{ font-family: {font.name}; src: url({source(font)}); }}\n" for font in fonts
    )
