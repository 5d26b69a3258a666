"""The mark that every file carries: IPTC's digital source type, whatever the container, pixels untouched."""

import base64
import io
import random
import re
import zipfile
from contextlib import suppress
from dataclasses import replace

import pytest
from PIL import Image, ImageSequence

from identitystory.errors import RunError
from identitystory.marks import documents, packet
from identitystory.marks.mark import KINDS, kind_of, mark, packet_in
from identitystory.marks.packet import TRAINED, Claim
from identitystory.marks.verify import verify
from tests.containers import MADE, film, page, saved, sheet_of_reportlab

CLAIM = Claim("miniature", "f" * 64, "Salt & <Light> \u2014 \u6d77", "Apache-2.0")
SAID = {"model": "miniature", "fingerprint": "f" * 64, "licence": "Apache-2.0", "source": TRAINED}


assert set(MADE) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_made_it_once_and_the_same_bytes_each_time(kind):
    data = MADE[kind]()
    marked = mark(data, kind, CLAIM)
    said = packet.read(packet_in(marked, kind))
    assert said.items() >= SAID.items()
    assert said["story"] == CLAIM.story
    assert said["tool"].startswith("identitystory ")
    assert mark(data, kind, CLAIM) == marked
    other = replace(CLAIM, story="Another")
    again = mark(marked, kind, other)
    if kind not in ("pdf", "mp4"):  # those two grow; the last packet counts
        assert again == mark(data, kind, other)
    assert packet.read(packet_in(again, kind))["story"] == "Another"
    assert kind_of(marked, f"x.{kind}") == kind
    assert mark(data, kind, None) is data
    assert packet_in(data, kind) is None


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_whole_file_of_a_kind_is_refused(kind):
    data = MADE[kind]()
    for broken in (b"", b"nonsense", *[data[: len(data) // 2]] * (kind != "html")):
        with pytest.raises(ValueError, match=r"no |cut short|in the head"):
            mark(broken, kind, CLAIM)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif"])
def test_no_pixel_changes_and_other_programs_find_the_packet(kind):
    data = MADE[kind]()
    with (
        Image.open(io.BytesIO(data)) as before,
        Image.open(io.BytesIO(mark(data, kind, CLAIM))) as after,
    ):
        assert kind == "gif" or TRAINED.encode() in after.info["xmp"]  # as Pillow reads it
        pairs = zip(ImageSequence.Iterator(before), ImageSequence.Iterator(after), strict=True)
        assert all(a.convert("RGB").tobytes() == b.convert("RGB").tobytes() for a, b in pairs)
        assert after.info.get("loop") == before.info.get("loop")


@pytest.mark.parametrize("made", [MADE["pdf"], sheet_of_reportlab])
def test_a_pdf_keeps_its_bytes_and_tells_in_its_catalog(made):
    data = made()
    marked = mark(mark(data, "pdf", Claim()), "pdf", CLAIM)
    assert marked.startswith(data)
    assert marked == mark(mark(data, "pdf", Claim()), "pdf", CLAIM)
    reader = pytest.importorskip("pypdf").PdfReader
    before, read = reader(io.BytesIO(data), strict=True), reader(io.BytesIO(marked), strict=True)
    told = read.trailer["/Root"]["/Metadata"]
    assert packet.read(packet.find(told.get_data())).items() >= SAID.items()
    assert told["/Subtype"] == "/XML"
    assert len(read.pages) == len(before.pages) == 2
    texts = [[page.extract_text() for page in each.pages] for each in (before, read)]
    assert texts[0] == texts[1]
    assert read.metadata == before.metadata


def test_a_film_keeps_every_frame():
    av = pytest.importorskip("av")
    data = film()
    marked = mark(data, "mp4", CLAIM)
    assert marked.startswith(data)
    frames = []
    for content in (data, marked, mark(marked, "mp4", Claim())):
        with av.open(io.BytesIO(content)) as opened:
            frames.append([f.to_ndarray().tobytes() for f in opened.decode(video=0)])
    assert frames[0] == frames[1] == frames[2]
    assert len(frames[0]) == 3


def test_a_packet_in_the_middle_of_a_film_is_blanked_without_moving_what_follows():
    marked = mark(film(), "mp4", CLAIM)
    tail = (12).to_bytes(4) + b"skip" + b"tail"
    again = mark(marked + tail, "mp4", Claim())
    assert again.startswith(marked.replace(b"uuid\xbe\x7a", b"free\xbe\x7a") + tail)


@pytest.mark.parametrize("kind", ["epub", "cbz"])
def test_a_zip_keeps_its_order_and_every_picture_in_it_is_marked(kind):
    data = MADE[kind]()
    marked = mark(data, kind, CLAIM)
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(io.BytesIO(marked)) as new:
        facts = lambda z: [(e.filename, e.compress_type, e.date_time) for e in z.infolist()]
        assert facts(new) == [*facts(old), ("META-INF/metadata.xml", 8, (1980, 1, 1, 0, 0, 0))]
        assert new.testzip() is None
        assert marked[30:58] == b"mimetypeapplication/epub+zip"
        for entry in old.namelist():
            if its := {"png": "png", "jpg": "jpeg", "jpeg": "jpeg"}.get(entry.rpartition(".")[2]):
                assert new.read(entry) == mark(old.read(entry), its, CLAIM)


def test_a_page_marks_the_pictures_in_it_and_no_text_of_a_story_is_markup():
    nasty = replace(CLAIM, story="</script><script>alert(1)</script>")
    marked = mark(page(), "html", nasty)
    assert b"<script>" not in marked
    assert marked.count(b"</script>") == 1
    inner = base64.b64decode(re.search(rb"base64,([^\"]+)", marked)[1])
    assert inner == mark(saved("PNG"), "png", nasty)


def test_words_of_a_stranger_stay_words():
    odd = replace(CLAIM, story="a\x00b\n<?xpacket end='w'?>\ud800" + "x" * 9000)
    said = packet.read(packet.find(packet.packet(odd).encode()))
    assert said["story"].startswith("a b <?xpacket end='w'?>")
    assert len(said["story"]) == packet.MAX_WORDS
    with pytest.raises(ValueError, match="document type"):
        packet.read('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>')
    with pytest.raises(ValueError, match="no XML"):
        packet.read("<x")


@pytest.mark.parametrize("how", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_with_a_damaged_entry_is_broken_and_no_more(how):
    """Each decompressor has errors of its own."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", how) as file:
        for name in ("page.png", documents.METADATA):
            file.writestr(name, random.Random(0).randbytes(400))
    whole = made.getvalue()
    for place in range(60, len(whole), 7):
        noise = bytes(b ^ 0x5A for b in whole[place : place + 9])
        with suppress(RunError):
            verify(whole[:place] + noise + whole[place + 9 :], "a.cbz")
    with pytest.raises(RunError, match=r"^a.cbz is broken: it is no whole zip \(.*\)$"):
        verify(whole[:60] + bytes(40) + whole[100:], "a.cbz")
