"""Characters denoised again in a window: nothing that a mask reaches is left out, nothing else is seen."""

from dataclasses import replace

import pytest
import torch

from identitystory import masks
from identitystory.config import InjectionConfig, Preset
from identitystory.cost import frame_evaluations, frame_worth
from identitystory.errors import ConfigError
from identitystory.injection import present, redenoise, redenoise_together, windows
from identitystory.models.backend import load_backend
from identitystory.models.sdxl.feature_cache import DeepFeatures
from identitystory.pipeline import inject
from identitystory.sampling import step_noise, trajectory
from identitystory.settings import Overrides, overridden, preset_from_dict, to_dict, with_settings
from identitystory.types import Control, Identity, Prompt, Scene, Story, Template
from identitystory.window import Window, around
from tests.conftest import CELL, LATENT, MARA, SIZE, TOM, FakeIdentityGenerator, asked
from tests.test_injection import CONFIG, EVERYTHING, NOTHING, box, template
from tests.toy import WIDTHS, add_toy_control, toy_checkpoint  # noqa: F401

WINDOWED = replace(CONFIG, window=0.0)
SMALL = box(0, 0, 24, 16)  # in the corner; grown by a cell it has 4 x 3 cells of 8 x 8


# --- where it lies -------------------------------------------------------------------------------


def cells(top, left, bottom, right, shape=(16, 16)):
    made = torch.zeros(shape, dtype=torch.bool)
    made[top:bottom, left:right] = True
    return made


@pytest.mark.parametrize(
    ("there", "margin", "expected"),
    [
        (cells(4, 5, 14, 13), 0, (4, 4, 14, 14)),  # outward to twos
        (cells(4, 5, 14, 13), 1, (4, 2, 14, 16)),
        (cells(7, 7, 8, 8), 0, (4, 4, 12, 12)),  # half a side at least, about the middle
        (cells(0, 15, 1, 16), 0, (8, 0, 16, 8)),  # pushed back from the edges
        (cells(0, 0, 16, 14), 0, (0, 0, 14, 16)),
        (cells(0, 0, 16, 15), 0, None),
        (cells(4, 4, 12, 12), 9, None),
    ],
)
def test_a_window_is_the_smallest_on_the_grid(there, margin, expected):
    """As left, top, right, bottom in cells."""
    found = around(there, margin, 2, 8)
    assert found == (None if expected is None else tuple(8 * side for side in expected))


def test_by_default_there_is_none():
    assert windows(FakeIdentityGenerator(), template(SMALL, NOTHING), CONFIG) == [None]
    assert windows(FakeIdentityGenerator(), template(EVERYTHING), WINDOWED) == [None]


