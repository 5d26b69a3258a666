"""models/family.py and the cards: which parts a checkpoint has, and what suits it."""

import json
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from identitystory.cli.options import ManyRuns
from identitystory.errors import ConfigError, ModelError
from identitystory.methods.registry import method
from identitystory.models.describe import describe_model
from identitystory.models.family import ENLARGERS, FAMILIES, IDENTITY_GENERATORS, SEGMENTERS
from identitystory.models.files.card import Card, read_card
from identitystory.models.files.catalogue import BUNDLES, DEFAULT_MODEL, ENTRIES
from identitystory.models.files.checkpoint import (
    find_checkpoint,
    find_folder,
    fingerprint,
)
from identitystory.models.files.found import at_places
from identitystory.models.files.suited import preset, suits_of
from identitystory.models.pixels import Preprocessing, preprocessing
from identitystory.models.sdxl.family import FACE_FILES, FACES
from identitystory.presets import PRESETS, Suits, fitted
from identitystory.protocols import ModelFacts
from identitystory.runs.request import in_precision
from miniature.card import SUITS
from tests.toy import toy_checkpoint, write_toy_grounded  # noqa: F401


@pytest.fixture
def copy(toy, tmp_path):
    return shutil.copytree(toy, tmp_path / "copy")


def write_card(folder, text):
    (folder / "card.toml").write_text(text)


# --- Parts --------------------------------------------------------------------------------------


def test_the_pipelines_class_picks_the_family_and_the_files_the_parts(copy):
    found = find_checkpoint(copy)
    assert (found.family.name, found.identity.name, found.segmenter.name) == (
        "sdxl",
        "photomaker",
        "clipseg",
    )
    assert found.identity.files == (copy / "photomaker.safetensors",)
    assert found.segmenter.files == (copy / "segmenter",)
    write_toy_grounded(copy / "segmenter")
    assert find_checkpoint(copy).segmenter.name == "grounded-sam"
    write_card(copy, '[parts]\nsegmenter = "clipseg"\n')  # both are there: the card decides
    assert find_checkpoint(copy).segmenter.files == (copy / "segmenter",)


def test_a_card_that_names_what_is_not_there_is_refused(copy):
    write_card(copy, '[parts]\nsegmenter = "grounded-sam"\n')
    with pytest.raises(ModelError, match=r"lacks segmenter/detector and segmenter/sam, for its"):
        find_checkpoint(copy)
    write_card(copy, '[parts]\nsegmenter = "clipsegg"\n')
    with pytest.raises(ModelError, match=r"no segmenter is called 'clipsegg'.*'clipseg'"):
        find_checkpoint(copy)


def test_an_unknown_pipeline_is_named(copy):
    index = json.loads((copy / "model_index.json").read_text())
    strange = ("FluxPipeline", "a FluxPipeline; SDXL, FLUX.2 klein and Z-Image are")
    for kind, told in (strange, ("", "a nameless pipeline")):
        (copy / "model_index.json").write_text(json.dumps(index | {"_class_name": kind}))
        with pytest.raises(ModelError, match=told):
            find_checkpoint(copy)


def test_an_identity_generator_is_refused_on_a_base_that_it_cannot_paint_on(copy, monkeypatch):
    from identitystory.models.sdxl import family

    monkeypatch.setattr(family, "PHOTOMAKER", replace(family.PHOTOMAKER, families=("flux",)))
    with pytest.raises(ModelError, match=r"PhotoMaker v1 paints on flux, and .* is SDXL"):
        find_checkpoint(copy)


def test_every_bundle_is_made_of_parts_that_are_registered():
    for names in BUNDLES.values():
        entries = [ENTRIES[name] for name in names]
        assert [e.place for e in entries if e.role == "base"] == [""]
        for role, registry in (("identity", IDENTITY_GENERATORS), ("segmenter", SEGMENTERS)):
            mine = [e for e in entries if e.role in (role, f"{role}-net")]
            (part,) = {e.part for e in mine} or {FAMILIES.get("flux2-klein").identity}
            places = {place for e in mine for place in at_places(e, Path())}
            own = {f"{FACES}/{file}" for file in FACE_FILES}  # whoever has them brings them
            assert {*registry.get(part).places} - own <= places
    for registry in (FAMILIES, IDENTITY_GENERATORS, SEGMENTERS, ENLARGERS):
        for name in registry.own:
            assert all(hasattr(registry.get(name), each) for each in registry.needs)


# --- Cards --------------------------------------------------------------------------------------


def test_the_miniatures_card_says_what_its_packer_writes():
    card = read_card(find_folder(DEFAULT_MODEL))
    assert Suits(**tomllib.loads(SUITS)["suits"]) == card.suits == suits_of()
    assert (card.suits.guidance, card.suits.steps, card.suits.search_steps) == (3.0, 20, 8)
    assert len(card.suits.caveats) == 4


