"""Facts about what all stages of training share."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from miniature import paths, sheets, train
from miniature.stages.few_steps import velocity_to
from miniature.stages.vae import CUTS, cut, noisy
from miniature.training import beside, losses, noise
from miniature.training.looking import PARTS, parts_of_words
from miniature.training.loop import Run, load_trained, trained
from miniature.training.muon import orthogonalized


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A state of its own."""
    monkeypatch.setenv(paths.VARIABLE, str(tmp_path))
    return tmp_path


def run_of(model, name="some", steps=4, **more) -> Run:
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    return Run(name, model, [optimizer], minutes=1, steps=steps, **more)


def go(run: Run) -> None:
    for _ in run:
        run.update(run.model.weight.square().sum())


def test_a_run_goes_on_where_it_stood(state):
    go(run_of(nn.Linear(3, 1, bias=False)))
    first = load_trained("some", nn.Linear(3, 1, bias=False)).weight
    again = run_of(nn.Linear(3, 1, bias=False))
    assert again.step == 4
    assert again.spent > 0
    assert torch.equal(again.model.weight, first)


def test_a_cooled_copy_leaves_the_constant_one_as_it_is(state):
    go(run_of(nn.Linear(3, 1, bias=False), decay_from=None))
    before = load_trained("some", nn.Linear(3, 1, bias=False)).weight.clone()
    cooled = run_of(nn.Linear(3, 1, bias=False), "cooled", decay_from=0.0, start="some")
    assert cooled.step == 4
    assert cooled.spent == 0
    go(cooled)
    assert torch.equal(load_trained("some", nn.Linear(3, 1, bias=False)).weight, before)
    assert not torch.equal(load_trained("cooled", nn.Linear(3, 1, bias=False)).weight, before)


def test_a_cooled_copy_begins_anew_when_the_constant_one_was_trained_on(state):
    """Else what that learned since would be lost; the old copy is kept aside."""
    new = lambda: nn.Linear(3, 1, bias=False)
    cool = lambda: run_of(new(), "cooled", decay_from=0.0, start="some")
    go(run_of(new(), decay_from=None))
    go(cool())
    old = load_trained("cooled", new()).weight
    again = cool()
    assert (again.step, again.began) == (8, 4)  # goes on: the constant one is as it was
    assert again.spent > 0
    go(run_of(new(), decay_from=None))
    anew = cool()
    assert (anew.step, anew.began, anew.spent) == (8, 8, 0)
    assert torch.equal(anew.model.weight, load_trained("some", new()).weight)
    assert torch.equal(load_trained("cooled_old", new()).weight, old)


def test_a_finished_stage_stays_as_it_is_and_a_copy_of_it_can_be_cooled(state, capsys):
    new = lambda: nn.Linear(3, 1, bias=False)
    go(run_of(new()))
    stored = torch.load(paths.checkpoint("some"), weights_only=True)
    torch.save(stored | {"finished": True}, paths.checkpoint("some"))
    again = run_of(new())
    go(again)
    assert again.step == 4
    assert "some stays as it was unpacked" in capsys.readouterr().out
    assert torch.equal(load_trained("some", new()).weight, stored["model"]["weight"])
    cooled = run_of(new(), "cooled", start="some")
    go(cooled)
    assert cooled.step == 8


def test_what_is_trained_beside_networks_fits_these_alone(state):
    """Another tower is another for the identity's LoRA; and what the U-Net's steps alone tell still fits."""
    paths.checkpoint("any").parent.mkdir()
    keep = lambda name, **has: torch.save(has, paths.checkpoint(name))
    for name in ("text", "vae_cool", "unet", "tower"):
        keep(name, step=5)
    for name in ("identity_lora", "few_steps", "pose_control"):
        keep(name, step=3, model={"beside": torch.tensor(beside.fingerprint(name))})
    fitting = lambda: [n for n in ("identity_lora", "few_steps", "pose_control") if beside.fits(n)]
    assert len(fitting()) == 3
    keep("tower", step=6)
    assert fitting() == ["pose_control"]
    keep("tower", step=5)
    keep("identity_lora", step=4, model={"beside": torch.tensor(5.0)})
    assert fitting() == ["identity_lora", "pose_control"]
    keep("unet_cool", step=9)
    assert fitting() == []


def test_rates_rise_stay_and_fall(state):
    run = run_of(nn.Linear(1, 1), warmup=2, decay_from=0.5)
    assert run.scale(0.0) == 0.5
    run.step = 5
    assert run.scale(0.3) == 1
    assert run.scale(1.0) == pytest.approx(0, abs=1e-9)
    constant = run_of(nn.Linear(1, 1), warmup=1, decay_from=None)
    assert constant.scale(1.0) == 1


def test_a_step_that_is_not_finite_changes_nothing(state):
    run = run_of(nn.Linear(2, 1, bias=False), steps=1)
    before = run.model.weight.clone()
    for _ in run:
        run.update((run.model.weight * float("inf")).sum())
    assert torch.equal(run.model.weight, before)
    assert trained("some")


