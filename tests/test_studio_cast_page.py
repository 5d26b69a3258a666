"""The studio's cast in a real browser, by keys and clicks, on the real server with a painter of fakes."""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from tests.characters import person
from tests.studio_browser import CHROMIUM, expect, playwright
from tests.studio_desk import Studio, studio, workshop
from tests.test_studio_cast import photos
from tests.test_studio_page import AXE, RULES, browser, focused

pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here"),
]
__all__ = ["browser", "playwright"]


@pytest.fixture
def page(browser: Any, tmp_path: Any, monkeypatch: Any) -> Iterator[Any]:
    """The cast of a painted story; what goes wrong on the page is in ``page.wrong``."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    desk = studio(tmp_path, workshop())
    story = desk.painted(desk.new())
    over = threading.Event()
    painter = threading.Thread(target=_paint, args=(desk, over))
    config = uvicorn.Config(desk.client.app, port=0, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = threading.Thread(target=server.run)
    for thread in (painter, serving):
        thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    made = browser.new_context(reduced_motion="reduce").new_page()
    made.wrong = []
    made.set_default_timeout(20_000)
    made.on("pageerror", lambda error: made.wrong.append(str(error)))
    made.on("console", lambda m: m.type == "error" and made.wrong.append(f"{m.text} {m.location}"))
    made.goto(f"http://127.0.0.1:{port}/story/{story['id']}")
    made.get_by_role("button", name="Skip", exact=True).click()
    made.keyboard.press("2")
    expect(made.get_by_role("article", name="Mara")).to_be_visible()
    yield made
    made.context.close()
    over.set()
    server.should_exit = True
    for thread in (painter, serving):
        thread.join()


def _paint(desk: Studio, over: threading.Event) -> None:
    while not over.wait(0.05):
        desk.worker.one()


def _bring(page: Any, content: bytes, name: str = "mara.character") -> None:
    """Drops a file onto the page."""
    drop = """([text, name]) => {
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        const held = new DataTransfer();
        held.items.add(new File([bytes], name));
        document.body.dispatchEvent(new DragEvent('drop', {dataTransfer: held, bubbles: true, cancelable: true}));
    }"""
    page.evaluate(drop, [base64.b64encode(content).decode(), name])


def _tab_to(page: Any, name: str, what: str = "*") -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        is_it = page.evaluate("(what) => document.activeElement.matches(what)", what)
        if is_it and focused(page).strip() == name:
            return
    raise AssertionError(f"{name or what} is not reached by the Tab key")


def test_another_person_is_looked_for_taken_and_given_back_by_keys(page: Any) -> None:
    press = page.keyboard.press
    mara = page.get_by_role("article", name="Mara")
    _tab_to(page, "Find again")
    press("Enter")
    expect(mara).to_contain_text("2 frames would then be painted anew")
    press("Escape")
    expect(mara).not_to_contain_text("2 frames would then be painted anew")
    assert focused(page).strip() == "Find again"
    press("Enter")
    _tab_to(page, "Look for somebody else")
    press("Enter")
    expect(mara.get_by_role("button", name="Face 2")).to_be_visible()
    page.evaluate("document.querySelector('main').focus()")
    _tab_to(page, "Face 2")
    press("Enter")
    expect(mara).to_contain_text("Saving makes 2 frames out of date")
    _tab_to(page, "Take this face")
    press("Enter")
    expect(mara.get_by_role("button", name="Face 2, in the story")).to_be_visible()
    press("1")
    expect(page.get_by_role("option").first).to_contain_text("Out of date")
    press("Control+z")
    expect(page.get_by_role("option").first).to_contain_text("Finished")
    assert page.wrong == []


def test_somebody_who_is_described_anew_is_found_anew(page: Any) -> None:
    mara = page.get_by_role("article", name="Mara")
    button = lambda name: mara.get_by_role("button", name=name)
    mara.get_by_label("Description").fill("a woman with grey hair")
    button("Save").click()
    expect(button("Find again")).to_have_count(0)
    button("Find the face").click()
    expect(button("Find again")).to_be_visible()
    expect(mara).to_contain_text("Found")
    assert page.wrong == []


def test_several_are_found_of_somebody_who_was_not_found_yet(page: Any) -> None:
    mara = page.get_by_role("article", name="Mara")
    button = lambda name: mara.get_by_role("button", name=name)
    mara.get_by_label("Description").fill("a woman with grey hair")
    button("Save").click()
    expect(button("Find the face")).to_be_visible()
    button("Find several").click()
    expect(mara).to_contain_text("Takes about")
    expect(mara).to_contain_text("People in your library can have relatives here.")
    expect(mara.get_by_label("Related to")).to_have_count(0)
    mara.get_by_label("How many people").select_option("2 people")
    button("Find them").click()
    expect(button("Take person 2")).to_be_enabled(timeout=60_000)
    expect(button("Find the face")).to_be_visible()  # nothing changes until one is taken
    button("Take person 2").click()
    expect(button("Find again")).to_be_visible(timeout=60_000)
    expect(button("Give back")).to_be_visible()
    assert page.wrong == []


def test_somebody_is_kept_dressed_used_and_removed_by_clicks(page: Any) -> None:
    mara, tom = (page.get_by_role("article", name=name) for name in ("Mara", "Tom"))
    mara.get_by_role("button", name="Put into the library").click()
    mara.get_by_label("What your library calls them").fill("Baker")
    mara.get_by_role("button", name="Keep them").click()
    baker = page.get_by_role("article", name="Baker")
    expect(baker).to_be_visible()
    baker.get_by_role("button", name="New look").click()
    baker.get_by_label("Name of the look").fill("rain")
    baker.get_by_label("Wears").fill("a yellow raincoat")
    baker.get_by_role("button", name="Save").click()
    expect(baker.get_by_role("button", name="rain")).to_be_visible()

    tom.get_by_role("button", name="Use from the library").click()
    tom.get_by_role("button", name="Baker").click()
    expect(tom).to_contain_text("From your library: Baker")
    tom.get_by_label("Look").select_option("rain")
    expect(tom.get_by_label("Wears")).to_have_value("a yellow raincoat")
    tom.get_by_role("button", name="Back to words alone").click()
    expect(tom).not_to_contain_text("From your library")
    page.keyboard.press("Control+z")
    expect(tom).to_contain_text("From your library: Baker")

    baker.get_by_role("button", name="Rename Baker").click()
    baker.get_by_role("textbox", name="Rename Baker").fill("Ann")
    page.keyboard.press("Enter")
    ann = page.get_by_role("article", name="Ann")
    expect(tom).to_contain_text("From your library: Ann")
    with page.expect_download() as download:
        ann.get_by_role("link", name="Save Ann as a file").click()
    assert download.value.suggested_filename == "Ann.character"
    ann.get_by_role("button", name="Remove Ann from the library").click()
    expect(ann).to_have_count(0)
    page.get_by_label("Messages").get_by_role("button", name="Undo").click()
    expect(ann).to_be_visible()
    assert page.wrong == []


def test_a_file_is_dropped_and_a_broken_one_is_refused_in_one_line(page: Any) -> None:
    _bring(page, person().content)
    mara = page.get_by_label("Your library").get_by_role("article", name="Mara")
    expect(mara).to_contain_text("a young woman with long red hair")
    assert page.wrong == []
    _bring(page, person().content[:-9])
    expect(page.get_by_text("is no character file that can be used").first).to_be_visible()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Bring in a file").click()
    content = person(1).content
    file = {"name": "m.character", "mimeType": "application/zip", "buffer": content}
    chooser.value.set_files(file)
    expect(page.get_by_text("'Mara' is in the library; choose another name").first).to_be_visible()
    page.get_by_label("Name", exact=True).fill("Nell")
    page.get_by_label("Description").last.fill("a girl with short hair")
    page.get_by_role("button", name="Add", exact=True).click()
    nell = page.get_by_role("article", name="Nell")
    nell.get_by_role("button", name="Take out of the story").click()
    expect(nell).to_have_count(0)


def test_consent_is_withdrawn_by_keys_after_a_step_that_says_what_it_deletes(page: Any) -> None:
    press = page.keyboard.press
    _bring(page, photos().content)
    kept = page.get_by_label("Your library").get_by_role("article", name="Mara")
    expect(kept).to_contain_text("From photos. Ann agreed, for a story")
    tom = page.get_by_role("article", name="Tom")
    tom.get_by_role("button", name="Use from the library").click()
    tom.get_by_role("button", name="Mara").click()
    expect(tom).to_contain_text("From your library: Mara")

    page.get_by_role("button", name="Bring in a file").focus()
    _tab_to(page, "Withdraw the consent for Mara")
    press("Enter")
    expect(kept).to_contain_text("This cannot be undone")
    assert focused(page) == "Keep it"  # what Enter does is not what deletes
    _is_clean(page)
    press("Escape")
    expect(kept).not_to_contain_text("This cannot be undone")
    assert focused(page) == "Withdraw the consent for Mara"
    press("Enter")
    press("Tab")
    assert focused(page) == "Delete the face for good"
    press("Enter")
    expect(page.get_by_text("The consent for Mara is withdrawn.").first).to_be_visible()
    expect(kept).to_contain_text("the consent ended on")
    expect(kept.get_by_role("button", name="Withdraw")).to_have_count(0)
    expect(kept.locator("img")).to_have_count(0)
    press("1")
    expect(page.get_by_role("button", name="the consent for 'Mara'")).to_be_visible()
    assert page.wrong == []


def test_several_people_are_found_and_one_is_taken_and_given_back_by_keys(page: Any) -> None:
    press = page.keyboard.press
    mara = page.get_by_role("article", name="Mara")
    _tab_to(page, "Find several")
    press("Enter")
    expect(mara).to_contain_text("Takes about")
    mara.get_by_label("How many people").select_option("2 people")
    _tab_to(page, "Find them")
    press("Enter")
    people = mara.get_by_role("region", name="People whom Mara could be")
    expect(people.get_by_role("img")).to_have_count(4, timeout=60_000)
    expect(people).to_contain_text("2 frames would then be painted anew")
    second, back = _take(page, people, "Take person 2")
    press("1")
    expect(page.get_by_role("option").first).to_contain_text("Out of date")
    press("2")
    back.focus()
    press("Enter")
    expect(second).to_be_enabled(timeout=60_000)
    press("1")
    expect(page.get_by_role("option").first).to_contain_text("Finished")
    assert page.wrong == []


def test_relatives_of_the_library_are_found_and_one_is_taken_by_keys(page: Any) -> None:
    press = page.keyboard.press
    mara, tom = (page.get_by_role("article", name=name).first for name in ("Mara", "Tom"))
    for one, called in ((mara, "Baker"), (tom, "Captain")):
        one.get_by_role("button", name="Put into the library").click()
        one.get_by_label("What your library calls them").fill(called)
        press("Enter")
        kept = page.get_by_label("Your library").get_by_role("article", name=called)
        expect(kept).to_be_visible(timeout=60_000)
    tom.get_by_role("button", name="Find several").focus()
    press("Enter")
    expect(tom.get_by_label("As their")).to_have_count(0)
    _pick(page, "Related to", "Baker")
    _pick(page, "As their", "older self")
    _tab_to(page, "", "input[type=number]")
    expect(tom).to_contain_text("Takes about")
    page.keyboard.type("91")
    expect(tom.locator("input:invalid")).to_have_count(1)
    press("Enter")
    expect(tom.get_by_label("By how many years")).to_be_visible()  # and nothing is asked for
    _pick(page, "As their", "child", back=True)
    _pick(page, "And to", "Captain")
    _is_clean(page)
    page.set_viewport_size({"width": 390, "height": 4000})
    _is_clean(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1280, "height": 720})
    _tab_to(page, "Find them")
    press("Enter")
    names = ("Children of Captain and Baker", "Children of Baker and Captain")
    people = tom.get_by_role("list", name=names[0]).or_(tom.get_by_role("list", name=names[1]))
    expect(people.get_by_role("img")).to_have_count(12, timeout=120_000)
    second, back = _take(page, people, "Take person 2, Children of")
    back.focus()
    press("Enter")
    expect(second).to_be_enabled(timeout=60_000)
    assert page.wrong == []


def _take(page: Any, people: Any, name: str) -> tuple[Any, Any]:
    """Takes one of these people by keys; the button that does it, and the one that gives them back."""
    one = people.get_by_role("button", name=name)
    expect(one).to_be_enabled(timeout=60_000)
    _is_clean(page)
    one.focus()
    page.keyboard.press("Enter")
    back = people.get_by_role("button", name="Give back")
    expect(back).to_be_enabled(timeout=60_000)
    return one, back


def _pick(page: Any, label: str, words: str, *, back: bool = False) -> None:
    """Chooses an option by its first letters, in the list of that label, which the Tab key reaches."""
    for _ in range(60):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.evaluate("document.activeElement.labels?.[0]?.innerText ?? ''").startswith(label):
            page.keyboard.type(words)
            return
    raise AssertionError(f"{label} is not reached by the Tab key")


def test_of_two_answers_the_page_shows_the_one_that_was_asked_for_last(page: Any) -> None:
    """As while a candidate is taken: two changes follow each other faster than the first is read."""
    held: list[Any] = []

    def slow(route: Any) -> None:
        held.append((route, route.fetch()))
        if len(held) == 2:
            for one, answer in held:
                one.fulfill(response=answer)

    page.route(re.compile("/api/stories/[0-9a-f]+$"), slow)
    edit = """async (title) => {
        const path = '/api' + location.pathname.replace('story', 'stories');
        const { revision } = await (await fetch(path + '?own')).json();
        const body = JSON.stringify({ revision, edits: [{ do: 'story', set: { title } }] });
        await fetch(path + '/edit', { method: 'POST', body, headers: { 'Content-Type': 'application/json' } });
    }"""
    for n, title in enumerate(("One", "Two"), 1):
        page.evaluate(edit, title)
        for _ in range(200):
            page.wait_for_timeout(50)
            if len(held) >= n:
                break
    assert len(held) == 2
    page.wait_for_timeout(500)
    assert page.title().startswith("Two")
    assert page.wrong == []


def test_the_pictures_are_checked_by_a_button(page: Any) -> None:
    page.keyboard.press("1")
    worst = page.get_by_role("button", name="Worst first")
    expect(worst).to_have_count(0)  # these fakes measure nothing
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Check the pictures").click()
    expect(worst).to_be_visible()
    page.get_by_role("option").nth(2).click()
    expect(page.get_by_role("region", name="Who is in it")).to_contain_text("Nothing suspicious.")
    assert page.wrong == []


def _is_clean(page: Any) -> None:
    """axe finds nothing, light and dark, where it is here."""
    if not AXE.is_file():
        return
    page.evaluate(AXE.read_text())
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        violations = page.evaluate(f"axe.run({RULES}).then((r) => r.violations)")
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations] == []


@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not here: make studio fetches it")
def test_axe_finds_nothing_in_the_cast(page: Any) -> None:
    page.evaluate(AXE.read_text())
    _bring(page, person().content)
    kept = page.get_by_label("Your library").get_by_role("article", name="Mara")
    expect(kept).to_be_visible()
    kept.get_by_role("button", name="winter").click()
    mara, tom = (page.get_by_role("article", name=name).first for name in ("Mara", "Tom"))
    mara.get_by_role("button", name="Find again").click()
    mara.get_by_role("button", name="Look for somebody else").click()
    mara.get_by_role("button", name="Face 2").click()
    mara.get_by_role("button", name="Put into the library").click()
    tom.get_by_role("button", name="Use from the library").click()
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 4000})  # nothing below the bar
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            violations = page.evaluate(f"axe.run({RULES}).then((r) => r.violations)")
            found = [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations]
            assert found == [], (width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
