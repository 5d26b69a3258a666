"""models/hub.py: fetched when asked, found offline, held to its hashes; every failure a sentence."""

import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from identitystory.cli.main import main
from identitystory.errors import ModelError
from identitystory.models.backend import load_backend
from identitystory.models.family import FAMILIES
from identitystory.models.files import fetch as fetching
from identitystory.models.files.catalogue import (
    ALLOWED,
    BUNDLES,
    ENTRIES,
    OPTIONAL,
    entries_of,
    entry_of,
)
from identitystory.models.files.checkpoint import find_checkpoint, fingerprint
from identitystory.models.files.fetch import fetch
from identitystory.models.files.store import (
    content_hash,
    located,
    read_lock,
    revision_of,
    sha256,
    store,
    verify,
)
from identitystory.models.sdxl import convert
from identitystory.models.sdxl.convert_instantid import attention_shapes, resampler_shapes
from identitystory.models.sdxl.family import (
    FACE_FILES,
    FACES,
    IDENTITY_NET,
    INSTANTID_FILE,
    adapter_fingerprint,
)
from tests.fake_hub import COMMIT, fake_hub  # noqa: F401
from tests.toy import (
    add_toy_instantid,
    add_toy_ip_adapter,
    add_toy_plus_face,
    fake_insightface,
    toy_checkpoint,  # noqa: F401
    write_toy_grounded,
)

SAM, LIGHTNING, PHOTOMAKER = (ENTRIES[n] for n in ("sam", "sdxl-lightning", "photomaker"))
ADAPTER = ENTRIES["ip-adapter"]
BASE = "owner/base"


def read(folder):
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in folder.rglob("*.*")}


def serve_sam(hub):
    hub.files[SAM.repo] = {"config.json": b"{}", "model.safetensors": b"abc", "model.bin": b"no"}


# --- Getting a model ---------------------------------------------------------------------------


def test_a_fetch_takes_what_is_opened_pins_the_commit_and_is_repeated_for_nothing(hub):
    serve_sam(hub)
    lines = list(fetch(SAM))
    assert COMMIT in lines[0]
    assert sorted(p.name for p in located(SAM).iterdir()) == ["config.json", "model.safetensors"]
    assert located(SAM).name == COMMIT
    assert read_lock()[SAM.repo]["revision"] == COMMIT
    asked = len(hub.asked)
    list(fetch(SAM))
    assert not any("model.safetensors" in path for path in hub.asked[asked:])


def test_another_base_with_the_table_around_it_is_the_complete_folder(hub, toy):
    """Parts fetched into several folders paint as one folder does: same fingerprint."""
    content = read(toy)
    for part in ("unet", "vae"):  # half precision beside the full one: only it is wanted
        (name,) = [n for n in content if n.startswith(part) and n.endswith(".safetensors")]
        content[name.replace(".safetensors", ".fp16.safetensors")] = content.pop(name)
        content[name] = b"full precision"
    content["unet/flax_model.msgpack"] = b"x"
    hub.files[BASE] = {k: v for k, v in content.items() if not k.startswith(("segm", "photo"))}
    segmenter = {k.partition("/")[2]: v for k, v in content.items() if k.startswith("segm")}
    hub.files[ENTRIES["clipseg"].repo] = segmenter
    for name in (BASE, "clipseg"):
        list(fetch(entry_of(name)))
    made = store() / PHOTOMAKER.converted
    made.parent.mkdir(exist_ok=True)
    shutil.copy(toy / "photomaker.safetensors", made)

    found = find_checkpoint(f"sdxl-light:{BASE}")
    files = {p.name for p in (found.base / "unet").iterdir()}
    assert files == {"config.json", "diffusion_pytorch_model.fp16.safetensors"}
    whole = shutil.copytree(toy, made.parent / "whole")
    for part in ("unet", "vae"):
        (file,) = (whole / part).glob("*.safetensors")
        file.rename(file.with_name(f"{file.stem}.fp16.safetensors"))
    assert fingerprint(found) == fingerprint(find_checkpoint(whole))
    assert entries_of(f"sdxl-light:{BASE}")[0].repo == BASE
    with pytest.raises(ModelError, match=r"lacks photomaker.* --model sdxl --base owner/base"):
        find_checkpoint(BASE)


