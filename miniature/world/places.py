"""Where and when a picture is taken: background, light, camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PLACES = (  # the order is the numbering of shaders/places.frag
    "studio", "beach", "forest", "kitchen", "city street", "library", "snowy mountains",
    "meadow", "desert", "living room", "harbour", "garden", "cafe", "office",
)  # fmt: skip
INDOORS = frozenset({"studio", "kitchen", "library", "cafe", "office"})
LAMPLIT = INDOORS | {"living room"}
HOURS = ("day", "sunset", "night")
FRAMINGS = ("portrait", "half-body", "full-body")
FRAME_HEIGHT = {"portrait": 3.35, "half-body": 4.6, "full-body": 19.5}  # decimetres
AIM = {"portrait": -0.30, "half-body": -0.88}  # the frame's centre above the eyes, decimetres


@dataclass(frozen=True)
class View:
    """A place, an hour, a light and a camera. Angles in degrees, colours linear RGB."""

    place: str
    hour: str
    framing: str
    seed: float
    accent: tuple
    horizon: float
    blur: float
    azimuth: float
    elevation: float
    zoom: float
    shift: tuple
    background_zoom: float
    light: tuple
    light_colour: tuple
    sky: tuple
    ground: tuple
    fill: tuple
    fill_colour: tuple
    exposure: float = 0.46


def draw_view(seed: int, *, framing="portrait", place=None, hour=None, places=PLACES) -> View:
    """A view drawn from ``seed``, with what is fixed fixed."""
    rng = np.random.default_rng([seed, 3])
    drawn = places[int(rng.integers(len(places)))]
    place = place or drawn
    drawn = HOURS[int(rng.choice(3, p=[0.5, 0.25, 0.25]))]
    hour = "day" if place in INDOORS else hour or drawn
    return View(
        place=place, hour=hour, framing=framing,
        seed=float(rng.random()),
        accent=tuple(float(x) for x in 0.25 + 0.6 * rng.random(3)),
        horizon=float(rng.uniform(-0.25, 0.05)),
        blur={"portrait": 1.0, "half-body": 0.6, "full-body": 0.2}[framing],
        azimuth=float(rng.uniform(-14, 14)),
        elevation=float(rng.uniform(-5, 9)),
        zoom=float(rng.uniform(1.0, 1.2) if framing == "full-body" else rng.uniform(0.92, 1.1)),
        shift=tuple(float(x) for x in rng.uniform(-0.05, 0.05, 2)),
        background_zoom={"portrait": 0.9, "half-body": 1.0, "full-body": 1.2}[framing],
        **_light(rng, place, hour),
    )  # fmt: skip


def _direction(azimuth: float, elevation: float) -> tuple:
    a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
    return (float(np.sin(a) * np.cos(e)), float(np.sin(e)), float(np.cos(a) * np.cos(e)))


def _light(rng: np.random.Generator, place: str, hour: str) -> dict:
    azimuth = rng.uniform(-60, 60)
    colour, sky, ground = {
        "day": ((2.3, 2.2, 2.05), (0.62, 0.70, 0.82), (0.34, 0.31, 0.27)),
        "sunset": ((2.6, 1.75, 1.05), (0.55, 0.46, 0.50), (0.34, 0.24, 0.18)),
        "night": ((1.35, 1.2, 1.05), (0.24, 0.27, 0.38), (0.17, 0.14, 0.13)),
    }[hour]
    if place in LAMPLIT:
        colour, sky, ground = (1.95, 1.85, 1.7), (0.55, 0.54, 0.52), (0.36, 0.32, 0.28)
    brightness = rng.uniform(0.85, 1.1)
    return dict(
        light=_direction(azimuth, rng.uniform(15, 50)),
        light_colour=tuple(float(c * brightness) for c in colour),
        sky=sky,
        ground=ground,
        fill=_direction(-np.sign(azimuth) * rng.uniform(60, 140), 14),
        fill_colour=tuple(float(c) for c in np.array([0.45, 0.48, 0.55]) * rng.uniform(0.4, 1.2)),
    )
