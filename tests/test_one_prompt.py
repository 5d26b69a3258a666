"""1Prompt1Story at toy size: singular values, words, and the identity's keys under a mask."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from identitystory.methods.one_prompt import (
    IdentityPreserving,
    OnePromptOneStory,
    consolidate,
    identity_prompt,
    reweight,
    setting,
    token_places,
    window,
)
from identitystory.methods.plain import General
from identitystory.models.sdxl.attention import Site, attend, edited
from identitystory.models.sdxl.tokens import token_ids
from identitystory.story.file import inline_story
from identitystory.types import Character, Scene, Story
from tests.stories import ALL, STORY, far, paint, toy_backend  # noqa: F401
from tests.toy import toy_checkpoint  # noqa: F401

METHOD = OnePromptOneStory()
SVR = replace(METHOD, padding=None)


def test_singular_values_are_reweighted_and_directions_kept():
    """Planted values: 10 becomes 0.45 suppressed and 11.05 expressed, 100 becomes 1.84 and 271.8."""
    rng = np.random.default_rng(0)
    U, _ = np.linalg.qr(rng.normal(size=(6, 2)))
    V, _ = np.linalg.qr(rng.normal(size=(9, 2)))
    build = lambda values: torch.tensor(U @ np.diag(values) @ V.T)
    X = build([100.0, 10.0])
    for (alpha, beta), values in {
        (0.01, 0.05): (1.8394, 0.45242),
        (-0.01, 1.0): (271.828, 11.0517),
    }.items():
        torch.testing.assert_close(reweight(X, alpha, beta), build(values), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(reweight(X, 0.0, 1.0), X)


def test_words_are_split_into_who_and_what():
    assert [setting(STORY, s) for s in STORY.scenes] == [
        "reads a letter",
        "on the pier",
        "in the snow",
        "the lighthouse at dawn",
        "by the sea",
    ]
    assert identity_prompt(STORY, 1) == (
        "a woman with dark curly hair and an old man with a grey beard"
    )
    painted = inline_story(
        ["Mara: a woman", "Tom: a man"], ["{Tom} greets {Mara} at dawn"], style="watercolour"
    )
    assert setting(painted, painted.scenes[0]) == "greets the woman at dawn"
    assert identity_prompt(painted, 0) == "watercolour, a woman and a man"
    public = Story(
        "public",
        (Character("Girl", "a young girl", "girl"),),
        (
            Scene(
                "A photo of a young girl, in a red coat",
                ("Girl",),
                "A photo of {Girl}, in a red coat",
            ),
        ),
        "A photo of",
    )
    assert identity_prompt(public, 0) == "A photo of a young girl"
    assert setting(public, public.scenes[0]) == "in a red coat"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a portrait of {Mara} looking calm in a field", "a portrait looking calm in a field"),
        ("a half-body photo of {Mara} and {Tom} by the sea", "a half-body photo by the sea"),
        ("the {Mara}, in the snow", "in the snow"),
        ("a portrait of the sea, {Mara} behind it", "a portrait of the sea, the woman behind it"),
        ("at dawn {Mara} sails", "at dawn the woman sails"),
        ("a portrait of {Mara}", "a portrait"),
    ],
)
def test_who_is_there_is_said_by_the_identity_prompt_alone(text, said):
    story = inline_story(["Mara: a woman", "Tom: a man"], [text])
    assert setting(story, story.scenes[0]) == said


def test_each_frames_tokens_are_found_in_the_whole(backend):
    whole, spans = consolidate("a woman", ["reads a letter", "on the pier", "by the sea"])
    assert [whole[a:b] for a, b in spans] == ["reads a letter", "on the pier", "by the sea"]
    for tokenizer in backend.general.encode.tokenizers:
        ids = tokenizer(whole).input_ids
        alone = tokenizer("on the pier").input_ids[1:-1]
        assert [ids[p] for p in token_places(tokenizer, whole, spans[1], 77)] == alone


def test_a_window_goes_round_when_not_everybody_fits():
    story = inline_story(["Mara: a woman"], [f"{{Mara}} reads {n}" for n in range(5)])
    words = lambda most: lambda prompt: len(prompt.split()) <= most
    assert window(story, 3, 10, words(99)) == [0, 1, 2, 3, 4]
    assert window(story, 3, 10, words(8)) == [3, 4, 0]
    assert window(story, 3, 2, words(99)) == [3, 4]
    assert window(story, 4, 2, words(1)) == [4]
    assert window(STORY, 0, 10, words(99)) == [0, 4]  # the same cast


def test_end_and_padding_shrink_by_a_tenth_a_frame_and_only_words_are_reweighted(backend):
    """The authors' mode for SDXL; in the other one next to nothing is left of these rows."""
    G = backend.general
    cond, _ = METHOD.condition(G, STORY, 4, 0)
    whole, spans = consolidate("a woman with dark curly hair", ["reads a letter", "by the sea"])
    plain = G.encode.encode_prompts([whole]).hidden[0]
    erased, _ = SVR.condition(G, STORY, 4, 0)
    first = 0
    for tokenizer, width in zip(G.encode.tokenizers, G.encode.widths, strict=True):
        place = lambda n, t=tokenizer: token_places(t, whole, spans[n], 77)
        columns = slice(first, first + width)
        padding = slice(len(tokenizer(whole).input_ids) - 1, 77)
        kept = cond.hidden[1, padding, columns]
        torch.testing.assert_close(kept, plain[padding, columns] * 0.9**2)
        assert erased.hidden[1, padding, columns].norm() < 0.2 * kept.norm()
        for rows, numbers in ((place(0), (0.01, 0.05)), (place(1), (-0.01, 1.0))):
            alone = reweight(plain[rows, columns], *numbers)
            torch.testing.assert_close(cond.hidden[1, rows, columns], alone)
        first += width


