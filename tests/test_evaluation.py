"""``identitystory evaluate``: runs painted by the fakes, measured with what the miniature brings."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from dataclasses import replace

import pytest
import torch
from PIL import Image

from identitystory.cli.main import main
from identitystory.errors import ConfigError, RunError
from identitystory.experiments import evaluate as evaluation
from identitystory.experiments import instruments
from identitystory.experiments.evaluate import (
    Evaluation,
    as_csv,
    as_json,
    evaluate,
    find_runs,
    read_run,
    show,
)
from identitystory.experiments.instruments import EvaluationRequest
from identitystory.metrics.measures import Score
from identitystory.metrics.scores import cosine
from identitystory.protocols import ModelFacts
from identitystory.runs import files
from identitystory.runs import sheets as pages
from identitystory.runs.options import new_request
from identitystory.runs.service import Service
from identitystory.settings import Overrides
from identitystory.types import Face


@pytest.fixture
def run(backend, story, tmp_path):
    """Paints the story of the fixtures, two characters and three scenes, into a run folder."""

    def paint(name, **options):
        service = Service(
            load=lambda *_, **__: backend, describe=lambda *_: ModelFacts("w", "cpu", "float32")
        )
        folder = tmp_path / name
        small = Overrides(steps=10, portraits=4)
        for _ in service.run(new_request(story, folder, small, **options)):
            pass
        return folder

    return paint


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    def run_command(*argv):
        try:
            code = main(["evaluate", *map(str, argv)])
        except SystemExit as end:
            code = end.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_command


def no_dlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "dlib", None)


def found_by(monkeypatch, segmenter):
    """``segmenter`` finds the characters, for the fixtures' pictures show none to the miniature's."""
    monkeypatch.setattr(instruments, "_segmenter", lambda *_: (segmenter, "boxes"))


class OneFaceEach:
    """Finds one face in every 64-pixel picture, where the boxes of the fixtures put each person."""

    name, licence, scale = "boxes 1", "none", "cosine"

    def faces(self, image):
        rows = {"Mara": (8, 16, 24, 56), "Tom": (40, 8, 60, 60)}
        return [
            Face(box, 1.0, torch.eye(2)[k], torch.rand(48, 48))
            for k, box in enumerate(rows.values())
        ]

    def similarity(self, a, b):
        return cosine(a, b)


def test_a_run_is_read_with_what_its_pictures_say_of_themselves(run, story, boxes):
    folder = run("one")
    told = read_run(folder)
    assert [p.file.name for p in told.pictures] == ["001.png", "002.png", "003.png"]
    assert [p.prompt for p in told.pictures] == [s.prompt for s in story.scenes]
    assert [[m.name for m in p.cast] for p in told.pictures] == [["Mara"], ["Mara", "Tom"], []]
    top, left, bottom, right = boxes[story.characters[1].description]
    second = told.pictures[1].masks[1]
    expected = torch.zeros(64, 64, dtype=torch.bool)
    expected[top:bottom, left:right] = True
    assert torch.equal(second, expected)
    assert told.pictures[2].masks.shape == (0, 64, 64)
    assert told.people == 2
    templates = read_run(folder, templates=True)
    assert templates.pictures[0].file.name == "001.template.png"


def test_another_seed_is_another_person_and_the_same_seed_the_same(run):
    identity = lambda told: told.pictures[0].cast[0].identity
    one, other, again = (read_run(run(n, seed=s)) for n, s in (("a", 0), ("b", 1), ("c", 0)))
    assert identity(one) == identity(again) != identity(other)


def test_one_character_of_two_stories_is_one_person_by_a_method_without_identities(run, story):
    """Else what the methods keep alike would count as two people who are too much alike."""
    who = lambda told: [m.identity for p in told.pictures for m in p.cast]
    how = {"method": "general"}
    one, again = (read_run(run(name, **how)) for name in ("a", "b"))
    assert who(one) == who(again)
    assert len(set(who(one))) == one.people == 2
    other = read_run(run("c", seed=1, **how))
    assert not {*who(one)} & {*who(other)}


def test_masks_come_back_as_they_were_written(tmp_path):
    masks = torch.rand(3, 8, 9) < 0.3
    masks[1] &= ~masks[0]
    masks[2] &= ~masks[0] & ~masks[1]
    pages.masks_picture(masks, (9, 8)).save(tmp_path / "m.png")
    assert torch.equal(evaluation.read_masks(tmp_path / "m.png", 3, (9, 8), tmp_path), masks)


def test_runs_inside_a_folder_are_found_once_and_a_folder_without_is_refused(run, tmp_path):
    one, two = run("a/one"), run("a/two")
    assert find_runs([tmp_path / "a", one]) == [one, two]
    with pytest.raises(RunError, match="holds no run"):
        find_runs([tmp_path / "nowhere"])


def test_missing_frames_are_noted_and_a_run_without_any_is_refused(run):
    folder = run("one")
    (folder / "frames" / "002.png").unlink()
    notes = []
    assert len(read_run(folder, notes=notes).pictures) == 2
    assert notes == [f"{folder}: 2 of 3 frames are there"]
    for file in (folder / "frames").iterdir():
        file.unlink()
    with pytest.raises(RunError, match="no finished picture"):
        read_run(folder)


def test_evaluate_prints_a_table_and_writes_both_files(run, call, backend, monkeypatch, tmp_path):
    """With the miniature's own CLIP; without a recogniser it says which extra brings one."""
    no_dlib(monkeypatch)
    found_by(monkeypatch, backend.segmenter)
    run("runs/a"), run("runs/b", seed=1)
    code, out, err = call("runs")
    assert code == 0
    assert "CLIP-T-C" in out
    assert "CLIP: miniature/segmenter (sha256 " in out
    assert "not measured: faces: dlib is not installed" in out
    assert "pip install 'identitystory[faces]'" in out
    assert "--faces little-people" in " ".join(out.split())
    assert "1 of 2: runs/a, 3 pictures" in err
    written = json.loads((tmp_path / "runs/evaluation/metrics.json").read_text())
    scores = written["groups"]["all"]["scores"]
    assert scores["segmented"]["value"] == 1
    assert 0 <= scores["CLIP-I"]["value"] <= 1
    assert -1 <= scores["CLIP-T"]["value"] <= 1
    assert scores["CLIP-T"]["low"] is None  # two seeds are one story
    assert set(written["stories"]) == {"runs/a", "runs/b"}
    rows = list(csv.DictReader(io.StringIO((tmp_path / "runs/evaluation/metrics.csv").read_text())))
    (row,) = [r for r in rows if (r["level"], r["measure"]) == ("group", "CLIP-T")]
    assert float(row["value"]) == pytest.approx(scores["CLIP-T"]["value"], abs=1e-6)


