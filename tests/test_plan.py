"""What a plan says before anything is painted: limits, seeds, and what is in the key of a part."""

from dataclasses import replace
from hashlib import sha256
from typing import ClassVar

import pytest
import torch

from identitystory.config import ControlConfig, DiscoveryConfig, InjectionConfig, Preset
from identitystory.cost import frame_evaluations, frame_worth
from identitystory.errors import ConfigError, ModelError, StoryError
from identitystory.methods import base
from identitystory.methods.identitystory import IdentityStory
from identitystory.methods.method import Sources, Templates, Work
from identitystory.methods.registry import METHODS
from identitystory.pose import Pose
from identitystory.protocols import ModelFacts
from identitystory.runs import plan
from identitystory.runs.checks import check_prompts, warnings
from identitystory.runs.files import part_key, versions
from identitystory.runs.folder import FORMAT, RunFolder
from identitystory.runs.plan import calls, make_plan, portrait_batches
from identitystory.runs.request import RunRequest
from identitystory.runs.told import make_record
from identitystory.sampling import watched
from identitystory.seeds import frame_seed, portrait_seeds
from identitystory.settings import to_dict
from identitystory.skeleton import control_of
from identitystory.story.file import inline_story, make_story
from identitystory.types import Identity, plain
from identitystory.wording import phrases

PRESET = Preset(
    "test",
    num_steps=10,
    discovery=DiscoveryConfig(num_portraits=20, rank=2, search_steps=4),
    injection=InjectionConfig(start=8),
)
STORY = inline_story(
    ["Mara: a woman with dark curly hair", "Tom: an old man with a beard"],
    ["{Mara} reads", "{Mara} and {Tom} on a pier", "an empty pier"],
    title="The pier",
    style="watercolour",
)
FACTS = ModelFacts("w1", "cpu", "float32", max_steps=1000, size=(64, 64), multiple=8)


@pytest.fixture
def request_(tmp_path):
    return RunRequest(STORY, tmp_path / "run", PRESET)


def made(request, facts=FACTS, record=None):
    return make_plan(request, facts, record)


@pytest.fixture
def keyed(monkeypatch):
    """The values that each key is made from, in order; the keys themselves are k1, k2 and so on."""
    seen = []
    monkeypatch.setattr(plan, "part_key", lambda values: seen.append(values) or f"k{len(seen)}")
    return seen


def retold(**change):
    """The story with something else of Mara."""
    mara, *others = STORY.characters
    return replace(STORY, characters=(replace(mara, **change), *others))


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_seeds_are_taken_from_0_to_below_2_to_the_63(request_, seed):
    assert made(replace(request_, seed=seed)).seed == seed
    assert made(replace(request_, frame_seeds={1: seed})).frames[1].seed == seed


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_outside_are_refused(request_, seed):
    for asked in ({"seed": seed}, {"frame_seeds": {1: seed}}):
        with pytest.raises(ConfigError, match=rf"the seed is {seed}; it must be .* below 2\^63"):
            made(replace(request_, **asked))


@pytest.mark.parametrize(("number", "there"), [(0, True), (2, True), (3, False), (-1, False)])
def test_scenes_are_those_of_the_story(request_, number, there):
    for asked in ({"only": (number,)}, {"frame_seeds": {number: 1}}):
        if there:
            made(replace(request_, **asked))
            continue
        with pytest.raises(ConfigError, match=f"no scene {number + 1}; .* has scenes 1 to 3"):
            made(replace(request_, **asked))


def test_steps_of_frames_and_of_portraits_are_both_held_against_the_schedule(request_):
    made(request_, replace(FACTS, max_steps=10))
    made(request_, replace(FACTS, max_steps=None))
    with pytest.raises(ConfigError, match="there are 10 steps; miniature takes 1 to 9"):
        made(request_, replace(FACTS, max_steps=9))
    long = replace(PRESET, discovery=replace(PRESET.discovery, search_steps=40))
    with pytest.raises(ConfigError, match="there are 40 steps; miniature takes 1 to 39"):
        made(replace(request_, preset=long), replace(FACTS, max_steps=39))


def test_portraits_come_in_batches_of_16_and_their_seeds_in_order():
    batches = portrait_batches(STORY.characters[0], 5, PRESET)
    assert [len(batch) for batch in batches] == [16, 4]
    assert [*batches[0], *batches[1]] == portrait_seeds(STORY.characters[0], 5, 20)


