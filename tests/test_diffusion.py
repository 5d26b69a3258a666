"""models/diffusion.py: the samplers against diffusers' own, guidance and decoding by hand."""

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler
from PIL import Image

from identitystory.errors import ConfigError, ModelError
from identitystory.models.device import resolve_device, resolve_dtype
from identitystory.models.samplers import SAMPLERS, sampler
from identitystory.models.sdxl.attention import attend, edited
from identitystory.models.sdxl.generator import LatentDiffusion
from identitystory.models.sdxl.load import load_sdxl
from identitystory.types import Control, Prompt
from tests.conftest import asked
from tests.toy import toy_checkpoint  # noqa: F401

SCHEDULE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
}
CASES = [
    (kind, spacing, steps)
    for kind in ("epsilon", "v_prediction")
    for spacing, steps in (("leading", 50), ("leading", 7), ("trailing", 10), ("trailing", 7))
]


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", name="G")
def general_generator(toy) -> LatentDiffusion:
    cpu = torch.device("cpu")
    options = {"sampler": "ddim", "num_steps": 6, "device": cpu, "dtype": torch.float32}
    return load_sdxl(toy, **options)


# --- samplers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "spacing", "steps"), CASES)
@pytest.mark.parametrize("name", ["ddim", "euler", "ancestral"])
def test_every_step_is_diffusers_own(name, kind, spacing, steps):
    config = {
        **SCHEDULE,
        "prediction_type": kind,
        "timestep_spacing": spacing,
        "steps_offset": int(spacing == "leading"),
    }
    ours = sampler(name, config, steps)
    if name != "euler":
        theirs = DDIMScheduler(**config, clip_sample=False, set_alpha_to_one=False)
    else:
        theirs = EulerDiscreteScheduler(**config)
    theirs.set_timesteps(steps)
    assert ours.num_steps == steps
    assert ours.init_noise_sigma == pytest.approx(float(theirs.init_noise_sigma))
    z = randn(2, 4, 3, 3) * ours.init_noise_sigma
    for i, t in zip(range(steps, 0, -1), theirs.timesteps, strict=True):
        assert ours.timestep(i) == t
        torch.testing.assert_close(ours.scale_input(z, i), theirs.scale_model_input(z, t))
        prediction = randn(2, 4, 3, 3, seed=i)
        noise = randn(2, 4, 3, 3, seed=1000 + i) if name == "ancestral" else None
        drawn = {} if noise is None else {"eta": 1.0, "variance_noise": noise}
        expected = theirs.step(prediction, t, z, **drawn).prev_sample
        torch.testing.assert_close(ours.step(z, i, prediction, noise), expected)
        z = expected


def test_only_the_ancestral_sampler_heeds_noise():
    z, prediction, noise = randn(1, 4, 2, 2), randn(1, 4, 2, 2, seed=1), randn(1, 4, 2, 2, seed=2)
    made = {name: sampler(name, SCHEDULE, 8).step(z, 5, prediction, noise) for name in SAMPLERS}
    plain = {name: sampler(name, SCHEDULE, 8).step(z, 5, prediction) for name in SAMPLERS}
    assert torch.equal(plain["ancestral"], plain["ddim"])
    assert [torch.equal(made[name], plain[name]) for name in SAMPLERS] == [True, True, False]


@pytest.mark.parametrize("name", ["ddim", "euler"])
def test_a_step_depends_on_its_arguments_alone(name):
    rule = sampler(name, SCHEDULE, 8)
    z, prediction = randn(1, 4, 2, 2), randn(1, 4, 2, 2, seed=1)
    first = {i: rule.step(z, i, prediction) for i in range(8, 0, -1)}
    for i in (3, 8, 1, 3, 5):
        assert torch.equal(rule.step(z, i, prediction), first[i])
    with pytest.raises(ValueError, match=r"outside 1\.\.8"):
        rule.step(z, 0, prediction)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_a_network_that_knows_the_answer_is_followed_to_it(kind):
    """With the true noise predicted, DDIM stays on sqrt(a) x_0 + sqrt(1 - a) eps throughout."""
    rule = sampler("ddim", {**SCHEDULE, "prediction_type": kind}, 10)
    x_0, eps = randn(1, 4, 2, 2), randn(1, 4, 2, 2, seed=1)

    def at(alpha):
        return alpha.sqrt() * x_0 + (1 - alpha).sqrt() * eps

    z = at(rule.levels[0, 0])
    for i in range(10, 0, -1):
        alpha, after = rule.levels[10 - i]
        truth = {"epsilon": eps, "v_prediction": alpha.sqrt() * eps - (1 - alpha).sqrt() * x_0}
        z = rule.step(z, i, truth[kind])
        torch.testing.assert_close(z, at(after), rtol=1e-4, atol=1e-4)


