"""The service on fakes: what is done is never done again, and the bytes tell."""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from importlib.metadata import version

import pytest
from PIL import Image

from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import ConfigError, PromptError, RunError
from identitystory.protocols import ModelFacts
from identitystory.runs import files, plan
from identitystory.runs import folder as runfolder
from identitystory.runs.events import (
    Finished,
    FrameReady,
    IdentityFound,
    PartKept,
    Started,
    StepDone,
    Warned,
)
from identitystory.runs.extending import extended
from identitystory.runs.folder import RunFolder
from identitystory.runs.options import new_request
from identitystory.runs.request import RunRequest, from_picture, story_to_dict
from identitystory.runs.service import Service
from identitystory.settings import Overrides, overridden
from identitystory.story.file import inline_story, make_story, more_scenes

STEPS, PORTRAITS = 10, 20  # two chunks: 16 and 4
PRESET = Preset(
    "test",
    num_steps=STEPS,
    discovery=DiscoveryConfig(num_portraits=PORTRAITS, rank=2),
    injection=InjectionConfig(start=8),
)
STORY = inline_story(
    ["Mara: a woman with dark curly hair", "Tom: an old man with a beard"],
    ["{Mara} reads", "{Mara} and {Tom} on a pier", "{Tom} sleeps"],
    title="The pier",
)
PORTRAIT_COST = 2 * STEPS * PORTRAITS
FRAME_COST = 2 * STEPS + 2 * 8
# Steps after which something is stored: two chunks a character, then frames of 10 + 8 steps.
STORED_AT = (0, 10, 20, 30, 40, 58, 76, 94)


class Workshop:
    """A service on the fakes of conftest that remembers loads, and steps by kind."""

    def __init__(self, backend, *, weights="w1", nap=0.0, fail_at=None):
        self.backend, self.weights, self.nap, self.fail_at = backend, weights, nap, fail_at
        self.loads = 0
        self.steps = 0
        self.service = Service(load=self.load, describe=self.describe)
        for G in (backend.general, backend.identity):
            G.step = self.counted(type(G).step.__get__(G))

    def counted(self, step):
        def one(z, i, cond):
            self.steps += 1
            if self.steps == self.fail_at:
                raise KeyboardInterrupt
            time.sleep(self.nap)
            return step(z, i, cond)

        return one

    def load(self, model, *, sampler, num_steps, device, dtype):
        assert (model, sampler, num_steps) == ("miniature", "ddim", STEPS)
        assert (device, dtype) == ("cpu", "float32")
        self.loads += 1
        return self.backend

    def describe(self, model, device, dtype):
        return ModelFacts(self.weights, "cpu", "float32")

    def run(self, request):
        return list(self.service.run(request))


@pytest.fixture
def workshop(backend):
    return Workshop(backend)


@pytest.fixture
def request_(tmp_path):
    return RunRequest(STORY, tmp_path / "run", PRESET)


def contents(root):
    """Every file of a run but its diary, by relative path."""
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.name not in ("events.jsonl", ".lock")
    }


def kinds(events, kind):
    return [e for e in events if isinstance(e, kind)]


def test_a_run_holds_exactly_the_promised_files(workshop, request_):
    events = workshop.run(request_)
    names = {f"frames/{i + 1:03d}{s}.png" for i in range(3) for s in ("", ".template", ".masks")}
    names |= {f"cast/{n}.{s}" for n in ("Mara", "Tom") for s in ("png", "safetensors")}
    assert set(contents(request_.out)) == names | {"run.json", "sheet.png"}
    assert [e.name for e in kinds(events, IdentityFound)] == ["Mara", "Tom"]
    assert [e.index for e in kinds(events, FrameReady)] == [0, 1, 2]
    diary = (request_.out / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in diary] == [
        type(e).__name__ for e in events if not isinstance(e, StepDone)
    ]


def test_evaluations_are_the_formula(workshop, request_):
    events = workshop.run(request_)
    cost = 2 * PORTRAIT_COST + 3 * 2 * STEPS + 4 * 2 * 8
    assert kinds(events, Started)[0].evaluations == cost
    assert kinds(events, Finished)[0].evaluations == cost
    assert kinds(events, StepDone)[-1].evaluations == cost


