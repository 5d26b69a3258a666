"""Whose face is whose; recognisers with stand-ins for packages that are not here."""

import dataclasses
import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from identitystory.errors import ConfigError
from identitystory.metrics import faces
from identitystory.metrics.faces import dlib_similarity, load_recogniser, match
from identitystory.types import Face
from tests.people import tiles


def face(left, top, side, score=1.0):
    return Face((left, top, left + side, top + side), score, torch.ones(3), torch.ones(48, 48))


@pytest.fixture
def masks():
    """(2, 40, 40): the first character left of column 18, the second right of 22."""
    columns = torch.arange(40).expand(40, 40)
    return torch.stack([columns < 18, columns >= 22])


def test_each_face_goes_to_the_mask_that_covers_it(masks):
    left, right = face(2, 5, 10), face(25, 5, 10)
    assert match([right, left], masks) == [left, right]
    assert match([right], masks) == [None, right]
    assert match([], masks) == [None, None]


def test_a_face_in_the_background_is_nobodys(masks):
    assert match([face(18, 0, 4)], masks) == [None, None]
    assert match([face(100, 100, 5)], masks) == [None, None]


def test_of_two_faces_in_a_mask_the_better_covered_one_counts_then_the_surer(masks):
    inside, half, surer = face(2, 2, 8), face(12, 2, 12), face(3, 20, 8, score=2)
    assert match([half, inside], masks)[0] is inside
    assert match([inside, dataclasses.replace(half, score=9.0)], masks)[0] is inside
    assert match([inside, surer], masks)[0] is surer


def test_a_quarter_of_its_box_in_a_mask_is_enough_and_less_is_not(masks):
    quarter, fifth = face(17, 5, 4), face(17, 5, 5)  # one column of four, and of five
    assert match([quarter], masks) == [quarter, None]
    assert match([fifth], masks) == [None, None]


def test_a_face_that_two_masks_cover_is_of_the_one_that_covers_more(masks):
    wide = face(12, 5, 16)  # six columns of each, then one more of the second
    assert match([wide], masks) == [wide, None]
    wide = face(13, 5, 16)
    assert match([wide], masks) == [None, wide]


def test_a_face_over_the_edge_of_the_picture_counts_by_what_is_inside(masks):
    assert match([face(-5, -5, 10)], masks)[0] is not None


def test_a_single_character_has_the_surest_face_when_none_lies_in_the_mask():
    empty = torch.zeros(1, 40, 40, dtype=torch.bool)
    unsure, sure = face(0, 0, 9, score=0.1), face(20, 20, 9, score=0.9)
    assert match([unsure, sure], empty) == [sure]
    assert match([sure], torch.zeros(0, 40, 40, dtype=torch.bool)) == []


def test_dlibs_distance_becomes_a_similarity_by_the_stated_line():
    distance = torch.tensor([0.0, 0.6, 1.2])
    assert_close(dlib_similarity(distance), torch.tensor([1.0, 0.5, 0.0]))


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("dlib", "dlib", "faces"),
        ("sface", "cv2", "faces-sface"),
        ("arcface", "insightface.app", "faces-arcface"),
    ],
)
def test_a_missing_recogniser_names_its_extra(monkeypatch, name, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, module.split(".")[0], None)
    with pytest.raises(ConfigError, match=rf"pip install 'identitystory\[{extra}\]'"):
        load_recogniser(name)


def test_an_unknown_recogniser_is_told_what_there_is():
    with pytest.raises(ConfigError, match="dlib, sface, arcface"):
        load_recogniser("facenet")


@pytest.fixture
def picture():
    """Red left of the middle, blue right of it."""
    image = Image.new("RGB", (80, 60), (200, 0, 0))
    image.paste((0, 0, 250), (40, 0, 80, 60))
    return image


def test_sface_reads_opencvs_rows(monkeypatch, tmp_path, picture):
    """A stand-in for cv2 with its interface: BGR in, rows (x, y, w, h, ten landmarks, score) out."""
    seen = {}

    class Detector:
        def setInputSize(self, size):  # noqa: N802
            seen["size"] = size

        def detect(self, bgr):
            seen["pixel"] = bgr[0, 0].tolist()
            return 1, np.array([[10, 5, 20, 30, *range(10), 0.9]], np.float32)

    class Recogniser:
        def alignCrop(self, bgr, row):  # noqa: N802
            return bgr[:, :40]

        def feature(self, aligned):
            return aligned.reshape(-1, 3).mean(0, keepdims=True).astype(np.float32)

    cv = ModuleType("cv2")
    cv.__version__ = "5.0"
    cv.FaceDetectorYN = SimpleNamespace(create=lambda *_: Detector())
    cv.FaceRecognizerSF = SimpleNamespace(create=lambda *_: Recogniser())
    monkeypatch.setitem(sys.modules, "cv2", cv)
    with pytest.raises(ConfigError, match="--face-models"):
        load_recogniser("sface", tmp_path)
    for file in (faces.YUNET, faces.SFACE):
        (tmp_path / file).touch()
    recogniser = load_recogniser("sface", tmp_path)
    (found,) = recogniser.faces(picture)
    assert seen == {"size": (80, 60), "pixel": [0, 0, 200]}
    assert found.box == (10, 5, 30, 35)
    assert found.score == pytest.approx(0.9)
    assert_close(found.embedding, torch.tensor([0.0, 0.0, 200.0]))
    assert_close(found.chip, torch.full((48, 48), 60 / 255))  # the grey of (200, 0, 0)
    E = torch.tensor([[3.0, 0.0], [0.0, 2.0]])
    assert_close(recogniser.similarity(E, E), torch.eye(2, dtype=torch.float64))
    assert "SFace" in recogniser.name