def test_a_search_costs_two_calls_a_step_of_each_portrait(request_):
    part = made(request_).identities["Mara"]
    assert list(part.pieces.values()) == [2 * 4 * 16, 2 * 4 * 4]


def test_a_run_costs_its_searches_and_its_frames(request_):
    one = made(request_)
    search, frame, face = 2 * 4 * 20, 2 * 10, 2 * 8
    assert calls(request_, one, ["Mara", "Tom"], []) == 2 * search
    assert calls(request_, one, [], [0, 1, 2]) == 3 * frame + 3 * face
    assert calls(request_, one, ["Tom"], [1]) == search + frame + 2 * face
    assert calls(request_, one, [], []) == 0


@pytest.mark.parametrize(
    ("change", "portraits"),
    [({"noun": "hair"}, "kept"), ({"description": "a woman with a hat"}, "new")],
)
def test_who_a_character_is_is_in_the_keys_of_its_identity_and_frames(request_, change, portraits):
    """The noun too; but portraits are painted from the description alone, and are shared."""
    before, after = made(request_), made(replace(request_, story=retold(**change)))
    assert before.identities["Mara"].key != after.identities["Mara"].key
    assert before.identities["Tom"].key == after.identities["Tom"].key
    keys = [[part.key for part in one.frames] for one in (before, after)]
    assert [a == b for a, b in zip(*keys, strict=True)] == [False, False, True]
    pieces = [one.identities["Mara"].pieces for one in (before, after)]
    assert (pieces[0] == pieces[1]) == (portraits == "kept")
    templates = [one.frames[0].pieces for one in (before, after)]
    assert templates[0] != templates[1]


@pytest.mark.parametrize("more", [{"averaged": "states"}, {"freeu": (0.6, 0.4, 1.1, 1.2)}])
def test_portraits_that_are_painted_or_embedded_otherwise_are_others(request_, more):
    """In what experiments share, too; how rows are averaged needs no other portraits."""

    def pieces(**changes):
        preset = replace(PRESET, discovery=replace(PRESET.discovery, **changes))
        return list(made(replace(request_, preset=preset)).identities["Mara"].pieces)

    assert set(pieces(**more)).isdisjoint(pieces())
    assert pieces(average="medoid") == pieces()


def test_the_key_of_an_identity_is_of_these_values(request_, keyed):
    """Pinned by name: what is left out would be painted once and never again."""
    one = made(replace(request_, story=replace(STORY, characters=STORY.characters[:1],
                                               scenes=STORY.scenes[:1]), seed=7))  # fmt: skip
    identity, *portraits, frame, template = keyed
    mara, config = STORY.characters[0], PRESET.discovery
    model = {"sampler": "ddim", "dtype": "float32", "weights": "w1"}
    assert identity == {
        "recipe": plan.RECIPE,
        "part": "identity",
        "description": mara.description,
        "noun": "woman",
        "portrait_seeds": portrait_seeds(mara, 7, 20),
        "batch": 16,
        "seed": 7,
        "discovery": to_dict(config),
        "num_steps": 4,
        **model,
    }
    assert portraits == [
        {
            "recipe": plan.RECIPE,
            "part": "portraits",
            "prompt": mara.description,
            "guidance": config.guidance,
            "negative": config.negative,
            "interval": [0.0, 1.0],
            "steps": 4,
            "seeds": seeds,
            **model,
        }
        for seeds in portrait_batches(mara, 7, PRESET)
    ]
    own = frame_seed(7, 0, per_frame=True)
    assert frame == {
        "recipe": plan.RECIPE,
        "part": "frame",
        "style": "watercolour",
        "num_steps": 10,
        "prompt": STORY.scenes[0].prompt,
        "cast": [[mara.description, "woman", "k1"]],
        "seed": own,
        "injection": to_dict(PRESET.injection),
        "attempts": 3,
        **model,
    }
    assert template == {
        "recipe": plan.RECIPE,
        "part": "template",
        "prompt": STORY.scenes[0].prompt,
        "cast": ["Mara"],
        "phrases": [mara.description],
        "nouns": ["woman"],
        "fallback_nouns": False,
        "seed": own,
        "guidance": PRESET.injection.guidance_template,
        "negative": PRESET.injection.negative,
        "interval": [0.0, 1.0],
        "margin": [PRESET.injection.margin, PRESET.injection.reference_size],
        "attempts": 3,
        "steps": 10,
        **model,
    }
    assert list(one.identities["Mara"].pieces) == ["portraits/k2", "portraits/k3"]
    assert one.frames[0].pieces == {"templates/k5": 2 * 10}