def test_a_second_run_redoes_nothing_and_does_not_load_the_model(workshop, request_):
    workshop.run(request_)
    before = contents(request_.out)
    times = {p: p.stat().st_mtime_ns for p in request_.out.rglob("*.png")}
    workshop.loads = workshop.steps = 0
    events = workshop.run(request_)
    assert (workshop.loads, workshop.steps) == (0, 0)
    assert contents(request_.out) == before
    assert {p: p.stat().st_mtime_ns for p in request_.out.rglob("*.png")} == times
    assert len(kinds(events, PartKept)) == 5
    assert kinds(events, Finished)[0].made == ()


def test_the_same_request_elsewhere_gives_the_same_bytes(workshop, request_, tmp_path):
    workshop.run(request_)
    workshop.run(replace(request_, out=tmp_path / "other"))
    assert contents(request_.out) == contents(tmp_path / "other")


def test_interrupted_anywhere_and_repeated_the_bytes_are_the_same(backend, request_, tmp_path):
    undisturbed = Workshop(backend)
    undisturbed.run(replace(request_, out=tmp_path / "whole"))
    whole = contents(tmp_path / "whole")
    for fail_at in (5, 15, 25, 35, 45, 55, 75, 90):
        request = replace(request_, out=tmp_path / f"{fail_at}")
        broken = Workshop(backend, fail_at=fail_at)
        with pytest.raises(KeyboardInterrupt):
            broken.run(request)
        again = Workshop(backend)
        again.run(request)
        assert contents(request.out) == whole, fail_at
        stored = max(steps for steps in STORED_AT if steps < fail_at)
        assert again.steps == undisturbed.steps - stored, fail_at


def _slow_run(backend, request):
    Workshop(backend, nap=0.004).run(request)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork with threads, from Python 3.12
@pytest.mark.parametrize("sign", ["cast/Mara.partial/00.safetensors", "frames/001.png"])
def test_kill_9_then_the_same_command_gives_the_same_bytes(backend, request_, tmp_path, sign):
    whole = replace(request_, out=tmp_path / "whole")
    undisturbed = Workshop(backend)
    undisturbed.run(whole)
    child = multiprocessing.get_context("fork").Process(target=_slow_run, args=(backend, request_))
    child.start()
    deadline = time.monotonic() + 30
    while not (request_.out / sign).exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert not (request_.out / "sheet.png").exists()
    again = Workshop(backend)
    again.run(request_)
    assert again.steps < undisturbed.steps
    assert contents(request_.out) == contents(tmp_path / "whole")


def test_a_reroll_changes_one_frame_and_the_next_plain_run_keeps_it(workshop, request_):
    workshop.run(request_)
    before = contents(request_.out)
    workshop.steps = 0
    events = workshop.run(replace(request_, only=(2,), seed=9))
    after = contents(request_.out)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        "frames/003.png", "frames/003.template.png", "frames/003.masks.png",
        "run.json", "sheet.png",
    }  # fmt: skip
    assert kinds(events, FrameReady)[0].seed == 9
    assert kinds(events, Finished)[0].evaluations == FRAME_COST
    workshop.steps = 0
    workshop.run(request_)
    workshop.run(replace(request_, seed=0))
    assert workshop.steps == 0
    assert contents(request_.out).items() >= {k: after[k] for k in changed - {"run.json"}}.items()


def test_a_new_seed_for_the_run_starts_afresh(workshop, request_, tmp_path):
    workshop.run(request_)
    workshop.run(replace(request_, only=(1,), seed=9))
    workshop.run(replace(request_, seed=5))
    workshop.run(replace(request_, seed=5, out=tmp_path / "other"))
    now = {k: v for k, v in contents(request_.out).items() if "/takes/" not in k}
    assert now == contents(tmp_path / "other")


def test_only_the_frames_that_an_edit_touches_are_painted_again(workshop, request_):
    workshop.run(request_)
    edited = inline_story(
        [f"{c.name}: {c.description}" for c in STORY.characters],
        ["{Mara} reads", "{Mara} and {Tom} in a boat", "{Tom} sleeps"],
        title="The pier",
    )
    finished = kinds(workshop.run(replace(request_, story=edited)), Finished)[0]
    assert finished.made == ("frames/002",)
    older = replace(STORY.characters[1], description="a very old man with a beard")
    changed = inline_story(
        [f"{c.name}: {c.description}" for c in (STORY.characters[0], older)],
        [s.text for s in edited.scenes],
        title="The pier",
    )
    finished = kinds(workshop.run(replace(request_, story=changed)), Finished)[0]
    assert finished.made == ("cast/Tom", "frames/002", "frames/003")


