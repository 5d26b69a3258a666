"""benchmarks/memory.py: a random checkpoint that opens as any other, and a whole story on it."""

import pytest
import torch
from transformers import GroundingDinoConfig, SamConfig

from benchmarks import memory
from identitystory.cost import count_evaluations
from identitystory.models.files.checkpoint import find_checkpoint
from identitystory.models.sdxl.sizes import SDXL_TEXT_2, SDXL_UNET
from tests.toy import WIDTHS, make_toy_pipeline, toy_vision_config, write_toy_grounded

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def sizes(tmp_path_factory):
    """What is said of SDXL in its configurations, at toy size."""
    folder = tmp_path_factory.mktemp("sizes")
    toy = make_toy_pipeline(folder)
    plain = lambda config: {k: v for k, v in dict(config).items() if not k.startswith("_")}
    text, text_2 = (
        encoder.config.to_dict() | {"vocab_size": 2000}
        for encoder in (toy.text_encoder, toy.text_encoder_2)
    )
    grounded = write_toy_grounded(folder / "grounded")
    return memory.Sizes(
        unet=plain(toy.unet.config),
        vae=plain(toy.vae.config),
        text=text,
        text_2=text_2,
        tower=toy_vision_config(WIDTHS[0]).to_dict(),
        widths=WIDTHS,
        rank=2,
        detector=GroundingDinoConfig.from_pretrained(grounded / "detector"),
        masks=SamConfig.from_pretrained(grounded / "sam"),
        detector_images={"size": {"shortest_edge": 96, "longest_edge": 160}},
        masks_images={"size": {"longest_edge": 64}, "pad_size": {"height": 64, "width": 64}},
    )


@pytest.mark.journey
def test_a_random_checkpoint_paints_a_whole_story_in_little_memory(sizes, tmp_path):
    """Both searches, both frames, everybody found: the formula's evaluations, and a peak."""
    folder = tmp_path / "random"
    memory.write_checkpoint(folder, sizes, device=CPU, dtype=torch.float32)
    assert len(find_checkpoint(folder).segmenter.files) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["random"]
    numbers = {"device": CPU, "dtype": torch.float32, "steps": 5, "portraits": 2}
    told = memory.measure(str(folder), "low-vram", load=memory.finds_everybody, **numbers)
    assert told["not found"] == {}
    assert told["evaluations"] == count_evaluations(5, 4, 3, templates=2, portraits=2 * 2)
    assert told["peak MiB"] is None or told["peak MiB"] > 100


def test_nothing_said_is_the_published_size():
    sizes = memory.Sizes()
    assert sizes.unet is SDXL_UNET
    assert sizes.text_2 is SDXL_TEXT_2
    assert sum(sizes.widths) == sizes.unet["cross_attention_dim"]
