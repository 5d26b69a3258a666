"""--method through the service: its own keys, its own files, resumed and made again."""

from dataclasses import replace

import pytest

from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import ConfigError
from identitystory.methods.registry import METHODS, check_method, method
from identitystory.models.files.suited import preset
from identitystory.presets import with_guidance
from identitystory.protocols import ModelFacts
from identitystory.runs import files, plan
from identitystory.runs.events import Finished, FrameReady, Started, StepDone
from identitystory.runs.options import again_request, new_request
from identitystory.runs.plan import make_plan
from identitystory.runs.request import RunRequest
from identitystory.runs.service import Service
from identitystory.story.file import inline_story
from identitystory.types import plain
from tests.conftest import FakeSegmenter
from tests.stories import toy_backend  # noqa: F401
from tests.toy import toy_checkpoint  # noqa: F401

STEPS = 4
PRESET = Preset(
    "test",
    num_steps=STEPS,
    discovery=DiscoveryConfig(num_portraits=6, rank=1, iterations=1),
    injection=InjectionConfig(start=3),
)
STORY = inline_story(
    ["Mara: a woman with dark curly hair", "Tom: an old man with a grey beard"],
    ["{Mara} reads a letter", "{Mara} and {Tom} on the pier", "{Mara} by the sea"],
    title="The pier",
)
FACTS = ModelFacts("w1", "cpu", "float32")


@pytest.fixture
def request_(tmp_path):
    return RunRequest(STORY, tmp_path / "run", PRESET, method="storydiffusion")


@pytest.fixture
def service(backend):
    return Service(load=lambda *_, **__: backend, describe=lambda *_: FACTS)


def contents(root):
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.name not in ("events.jsonl", ".lock")
    }


def keys(request):
    return [part.key for part in make_plan(request, FACTS, None).frames]


def kinds(events, kind):
    return [e for e in events if isinstance(e, kind)]


def test_a_run_of_a_compared_method_paints_frames_and_finds_no_identities(service, request_):
    events = list(service.run(request_))
    names = {f"frames/{i + 1:03d}{s}.png" for i in range(3) for s in ("", ".masks")}
    assert set(contents(request_.out)) == names | {"run.json", "sheet.png"}
    assert sorted(e.index for e in kinds(events, FrameReady)) == [0, 1, 2]
    cost = 2 * STEPS * 3
    assert kinds(events, Started)[0].evaluations == cost
    assert kinds(events, Finished)[0].evaluations == cost
    assert kinds(events, StepDone)[-1].evaluations == cost
    facts = files.read_png_facts(request_.out / "frames" / "002.png")
    assert facts["method"]["name"] == "storydiffusion"
    assert [c["name"] for c in facts["characters"]] == ["Mara", "Tom"]


def test_broken_off_and_repeated_the_bytes_are_the_same(service, request_, tmp_path):
    whole = replace(request_, out=tmp_path / "whole")
    list(service.run(whole))
    for event in service.run(request_):
        if isinstance(event, FrameReady):
            break  # closes the stream, as Ctrl-C does
    list(service.run(request_))
    assert contents(request_.out) == contents(whole.out)
    events = list(service.run(request_))
    assert kinds(events, Finished)[0].made == ()
    assert kinds(events, Finished)[0].evaluations == 0


def test_another_method_is_not_taken_for_done(service, request_):
    list(service.run(request_))
    before = contents(request_.out)
    list(service.run(replace(request_, method="identitystory")))
    ours = contents(request_.out)
    assert "frames/001.template.png" in ours
    assert all(
        ours[f"frames/{n + 1:03d}.png"] != before[f"frames/{n + 1:03d}.png"] for n in range(3)
    )
    list(service.run(request_))
    again = contents(request_.out)
    assert "frames/001.template.png" not in again
    assert all(
        again[f"frames/{n + 1:03d}.png"] == before[f"frames/{n + 1:03d}.png"] for n in range(3)
    )


@pytest.mark.parametrize("name", ["consistory", "one-prompt-one-story", "direct-identity"])
def test_one_frame_is_made_again_from_its_picture_alone(service, request_, tmp_path, name):
    request = replace(request_, method=name, seed=5)
    list(service.run(request))
    picture = request.out / "frames" / "003.png"
    again = again_request(picture, tmp_path / "again")
    assert again.method == name
    list(service.run(again))
    assert (tmp_path / "again" / "frames" / "003.png").exists()
    assert not (tmp_path / "again" / "frames" / "001.png").exists()
    one, two = (files.read_png_facts(p) for p in (picture, tmp_path / "again/frames/003.png"))
    assert one == two
    assert picture.read_bytes()[-4000:] == (tmp_path / "again/frames/003.png").read_bytes()[-4000:]


def test_a_method_that_paints_otherwise_than_before_makes_its_frames_anew(request_, monkeypatch):
    before = keys(request_)
    monkeypatch.setattr("identitystory.methods.storydiffusion.StoryDiffusion.recipe", 99)
    assert not set(keys(request_)) & set(before)