def test_whose_candidate_somebody_is_and_whom_they_are_like_is_in_their_key(request_, keyed):
    made(request_)
    before = keyed[0]
    keyed.clear()
    made(replace(request_, story=retold(candidate=3, like=("b", "a"))))
    assert keyed[0] == before | {"candidate": 3, "like": ["a", "b"]}


def test_the_key_of_a_known_face_is_of_these_values(request_, keyed):
    """No seed and no words: nothing is searched."""
    story = retold(face="f" * 64, file="c" * 64)
    part = made(replace(request_, story=story, seed=5)).identities["Mara"]
    own = {"recipe": plan.RECIPE, "part": "identity", "face": "f" * 64}
    own |= {"encoder": FACTS.embeds, "dtype": "float32"}
    assert keyed[0] == own
    assert (part.name, part.key, part.seed, part.pieces) == ("cast/Mara", "k1", 5, {})
    keyed.clear()
    medoid = replace(PRESET, discovery=replace(PRESET.discovery, average="medoid"))
    made(replace(request_, story=story, preset=medoid))
    assert keyed[0] == own | {"average": "medoid"}


def test_the_scale_of_faces_is_in_the_key_of_frames_that_have_faces(request_, keyed):
    preset = replace(PRESET, injection=replace(PRESET.injection, face_scale=0.5))
    made(replace(request_, preset=preset))
    frames = [values for values in keyed if values["part"] == "frame"]
    assert [values["face_scale"] for values in frames] == [0.5] * 3
    keyed.clear()
    made(replace(request_, preset=preset, method="general"))
    assert not any("face_scale" in values for values in keyed)


def test_a_model_is_asked_about_faces_where_there_are_some(request_):
    asked = []
    facts = replace(FACTS, check_faces=lambda *told: asked.append(told))
    made(replace(request_, method="general"), facts)
    assert asked == []
    made(request_, facts)
    assert asked == [(PRESET.discovery.averaged, PRESET.injection.face_scale)]


def test_what_paints_no_faces_knows_nothing_of_how_they_are_searched(request_):
    request = replace(request_, story=retold(seed=9))
    assert made(request).story.characters[0].seed == 9
    assert made(request).identities["Mara"].seed == 9
    assert made(replace(request, method="general")).story.characters[0].seed == 0


@pytest.mark.parametrize("name", METHODS)
def test_no_frames_cost_nothing(request_, name):
    request = replace(request_, method=name)
    assert calls(request, made(request), [], []) == 0


@pytest.mark.parametrize("name", ["memory", "compiled", "reuse"])
def test_a_setting_of_the_networks_is_in_every_key_where_it_is_not_the_default(request_, name):
    value = {"memory": "low", "compiled": True, "reuse": 2}[name]
    before, after = made(request_), made(replace(request_, preset=replace(PRESET, **{name: value})))
    for one, other in (
        (before.identities["Tom"], after.identities["Tom"]),
        (before.frames[2], after.frames[2]),
    ):
        assert one.key != other.key
        assert not set(one.pieces) & set(other.pieces)


def test_a_distilled_search_is_keyed_by_its_lora(request_):
    """Its portraits too; a frame knows of it only by the faces in it."""
    distilled = replace(PRESET, discovery=replace(PRESET.discovery, distilled=True))
    request = replace(request_, preset=distilled)
    with pytest.raises(ModelError, match="miniature has no few-step LoRA"):
        made(request)
    one, other = (made(request, replace(FACTS, few_steps=lora)) for lora in "ab")
    assert one.identities["Tom"].key != other.identities["Tom"].key
    assert not set(one.identities["Tom"].pieces) & set(other.identities["Tom"].pieces)
    same = [a.key == b.key for a, b in zip(one.frames, other.frames, strict=True)]
    assert same == [False, False, True]
    without = [made(request_, replace(FACTS, few_steps=lora)).identities["Tom"] for lora in "ab"]
    assert without[0] == without[1]


