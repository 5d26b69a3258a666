"""A studio on the fakes, without a server: for the tests of studio/."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from identitystory.protocols import Backend
from identitystory.studio.app import create_app
from identitystory.studio.queue import Queue
from identitystory.studio.worker import Worker
from tests.conftest import FakeGenerator, FakeIdentityGenerator, FakeSegmenter
from tests.workshop import Workshop

HERE = "http://127.0.0.1:8765"
PEOPLE = {
    "a woman with dark curly hair": (4, 4, 60, 30),
    "an old man with a beard": (4, 32, 60, 60),
}
TEXT = """title = "The pier"

[[character]]
name = "Mara"
description = "a woman with dark curly hair"

[[character]]
name = "Tom"
description = "an old man with a beard"

# the first
[[scene]]
prompt = "{Mara} reads"

[[scene]]
prompt = "{Mara} and {Tom} on a pier"

[[scene]]
prompt = "an empty pier"
"""
SHORT = {"preset": "recommended", "steps": 10, "portraits": 16}


def workshop(nap: float = 0.0, boxes: Any = PEOPLE) -> Workshop:
    """A service on fakes in which everybody is found."""
    parts = FakeGenerator(), FakeIdentityGenerator(), FakeSegmenter(boxes)
    return Workshop(Backend("fake", *parts), nap)


@dataclass
class Studio:
    """A client, and the worker that paints what it asks for."""

    client: TestClient
    worker: Worker
    root: Path

    def new(self, text: str = TEXT) -> dict[str, Any]:
        """A story with short settings."""
        story = self.client.post("/api/stories", json={"text": text}).json()
        return self.put(f"{self.path(story)}/settings", SHORT)

    def path(self, story: dict[str, Any]) -> str:
        return f"/api/stories/{story['id']}"

    def post(self, path: str, body: Any, status: int = 200) -> Any:
        answer = self.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def put(self, path: str, body: Any) -> Any:
        answer = self.client.put(path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def painted(self, story: dict[str, Any], **asked: Any) -> dict[str, Any]:
        """The story when all that it lacks is painted."""
        self.post(f"{self.path(story)}/paint", {"revision": story["revision"], **asked}, 202)
        return self.worked(story)

    def worked(self, story: dict[str, Any]) -> dict[str, Any]:
        """The story when the queue is empty."""
        while self.worker.one():
            pass
        return self.get(self.path(story))


def studio(root: Path, made: Workshop, *, example: bool = False, **options: Any) -> Studio:
    """A studio on the library at ``root``, which begins empty or with the ``example``."""
    if not example:
        Queue(root / "queue.sqlite").keep("begun", "")
    app = create_app(root, made.service, worker=False, **options)
    client = TestClient(app, base_url=HERE, raise_server_exceptions=False)
    return Studio(client, Worker(root, "cpu", made.service), root)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    """One for the tests of a file: a server takes longer to make than most of them."""
    return studio(tmp_path_factory.mktemp("studio"), workshop())


@pytest.fixture
def desk(shared: Studio) -> Studio:
    """One whose library and queue are empty."""
    for job in shared.get("/api/queue")["jobs"]:
        shared.client.post(f"/api/jobs/{job['id']}/cancel")
    for story in shared.get("/api/stories")["stories"]:
        shared.client.delete(f"/api/stories/{story['id']}")
    return shared
