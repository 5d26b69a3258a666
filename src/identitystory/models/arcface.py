"""InsightFace's reader of faces: where they are, and ArcFace's embedding of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..sizes import Size
from .face_pack import insightface

# Where ArcFace has a face's five points when it reads it, of a square of 112 pixels (Deng et al. 2019).
ALIGNED = ((38.29, 51.70), (73.53, 51.50), (56.03, 71.74), (41.55, 92.37), (70.73, 92.20))
SIDE, SHARE, HEIGHT = (
    112,
    0.5,
    0.4,
)  # its side; a portrait's: of the shorter side, and its middle's place
MOST = 3  # of a face's five points: whose mask they lie in, theirs is the face


@dataclass(frozen=True)
class Seen:
    """A face in a picture.

    Attributes:
        embedding: (512,) float32, ArcFace's, not normalised.
        points: (5, 2) float32, x and y in pixels of the picture: the eye on the left, the eye on the
            right, the nose's tip, the mouth's left corner and its right one.
        area: of its box, in square pixels.
    """

    embedding: Tensor
    points: Tensor
    area: float


class ArcFace:
    """A pack of InsightFace, opened on the CPU.

    Attributes:
        analysis: its ``FaceAnalysis``, with detector and recogniser alone.
    """

    def __init__(self, folder: Path) -> None:
        """Opens the .onnx files of the pack in ``folder``.

        Raises:
            ConfigError: the package is not installed.
        """
        self.analysis = insightface("insightface.app").FaceAnalysis(
            name=str(folder.expanduser().absolute()),
            allowed_modules=["detection", "recognition"],
            providers=["CPUExecutionProvider"],
        )
        self.analysis.prepare(ctx_id=-1, det_size=(640, 640))

    def faces(self, image: Image.Image) -> list[Seen]:
        """Every face in ``image``, the largest first."""
        found = []
        for face in self.analysis.get(as_bgr(image)):
            left, top, right, bottom = (float(edge) for edge in face.bbox)
            area = max(0.0, right - left) * max(0.0, bottom - top)
            found.append(Seen(floats(face.embedding).flatten(), floats(face.kps), area))
        return sorted(found, key=lambda face: -face.area)


def whose(faces: Sequence[Seen], masks: Tensor) -> list[Tensor | None]:
    """For each mask the points of the largest face that most of whose points lie in it, or None.

    Args:
        faces: of one picture, the largest first.
        masks: (s, H, W) bool, exclusive, one a character.
    """
    height, width = masks.shape[-2:]
    found: list[Tensor | None] = [None] * len(masks)
    for face in faces:
        x, y = face.points.round().long().unbind(1)
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        hits = masks[:, y[inside], x[inside]].sum(dim=1).tolist()
        for j, count in enumerate(hits):
            if count >= MOST and found[j] is None:
                found[j] = face.points
    return found


def in_a_portrait(size: Size) -> Tensor:
    """(5, 2), the points of an upright face in the middle of a portrait of ``size``, seen from the front."""
    width, height = size
    side = SHARE * min(size)
    middle = torch.tensor([width / 2, HEIGHT * height])
    return middle + side * (torch.tensor(ALIGNED) / SIDE - 0.5)


def as_bgr(image: Image.Image) -> Any:
    """(H, W, 3) uint8, as OpenCV has pictures."""
    return np.ascontiguousarray(np.asarray(image.convert("RGB"))[..., ::-1])


def floats(values: Any) -> Tensor:
    """``values`` as a float32 tensor."""
    return torch.tensor(np.asarray(values, dtype=np.float32))
