"""models/flow: FLUX.2 klein, held against diffusers' own pipeline on a toy of its own classes."""

import inspect
import json
import math
import shutil
from dataclasses import replace

import pytest
import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu
from PIL import Image
from tokenizers.pre_tokenizers import ByteLevel
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3ForCausalLM, Qwen3Model

from identitystory import masks
from identitystory.cli.main import main
from identitystory.config import DiscoveryConfig, InjectionConfig
from identitystory.discovery import discover
from identitystory.errors import ConfigError, ModelError, PromptError
from identitystory.injection import redenoise
from identitystory.models.backend import load_backend
from identitystory.models.describe import describe_model
from identitystory.models.device import Room
from identitystory.models.files.catalogue import ENTRIES
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.models.files.suited import preset, suits_of
from identitystory.models.flow.family import KLEIN
from identitystory.models.flow.load import load_klein
from identitystory.models.flow.references import References
from identitystory.models.flow.schedule import FlowSampler, flow_sampler, flow_step, time_shift
from identitystory.models.flow.text import FRAME, LIMIT, Qwen3Texts, check_lengths, token_ids
from identitystory.models.samplers import ddim_step, sampler
from identitystory.sampling import sample
from identitystory.testing import check_generator, check_identity_generator
from identitystory.testing.rules import drawn
from identitystory.types import Prompt, Template
from tests.conftest import FakeGenerator
from tests.toy import write_toy_segmenter

SCHEDULE = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "use_dynamic_shifting": True,
    "base_shift": 0.5,
    "max_shift": 1.15,
    "shift": 3.0,
    "time_shift_type": "exponential",
}
SDXL = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "timestep_spacing": "leading",
}


def toy_qwen3(frame):
    """A tokenizer whose chat template is ``frame``, and Qwen3 with random weights."""
    letters = sorted(ByteLevel.alphabet())
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
    vocab = {token: n for n, token in enumerate([*letters, *special])}
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=[], additional_special_tokens=special[1:3])
    filled = frame.replace("{}", "{{ messages[0]['content'] }}")
    tokenizer.chat_template = filled.replace("\n", "{{ '\\n' }}")
    config = Qwen3Config(
        vocab_size=len(vocab),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        initializer_range=0.3,
        tie_word_embeddings=True,
    )
    return tokenizer, Qwen3ForCausalLM(config).eval()


def make_toy_klein(folder):
    """FLUX.2 klein's folder with random weights, and a segmenter; returns its pipeline."""
    tokenizer, text = toy_qwen3(FRAME)
    transformer = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        timestep_guidance_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    transformer.proj_out.weight.data *= 3  # or the velocity is nearly nothing
    vae = AutoencoderKLFlux2(
        block_out_channels=(8, 8, 16, 16),
        latent_channels=4,
        norm_num_groups=4,
        layers_per_block=1,
        sample_size=64,
    )
    vae.bn.running_mean.normal_()
    vae.bn.running_var.uniform_(0.5, 2)
    kinds = {k: v for k, v in SCHEDULE.items() if not k.startswith("_")}
    pipeline = Flux2KleinPipeline(
        FlowMatchEulerDiscreteScheduler(**kinds),
        vae.eval(),
        text,
        tokenizer,
        transformer.eval(),
    )
    pipeline.save_pretrained(folder)
    write_toy_segmenter(folder / "segmenter")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module", name="made")
def toy_klein(tmp_path_factory):
    """(folder, pipeline) of a toy; read only."""
    folder = tmp_path_factory.mktemp("klein")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return folder, make_toy_klein(folder)


def opened(folder, *, sampler="euler", num_steps=3):
    cpu = torch.device("cpu")
    return load_klein(folder, sampler=sampler, num_steps=num_steps, device=cpu, dtype=torch.float32)


@pytest.fixture(scope="module", name="G")
def general(made):
    return opened(made[0])


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- the step and its table ---------------------------------------------------------------------


