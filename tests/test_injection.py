import dataclasses

import pytest
import torch
from PIL import Image

from identitystory import masks
from identitystory.config import InjectionConfig
from identitystory.errors import ConfigError, ModelError
from identitystory.injection import (
    blend,
    kept_latents,
    make_template,
    placed,
    present,
    redenoise,
    redenoise_together,
    windows,
)
from identitystory.sampling import Watched, trajectory
from identitystory.types import Prompt, Segmentation, Template

from .conftest import LATENT, SIZE, C, FakeGenerator, FakeIdentityGenerator, FakeSegmenter, T, asked

CONFIG = InjectionConfig(start=8, k_max=8 * 1024 / SIZE)  # grows by one latent cell


def box(top, left, bottom, right):
    mask = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    mask[top:bottom, left:right] = True
    return mask


MARA, TOM = box(16, 8, 56, 24), box(8, 40, 60, 60)
EVERYTHING, NOTHING = box(0, 0, SIZE, SIZE), box(0, 0, 0, 0)


def template(*M, G=None, seed=0, prompt="a pier"):
    G = G or FakeGenerator()
    cond = G.condition(asked([prompt], guidance=7))
    z = torch.cat([z_i for _, z_i in trajectory(G, G.noise(seed)[None], cond)]).flip(0)
    return Template(Image.new("RGB", (SIZE, SIZE)), z, torch.stack(M))


def identity(*colours):
    return torch.tensor(colours)[:, None, None, None]


# --- the template ------------------------------------------------------------------------------


def test_the_template_keeps_every_latent_of_plain_sampling():
    G, prompt = FakeGenerator(), Prompt("a pier", guidance=7, seed=5)
    got = make_template(G, FakeSegmenter({"m": (0, 0, 9, 9)}), prompt, ["Mara"], ["m"])
    z = G.noise(5)[None]
    assert torch.equal(got.latents[T], z[0])
    for i in range(T, 0, -1):
        z = G.step(z, i, G.condition(asked(["a pier"], guidance=7)))
        assert torch.equal(got.latents[i - 1], z[0])
    assert got.image.tobytes() == G.decode(z)[0].tobytes()
    assert (got.seed, got.missing, len(got.latents)) == (5, (), T + 1)


def test_of_all_latents_the_clean_one_alone_is_decoded(monkeypatch):
    G, decoded = FakeGenerator(), []
    decode = G.decode
    monkeypatch.setattr(G, "decode", lambda z: decoded.append(len(z)) or decode(z))
    make_template(G, FakeSegmenter({}), Prompt("a pier"), [], [])
    assert decoded == [1]


def test_masks_come_in_cast_order_clean_and_the_missing_are_named():
    cast = ("Tom", "Mara", "Ann")
    boxes = {"t": (8, 8, 60, 40), "m": (16, 20, 40, 50)}
    got = make_template(
        FakeGenerator(), FakeSegmenter(boxes), Prompt("both"), cast, ["t", "m", "a"]
    )
    assert torch.equal(got.masks[1], box(16, 20, 40, 50))  # the smaller
    assert torch.equal(got.masks[0], box(8, 8, 60, 40) & ~box(16, 20, 40, 50))
    assert got.missing == ("Ann",)
    assert present(got) == [0, 1]


def test_an_empty_cast_does_not_trouble_the_segmenter():
    segmenter = FakeSegmenter({})
    got = make_template(FakeGenerator(), segmenter, Prompt("a pier", seed=5), [], [])
    assert got.masks.shape == (0, SIZE, SIZE)
    assert got.masks.dtype is torch.bool
    assert (got.seed, got.missing, segmenter.calls) == (5, (), 0)
    with pytest.raises(ValueError, match="1 phrases for a cast of 0"):
        make_template(FakeGenerator(), segmenter, Prompt("a pier"), [], ["m"])


def test_the_margin_widens_the_masks_by_so_many_pixels():
    segmenter = FakeSegmenter({"m": (16, 20, 40, 50)})
    got = make_template(FakeGenerator(), segmenter, Prompt("x"), ["Mara"], ["m"], margin=3)
    assert torch.equal(got.masks[0], box(13, 17, 43, 53))


