"""Portraits and templates kept for other runs: the bytes of a run never tell."""

import dataclasses
from dataclasses import replace

import pytest

from identitystory.attempts import find_template
from identitystory.config import ControlConfig, DiscoveryConfig, InjectionConfig, Preset
from identitystory.protocols import Backend, ModelFacts
from identitystory.runs import cache as shared
from identitystory.runs.events import Finished, Started
from identitystory.runs.request import RunRequest
from identitystory.runs.service import Service
from identitystory.story.file import inline_story
from tests.conftest import FakeGenerator, FakeIdentityGenerator, FakeSegmenter, number
from tests.workshop import Workshop, contents

PRESET = Preset(
    "test",
    num_steps=10,
    discovery=DiscoveryConfig(num_portraits=20, rank=2),
    injection=InjectionConfig(start=8, reference_size=64, k_max=4.0),
)
STORY = inline_story(
    ["Mara: a woman with dark curly hair", "Tom: an old man with a beard"],
    ["{Mara} reads", "{Mara} and {Tom} on a pier"],
    title="The pier",
)
OTHER = {  # another value for every number that a preset has
    "preset": {
        "name": "other",
        "sampler": "euler",
        "num_steps": 9,
        "seed_per_frame": False,
        "attempts": 1,
        "memory": "low",
        "compiled": True,
        "reuse": 2,
        "batch": 2,
        "control": ControlConfig(0.5),
        "precision": "float16",
    },
    "discovery": {
        "num_portraits": 18,
        "keep_ratio": 0.7,
        "iterations": 2,
        "rank": 3,
        "rounding": "ceil",
        "selection": "mean",
        "average": "medoid",
        "averaged": "states",
        "center": True,
        "normalize": True,
        "search_prompt": "a portrait of {description}",
        "guidance": 4.0,
        "negative": "blurry",
        "search_steps": 4,
        "guidance_interval": (0.0, 0.5),
        "settle": 1.99,
        "distilled": True,
        "freeu": (0.6, 0.4, 1.1, 1.2),
    },
    "injection": {
        "start": 5,
        "k_max": 20.0,
        "reference_size": 32,
        "margin": 3.0,
        "downsample": "area",
        "window": 4.0,
        "guidance_template": 3.0,
        "guidance_identity": 2.0,
        "negative": "blurry",
        "refuse_every_step": True,
        "guidance_interval": (0.0, 0.5),
        "fallback_nouns": True,
        "layout": False,
        "identity_words": "scene",
        "face_scale": 0.5,
    },
}
BOTH = lambda folder: {"cache": shared.Cache(folder / "shared")}
CHANGES = [(part, name) for part, values in OTHER.items() for name in values]


def changed(part, name):
    value = {name: OTHER[part][name]}
    if part == "preset":
        return replace(PRESET, **value)
    return replace(PRESET, **{part: replace(getattr(PRESET, part), **value)})


class Minute:
    """Adds what the fakes of conftest leave out: negatives, samplers and fusing twice."""

    def condition(self, prompts):
        more = [number(p.negative + self.sampler) / p.guidance for p in prompts]
        cond = super().condition(prompts)
        return replace(cond, numbers=[a + b for a, b in zip(cond.numbers, more, strict=True)])

    def fuse_again(self, cond):
        return replace(cond, numbers=[2 * n for n in cond.numbers])


class Identity(Minute, FakeIdentityGenerator):
    pass


class General(Minute, FakeGenerator):
    pass


class Segmenter(FakeSegmenter):
    """Finds nobody at first; Tom by his noun alone, in another place."""

    def segment(self, image, phrases, fallbacks=()):
        self.calls = 1 + image.getpixel((0, 0))[0] % 2  # by the picture, not by the count
        found = super().segment(image, phrases)
        if fallbacks:
            found.masks[-1, 40:50, 2:10] = True
        return found


FACTS = ModelFacts("w1", "cpu", "float32", few_steps="f1")


@pytest.fixture
def service(boxes):
    boxes.pop("an old man with a beard")

    def load(
        model,
        *,
        sampler,
        num_steps,
        search_steps=None,
        memory="all",
        distilled=False,
        averaged="",
        freeu=None,
        face_scale=1,
        **_,
    ):
        made = [General(num_steps=num_steps), Identity(num_steps=num_steps)]
        made.append(Identity(num_steps=search_steps or num_steps))
        for G in made:
            G.sampler = sampler + memory
        made[1].sampler += f"{face_scale}"
        made[2].sampler += f"{distilled} {averaged} {freeu}"
        return Backend("fake", made[0], made[1], Segmenter(boxes, blind=1), search=made[2])

    return Service(load=load, describe=lambda *_: FACTS)


def test_every_number_of_a_preset_is_tried():
    names = lambda kind: {f.name for f in dataclasses.fields(kind)}
    assert set(OTHER["discovery"]) == names(DiscoveryConfig)
    assert set(OTHER["injection"]) == names(InjectionConfig)
    assert set(OTHER["preset"]) == names(Preset) - {"discovery", "injection"}


