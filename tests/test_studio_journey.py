"""A new user's first ten minutes on the real studio and the miniature, by keys and clicks alone.

Nothing here asks the API: whatever a person would press is pressed. Settings are short, so that all of it
takes a minute. `.ci/run` runs it as a step of its own: pytest -m journey.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.studio_browser import blank, expect, launched, opened, studio

pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed")
pytestmark = pytest.mark.journey
PAINTED = 300_000  # ms that a picture may take where others work, too

FOUNTAIN = """Title: The ferry

INT. HARBOUR - DAY

Mara waits for the ferry.

MARA
It is late.
"""
SHOTS = "prompt,characters\nMara reads,Mara\nMara sleeps,Mara\n"
TOML = """title = "The gull"
[[character]]
name = "Ann"
description = "an old woman with short grey hair"
[[scene]]
prompt = "a portrait of {Ann} on a beach"
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as running:
        yield running


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with studio(tmp_path_factory.mktemp("library")) as (address, _):
        yield address


def test_a_story_with_two_people_from_nothing_to_a_comic(
    browser: Any, address: str, tmp_path: Path
) -> None:
    page = opened(browser, address, viewport={"width": 1280, "height": 1400})
    frames = page.get_by_role("option")
    expect(page.get_by_text("All painted")).to_be_visible()  # the lighthouse is finished
    for _ in range(3):
        page.get_by_role("button", name="Next", exact=True).click()
    page.get_by_role("button", name="Start", exact=True).click()

    page.get_by_role("button", name="All stories").click()
    page.get_by_role("button", name="New story").click()
    page.get_by_label("Title").fill("Two friends")
    page.keyboard.press("Enter")
    expect(frames).to_have_count(1)
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Settings").click()
    page.get_by_label("Steps a picture").fill("4")
    page.get_by_label("Portraits to find a face").fill("4")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)

    page.keyboard.press("2")
    page.get_by_label("Name", exact=True).fill("Tom")
    page.get_by_label("Description", exact=True).last.fill("an old man with a white beard")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("article", name="Tom")).to_be_visible()
    page.keyboard.press("1")
    page.get_by_label("Add a scene").fill("{Mara} and {Tom} on a beach")
    page.keyboard.press("Enter")
    expect(frames).to_have_count(2)
    page.get_by_role("button", name="Paint 2 frames").click()
    done = re.compile("Finished|Somebody missing")  # four steps make no portrait
    for n in (0, 1):
        expect(frames.nth(n)).to_contain_text(done, timeout=PAINTED)

    first = frames.first
    before = first.locator("img").get_attribute("src")
    first.click()
    page.keyboard.press("r")
    expect(first).to_contain_text("2 takes", timeout=PAINTED)
    expect(first.locator("img")).not_to_have_attribute("src", str(before))
    expect(page.get_by_role("button", name=re.compile("^Take "))).to_have_count(2)
    page.get_by_role("button", name="Add a line").click()
    page.get_by_label("Line 1", exact=True).fill("Have you seen Tom?")
    expect(page.get_by_text("Saving repaints nothing.")).to_be_visible()
    page.keyboard.press("Control+s")
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)

    first.focus()
    page.keyboard.press("Alt+ArrowRight")
    expect(first).to_contain_text("Mara and Tom on a beach")
    expect(frames.nth(1)).to_contain_text("2 takes")
    expect(first).to_contain_text(done)

    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Comic (PDF)").click()
    comic = tmp_path / download.value.suggested_filename
    download.value.save_as(comic)
    reader = pypdf.PdfReader(comic)
    assert "Have you seen Tom?" in " ".join(p.extract_text() for p in reader.pages).replace(
        "\n", " "
    )
    assert sum(len(p.images) for p in reader.pages) >= 2
    if shutil.which("pdftoppm"):
        subprocess.run(["pdftoppm", "-r", "30", "-png", comic, tmp_path / "page"], check=True)
        assert len(list(tmp_path.glob("page*.png"))) == len(reader.pages)
    # What a change costs may be asked when the change before it is not answered yet.
    harmless = re.compile(r"409 .*/cost$|501 .*/api/characters$")
    assert [wrong for wrong in page.wrong if not harmless.search(wrong)] == []


def dropped(page: Any, name: str, content: str) -> None:
    """A file let go over the page, as a file manager does it."""
    data = page.evaluate_handle(
        "([name, content]) => { const data = new DataTransfer();"
        " data.items.add(new File([content], name)); return data }",
        [name, content],
    )
    page.dispatch_event("body", "dragenter", {"dataTransfer": data})
    expect(page.get_by_text("Drop it to open it as a story")).to_be_visible()
    page.dispatch_event("body", "drop", {"dataTransfer": data})
    expect(page.get_by_text("Drop it to open it as a story")).to_have_count(0)


def test_files_are_dropped_and_are_stories(browser: Any, address: str) -> None:
    page = blank(browser, address)
    page.goto(address)
    expect(page.get_by_role("option").first).to_be_visible()
    dropped(page, "gull.toml", TOML)
    expect(page.get_by_role("option")).to_have_count(1)
    expect(page.get_by_role("option").first).to_contain_text("a portrait of Ann on a beach")
    text = page.get_by_label("The story as text")
    for name, content, said in (
        ("shots.csv", SHOTS, 'prompt = "{Mara} sleeps"'),
        ("ferry.fountain", FOUNTAIN, "It is late."),
    ):
        dropped(page, name, content)
        expect(text).to_have_value(
            re.compile(re.escape(said))
        )  # it opens where it is to be filled in
        expect(page.get_by_text(re.compile("Still to fill in: .*Mara")).first).to_be_visible()
    text.fill(text.input_value().replace('description = ""', 'description = "a young woman"'))
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Reads well")).to_be_visible()
    expect(page.get_by_role("option").first).to_be_visible()
    dropped(page, "nothing.toml", "[[scene")
    expect(page.get_by_text(re.compile("nothing.toml.*not valid TOML")).first).to_be_visible()
    assert [re.sub(address, "/", wrong) for wrong in page.wrong] == [
        "400 /api/import?name=nothing.toml"
    ]


def test_a_link_lets_one_browser_in_and_nobody_else(browser: Any, tmp_path: Path) -> None:
    with studio(tmp_path, host="127.0.0.2") as (address, process):
        link = re.search(r"\S+#token=\S+", process.stdout.readline())
        assert link
        stranger = blank(browser, address)
        stranger.goto(address)
        expect(stranger.get_by_text("This studio is locked")).to_be_visible()
        page = blank(browser, address)
        page.goto(link[0])
        expect(page.get_by_role("option")).to_have_count(6)
        assert "token" not in page.url
        [cookie] = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        assert page.evaluate("document.cookie") == ""
        page.reload()
        expect(page.get_by_role("option")).to_have_count(6)
        stranger.goto(link[0])
        stranger.reload()  # another hash alone loads nothing
        expect(stranger.get_by_text("this link was used already").first).to_be_visible()
        expect(stranger.get_by_role("option")).to_have_count(0)
        assert page.wrong == []
