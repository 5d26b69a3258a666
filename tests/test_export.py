"""Pages to hand out, each opened by a reader that is not ours."""

import io
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
import zipfile
from dataclasses import replace
from html.parser import HTMLParser
from itertools import accumulate
from pathlib import Path

import pytest
from PIL import Image

from identitystory.cli.main import main
from identitystory.pages import export as exporting
from identitystory.pages import film
from identitystory.pages.book import frame_count, read_book
from identitystory.pages.comic import comic_pages
from identitystory.pages.export import MAKERS, Wanted, export
from identitystory.pages.finish import Marking
from identitystory.pages.fonts import leftward, open_fonts, visual, wrap
from identitystory.pages.sheet import Picture, Shape, Words
from identitystory.pages.subtitles import cues
from identitystory.types import Scene
from tests.planted import planted_run

pytest.importorskip("reportlab")
otio = pytest.importorskip("opentimelineio")
av = pytest.importorskip("av")
pypdf = pytest.importorskip("pypdf")

SCENES = [
    Scene("{Mara} waits", ("Mara",), "{Mara} waits", caption="At <dusk> & after.", seconds=0.5),
    Scene(
        "b", ("Mara", "Tom"), "{Mara} and {Tom} meet", dialogue=(("Tom", "You came."), ("Mara", "I did.")),
        shot="two shot", camera="slow pan", notes="Keep the lamp.", seconds=1.0, id="meeting",
    ),
    Scene("c", (), "an empty harbour", caption="Nobody.", seconds=0.5),
    Scene("d", ("Nell",), "{Nell} leaves", dialogue=(("Nell", "Good night."),)),
]  # fmt: skip
FRAMES = 12 + 24 + 12 + round((2.5 + 2 / 2.5) * 24)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return planted_run(tmp_path_factory.mktemp("export") / "run", SCENES, title="Dusk & <after>")


@pytest.fixture(scope="module")
def made(run):
    """Every kind, each made once: the bytes of its file by name."""
    paths = [path for kind in MAKERS for path in export(run, Wanted(kind))[0]]
    return {path.name: path.read_bytes() for path in paths}


def told(capsys, *arguments):
    """Exit code and what stands on standard error."""
    code = main(["export", *map(str, arguments)])
    return code, capsys.readouterr().err


@pytest.mark.parametrize("kind", MAKERS)
def test_the_same_run_gives_the_same_bytes_without_a_word_of_this_machine(kind, run, made):
    for path in export(run, Wanted(kind))[0]:
        assert path.read_bytes() == made[path.name]
        assert str(run.parent).encode() not in made[path.name]


@pytest.mark.parametrize("kind", ["comic", "storyboard", "contact"])
def test_a_pdf_holds_every_picture_and_every_word(kind, made):
    reader = pypdf.PdfReader(io.BytesIO(made[f"{kind}.pdf"]))
    text = " ".join(" ".join(page.extract_text() for page in reader.pages).split())
    assert reader.metadata.title == "Dusk & <after>"
    assert sum(len(page.images) for page in reader.pages) == len(SCENES)
    words = {
        "comic": ["At <dusk> & after.", "You came.", "I did.", "Nobody.", "Good night."],
        "storyboard": ["two shot, slow pan", "Mara and Tom meet", "Tom: You came.", "Keep the lamp.", "seed 1001", "meeting"],
        "contact": ["1 Mara waits", "4 Nell leaves"],
    }[kind]  # fmt: skip
    assert [word for word in words if word not in text] == []


@pytest.mark.skipif(
    not shutil.which("pdftoppm"), reason="pdftoppm (poppler-utils) is not installed"
)
def test_another_reader_draws_the_pdf_as_we_draw_it(made, run, tmp_path):
    (tmp_path / "a.pdf").write_bytes(made["comic.pdf"])
    subprocess.run(["pdftoppm", "-r", "72", "-png", "a.pdf", "a"], cwd=tmp_path, check=True)
    theirs = Image.open(next(tmp_path.glob("a*.png"))).convert("L").resize((60, 85))
    with zipfile.ZipFile(io.BytesIO(made["comic.cbz"])) as archive:
        ours = Image.open(archive.open("001.png")).convert("L").resize((60, 85))
    far = [abs(a - b) for a, b in zip(theirs.tobytes(), ours.tobytes(), strict=True)]
    assert sum(far) / len(far) < 4