def test_files_tell_who_what_and_by_what(request_):
    one = made(replace(request_, seed=7))
    common = {
        "seed": 7,
        "preset": to_dict(PRESET),
        "model": {"fingerprint": "w1", "dtype": "float32", "name": "miniature"},
        "versions": versions(),
    }
    mara = {"name": "Mara", "description": "a woman with dark curly hair", "noun": "woman"}
    identity, frame = one.identities["Mara"], one.frames[0]
    own = {"part": "identity", "key": identity.key, "character": mara}
    assert identity.facts() == common | own
    assert frame.facts() == common | {
        "part": "frame",
        "key": frame.key,
        "frame_seed": frame.seed,
        "title": "The pier",
        "style": "watercolour",
        "scene": plain(STORY.scenes[0]),
        "characters": [mara | {"identity": identity.key}],
    }


def test_a_face_of_a_character_file_is_told_like_one_that_was_searched(request_):
    story = retold(face="f" * 64, file="c" * 64)
    facts = made(replace(request_, story=story)).identities["Mara"].facts()
    searched = made(request_).identities["Mara"].facts()
    assert facts.keys() == searched.keys()
    same = ("part", "seed", "preset", "model", "versions")
    assert [facts[k] for k in same] == [searched[k] for k in same]
    assert facts["character"]["face"] == "f" * 64


def test_a_picture_of_nobody_depends_on_no_setting_of_faces(request_):
    """Its words and how it is guided are all: `make_template` alone paints it."""
    changes = {"start": 7, "k_max": 9.0, "guidance_identity": 2.0, "identity_words": "scene"}
    for name, value in (changes | {"guidance_template": 2.0, "negative": "hats"}).items():
        preset = replace(PRESET, injection=replace(PRESET.injection, **{name: value}))
        before, after = made(request_), made(replace(request_, preset=preset))
        same = [a.key == b.key for a, b in zip(before.frames, after.frames, strict=True)]
        assert same == [False, False, name in changes]


def test_a_scenes_size_is_in_the_key_of_its_frame_and_template(request_):
    wide = replace(STORY.scenes[0], shape="128x64")
    shaped = replace(STORY, scenes=(wide, *STORY.scenes[1:]))
    before, after = made(request_), made(replace(request_, story=shaped))
    same = [a.key == b.key for a, b in zip(before.frames, after.frames, strict=True)]
    assert same == [False, True, True]
    assert before.frames[0].pieces != after.frames[0].pieces
    assert after.story.scenes[0].shape == "128x64"
    with pytest.raises(ConfigError, match="the scenes have several sizes, and storydiffusion"):
        made(replace(request_, story=shaped, method="storydiffusion"))


def test_a_plan_asks_for_whom_and_what_the_request_names(request_):
    every = made(request_)
    assert (every.cast, every.wanted) == (("Mara", "Tom"), (0, 1, 2))
    some = made(replace(request_, only=(2, 0, 2)))
    assert (some.cast, some.wanted) == (("Mara",), (0, 2))
    faces = made(replace(request_, only=(0,), paint=False))
    assert (faces.cast, faces.wanted) == (("Mara", "Tom"), ())
    other = made(replace(request_, method="general"))
    assert (other.identities, other.cast, other.wanted) == ({}, (), (0, 1, 2))
    assert list(made(replace(request_, method="general", paint=False)).identities) == [
        "Mara",
        "Tom",
    ]


def test_seeds_and_takes_of_a_record_stay_with_their_scenes(request_):
    """The second scene, told first: its own seed and its chosen take go with it."""
    record = {
        "seed": 7,
        "frame_seeds": {"1": 9},
        "chosen": {"1": "abc"},
        "story": plain(STORY),
    }
    turned = replace(STORY, scenes=(STORY.scenes[1], STORY.scenes[0], STORY.scenes[2]))
    one = made(replace(request_, story=turned), record=record)
    assert (one.seed, one.places, one.frame_seeds) == (7, (1, 0, 2), {1: 9})
    assert [part.seed for part in one.frames] == [
        9,
        frame_seed(7, 0, per_frame=True),
        frame_seed(7, 2, per_frame=True),
    ]
    assert one.frames[0].key == "abc"
    assert "abc" not in {part.key for part in one.frames[1:]}
    shared = replace(request_, preset=replace(PRESET, seed_per_frame=False))
    assert {part.seed for part in made(shared).frames} == {0}


