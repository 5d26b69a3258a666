"""Facts about drawn sets and what is shown of them."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from miniature import paths
from miniature.pictures import draw, faces, latents, people, recipe, sets, views
from miniature.pictures.keypoints import JOINTS, eyes_of, face_place, head_box, skeletons
from miniature.pictures.labels import CATEGORY_NAMES, NOBODY, labels
from miniature.stages import little_people, reader, tower, vae
from miniature.stages.little_people import heads_of, look_at
from miniature.stages.pose_control import RANGE, turned
from miniature.world.head import KEY_POINTS
from miniature.world.pen import HEAD_PARTS, PARTS
from miniature.world.picture import SIZE
from miniature.world.records import CATEGORIES


@pytest.fixture(scope="module", autouse=True)
def drawn(tmp_path_factory):
    """A block of singles and one of pairs."""
    before = paths.os.environ.get(paths.VARIABLE)
    paths.use_state(tmp_path_factory.mktemp("state"))
    for kind in ("singles", "pairs"):
        draw.draw(kind, 64)
    yield
    paths.os.environ.pop(paths.VARIABLE)
    paths.use_state(before)


def test_marks_keep_part_person_and_head():
    rng = np.random.default_rng(0)
    part, person = rng.integers(0, 15, (9, 9)), rng.integers(0, 4, (9, 9))
    head = rng.random((9, 9)) < 0.5
    marks = sets.packed(part, person, head)
    assert (sets.part_of(marks) == part).all()
    assert (sets.person_of(marks) == person).all()
    assert (sets.head_of(marks) == head).all()


def test_a_drawn_set_is_what_the_world_paints():
    data = sets.open_set("singles")
    picture = draw.paint(recipe.record_of("singles", 5), height=256)
    assert (data.rgb[5] == picture.rgb).all()
    assert (sets.part_of(data.marks[5]) == picture.part).all()
    assert data.shots[5].record == recipe.record_of("singles", 5)


def test_what_is_drawn_is_not_drawn_again():
    assert draw.draw("singles", 64) == 0
    assert draw.draw("singles", 65) == 64  # a set can grow
    assert len(sets.open_set("singles").numbers) == 128


def test_a_set_of_another_world_is_not_added_to(monkeypatch):
    monkeypatch.setattr(draw, "world_mark", lambda kind: "another")
    with pytest.raises(SystemExit, match="delete it"):
        draw.draw("singles", 200)


def test_every_module_that_draws_is_in_the_mark_of_the_world(monkeypatch):
    """A change that three records and a small picture do not show is another world, too."""
    known, mark = draw.sources(), draw.world_mark("singles")
    assert {"cat.py", "beard.py", "sampling.py", "recipe.py"} <= set(known)
    assert not {"captions.py", "words.py"} & set(known)
    assert draw.world_mark("singles") == mark
    monkeypatch.setattr(draw, "sources", lambda: known | {"cat.py": known["cat.py"] + "#"})
    assert draw.world_mark("singles") != mark


def test_what_the_tower_says_lies_with_the_pictures(monkeypatch):
    """Of a set that is drawn anew it is not taken from the one before."""
    said = []

    def embed_all(data, numbers, encoder):
        said.append(len(numbers))
        return torch.zeros(len(numbers), 2)

    encoder = SimpleNamespace(vision_model=torch.nn.Linear(1, 1).requires_grad_(False))
    monkeypatch.setattr(tower, "embed_all", embed_all)
    monkeypatch.setattr(tower, "load_encoder", lambda: encoder)
    data = sets.open_set("singles")
    for _ in range(2):
        assert len(people.embedded(data).numbers) == said[0]
    assert len(said) == 1
    (data.folder / "embeddings.pt").unlink()
    people.embedded(data)
    assert len(said) == 2


def test_every_person_of_the_singles_has_two_portraits():
    of = faces.portraits(sets.open_set("singles"))
    people = {w for s in sets.open_set("singles").shots.values() for w in s.people}
    assert set(of) == people


def test_some_singles_show_nobody():
    framings = [s.record.framing for s in sets.open_set("singles").shots.values()]
    assert framings.count("nobody") == framings.count("nobody") // recipe.NOBODY * recipe.NOBODY > 0


def test_held_out_people_are_in_no_training_set():
    trained = {w for k in ("singles", "pairs", "threes", "strangers") for n in range(400)
               for w in recipe.cast_of(k, n)[0]}  # fmt: skip
    held = {w for k in ("held_out", "held_out_pairs") for n in range(400)
            for w in recipe.cast_of(k, n)[0]}  # fmt: skip
    assert not trained & held


def test_pairs_are_of_people_of_whom_there_are_portraits():
    singles = {w for n in range(640) for w in recipe.cast_of("singles", n)[0]}
    pairs = {w for n in range(256) for w in recipe.cast_of("pairs", n)[0]}
    assert pairs <= singles


def test_held_out_scenes_are_never_drawn_for_training():
    for n in range(300):
        record = recipe.record_of("singles", 9000 + n)
        scenes = {(record.place.name, m.expression) for m in record.moments}
        assert not scenes & recipe.HELD_OUT_SCENES


def test_nothing_is_measured_on_what_was_trained_on(monkeypatch):
    monkeypatch.setattr(reader, "load_reader", lambda: None)
    monkeypatch.setattr(little_people, "load_recogniser", lambda: None)
    for report in (reader.report, reader.turns, little_people.report):
        with pytest.raises(SystemExit, match=r"held_out has no pictures .*draw held_out"):
            report()


def test_labels_say_what_the_record_says_and_nothing_of_nobody():
    shots = sets.open_set("singles").shots
    alone = next(s.record for s in shots.values() if s.record.people)
    empty = next(s.record for s in shots.values() if not s.record.people)
    at = {k: n for n, k in enumerate(CATEGORY_NAMES)}
    assert CATEGORIES["hair"][labels(alone, 0)[at["hair"]]] == alone.people[0].hair
    assert labels(empty, 0)[at["hair"]] == NOBODY
    assert CATEGORIES["place"][labels(empty, 0)[at["place"]]] == empty.place.name


def test_windows_are_cut_where_they_say():
    data = sets.open_set("pairs")
    w = views.windows([data], [1.0], 4, 64, np.random.default_rng(1), step=16, mirror=False)
    for x, (_, number, top, left) in zip(w.x, w.picks, strict=True):
        assert top % 16 == left % 16 == 0
        cut = data.rgb[number][top : top + 64, left : left + 64]
        assert (views.to_images(x[None])[0] == cut).all()
    assert w.weight.mean().item() == pytest.approx(1, abs=1e-5)


def test_faces_are_where_the_eyes_are():
    data = sets.open_set("singles")
    number = faces.portraits(data)[0][0]
    top, bottom, left, right = head_box(data, number)
    y, x = eyes_of(data, number)
    assert top < y < bottom
    assert left < x < right
    place = face_place(data, number)
    assert place[0] == pytest.approx(2 * x / 256 - 1)
    assert 0.1 <= place[2] <= 0.5
    nobody = next(n for n, s in data.shots.items() if not s.people)
    assert np.isnan(face_place(data, nobody)).all()


def test_skeletons_lie_on_the_faces():
    """Drawn from angles alone they are within a sixth of half a head of the face's own points."""
    data, apart = sets.open_set("singles"), []
    for n in range(64):
        record = data.shots[n].record
        for k, (own, general) in enumerate(
            zip(skeletons(data, n, own=True), skeletons(data, n, own=False), strict=True)
        ):
            assert own.keys() == general.keys()
            spots = dict(zip(KEY_POINTS, data.shots[n].keypoints[k], strict=True))
            for name, joint in JOINTS.items():
                if joint in own:
                    assert own[joint] == pytest.approx(tuple(spots[name]))
                    s = SIZE[record.framing][0] * 256
                    apart.append(np.hypot(*np.subtract(general[joint], spots[name])) / s)
    assert 0.01 < np.mean(apart) < 0.17