def test_nouns_to_fall_back_on_are_handed_on_where_there_are_some():
    class Asked(FakeSegmenter):
        def segment(self, image, phrases, **options):
            self.options = options
            return super().segment(image, phrases)

    segmenter = Asked({})
    for options in ({}, {"fallbacks": ["woman"]}):
        make_template(FakeGenerator(), segmenter, Prompt("x"), ["Mara"], ["m"], **options)
        assert segmenter.options == options


def test_an_overlap_goes_by_the_areas_that_the_segmenter_tells():
    """The masks come without their overlap; with the margin they meet again."""

    class Told:
        areas = ()

        def segment(self, image, phrases):
            masks = torch.stack([box(0, 0, 20, 20), box(0, 20, 20, 50)])
            return Segmentation(masks, areas=self.areas)

    segmenter = Told()
    found = {}
    for segmenter.areas in ((), (900, 600)):
        prompt, cast = Prompt("x"), ["Mara", "Tom"]
        got = make_template(FakeGenerator(), segmenter, prompt, cast, ["m", "t"], margin=2)
        found[segmenter.areas] = got.masks
    assert torch.equal(found[()][0], box(0, 0, 22, 22))
    assert torch.equal(found[900, 600][1], box(0, 18, 22, 52))


def test_latents_that_are_there_are_not_painted_again():
    G = FakeGenerator()
    (z,) = kept_latents(G, [Prompt("a hill", guidance=7, seed=3)])
    G.asked.clear()
    got = make_template(G, FakeSegmenter({}), Prompt("a pier"), [], [], latents=z)
    assert (got.latents is z, G.asked) == (True, [])
    assert got.image.tobytes() == G.decode(z[:1])[0].tobytes()


def test_a_segmenter_that_breaks_its_promise_is_named():
    class Broken:
        def segment(self, image, phrases):
            return Segmentation(torch.zeros(1, 3, 3, dtype=torch.bool))

    with pytest.raises(ModelError, match=r"\(1, 3, 3\)"):
        make_template(FakeGenerator(), Broken(), Prompt("x"), ["Mara"], ["m"])


# --- re-denoising ------------------------------------------------------------------------------


@pytest.mark.parametrize("M", [(MARA,), (MARA, TOM), (EVERYTHING,)])
def test_an_identity_generator_equal_to_the_general_one_repaints_the_template(M):
    """Bit for bit, whatever the masks and however they grow."""
    G = FakeGenerator()
    cond = G.condition(asked(["a pier"] * len(M), guidance=7))
    start = template(*M, G=G)
    assert torch.equal(redenoise(G, start, cond, CONFIG), start.latents[0])


@pytest.mark.parametrize("M", [(NOTHING,), (NOTHING, NOTHING)])
def test_empty_masks_give_the_template_without_one_evaluation(M):
    G_id, start = FakeIdentityGenerator(), template(*M)
    assert torch.equal(redenoise(G_id, start, None, CONFIG), start.latents[0])
    assert G_id.asked == []


def test_an_empty_cast_gives_the_template():
    start = dataclasses.replace(template(NOTHING), masks=torch.zeros(0, SIZE, SIZE).bool())
    assert torch.equal(redenoise(FakeIdentityGenerator(), start, None, CONFIG), start.latents[0])


def test_a_mask_of_everything_is_the_identity_generator_alone_from_z_start():
    G_id, start, cond = FakeIdentityGenerator(), template(EVERYTHING), identity(3.0)
    alone = [z for _, z in trajectory(G_id, start.latents[8][None], cond, start=8)][-1][0]
    assert torch.equal(redenoise(G_id, start, cond, CONFIG), alone)


def test_all_steps_may_be_done_again():
    """From pure noise: of the template nothing is left, and one step more than it has is refused."""
    G_id, start, cond = FakeIdentityGenerator(), template(EVERYTHING), identity(3.0)
    alone = [z for _, z in trajectory(G_id, start.latents[T][None], cond)][-1][0]
    again = lambda first: redenoise(G_id, start, cond, dataclasses.replace(CONFIG, start=first))
    assert torch.equal(again(T), alone)
    with pytest.raises(ConfigError, match=f"start is {T + 1}"):
        again(T + 1)


