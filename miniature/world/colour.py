"""Colours as OKLab triples (lightness 0..1, a, b), so that mixing and shading look even to the eye."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from identitystory.metrics.colour import rgb_to_lab

Lab = tuple[float, float, float]

# The colours that clothes and things have, by the word that a caption uses.
CLOTH_HEX = {
    "red": "#c8463c", "orange": "#e2853a", "yellow": "#ecc045", "green": "#5c9a55",
    "teal": "#2b8a86", "blue": "#3d6db5", "purple": "#7f4f98", "pink": "#ea9aae",
    "brown": "#86583c", "black": "#35343d", "white": "#f4efe6", "gray": "#92949b",
}  # fmt: skip
COLOURS: tuple[str, ...] = tuple(CLOTH_HEX)


def lch(lightness: float, chroma: float, hue: float) -> Lab:
    """OKLab from lightness (0..1), chroma (0..0.3) and hue (degrees)."""
    angle = math.radians(hue)
    return (lightness, chroma * math.cos(angle), chroma * math.sin(angle))


def mix(one: Lab, other: Lab, share: float) -> Lab:
    """``one`` with ``share`` (0..1) of ``other``."""
    return tuple(x + (y - x) * share for x, y in zip(one, other, strict=True))


def shade(colour: Lab, lighter: float, turn: float = 0.0, richer: float = 0.0) -> Lab:
    """A lighter (or, below 0, darker) colour, its hue turned by degrees and its chroma moved."""
    lightness, a, b = colour
    hue = math.degrees(math.atan2(b, a))
    chroma = max(0.0, math.hypot(a, b) + richer)
    return lch(max(0.0, min(1.0, lightness + lighter)), chroma, hue + turn)


@lru_cache(None)
def hexlab(code: str) -> Lab:
    """OKLab of "#rrggbb"."""
    rgb = [int(code[i : i + 2], 16) for i in (1, 3, 5)]
    return tuple(float(v) for v in rgb_to_lab(np.array(rgb)))


def cloth(name: str) -> Lab:
    """OKLab of a colour word in ``COLOURS``."""
    return hexlab(CLOTH_HEX[name])


def _byte(linear: float) -> int:
    if linear <= 0:
        return 0
    v = 12.92 * linear if linear < 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
    return int(min(1.0, v) * 255 + 0.5)


@lru_cache(200_000)
def argb(colour: Lab, alpha: float = 1.0) -> int:
    """The colour as 0xAARRGGBB."""
    lightness, a, b = colour
    x = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    y = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    z = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
    r = 4.0767416621 * x - 3.3077115913 * y + 0.2309699292 * z
    g = -1.2684380046 * x + 2.6097574011 * y - 0.3413193965 * z
    b = -0.0041960863 * x - 0.7034186147 * y + 1.707614701 * z
    top = int(max(0.0, min(1.0, alpha)) * 255 + 0.5)
    return top << 24 | _byte(r) << 16 | _byte(g) << 8 | _byte(b)
