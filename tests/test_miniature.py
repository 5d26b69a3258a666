"""The checkpoint in the package: whole, loadable by others, and good at what its card says."""

from __future__ import annotations

import hashlib
import tomllib

import numpy as np
import pytest
import torch

from identitystory.config import InjectionConfig
from identitystory.injection import make_template
from identitystory.protocols import Backend
from identitystory.types import Prompt
from tests.people import tiles
from tests.quality import FOLDER, LEAST, MEASURES, miniature


@pytest.fixture(name="miniature")
def shipped_miniature() -> Backend:
    return miniature()


def test_the_card_knows_every_weight_file() -> None:
    """Names and sha256 of card.toml are those of the files, and all fit into the package."""
    card = tomllib.loads((FOLDER / "card.toml").read_text())
    files = {f.relative_to(FOLDER).as_posix(): f for f in FOLDER.rglob("*.safetensors")}
    found = {name: hashlib.sha256(f.read_bytes()).hexdigest() for name, f in files.items()}
    assert card["sha256"] == found
    sizes = [f.stat().st_size for f in FOLDER.rglob("*") if f.is_file()]
    assert sum(sizes) <= 40 * 2**20
    assert max(sizes) <= 15 * 2**20


def test_the_stock_pipeline_paints_the_same_picture(miniature: Backend) -> None:
    """diffusers' own SDXL pipeline opens the folder; same noise, same settings, same picture."""
    from diffusers import StableDiffusionXLPipeline

    G = miniature.general
    pipe = StableDiffusionXLPipeline.from_pretrained(FOLDER, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    assert pipe.default_sample_size * pipe.vae_scale_factor == G.size[0] == G.size[1]
    prompt, noise = "a portrait of a young woman with red hair on a beach", G.noise(3)
    theirs = pipe(
        prompt, negative_prompt="", guidance_scale=4.0, num_inference_steps=G.num_steps,
        latents=noise[None].clone(),
    ).images[0]  # fmt: skip
    template = make_template(G, miniature.segmenter, Prompt(prompt, guidance=4.0, seed=3), [], [])
    difference = np.abs(np.asarray(theirs, int) - np.asarray(template.image, int))
    assert difference.max() <= 2


@pytest.mark.parametrize("measure", MEASURES, ids=lambda m: m.__name__)
def test_it_is_as_good_as_was_measured(measure) -> None:
    """Planted truth: pictures of people it never saw, drawn by the world that it was trained on."""
    found = measure()
    assert found.pop("spread", 1) == pytest.approx(1, abs=0.15)
    assert {k: v for k, v in found.items() if v < LEAST[k]} == {}


def test_an_identity_changes_the_face_and_not_the_background(miniature: Backend) -> None:
    """Outside the grown mask the frame is the template, bit for bit in latents; inside it is not."""
    from identitystory.injection import redenoise
    from identitystory.masks import dilate, downsample

    people = tiles()
    G, G_id = miniature.general, miniature.identity
    said = "a portrait of a woman smiling in a kitchen"
    template = make_template(
        G,
        miniature.segmenter,
        Prompt(said, guidance=4.0, seed=1),
        ["Ann"],
        ["a woman"],
    )
    assert template.missing == ()
    e = G_id.embed(people[0]).mean(0, keepdim=True)
    cond = G_id.condition([Prompt("a woman", guidance=4.0, face=e[0], noun="woman")])
    config = InjectionConfig(start=5)
    z = redenoise(G_id, template, cond, config)
    grown = dilate(template.masks, round(config.k_max_at(min(G.size))))
    inside = downsample(grown, z.shape[-2:], "nearest")[0].bool()
    changed = (z != template.latents[0]).any(0)
    assert not changed[~inside].any()
    assert changed[inside].float().mean() > 0.9
