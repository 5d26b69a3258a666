"""A character as a file: the same face everywhere, and only as long as its person agrees."""

import json
import os
from dataclasses import replace
from datetime import date

import pytest
import torch
from PIL import Image

from identitystory.api import IdentityStory
from identitystory.cli.main import main
from identitystory.cli.reference import character_schema_text
from identitystory.config import DiscoveryConfig, InjectionConfig, Preset
from identitystory.discovery import averaging, mean, medoid
from identitystory.errors import ConfigError, RunError, StoryError
from identitystory.models.describe import describe_model
from identitystory.models.files.catalogue import licence_of, terms_of
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.protocols import ModelFacts
from identitystory.runs.characters import archive, consent, library
from identitystory.runs.characters.archive import CharacterFile, open_file
from identitystory.runs.characters.casting import StoryCast, character, read_story
from identitystory.runs.characters.form import Consent
from identitystory.runs.files import read_png_facts, read_tensors
from identitystory.runs.folder import RunFolder, read_record
from identitystory.runs.opening import Kept
from identitystory.runs.request import RunRequest, recorded
from identitystory.runs.service import Service
from identitystory.settings import preset_from_dict
from identitystory.story.file import load_story, make_story
from identitystory.studio.texts import story_of
from tests.characters import GOLDEN, person
from tests.conftest import T
from tests.fuzz_characters import packed, parts_of, rounds
from tests.fuzz_runs import chunk
from tests.workshop import FACTS

PRESET = Preset(
    "test",
    num_steps=T,
    attempts=1,
    discovery=DiscoveryConfig(num_portraits=24, rank=2, iterations=2),
    injection=InjectionConfig(start=4),
)
STORY = """
title = "Hers"
[[character]]
name = "Ann"
cast = "mara.character"
{more}
[[scene]]
prompt = "{{Ann}} swims"
"""
CONSENT = Consent(
    id="c" * 32, by="Ann Lee", purpose="a story", given="2026-01-01", until="2027-12-31"
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A machine: its library is empty."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(consent, "today", lambda: date(2026, 11, 29))
    monkeypatch.setattr(library, "today", lambda: date(2026, 11, 29))
    return tmp_path / "home" / "identitystory" / "cast"


@pytest.fixture
def service(backend):
    return Service(load=lambda *_, **__: backend, describe=lambda *_: FACTS)


@pytest.fixture
def model(backend):
    return IdentityStory("fake", PRESET, FACTS, Kept(lambda *_, **__: backend), progress=False)


@pytest.fixture
def call(service, capsys):
    """Runs ``cast ...``: exit code, standard output, the line of an error."""

    def run(*argv):
        code = main(["cast", *map(str, argv)], service=lambda: service)
        said = capsys.readouterr()
        return code, said.out, said.err.rpartition("identitystory: ")[2].strip()

    return run


def photos(**changes):
    """A character whose face is of photos."""
    made = person(consent=CONSENT.model_copy(update=changes), found=None)
    told = {name: getattr(made.told, name) for name in type(made.told).model_fields}
    told = {k: v for k, v in told.items() if k not in ("portraits", "embeddings", "found")}
    vectors = {encoder: made.vectors(encoder) for encoder in made.told.embeddings}
    return archive.made(told, made.portraits, vectors)


def story_file(folder, who=None, more=""):
    """A story whose Ann has the face of ``who``."""
    (folder / "mara.character").write_bytes((who or person()).content)
    (folder / "story.toml").write_text(STORY.format(more=more))
    return folder / "story.toml"


def request_of(file, out):
    story, people = read_story(file)
    return RunRequest(story, out, PRESET, people=people)


def face_bytes(content, encoder="e" * 64):
    E, e = archive.read(content, "it").vectors(encoder)
    return E.numpy().tobytes(), e.numpy().tobytes()


# --- The file ----------------------------------------------------------------------------------------


def test_the_golden_file_opens_and_is_packed_the_same():
    """It was written when the format was new; every later version reads it and writes the same."""
    content = GOLDEN.read_bytes()
    found = archive.read(content, "golden")
    E, e = found.vectors("e" * 64)
    assert found.content == content
    assert found.told.description == "a young woman with long red hair"
    assert found.told.looks["winter"].wears == "a red coat"
    assert [p.size for p in found.portraits] == [(8, 8)] * 3
    assert found.portraits[0].getpixel((0, 0)) == person().portraits[0].getpixel((0, 0))
    assert [round(float(x), 3) for x in e] == [round(float(x), 3) for x in mean(E)]
    assert found.told.found.kept == [0, 1, 2]


def test_another_machine_has_the_same_face_byte_for_byte(tmp_path, monkeypatch, call):
    (tmp_path / "mara.character").write_bytes(person().content)
    assert call("import", tmp_path / "mara.character")[0] == 0
    assert call("export", "mara", "--out", tmp_path / "away.character")[0] == 0
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "other"))
    assert call("import", tmp_path / "away.character", "--called", "Anna")[0] == 0
    there = (tmp_path / "other/identitystory/cast/Anna.character").read_bytes()
    assert there == person().content
    assert face_bytes(there) == face_bytes(person().content)
    assert call("export", "anna", "--out", tmp_path / "away.character")[2].endswith(
        "is there; no file is overwritten"
    )


