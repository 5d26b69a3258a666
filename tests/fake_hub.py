"""A hub on this machine: repositories as dicts, served as the real one serves them."""

import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin")


class FakeHub:
    """``files[repo][name]`` is a file's content; ``gated``, ``lying``, ``busy`` name repositories.

    ``answer`` stands instead of what the API says, ``cut`` is how many bytes of a file come before
    the connection breaks (each from where the last ended), ``etag`` is sent with every file.
    """

    def __init__(self):
        self.files, self.asked = {}, []
        self.gated, self.lying, self.busy = set(), set(), set()
        self.answer, self.cut, self.etag, self.ranges = None, None, None, []

    def listing(self, repo):
        """What the API says of a repository at COMMIT."""
        siblings = []
        for name, content in self.files[repo].items():
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            sibling = {"rfilename": name, "size": len(content), "blobId": git}
            if name.endswith(LARGE):
                digest = hashlib.sha256(content).hexdigest()
                if repo in self.lying:
                    digest = "0" * 64
                sibling["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
            siblings.append(sibling)
        return {"id": repo, "sha": COMMIT, "siblings": siblings, "private": False, "tags": []}


@pytest.fixture(name="hub")
def fake_hub(tmp_path, monkeypatch):
    """A FakeHub that huggingface_hub talks to, with an empty cache."""
    fake = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def answer(self, status, headers, body=b""):
            self.send_response(status)
            for key, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_GET(self):
            fake.asked.append(self.path)
            path = self.path.partition("?")[0]
            api = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path)
            file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
            match = api or file
            if match is None or match[1] not in fake.files:
                return self.answer(401, {"X-Error-Code": "RepoNotFound"})
            if match[2] not in (None, "main", COMMIT):
                return self.answer(404, {"X-Error-Code": "RevisionNotFound"})
            if match[1] in fake.busy:
                return self.answer(403, {})
            if match[1] in fake.gated:
                return self.answer(403, {"X-Error-Code": "GatedRepo"})
            if api:
                body = json.dumps(fake.listing(api[1])).encode()
                body = body if fake.answer is None else fake.answer(body)
                return self.answer(200, {"Content-Type": "application/json"}, body)
            content = fake.files[file[1]].get(file[3])
            if content is None:
                return self.answer(404, {"X-Error-Code": "EntryNotFound"})
            large = file[3].endswith(LARGE)
            kind = hashlib.sha256 if large else hashlib.sha1
            start = b"" if large else b"blob %d\0" % len(content)
            etag = kind(start + content).hexdigest()
            headers = {"ETag": fake.etag or f'"{etag}"', "X-Repo-Commit": fake.etag or COMMIT}
            begin = self.headers.get("Range")
            fake.ranges.append(begin)
            start = int(begin.removeprefix("bytes=").removesuffix("-")) if begin else 0
            content, whole = content[start:], content
            headers["Content-Length"] = str(len(content))
            headers["Content-Range"] = f"bytes {start}-{len(whole) - 1}/{len(whole)}"
            self.answer(206 if begin else 200, headers, content[: fake.cut])
            self.close_connection = True

        do_HEAD = do_GET  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    constants = "huggingface_hub.constants"
    monkeypatch.setattr(f"{constants}.ENDPOINT", url)
    monkeypatch.setattr(
        f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(f"{constants}.HF_HUB_CACHE", str(tmp_path / "huggingface" / "hub"))
    monkeypatch.setattr(f"{constants}.HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(f"{constants}.HF_HUB_OFFLINE", False)
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()
