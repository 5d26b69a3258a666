"""StoryDiffusion at toy size: whose keys are seen, and that the rest is plain SDXL."""

from dataclasses import replace

import pytest
import torch

from identitystory.methods import anchors as anchoring
from identitystory.methods.anchors import anchors
from identitystory.methods.plain import General
from identitystory.methods.storydiffusion import ConsistentSelfAttention, StoryDiffusion
from identitystory.models.sdxl.attention import Site, attend
from identitystory.story.file import inline_story
from tests.conftest import asked
from tests.stories import ALL, STORY, far, naive_attention, paint, toy_backend  # noqa: F401
from tests.toy import toy_checkpoint  # noqa: F401

UP, DOWN = Site("up_blocks.0.attn1", True), Site("down_blocks.0.attn1", True)
ALWAYS = StoryDiffusion(warm_up=0, skip_early=0.0, skip_late=0.0, freeu=None)


def test_anchors_are_the_first_frames_of_each_character_and_alone_goes_first():
    found = anchors(STORY, 1, alone=True)
    assert found.frames == (0, 2)
    assert found.seen == ((), (0, 2), (), (), (0,))
    assert anchors(STORY, 2, alone=True).frames == (0, 1, 2, 4)
    assert anchors(STORY, 1, alone=False).frames == (0, 1)
    assert anchors(STORY, 2, alone=True).seen[3] == ()


def rows(frames, tokens=4, heads=2, d=3, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(2 * frames, heads, tokens, d, generator=rng) for _ in range(3)]


def test_a_frame_sees_its_own_tokens_and_the_sampled_ones_of_its_anchors():
    """Every number against a loop over single keys, for both halves, anchors and a reader."""
    found = anchors(STORY, 1, alone=False)  # 0 is Mara's, 1 (both people) is Tom's
    assert found.seen == ((), (0,), (1,), (), (0,))
    edit = ConsistentSelfAttention(ALWAYS, found, [7] * 5, steps=10)
    edit.begin(9, (0, 1), None, None)
    written = rows(2)
    h = edit(UP, *written)
    edit.begin(9, (4,), None, None)
    read = rows(1, seed=1)
    g = edit(UP, *read)

    keys = lambda x, half, frame, head: list(x.unflatten(0, (2, -1))[half, frame, head])
    kept = {a: edit.sample(a, 4) for a in (0, 1)}
    assert 0 < sum(int(m.sum()) for m in kept.values()) < 8
    for half in range(2):
        for head in range(2):
            for q, frame, who, out in ((written, 0, 0, h), (written, 1, 1, h), (read, 0, 4, g)):
                k, v = (keys(x, half, frame, head) for x in q[1:])
                for a in found.seen[who]:
                    others = zip(
                        keys(written[1], half, a, head),
                        keys(written[2], half, a, head),
                        strict=True,
                    )
                    for (k_a, v_a), drawn in zip(others, kept[a].tolist(), strict=True):
                        if drawn:
                            k, v = [*k, k_a], [*v, v_a]
                for token in range(4):
                    expected = naive_attention(keys(q[0], half, frame, head)[token], k, v)
                    mine = out.unflatten(0, (2, -1))[half, frame, head, token]
                    torch.testing.assert_close(mine, expected.float(), rtol=1e-5, atol=1e-6)


def test_only_self_attention_of_the_up_path_after_the_warm_up_is_touched():
    found = anchors(STORY, 2, alone=True)
    q, k, v = rows(4)
    edit = ConsistentSelfAttention(replace(ALWAYS, warm_up=1), found, [7] * 5, steps=10)
    edit.begin(10, found.frames, None, None)
    assert torch.equal(edit(UP, q, k, v), attend(q, k, v))
    edit.begin(9, found.frames, None, None)
    assert not torch.allclose(edit(UP, q, k, v), attend(q, k, v))
    assert torch.equal(edit(DOWN, q, k, v), attend(q, k, v))
    assert torch.equal(edit(Site("up_blocks.0.attn2", False), q, k, v), attend(q, k, v))


def test_samples_and_coins_come_at_the_stated_rates_and_anew_at_each_step():
    edit = ConsistentSelfAttention(StoryDiffusion(), anchors(STORY, 1, alone=True), [7] * 5, 50)
    shares, early, late = [], [], []
    for i in range(50, 0, -1):
        edit.begin(i, (4,), None, None)
        shares.append(edit.sample(0, 400).float().mean())
        coins = [edit.skips(Site(f"up_blocks.{n}.attn1", True), 4) for n in range(40)]
        (early if i > 30 else late).extend(coins)
    assert torch.stack(shares).mean() == pytest.approx(0.5, abs=0.01)
    assert sum(early) / len(early) == pytest.approx(0.3, abs=0.05)
    assert sum(late) / len(late) == pytest.approx(0.1, abs=0.03)
    assert not torch.equal(edit.sample(0, 400), edit.sample(2, 400))


