"""dlib's face detector and recogniser (CC0 weights of ``face_recognition_models``)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import dlib
import numpy as np
from PIL import Image

DETECTION_SIZE = 512  # the detector's smallest face is 80 px; small pictures are enlarged to this


class Faces:
    """HOG detector, five landmarks, ResNet-29 embedding."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("face_recognition_models")
        if spec is None or spec.origin is None:
            raise SystemExit("pip install 'identitystory[faces]' brings the recogniser's weights")
        models = Path(spec.origin).parent / "models"
        self.detector = dlib.get_frontal_face_detector()
        self.landmarks = dlib.shape_predictor(str(models / "shape_predictor_5_face_landmarks.dat"))
        self.recogniser = dlib.face_recognition_model_v1(
            str(models / "dlib_face_recognition_resnet_model_v1.dat")
        )

    def embed(self, image: Image.Image) -> np.ndarray | None:
        """(128,) descriptor of the most confident face, or None. Distances under 0.6 usually mean
        the same person for photographs."""
        size = (DETECTION_SIZE, DETECTION_SIZE)
        a = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
        boxes, scores, _ = self.detector.run(a, 1, 0.0)
        if not boxes:
            return None
        box = boxes[int(np.argmax(scores))]
        return np.array(self.recogniser.compute_face_descriptor(a, self.landmarks(a, box)))


def auc(same: np.ndarray, different: np.ndarray) -> float:
    """Probability that a distance within one character is smaller than one between two."""
    less = (same[:, None] < different[None]).mean()
    return float(less + 0.5 * (same[:, None] == different[None]).mean())