@pytest.mark.parametrize(
    ("change", "made"),
    [
        ({"injection": InjectionConfig(start=7)}, 3),
        ({"discovery": DiscoveryConfig(num_portraits=PORTRAITS, rank=3)}, 5),
        ({"attempts": 2}, 3),
        ({"seed_per_frame": False}, 3),
    ],
)
def test_a_changed_configuration_makes_its_own_parts_again(workshop, request_, change, made):
    workshop.run(request_)
    events = workshop.run(replace(request_, preset=replace(PRESET, **change)))
    assert len(kinds(events, Finished)[0].made) == made


def test_other_weights_make_everything_again(backend, workshop, request_):
    workshop.run(request_)
    before = contents(request_.out)
    events = Workshop(backend, weights="w2").run(request_)
    assert len(kinds(events, Finished)[0].made) == 5
    (told,) = [e.message for e in kinds(events, Warned) if "another checkpoint" in e.message]
    assert "(fingerprint w1) than 'miniature' is here (w2)" in told
    takes = {path.read_bytes() for path in (request_.out / "frames" / "takes").iterdir()}
    frames = [data for name, data in before.items() if name.startswith("frames/")]
    assert len(frames) > 2
    assert set(frames) == takes  # not one picture is lost
    again = Workshop(backend, weights="w2").run(request_)
    assert not [e for e in kinds(again, Warned) if "another checkpoint" in e.message]


def test_a_torn_picture_is_made_again_with_the_same_bytes(workshop, request_):
    workshop.run(request_)
    before = contents(request_.out)
    path = request_.out / "frames" / "002.masks.png"
    path.write_bytes(path.read_bytes()[:50])
    finished = kinds(workshop.run(request_), Finished)[0]
    assert finished.made == ("frames/002",)
    assert contents(request_.out) == before


def test_extending_paints_only_the_new_scenes_and_twice_is_once(workshop, request_):
    workshop.run(request_)
    before = contents(request_.out)
    more = inline_story(["Mara: a woman with dark curly hair"], ["{Mara} swims", "{Mara} rests"])
    longer, new = extended(request_.out, more)
    assert new == 2
    finished = kinds(workshop.run(longer), Finished)[0]
    assert finished.made == ("frames/004", "frames/005")
    after = contents(request_.out)
    assert all(after[n] == before[n] for n in before if n not in ("run.json", "sheet.png"))
    same, new = extended(request_.out, more)
    assert (new, same.story) == (0, longer.story)


def test_one_frame_of_an_extended_run_keeps_what_was_added(workshop, request_):
    workshop.run(request_)
    added = inline_story(["Mara: a woman with dark curly hair", "Ann: a girl"], ["{Ann} swims"])
    longer, _ = extended(request_.out, added)
    workshop.run(longer)
    again = new_request(STORY, request_.out, only=(0,), seed=9)
    assert kinds(workshop.run(again), Finished)[0].made == ("frames/001",)
    record = json.loads((request_.out / "run.json").read_text())
    assert [s["text"] for s in record["story"]["scenes"]][-1] == "{Ann} swims"
    assert record["parts"]["frames/004"]["state"] == "done"
    edited = replace(STORY, style="watercolour")
    assert new_request(edited, request_.out, only=(0,)).story == edited
    assert new_request(STORY, request_.out).story == STORY


def test_extending_by_a_file_without_the_noun_keeps_the_runs_own(workshop, request_):
    Mara, *others = STORY.characters
    curly = replace(Mara, noun="hair")
    workshop.run(replace(request_, story=replace(STORY, characters=(curly, *others))))
    more = inline_story(["Mara: a woman with dark curly hair"], ["{Mara} swims"])
    assert more.characters == (Mara,)
    longer, _ = extended(request_.out, more)
    assert longer.story.characters[0] == curly
    assert kinds(workshop.run(longer), Finished)[0].made == ("frames/004",)


def test_what_is_added_has_the_runs_style_and_no_other(workshop, request_):
    """Template and faces are painted in one style: the faces take the story's, scenes have none."""
    inked = inline_story(["Mara: a woman with dark curly hair"], ["{Mara} reads"], style="ink")
    workshop.run(replace(request_, story=inked))
    more = inline_story(["Mara: a woman with dark curly hair"], ["{Mara} swims"])
    longer, _ = extended(request_.out, more)
    assert longer.story.scenes[1].prompt == "ink, a woman with dark curly hair swims"
    workshop.run(longer)
    for again in (more, replace(longer.story, scenes=longer.story.scenes[1:])):
        assert extended(request_.out, again)[1] == 0
    other = more_scenes(inked, [], ["{Mara} rests"], style="oil")
    with pytest.raises(
        RunError, match=r"the new scenes have the style 'oil', but .* has 'ink'; lea"
    ):
        extended(request_.out, other)


