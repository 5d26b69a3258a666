"""CLIP's vectors against transformers' own forward pass, on the miniature's CLIP."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close
from transformers import CLIPModel, CLIPTokenizer

from identitystory.errors import ModelError
from identitystory.metrics.scores import cosine
from identitystory.models.clip import load_clip
from identitystory.models.pixels import CLIP_MEAN, CLIP_STD
from tests.people import tiles
from tests.quality import FOLDER as MINIATURE

FOLDER = MINIATURE / "segmenter"
CPU = torch.device("cpu")
TEXTS = ["a portrait of a man", "a woman smiling on a beach at sunset, in a red shirt"]


def small(image):
    """``image`` at the side that the miniature's CLIP looks at."""
    return image.resize((128, 128))


@pytest.fixture(scope="module")
def encoder():
    return load_clip(FOLDER, name="miniature/segmenter", device=CPU)


def test_cosines_are_those_of_transformers_own_forward_pass(encoder):
    images = [small(row[0]) for row in tiles()[:3]]
    model = CLIPModel.from_pretrained(FOLDER, dtype=torch.float32)
    tokens = CLIPTokenizer.from_pretrained(FOLDER)(TEXTS, padding=True, return_tensors="pt")
    pixels = torch.from_numpy(np.stack([np.asarray(i) for i in images])).permute(0, 3, 1, 2)
    with torch.no_grad():
        done = model(**tokens, pixel_values=pixels.float() / 127.5 - 1)
    theirs = done.logits_per_image / model.logit_scale.exp()
    ours = cosine(encoder.pictures(images), encoder.texts(TEXTS))
    assert_close(ours.float(), theirs.detach(), atol=1e-5, rtol=0)


def test_the_order_and_number_of_pictures_do_not_matter(encoder):
    images = [small(row[0]) for row in tiles()[:3]]
    together = encoder.pictures(images)
    assert_close(together[2:], encoder.pictures(images[2:]), atol=1e-5, rtol=1e-5)
    assert encoder.pictures([]).shape[0] == encoder.texts([]).shape[0] == 0


def test_a_text_beyond_the_limit_is_cut_with_a_warning(encoder, caplog):
    long = " ".join(["red"] * 200)
    cut = encoder.texts([long])
    assert "77 tokens" in caplog.text
    assert_close(cut, encoder.texts([" ".join(["red"] * 75)]))


def test_the_name_tells_the_weights_and_a_shortest_edge_crops_the_middle(encoder, tmp_path):
    assert encoder.name.startswith("miniature/segmenter (sha256 ")
    folder = shutil.copytree(FOLDER, tmp_path / "clip")
    file = folder / "preprocessor_config.json"
    config = json.loads(file.read_text()) | {"size": {"shortest_edge": 128}}
    file.write_text(json.dumps(config))
    cropping = load_clip(folder, name="copy", device=CPU)
    assert cropping.name == encoder.name.replace("miniature/segmenter", "copy")
    picture = small(tiles()[0][0])
    wide = Image.new("RGB", (256, 128))
    wide.paste(picture, (64, 0))
    assert_close(cropping.pictures([wide]), encoder.pictures([picture]))


def test_a_segmenter_that_reads_larger_pictures_measures_as_clip_does(tmp_path):
    """CLIPSeg of the hub reads 352 pixels with ImageNet's mean; its CLIP was taught on CLIP's own."""
    folder = shutil.copytree(FOLDER, tmp_path / "clipseg")
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"size": 352}))
    read = load_clip(folder, name="copy", device=CPU).read
    assert (read.size, tuple(read.mean), tuple(read.std)) == (128, CLIP_MEAN, CLIP_STD)


def test_a_folder_without_weights_is_an_error(tmp_path):
    with pytest.raises(ModelError, match=r"no \.safetensors"):
        load_clip(tmp_path, name="x", device=CPU)
