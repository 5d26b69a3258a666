"""Frames that are checked: thresholds, who is who in a picture, and a run's table."""

import json
import math
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import marks as marks_script
from identitystory.cli.main import main
from identitystory.errors import RunError
from identitystory.experiments.evaluate import read_run
from identitystory.metrics import torso
from identitystory.metrics.attributes import AttributeReader
from identitystory.metrics.checking import Asked, exchanged, inspect, twice
from identitystory.metrics.conformal import Marks, bound, calibrated, lower, marks_of, upper
from identitystory.metrics.evidence import Evidence, Instruments, MeasuredStory
from identitystory.metrics.evidence import look as look_at_all
from identitystory.metrics.heads import heads_of
from identitystory.metrics.likeness import OwnEncoder, cut_outs, likeness
from identitystory.metrics.measures import score
from identitystory.metrics.scores import cosine, exchanges
from identitystory.runs import looking
from identitystory.runs.folder import RunFolder
from identitystory.runs.looked import FaultTold, FrameTold, Looked, read_looked, write_looked
from identitystory.runs.looking import check, eyes
from identitystory.runs.request import RunRequest
from tests.conftest import SIZE
from tests.studio_desk import desk, shared  # noqa: F401
from tests.test_people import area
from tests.test_takes import PRESET, SCENES, made, story
from tests.workshop import Workshop

LEFT, RIGHT = (8, 4, 24, 20), (8, 40, 24, 56)  # heads: top, left, bottom, right
ROOM = {"Ida": (6, 2, 62, 24), "Tom": (6, 38, 62, 60)}
RED, BLUE = (200, 20, 20), (20, 20, 200)
MARKS = Marks("own", "", own=0.9, unlike=0.5)
NAN = float("nan")


# --- Thresholds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "alpha"), [(19, 0.05), (39, 0.05), (9, 0.2), (50, 0.1), (18, 0.05)])
def test_of_n_and_one_scores_exactly_the_promised_many_are_below_the_threshold_of_the_others(
    n, alpha
):
    """The closed form: each of n + 1 scores in turn is the new one; floor(alpha (n + 1)) are below."""
    scores = [float(x) for x in np.random.default_rng(n).permutation(n + 1)]
    below = sum(new < lower(scores[:k] + scores[k + 1 :], alpha) for k, new in enumerate(scores))
    assert below == math.floor(alpha * (n + 1) + 1e-9)
    above = sum(new > upper(scores[:k] + scores[k + 1 :], alpha) for k, new in enumerate(scores))
    assert above == below


def test_equal_scores_keep_the_promise_and_too_few_promise_nothing():
    scores = [0.5] * 30 + [0.1] * 9
    below = sum(new < lower(scores[:k] + scores[k + 1 :], 0.05) for k, new in enumerate(scores))
    assert below <= 0.05 * len(scores)
    assert lower([1.0] * 18, 0.05) == -math.inf
    assert upper([1.0] * 18, 0.05) == math.inf
    assert lower([1.0] * 19, 0.05) == 1.0


def test_the_bound_is_the_conformal_p_value():
    assert bound([0.1, 0.2, 0.3], 0.2) == 3 / 4
    assert bound([], 0.2) == 1


def test_a_threshold_lets_the_promised_share_through_where_strangers_are_apart():
    own, others = np.linspace(0.6, 1, 99), np.linspace(-0.2, 0.4, 99)
    marks = calibrated("own", "w", own, others)
    assert marks.own == pytest.approx(own[4])  # the fifth of 99 and a new one
    assert marks.found == pytest.approx(0.95)
    assert marks.wrong == pytest.approx(0.01)
    assert marks.unlike == pytest.approx(others[-5])
    assert marks.right > 0.98


