"""The studio's page in a real browser, by keys and clicks alone, against the mock of its server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.studio_browser import expect, launched, opened

pytestmark = pytest.mark.journey
ROOT = Path(__file__).parents[1]
AXE = ROOT / "studio/node_modules/axe-core/axe.min.js"
STORY = 'title = "Dropped"\n[[character]]\nname = "Ann"\ndescription = "an old woman"\n[[scene]]\nprompt = "{Ann} in a forest"\n'


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as running:
        yield running


@pytest.fixture
def address() -> Iterator[str]:
    command = [
        sys.executable,
        "studio/mock/server.py",
        "--port",
        "0",
        "--seconds",
        "0.3",
        "--big",
        "200",
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as mock:
        assert mock.stdout
        yield mock.stdout.readline().strip()
        mock.terminate()


def captions(page: Any) -> list[str]:
    return page.evaluate(
        "[...document.querySelectorAll('[role=option] .words')].map((e) => e.textContent)"
    )


def focused(page: Any) -> str:
    return page.evaluate(
        "document.activeElement.getAttribute('aria-label') || document.activeElement.innerText"
    )


def test_a_board_is_worked_by_keys_alone(browser: Any, address: str) -> None:
    page = opened(browser, address)
    press = page.keyboard.press
    for _ in range(30):
        press("Tab")
        if focused(page).startswith("Frame 1."):
            break
    before = captions(page)
    press("Alt+ArrowRight")
    expect(page.get_by_role("option").first).to_contain_text(before[1])
    assert captions(page) == [before[1], before[0], *before[2:]]
    assert focused(page).startswith("Frame 2.")  # the focus goes with the frame
    press("Control+z")
    expect(page.get_by_role("option").first).to_contain_text(before[0])
    press("Control+Shift+z")
    expect(page.get_by_role("option").first).to_contain_text(before[1])

    page.get_by_role("option").first.focus()
    press("ArrowRight")
    press("r")
    expect(page.get_by_role("option").nth(1)).to_contain_text("2 takes")
    press("l")
    expect(page.get_by_role("option").nth(1)).to_contain_text("Locked")
    press("l")
    expect(page.get_by_role("option").nth(1)).not_to_contain_text("Locked")
    press("c")
    expect(page.get_by_role("dialog")).to_contain_text("Compare two takes")
    press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("option").nth(1)).to_be_focused()
    press("Shift+ArrowRight")
    expect(page.get_by_text("2 frames chosen")).to_be_visible()
    press("/")
    page.keyboard.type("storms")
    expect(page.get_by_role("option")).to_have_count(1)
    press("Escape")
    expect(page.get_by_role("option")).to_have_count(6)
    press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Re-roll what is chosen")
    assert page.wrong == []


def test_two_people_a_new_frame_and_a_comic_by_clicks(browser: Any, address: str) -> None:
    page = opened(browser, address, viewport={"width": 1280, "height": 1400})
    button = page.get_by_role("button", name="Skip", exact=True)
    button.click()
    page.get_by_role("button", name="Cast").first.click()
    page.get_by_label("Name").fill("Ann")
    page.get_by_label("Description").last.fill("an old woman with short grey hair")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("article", name="Ann")).to_be_visible()
    page.get_by_role("button", name="Board").first.click()
    page.get_by_label("Add a scene").fill("{Mara} and {Ann} at a lighthouse")
    page.get_by_role("button", name="Add a scene").click()
    expect(page.get_by_role("option")).to_have_count(7)
    page.get_by_role("button", name="Paint 1 frame").click()
    expect(page.get_by_role("option").last).to_contain_text("Finished")

    page.get_by_role("option").last.drag_to(
        page.get_by_role("option").first, target_position={"x": 20, "y": 90}
    )
    expect(page.get_by_role("option").first).to_contain_text("Ann at a lighthouse")
    page.get_by_role("option").first.click()
    page.get_by_label("Words", exact=True).fill("{Mara} alone at a lighthouse")
    expect(
        page.get_by_text("Saving makes 1 frame out of date: about 14 s to paint again.")
    ).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("option").first).to_contain_text("Out of date")
    expect(page.get_by_role("option").first).to_contain_text(
        "Its words changed since it was painted."
    )
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Comic (PDF)").click()
    assert download.value.suggested_filename == "story.pdf"
    assert page.wrong == []


def test_all_that_a_scene_says_is_written_beside_its_picture(browser: Any, address: str) -> None:
    page = opened(browser, address)
    page.get_by_role("option").nth(1).click()
    page.get_by_role("button", name="Add a line").click()
    page.get_by_label("Line 1", exact=True).fill("Was that a gull?")
    page.get_by_text("For the page").click()
    page.get_by_label("Shot").fill("close-up")
    page.get_by_text("In the picture alone").click()
    expect(page.get_by_text("Saving repaints nothing.")).to_be_visible()
    with page.expect_response(lambda answer: answer.url.endswith("/edit")):
        page.keyboard.press("Control+s")
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    page.get_by_label("Mara wears").fill("a red coat")  # what was opened stays open
    expect(page.get_by_text("Saving makes 1 frame out of date")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    page.keyboard.press("Escape")
    page.keyboard.press("3")
    text = page.get_by_label("The story as text")
    expect(text).to_have_value(re.compile('shot = "close-up"\n.*"Was that a gull\\?"'))
    expect(text).to_have_value(re.compile('wears = {"Mara" = "a red coat"}'))
    page.keyboard.press("Escape")
    page.keyboard.press("Control+z")
    expect(text).not_to_have_value(re.compile("a red coat"))
    assert page.wrong == []


def test_the_worst_comes_first_and_many_are_rerolled_at_a_price(browser: Any, address: str) -> None:
    page = opened(browser, address)
    page.get_by_role("button", name="Worst first").click()
    told = page.get_by_role("option").all_inner_texts()
    shares = [int(re.search(r"(\d+) %", each)[1]) for each in told]  # type: ignore[index]
    assert len(set(shares)) > 1
    assert shares == sorted(shares)
    page.get_by_role("group", name="Which frames").get_by_role("button").first.click()
    page.get_by_role("option").first.click()
    page.get_by_role("option").nth(2).click(modifiers=["Shift"])
    expect(page.get_by_text("a re-roll takes about 42 s")).to_be_visible()
    assert page.wrong == []


def test_what_a_check_found_is_on_the_board_and_the_worst_comes_first(
    browser: Any, address: str
) -> None:
    page = opened(browser, address)
    page.get_by_role("button", name="Skip", exact=True).click()
    page.get_by_role("button", name="All stories").click()
    page.locator("#stories").get_by_role("button", name=re.compile("^The storm")).click()
    options = page.get_by_role("option")
    said = "Tom is not there · expected 'two people', not 1 seen · Mara: not sure · Tom: not seen"
    expect(options.nth(3)).to_contain_text(said)
    expect(options.first).to_contain_text("Mara: surely themself")
    page.get_by_role("button", name="Worst first").focus()
    page.keyboard.press("Enter")
    expect(options.first).to_have_attribute("data-index", "3")
    expect(options.first).to_contain_text("Suspicion 3")
    expect(options.last).to_have_attribute("data-index", "0")  # nothing is wrong with it
    options.first.focus()
    page.keyboard.press("e")
    found = page.get_by_role("region", name="Who is in it")
    expect(found).to_contain_text("two people · does not hold (1 seen)")
    expect(found).to_contain_text("at sunset · holds")
    expect(found).to_contain_text("not sure · 62 %")
    words = page.get_by_label("Words", exact=True)
    words.fill(f"{words.input_value()} by night")
    expect(page.get_by_text("Why: its words were changed.")).to_be_visible()
    page.get_by_role("button", name="Discard").click()
    options.first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text(said)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Check the pictures").first.click()
    page.keyboard.press("q")
    expect(page.get_by_role("complementary")).to_contain_text("Look at")
    assert page.wrong == []


def test_the_text_is_checked_as_it_is_typed(browser: Any, address: str) -> None:
    page = opened(browser, address)
    page.keyboard.press("3")
    text = page.get_by_label("The story as text")
    right = text.input_value()
    text.fill(right.replace("{Mara} laughing", "{Maria} laughing"))
    verdict = page.get_by_text("scene 3 names {Maria}, who is no character of this story")
    expect(verdict).to_be_visible()
    text.fill(right.replace("laughing", "asleep"))
    expect(page.get_by_text("Saving makes 1 frame out of date")).to_be_visible()
    page.keyboard.press("Control+s")
    expect(page.get_by_role("option").nth(2)).to_contain_text("Out of date")

    other = page.context.new_page()
    other.goto(address)
    other.get_by_role("option").nth(2).click()
    other.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("option")).to_have_count(5)  # two tabs agree
    expect(text).not_to_have_value(right)
    assert page.wrong == []


def test_a_board_of_200_frames_obeys_every_key(browser: Any, address: str) -> None:
    page = opened(browser, address)
    page.get_by_role("button", name="All stories").click()
    page.get_by_role("button", name="The long winter").first.click()
    expect(page.get_by_role("option")).to_have_count(200)
    page.get_by_role("option").first.focus()
    cursor = page.locator("[role=option][tabindex='0']")
    for _ in range(60):  # as fast as they come
        page.keyboard.press("ArrowRight")
    expect(cursor).to_have_attribute("data-index", "60")
    expect(cursor).to_be_in_viewport()
    moved = captions(page)[0]
    page.keyboard.press("Home")
    for _ in range(5):  # each begins before the last is answered
        page.keyboard.press("Alt+ArrowRight")
    expect(cursor).to_have_attribute("data-index", "5")
    assert captions(page)[5] == moved
    assert page.wrong == []


def test_a_file_that_is_dropped_is_a_story(browser: Any, address: str) -> None:
    page = opened(browser, address)
    page.get_by_role("button", name="All stories").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Open a file").click()
    chooser.value.set_files({"name": "a.toml", "mimeType": "text/plain", "buffer": STORY.encode()})
    expect(page.get_by_role("option")).to_have_count(1)
    expect(page.get_by_role("button", name="Dropped", exact=True)).to_be_visible()
    assert page.wrong == []


RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']}"


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not here: make studio fetches it")
def test_axe_finds_nothing_on_any_screen(browser: Any, address: str) -> None:
    page = opened(browser, address, reduced_motion="reduce")
    page.evaluate(AXE.read_text())

    def found(screen: str, rules: str) -> list[Any]:
        violations = page.evaluate(f"axe.run({rules}).then((r) => r.violations)")
        return [(screen, v["id"], [n["html"] for n in v["nodes"]]) for v in violations]

    def check(screen: str) -> None:
        assert found(screen, RULES) == []
        page.emulate_media(color_scheme="dark")
        assert found(f"{screen}, dark", "{runOnly: ['color-contrast']}") == []
        page.emulate_media(color_scheme="light")

    check("tour")
    page.get_by_role("button", name="Skip", exact=True).click()
    page.get_by_role("option").nth(3).click()
    page.get_by_role("button", name="Masks").click()
    check("frame")
    for key, screen in (("c", "compare"), ("?", "keys")):
        page.keyboard.press(key)
        check(screen)
        page.keyboard.press("Escape")
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Settings").click()
    check("settings")
    page.keyboard.press("Escape")
    for key, screen in (("q", "queue"), ("3", "text"), ("2", "cast")):
        page.keyboard.press(key)
        check(screen)
    page.set_viewport_size({"width": 390, "height": 844})
    tabs = page.get_by_role("navigation", name="identitystory studio")
    for name in ("Cast", "Story", "Queue", "Board"):
        tabs.get_by_role("button", name=name).click()
        assert found(f"{name}, phone", RULES) == []
        assert page.evaluate("document.documentElement.scrollWidth") == 390  # nothing is cut off
