"""The recogniser of drawn people: where faces are, what it looks at, whom it knows."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from identitystory.errors import ModelError
from identitystory.metrics.faces import load_recogniser
from identitystory.metrics.little_people import CHIP, HEAD, MARGIN, found, head_at, smaller
from miniature.pictures.recipe import HELD_OUT
from miniature.world.picture import paint
from miniature.world.sampling import draw_person, draw_record
from tests.people import PICTURES, portraits


def told(*faces, h=16, w=24):
    """The finder's answer to faces (logit, row, column, down, right, side)."""
    answer = torch.full((4, h, w), -9.0)
    for logit, row, column, down, right, side in faces:
        answer[:, row, column] = torch.tensor([logit, down, right, math.log(side)])
    return answer


def test_a_face_is_where_the_finder_says():
    (face,) = found(told((4.0, 7, 11, 0.25, -0.5, 0.4)))
    chance = 1 / (1 + math.exp(-4))
    assert_close(face, (chance, 7.75 / 16, 11 / 16, 0.4), rtol=0, atol=1e-6)
    assert found(told((-0.1, 7, 11, 0, 0, 0.4))) == []


def test_of_two_places_in_one_face_the_surer_stays_and_a_second_person_stays_too():
    near, surer, other = (2.0, 7, 8, 0, 0, 0.4), (3.0, 8, 8, 0, 0, 0.4), (1.0, 8, 18, 0, 0, 0.4)
    faces = found(told(near, surer, other))
    assert [round(math.log(p / (1 - p))) for p, *_ in faces] == [3, 1]


@pytest.mark.parametrize("size", [(256, 256), (384, 256), (1024, 1024)])
def test_a_head_is_cut_out_around_its_face_at_any_size(size):
    """A bright face fills 1 / 1.35 of the square, a little below its middle."""
    width, height = size
    side, y, x = 0.3 * height, 0.4 * height, 0.6 * width
    picture = torch.full((3, height, width), -1.0)
    picture[
        :, round(y - side / 2) : round(y + side / 2), round(x - side / 2) : round(x + side / 2)
    ] = 1
    head = (head_at(picture, y, x, side)[0] + 1) / 2
    assert head.shape == (HEAD, HEAD)
    assert head.sum().sqrt().item() == pytest.approx(HEAD / MARGIN, rel=0.02)
    line = torch.arange(HEAD) + 0.5
    middle = [(head.sum(d) * line).sum() / head.sum() / HEAD for d in (1, 0)]
    assert middle == pytest.approx([0.56, 0.5], abs=0.01)


def test_a_picture_is_looked_at_128_pixels_high_and_in_whole_places():
    assert smaller(torch.zeros(1, 3, 256, 384)).shape == (1, 3, 128, 192)
    assert smaller(torch.zeros(1, 3, 100, 103)).shape == (1, 3, 128, 128)


@pytest.fixture(scope="module")
def recogniser():
    return load_recogniser("little-people")


def test_it_finds_every_drawn_portraits_face_and_two_drawings_of_one_are_nearer_than_two_people(
    recogniser,
):
    """24 portraits of eight people whom no network has seen."""
    seen = [recogniser.faces(image) for image in portraits()]
    assert [len(faces) for faces in seen] == [1] * len(seen)
    e = torch.stack([faces[0].embedding for faces in seen])
    similar = recogniser.similarity(e, e)
    who = torch.arange(len(e)) // PICTURES
    same = who[:, None] == who[None]
    alike = similar[same & ~torch.eye(len(e), dtype=torch.bool)]
    assert alike.mean() > 0.7
    assert similar[~same].mean() < 0.2
    nearest = similar.fill_diagonal_(-2).argmax(1)
    assert (who[nearest] == who).float().mean() >= 0.95
    chip = seen[0][0].chip
    assert chip.shape == (CHIP, CHIP)
    assert 0 <= chip.min() < chip.max() <= 1


def test_it_finds_both_of_a_pair_and_nobody_where_nobody_is(recogniser):
    """The boxes lie around the eyes of those who are there; an empty place has none."""
    rng = np.random.default_rng(3)
    people = [draw_person(HELD_OUT + 800_000 + k) for k in range(2)]
    pair, empty = paint(draw_record(rng, people)), paint(draw_record(rng, [], "nobody"))
    faces = sorted(recogniser.faces(Image.fromarray(pair.rgb)), key=lambda face: face.box[0])
    assert len(faces) == 2
    for face, spots in zip(faces, pair.keypoints, strict=True):
        left, top, right, bottom = face.box
        x, y = spots.mean(0)
        assert left < x < right
        assert top < y < bottom
    assert recogniser.faces(Image.fromarray(empty.rgb)) == []


def test_a_broken_recogniser_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"config\.json"):
        load_recogniser("little-people", tmp_path)
    (tmp_path / "config.json").write_text('{"threshold": 0.4}')
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 9)
    with pytest.raises(ModelError, match="is broken"):
        load_recogniser("little-people", tmp_path)
