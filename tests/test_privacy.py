"""What a run's files say, and what they do not: no place of this machine, and no word if none is wanted."""

import json
from pathlib import Path

import pytest
from PIL import Image

from identitystory.cli.main import main
from identitystory.errors import RunError
from identitystory.marks import packet
from identitystory.marks.mark import packet_in
from identitystory.models.files.catalogue import called
from identitystory.protocols import ModelFacts
from identitystory.runs.claims import claim_of
from identitystory.runs.files import read_png_facts
from identitystory.runs.request import recorded
from identitystory.runs.service import Service
from identitystory.runs.strip import strip
from identitystory.runs.ways import model_record

INLINE = [
    "--character", "Mara: a woman with dark curly hair",
    "--scene", "{Mara} reads",
    "--scene", "{Mara} sleeps on a beach",
    "--steps", "10", "--portraits", "4",
]  # fmt: skip


@pytest.fixture
def paint(backend, tmp_path, monkeypatch):
    """A command on the fakes, run in an empty folder; the names that models are opened by."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    opened = []

    def load(model, **_):
        opened.append(model)
        return backend

    def run(*argv):
        service = Service(load=load, describe=lambda *_: ModelFacts("f" * 64, "cpu", "float32"))
        assert main([*argv], service=lambda: service) == 0
        return opened

    return run


@pytest.mark.parametrize("typed", ["absolute", "~", "relative", "bundle"])
def test_no_file_of_a_run_says_where_this_machine_keeps_things(
    paint, tmp_path, monkeypatch, typed, capsys
):
    folder = tmp_path / "models" / "my-checkpoint"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    model, option = {
        "absolute": (str(folder), ["--model"]),
        "~": ("~/models/my-checkpoint", ["--model"]),
        "relative": ("../models/my-checkpoint", ["--model"]),
        "bundle": (str(folder), ["--model", "sdxl", "--base"]),
    }[typed]
    run = tmp_path / "work" / "r"
    paint("generate", *INLINE, "--out", str(run), *option, model)
    files = [path for path in run.rglob("*") if path.is_file()]
    assert len(files) > 8
    for path in files:
        assert str(tmp_path).encode() not in path.read_bytes(), path
        if path.suffix == ".png" and path.name != "sheet.png":
            name = read_png_facts(path)["model"]["name"]
            assert name == ("sdxl:my-checkpoint" if typed == "bundle" else "my-checkpoint")
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert (events[0]["out"], events[-1]["sheet"]) == (".", "./sheet.png")
    assert str(run) in capsys.readouterr().out  # the terminal is told
    # and the run still finds its model, from anywhere
    monkeypatch.chdir(tmp_path)
    opened = paint("extend", str(run), "--scene", "{Mara} runs")
    assert Path(opened[-1].removeprefix("sdxl:")).resolve() == folder
    assert len(list((run / "frames").glob("???.png"))) == 3


@pytest.mark.parametrize("name", ["miniature", "sdxl", "sdxl-light:owner/base", "owner/name", "x"])
def test_names_that_are_no_folders_stay(name, tmp_path):
    assert called(name) == name
    assert model_record(tmp_path, name) == name


def test_frames_are_copied_with_their_pixels_and_nothing_else(paint, tmp_path, capsys):
    paint("generate", *INLINE, "--out", "r")
    capsys.readouterr()
    paint("strip", "r", "--out", "given")
    assert capsys.readouterr().out.split() == ["given/001.png", "given/002.png"]
    assert sorted(p.name for p in Path("given").iterdir()) == ["001.png", "002.png"]
    for name in ("001.png", "002.png"):
        with Image.open(f"given/{name}") as bare, Image.open(f"r/frames/{name}") as frame:
            assert set(bare.info) == {"xmp", "XML:com.adobe.xmp"}
            assert bare.mode == frame.mode
            assert bare.tobytes() == frame.tobytes()
        content = Path("given", name).read_bytes()
        assert content.count(b"tEXt") + content.count(b"iTXt") == 1
        said = packet.read(packet_in(content, "png"))
        assert said == {"source": packet.TRAINED, "tool": packet.TOOL}
    assert read_png_facts(Path("r/frames/001.png"))["scene"]["text"] == "{Mara} reads"


def test_every_picture_of_a_run_is_marked_unless_that_is_switched_off_and_logged(paint, capsys):
    paint("generate", *INLINE, "--out", "r", "--enlarge", "2")
    paint("generate", *INLINE, "--out", "bare", "--enlarge", "2", "--no-marks")
    for run, marked in (("r", True), ("bare", False)):
        pictures = list(Path(run).rglob("*.png"))
        assert len(pictures) == 10  # frames, templates, masks, larger copies; the cast; the page
        for path in pictures:
            assert (packet_in(path.read_bytes(), "png") is not None) is marked, path
        log = (Path(run) / "events.jsonl").read_text()
        assert ("--no-marks: these pictures do not say" in log) is not marked
        assert recorded(Path(run)).marks is marked
    said = packet.read(packet_in(Path("r/frames/001.png").read_bytes(), "png"))
    assert said["model"] == "miniature"
    assert said["fingerprint"] == "f" * 64
    assert said["story"] == "Mara reads"
    assert said["licence"] == "Apache-2.0"
    assert claim_of(Path("r")) == packet.Claim("miniature", "f" * 64, "Mara reads", "Apache-2.0")
    assert claim_of(Path("bare")) is None
    for name in ("001.png", "001.x2.png"):
        one, other = (Image.open(f"{run}/frames/{name}").tobytes() for run in ("r", "bare"))
        assert one == other
    before = Path("bare/frames/001.png").read_bytes()
    opened = len(paint("generate", *INLINE, "--out", "bare"))  # the folder keeps its settings
    assert opened == 2
    assert Path("bare/frames/001.png").read_bytes() == before
    paint("strip", "r", "--out", "given", "--no-marks")
    assert packet_in(Path("given/001.png").read_bytes(), "png") is None
    assert "--no-marks" in (Path("r") / "events.jsonl").read_text().splitlines()[-1]


def test_a_run_is_never_stripped_in_place(paint):
    paint("generate", *INLINE, "--out", "r")
    Path("link").symlink_to("r")
    for out in ("r", "r/frames", "r/new", "link/frames"):
        with pytest.raises(RunError, match="is inside the run"):
            strip(Path("r"), Path(out))
    for frame in Path("r/frames").glob("???.png"):
        frame.unlink()
    with pytest.raises(RunError, match="has no finished picture"):
        strip(Path("r"), Path("given"))
    with pytest.raises(RunError, match="holds no run"):
        strip(Path("none"), Path("given"))


def test_copies_take_no_other_files_place(paint):
    """Not that of another run's pictures above all; that of earlier copies they take."""
    paint("generate", *INLINE, "--out", "r")
    paint("generate", *INLINE, "--out", "other", "--seed", "9")
    before = {file: file.read_bytes() for file in Path("other").rglob("*.png")}
    for out in ("other/frames", "other", "other/frames/new"):
        with pytest.raises(RunError, match="is inside the run"):
            strip(Path("r"), Path(out))
    Path("mine").mkdir()
    Path("mine/002.png").write_bytes(b"a holiday")
    with pytest.raises(RunError, match=r"mine/002\.png is there already"):
        strip(Path("r"), Path("mine"))
    assert [file.name for file in Path("mine").iterdir()] == ["002.png"]
    assert Path("mine/002.png").read_bytes() == b"a holiday"
    assert {file: file.read_bytes() for file in Path("other").rglob("*.png")} == before
    assert strip(Path("r"), Path("given")) == strip(Path("r"), Path("given"))


def test_without_metadata_no_file_but_the_record_has_a_word_of_the_story_and_resuming_works(
    paint, capsys
):
    paint("generate", *INLINE, "--out", "r", "--no-metadata")
    pictures = [p for p in Path("r").rglob("*") if p.suffix in (".png", ".safetensors")]
    assert len(pictures) > 6
    for path in pictures:
        for word in (b"Mara", b"curly", b"reads", b"preset", b"versions", b"fingerprint"):
            assert word not in path.read_bytes(), path
    assert claim_of(Path("r")) == packet.PLAIN
    facts = read_png_facts(Path("r/frames/001.png"))
    assert set(facts) == {"part", "key", "frame_seed", "template_seed"}
    capsys.readouterr()
    opened = paint("generate", *INLINE, "--out", "r")  # the folder keeps its settings
    assert len(opened) == 1
    assert "nothing to do" in capsys.readouterr().out
    assert not recorded(Path("r")).metadata
    assert main(["generate", "r/frames/001.png"]) == 2
    assert "what it says of itself is broken" in capsys.readouterr().err
