"""Takes the pictures of every screen of the studio for docs/studio: ``python dev/screens.py``; Chromium is needed.

The screens are those of the page on its stand-in server, with the pictures of the lighthouse that is in the package: no
model is opened, and what is shown is the same each time. Several people of one description are the real server's, found and
painted by the miniature in some minutes (``--several`` takes that screen alone). Each is WebP; all together stay below 1.5 MB.
"""

import io
import re
import socket
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from identitystory.studio import example

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
from tests.studio_browser import CHROMIUM  # noqa: E402

OUT = ROOT / "docs/studio"
MOST = 1_500_000
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}


@contextmanager
def served(*command):
    """A server that prints its address first, and the address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, *command, "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield re.search(r"http://\S+", server.stdout.readline())[0]
        finally:
            server.terminate()


@contextmanager
def mock():
    """The stand-in with a finished run, and its address."""
    with tempfile.TemporaryDirectory(prefix="identitystory-") as parent:
        run = Path(parent) / "run"
        example.run(run)
        with served("studio/mock/server.py", "--run", str(run)) as address:
            yield address


def saved(name, *shots):
    """Pictures beside each other as one file."""
    images = [Image.open(io.BytesIO(shot)).convert("RGB") for shot in shots]
    gap = 24 * (len(images) > 1)
    size = sum(i.width for i in images) + gap * (len(images) - 1), max(i.height for i in images)
    page, x = Image.new("RGB", size, "white"), 0
    for image in images:
        page.paste(image, (x, 0))
        x += image.width + gap
    page.save(OUT / f"{name}.webp", quality=80, method=6)
    print(name, (OUT / f"{name}.webp").stat().st_size, flush=True)


def shot(page):
    """The screen, when all of its pictures are there and nothing moves."""
    there = (
        "[...document.images].every((i) => i.loading === 'lazy' || (i.complete && i.naturalWidth))"
    )
    while not page.evaluate(there):
        page.wait_for_timeout(100)
    page.wait_for_timeout(500)
    return page.screenshot()


def frame(page, n):
    """Chooses a frame, whose picture is then beside the board."""
    page.get_by_role("option").nth(n).click()
    page.get_by_role("complementary").locator("img").first.wait_for()


def story(page, title):
    """Opens another story."""
    page.get_by_role("button", name="All stories").click()
    page.locator("#stories").get_by_role("button", name=re.compile(f"^{title}")).click()


def screens(page, scheme):
    """Every screen of a desk, in light or dark."""
    shoot = lambda name: saved(f"{name}-{scheme}", shot(page))
    shoot("tour")
    page.get_by_role("button", name="Skip", exact=True).click()
    shoot("board")
    frame(page, 1)
    page.get_by_role("button", name="Add a line").click()
    page.get_by_label("Line 1", exact=True).fill("Was that a gull?")
    page.get_by_text("For the page").click()
    page.get_by_label("Shot").fill("close-up")
    page.get_by_text("Saving repaints nothing.").wait_for()
    shoot("frame")
    page.get_by_role("button", name="Discard").click()
    page.get_by_role("button", name="Close", exact=True).click()
    page.get_by_role("button", name="Worst first").click()
    frame(page, 0)
    shoot("worst")
    page.get_by_role("button", name="Close", exact=True).click()
    page.get_by_role("group", name="Which frames").get_by_role("button").first.click()
    page.keyboard.press("2")
    shoot("cast")
    page.keyboard.press("1")
    page.keyboard.press("3")
    text = page.get_by_label("The story as text")
    text.fill(text.input_value().replace("{Mara} laughing", "{Maria} laughing"))
    page.get_by_text("who is no character").first.wait_for()
    shoot("text")
    page.keyboard.press("Control+z")
    page.get_by_role("button", name="Story", exact=True).first.click()
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Settings").click()
    shoot("settings")
    page.keyboard.press("Escape")
    frame(page, 2)
    page.get_by_role("button", name="Close", exact=True).click()
    page.keyboard.press("r")
    page.get_by_role("option").nth(2).get_by_text("2 takes").wait_for()
    page.keyboard.press("c")
    page.get_by_role("dialog").locator("img").first.wait_for()
    shoot("compare")
    page.keyboard.press("Escape")
    story(page, "The storm")
    shot(page)  # the stand-in tells what happens from now on alone
    page.keyboard.press("r")
    page.keyboard.press("q")
    page.get_by_role("option").first.locator("progress").wait_for()
    page.get_by_text("Nothing waits").wait_for(state="hidden")
    shoot("painting")
    page.keyboard.press("?")
    shoot("keys")
    page.keyboard.press("Escape")


def phone(page):
    """Four screens of a phone."""
    page.get_by_role("button", name="Skip", exact=True).click()
    tabs = page.get_by_role("navigation", name="identitystory studio")
    shots = []
    for name in ("Board", "", "Cast", "Story"):
        if name:
            tabs.get_by_role("button", name=name).click()
        else:
            page.get_by_role("option").nth(1).click()
        shots.append(shot(page))
    saved("phone", *shots)


def several(browser):
    """Four people of one description, in two scenes each; one of them is taken."""
    with (
        tempfile.TemporaryDirectory(prefix="identitystory-") as library,
        served("-m", "identitystory", "studio", "--library", library, "--no-open") as address,
    ):
        page = browser.new_context(viewport=WIDE, color_scheme="light").new_page()
        page.set_default_timeout(1_800_000)
        page.goto(address)
        page.get_by_role("button", name="Skip", exact=True).click()
        page.keyboard.press("2")
        page.get_by_label("Description").first.fill("a young woman")
        page.get_by_role("button", name="Save").first.click()
        page.get_by_role("button", name="Find the face").first.click()
        page.get_by_role("button", name="Find several").first.click()
        page.get_by_label("How many people").select_option("4")
        page.get_by_role("button", name="Find them").click()
        page.get_by_role("button", name="Take person 2").click()
        people = page.get_by_role("region", name="People whom Mara could be")
        people.get_by_text("in the story", exact=True).wait_for()
        people.scroll_into_view_if_needed()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            saved(f"several-{scheme}", shot(page))


def main():
    """Takes them all anew, or with ``--several`` those of several people alone."""
    OUT.mkdir(exist_ok=True)
    if sys.argv[1:] == ["--several"]:
        with sync_playwright() as p:
            several(p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]))
        return 0
    for old in OUT.glob("*.webp"):
        old.unlink()
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        several(browser)
        for scheme in ("light", "dark"):
            with mock() as address:
                page = browser.new_context(viewport=WIDE, color_scheme=scheme).new_page()
                page.goto(address)
                page.get_by_role("option").nth(5).wait_for()
                screens(page, scheme)
        with mock() as address:
            page = browser.new_context(viewport=PHONE, has_touch=True).new_page()
            page.goto(address)
            page.get_by_role("option").nth(5).wait_for()
            phone(page)
        browser.close()
    whole = sum(each.stat().st_size for each in OUT.glob("*.webp"))
    print(f"{whole / 1e6:.2f} MB")
    return int(whole > MOST)


if __name__ == "__main__":
    sys.exit(main())
