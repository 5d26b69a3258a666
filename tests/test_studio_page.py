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
    open_story(page, "The storm")
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


CARD = "[role=option]"


class Held:
    """Requests of a page that wait for `let_go`: all, or the ``first`` alone."""

    def __init__(self, page: Any, pattern: Any, *, first: bool = False) -> None:
        self.page, self.pattern, self.first = page, pattern, first
        self.routes: list[Any] = []
        self.open = False
        page.route(pattern, self._hold)

    def _hold(self, route: Any) -> None:
        if self.open or (self.first and self.routes):
            route.continue_()
        else:
            self.routes.append(route)

    def wait(self) -> None:
        """Until the first one is there."""
        for _ in range(200):
            if self.routes:
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"nothing asks for {self.pattern}")

    def let_go(self) -> None:
        self.open = True
        for route in self.routes:
            route.continue_()
        self.page.unroute(self.pattern)


def mistakes(page: Any, status: str = "no") -> list[str]:
    """What went wrong, but for ``status``; what something costs may be asked of a story that has just changed."""
    harmless = re.compile(rf"^{status} |^409 .*/cost$")
    return [wrong for wrong in page.wrong if not harmless.search(wrong)]


def refused(page: Any, pattern: str) -> None:
    """From now on, until it is unrouted."""
    page.route(pattern, lambda route: route.fulfill(status=500, json={}))


def open_story(page: Any, title: str) -> None:
    """By the list of all stories, as a person does; what then stands there is not waited for."""
    page.get_by_role("button", name="All stories").click()
    page.locator("#stories").get_by_role("button", name=re.compile(f"^{title}")).click()


def test_a_text_that_cannot_be_saved_stays_and_so_does_what_is_typed_while_it_is_saved(
    browser: Any, address: str
) -> None:
    page = opened(browser, address)
    page.keyboard.press("3")
    text = page.get_by_label("The story as text")
    saved = text.input_value()
    mine = saved.replace("laughing", "asleep")
    text.fill(mine)
    refused(page, "**/text")
    page.keyboard.press("Control+s")
    expect(page.get_by_text("That did not work (500).").first).to_be_visible()
    expect(text).to_have_value(mine)
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    page.unroute("**/text")

    held = Held(page, "**/text")
    text.evaluate("area => area.setSelectionRange(5, 5)")
    page.keyboard.press("Control+s")
    held.wait()
    expect(page.get_by_role("button", name="Save the text")).to_be_disabled()
    expect(text).to_have_value(mine)  # and not the old one
    page.keyboard.type("x")
    held.let_go()
    expect(page.locator(CARD).nth(2)).to_contain_text("Out of date")
    more = mine[:5] + "x" + mine[5:]
    expect(text).to_have_value(more)
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    expect(page.get_by_text("The story was changed elsewhere.")).to_have_count(0)
    assert text.evaluate("area => area.selectionStart") == 6
    page.keyboard.press("Backspace")
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()

    held = Held(page, "**/edit")
    page.get_by_role("option").first.focus()
    page.keyboard.press("Alt+ArrowRight")
    held.wait()
    text.fill(saved)
    text.press("Control+s")  # what is written after the frame was moved would move it back
    held.let_go()
    expect(page.get_by_text("The story was changed elsewhere.")).to_be_visible()
    expect(text).to_have_value(saved)
    page.get_by_role("button", name="Show that text").click()
    expect(text).not_to_have_value(saved)
    assert mistakes(page, "500") == []