def test_a_recogniser_that_was_asked_for_and_is_missing_is_one_line(run, call, monkeypatch):
    no_dlib(monkeypatch)
    run("a")
    code, out, err = call("a", "--clip", "none", "--faces", "dlib")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "pip install 'identitystory[faces]'" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "holds no run"),
        (["a", "--faces", "facenet"], "no recogniser is called 'facenet'"),
        (["a", "--clip", "./nowhere"], "there is no folder"),
        (["a", "--clip", "none", "--faces", "none", "--qalign", "no-python"], "make one with"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(run, call, arguments, sentence):
    run("a")
    code, _, err = call(*arguments, "--quiet")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert sentence in err


def test_json_is_one_object(run, call):
    run("a")
    code, out, err = call("a", "--clip", "none", "--faces", "none", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["not_measured"]["CLIP"] == "--clip none"


def test_only_what_the_chosen_measures_need_is_opened(run, call, monkeypatch):
    monkeypatch.setattr(instruments, "_encoder", lambda *_: 1 / 0)
    run("a")
    code, out, _ = call("a", "--measures", "attributes, attributes", "--json")
    found = json.loads(out)
    assert code == 0
    assert list(found["groups"]["all"]["scores"]) == ["attributes"]
    assert list(found["measured_with"]) == ["attributes"]
    assert found["not_measured"] == {}
    code, _, err = call("a", "--measures", "CLIP-X", "--quiet")
    assert code == 2
    assert "no measure is called 'CLIP-X'. Did you mean 'CLIP-" in err


def test_the_whole_way_with_faces(run, backend, monkeypatch):
    """Every person keeps one face; two runs with other seeds share descriptions but not people."""
    monkeypatch.setattr(instruments, "load_recogniser", lambda *_: OneFaceEach())
    found_by(monkeypatch, backend.segmenter)
    folders = (run("a"), run("b", seed=1))
    result = evaluate(EvaluationRequest(folders, clip="none", faces="dlib", samples=20))
    scores = {s.name: s.value for s in result.groups["all"]}
    assert scores["Face-Sim"] == scores["face detection"] == scores["all faces of a crowd"] == 1
    # Mara's box of faces is the same in both runs, so "alike" people look alike: chance
    assert scores["Face-Sim different alike"] == 1
    assert scores["AUC alike"] == 0.5
    assert scores["AUC"] > 0.5
    assert result.measured_with["faces"]["name"] == "boxes 1"
    assert result.sizes["all"] == (2, 6)


def test_the_recogniser_of_drawn_people_is_there_without_dlib(run, monkeypatch):
    """It measures where it is asked for, and finds nobody in pictures of noise."""
    no_dlib(monkeypatch)
    result = evaluate(EvaluationRequest((run("a"),), clip="none", faces="little-people"))
    assert result.measured_with["faces"]["name"].startswith("little-people (sha256 ")
    scores = {s.name: s.value for s in result.groups["all"]}
    assert scores["face detection"] == 0


def test_runs_of_two_models_need_a_clip_by_name(run, tmp_path):
    one, two = run("a"), run("b")
    record = json.loads((two / "run.json").read_text())
    record["request"]["model"] = "sdxl"
    (two / "run.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="different models"):
        evaluate(EvaluationRequest((one, two), faces="none"))


def test_runs_of_two_methods_are_refused_by_name(run):
    """The mean of two methods is nobody's; one method from two seeds is fine."""
    one, two = run("a"), run("b", seed=1, method="general")
    with pytest.raises(RunError, match=r"several methods \(general, identitystory\).*bench"):
        evaluate(EvaluationRequest((one, two), clip="none", faces="none"))
    evaluate(EvaluationRequest((one, run("c", seed=2)), clip="none", faces="none"))


def test_masks_are_found_in_the_pictures_or_else_the_runs(run, monkeypatch):
    """By the miniature's segmenter; a checkpoint that is not here leaves the runs' own, and says so."""
    monkeypatch.setattr(instruments, "load_recogniser", lambda *_: OneFaceEach())
    wanted = EvaluationRequest((run("a"),), clip="none", faces="dlib")
    tools = instruments.open_tools(wanted, ["miniature"])
    name = tools.measured_with["masks"]["name"]
    assert name.startswith("found in each picture by miniature/segmenter (sha256 ")
    tools = instruments.open_tools(wanted, ["no/such-model"])
    assert tools.instruments.segmenter is None
    assert tools.measured_with["masks"]["name"].startswith("those of the runs, for no/such-model")
    assert {s.name: s.value for s in evaluate(wanted, tools=tools).groups["all"]}["Face-Sim"] == 1


def made(value=0.5, low=0.25, high=0.75, stories=2):
    nothing = Score("Face-Sim", math.nan, None, None, 0)
    all_ = [Score("CLIP-T", value, low, high, stories), Score("AUC", 0.9, None, None, 1), nothing]
    return Evaluation(
        groups={"all": all_, "1 character": all_},
        stories={"runs/a": [Score("CLIP-T", 0.5, None, None, 1), nothing]},
        attributes=[Score("place", 0.75, None, None, 1)],
        sizes={"all": (2, 6), "1 character": (1, 3), "runs/a": (1, 3)},
        measured_with={
            "CLIP": {"name": "c"},
            "faces": {"name": "dlib"},
            "attributes": {"name": "r", "held-out accuracy": {"place": 0.9}},
        },
        not_measured={"faces": "why"},
        pictures="frames",
        samples=10,
        notes=["a note"],
    )


def test_the_table_shows_percent_with_intervals_and_leaves_out_what_was_not_measured():
    out = io.StringIO()
    show(made(), out, width=120)
    text = out.getvalue()
    assert "50.0 [25.0, 75.0]" in text
    assert "AUC (0-1) ↑" in text
    assert "0.900" in text
    assert "Face-Sim" not in text
    assert "all: 2 stories, 6 pictures" in text
    assert "1 character: 1 story, 3 pictures" in text
    assert "held-out renders): place 75 (90)" in text
    assert text.rstrip().endswith("a note")


def test_json_and_csv_have_null_where_nothing_was_measured():
    content = as_json(made())
    assert content["groups"]["all"]["scores"]["Face-Sim"]["value"] is None
    json.dumps(content, allow_nan=False)
    assert "story,runs/a,Face-Sim,,,,0,dlib" in as_csv(made()).splitlines()


def test_each_line_of_the_csv_names_what_measured_it():
    """A measure's instrument, the reader for each attribute, the segmenter for its masks."""
    measured = {"CLIP": "CLIP-I", "faces": "AUC alike", "Q-Align": "Q-Align-Aes"}
    names = [*measured.values(), "attributes", "segmented"]
    result = replace(
        made(),
        groups={"all": [Score(name, 0.5, None, None, 1) for name in names]},
        measured_with={k: {"name": f"{k} 7"} for k in (*measured, "attributes", "masks")},
    )
    rows = csv.DictReader(io.StringIO(as_csv(result)))
    found = {r["measure"]: r["measured_with"] for r in rows if r["level"] != "story"}
    assert found == {
        **{name: f"{instrument} 7" for instrument, name in measured.items()},
        "attributes": "attributes 7",
        "place": "attributes 7",
        "segmented": "masks 7",
    }


def test_a_picture_whose_facts_are_broken_is_named(run):
    folder = run("one")
    file = folder / "frames" / "001.png"

    facts = files.read_png_facts(file)
    del facts["characters"]
    files.write_png(file, Image.open(file), facts)
    with pytest.raises(RunError, match=r"001\.png: what it says of itself is broken"):
        read_run(folder)
