"""Pictures that are not square: read, resolved, painted by the same equations, kept and resumed."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionXLPipeline
from PIL import Image

from identitystory import masks
from identitystory.attempts import find_template
from identitystory.config import InjectionConfig, Preset
from identitystory.errors import ConfigError, StoryError
from identitystory.injection import kept_latents, make_template, redenoise
from identitystory.methods.consistory import ConsiStory
from identitystory.methods.method import Work
from identitystory.methods.subject import grid_of, subject_mask
from identitystory.models.backend import load_backend
from identitystory.models.describe import describe_model
from identitystory.protocols import ModelFacts
from identitystory.runs import sheets
from identitystory.runs.events import Finished
from identitystory.runs.options import again_request, new_request
from identitystory.runs.plan import make_plan
from identitystory.runs.request import RunRequest
from identitystory.runs.service import Service
from identitystory.sampling import sized, trajectory
from identitystory.sizes import SDXL_BUCKETS, buckets, parse_size, resolved, shape_of
from identitystory.story.file import inline_story, make_story
from identitystory.types import Prompt, Scene, Segmentation
from tests.conftest import CELL, FakeGenerator, FakeIdentityGenerator, FakeSegmenter, asked
from tests.toy import toy_checkpoint  # noqa: F401

WIDE = (96, 64)
SDXL = (1024, 1024), 32
FACTS = ModelFacts("weights", "cpu", "float32", size=(64, 64), multiple=CELL)
DETAILS = InjectionConfig(start=8, k_max=8 * 1024 / 64)  # grows by one cell of the latent


# --- words ---------------------------------------------------------------------------------------


def test_a_size_or_an_aspect_is_read_and_nothing_else():
    assert parse_size(" 1216 x 832") == parse_size("1216X832") == (1216, 832)
    assert shape_of("1216\u00d7832", None) == "1216x832"
    assert (shape_of(None, "16:9"), shape_of(None, None)) == ("16:9", "")
    for text in ("1216", "1216x", "-1x4", "0x8", "1216x832x3", "12.5x8", "", "123456x8"):
        with pytest.raises(ConfigError, match="it is written like 1216x832"):
            parse_size(text)
    with pytest.raises(ConfigError, match="both a size"):
        shape_of("8x8", "1:1")
    with pytest.raises(ConfigError, match="9:1 has one side 9 times the other; at most 4"):
        shape_of(None, "9:1")


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        ("1:1", (1024, 1024)),
        ("16:9", (1344, 768)),
        ("9:16", (768, 1344)),
        ("3:2", (1216, 832)),
        ("4:3", (1152, 896)),
        ("4:1", (2048, 512)),
    ],
)
def test_an_aspect_is_the_nearest_size_that_sdxl_was_trained_on(aspect, size):
    assert resolved(aspect, *SDXL) == size
    assert size in SDXL_BUCKETS or size[::-1] in SDXL_BUCKETS


@pytest.mark.parametrize(
    ("own", "multiple"), [((1024, 1024), 32), ((128, 128), 16), ((64, 64), 16)]
)
def test_every_bucket_is_taken_and_about_as_large_as_the_models_own(own, multiple):
    for width, height in buckets(own, multiple):
        assert width % multiple == height % multiple == 0
        assert 0.6 < width * height / (own[0] * own[1]) < 1.5
        assert resolved(f"{width}x{height}", own, multiple) == (width, height)
    assert buckets(own, multiple)[0] == own


@pytest.mark.parametrize(
    ("shape", "size"),
    [("3:2", (384, 256)), ("1:1", (256, 256)), ("16:9", (384, 256)), ("9:16", (256, 256))],
)
def test_a_checkpoint_that_says_its_sizes_has_no_others(shape, size):
    made_for = ((256, 256), (384, 256))
    assert resolved(shape, (256, 256), 32, made_for) == size
    assert buckets((256, 256), 32, made_for) == [(256, 256), (384, 256)]
    assert resolved("320x224", (256, 256), 32, made_for) == (320, 224)  # others are painted, too
    with pytest.raises(ConfigError, match="that the model was made for 384x256"):
        resolved("380x250", (256, 256), 32, made_for)


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ("1000x600", r"multiples of 32\. The nearest is 992x608, .* made for 1280x768"),
        ("4096x4096", r"16 times the area of 1024x1024 .* 1/4 to 4 times is taken\. Try 1024x1024"),
        ("320x320", r"times the area of 1024x1024"),
        ("2560x512", "one side 5 times the other"),
    ],
)
def test_a_size_that_a_model_does_not_take_is_refused_with_the_nearest(shape, told):
    with pytest.raises(ConfigError, match=told) as error:
        resolved(shape, *SDXL)
    assert "\n" not in str(error.value)


def story(**more):
    data = {
        "character": [{"name": "Mara", "description": "a woman with dark curly hair"}],
        "scene": [{"prompt": "{Mara} reads"}, {"prompt": "{Mara} sleeps", "aspect": "1:1"}],
    }
    return make_story({**data, **more}, source="s.toml")


def test_stories_and_scenes_say_their_size():
    made = story(size=[96, 64])
    assert (made.shape, [s.shape for s in made.scenes]) == ("96x64", ["", "1:1"])
    assert story(size="96x64") == made
    assert story(aspect="16:9").shape == "16:9"
    for size in ([96], [96, "64"], 96, [96.5, 64]):
        with pytest.raises(StoryError, match=r"s.toml: 'size' is .*it must be \[1216, 832\]"):
            story(size=size)
    with pytest.raises(StoryError, match=r"s\.toml: both a size"):
        story(size=[96, 64], aspect="16:9")
    with pytest.raises(StoryError, match=r"s\.toml: scene 1: the aspect is 'wide'"):
        story(scene=[{"prompt": "{Mara} reads", "aspect": "wide"}])


# --- the method ----------------------------------------------------------------------------------


def box(top, left, bottom, right, size=WIDE):
    mask = torch.zeros(size[1], size[0], dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


def wide_template(*M, G=None):
    G = (G or FakeGenerator()).with_size(WIDE)
    prompt = Prompt("a pier", guidance=7)
    names = [f"p{n}" for n in range(len(M))]

    class Told:
        def segment(self, image, phrases):
            assert image.size == WIDE
            return Segmentation(torch.stack(M))

    return make_template(G, Told(), prompt, names, names), G.condition([prompt] * len(M))


def test_noise_latents_and_masks_stand_as_the_picture_does():
    G = FakeGenerator().with_size(WIDE)
    assert G.noise(3).shape == (2, 8, 12)
    template, _ = wide_template(box(16, 8, 56, 24))
    assert template.image.size == WIDE
    assert template.latents.shape == (11, 2, 8, 12)
    assert template.masks.shape == (1, 64, 96)
    (z,) = kept_latents(G, [Prompt("a pier", guidance=7)])
    assert torch.equal(template.latents, z)


@pytest.mark.parametrize("M", [[box(16, 8, 56, 24)], [box(16, 8, 56, 24), box(8, 40, 60, 90)]])
def test_a_wide_frame_is_repainted_by_its_own_generator(M):
    template, cond = wide_template(*M)
    G = FakeGenerator().with_size(WIDE)
    assert torch.equal(redenoise(G, template, cond, DETAILS), template.latents[0])


def test_a_full_mask_is_the_identity_generator_alone_and_an_empty_one_the_template():
    whole, _ = wide_template(box(0, 0, 64, 96))
    G_id, cond = FakeIdentityGenerator().with_size(WIDE), torch.full((1, 1, 1, 1), 3.0)
    *_, (_, alone) = trajectory(G_id, whole.latents[8][None], cond, start=8)
    assert torch.equal(redenoise(G_id, whole, cond, DETAILS), alone[0])
    empty, _ = wide_template(box(0, 0, 0, 0))
    assert torch.equal(redenoise(G_id, empty, cond, DETAILS), empty.latents[0])


@pytest.mark.parametrize("turned", [False, True])
def test_masks_grow_by_the_shorter_side(turned):
    """Equation 7 written out; the K_max of a square of the shorter side, wide or high."""
    size = WIDE[::-1] if turned else WIDE
    G, G_id = (kind().with_size(size) for kind in (FakeGenerator, FakeIdentityGenerator))
    M = box(24, 24, 40, 40, size)
    (z,) = kept_latents(G, [Prompt("a pier", guidance=7)])
    template = dataclasses.replace(wide_template(box(0, 0, 1, 1))[0], latents=z, masks=M[None])
    x, cond = z[8], torch.full((1, 1, 1, 1), 3.0)
    for i in range(8, 0, -1):
        K = masks.kernel_size(i, 8, DETAILS.k_max_at(64))
        inside = masks.downsample(masks.dilate(M[None], K), z.shape[-2:])[0].bool()
        x = torch.where(inside, G_id.step(x[None], i, cond)[0], z[i - 1])
    assert torch.equal(redenoise(G_id, template, cond, DETAILS), x)
    assert masks.kernel_size(1, 8, DETAILS.k_max_at(64)) == 8


def test_the_margin_is_the_shorter_sides(boxes, story):
    config = dataclasses.replace(DETAILS, margin=4 * 1024 / 64)
    preset = Preset("p", num_steps=10, injection=config)
    scene = dataclasses.replace(story.scenes[0], shape="96x64")
    made = find_template(FakeGenerator(), FakeSegmenter(boxes), story, scene, preset, seed=0)
    assert torch.equal(made.masks[0], box(12, 4, 60, 28))  # four pixels, as in a square of 64


# --- the models ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backend(toy):
    return load_backend(toy, num_steps=4, device="cpu", dtype="float32")


def test_a_wide_picture_is_what_diffusers_paints(toy, backend):
    """Parity of latents and pixels, size conditioning included: height first."""
    stock = StableDiffusionXLPipeline.from_pretrained(toy, add_watermarker=False)
    stock.set_progress_bar_config(disable=True)
    schedule = {"clip_sample": False, "set_alpha_to_one": False}
    stock.scheduler = DDIMScheduler.from_config(stock.scheduler.config, **schedule)
    G = backend.general.with_size(WIDE)
    z = torch.stack([G.noise(seed) for seed in (3, 4)])
    said = ["a woman by the sea", "an old man"]
    common = {"num_inference_steps": 4, "guidance_scale": 5.0, "latents": z}
    common |= {"width": WIDE[0], "height": WIDE[1], "negative_prompt": ["snow"] * 2}
    expected = stock(said, **common, output_type="latent").images
    pictures = stock(said, **common).images
    cond = G.condition(asked(said, guidance=5.0, negative="snow"))
    assert cond.time_ids[0].tolist() == [64, 96, 0, 0, 64, 96]
    for i in range(4, 0, -1):
        z = G.step(z, i, cond)
    torch.testing.assert_close(z, expected, rtol=1e-4, atol=1e-4)
    for ours, theirs in zip(G.decode(z), pictures, strict=True):
        assert ours.size == theirs.size == WIDE
        far = np.abs(np.asarray(ours, dtype=int) - np.asarray(theirs, dtype=int))
        assert far.max() <= 1
    square = backend.general.condition(asked(said, guidance=5.0, negative="snow"))
    assert not torch.allclose(backend.general.step(z, 2, square), G.step(z, 2, cond))


def test_both_generators_change_their_size_on_the_same_networks(backend):
    for G in (backend.general, backend.identity):
        assert (G.size, G.multiple) == ((64, 64), 16)
        assert sized(G, Scene("x", ())) is G.with_size((64, 64)) is G
        wide = sized(G, Scene("x", (), shape="3:2"))
        assert (wide.size, wide.unet, G.size) == ((80, 48), G.unet, (64, 64))
        with pytest.raises(ConfigError, match="72x64; both sides must be multiples of 16"):
            G.with_size((72, 64))
    facts = describe_model("miniature", "cpu", "float32")
    assert (facts.size, facts.multiple) == ((256, 256), 32)


def test_grids_of_tokens_have_the_pictures_proportions():
    assert grid_of(96, WIDE) == (8, 12)
    assert grid_of(24, (8, 12)) == (6, 4)
    with pytest.raises(ValueError, match="25 tokens are no grid"):
        grid_of(25, WIDE)
    maps = torch.zeros(1, 2, 3)
    maps[0, 0, 2] = 1.0
    mask = subject_mask(maps.flatten(1), 24, WIDE).view(4, 6)
    assert mask[:2, 4:].all()
    assert not mask[2:].any()
    assert not mask[:, :3].any()


def test_frames_that_look_at_one_another_are_painted_wide(backend):
    said = inline_story(["Mara: a woman"], ["{Mara} reads", "{Mara} by the sea"])
    scenes = tuple(dataclasses.replace(s, shape="96x64") for s in said.scenes)
    work = Work(dataclasses.replace(said, scenes=scenes), (1, 2), (0, 1), {})
    with torch.no_grad():
        made = dict(ConsiStory().paint(backend, work))
    assert [frame.image.size for frame in made.values()] == [WIDE, WIDE]


# --- runs ----------------------------------------------------------------------------------------

PRESET = Preset(
    "test",
    num_steps=10,
    discovery=dataclasses.replace(Preset("x").discovery, num_portraits=8, rank=1, iterations=1),
    injection=DETAILS,
)


def shapes(request, facts=FACTS):
    return [scene.shape for scene in make_plan(request, facts, None).story.scenes]


def test_a_scenes_size_comes_first_then_the_options_then_the_storys(tmp_path):
    asked_for = RunRequest(story(size=[96, 64]), tmp_path, PRESET)
    assert shapes(asked_for) == ["96x64", ""]  # 1:1 is the model's own
    assert shapes(dataclasses.replace(asked_for, shape="64x96")) == ["64x96", ""]
    assert shapes(RunRequest(story(), tmp_path, PRESET, shape="64x64")) == ["", ""]
    with pytest.raises(ConfigError, match="sizes of miniature are not known"):
        shapes(asked_for, ModelFacts("weights", "cpu", "float32"))
    with pytest.raises(ConfigError, match="multiples of 8"):
        shapes(dataclasses.replace(asked_for, shape="70x64"))


def test_the_models_own_size_is_in_no_key_and_every_other_is(tmp_path):
    keys = lambda **more: [
        part.key
        for part in make_plan(RunRequest(story(), tmp_path, PRESET, **more), FACTS, None).frames
    ]
    plain = keys()
    assert keys(shape="64x64") == keys(shape="1:1") == plain
    wide = keys(shape="96x64")
    assert (wide[0] != plain[0], wide[1] == plain[1]) == (True, True)
    general = keys(method="general")
    assert keys(method="general", shape="1:1") == general
    assert keys(method="general", shape="96x64")[0] != general[0]
    with pytest.raises(ConfigError, match="consistory paints a story in one"):
        keys(method="consistory", shape="96x64")


@pytest.fixture
def service(boxes):
    from identitystory.protocols import Backend

    def load(model, *, num_steps, **_):
        general, identity = FakeGenerator(num_steps=num_steps), FakeIdentityGenerator()
        return Backend("fake", general, identity, FakeSegmenter(boxes))

    return Service(load=load, describe=lambda *_: FACTS)


def finished(service, request):
    *_, last = service.run(request)
    assert isinstance(last, Finished)
    return last


def size_of(file):
    with Image.open(file) as picture:
        return picture.size


@pytest.mark.parametrize("batch", [1, 2])
def test_a_wide_run_is_kept_made_again_and_shown_on_one_page(service, tmp_path, batch):
    preset = dataclasses.replace(PRESET, batch=batch)
    request = dataclasses.replace(RunRequest(story(), tmp_path / "run", preset), shape="3:2")
    finished(service, request)
    wide = resolved("3:2", (64, 64), CELL)
    painted = [size_of(tmp_path / "run" / "frames" / f"00{n}.png") for n in (1, 2)]
    assert painted == [wide, (64, 64)]
    again = new_request(story(), tmp_path / "run")
    assert again.shape == "3:2"
    assert finished(service, again).made == ()
    lost = tmp_path / "run" / "frames" / "001.png"
    before = lost.read_bytes()
    lost.unlink()
    assert finished(service, again).made == ("frames/001",)
    assert lost.read_bytes() == before
    assert again_request(lost).story.scenes[0].shape == "x".join(map(str, wide))
    side = max(96, *wide)
    assert size_of(tmp_path / "run" / "sheet.png")[0] == 2 * (side + sheets.MARGIN) + sheets.MARGIN
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["request"]["shape"] == "3:2"
    square = new_request(story(), tmp_path / "run", aspect="1:1")
    assert finished(service, square).made == ("frames/001",)


def test_pages_keep_proportions():
    """Each picture lies in the middle of its tile, unsqueezed."""
    red, blue = (Image.new("RGB", size, c) for size, c in (((96, 64), "red"), ((64, 96), "blue")))
    page = np.asarray(sheets.frames_page([red, blue], ["a", "b"]))
    side = 96
    first = page[sheets.MARGIN : sheets.MARGIN + side, sheets.MARGIN : sheets.MARGIN + side]
    reds = (first == (255, 0, 0)).all(-1)
    assert reds.sum() == 96 * 64
    assert reds[16:80].all()
    left = 2 * sheets.MARGIN + side
    blues = (page[sheets.MARGIN : sheets.MARGIN + side, left : left + side] == (0, 0, 255)).all(-1)
    assert blues[:, 16:80].all()
    assert blues.sum() == 96 * 64