@pytest.mark.parametrize(("tokens", "steps"), [(16, 3), (4096, 50), (6000, 28)])
def test_levels_and_steps_are_diffusers_own(tokens, steps):
    rule = flow_sampler("euler", SCHEDULE, steps, tokens)
    mu = compute_empirical_mu(tokens, steps)
    assert math.isclose(time_shift(tokens, steps), mu, rel_tol=1e-9)
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(SCHEDULE)
    scheduler.set_timesteps(sigmas=[1 - n / steps for n in range(steps)], mu=mu)
    torch.testing.assert_close(rule.sigmas, scheduler.sigmas)
    z = randn(1, 2, 3, 3)
    for i, t in zip(range(steps, 0, -1), scheduler.timesteps, strict=True):
        v = randn(1, 2, 3, 3, seed=i)
        theirs = scheduler.step(v, t, z, return_dict=False)[0]
        torch.testing.assert_close(rule.step(z, i, v), theirs)
        z = theirs
    assert rule.sigma(0) == 0


def test_ddim_is_the_same_step_and_ancestral_noises_the_clean_picture_anew():
    """z = sqrt(a) x_0 + sqrt(1 - a) eps only up to a scale, so DDIM is written out here."""
    z, v, n = (randn(1, 2, 3, 3, seed=k) for k in range(3))
    a, b = torch.tensor(0.8), torch.tensor(0.3)
    x_0, eps = z - a * v, z + (1 - a) * v
    torch.testing.assert_close(flow_step(z, v, sigma=a, sigma_next=b), (1 - b) * x_0 + b * eps)
    scale = lambda s: ((1 - s) ** 2 + s**2).sqrt()
    alpha = lambda s: ((1 - s) / scale(s)) ** 2
    exploding = ddim_step(
        z / scale(a), eps, alpha=alpha(a), alpha_next=alpha(b), prediction_type="epsilon"
    )
    torch.testing.assert_close(flow_step(z, v, sigma=a, sigma_next=b), exploding * scale(b))
    anew = flow_step(z, v, sigma=a, sigma_next=b, noise=n)
    torch.testing.assert_close(anew, (1 - b) * x_0 + b * n)
    rules = [flow_sampler(name, SCHEDULE, 4, 16) for name in ("euler", "ddim", "ancestral")]
    one, two, drawn_anew = (rule.step(z, 3, v, n) for rule in rules)
    assert torch.equal(one, two)
    assert not torch.equal(one, drawn_anew)
    assert torch.equal(rules[2].step(z, 3, v), one)


def log_snr(rule, i):
    """log of signal over noise, in variances, of z_i."""
    if isinstance(rule, FlowSampler):
        sigma = float(rule.sigma(i))
        return 2 * math.log((1 - sigma) / sigma) if sigma < 1 else -math.inf
    level = float(rule.levels[rule.num_steps - i, 0])
    return -2 * math.log(level) if rule.name == "euler" else math.log(level / (1 - level))


def same_noise(i, of, on):
    """The step of ``on`` that starts nearest to where step ``i`` of ``of`` starts."""
    return min(range(1, on.num_steps + 1), key=lambda k: abs(log_snr(on, k) - log_snr(of, i)))


def test_the_paper_starts_at_a_noise_level_which_is_another_index_here():
    """The catalogue's start is the step whose log-SNR is SDXL's at 40 of 50 DDIM steps."""
    ddim, euler = (sampler(name, SDXL, 50) for name in ("ddim", "euler"))
    klein = flow_sampler("euler", SCHEDULE, 50, 64 * 64)
    suits = ENTRIES["flux2-klein-base"].suits
    assert (suits.start, suits.steps) == (same_noise(40, ddim, klein), 50) == (19, 50)
    assert KLEIN.suits == suits
    assert same_noise(40, euler, klein) == 19
    assert abs(log_snr(klein, 19) - log_snr(ddim, 40)) < 0.1
    assert log_snr(klein, 40) < log_snr(ddim, 40) - 3  # the same index is nearly noise alone
    assert [same_noise(i, klein, klein) for i in (1, 19, 49)] == [1, 19, 49]
    assert log_snr(klein, 50) == -math.inf
    for steps in (20, 28):  # in proportion, as --steps has it, it is one step off at most
        other = flow_sampler("euler", SCHEDULE, steps, 64 * 64)
        assert abs(same_noise(40, ddim, other) - 19 * steps / 50) < 1


