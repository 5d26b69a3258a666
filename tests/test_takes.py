"""Nothing finished is overwritten: frames follow their scenes, and every take stays."""

import cProfile
import json
import os
import shutil
from collections import Counter
from dataclasses import replace

import pytest

from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import RunError, StoryError
from identitystory.runs import files, plan, takes
from identitystory.runs.events import Finished
from identitystory.runs.extending import extended
from identitystory.runs.folder import RunFolder
from identitystory.runs.options import default_folder, new_request
from identitystory.runs.request import RunRequest, recorded
from identitystory.story.file import inline_story, slug
from tests.conftest import T
from tests.workshop import FACTS, Workshop, contents

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


def of_scene(out, index):
    return takes.takes_of(takes.takes(RunFolder(out)), recorded(out).story.scenes[index])


def pictures(out):
    """The frames of a run by the words of their scene."""
    record = json.loads((out / "run.json").read_text())
    texts = [scene["text"] for scene in record["story"]["scenes"]]
    return {text: (out / f"frames/{n + 1:03d}.png").read_bytes() for n, text in enumerate(texts)}


@pytest.mark.parametrize(
    ("scenes", "new"),
    [
        (["{Mara} runs", *SCENES], ("frames/001",)),
        ([SCENES[0], "{Mara} runs", *SCENES[1:]], ("frames/002",)),
        ([*SCENES, "{Mara} runs"], ("frames/004",)),
        (SCENES[::-1], ()),
        (SCENES[1:], ()),
        ([SCENES[2], "{Mara} runs", SCENES[0]], ("frames/002",)),
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
    assert places == [f"{n + 1:03d}.png" for n in range(len(scenes))]
    assert made(service, edited) == ()
    assert made(service, request_) == ()  # and back again: nothing was lost
    assert pictures(request_.out) == before


def test_a_scene_told_twice_is_two_scenes(service, request_):
    twice = replace(request_, story=story(SCENES[0], SCENES[0]))
    made(service, twice)
    first, second = ((request_.out / f"frames/00{n + 1}.png").read_bytes() for n in (0, 1))
    assert first != second
    front = replace(request_, story=story("{Mara} runs", SCENES[0], SCENES[0]))
    assert made(service, front) == ("frames/001",)
    assert (request_.out / "frames/002.png").read_bytes() == first
    assert (request_.out / "frames/003.png").read_bytes() == second


def test_a_picture_painted_anew_is_another_take(service, request_):
    made(service, request_)
    old = (request_.out / "frames/002.png").read_bytes()
    assert made(service, replace(request_, only=(1,), seed=9)) == ("frames/002",)
    new = (request_.out / "frames/002.png").read_bytes()
    assert new != old
    found = of_scene(request_.out, 1)
    assert [take.path.read_bytes() for take in found] == [old, new]
    assert [take.chosen for take in found] == [False, True]
    assert found[1].seed == 9
    for kind in (".template", ".masks"):
        assert found[0].path.with_name(f"{found[0].path.stem}{kind}.png").is_file()


def test_a_take_that_is_asked_for_again_is_not_painted_again(service, request_):
    made(service, request_)
    made(service, replace(request_, only=(1,), seed=9))
    made(service, replace(request_, only=(1,), seed=10))
    nine = of_scene(request_.out, 1)[1].path.read_bytes()
    assert made(service, replace(request_, only=(1,), seed=9)) == ()
    assert (request_.out / "frames/002.png").read_bytes() == nine


def test_a_chosen_take_stays_until_its_frame_is_painted_anew(service, request_):
    made(service, request_)
    old = (request_.out / "frames/002.png").read_bytes()
    made(service, replace(request_, only=(1,), seed=9))
    takes.choose(request_.out, 1, 1)
    assert made(service, request_) == ()
    assert (request_.out / "frames/002.png").read_bytes() == old
    in_front = replace(request_, story=story("{Mara} runs", *SCENES))
    assert made(service, in_front) == ("frames/001",)
    assert (request_.out / "frames/003.png").read_bytes() == old
    assert made(service, replace(in_front, only=(2,), seed=11)) == ("frames/003",)
    assert (request_.out / "frames/003.png").read_bytes() != old


@pytest.mark.parametrize("changed", ["description", "style", "seed"])
def test_a_take_is_no_longer_chosen_once_it_shows_what_no_other_picture_does(
    service, request_, changed
):
    made(service, request_)
    made(service, replace(request_, only=(1,), seed=9))
    takes.choose(request_.out, 1, 1)
    assert made(service, request_) == ()
    told = story(*SCENES)
    if changed == "seed":
        told = replace(told, characters=(replace(told.characters[0], seed=3),))
    elif changed == "style":
        told = inline_story(PEOPLE, SCENES, title="Three", style="ink")
    else:
        told = inline_story(["Mara: an old woman"], SCENES, title="Three")
    faces = () if changed == "style" else ("cast/Mara",)
    frames = ("frames/001", "frames/002", "frames/003")
    assert made(service, replace(request_, story=told)) == (*faces, *frames)


def test_choosing_what_is_not_there_is_one_line(service, request_):
    with pytest.raises(RunError, match="holds no run"):
        takes.choose(request_.out, 0, 1)
    made(service, request_)
    with pytest.raises(RunError, match=r"there is no scene 4; .* has scenes 1 to 3"):
        takes.choose(request_.out, 3, 1)
    with pytest.raises(RunError, match="there is no take 2 of scene 1; there is takes 1 to 1"):
        takes.choose(request_.out, 0, 2)


def test_pruning_deletes_takes_and_no_picture_of_the_run(service, request_):
    made(service, request_)
    for seed in (9, 10, 11):
        made(service, replace(request_, only=(1,), seed=seed))
    whole = contents(request_.out)
    kept = {k: v for k, v in whole.items() if not k.startswith("frames/takes/")}
    size = sum(len(v) for k, v in whole.items() if k.startswith("frames/takes/"))
    assert takes.prune(request_.out, keep=1)[0] == 2
    assert [t.seed for t in of_scene(request_.out, 1)][:1] == [10]
    count, freed = takes.prune(request_.out)
    assert count == 1
    assert 0 < freed < size
    assert contents(request_.out) == kept
    with pytest.raises(RunError, match="-1 takes cannot be kept"):
        takes.prune(request_.out, -1)


def test_pruning_deletes_no_take_that_is_to_be_a_picture(service, request_):
    made(service, request_)
    made(service, replace(request_, only=(1,), seed=9))
    made(service, replace(request_, only=(1,), seed=10))
    takes.choose(request_.out, 1, 1)
    takes.lock(request_.out, 0)
    key = of_scene(request_.out, 1)[1].key
    takes.lock(request_.out, 1, key=key)
    assert takes.prune(request_.out)[0] == 0  # of three two are asked for, one is in its place
    takes.lock(request_.out, 1, False)
    assert takes.prune(request_.out)[0] == 1
    assert made(service, request_) == ()


def test_takes_that_do_not_say_their_scene_are_not_taken_for_one_scenes(service, request_):
    quiet = replace(request_, metadata=False)
    made(service, quiet)
    made(service, replace(quiet, seed=5))
    assert takes.prune(request_.out, keep=1)[0] == 0
    assert takes.prune(request_.out)[0] == 3 + 1  # and the face of the other seed


def test_a_run_that_is_cut_off_between_two_moves_loses_nothing(
    service, request_, tmp_path, monkeypatch
):
    """After every single rename the same command ends where it would have ended, and so does the old.

    Three files of each of two frames become takes, and come back a place farther on.
    """
    request = replace(request_, story=story(*SCENES[:2]))
    made(service, request)
    before, rename = contents(request.out), os.replace
    copy = lambda of, name: shutil.copytree(of, tmp_path / name)
    longer = story("{Mara} runs", *SCENES[:2])
    front = lambda out: made(service, replace(request, story=longer, out=out))
    whole = copy(request.out, "whole")
    assert front(whole) == ("frames/001",)
    for allowed in range(2 * 3 * 2):
        left = [allowed]

        def few(source, target, left=left, **folders):
            if not source.endswith(".part~"):
                if not left[0]:
                    raise KeyboardInterrupt
                left[0] -= 1
            return rename(source, target, **folders)

        cut = copy(request.out, f"cut {allowed}")
        monkeypatch.setattr(os, "replace", few)
        with pytest.raises(KeyboardInterrupt):
            front(cut)
        monkeypatch.setattr(os, "replace", rename)
        back = copy(cut, f"back {allowed}")
        assert made(service, replace(request, out=back)) == ()
        assert contents(back) == before
        assert front(cut) == ("frames/001",)
        assert contents(cut) == contents(whole)
    left[0] = allowed + 1  # and then there is nothing more to move
    monkeypatch.setattr(os, "replace", few)
    assert front(copy(request.out, "uncut")) == ("frames/001",)


def test_the_commands(service, request_, capsys):
    made(service, request_)
    made(service, replace(request_, only=(1,), seed=9))
    run = str(request_.out)
    assert main(["takes", run, "2"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "scene 2: {Mara} swims"
    assert [line[2] for line in told[1:]] == [" ", "*"]
    assert "seed 9" in told[2]
    assert main(["choose", run, "2", "1", "--quiet"], service=lambda: service) == 0
    assert main(["takes", run, "2"]) == 0
    assert [line[2] for line in capsys.readouterr().out.splitlines()[-2:]] == ["*", " "]
    assert main(["choose", run, "2", "7"], service=lambda: service) == 2
    assert main(["prune", run]) == 0
    assert capsys.readouterr().out.startswith("1 takes deleted, ")
    for seed in (10, 11, 12):
        made(service, replace(request_, only=(1,), seed=seed))
    assert main(["prune", run, "--keep", "1"]) == 0
    assert capsys.readouterr().out.startswith("2 takes deleted, ")
    assert main(["takes", run, "2"]) == 0
    kept, shown = capsys.readouterr().out.splitlines()[1:]
    assert (kept[2], "seed 11" in kept) == (" ", True)
    assert (shown[2], "seed 12" in shown) == ("*", True)
    assert main(["prune", run + "-nowhere"]) == 2


def test_a_run_folder_is_a_story(service, request_):
    made(service, request_)
    before = contents(request_.out)
    for given in (request_.out, request_.out / "run.json"):
        assert main(["generate", str(given), "--quiet"], service=lambda: service) == 0
    assert contents(request_.out) == before


def named(*scenes):
    """A story whose scenes have ids: pairs of id and prompt."""
    told = story(*(prompt for _, prompt in scenes))
    own = [replace(s, id=id_) for s, (id_, _) in zip(told.scenes, scenes, strict=True)]
    return replace(told, scenes=tuple(own))


def recorded_seeds(out):
    parts = json.loads((out / "run.json").read_text())["parts"]
    return [part["seed"] for name, part in parts.items() if name.startswith("frames/")]


def test_a_scene_with_an_id_keeps_its_seed_and_its_takes_when_its_words_change(service, request_):
    made(service, replace(request_, story=named(("a", SCENES[0]), ("b", SCENES[1]))))
    before, old = recorded_seeds(request_.out), (request_.out / "frames/002.png").read_bytes()
    edited = replace(request_, story=named(("b", "{Mara} dives"), ("a", SCENES[0])))
    assert made(service, edited) == ("frames/001",)
    assert recorded_seeds(request_.out) == before[::-1]
    assert of_scene(request_.out, 0)[0].path.read_bytes() == old
    other = replace(edited, out=request_.out.with_name("other"))
    made(service, other)
    assert recorded_seeds(other.out) == before[::-1]  # from the id alone, wherever it stands


def test_an_id_that_is_given_later_changes_nothing_that_is_painted(service, request_):
    made(service, request_)
    before, seeds = pictures(request_.out), recorded_seeds(request_.out)
    later = named(("a", SCENES[0]), ("b", SCENES[1]), ("", SCENES[2]))
    assert made(service, replace(request_, story=later)) == ()
    assert pictures(request_.out) == before
    edited = named(("new", "{Mara} runs"), ("b", "{Mara} dives"), ("a", SCENES[0]))
    assert made(service, replace(request_, story=edited)) == ("frames/001", "frames/002")
    assert recorded_seeds(request_.out)[1:] == [seeds[1], seeds[0]]


def test_a_choice_and_a_seed_of_ones_own_follow_an_id(service, request_):
    told = replace(request_, story=named(("a", SCENES[0])))
    made(service, told)
    made(service, replace(told, only=(0,), seed=9))
    takes.choose(request_.out, 0, 1)
    assert made(service, told) == ()
    edited = replace(request_, story=named(("a", "{Mara} dives")))
    assert made(service, edited) == ("frames/001",)  # the choice was of other words
    assert recorded_seeds(request_.out) == [9]


def test_two_scenes_of_one_id_are_refused_also_in_a_run_that_is_extended(service, request_):
    made(service, replace(request_, story=named(("a", SCENES[0]))))
    with pytest.raises(StoryError, match="scenes 1 and 2 have the id 'a'; ids must differ"):
        extended(request_.out, named(("a", "{Mara} dives")))


def test_a_run_that_would_keep_too_many_takes_is_refused_and_left_as_it_is(service, request_):
    made(service, request_)
    capped = replace(request_, max_takes=1)
    assert made(service, replace(capped, only=(1,), seed=9)) == ("frames/002",)
    before = contents(request_.out)
    with pytest.raises(RunError) as refused:
        made(service, replace(capped, only=(1,), seed=10))
    size = sum(len(v) for k, v in before.items() if k.startswith("frames/takes/")) / 2**20
    assert str(refused.value) == (
        f"{request_.out} would keep 2 earlier pictures, and at most 1 are kept: identitystory prune "
        f"{request_.out} deletes 1 and frees {size:.1f} MiB; or give a larger --max-takes"
    )
    assert contents(request_.out) == before
    turned = replace(capped, story=story(*SCENES[::-1]))
    assert made(service, turned) == ()  # what only moves is no take
    assert recorded(request_.out).max_takes == 1
    assert takes.prune(request_.out)[0] == 1
    assert made(service, replace(recorded(request_.out), only=(1,), seed=10)) == ("frames/002",)


def test_each_picture_is_read_once_and_the_plan_made_once_when_a_run_goes_on(
    service, request_, monkeypatch
):
    made(service, request_)
    read, plans = Counter(), []
    facts, planned = files.read_png_facts, plan.make_plan

    def reading(path, *root):
        read[path.relative_to(request_.out).as_posix()] += 1
        return facts(path, *root)

    monkeypatch.setattr(files, "read_png_facts", reading)
    monkeypatch.setattr(takes, "read_png_facts", reading)
    monkeypatch.setattr(plan, "make_plan", lambda *a: plans.append(1) or planned(*a))
    assert made(service, request_) == ()
    frames = {name: count for name, count in read.items() if name.startswith("frames/")}
    kinds = ("", ".template", ".masks")
    assert frames == {f"frames/00{n}{kind}.png": 1 for n in (1, 2, 3) for kind in kinds}
    assert plans == [1]


@pytest.mark.parametrize(
    "method", ["identitystory", "consistory", "storydiffusion", "general", "direct-identity"]
)
def test_a_plan_takes_time_in_proportion_to_its_scenes(method, request_):
    """Counted in calls, which no other work of the machine changes."""

    def calls(count):
        scenes = [f"{{Mara}} reads book {n}" for n in range(count)]
        request = replace(request_, story=story(*scenes), method=method)
        profile = cProfile.Profile()
        profile.runcall(plan.make_plan, request, FACTS, None)
        return sum(entry.callcount for entry in profile.getstats())

    calls(2)  # whatever is imported or read once
    few, more, many = map(calls, (20, 100, 180))
    assert many - more < 1.1 * (more - few)


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
