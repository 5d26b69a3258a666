"""Recognisers for Face-Sim, and which face in a picture is whose.

The paper uses ArcFace; its weights may be used for research only. Scores of different recognisers
cannot be compared, so every result names the one it comes from.

| name    | detector, recogniser | weights come with                              | their licence |
| ------- | -------------------- | ---------------------------------------------- | ------------- |
| dlib    | HOG, ResNet-29       | the extra ``faces``                            | CC0           |
| little-people | its own, of drawn people only | the package                     | Apache-2.0    |
| sface   | YuNet, SFace         | OpenCV's model zoo, by hand                    | MIT, Apache-2.0 |
| arcface | SCRFD, ArcFace       | InsightFace's pack buffalo_l, by hand          | non-commercial research only |
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..errors import ConfigError
from ..extensions import needed, not_installed
from ..models import arcface
from ..models.arcface import as_bgr, floats
from ..models.face_pack import PACKS, TERMS, insightface
from ..models.files.store import short_digest
from ..protocols import FaceRecogniser
from ..types import Face
from .little_people import load_little_people
from .scores import cosine

CHIP = 48  # pixels a side of a face turned upright
MIN_SHARE = 0.25  # of a face's box that must lie in a character's mask
DLIB_SIDE = 512  # smaller pictures are enlarged: HOG's smallest face has 80 pixels
DLIB_THRESHOLD = 0.6  # dlib's own: photographs nearer than this are of one person
YUNET, SFACE = "face_detection_yunet_2023mar.onnx", "face_recognition_sface_2021dec.onnx"
ARCFACE = Path(PACKS) / "buffalo_l"


def match(faces: Sequence[Face], masks: Tensor) -> list[Face | None]:
    """Whose face is whose: for each mask the face that lies in it best, or None.

    A face belongs to the one character whose mask covers most of its box, if that is a quarter or
    more. In a picture of a single character a face that lies in no mask will do: the surest one.

    Args:
        faces: of one picture.
        masks: (s, H, W) bool, exclusive, one a character.
    """
    best: list[tuple[float, float, Face] | None] = [None] * len(masks)
    for face in faces:
        shares = [_share(face, mask) for mask in masks]
        if not shares or max(shares) < MIN_SHARE:
            continue
        owner = int(np.argmax(shares))
        current = best[owner]
        if current is None or (shares[owner], face.score) > current[:2]:
            best[owner] = (shares[owner], face.score, face)
    found = [entry[2] if entry else None for entry in best]
    if len(found) == 1 and found[0] is None and faces:
        return [max(faces, key=lambda face: face.score)]
    return found


def _share(face: Face, mask: Tensor) -> float:
    height, width = mask.shape
    left, top, right, bottom = (round(edge) for edge in face.box)
    inside = mask[max(0, top) : min(height, bottom), max(0, left) : min(width, right)]
    return float(inside.float().mean()) if inside.numel() else 0.0


def dlib_similarity(distance: Tensor) -> Tensor:
    """A similarity of dlib's distance d: ``1 - d / 1.2``.

    Equal faces have 1, dlib's own threshold d = 0.6 has 0.5, twice the threshold 0. It is linear,
    so that the mean similarity is that of the mean distance. Not a cosine.
    """
    return 1 - distance / (2 * DLIB_THRESHOLD)


class Dlib:
    """HOG detector, five landmarks, ResNet-29 embedding (128,); weights are CC0."""

    licence = "CC0"
    scale = "1 - d / 1.2 of dlib's distance d: 1 equal, 0.5 dlib's threshold for one person"

    def __init__(self) -> None:
        """Raises ConfigError where the extra ``faces`` is not installed."""
        self.dlib = needed("dlib", "faces", "dlib")
        spec = importlib.util.find_spec("face_recognition_models")
        if spec is None or spec.origin is None:
            raise ConfigError(
                not_installed("dlib", "faces", "the weights in face_recognition_models")
            )
        models = Path(spec.origin).parent / "models"
        self.detector = self.dlib.get_frontal_face_detector()
        self.landmarks = self.dlib.shape_predictor(
            str(models / "shape_predictor_5_face_landmarks.dat")
        )
        self.recogniser = self.dlib.face_recognition_model_v1(
            str(models / "dlib_face_recognition_resnet_model_v1.dat")
        )
        self.name = (
            f"dlib {_version('dlib-bin', 'dlib')} (HOG, ResNet-29), "
            f"face_recognition_models {_version('face_recognition_models')}"
        )

    def faces(self, image: Image.Image) -> list[Face]:
        """Every face that HOG finds, the picture enlarged to 512 pixels where it is smaller."""
        rgb = image.convert("RGB")
        scale = max(1.0, DLIB_SIDE / min(rgb.size))
        if scale > 1:
            size = (round(rgb.width * scale), round(rgb.height * scale))
            rgb = rgb.resize(size, Image.Resampling.BICUBIC)
        pixels = np.asarray(rgb)
        boxes, scores, _ = self.detector.run(pixels, 1, 0.0)
        return [
            self._face(pixels, box, score, scale) for box, score in zip(boxes, scores, strict=True)
        ]

    def _face(self, pixels: Any, box: Any, score: float, scale: float) -> Face:
        shape = self.landmarks(pixels, box)
        embedding = np.asarray(self.recogniser.compute_face_descriptor(pixels, shape))
        edges = (box.left(), box.top(), box.right(), box.bottom())
        left, top, right, bottom = (edge / scale for edge in edges)
        chip = self.dlib.get_face_chip(pixels, shape, size=CHIP, padding=0.0)
        return Face((left, top, right, bottom), float(score), floats(embedding), grey(chip))

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """(n, m); see ``dlib_similarity``."""
        return dlib_similarity((a.double()[:, None] - b.double()[None]).norm(dim=2))


class _ByCosine:
    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """(n, m) cosines."""
        return cosine(a, b)


class OpenCV(_ByCosine):
    """YuNet detector and SFace embedding (128,), compared by cosine."""

    licence = "YuNet MIT, SFace Apache-2.0"
    scale = "cosine; OpenCV's threshold for one person is 0.363"

    def __init__(self, models: Path | None) -> None:
        """``models``: the folder with both .onnx files of OpenCV's model zoo."""
        self.cv = needed("cv2", "faces-sface", "sface")
        if models is None or not all((models / file).is_file() for file in (YUNET, SFACE)):
            raise ConfigError(
                f"sface needs {YUNET} and {SFACE} of OpenCV's model zoo (MIT, Apache-2.0); give "
                "their folder with --face-models FOLDER"
            )
        self.detector = self.cv.FaceDetectorYN.create(str(models / YUNET), "", (320, 320))
        self.recogniser = self.cv.FaceRecognizerSF.create(str(models / SFACE), "")
        self.name = f"OpenCV {self.cv.__version__} (YuNet 2023mar, SFace 2021dec)"

    def faces(self, image: Image.Image) -> list[Face]:
        """Every face that YuNet finds."""
        bgr = as_bgr(image)
        self.detector.setInputSize((image.width, image.height))
        _, rows = self.detector.detect(bgr)
        found = []
        for row in rows if rows is not None else ():
            aligned = self.recogniser.alignCrop(bgr, row)
            left, top, width, height = (float(v) for v in row[:4])
            embedding = np.asarray(self.recogniser.feature(aligned)).reshape(-1)
            box = (left, top, left + width, top + height)
            chip = grey(np.asarray(aligned)[..., ::-1])
            found.append(Face(box, float(row[14]), floats(embedding), chip))
        return found