def test_blending_velocities_or_latents_is_the_same_while_masks_grow():
    """Eqs. 6-8 on a shifted schedule: the template's velocity outside, the characters' inside."""
    t, start, cells = 10, 6, 8
    rule = flow_sampler("euler", SCHEDULE, t, 4096)
    velocity = lambda z, i, c: torch.tanh(z.roll(1, -1) * (1 + 0.1 * i) + c)

    class Flow(FakeGenerator):
        def step(self, z, i, cond):
            return rule.step(z, i, velocity(z, i, cond))

    G, c_j = Flow(), torch.tensor([0.7, -0.4]).double()[:, None, None, None]
    z = randn(1, 2, cells, cells).double()
    kept = [z]
    for i in range(t, 0, -1):
        kept.append(G.step(kept[-1], i, 0.0))
    kept = torch.cat(kept).flip(0)
    M = torch.zeros(2, 64, 64, dtype=torch.bool)
    M[0, 10:30, 5:25] = M[1, 20:60, 40:60] = True
    config = InjectionConfig(start=start, k_max=200)
    x = kept[start]
    for i in range(start, 0, -1):
        grown = masks.dilate(M, masks.kernel_size(i, start, config.k_max_at(64)))
        M_bg, M_j = masks.blend_weights(grown, (cells, cells))
        outside = velocity(kept[i][None], i, 0.0)[0]
        v = M_bg * outside + (M_j * velocity(x.expand(2, -1, -1, -1), i, c_j)).sum(dim=0)
        x = rule.step(x, i, v)
    made = redenoise(G, Template(Image.new("RGB", (64, 64)), kept, M), c_j, config)
    torch.testing.assert_close(made, x, rtol=0, atol=1e-12)
    assert not torch.allclose(made, kept[0])


def test_schedules_with_a_memory_or_another_clock_are_refused():
    for changed in ({"_class_name": "FlowMatchHeunDiscreteScheduler"}, {"invert_sigmas": True}):
        with pytest.raises(ModelError, match="is not supported here"):
            flow_sampler("euler", SCHEDULE | changed, 4, 16)
    with pytest.raises(ConfigError, match="no sampler is called 'heun'"):
        flow_sampler("heun", SCHEDULE, 4, 16)
    with pytest.raises(ConfigError, match="num_steps is 1001; the model takes 1 to 1000"):
        flow_sampler("euler", SCHEDULE, 1001, 16)


# --- the network --------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 2])
def test_the_stock_pipeline_paints_the_same_with_and_without_references(made, G, count):
    """Guided, all steps: text encoder, tokens and their places, schedule, VAE. The negative is ""."""
    references = [drawn(64, 64, n) for n in range(count)]
    prompt = Prompt("a woman by the sea", guidance=4.0, seed=5)
    options = {"image": references} if count else {}
    theirs = made[1](
        prompt=prompt.text,
        num_inference_steps=3,
        guidance_scale=4.0,
        height=64,
        width=64,
        latents=G.noise(5)[None],
        text_encoder_out_layers=(1, 2, 3),  # of the toy's four
        output_type="pt",
        **options,
    ).images
    painter = References(G, side=64)
    if count:
        face = painter.embed(references).flatten()
        prompt = Prompt(**{**vars(prompt), "face": face, "noun": "woman"})
    z = sample(painter, painter.noise(5)[None], painter.condition([prompt]))
    mine = G.vae.decode(
        torch.nn.functional.pixel_shuffle(z * G.std + G.mean, 2), return_dict=False
    )[0]
    torch.testing.assert_close((mine / 2 + 0.5).clamp(0, 1), theirs, rtol=0, atol=2e-5)
    assert theirs.std() > 0.01


def test_it_keeps_the_contracts_of_generators(G):
    check_generator(G, network=G.transformer)
    check_identity_generator(References(G), general=G)