def test_who_was_discovered_is_saved_and_loaded_with_the_same_numbers(model, tmp_path):
    mara = model.discover("a woman with dark curly hair", name="Mara", seed=3)
    again = model.load(mara.save(tmp_path / "mara.character"))
    assert again.identity.embedding.equal(mara.identity.embedding)
    kept = [mara.portraits[n].tobytes() for n in mara.identity.kept.tolist()]
    assert [p.tobytes() for p in again.portraits] == kept
    painted = [model.paint("{A} reads", {"A": who}, seed=5).image for who in (mara, again)]
    assert painted[0].tobytes() == painted[1].tobytes()
    assert (
        again.save(tmp_path / "b.character").read_bytes()
        == (tmp_path / "mara.character").read_bytes()
    )


def test_a_search_can_be_repeated_from_what_the_file_says(model, tmp_path):
    saved = open_file(
        model.discover("a young woman", name="Ann", seed=7).save(tmp_path / "a.character")
    )
    told = saved.told
    again = replace(model.preset, **vars(preset_from_dict(told.found.preset)))
    assert again == PRESET
    person_ = model.discover(told.description, name=told.name, seed=told.found.seed)
    assert person_.identity.kept.tolist() == told.found.kept
    assert saved.vectors(FACTS.embeds)[1].equal(person_.identity.embedding)


def test_another_encoder_embeds_the_kept_portraits(backend, model, tmp_path):
    mara = model.discover("a woman with dark curly hair")
    other = replace(FACTS, fingerprint="w2")
    file = mara.save(tmp_path / "mara.character")
    seen = IdentityStory(
        "fake", PRESET, other, Kept(lambda *_, **__: backend), progress=False
    ).load(file)
    rows = backend.identity.embed([mara.portraits[n] for n in mara.identity.kept.tolist()])
    assert seen.identity.embedding.equal(mean(rows))
    assert seen.fingerprint == "w2"
    model.paint("{A} reads", {"A": model.load(file)})


def test_a_face_that_is_one_of_its_portraits_is_saved_and_found_again_by_another_encoder(backend):
    """As with reference portraits: a row of E and no mean, of as many numbers as FLUX.2 klein has."""
    made = person()
    told = made.told.model_dump(exclude={"portraits", "embeddings"}, exclude_defaults=True)
    told["looks"], told["found"] = {}, made.told.found
    told["made"], told["licence"] = made.told.made, made.told.licence
    E = torch.randn(3, 128 * 32 * 32, generator=torch.Generator().manual_seed(0))
    again = archive.made(told, made.portraits, {"e" * 64: (E, E[1])})
    assert again.identity("e" * 64, None)[0].embedding.equal(E[1])
    average = averaging(DiscoveryConfig(average="medoid"))
    found, rows = again.identity("f" * 64, backend.identity.embed, average)
    assert found.embedding.equal(medoid(rows))
    assert not found.embedding.equal(mean(rows))


