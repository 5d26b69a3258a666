"""The checkpoint in the package: whole, loadable by others, and good at what its card says."""

from __future__ import annotations

import hashlib
import tomllib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from identitystory.config import InjectionConfig
from identitystory.injection import make_template
from identitystory.models.backend import load_backend
from identitystory.protocols import Backend
from identitystory.types import Prompt
from tests.people import PICTURES, tiles

FOLDER = Path(str(resources.files("identitystory") / "weights" / "miniature"))


@pytest.fixture(scope="module")
def miniature() -> Backend:
    return load_backend("miniature", num_steps=6, dtype="float32")


@pytest.fixture(scope="module")
def people() -> list[list[Image.Image]]:
    """Eight people that the miniature was never trained on, three rendered portraits each."""
    return tiles()


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


def test_embeddings_know_people(miniature: Backend, people: list[list[Image.Image]]) -> None:
    """Planted truth: of 24 pictures of 8 unseen people, most lie nearest to one of the same person."""
    E = miniature.identity.embed([image for row in people for image in row])
    E = torch.nn.functional.normalize(E, dim=1)
    similar = E @ E.T
    similar.fill_diagonal_(-2)
    nearest = similar.argmax(1) // PICTURES
    right = (nearest == torch.arange(len(E)) // PICTURES).float().mean()
    assert right >= 0.75


def test_segmenter_finds_the_person(miniature: Backend, people: list[list[Image.Image]]) -> None:
    """Mean IoU with the renderer's own masks of unseen people."""
    overlap = []
    for row, truths in zip(people, tiles("people_masks.png", "L"), strict=True):
        for image, truth in zip(row, truths, strict=True):
            inside = torch.from_numpy(np.asarray(truth) > 127)
            mask = miniature.segmenter.segment(image, ["a person with a face"]).masks[0]
            overlap.append(float((mask & inside).sum() / (mask | inside).sum()))
    assert np.mean(overlap) >= 0.8


def test_autoencoder_keeps_pictures(miniature: Backend, people: list[list[Image.Image]]) -> None:
    """Unseen people come back from 16 x 16 latents at 26 dB or better."""
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(FOLDER / "vae", torch_dtype=torch.float32)
    pages = np.stack([np.asarray(image) for row in people for image in row])
    x = torch.from_numpy(pages).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.inference_mode():
        z = vae.encode(x).latent_dist.mean
        y = vae.decode(z).sample.clamp(-1, 1)
    assert 10 * np.log10(4 / float((x - y).square().mean())) >= 26
    assert z.std() == pytest.approx(1, abs=0.15)


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