def test_what_is_typed_outlives_every_way_out_of_its_pane(browser: Any, address: str) -> None:
    page = opened(browser, address, viewport={"width": 1280, "height": 1400})
    page.get_by_role("button", name="Skip", exact=True).click()
    frames = page.locator(CARD)
    words = page.get_by_label("Words", exact=True)
    before = captions(page)
    frames.nth(2).click()
    words.fill("{Mara} asleep")
    composed = "new KeyboardEvent('keydown', {key: 'Escape', isComposing: true, bubbles: true})"
    words.evaluate(f"area => area.dispatchEvent({composed})")
    expect(words).to_be_focused()
    page.keyboard.press("Escape")
    expect(words).to_have_count(0)
    frames.nth(1).click()
    expect(words).not_to_have_value("{Mara} asleep")
    frames.nth(2).click()
    expect(words).to_have_value("{Mara} asleep")
    page.get_by_role("button", name="Move earlier").click()
    expect(frames.nth(1)).to_contain_text(before[2])
    expect(words).to_have_value("{Mara} asleep")
    other = opened(browser, address)
    other.get_by_role("option").first.focus()
    other.keyboard.press("Delete")  # what is above it
    expect(frames).to_have_count(5)
    expect(words).to_have_value("{Mara} asleep")
    other.keyboard.press("Control+z")
    expect(frames).to_have_count(6)
    expect(words).to_have_value("{Mara} asleep")

    page.get_by_role("button", name="Cast").first.click()
    mara = page.get_by_role("article", name="Mara")
    mara.get_by_label("Description").fill("an old woman")
    page.get_by_role("button", name="Story", exact=True).first.click()
    text = page.get_by_label("The story as text")
    mine = text.input_value() + "# more\n"
    text.fill(mine)
    open_story(page, "The storm")
    expect(text).not_to_have_value(mine)
    page.go_back()
    expect(text).to_have_value(mine)
    page.get_by_role("region", name="Story", exact=True).get_by_role("button", name="Close").click()
    expect(text).to_have_count(0)
    page.get_by_role("button", name="Story", exact=True).first.click()
    expect(text).to_have_value(mine)
    expect(mara.get_by_label("Description")).to_have_value("an old woman")
    page.get_by_role("button", name="Board").first.click()
    frames.nth(1).click()
    expect(words).to_have_value("{Mara} asleep")

    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.close(run_before_unload=True)
    for _ in range(100):
        if asked:
            break
        other.wait_for_timeout(50)
    assert asked == ["beforeunload"]
    assert mistakes(page) == []


def test_words_that_are_typed_while_a_frame_is_saved_stay_with_it(
    browser: Any, address: str
) -> None:
    page = opened(browser, address)
    frames = page.locator(CARD)
    words = page.get_by_label("Words", exact=True)
    frames.nth(2).click()
    refused(page, "**/edit")
    words.fill("{Mara} asleep")
    words.press("Control+s")
    expect(page.get_by_text("That did not work (500).").first).to_be_visible()
    expect(words).to_have_value("{Mara} asleep")
    page.unroute("**/edit")
    held = Held(page, "**/edit")
    words.press("Control+s")
    held.wait()
    words.press("End")
    page.keyboard.type(" at sea")
    held.let_go()
    expect(frames.nth(2)).to_contain_text("Out of date")
    expect(words).to_have_value("{Mara} asleep at sea")
    held = Held(page, "**/edit")
    words.press("Control+s")
    held.wait()
    frames.nth(4).click()  # and the pane is another frame's when the answer comes
    held.let_go()
    expect(frames.nth(2)).to_contain_text("Out of date")
    page.keyboard.press("3")
    text = page.get_by_label("The story as text")
    expect(text).to_have_value(re.compile("Mara} asleep at sea"))
    frames.nth(2).click()
    expect(words).to_have_value("{Mara} asleep at sea")
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    page.get_by_label("Add a scene").fill("{Mara} asleep at sea")
    page.keyboard.press("Enter")
    expect(frames).to_have_count(7)
    frames.nth(2).click()
    words.fill("{Mara} awake")
    words.press("Control+s")
    expect(text).to_have_value(re.compile("Mara} awake"))
    expect(page.get_by_role("complementary", name="Frame 3")).to_be_visible()
    frames.nth(6).click()  # of the words that the other one had
    expect(words).to_have_value("{Mara} asleep at sea")
    page.on("dialog", lambda dialog: page.wrong.append(dialog.type))
    page.close(run_before_unload=True)
    assert mistakes(page, "500") == []