def test_where_strangers_are_near_they_decide_and_fewer_are_found():
    rng = np.random.default_rng(0)
    own, others = rng.normal(1, 1, 999), rng.normal(0, 1, 999)
    marks = calibrated("own", "w", own, others)
    assert marks.wrong <= 0.05 < bound(others, lower(own, 0.05))
    assert marks.found == pytest.approx(0.26, abs=0.05)  # P(N > 1.645 - 1)
    new = np.random.default_rng(1).normal(0, 1, 20_000)
    assert (new >= marks.own).mean() == pytest.approx(0.05, abs=0.015)


def test_the_package_knows_thresholds_of_its_own_checkpoint_alone():
    from identitystory.models.describe import describe_model

    there = marks_of("own", describe_model("miniature", "cpu", "auto").fingerprint)
    assert there is not None
    assert there.right >= 0.95
    assert there.unlike <= there.own < 1
    assert marks_of("own", "0" * 64) is None
    assert marks_of("nobody's", describe_model("miniature", "cpu", "auto").fingerprint) is None


# --- One picture ----------------------------------------------------------------------------------


class Colours:
    """Knows a head by its mean colour."""

    name = "own"

    def seen(self, image, heads):
        pixels = torch.from_numpy(np.array(image)).double() - 110
        return [pixels[head].mean(dim=0)[None] for head in heads]

    def similarity(self, a, b):
        return torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(b, dim=1).mT


def picture(*people):
    """A grey picture with heads of colours: (box, colour) each."""
    pixels = np.full((SIZE, SIZE, 3), 128, np.uint8)
    for (top, left, bottom, right), colour in people:
        pixels[top:bottom, left:right] = colour
    return Image.fromarray(pixels)


def known(colour):
    return torch.tensor([colour]).double() - 110


def asked(*names, people=None):
    colours = {"Ida": RED, "Tom": BLUE}
    count = len(names) if people is None else people
    masks = area(*[ROOM[name] for name in names])
    return Asked(names, masks, [known(colours[n]) for n in names], range(count, count + 1))


def look(people, *names, marks=MARKS, **more):
    heads = area(*[box for box, _ in people]) if people else torch.zeros(0, SIZE, SIZE, dtype=bool)
    return inspect(picture(*people), heads, asked(*names, **more), Colours(), marks)


def kinds(found):
    return {(fault.kind, fault.who) for fault in found.faults}


def test_two_people_in_their_places_are_marked_and_nothing_is_wrong():
    found = look([(LEFT, RED), (RIGHT, BLUE)], "Ida", "Tom")
    assert found.marks == {"Ida": "own", "Tom": "own"}
    assert found.faults == ()
    assert found.likeness == {"Ida": 1.0, "Tom": 1.0}
    assert found.rank == (0, -1)


def test_two_who_changed_places_are_told_and_neither_is_marked():
    found = look([(LEFT, BLUE), (RIGHT, RED)], "Ida", "Tom")
    assert kinds(found) == {("exchanged", "Ida"), ("exchanged", "Tom")}
    assert "own" not in found.marks.values()


@pytest.mark.parametrize(
    ("people", "names", "wrong"),
    [
        ([(LEFT, RED)], ("Ida", "Tom"), {("missing", "Tom")}),
        ([(LEFT, RED), (RIGHT, (20, 200, 20))], ("Ida",), {("people", "")}),
        ([(LEFT, RED), (RIGHT, RED)], ("Ida",), {("people", ""), ("twice", "Ida")}),
        ([(LEFT, RED), (RIGHT, RED)], ("Ida", "Tom"), {("unlike", "Tom"), ("twice", "Ida")}),
        ([(LEFT, (20, 200, 20))], ("Ida",), {("unlike", "Ida")}),
        ([], ("Ida",), {("missing", "Ida")}),
        ([(LEFT, RED)], (), {("people", "")}),
        ([], (), set()),
    ],
)
def test_each_fault_is_told_once_and_by_name(people, names, wrong):
    assert kinds(look(people, *names)) == wrong


