"""The table on planted truth: stories whose faces, crops and words are known numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from identitystory.errors import ConfigError
from identitystory.experiments.tables import percent
from identitystory.metrics import measures as measures_
from identitystory.metrics.evidence import (
    GREY,
    Evidence,
    Instruments,
    MeasuredStory,
    Member,
    Picture,
    cut_out,
    look,
    rate,
)
from identitystory.metrics.measures import (
    MEASURES,
    Measure,
    attribute_scores,
    chosen_measures,
    described,
    score,
)
from identitystory.metrics.pooling import pooled
from identitystory.metrics.scores import cosine
from identitystory.types import Face, Segmentation

RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)
ANN, BOB = Member("Ann", "a tall woman", "key-ann"), Member("Bob", "a short man", "key-bob")
TWIN = Member("Ann", "A tall woman", "key-ann-2")  # somebody else of Ann's words


class Colours:
    """An encoder whose vector of a picture is its mean colour, of a text the colours it names."""

    name, limit = "colours 1", 77

    def pictures(self, images):
        means = [np.asarray(i.convert("RGB")).mean((0, 1)) for i in images]
        rows = [torch.from_numpy(mean) for mean in means]
        return torch.stack(rows).float() if rows else torch.zeros(0, 3)

    def texts(self, texts):
        names = ("red", "green", "blue")
        return torch.tensor([[float(n in t) for n in names] for t in texts]).reshape(-1, 3)


class Squares:
    """A recogniser that sees a face wherever there is a coloured square; its colour is who it is."""

    name, licence, scale = "squares 1", "CC0", "cosine"

    def faces(self, image):
        found = []
        pixels = np.asarray(image)
        for colour in (RED, BLUE):
            ys, xs = np.nonzero((pixels == colour).all(2))
            if len(xs):
                edges = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
                chip = torch.arange(4.0).view(2, 2) + len(xs)
                found.append(Face(edges, 1.0, torch.tensor(colour).float(), chip))
        return found

    def similarity(self, a, b):
        return cosine(a, b)


def mask(left):
    """(1, 12, 12), the left or the right half."""
    columns = torch.arange(12).expand(12, 12)
    return (columns < 6 if left else columns >= 6)[None]


def paint(path, *squares, ground=BLACK):
    """A 12 x 12 picture with a 4 x 4 square of a colour in its left or right half."""
    image = Image.new("RGB", (12, 12), ground)
    for left, colour in squares:
        image.paste(colour, (1, 4, 5, 8) if left else (7, 4, 11, 8))
    image.save(path)
    return path


def told(name, *pictures, people=1):
    return MeasuredStory(name, tuple(pictures), people)


def single(path, member, colour, prompt="a red thing"):
    squares = [(True, colour)] if colour else []
    return Picture(paint(path, *squares), prompt, (member,), mask(True))


def table(seen, instruments):
    return {s.name: s for s in score(seen, instruments, samples=50)}


def story_of(folder, name, member, colours):
    folder = folder / name
    folder.mkdir()
    pictures = [single(folder / f"{k}.png", member, c) for k, c in enumerate(colours)]
    return told(name, *pictures)


def looked(folder, instruments, *stories):
    """Each (member, colours of its faces) as a story of its own, looked at."""
    names = "abcd"[: len(stories)]
    return [
        look(story_of(folder, name, *story), instruments)
        for name, story in zip(names, stories, strict=True)
    ]


@pytest.fixture
def with_faces():
    return Instruments(recogniser=Squares())


def test_one_face_kept_has_face_sim_1_and_a_missing_one_lowers_only_the_strict_score(
    tmp_path, with_faces
):
    values = table(looked(tmp_path, with_faces, (ANN, (RED, RED, RED, None))), with_faces)
    assert values["Face-Sim"].value == pytest.approx(1)
    assert values["Face-Sim strict"].value == pytest.approx(3 / 6)
    assert values["face detection"].value == pytest.approx(3 / 4)
    assert values["face diversity"].value == pytest.approx(0, abs=1e-9)
    assert math.isnan(values["AUC"].value)
    assert values["AUC"].stories == 0


def test_a_character_that_changes_its_face_drops(tmp_path, with_faces):
    values = table(looked(tmp_path, with_faces, (ANN, (RED, BLUE, RED))), with_faces)
    assert values["Face-Sim"].value == pytest.approx(1 / 3)


def test_two_runs_of_one_description_are_different_people(tmp_path, with_faces):
    """Apart they have AUC 1; looking all alike gives chance; others' words do not enter "alike"."""
    stories = (ANN, (RED, RED)), (TWIN, (BLUE, BLUE)), (BOB, (RED, RED))
    apart = looked(tmp_path, with_faces, *stories)
    values = table(apart, with_faces)
    assert values["AUC alike"].value == 1
    assert values["Face-Sim different alike"].value == pytest.approx(0)
    # 12 pairs of different people: red Ann and red Bob alike in 4 of them, same pairs all 1
    assert values["Face-Sim different"].value == pytest.approx(4 / 12)
    assert values["AUC"].value == pytest.approx((8 + 4 / 2) / 12)
    alike = [apart[0], look(story_of(tmp_path, "d", TWIN, (RED, RED)), with_faces)]
    assert table(alike, with_faces)["AUC alike"].value == 0.5