def test_one_encoder_names_the_embeddings_of_all_its_bases():
    """The miniature's encoder, told apart from the rest of its weights."""
    facts = describe_model("miniature", "cpu", "float32")
    assert facts.embeds == facts.encoder != facts.fingerprint
    (file,) = find_checkpoint("miniature").identity.files
    assert file.name == "photomaker.safetensors"
    assert replace(facts, fingerprint="another base").embeds == facts.embeds
    assert replace(FACTS, fingerprint="w2").embeds != FACTS.embeds


def test_the_strictest_licence_of_what_made_it():
    assert terms_of("miniature").licence == "Apache-2.0"
    assert terms_of("sdxl").licence == "CreativeML Open RAIL++-M"
    assert terms_of("sdxl").parts["TencentARC/PhotoMaker"] == "Apache-2.0"
    assert not terms_of("sdxl:somebody/else").commercial
    assert not terms_of("sdxl:./a-folder").commercial
    assert not terms_of("/my/model").commercial
    assert terms_of("miniature + /my/ink.safetensors:0.8").licence == "not known here"
    assert "/" not in "".join(terms_of("/my/model").parts)


def test_the_licence_in_a_picture_is_that_of_all_its_parts_or_none():
    for name in ("miniature", "miniature-face"):
        assert licence_of(name) == terms_of(name).licence == "Apache-2.0"
    rail = "CreativeML Open RAIL++-M"
    assert licence_of("sdxl") == licence_of("sdxl:realvisxl-4") == f"{rail}, Apache-2.0"
    for strange in ("sdxl + ink.safetensors:0.8", "miniature + ink.safetensors:1.0"):
        assert licence_of(strange) == ""
    for strange in ("sdxl:somebody/else", "sdxl:./a-folder", "/my/model", "~nobody/x", "a", ""):
        assert licence_of(strange) == ""


# --- In a story --------------------------------------------------------------------------------------


def test_a_face_of_a_file_is_painted_in_another_story(backend, service, tmp_path):
    """Without a search: with other scenes, hair and clothes, and the run says which file it was."""
    file = story_file(
        tmp_path, more='description = "a woman with dark curly hair"\nwears = "a coat"'
    )
    out = tmp_path / "run"
    list(service.run(request_of(file, out)))
    person_ = person()
    told = recorded(out).story.characters[0]
    assert (told.file, told.face) == (person_.sha256, person_.face)
    assert read_record(RunFolder(out))["story"]["characters"][0]["file"] == person_.sha256
    E = read_tensors(RunFolder(out).identity("Ann"))
    rows = backend.identity.embed(person_.portraits)  # FACTS' encoder is not the file's
    assert E["E"].equal(rows)
    assert E["embedding"].equal(mean(rows))
    assert all(p.face is not None for p in backend.identity.conditions[0])  # never a portrait
    (prompt,) = {p.text for p in backend.identity.conditions[0]}
    assert prompt.startswith("a woman with dark curly hair wearing a coat")
    facts = read_png_facts(out / "frames" / "001.png")
    assert facts["characters"][0]["face"] == person_.face


def test_a_file_with_the_models_own_embedding_is_taken_as_it_is(backend, tmp_path):
    facts = replace(FACTS, encoder="e" * 64)
    service = Service(load=lambda *_, **__: backend, describe=lambda *_: facts)
    out = tmp_path / "run"
    list(service.run(request_of(story_file(tmp_path), out)))
    kept = read_tensors(RunFolder(out).identity("Ann"))
    assert (kept["E"].numpy().tobytes(), kept["embedding"].numpy().tobytes()) == face_bytes(
        person().content
    )