def test_without_a_calibration_nobody_is_marked_and_people_are_counted():
    found = look([(LEFT, (20, 200, 20)), (RIGHT, RED)], "Ida", marks=None)
    assert found.marks == {"Ida": ""}
    assert kinds(found) == {("people", "")}


def test_more_faults_are_more_suspicious_and_of_equal_ones_the_less_alike():
    pictures = [
        look([(LEFT, RED)], "Ida"),
        look([(LEFT, (200, 20, 90))], "Ida"),
        look([(LEFT, RED), (RIGHT, BLUE)], "Ida"),
        look([], "Ida"),
    ]
    assert sorted(pictures, key=lambda found: found.rank) == pictures


def test_a_head_is_the_masks_that_holds_more_than_half_of_it_the_largest_if_several():
    masks, heads = area((0, 0, 64, 32), (0, 32, 64, 64)), area((0, 0, 8, 8), (8, 0, 24, 16), RIGHT)
    assert heads_of(masks, heads) == [1, 2]
    assert heads_of(masks, area((0, 24, 8, 40))) == [None, None]
    assert heads_of(masks, torch.zeros(0, SIZE, SIZE, dtype=torch.bool)) == [None, None]


def test_three_who_went_round_are_all_told_and_a_little_likeness_is_no_exchange():
    round_ = torch.tensor([[0.2, 0.9, 0.1], [0.1, 0.2, 0.9], [0.9, 0.1, 0.2]])
    assert exchanged(round_, [0, 1, 2]) == [1, 2, 0]
    near = torch.tensor([[0.80, 0.84], [0.84, 0.80]])
    assert exchanged(near, [0, 1]) == [None, None]
    assert exchanged(torch.tensor([[0.1, 0.9], [NAN, NAN]]), [0, 1]) == [None, None]
    assert exchanged(torch.tensor([[0.1, 0.9]]), [0, None]) == [None, None]


def test_somebody_is_twice_where_another_head_is_marked_as_theirs_and_nearest_to_them():
    S = torch.tensor([[0.95, 0.1], [0.92, 0.3], [0.2, 0.97]])
    assert twice(S, [0, 2], 0.9) == [0]
    assert twice(S, [0, 2], 0.93) == []
    assert twice(S[[0, 2]], [0, 1], 0.9) == []


def test_the_best_cut_out_counts_and_the_mean_of_the_portraits():
    knows = OwnEncoder(lambda images: torch.zeros(len(images), 2))
    seen, portraits = torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([[0.0, 1], [0, 2], [1, 0]])
    assert likeness(knows, seen, portraits) == pytest.approx(2 / 3)
    assert math.isnan(likeness(knows, None, portraits))
    assert math.isnan(likeness(knows, seen, portraits[:0]))


def test_a_portraits_head_is_cut_out_as_about_the_whole_portrait_and_smaller_ones_are_as_large():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8))
    head = torch.zeros(256, 256, dtype=torch.bool)
    head[27:200, 63:194] = True  # the mean of drawn portraits
    assert all(abs(cut.width - 256) < 4 for cut in cut_outs(image, head))
    wide = torch.zeros(256, 384, dtype=torch.bool)
    wide[10:97, 300:366] = True  # half as large, near the edge: it is drawn out
    cuts = cut_outs(image.resize((384, 256)), wide)
    assert all(abs(cut.width - 128) < 4 and cut.width == cut.height for cut in cuts)


class Reader(AttributeReader):
    """Reads what it is told, of everybody; says which pictures it was shown."""

    def read(self, image):
        return {"hair colour": "black", "place": "beach", "outfit": "coat"}


def reader(**accuracy):
    phrases = {
        "hair colour": {"red hair": ["red"], "black hair": ["black"]},
        "place": {"in a forest": ["forest"], "on a beach": ["beach"]},
        "outfit": {"in a suit": ["suit"]},
    }
    told = {"hair colour": 0.99, "place": 0.95, "outfit": 0.7} | accuracy
    return Reader(None, {}, phrases, frozenset(["place"]), 64, told, "planted")