def test_a_commit_that_was_asked_for_holds_against_the_tables(hub):
    """Who fetched another commit than the table's opens that one, and fetches it again."""
    serve_sam(hub)
    ours = replace(SAM, revision="f" * 40)
    assert revision_of(ours) == "f" * 40
    with pytest.raises(ModelError, match=r"no commit or branch 'f{40}'"):
        list(fetch(ours))
    list(fetch(ours, revision=COMMIT))
    assert revision_of(ours) == located(ours).name == COMMIT
    list(fetch(ours))  # the table's commit is not on this hub
    assert verify(ours) == []


def test_the_ip_adapters_files_are_fetched_by_name_and_stand_beside_any_base(hub, toy, tmp_path):
    """Out of a repository with others in it; a checkpoint's own comes first."""
    made = add_toy_ip_adapter(shutil.copytree(toy, tmp_path / "made"))
    wanted = {name: (made / name).read_bytes() for name in ADAPTER.files}
    hub.files[ADAPTER.repo] = {**wanted, "models/ip-adapter_sd15.safetensors": b"no"}
    content = read(toy)
    segmenter = {k.partition("/")[2]: v for k, v in content.items() if k.startswith("segm")}
    hub.files[ENTRIES["clipseg"].repo] = segmenter
    list(fetch(ENTRIES["clipseg"]))
    (store() / PHOTOMAKER.converted).write_bytes(b"")
    assert find_checkpoint(f"sdxl-light:{toy}").adapter is None
    with pytest.raises(ModelError, match=r"models fetch ip-adapter \(4\.4 GB\)$"):
        located(ADAPTER)
    list(fetch(ADAPTER))
    found = find_checkpoint(f"sdxl-light:{toy}").adapter
    assert {name: (found / name).read_bytes() for name in ADAPTER.files} == wanted
    assert not (found / "models").exists()
    assert verify(ADAPTER) == []
    assert find_checkpoint(f"sdxl-light:{made}").adapter == made
    assert len(adapter_fingerprint(found)) == 64
    hub.files[ADAPTER.repo].pop(ADAPTER.files[-1])
    with pytest.raises(ModelError, match=r"has no file sdxl_models/image_encoder/model"):
        list(fetch(ADAPTER))


def test_two_parts_of_one_repository_are_each_fetched_opened_and_verified(hub, toy, tmp_path):
    """Plus Face out of the repository of the plain adapter; each is found at its own places."""
    made = add_toy_plus_face(add_toy_ip_adapter(shutil.copytree(toy, tmp_path / "made")))
    plus = ENTRIES["plus-face"]
    hub.files[ADAPTER.repo] = {n: (made / n).read_bytes() for n in (*ADAPTER.files, *plus.files)}
    content = read(toy)
    hub.files[ENTRIES["sdxl-base"].repo] = {
        k: v for k, v in content.items() if not k.startswith(("segm", "photo"))
    }
    folder = write_toy_grounded(tmp_path / "grounded")
    for name, at in (("grounding-dino", "detector"), ("sam", "sam")):
        hub.files[ENTRIES[name].repo] = {f.name: f.read_bytes() for f in (folder / at).iterdir()}
    with pytest.raises(ModelError, match=r"lacks .*h94/IP-Adapter.*fetch sdxl-plus-face"):
        find_checkpoint("sdxl-plus-face")
    for entry in (ADAPTER, *entries_of("sdxl-plus-face")):
        list(fetch(entry))
    found = find_checkpoint("sdxl-plus-face")
    assert (found.identity.name, found.adapter) == ("plus-face", located(ADAPTER))
    assert [file.exists() for file in found.identity.files] == [True, True]
    assert found.identity.files[1] == located(plus) / "models" / "image_encoder"
    assert verify(ADAPTER) == verify(plus) == []
    blob = (located(ADAPTER) / ADAPTER.files[0]).resolve()
    blob.write_bytes(b"other" + blob.read_bytes()[5:])
    assert verify(plus) == verify(ADAPTER) != []  # all that was fetched of the repository
    backend = load_backend("sdxl-plus-face", device="cpu", num_steps=2)
    assert backend.identity.embed([Image.new("RGB", (40, 40))]).shape == (1, 3 * 96)


