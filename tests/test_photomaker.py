"""models/photomaker.py: PhotoMaker v1's encoder, class words, and a LoRA that leaves G alone."""

import copy
import json
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

from identitystory.errors import ModelError, PromptError
from identitystory.models.sdxl.identity_encoder import identity_encoder, photomaker_v1_shapes
from identitystory.models.sdxl.load import load_sdxl
from identitystory.models.sdxl.lora import LoraLayer, load_lora, read_lora
from identitystory.models.sdxl.photomaker import LORA, class_token, load_photomaker
from tests.conftest import asked
from tests.toy import WIDTHS, toy_checkpoint, toy_encoder, toy_vision_config  # noqa: F401

PROMPT = "a photo of a middle-aged woman with dark curly hair"


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def pictures(count, size=(40, 50)):
    rng = np.random.default_rng(0)
    shape = (size[1], size[0], 3)
    return [Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)) for _ in range(count)]


def general(folder):
    options = {"sampler": "ddim", "num_steps": 6}
    return load_sdxl(folder, **options, device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture(scope="module", name="G_id")
def identity_generator(toy):
    return load_photomaker(toy / "photomaker.safetensors", general(toy))


@pytest.fixture(scope="module")
def tensors(toy):
    return load_file(toy / "photomaker.safetensors")


def group(tensors, name):
    return {k.removeprefix(name + "."): v for k, v in tensors.items() if k.startswith(name + ".")}


# --- the encoder -------------------------------------------------------------------------------


def test_at_full_size_it_is_photomaker_v1():
    """407 tensors and 326,273,024 parameters."""
    shapes = photomaker_v1_shapes()
    assert len(shapes) == 407
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == 326_273_024
    assert shapes["fuse_module.mlp1.fc1.weight"] == (2048, 4096)


def test_embedding_is_the_tower_under_both_projections(G_id, tensors):
    """Parity with transformers' tower with one projection, given each of the two in turn."""
    state = group(tensors, "id_encoder")
    images = pictures(3)
    pixels = CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )(images, return_tensors="pt").pixel_values
    torch.testing.assert_close(G_id.encoder.pixels(images), pixels)
    parts = []
    for name, width in zip(("visual_projection", "visual_projection_2"), WIDTHS, strict=True):
        tower = CLIPVisionModelWithProjection(toy_vision_config(width))
        kept = {k: v for k, v in state.items() if k.startswith("vision_model.")}
        tower.load_state_dict({**kept, "visual_projection.weight": state[f"{name}.weight"]})
        parts.append(tower.eval()(pixels).image_embeds)
    E = G_id.embed(images)
    torch.testing.assert_close(E, torch.cat(parts, dim=1))
    torch.testing.assert_close(E[1:2], G_id.embed(images[1:2]))
    assert E.dtype == torch.float32
    assert G_id.embed([]).shape == (0, sum(WIDTHS))


@pytest.mark.parametrize("shortest_edge", [32, 43])
@pytest.mark.parametrize("size", [(33, 97), (97, 33), (20, 20), (200, 131)])
def test_preprocessing_is_clips(tensors, size, shortest_edge):
    """Bit for bit what transformers' PIL processor gives, at odd sizes and shapes."""
    metadata = {} if shortest_edge == 32 else {"shortest_edge": str(shortest_edge)}
    encoder = identity_encoder(group(tensors, "id_encoder"), metadata)
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": shortest_edge}, crop_size={"height": 32, "width": 32}
    )
    images = pictures(1, size)
    expected = processor(images, return_tensors="pt").pixel_values
    torch.testing.assert_close(encoder.pixels(images), expected)


def test_more_pictures_than_a_batch_keep_their_order(G_id):
    images = pictures(19)
    torch.testing.assert_close(G_id.embed(images)[17], G_id.embed([images[17]])[0])


