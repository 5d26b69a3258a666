"""A run folder from a stranger: nothing outside of it changes, and what is wrong with it is one line."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from identitystory.cli.main import main
from identitystory.errors import ModelError, RunError, printable
from identitystory.models.files.checkpoint import find_folder
from identitystory.models.files.store import read_lock, store
from identitystory.models.sdxl.generator import LatentDiffusion
from identitystory.runs import files, inside, takes
from identitystory.runs.cache import PORTRAITS, Cache
from identitystory.runs.events import Warned
from identitystory.runs.folder import RunFolder, opened, read_record, told_frames
from identitystory.runs.request import RunRequest, from_picture
from identitystory.story.plain import plain_json
from tests.fuzz_runs import PRESET, STORY, finished, rounds, service


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run; not to be written to."""
    return finished(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def run(whole, tmp_path):
    copy = tmp_path / "run"
    for file in sorted(p for p in whole.rglob("*") if p.is_file()):
        inside.write_whole(copy / file.relative_to(whole), file.read_bytes())
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "mine").write_text("mine\n")
    return copy


def again(run, **changes):
    return list(service().run(replace(RunRequest(STORY, run, PRESET), **changes)))


LINKS = ["events.jsonl", ".lock", "run.json", "sheet.png", "frames/001.png", "frames/new.part~"]
FOLDERS = ["frames", "cast", "frames/takes", "cast/Mara.partial", "frames.partial"]


@pytest.mark.parametrize("name", [*LINKS, *FOLDERS])
def test_a_link_in_a_run_is_one_line_and_what_it_leads_to_stays(run, tmp_path, name):
    outside, place = tmp_path / "outside", run / name
    if place.is_dir():
        place.rename(outside / place.name)
        place.symlink_to(outside / place.name)
    else:
        place.unlink(missing_ok=True)
        place.symlink_to(outside if name in FOLDERS else outside / "mine")
    before = {p: p.read_bytes() for p in outside.rglob("*") if p.is_file()}
    for act in (again, takes.prune, lambda run: takes.choose(run, 1, 1)):
        with pytest.raises(RunError, match="is a link; only plain files and folders"):
            act(run)
    assert {p: p.read_bytes() for p in outside.rglob("*") if p.is_file()} == before


def test_the_root_itself_may_be_a_link(run, tmp_path):
    (tmp_path / "link").symlink_to(run)
    assert not [e for e in again(tmp_path / "link") if isinstance(e, Warned)]


def test_no_write_or_read_goes_through_a_link_that_comes_while_it_works(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "log").write_text("mine\n")
    (tmp_path / "run" / "frames").symlink_to(tmp_path / "outside")
    (tmp_path / "run" / "log").symlink_to(tmp_path / "outside" / "log")
    root, deep, log = (
        tmp_path / "run",
        tmp_path / "run" / "frames" / "log",
        tmp_path / "run" / "log",
    )
    for path in (deep, log, root / ".." / "outside" / "log"):
        for act in (
            lambda p: inside.read(p, root),
            lambda p: inside.write_whole(p, b"theirs", root),
            lambda p: inside.append_line(p, "theirs", root),
            lambda p: inside.remove(p, root),
            lambda p: inside.move(p, root / "other", root),
        ):
            with pytest.raises(RunError, match=r"is a link|outside of"):
                act(path)
    assert (tmp_path / "outside" / "log").read_text() == "mine\n"


def test_a_pipe_a_device_and_a_hard_link_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "mine").write_text("mine\n")
    os.link(tmp_path / "mine", tmp_path / "log")
    for act in (inside.read, lambda p: inside.append_line(p, "x")):
        with pytest.raises(RunError, match="is a pipe or a device"):
            act(tmp_path / "pipe")
    with pytest.raises(RunError, match="is a pipe or a device"):
        inside.read(Path("/dev/zero"))
    with pytest.raises(RunError, match="another name elsewhere"):
        inside.append_line(tmp_path / "log", "theirs")
    with (tmp_path / "hole").open("wb") as hole:
        hole.truncate(3 << 40)
    with pytest.raises(RunError, match="is larger than"):
        inside.read(tmp_path / "hole")


@pytest.mark.parametrize(
    "text",
    [
        '{"seed": Infinity}',
        '{"seed": NaN}',
        '{"seed": 1e999}',
        f'{{"seed": {2**64}}}',
        "[" * 100_000,
        "[" * 33 + "]" * 33,
        '"\\u001b[2J"',
        '"\\ud800"',
        '{"\\u0007": 1}',
    ],
)
def test_json_of_a_stranger_has_no_wild_numbers_depths_or_letters(text):
    with pytest.raises(ValueError, match=r"finite|large|deep|control"):
        plain_json(text)