def test_the_one_file_of_the_few_step_lora_is_what_is_opened(hub, toy, monkeypatch):
    hub.files[LIGHTNING.repo] = {LIGHTNING.file: b"lora", "other.safetensors": b"no"}
    with pytest.raises(ModelError, match=r"models fetch sdxl-lightning$"):
        located(LIGHTNING)
    list(fetch(LIGHTNING))
    assert located(LIGHTNING).name == LIGHTNING.file
    assert located(LIGHTNING).read_bytes() == b"lora"
    assert verify(LIGHTNING) == []

    content = read(toy)
    segmenter = {k.partition("/")[2]: v for k, v in content.items() if k.startswith("segm")}
    hub.files[ENTRIES["clipseg"].repo] = segmenter
    list(fetch(ENTRIES["clipseg"]))
    (store() / PHOTOMAKER.converted).write_bytes(b"")
    assert find_checkpoint(f"sdxl-light:{toy}").few_steps == located(LIGHTNING)
    with pytest.raises(ModelError, match=rf"{toy} is SDXL, and --model z-image has .*--model sdxl"):
        find_checkpoint(f"z-image:{toy}")
    other = replace(FAMILIES.get("sdxl"), few_steps=False)
    monkeypatch.setattr("identitystory.models.sdxl.family.SDXL", other)
    assert find_checkpoint(f"sdxl-light:{toy}").few_steps is None
    located(LIGHTNING).resolve().write_bytes(b"lorry")
    assert verify(LIGHTNING) == [f"{LIGHTNING.file} has 5 bytes instead of 4"]


def test_the_pickle_is_converted_once_and_again_when_what_it_became_has_changed(hub, monkeypatch):
    entry, done = ENTRIES["photomaker"], []
    hub.files[entry.repo] = {entry.file: b"a pickle"}

    def converted(_, pickle, made):
        done.append(pickle.name)
        made.parent.mkdir(exist_ok=True)
        made.write_bytes(b"tensors")

    monkeypatch.setattr(fetching, "convert", converted)
    list(fetch(entry))
    list(fetch(entry))
    assert done == [entry.file]
    (store() / PHOTOMAKER.converted).write_bytes(b"other tensors")
    assert verify(entry) == [
        f"{store() / PHOTOMAKER.converted} has changed since it was converted. "
        "Get it with: identitystory models fetch photomaker (0.8 GB)"
    ]
    list(fetch(entry))
    assert done == [entry.file] * 2
    assert verify(entry) == []


def test_what_changed_since_is_named(hub):
    serve_sam(hub)
    with pytest.raises(ModelError, match=r"not on this machine.*models fetch sam"):
        verify(SAM)
    list(fetch(SAM))
    assert verify(SAM) == []
    (located(SAM) / "model.safetensors").resolve().write_bytes(b"abd")
    (located(SAM) / "config.json").resolve().write_bytes(b"{ }")
    assert verify(SAM) == [
        "config.json has 3 bytes instead of 2",
        "model.safetensors has another content than the hub's",
    ]
    (located(SAM) / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"lacks model\.safetensors"):
        located(SAM)


def test_a_blobs_name_is_its_hash_and_is_believed_only_in_the_cache(hub, tmp_path):
    serve_sam(hub)
    list(fetch(SAM))
    file = located(SAM) / "model.safetensors"
    assert content_hash(file) == sha256(file)
    file.resolve().write_bytes(b"changed")
    assert content_hash(file) != sha256(file)  # the name again, nothing is read
    alone = tmp_path / ("0" * 64)
    alone.write_bytes(b"abc")
    assert content_hash(alone) == sha256(alone)


# --- Failures, as the user meets them ------------------------------------------------------------


def fails(capsys, code, *arguments):
    assert main(["models", *arguments]) == code
    out = capsys.readouterr()
    assert out.err.count("\n") == 1
    assert "Traceback" not in out.err
    return out.err