def test_words_are_read_where_the_reader_can_be_trusted(monkeypatch):
    monkeypatch.setattr(torso, "is_bare", lambda reader, image, share: False)
    one = replace(asked("Ida"), prompt="a woman with red hair in a suit in a forest")
    found = inspect(picture((LEFT, RED)), area(LEFT), one, Colours(), MARKS, reader())
    assert [fault.words for fault in found.faults] == [
        "hair colour black, not red",
        "place beach, not forest",
    ]
    both = replace(
        asked("Ida", "Tom"),
        prompt="a woman with red hair and a man with black hair in a forest",
        described=["a woman with red hair", "a man with black hair"],
    )
    two = picture((LEFT, RED), (RIGHT, BLUE))
    found = inspect(two, area(LEFT, RIGHT), both, Colours(), MARKS, reader())
    assert [fault.words for fault in found.faults] == [
        "place beach, not forest",
        "Ida: hair colour black, not red",
    ]


def test_somebody_bare_is_told(monkeypatch):
    monkeypatch.setattr(torso, "is_bare", lambda reader, image, share: True)
    found = inspect(picture((LEFT, RED)), area(LEFT), asked("Ida"), Colours(), MARKS, reader())
    assert kinds(found) == {("bare", "Ida")}


def test_of_several_each_is_looked_at_by_their_own_head(monkeypatch):
    """Somebody alone in the whole picture, of two each in a square around their head."""
    red = lambda image: np.array(image)[..., 0].max() > np.array(image)[..., 2].max()
    monkeypatch.setattr(torso, "is_bare", lambda reader, image, share: red(image))
    wide = Image.new("RGB", (128, 64), (110, 110, 110))
    wide.paste(RED, (8, 8, 24, 24))
    wide.paste(BLUE, (104, 8, 120, 24))
    heads = torch.zeros(2, 64, 128, dtype=torch.bool)
    heads[0, 8:24, 8:24] = heads[1, 8:24, 104:120] = True
    assert torso.undressed(None, wide, heads, heads) == [0]
    assert torso.undressed(None, wide, heads.flip(0), heads) == [1]
    assert torso.undressed(None, wide, heads, None) == []
    assert torso.undressed(None, wide, heads[:0], heads) == []
    alone = picture((LEFT, RED))
    assert torso.undressed(None, alone, area(LEFT), area(LEFT)) == [0]
    assert torso.undressed(None, alone, area(LEFT), None) == [0]


def test_a_template_is_doubted_before_a_picture_is(monkeypatch):
    monkeypatch.setattr(torso, "is_bare", lambda reader, image, share: share <= 0.45)
    alone = picture((LEFT, RED)), area(LEFT), area(LEFT)
    assert torso.undressed(None, *alone) == []
    assert torso.undressed(None, *alone, True) == [0]


# --- A run ----------------------------------------------------------------------------------------


class Crowded:
    """Finds Mara everywhere, and a second head in every picture whose pixels add up so."""

    def __init__(self, every=2):
        self.every, self.looked = every, 0

    def segment(self, image, phrases):
        from identitystory.types import Segmentation

        masks = area(*[(6, 2, 62, 30)] * len(phrases))
        return Segmentation(masks, (1.0,) * len(phrases), (True,) * len(phrases))

    def heads(self, image, phrases):
        self.looked += 1
        two = zlib.crc32(image.tobytes()) % self.every == 0
        return area(LEFT, RIGHT) if two else area(LEFT)


@pytest.fixture
def crowded(backend):
    return replace(backend, segmenter=Crowded())


@pytest.fixture
def request_(tmp_path):
    return RunRequest(story(*SCENES), tmp_path / "run", PRESET)


@pytest.fixture
def service(crowded):
    return Workshop(crowded).service


def suspects(found):
    return {f.index for f in found if f.found.faults}