def test_euler_lands_on_the_answer():
    rule = sampler("euler", SCHEDULE, 10)
    x_0, eps = randn(1, 4, 2, 2), randn(1, 4, 2, 2, seed=1)
    z = x_0 + rule.levels[0, 0] * eps
    for i in range(10, 0, -1):
        z = rule.step(z, i, eps)
    torch.testing.assert_close(z, x_0, rtol=1e-4, atol=1e-4)


def test_the_schedule_may_come_from_either_class():
    euler, ddim = EulerDiscreteScheduler(**SCHEDULE).config, DDIMScheduler(**SCHEDULE).config
    a, b = sampler("ddim", euler, 10), sampler("ddim", dict(ddim, timestep_spacing="linspace"), 10)
    assert torch.equal(a.levels, b.levels)
    assert a.levels[-1, 1] < 1  # set_alpha_to_one is never taken over


def test_what_is_not_supported_is_refused_by_name():
    with pytest.raises(ConfigError, match="no sampler is called 'dpm'"):
        sampler("dpm", SCHEDULE, 10)
    with pytest.raises(ConfigError, match="num_steps is 1001"):
        sampler("ddim", SCHEDULE, 1001)
    flow = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
    flow |= FlowMatchEulerDiscreteScheduler().config
    with pytest.raises(ModelError, match="FlowMatchEulerDiscreteScheduler has no table of betas"):
        sampler("euler", flow, 10)
    with pytest.raises(ModelError, match="prediction_type 'sample'"):
        sampler("ddim", {**SCHEDULE, "prediction_type": "sample"}, 10)


# --- the generator -----------------------------------------------------------------------------


def test_guidance_is_the_textbook_formula(G):
    cond = G.condition(asked(["a woman on the pier", "an old man"], guidance=3.0, negative="snow"))
    z = randn(2, *G.latent_shape)
    parts = []
    for half in (slice(0, 2), slice(2, 4)):
        added = {"text_embeds": cond.pooled[half], "time_ids": cond.time_ids[half]}
        parts.append(
            G.unet(
                z,
                G.sampler.timestep(4),
                encoder_hidden_states=cond.hidden[half],
                added_cond_kwargs=added,
            ).sample
        )
    without, given = parts
    expected = without + 3 * (given - without)
    torch.testing.assert_close(G.predict(z, 4, cond), expected, rtol=1e-4, atol=1e-4)


def test_guidance_one_leaves_the_negative_prompt_out(G):
    z = randn(1, *G.latent_shape)
    one = G.condition(asked(["a woman"], guidance=1.0))
    nearly = G.condition(asked(["a woman"], guidance=1.0 + 1e-7))
    for cond, count in ((one, 1), (nearly, 2)):
        kinds = cond.kinds(3, G.num_steps, whole=False).items()
        assert [len(cond.rows(at, n, guided=w)[0]) for (n, w, _), at in kinds] == [count]
    torch.testing.assert_close(G.predict(z, 3, one), G.predict(z, 3, nearly), rtol=1e-4, atol=1e-4)


def test_step_is_pure_and_leaves_its_input_alone(G):
    cond = G.condition(asked(["a woman", "a boy"], guidance=5.0))
    z = randn(2, *G.latent_shape)
    kept = z.clone()
    first = G.step(z, 5, cond)
    G.step(z, 2, cond)
    assert torch.equal(G.step(z, 5, cond), first)
    assert torch.equal(z, kept)
    first += 1  # an ordinary tensor, not one of inference mode