def test_fuse_is_photomakers_formula(G_id, tensors):
    """LN(x + mlp2(x)), x = mlp1([c, e]) + c, from the tensors alone."""
    state = group(tensors, "id_encoder.fuse_module")
    c, e = randn(2, sum(WIDTHS)), randn(2, sum(WIDTHS), seed=1)

    def norm(x, name):
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    def mlp(x, name):
        x = norm(x, f"{name}.layernorm")
        x = x @ state[f"{name}.fc1.weight"].T + state[f"{name}.fc1.bias"]
        x = x * (1 + torch.erf(x / 2**0.5)) / 2
        return x @ state[f"{name}.fc2.weight"].T + state[f"{name}.fc2.bias"]

    x = mlp(torch.cat([c, e], dim=1), "mlp1") + c
    expected = norm(x + mlp(x, "mlp2"), "layer_norm")
    torch.testing.assert_close(G_id.encoder.fuse(c, e), expected, rtol=1e-4, atol=1e-5)


def test_what_shapes_cannot_tell_stands_in_the_metadata(tensors):
    state = group(tensors, "id_encoder")
    metadata = {
        "num_attention_heads": "4",
        "hidden_act": "gelu",
        "image_mean": json.dumps([0.5] * 3),
        "image_std": json.dumps([0.25] * 3),
    }
    encoder = identity_encoder(state, metadata)
    assert encoder.vision_model.config.num_attention_heads == 4
    assert encoder.vision_model.config.hidden_act == "gelu"
    white = encoder.pixels([Image.new("RGB", (32, 32), "white")])
    assert torch.equal(white, torch.full_like(white, 2.0))
    assert identity_encoder(state, {}).vision_model.config.num_attention_heads == 1
    with pytest.raises(ModelError, match="5 attention heads do not divide a width of 64"):
        identity_encoder(state, {"num_attention_heads": "5"})
    with pytest.raises(ModelError, match="31 pixels are too few for a tower that reads 32"):
        identity_encoder(state, {"shortest_edge": "31"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_attention_heads", "many"),
        ("shortest_edge", "[" * 9000),
        ("image_mean", "[0.5]"),
        ("image_std", "[1, 1, NaN]"),
        ("hidden_act", "nobody's"),
    ],
)
def test_broken_metadata_is_one_line(tensors, key, value):
    with pytest.raises(ModelError, match=key):
        identity_encoder(group(tensors, "id_encoder"), {key: value})


def test_other_checkpoints_are_refused(toy, tensors, tmp_path):
    state = group(tensors, "id_encoder")
    with pytest.raises(ModelError, match="visual_projection_2"):
        identity_encoder({k: v for k, v in state.items() if "projection_2" not in k}, {})
    with pytest.raises(ModelError, match="qformer_perceiver"):
        identity_encoder({**state, "qformer_perceiver.token_norm.weight": randn(3)}, {})
    file = tmp_path / "photomaker.safetensors"
    with pytest.raises(ModelError, match="is missing"):
        load_photomaker(file, general(toy))
    save_file({**tensors, "stray.weight": randn(2)}, file)
    with pytest.raises(ModelError, match=r"'stray\.weight'"):
        load_photomaker(file, general(toy))
    file.write_bytes(b"not safetensors")
    with pytest.raises(ModelError, match="cannot be read"):
        load_photomaker(file, general(toy))


# --- the class word ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "noun", "word"),
    [
        (PROMPT, "woman", "woman"),
        ("a woman and a man", "man", "man"),  # not the end of woman
        ("A Woman, smiling", "woman", "woman"),
        ("the lighthouse keeper's zebra", "keeper", "keeper"),
        ("a man, an old man and a man", "man", "man"),  # the first
        ("a young  police officer walks", "police officer", "officer"),
        ("café owner, 40 years", "owner", "owner"),
    ],
)
@pytest.mark.parametrize("which", [0, 1])
def test_class_token_ends_the_noun(G_id, which, prompt, noun, word):
    """Decoding up to the token ends with the word, at its first place; and one less does not."""
    tokenizer = G_id.text.tokenizers[which]
    ids = tokenizer(prompt).input_ids
    index = class_token(tokenizer, prompt, noun, 77)
    upto = tokenizer.decode(ids[1 : index + 1]).replace(" ", "")
    flat = prompt.lower().replace(" ", "")
    start = 5 if prompt.startswith("a woman and") else 0
    assert upto == flat[: flat.index(word, start) + len(word)]