def test_what_waits_for_its_turn_acts_on_the_frame_and_the_story_it_was_asked_for(
    browser: Any, address: str
) -> None:
    page = opened(browser, address)
    frames = page.locator(CARD)
    before = captions(page)
    frames.nth(2).focus()
    held = Held(page, "**/edit")
    page.keyboard.press("Alt+ArrowRight")
    held.wait()
    page.keyboard.press("Delete")
    page.keyboard.press("ArrowLeft")
    held.let_go()
    expect(frames).to_have_count(5)
    assert captions(page) == [*before[:2], *before[3:]]
    expect(page.get_by_text("1 frame removed.").first).to_be_visible()

    held = Held(page, "**/edit")
    page.keyboard.press("Home")
    page.keyboard.press("Alt+ArrowRight")
    held.wait()
    page.keyboard.press("Delete")
    open_story(page, "The storm")
    expect(frames).to_have_count(8)
    held.let_go()
    expect(page.get_by_text("Not done: another story was opened").first).to_be_visible()
    expect(frames).to_have_count(8)
    page.go_back()
    expect(frames).to_have_count(5)  # moved, and nothing was removed
    assert captions(page)[0] == before[1]

    late = Held(page, re.compile("/api/stories/[0-9a-f]{12}$"), first=True)
    tabs = page.get_by_role("navigation", name="Open stories")
    tabs.get_by_role("button", name="The storm", exact=True).click()
    late.wait()
    open_story(page, "The long winter")
    expect(frames).to_have_count(200)
    late.let_go()
    page.wait_for_timeout(300)
    expect(frames).to_have_count(200)
    assert mistakes(page) == []


def test_the_undo_of_a_note_undoes_what_it_tells_of_and_can_be_tried_again(
    browser: Any, address: str
) -> None:
    page = opened(browser, address)
    frames = page.locator(CARD)
    before = captions(page)
    frames.nth(1).focus()
    page.keyboard.press("Delete")
    expect(frames).to_have_count(5)
    frames.nth(3).focus()
    page.keyboard.press("l")
    expect(frames.nth(3)).to_contain_text("Locked")
    notes = page.get_by_role("region", name="Messages")
    undo = notes.get_by_role("button", name="Undo", exact=True)
    undo.click()
    expect(frames).to_have_count(6)
    expect(frames.nth(1)).to_have_attribute("aria-label", re.compile(re.escape(before[1])))
    expect(frames.nth(4)).to_contain_text("Locked")
    refused(page, "**/lock")
    page.keyboard.press("Control+z")
    expect(page.get_by_text("That did not work (500).").first).to_be_visible()
    page.unroute("**/lock")
    frames.nth(4).focus()
    page.keyboard.press("Alt+ArrowLeft")
    expect(frames.nth(3)).to_contain_text("Locked")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(page.get_by_text("Undone: locked.").first).to_be_visible()
    expect(frames.nth(4)).not_to_contain_text("Locked")
    assert mistakes(page, "500") == []


def test_a_key_that_is_held_down_counts_once(browser: Any, address: str) -> None:
    page = opened(browser, address)
    jobs: list[str] = []
    page.on("request", lambda r: re.search("/(reroll|paint)$", r.url) and jobs.append(r.url))
    page.locator(CARD).nth(1).focus()
    for _ in range(5):
        page.keyboard.down("r")
    page.keyboard.up("r")
    expect(page.locator(CARD).nth(1)).to_contain_text("2 takes")
    page.get_by_label("Add a scene").fill("{Mara} on a pier")
    page.keyboard.press("Enter")
    expect(page.locator(CARD)).to_have_count(7)
    page.locator(CARD).last.focus()
    for _ in range(3):
        page.keyboard.press("p")
    expect(page.locator(CARD).last).to_contain_text("Finished")
    assert [each.rpartition("/")[2] for each in jobs] == ["reroll", "paint"]
    for _ in range(3):
        page.keyboard.down("ArrowLeft")
    expect(page.locator(f"{CARD}[tabindex='0']")).to_have_attribute("data-index", "3")
    assert mistakes(page) == []