def test_a_run_is_looked_at_once_suspects_come_first_and_the_page_tells(service, crowded, request_):
    made(service, replace(request_, story=story(*[f"{{Mara}} reads {n}" for n in range(6)])))
    page = RunFolder(request_.out).sheet.read_bytes()
    found = check(eyes(service, request_.out))
    wrong = suspects(found)
    assert 0 < len(wrong) < 6
    assert [f.index in wrong for f in found] == sorted(f.index in wrong for f in found)[::-1]
    assert all(f.found.words == "2 seen, 1 meant" for f in found if f.index in wrong)
    assert RunFolder(request_.out).sheet.read_bytes() != page
    times = crowded.segmenter.looked
    assert check(eyes(service, request_.out)) == found
    assert crowded.segmenter.looked == times
    check(eyes(service, request_.out), again=True)
    assert crowded.segmenter.looked == times + 6
    assert (
        made(service, replace(request_, story=story(*[f"{{Mara}} reads {n}" for n in range(6)])))
        == ()
    )


def test_other_thresholds_are_another_look(service, crowded, request_, monkeypatch):
    made(service, request_)
    check(eyes(service, request_.out))
    monkeypatch.setattr(looking, "marks_of", lambda recogniser, weights: MARKS)
    times = crowded.segmenter.looked
    found = check(eyes(service, request_.out))
    assert crowded.segmenter.looked == times + 3
    assert {mark for f in found for mark in f.found.marks.values()} <= {"own", "unsure", "unlike"}
    assert all(f.found.marks["Mara"] for f in found)


def test_a_broken_file_stops_no_painting_and_a_check_names_it(service, request_):
    made(service, request_)
    RunFolder(request_.out).checked.write_text('{"format": 1, "frames": {"x": {"faults": 3}}}')
    assert made(service, replace(request_, story=story("{Mara} runs"))) == ("frames/001",)
    with pytest.raises(RunError, match=r"checked\.json is broken .*; delete it"):
        check(eyes(service, request_.out))


def test_the_command_prints_a_table_and_json(service, crowded, request_, capsys):
    made(service, request_)
    assert main(["check", str(request_.out)], service=lambda: service) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["frame", "suspicion"]
    assert len(lines) == 5
    assert "no marks: own is not calibrated" in lines[-1]
    assert main(["check", str(request_.out), "--json"], service=lambda: service) == 0
    told = json.loads(capsys.readouterr().out)
    assert [f["suspicion"] for f in told["frames"]] == sorted(
        (f["suspicion"] for f in told["frames"]), reverse=True
    )
    assert {f["key"] for f in told["frames"]} == set(read_looked(RunFolder(request_.out)).frames)
    times = crowded.segmenter.looked
    for again, more in (([], 0), (["--again"], len(told["frames"]))):
        assert main(["check", str(request_.out), *again], service=lambda: service) == 0
        assert crowded.segmenter.looked == times + more


@pytest.mark.parametrize("faces", ["nobody", "own"])
def test_what_is_not_there_is_one_line(faces, service, tmp_path, capsys):
    assert main(["check", str(tmp_path / "no"), "--faces", faces], service=lambda: service) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_studio_tells_what_was_found_in_a_picture(desk):  # noqa: F811
    new = desk.painted(desk.new())
    assert [frame["check"] for frame in new["frames"]] == [None] * len(new["frames"])
    run = RunFolder(desk.root / "stories" / new["id"] / "run")
    wrong = FaultTold(kind="people", words="2 seen, 1 meant", weight=2.0)
    found = FrameTold(people=2, likeness={"Mara": 0.5}, marks={"Mara": "unsure"}, faults=[wrong])
    write_looked(run, Looked(frames={new["frames"][0]["picture"]: found}))
    told = desk.client.get(desk.path(new)).json()["frames"]
    assert told[0]["check"] == {
        "suspicion": 2.0,
        "marks": {"Mara": "unsure"},
        "likeness": {"Mara": 0.5},
        "faults": ["2 seen, 1 meant"],
    }
    assert told[1]["check"] is None