def test_muon_makes_singular_values_alike():
    s = torch.linalg.svdvals(orthogonalized(torch.randn(40, 90)))
    assert s.max() / s.min() < 2.5


def test_the_same_picture_is_not_unlike():
    x = torch.rand(2, 3, 64, 64)
    assert losses.reconstruction(x, x, torch.ones(2, 1, 64, 64)) == 0
    assert losses.unlikeness([x], [x]) == 0


def test_brown_for_red_and_green_costs_more_than_a_shade():
    """Colours that differ count more than brightness does."""
    grey, one = torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    redder, lighter = grey.clone(), grey + 0.1
    redder[:, 0] += 0.1
    redder[:, 1] -= 0.1
    assert losses.reconstruction(redder, grey, one) > losses.reconstruction(lighter, grey, one)


def test_contrast_is_less_when_people_stand_together():
    e = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    right, wrong = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    assert losses.contrast(e, right) < losses.contrast(e, wrong)


def test_a_right_velocity_means_the_clean_latents():
    alpha_bar, z = noise.scheduler().alphas_cumprod, torch.randn(3, 4, 2, 2)
    t = torch.tensor([10, 500, 990])
    x, v = noise.noised(z, torch.randn_like(z), t, alpha_bar)
    assert noise.believed(x, v, t, alpha_bar).allclose(z, atol=1e-4)


def test_times_cover_the_schedule():
    t = noise.draw_times(4000, torch.device("cpu"))
    assert 0 <= t.min() < 60
    assert 990 < t.max() < 1000
    noisiest = (
        (t >= 900).float().mean()
    )  # a sampler's first steps: two fifths of a quarter's 100 of 250
    assert 0.15 < noisiest < 0.22
    assert 620 < t.float().mean() < 720


def test_last_channels_are_cut_and_first_ones_kept():
    z = torch.ones(200, 24, 1, 1)
    kept = cut(z, 1.0).flatten(1).sum(1)
    assert set(kept.int().tolist()) == set(CUTS)
    assert (cut(z, 1.0)[:, : min(CUTS)] == 1).all()
    assert torch.equal(cut(z, 0.0), z)


def test_noise_on_latents_is_of_the_size_that_is_asked_for():
    moved = noisy(torch.zeros(400, 8, 4, 4), 0.2)
    assert 0.13 < moved.std() < 0.2


def test_words_speak_of_parts():
    text = "a woman with long red hair in a green coat on a snowy pier"
    words = text.split()
    said = dict(zip(words, parts_of_words(words), strict=True))
    named = {w: PARTS[p] if p >= 0 else None for w, p in said.items()}
    assert named["woman"] == "head 1"
    assert named["red"] == named["hair"] == "hair"
    assert named["green"] == named["coat"] == "clothes"
    assert named["snowy"] == named["pier"] == "place"
    assert named["with"] is None


def test_the_second_person_is_the_second_head():
    text = "an old man and a girl"
    parts = [PARTS[p] if p >= 0 else None for p in parts_of_words(text.split())]
    assert parts[2] == "head 1"
    assert parts[5] == "head 2"


def test_one_prediction_gets_where_two_steps_got():
    a, b = torch.tensor([[[[0.3]]]]), torch.tensor([[[[0.8]]]])
    z, landed = torch.randn(1, 2, 3, 3), torch.randn(1, 2, 3, 3)
    v = velocity_to(z, landed, a, b)
    clean, eps = a.sqrt() * z - (1 - a).sqrt() * v, (1 - a).sqrt() * z + a.sqrt() * v
    assert (b.sqrt() * clean + (1 - b).sqrt() * eps).allclose(landed, atol=1e-5)


def test_an_exact_name_is_one_step_and_a_first_word_all_that_begin_with_it():
    named = lambda *names: [s.name for s in train.chosen(names)]
    assert named("unet") == ["unet"]
    assert named("unet --cool", "vae") == ["vae", "unet --cool"]
    assert named("draw") == [f"draw {kind}" for kind in train.TINY]


def test_a_step_or_a_sheet_that_there_is_not_is_named(monkeypatch, capsys):
    """Nothing would be done, and no word said of it."""
    monkeypatch.setattr(train.sys, "argv", ["train", "--only", "vea"])
    for main, word in ((train.main, "vea"), (lambda: sheets.main(["spede"]), "spede")):
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert re.search(f"'{word}'; there are: .*pe", capsys.readouterr().err)


def test_processes_are_shared_by_stages_that_draw_by_their_rank():
    """Others would compute the same in each. The decoder's judge is none of the trained model's."""
    for step in train.STEPS:
        module = importlib.import_module(f"miniature.{step.module}")
        ranked = "run.rank" in Path(module.__file__).read_text(encoding="utf-8")
        assert step.shared == (ranked and step.minutes > 0 and step.name != "decoder"), step.name
        told = train.command_of(step, scale=1, processes=2, tiny=False, out=None)
        assert ("--processes" in told) == step.shared