MIXED = [
    Prompt("a girl by the sea", guidance=4.0, negative="snow", interval=(0.0, 0.5)),
    Prompt("a pier at dawn, " * 40, negative=None, guidance=4.0),
    Prompt("an old man", guidance=1.0),
    Prompt("a woman", guidance=2.5),
    Prompt("a boy in the snow", guidance=4.0, negative="a girl, " * 60),
]


@pytest.mark.parametrize("i", [6, 2])
def test_a_picture_is_stepped_as_if_alone_whatever_the_others_are(G, i):
    """Other lengths, guidance, intervals and negative prompts beside it change last bits at most."""
    z = randn(len(MIXED), *G.latent_shape)
    together = G.condition(MIXED)
    assert sorted(together.lengths) == sorted(G.condition([p]).lengths[0] for p in MIXED)
    assert len(set(together.lengths)) > 1
    alone = [G.step(z[b : b + 1], i, G.condition([p])) for b, p in enumerate(MIXED)]
    torch.testing.assert_close(G.step(z, i, together), torch.cat(alone), rtol=1e-4, atol=1e-4)
    assert G.calls(i, together) == sum(G.calls(i, G.condition([p])) for p in MIXED)


def test_pictures_that_look_at_one_another_are_stepped_in_one_call(G):
    """Under an edit all rows come at once, the unguided beside the guided."""
    z, seen = randn(len(MIXED), *G.latent_shape), set()

    def look(site, q, k, v):
        seen.add(len(q))
        return attend(q, k, v)

    cond = G.condition(MIXED)
    with edited(G.unet, look):
        made = G.step(z, 2, cond)
    assert seen == {2 * len(MIXED)}
    assert made.isfinite().all()


def test_a_prompt_that_a_generator_cannot_heed_is_refused(G):
    with pytest.raises(ConfigError, match="takes no face"):
        G.condition([Prompt("a woman", face=torch.ones(96), noun="woman")])
    with pytest.raises(ConfigError, match="no control net for openpose"):
        G.condition([Prompt("a woman", control=Control(Image.new("RGB", (8, 8))))])
    z = randn(3, *G.latent_shape)
    with pytest.raises(ValueError, match="3 latents for 2 prompts"):
        G.step(z, 3, G.condition(asked(["a", "b"], guidance=4.0)))


def test_a_seed_is_one_noise(G):
    rng = torch.Generator().manual_seed(7)
    assert torch.equal(G.noise(7), torch.randn(8, 8, 8, generator=rng))
    assert not torch.equal(G.noise(7), G.noise(8))


class FakeVae:
    """Decodes by taking three channels."""

    dtype = torch.float32

    def __init__(self, **config):
        self.config = config

    def decode(self, z, return_dict):
        return (z[:, :3],)


def test_decode_undoes_the_latents_scale_and_rounds_to_bytes(G, monkeypatch):
    z = torch.tensor([-1.0, 0.5, 3.0]).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    monkeypatch.setattr(G, "vae", FakeVae(scaling_factor=0.5))
    first, second = G.decode(z)
    assert first.getpixel((0, 0)) == (0, 255, 255)  # -2, 1 and 6 in [-1, 1]
    assert second.size == (4, 4)
    vae = FakeVae(scaling_factor=2.0, latents_mean=[0.5, 0.0, -1.0], latents_std=[1.0, 2.0, 0.0])
    monkeypatch.setattr(G, "vae", vae)
    image = G.decode(z)[0]
    assert isinstance(image, Image.Image)
    assert image.getpixel((0, 0)) == (128, 191, 0)  # 0, 0.5 and -1: 127.5, 191.25, 0


def test_devices_and_dtypes_are_resolved_by_name():
    cpu = torch.device("cpu")
    assert resolve_device("cpu") == cpu
    assert resolve_dtype("float32", cpu) == torch.float32
    assert resolve_dtype("auto", cpu) in (torch.float32, torch.bfloat16)
    with pytest.raises(ConfigError, match="'abacus'"):
        resolve_device("abacus")
    with pytest.raises(ConfigError, match="'float8'"):
        resolve_dtype("float8", cpu)
