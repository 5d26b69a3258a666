"""The painted skin of a person: a 512 x 512 map that multiplies the skin's tone, .5 = unchanged."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.spatial import cKDTree

from .body import BODY_VERTICES, Body
from .people import HAIR_COLOURS, Person

SIZE = 512
EYE_HEIGHT = 7.284  # of the template, decimetres


def _blurred(a: np.ndarray, radius: float) -> np.ndarray:
    image = Image.fromarray((a * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image, np.float32) / 255


class SkinMaps:
    """Where on the skin things are (lips, beard, scalp ...): (512, 512) float maps in [0, 1].

    The mesh has no such groups; they are read off the shape targets that move them and off
    template coordinates, then drawn into texture space once.
    """

    def __init__(self, body: Body):
        self.body = body
        t = body.template
        x, y, z = t.T
        on_body = np.arange(len(t)) < BODY_VERTICES
        moved = lambda name: np.linalg.norm(body.targets[body.pairs[name][0]], axis=1)
        unit = lambda a: a / max(a.max(), 1e-9)
        upper, lower = (
            unit(moved(f"mouth-{which}lip-volume-incr")) for which in ("upper", "lower")
        )
        lips = np.clip(1.6 * np.maximum(upper, lower) - 0.25, 0, 1)
        cheeks = unit(moved("l-cheek-bones-incr") + moved("r-cheek-bones-incr"))
        self.mouth = t[np.argmax(lower)]
        middle = on_body & (np.abs(x) < 0.05) & (y > 6.6)
        nose = t[np.argmax(np.where(middle, z, -9))]
        m = self.mouth

        jaw = (y < nose[1] - 0.12) & (y > m[1] - 0.75) & (z > 0.35) & on_body
        beard = jaw * np.clip((nose[1] - 0.12 - y) / 0.12, 0, 1)
        beard = beard * np.clip((y - (m[1] - 0.62 - 0.25 * (1 - z / 1.4))) / 0.15, 0, 1)
        beard = beard * np.clip((z - 0.30) / 0.3, 0, 1)
        line = m[1] + 0.02 + 0.35 * np.clip((np.abs(x) - 0.25) / 0.5, 0, 1)  # mouth corner to ear
        beard = np.where(np.abs(x) > 0.24, beard * np.clip((line - y) / 0.12 + 0.3, 0, 1), beard)
        moustache = (y > m[1] + 0.03) & (y < nose[1] - 0.08) & (np.abs(x) < 0.30) & (z > 1.0)
        hair = body.groups["helper-hair"][:, :, 0].ravel()
        distance, _ = cKDTree(t[np.unique(hair)]).query(t)
        crown = np.maximum((y - (EYE_HEIGHT + 0.72)) / 0.15, (0.35 - z) / 0.15)
        scalp = np.clip(1.3 - distance / 0.22, 0, 1) * np.clip(crown, 0, 1) * on_body * (y > 6.7)
        under = np.exp(-((np.abs(x) - 0.31) ** 2 / 0.012 + (y - (EYE_HEIGHT - 0.16)) ** 2 / 0.004))
        arch = 0.06 * np.clip((np.abs(x) - 0.15) / 0.2, 0, 1)
        arch = arch - 0.10 * np.clip((np.abs(x) - 0.36) / 0.15, 0, 1)
        brow = np.exp(-((y - (EYE_HEIGHT + 0.20 + arch)) ** 2 / 0.0009))
        brow = brow * ((np.abs(x) > 0.10) & (np.abs(x) < 0.52) & (z > 0.8))

        self.lips = self._draw(lips, 0.7)
        self.cheeks = self._draw(cheeks, 6)
        self.beard = self._draw(beard * (1 - lips), 1.5)
        self.moustache = self._draw(moustache * (1 - lips), 1.2)
        self.scalp = self._draw(scalp, 2.5)
        self.nose = self._draw(np.exp(-((t - nose) ** 2).sum(1) / 0.02) * on_body, 2)
        self.under_eyes = self._draw(under * (z > 0.9) * on_body, 1.5)
        self.face = self._draw(((z > 0.7) & (y > 6.4) & (y < 7.9)) * on_body, 3)
        self.brow = self._draw(brow * on_body, 0.8)
        faces = body.groups["body"].reshape(-1, 2)
        corner = np.argmin(((t[faces[:, 0]] - self.mouth) ** 2).sum(1))
        self.mouth_row = int((1 - body.uv[faces[corner, 1]][1]) * SIZE)

    def _draw(self, values: np.ndarray, blur: float) -> np.ndarray:
        image = Image.new("L", (SIZE, SIZE))
        draw = ImageDraw.Draw(image)
        triangles = self.body.groups["body"]
        corners = self.body.uv[triangles[:, :, 1]] * [SIZE, -SIZE] + [0, SIZE]
        levels = (np.asarray(values, float)[triangles[:, :, 0]].mean(1) * 255).astype(int)
        for corner, level in zip(corners, levels, strict=True):
            if level > 2:
                draw.polygon([tuple(p) for p in corner], fill=int(level), outline=int(level))
        return np.asarray(image.filter(ImageFilter.GaussianBlur(blur)), np.float32) / 255


def paint_skin(maps: SkinMaps, person: Person, *, paint_brows: bool) -> np.ndarray:
    """(512, 512, 4) uint8 detail map. ``paint_brows`` where no brow asset is at hand."""
    rng = np.random.default_rng([person.key, 4])
    skin = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    fine, coarse = (_blurred(rng.random((SIZE, SIZE)), r) for r in (0.5, 1.5))

    def tone(mask, colour):
        nonlocal skin
        skin = skin * (1 - mask[..., None] * (1 - np.array(colour, np.float32)))

    def hair(cover, colour):
        nonlocal skin
        ratio = np.clip(np.array(HAIR_COLOURS[colour][0]) / np.maximum(person.tone, 0.02), 0, 2)
        cover = np.clip(cover, 0, 1)[..., None]
        skin = skin * (1 - cover) + cover * 0.45 * ratio

    skin *= (1 + 0.1 * (coarse - 0.5))[..., None]
    tone(np.clip(maps.lips * 1.1, 0, 1), (0.86, 0.54, 0.57))
    tone(maps.cheeks * 0.25, (1.05, 0.82, 0.8))
    tone(maps.nose * 0.3, (1.05, 0.85, 0.83))
    tone(maps.cheeks * person.blush, (1.0, 0.72, 0.70))
    tone(maps.nose * person.blush * 0.7, (1, 0.75, 0.75))
    tone(maps.under_eyes * person.under_eyes, (0.72, 0.66, 0.72))
    if person.freckles:
        spots = (rng.random((SIZE, SIZE)) > 0.93) * rng.random((SIZE, SIZE))
        spots = np.clip(_blurred(spots, 0.6) * 2.4 * person.freckles, 0, 1)
        tone(spots * np.clip(maps.cheeks * 1.6 + maps.nose * 2, 0, 1), (0.6, 0.42, 0.32))
    rows, columns = np.nonzero(maps.face > 0.8)
    yy, xx = np.ogrid[:SIZE, :SIZE]
    for where, radius in person.moles:
        k = int(where * (len(rows) - 1))
        d2 = (yy - rows[k]) ** 2 + (xx - columns[k]) ** 2
        tone(np.exp(-d2 / (radius * 0.9)), (0.25, 0.16, 0.12))
    if person.lipstick:
        cover = (maps.lips * person.lipstick)[..., None]
        skin = skin * (1 - cover) + cover * np.array(person.lip_colour) * 0.62
    if paint_brows:
        strength = 1.0 + 0.5 * (person.brow % 4)
        hair(
            np.clip(maps.brow * strength * (0.55 + 0.6 * fine) - 0.12, 0, 0.93), person.brow_colour
        )
    chin = np.abs(np.arange(SIZE)[:, None] - maps.mouth_row) < 26
    whole = np.maximum(maps.beard, maps.moustache)
    beard = {
        "none": None,
        "stubble": whole * 0.40,
        "full": whole * 0.92,
        "moustache": maps.moustache * 0.92,
        "goatee": np.maximum(maps.beard * chin, maps.moustache) * 0.9,
    }[person.beard]
    if beard is not None:
        hair(beard * (0.55 + 0.9 * fine), person.hair_colour)
    if person.hair != "bald":
        density = 0.75 if person.hair == "buzzed" else 0.8
        hair(maps.scalp * density * (0.7 + 0.5 * fine), person.hair_colour)
    opaque = np.ones((SIZE, SIZE, 1))
    return (np.clip(np.concatenate([skin, opaque], 2), 0, 1) * 255).astype(np.uint8)