def test_a_record_is_held_to_what_a_story_is_held_to(run):
    record = json.loads((run / "run.json").read_text())
    who = {"name": "Zoe", "description": "a woman", "noun": "woman"}
    for change in (
        {"seed": -1},
        {"seed": True},
        {"story": {**record["story"], "scenes": []}},
        {"story": {**record["story"], "characters": [who]}},
        {"story": {**record["story"], "title": "\x1b[2J"}},
        {"chosen": {"0": "../../evil"}},
        {"frame_seeds": {"../x": 1}},
        {"places": ["../x"]},
        {"story": {**record["story"], "scenes": [record["story"]["scenes"][0] | {"id": "3"}]}},
        {"story": {**record["story"], "scenes": [record["story"]["scenes"][0] | {"id": "a"}] * 2}},
        {"places": [1, 1]},
        {"places": [0, 1, 1]},
        {
            "story": {
                **record["story"],
                "characters": [record["story"]["characters"][0] | {"seed": "5"}],
            }
        },
        {"parts": None},
        {"request": {**record["request"], "model": 5}},
    ):
        (run / "run.json").write_text(json.dumps(record | change))
        with pytest.raises(RunError, match=r"run\.json is broken"):
            read_record(RunFolder(run))


def test_a_picture_of_too_many_pixels_is_never_decoded(run):
    huge = Image.new("1", (20_000, 20_000))
    facts = files.read_png_facts(run / "frames" / "001.png")
    files.write_png(run / "frames" / "001.png", huge, facts)
    assert files.read_png_facts(run / "frames" / "001.png") is None
    with pytest.raises(RunError, match="no whole picture"):
        files.read_picture(run / "frames" / "001.png")


def test_a_part_that_leads_elsewhere_is_no_frame(run):
    record = json.loads((run / "run.json").read_text())
    there = told_frames(RunFolder(run))
    record["parts"]["frames/../../evil"] = {"key": "0"}
    (run / "run.json").write_text(json.dumps(record))
    assert told_frames(RunFolder(run)) == there


def test_a_pictures_key_is_no_path(run, tmp_path):
    picture = run / "frames" / "001.png"
    facts = files.read_png_facts(picture)
    files.write_png(picture, Image.new("RGB", (64, 64)), facts | {"key": "../../../evil"})
    again(run)
    assert not list(tmp_path.glob("evil*"))


def test_a_model_of_nobodys_home_is_one_line():
    for name in ("~nobody-is-called-this/x", "x" * 5000):
        with pytest.raises(
            ModelError, match=r"there is no folder '.*'; give one or a hub id"
        ) as told:
            find_folder(name)
        assert "\n" not in str(told.value)
    assert main(["models", "add", "~nobody-is-called-this/x.safetensors"]) == 2


def test_a_picture_that_tells_nonsense_is_one_line(run, tmp_path, capsys):
    picture = run / "frames" / "001.png"
    facts = files.read_png_facts(picture)
    for change in ({"preset": {"name": "x", "num_steps": []}}, {"model": None}, {"scene": 3}):
        files.write_png(picture, Image.new("RGB", (64, 64)), facts | change)
        argv = ["generate", str(picture), "--out", str(tmp_path / "new")]
        assert main(argv, service=service) == 2
        (told,) = capsys.readouterr().err.splitlines()
        assert told.startswith(f"identitystory: {picture}")