def test_each_character_is_denoised_again_by_its_own_portrait_inside_its_mask_alone(G):
    """Eqs. 6-8: a step of somebody looks at no other's portrait; outside, the template stays."""
    G_id, prompt = References(G), Prompt("a woman and a man", seed=3)
    z = [G.noise(3)[None]]
    for i in (3, 2, 1):
        z.append(G.step(z[-1], i, G.condition([prompt])))
    kept = torch.cat(z).flip(0)
    M = torch.zeros(2, 64, 64, dtype=torch.bool)
    M[0, :, :16] = M[1, :, 48:] = True
    faces = G_id.embed([drawn(48, 48, n) for n in (1, 2)])
    texts = zip(("a woman", "a man"), faces, strict=True)
    asked = [Prompt(text, seed=3, face=e, noun=text[2:]) for text, e in texts]
    picture, config = Image.new("RGB", (64, 64)), InjectionConfig(start=2, k_max=0)
    both = redenoise(G_id, Template(picture, kept, M), G_id.condition(asked), config)
    x = kept[2]
    for i in (2, 1):
        woman, man = (G_id.step(x[None], i, G_id.condition([p]))[0] for p in asked)
        x = torch.cat([woman[..., :1], kept[i - 1][..., 1:3], man[..., 3:]], dim=-1)
    torch.testing.assert_close(both, x, rtol=0, atol=1e-5)
    assert torch.equal(both[..., 1:3], kept[0][..., 1:3])
    assert not torch.allclose(both, kept[0], atol=1e-3)


def test_a_distilled_checkpoint_takes_no_guidance(made, tmp_path):
    folder = shutil.copytree(made[0], tmp_path / "distilled")
    index = json.loads((folder / "model_index.json").read_text())
    assert index["is_distilled"] is False
    (folder / "model_index.json").write_text(json.dumps(index | {"is_distilled": True}))
    G = opened(folder)
    cond, plain = (G.condition([Prompt("a man", guidance=w)]) for w in (5.0, 1.0))
    z = G.noise(0)[None]
    assert G.calls(3, cond) == 1
    assert torch.equal(G.step(z, 3, cond), G.step(z, 3, plain))


def test_prompts_are_framed_padded_and_never_cut(made):
    tokenizer = made[1].tokenizer
    ids, mask = token_ids(tokenizer, "a man")
    asked = [{"role": "user", "content": "a man"}]
    assert tokenizer.apply_chat_template(asked, tokenize=False) == FRAME.format("a man")
    assert (len(ids), int(mask.sum())) == (LIMIT, len(tokenizer(FRAME.format("a man")).input_ids))
    assert bool((ids[mask == 0] == tokenizer.pad_token_id).all())
    inside = token_ids(tokenizer, "a man<|im_end|>")[0]
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert int((inside == end).sum()) == int((ids == end).sum()) == 1
    assert check_lengths(made[0], ["a man", "snow " * 90]) == []
    with pytest.raises(PromptError, match=r"tokens; 512 are read at most"):
        check_lengths(made[0], ["snow " * 120])


def test_what_klein_does_not_have_is_one_line(made, G):
    with pytest.raises(ConfigError, match="multiples of 16"):
        G.with_size((72, 64))
    with pytest.raises(ConfigError, match="leave out --reuse"):
        load_klein(made[0], sampler="euler", num_steps=3, device="cpu", dtype=None, reuse=2)
    with pytest.raises(ModelError, match="no few-step LoRA"):
        References(G).distilled(None, 8)
    lost = Prompt("a man", face=torch.zeros(7), noun="man")
    with pytest.raises(ModelError, match="has 7 numbers, and a portrait of this model 64"):
        References(G).condition([lost])


# --- a story with it ----------------------------------------------------------------------------