def test_what_a_file_says_of_all_its_scenes_is_kept_of_those_that_are_added(workshop, request_):
    workshop.run(request_)
    person = {"name": "Mara", "description": "a woman with dark curly hair"}
    scenes = [{"prompt": "{Mara} swims"}, {"prompt": "{Mara} rests", "pose": {"from": 1}}]
    more = make_story({"character": [person], "scene": scenes, "size": "64x32"}, source="s")
    longer, new = extended(request_.out, more)
    assert new == 2
    assert [scene.shape for scene in longer.story.scenes] == ["", "", "", "64x32", "64x32"]
    assert [p.source for p in longer.story.scenes[-1].pose] == [len(STORY.scenes) + 1]
    record = RunFolder(request_.out).record
    record.write_text(
        json.dumps(json.loads(record.read_text()) | {"story": story_to_dict(longer.story)})
    )
    assert extended(request_.out, more)[1] == 0
    own = replace(more, scenes=tuple(replace(s, shape="32x64") for s in more.scenes))
    assert {s.shape for s in extended(request_.out, own)[0].story.scenes[-2:]} == {"32x64"}
    with pytest.raises(RunError, match=r"other LoRAs than .*; leave 'lora' out"):
        extended(request_.out, replace(more, loras=("ink.safetensors:0.8",)))


def test_extending_with_somebody_else_of_that_name_is_refused(workshop, request_):
    workshop.run(request_)
    with pytest.raises(
        RunError, match=r"'Mara' is 'a woman with dark curly hair' in .*not 'a girl'"
    ):
        extended(request_.out, inline_story(["Mara: a girl"], ["{Mara} swims"]))


def test_a_shorter_story_keeps_the_longer_ones_frames_among_the_takes(workshop, request_):
    workshop.run(request_)
    whole = contents(request_.out)
    short = replace(STORY, scenes=STORY.scenes[:2])
    workshop.run(replace(request_, story=short))
    assert not (request_.out / "frames" / "003.png").exists()
    assert whole["frames/003.png"] in contents(request_.out / "frames" / "takes").values()
    assert kinds(workshop.run(request_), Finished)[0].made == ()
    assert contents(request_.out) == whole


def test_discover_stops_before_the_pictures_and_generate_goes_on(workshop, request_):
    finished = kinds(workshop.run(replace(request_, paint=False)), Finished)[0]
    assert finished.made == ("cast/Mara", "cast/Tom")
    assert finished.sheet is None
    assert not (request_.out / "frames" / "001.png").exists()
    finished = kinds(workshop.run(request_), Finished)[0]
    assert finished.made == ("frames/001", "frames/002", "frames/003")


def test_one_frame_of_a_new_run_needs_its_own_cast_only(workshop, request_):
    finished = kinds(workshop.run(replace(request_, only=(2,))), Finished)[0]
    assert finished.made == ("cast/Tom", "frames/003")


def test_a_frame_is_made_again_from_its_own_png(workshop, request_, tmp_path):
    workshop.run(replace(request_, only=(1,), seed=77))
    picture = request_.out / "frames" / "002.png"
    again = from_picture(picture, tmp_path / "again")
    workshop.run(again)
    assert (tmp_path / "again" / "frames" / "001.png").read_bytes() == picture.read_bytes()


def test_a_frame_with_somebody_of_words_alone_is_made_again(workshop, request_, tmp_path):
    """How many people are in a picture is in its key, for templates and words of faces go by it."""
    people = [
        {"name": "Mara", "description": "a woman"},
        {"name": "Rex", "description": "a dog", "identity": False},
    ]
    story = {"character": people, "scene": [{"prompt": "{Mara} walks with {Rex}"}]}
    workshop.run(replace(request_, story=make_story(story, source="a.toml")))
    picture = request_.out / "frames" / "001.png"
    workshop.run(from_picture(picture, tmp_path / "again"))
    assert (tmp_path / "again/frames/001.png").read_bytes() == picture.read_bytes()


