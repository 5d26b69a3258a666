"""ConsiStory at toy size: masks, shared keys, blended queries, injected patches."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from identitystory.methods import anchors, subject
from identitystory.methods.anchors import Anchors
from identitystory.methods.consistory import ConsiStory, SharedSubject
from identitystory.methods.plain import General
from identitystory.models.sdxl.attention import Site, attend
from identitystory.models.sdxl.tokens import token_ids
from tests.stories import ALL, STORY, far, naive_attention, paint, toy_backend  # noqa: F401
from tests.toy import toy_checkpoint  # noqa: F401

UP, CROSS = Site("up_blocks.0.attn1", True), Site("down_blocks.0.attn2", False)
PAIR = Anchors((0, 1), ((1,), (0,), (0, 1)))  # frames 0 and 1 are anchors, 2 a reader


DEFAULT = ConsiStory()


class Timetable:
    """As much of a generator as the edit asks for."""

    def __init__(self, steps=20):
        self.num_steps, self.size, self.asked, self.edit = steps, (64, 64), [], None
        self.sampler = self
        self.timesteps = torch.linspace(999, 1, steps)

    def step(self, z, i, cond):
        self.asked.append(i)
        self.edit(UP, *z)


def edit_of(settings=DEFAULT, steps=20, first=None, found=PAIR):
    G = Timetable(steps)
    concepts = {n: [1, 3] for n in range(len(found.seen))}
    G.edit = SharedSubject(settings, G, found, [5] * len(found.seen), concepts, first)
    return G.edit, G


def rows(frames, tokens=4, keys=None, seed=0, heads=2, d=3):
    rng = torch.Generator().manual_seed(seed)
    sizes = (tokens, keys or tokens, keys or tokens)
    return [torch.randn(2 * frames, heads, n, d, generator=rng) for n in sizes]


# --- Masks ----------------------------------------------------------------------------------------


def test_otsu_is_the_split_with_the_largest_variance_between_the_classes():
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(1, 0.4, 300), rng.normal(4, 0.5, 100)])
    low, high = values.min(), values.max()
    counts, edges = np.histogram(values, 256, (low, high))
    middles, best = (edges[:-1] + edges[1:]) / 2, (-1.0, 0.0)
    for cut in range(255):
        a, b = counts[: cut + 1], counts[cut + 1 :]
        if a.sum() and b.sum():
            mean_a = (a * middles[: cut + 1]).sum() / a.sum()
            mean_b = (b * middles[cut + 1 :]).sum() / b.sum()
            best = max(best, (a.sum() * b.sum() * (mean_a - mean_b) ** 2, middles[cut]),
                       key=lambda pair: pair[0])  # fmt: skip
    assert subject.otsu(torch.tensor(values)) == pytest.approx(best[1])
    assert 1.5 < best[1] < 3.5
    assert subject.otsu(torch.full((9,), 2.5)) == 2.5


def test_a_planted_subject_is_found_at_every_grid():
    planted = torch.zeros(8, 8)
    planted[2:6, 1:4] = 1.0
    other = torch.zeros(8, 8)
    other[6:, 6:] = 5.0
    maps = torch.stack([planted.flatten(), other.flatten()])
    maps += 0.001 * torch.rand(2, 64)  # less than a bin of Otsu's histogram
    both = subject.subject_mask(maps, 64, (1, 1)).view(8, 8)
    assert torch.equal(both, (planted + other) > 0)
    fine = subject.subject_mask(maps[:1], 256, (1, 1)).view(16, 16)
    assert fine[4:12, 2:8].all()
    assert fine.sum() == fine[3:13, 1:9].sum()  # of the patches around it at most some
    assert not subject.subject_mask(maps[:0], 64, (1, 1)).any()


def test_attention_to_a_token_is_its_column_of_the_softmax():
    q, k, _ = rows(1, tokens=4, keys=5)
    seen = subject.attention_to(q[0], k[0], [1, 3])
    for token, column in enumerate((1, 3)):
        for n in range(4):
            one_hot = list(torch.eye(5))
            expected = np.mean(
                [naive_attention(q[0, h, n], list(k[0, h]), one_hot)[column] for h in range(2)]
            )
            assert float(seen[token, n]) == pytest.approx(float(expected), abs=1e-5)


def test_concepts_are_the_last_mention_of_each_noun(backend):
    tokenizer = backend.general.encode.tokenizers[0]
    prompt = "a woman and an old man, the Woman reads"
    ids = tokenizer(prompt).input_ids
    places = subject.concept_tokens(tokenizer, prompt, ["woman", "man", "girl"], 77)
    assert len(places) == 2
    offsets = tokenizer(prompt, return_offsets_mapping=True).offset_mapping
    assert sorted(offsets[p][0] for p in places) == [prompt.index("man,"), prompt.index("Woman")]
    assert all(0 < p < len(ids) for p in places)


def test_a_noun_beyond_the_first_chunk_is_found_in_its_row(backend):
    tokenizer = backend.general.encode.tokenizers[0]
    prompt = "on the pier by the sea " * 16 + "a woman reads"
    (place,) = subject.concept_tokens(tokenizer, prompt, ["woman"], 77)
    ids = token_ids(tokenizer, prompt, 77)
    assert ids.shape == (2, 77)
    assert ids.flatten()[place] == tokenizer("woman").input_ids[1]
    assert place > 77


def test_maps_are_averaged_over_layers_and_the_remembered_steps_and_halves_are_kept_apart():
    edit, _ = edit_of(replace(ConsiStory(), remembered=2))
    expected = []
    for n, i in enumerate((20, 19, 18)):
        edit.begin(i, (2,), rows(1), None) if n == 0 else edit.settle((2,))
        edit.i = i
        layers = [rows(1, tokens=4, keys=5, seed=10 * n + m) for m in range(2)]
        for q, k, v in layers:
            assert torch.equal(edit(CROSS, q, k, v), attend(q, k, v))
        given = [subject.attention_to(q[1], k[1], [1, 3]) for q, k, _ in layers]  # row 1: prompt
        expected.append(sum(given) / 2)
    edit.settle((2,))
    torch.testing.assert_close(torch.stack(list(edit.maps[2])), torch.stack(expected[1:]))
    mask = subject.subject_mask((expected[1] + expected[2]) / 2, 16, (1, 1))
    assert torch.equal(edit.mask(2, 16), mask)


# --- Shared attention -----------------------------------------------------------------------------


def with_masks(edit, tokens=4):
    """Planted masks: half of frame 0, one token of frame 1."""
    edit.masks = {(0, tokens): torch.tensor([True, True, False, False]),
                  (1, tokens): torch.tensor([False, False, False, True])}  # fmt: skip
    for n in (0, 1):
        edit.maps[n].append(torch.zeros(1, tokens))


def test_keys_are_shared_only_inside_the_masks():
    """Every number against a loop over single keys, and no half sees the other."""
    edit, _ = edit_of(replace(ConsiStory(), dropout=0.0))
    with_masks(edit)
    edit.i, edit.group = 10, (0, 1)  # past the blended steps
    written = rows(2)
    h = edit(UP, *written)
    edit.i, edit.group = 10, (2,)
    read = rows(1, seed=1)
    g = edit(UP, *read)
    inside = {0: [0, 1], 1: [3]}
    pick = lambda x, half, frame, head: list(x.unflatten(0, (2, -1))[half, frame, head])
    for half in range(2):
        for head in range(2):
            cases = ((written, 0, 0, h), (written, 1, 1, h), (read, 0, 2, g))
            for given, frame, who, out in cases:
                k, v = (pick(x, half, frame, head) for x in given[1:])
                for a in PAIR.seen[who]:
                    k = k + [pick(written[1], half, a, head)[t] for t in inside[a]]
                    v = v + [pick(written[2], half, a, head)[t] for t in inside[a]]
                for token in range(4):
                    expected = naive_attention(pick(given[0], half, frame, head)[token], k, v)
                    mine = pick(out, half, frame, head)[token]
                    torch.testing.assert_close(mine, expected.float(), rtol=1e-5, atol=1e-6)


def test_dropout_drops_its_share_inside_the_mask_and_anew_at_each_step():
    edit, _ = edit_of()
    mask = torch.arange(1000) < 600
    edit.masks[0, 1000] = edit.masks[1, 1000] = mask
    edit.maps[0].append(torch.zeros(1, 1000))
    edit.maps[1].append(torch.zeros(1, 1000))
    edit.i = 10
    once, other = edit.sample(0, 1000), edit.sample(1, 1000)
    assert torch.equal(once, edit.sample(0, 1000))
    edit.i = 9
    again = edit.sample(0, 1000)
    assert not torch.equal(once, again)
    assert not torch.equal(once, other)
    for kept in (once, again, other):
        assert not (kept & ~mask).any()
        assert int(kept.sum()) == pytest.approx(300, abs=45)


def test_the_first_step_is_plain_and_so_is_everything_outside_the_up_path():
    edit, _ = edit_of(replace(ConsiStory(), dropout=0.0))
    q, k, v = rows(2)
    edit.begin(20, (0, 1), None, None)
    assert torch.equal(edit(UP, q, k, v), attend(q, k, v))
    with_masks(edit)
    edit.i = 10
    assert torch.equal(edit(Site("mid_block.attn1", True), q, k, v), attend(q, k, v))
    assert torch.equal(edit(Site("down_blocks.0.attn1", True), q, k, v), attend(q, k, v))
    assert not torch.equal(edit(UP, q, k, v), attend(q, k, v))


def test_queries_are_blended_with_those_of_a_plain_pass_as_the_release_does():
    """0.9 at the first step, falling so that it is 0.81836735 at the sixth of 50."""
    edit, G = edit_of(replace(ConsiStory(), dropout=1.0), steps=50)  # nothing shared
    vanilla, (q, k, v) = rows(2, seed=3), rows(2)
    for i, weight in ((49, 0.9 - 0.8 / 49), (45, 0.81836735)):
        edit.begin(i, (0, 1), vanilla, None)
        expected = attend(weight * vanilla[0] + (1 - weight) * q, k, v)
        torch.testing.assert_close(edit(UP, q, k, v), expected, rtol=1e-5, atol=1e-6)
    edit.begin(44, (0, 1), vanilla, None)
    assert torch.equal(edit(UP, q, k, v), attend(q, k, v))
    edit.begin(50, (0, 1), vanilla, None)
    assert G.asked == [49, 45]


# --- Correspondences and injection ----------------------------------------------------------------


def test_a_moved_patch_is_found_where_it_went_but_only_inside_the_mask():
    features = torch.nn.functional.normalize(torch.randn(16, 32), dim=-1)
    order = torch.randperm(16)
    everywhere, nowhere = torch.ones(16, dtype=torch.bool), torch.zeros(16, dtype=torch.bool)
    which, place, distance = subject.nearest(
        features[order], [torch.randn(16, 32) * 0.1, features], [nowhere, everywhere]
    )
    assert (which == 1).all()
    assert torch.equal(place, order)
    torch.testing.assert_close(distance, torch.zeros(16), atol=1e-5, rtol=0)
    half = torch.arange(16) < 8
    _, place, _ = subject.nearest(features, [features], [half])
    assert (place < 8).all()
    *_, distance = subject.nearest(features, [features], [nowhere])
    assert (distance == subject.FAR).all()


def test_smoothing_is_a_3x3_gaussian():
    dot = torch.zeros(1, 5, 5)
    dot[0, 2, 2] = 1.0
    line = np.exp(-np.array([1.0, 0.0, 1.0]) / 2)
    kernel = np.outer(line, line) / line.sum() ** 2
    seen = subject.smoothed(dot)[0]
    torch.testing.assert_close(seen[1:4, 1:4], torch.tensor(kernel).float())
    assert float(seen.sum()) == pytest.approx(1.0)
    flat = subject.smoothed(torch.ones(1, 5, 5))[0]  # zeros lie around it
    assert float(flat[2, 2]) == pytest.approx(1.0)
    assert float(flat[0, 0]) == pytest.approx(kernel[1:, 1:].sum())


def test_only_matched_patches_of_the_prompts_half_are_mixed_with_the_source():
    edit, _ = edit_of(steps=20)
    take = torch.tensor([True, False, True, False])
    which, place = torch.tensor([0, 1, 1, 0]), torch.tensor([3, 0, 2, 1])
    edit.match, edit.fine = {2: (which, place, take)}, 4
    site = Site("down_blocks.0.attn1", True)
    edit.i, edit.group = 16, (0, 1)
    anchors_h = edit(site, *rows(2)).unflatten(0, (2, 2))
    edit.i, edit.group = 16, (2,)
    q, k, v = rows(1, seed=1)
    plain, mixed = attend(q, k, v), edit(site, q, k, v)
    assert torch.equal(mixed[0], plain[0])  # without the prompt
    for token in range(4):
        expected = plain[1, :, token]
        if take[token]:
            source = anchors_h[1, which[token], :, place[token]]
            expected = 0.8 * source + 0.2 * expected
        torch.testing.assert_close(mixed[1, :, token], expected)
    for i, inside in ((19, False), (18, True), (14, True), (13, False)):
        edit.i = i
        assert torch.equal(edit(site, q, k, v), plain) != inside


def test_features_are_read_at_the_timestep_nearest_to_261():
    edit, G = edit_of(steps=50)
    assert abs(float(G.timesteps[50 - edit.feature_i]) - 261) <= 10
    edit.i, edit.group = edit.feature_i, (0, 1)
    edit.see(torch.arange(4.0).view(4, 1, 1, 1))
    assert [float(edit.features[n]) for n in (0, 1)] == [2.0, 3.0]  # the half with the prompt
    edit.i -= 1
    edit.see(torch.zeros(4, 1, 1, 1))
    assert float(edit.features[0]) == 2.0


# --- The whole ------------------------------------------------------------------------------------


class _General(General):
    def seed(self, seed, index, *, per_frame):
        return ConsiStory().seed(seed, index, per_frame=per_frame)


OFF = replace(ConsiStory(), dropout=1.0, injection=0.0, blend_first=0.0, blend_last=0.0, freeu=None)


def test_switched_off_it_is_plain_sdxl_and_on_it_is_not(backend):
    plain = paint(replace(_General(), negative=None), backend)
    off, on = paint(OFF, backend), paint(replace(ConsiStory(), freeu=None), backend)
    assert all(far(off[n], plain[n]) <= 1 for n in ALL)
    assert far(on[4], plain[4]) > 1
    assert far(on[3], plain[3]) <= 1  # nobody in it


def test_a_frame_is_the_same_whatever_is_painted_with_it(backend, monkeypatch):
    whole = paint(ConsiStory(), backend)
    assert far(paint(ConsiStory(), backend, wanted=(4,))[4], whole[4]) == 0
    monkeypatch.setattr(anchors.portions, "__defaults__", (1,))
    again = paint(ConsiStory(), backend)
    assert all(far(again[n], whole[n]) == 0 for n in ALL)


@pytest.mark.parametrize("most", [1, 2])
def test_anchors_stay_together_where_memory_would_split_them(backend, monkeypatch, most):
    """Four anchors, of which ``most`` would go through the U-Net at once."""
    method = ConsiStory(anchors=3)
    assert len(method.found(STORY).frames) == 4
    whole = paint(method, backend)
    monkeypatch.setattr(backend.general, "most", most)
    again = paint(method, backend)
    assert all(far(again[n], whole[n]) == 0 for n in ALL)


def test_the_cost_is_what_is_counted(backend, monkeypatch):
    asked = []
    step = type(backend.general).step
    monkeypatch.setattr(
        type(backend.general),
        "step",
        lambda G, z, i, c: (asked.append(len(z)), step(G, z, i, c))[1],
    )
    paint(ConsiStory(), backend, wanted=(3, 4))
    assert ConsiStory().calls(STORY, (3, 4), 4) == 2 * sum(asked)
    assert ConsiStory().calls(STORY, ALL, 50) == 2 * 2 * (4 * 55 + 50)