def test_what_is_painted_is_seen_on_its_frame_wherever_that_stands(
    browser: Any, address: str
) -> None:
    page = opened(browser, address)
    frames = page.locator(CARD)
    preview = "img[src*='/preview']"
    frames.first.click()
    frames.nth(1).click(modifiers=["Shift"])
    page.get_by_role("button", name="Re-roll").first.click()
    expect(frames.first.locator(preview)).to_have_count(1)
    expect(page.locator(f"{CARD} {preview}")).to_have_count(1)
    frames.first.click()
    page.keyboard.press("Alt+ArrowRight")
    page.keyboard.press("Alt+ArrowRight")
    expect(frames.nth(2).locator(preview)).to_have_count(1)
    expect(page.locator(f"{CARD} {preview}")).to_have_count(1)
    expect(page.get_by_role("region", name="Now")).to_contain_text("Painting frame 3")
    expect(frames.nth(2)).to_contain_text("2 takes")
    expect(frames.first.locator(preview)).to_have_count(1)  # the second one, which moved up
    expect(page.locator(f"{CARD} {preview}")).to_have_count(1)
    expect(frames.first).to_contain_text("2 takes")
    expect(page.locator(preview)).to_have_count(0)
    assert mistakes(page) == []


def test_a_pane_acts_on_its_frame_and_a_key_on_chosen_frames_that_are_seen(
    browser: Any, address: str
) -> None:
    page = opened(browser, address)
    frames = page.locator(CARD)
    frames.nth(2).click()
    for n in (3, 5, 5):
        frames.nth(n).click(modifiers=["Control"])
    pane = page.get_by_role("complementary", name="Frame 6")
    pane.get_by_role("button", name="Lock").click()
    expect(frames.nth(5)).to_contain_text("Locked")
    pane.get_by_role("button", name="Re-roll").click()
    expect(page.get_by_text("It is locked, so it stays.").first).to_be_visible()
    pane.get_by_role("button", name="Remove", exact=True).click()
    expect(frames).to_have_count(5)
    expect(page.get_by_text("2 frames chosen")).to_be_visible()
    expect(frames.filter(has_text="Locked")).to_have_count(0)
    found = captions(page)[2]
    page.get_by_label("Search").fill(found)
    expect(frames).to_have_count(1)
    expect(page.get_by_text("2 frames chosen")).to_have_count(0)
    frames.first.focus()
    page.keyboard.press("l")
    expect(frames.first).to_contain_text("Locked")
    page.get_by_label("Search").fill("")
    expect(frames).to_have_count(5)
    expect(frames.filter(has_text="Locked")).to_have_count(1)
    assert mistakes(page) == []


def test_a_stream_that_was_refused_is_asked_for_again_and_a_story_that_is_gone_is_closed(
    browser: Any, address: str
) -> None:
    page = opened(browser, address)
    page.route("**/api/events*", lambda route: route.fulfill(status=503, json={}))
    page.reload()
    lost = page.get_by_text("Connection lost.")
    expect(lost).to_be_visible()
    page.unroute("**/api/events*")
    expect(lost).to_have_count(0)
    other = opened(browser, address)
    for left in (2, 1, 0):
        other.get_by_role("button", name="All stories").click()
        other.get_by_role("button", name=re.compile("^Remove .*lighthouse|^Remove ")).first.click()
        expect(other.locator("#stories .story")).to_have_count(left)
        other.keyboard.press("Escape")
        expect(page.locator("#stories .story")).to_have_count(left)
    expect(page.get_by_text("No story is open")).to_be_visible()
    expect(other.get_by_text("No story is open")).to_be_visible()
    assert mistakes(page, "503") == []
