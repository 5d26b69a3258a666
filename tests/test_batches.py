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
from identitystory.sampling import joined, within
from identitystory.types import Scene
from tests.conftest import FakeGenerator, FakeIdentityGenerator
from tests.test_injection import MARA, NOTHING, TOM, identity, template
from tests.test_service import FRAME_COST, PRESET, STORY, Workshop, contents, kinds
from tests.toy import WIDTHS, toy_checkpoint  # noqa: F401

from identitystory.runs.events import Finished, FrameReady, PartKept  # isort: skip
from identitystory.runs.request import RunRequest  # isort: skip

CONFIG = InjectionConfig(start=8)


def joins(G):
    """The fake with a ``join``: its conditionings are tensors of one row a picture."""
    G.join = lambda conds: torch.cat(conds)
    return G


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


def test_first_templates_are_painted_as_one_batch_or_not_at_all():
    scenes = [Scene("a pier", ()), Scene("a hill", ())]
    assert first_latents(FakeGenerator(), scenes, [0, 1], CONFIG) == [None, None]
    assert first_latents(joins(FakeGenerator()), scenes[:1], [0], CONFIG) == [None]
    G = joins(FakeGenerator())
    both = first_latents(G, scenes, [0, 1], CONFIG)
    assert G.asked == [(2, i) for i in range(10, 0, -1)]
    for z, prompt, seed in zip(both, ("a pier", "a hill"), (0, 1), strict=True):
        assert torch.equal(z, template(MARA, prompt=prompt, seed=seed).latents)


def test_a_guidance_interval_joins_both_of_its_pair():
    G = within(joins(FakeGenerator()), (0.0, 0.5))
    conds = [G.condition([word], guidance=4.0) for word in ("pier", "hill")]
    z = torch.stack([G.noise(0), G.noise(1)])
    cond = joined(G, conds)
    for i in (9, 2):
        apart = [G.step(z[n : n + 1], i, conds[n]) for n in range(2)]
        assert torch.equal(G.step(z, i, cond), torch.cat(apart))
    assert joined(within(FakeGenerator(), (0.0, 0.5)), conds) is None


# --- the models ----------------------------------------------------------------------------------


def test_joined_conditionings_steer_as_they_do_apart(toy):
    backend = load_backend(toy, device="cpu", num_steps=4, dtype="float32")
    G, G_id = backend.general, backend.identity
    e = torch.randn(3, sum(WIDTHS), generator=torch.Generator().manual_seed(0))
    faces = [
        G_id.condition(
            ["a woman", "an old man"], guidance=3.0, identities=e[:2], nouns=["woman", "man"]
        ),
        G_id.condition(["a girl"], guidance=3.0, identities=e[2:], nouns=["girl"]),
    ]
    plain = [G.condition([prompt], guidance=3.0) for prompt in ("a pier", "a photo of a girl")]
    for generator, conds in ((G, plain), (G_id, faces)):
        cond = joined(generator, conds)
        z = torch.stack([G.noise(n) for n in range(cond.batch)])
        parts = z.split([c.batch for c in conds])
        apart = [generator.step(p, 3, c) for p, c in zip(parts, conds, strict=True)]
        torch.testing.assert_close(generator.step(z, 3, cond), torch.cat(apart))
    again = G_id.fuse_again(joined(G_id, faces))
    apart = joined(G_id, [G_id.fuse_again(c) for c in faces])
    torch.testing.assert_close(again.hidden, apart.hidden)


def test_what_cannot_be_one_batch_is_not_joined(toy):
    G = load_backend(toy, device="cpu", num_steps=4, dtype="float32").general
    short, long = (G.condition([words], guidance=3.0) for words in ("a pier", "a pier " * 60))
    assert long.hidden.shape[1] > short.hidden.shape[1]
    assert joined(G, [short, long]) is None
    assert joined(G, [short, replace(short, guidance=2.0)]) is None


# --- the run -------------------------------------------------------------------------------------


@pytest.fixture
def request_(tmp_path):
    return RunRequest(STORY, tmp_path / "run", replace(PRESET, batch=2))


@pytest.fixture
def workshop(backend):
    joins(backend.general), joins(backend.identity)
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
    assert keys[0]["frames/000"]["key"] != keys[1]["frames/000"]["key"]


def test_a_frame_that_was_lost_is_painted_in_its_old_company(workshop, request_):
    """The block as it was, only the missing frame written; the others are not touched."""
    workshop.run(request_)
    before = contents(request_.out)
    (request_.out / "frames" / "001.png").unlink()
    times = {p: p.stat().st_mtime_ns for p in request_.out.rglob("000*.png")}
    workshop.backend.general.asked.clear()
    events = workshop.run(request_)
    assert contents(request_.out) == before
    assert {p: p.stat().st_mtime_ns for p in request_.out.rglob("000*.png")} == times
    assert {rows for rows, _ in workshop.backend.general.asked} == {2}
    assert len(kinds(events, PartKept)) == 4
    assert kinds(events, Finished)[0].evaluations == 2 * FRAME_COST + 2 * 8


def test_a_batch_is_at_least_one():
    with pytest.raises(ConfigError, match="batch is 0; it must be a whole number of at least 1"):
        Preset("mine", batch=0)
