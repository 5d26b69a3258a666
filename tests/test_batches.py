"""Several frames as one batch: the same pictures, and the same bytes wherever a run was cut off."""

import json
from dataclasses import replace

import pytest
import torch

from identitystory.config import InjectionConfig, Preset
from identitystory.errors import ConfigError
from identitystory.injection import redenoise, redenoise_together
from identitystory.models.backend import load_backend
from identitystory.pipeline import first_latents
from identitystory.types import Prompt, Scene, Story
from tests.conftest import FakeGenerator, FakeIdentityGenerator
from tests.test_injection import MARA, NOTHING, TOM, identity, template
from tests.test_service import FRAME_COST, PRESET, STORY, Workshop, contents, kinds
from tests.toy import WIDTHS, toy_checkpoint  # noqa: F401

from identitystory.runs.events import Finished, FrameReady, PartKept  # isort: skip
from identitystory.runs.request import RunRequest  # isort: skip

CONFIG = InjectionConfig(start=8)


# --- the method ----------------------------------------------------------------------------------


def test_frames_re_denoised_together_are_those_re_denoised_alone():
    """Two characters, nobody, one: each frame gets its own rows back."""
    G = FakeIdentityGenerator()
    frames = [template(MARA, TOM), template(NOTHING, seed=1), template(TOM, seed=2)]
    conds = [identity(3.0, -2.0), None, identity(5.0)]
    together = redenoise_together(G, frames, identity(3.0, -2.0, 5.0), CONFIG)
    assert G.asked == [(3, i) for i in range(8, 0, -1)]
    for one, frame, cond in zip(together, frames, conds, strict=True):
        assert torch.equal(one, redenoise(G, frame, cond, CONFIG))
    assert torch.equal(together[1], frames[1].latents[0])


def test_first_templates_are_painted_as_one_batch():
    scenes = [Scene("a pier", ()), Scene("a hill", ())]
    story = Story("two places", (), tuple(scenes))
    G = FakeGenerator()
    assert first_latents(G, story, scenes[:1], [0], CONFIG) == [None]
    both = first_latents(G, story, scenes, [0, 1], CONFIG)
    assert G.asked == [(2, i) for i in range(10, 0, -1)]
    for z, prompt, seed in zip(both, ("a pier", "a hill"), (0, 1), strict=True):
        assert torch.equal(z, template(MARA, prompt=prompt, seed=seed).latents)


# --- the models ----------------------------------------------------------------------------------


def test_faces_are_fused_as_they_are_alone(toy):
    """Two with a face around one without; once, and once more."""
    G_id = load_backend(toy, device="cpu", num_steps=4, dtype="float32").identity
    e = torch.randn(2, sum(WIDTHS), generator=torch.Generator().manual_seed(0))
    prompts = [
        Prompt("a woman", guidance=3.0, face=e[0], noun="woman"),
        Prompt("a photo of a girl", guidance=3.0),
        Prompt("an old man, " * 30, guidance=3.0, face=e[1], noun="man"),
    ]
    cond = G_id.condition(prompts)
    z = torch.stack([G_id.noise(n) for n in range(3)])
    conds = [G_id.condition([prompt]) for prompt in prompts]
    alone = [G_id.step(z[n : n + 1], 3, c) for n, c in enumerate(conds)]
    torch.testing.assert_close(G_id.step(z, 3, cond), torch.cat(alone), rtol=1e-4, atol=1e-4)
    again = G_id.fuse_again(cond)
    assert not torch.equal(again.hidden, cond.hidden)
    for n, one in enumerate(conds):
        hidden = G_id.fuse_again(one).hidden
        torch.testing.assert_close(again.hidden[3 + n, : hidden.shape[1]], hidden[1])


# --- the run -------------------------------------------------------------------------------------


@pytest.fixture
def request_(tmp_path):
    return RunRequest(STORY, tmp_path / "run", replace(PRESET, batch=2))


@pytest.fixture
def workshop(backend):
    return Workshop(backend)


def pictures(root):
    """Pixels would do, but keys stand in the files: those are left out."""
    return {k: v for k, v in contents(root).items() if "frames" in k}


def test_a_run_in_batches_paints_the_same_at_the_same_cost(workshop, request_, tmp_path):
    from PIL import Image

    alone = replace(request_, out=tmp_path / "alone", preset=PRESET)
    events = [workshop.run(r) for r in (request_, alone)]
    ends = [kinds(e, Finished)[0] for e in events]
    assert ends[0].evaluations == ends[1].evaluations
    assert [e.index for e in kinds(events[0], FrameReady)] == [0, 1, 2]
    first, second, _ = kinds(events[0], FrameReady)
    assert first.seconds == second.seconds > 0  # each its share of what the batch took
    for name in pictures(alone.out):
        a, b = (Image.open(r.out / name) for r in (request_, alone))
        assert a.tobytes() == b.tobytes()
    keys = [json.loads((r.out / "run.json").read_text())["parts"] for r in (request_, alone)]
    assert keys[0]["cast/Mara"]["key"] == keys[1]["cast/Mara"]["key"]
    assert keys[0]["frames/001"]["key"] != keys[1]["frames/001"]["key"]


def test_a_frame_that_was_lost_is_painted_in_its_old_company(workshop, request_):
    """The block as it was, only the missing frame written; the others are not touched."""
    workshop.run(request_)
    before = contents(request_.out)
    (request_.out / "frames" / "002.png").unlink()
    others = sorted((request_.out / "frames").glob("00[13]*.png"))
    times = [p.stat().st_mtime_ns for p in others]
    assert len(times) == 2 * 3
    workshop.backend.general.asked.clear()
    events = workshop.run(request_)
    assert contents(request_.out) == before
    assert [p.stat().st_mtime_ns for p in others] == times
    assert {rows for rows, _ in workshop.backend.general.asked} == {2}
    assert len(kinds(events, PartKept)) == 4
    assert kinds(events, Finished)[0].evaluations == 2 * FRAME_COST + 2 * 8


def test_a_batch_is_at_least_one():
    with pytest.raises(ConfigError, match="batch is 0; it must be a whole number of at least 1"):
        Preset("mine", batch=0)