def test_an_unknown_id_a_gated_one_and_an_unknown_commit(hub, capsys):
    serve_sam(hub)
    assert "no public model 'nobody/nothing'" in fails(capsys, 2, "fetch", "nobody/nothing")
    assert "no commit or branch 'v9'" in fails(capsys, 2, "fetch", "sam", "--revision", "v9")
    hub.gated.add(SAM.repo)
    assert "is gated: accept its terms" in fails(capsys, 2, "fetch", "sam")
    assert "no model is called 'samm'" in fails(capsys, 2, "fetch", "samm")
    assert "name what to fetch" in fails(capsys, 2, "fetch")
    assert "not a hub id" in fails(capsys, 2, "fetch", "a b/c d")
    assert "is a commit of one model" in fails(capsys, 2, "fetch", "sdxl", "--revision", COMMIT)
    assert "is a commit of one model" in fails(capsys, 2, "verify", "sam", "--revision", COMMIT)


def test_a_hub_that_refuses_is_the_machines_failure(hub, capsys):
    serve_sam(hub)
    hub.busy.add(SAM.repo)
    assert f"the hub refuses {SAM.repo}: " in fails(capsys, 1, "fetch", "sam")


def test_repositories_of_another_kind(hub, capsys):
    hub.files[BASE] = {"README.md": b"hello"}
    assert "no model_index.json" in fails(capsys, 2, "fetch", BASE)
    hub.files[BASE] = {"model_index.json": b"{}", "unet/config.json": b"{}", "unet/a.bin": b"x"}
    assert "no tokenizer/" in fails(capsys, 2, "fetch", BASE)
    hub.files[SAM.repo] = {"config.json": b"{}", "pytorch_model.bin": b"x"}
    assert "pickled weights are not opened" in fails(capsys, 2, "fetch", "sam")
    hub.files[ENTRIES["photomaker"].repo] = {"README.md": b""}
    assert "has no file photomaker-v1.bin" in fails(capsys, 2, "fetch", "photomaker")
    hub.files[BASE] = {"model_index.json": b"{}", "unet/../../evil.json": b"{}"}
    assert "no tokenizer/" in fails(capsys, 2, "fetch", BASE)  # such a name is not even looked at


def test_a_base_for_inpainting_is_refused_before_its_weights_are_fetched(hub, toy, capsys):
    hub.files[BASE] = read(toy) | {
        "model_index.json": b'{"_class_name": "StableDiffusionXLInpaintPipeline"}'
    }
    assert "holds a StableDiffusionXLInpaintPipeline" in fails(capsys, 2, "fetch", BASE)
    assert not any("safetensors" in path for path in hub.asked)


def test_weights_that_lie_in_the_cache_are_not_fetched_again(hub, capsys, monkeypatch):
    """A new commit with the same weights: the cache has them by their hash."""
    serve_sam(hub)
    list(fetch(SAM))
    weights = located(SAM) / "model.safetensors"
    weights.unlink()  # of the snapshot; the blob stays
    hub.asked.clear()
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 2**28))
    list(fetch(SAM))
    assert weights.read_bytes() == b"abc"
    assert not any("/resolve/" in path for path in hub.asked)
    weights.unlink()
    next(
        blob for blob in weights.parents[2].glob("blobs/*") if blob.stat().st_size == 3
    ).write_bytes(b"abd")
    list(fetch(SAM))
    assert verify(SAM) == []


def test_a_file_that_is_not_what_the_hub_promised_is_not_pinned(hub, capsys):
    serve_sam(hub)
    hub.lying.add(SAM.repo)
    assert "is not what the hub says" in fails(capsys, 2, "fetch", "sam")
    assert read_lock() == {}


def blobs(tmp_path):
    return sorted(p.name for p in tmp_path.rglob("blobs/*"))


def changed(**values):
    """What the hub says of a repository, with other values of its own or of every file's."""

    def answer(body):
        listing = json.loads(body)
        for key, value in values.items():
            for told in (listing, *listing["siblings"]):
                if key in told:
                    told[key] = value
        return json.dumps(listing).encode()

    return answer


