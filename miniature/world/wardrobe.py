"""Clothes and hair. Clothes are cut here from the body's helper shells, so no cloth bears a logo;
hair, brows and lashes come from the asset pack where there is one and are made here where not.

The pack is MakeHuman's system assets (CC0, makehumancommunity/makehuman-assets) as a zip of .obj,
.mhclo and WebP textures. It is data for rendering only and is never part of the project.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from scipy.spatial import cKDTree

from .body import BODY_VERTICES, Body, Garment, Mesh, VertexNormals
from .people import CLOTH_COLOURS, Moment, Person

HAIR_FILES = {  # style -> pieces of the pack
    "long": ["long01"],
    "ponytail": ["ponytail01"],
    "bob": ["braid01"],  # seen from the front it is a bob with a side parting
    "short": ["short01", "short02", "short04"],
    "afro": ["afro01"],
    "curly": ["afro01"],
}
FRINGES = {"hair/braid01/braid01": (7.6, 0.7)}  # would hang over an eye: cut at the brows
UNDER = (0.72, 0.72, 0.70)  # the shirt under a jacket, a suit or overalls
TROUSERS = [(0.03, 0.06, 0.2), (0.02, 0.02, 0.025), (0.25, 0.2, 0.14), (0.12, 0.12, 0.13)]


@dataclass(frozen=True)
class Layer:
    """One shell of cloth: which part of the body, how far off it, where it is cut."""

    part: str
    tint: tuple
    offset: float = 0.075
    cut: tuple = (4.25, 0.75, 6.1, 1.0)
    neck: tuple = (0.75, 5.8, 5.25)
    stripes: float = 0.0
    gloss: float = 0.4


def outfit_layers(moment: Moment, person: Person) -> list[Layer]:
    """The layers of an outfit, innermost first."""
    colour = CLOTH_COLOURS[moment.colour]
    rng = np.random.default_rng([person.key, 5])
    trousers = TROUSERS[int(rng.integers(len(TROUSERS)))]
    legs = Layer("pants", trousers, 0.05, (9.0, -7.2, 1.35, 1.0), (0.0, 0.0, 0.0), gloss=0.3)
    shirt = Layer("top", UNDER, 0.06, (4.0, 0.75, 6.1, 1.0), (0.5, 5.9, 5.45))

    def top(sleeve, neck=(0.75, 5.8, 5.25), **more):
        return Layer("top", colour, cut=(sleeve, 0.75, 6.1, 1.0), neck=neck, **more)

    match moment.outfit:
        case "t-shirt":
            return [legs, top(2.75)]
        case "long-sleeved shirt":
            return [legs, top(4.25)]
        case "striped shirt":
            return [legs, top(4.25, stripes=2.6)]
        case "vest":
            return [legs, top(1.72, (0.9, 5.8, 4.9))]
        case "sweater":
            return [legs, top(4.35, (0.45, 5.9, 5.55), offset=0.15, gloss=0.1)]
        case "blouse":
            return [legs, top(3.4, (1.15, 5.8, 5.0), gloss=0.8)]
        case "dress":
            skirt = Layer("skirt", colour, 0.03, (9.0, -9.0, 9.0, 1.0), (0.0, 0.0, 0.0), gloss=0.8)
            return [skirt, top(1.95, (1.1, 5.8, 4.75), gloss=0.8)]
        case "sportswear":
            trim = Layer("top", moment.accent, 0.07, (2.5, 0.75, 6.1, 1.0), (0.6, 5.8, 5.3))
            return [legs, trim, top(1.9, (0.8, 5.8, 4.7), offset=0.085, gloss=0.9)]
        case "jacket":
            inner = Layer("top", moment.accent, 0.06, (2.0, 0.75, 6.1, 1.0), (0.6, 5.8, 5.3))
            return [legs, inner, top(4.35, (0.85, 5.95, 3.6), offset=0.14, gloss=0.7)]
        case "suit":
            dark = tuple(0.35 * c for c in colour)
            jacket = Layer("top", dark, 0.12, (4.35, 0.75, 6.1, 1.0), (0.62, 5.98, 3.9), gloss=0.6)
            return [Layer(**{**vars(legs), "tint": dark}), shirt, jacket]
        case "overalls":
            bib = Layer("top", colour, 0.10, (0.95, 0.75, 5.9, 1.0), (0.62, 5.7, 4.6), gloss=0.2)
            return [Layer(**{**vars(legs), "tint": colour}), shirt, bib]
        case _:  # work clothes: one colour, high collar
            return [
                Layer(**{**vars(legs), "tint": colour}),
                top(4.3, (0.35, 5.95, 5.3), offset=0.12, gloss=0.2),
            ]


class Shells:
    """Meshes over parts of the body's helper geometry, in texture coordinates that know the cut."""

    def __init__(self, body: Body):
        self.body = body
        t = body.template
        tights, skirt = body.groups["helper-tights"], body.groups["helper-skirt"]
        height = t[tights[:, :, 0]][:, :, 1]
        self.parts = {
            "pants": self._cloth(tights[(height < 1.9).all(1)]),
            "top": self._cloth(tights[(height > 0.2).all(1)]),
            "skirt": self._cloth(skirt[(t[skirt[:, :, 0]][:, :, 1] > -3.2).all(1)]),
        }
        self.normals = {n: VertexNormals(m.faces, len(t)) for n, m in self.parts.items()}
        lashes = [body.groups[k] for k in body.groups if "eyelash" in k]
        self.lashes = Mesh(np.concatenate(lashes), body.uv)
        self._make_hair()

    def _cloth(self, triangles: np.ndarray) -> Mesh:
        mesh = Mesh(triangles, self.body.uv)
        p = self.body.template[mesh.source]
        mesh.uv = np.c_[np.abs(p[:, 0]) / 5, (p[:, 1] + 10) / 20].astype(np.float32)
        return mesh

    def _hair_mesh(self, triangles: np.ndarray, length: float, turns: float) -> Mesh:
        mesh = Mesh(triangles, self.body.uv)
        p = self.body.template[mesh.source]
        angle = np.arctan2(p[:, 0], p[:, 2]) / np.pi
        mesh.uv = np.c_[angle * turns + 0.5, (8.5 - p[:, 1]) / length].astype(np.float32)
        return mesh

    def _make_hair(self) -> None:
        t, body = self.body.template, self.body
        x, y, z = t.T
        helper = body.groups["helper-hair"]
        corner_y, centre = t[helper[:, :, 0]][:, :, 1], t[helper[:, :, 0]].mean(1)
        slope = 0.25 * np.clip(np.abs(centre[:, 0]) - 0.3, 0, 1)
        front = (
            (centre[:, 2] > 0.30) & (np.abs(centre[:, 0]) < 0.80) & (centre[:, 1] < 7.95 - slope)
        )
        for style, end in (("long", 3.6), ("ponytail", 5.2), ("bob", 6.25)):
            mesh = self._hair_mesh(helper[(corner_y > end).all(1) & ~front], 8.5 - end, 0.5)
            self.parts[style] = mesh
        scalp = (y > 7.55 + 0.35 * np.clip((z - 0.2) / 1.0, 0, 1)) | ((y > 6.75) & (z < -0.15))
        scalp |= (y > 7.05) & (z < 0.12) & (np.abs(x) > 0.62)
        scalp &= np.arange(len(t)) < BODY_VERTICES
        faces = body.groups["body"]
        self.parts["crop"] = self._hair_mesh(faces[scalp[faces[:, :, 0]].all(1)], 2.5, 1.0)
        rim = np.where(~scalp & (np.arange(len(t)) < BODY_VERTICES) & (y > 6))[0]
        distance, _ = cKDTree(t[rim]).query(t)
        self.taper = np.clip(distance / 0.3, 0, 1).astype(np.float32)
        for name in ("long", "ponytail", "bob", "crop"):
            self.normals[name] = VertexNormals(self.parts[name].faces, len(t))

    def hair_shells(self, style: str) -> list[tuple[str, np.ndarray | float, float]]:
        """(part, offset along the normals, how much of the strand texture) of a hair style."""
        if style in ("bald", "buzzed"):
            return []
        noise = np.random.default_rng(5).random(len(self.body.template)).astype(np.float32)
        thick = {"short": 0.14, "afro": 0.55, "curly": 0.38}.get(style, 0.1)
        crop = ("crop", self.taper * thick * (0.75 + 0.5 * noise) + 0.012, 0.0)
        long = {"long": "long", "ponytail": "ponytail", "bob": "bob"}
        return [crop, (long[style], 0.0, 1.0)] if style in long else [crop]