def test_a_class_word_of_many_pieces_counts_its_last(G_id):
    tokenizer = G_id.text.tokenizers[0]
    assert len(tokenizer("xylophonist").input_ids) > 4  # no such merges
    assert class_token(tokenizer, "xylophonist", "xylophonist", 77) == (
        len(tokenizer("xylophonist").input_ids) - 2
    )


def test_class_words_that_are_missing_or_too_late_are_refused(G_id):
    tokenizer = G_id.text.tokenizers[0]
    with pytest.raises(PromptError, match=r"'man' is not in the prompt 'a woman'"):
        class_token(tokenizer, "a woman", "man", 77)
    with pytest.raises(PromptError, match="'' is not in"):
        class_token(tokenizer, "a woman", "", 77)
    assert class_token(tokenizer, "a " * 74 + "boy", "boy", 77) == 75
    with pytest.raises(PromptError, match="has 601 tokens"):
        class_token(tokenizer, "a " * 600 + "boy", "boy", 77)
    with pytest.raises(PromptError, match="'boy'"):
        G_id.condition(asked(["a girl"], guidance=5.0, faces=randn(1, 96), nouns=["boy"]))


# --- fusing ------------------------------------------------------------------------------------


def test_only_the_class_words_row_changes(G_id):
    prompts, nouns = [PROMPT, "an old man, xylophonist"], ["woman", "xylophonist"]
    e = randn(2, sum(WIDTHS))
    plain = G_id.condition(asked(prompts, guidance=5.0))
    fused = G_id.condition(asked(prompts, guidance=5.0, faces=e, nouns=nouns))
    assert torch.equal(fused.pooled, plain.pooled)
    d1 = WIDTHS[0]
    expected = plain.hidden.clone()
    for b, (prompt, noun) in enumerate(zip(prompts, nouns, strict=True)):
        first, second = (class_token(t, prompt, noun, 77) for t in G_id.text.tokenizers)
        row = torch.cat([plain.hidden[2 + b, first, :d1], plain.hidden[2 + b, second, d1:]])
        new = G_id.encoder.fuse(row[None], e[b][None])[0]
        expected[2 + b, first, :d1], expected[2 + b, second, d1:] = new[:d1], new[d1:]
    changed = fused.hidden != plain.hidden
    assert torch.equal(changed, expected != plain.hidden)  # all else bit for bit
    torch.testing.assert_close(fused.hidden, expected)
    again = G_id.condition(asked(prompts, guidance=5.0, faces=e, nouns=nouns))
    assert torch.equal(again.hidden, fused.hidden)  # nothing compounds


def test_a_class_word_in_a_later_chunk_is_found_there(G_id):
    """Past token 77 the row that changes is the one that encodes the word in its own chunk."""
    prompt = "a " * 75 + "girl and a boy"
    tokenizer = G_id.text.tokenizers[0]
    assert class_token(tokenizer, prompt, "girl", 77) == 77 + class_token(
        tokenizer, "girl and a boy", "girl", 77
    )
    plain = G_id.condition(asked([prompt], guidance=5.0))
    fused = G_id.condition(asked([prompt], guidance=5.0, faces=randn(1, 96), nouns=["boy"]))
    places = [class_token(t, prompt, "boy", 77) for t in G_id.text.tokenizers]
    assert min(places) > 77
    changed = (fused.hidden != plain.hidden).any(dim=-1)
    assert sorted({n for _, n in changed.nonzero().tolist()}) == sorted(set(places))