def test_a_picture_of_another_checkpoint_is_warned_about(backend, workshop, request_, tmp_path):
    workshop.run(replace(request_, only=(0,)))
    again = from_picture(request_.out / "frames" / "001.png", tmp_path / "again")
    assert not kinds(workshop.run(again), Warned)
    other = Workshop(backend, weights="w2")
    events = other.run(replace(again, out=tmp_path / "other"))
    assert [w.message for w in kinds(events, Warned)] == [
        "the picture was painted by another checkpoint (fingerprint w1) than 'miniature' is here "
        "(w2): it will look otherwise; name the other one with --model"
    ]


@pytest.mark.parametrize("method", ["identitystory", "general"])
def test_a_picture_names_its_model_and_is_made_again_by_it(tmp_path, method):
    facts = ModelFacts("w1", "cpu", "float32")
    request = RunRequest(STORY, tmp_path / "run", PRESET, model="sdxl:a/b", method=method)
    made = plan.make_plan(request, facts, None)
    picture = tmp_path / "000.png"
    files.write_png(picture, Image.new("RGB", (8, 8)), made.frames[0].facts())
    again = from_picture(picture, tmp_path / "again")
    assert (again.model, again.fingerprint) == ("sdxl:a/b", "w1")
    assert from_picture(picture, tmp_path, model="mine").model == "mine"
    unnamed = made.frames[0].facts() | {"model": {"fingerprint": "w1", "dtype": "float32"}}
    files.write_png(picture, Image.new("RGB", (8, 8)), unnamed)
    assert from_picture(picture, tmp_path / "again").model == "miniature"
    other = plan.make_plan(replace(request, model="x"), facts, None)
    assert other.frames[0].key == made.frames[0].key


def test_pictures_tell_how_they_were_made(workshop, request_):
    workshop.run(request_)
    facts = files.read_png_facts(request_.out / "frames" / "002.png")
    assert facts["scene"]["text"] == "{Mara} and {Tom} on a pier"
    assert facts["preset"]["injection"]["start"] == 8
    assert facts["model"] == {"name": "miniature", "fingerprint": "w1", "dtype": "float32"}
    assert facts["versions"]["torch"] == version("torch")
    mara = files.read_tensor_facts(request_.out / "cast" / "Mara.safetensors")
    assert facts["characters"][0]["identity"] == mara["key"]
    assert str(request_.out) not in json.dumps(facts)
    with pytest.raises(RunError, match="does not say how it was made"):
        from_picture(request_.out / "sheet.png", request_.out)


def test_who_is_not_found_is_warned_about_and_the_frame_is_there(workshop, request_, boxes):
    boxes.pop("an old man with a beard")
    events = workshop.run(request_)
    assert [w.message for w in kinds(events, Warned)] == [
        f"scene {i + 1}: 'Tom' was not found in the picture and keeps the template's face; "
        f"try --only {i + 1} --seed random"
        for i in (1, 2)
    ]
    assert [e.missing for e in kinds(events, FrameReady)] == [(), ("Tom",), ("Tom",)]
    folder = runfolder.RunFolder(request_.out)
    with Image.open(folder.frame(2)) as frame, Image.open(folder.template(2)) as template:
        assert frame.tobytes() == template.tobytes()


def test_closing_the_iterator_ends_the_work_and_frees_the_folder(backend, request_):
    workshop = Workshop(backend, nap=0.001)
    events = workshop.service.run(request_)
    while not isinstance(next(events), StepDone):
        pass
    events.close()
    steps = workshop.steps
    assert steps < 10
    with runfolder.opened(request_.out):
        pass


def test_a_mistake_leaves_no_folder_behind(workshop, request_):
    with pytest.raises(ConfigError, match="there is no scene 4; this story has scenes 1 to 3"):
        workshop.run(replace(request_, only=(3,)))
    with pytest.raises(ConfigError, match="the seed is -1"):
        workshop.run(replace(request_, seed=-1))
    workshop.service.describe = lambda *_: ModelFacts("w1", "cpu", "float32", max_steps=STEPS - 1)
    with pytest.raises(ConfigError, match=r"there are 10 steps; miniature takes 1 to 9\. "):
        workshop.run(request_)
    hairless = replace(STORY.characters[0], noun="girl")
    story = replace(STORY, characters=(hairless, *STORY.characters[1:]))
    workshop.service.describe = workshop.describe
    with pytest.raises(PromptError, match="the class word 'girl' is not in the prompt"):
        workshop.run(replace(request_, story=story))
    assert not request_.out.exists()


