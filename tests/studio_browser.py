"""A real browser, and the real studio that it opens: for tests by keys and clicks alone."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
expect = playwright.expect
expect.set_options(timeout=20_000)  # a busy machine is no mistake of the page


@contextlib.contextmanager
def launched() -> Iterator[Any]:
    """Debian's Chromium, or whichever is called so; a test that needs it is skipped where none is."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium here")
    with playwright.sync_playwright() as p:
        quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
        running = p.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield running
        running.close()


def blank(browser: Any, address: str, **how: Any) -> Any:
    """A page in a context of its own; what goes wrong in it, or leaves for elsewhere, is in ``page.wrong``."""
    page = browser.new_context(**how).new_page()
    page.wrong = []
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda m: _is_mistake(m) and page.wrong.append(m.text))
    page.on("response", lambda r: r.status >= 400 and page.wrong.append(f"{r.status} {r.url}"))
    page.on("request", lambda r: r.url.startswith(address) or page.wrong.append(r.url))
    return page


def _is_mistake(message: Any) -> bool:
    """Of a console's lines; what the server refuses is told by its address instead."""
    return message.type == "error" and "Failed to load resource" not in message.text


def opened(browser: Any, address: str, **how: Any) -> Any:
    """`blank`, with the studio in it that has the six frames of the lighthouse."""
    page = blank(browser, address, **how)
    page.goto(address)
    expect(page.get_by_role("option")).to_have_count(6)
    return page


@contextlib.contextmanager
def studio(library: Path, host: str = "127.0.0.1") -> Iterator[tuple[str, Any]]:
    """The command ``studio`` on a library of its own: its address without a path, and its process."""
    with socket.socket() as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "identitystory", "studio", "--no-open", "--device", "cpu"]
    command += ["--library", str(library), "--host", host, "--port", str(port)]
    address = f"http://{host}:{port}/"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and process.poll() is None:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(address, timeout=5).close()
                    break
                time.sleep(0.1)
            yield address, process
        finally:
            process.terminate()