OUTSIDE = "../../../../outside"


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (changed(sha=OUTSIDE), 2, "it is no commit"),
        (changed(sha="main"), 2, "it is no commit"),
        (changed(sha="A" * 40), 2, "it is no commit"),
        (changed(sha=None), 2, "it is no commit"),
        (changed(blobId=OUTSIDE, lfs=None), 2, "no size and hash of config.json"),
        (changed(lfs={"sha256": OUTSIDE, "size": 3, "pointerSize": 1}), 2, "no size and hash"),
        (changed(blobId="0" * 64, lfs=None), 2, "no size and hash"),
        (changed(size=-1), 2, "no size and hash"),
        (changed(size="many"), 1, "the hub's answer about facebook/sam-vit-huge is none"),
        (changed(siblings=7), 1, "the hub's answer"),
        (changed(siblings=[{"rfilename": None}]), 2, "no .safetensors weights"),
        (lambda body: b"<html><body>Welcome to the hotel</body></html>", 1, "the hub's answer"),
        (lambda body: body[:40], 1, "the hub's answer"),
        (lambda body: b"[]", 1, "the hub's answer"),
        (lambda body: b"", 1, "the hub's answer"),
    ],
)
def test_a_hub_that_says_nonsense_is_one_line_and_places_nothing(
    hub, capsys, tmp_path, answer, code, told
):
    serve_sam(hub)
    hub.answer = answer
    assert told in fails(capsys, code, "fetch", "sam")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    assert read_lock() == {}


def test_what_comes_with_a_file_names_nothing_on_the_disk(hub, tmp_path):
    serve_sam(hub)
    hub.etag = OUTSIDE
    list(fetch(SAM))
    here = {p.relative_to(tmp_path).parts[0] for p in tmp_path.rglob("*") if p.is_file()}
    assert here == {"huggingface"}
    assert all(re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", name) for name in blobs(tmp_path))
    assert verify(SAM) == []


def test_a_wrong_file_is_never_placed_and_the_next_fetch_begins_anew(hub, tmp_path):
    serve_sam(hub)
    hub.lying.add(SAM.repo)
    with pytest.raises(ModelError, match=r"model.safetensors of .* it was not kept"):
        list(fetch(SAM))
    assert [p.name for p in tmp_path.rglob("snapshots/*/*")] == ["config.json"]
    assert len(blobs(tmp_path)) == 1
    hub.lying.clear()
    list(fetch(SAM))
    assert verify(SAM) == []


def test_an_interrupted_download_goes_on_where_it_broke_off(hub, tmp_path, capsys):
    serve_sam(hub)
    content = bytes(range(256)) * 40
    hub.files[SAM.repo]["model.safetensors"] = content
    hub.cut = 0
    assert "cannot be reached" in fails(capsys, 1, "fetch", "sam")
    hub.files[SAM.repo]["config.json"] = b""  # is there with no byte sent
    hub.cut, hub.ranges[:] = 4000, []
    list(fetch(SAM))
    assert hub.ranges == [None, None, "bytes=4000-", "bytes=8000-"]
    assert (located(SAM) / "model.safetensors").read_bytes() == content
    empty = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"  # as git names it
    assert [name for name in blobs(tmp_path) if name.startswith(empty)] == [empty]


def test_what_others_have_fetched_cannot_be_verified(hub):
    serve_sam(hub)
    list(fetch(SAM))
    snapshot = located(SAM)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(snapshot.name)  # as their tool notes it
    (store() / "lock.json").unlink()
    assert located(SAM) == snapshot
    with pytest.raises(ModelError, match=r"was not fetched by identitystory\. "):
        verify(SAM)


def test_a_changed_file_is_fetched_again(hub):
    serve_sam(hub)
    list(fetch(SAM))
    (located(SAM) / "model.safetensors").resolve().write_bytes(b"abd")
    list(fetch(SAM))
    assert verify(SAM) == []


def test_a_hub_that_never_ends_its_answer_has_a_deadline(hub, capsys, monkeypatch):
    serve_sam(hub)
    monkeypatch.setattr(fetching, "PATIENCE", 0.3)
    hub.answer = lambda body: time.sleep(1.5) or body
    assert "no whole answer within 0.3 s" in fails(capsys, 1, "fetch", "sam")
    hub.answer = None
    monkeypatch.setattr(fetching, "PATIENCE", 60.0)
    monkeypatch.setattr("identitystory.models.files.download.PATIENCE", 0.2)
    monkeypatch.setattr("identitystory.models.files.download._complete", lambda *_: time.sleep(1.5))
    assert "no whole answer within 0.2" in fails(capsys, 1, "fetch", "sam")


def test_no_network_is_the_machines_failure(hub, capsys, monkeypatch):
    serve_sam(hub)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be reached" in fails(capsys, 1, "fetch", "sam")


def test_no_space_is_told_before_anything_is_fetched(hub, capsys, monkeypatch):
    serve_sam(hub)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 10))
    assert "are free; make room, or set HF_HOME" in fails(capsys, 1, "fetch", "sam")
    assert not any("/resolve/" in path for path in hub.asked)


