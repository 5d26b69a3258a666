"""checks/ceiling.py: drawn people as stories."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from identitystory.metrics.measures import Score
from miniature.checks import ceiling
from miniature.pictures.recipe import HELD_OUT


def test_stories_are_of_people_whom_no_training_saw_each_in_new_moments():
    alone, together = ceiling.stories(people=1, pairs=1, pictures=2)
    assert {m.identity for one in alone for m in one.cast} == {str(HELD_OUT)}
    names = [str(HELD_OUT + 1), str(HELD_OUT + 2)]
    assert [[m.identity for m in one.cast] for one in together] == [names, names]
    assert (alone[0].image != alone[1].image).any()
    for one in together:
        left, right = (torch.nonzero(mask.any(0)).float().mean() for mask in one.masks)
        assert one.masks.shape == (2, 256, 384)
        assert left < right
        assert not (one.masks[0] & one.masks[1]).any()
        assert " and " in one.prompt


def test_the_pictures_of_a_story_are_kept_as_they_are(tmp_path: Path):
    (shots,) = ceiling.stories(people=1, pairs=0, pictures=2)
    images = np.random.default_rng(0).integers(0, 255, (2, 16, 16, 3), np.uint8)
    story = ceiling.told(shots, images, tmp_path / "new")
    assert (story.people, len(story.pictures)) == (1, 2)
    for image, picture in zip(images, story.pictures, strict=True):
        assert np.array_equal(np.array(Image.open(picture.file)), image)
        assert [m.identity for m in picture.cast] == [str(HELD_OUT)]


def test_a_perfect_autoencoder_changes_nothing():
    halved = SimpleNamespace(
        encode=lambda x: SimpleNamespace(latent_dist=SimpleNamespace(mean=x / 2)),
        decode=lambda z: SimpleNamespace(sample=2 * z),
    )
    images = np.random.default_rng(0).integers(0, 255, (2, 16, 24, 3), np.uint8)
    assert np.array_equal(ceiling.autoencoded(halved, images), images)


def test_the_table_has_what_could_be_measured():
    none = [Score(name, float("nan"), None, None, 0) for name in ceiling.MEASURES[1:]]
    found = {
        "1 character": {
            "drawn": [Score("face detection", 0.99, 0.98, 1.0, 30), *none],
            "autoencoder": [Score("face detection", 0.5, None, None, 2), *none],
        }
    }
    assert ceiling.table(found).splitlines() == [
        "| stories of | measure | drawn | autoencoder |",
        "| --- | ---: | ---: | ---: |",
        "| 1 character | face detection | 0.990 [0.980, 1.000] | 0.500 |",
    ]