def test_a_run_goes_on_without_the_file_and_other_words_in_it_paint_nothing(service, tmp_path):
    file, out = story_file(tmp_path), tmp_path / "run"
    list(service.run(request_of(file, out)))
    again = list(service.run(recorded(out)))
    assert again[-1].made == ()
    looks = replace(person(), told=person().told.model_copy(update={"looks": {}}))
    assert looks.sha256 != person().sha256
    again = list(service.run(request_of(story_file(tmp_path, looks), out)))
    assert again[-1].made == ()
    other = list(service.run(request_of(story_file(tmp_path, person(seed=1)), out)))
    assert other[-1].made == ("cast/Ann", "frames/001")


def test_another_base_keeps_the_face_and_another_encoder_embeds_it_again(backend, tmp_path):
    out = tmp_path / "run"
    request = request_of(story_file(tmp_path), out)

    def made(request, **changes):
        facts = replace(FACTS, **changes)
        service = Service(load=lambda *_, **__: backend, describe=lambda *_: facts)
        return list(service.run(request))[-1].made

    assert made(request, encoder="a" * 64) == ("cast/Ann", "frames/001")
    assert made(recorded(out), encoder="a" * 64, fingerprint="w2") == ("frames/001",)
    with pytest.raises(RunError, match="is not at hand"):
        made(recorded(out), encoder="b" * 64)
    assert made(request, encoder="b" * 64) == ("cast/Ann", "frames/001")


@pytest.mark.parametrize("lost", ["identity", "contact_sheet"])
def test_a_run_that_lost_the_face_says_what_to_do(service, tmp_path, lost):
    list(service.run(request_of(story_file(tmp_path), tmp_path / "run")))
    getattr(RunFolder(tmp_path / "run"), lost)("Ann").unlink()
    with pytest.raises(RunError, match="which is not at hand here; give generate the story"):
        list(service.run(recorded(tmp_path / "run")))
    frame = tmp_path / "run" / "frames" / "001.png"
    code = main(["generate", str(frame), "--out", str(tmp_path / "again")], service=lambda: service)
    assert code == 2


def test_looks_are_clothes_and_hair_apart_from_the_face(tmp_path):
    plain, winter = (character(person(), look) for look in (None, "winter"))
    assert (plain.wears, winter.wears) == ("", "a red coat")
    assert character(person(), "usual").wears == "a blue sweater"  # of the story that found her
    assert character(person(), "short").description == "a young woman with short black hair"
    assert plain.face == winter.face
    story, _ = read_story(story_file(tmp_path, more='look = "winter"'))
    assert "wearing a red coat" in story.scenes[0].prompt
    with pytest.raises(StoryError, match=r"'Mara' has no look 'wintr'. Did you mean 'winter'"):
        read_story(story_file(tmp_path, more='look = "wintr"'))


def test_a_story_names_somebody_of_the_library(tmp_path):
    library.add(person(), "Mara")
    file = tmp_path / "story.toml"
    file.write_text(STORY.format(more="").replace("mara.character", "mara"))
    story, people = read_story(file)
    assert people[story.characters[0].face].content == person().content
    file.write_text(STORY.format(more="").replace("mara.character", "marra"))
    with pytest.raises(
        StoryError, match=r"nobody in the library is called 'marra'. Did you mean 'Mara'"
    ):
        read_story(file)


@pytest.mark.parametrize(
    "way", ["../mara.character", "/etc/mara.character", "a/../../mara.character", "link.character",
            "folder/mara.character", "no.character", "pipe.character", "a\\u0000.character"]
)  # fmt: skip
def test_a_story_reads_no_file_outside_of_its_folder(tmp_path, way):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "mara.character").write_bytes(person().content)
    (inside / "link.character").symlink_to(tmp_path / "mara.character")
    (inside / "folder").symlink_to(tmp_path)
    os.mkfifo(inside / "pipe.character")
    file = inside / "story.toml"
    file.write_text(STORY.format(more="").replace("mara.character", way))
    with pytest.raises(StoryError, match="character 1") as found:
        read_story(file)
    assert "\n" not in str(found.value)


