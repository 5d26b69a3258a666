import errno
import json
import os
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from identitystory.errors import RunError
from identitystory.runs import files
from identitystory.runs import folder as runfolder
from identitystory.runs.folder import opened
from identitystory.runs.sheets import contact_sheet, frames_page, masks_picture, thumbnails
from identitystory.types import Identity

RECORD = (Path(__file__).parent / "data" / "golden" / "ours" / "run.json").read_bytes()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    files.write_whole(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_what_a_killed_write_left_is_swept(tmp_path):
    with opened(tmp_path / "run") as folder:
        files.write_whole(folder.record, RECORD)
        left = folder.frame(0).with_name("000.png.part~")
        left.parent.mkdir()
        left.write_bytes(b"half")
    with opened(tmp_path / "run"):
        assert not left.exists()


def test_png_facts_round_trip_and_same_facts_are_the_same_bytes(tmp_path):
    facts = {"scene": {"prompt": "{Mara} läuft"}, "seed": 2**60, "list": [1, 2.5, None]}
    image = Image.new("RGB", (8, 8), "red")
    for name in ("a.png", "b.png"):
        files.write_png(tmp_path / name, image, facts)
    assert files.read_png_facts(tmp_path / "a.png") == facts
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as again:
        assert again.tobytes() == image.tobytes()


def test_a_cut_or_foreign_picture_has_no_facts(tmp_path):
    path = tmp_path / "a.png"
    files.write_png(path, Image.effect_noise((64, 64), 9), {"key": "k"})
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"not a picture"):
        path.write_bytes(content)
        assert files.read_png_facts(path) is None
    Image.new("RGB", (8, 8)).save(path)
    assert files.read_png_facts(path) is None
    assert files.read_png_facts(tmp_path / "none.png") is None


def test_an_identity_round_trips_bit_for_bit(tmp_path):
    E = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    identity = Identity(E[[1, 4]].mean(0), torch.tensor([1, 4]), (torch.rand(5), torch.rand(3)))
    path = tmp_path / "i.safetensors"
    runfolder.write_identity(path, identity, E, {"key": "k"})
    again = runfolder.read_identity(path)
    assert torch.equal(again.embedding, identity.embedding)
    assert torch.equal(again.kept, identity.kept)
    assert all(torch.equal(a, b) for a, b in zip(again.errors, identity.errors, strict=True))
    read = files.read_tensors(path)
    assert torch.equal(read["E"], E)
    assert all(t.data_ptr() % 64 == 0 for t in read.values())  # as computed ones: the same kernels
    assert files.read_tensor_facts(path) == {"key": "k"}
    path.write_bytes(path.read_bytes()[:-4])
    assert files.read_tensor_facts(path) is None


def test_an_embedding_is_somebodys_if_it_is_the_mean_of_the_rows_kept_or_one_of_them():
    E = 1 + torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    whole = {"E": E, "kept": torch.tensor([1, 4]), "embedding": E[[1, 4]].mean(0)}
    whole["errors.0"] = torch.rand(5)
    near, flat = whole["embedding"], torch.zeros(5, 3)
    for change, fits in (
        ({}, True),
        ({"embedding": E[4].clone()}, True),
        ({"embedding": E[3].clone()}, False),
        ({"embedding": near * 1.0005}, True),
        ({"embedding": near * 1.002}, False),
        ({"E": E - E[4], "kept": torch.tensor([4]), "embedding": torch.full((3,), 9e-6)}, True),
        ({"E": flat, "embedding": flat[0]}, False),
        ({"kept": whole["kept"].int()}, False),
        ({"kept": whole["kept"][None]}, False),
        ({"kept": whole["kept"][:0]}, False),
        ({"E": E[..., None]}, False),
        ({"embedding": near[None]}, False),
        ({"errors.0": torch.rand(5, 1)}, False),
        ({"errors.1": torch.rand(5, 1)}, False),
    ):
        assert runfolder._is_identity(whole | change) is fits, change