class ArcFace(_ByCosine):
    """InsightFace's detector and ArcFace embedding (512,), compared by cosine; the paper's measure."""

    licence = TERMS
    scale = "cosine"

    def __init__(self, models: Path | None) -> None:
        """``models``: the folder of a pack such as buffalo_l; None is InsightFace's own place."""
        self.align = insightface("insightface.utils.face_align")
        folder = (models or ARCFACE).expanduser()
        if not any(folder.glob("*.onnx")):
            raise ConfigError(
                f"arcface finds no .onnx file in {folder}; put InsightFace's pack buffalo_l there "
                "(non-commercial research only), or give its folder with --face-models FOLDER"
            )
        self.analysis = arcface.ArcFace(folder).analysis
        weights = short_digest(folder, files="*.onnx")
        version = _version("insightface")
        self.name = f"insightface {version} (ArcFace, {folder.name}, sha256 {weights})"

    def faces(self, image: Image.Image) -> list[Face]:
        """Every face that the pack's detector finds."""
        bgr = as_bgr(image)
        found = []
        for face in self.analysis.get(bgr):
            left, top, right, bottom = (float(v) for v in face.bbox)
            chip = grey(self.align.norm_crop(bgr, landmark=face.kps)[..., ::-1])
            box, embedding = (left, top, right, bottom), floats(face.normed_embedding)
            found.append(Face(box, float(face.det_score), embedding, chip))
        return found


RECOGNISERS: dict[str, Callable[[Path | None], FaceRecogniser]] = {
    "dlib": lambda models: Dlib(),
    "sface": OpenCV,
    "arcface": ArcFace,
    "little-people": load_little_people,
}


def load_recogniser(name: str, models: Path | None = None) -> FaceRecogniser:
    """The recogniser called ``name``; ``models`` is the folder of its weights where it takes one.

    Raises:
        ConfigError: there is none of that name, or its package or weights are not here.
    """
    if name not in RECOGNISERS:
        raise ConfigError(f"no recogniser is called {name!r}; there are {', '.join(RECOGNISERS)}")
    return RECOGNISERS[name](models)


def grey(pixels: Any) -> Tensor:
    """(48, 48) float32 in [0, 1] of an RGB array (H, W, 3) uint8."""
    image = Image.fromarray(np.ascontiguousarray(pixels)).convert("L")
    image = image.resize((CHIP, CHIP), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).float() / 255


def _version(*packages: str) -> str:
    for package in packages:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    return "of unknown version"
