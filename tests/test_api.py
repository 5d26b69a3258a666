"""The door for scripts: the same pictures as the command line's, kept when it is stopped."""

import time
from dataclasses import replace

import pytest

from identitystory.api import IdentityStory, Person
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.errors import ConfigError, StoryError
from identitystory.pipeline import find_identity
from identitystory.runs.folder import RunFolder, read_record
from identitystory.runs.opening import Kept
from identitystory.runs.options import new_request
from identitystory.runs.request import recorded
from identitystory.runs.service import Service
from identitystory.story.file import load_story
from tests.conftest import T
from tests.workshop import FACTS, contents

PRESET = Preset(
    name="test",
    num_steps=T,
    attempts=1,
    discovery=DiscoveryConfig(num_portraits=40, rank=4),
    injection=InjectionConfig(start=8),
)
STORY = """
title = "Two"
[[character]]
name = "Mara"
description = "a young woman"
[[scene]]
prompt = "{Mara} reads"
[[scene]]
prompt = "{Mara} sleeps"
"""


@pytest.fixture
def model(backend):
    return IdentityStory("fake", PRESET, FACTS, Kept(lambda *_, **__: backend), progress=False)


class StopError(Exception):
    pass


def test_a_person_is_who_discovery_finds(model, backend):
    person = model.discover("a young woman", name="Mara", seed=3)
    identity, _, _ = find_identity(
        backend.identity, person.character, PRESET.discovery, seed=3, batch=16
    )
    assert person.character.noun == "woman"
    assert len(person.portraits) == 40
    assert person.identity.embedding.equal(identity.embedding)
    assert person.identity.kept.equal(identity.kept)


def test_a_stopped_search_goes_on_where_it_was(model, backend):
    """The second call paints only what the first had not finished, and finds the same face."""
    whole = model.discover("a young woman")
    painted = []

    def stop(done, total):
        painted.append(done)
        if done > 2 * T * 20:  # the second batch of 16
            raise StopError

    model.on_step = stop
    with pytest.raises(StopError):
        model.discover("a young woman")
    model.on_step = None
    backend.identity.asked.clear()
    again = model.discover("a young woman")
    assert sum(batch for batch, _ in backend.identity.asked) == T * (40 - 16)
    assert again.identity.embedding.equal(whole.identity.embedding)


def test_on_step_hears_of_all_network_calls(model):
    heard = []
    model.on_step = lambda done, total: heard.append((done, total))
    model.discover("a young woman")
    assert heard[-1] == (2 * T * 40, 2 * T * 40)
    assert [done for done, _ in heard] == sorted({done for done, _ in heard})


def test_a_picture_is_that_of_the_story(model, tmp_path):
    """Found under the story's name and painted with the frame's seed, it has the frame's bytes."""
    file = tmp_path / "story.toml"
    file.write_text(STORY)
    frames = list(model.tell(file, tmp_path / "run"))
    mara = model.discover("a young woman", name="Mara")
    record = read_record(RunFolder(tmp_path / "run"))
    for n, frame in enumerate(frames):
        seed = record["parts"][f"frames/00{n + 1}"]["seed"]
        again = model.paint(frame.scene.text, cast={"Mara": mara}, seed=seed)
        assert again.image.tobytes() == frame.image.tobytes()


def test_a_told_story_is_the_run_of_the_command(model, backend, tmp_path):
    file = tmp_path / "story.toml"
    file.write_text(STORY)
    list(model.tell(file, tmp_path / "told"))
    service = Service(load=lambda *_, **__: backend, describe=lambda *_: FACTS)
    request = new_request(load_story(file), tmp_path / "made", model="fake")
    list(service.run(replace(request, preset=PRESET)))
    told, made = contents(tmp_path / "told"), contents(tmp_path / "made")
    assert told.keys() == made.keys()
    assert told["frames/002.png"] == made["frames/002.png"]


def test_leaving_the_loop_keeps_what_is_finished(model, backend, tmp_path, monkeypatch):
    file = tmp_path / "story.toml"
    file.write_text(STORY)
    step = backend.general.step
    slow = lambda *args: (time.sleep(0.02), step(*args))[1]  # a frame takes a while
    monkeypatch.setattr(backend.general, "step", slow)
    for _ in model.tell(file, tmp_path / "run"):
        break
    assert (tmp_path / "run" / "frames" / "001.png").exists()
    assert not (tmp_path / "run" / "frames" / "002.png").exists()
    backend.general.asked.clear()
    assert len(list(model.tell(file, tmp_path / "run"))) == 2
    assert len(backend.general.asked) == T  # one template


def test_what_is_set_is_set_in_the_own_preset_alone(model, tmp_path):
    """The default preset's t' is beyond ten steps."""
    file = tmp_path / "story.toml"
    file.write_text(STORY)
    told = model.tell(file, tmp_path / "run", set=(f"num_steps={T}",), portraits=20)
    assert len(list(told)) == 2
    made = recorded(tmp_path / "run").preset
    assert (made.num_steps, made.discovery.num_portraits, made.injection.start) == (T, 20, 8)


def test_a_scene_that_was_added_to_the_run_is_told_by_its_index(model, tmp_path):
    file = tmp_path / "story.toml"
    file.write_text(STORY + '[[scene]]\nprompt = "{Mara} swims"\n')
    list(model.tell(file, tmp_path / "run"))
    file.write_text(STORY)
    frames = list(model.tell(file, tmp_path / "run", only=(2,)))
    assert frames[-1].scene.text == "{Mara} swims"


def test_names_of_a_cast_are_read_as_a_storys_are(model):
    person = model.discover("a young woman")
    paint = lambda name, **more: model.paint("{D\u2019Arcy} reads", cast={name: person}, **more)
    plain = paint("D'Arcy")
    assert plain.scene.cast == ("D'Arcy",)
    for name in ("D\u2019Arcy", " D'Arcy"):
        assert paint(name, style=" ").image.tobytes() == plain.image.tobytes()
    with pytest.raises(StoryError, match='cast: the name "D\'Arcy" is given twice; take one out'):
        model.paint("a pier", cast={"D'Arcy": person, "D\u2019Arcy": person})


def test_it_shows_itself(model):
    person = model.discover("a young woman")
    frame = model.paint("{A} reads", cast={"A": person})
    assert person._repr_png_().startswith(b"\x89PNG")
    assert frame._repr_png_().startswith(b"\x89PNG")
    assert repr(person).startswith("Person('a young woman', ")


def test_what_is_wrong_is_said(model):
    with pytest.raises(StoryError, match="no word for a person in 'a cloud'"):
        model.discover("a cloud")
    with pytest.raises(StoryError, match="names 'Tom', who is not a character"):
        model.paint("{Tom} reads")
    person = model.discover("a young woman")
    other = Person(person.character, person.identity, person.portraits, "other weights")
    with pytest.raises(ConfigError, match="found with other weights"):
        model.paint("{A} reads", cast={"A": other})