def test_the_studio_takes_who_is_in_the_library_and_no_file():
    text = STORY.format(more="")
    library.add(person(), "Mara")
    cast = StoryCast()
    found = story_of(text.replace("mara.character", "mara"), cast)
    assert [*cast.people] == [found.characters[0].face] == [person().face]
    with pytest.raises(StoryError, match=r"'mara.character' is a file; import it into the library"):
        story_of(text)


def test_what_does_not_go_together_is_said(tmp_path):
    scene = {"scene": [{"prompt": "{A} reads"}]}
    who = {"name": "A", "description": "a woman"}
    with pytest.raises(StoryError, match="'look' goes with 'cast'"):
        make_story({"character": [{**who, "look": "winter"}], **scene}, source="s")
    with pytest.raises(StoryError, match="'cast' goes with identity = true"):
        make_story({"character": [{**who, "cast": "m", "identity": False}], **scene}, source="s")
    with pytest.raises(StoryError, match="'description' is empty"):
        make_story({"character": [{"name": "A"}], **scene}, source="s")
    with pytest.raises(StoryError, match="takes no character files"):
        load_story(story_file(tmp_path))


# --- From a run --------------------------------------------------------------------------------------


def test_who_a_run_found_goes_to_the_library_with_portraits_of_full_size(
    backend, service, tmp_path, call, home
):
    data = {
        "character": [
            {"name": "Mara", "description": "a woman with dark curly hair", "wears": "a hat"}
        ]
    }
    story = make_story({**data, "scene": [{"prompt": "{Mara} reads"}]}, source="s")
    out = tmp_path / "run"
    list(service.run(RunRequest(story, out, PRESET, paint=False)))
    assert call("add", out, "Tom")[2] == f"{out} has no face of 'Tom'; there is 'Mara'"
    assert call("add", out, "Mara")[0] == 0
    found = open_file(home / "Mara.character")
    kept = read_tensors(RunFolder(out).identity("Mara"))
    E, e = found.vectors(FACTS.embeds)
    assert e.equal(kept["embedding"])
    assert E.equal(kept["E"][kept["kept"]])
    assert found.told.found.kept == kept["kept"].tolist()
    assert backend.identity.embed(found.portraits).equal(E)
    assert [p.size for p in found.portraits] == [(64, 64)] * len(E)
    assert found.told.looks["usual"].wears == "a hat"
    assert call("add", out, "Mara")[2].startswith("'Mara' is in the library")
    (RunFolder(out).identity("Mara")).unlink()
    assert "has no finished face of 'Mara'" in call("add", out, "Mara", "--called", "M")[2]


def test_the_library_from_the_command_line(tmp_path, call, home):
    (tmp_path / "mara.character").write_bytes(person().content)
    call("import", tmp_path / "mara.character")
    assert "Mara: a young woman with long red hair; 3 portraits" in call("list")[1]
    assert call("rename", "mara", "Ann Lee")[0] == 0
    assert [p.name for p in home.iterdir()] == ["Ann_Lee.character"]
    assert call("look", "Ann Lee", "beach", "--wears", "a straw hat")[0] == 0
    assert json.loads(call("show", "ann lee", "--json")[1])["looks"]["beach"] == {
        "wears": "a straw hat"
    }
    assert call("look", "Ann Lee", "beach")[0] == 0
    assert (home / "Ann_Lee.character").read_bytes() == person().content
    assert "brace" in call("look", "Ann Lee", "odd", "--wears", "a {hat}")[2]
    assert call("show", tmp_path / "mara.character", "--sheet", tmp_path / "m.png")[0] == 0
    with Image.open(tmp_path / "m.png") as sheet:
        assert sheet.size == (24, 8)
    (tmp_path / "mine.png").write_bytes(b"a holiday")
    assert call("show", tmp_path / "mara.character", "--sheet", tmp_path / "mine.png")[0] == 2
    assert (tmp_path / "mine.png").read_bytes() == b"a holiday"
    (home / "bad.character").write_bytes(b"PK")
    code, out, _ = call("list")
    assert (code, len(out.splitlines())) == (0, 2)
    assert call("remove", "Ann Lee")[0] == 0
    assert call("show", "Ann Lee")[2].startswith("nobody in the library is called 'Ann Lee'")