def test_a_record_tells_places_and_takes_only_where_there_is_something_to_tell(request_):
    one = made(request_)
    record = make_record(request_, FACTS, one, {"frames/002": "done"})
    assert not {"places", "chosen"} & set(record)
    states = {name: part["state"] for name, part in record["parts"].items()}
    assert states.pop("frames/002") == "done"
    assert set(states) == {"cast/Mara", "cast/Tom", "frames/001", "frames/003"}
    assert set(states.values()) == {"to do"}
    assert record["parts"]["frames/003"] == {
        "state": "to do",
        "key": one.frames[2].key,
        "seed": one.frames[2].seed,
    }
    assert record["configuration"] == to_dict(PRESET)
    assert record["request"] == {
        "model": "miniature",
        "device": "auto",
        "dtype": "auto",
        "preset": "test",
        "method": "identitystory",
        "only": [],
        "paint": True,
    }
    assert (record["format"], record["seed"], record["versions"]) == (FORMAT, 0, versions())
    assert record["story"] == plain(STORY)
    assert record["frame_seeds"] == {}
    assert record["model"] == {"fingerprint": "w1", "device": "cpu", "dtype": "float32"}
    told = {"shape": "64x64", "source": "abc", "max_takes": 5, "metadata": False, "only": (2,)}
    record = make_record(replace(request_, **told), FACTS, one, {})
    assert record["request"].items() >= (told | {"only": [2]}).items()
    moved = replace(one, places=(1, 0, 2), chosen={1: "abc"}, frame_seeds={1: 9})
    record = make_record(request_, FACTS, moved, {})
    assert (record["places"], record["chosen"]) == ((1, 0, 2), {"1": "abc"})
    assert record["frame_seeds"] == {"1": 9}


# --- the method's own half -----------------------------------------------------------------------


def test_a_batchs_templates_are_not_shared(request_):
    """They are painted together and may differ in last bits."""
    sources = Sources(STORY, FACTS, (1, 2, 3), {"Mara": "m", "Tom": "t"})
    inputs, cost = IdentityStory(PRESET).template(sources, 1)
    assert cost == frame_evaluations(PRESET, 0) == 2 * 10
    assert (inputs["seed"], inputs["cast"]) == (2, ["Mara", "Tom"])
    assert inputs["phrases"] == phrases(STORY, STORY.scenes[1])
    assert IdentityStory(replace(PRESET, batch=2)).template(sources, 1) is None


def test_the_method_says_every_prompt_that_is_read():
    config = replace(PRESET.injection, negative="blurry")
    mara, tom = STORY.characters
    said = IdentityStory(replace(PRESET, injection=config)).prompts(STORY, 1)
    assert list(said) == [
        (STORY.scenes[1].prompt, ""),
        ("blurry", ""),
        (f"watercolour, {mara.description}", "woman"),
        (f"watercolour, {tom.description}", "man"),
    ]


def test_a_scene_whose_layout_is_taken_over_is_read_too():
    seen = replace(STORY.scenes[0], pose=(Pose(source=3, kind="depth"),))
    story = replace(STORY, scenes=(seen, *STORY.scenes[1:]))
    said = [text for text, _ in IdentityStory(PRESET).prompts(story, 0)]
    assert said == [
        seen.prompt,
        "",
        STORY.scenes[2].prompt,
        f"watercolour, {STORY.characters[0].description}",
    ]


def test_clothes_that_the_release_says_to_nobody_are_in_the_key():
    """Its words of several leave them out, and faces are painted with them."""
    dressed = replace(STORY.scenes[1], wears=(("Tom", "a blue suit"),))
    changed = replace(STORY, scenes=(STORY.scenes[0], dressed, STORY.scenes[2]))
    for words, told in (("release", True), ("description", False)):
        injection = replace(PRESET.injection, identity_words=words)
        ours = IdentityStory(replace(PRESET, injection=injection))
        before, after = (
            Sources(story, FACTS, (7, 8, 9), {"Mara": "m", "Tom": "t"})
            for story in (STORY, changed)
        )
        assert "wears" not in ours.inputs(before, 1)
        mara, tom = (c.description for c in STORY.characters)
        more = {"wears": [mara, f"{tom} wearing a blue suit"]} if told else {}
        assert ours.inputs(after, 1) == ours.inputs(before, 1) | more
        assert ours.template(after, 1) == ours.template(before, 1)