def test_nothing_shared_is_plain_sdxl(backend):
    off = paint(replace(ALWAYS, keep=0.0), backend)
    plain = paint(General(), backend, seed=3)
    same_noise = paint(_General(), backend)
    _, *others = StoryDiffusion().found(STORY).frames  # one batch: a noise each
    assert all(far(off[n], same_noise[n]) <= 1 for n in ALL if n not in others)
    assert all(far(off[n], same_noise[n]) > 8 for n in others)
    assert far(off[3], plain[3]) > 8
    own = paint(replace(ALWAYS, keep=0.0, same_noise=False), backend)
    assert all(far(own[n], plain[n]) <= 1 for n in ALL)
    on = paint(ALWAYS, backend)
    assert far(on[4], off[4]) > 1
    assert far(on[3], off[3]) <= 1  # nobody in it


class _General(General):
    def seed(self, seed, index, *, per_frame):
        return seed


def test_looking_at_a_copy_of_oneself_changes_nothing(backend):
    """Doubled keys leave a softmax average as it was, so equal frames are plain frames."""
    twins = inline_story(["Mara: a woman"], ["{Mara} reads"] * 3, title="twins")
    shared_ = paint(replace(ALWAYS, keep=1.0, anchors=1), backend, story=twins)
    plain = paint(_General(), backend, story=twins)
    assert all(far(shared_[n], plain[n]) <= 1 for n in range(3))


def test_a_frame_is_the_same_whatever_is_painted_with_it(backend, monkeypatch):
    whole = paint(StoryDiffusion(), backend)
    assert list(paint(StoryDiffusion(), backend, wanted=(4,))) == [4]
    assert far(paint(StoryDiffusion(), backend, wanted=(4,))[4], whole[4]) == 0
    monkeypatch.setattr(anchoring.portions, "__defaults__", (1,))
    again = paint(StoryDiffusion(), backend)
    assert sorted(again) == list(ALL)
    assert all(far(again[n], whole[n]) == 0 for n in ALL)


def test_the_bank_holds_one_step_however_long_the_story(backend):
    found = anchors(STORY, 2, alone=True)
    edit = ConsistentSelfAttention(ALWAYS, found, [7] * 5, steps=10)
    for i in range(10, 0, -1):
        for group in (found.frames, (3,)):
            edit.begin(i, group, None, None)
            edit(UP, *rows(len(group), seed=i))
    assert len(edit.bank) == len(found.frames)


@pytest.mark.parametrize("most", [1, 2])
def test_anchors_stay_together_where_memory_would_split_them(backend, monkeypatch, most):
    """Four anchors, of which ``most`` would go through the U-Net at once."""
    assert len(StoryDiffusion().found(STORY).frames) == 4
    whole = paint(StoryDiffusion(), backend)
    monkeypatch.setattr(backend.general, "most", most)
    again = paint(StoryDiffusion(), backend)
    assert all(far(again[n], whole[n]) == 0 for n in ALL)


def test_anchors_that_do_not_fit_together_are_told_so(backend, monkeypatch):
    """Halved, they would look at one another no more; and outside an edit halving goes on."""
    forward = backend.general.unet.forward

    def small(sample, *arguments, **options):
        if len(sample) > 4:
            raise torch.OutOfMemoryError("out of memory")
        return forward(sample, *arguments, **options)

    monkeypatch.setattr(backend.general, "most", 2**20)
    monkeypatch.setattr(backend.general.unet, "forward", small)
    with pytest.raises(
        torch.OutOfMemoryError, match=r"4 pictures that look at .* --dtype bfloat16"
    ):
        paint(StoryDiffusion(), backend)
    assert backend.general.most == 2**20
    cond = backend.general.condition(asked(["a woman"] * 4, guidance=3.0))
    z = torch.stack([backend.general.noise(n) for n in range(4)])
    assert backend.general.step(z, 2, cond).shape == z.shape


def test_the_cost_is_what_is_counted(backend, monkeypatch):
    asked = []
    step = type(backend.general).step
    monkeypatch.setattr(
        type(backend.general),
        "step",
        lambda G, z, i, c: (asked.append(len(z)), step(G, z, i, c))[1],
    )
    for wanted in ((3,), (1,)):  # of everybody, tests/test_testing.py has it
        asked.clear()
        paint(StoryDiffusion(), backend, wanted=wanted)
        assert StoryDiffusion().calls(STORY, wanted, 4) == 2 * sum(asked)