def test_outside_the_grown_masks_the_template_is_untouched_and_inside_it_is_not():
    start = template(MARA, TOM)
    got = redenoise(FakeIdentityGenerator(), start, identity(3.0, -2.0), CONFIG)
    K = masks.kernel_size(1, CONFIG.start, CONFIG.k_max_at(SIZE))
    assert K == 8
    M_bg, _ = masks.blend_weights(masks.dilate(start.masks, K), (LATENT, LATENT))
    same = (got == start.latents[0]).all(dim=0)
    assert torch.equal(same, M_bg[0] == 1)
    assert 0 < int(same.sum()) < LATENT**2


def test_re_denoising_is_equations_6_to_8_written_out():
    """Against plain loops over steps, cells and characters."""
    G_id, start, colours = FakeIdentityGenerator(), template(MARA, TOM), (3.0, -2.0)
    x = start.latents[8]
    for i in range(8, 0, -1):
        K = int(8 * (8 - i) / 7)
        stepped = [G_id.step(x[None], i, identity(c))[0] for c in colours]
        after = start.latents[i - 1].clone()
        for y in range(LATENT):
            for u in range(LATENT):
                owners = []
                for j, (t, le, b, r) in enumerate([(16, 8, 56, 24), (8, 40, 60, 60)]):
                    inside_y = t - K <= y * 8 < b + K
                    if inside_y and le - K <= u * 8 < r + K:
                        owners.append(j)
                if owners:
                    after[:, y, u] = stepped[owners[0]][:, y, u]  # Mara is the smaller
        x = after
    assert torch.equal(redenoise(G_id, start, identity(*colours), CONFIG), x)