def test_offline_asks_nobody_and_names_the_command(hub, capsys, monkeypatch):
    serve_sam(hub)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "may not be used" in fails(capsys, 2, "fetch", "sam", "--offline")
    code = main(["generate", "--character", "A: a man", "--scene", "{A}", "--model", "sdxl"])
    err = capsys.readouterr().err
    assert code == 2
    assert all(ENTRIES[name].repo in err for name in BUNDLES["sdxl"])
    assert "identitystory models fetch sdxl (" in err
    assert hub.asked == []


@pytest.mark.journey
def test_offline_is_said_before_the_hubs_library_is_imported(tmp_path):
    """A process of its own, whose hub would be asked otherwise: nobody answers there."""
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-m", "identitystory", "models", "fetch", "sam"]
    told = {}
    for option in ([], ["--offline"]):
        done = subprocess.run(
            [*command, *option], capture_output=True, text=True, env=environment, check=False
        )
        told[done.returncode] = done.stderr
    assert "the hub cannot be reached for facebook/sam-vit-huge" in told[1]
    assert "facebook/sam-vit-huge is not on this machine, and the network may not be" in told[2]


def test_everything_that_is_missing_is_named_with_one_command(hub):
    """The base too, if it is a hub id; a folder is looked for as a folder."""
    everything = rf"'sdxl' lacks {BASE}, TencentARC/PhotoMaker, .*models fetch sdxl:{BASE} \("
    with pytest.raises(ModelError, match=everything):
        find_checkpoint(f"sdxl:{BASE}")
    with pytest.raises(ModelError, match=r"there is no folder './base'"):
        find_checkpoint("sdxl:./base")
    assert entries_of(f"sdxl:{BASE}")[0].repo == BASE


def test_a_broken_lock_is_told(hub, capsys):
    store().mkdir(parents=True)
    (store() / "lock.json").write_text("{")
    assert "delete it and fetch again" in fails(capsys, 2, "fetch", "sam")


def test_the_list_tells_size_licence_and_what_is_here(hub, capsys):
    serve_sam(hub)
    list(fetch(SAM))
    assert main(["models", "--json"]) == 0
    listed = {m["name"]: m for m in map(json.loads, capsys.readouterr().out.splitlines())}
    assert set(listed) == {"miniature", "miniature-face", *BUNDLES, *OPTIONAL}
    parts = {part["name"]: part for part in listed["sdxl"]["parts"]}
    assert [name for name, part in parts.items() if part["present"]] == ["sam"]
    assert parts["sam"]["revision"] == COMMIT
    assert parts["sdxl-base"]["gigabytes"] == 6.94
    assert all(part["commercial"] for part in parts.values())
    assert not listed["sdxl"]["present"]
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    sam = "sam: facebook/sam-vit-huge, 2.6 GB, Apache-2.0, commercial use: yes"
    assert f"{sam}, here, pinned at {COMMIT}\n" in said
    assert "commercial use: yes, not here, the first fetch pins it\n" in said