def test_who_is_painted_from_words_alone_is_in_the_key():
    """The words are the same; whether there may be a second head is not."""
    people = [
        {"name": "Mara", "description": "a woman"},
        {"name": "Rex", "description": "a dog", "identity": False},
    ]
    scenes = [{"prompt": "{Mara} walks with {Rex}"}, {"prompt": "{Mara} walks with a dog"}]
    story = make_story({"character": people, "scene": scenes}, source="test")
    ours, sources = IdentityStory(PRESET), Sources(story, FACTS, (7, 7), {"Mara": "m"})
    dog, words = (ours.inputs(sources, n) for n in (0, 1))
    assert dog == words | {"others": 1}
    dog, words = (ours.template(sources, n)[0] for n in (0, 1))
    assert dog == words | {"others": 1}


@pytest.mark.parametrize("identity", [False, True])
def test_what_a_pose_adds_to_keys_and_files(identity):
    """The template never knows whether faces keep to it, too."""
    facts = replace(FACTS, control_weights=lambda kind: f"net of {kind}")
    poses = ((Pose("Mara", yaw=20.0),), (Pose(source=3, kind="depth"),), ())
    scenes = [replace(s, pose=p) for s, p in zip(STORY.scenes, poses, strict=True)]
    story = replace(STORY, scenes=tuple(scenes))
    sources = Sources(story, facts, (7, 8, 9), {"Mara": "m", "Tom": "t"})
    ours = IdentityStory(replace(PRESET, control=ControlConfig(identity=identity)))
    own = {"pose": plain(scenes[0])["pose"], "weights": "net of openpose", "strength": 1.0}
    own |= {"interval": [0.0, 1.0]}
    more = {"identity": True} if identity else {}
    assert ours.template(sources, 0)[0]["control"] == own
    assert ours.inputs(sources, 0)["control"] == own | more
    seen = {"from": ours.template(sources, 2)[0]}
    own |= {"pose": plain(scenes[1])["pose"], "weights": "net of depth"}
    assert ours.inputs(sources, 1)["control"] == own | more | seen
    assert "control" not in ours.inputs(sources, 2)
    off = replace(ours, preset=replace(PRESET, control=ControlConfig(0, identity=identity)))
    assert not any("control" in off.inputs(sources, n) for n in (0, 1, 2))
    told = ours.facts(sources, 1)
    assert (told["story"], told["index"]) == (plain(story), 1)
    assert told["frame_seeds"] == {"1": 8, "2": 9}
    assert not {"story", "index", "frame_seeds"} & set(ours.facts(sources, 0))


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("sources", [(0, 0, 0), (0, 1, 0), (3, 0, 0), (2, 0, 2), (0, 0, 1)])
@pytest.mark.parametrize("wanted", [(0, 1, 2), (1,), (0, 2)])
def test_painting_costs_what_the_method_says(backend, batch, sources, wanted):
    """Wherever the layouts come from that frames take over; each frame's template is told once."""
    poses = [(Pose(source=n, kind="depth"),) if n else () for n in sources]
    scenes = [replace(s, pose=p) for s, p in zip(STORY.scenes, poses, strict=True)]
    story, told = replace(STORY, scenes=tuple(scenes)), []
    found = {c.name: Identity(torch.ones(16), torch.arange(1)) for c in story.characters}
    heard = lambda n, template: told.append((n, template.seed))
    work = Work(story, (7, 8, 9), wanted, found, on_template=heard)
    ours, parts = IdentityStory(replace(PRESET, batch=batch)), watched(backend, lambda calls: None)
    frames = list(ours.paint(parts, work))
    assert [n for n, _ in frames] == list(wanted)
    assert told == [(n, 7 + n) for n in wanted]
    assert [frame.scene for _, frame in frames] == [scenes[n] for n in wanted]
    counted = parts.general.evaluations + parts.identity.evaluations
    assert counted == ours.calls(story, wanted, PRESET.num_steps)
    steered = {p.control is not None for asked in backend.identity.conditions for p in asked}
    assert steered <= {False}  # unless the preset says that faces keep to it, too


def test_of_a_batch_what_is_wanted_alone_is_given(backend):
    found = {c.name: Identity(torch.ones(16), torch.arange(1)) for c in STORY.characters}
    work = Work(STORY, (7, 8, 9), (1,), found, asked=(0, 1, 2))
    frames = list(IdentityStory(replace(PRESET, batch=2)).paint(backend, work))
    assert [n for n, _ in frames] == [1]
    assert {rows for rows, _ in backend.general.asked} == {2}  # in its old company