def strand_texture() -> tuple[np.ndarray, float]:
    """(512, 512, 4) uint8 strands with ragged tips, and their mean luminance."""
    rng = np.random.default_rng(0)
    strands = np.repeat(rng.random((1, 512)).astype(np.float32), 512, 0)
    waves = Image.fromarray((rng.random((64, 512)) * 255).astype(np.uint8)).resize((512, 512))
    strands += 0.35 * np.asarray(waves, np.float32) / 255
    image = Image.fromarray(np.clip(strands * 180, 0, 255).astype(np.uint8))
    n = np.asarray(image.filter(ImageFilter.GaussianBlur(0.8)), np.float32)
    n = 60 + (n - n.min()) / (n.max() - n.min()) * 160
    tips = np.linspace(0, 1, 512)[:, None] > 1 - rng.random(512)[None] * 0.14
    alpha = np.where(tips, 0.0, 255.0)
    return np.dstack([n, n, n, alpha]).astype(np.uint8), float((n / 255).mean())


class Pack:
    """The asset pack: hair, brows, lashes and shoes as garments, read when first worn."""

    def __init__(self, body: Body, archive: Path, cache: Path):
        self.body, self.folder = body, cache / "pack"
        if not (self.folder / "MANIFEST.json").exists():
            self._unpack(archive)
        self._garments: dict[str, Garment] = {}

    def _unpack(self, archive: Path) -> None:
        root = self.folder.resolve()
        with zipfile.ZipFile(archive) as z:
            for name in z.namelist():
                if not (root / name).resolve().is_relative_to(root):
                    raise ValueError(f"{archive}: {name} lies outside the archive's own folder")
            z.extractall(root)

    def garment(self, path: str) -> Garment:
        """The garment ``hair/long01/long01``."""
        if path not in self._garments:
            self._garments[path] = Garment(
                self.body, self.folder / f"{path}.mhclo", FRINGES.get(path)
            )
        return self._garments[path]

    def texture(self, path: str) -> Path:
        """The file of a texture, without its suffix given."""
        return self.folder / f"{path}.webp"

    @staticmethod
    def hair_piece(person: Person) -> str | None:
        """Which piece of hair somebody wears; the same for all their pictures."""
        pieces = HAIR_FILES.get(person.hair)
        return pieces[person.key % len(pieces)] if pieces else None