def test_fusing_leaves_the_conditioning_it_starts_from_alone(G_id, monkeypatch):
    plain = G_id.condition(asked([PROMPT], guidance=5.0))
    kept = plain.hidden.clone()
    monkeypatch.setattr(G_id.general, "condition", lambda *args, **options: plain)
    e = randn(1, sum(WIDTHS))
    fused = G_id.condition(asked([PROMPT], guidance=5.0, faces=e, nouns=["woman"]))
    assert torch.equal(plain.hidden, kept)
    assert not torch.equal(fused.hidden, kept)


def test_without_identities_it_is_plain_text(G_id):
    ours = G_id.condition(asked([PROMPT], guidance=5.0))
    assert torch.equal(ours.hidden, G_id.general.condition(asked([PROMPT], guidance=5.0)).hidden)
    with pytest.raises(PromptError, match="the class word '' is not in the prompt"):
        G_id.condition(asked([PROMPT], guidance=5.0, faces=randn(1, 96)))


# --- the LoRA ----------------------------------------------------------------------------------


def test_the_general_generator_never_feels_the_lora(toy, G_id):
    alone = general(toy)
    cond = alone.condition(asked([PROMPT], guidance=5.0))
    z = alone.noise(0)[None]
    expected = alone.step(z, 6, cond)
    assert torch.equal(G_id.general.step(z, 6, cond), expected)
    assert not torch.allclose(G_id.step(z, 6, cond), expected)
    assert torch.equal(G_id.general.step(z, 6, cond), expected)
    with pytest.raises(RuntimeError), G_id.loras[0].on():
        raise RuntimeError
    assert torch.equal(G_id.general.step(z, 6, cond), expected)
    assert G_id.unet is G_id.general.unet


def test_the_lora_is_w_plus_b_a(toy, G_id, tensors):
    """Parity with a U-Net whose weights had the product added by hand."""
    merged = general(toy)
    lora = group(tensors, "lora_weights.unet")
    for key in lora:
        if key.endswith("lora_A.weight"):
            layer = merged.unet.get_submodule(key.removesuffix(".lora_A.weight"))
            layer.weight += lora[key.replace("lora_A", "lora_B")] @ lora[key]
    cond = merged.condition(asked([PROMPT], guidance=5.0))
    z = merged.noise(0)[None]
    ours, expected = G_id.step(z, 4, cond), merged.step(z, 4, cond)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_a_layer_with_a_lora_is_pefts_bit_for_bit(scale, kind):
    torch.manual_seed(0)
    base, x = nn.Linear(6, 5), torch.randn(2, 4, 6)
    if kind == "convolution":
        base, x = nn.Conv2d(6, 5, 3, stride=2, padding=1), torch.randn(2, 6, 8, 8)
    network = nn.Sequential(copy.deepcopy(base))
    theirs = get_peft_model(network, LoraConfig(r=3, lora_alpha=3 * scale, target_modules=["0"]))
    layer = theirs.base_model.model[0]
    A, B = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    ours = LoraLayer(base)
    with torch.no_grad():
        B.copy_(torch.randn_like(B))
        ours.put("one", A.clone(), B.clone())
        ours.scaling["one"] = scale
        assert torch.equal(ours(x), base(x))
        ours.wanted = ("one",)
        assert torch.equal(ours(x), theirs(x))
        assert not torch.equal(ours(x), base(x))
    assert (ours.weight is base.weight, ours.bias is base.bias) == (True, True)
    with pytest.raises(ValueError, match="beside"):
        ours.put("two", A[:, :-1], B)


def test_two_loras_add_up_and_go_off_one_by_one(toy, G_id, tensors):
    G, lora = G_id.general, group(tensors, "lora_weights.unet")
    other = load_lora(G.unet, {k: 0.5 * v for k, v in lora.items()}, "other")
    weights = lambda layer: layer.lora_B[LORA].weight @ layer.lora_A[LORA].weight
    layer = other.layers[0]
    x = randn(1, 3, layer.in_features)
    base, change = layer.base_layer(x), x @ weights(layer).mT
    for on, share in (((), 0), ((other,), 0.25), ((other, G_id.loras[0]), 1.25)):
        with ExitStack() as stack:
            for one in on:
                stack.enter_context(one.on())
            torch.testing.assert_close(layer(x), base + share * change, rtol=1e-4, atol=1e-5)
    assert torch.equal(layer(x), base)