def test_one_identity_in_two_runs_is_one_person(tmp_path, with_faces):
    runs = looked(tmp_path, with_faces, (ANN, (RED, RED)), (ANN, (RED, RED)))
    assert math.isnan(table(runs, with_faces)["Face-Sim different"].value)


def crowd(path, left, right):
    masks = torch.cat([mask(True), mask(False)])
    squares = [(True, left)] if left else []
    squares += [(False, right)] if right else []
    return Picture(paint(path, *squares), "a red and a blue thing", (ANN, BOB), masks)


def crowded(folder, instruments, *faces):
    """The table of one story of pictures of Ann and Bob with these (left, right) faces."""
    pictures = [crowd(folder / f"{k}.png", *pair) for k, pair in enumerate(faces)]
    return table([look(told("two", *pictures, people=2), instruments)], instruments)


def test_faces_of_a_crowd_are_matched_by_mask(tmp_path, with_faces):
    values = crowded(tmp_path, with_faces, *[(RED, BLUE)] * 3)
    assert values["Face-Sim"].value == pytest.approx(1)
    assert values["all faces of a crowd"].value == 1
    assert values["nearest to own"].value == 1
    assert values["Face-Sim different"].value == pytest.approx(0)
    assert values["AUC"].value == 1


def test_exchanged_faces_and_lost_ones_in_a_crowd_are_seen(tmp_path, with_faces):
    values = crowded(tmp_path, with_faces, *[(RED, BLUE)] * 3, (BLUE, RED), (RED, None))
    assert values["all faces of a crowd"].value == pytest.approx(4 / 5)
    assert values["nearest to own"].value == pytest.approx(6 / 8)  # a face alone is not asked
    # Ann: red 4, blue 1 (10 pairs, 6 alike); Bob: blue 3, red 1 (6 pairs, 3 alike)
    assert values["Face-Sim"].value == pytest.approx(9 / 16)
    assert values["Face-Sim strict"].value == pytest.approx(9 / 20)


def test_clip_scores_are_of_whole_pictures_and_of_cut_out_characters(tmp_path):
    instruments = Instruments(encoder=Colours())
    red = Member("Ann", "a red woman", "key-ann")
    picture = Picture(paint(tmp_path / "a.png", (True, RED)), "a red thing", (red,), mask(True))
    lost = Picture(picture.file, "a blue thing", (red,), torch.zeros(1, 12, 12, dtype=torch.bool))
    values = table([look(told("one", picture, picture, lost), instruments)], instruments)
    assert values["CLIP-T"].value == pytest.approx((1 + 1 + 0) / 3)
    assert values["segmented"].value == pytest.approx(2 / 3)
    assert values["CLIP-I"].value == pytest.approx(1)
    cut = cut_out(Image.open(picture.file), mask(True)[0])
    expected = cosine(Colours().pictures([cut]), torch.tensor([[1.0, 0, 0]]))
    assert values["CLIP-T-C"].value == pytest.approx(float(expected))


def test_a_character_is_cut_out_onto_grey_in_a_square():
    image = Image.new("RGB", (10, 8), RED)
    image.putpixel((3, 2), BLUE)
    here = torch.zeros(8, 10, dtype=torch.bool)
    here[2:6, 3:5] = True
    here[3, 4] = False
    cut = cut_out(image, here)
    assert cut.size == (4, 4)
    rows = [[cut.getpixel((x, y)) for x in range(4)] for y in range(4)]
    assert rows[0] == [GREY, BLUE, RED, GREY]
    assert rows[1] == [GREY, RED, GREY, GREY]
    assert cut_out(image, torch.zeros(8, 10, dtype=torch.bool)) is None