@pytest.mark.parametrize("size", [(128, 64), (64, 128)])
def test_masks_grow_by_the_shorter_side_of_the_picture(size):
    """By one latent cell at 64 pixels, in a picture twice as long as high or as high as long."""
    G, G_id = (kind().with_size(size) for kind in (FakeGenerator, FakeIdentityGenerator))
    width, height = size
    M = torch.zeros(1, height, width, dtype=torch.bool)
    M[0, 24:40, 24:40] = True
    (z,) = kept_latents(G, [Prompt("a pier", guidance=7)])
    start = Template(G.decode(z[:1])[0], z, M)
    got = redenoise(G_id, start, identity(3.0), CONFIG)
    touched = torch.zeros(height // 8, width // 8, dtype=torch.bool)
    touched[2:6, 2:6] = True
    assert torch.equal((got != z[0]).any(dim=0), touched)


def test_one_of_two_with_the_other_absent_is_one_alone():
    got = redenoise(FakeIdentityGenerator(), template(NOTHING, TOM), identity(3.0), CONFIG)
    alone = redenoise(FakeIdentityGenerator(), template(TOM), identity(3.0), CONFIG)
    assert torch.equal(got, alone)


def test_characters_do_not_depend_on_their_order():
    ab = redenoise(FakeIdentityGenerator(), template(MARA, TOM), identity(3.0, -2.0), CONFIG)
    ba = redenoise(FakeIdentityGenerator(), template(TOM, MARA), identity(-2.0, 3.0), CONFIG)
    assert torch.equal(ab, ba)


def test_who_takes_an_overlap_is_settled_by_the_cleaned_masks_not_by_how_they_grow():
    """The pole is smaller than the square, but outgrows it: the picture's edge stops the square."""
    pole, square = box(0, 24, SIZE, 32), box(40, 40, SIZE, SIZE)
    assert pole.sum() < square.sum()
    grown = masks.dilate(torch.stack([pole, square]), 8)
    assert grown[0].sum() > grown[1].sum()
    assert (grown[0] & grown[1]).any()
    both = redenoise(FakeIdentityGenerator(), template(square, pole), identity(-2.0, 3.0), CONFIG)
    alone = redenoise(FakeIdentityGenerator(), template(pole), identity(3.0), CONFIG)
    assert torch.equal(both[..., 2:5], alone[..., 2:5])  # the cells of the grown pole


def test_evaluations_are_one_batch_of_those_present_a_step():
    G_id = FakeIdentityGenerator()
    redenoise(G_id, template(MARA, NOTHING, TOM), identity(3.0, -2.0), CONFIG)
    assert G_id.asked == [(2, i) for i in range(8, 0, -1)]


def test_the_first_re_denoised_step_uses_the_masks_as_they_are():
    config = dataclasses.replace(CONFIG, start=1)
    start = template(MARA)
    got = redenoise(FakeIdentityGenerator(), start, identity(3.0), config)
    M_bg, _ = masks.blend_weights(MARA[None], (LATENT, LATENT))
    assert torch.equal((got == start.latents[0]).all(dim=0), M_bg[0] == 1)


def test_start_0_keeps_the_template():
    start = template(MARA)
    got = redenoise(FakeIdentityGenerator(), start, identity(3.0), InjectionConfig(start=0))
    assert torch.equal(got, start.latents[0])


def test_soft_masks_stay_between_the_two_pictures():
    hard = redenoise(FakeIdentityGenerator(), template(MARA), identity(3.0), CONFIG)
    config = dataclasses.replace(CONFIG, downsample="area", k_max=0.0)
    odd = box(20, 12, 52, 28)  # half cells
    start = template(odd)
    soft = redenoise(FakeIdentityGenerator(), start, identity(3.0), config)
    assert not torch.equal(soft, hard)
    M_bg, _ = masks.blend_weights(odd[None], (LATENT, LATENT), mode="area")
    assert torch.equal((soft == start.latents[0]).all(dim=0), M_bg[0] == 1)
    assert bool(((M_bg > 0) & (M_bg < 1)).any())


def test_blending_predicted_noise_or_latents_is_the_same_while_masks_grow():
    """The release blends noise, the paper latents; a linear sampler cannot tell them apart."""
    rng = torch.Generator().manual_seed(0)
    noise = lambda z, i, c: torch.tanh(z.roll(1, -1) * (1 + 0.1 * i) + c)
    a = torch.linspace(0.9, 1.1, T + 1, dtype=torch.float64)
    b = torch.linspace(-0.3, -0.1, T + 1, dtype=torch.float64)

    class Sampler(FakeGenerator):
        def step(self, z, i, cond):
            return a[i] * z + b[i] * noise(z, i, cond)

    G, c_j = Sampler(), identity(0.7, -0.4).double()
    z = torch.randn(1, C, LATENT, LATENT, generator=rng, dtype=torch.float64)
    kept = torch.cat([z_i for _, z_i in trajectory(G, z, 0.0)]).flip(0)
    start = Template(Image.new("RGB", (SIZE, SIZE)), kept, torch.stack([MARA, TOM]))

    x = kept[8]
    for i in range(8, 0, -1):
        K = masks.kernel_size(i, 8, CONFIG.k_max_at(SIZE))
        M_bg, M = masks.blend_weights(masks.dilate(start.masks, K), (LATENT, LATENT))
        eps_j = noise(x.expand(2, -1, -1, -1), i, c_j)
        eps = M_bg * noise(kept[i][None], i, 0.0)[0] + (M * eps_j).sum(dim=0)
        x = a[i] * x + b[i] * eps
    torch.testing.assert_close(redenoise(G, start, c_j, CONFIG), x, rtol=0, atol=1e-12)


def test_soft_weights_mix_and_a_weight_of_one_takes_over():
    z, z_j = torch.full((C, 1, 2), 8.0), torch.full((1, C, 1, 2), 4.0)
    M = torch.tensor([[[[0.25, 1.0]]]])
    assert blend(z, z_j, 1 - M[0], M).tolist() == [[[7, 4]]] * C


def test_what_one_character_explodes_into_stays_in_its_mask():
    z = torch.zeros(C, 2, 2)
    z_j = torch.stack([torch.full((C, 2, 2), torch.nan), torch.ones(C, 2, 2)])
    M = torch.tensor([[[[1.0, 0], [0, 0]]], [[[0, 1.0], [0, 0]]]])
    got = blend(z, z_j, 1 - M.sum(dim=0), M)
    assert got[0, 0, 0].isnan()
    assert got[0].flatten()[1:].tolist() == [1, 0, 0]


def test_fusing_again_happens_before_every_step_but_the_first():
    class Compounding(FakeIdentityGenerator):
        def fuse_again(self, cond):
            return cond * 2

    start, G_id = template(EVERYTHING), Compounding()
    x = start.latents[8][None]
    for n, i in enumerate(range(8, 0, -1)):
        x = G_id.step(x, i, identity(3.0 * 2**n))
    config = dataclasses.replace(CONFIG, refuse_every_step=True)
    assert torch.equal(redenoise(G_id, start, identity(3.0), config), x[0])
    with pytest.raises(ConfigError, match="fuse_again"):
        redenoise(FakeIdentityGenerator(), start, identity(3.0), config)
    three = [start, template(NOTHING, seed=2), template(MARA, seed=1)]
    together = redenoise_together(G_id, three, identity(3.0, -2.0), config)
    for got, one, colour in zip(together, three, (3.0, 0.0, -2.0), strict=True):
        assert torch.equal(got, redenoise(G_id, one, identity(colour), config))


def test_steps_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match=f"start is 40.*{T} steps"):
        redenoise(FakeIdentityGenerator(), template(MARA), None, InjectionConfig())
    with pytest.raises(ConfigError, match=f"{T} steps and the identity generator 7"):
        redenoise(FakeIdentityGenerator(num_steps=7), template(MARA), None, CONFIG)