def test_a_comic_book_zip_holds_whole_pages_and_says_how_it_is_read(made):
    with zipfile.ZipFile(io.BytesIO(made["comic.cbz"])) as archive:
        assert archive.testzip() is None
        info = ET.fromstring(archive.read("ComicInfo.xml"))
        pages = [Image.open(archive.open(n)) for n in archive.namelist() if n.endswith(".png")]
    assert (info.findtext("Title"), info.findtext("Manga")) == ("Dusk & <after>", "No")
    assert info.findtext("PageCount") == str(len(pages))
    assert {page.size for page in pages} == {(1488, 2105)}


def test_every_picture_of_an_epub_has_its_words_and_no_metadata(made):
    with zipfile.ZipFile(io.BytesIO(made["comic.epub"])) as archive:
        assert archive.infolist()[0].filename == "mimetype"
        assert archive.infolist()[0].compress_type == zipfile.ZIP_STORED
        page = ET.fromstring(archive.read("book/001.xhtml"))
        images = list(page.iter("{http://www.w3.org/1999/xhtml}img"))
        assert [i.get("alt") for i in images] == [
            "Mara waits", "Mara and Tom meet", "an empty harbour", "Nell leaves",
        ]  # fmt: skip
        for image in images:
            picture = Image.open(archive.open(f"book/{image.get('src')}"))
            assert picture.size == (64, 64)
            assert "identitystory" not in picture.text
        package = archive.read("book/package.opf").decode()
    assert 'page-progression-direction="ltr"' in package


@pytest.mark.journey
@pytest.mark.skipif(
    not (shutil.which("epubcheck") and shutil.which("java")), reason="epubcheck is not installed"
)
def test_epubcheck_finds_nothing(run, tmp_path):
    export(run, Wanted("epub", tmp_path / "a.epub", order="rtl", language="pt-BR"))
    export(wordy(tmp_path), Wanted("epub", tmp_path / "b.epub"))
    for name in ("a.epub", "b.epub"):
        check = ["java", "-jar", shutil.which("epubcheck"), name]  # Debian's program is the jar
        done = subprocess.run(check, capture_output=True, cwd=tmp_path, check=False)
        assert b"0 fatals / 0 errors / 0 warnings" in done.stdout + done.stderr


def wordy(folder):
    """A run of one scene whose caption goes on for pages of words alone."""
    return planted_run(folder / "wordy", [replace(SCENES[0], caption="word " * 2000)])