def test_a_group_is_the_mean_of_its_stories_and_its_interval_holds_it():
    class Fixed:
        name, licence, scale = "fixed", "", ""

        def similarity(self, a, b):
            return cosine(a, b)

    seen = []
    for k, angle in enumerate((0.0, 0.5, 1.0, 1.5)):
        faces = torch.tensor([[1.0, 0.0], [math.cos(angle), math.sin(angle)]])
        story = Evidence(told(str(k)), faces=faces, face_who=["a", "a"], face_words=["a", "a"])
        story.face_frame, story.chips, story.wanted = [0, 1], torch.rand(2, 3, 3), {"a": 2}
        seen.append(story)
    values = table(seen, Instruments(recogniser=Fixed()))
    expected = sum(math.cos(angle) for angle in (0.0, 0.5, 1.0, 1.5)) / 4
    found = values["Face-Sim"]
    assert found.value == pytest.approx(expected)
    assert found.low < expected < found.high
    assert found.stories == 4


def test_attribute_scores_count_each_attribute_where_it_is_said():
    verdicts = [[{"place": True}, {"place": False, "sex": True}], [{"sex": True}]]
    seen = [Evidence(told(str(k)), verdicts=v) for k, v in enumerate(verdicts)]
    found = {s.name: (s.value, s.stories) for s in attribute_scores(seen, samples=10)}
    assert found == {"place": (0.5, 1), "sex": (1.0, 2)}


def test_quality_is_the_mean_of_the_judges_rates(tmp_path):
    class Judge:
        name = "judge"

        def rate(self, pictures):
            n = len(pictures)
            return torch.arange(1.0, n + 1), torch.full((n,), 5.0)

    instruments = Instruments(judge=Judge())
    pictures = [single(tmp_path / f"{k}.png", ANN, RED) for k in range(3)]
    story = told("one", *pictures)
    values = table([look(story, instruments, *rate([story], Judge()))], instruments)
    assert (values["Q-Align-Aes"].value, values["Q-Align-Gen"].value) == (2, 5)
    assert set(values) == {"Q-Align-Aes", "Q-Align-Gen"}


def test_drawing_a_story_twice_makes_no_pairs_of_it_with_itself(tmp_path, with_faces):
    """The interval of the similarity between two people whose pairs are all equal has no width."""
    stories = (ANN, (RED, RED)), (BOB, (BLUE, BLUE))
    runs = looked(tmp_path, with_faces, *stories, *stories)
    found = table(runs, with_faces)["Face-Sim different"]
    assert_close(torch.tensor([found.low, found.high]), torch.zeros(2))


def test_a_character_seen_once_of_twice_has_a_strict_score_of_0(tmp_path, with_faces):
    values = table(looked(tmp_path, with_faces, (ANN, (RED, None))), with_faces)
    assert values["Face-Sim strict"].value == 0
    assert math.isnan(values["Face-Sim"].value)


def test_auc_alike_takes_only_the_pairs_of_people_who_have_a_double(tmp_path, with_faces):
    """Bob, whose faces are unlike, shares his description with nobody."""
    stories = (ANN, (RED, RED)), (TWIN, (BLUE, BLUE)), (BOB, (RED, BLUE))
    values = table(looked(tmp_path, with_faces, *stories), with_faces)
    assert values["AUC alike"].value == 1
    assert values["AUC"].value < 1


def test_stories_of_people_without_a_double_count_for_no_interval_of_alike(tmp_path, with_faces):
    """Two stories tell the pairs; with them alone there is no interval, however many others there are."""
    others = [
        (replace(BOB, description=f"man {n}", identity=f"key-{n}"), (BLUE,)) for n in range(2)
    ]
    stories = (ANN, (RED, RED)), (TWIN, (BLUE, BLUE)), *others
    looked_at = looked(tmp_path, with_faces, *stories)
    values = table(looked_at, with_faces)
    assert values["AUC"].low is not None
    for name in ("AUC alike", "Face-Sim different alike"):
        assert (values[name].stories, values[name].low, values[name].high) == (2, None, None)
    assert table(looked_at[2:], with_faces)["AUC alike"].stories == 0