def test_a_file_that_holds_no_identity_is_one_line(tmp_path):
    E = torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "i.safetensors"
    for tensors in ({"E": E}, {"E": E, "kept": torch.tensor([7]), "embedding": E[0] * 1}):
        files.write_tensors(path, tensors, {"key": "k"})
        with pytest.raises(RunError, match=r"i\.safetensors holds no identity; delete it"):
            runfolder.read_identity(path)


def test_a_folder_that_another_run_deletes_meanwhile_hides_no_record(tmp_path, monkeypatch):
    (tmp_path / "run.json").write_bytes(RECORD)
    (tmp_path / "cast" / "Mara.partial").mkdir(parents=True)
    scan = os.scandir

    def late(folder):
        if Path(folder).name == "Mara.partial":
            os.rmdir(folder)
        return scan(folder)

    monkeypatch.setattr(os, "scandir", late)
    assert runfolder.read_record(runfolder.RunFolder(tmp_path)) is not None
    assert not (tmp_path / "cast" / "Mara.partial").exists()
    assert runfolder.read_record(runfolder.RunFolder(tmp_path / "none")) is None


def test_an_identity_is_there_if_it_was_made_from_the_key(tmp_path):
    folder, spoilt = runfolder.RunFolder(tmp_path), []
    there = lambda key: runfolder.has_identity(folder, "Mara", key, spoilt.append)
    assert not there("k")
    E = torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    identity = Identity(E.mean(0), torch.arange(2))
    runfolder.write_identity(folder.identity("Mara"), identity, E, {"key": "k"}, tmp_path)
    assert [there("k"), there("other"), spoilt] == [True, False, []]
    runfolder.write_identity(folder.identity("Mara"), identity, E + 1, {"key": "k"}, tmp_path)
    assert [there("k"), spoilt] == [False, [folder.identity("Mara")]]


def test_files_lie_where_they_always_lay(tmp_path):
    folder = runfolder.RunFolder(tmp_path)
    assert folder.chunk("Old Tom", 3) == tmp_path / "cast/Old_Tom.partial/03.safetensors"
    assert folder.frame(0) == tmp_path / "frames/001.png"
    assert folder.template(11) == tmp_path / "frames/012.template.png"
    assert folder.masks(999) == tmp_path / "frames/1000.masks.png"
    assert folder.identity("Old Tom") == tmp_path / "cast/Old_Tom.safetensors"
    assert folder.contact_sheet("Old Tom") == tmp_path / "cast/Old_Tom.png"
    assert folder.record == tmp_path / "run.json"
    assert folder.events == tmp_path / "events.jsonl"
    assert folder.sheet == tmp_path / "sheet.png"
    assert folder.checked == tmp_path / "checked.json"
    assert folder.notes == tmp_path / "frames.partial"
    assert folder.takes == tmp_path / "frames/takes"
    assert folder.face_takes == tmp_path / "cast/takes"


def test_portraits_are_dropped_when_the_identity_is_there(tmp_path):
    folder = runfolder.RunFolder(tmp_path)
    files.write_whole(folder.chunk("Mara", 0), b"x", tmp_path)
    for _ in range(2):  # also where there are none
        folder.drop_chunks("Mara")
        assert not folder.chunk("Mara", 0).parent.exists()


def test_a_folder_is_made_with_all_above_it_and_opened_again_without_a_record(tmp_path):
    for _ in range(2):
        with opened(tmp_path / "a" / "b" / "run"):
            assert os.listdir(tmp_path / "a" / "b" / "run") == [".lock"]


def test_a_record_has_64_mib_at_most_and_is_a_table(tmp_path):
    for size, sentence in ((2**26, "is broken"), (2**26 + 1, "is larger than 67,108,864 bytes")):
        with (tmp_path / "run.json").open("wb") as file:
            file.truncate(size)
        with pytest.raises(RunError, match=sentence):
            runfolder.read_record(runfolder.RunFolder(tmp_path))
    (tmp_path / "run.json").write_text("[1]")
    with pytest.raises(RunError, match="is of format None"):
        runfolder.read_record(runfolder.RunFolder(tmp_path))