# --- windows and points ---------------------------------------------------------------------------


def wide(*M):
    """A template of 128 x 64 pixels whose masks are boxes."""
    masks = torch.zeros(len(M), SIZE, 2 * SIZE, dtype=torch.bool)
    for mask, (top, left, bottom, right) in zip(masks, M, strict=True):
        mask[top:bottom, left:right] = True
    latents = torch.zeros(1, C, LATENT, 2 * LATENT)
    return Template(Image.new("RGB", (2 * SIZE, SIZE)), latents, masks)


@pytest.mark.parametrize(
    ("config", "left", "right"),
    [
        (InjectionConfig(window=0.0, k_max=0.0), 40, 72),  # half the shorter side at least
        (InjectionConfig(window=0.0, k_max=16.0, reference_size=SIZE), 32, 80),  # as masks grow
        (InjectionConfig(window=9.0, k_max=16.0, reference_size=SIZE), 16, 96),  # two cells more
        (InjectionConfig(window=8.0, k_max=16.0, reference_size=SIZE), 24, 88),  # one
    ],
)
def test_a_window_holds_what_a_mask_grows_into_and_its_margin(config, left, right):
    """In a picture twice as wide as high; who is not there has none."""
    start = wide((0, 0, 0, 0), (24, 48, 40, 64))
    (window,) = windows(FakeIdentityGenerator(), start, config)
    assert (window.left, window.right) == (left, right)
    assert windows(FakeIdentityGenerator(), start, InjectionConfig()) == [None]


def test_a_cell_that_is_reached_in_part_is_in_the_window():
    config = InjectionConfig(window=0.0, k_max=0.0, downsample="area")
    (window,) = windows(FakeIdentityGenerator(), wide((20, 20, 44, 76)), config)
    assert (window.left, window.right) == (16, 80)


def test_prompts_are_told_the_points_of_their_faces_in_the_template():
    class Places(FakeIdentityGenerator):
        def face_points(self, image, masks):
            self.seen = image, masks
            return [torch.ones(5, 2), None]

        def portrait_points(self):
            raise AssertionError("there is a template")

    G_id, start, prompts = Places(), template(MARA, NOTHING, TOM), asked(["a", "b"])
    told, lost = placed(Watched(G_id), start, prompts)
    assert G_id.seen[0] is start.image
    assert torch.equal(G_id.seen[1], torch.stack([MARA, TOM]))
    assert [prompt.text for prompt in told] == ["a", "b"]
    assert torch.equal(told[0].points, torch.ones(5, 2))
    assert (told[1].points, lost) == (None, [1])
    assert placed(FakeIdentityGenerator(), start, prompts) == (prompts, [])


def test_in_a_wide_picture_of_nobody_masks_are_wide():
    G = FakeGenerator().with_size((2 * SIZE, SIZE))
    got = make_template(G, FakeSegmenter({}), Prompt("a pier"), [], [])
    assert got.masks.shape == (0, SIZE, 2 * SIZE)