def test_a_drawing_counts_as_the_stories_written_out_that_often():
    """Weights 2, 1, 0 and 3 against lists of copies; copies of one story are never compared."""
    rng = torch.Generator().manual_seed(0)
    whos = (["a", "b", "a"], ["c", "c"], ["d", "d"], ["a", "e", "e"])
    seen, first = [], 0
    for k, who in enumerate(whos):
        seen.append(Evidence(told(str(k)), face_who=who, face_words=who))
        first += len(who)
    similarity = torch.rand(first, first, generator=rng, dtype=torch.float64)
    mean, area = pooled(similarity, seen)
    weights = [2, 1, 0, 3]
    faces, number = [], 0  # (copy, story, who, row of the table)
    for k, who in enumerate(whos):
        for copy in range(weights[k]):
            faces += [((k, copy), k, w, number + x) for x, w in enumerate(who)]
        number += len(who)
    same, other = [], []
    for a, (copy_a, story_a, who_a, x) in enumerate(faces):
        for copy_b, story_b, who_b, y in faces[a + 1 :]:
            value = float(similarity[x, y])
            if copy_a == copy_b and who_a == who_b:
                same.append(value)
            elif who_a != who_b and (copy_a == copy_b or story_a != story_b):
                other.append(value)
    w = torch.tensor(weights, dtype=torch.float64)
    assert mean(w) == pytest.approx(np.mean(other))
    won = [1.0 if s > o else 0.5 if s == o else 0.0 for s in same for o in other]
    assert area(w) == pytest.approx(np.mean(won))


def test_two_seeds_of_a_story_count_as_one_in_intervals(tmp_path, with_faces):
    """Four stories have an interval; two stories from two seeds each, and three alone, have none."""
    four = looked(tmp_path, with_faces, *[(ANN, (RED, BLUE)), (BOB, (BLUE, BLUE))] * 2)
    assert table(four, with_faces)["Face-Sim"].low == 0
    assert table(four, with_faces)["Face-Sim different"].low is not None
    for seen, origin in zip(four, ("one", "two") * 2, strict=True):
        seen.story = replace(seen.story, origin=origin)
    found = table(four, with_faces)
    assert found["Face-Sim"].low is found["Face-Sim different"].low is None
    assert found["Face-Sim"].value == 0.5
    assert table(four[:3], with_faces)["Face-Sim"].low is None


def test_masks_are_those_of_the_segmenter_that_looks_at_the_picture(tmp_path):
    """The run says the left half; the segmenter finds the person on the right, where the face is."""

    class Right:
        def segment(self, image, phrases):
            assert phrases == ["a red coat"]
            return Segmentation(mask(False), torch.ones(1))

    ann = Member("Ann", "a red coat", "key")
    picture = Picture(paint(tmp_path / "a.png", (False, RED)), "a red thing", (ann,), mask(True))
    found = look(told("one", picture), Instruments(Colours(), segmenter=Right()))
    own = look(told("one", picture), Instruments(Colours()))
    assert found.clip_t_c[0] > own.clip_t_c[0]


def test_a_measure_is_a_row_that_everything_reads(tmp_path, with_faces, monkeypatch):
    """Added as a row, it is scored, chosen, shown in its unit and named with its instrument."""
    of = lambda evidence, instruments: len(evidence.story.pictures) / 10
    row = Measure("length", "pictures", "1-5", "less", of)
    monkeypatch.setitem(measures_.REGISTRY.own, "length", row)
    seen = looked(tmp_path, with_faces, (ANN, (RED, RED)))
    found = table(seen, with_faces)
    assert (found["length"].value, found["length"].stories) == (0.2, 1)
    assert list(found)[-1] == "length"
    assert described("length").label == "length (1-5) ↓"
    assert percent(found["length"]) == "0.200"
    assert chosen_measures("length, AUC,length") == ("length", "AUC")
    with pytest.raises(ConfigError, match=r"no measure is called 'lenght'.*'length'.*Face-Sim"):
        chosen_measures("lenght")


def test_only_the_measures_that_are_asked_for_are_taken(tmp_path, with_faces):
    seen = looked(tmp_path, with_faces, (ANN, (RED, RED)))
    assert [s.name for s in score(seen, with_faces, only=("AUC", "Face-Sim"))] == [
        "Face-Sim",
        "AUC",
    ]
    assert score(seen, with_faces, only=("CLIP-T",)) == []  # there is no CLIP


def test_every_measure_has_one_way_to_be_computed_and_a_name_of_its_own():
    assert len(measures_.measures()) == len(MEASURES)
    for measure in MEASURES:
        assert (measure.pool is None) == (measure.of is not Measure.of)
        assert measure.unit in ("%", "0-1", "1-5", "°")
        assert measure.better in ("more", "less", "")