def test_a_head_is_cut_out_of_a_picture_of_two():
    data = sets.open_set("pairs")
    rows, people = heads_of(data)
    assert len(rows) == 128
    assert len(people) == 32
    x = look_at(data, rows[:2], None)
    assert x.shape == (2, 3, 96, 96)
    assert not torch.equal(x[0], x[1])  # the left and the right one of one picture


class Patches(torch.nn.Module):
    """Stands in for the autoencoder: a cell's latents are a linear map of its pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = torch.nn.Conv2d(3, vae.CHANNELS, latents.FACTOR, latents.FACTOR)
        self.requires_grad_(False)

    def encode(self, x):
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=self.encoder(x)))


def test_latents_are_stored_once_for_each_encoder_normalised(monkeypatch):
    first, second = Patches(), Patches()
    monkeypatch.setattr(vae, "load_encoder_side", lambda: first)
    assert latents.encode(names=("pairs",)) == 64
    of = latents.Latents(sets.open_set("pairs"))
    z, cells = of.arrays(vae.CHANNELS)
    assert z.shape == (64, vae.CHANNELS, 16, 24)
    np.testing.assert_allclose(z.mean((0, 2, 3), dtype=float), 0, atol=1e-3)
    np.testing.assert_allclose(z.std((0, 2, 3), dtype=float), 1, atol=1e-3)
    mean, std = latents.load_norm()
    with torch.no_grad():
        alone = first.encoder(views.to_tensor(of.data.rgb[[40]]))
    np.testing.assert_allclose(z[40], ((alone - mean) / std)[0], atol=2e-2)
    assert (cells[40] == latents.shares_of_cells(of.data, of.data.marks[40:41])[0]).all()

    assert latents.encode(names=("pairs",)) == 0
    monkeypatch.setattr(vae, "load_encoder_side", lambda: second)
    assert latents.encode(names=("pairs",)) == 64


def test_a_set_that_grew_is_read_as_far_as_it_is_encoded(monkeypatch):
    monkeypatch.setattr(vae, "load_encoder_side", Patches)
    data = sets.open_set("pairs")
    latents.encode(names=("pairs",))
    before = latents.Latents(data).arrays(vae.CHANNELS)[0][5].copy()
    known = data.spec["count"]
    spec = data.folder / "spec.json"
    spec.write_text(json.dumps(data.spec | {"count": known + 64}))
    try:
        grown = latents.Latents(sets.open_set("pairs"))
        z, cells = grown.arrays(vae.CHANNELS)
        assert len(z) == len(cells) == known
        assert len(grown.numbers) == known
        assert (z[5] == before).all()
    finally:
        spec.write_text(json.dumps(data.spec))


class Halved(Patches):
    """Stands in for a whole autoencoder: half of everything comes back as it was."""

    def encode(self, x):
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=x / 2))

    def decode(self, z):
        return SimpleNamespace(sample=2 * z)


def test_what_went_through_the_autoencoder_does_not_again(monkeypatch):
    """A stage that was broken off and given again goes on."""
    one, another = Halved(), Halved()
    monkeypatch.setattr(vae, "load_vae", lambda: one)
    monkeypatch.setattr(little_people, "NOISE", 0.0)
    data = sets.open_set("pairs")
    through = little_people.Through(data)
    through.make()
    assert list(little_people.Through(data).numbers) == data.numbers[::3].tolist()
    assert (through.array()[1] == data.rgb[3]).all()
    through.array("r+")[1] = 7
    little_people.Through(data).make()
    assert (through.array()[1] == 7).all()
    monkeypatch.setattr(vae, "load_vae", lambda: another)
    little_people.Through(data).make()
    assert (through.array()[1] == data.rgb[3]).all()


def test_shares_of_cells_add_up():
    data = sets.open_set("pairs")
    shares = latents.shares_of_cells(data, data.marks[:4]).astype(float) / 255
    assert shares.shape == (4, len(latents.GROUPS), 16, 24)
    at = latents.GROUPS.index
    people = shares[:, [at("person 1"), at("person 2"), at("person 3")]].sum(1)
    assert np.abs(people + shares[:, at("place")] - 1).max() < 0.02
    heads = np.isin(sets.part_of(data.marks[:4]), [PARTS.index(p) for p in HEAD_PARTS])
    drawn = heads.reshape(4, 16, 16, 24, 16).mean((2, 4))
    mine = shares[:, [at("head 1"), at("head 2")]].sum(1)
    assert np.abs(mine - drawn).max() < 0.02


def test_only_who_is_alone_is_asked_to_turn():
    data = sets.open_set("singles")
    asked = turned(data, np.array([3, 63]))  # the last pictures of a block show nobody
    moment = data.shots[3].record.moments[0]
    assert (asked[0] * torch.tensor(RANGE)).tolist() == pytest.approx([moment.yaw, moment.pitch])
    assert asked[1].isnan().all()
    assert turned(sets.open_set("pairs"), np.array([0])).isnan().all()