@pytest.mark.parametrize("downsample", ["nearest", "area"])
def test_it_holds_all_that_a_mask_reaches_at_any_step(downsample):
    rng, G_id = torch.Generator().manual_seed(0), FakeIdentityGenerator()
    config = replace(WINDOWED, downsample=downsample)
    found = 0
    for _ in range(20):
        top, left, a, b = (int(x) for x in torch.randint(1, 30, (4,), generator=rng))
        start = template(box(top, left, top + a, left + b), box(40, 40, 60, 60))
        start = replace(start, masks=masks.clean(start.masks))
        for j, window in zip(present(start), windows(G_id, start, config), strict=True):
            if window is None:
                continue
            found += 1
            outside = torch.ones(LATENT, LATENT, dtype=torch.bool)
            le, t, r, bo = (side // CELL for side in window)
            outside[t:bo, le:r] = False
            for i in range(config.start, 0, -1):
                K = masks.kernel_size(i, config.start, config.k_max_at(SIZE))
                grown = masks.dilate(start.masks, K)
                _, M = masks.blend_weights(grown, (LATENT, LATENT), mode=downsample)
                assert not M[j, 0][outside].any()
    assert found > 20


# --- what comes of it ----------------------------------------------------------------------------


class Pointwise(FakeIdentityGenerator):
    """Each cell by itself: what is seen beside it cannot matter. Outside a window it says nan."""

    def step(self, z, i, cond):
        self.asked.append((z.shape[0], i))
        after = 0.9 * z + 0.05 * cond.at(i, self.num_steps).to(z)
        for b, prompt in enumerate(cond.prompts):
            if prompt.window is not None:
                left, top, right, bottom = (side // CELL for side in prompt.window)
                seen = torch.full_like(after[b], torch.nan)
                seen[:, top:bottom, left:right] = after[b, :, top:bottom, left:right]
                after[b] = seen
        return after


def test_where_the_surroundings_do_not_matter_the_picture_is_the_same_bit_for_bit():
    """And what lies outside the window is never taken over: it is nan there."""
    G_id = Pointwise()
    start = template(SMALL, box(40, 40, 60, 60))
    prompts = asked(["a woman", "a man"], guidance=3.0)
    found = windows(G_id, start, WINDOWED)
    assert [w.size for w in found] == [(32, 32), (32, 32)]
    whole = redenoise(G_id, start, G_id.condition(prompts), CONFIG)
    in_windows = [replace(p, window=w) for p, w in zip(prompts, found, strict=True)]
    part = redenoise(G_id, start, G_id.condition(in_windows), WINDOWED)
    assert torch.equal(part, whole)
    assert part.isfinite().all()
    assert (part != start.latents[0]).any()
    K = masks.kernel_size(1, CONFIG.start, CONFIG.k_max_at(SIZE))
    M_bg, _ = masks.blend_weights(masks.dilate(start.masks, K), (LATENT, LATENT))
    assert torch.equal((part == start.latents[0]).all(dim=0), M_bg[0] == 1)


# --- the model -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backend(toy):
    return load_backend(toy, device="cpu", dtype="float32", num_steps=4, sampler="ancestral")


def seen_by(network):
    """A list that gets the latents and time ids of every call of the network."""
    calls = []

    def note(_, inputs, named):
        calls.append((inputs[0].clone(), named["added_cond_kwargs"]["time_ids"].clone()))

    return calls, network.register_forward_pre_hook(note, with_kwargs=True)


def faced(text, noun, window=None, seed=0, **more):
    face = torch.randn(sum(WIDTHS), generator=torch.Generator().manual_seed(len(text)))
    return Prompt(text, guidance=3.0, seed=seed, face=face, noun=noun, window=window, **more)


PART = Window(32, 16, 64, 48)  # of 64 x 64 pixels, 8 x 8 latents: columns 4..7, rows 2..5


def test_a_window_of_everything_is_the_whole_picture_bit_for_bit(backend):
    for G in (backend.general, backend.identity):
        prompt = Prompt("a woman", guidance=3.0, seed=5)
        all_of_it = replace(prompt, window=Window(0, 0, *G.size))
        z, conds = G.noise(1)[None], [G.condition([p]) for p in (prompt, all_of_it)]
        assert torch.equal(conds[0].time_ids, conds[1].time_ids)
        assert torch.equal(*(G.step(z, 3, cond) for cond in conds))


def test_the_network_sees_the_crop_and_is_told_where_it_lies(backend):
    G = backend.identity
    z, cond = G.noise(1)[None], G.condition([faced("a woman", "woman", PART)])
    calls, handle = seen_by(G.unet)
    made = G.step(z, 3, cond)
    handle.remove()
    ((shown, ids),) = calls
    assert torch.equal(shown, z[:, :, 2:6, 4:8].repeat(2, 1, 1, 1))
    assert ids.tolist() == [[64, 64, 16, 32, 32, 32]] * 2  # original, corner (y, x), the crop's own
    said = G.general.predict(z, 3, cond)
    assert not said[..., :2, :].any()
    assert not said[..., :4].any()
    assert said[:, :, 2:6, 4:8].all()
    assert made.isfinite().all()


def test_new_noise_is_the_part_of_the_whole_pictures(backend):
    G = backend.general
    z, cond = G.noise(1)[None], G.condition([Prompt("a woman", seed=9, window=PART)])
    noise = step_noise(9, 3, z.shape[1:])[None]
    expected = G.sampler.step(z, 3, G.predict(z, 3, cond), noise)
    assert torch.equal(G.step(z, 3, cond), expected)
    other = G.sampler.step(
        z, 3, G.predict(z, 3, cond), step_noise(9, 3, (8, 4, 4)).repeat(1, 2, 2)[None]
    )
    assert not torch.equal(other, expected)


def test_windows_of_one_size_are_one_batch_and_each_is_as_it_is_alone(backend):
    G = backend.identity
    where = [PART, Window(0, 0, 32, 32), None, Window(0, 0, 48, 64)]
    prompts = [faced("a woman" + " here" * n, "woman", w, seed=n) for n, w in enumerate(where)]
    prompts[0] = replace(prompts[0], text=prompts[1].text)
    z = torch.stack([G.noise(n) for n in range(4)])
    calls, handle = seen_by(G.unet)
    made = G.step(z, 3, G.condition(prompts))
    assert [tuple(x.shape) for x, _ in calls] == [(4, 8, 4, 4), (2, 8, 8, 8), (2, 8, 8, 6)]
    handle.remove()
    for n, prompt in enumerate(prompts):
        alone = G.step(z[n : n + 1], 3, G.condition([prompt]))
        torch.testing.assert_close(made[n : n + 1], alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "part", [(0, 0, 24, 32), (32, 0, 96, 64), (32, 0, 32, 32), (-16, 0, 32, 32)]
)
def test_a_window_off_the_grid_or_the_picture_is_refused(backend, part):
    with pytest.raises(ConfigError, match="it must lie in a picture of 64x64 on multiples of 16"):
        backend.general.condition([Prompt("a woman", window=Window(*part))])


def test_deep_features_are_kept_in_a_window(toy):
    runs = []
    backend = load_backend(toy, device="cpu", dtype="float32", num_steps=6, reuse=2)
    plain = load_backend(toy, device="cpu", dtype="float32", num_steps=6)
    assert isinstance(backend.general.deep, DeepFeatures)
    backend.general.unet.mid_block.resnets[0].register_forward_hook(lambda *_: runs.append(1))
    prompts = [faced("a woman", "woman", PART), faced("an old man", "man", Window(0, 0, 48, 64))]
    z = {}
    for name, G in (("kept", backend.identity), ("plain", plain.identity)):
        x = torch.stack([G.noise(n) for n in range(2)])
        z[name] = [z_i for _, z_i in trajectory(G, x, G.condition(prompts))]
    assert len(runs) == 2 * 3  # every second of six steps, for each size
    assert torch.equal(z["kept"][1], z["plain"][1])
    assert not torch.equal(z["kept"][2], z["plain"][2])


def test_a_control_net_sees_the_same_part(toy, tmp_path):
    import shutil

    from PIL import Image

    posed = add_toy_control(shutil.copytree(toy, tmp_path / "posed"))
    G = load_backend(posed, device="cpu", dtype="float32", num_steps=4).general
    image = Image.effect_noise((64, 64), 80).convert("RGB")
    prompt = Prompt("a woman", guidance=3.0, control=Control(image), window=PART)
    z, shown = G.noise(1)[None], []
    net = G.controls["openpose"]()
    net.register_forward_pre_hook(
        lambda _, inputs, named: shown.append((inputs[0], named["controlnet_cond"])),
        with_kwargs=True,
    )
    G.step(z, 3, G.condition([prompt]))
    latents, picture = shown[0]
    assert torch.equal(latents, z[:, :, 2:6, 4:8].repeat(2, 1, 1, 1))
    part = torch.tensor(list(image.crop(PART).tobytes())).view(32, 32, 3).movedim(-1, 0) / 255
    torch.testing.assert_close(picture, part.expand(2, -1, -1, -1))


# --- cost and settings ---------------------------------------------------------------------------


def two(backend):
    """A story of two, its template with Mara in a corner and Tom in another, and their faces."""
    G, story = backend.general, Story("two", (MARA, TOM), (Scene("both", ("Mara", "Tom")),))
    cond = G.condition(asked(["both"], guidance=3.0))
    z = torch.cat([z_i for _, z_i in trajectory(G, G.noise(0)[None], cond)]).flip(0)
    M = torch.stack([box(0, 0, 24, 16), box(20, 34, 60, 60)])
    start = Template(G.decode(z[:1])[0], z, M)
    faces = {c.name: Identity(torch.randn(sum(WIDTHS)), torch.arange(1)) for c in (MARA, TOM)}
    return story, start, faces


@pytest.mark.parametrize("interval", [(0.0, 1.0), (0.0, 0.5)])
def test_the_price_is_the_area_that_the_network_saw(backend, interval):
    story, start, faces = two(backend)
    config = InjectionConfig(start=3, window=0.0, guidance_interval=interval)
    preset = Preset("mine", num_steps=4, injection=config)
    calls, handle = seen_by(backend.general.unet)
    inject(backend.identity, story, story.scenes[0], start, faces, config)
    handle.remove()
    worth = sum(x.shape[0] * x.shape[2] * x.shape[3] / 64 for x, _ in calls)
    shares = [w.share((64, 64)) for w in windows(backend.identity, start, config)]
    assert shares == [0.25, 0.375]
    assert frame_worth(preset, shares) - frame_evaluations(preset, 0) == pytest.approx(worth)
    assert frame_worth(preset, [1, 1]) == frame_evaluations(preset, 2)


def test_a_frame_with_windows_is_the_template_outside_the_masks(backend):
    story, start, faces = two(backend)
    config = InjectionConfig(start=3, window=0.0)
    frames = [
        inject(backend.identity, story, story.scenes[0], start, faces, c)
        for c in (config, replace(config, window=None), replace(config, window=2000.0))
    ]
    assert frames[0].image.tobytes() != frames[1].image.tobytes()
    assert frames[1].image.tobytes() == frames[2].image.tobytes()  # a margin as wide as the picture


def test_several_frames_together_are_those_alone(backend):
    _, start, _ = two(backend)
    config = InjectionConfig(start=3, window=0.0)
    other = replace(start, masks=start.masks.flip(-1))
    G_id, conds, prompts = backend.identity, [], []
    for one in (start, other):
        seen = windows(G_id, one, config)
        own = [faced(c.description, c.noun, w) for c, w in zip((MARA, TOM), seen, strict=True)]
        prompts += own
        conds.append(G_id.condition(own))
    together = redenoise_together(G_id, [start, other], G_id.condition(prompts), config)
    for got, one, cond in zip(together, (start, other), conds, strict=True):
        torch.testing.assert_close(got, redenoise(G_id, one, cond, config), rtol=1e-4, atol=1e-4)


def test_it_is_recorded_only_where_it_is_on():
    plain = Preset("mine")
    (on,) = (overridden(plain, Overrides(set=("injection.window=64",)))[0],)
    assert "window" not in to_dict(plain)["injection"]
    assert to_dict(on)["injection"] == to_dict(plain)["injection"] | {"window": 64.0}
    assert preset_from_dict(to_dict(on)) == on
    assert repr(with_settings(plain, ["injection.window=0"]).injection.window) == "0.0"
    assert with_settings(on, ["injection.window=none"]) == plain


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"window is -1; it must be a number at least 0"):
        InjectionConfig(window=-1)
    with pytest.raises(ConfigError, match="window is 64, but without layout there are no masks"):
        InjectionConfig(window=64.0, layout=False)
