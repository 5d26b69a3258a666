"""Nothing finished is overwritten: frames follow their scenes, and every take stays."""

import json
import os
from dataclasses import replace

import pytest

from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import RunError
from identitystory.runs import takes
from identitystory.runs.events import Finished
from identitystory.runs.folder import RunFolder
from identitystory.runs.options import default_folder, new_request
from identitystory.runs.request import RunRequest
from identitystory.story.file import inline_story, slug
from tests.conftest import T
from tests.workshop import Workshop, contents

PEOPLE = ["Mara: a woman with dark curly hair"]
SCENES = ["{Mara} reads", "{Mara} swims", "{Mara} sleeps"]
PRESET = Preset(
    name="test",
    num_steps=T,
    attempts=1,
    discovery=DiscoveryConfig(num_portraits=16, rank=2, iterations=1),
    injection=InjectionConfig(start=8),
)


@pytest.fixture
def service(backend):
    return Workshop(backend).service


@pytest.fixture
def request_(tmp_path):
    return RunRequest(story(*SCENES), tmp_path / "run", PRESET)


def story(*scenes):
    return inline_story(PEOPLE, list(scenes), title="Three")


def made(service, request):
    *_, last = service.run(request)
    assert isinstance(last, Finished)
    return last.made


def pictures(out):
    """The frames of a run by the words of their scene."""
    record = json.loads((out / "run.json").read_text())
    texts = [scene["text"] for scene in record["story"]["scenes"]]
    return {text: (out / f"frames/{n:03d}.png").read_bytes() for n, text in enumerate(texts)}


@pytest.mark.parametrize(
    ("scenes", "new"),
    [
        (["{Mara} runs", *SCENES], ("frames/000",)),
        ([SCENES[0], "{Mara} runs", *SCENES[1:]], ("frames/001",)),
        ([*SCENES, "{Mara} runs"], ("frames/003",)),
        (SCENES[::-1], ()),
        (SCENES[1:], ()),
        ([SCENES[2], "{Mara} runs", SCENES[0]], ("frames/001",)),
    ],
)
def test_frames_follow_their_scenes(scenes, new, service, request_):
    """Whatever is inserted, removed or moved: what was painted keeps its bytes, no ghost stays."""
    made(service, request_)
    before = pictures(request_.out)
    edited = replace(request_, story=story(*scenes))
    assert made(service, edited) == new
    after = pictures(request_.out)
    assert {t: after[t] for t in after if t in before} == {
        t: before[t] for t in after if t in before
    }
    places = sorted(p.name for p in (request_.out / "frames").glob("???.png"))
    assert places == [f"{n:03d}.png" for n in range(len(scenes))]
    assert made(service, edited) == ()
    assert made(service, request_) == ()  # and back again: nothing was lost
    assert pictures(request_.out) == before


def test_a_scene_told_twice_is_two_scenes(service, request_):
    twice = replace(request_, story=story(SCENES[0], SCENES[0]))
    made(service, twice)
    first, second = ((request_.out / f"frames/00{n}.png").read_bytes() for n in (0, 1))
    assert first != second
    front = replace(request_, story=story("{Mara} runs", SCENES[0], SCENES[0]))
    assert made(service, front) == ("frames/000",)
    assert (request_.out / "frames/001.png").read_bytes() == first
    assert (request_.out / "frames/002.png").read_bytes() == second


def test_a_picture_painted_anew_is_another_take(service, request_):
    made(service, request_)
    old = (request_.out / "frames/001.png").read_bytes()
    assert made(service, replace(request_, only=(1,), seed=9)) == ("frames/001",)
    new = (request_.out / "frames/001.png").read_bytes()
    assert new != old
    found = takes.takes_of(RunFolder(request_.out), SCENES[1])
    assert [take.path.read_bytes() for take in found] == [old, new]
    assert [take.chosen for take in found] == [False, True]
    assert found[1].seed == 9
    for kind in (".template", ".masks"):
        assert found[0].path.with_name(f"{found[0].path.stem}{kind}.png").is_file()


def test_a_take_that_is_asked_for_again_is_not_painted_again(service, request_):
    made(service, request_)
    made(service, replace(request_, only=(1,), seed=9))
    made(service, replace(request_, only=(1,), seed=10))
    nine = takes.takes_of(RunFolder(request_.out), SCENES[1])[1].path.read_bytes()
    assert made(service, replace(request_, only=(1,), seed=9)) == ()
    assert (request_.out / "frames/001.png").read_bytes() == nine


def test_a_chosen_take_stays_until_its_frame_is_painted_anew(service, request_):
    made(service, request_)
    old = (request_.out / "frames/001.png").read_bytes()
    made(service, replace(request_, only=(1,), seed=9))
    takes.choose(request_.out, 1, 1)
    assert made(service, request_) == ()
    assert (request_.out / "frames/001.png").read_bytes() == old
    in_front = replace(request_, story=story("{Mara} runs", *SCENES))
    assert made(service, in_front) == ("frames/000",)
    assert (request_.out / "frames/002.png").read_bytes() == old
    assert made(service, replace(in_front, only=(2,), seed=11)) == ("frames/002",)
    assert (request_.out / "frames/002.png").read_bytes() != old


