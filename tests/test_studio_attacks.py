"""What a page of somebody else, a neighbour in the network or a crafted file may try; all is refused."""

import json
import socket
import time

import pytest

from identitystory.studio.guard import COOKIE, Door
from identitystory.studio.library import Library, NothingError
from identitystory.studio.queue import Queue
from tests.studio_desk import TEXT, desk, shared, studio, workshop  # noqa: F401  (fixtures)

HOST = "127.0.0.1:8765"
KEY = "0" * 64


def refused(answer, *statuses):
    """The one line of a refusal, which tells of no file and no code."""
    assert answer.status_code in statuses, (answer.status_code, answer.text)
    error = answer.json()["error"]
    assert "Traceback" not in answer.text
    assert "/site-packages" not in answer.text
    assert "\n" not in error["message"]
    assert "/stories/" not in error["message"]  # where the library is
    return error["message"]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",  # a name that was bound to this address (DNS rebinding)
        "evil.example:8765",
        "127.0.0.1.evil.example:8765",
        "127.0.0.1:8765@evil.example",
        "evil.example#127.0.0.1:8765",
        "192.168.0.7:8765",  # an address of a network, while the server is for this machine
        "0.0.0.0:8765",
        "[::1",
        "127.0.0.1:99999",
        "",
    ],
)
def test_another_name_for_this_server_is_refused(desk, host):  # noqa: F811
    refused(desk.client.get("/api/stories", headers={"host": host}), 403)
    assert desk.client.get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},  # a file, or a frame without rights
        {"origin": "http://127.0.0.1:8766"},  # another program on this machine
        {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
        {"origin": f"http://{HOST}.evil.example"},
        {"origin": f"ftp://{HOST}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_another_page_in_the_same_browser_is_refused(desk, headers, method):  # noqa: F811
    story = desk.new()
    asked = {"text": "", "revision": story["revision"]}
    path = f"{desk.path(story)}/text" if method == "PUT" else desk.path(story)
    refused(desk.client.request(method, path, headers=headers, json=asked), 403)
    assert desk.get(desk.path(story)) == story


def test_a_form_of_another_page_is_no_request(desk):  # noqa: F811
    """What a browser sends without asking first: a form, or plain text."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        sent = json.dumps({"text": TEXT})
        refused(
            desk.client.post("/api/stories", content=sent, headers={"content-type": kind}), 415, 422
        )
    assert desk.get("/api/stories")["stories"] == []


def test_no_page_is_told_that_it_may_ask(desk):  # noqa: F811
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = desk.client.options("/api/stories", headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "id_",
    [
        "..",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e%2f%2e%2e%2fqueue.sqlite",
        "....//....//etc",
        "/etc/passwd",
        "C:\\windows",
        "a" * 12 + "%00",
        "abcdefabcdeg",
        "ABCDEFABCDEF",
        "abcdefabcdef",  # well formed, and nobody's
        "abcdefabcdef%0a",
    ],
)
def test_an_id_is_no_path(desk, id_):  # noqa: F811
    texts = set()
    for path in (id_, f"{id_}/scenes/0/takes", f"{id_}/pictures/{KEY}", f"{id_}/export/comic"):
        texts.add(refused(desk.client.get(f"/api/stories/{path}"), 404))
    assert texts == {"there is nothing of that name here"}  # missing and forbidden are one
    with pytest.raises(NothingError):
        Library(desk.root).entry(id_)
    with pytest.raises(NothingError):
        Library(desk.root).restore(id_)


@pytest.mark.parametrize(
    "key", ["../run.json", "..%2f..%2fstory.toml", "0" * 63, "g" * 64, "0" * 65]
)
def test_a_picture_is_asked_for_by_what_it_was_made_from_alone(desk, key):  # noqa: F811
    story = desk.painted(desk.new(), only=[2])
    refused(desk.client.get(f"{desk.path(story)}/pictures/{key}"), 404)
    good = story["frames"][2]["picture"]
    for asked in ("kind=../x", "kind=.lock", "width=99999", "width=-1", "width=1e9"):
        refused(desk.client.get(f"{desk.path(story)}/pictures/{good}?{asked}"), 422)


@pytest.mark.parametrize(
    "path",
    ["/../pyproject.toml", "/assets/../../app.py", "/%2e%2e/app.py", "/app.py", "/..%5capp.py",
     "//evil.example/x.js", "/static/index.html~.txt", "/.git/config"],
)  # fmt: skip
def test_the_page_is_a_table_and_no_folder(desk, path):  # noqa: F811
    answer = desk.client.get(path)
    assert answer.status_code in (403, 404)


def test_a_link_in_the_library_is_not_followed(desk, tmp_path):  # noqa: F811
    secret = tmp_path / "secret.toml"
    secret.write_text("title = 'secret'")
    story = desk.new()
    file = desk.root / "stories" / story["id"] / "story.toml"
    file.unlink()
    file.symlink_to(secret)
    assert desk.client.get(desk.path(story)).status_code in (400, 404)
    answer = desk.client.put(
        f"{desk.path(story)}/text", json={"text": "x", "revision": story["revision"]}
    )
    assert answer.status_code in (400, 404, 409)
    assert secret.read_text() == "title = 'secret'"
    link = desk.root / "stories" / "abcdefabcdef"
    link.symlink_to(tmp_path)
    assert desk.client.get("/api/stories/abcdefabcdef").status_code == 404
    link.unlink()


def test_a_run_that_a_stranger_made_leads_nowhere(desk, tmp_path):  # noqa: F811
    story = desk.painted(desk.new(), only=[2])
    run = desk.root / "stories" / story["id"] / "run"
    key = story["frames"][2]["picture"]
    secret = tmp_path / "secret.png"
    secret.write_bytes((run / "frames/003.png").read_bytes() + b"secret")
    (run / "frames/003.png").unlink()
    (run / "frames/003.png").symlink_to(secret)
    refused(desk.client.get(f"{desk.path(story)}/pictures/{key}"), 404)
    assert desk.client.get(desk.path(story)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,  # depth
        b'{"text":' + b'"' + b"\\u0041" * 10 + b'", "text": 3}',
        b'{"text": "\\ud800"}',  # half a character
        b'{"text": ' + b"9" * 5000 + b"}",  # a number of many digits
        b'{"text": "' + b"a" * 3_000_000 + b'"}',
        b'{"text": "x", "__proto__": {"a": 1}}',
        b"\xff\xfe{}",
        b"",
        b"null",
        b'{"text": NaN}',
    ],
)
def test_a_crafted_body_is_one_line(desk, body):  # noqa: F811
    kind = {"content-type": "application/json"}
    refused(desk.client.post("/api/stories", content=body, headers=kind), 400, 413, 422)
    assert desk.get("/api/stories")["stories"] == []


def test_a_body_without_end_is_cut_off(desk):  # noqa: F811
    def endless():
        for _ in range(200):
            yield b" " * (1 << 16)

    kind = {"content-type": "application/json"}
    refused(desk.client.post("/api/stories", content=endless(), headers=kind), 413)
    refused(desk.client.post("/api/import?name=a.csv", content=endless()), 413)
    refused(desk.client.post("/api/import?name=a.csv", content=b"x" * ((1 << 19) + 1)), 413)
    liar = {**kind, "content-length": "-5"}
    assert desk.client.post("/api/stories", content=b"{}", headers=liar).status_code in (400, 413)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("../../../etc/cron.d/x.toml", b"a = 1"),
        ("x.toml", b"a.b.c" * 50 + b" = 1"),
        ("x.yaml", b"a: &a [1]\nb: [*a, *a]"),
        ("x.json", b"[" * 100_000),
        ("x.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 100),
        ("x.zip", b"PK\x03\x04" + b"\0" * 100),
        ("x.csv", b"\xff\xfe\x00"),
        ("x.pkl", b"\x80\x04cos\nsystem\n"),
        ("x.svg", b"<svg onload='alert(1)'/>"),
        ("", b""),
    ],
)
def test_a_crafted_file_is_refused_and_leaves_nothing(desk, name, content):  # noqa: F811
    refused(desk.client.post("/api/import", params={"name": name}, content=content), 400, 422)
    assert desk.get("/api/stories")["stories"] == []


def test_markup_in_a_story_comes_back_as_data_and_no_page_runs_it(desk):  # noqa: F811
    script = "<script>alert(1)</script>"
    text = TEXT.replace("an empty pier", f"an empty pier {script}")
    answer = desk.client.post("/api/stories", json={"text": text})
    assert answer.headers["content-type"] == "application/json"
    for each in ("/", "/api/nothing", f"/api/stories/{answer.json()['id']}"):
        answer = desk.client.get(each)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "/etc/passwd"},
        {"model": "../../somewhere"},
        {"model": "owner/name"},  # of the hub: nothing is fetched from here
        {"model": "https://evil.example/weights"},
        {"preset": "no such"},
        {"method": "__import__('os')"},
        {"steps": 10**9},
        {"steps": True},
        {"guidance": "nan"},
        {"device": "cuda"},
    ],
)
def test_settings_name_no_file_no_address_and_no_endless_work(desk, settings):  # noqa: F811
    story = desk.new()
    refused(desk.client.put(f"{desk.path(story)}/settings", json=settings), 400, 422)


def test_a_story_opens_no_file_of_this_machine(desk):  # noqa: F811
    """A story file of one's own may name LoRAs; what comes over the network may not."""
    text = 'lora = ["ink.safetensors:1"]\n' + TEXT
    story = desk.post("/api/stories", {"text": text}, 201)
    assert "the studio does not open" in story["problem"]["message"]
    told = desk.client.post(f"{desk.path(story)}/paint", json={"revision": story["revision"]})
    assert "the studio does not open" in refused(told, 400)


def test_a_queue_takes_no_more_than_it_can(desk, monkeypatch):  # noqa: F811
    monkeypatch.setattr("identitystory.studio.queue.MAX_PENDING", 2)
    story = desk.new()
    asked = {"revision": story["revision"], "indexes": [0]}
    for _ in range(2):
        desk.post(f"{desk.path(story)}/reroll", asked, 202)
    refused(desk.client.post(f"{desk.path(story)}/reroll", json=asked), 409)
    for more in (
        {"count": 17},
        {"count": 0},
        {"seeds": [-1]},
        {"seeds": [0] * 17},
        {"indexes": []},
    ):
        refused(desk.client.post(f"{desk.path(story)}/reroll", json=asked | more), 422)


def test_an_event_id_is_a_place_and_nothing_else(desk):  # noqa: F811
    for told in ("story=../x", "at=-1", "at=1e400", "story="):
        refused(desk.client.get(f"/api/events?{told}"), 422)
    refused(desk.client.get("/api/events", headers={"last-event-id": "9" * 400}), 422)


# --- where others can reach the server ---


@pytest.fixture
def remote(tmp_path):
    """A server with a login, and its tokens."""
    tokens = []
    made = studio(tmp_path, workshop(), login=True, names=("studio.lan",), announce=tokens.append)
    with made.client:
        yield made, tokens


def test_without_a_login_nothing_is_told(remote):
    made, _ = remote
    paths = made.client.app.openapi()["paths"]
    asked = 0
    for path, methods in paths.items():
        for method in methods:
            if path != "/api/session":
                answer = made.client.request(method, path.replace("{id}", "a" * 12), json={})
                assert refused(answer, 401) == "log in with the link that the server printed"
                asked += 1
    assert asked > 20
    assert made.client.get("/api/openapi.json").status_code == 401
    assert made.client.get("/api/session").json() == {"open": False}


def test_a_token_is_good_once_for_a_cookie_that_no_script_reads(remote):
    made, tokens = remote
    [token] = tokens
    for wrong in ("", token[:-1], token + "x", "\ud800".encode("utf-8", "replace").decode()):
        refused(made.client.post("/api/session", json={"token": wrong}), 401)
    answer = made.client.post("/api/session", json={"token": token})
    assert answer.status_code == 204
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert made.get("/api/stories")
    assert len(tokens) == 2
    assert token not in tokens[1]
    refused(made.client.post("/api/session", json={"token": token}), 401)
    value = made.client.cookies[COOKIE]
    assert value.encode() not in (made.root / "queue.sqlite").read_bytes()
    made.client.delete("/api/session")
    refused(made.client.get("/api/stories", headers={"cookie": f"{COOKIE}={value}"}), 401)


def test_a_login_outlives_the_server_and_not_thirty_days(remote, monkeypatch):
    made, tokens = remote
    made.client.post("/api/session", json={"token": tokens[0]})
    value = made.client.cookies[COOKIE]
    again = Door(Queue(made.root / "queue.sqlite"), needed=True)
    assert again.knows(value)
    for guess in ("", "x", value[:-1], value + "x", "login"):
        assert not again.knows(guess)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 31 * 86400)
    assert not again.knows(value)


def test_a_cookie_is_no_leave_for_other_pages(remote):
    made, tokens = remote
    made.client.post("/api/session", json={"token": tokens[0]})
    assert made.get("/api/stories")
    refused(made.client.get("/api/stories", headers={"origin": "http://evil.example"}), 403)
    refused(made.client.get("/api/stories", headers={"host": "evil.example"}), 403)
    for host in ("studio.lan:8765", "192.168.0.7:8765", "[fe80::1]:8765"):
        assert made.client.get("/api/session", headers={"host": host}).status_code == 200


def test_a_token_in_an_address_is_no_login(remote):
    made, tokens = remote
    for asked in (f"?token={tokens[0]}", f"?{COOKIE}={tokens[0]}"):
        refused(made.client.get(f"/api/stories{asked}"), 401)
    bearer = {"authorization": f"Bearer {tokens[0]}"}
    refused(made.client.get("/api/stories", headers=bearer), 401)


def test_the_server_asks_nobody(desk, monkeypatch):  # noqa: F811
    """From an empty library to a painted story no socket is opened to anywhere."""
    asked = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, place: asked.append(place))
    desk.painted(desk.new())
    assert asked == []
