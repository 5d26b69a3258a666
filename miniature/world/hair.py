"""What every hair style shares: the fill with strands and sheen, the hairlines, which style covers the ears."""

from __future__ import annotations

from .colour import cloth, mix
from .head import Head
from .paths import oval, shape, taper
from .pen import Pen, lin

EARS_FREE = frozenset(
    {"crop", "side part", "quiff", "buzz", "bald", "short curls", "pixie", "braids", "side braid",
     "ponytail", "pigtails", "top bun", "low bun", "afro puffs", "bowl"}
)  # fmt: skip
# How far hair falls (in half heads below the head's middle), shortest and longest.
FALL = {"long straight": (1.30, 2.10), "long with fringe": (1.25, 2.05), "long wavy": (1.25, 2.15),
        "long curls": (1.05, 1.65), "locs": (1.15, 1.85), "bob": (0.78, 1.02), "wavy bob": (0.74, 1.00),
        "bob with fringe": (0.78, 1.00), "braids": (1.30, 1.95), "side braid": (1.45, 2.05)}  # fmt: skip


def fall(h: Head) -> float:
    """Where the hair ends."""
    short, long = FALL[h.person.hair]
    return (short + (long - short) * h.person.length) * (0.94 if h.person.age < 13 else 1.0)


def side_of(h: Head) -> int:
    """The side of the parting: -1 or 1."""
    return 1 if h.person.parting >= 0 else -1


def fill_hair(
    pen: Pen, h: Head, path, flow=(), sheen=None, strand: float = 0.055, part="hair"
) -> None:
    """A mass of hair: a gentle gradient, strands along ``flow``, a sheen."""
    light = h.light
    top, low = (light * 0.6, -1.0), (-light * 0.7, 1.0)
    pen.fill(path, lin(top, low, mix(h.hair, h.hair_light, 0.55), h.hair, h.hair_dark), part=part)
    if not flow and sheen is None:
        return
    pen.clip(path)
    for i, line in enumerate(flow):
        widths = [0.01, *[strand] * (len(line) - 2), 0.01]
        pen.fill(taper(line, widths), h.hair_dark if i % 3 else h.hair_light, 0.55)
    if sheen is not None:
        pen.fill(sheen, h.hair_light, 0.50)
    pen.back()


def sheen(h: Head, y: float = -0.78, w: float = 0.42, thick: float = 0.10):
    """The light on the crown."""
    s = h.light
    a = h.all_at((s * (w + 0.12), y + 0.16), (s * w * 0.5, y), (-s * 0.12, y + 0.01), forward=0.12)
    b = h.all_at(
        (-s * 0.10, y + thick * 0.45),
        (s * w * 0.5, y + thick),
        (s * (w + 0.10), y + 0.16 + thick * 0.5),
        forward=0.12,
    )
    return shape(a, b)


def front_line(h: Head, level: float | None = None, receding: bool = False):
    """Where hair meets the face, from the right ear over the forehead to the left one, untransformed."""
    p, w = h.person, h.width
    y = (-0.54 - 0.12 * (1 - p.fringe) if level is None else level) - p.hairline
    if receding or (p.hairline > 0.055 and p.masc > 0.5):
        half = [(w * 0.97, 0.16), (w * 0.91, 0.0), (w * 0.92, -0.28), (w * 0.76, -0.54),
                (w * 0.48, min(-0.70, y - 0.06)), (w * 0.22, y - 0.03), (0, y + 0.01)]  # fmt: skip
    else:
        half = [(w * 0.97, 0.16), (w * 0.90, 0.02), (w * 0.90, -0.26), (w * 0.72, -0.46 - p.hairline),
                (w * 0.36, y), (0, y - 0.02)]  # fmt: skip
    return half + [(-a, b) for a, b in half[-2::-1]]


def tie(
    pen: Pen, h: Head, x: float, y: float, rx: float = 0.10, ry: float = 0.055, turn: float = 0.0
) -> None:
    """A hair tie in the person's accent colour."""
    pen.fill(oval(x, y, rx, ry, turn), cloth(h.person.accent), part="hair")