def test_choosing_what_is_not_there_is_one_line(service, request_):
    with pytest.raises(RunError, match="holds no run"):
        takes.choose(request_.out, 0, 1)
    made(service, request_)
    with pytest.raises(RunError, match="there is no frame 3; this run has frames 0 to 2"):
        takes.choose(request_.out, 3, 1)
    with pytest.raises(RunError, match="there is no take 2 of frame 0; there is takes 1 to 1"):
        takes.choose(request_.out, 0, 2)


def test_pruning_deletes_takes_and_no_picture_of_the_run(service, request_):
    made(service, request_)
    for seed in (9, 10, 11):
        made(service, replace(request_, only=(1,), seed=seed))
    whole = contents(request_.out)
    kept = {k: v for k, v in whole.items() if not k.startswith("frames/takes/")}
    size = sum(len(v) for k, v in whole.items() if k.startswith("frames/takes/"))
    assert takes.prune(request_.out, keep=1)[0] == 2
    assert [t.seed for t in takes.takes_of(RunFolder(request_.out), SCENES[1])][:1] == [10]
    count, freed = takes.prune(request_.out)
    assert count == 1
    assert 0 < freed < size
    assert contents(request_.out) == kept
    with pytest.raises(RunError, match="-1 takes cannot be kept"):
        takes.prune(request_.out, -1)


def test_a_run_that_is_cut_off_between_two_moves_loses_nothing(service, request_, monkeypatch):
    """After every single rename the same command ends where it would have ended."""
    made(service, request_)
    front = replace(request_, story=story("{Mara} runs", *SCENES))
    rename = os.replace
    for allowed in range(12):
        left = [allowed]

        def few(source, target, left=left, **folders):
            if not source.endswith(".part~"):
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
            return rename(source, target, **folders)

        before = pictures(request_.out)
        monkeypatch.setattr(os, "replace", few)
        with pytest.raises(KeyboardInterrupt):
            made(service, front)
        monkeypatch.setattr(os, "replace", rename)
        assert made(service, request_) == ()
        assert pictures(request_.out) == before


def test_the_commands(service, request_, capsys):
    made(service, request_)
    made(service, replace(request_, only=(1,), seed=9))
    run = str(request_.out)
    assert main(["takes", run, "1"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "frame 1: {Mara} swims"
    assert [line[2] for line in told[1:]] == [" ", "*"]
    assert "seed 9" in told[2]
    assert main(["choose", run, "1", "1", "--quiet"], service=lambda: service) == 0
    assert main(["takes", run, "1"]) == 0
    assert [line[2] for line in capsys.readouterr().out.splitlines()[-2:]] == ["*", " "]
    assert main(["choose", run, "1", "7"], service=lambda: service) == 2
    assert main(["prune", run]) == 0
    assert capsys.readouterr().out.startswith("1 takes deleted, ")
    assert main(["prune", run + "-nowhere"]) == 2


def test_a_run_folder_is_a_story(service, request_):
    made(service, request_)
    before = contents(request_.out)
    for given in (request_.out, request_.out / "run.json"):
        assert main(["generate", str(given), "--quiet"], service=lambda: service) == 0
    assert contents(request_.out) == before


FILE = """
[[character]]
name = "{name}"
description = "{description}"
[[scene]]
prompt = "{{{name}}} reads"
"""


def test_two_stories_of_one_title_have_two_folders(service, tmp_path, monkeypatch):
    """Untitled files of the same name, with somebody in common even: each keeps its pictures."""
    monkeypatch.chdir(tmp_path)
    for where in ("A", "B"):
        (tmp_path / where).mkdir()
        (tmp_path / where / "story.toml").write_text(
            FILE.format(name="Mara", description="a woman")
        )
        command = [
            "generate",
            f"{where}/story.toml",
            "--steps",
            "10",
            "--portraits",
            "16",
            "--quiet",
        ]
        assert main(command, service=lambda: service) == 0
    runs = sorted(p.name for p in (tmp_path / "runs").iterdir())
    assert len(runs) == 2
    assert runs[0] == "story"
    assert runs[1].startswith("story-")
    before = contents(tmp_path / "runs")
    assert main(command, service=lambda: service) == 0  # the second again: its own folder again
    assert contents(tmp_path / "runs") == before
    assert str(tmp_path) not in (tmp_path / "runs" / "story" / "run.json").read_text()


def test_a_typed_story_of_other_people_has_its_own_folder(service, request_, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made(service, replace(request_, out=default_folder(request_.story)))
    assert default_folder(story("{Mara} sings")).name == "three"  # somebody in common
    other = inline_story(["Tom: a man"], ["{Tom} reads"], title="Three")
    assert default_folder(other).name.startswith("three-")


def test_a_folder_of_quite_another_story_is_refused(service, request_):
    made(service, request_)
    other = inline_story(["Tom: a man"], ["{Tom} sings"], title="Other")
    with pytest.raises(RunError, match="holds the run of another story, 'Three'"):
        new_request(other, request_.out)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Die Straße, Café!", "die-strasse-cafe"),
        ("Маяк", "маяк"),
        ("灯台の話", "灯台の話"),
        ("!!!", "story"),
        ("../../etc", "etc"),
        ("x" * 300, "x" * 60),
        ("灯" * 300, "灯" * 50),
    ],
)
def test_folders_keep_the_letters_of_every_script(title, name):
    assert slug(title) == name