# --- What evaluate counts of it ------------------------------------------------------------------


def test_of_pictures_with_two_those_are_counted_whose_two_look_like_each_other_elsewhere():
    """Faces are angles: Ida at 0 degrees, Tom at 90; in the third picture they are exchanged."""
    degrees = torch.tensor([0.0, 90, 2, 88, 90, 0, 1])
    faces = torch.stack([degrees.deg2rad().cos(), degrees.deg2rad().sin()], dim=1)
    who, frames = ["Ida", "Tom"] * 3 + ["Ida"], [0, 0, 1, 1, 2, 2, 3]
    assert exchanges(cosine(faces, faces), who, frames).tolist() == [False, False, True]
    assert exchanges(cosine(faces[:2], faces[:2]), who[:2], frames[:2]).tolist() == []


class Angles:
    name, licence, scale = "planted", "none", "cosine"
    similarity = staticmethod(cosine)


def test_somebody_is_twice_where_two_faces_are_as_alike_as_her_pictures_are():
    at = lambda *degrees: torch.tensor(
        [[math.cos(d), math.sin(d)] for d in map(math.radians, degrees)]
    )
    pictures = [at(0), at(20, 25), at(10, 80), torch.zeros(0, 1)]
    evidence = Evidence(
        MeasuredStory("a", (), 1),
        faces=torch.cat([at(0), at(20), at(10)]),
        face_who=["Ida"] * 3,
        face_words=["a woman"] * 3,
        face_frame=[0, 1, 2],
        chips=torch.rand(3, 4, 4),
        everybody=pictures,
        counted=[True, False, False, True],
    )
    tools = Instruments(recogniser=Angles(), segmenter=Crowded())
    found = {s.name: s.value for s in score([evidence], tools, samples=0)}
    assert found["twice"] == pytest.approx(1 / 3)
    assert found["people counted"] == 0.5
    assert math.isnan(found["exchanged"])  # nobody was with somebody


def test_evaluate_counts_people_in_every_picture(service, request_, crowded):
    out = request_.out
    made(service, replace(request_, story=story(*[f"{{Mara}} reads {n}" for n in range(6)])))
    wrong = suspects(check(eyes(service, out)))
    seen = look_at_all(read_run(out), Instruments(segmenter=crowded.segmenter))
    assert [not counted for counted in seen.counted] == [n in wrong for n in range(6)]


# --- The miniature, on drawings -------------------------------------------------------------------


def test_drawn_people_are_marked_and_exchanged_ones_never(monkeypatch):
    monkeypatch.setattr(marks_script, "PORTRAITS", 1)
    monkeypatch.setattr(marks_script, "TOGETHER", 1)
    from benchmarks.marks import Kept, Tools, count, groups
    from identitystory.models.device import Room
    from identitystory.models.files.checkpoint import find_checkpoint
    from identitystory.models.sdxl.photomaker import load_identity_encoder

    checkpoint = find_checkpoint("miniature")
    encoder = load_identity_encoder(checkpoint.base / "photomaker.safetensors").eval()
    segmenter = checkpoint.segmenter.open(room=Room(torch.device("cpu")))
    tools = Tools(segmenter, OwnEncoder(lambda images: encoder.embed(encoder.pixels(images))))
    kept, marks = Kept(), Marks("own", "", own=0.8, unlike=0.5)
    with torch.inference_mode():
        (group,) = groups(tools, 500, 1)
        some = replace(group, shots=group.shots[:2])  # of both, and of one alone
        count(kept, tools, some, marks, swap=True)
    assert (kept.frames, kept.own, kept.others, kept.swaps) == (2, 3, 1, 2)
    assert kept.own_marked >= 2
    assert kept.swaps_marked == kept.others_marked == 0