def test_another_base_that_was_fetched_is_listed_with_its_pin_and_how_to_use_it(hub, toy, capsys):
    kept = ("segm", "photo")
    hub.files[BASE] = {k: v for k, v in read(toy).items() if not k.startswith(kept)}
    list(fetch(entry_of(BASE)))
    assert main(["models"]) == 0
    told = capsys.readouterr().out.partition(f"{BASE}: ready\n")[2]
    assert f"how: --model sdxl --base {BASE}" in told
    assert f"commercial use: no, here, pinned at {COMMIT}" in told
    klein = read(toy) | {"model_index.json": b'{"_class_name": "Flux2KleinPipeline"}'}
    weights = klein["unet/diffusion_pytorch_model.safetensors"]
    klein |= {"transformer/config.json": b"{}", "transformer/model.safetensors": weights}
    hub.files["owner/klein"] = klein
    list(fetch(entry_of("owner/klein")))
    assert main(["models"]) == 0
    assert "how: --model flux2-klein --base owner/klein" in capsys.readouterr().out


def test_instantids_pickle_and_net_are_of_one_repository(hub, toy, tmp_path, monkeypatch, capsys):
    """Fetched apart, in either order: what the lock says of one stays when the other comes."""
    made = add_toy_instantid(shutil.copytree(toy, tmp_path / "made"))
    adapter, net = ENTRIES["instantid"], ENTRIES["instantid-net"]
    hub.files[net.repo] = {n: (made / n).read_bytes() for n in net.files} | {
        adapter.file: b"pickle"
    }
    asked = []

    def converted(module, pickle, to):
        asked.append((module, pickle.read_bytes()))
        shutil.copy(made / INSTANTID_FILE, to)

    monkeypatch.setattr(fetching, "convert", converted)
    monkeypatch.setenv(ALLOWED, "")  # so that what the command sets is taken back after the test
    for name in ("instantid-net", "instantid", "instantid-net", "instantid"):
        assert main(["models", "fetch", name, "--allow-noncommercial"]) == 0
    assert asked == [(adapter.converter, b"pickle")]
    assert verify(adapter) == verify(net) == []
    assert len(read_lock()[net.repo]["files"]) == 3
    segmenter = {k.partition("/")[2]: v for k, v in read(toy).items() if k.startswith("segm")}
    monkeypatch.setitem(
        BUNDLES, "sdxl-instantid", ["sdxl-base", *BUNDLES["sdxl-instantid"][1:3], "clipseg"]
    )
    hub.files[ENTRIES["clipseg"].repo] = segmenter
    list(fetch(ENTRIES["clipseg"]))
    with pytest.raises(ModelError, match=r"antelopev2 lacks .*by hand"):
        find_checkpoint(f"sdxl-instantid:{made}")
    pack = tmp_path / "home" / ".insightface" / "models" / FACES
    shutil.copytree(made / FACES, pack)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    fake_insightface(monkeypatch)
    found = find_checkpoint(f"sdxl-instantid:{made}")
    assert found.identity.files == (
        store() / adapter.converted,
        located(net) / IDENTITY_NET,
        *(pack / file for file in FACE_FILES),
    )
    card = '[parts]\nidentity_generator = "instantid"\n'
    (made / "card.toml").write_text(card)
    assert fingerprint(found) == fingerprint(find_checkpoint(made))  # as the complete folder


# --- PhotoMaker's pickle -------------------------------------------------------------------------


@pytest.fixture
def content(toy):
    tensors = load_file(toy / "photomaker.safetensors")
    groups = {"id_encoder": {}, "lora_weights": {}}
    for key, value in tensors.items():
        group, _, name = key.partition(".")
        groups[group][name] = value
    return groups


@pytest.fixture
def shapes(content):
    return {k: tuple(v.shape) for k, v in content["id_encoder"].items()}


