"""Words on pages: no face is ever covered, every word is there, in the order it is read."""

import numpy as np
import pytest

from identitystory.pages.book import Book
from identitystory.pages.comic import comic_pages
from identitystory.pages.fonts import open_fonts
from identitystory.pages.sheet import Box, Picture, Shape, Words
from tests.planted import Planted, crowd, scene_of

pytest.importorskip("reportlab")


def random_book(seed, order):
    rng = np.random.default_rng(seed)
    panels = []
    for n in range(1, int(rng.integers(2, 7))):
        size = [(96, 96), (144, 96), (96, 120)][rng.integers(3)]
        people = crowd(rng, size, int(rng.integers(0, 4)))
        scene = scene_of(rng, people, int(rng.integers(0, 4)))
        panels.append(Planted(n, scene, None, people=people, shape=size))
    return Book("A story", panels, order)


def on_page(picture, box):
    """A box of a picture's pixels on the page."""
    (wide, high), crop = picture.panel.size, picture.crop
    across, down = picture.box.width / crop.width, picture.box.height / crop.height
    left, top, right, bottom = box
    x, y = picture.box.left - crop.left * across, picture.box.top - crop.top * down
    return Box(
        x + left / wide * across,
        y + top / high * down,
        (right - left) / wide * across,
        (bottom - top) / high * down,
    )


def covers(item, face, seen):
    """Whether a shape, its tail or words lie on the ellipse of a face, where it is ``seen``."""
    x, y = face.left + face.width / 2, face.top + face.height / 2
    box, tail = item.box, getattr(item, "tail", None) or ()
    points = [
        (a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t)
        for a, b in zip(tail, (*tail[1:], *tail[:1]), strict=True)
        for t in np.linspace(0, 1, 9)
    ]
    points = [p for p in points if seen.left < p[0] < seen.right and seen.top < p[1] < seen.bottom]
    left, right = max(box.left, seen.left), min(box.right, seen.right)
    top, bottom = max(box.top, seen.top), min(box.bottom, seen.bottom)
    if left < right and top < bottom:
        points.append((min(max(x, left), right), min(max(y, top), bottom)))
    return any(
        ((px - x) / face.width * 2) ** 2 + ((py - y) / face.height * 2) ** 2 < 1
        for px, py in points
    )


def clipped(face, size):
    left, top, right, bottom = face
    return max(0, left), max(0, top), min(size[0], right), min(size[1], bottom)


def inside(face, box):
    return (
        box.left - 1 <= face.left
        and face.right <= box.right + 1
        and box.top - 1 <= face.top
        and face.bottom <= box.bottom + 1
    )


@pytest.mark.parametrize("books", [40, pytest.param(100, marks=pytest.mark.slow)])
def test_no_face_is_covered_or_cut_on_any_page_and_no_word_is_lost(books):
    fonts = open_fonts()
    pages = faces = on = spoken = 0
    for seed in range(books):
        book = random_book(seed, ("ltr", "rtl")[seed % 2])
        made = comic_pages(book, fonts)
        pages += len(made)
        items = [item for page in made for item in page.items]
        over = {
            n: [i for i in page.items if not isinstance(i, Picture) and getattr(i, "fill", "-")]
            for n, page in enumerate(made)
        }
        words = [item for item in items if isinstance(item, Words)]
        bubbles = [item for item in items if isinstance(item, Shape) and item.fill]
        on += len(bubbles)
        for number, picture in (
            (n, i) for n, page in enumerate(made) for i in page.items if isinstance(i, Picture)
        ):
            for each in picture.panel.people.values():
                face = on_page(picture, each.face)
                faces += 1
                covered = [item for item in over[number] if covers(item, face, picture.box)]
                assert not covered, (seed, picture.panel.number)
                seen = on_page(picture, clipped(each.face, picture.panel.size))
                assert inside(seen, picture.box), (seed, picture.panel.number)
        there = "\n".join("".join(item.lines).replace(" ", "") for item in words)
        for panel in book.panels:
            for _, says in panel.spoken:
                spoken += 1
                assert says.replace(" ", "") in there, (seed, panel.number, says)
    assert pages >= books
    assert faces > 3 * books
    assert on > 0.7 * spoken  # most words lie on their picture