def test_pages_of_an_epub_that_hold_a_drawing_are_declared_and_no_others(tmp_path):
    (path,), _ = export(wordy(tmp_path), Wanted("epub"))
    with zipfile.ZipFile(path) as archive:
        package = archive.read("book/package.opf").decode()
        pages = re.findall(r'href="(\d+\.xhtml)" media-type="[^"]*"( properties="svg")?', package)
        drawn = {name: b"<svg" in archive.read(f"book/{name}") for name, _ in pages}
    assert {name: bool(declared) for name, declared in pages} == drawn
    assert set(drawn.values()) == {True, False}


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.sources, self.alts, self.tags = [], [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        given = dict(attrs)
        self.sources += [given[k] for k in ("src", "href") if k in given]
        self.alts += [given["alt"]] if "alt" in given else []


def test_a_web_page_asks_for_nothing_outside_of_it(made):
    page, text = Links(), made["comic.html"].decode()
    page.feed(text)
    assert page.alts[1] == "Mara and Tom meet"
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert set(re.findall(r"url\((.{10})", text)) <= {"data:font/"}
    assert re.findall(r"<script[^>]*>", text) == ['<script type="application/rdf+xml">']  # the mark
    assert "dusk" not in page.tags


def test_a_film_stands_as_long_as_its_scenes_say_and_its_subtitles_with_it(made):
    with av.open(io.BytesIO(made["film.mp4"])) as film:
        stream = film.streams.video[0]
        pictures = list(film.decode(stream))
        assert (stream.width, stream.height, len(pictures)) == (720, 720, FRAMES)
        colours = [frame.to_image().resize((1, 1)).getpixel((0, 0)) for frame in pictures[6::24]]
    assert len(set(colours)) > 1
    starts = re.findall(r"(\d\d:\d\d:\d\d\.\d{3}) -->", made["film.vtt"].decode())
    assert starts == [
        "00:00:00.000",
        "00:00:00.500",
        "00:00:01.038",
        "00:00:01.500",
        "00:00:02.000",
    ]
    assert "At &lt;dusk&gt; &amp; after." in made["film.vtt"].decode()
    assert (
        made["film.srt"].decode().startswith("1\n00:00:00,000 --> 00:00:00,500\nAt <dusk> & after.")
    )


@pytest.mark.parametrize(
    ("codec", "named"), [("av1", b"av01"), ("vp9", b"vp09"), ("h264", b"avc1")]
)
def test_a_film_is_of_the_codec_that_is_asked_for(run, codec, named):
    if film.ENCODERS[codec][0] not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    book = read_book(run)
    content = film.mp4(replace(book, panels=[replace(book.panels[0], given=0.2)]), codec)
    assert named in content  # as the file calls what is in it
    with av.open(io.BytesIO(content)) as opened:
        assert len(list(opened.decode(video=0))) == round(0.2 * 24)


def test_a_codec_that_is_not_there_is_one_line_with_those_that_are(
    run, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(film.ENCODERS, "vp9", ("no-such-encoder", {}))
    out = tmp_path / "a.mp4"
    code, said = told(capsys, run, "--as", "mp4", "--codec", "vp9", "--out", out)
    assert (code, said.count("\n"), out.exists()) == (2, 1, False)
    assert "--codec vp9 is not in this FFmpeg; it has " in said
    assert not said.endswith("it has \n")


def test_every_option_is_heeded(run, tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(exporting, "export", lambda *given: asked.append(given) or ([], []))
    given = [
        "--as",
        "mp4",
        "--out",
        "a.mp4",
        "--order",
        "rtl",
        "--page",
        "letter",
        "--codec",
        "vp9",
    ]
    given += ["--enlarge", "2", "--font", "a.ttf", "--language", "pt-BR", "--timings", "a.edl"]
    assert told(capsys, run, *given, "--no-marks") == (0, "")
    wanted = Wanted(
        kind="mp4",
        out=Path("a.mp4"),
        order="rtl",
        size="letter",
        enlarge=2,
        font=Path("a.ttf"),
        language="pt-BR",
        timings=Path("a.edl"),
        codec="vp9",
        marking=Marking(marks=False),
    )
    assert asked == [(run, wanted)]


def test_a_gif_moves_and_says_its_words(made):
    film = Image.open(io.BytesIO(made["film.gif"]))
    assert film.n_frames > 8
    assert film.size[0] == 320
    assert film.size[1] > 320


def test_a_long_line_is_said_in_pieces_that_fit_a_screen(run):
    book = read_book(run)
    long = replace(book.panels[0], scene=replace(SCENES[0], caption="word " * 60))
    said = cues(replace(book, panels=[long]))
    assert " ".join(cue.text for cue in said).split() == ["word"] * 60
    assert max(len(cue.text) for cue in said) <= 84
    assert said[-1].end == pytest.approx(0.5)


@pytest.mark.parametrize("rate", [5, 24])
def test_words_keep_to_their_pictures_to_the_end(run, rate):
    """4.1 seconds are no whole number of pictures; what is lost does not add up."""
    book = read_book(run)
    panels = [replace(book.panels[0], given=4.1)] * 60
    ends = [cue.end * rate for cue in cues(replace(book, panels=panels), rate)]
    assert ends == pytest.approx([*accumulate(frame_count(p, rate) for p in panels)])


def test_a_gif_says_every_line(run, monkeypatch):
    book, said = read_book(run), []
    monkeypatch.setattr(film, "_draw", lambda page, text, *rest: said.append(text))
    panels = [
        replace(book.panels[0], given=0.5, scene=replace(SCENES[0], caption=f"Line {n}."))
        for n in range(6)
    ]
    film.gif(replace(book, panels=panels), open_fonts())
    assert said == [f"Line {n}." for n in range(6) for _ in range(2)]


def test_two_letters_that_are_written_wide_take_as_long_as_a_word(run):
    panel = read_book(run).panels[3]
    for text, words in (("one two three", 3), ("灯台の光が見える", 4), ("Mara 見る", 2), ("見", 1)):
        seconds = replace(panel, scene=Scene("d", (), caption=text)).seconds
        assert seconds == round(2.5 + words / 2.5, 1), text


def test_a_cut_is_read_by_an_editor_and_its_pictures_are_found(run, made):
    line = otio.adapters.read_from_string(made["cut.otio"].decode(), "otio_json")
    clips = list(line.find_clips())
    assert [clip.name for clip in clips] == ["001", "meeting", "003", "004"]
    assert [clip.duration().value for clip in clips] == [12, 24, 12, FRAMES - 48]
    assert all((run / "pages" / clip.media_reference.target_url).is_file() for clip in clips)
    assert list(clips[1].metadata["identitystory"]["dialogue"]) == [
        "Tom: You came.",
        "Mara: I did.",
    ]
    listed = otio.adapters.read_from_string(made["cut.edl"].decode(), "cmx_3600", rate=24)
    assert [c.duration().value for c in listed.find_clips()] == [12, 24, 12, FRAMES - 48]


@pytest.mark.parametrize("kind", ["otio", "edl"])
def test_timings_that_an_editor_changed_come_back(kind, run, made, tmp_path, capsys):
    """Scene 2 is made longer and cut in two, scene 3 shorter; clips are moved; the rest stays."""
    how = ("otio_json", {}) if kind == "otio" else ("cmx_3600", {"rate": 24})
    line = otio.adapters.read_from_string(made[f"cut.{kind}"].decode(), how[0], **how[1])
    track = line.video_tracks()[0]
    for number, frames in ((1, 60), (2, 6)):
        track[number].source_range = otio.opentime.TimeRange(
            duration=otio.opentime.RationalTime(frames, 24)
        )
    half = track[1].deepcopy()
    track[1].name = half.name = track[1].name
    track.append(half)
    line.global_start_time = None
    otio.adapters.write_to_file(line, str(tmp_path / f"a.{kind}"), how[0], **how[1])
    out = tmp_path / "b.otio"
    code, said = told(
        capsys, run, "--as", "otio", "--out", out, "--timings", tmp_path / f"a.{kind}"
    )
    assert code == 0
    assert "1: 0.5, 2: 5, 3: 0.25, 4: 3.292" in said
    again = otio.adapters.read_from_file(str(out))
    assert [clip.duration().value for clip in again.find_clips()] == [12, 120, 6, FRAMES - 48]


def test_a_file_of_ones_own_is_never_overwritten_and_an_earlier_page_is(capsys, run, tmp_path):
    for kind, name in (("html", "a.html"), ("edl", "a.edl")):
        mine = tmp_path / name
        mine.write_text("my notes")
        code, said = told(capsys, run, "--as", kind, "--out", mine)
        assert (code, mine.read_text()) == (2, "my notes")
        assert said.endswith(
            f"{name} is there already; choose another place with --out, or delete it\n"
        )
    page, inside = tmp_path / "b.html", run / "frames" / "a.html"
    assert [told(capsys, run, "--as", "html", "--out", page)[0] for _ in range(2)] == [0, 0]
    assert told(capsys, run, "--as", "html", "--out", run / "pages" / "mine.html")[0] == 0
    code, said = told(capsys, run, "--as", "html", "--out", inside)
    assert (code, inside.exists()) == (2, False)
    assert "is inside the run" in said


def test_right_to_left_turns_panels_and_bubbles_around(run):
    ltr, rtl = (
        comic_pages(read_book(run, order=order), open_fonts())[0] for order in ("ltr", "rtl")
    )
    order = lambda page: [i.panel.number for i in sorted(
        (i for i in page.items if isinstance(i, Picture)), key=lambda i: (round(i.box.top / 99), i.box.left)
    )]  # fmt: skip
    assert order(ltr) != order(rtl)
    assert sorted(order(ltr)) == sorted(order(rtl)) == [1, 2, 3, 4]


def test_where_it_is_not_known_who_is_where_words_stand_below(tmp_path):
    hidden = planted_run(tmp_path / "run", SCENES, unknown=(0, 1, 3))
    page = comic_pages(read_book(hidden), open_fonts())[0]
    bubbles = [item for item in page.items if isinstance(item, Shape) and item.fill]
    assert len(bubbles) == 1  # of the scene that has nobody
    assert "Tom: You came." in [
        line for i in page.items if isinstance(i, Words) for line in i.lines
    ]


def test_the_longest_texts_are_all_there(tmp_path):
    says = tuple(("Mara", f"w{n} " * 150) for n in range(30))
    long = planted_run(tmp_path / "run", [replace(SCENES[0], dialogue=says, caption="c " * 500)])
    for kind in ("comic", "storyboard"):
        (path,), _ = export(long, Wanted(kind))
        text = "".join(page.extract_text() for page in pypdf.PdfReader(path).pages)
        assert [text.count(f"w{n} ") + text.count(f"w{n}\n") for n in (0, 29)] >= [149, 149]


def test_letters_of_other_scripts_are_set_or_told():
    fonts = open_fonts()
    for text in ("Grüße, Łódź", "Где маяк?", "Πού είναι;", "Որտե՞ղ", "אור", "ضوء", "სინათლე"):
        assert fonts.of(text).lacks(text) == set(), text
    assert fonts.told(["Где маяк?"]) == []
    (sentence,) = fonts.told(["灯台はどこ"])
    assert "5 of the letters (cjk, hiragana)" in sentence
    assert "not joined" in fonts.told(["दीपस्तंभ"])[1]


def test_lines_break_as_their_script_breaks_them():
    font = open_fonts().of("a")
    assert wrap("one two three", font, 10, font.width("one two", 10) + 1) == ["one two", "three"]
    assert "".join(wrap("a" * 50, font, 10, 40)) == "a" * 50
    wide = open_fonts().fonts[-1]
    lines = wrap("灯台の光、見える。", wide, 10, 5 * wide.width("灯", 10))
    assert "".join(lines) == "灯台の光、見える。"
    assert len(lines) > 1
    assert not any(line[0] in "、。" for line in lines)
    assert leftward("אור 12")
    assert visual("אור 12") == "12 רוא"
    assert visual("(12)!", "אור (12)!") == "!(12)"
    assert visual("Mara: אור (12)!") == "Mara: (12) רוא!"
    assert visual("سلام") != "سلام"[::-1]  # joined, not only turned


def test_mistakes_are_one_line(run, made, tmp_path, capsys):
    (tmp_path / "bad.ttf").write_bytes(b"no font" * 99)
    (tmp_path / "bad.otio").write_text("[" * 999)
    (tmp_path / "other.otio").write_text(json.dumps({"OTIO_SCHEMA": "Nothing.1"}))
    (tmp_path / "bad.edl").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "empty.edl").write_text("TITLE: none\n")
    line = otio.adapters.read_from_string(made["cut.otio"].decode(), "otio_json")
    next(iter(line.find_clips())).source_range = None
    otio.adapters.write_to_file(line, str(tmp_path / "endless.otio"), "otio_json")
    for words, *arguments in (
        ("holds no run", tmp_path / "nothing"),
        ("must end in .pdf", run, "--out", "a.txt"),
        ("no language tag", run, "--language", "<x>"),
        ("no font with TrueType outlines", run, "--font", tmp_path / "bad.ttf"),
        ("cannot be read", run, "--font", tmp_path / "missing.ttf"),
        ("is no cut", run, "--timings", tmp_path / "bad.otio"),
        ("is no cut", run, "--timings", tmp_path / "other.otio"),
        ("is no cut", run, "--timings", tmp_path / "bad.edl"),
        ("no clip in it", run, "--timings", tmp_path / "empty.edl"),
        ("the clip '001' has no length", run, "--timings", tmp_path / "endless.otio"),
        ("none of .otio, .edl", run, "--timings", tmp_path / "a.xml"),
    ):
        code, said = told(capsys, *arguments)
        assert (code, said.count("\n")) == (2, 1), (arguments, said)
        assert words in said


def test_every_export_says_that_a_model_made_it_unless_it_is_not_to(run, made, tmp_path):
    marked = {name for name, content in made.items() if b"rainedAlgorithmicMedia" in content}
    assert {
        name for name in made if name.partition(".")[2] not in ("srt", "vtt", "otio", "edl")
    } == marked
    bare = tmp_path / "a.html"
    export(run, Wanted("html", bare, marking=Marking(marks=False)))
    assert b"lgorithmicMedia" not in bare.read_bytes()
    with zipfile.ZipFile(io.BytesIO(made["comic.epub"])) as archive:
        assert b"rainedAlgorithmicMedia" in archive.read("book/pictures/0002.png")
    assert "--no-marks: these pictures do not say" in (run / "events.jsonl").read_text()


def test_a_scene_that_is_not_painted_is_left_out_and_told(tmp_path, capsys):
    some = planted_run(tmp_path / "run", SCENES)
    (some / "frames" / "002.png").unlink()
    code, said = told(capsys, some, "--as", "otio")
    assert (code, "scenes 2" in said) == (0, True)
    for frame in some.glob("frames/*.png"):
        frame.unlink()
    code, said = told(capsys, some)
    assert (code, "no finished picture" in said) == (2, True)


def test_what_no_model_reads_is_no_part_of_what_is_painted():
    full = replace(SCENES[1], negative="glasses")
    assert full.bare == Scene(
        "b", ("Mara", "Tom"), "{Mara} and {Tom} meet", negative="glasses", id="meeting"
    )