def test_a_lock_of_wild_content_is_one_line(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    store().mkdir()
    for content in (
        "[" * 100_000,
        '{"a/b": []}',
        '{"a/b": {"files": [1]}}',
        '{"a/b": {"revision": 1}}',
    ):
        (store() / "lock.json").write_text(content)
        with pytest.raises(ModelError, match="delete it and fetch again"):
            read_lock()


# --- Tensors ----------------------------------------------------------------------------------------


def rewritten(file, change, *, checksum):
    """Other tensors under the same facts; with the old checksum, or as older versions wrote: none."""
    with safe_open(file, framework="pt") as there:
        told = json.loads(there.metadata()["identitystory"])
    if not checksum:
        del told["sha256"]
    tensors = load_file(file)
    save_file({**tensors, **change(tensors)}, file, {"identitystory": files.canonical(told)})


BAD = {
    "nan": (lambda t: {"embedding": t["embedding"] * float("nan")}, False),
    "zeros": (lambda t: {"embedding": t["embedding"] * 0}, False),
    "shape": (lambda t: {"embedding": t["embedding"][:3].clone()}, False),
    "another": (lambda t: {"embedding": t["embedding"].flip(0).contiguous()}, False),
    "all of another": (lambda t: {"embedding": t["embedding"] + 1, "E": t["E"] + 1}, True),
}


@pytest.mark.parametrize("kind", BAD)
def test_an_identity_that_is_not_what_was_found_is_found_again(run, whole, kind):
    file, (change, checksum) = run / "cast" / "Mara.safetensors", BAD[kind]
    rewritten(file, change, checksum=checksum)
    told = [e.message for e in again(run) if isinstance(e, Warned)]
    assert told == [f"{file} does not hold what was written; it is made again"]
    assert file.read_bytes() == (whole / "cast" / "Mara.safetensors").read_bytes()


def test_an_identity_of_an_older_version_is_kept(run):
    file = run / "cast" / "Mara.safetensors"
    rewritten(file, lambda t: {}, checksum=False)
    before = file.read_bytes()
    assert not [e for e in again(run) if isinstance(e, Warned)]
    assert file.read_bytes() == before


@pytest.mark.parametrize("name", ["portraits", "templates"])
@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_what_runs_share_is_made_again_if_it_is_not_what_was_written(whole, tmp_path, name, value):
    cache = Cache(tmp_path / "shared")
    again(tmp_path / "one", cache=cache)
    which = "E" if name == PORTRAITS else "latents"
    for file in (tmp_path / "shared" / name).iterdir():
        rewritten(file, lambda t: {which: torch.full_like(t[which], value)}, checksum=True)
    told = [e.message for e in again(tmp_path / "two", cache=cache) if isinstance(e, Warned)]
    assert told
    assert all("does not hold what was written; it is made again" in line for line in told)
    assert (tmp_path / "two/frames/001.png").read_bytes() == (
        tmp_path / "one/frames/001.png"
    ).read_bytes()


def test_pictures_that_are_not_finite_are_an_error():
    """NaN anywhere in the networks reaches the pixels, and that is where it is looked for."""
    vae = SimpleNamespace(
        config={"scaling_factor": 1.0},
        dtype=torch.float32,
        decode=lambda z, return_dict: (z[:, :3],),
    )
    room = SimpleNamespace(holding=lambda network: inside.suppress())
    G = SimpleNamespace(vae=vae, device=torch.device("cpu"), size=(8, 8), room=room)
    z = torch.zeros(1, 4, 8, 8)
    assert LatentDiffusion.decode(G, z)
    z[0, 0, 0, 0] = float("nan")
    with pytest.raises(ModelError, match="not finite"):
        LatentDiffusion.decode(G, z)


# --- Disks and names --------------------------------------------------------------------------------


def test_a_full_disk_names_the_file(run, monkeypatch, capsys):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    (run / "frames" / "001.png").unlink()
    assert main(["generate", str(run), "--out", str(run)], service=service) == 1
    assert f"identitystory: {run}/" in capsys.readouterr().err


def test_a_name_that_is_too_long_is_the_users_to_mend(tmp_path, capsys):
    (tmp_path / "s.toml").write_text(
        '[[character]]\nname = "Mara"\ndescription = "a woman"\n[[scene]]\nprompt = "{Mara} reads"\n'
    )
    out = str(tmp_path / ("x" * 300))
    assert main(["generate", str(tmp_path / "s.toml"), "--out", out], service=service) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    "content", [None, b"", b"{}", b'{"study": "s", "participant": "p", "answers": {}}']
)
def test_answers_that_are_none_are_refused(tmp_path, capsys, content):
    key = {"format": 1, "study": "s", "groups": {"g": {"A": "identitystory", "B": "consistory"}}}
    (tmp_path / "key.json").write_text(json.dumps(key))
    file = Path("/dev/zero")
    if content is not None:
        file = tmp_path / "answer.json"
        file.write_bytes(content)
    assert main(["study", "tally", str(tmp_path / "key.json"), str(file)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_control_characters_are_spelled_out():
    assert printable("a\x1b[2J\u202eb\nMaría") == "a\\x1b[2J\\u202eb\nMaría"


def test_a_run_is_locked_by_a_plain_file(run):
    with opened(run):
        assert (run / ".lock").stat().st_size == 0


@pytest.mark.parametrize("many", [2, pytest.param(30, marks=pytest.mark.journey)])
def test_mutated_runs_are_one_line_at_worst(tmp_path, many):
    assert rounds(many, many, tmp_path) == []


def test_from_picture_reads_what_a_named_link_leads_to(run, tmp_path):
    (tmp_path / "link.png").symlink_to(run / "frames" / "001.png")
    assert from_picture(tmp_path / "link.png", tmp_path / "new").seed == 0


def test_json_of_bytes_is_utf_8():
    assert (
        plain_json(b'{"a": [1, "b\\n"]}') == plain_json('{"a": [1, "b\\n"]}') == {"a": [1, "b\n"]}
    )
    assert plain_json(f"[{2**64 - 1}]") == [2**64 - 1]
    assert plain_json("[" * 32 + "]" * 32)
    with pytest.raises(ValueError, match="utf-8"):
        plain_json('{"a": 1}'.encode("utf-16"))
