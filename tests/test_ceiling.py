"""miniature.checks.ceiling: rendered people as stories. What needs the renderer is left to the command."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from diffusers import AutoencoderKL
from PIL import Image

from identitystory.metrics.measures import Score
from miniature.checks import ceiling
from miniature.paths import TARGET

VIEW = SimpleNamespace(place="beach", hour="day", framing="portrait")
MOMENT = SimpleNamespace(expression="smile", pose="stand", outfit="t-shirt", colour="red")


def person(index: int, hair: str) -> SimpleNamespace:
    return SimpleNamespace(
        index=index, sex="woman", age="old", ancestry="mixed", skin="light", hair=hair,
        hair_colour="white", eyes="blue", beard="none", glasses="none", freckles=0.0,
    )  # fmt: skip


class World:
    """Paints the first person's half of the picture white; 1 and 2 are their pixels."""

    def render(self, cast, view) -> SimpleNamespace:
        mask = np.zeros((16, 16, 2), np.uint8)
        mask[:, :6, 0], mask[:, 8:, 0] = 1, 2
        return SimpleNamespace(image=np.where(mask[..., :1] == 1, 255, 0).repeat(3, 2), mask=mask)


def test_a_shot_knows_who_is_where() -> None:
    both = [(person(6201, "long"), MOMENT), (person(6200, "bob"), MOMENT)]
    one = ceiling.shot(World(), both, VIEW, seed=4)
    assert [member.identity for member in one.cast] == ["6201", "6200"]
    assert [mask.sum() for mask in one.masks] == [16 * 6, 16 * 8]
    assert one.masks[0, 0, 0]
    assert one.masks[1, 0, 15]
    assert " and " in one.prompt


def test_the_pictures_of_a_story_are_kept_as_they_are(tmp_path: Path) -> None:
    shots = [ceiling.shot(World(), [(person(7, "long"), MOMENT)], VIEW, seed=n) for n in (0, 1)]
    images = np.random.default_rng(0).integers(0, 255, (2, 16, 16, 3), np.uint8)
    story = ceiling.told(shots, images, tmp_path / "new")
    assert (story.people, len(story.pictures)) == (1, 2)
    for image, picture in zip(images, story.pictures, strict=True):
        assert np.array_equal(np.array(Image.open(picture.file)), image)
        assert [m.identity for m in picture.cast] == ["7"]


def test_a_picture_comes_out_of_the_autoencoder_nearly_as_it_went_in() -> None:
    vae = AutoencoderKL.from_pretrained(TARGET / "vae").eval()
    ramp = np.linspace(40, 200, 128).astype(np.uint8)
    flat = np.broadcast_to(ramp[None, :, None], (2, 128, 128, 3)).copy()
    out = ceiling.decoded(vae, flat)
    assert (out.shape, out.dtype) == (flat.shape, np.uint8)
    assert np.abs(out.astype(int) - flat).mean() < 16
    assert np.abs(out.astype(int) - flat[:, :, ::-1]).mean() > 40


def test_the_table_has_what_could_be_measured() -> None:
    none = [Score(name, float("nan"), None, None, 0) for name in ceiling.MEASURES[1:]]
    found = {
        "1 character": {
            "rendered": [Score("face detection", 0.99, 0.98, 1.0, 30), *none],
            "autoencoder": [Score("face detection", 0.5, None, None, 2), *none],
        }
    }
    assert ceiling.table(found).splitlines() == [
        "| stories of | measure | rendered | autoencoder |",
        "| --- | ---: | ---: | ---: |",
        "| 1 character | face detection | 0.990 [0.980, 1.000] | 0.500 |",
    ]