def test_arcface_reads_insightfaces_objects(monkeypatch, tmp_path, picture):
    found = SimpleNamespace(
        bbox=np.array([1.0, 2, 11, 22]),
        det_score=0.7,
        kps="landmarks",
        normed_embedding=np.eye(4)[0],
    )

    class Analysis:
        def __init__(self, name, **_):
            self.name = name

        def prepare(self, **_):
            pass

        def get(self, bgr):
            assert bgr[0, 0].tolist() == [0, 0, 200]
            return [found]

    def norm_crop(bgr, landmark):
        assert landmark == "landmarks"
        return bgr[:, 40:]

    parts = {
        "insightface": ModuleType("insightface"),
        "insightface.app": ModuleType("insightface.app"),
        "insightface.utils": ModuleType("insightface.utils"),
        "insightface.utils.face_align": ModuleType("insightface.utils.face_align"),
    }
    parts["insightface.app"].FaceAnalysis = Analysis
    parts["insightface.utils.face_align"].norm_crop = norm_crop
    for name, part in parts.items():
        monkeypatch.setitem(sys.modules, name, part)
    with pytest.raises(ConfigError, match="non-commercial"):
        load_recogniser("arcface", tmp_path)
    (tmp_path / "w600k_r50.onnx").touch()
    recogniser = load_recogniser("arcface", tmp_path)
    (one,) = recogniser.faces(picture)
    assert one.box == (1, 2, 11, 22)
    assert_close(one.embedding, torch.eye(4)[0])
    assert_close(one.chip, torch.full((48, 48), round(0.114 * 250) / 255))
    assert "non-commercial" in recogniser.licence


@pytest.mark.parametrize(("size", "scale"), [((128, 256), 4), ((1024, 512), 1)])
def test_dlib_looks_at_512_pixels_and_tells_the_pictures_own(monkeypatch, tmp_path, size, scale):
    """A stand-in for dlib that finds the box 40, 80, 120, 200 in whatever it is shown."""
    box = SimpleNamespace(left=lambda: 40, top=lambda: 80, right=lambda: 120, bottom=lambda: 200)
    seen = []

    def run(pixels, upsample, threshold):
        seen.append((pixels.shape, upsample, threshold))
        return [box], [0.7], [0]

    def chip(pixels, shape, *, size, padding):
        assert (shape, padding) == ("landmarks", 0.0)
        return pixels[:size, :size]

    dlib = ModuleType("dlib")
    dlib.get_frontal_face_detector = lambda: SimpleNamespace(run=run)
    dlib.shape_predictor = lambda file: lambda pixels, box: "landmarks"
    dlib.face_recognition_model_v1 = lambda file: SimpleNamespace(
        compute_face_descriptor=lambda pixels, shape: [1.0, 0.0]
    )
    dlib.get_face_chip = chip
    monkeypatch.setitem(sys.modules, "dlib", dlib)
    weights = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: weights)
    (found,) = load_recogniser("dlib").faces(Image.new("RGB", size, (200, 0, 0)))
    assert seen == [((scale * size[1], scale * size[0], 3), 1, 0.0)]
    assert found.box == tuple(edge / scale for edge in (40, 80, 120, 200))
    assert found.score == pytest.approx(0.7)
    assert_close(found.embedding, torch.tensor([1.0, 0.0]))
    assert_close(found.chip, torch.full((48, 48), 60 / 255))  # the grey of (200, 0, 0)


def test_dlib_knows_people_apart_and_finds_the_box_in_the_pictures_own_pixels():
    """Two pictures each of two drawn people; needs the extra ``faces``."""
    pytest.importorskip("dlib")
    if importlib.util.find_spec("face_recognition_models") is None:
        pytest.skip("face_recognition_models is not installed")

    recogniser = load_recogniser("dlib")
    people = tiles()
    found = [recogniser.faces(row[k]) for row in (people[0], people[3]) for k in (0, 1)]
    assert [len(f) for f in found] == [1, 1, 1, 1]
    left, top, right, bottom = found[0][0].box
    assert 0 < left < right < 256
    assert 0 < top < bottom < 256
    E = torch.stack([f[0].embedding for f in found])
    S = recogniser.similarity(E, E)
    assert_close(S.diagonal(), torch.ones(4, dtype=torch.float64))
    assert min(S[0, 1], S[2, 3]) > S[:2, 2:].max()
    assert found[0][0].chip.std() > 0.02