def test_with_padding_the_prompt_is_reweighted_as_their_other_program_does(backend):
    """Suppress the others one after the other, each with end and padding, then express one's own."""
    G = backend.general
    cond, _ = SVR.condition(G, STORY, 4, 0)
    whole, spans = consolidate("a woman with dark curly hair", ["reads a letter", "by the sea"])
    expected = G.encode.encode_prompts([whole]).hidden[0].double()
    first = 0
    for tokenizer, width in zip(G.encode.tokenizers, G.encode.widths, strict=True):
        for span, alpha, beta in ((spans[0], 0.01, 0.05), (spans[1], -0.01, 1.0)):
            end = len(tokenizer(whole).input_ids) - 1
            rows = token_places(tokenizer, whole, span, 77) + list(range(end, 77))
            u, s, v = np.linalg.svd(expected[rows, first : first + width].numpy())
            full = np.zeros((len(rows), width))
            np.fill_diagonal(full, beta * s * np.exp(-alpha * s))
            expected[rows, first : first + width] = torch.tensor(u @ full @ v)
        first += width
    torch.testing.assert_close(cond.hidden[1, :77].double(), expected, rtol=1e-3, atol=1e-3)
    identity = G.encode.encode_prompts(["a woman with dark curly hair"]).hidden[0]
    torch.testing.assert_close(cond.hidden[1, 77:], identity)
    torch.testing.assert_close(cond.pooled[1:], G.encode.encode_prompts([whole]).pooled)
    other, _ = replace(SVR, own_pooled=True).condition(G, STORY, 4, 0)
    assert torch.equal(other.hidden, cond.hidden)
    own_prompt = G.encode.encode_prompts([STORY.scenes[4].prompt])
    torch.testing.assert_close(other.pooled[1:], own_prompt.pooled)


def _rows_of_words(tokenizer, prompt):
    """By scanning what the encoder is given: rows of words, and of starts, chunk after chunk."""
    words, starts, first = [], [], tokenizer("").input_ids[0]
    end = tokenizer("").input_ids[1]
    for chunk, ids in enumerate(token_ids(tokenizer, prompt, 77).tolist()):
        assert ids[0] == first
        starts.append(chunk * 77)
        words += [chunk * 77 + n for n in range(1, ids.index(end, 1))]
    return words, starts


@pytest.mark.parametrize("long", ["frame", "identity"])
def test_a_prompt_of_several_chunks_is_reweighted_in_the_right_rows(backend, long):
    """One frame longer than 77 tokens; every row by scanning the ids, not by counting."""
    G, many = backend.general, " reads a letter on the pier by the sea" * 9
    who = "a woman with dark curly hair" + (many if long == "identity" else "")
    does = many.strip() if long == "frame" else "by the sea"
    story = inline_story([f"Mara: {who}"], [f"{{Mara}} {does}", "{Mara} in the snow"])
    cond, seen = SVR.condition(G, story, 0, 0)
    whole = f"{who} {does}"
    expected = G.encode.encode_prompts([whole]).hidden[0].double()
    length, first = len(expected), 0
    assert length == 77 * G.encode.chunks(whole) >= 154
    for tokenizer, width in zip(G.encode.tokenizers, G.encode.widths, strict=True):
        words, starts = _rows_of_words(tokenizer, whole)
        before = len(tokenizer(who, verbose=False).input_ids) - 2
        padding = sorted(set(range(length)) - set(words) - set(starts))
        rows = words[before:] + padding
        u, s, v = torch.linalg.svd(expected[rows, first : first + width], full_matrices=False)
        expected[rows, first : first + width] = (u * (s * (0.01 * s).exp())) @ v
        first += width
    torch.testing.assert_close(cond.hidden[1, :length].double(), expected, rtol=1e-3, atol=1e-3)
    identity = G.encode.encode_prompts([who]).hidden[0]
    torch.testing.assert_close(cond.hidden[1, length:], identity)
    kept = [row for some in _rows_of_words(G.encode.tokenizers[0], who) for row in some]
    assert seen[:, :length].all()
    assert seen[1, length:].nonzero().flatten().tolist() == sorted(kept)
    assert not seen[0, length:].any()
    assert len(paint(METHOD, backend, story=story, wanted=(0,))) == 1