def test_a_second_writer_is_refused_while_the_first_holds_the_folder(tmp_path):
    with (
        opened(tmp_path / "run"),
        pytest.raises(RunError, match="is being written by another run"),
        opened(tmp_path / "run"),
    ):
        pass
    with opened(tmp_path / "run"):
        pass


def test_folders_that_cannot_hold_the_run_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.jpg").write_text("x")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "run.json").write_text(json.dumps({"format": 99}))
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "run.json").write_text("{")
    for name, sentence in {
        "file": "file is a file; --out takes a folder",
        "file/below": "file/below cannot be written: Not a directory",
        "mine": r"mine holds other files \(holiday.jpg\) and no run",
        "old": "old/run.json is of format 99; this version writes format 1",
        "torn": "torn/run.json is broken",
        "x" * 300: "cannot be written: File name too long",
    }.items():
        with pytest.raises(RunError, match=sentence), opened(tmp_path / name):
            pass
    with pytest.raises(RunError, match="cannot be written"), opened(Path("/proc/no")):
        pass
    assert sorted(os.listdir(tmp_path / "mine")) == ["holiday.jpg"]


@pytest.mark.parametrize("part", ["", "cast", "frames"])
@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EPERM])
def test_a_part_that_cannot_be_written_is_found_when_the_run_is_opened(
    tmp_path, monkeypatch, part, code
):
    locked = tmp_path / "run" / part
    locked.mkdir(parents=True)
    (tmp_path / "run" / "run.json").write_bytes(RECORD)
    (tmp_path / "run" / ".lock").touch()
    refuse(monkeypatch, locked, code)
    with pytest.raises(RunError, match=f"{locked} cannot be written: "), opened(tmp_path / "run"):
        pytest.fail("it was opened")


def refuse(monkeypatch, folder, code):
    """Has nothing new be made in ``folder``; what is there can still be opened."""
    whole, here = os.open, os.stat(folder)

    def checked(path, flags, *options, dir_fd=None):
        if flags & os.O_CREAT and not (folder / Path(path).name).exists():
            place = os.stat(Path(path).parent if dir_fd is None else dir_fd)
            if os.path.samestat(here, place):
                raise OSError(code, os.strerror(code), str(path))
        return whole(path, flags, *options, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", checked)


def test_a_file_where_the_frames_belong_is_found_when_the_run_is_opened(tmp_path):
    (tmp_path / "run.json").write_bytes(RECORD)
    (tmp_path / "frames").write_text("x")
    with pytest.raises(RunError, match="frames cannot be written: Not a dir"), opened(tmp_path):
        pytest.fail("it was opened")


def test_looking_whether_a_folder_can_be_written_leaves_nothing(tmp_path):
    files.check_writable(tmp_path / "a" / "b")
    files.check_writable(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EEXIST])
def test_a_write_that_the_user_can_mend_is_a_run_error(tmp_path, monkeypatch, code):
    refuse(monkeypatch, tmp_path, code)
    sentence = f"a.bin cannot be written: {os.strerror(code)}. Choose another folder"
    with pytest.raises(RunError, match=sentence):
        files.write_whole(tmp_path / "a.bin", b"x")
    with pytest.raises(RunError, match="log cannot be written"):
        files.append_line(tmp_path / "log", "{}")
    with pytest.raises(RunError, match=r"/proc/no/st.html cannot be written"):
        files.write_whole(Path("/proc/no/st.html"), b"x")


def test_a_record_that_cannot_be_read_is_a_run_error(tmp_path):
    (tmp_path / "run.json").mkdir()
    with pytest.raises(RunError, match=r"run.json cannot be read: Is a directory"):
        runfolder.read_record(runfolder.RunFolder(tmp_path))


def test_a_log_line_after_a_torn_one_stands_alone(tmp_path):
    log = tmp_path / "events.jsonl"
    log.write_bytes(b'{"a": 1}\n{"b"')
    files.append_line(log, '{"c": 3}')
    assert log.read_text().splitlines() == ['{"a": 1}', '{"b"', '{"c": 3}']