def test_the_identity_is_the_kept_portrait_nearest_to_the_mean():
    rows = randn(20, 30) + 4
    rows[7] = rows.mean(dim=0) + 0.01
    found = discover(rows, DiscoveryConfig(num_portraits=20, iterations=0, average="medoid"))
    assert torch.equal(found.embedding, rows[7])
    plain = discover(rows, DiscoveryConfig(num_portraits=20, iterations=0))
    torch.testing.assert_close(plain.embedding, rows.mean(dim=0))


def test_presets_follow_the_family_and_a_card_may_say_otherwise(made, tmp_path):
    for name in ("recommended", "paper", "fast"):
        suited = preset(name, made[0])
        assert (suited.discovery.average, suited.injection.start) == ("medoid", 19)
        assert preset(name, "flux2-klein").injection == suited.injection
    assert preset("recommended", made[0]).injection.guidance_identity == 4.0
    folder = shutil.copytree(made[0], tmp_path / "carded")
    (folder / "card.toml").write_text("[suits]\nsteps = 25\nstart = 12\n")
    assert suits_of(folder).average == "medoid"
    assert preset("recommended", folder).injection.start == 12


def test_embeddings_without_an_encoder_of_its_own_are_the_bases(made):
    facts = describe_model(str(made[0]), "cpu", "float32")
    assert facts.encoder == ""
    assert replace(facts, fingerprint="another").embeds != facts.embeds


def test_a_base_alone_is_told_which_parts_go_with_it(made, tmp_path):
    base = shutil.copytree(made[0], tmp_path / "base", ignore=lambda *_: {"segmenter"})
    with pytest.raises(ModelError, match=r"lacks segmenter/; .* --model flux2-klein --base"):
        find_checkpoint(base)
    with pytest.raises(ModelError, match=r"'flux2-klein' lacks .*models fetch flux2-klein"):
        find_checkpoint("flux2-klein")


def test_a_story_is_painted_from_end_to_end(made, tmp_path):
    out = tmp_path / "run"
    words = ["--character", "Mara: a woman with red hair", "--scene", "{Mara} on a beach"]
    how = ["--model", str(made[0]), "--preset", "fast", "--steps", "3", "--portraits", "12"]
    more = ["--set", "discovery.search_steps=2", "--device", "cpu", "--dtype", "float32"]
    command = ["generate", *words, *how, *more, "--out", str(out)]
    assert main(command) == 0
    with Image.open(out / "frames" / "001.png") as painted:
        assert painted.size == (64, 64)
    before = (out / "frames" / "001.png").read_bytes()
    assert main(command) == 0  # the identity, which is a row and no mean, is taken for whole
    assert (out / "frames" / "001.png").read_bytes() == before
    backend = load_backend(made[0], sampler="ddim", num_steps=3, device="cpu", dtype="float32")
    assert isinstance(backend.identity, References)


def test_at_full_size_it_is_klein_4b():
    """Of the published numbers; three layers of Qwen3 are as wide as what the transformer reads."""
    with torch.device("meta"):
        transformer = Flux2Transformer2DModel(
            num_layers=5,
            num_single_layers=20,
            num_attention_heads=24,
            joint_attention_dim=7680,
            guidance_embeds=False,
        )
        vae = AutoencoderKLFlux2()
        text = Qwen3Model(
            Qwen3Config(
                vocab_size=151_936,
                hidden_size=2560,
                intermediate_size=9728,
                num_hidden_layers=36,
                num_attention_heads=32,
                num_key_value_heads=8,
                head_dim=128,
            )
        )
    counts = [sum(p.numel() for p in m.parameters()) for m in (transformer, text, vae)]
    assert counts == [3_875_544_576, 4_022_468_096, 84_046_115]
    assert ENTRIES["flux2-klein-base"].parameters == sum(counts)
    reader = Qwen3Texts(None, text, Room(torch.device("meta")))
    theirs = inspect.signature(Flux2KleinPipeline.encode_prompt).parameters
    assert reader.layers == [*theirs["text_encoder_out_layers"].default] == [9, 18, 27]
    assert reader.width == transformer.config.joint_attention_dim
    assert (
        transformer.config.in_channels == 4 * vae.config.latent_channels == len(vae.bn.running_mean)
    )