# --- Photos, with consent ----------------------------------------------------------------------------


def photo(path, size=(200, 260), **more):
    Image.effect_mandelbrot(size, (-2, -1, 1, 1), 20).convert("RGB").save(path, **more)
    return path


ASKED = [
    "--description",
    "a woman",
    "--by",
    "Ann Lee",
    "--purpose",
    "a story",
    "--until",
    "2027-01-31",
]


def test_photos_are_taken_with_recorded_consent_and_without_metadata(backend, tmp_path, call, home):
    lying = Image.Exif()
    lying[0x0112], lying[0x010F] = 6, "Camera"  # to be turned by a quarter
    shots = [photo(tmp_path / "1.jpg", exif=lying), photo(tmp_path / "2.png", (150, 140))]
    assert call("from-photos", "Ann", *shots, *ASKED)[::2] == (0, "")
    found = open_file(home / "Ann.character")
    agreed = found.told.consent
    assert (agreed.by, agreed.purpose, agreed.given) == ("Ann Lee", "a story", "2026-11-29")
    assert agreed.until == "2027-01-31"
    assert found.told.found is None
    assert [p.size for p in found.portraits] == [(512, 512)] * 2
    assert found.vectors(FACTS.embeds)[1].equal(mean(backend.identity.embed(found.portraits)))
    assert b"Camera" not in found.content
    assert b"trainedAlgorithmicMedia" not in found.content
    assert person().content.count(b"digitalsourcetype/trainedAlgorithmicMedia") == 3
    assert found.portraits[0].getpixel((256, 5)) != found.portraits[0].getpixel((5, 256))
    assert "consent for a story until 2027-01-31, attested by Ann Lee" in call("list")[1]


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (["--until", "2026-11-28"], "is over; a consent holds until a day that is to come"),
        (["--until", "soon"], "'soon' is no day"),
        (["--by", " "], "--by must be a line"),
        (["--description", "a cloud"], "no word for a person"),
    ],
)
def test_without_consent_nothing_is_made_of_photos(tmp_path, call, home, changed, line):
    assert line in call("from-photos", "Ann", photo(tmp_path / "1.png"), *ASKED, *changed)[2]
    assert not home.exists()


def test_who_somebody_is_may_be_said_by_a_word_of_the_description(tmp_path, call, home):
    given = ["from-photos", "Ann", photo(tmp_path / "1.png"), *ASKED]
    given += ["--description", "the keeper of a lighthouse"]
    assert call(*given, "--noun", "lantern")[0] == 2
    assert not home.exists()
    assert call(*given, "--noun", "keeper")[0] == 0
    assert open_file(home / "Ann.character").told.noun == "keeper"


@pytest.mark.parametrize("wrong", ["small", "text", "none", "huge", "faceless"])
def test_what_is_no_photo_is_one_line(tmp_path, call, wrong):
    file = tmp_path / "x.png"
    if wrong == "small":
        photo(file, (100, 300))
    elif wrong == "huge":
        side = (12_000).to_bytes(4, "big")
        small = photo(file).read_bytes()
        file.write_bytes(small[:8] + chunk(b"IHDR", side * 2 + small[24:29]) + small[33:])
    elif wrong == "text":
        file.write_text("x")
    elif wrong == "faceless":
        Image.new("RGB", (200, 200)).save(file)
    code, _, line = call("from-photos", "Ann", file, *ASKED)
    assert code == 2
    assert line.startswith(str(file))
    assert "\n" not in line