def test_keys_tell_methods_neighbours_and_their_seeds_apart(request_):
    every = {m: keys(replace(request_, method=m)) for m in METHODS if m != "story-adapter"}
    assert len({key for some in every.values() for key in some}) == 3 * len(every)
    other = inline_story(
        [f"{c.name}: {c.description}" for c in STORY.characters],
        ["{Mara} runs", *(s.text for s in STORY.scenes[1:])],
        title="The pier",
    )
    changed = keys(replace(request_, story=other))
    assert [a == b for a, b in zip(keys(request_), changed, strict=True)] == [False] * 3
    alone = replace(request_, method="general")
    changed = keys(replace(alone, story=other))
    assert [a == b for a, b in zip(keys(alone), changed, strict=True)] == [False, True, True]
    rerolled = keys(replace(request_, frame_seeds={0: 9}))
    assert not set(rerolled) & set(keys(request_))


@pytest.mark.parametrize("name", [m for m in METHODS if m != "story-adapter"])
def test_what_is_announced_is_what_is_counted(backend, request_, name):
    """Without guidance a sample and step costs one evaluation, and that is announced too.

    With guidance, tests/test_testing.py has it; whoever is not found is not painted once more, so
    everybody is found.
    """
    left, right = (8, 4, 60, 30), (8, 34, 60, 60)
    boxes = {c.description: box for c, box in zip(STORY.characters, (left, right), strict=True)}
    finding = replace(backend, segmenter=FakeSegmenter(boxes))
    service = Service(load=lambda *_, **__: finding, describe=lambda *_: FACTS)
    request = replace(request_, method=name, preset=with_guidance(PRESET, 1.0))
    events = list(service.run(request))
    announced, counted = (kinds(events, kind)[0].evaluations for kind in (Started, Finished))
    assert announced == counted


LATER = {"reuse": 2, "compiled": True, "memory": "low"}


@pytest.mark.parametrize("name", METHODS)
def test_what_else_decides_the_pictures_is_in_every_methods_keys(request_, monkeypatch, name):
    """Each setting moves every frame's key; at its default it is not in the key at all."""
    asked = []
    monkeypatch.setattr(plan, "part_key", lambda v: (asked.append(v), files.part_key(v))[1])
    plain = replace(request_, method=name)
    found = [keys(plain)]
    assert not {*LATER} & {k for inputs in asked for k in inputs}
    found += [keys(replace(plain, preset=replace(PRESET, **{k: v}))) for k, v in LATER.items()]
    assert len({key for some in found for key in some}) == len(found) * len(STORY.scenes)


def test_a_compared_methods_keys_are_what_they_were(request_):
    """Pinned: pictures that people have painted must stay theirs."""
    scene = lambda s: {"prompt": s.prompt, "cast": s.cast, "text": s.text}
    seen = lambda n: {
        "scene": scene(STORY.scenes[n]),
        "cast": [plain(STORY.character(name)) for name in STORY.scenes[n].cast],
        "faces": {},
        "seed": 0,
    }
    inputs = {
        "recipe": plan.RECIPE,
        "part": "frame",
        "method": ["storydiffusion", method("storydiffusion", PRESET).settings()],
        "style": "",
        "frame": seen(0),
        "beside": [seen(1), seen(2)],
        "before": 0,
        "sampler": "ddim",
        "num_steps": STEPS,
        "dtype": "float32",
        "weights": "w1",
    }
    assert keys(request_)[0] == files.part_key(inputs)


def test_identitystorys_keys_are_what_they_were_before_there_were_methods(request_):
    """Pinned: pictures that people have painted must stay theirs."""
    frame = make_plan(replace(request_, method="identitystory"), FACTS, None).frames[0]
    assert "method" not in frame.facts()
    inputs = {
        "recipe": plan.RECIPE,
        "part": "frame",
        "prompt": STORY.scenes[0].prompt,
        "style": "",
        "cast": [
            [
                STORY.characters[0].description,
                "woman",
                make_plan(replace(request_, method="identitystory"), FACTS, None)
                .identities["Mara"]
                .key,
            ]
        ],
        "seed": frame.seed,
        "injection": plan.to_dict(PRESET.injection),
        "sampler": "ddim",
        "num_steps": STEPS,
        "attempts": 3,
        "dtype": "float32",
        "weights": "w1",
    }
    assert frame.key == files.part_key(inputs)


def test_the_folder_keeps_its_method_and_a_wrong_name_is_one_line(request_, service, capsys):
    list(service.run(request_))
    assert new_request(STORY, request_.out).method == "storydiffusion"
    assert new_request(STORY, request_.out, method="general").method == "general"
    with pytest.raises(ConfigError, match="Did you mean 'storydiffusion'"):
        check_method("storydifusion")
    story = ["--character", "Mara: a woman", "--scene", "{Mara} reads"]
    assert main(["generate", *story, "--method", "nothing"]) == 2
    said = capsys.readouterr().err
    assert "no method is called 'nothing'" in said
    assert said.count("\n") == 1


def test_guidance_is_the_authors_in_the_papers_presets_and_the_models_in_others():
    assert method("consistory", preset("paper")).guidance == 5.0
    assert method("consistory", preset("recommended")).guidance == 3.0
    assert method("direct-identity", preset("recommended")).guidance == 3.0
    assert not method("one-prompt-one-story", preset("paper")).own_pooled
    assert method("one-prompt-one-story", preset("recommended")).own_pooled
