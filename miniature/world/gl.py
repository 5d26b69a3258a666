"""OpenGL without a window: programs, buffers, textures. ``render`` decides what is drawn."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import moderngl
import numpy as np
from PIL import Image

from .body import Mesh

SHADERS = Path(__file__).parent / "shaders"
LINEAR = (moderngl.LINEAR, moderngl.LINEAR)
MIPMAPPED = (moderngl.LINEAR_MIPMAP_LINEAR, moderngl.LINEAR)


@cache
def source(name: str) -> str:
    """A shader's text with its includes."""
    text = (SHADERS / name).read_text()
    for mark, include in (("//NOISE\n", "noise.glsl"), ("//CUT\n", "cut.glsl")):
        text = text.replace(mark, (SHADERS / include).read_text())
    return text


def perspective(fov: float, near: float, far: float) -> np.ndarray:
    """(4, 4) projection of a square picture; ``fov`` in degrees."""
    t = 1 / np.tan(np.deg2rad(fov) / 2)
    a, b = (far + near) / (near - far), 2 * far * near / (near - far)
    return np.array([[t, 0, 0, 0], [0, t, 0, 0], [0, 0, a, b], [0, 0, -1, 0]])


def orthographic(radius: float, near: float, far: float) -> np.ndarray:
    """(4, 4) parallel projection of a square of half side ``radius``."""
    a, b = -2 / (far - near), -(far + near) / (far - near)
    return np.array([[1 / radius, 0, 0, 0], [0, 1 / radius, 0, 0], [0, 0, a, b], [0, 0, 0, 1.0]])


def look_at(eye, centre) -> np.ndarray:
    """(4, 4) view matrix."""
    f = np.asarray(centre, float) - eye
    f /= np.linalg.norm(f)
    s = np.cross(f, (0, 1, 0) if abs(f[1]) < 0.95 else (0, 0, 1))
    s /= np.linalg.norm(s)
    m = np.eye(4)
    m[0, :3], m[1, :3], m[2, :3] = s, np.cross(s, f), -f
    m[:3, 3] = -m[:3, :3] @ eye
    return m


class Canvas:
    """A GL context with the targets that one picture of ``size`` pixels needs."""

    def __init__(self, size: int, samples: int = 4, shadow_size: int = 768):
        c = self.ctx = moderngl.create_context(standalone=True, backend="egl")
        self.size = size
        program = lambda v, f: c.program(vertex_shader=source(v), fragment_shader=source(f))
        self.surface = program("surface.vert", "surface.frag")
        self.flat = program("flat.vert", "flat.frag")
        self.places = program("quad.vert", "places.frag")
        self.blur = program("quad.vert", "blur.frag")
        quad = c.buffer(np.array([-1, -1, 1, -1, -1, 1, 1, 1], "f4"))
        self.places_quad = c.vertex_array(self.places, [(quad, "2f", "p")])
        self.blur_quad = c.vertex_array(self.blur, [(quad, "2f", "p")])
        shape = (size, size)
        self.multisampled = c.framebuffer(
            [c.renderbuffer(shape, 4, samples=samples)],
            c.depth_renderbuffer(shape, samples=samples),
        )
        self.resolved = c.framebuffer([c.texture(shape, 4)])
        self.background = c.texture(shape, 4)
        self.background.filter = MIPMAPPED
        self.background_target = c.framebuffer([self.background])
        self.shadow = c.depth_texture((shadow_size, shadow_size))
        self.shadow.compare_func, self.shadow.filter = "<=", LINEAR
        self.shadow_target = c.framebuffer(depth_attachment=self.shadow)
        self.ids = c.framebuffer([c.texture(shape, 4)], c.depth_renderbuffer(shape))
        self.white = self.texture(np.full((4, 4, 4), 255, np.uint8))
        self._files: dict = {}
        self._buffers: dict = {}

    def texture(self, pixels: np.ndarray) -> moderngl.Texture:
        """A mipmapped texture of (h, w, c) uint8 pixels."""
        pixels = np.ascontiguousarray(pixels)
        h, w, channels = pixels.shape
        texture = self.ctx.texture((w, h), channels, pixels.tobytes())
        texture.build_mipmaps()
        texture.filter = MIPMAPPED
        return texture

    def file_texture(self, path: Path, size: int):
        """(texture, mean luminance of its opaque part) of a picture file, at most ``size`` wide."""
        if path not in self._files:
            image = Image.open(path).convert("RGBA")
            if max(image.size) > size:
                image = image.resize((size, size * image.height // image.width), Image.LANCZOS)
            a = np.asarray(image)
            luminance, opaque = (a[..., :3] @ [0.3, 0.6, 0.1]) / 255, a[..., 3] > 128
            mean = float(luminance[opaque].mean()) if opaque.any() else 0.5
            self._files[path] = (self.texture(a), mean)
        return self._files[path]

    def upload(self, mesh: Mesh, slot, v: np.ndarray, n: np.ndarray, ao: np.ndarray | None = None):
        """Vertex arrays (shaded, flat) of ``mesh`` at positions v, normals n. A slot is one person."""
        key = (id(mesh), slot)
        if key not in self._buffers:
            buffer = self.ctx.buffer(reserve=len(mesh.source) * 36, dynamic=True)
            index = self.ctx.buffer(mesh.triangles.astype("i4"))
            shaded = [(buffer, "3f 3f 2f 1f", "p", "n", "uv", "ao")]
            flat = [(buffer, "3f 12x 2f 4x", "p", "uv")]
            self._buffers[key] = (
                buffer,
                self.ctx.vertex_array(self.surface, shaded, index),
                self.ctx.vertex_array(self.flat, flat, index),
                mesh,  # keeps id(mesh) ours
            )
        rows = np.empty((len(mesh.source), 9), np.float32)
        rows[:, :3], rows[:, 3:6] = v[mesh.source], n[mesh.source]
        rows[:, 6:8], rows[:, 8] = mesh.uv, 1 if ao is None else ao[mesh.source]
        buffer, shaded_array, flat_array, _ = self._buffers[key]
        buffer.write(rows.tobytes())
        return shaded_array, flat_array


def set_uniforms(program: moderngl.Program, values: dict) -> None:
    """Write what the program has of ``values``; matrices are given row-major."""
    for name, value in values.items():
        if name not in program:
            continue
        if isinstance(value, np.ndarray) and value.ndim == 2:
            program[name].write(value.T.astype("f4").tobytes())
        else:
            program[name].value = value