@pytest.mark.parametrize(("part", "name"), CHANGES)
def test_whatever_differs_a_run_beside_another_has_the_bytes_of_one_alone(
    service, tmp_path, part, name
):
    first = RunRequest(STORY, tmp_path / "first", PRESET, **BOTH(tmp_path))
    list(service.run(first))
    beside = replace(first, out=tmp_path / "beside", preset=changed(part, name))
    list(service.run(beside))
    alone = replace(beside, out=tmp_path / "alone", cache=None)
    list(service.run(alone))
    assert contents(beside.out) == contents(alone.out)


@pytest.mark.parametrize(
    "told",
    [
        ("Mara: a woman with dark curly hair", "{Mara} writes"),
        ("Mara: a woman with a hat", "{Mara} reads"),
        ("Mary: a woman with dark curly hair", "{Mary} reads"),
    ],
)
def test_another_story_has_templates_of_its_own(service, tmp_path, told):
    first = inline_story(["Mara: a woman with dark curly hair"], ["{Mara} reads"], title="The pier")
    run = RunRequest(first, tmp_path / "first", PRESET, **BOTH(tmp_path))
    list(service.run(run))
    beside = replace(run, out=tmp_path / "beside", story=inline_story(told[:1], told[1:]))
    list(service.run(beside))
    alone = replace(beside, out=tmp_path / "alone", cache=None)
    list(service.run(alone))
    assert contents(beside.out) == contents(alone.out)


def finished(service, request):
    events = list(service.run(request))
    ahead = next(e for e in events if isinstance(e, Started)).evaluations
    made = next(e for e in events if isinstance(e, Finished)).evaluations
    assert ahead == made
    return made


@pytest.mark.parametrize(
    ("part", "name", "cost"),
    [
        ("discovery", "selection", 3 * 2 * 8),  # three characters in two frames, from step 8
        ("discovery", "rank", 3 * 2 * 8),
        ("discovery", "num_portraits", 2 * 2 * 2 * 10 + 3 * 2 * 8),  # 16 are there, 2 are not
        ("injection", "start", 3 * 2 * 5),
        ("injection", "guidance_identity", 3 * 2 * 8),
        ("injection", "guidance_template", 2 * 2 * 10 + 3 * 2 * 8),
    ],
)
def test_only_what_the_change_touches_is_painted_again(backend, tmp_path, part, name, cost):
    service = Workshop(backend).service
    first = RunRequest(STORY, tmp_path / "first", PRESET, **BOTH(tmp_path))
    assert finished(service, first) == 2 * 2 * 10 * 20 + 2 * 2 * 10 + 3 * 2 * 8
    assert finished(service, replace(first, out=tmp_path / "b", preset=changed(part, name))) == cost


def test_a_torn_file_is_made_again(backend, tmp_path):
    service = Workshop(backend).service
    first = RunRequest(STORY, tmp_path / "first", PRESET, **BOTH(tmp_path))
    list(service.run(first))
    both = tmp_path / "shared"
    before = contents(both)
    assert len(before) == 2 * 2 + 2
    for file in both.rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:40])
    again = replace(first, out=tmp_path / "again")
    assert finished(service, again) == 2 * 2 * 10 * 20 + 2 * 2 * 10 + 3 * 2 * 8
    assert contents(both) == before
    assert contents(again.out) == contents(first.out)


def test_only_the_kinds_that_are_kept_are_written_and_old_folders_go_on(backend, tmp_path):
    """Pieces lie where those of 0.8 lay: ``portraits`` and ``templates`` beside the runs."""
    service = Workshop(backend).service
    few = shared.Cache(tmp_path / "few", kinds=(shared.PORTRAITS,))
    list(service.run(RunRequest(STORY, tmp_path / "first", PRESET, cache=few)))
    assert {p.parent.name for p in few.folder.rglob("*.safetensors")} == {"portraits"}
    both = shared.Cache(few.folder)
    again = RunRequest(STORY, tmp_path / "second", PRESET, cache=both)
    assert finished(service, again) == 2 * 2 * 10 + 3 * 2 * 8
    assert {p.name for p in both.folder.iterdir()} == {"portraits", "templates"}


def test_a_template_comes_back_as_it_was(backend, tmp_path, story):
    scene = story.scenes[1]
    there = find_template(backend.general, backend.segmenter, story, scene, PRESET, seed=3)
    there = replace(there, missing=("Tom",), bare=("Mara",))
    shared.write_template(tmp_path / "a.safetensors", there)
    back = shared.read_template(tmp_path / "a.safetensors", scene.cast, PRESET.num_steps)
    assert back.image.tobytes() == there.image.tobytes()
    assert back.latents.equal(there.latents)
    assert back.masks.equal(there.masks)
    assert (back.missing, back.bare, back.seed) == (("Tom",), ("Mara",), 3)
    (tmp_path / "a.safetensors").rename(tmp_path / "b.safetensors")
    there = tmp_path / "b.safetensors"
    assert shared.read_template(there, scene.cast, PRESET.num_steps) is None