def test_photos_need_the_options_of_consent(call, tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        call("from-photos", "Ann", photo(tmp_path / "1.png"), "--description", "a woman")
    assert end.value.code == 2
    assert "--by, --purpose, --until" in capsys.readouterr().err


def painted_of_photos(service, tmp_path, metadata=True):
    """A run with a face of photos, which is in the library too."""
    library.add(photos(), "Mara")
    request = request_of(story_file(tmp_path, photos()), tmp_path / "run")
    request = replace(request, metadata=metadata)
    list(service.run(request))
    assert RunFolder(tmp_path / "run").identity("Ann").exists()
    sheet, frame = (tmp_path / "run" / name for name in ("cast/Ann.png", "frames/001.png"))
    assert b"trainedAlgorithmicMedia" not in sheet.read_bytes()  # of photos
    assert b"trainedAlgorithmicMedia" in frame.read_bytes()
    return request


def test_an_expired_consent_blocks_painting_and_deletes_what_is_kept(
    service, tmp_path, monkeypatch, call, home
):
    request, run = painted_of_photos(service, tmp_path), RunFolder(tmp_path / "run")
    monkeypatch.setattr(consent, "today", lambda: date(2028, 1, 1))
    monkeypatch.setattr(library, "today", lambda: date(2028, 1, 1))
    with pytest.raises(RunError, match="the consent for 'Ann' ended on 2027-12-31"):
        list(service.run(replace(request, seed=9)))
    assert not run.identity("Ann").exists()
    assert not run.contact_sheet("Ann").exists()
    with pytest.raises(StoryError, match="the consent for 'Mara' ended on 2027-12-31"):
        read_story(tmp_path / "story.toml")
    assert "consent ended on 2028-01-01, nothing is kept" in call("list")[1]
    kept = open_file(home / "Mara.character")
    assert (kept.parts, kept.told.portraits, kept.told.embeddings) == ({}, [], {})
    assert call("export", "mara", "--out", tmp_path / "x.character")[0] == 2


def test_a_withdrawn_consent_blocks_every_copy_on_this_machine(
    service, tmp_path, call, home, model
):
    painted_of_photos(service, tmp_path)
    run = RunFolder(tmp_path / "run")
    assert call("withdraw", "mara", tmp_path / "run")[0] == 0
    assert not run.identity("Ann").exists()
    assert not run.contact_sheet("Ann").exists()
    assert open_file(home / "Mara.character").parts == {}
    for tried in (
        lambda: read_story(tmp_path / "story.toml"),
        lambda: list(service.run(recorded(tmp_path / "run"))),
        lambda: model.load(tmp_path / "mara.character"),
        lambda: model.load("mara"),
    ):
        with pytest.raises(
            (StoryError, RunError), match=r"the consent for '(Ann|Mara)' (was|ended)"
        ):
            tried()
    call("remove", "mara")
    assert "was withdrawn" in call("import", tmp_path / "mara.character", "--called", "New")[2]


@pytest.mark.parametrize("metadata", [True, False])
def test_a_withdrawn_consent_deletes_a_face_that_the_story_has_no_more(
    service, tmp_path, call, metadata
):
    request, run = painted_of_photos(service, tmp_path, metadata), RunFolder(tmp_path / "run")
    own = {"name": "Bea", "description": "a woman with long red hair"}
    told = {"title": "Hers", "character": [own], "scene": [{"prompt": "{Bea} swims"}]}
    story = make_story(told, source="it")
    list(service.run(replace(request, story=story, people={})))
    assert "Ann" not in run.record.read_text()
    assert run.identity("Ann").exists()
    said = call("withdraw", "mara", run.root)[1]
    for gone, stays in (
        (run.identity("Ann"), run.identity("Bea")),
        (run.contact_sheet("Ann"), run.contact_sheet("Bea")),
    ):
        assert f"{gone} deleted\n" in said
        assert (gone.exists(), stays.exists()) == (False, True)


def test_a_story_with_a_face_of_photos_has_no_sexual_words(service, tmp_path):
    adult = 'description = "an adult woman, thirty years old"'
    for who, refused in ((person(), False), (photos(), True)):
        file = story_file(tmp_path, who, adult)
        file.write_text(file.read_text().replace("{Ann} swims", "a nude portrait of {Ann}"))
        if refused:
            with pytest.raises(StoryError, match=r"a real person .*Ann"):
                read_story(file)
        else:
            list(service.run(request_of(file, tmp_path / "run")))


def test_an_invented_face_needs_no_consent(call):
    library.add(person())
    assert call("withdraw", "mara")[2] == "'Mara' has an invented face, which needs no consent"


# --- Damage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("many", [12, pytest.param(400, marks=pytest.mark.journey)])
def test_damaged_and_hostile_files_are_refused_in_one_line(tmp_path, many):
    count, found = rounds(many, tmp_path, count=many)
    assert (count, found) == (many, [])


def entries():
    return sorted(parts_of(person()).items())


PIXELS = ("portraits/000.png", b"\0" * 1_000_000)
HOSTILE = {
    "a bomb": packed([*entries(), PIXELS], 8),
    "compressed": packed(entries(), 8),
    "a path up": packed([*entries(), ("../x.png", b"")]),
    "a path from the root": packed([*entries(), ("/x.png", b"")]),
    "a link": packed(entries(), mode=0o120777),
    "twice": packed(sorted([*entries(), entries()[-1]])),
    "another order": packed(entries()[::-1]),
    "a comment": packed(entries(), comment=b"x"),
    "something in front": b"\0" + person().content,
    "something behind": person().content + b"\0",
    "one more entry": packed([*entries(), ("portraits/003.png", b"x")]),
    "one less": packed(entries()[:-1]),
    "huge JSON": packed([("character.json", b'{"format": 1' + b" " * 300_000 + b"}")]),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_zip_that_is_not_ours_is_refused(what):
    with pytest.raises(RunError, match="no character file that can be used"):
        archive.read(HOSTILE[what], "it")


@pytest.mark.parametrize(
    "change",
    [
        lambda E, e: (E * float("nan"), e),
        lambda E, e: (E, e * float("inf")),
        lambda E, e: (E[:2], e),
        lambda E, e: (E, e[:2]),
        lambda E, e: (E, e + 1),
        lambda E, e: (E * 0, e * 0),
        lambda E, e: (E.double(), e.double()),
        lambda E, e: (E[:, :0], e[:0]),
    ],
)
def test_numbers_that_are_nobodys_are_refused(change):
    made = person()
    told = made.told.model_dump(exclude={"portraits", "embeddings"}, exclude_defaults=True)
    told["looks"], told["found"] = {}, made.told.found
    told["made"], told["licence"] = made.told.made, made.told.licence
    with pytest.raises(RunError, match="no character file that can be used"):
        archive.made(told, made.portraits, {"e" * 64: change(*made.vectors("e" * 64))})


def test_more_bytes_than_a_character_has_are_not_read(tmp_path):
    file = tmp_path / "big.character"
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(RunError, match="larger than"):
        open_file(file)


def test_a_face_is_known_by_its_portraits_and_numbers_alone():
    made = person()
    other = CharacterFile(made.told.model_copy(update={"name": "Ann"}), made.parts)
    assert other.face == made.face
    assert other.sha256 != made.sha256
    assert person(seed=1).face != made.face


def test_what_cannot_be_saved_is_said(model):
    mara = model.discover("a young woman")
    with pytest.raises(ConfigError, match=r"must end in \.character"):
        mara.save("mara.zip")
    with pytest.raises(ConfigError, match="only who was discovered"):
        replace(mara, source=None).save("mara.character")


def test_the_schema_of_the_file_is_published():
    docs = GOLDEN.parents[3] / "docs"
    assert (docs / "character.schema.json").read_text("utf-8") == character_schema_text()


def test_facts_without_an_encoder_are_told_apart_by_their_weights():
    assert ModelFacts("a", "cpu", "float32").embeds != ModelFacts("b", "cpu", "float32").embeds