def test_identity_preserving_attention_is_the_joined_text_with_its_masked_columns_left_out(backend):
    """Against plain attention over a text from which the masked columns are cut out."""
    G = backend.general
    _, seen = METHOD.condition(G, STORY, 4, 0)
    words = len(G.encode.tokenizers[0]("a woman with dark curly hair").input_ids) - 1
    assert seen[0].tolist() == [True] * 77 + [False] * 77
    assert seen[1].tolist() == [True] * (77 + words) + [False] * (77 - words)
    rng = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(2, 2, n, 4, generator=rng) for n in (9, 154, 154))
    h = IdentityPreserving(seen)(Site("mid_block.attn2", False), q, k, v)
    for row in range(2):
        cut = [x[row : row + 1][:, :, seen[row]] for x in (k, v)]
        torch.testing.assert_close(h[row : row + 1], attend(q[row : row + 1], *cut))
    self_ = Site("mid_block.attn1", True)
    assert torch.equal(IdentityPreserving(seen)(self_, q, k, v), attend(q, k, v))


def test_the_stock_unet_gives_the_same_with_joined_text_and_its_own_mask(backend):
    """The equality that spares the second pass: diffusers' encoder_attention_mask does it too."""
    G = backend.general
    cond, seen = METHOD.condition(G, STORY, 0, 0)
    z = G.noise(1)[None].repeat(2, 1, 1, 1)
    hidden, pooled, time_ids = cond.hidden, cond.pooled, cond.time_ids
    given = {
        "encoder_hidden_states": hidden,
        "added_cond_kwargs": {"text_embeds": pooled, "time_ids": time_ids},
        "return_dict": False,
    }
    with torch.no_grad():
        stock = G.unet(z, 500, encoder_attention_mask=seen, **given)[0]
        with edited(G.unet, IdentityPreserving(seen)):
            ours = G.unet(z, 500, **given)[0]
    torch.testing.assert_close(ours, stock, rtol=1e-4, atol=1e-5)


class _General(General):
    def seed(self, seed, index, *, per_frame):
        return seed


OFF = replace(METHOD, window=1, express_alpha=0.0, padding=1.0)


def test_frames_without_people_are_plain_and_the_others_are_not(backend):
    plain = paint(replace(_General(), negative=None), backend)
    ours = paint(METHOD, backend)
    assert far(ours[3], plain[3]) <= 1
    assert all(far(ours[n], plain[n]) > 1 for n in ALL if n != 3)


def test_alone_and_not_reweighted_only_the_identitys_keys_are_added(backend):
    """With one frame a prompt and sigma left alone, the prompt's states are the text's own."""
    G = backend.general
    cond, _ = OFF.condition(G, STORY, 2, 0)
    text = G.encode.encode_prompts(["an old man with a grey beard in the snow"])
    torch.testing.assert_close(cond.hidden[1, :77], text.hidden[0], rtol=1e-4, atol=1e-4)


class Off(OnePromptOneStory):
    """A prompt for each frame, sigma left alone, and the identity's columns masked."""

    def condition(self, G, story, n, seed):
        cond, seen = super().condition(G, story, n, seed)
        seen[:, 77:] = False
        return cond, seen


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_switched_off_it_is_the_general_generator(backend, guidance):
    plain = paint(replace(_General(), negative=None, guidance=guidance), backend)
    off = paint(Off(guidance=guidance, window=1, express_alpha=0.0, padding=1.0), backend)
    assert all(far(off[n], plain[n]) <= 1 for n in ALL)
    keys_on = paint(replace(OFF, guidance=guidance), backend)
    assert all(far(keys_on[n], plain[n]) > 1 for n in ALL if n != 3)


@pytest.mark.parametrize("guidance", [1.0, 5.0])
def test_a_frame_is_the_same_whatever_is_painted_with_it(backend, guidance):
    method = replace(METHOD, guidance=guidance)
    whole = paint(method, backend)
    assert far(paint(method, backend, wanted=(4,))[4], whole[4]) == 0
    assert METHOD.depends(STORY, 4) == (0,)
    assert METHOD.depends(STORY, 3) == ()