def test_a_template_that_is_kept_is_not_painted_again(backend):
    class Kept(Templates):
        kept: ClassVar = {}

        def read(self, key):
            return self.kept.get(key)

        def write(self, key, value):
            self.kept[key] = value

    found = {c.name: Identity(torch.ones(16), torch.arange(1)) for c in STORY.characters}
    work = Work(STORY, (7, 8, 9), (0, 1, 2), found, templates=Kept())
    first = list(IdentityStory(PRESET).paint(backend, work))
    assert sorted(Kept.kept) == [0, 1, 2]
    backend.general.asked.clear()
    again = list(IdentityStory(PRESET).paint(backend, work))
    assert backend.general.asked == []
    pixels = [[frame.image.tobytes() for _, frame in frames] for frames in (first, again)]
    assert pixels[0] == pixels[1]


def test_it_heeds_poses_and_the_others_are_told_not_to(request_):
    turned = replace(STORY.scenes[0], pose=(Pose("Mara", yaw=20.0),))
    story = replace(STORY, scenes=(turned, *STORY.scenes[1:]))
    for name in ("identitystory", "general"):
        request = replace(request_, story=story, method=name)
        lines = warnings(request, made(request), FACTS, RunFolder(request.out))
        assert any("as if no scene had a pose" in line for line in lines) == (name == "general")


def test_batches_are_of_neighbours_of_one_size():
    sizes = ["", "", "", "64x128", ""]
    story = replace(STORY, scenes=tuple(replace(STORY.scenes[0], shape=s) for s in sizes))
    blocks = lambda size, asked: list(
        IdentityStory(replace(PRESET, batch=size))._blocks(story, asked)
    )
    assert blocks(2, range(5)) == [(0, 1), (2,), (3,), (4,)]
    assert blocks(2, (0, 2, 4)) == [(0, 2), (4,)]
    assert blocks(1, (1, 3)) == [(1,), (3,)]


def test_a_methods_calls_are_counted_at_the_steps_that_are_asked_for():
    """A preview takes fewer steps than the preset."""
    ours = IdentityStory(PRESET)
    assert ours.calls(STORY, (0, 1), 10) == 2 * 2 * 10 + 3 * 2 * 8
    assert ours.calls(STORY, (0, 1), 9) == 2 * 2 * 9 + 3 * 2 * 8


def long_story(count, casts=("{Mara}", "{Tom}")):
    texts = [f"{casts[n % len(casts)]} reads book {n}" for n in range(count)]
    return replace(inline_story(["Mara: a woman", "Tom: an old man"], texts), title="Long")


@pytest.mark.parametrize("name", METHODS)
def test_the_work_of_planning_grows_with_the_story_and_not_with_its_square(
    request_, name, monkeypatch
):
    """What goes into the keys, in bytes, and what is asked about the words; of 60 and 120 scenes."""
    monkeypatch.setattr(base, "TOGETHER", 20)

    def work(count):
        hashed, asked = [], []
        for module, function in ((plan, part_key), (base, sha256)):
            watched = lambda value, f=function: hashed.append(len(str(value))) or f(value)
            monkeypatch.setattr(module, function.__name__.removeprefix("openssl_"), watched)
        facts = replace(FACTS, check_prompts=lambda texts: asked.append(len(texts)) or [])
        request = replace(request_, story=long_story(count), method=name)
        one = made(request, facts)
        check_prompts(request, one, facts)
        warnings(request, one, facts, RunFolder(request.out))
        return sum(hashed), sum(asked), len(asked)

    (keys, texts, times), longer = work(60), work(120)
    assert keys < longer[0] < 2.2 * keys
    assert texts < longer[1] < 2.2 * texts
    assert longer[2] == times  # whoever checks prompts opens its tokenizers each time


@pytest.mark.parametrize("name", ["story-adapter", "one-prompt-one-story"])
def test_in_a_long_story_every_frame_is_in_the_keys_of_its_group(request_, name, monkeypatch):
    """As in a short one, whose keys tell all frames one by one and are what they always were."""
    monkeypatch.setattr(base, "TOGETHER", 8)
    keys = lambda story, **asked: [
        part.key for part in made(replace(request_, story=story, method=name, **asked)).frames
    ]
    for count in (8, 18):
        story = long_story(count)
        before = keys(story)
        assert len(set(before)) == count
        scenes = [*story.scenes]
        scenes[4] = replace(scenes[4], prompt="a woman sleeps")
        after = keys(replace(story, scenes=tuple(scenes)))
        changed = [a != b for a, b in zip(before, after, strict=True)]
        alone = name == "one-prompt-one-story"  # looks at those of the same cast
        assert changed == [n % 2 == 0 or not alone for n in range(count)]
        other = keys(story, frame_seeds={5: 3})
        changed = [a != b for a, b in zip(before, other, strict=True)]
        assert changed == [n % 2 == 1 or not alone for n in range(count)]
        turned = keys(replace(story, scenes=(*story.scenes[2:], *story.scenes[:2])))
        assert not set(turned) & set(before)


