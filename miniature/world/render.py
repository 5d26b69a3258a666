"""``World.render``: people at a moment, in a view, as a picture with masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import moderngl
import numpy as np

from .body import Body, Mesh, VertexNormals, rotation, skin_vertices
from .gl import Canvas, look_at, orthographic, perspective, set_uniforms
from .people import EYE_COLOURS, HAIR_COLOURS, Moment, Person
from .places import AIM, FRAME_HEIGHT, PLACES, View
from .skin import SkinMaps, paint_skin
from .wardrobe import Pack, Shells, outfit_layers, strand_texture

SKIN, EYE, HAIR, CLOTH, LASH, TEETH, PLASTIC = KINDS = range(7)
PARTS = {
    SKIN: 1,
    EYE: 2,
    TEETH: 3,
    CLOTH: 4,
    PLASTIC: 5,
    HAIR: 6,
}  # numbers in the mask's channel 1
DRAW_ORDER = {SKIN: 0, EYE: 1, TEETH: 1, CLOTH: 2, LASH: 3, HAIR: 4, PLASTIC: 5}
HEAD_HEIGHT = 6.97  # of an average head bone, decimetres
LEVEL = {"portrait": 0.9, "half-body": 0.7}  # share of two people's heights that is evened out
FIELD_OF_VIEW = 24.0
UNIFORMS = dict(
    kind=0, base_map=0, detail_map=1, shadow_map=2, gloss=0.3, base_mix=0.0, alpha_mix=1.0,
    tint=(1.0, 1.0, 1.0), tint2=(1.0, 1.0, 1.0), stripes=0.0, base_mean=0.3, up=(0.0, 1.0, 0.0),
    cut=(0.0, 0.0, 0.0, 0.0), neck=(0.0, 0.0, 0.0),
)  # fmt: skip


@dataclass
class Drawing:
    """One mesh to draw for one person."""

    person: int
    kind: int
    shaded: moderngl.VertexArray
    flat: moderngl.VertexArray
    uniforms: dict = field(default_factory=dict)
    base: moderngl.Texture | None = None
    detail: moderngl.Texture | None = None


@dataclass
class Placed:
    """Where a drawn person is: the middle between the eyes, and the box of the body (decimetres)."""

    eyes: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Picture:
    """What ``World.render`` returns.

    Attributes:
        image: (S, S, 3) uint8.
        mask: (S, S, 2) uint8; channel 0 the person (1, 2, ... in the order given), channel 1 the
            part: 1 skin, 2 eye, 3 teeth, 4 cloth, 5 glasses, 6 hair; 0 background.
        eyes: (people, 2), pixel (x, y) midway between each person's eyes.
    """

    image: np.ndarray
    mask: np.ndarray
    eyes: np.ndarray


class World:
    """The renderer. ``assets`` is the asset pack's zip, or None to do without."""

    def __init__(
        self, size: int = 128, *, cache: Path, assets: Path | None = None, samples: int = 4
    ):
        self.size = size
        self.body = Body(cache)
        self.canvas = Canvas(size, samples)
        self.maps = SkinMaps(self.body)
        self.shells = Shells(self.body)
        self.pack = Pack(self.body, assets, cache) if assets else None
        strands, self.strand_mean = strand_texture()
        self.strands = self.canvas.texture(strands)
        groups, uv = self.body.groups, self.body.uv
        self.body_mesh = Mesh(groups["body"], uv)
        self.teeth = Mesh(
            np.concatenate([groups["helper-upper-teeth"], groups["helper-lower-teeth"]]), uv
        )
        self.tongue = Mesh(groups["helper-tongue"], uv)
        self.eyes = {side: Mesh(groups[f"helper-{side}-eye"], uv) for side in "lr"}
        self.eye_vertices = {s: np.unique(groups[f"helper-{s}-eye"][:, :, 0]) for s in "lr"}
        self.occlusion = self._occlusion(cache / "occlusion.npy")
        self._shapes: dict = {}
        self._glasses: dict = {}
        self._skins: dict = {}

    # ------------------------------------------------------------------ people

    def _shape(self, person: Person):
        """The neutral shape, kept for the last few people."""
        key = (person.seed, person.index)
        if key not in self._shapes:
            while len(self._shapes) >= 4:
                self._shapes.pop(next(iter(self._shapes)))
            self._shapes[key] = self.body.shape(person.macro, person.local)
        return self._shapes[key]

    def _skin(self, person: Person) -> moderngl.Texture:
        """The painted skin, kept for the people drawn last: those of one picture among them."""
        key = (person.seed, person.index)
        if key in self._skins:
            self._skins[key] = self._skins.pop(key)
            return self._skins[key]
        while len(self._skins) >= 4:
            self._skins.pop(next(iter(self._skins))).release()
        pixels = paint_skin(self.maps, person, paint_brows=self.pack is None)
        self._skins[key] = self.canvas.texture(pixels)
        return self._skins[key]

    def _place(self, slot: int, person: Person, moment: Moment, shift: np.ndarray):
        """Drawings of one person, and where they are."""
        body, canvas = self.body, self.canvas
        v, heads = body.express(*self._shape(person), moment.units())
        bones = body.pose(heads, self._rotations(moment))
        stand = np.eye(4)
        stand[:3, :3] = rotation("y", moment.yaw)
        stand[:3, 3] = np.array(moment.offset) + shift * (heads[body.bone["head"]][1] - HEAD_HEIGHT)
        bones = stand @ bones
        posed = skin_vertices(v, body.weights, bones)
        normals = body.normals(posed).astype(np.float32)
        head = bones[body.bone["head"]][:3, :3]
        up = tuple(head @ [0, 1, 0])
        drawings: list[Drawing] = []

        def draw(kind, mesh, positions, n, *, ao=None, base=None, detail=None, **uniforms):
            arrays = canvas.upload(mesh, slot, positions, n, ao)
            drawings.append(Drawing(slot, kind, *arrays, uniforms, base, detail))

        def wear(path, kind, **how):
            garment = self.pack.garment(path)
            p = skin_vertices(garment.fit(v), garment.weights, bones)
            draw(kind, garment.mesh, p, garment.normals(p).astype(np.float32), **how)

        def shell(part, kind, offset, **how):
            operator = self.shells.normals[part]
            grown = v + operator(v) * (
                offset[:, None] if isinstance(offset, np.ndarray) else offset
            )
            p = skin_vertices(grown.astype(np.float32), body.weights, bones)
            draw(kind, self.shells.parts[part], p, operator(p).astype(np.float32), **how)

        tone = tuple(float(x) for x in person.tone)
        draw(
            SKIN,
            self.body_mesh,
            posed,
            normals,
            ao=self.occlusion,
            detail=self._skin(person),
            tint=tone,
            gloss=0.35,
        )
        turn = rotation("y", moment.gaze[0]) @ rotation("x", moment.gaze[1])
        gaze = tuple(head @ turn @ [0, 0, 1.0])
        centres = {s: posed[self.eye_vertices[s]].mean(0) for s in "lr"}
        for side in "lr":
            draw(
                EYE,
                self.eyes[side],
                posed,
                normals,
                eye_centre=tuple(centres[side]),
                gaze=gaze,
                up=up,
                iris=EYE_COLOURS[person.eyes],
            )
        draw(TEETH, self.teeth, posed, normals)
        draw(TEETH, self.tongue, posed, normals, tint=(0.75, 0.28, 0.27))
        for layer in outfit_layers(moment, person):
            shell(
                layer.part, CLOTH, layer.offset, tint=layer.tint, cut=layer.cut, neck=layer.neck,
                stripes=layer.stripes, tint2=moment.accent, gloss=layer.gloss,
            )  # fmt: skip
        self._draw_hair(person, draw, wear, shell, posed, normals, up)
        if person.glasses != "none":
            points, mesh, operator = self._glasses_on(v, person.glasses)
            hold = bones[body.bone["head"]]
            p = (points @ hold[:3, :3].T + hold[:3, 3]).astype(np.float32)
            draw(PLASTIC, mesh, p, operator(p).astype(np.float32), tint=person.glasses_colour)
        skin = posed[: len(self.occlusion)]
        return drawings, Placed((centres["l"] + centres["r"]) / 2, skin.min(0), skin.max(0))

    def _draw_hair(self, person, draw, wear, shell, posed, normals, up) -> None:
        shadow, highlight = HAIR_COLOURS[person.hair_colour]
        look = dict(tint=shadow, tint2=highlight, up=up, gloss=0.8)
        lash = 0.95 if person.sex == "woman" else 0.65
        piece = self.pack.hair_piece(person) if self.pack else None
        if piece is None:
            for part, offset, strands in self.shells.hair_shells(person.hair):
                shell(
                    part,
                    HAIR,
                    offset,
                    base=self.strands,
                    base_mix=strands,
                    base_mean=self.strand_mean,
                    **look,
                )
        if self.pack is None:
            draw(
                LASH,
                self.shells.lashes,
                posed,
                normals,
                tint=(0.01, 0.008, 0.007),
                alpha_mix=0.8 * lash,
            )
            return
        if piece:
            path = None if piece == "afro01" else f"hair/{piece}/{piece}_diffuse"
            base, mean = self.strands, self.strand_mean * 1.3
            if path:
                base, mean = self.canvas.file_texture(self.pack.texture(path), 1024)
            wear(f"hair/{piece}/{piece}", HAIR, base=base, base_mix=1.0, base_mean=mean, **look)
        brow = f"eyebrows/eyebrow{person.brow:03d}/eyebrow{person.brow:03d}"
        dark = tuple(0.8 * c for c in HAIR_COLOURS[person.brow_colour][0])
        wear(brow, LASH, base=self.canvas.file_texture(self.pack.texture(brow), 256)[0], tint=dark)
        path = "eyelashes/eyelashes02/eyelashes02"
        base, _ = self.canvas.file_texture(self.pack.texture(path), 256)
        wear(path, LASH, base=base, tint=(0.01, 0.008, 0.007), alpha_mix=lash)

    @staticmethod
    def _rotations(moment: Moment) -> dict:
        yaw, pitch, roll = moment.head
        part = lambda k: rotation("y", yaw * k) @ rotation("x", pitch * k) @ rotation("z", roll * k)
        return {**moment.limbs, "head": part(0.45), "neck02": part(0.3), "neck01": part(0.25)}

    def _glasses_on(self, v: np.ndarray, kind: str):
        """Frames of thin tubes fitted to the eyes: points, mesh, normals."""
        centre = {s: v[self.eye_vertices[s]].mean(0) for s in "lr"}
        front = max(centre["l"][2], centre["r"][2]) + 0.36
        turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        power, rx, ry = (1.0, 0.205, 0.19) if kind == "round" else (0.55, 0.235, 0.155)
        bend = lambda a: np.sign(a) * np.abs(a) ** power
        tubes = []
        for side, sign in (("l", 1), ("r", -1)):
            cx, cy = centre[side][0], centre[side][1] - 0.03
            depth = front - 0.25 * np.abs(cx + rx * np.cos(turn)) ** 2
            tubes.append(
                (
                    np.c_[cx + rx * bend(np.cos(turn)), cy + ry * bend(np.sin(turn)), depth],
                    0.016,
                    True,
                )
            )
            x0 = cx + sign * rx
            arm = [[x0, cy + 0.05, front - 0.25 * x0**2], [sign * 0.72, cy + 0.05, front - 0.40],
                   [sign * 0.76, cy + 0.06, front - 1.1], [sign * 0.76, cy - 0.08, front - 1.35]]  # fmt: skip
            tubes.append((np.array(arm), 0.014, False))
        inner, y = centre["l"][0] - rx, centre["l"][1] + 0.03
        bridge = [[-inner, y, front - 0.01], [0, y + 0.03, front + 0.01], [inner, y, front - 0.01]]
        tubes.append((np.array(bridge), 0.015, False))
        points, faces = _tubes(tubes)
        if kind not in self._glasses:
            mesh = Mesh(np.dstack([faces, np.zeros_like(faces)]), np.zeros((1, 2), np.float32))
            self._glasses[kind] = mesh, VertexNormals(faces, len(points))
        return points, *self._glasses[kind]

    # ------------------------------------------------------------------ light

    def _occlusion(self, path: Path, directions: int = 96) -> np.ndarray:
        """Per-vertex ambient occlusion of the average body, from depth maps all around; cached."""
        if path.exists():
            return np.load(path)
        v, _ = self.body.shape(dict(gender=0.5, age=0.7), {})
        v = v.astype(np.float32)
        n = self.body.normals(v).astype(np.float32)
        _, flat = self.canvas.upload(self.body_mesh, "occlusion", v, n)
        context, size = self.canvas.ctx, 1024
        depth = context.depth_texture((size, size))
        depth.compare_func = ""
        target = context.framebuffer(depth_attachment=depth)
        lifted = np.c_[v + n * 0.03, np.ones(len(v))]
        seen, total = np.zeros(len(v)), np.zeros(len(v))
        for i in range(directions):
            z, turn = 1 - 2 * (i + 0.5) / directions, i * 2.39996
            d = np.array([np.sqrt(1 - z * z) * np.cos(turn), z, np.sqrt(1 - z * z) * np.sin(turn)])
            matrix = orthographic(11, 5, 55) @ look_at(d * 30, [0, 0, 0])
            target.use()
            context.enable(moderngl.DEPTH_TEST)
            target.clear(depth=1)
            blank = dict(view_projection=matrix, alpha_test=0.0, cut=(0.0, 0.0, 0.0, 0.0))
            set_uniforms(self.canvas.flat, blank)
            flat.render()
            stored = np.frombuffer(depth.read(), "f4").reshape(size, size)
            p = lifted @ matrix.T
            ij = np.clip((p[:, :2] * 0.5 + 0.5) * size, 0, size - 1).astype(int)
            visible = p[:, 2] * 0.5 + 0.5 < stored[ij[:, 1], ij[:, 0]] + 0.0006
            cosine = np.clip(n @ d, 0, 1)
            seen, total = seen + cosine * visible, total + cosine
        occlusion = np.clip(seen / np.maximum(total, 1e-6), 0.05, 1)
        occlusion[13380:] = 1
        np.save(path, occlusion.astype(np.float32))
        return occlusion.astype(np.float32)

    # ------------------------------------------------------------------ picture

    def render(self, people: list[tuple[Person, Moment]], view: View) -> Picture:
        """Paint ``people`` in ``view``."""
        together = len(people) > 1 and view.framing != "full-body"
        level = LEVEL[view.framing] if together else 0.0
        shift = np.array([0.0, -level, 0.0])  # heads of two people come to one height
        placed = [self._place(i, p, m, shift) for i, (p, m) in enumerate(people)]
        drawings = [d for ds, _ in placed for d in ds]
        where = [w for _, w in placed]
        camera, target, height = self._camera(view, where)
        distance = float(np.linalg.norm(camera - target))
        near = max(distance - 25, 1.0)
        matrix = perspective(FIELD_OF_VIEW, near, distance + 40) @ look_at(camera, target)
        light = np.array(view.light) / np.linalg.norm(view.light)
        radius = max(height * 0.62, 3.2)
        shadows = orthographic(radius, 1, 60) @ look_at(target + light * 30, target)
        self._draw_shadows(drawings, shadows)
        self._draw_background(view)
        image = self._draw_people(drawings, view, camera, matrix, shadows, light)
        eyes = [matrix @ np.append(w.eyes, 1) for w in where]
        pixel = lambda q: ((q[0] / q[3] * 0.5 + 0.5), (1 - (q[1] / q[3] * 0.5 + 0.5)))
        points = np.array([pixel(q) for q in eyes]) * self.size
        return Picture(image, self._draw_ids(drawings, matrix), points)

    def _camera(self, view: View, where: list[Placed]):
        """Camera position, target, and the height of what it sees at the target."""
        height = FRAME_HEIGHT[view.framing] * view.zoom
        height *= 1.28 if len(where) > 1 and view.framing != "full-body" else 1.0
        eyes = np.mean([w.eyes for w in where], 0)
        target = eyes + np.array([0, AIM.get(view.framing, 0.0) * view.zoom, -0.6])
        if view.framing == "full-body":
            target[1] = (where[0].low[1] + where[0].high[1]) / 2
        target[:2] += np.array(view.shift) * height
        distance = height / 2 / np.tan(np.deg2rad(FIELD_OF_VIEW / 2))
        turn = rotation("y", view.azimuth) @ rotation("x", -view.elevation)
        return target + turn @ np.array([0, 0, 1.0]) * distance, target, height

    def _draw_shadows(self, drawings: list[Drawing], matrix: np.ndarray) -> None:
        c = self.canvas
        c.ctx.enable(moderngl.DEPTH_TEST)
        c.ctx.disable(moderngl.BLEND)
        c.shadow_target.use()
        c.shadow_target.clear(depth=1.0)
        set_uniforms(c.flat, dict(view_projection=matrix, base_map=0))
        for d in drawings:
            if d.kind in (SKIN, HAIR, CLOTH, PLASTIC):
                self._flat(d, alpha_test=d.kind == HAIR)

    def _flat(self, d: Drawing, *, alpha_test: bool, identity=(0.0, 0.0, 0.0, 0.0)) -> None:
        cut, neck = d.uniforms.get("cut", UNIFORMS["cut"]), d.uniforms.get("neck", UNIFORMS["neck"])
        values = dict(alpha_test=float(alpha_test), id=identity, cut=cut, neck=neck)
        set_uniforms(self.canvas.flat, values)
        (d.base or self.canvas.white).use(0)
        d.flat.render()

    def _draw_background(self, view: View) -> None:
        c = self.canvas
        hour = float(("day", "sunset", "night").index(view.hour))
        c.background_target.use()
        c.ctx.disable(moderngl.DEPTH_TEST)
        set_uniforms(c.places, dict(
            place=PLACES.index(view.place), seed=view.seed, hour=hour, horizon=view.horizon,
            zoom=view.background_zoom, accent=view.accent, depth=0.0,
        ))  # fmt: skip
        c.places_quad.render(moderngl.TRIANGLE_STRIP)
        c.background.build_mipmaps()
        c.multisampled.use()
        c.multisampled.clear(0, 0, 0, 1, depth=1.0)
        c.background.use(0)
        set_uniforms(c.blur, dict(picture=0, level=view.blur, depth=0.9999))
        c.blur_quad.render(moderngl.TRIANGLE_STRIP)

    def _draw_people(self, drawings, view: View, camera, matrix, shadows, light) -> np.ndarray:
        c = self.canvas
        c.ctx.enable(moderngl.DEPTH_TEST)
        shared = dict(
            camera=tuple(camera), light=tuple(light), light_colour=view.light_colour, sky=view.sky,
            ground=view.ground, fill=view.fill, fill_colour=view.fill_colour,
            exposure=view.exposure, view_projection=matrix, shadow_matrix=shadows,
        )  # fmt: skip
        set_uniforms(c.surface, shared)
        c.shadow.use(2)
        for d in sorted(drawings, key=lambda d: DRAW_ORDER[d.kind]):
            set_uniforms(c.surface, {**UNIFORMS, **d.uniforms, "kind": d.kind})
            (d.base or c.white).use(0)
            (d.detail or c.white).use(1)
            if d.kind in (HAIR, LASH):
                c.ctx.enable(moderngl.BLEND)
                c.ctx.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
            c.multisampled.depth_mask = d.kind != LASH
            d.shaded.render()
            c.ctx.disable(moderngl.BLEND)
        c.multisampled.depth_mask = True
        c.ctx.copy_framebuffer(c.resolved, c.multisampled)
        pixels = np.frombuffer(c.resolved.read(components=3), np.uint8)
        return pixels.reshape(self.size, self.size, 3)[::-1].copy()

    def _draw_ids(self, drawings: list[Drawing], matrix: np.ndarray) -> np.ndarray:
        c = self.canvas
        c.ids.use()
        c.ids.clear(0, 0, 0, 0, depth=1.0)
        set_uniforms(c.flat, dict(view_projection=matrix))
        for d in drawings:
            if d.kind != LASH:
                identity = ((d.person + 1) / 255, PARTS[d.kind] / 255, 0.0, 1.0)
                self._flat(d, alpha_test=d.kind == HAIR, identity=identity)
        pixels = np.frombuffer(c.ids.read(components=4), np.uint8)
        return pixels.reshape(self.size, self.size, 4)[::-1, :, :2].copy()


def _tubes(tubes) -> tuple[np.ndarray, np.ndarray]:
    """Points and triangles of six-sided tubes along lists of points (points, radius, closed)."""
    points, faces, sides = [], [], 6
    start = 0
    ring = np.arange(sides) * 2 * np.pi / sides
    for line, radius, closed in tubes:
        n = len(line)
        along = np.roll(line, -1, 0) - np.roll(line, 1, 0)
        if not closed:
            along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
        along = along / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-9)
        a = np.cross(along, [0.1, 1, 0.2])
        a /= np.linalg.norm(a, axis=1, keepdims=True)
        b = np.cross(along, a)
        circle = np.cos(ring)[None, :, None] * a[:, None] + np.sin(ring)[None, :, None] * b[:, None]
        points.append((line[:, None] + radius * circle).reshape(-1, 3))
        for i in range(n if closed else n - 1):
            for j in range(sides):
                near, far = start + i * sides, start + ((i + 1) % n) * sides
                q = near + j, near + (j + 1) % sides, far + (j + 1) % sides, far + j
                faces += [(q[0], q[1], q[2]), (q[0], q[2], q[3])]
        start += n * sides
    return np.concatenate(points).astype(np.float32), np.array(faces)
