"""benchmarks/cost.py on toy networks: the schedules cost what is said of them, true sizes included."""

import pytest
import torch

from benchmarks import cost
from identitystory.models.sdxl.lora import LoraLayer, load_lora
from identitystory.models.sdxl.photomaker import LORA
from tests.toy import make_toy_pipeline


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """The way that true sizes take, with the toy's U-Net and VAE in their places."""
    torch.manual_seed(0)
    toy = make_toy_pipeline(tmp_path)
    monkeypatch.setattr(cost, "random_sdxl", lambda *_: (toy.unet, toy.vae))
    return cost.Bench("random-sdxl", 5, torch.device("cpu"), torch.float32)


def test_every_schedule_is_counted_and_timed_in_turns(bench, monkeypatch):
    """2t for a plain picture, 2t + 2t's for ours, 8t + 2(t'+1)s as released; ratios per turn."""
    monkeypatch.setattr(cost, "matmul_peak", lambda *_: 1e9)
    told = cost.measure(bench, 1, [1], [2])
    rows = {row["what"]: row for row in told["rows"]}
    assert {name: row["evaluations"] for name, row in rows.items()} == {
        "plain SDXL": 10,
        "ours, s = 1": 18,
        "release, s = 1": 50,
        "ours, s = 1, 2 together": 18,
    }
    assert rows["plain SDXL"]["times plain"] == 1
    assert all(row["processor s"] > 0 < row["times plain"] for row in rows.values())
    page = cost.as_markdown("toy", told)
    assert page.count("\n| ") == 2 + len(rows)
    assert "steps 5" in page


def test_the_plain_pipeline_runs_without_a_trace_of_the_lora(bench):
    wrapped = lambda: [m for m in bench.G.unet.modules() if isinstance(m, LoraLayer)]
    before = wrapped()
    assert before
    with cost.without_lora(bench.G.unet):
        assert wrapped() == []
    assert wrapped() == before


def test_the_random_lora_has_a_place_for_each_of_its_tensors(tmp_path):
    unet = make_toy_pipeline(tmp_path).unet
    state = cost.random_lora(unet, rank=2)
    assert len(load_lora(unet, state, LORA).layers) == len(state) // 2
