"""Training goes on from the package's weights: unpacked and packed again they are the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from miniature import unpack
from miniature.pack import base_state, save_photomaker, training_facts
from miniature.paths import TARGET
from miniature.stages import identity_lora
from miniature.stages.identity_lora import Listener
from miniature.stages.painter import Painter
from miniature.training import loop
from miniature.training.loop import Run, load_trained


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for checkpoints."""
    for module in (loop, unpack):
        monkeypatch.setattr(module, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr("miniature.pack.CHECKPOINTS", tmp_path)
    monkeypatch.setattr("miniature.training.on_finished_unet.CHECKPOINTS", tmp_path)
    return tmp_path


def test_the_identity_file_is_unpacked_and_packed_byte_for_byte(tmp_path: Path) -> None:
    painter, tower = unpack.read_painter(TARGET), unpack.read_tower(TARGET)
    save_photomaker(painter, tower.encoder, tmp_path / "again.safetensors")
    there = TARGET / "photomaker.safetensors"
    assert (tmp_path / "again.safetensors").read_bytes() == there.read_bytes()


def test_the_unet_is_unpacked_whole() -> None:
    stored = {}
    for shard in (TARGET / "unet").glob("*.safetensors"):
        stored |= load_file(shard)
    read = base_state(unpack.read_painter(TARGET))
    assert read.keys() == stored.keys()
    assert all(torch.equal(read[k], stored[k].float()) for k in stored)


def test_only_what_hears_the_identity_learns(workplace: Path) -> None:
    """A step on the listener leaves the U-Net alone, and moves LoRA and fuse module."""
    torch.manual_seed(0)
    torch.save(dict(model=Painter().state_dict(), spent=1.0, step=7), workplace / "unet.pt")
    listener = Listener.new()
    assert float(listener.beside) == 7
    before = {k: v.clone() for k, v in listener.state_dict().items()}
    learning = [p for p in listener.parameters() if p.requires_grad]
    optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(learning, 1e-2, weight_decay=0)]
    run = Run("identity_lora", listener, optimizers, minutes=1, warmup=1)
    for group in run.optimizers[0].param_groups:
        group["lr"] = 1e-2
    z, e = torch.randn(2, 12, 16, 16), torch.randn(2, 320)
    states = listener.with_identity(torch.randn(2, 77, 320), torch.tensor([3, 4]), e)
    said = listener(z, torch.tensor([500, 100]), states, torch.randn(2, 192), identity=True)
    run.update(said.square().mean())
    changed = {k for k, v in listener.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert all(
        "lora_B" in k or k.startswith("fuse") for k in changed
    )  # A has no slope while B is 0
    run.save()
    assert identity_lora.load_painter().state_dict().keys() == before.keys()


def test_a_lora_of_another_unet_is_not_taken(workplace: Path) -> None:
    torch.save(dict(model=Painter().state_dict(), spent=1.0, step=7), workplace / "unet.pt")
    other = Listener()
    other.beside.fill_(6)
    torch.save(dict(model=other.state_dict(), spent=1.0, step=1), workplace / "identity_lora.pt")
    assert not isinstance(identity_lora.load_painter(), Listener)


def test_a_stage_goes_on_from_an_unpacked_checkpoint(workplace: Path) -> None:
    """Without states of optimizers, which only a training's own checkpoint has."""
    layer = torch.nn.Linear(2, 2)
    torch.save(dict(model=layer.state_dict(), spent=30.0, step=5), workplace / "some.pt")
    new = torch.nn.Linear(2, 2)
    run = Run("some", new, [torch.optim.AdamW(new.parameters())], minutes=1, ema=0.9)
    assert (run.step, run.spent) == (5, 30.0)
    assert torch.equal(new.weight, layer.weight)
    assert torch.equal(load_trained("some", torch.nn.Linear(2, 2)).weight, layer.weight)


def test_the_card_keeps_what_was_not_trained_again(workplace: Path) -> None:
    torch.save(dict(model={}, spent=120.0, step=9), workplace / "tower.pt")
    known = {n: dict(steps=3, minutes=1.5) for n in ("tower", "vae", "nonsense")}
    assert training_facts(known) == {"vae": (3, 1.5), "tower": (9, 2.0)}
