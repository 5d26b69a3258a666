"""The command, the server, its worker and the miniature, from an empty folder to a picture."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from identitystory.cli.main import main
from identitystory.studio.library import default_root

TEXT = """title = "One"
[[character]]
name = "Mara"
description = "a young woman with long red hair"
[[scene]]
prompt = "a portrait of {Mara} in a library"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A studio that listens, and how it is asked."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    library = tmp_path_factory.mktemp("library")
    command = [sys.executable, "-m", "identitystory", "studio", "--no-open", "--device", "cpu"]
    command += ["--library", str(library), "--port", str(port)]
    out = subprocess.PIPE
    process = subprocess.Popen(command, stdout=out, stderr=out, text=True)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5)
            break
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    yield process, address, port
    process.kill()
    process.wait()


def ask(address, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(
        address + path, data, {"content-type": "application/json"}, method=method
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        content = answer.read()
        return (
            json.loads(content) if answer.headers["content-type"] == "application/json" else content
        )


def events(address, path, last_id=""):
    """(name, id, data) as a page's EventSource would see them."""
    asked = urllib.request.Request(
        address + path, headers={"last-event-id": last_id} if last_id else {}
    )
    with urllib.request.urlopen(asked, timeout=120) as lines:
        told = {}
        for line in lines:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                told[name] = value
            elif "data" in told:
                yield told.get("event"), told.get("id"), json.loads(told["data"])
                told = {}


@pytest.mark.journey
def test_a_story_is_painted_looked_at_and_told(server):
    process, address, port = server
    assert ask(address, "GET", "/").startswith(b"<!doctype html>")
    story = ask(address, "POST", "/api/stories", {"text": TEXT})
    path = f"/api/stories/{story['id']}"
    ask(address, "PUT", f"{path}/settings", {"steps": 4, "portraits": 4})
    told = events(address, f"/api/events?story={story['id']}&at=0")
    assert next(told)[0] == "hello"
    ask(address, "POST", f"{path}/paint", {"revision": story["revision"]})
    seen, preview = [], b""
    for name, id_, data in told:
        seen.append((name, id_, data))
        if name == "live" and data["preview"] and not preview:
            preview = ask(address, "GET", f"/api/jobs/{data['job']}/preview?n={data['preview']}")
        if name == "run" and data["event"] == "Finished":
            break
    assert preview[8:12] == b"WEBP"
    run = [each for each in seen if each[0] == "run"]
    assert [data["event"] for _, _, data in run if data["event"] != "Warned"] == [
        "Started", "Loaded", "PortraitsReady", "IdentityFound", "TemplateReady", "FrameReady", "Finished",
    ]  # fmt: skip
    rest = events(address, f"/api/events?story={story['id']}", last_id=run[-3][1])
    assert [each for each in (next(rest), next(rest), next(rest)) if each[0] == "run"] == run[-2:]
    story = ask(address, "GET", path)
    [frame] = story["frames"]
    assert frame["state"] in ("current", "missing")
    assert ask(address, "GET", f"{path}/pictures/{frame['picture']}")[:4] == b"\x89PNG"

    page = (Path(__file__).parent.parent / "docs/studio_api.md").read_text(encoding="utf-8")
    client: dict[str, Any] = {}
    exec(
        page.split("```python\n")[1].split("```")[0].replace("http://127.0.0.1:8765", address),
        client,
    )
    assert client["painted"](TEXT, steps=2, portraits=2)["frames"][0]["picture"]

    assert main(["studio", "--port", str(port)]) == 2  # it is taken
    worker = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    children = worker.read_text().split() if worker.exists() else []
    still = events(address, "/api/events")  # a page that is open
    assert next(still)[0] == "hello"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == f"studio: {address}/ (Ctrl-C ends it)\n"
    assert "Traceback" not in err
    assert "ERROR" not in err
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_what_the_command_cannot_do_is_one_line(capsys, monkeypatch):
    for given, said in {
        ("--port", "0"): "--port is 0; it must be 1 to 65535",
        ("--host", "192.0.2.1"): "the studio cannot listen at 192.0.2.1 port 8765",
    }.items():
        assert main(["studio", *given]) == 2
        assert said in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["studio"]) == 2
    assert "pip install 'identitystory[studio]'" in capsys.readouterr().err


def test_the_library_lies_where_xdg_says():
    at_home = Path.home() / ".local/share/identitystory/studio"
    assert default_root({"XDG_DATA_HOME": "/data"}) == Path("/data/identitystory/studio")
    assert default_root({"XDG_DATA_HOME": "not/whole"}) == default_root({}) == at_home