def test_a_card_is_not_part_of_the_fingerprint(copy):
    before = fingerprint(find_checkpoint(copy))
    write_card(copy, "[suits]\nguidance = 2.0\n")
    assert fingerprint(find_checkpoint(copy)) == before


def test_presets_and_stories_follow_the_card_of_any_checkpoint(copy):
    assert preset("recommended", copy) == preset("recommended", "sdxl") == PRESETS["recommended"]
    assert ManyRuns("out").chosen_stories(str(copy)) == "consistory_human"
    write_card(
        copy, '[suits]\nguidance = 3\nsteps = 10\nsampler = "euler"\nstories = "little_people"\n'
    )
    made = preset("recommended", copy)
    assert (made.num_steps, made.injection.start, made.sampler) == (10, 8, "euler")
    assert made.discovery.guidance == made.injection.guidance_identity == 3
    assert made.portrait_steps == 10
    assert preset("recommended", f"sdxl:{copy}") == made  # a base's own card
    assert preset("paper", copy) == preset("paper")
    assert ManyRuns("out").chosen_stories(str(copy)) == "little_people"
    assert suits_of("owner/nowhere") == suits_of("/no/such/folder") == Suits()


def test_words_and_negative_prompts_are_the_checkpoints(copy):
    """The miniature was trained with an empty prompt; SDXL with zeros, and has the paper's words."""
    own, large = preset("fast"), preset("fast", "sdxl")
    assert [p.injection.identity_words for p in (own, large)] == ["scene", "description"]
    for part in ("discovery", "injection"):
        assert [getattr(p, part).negative for p in (own, large)] == ["", None]
    assert method("general", large).negative is method("direct-identity", large).negative is None
    write_card(copy, '[suits]\nnegative = "snow"\n')
    assert preset("recommended", copy).injection.negative == "snow"
    assert preset("paper", copy) == preset("paper")


def test_the_release_computes_in_float16_on_accelerators_unless_told_otherwise():
    release, facts = PRESETS["release"], ModelFacts("f", "cuda", "bfloat16")
    assert in_precision(facts, "auto", release).dtype == "float16"
    assert in_precision(facts, "bfloat16", release) == facts
    assert in_precision(facts, "auto", PRESETS["paper"]) == facts
    assert in_precision(ModelFacts("f", "cpu", "float32"), "auto", release).dtype == "float32"


def test_presets_as_written_are_those_of_a_checkpoint_without_a_card():
    for name, made in PRESETS.items():
        assert fitted(name, Card().suits) == made


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[suits", "cannot be read"),
        ("suits = 3", "says 3; there are guidance, steps"),
        ("[suits]\nguidanse = 3", "says 'guidanse'; there are guidance, steps"),
        ("[suits]\nguidance = 0.5", r"guidance is 0\.5; it must be a number at least 1"),
        ("[suits]\nsteps = 0", "steps is 0"),
        ('[suits]\nsampler = "heun"', "sampler is 'heun'"),
        ("[suits]\nstories = 3", "stories is 3"),
        ("sizes = 3", "says 3 of sizes; it must be a list"),
        ('sizes = ["wide"]', "the size is 'wide'"),
        ('[parts]\nbase = "x"', "says 'base'; there are identity_generator, segmenter, enlarger"),
        ('[parts]\nsegmenter = ["x"]', r"says \['x'\] of \[parts\]; each is named"),
        (f"sizes = {'[' * 9000}", "nested too deep"),
    ],
)
def test_a_broken_card_is_one_line(copy, text, told):
    write_card(copy, text)
    with pytest.raises(ModelError, match=told) as caught:
        suits_of(copy)
    assert "card.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("unet", {"sample_size": None}, "says None of sample_size, which must be a whole number"),
        ("unet", {"sample_size": "wide"}, "says wide of sample_size"),
        ("unet", {"block_out_channels": 4}, "which must be a list that is not empty"),
        ("vae", {"block_out_channels": []}, r"says \[\] of block_out_channels"),
        ("scheduler", {"num_train_timesteps": "many"}, "says many of num_train_timesteps"),
        ("unet", "[" * 9000, "nested too deep"),
    ],
)
def test_a_broken_configuration_is_one_line(copy, part, change, said):
    file = next((copy / part).glob("*config.json"))
    broken = (
        change if isinstance(change, str) else json.dumps(json.loads(file.read_text()) | change)
    )
    file.write_text(broken)
    with pytest.raises(ModelError, match=said) as caught:
        describe_model(str(copy), "cpu", "float32")
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"size": {"width": 9}},
        {"size": "wide"},
        {"size": -1},
        {"image_mean": [0.5]},
        {"image_std": "x"},
        {"resample": 99},
    ],
)
def test_a_broken_preprocessor_is_one_line(tmp_path, change):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(change))
    with pytest.raises(ModelError, match="asks for pictures that cannot be"):
        preprocessing(tmp_path, Preprocessing((8, 8)))


def test_what_suits_is_checked_when_it_is_made():
    with pytest.raises(ConfigError, match="caveats is 'x'"):
        Suits(caveats="x")