def test_unknown_words_are_warned_about(backend, request_, tmp_path):
    (tmp_path / "vocabulary.json").write_text('{"words": ["a", "woman", "reading"]}')
    workshop = Workshop(backend)
    workshop.service.describe = lambda *_: ModelFacts("w1", "cpu", "float32", tmp_path)
    short = inline_story(["Mara: a woman"], ["{Mara} reads"])
    events = workshop.run(replace(request_, story=short))
    assert next(w.message for w in kinds(events, Warned)) == (
        "the model has never seen 'reads' (it knows 'reading'); it will guess"
    )


def test_a_broken_model_is_not_loaded_twice_nor_hidden(backend, request_):
    def broken(*_, **__):
        raise RuntimeError("boom")

    service = Service(load=broken, describe=lambda *_: ModelFacts("w", "cpu", "float32"))
    with pytest.raises(RuntimeError, match="boom"):
        list(service.run(request_))
    Workshop(backend, weights="w").run(request_)


def test_a_folder_keeps_its_own_settings_unless_told_otherwise(workshop, request_):
    workshop.run(request_)
    again = new_request(STORY, request_.out, only=(1,), seed=3)
    assert again.preset == PRESET
    assert new_request(STORY, request_.out, preset_name="paper").preset.name == "paper"
    assert new_request(STORY, request_.out / "new").preset.name == "recommended"


def test_fewer_steps_and_portraits_take_start_and_rank_along():
    base = Preset("p")
    few, notes = overridden(base, Overrides(steps=10))
    assert (few.num_steps, few.injection.start, notes) == (10, 8, ())
    short = replace(base, discovery=replace(base.discovery, search_steps=8))
    steps_of_a_portrait = lambda steps: (
        overridden(short, Overrides(steps=steps))[0].discovery.search_steps
    )
    assert [steps_of_a_portrait(n) for n in (50, 8, 7)] == [8, 8, None]  # None is as many
    few, notes = overridden(
        base, Overrides(portraits=16)
    )  # 16, 9, 5: the last round filters 5 rows
    assert (few.discovery.iterations, few.discovery.rank) == (3, 4)
    assert notes == ("16 portraits are few: the filter runs 3 rounds at rank 4 instead of 3 at 10",)
    one, notes = overridden(base, Overrides(portraits=1))
    assert (one.discovery.num_portraits, one.discovery.iterations) == (1, 0)
    assert notes == ("1 portraits are too few to filter; all of them are averaged",)
    with pytest.raises(ConfigError):
        overridden(base, Overrides(portraits=0))
    with pytest.raises(ConfigError):
        overridden(base, Overrides(steps=0))


def test_other_frame_steps_keep_the_identities_of_short_searches(request_):
    facts = ModelFacts("w1", "cpu", "float32", max_steps=1000)

    def keys(preset):
        made = plan.make_plan(replace(request_, preset=preset), facts, None)
        return {n: part.key for n, part in made.identities.items()}, [f.key for f in made.frames]

    short = replace(PRESET, discovery=replace(PRESET.discovery, search_steps=4))
    (cast, frames), (again, others) = keys(short), keys(overridden(short, Overrides(steps=20))[0])
    assert cast == again
    assert not set(frames) & set(others)
    full = overridden(PRESET, Overrides(steps=20))[0]  # portraits take as many steps as a frame
    assert keys(PRESET)[0] != keys(full)[0]


def test_keys_do_not_depend_on_the_order_of_dictionaries():
    assert plan.part_key({"a": 1, "b": [2]}) == plan.part_key({"b": [2], "a": 1})


def test_a_settled_search_ends_early_and_is_not_begun_again(workshop, request_):
    """Two chunks of 16 agree enough; the third is never painted, now or later."""
    discovery = replace(PRESET.discovery, num_portraits=48, settle=1.99)
    request = replace(request_, preset=replace(PRESET, discovery=discovery), paint=False)
    events = workshop.run(request)
    found = kinds(events, IdentityFound)
    assert [event.portraits for event in found] == [32, 32]
    assert kinds(events, Started)[0].evaluations == 2 * 48 * 2 * STEPS
    assert kinds(events, Finished)[0].evaluations == 2 * 32 * 2 * STEPS
    last = kinds(events, StepDone)[-1]
    assert last.evaluations == 2 * 32 * 2 * STEPS
    again = workshop.run(request)
    assert kinds(again, Finished)[0].evaluations == 0
