"""The style stage: the same records in another style, and a LoRA file that the package opens."""

from __future__ import annotations

import importlib
import json
import shutil

import numpy as np
import pytest
import torch

from identitystory.models.sdxl.lora import merge_lora
from miniature import addition, paths
from miniature.pictures import draw, latents, recipe, sets
from miniature.stages import style, text, unet, vae

STYLE, SET = "ink line", "singles_ink_line"


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Untrained networks, a block of drawings and their latents."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("state")
    patch.setenv(paths.VARIABLE, str(folder))
    (folder / "checkpoints").mkdir()
    for name in ("tokenizer", "tokenizer_2"):  # what training makes of them is seen in test_words
        shutil.copytree(paths.TARGET / name, folder / name)
    torch.manual_seed(0)
    models = {
        "text": text.Teaching(len(text.make_tokenizers()[0])),
        "vae": vae.Taught(),
        "unet": unet.new_unet(),
    }
    for name, model in models.items():
        torch.save({"model": model.state_dict(), "step": 5, "spent": 0.0}, paths.checkpoint(name))
    draw.draw(SET, 64)
    store_latents(latents.Latents(sets.open_set(SET)))
    yield folder
    patch.undo()


def store_latents(of: latents.Latents) -> None:
    """Latents of noise: an untrained encoder would tell no more, and takes seconds."""
    z, cells = of.arrays(vae.CHANNELS, "r+")
    z[:] = torch.randn(z.shape).numpy()
    cells[:] = latents.shares_of_cells(of.data, of.data.marks)
    (of.data.folder / "encoded.json").write_text(json.dumps({"blocks": [0]}))
    unit = torch.ones(vae.CHANNELS, 1, 1)
    torch.save({"mean": 0 * unit, "std": unit}, latents.norm_path())


def test_a_styles_set_has_the_same_records_and_labels(state):
    data, number = sets.open_set(SET), 5
    record = recipe.record_of("singles", number)
    assert data.shots[number].record == record
    plain = draw.paint(record)
    assert np.array_equal(sets.part_of(data.marks[number]), plain.part)
    assert (data.rgb[number] != plain.rgb).mean() > 0.5


def test_the_package_reads_the_lora_as_it_was_trained(state):
    """Merged by the package's own loader, the U-Net answers as the trained one, not as the plain."""
    style.train(STYLE, 1, batch=2, steps=2)
    path = paths.checkpoint(style.name_of(STYLE))
    trained = torch.load(path, weights_only=True)
    assert trained["step"] == 2
    changed = {k: v for k, v in trained["model"].items() if k.startswith("lora.") and v.any()}
    assert len(changed) == len([k for k in trained["model"] if k.startswith("lora.")])
    for value in changed.values():
        value.copy_((torch.randn(value.shape) * 0.1).half())
    torch.save(trained, path)
    style.pack(STYLE, state / "ink.safetensors")
    model = unet.load_trained(style.name_of(STYLE), style.Styled())
    merged = unet.load_unet()
    merge_lora(state / "ink.safetensors", 1.0, merged, ())
    inputs = torch.randn(1, 24, 16, 16), torch.tensor([500]), torch.randn(1, 7, 320)
    with torch.no_grad():
        plain, theirs = (
            unet.predicted(net, *inputs, torch.zeros(1, 192)) for net in (unet.load_unet(), merged)
        )
        ours = model(*inputs, torch.zeros(1, 192))
    torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-3)
    assert (theirs - plain).abs().max() > 0.1


def test_a_lora_of_another_unet_is_begun_anew(state):
    torch.save({"model": {"beside": torch.tensor(4.0)}}, paths.checkpoint("style_cut_paper"))
    with pytest.raises(SystemExit, match="train it again"):
        style.pack("cut paper", state / "paper.safetensors")


@pytest.mark.parametrize("what", [addition.POSE, *addition.OTHER_STYLES])
def test_the_one_command_gives_commands_that_there_are(what):
    made = addition.commands(what, minutes=1, singles=64, pairs=64, tiny=True)
    for module, *_ in made:
        assert importlib.import_module(f"miniature.{module}").main
    drawn = [each[1] for each in made if each[0] == "pictures.draw"]
    assert set(drawn) <= set(recipe.KINDS)
    assert made[-2][2:] == drawn
    assert what == addition.POSE or set(drawn) == set(style.sets_of(what))