def test_the_contact_sheet_shows_the_kept_first_and_the_others_paler():
    images = [Image.new("RGB", (4, 4), (20 * i, 0, 0)) for i in range(10)]
    page = contact_sheet(thumbnails(images), [3, 7])
    assert page.size == (8 * 4, 2 * 4)
    assert [page.getpixel((x, 0))[0] for x in (0, 4)] == [60, 140]
    assert page.getpixel((8, 0)) == (153, 153, 153)  # number 0, black, 60 % white


def test_thumbnails_shrink_to_128_and_never_grow():
    assert thumbnails([Image.new("RGB", (1024, 1024))]).shape == (1, 128, 128, 3)
    assert thumbnails([Image.new("RGB", (64, 64))]).shape == (1, 64, 64, 3)


def test_masks_are_the_palette_index_of_the_cast():
    masks = torch.zeros(2, 4, 6, dtype=torch.bool)
    masks[0, 1, 2] = masks[1, 3, 5] = True
    picture = masks_picture(masks, (6, 4))
    assert picture.mode == "P"
    assert [picture.getpixel(p) for p in ((2, 1), (5, 3), (0, 0))] == [1, 2, 0]
    assert masks_picture(masks[:0], (6, 4)).size == (6, 4)


def test_every_frame_is_on_the_page_in_order():
    colours = ["red", "lime", "blue"]
    page = frames_page([Image.new("RGB", (100, 100), c) for c in colours], ["one", "two", "three"])
    pixels = np.array(page)
    places = {}
    for colour, rgb in zip(colours, [(255, 0, 0), (0, 255, 0), (0, 0, 255)], strict=True):
        found = np.argwhere((pixels == rgb).all(axis=-1))
        assert len(found) == 100 * 100
        places[colour] = tuple(found[0])
    assert sorted(places, key=places.get) == colours


def test_a_long_caption_wraps_inside_its_tile():
    frame = Image.new("RGB", (100, 100), "white")
    page = np.array(frames_page([frame, frame], ["word " * 20, ""]))
    ink = np.argwhere((page < 128).any(axis=-1))
    assert len(ink) > 0
    assert ink[:, 1].max() <= 8 + 100


def test_the_page_of_a_long_story_holds_one_frame_at_a_time_and_gets_no_larger():
    alive = []

    def frames(count):
        for _ in range(count):
            frame = Image.new("RGB", (320, 320), "red")
            alive.append(weakref.ref(frame))
            yield frame
            del frame
            assert sum(ref() is not None for ref in alive) <= 1

    area = {n: np.prod(frames_page(frames(n), ["x"] * n).size) for n in (100, 400)}
    assert area[100] >= 100 * 320**2
    assert area[400] < 1.6 * area[100]  # their captions stay as high


def test_a_run_killed_before_its_record_was_written_can_start_again(tmp_path):
    (tmp_path / "run.json.part~").write_text("{")
    with opened(tmp_path):
        assert os.listdir(tmp_path) == [".lock"]


def test_runs_are_found_in_folders_each_once_and_none_is_told(tmp_path):
    for name in ("b/run", "a", "c"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "run.json").touch()
    (tmp_path / "empty").mkdir()
    found = runfolder.find_runs([tmp_path / "c", tmp_path])
    assert found == [tmp_path / name for name in ("c", "a", "b/run")]
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert runfolder.find_runs([tmp_path / "link", tmp_path / "a"]) == [tmp_path / "link"]
    with pytest.raises(RunError, match=r"empty holds no run \(no run.json\); go on$"):
        runfolder.find_runs([tmp_path, tmp_path / "empty"], "go on")


def test_frames_are_told_with_their_keys_and_faces_are_not(tmp_path):
    folder = runfolder.RunFolder(tmp_path)
    assert runfolder.told_frames(folder) == {}
    folder.record.write_bytes(RECORD)
    parts = json.loads(RECORD)["parts"]
    keys = {tmp_path / f"{n}.png": p["key"] for n, p in parts.items() if n.startswith("frames/")}
    assert 0 < len(keys) < len(parts)
    assert runfolder.told_frames(folder) == keys