def kohyas(key):
    """A peft key as kohya's trainer writes it."""
    name, part = key.rsplit(".lora_", 1)
    side = {"A.weight": "lora_down.weight", "B.weight": "lora_up.weight"}[part]
    return f"lora_unet_{name.replace('.', '_')}.{side}"


def test_a_file_of_kohyas_trainer_is_the_same_lora_at_its_alpha(toy, tensors, tmp_path):
    lora = group(tensors, "lora_weights.unet")
    rank = next(v.shape[0] for k, v in lora.items() if "lora_A" in k)
    state = {kohyas(k): v.clone() for k, v in lora.items()}
    of = [k for k in state if k.endswith("lora_down.weight")]
    alphas = {k.replace("lora_down.weight", "alpha"): torch.tensor(rank / 2) for k in of}
    save_file(state | alphas, tmp_path / "kohya.safetensors")
    G = general(toy)
    read = read_lora(tmp_path / "kohya.safetensors", G.unet, "few_steps")
    halved = {k: 0.5 * v if "lora_A" in k else v for k, v in lora.items()}
    expected = load_lora(general(toy).unet, halved, "few_steps")
    assert len(read.layers) == len(lora) // 2
    for ours, theirs in zip(read.layers, expected.layers, strict=True):
        change = lambda layer: layer.lora_B["few_steps"].weight @ layer.lora_A["few_steps"].weight
        torch.testing.assert_close(change(ours), change(theirs))


def test_a_file_that_is_no_lora_is_named(toy, tmp_path):
    G = general(toy)
    (tmp_path / "broken.safetensors").write_bytes(b"not tensors")
    with pytest.raises(ModelError, match=r"broken\.safetensors cannot be read"):
        read_lora(tmp_path / "broken.safetensors", G.unet, "few_steps")


def older(key, form):
    """A peft key as diffusers wrote it before."""
    for new, old in (("lora_A", "down"), ("lora_B", "up")):
        key = key.replace(f".{new}.", f".lora.{old}.") if form == "layer" else key
        for name in ("to_q", "to_k", "to_v", "to_out.0"):
            plain = name.removesuffix(".0")
            key = key.replace(f".{name}.{new}.", f".processor.{plain}_lora.{old}.")
    return key


@pytest.mark.parametrize("form", ["layer", "processor"])
@pytest.mark.parametrize("prefix", ["unet.", ""])
def test_older_names_of_the_lora_are_the_same_lora(toy, G_id, tensors, form, prefix):
    lora = group(tensors, "lora_weights.unet")
    renamed = {prefix + older(k, form): v for k, v in lora.items()}
    assert not any("lora_A" in k for k in renamed)
    G = general(toy)
    lora = load_lora(G.unet, renamed, LORA)
    cond = G.condition(asked([PROMPT], guidance=5.0))
    z = G.noise(0)[None]
    with lora.on():
        assert torch.equal(G.step(z, 4, cond), G_id.step(z, 4, cond))


def test_a_lora_for_another_unet_is_refused(toy, tensors):
    lora = group(tensors, "lora_weights")
    G = general(toy)
    with pytest.raises(ModelError, match=r"no place for 'unet\.mid_block\.alpha'"):
        load_lora(copy.deepcopy(G.unet), {**lora, "unet.mid_block.alpha": randn(1)}, LORA)
    stranger = {k.replace("mid_block", "down_blocks.9"): v for k, v in lora.items()}
    with pytest.raises(ModelError, match=r"down_blocks\.9"):
        load_lora(G.unet, stranger, LORA)