def test_the_pickle_becomes_the_file_that_is_opened(content, shapes, tmp_path, monkeypatch, toy):
    monkeypatch.setattr(convert, "photomaker_v1_shapes", lambda: shapes)
    content["id_encoder"]["vision_model.embeddings.position_ids"] = torch.arange(17)[None]
    torch.save(content, tmp_path / "photomaker-v1.bin")
    convert.main(tmp_path / "photomaker-v1.bin", tmp_path / "made.safetensors")
    made, expected = (
        load_file(tmp_path / "made.safetensors"),
        load_file(toy / "photomaker.safetensors"),
    )
    assert made.keys() == expected.keys()
    assert all(torch.equal(made[key], expected[key]) for key in made)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made.safetensors", "photomaker-v1.bin"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.pop("lora_weights"), r"holds \['id_encoder'\] instead"),
        (lambda c: c["id_encoder"].pop("visual_projection.weight"), "'visual_proj.* is missing"),
        (lambda c: c["id_encoder"].update(qformer=torch.ones(1)), "'qformer' is not PhotoMaker v1"),
        (
            lambda c: c["id_encoder"].update({"visual_projection.weight": torch.ones(2, 2)}),
            r"shape \(2, 2\) instead of",
        ),
        (lambda c: c["lora_weights"].clear(), "lora_weights is empty"),
        (lambda c: c["lora_weights"].update(alpha=torch.ones(1)), "lora_weights holds 'alpha'"),
        (lambda c: c["lora_weights"].update(x=3), r"lora_weights\.x is a int"),
    ],
)
def test_other_checkpoints_are_not_converted(content, shapes, change, told):
    change(content)
    with pytest.raises(ModelError, match=told):
        convert.flattened(content, shapes)


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL"],)


@pytest.mark.journey
def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(hub, tmp_path, monkeypatch, capsys):
    """Fetched from the hub as photomaker-v1.bin, converted in another process, as it happens."""
    monkeypatch.setenv("EVIL", str(tmp_path / "evil"))
    bad = pickle.dumps({"id_encoder": {}, "lora_weights": Evil()}, protocol=2)
    hub.files[ENTRIES["photomaker"].repo] = {"photomaker-v1.bin": bad}
    assert "cannot be converted: it is not a pickle of tensors alone" in fails(
        capsys, 2, "fetch", "photomaker"
    )
    assert not (tmp_path / "evil").exists()
    assert not (store() / PHOTOMAKER.converted).exists()
    assert read_lock() == {}


@pytest.mark.slow
def test_a_pickle_of_the_true_keys_and_shapes_is_converted(hub, tmp_path):
    """407 + 1120 tensors; stored without their numbers, so that the pickle is small."""
    from identitystory.models.sdxl.identity_encoder import photomaker_v1_shapes
    from tests.test_full_size import full_size_unet, true_lora

    zero = torch.zeros(1, dtype=torch.float16)
    content = {
        "id_encoder": {k: zero.expand(shape) for k, shape in photomaker_v1_shapes().items()},
        "lora_weights": {
            k: zero.expand(v.shape) for k, v in true_lora(full_size_unet(), "processor").items()
        },
    }
    torch.save(content, tmp_path / "x.bin")
    hub.files[ENTRIES["photomaker"].repo] = {"photomaker-v1.bin": (tmp_path / "x.bin").read_bytes()}
    list(fetch(ENTRIES["photomaker"]))
    with safe_open(located(ENTRIES["photomaker"]), framework="pt") as made:
        assert len(list(made.keys())) == 407 + 1120
    assert located(ENTRIES["photomaker"]).stat().st_size > ENTRIES["photomaker"].size
    assert verify(ENTRIES["photomaker"]) == []


@pytest.mark.slow
def test_instantids_pickle_of_the_true_names_and_shapes_is_converted(hub, tmp_path):
    """51 + 140 tensors in another process; stored without their numbers, so that the pickle is small."""
    zero, entry = torch.zeros(1, dtype=torch.float16), ENTRIES["instantid"]
    shapes = {"image_proj": resampler_shapes(), "ip_adapter": attention_shapes()}
    content = {g: {k: zero.expand(s) for k, s in own.items()} for g, own in shapes.items()}
    torch.save(content, tmp_path / "x.bin")
    hub.files[entry.repo] = {entry.file: (tmp_path / "x.bin").read_bytes()}
    list(fetch(entry))
    with safe_open(located(entry), framework="pt") as made:
        assert len(list(made.keys())) == 51 + 140
    assert located(entry).stat().st_size > entry.parameters * 2
    assert verify(entry) == []
