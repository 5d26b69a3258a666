"""models/backend.py: a folder opened as parts that belong together."""

import shutil
from dataclasses import replace

import pytest
import torch

from identitystory import cost, pipeline
from identitystory.config import InjectionConfig, Preset
from identitystory.errors import ConfigError, ModelError
from identitystory.models.backend import load_backend
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.models.files.checkpoint import fingerprint as fingerprint_of
from identitystory.sampling import Watched
from identitystory.story.file import inline_story
from identitystory.types import Identity
from tests.conftest import FakeSegmenter, asked
from tests.toy import WIDTHS, make_toy_checkpoint, toy_checkpoint  # noqa: F401

OPTIONS = {"device": "cpu", "num_steps": 4}


def fingerprint(folder):
    return fingerprint_of(find_checkpoint(folder))


@pytest.fixture
def copy(toy, tmp_path):
    return shutil.copytree(toy, tmp_path / "copy")


def paint(backend):
    """A plain picture, a face read from it, and a picture with that face."""
    G, G_id = backend.general, backend.identity
    z = G.noise(1)[None]
    cond = G.condition(asked(["a woman by the sea"], guidance=5.0))
    for i in range(4, 0, -1):
        z = G.step(z, i, cond)
    images = G.decode(z)
    options = {"faces": G_id.embed(images), "nouns": ["woman"]}
    cond = G_id.condition(asked(["a woman by the sea"], guidance=5.0, **options))
    z_id = G_id.step(G_id.noise(2)[None], 4, cond)
    return z, z_id, images


def test_same_folder_same_bytes_and_one_unet(toy):
    a, b = (load_backend(toy, dtype="float32", **OPTIONS) for _ in range(2))
    for x, y in zip(paint(a)[:2], paint(b)[:2], strict=True):
        assert torch.equal(x, y)
    assert a.general.unet is a.identity.unet
    assert a.fingerprint == b.fingerprint
    assert a.general.num_steps == a.identity.num_steps == 4
    assert a.general.size == a.identity.size == (64, 64)
    assert a.segmenter.segment(paint(a)[2][0], ["a woman"]).masks.shape == (1, 64, 64)


def test_bfloat16_paints_nearly_the_same(toy):
    exact = paint(load_backend(toy, dtype="float32", **OPTIONS))
    rough = paint(load_backend(toy, dtype="bfloat16", **OPTIONS))
    for x, y in zip(exact[:2], rough[:2], strict=True):
        assert y.dtype == torch.float32
        assert not torch.equal(x, y)
        assert (x - y).norm() < 0.05 * x.norm()


def test_fingerprint_follows_the_content_and_not_the_place(toy, copy):
    before = fingerprint(toy)
    assert fingerprint(copy) == before
    (copy / "README.md").write_text("notes")
    assert fingerprint(copy) == before
    weights = copy / "segmenter" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert fingerprint(copy) != before


def test_a_toy_is_a_function_of_its_seed(toy, tmp_path):
    again = make_toy_checkpoint(tmp_path / "again")
    other = make_toy_checkpoint(tmp_path / "other", seed=1)
    assert fingerprint(again) == fingerprint(toy) != fingerprint(other)


def test_missing_parts_are_named_with_the_recipe(copy):
    (copy / "photomaker.safetensors").unlink()
    shutil.rmtree(copy / "segmenter")
    with pytest.raises(
        ModelError, match=r"lacks photomaker\.safetensors and segmenter/; .* --base"
    ):
        load_backend(copy, **OPTIONS)


def test_what_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"'sdxl' lacks stabilityai/.*models fetch sdxl"):
        load_backend("sdxl", **OPTIONS)
    with pytest.raises(ModelError, match="there is no folder"):
        load_backend(tmp_path / "nowhere", **OPTIONS)
    with pytest.raises(ConfigError, match="no sampler is called 'heun'"):
        load_backend(make_toy_checkpoint(tmp_path / "toy"), sampler="heun", **OPTIONS)


def test_three_descriptions_and_a_scene_are_painted_in_as_many_chunks_as_they_need(toy):
    """Each face goes into its own prompt of two chunks; the template's has more than either."""
    clothes = ", dark curly hair, a red coat, a grey scarf, a letter from the lighthouse" * 3
    who = {"Mara": f"a woman{clothes}", "Tom": f"an old man{clothes}", "Ann": f"a girl{clothes}"}
    described = [f"{name}: {words}" for name, words in who.items()]
    story = inline_story(described, ["{Mara}, {Tom} and {Ann} walk through the snow"])
    backend = load_backend(toy, dtype="float32", **OPTIONS)
    chunks = backend.identity.text.chunks
    alone = {chunks(words) for words in who.values()}
    assert 1 < max(alone) < chunks(story.scenes[0].prompt)
    bands = {words: (20 * j, 0, 20 * j + 16, 64) for j, words in enumerate(who.values())}
    G, G_id = Watched(backend.general), Watched(backend.identity)
    parts = replace(backend, general=G, identity=G_id, segmenter=FakeSegmenter(bands))
    preset = Preset("mine", num_steps=4, injection=InjectionConfig(start=3))
    rng, frames = torch.Generator().manual_seed(0), []
    for _ in range(2):
        faces = torch.randn(3, sum(WIDTHS), generator=rng)
        cast = {n: Identity(e, torch.zeros(0)) for n, e in zip(who, faces, strict=True)}
        frames.append(pipeline.paint(parts, story, story.scenes[0], cast, preset))
    assert G.evaluations + G_id.evaluations == 2 * cost.count_evaluations(4, 3, 3)
    assert frames[0].image.tobytes() != frames[1].image.tobytes()