def test_the_keys_of_frames_that_look_at_one_another_are_as_they_were(request_):
    """Of 0.10: runs that it left behind go on."""
    request = replace(request_, story=long_story(6))
    pinned = {
        "story-adapter": "2da37b2a6af7 5d527e548438 844f48928809 8bef9a4bdd8d d042341ebb05 b46e16829e65",
        "one-prompt-one-story": "1e8741e48e1d 3a5d8deefbd8 be1fbf0ca01e 84bee47bdde0 d97b1758ff5c 213f1c108074",
    }
    for name, keys in pinned.items():
        made_now = made(replace(request, method=name)).frames
        assert " ".join(part.key[:12] for part in made_now) == keys


def test_of_a_posed_scene_the_pose_is_in_the_key_and_not_what_it_is_called(request_):
    def key(net="n1", **change):
        scene = replace(STORY.scenes[0], **change)
        facts = replace(FACTS, control_weights=lambda kind: f"{net} {kind}")
        return made(replace(request_, story=replace(STORY, scenes=(scene,))), facts).frames[0].key

    turned = (Pose("Mara", yaw=20.0),)
    assert key(pose=turned) not in (key(), key(pose=(Pose("Mara", yaw=21.0),)))
    assert key(net="n2", pose=turned) != key(pose=turned)
    assert key(net="n2") == key()
    told = replace(STORY.scenes[0], pose=turned).text
    assert key(pose=turned) == key(pose=turned, text=f"{told}.", caption="Dawn.")


def test_a_frame_is_worth_the_calls_of_its_template_and_of_each_window():
    template, face = 2 * 10, 2 * 8
    assert frame_worth(PRESET, []) == template
    assert frame_worth(PRESET, [1, 1]) == frame_evaluations(PRESET, 2) == template + 2 * face
    assert frame_worth(PRESET, [0.5, 0.25]) == template + 0.75 * face


@pytest.mark.parametrize(("first", "second"), [(4, 0), (2, 3)])
def test_a_layout_is_taken_over_from_a_scene_that_is_there_and_has_a_pose_of_no_other(
    first, second
):
    poses = [(Pose(source=n, kind="depth"),) if n else () for n in (first, second, 0)]
    scenes = [replace(s, pose=p) for s, p in zip(STORY.scenes, poses, strict=True)]
    ours, story = IdentityStory(PRESET), replace(STORY, scenes=tuple(scenes))
    told = f"scene 1 takes its pose from scene {first}, which has none to give"
    with pytest.raises(StoryError, match=told):
        list(ours.prompts(story, 0))
    off = IdentityStory(replace(PRESET, control=ControlConfig(0)))
    assert len(list(off.prompts(story, 0))) == 3


@pytest.mark.parametrize("identity", [False, True])
@pytest.mark.parametrize("shape", ["", "128x64"])
def test_faces_keep_to_a_pose_where_the_preset_says_so(backend, identity, shape):
    turned = replace(STORY.scenes[0], pose=(Pose("Mara", yaw=20.0),), shape=shape)
    story = replace(STORY, scenes=(turned, *STORY.scenes[1:]))
    found = {c.name: Identity(torch.ones(16), torch.arange(1)) for c in STORY.characters}
    ours = IdentityStory(replace(PRESET, control=ControlConfig(identity=identity)))
    list(ours.paint(backend, Work(story, (7, 8, 9), (0,), found)))
    (template,), (face,) = backend.general.conditions[0], backend.identity.conditions[0]
    size = (128, 64) if shape else backend.general.size
    assert template.control == control_of(turned, size, ControlConfig())
    assert face.control == (template.control if identity else None)


def test_what_the_method_is():
    assert (IdentityStory.name, IdentityStory.one_size) == ("identitystory", False)
    assert IdentityStory.needs_identities
    assert IdentityStory.has_templates
    assert IdentityStory.heeds_poses
