"""``ablate`` and ``evaluate`` on a checkpoint with Grounding DINO + SAM, which brings no CLIP."""

import csv
import json
import shutil

import pytest
import torch
from huggingface_hub import hf_hub_download

from identitystory.cli.main import main
from identitystory.errors import ModelError
from identitystory.experiments.instruments import CLIP, CLIPSEG, EvaluationRequest, open_tools
from identitystory.models.files.catalogue import ENTRIES
from identitystory.models.files.fetch import fetch
from identitystory.models.files.store import store
from tests.fake_hub import fake_hub  # noqa: F401
from tests.toy import toy_checkpoint, write_toy_grounded  # noqa: F401

STORY = """title = "One"
[[character]]
name = "Mara"
description = "a woman with dark curly hair"
[[scene]]
prompt = "{Mara} reads a letter on the pier"
"""


@pytest.fixture
def folder(toy, tmp_path):
    """A checkpoint made as ``--model sdxl`` is."""
    whole = shutil.copytree(toy, tmp_path / "whole")
    shutil.rmtree(whole / "segmenter")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        write_toy_grounded(whole / "segmenter")
    return whole


def serve_clipseg(hub, toy, repo):
    inside = toy / "segmenter"
    hub.files[repo] = {file.name: file.read_bytes() for file in inside.iterdir()}


def encoder_of(model, **wanted):
    tools = open_tools(EvaluationRequest((), faces="none", **wanted), [str(model)])
    return tools.measured_with["CLIP"]["name"].partition(" ")[0]


@pytest.mark.journey
def test_the_commands_run_unchanged_once_a_clip_is_there(hub, toy, folder, tmp_path, capsys):
    story = tmp_path / "story.toml"
    story.write_text(STORY)
    out = tmp_path / "out"
    command = ["ablate", "mechanism", "--model", str(folder), "--stories", str(story)]
    command += ["--steps", "2", "--portraits", "2", "--out", str(out)]
    command += ["--device", "cpu", "--faces", "none"]
    assert main(command) == 2
    assert "get one with: identitystory models fetch clip" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.png"))  # it was known before anything was painted

    serve_clipseg(hub, toy, CLIPSEG)
    assert main(["models", "fetch", "clipseg"]) == 0
    assert main(command) == 0
    table = list(csv.DictReader((out / "mechanism.csv").read_text().splitlines()))
    assert {r["variant"] for r in table if r["measure"] == "CLIP-T"} == {"no layout", "layout"}

    capsys.readouterr()
    page = ["--out", str(tmp_path / "page"), "--json", "--faces", "none", "--device", "cpu"]
    assert main(["evaluate", str(out), *page]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["measured_with"]["CLIP"]["name"].startswith(CLIPSEG)


def test_the_light_models_own_clipseg_measures_it(hub, toy):
    serve_clipseg(hub, toy, CLIPSEG)
    list(fetch(ENTRIES["clipseg"]))
    shutil.copy(toy / "photomaker.safetensors", store() / ENTRIES["photomaker"].converted)
    assert encoder_of(f"sdxl-light:{toy}") == f"sdxl-light:{toy.name}/segmenter"


def test_a_clip_in_the_hubs_cache_is_taken_by_its_id_and_before_clipsegs(hub, toy, folder):
    for repo in (CLIPSEG, CLIP, "owner/other"):
        serve_clipseg(hub, toy, repo)
    with pytest.raises(ModelError, match=r"Get it with: hf download owner/other"):
        encoder_of(folder, clip="owner/other")
    list(fetch(ENTRIES["clipseg"]))
    assert encoder_of(folder) == CLIPSEG
    for repo in (CLIP, "owner/other"):
        for name in hub.files[repo]:
            hf_hub_download(repo, name)
    assert encoder_of(folder) == CLIP
    with pytest.raises(ModelError, match=r"models fetch clip-l14 \(1\.7 GB\)"):
        encoder_of(folder, clip="clip-l14")
    assert encoder_of(folder, clip="owner/other") == "owner/other"
