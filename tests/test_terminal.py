"""The command as a shell runs it: closed and narrow output, and Ctrl-C at any moment."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.journey

COMMAND = [sys.executable, "-m", "identitystory"]
CYRILLIC = 'title = "\u0422\u043e\u043c \u00e9 \U0001f600"\n'
STORY = """
[[character]]
name = "Mara"
description = "a woman"
[[scene]]
prompt = "{Mara} reads"
"""


def shell(line, folder, **environment):
    """A line of sh in ``folder`` in which ``$I`` is the command; its exit code is the command's."""
    words = " ".join(map(repr, COMMAND))
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; I() {{ {words} \"$@\"; }}; {line}"],
        cwd=folder, capture_output=True, timeout=120, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "s.toml").write_text(CYRILLIC + STORY, encoding="utf-8")
    run = tmp_path / "r"
    run.mkdir()
    story = {
        "title": "t", "style": "", "characters": [],
        "scenes": [{"prompt": "\u0434\u043e\u043c \u00e9 \U0001f600", "cast": [], "text": "\u0434\u043e\u043c \u00e9"}] * 2000,
    }  # fmt: skip
    record = {"format": 1, "request": {"model": "m", "device": "cpu", "dtype": "auto"}}
    from identitystory.presets import PRESETS
    from identitystory.settings import to_dict

    record |= {"story": story, "configuration": to_dict(PRESETS["paper"])}
    (run / "run.json").write_text(json.dumps(record))
    return tmp_path


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("I --help | head -0", (0, 1, 141), b""),
        ("I takes r | head -0", (1, 141), b""),
        ("I takes r >&-", (0,), b""),
        ("I --version >&- 2>&-", (0,), b""),
        ("I takes nothing 2>&-", (2,), b""),
        ("I takes r > /dev/full", (1,), b"No space left on device"),
    ],
)
def test_an_output_that_is_closed_or_full_is_no_traceback(folder, line, code, told):
    done = shell(line, folder)
    assert done.returncode in code
    assert told in done.stderr
    assert len(done.stderr.splitlines()) <= 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_title_is_said_in_any_encoding(folder, encoding):
    done = shell("I takes r 1", folder, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    said = done.stdout.decode(encoding)
    assert json.loads(f'"{said.strip()}"') == "scene 1: \u0434\u043e\u043c \u00e9"
    broken = shell("I generate $'\\xff\\u0434.toml'", folder, PYTHONIOENCODING=encoding)
    assert broken.returncode == 2
    assert b"there is no such file" in broken.stderr


def test_what_an_encoding_lacks_is_escaped_as_json_does():
    from identitystory.cli.terminal import _escaped

    text = "\u0434\u00e9\U0001f600\udcff"
    error = UnicodeEncodeError("ascii", text, 0, len(text), "")
    assert _escaped(error) == (json.dumps(text)[1:-1], len(text))


@pytest.mark.parametrize("after", [0.0, 0.05, 0.15, 0.4, 1.0])
@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_while_it_starts_is_one_line_and_130(folder, after, times):
    """From when the command's own code runs; Python itself starts before that."""
    begin = (
        "import identitystory.cli.terminal as t, identitystory.__main__ as m\n"
        "t.ready(); print('ready', flush=True); m.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", begin, "generate", "s.toml"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == b"ready\n"
    time.sleep(after)
    for _ in range(times):
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"stopped; what is finished is kept" in err
    assert b"Traceback" not in err
    assert b"Exception" not in err


def test_work_ends_in_order_at_the_first_ctrl_c_and_at_once_at_the_next(tmp_path):
    work = (
        "import time\n"
        "from identitystory.cli import terminal\n"
        "terminal.ready(); terminal.stop_soon()\n"
        "try:\n    print('ready', flush=True); time.sleep(60)\n"
        "finally:\n    print('in order', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", work], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    for line in (b"ready\n", b"in order\n"):
        assert process.stdout.readline() == line
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.count(b"\n") == 1
    assert err.startswith(b"identitystory: stopped")
