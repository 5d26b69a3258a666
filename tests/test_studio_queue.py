"""The queue, the worker, the preview and the events: what is killed, stopped or put in order."""

import asyncio
import json
import multiprocessing
import os
import signal
import sqlite3
import threading
import time

import pytest
import torch
from PIL import Image

from identitystory.marks.packet import TRAINED, find
from identitystory.models.samplers import Sampler
from identitystory.protocols import Backend
from identitystory.runs.folder import opened
from identitystory.runs.service import Service
from identitystory.sampling import step_noise
from identitystory.studio import preview
from identitystory.studio.events import Log, stream
from identitystory.studio.library import Library, NothingError
from identitystory.studio.queue import MAX_TRIES, Queue
from identitystory.studio.worker import Worker
from identitystory.types import Prompt
from tests.conftest import C, FakeGenerator
from tests.studio_desk import desk, shared, studio, workshop  # noqa: F401  (fixtures)


@pytest.fixture
def queue(tmp_path):
    return Queue(tmp_path / "queue.sqlite")


def add(queue, *titles, story="a" * 12):
    return [queue.add(story, title, "paint", {"what": title}).id for title in titles]


def waiting(queue):
    return [job.title for job in queue.jobs() if job.state == "pending"]


def test_jobs_are_taken_in_the_order_that_was_given_last(queue):
    a, b, c = add(queue, "a", "b", "c")
    queue.order([c, 99, a, c])
    assert waiting(queue) == ["c", "a", "b"]
    assert queue.claim("cpu").id == c
    queue.finish(c, "done")
    queue.order([b])
    assert queue.claim("cpu").id == b
    assert [job.title for job in queue.jobs()] == ["b", "a", "c"]


def test_no_story_is_painted_by_two_workers(queue):
    add(queue, "a", "b")
    [other] = add(queue, "c", story="b" * 12)
    assert queue.claim("cuda:0").title == "a"
    assert queue.claim("cuda:1").id == other
    assert queue.claim("cuda:1") is None


def test_a_job_that_gets_nowhere_is_given_up_and_one_that_advances_is_not(queue):
    stuck, other = add(queue, "stuck", "other")
    for _ in range(MAX_TRIES):
        assert queue.claim("cpu").id == stuck
        queue.recover("cpu")
    assert queue.job(stuck).state == "failed"
    assert f"died {MAX_TRIES} times" in queue.job(stuck).message
    for _ in range(2 * MAX_TRIES):
        assert queue.claim("cpu").id == other
        queue.advanced(other)
        queue.recover("cpu")
    assert queue.job(other).state == "pending"


def test_a_broken_file_costs_the_order_alone(tmp_path):
    file = tmp_path / "queue.sqlite"
    file.write_bytes(b"no database" * 1000)
    assert add(Queue(file), "a") == [1]
    assert (tmp_path / "queue.sqlite.broken").exists()
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    assert Queue(file).jobs() == []


def test_a_cancelled_job_stops_at_its_next_step_and_keeps_what_is_finished(tmp_path):
    made = studio(tmp_path, workshop(nap=0.004))
    story = made.new()
    job = made.post(f"{made.path(story)}/paint", {"revision": story["revision"]}, 202)["id"]
    painter = threading.Thread(target=made.worker.one)
    painter.start()
    run = tmp_path / "stories" / story["id"] / "run"
    while not (run / "frames/001.png").exists():
        time.sleep(0.005)
    told = made.get("/api/queue")["jobs"][0]
    assert (told["state"], told["live"]["story"]) == ("running", story["id"])
    made.post(f"/api/jobs/{job}/cancel", {})
    painter.join(timeout=20)
    assert made.worker.queue.job(job).state == "cancelled"
    story = made.get(made.path(story))
    states = [frame["state"] for frame in story["frames"]]
    assert (states[0], states[2]) == ("current", "empty")
    again = made.post(f"/api/jobs/{job}/again", {}, 202)
    assert [f["state"] for f in made.worked(story)["frames"]] == ["current"] * 3
    assert made.worker.queue.job(again["id"]).state == "done"


@pytest.mark.journey
def test_a_job_waits_while_the_command_line_writes_to_its_run(tmp_path):
    made = studio(tmp_path, workshop())
    story = made.new()
    made.post(f"{made.path(story)}/paint", {"revision": story["revision"]}, 202)
    run = tmp_path / "stories" / story["id"] / "run"
    painter = threading.Thread(target=made.worker.one)
    with opened(run):
        painter.start()
        while not any(told["waits"] for told in made.worker.queue.live().values()):
            time.sleep(0.01)
        [told] = made.worker.queue.live().values()
        assert told["waits"].startswith("run is being written by another run")
    painter.join(timeout=20)
    states = [f["state"] for f in made.get(made.path(story))["frames"]]
    assert states == ["current"] * 3


def test_a_job_that_cannot_be_done_says_why_and_the_next_one_is_done(tmp_path):
    broken = Service(load=lambda *_, **__: 1 / 0, describe=workshop().service.describe)
    made = studio(tmp_path, workshop())
    made.worker = Worker(tmp_path, "cpu", broken)
    story = made.new()
    told = made.painted(story)
    assert [f["state"] for f in told["frames"]] == ["failed"] * 3
    assert (
        told["frames"][0]["why"] == "a mistake of the program: ZeroDivisionError: division by zero"
    )
    gone = made.new()
    made.post(f"{made.path(gone)}/paint", {"revision": gone["revision"]}, 202)
    Library(tmp_path).remove(gone["id"])
    made.worked(story)
    assert made.get("/api/queue")["jobs"][0]["message"] == "the story was deleted"


def paint_until(root, calls):
    """A worker that is killed, without a word, when it has told of so many network calls."""
    tell = Queue.tell

    def last_words(queue, job, told):
        tell(queue, job, told)
        if told.get("calls", -1) >= calls:
            os.kill(os.getpid(), signal.SIGKILL)

    Queue.tell = last_words
    torch.set_num_threads(1)
    Worker(root, "cpu", workshop().service).run()


@pytest.mark.slow
@pytest.mark.parametrize("calls", [0, 200, 560, 700])
def test_a_worker_that_is_killed_loses_nothing(tmp_path, calls, uninterrupted):
    """Killed when so many network calls of 748 are done; the next one makes the same pictures."""
    made = studio(tmp_path, workshop())
    story = made.new()
    made.post(f"{made.path(story)}/paint", {"revision": story["revision"]}, 202)
    context = multiprocessing.get_context("forkserver")  # forked from here it would share our locks
    context.set_forkserver_preload([__name__])
    painter = context.Process(target=paint_until, args=(tmp_path, calls))
    painter.start()
    painter.join(timeout=120)
    assert painter.exitcode == -signal.SIGKILL
    queue = made.worker.queue
    assert [job.state for job in queue.jobs(story["id"])] == ["running"]
    queue.recover("cpu")
    told = made.worked(story)
    assert [f["picture"] for f in told["frames"]] == [
        f["picture"] for f in uninterrupted[0]["frames"]
    ]
    assert pictures(made, story) == uninterrupted[1]


def pictures(made, story):
    run = made.root / "stories" / story["id"] / "run"
    return {p.name: p.read_bytes() for p in sorted((run / "frames").glob("*.png"))}


@pytest.fixture(scope="module")
def uninterrupted(shared):  # noqa: F811
    story = shared.new()
    return shared.painted(story), pictures(shared, story)


def test_a_worker_ends_with_whoever_started_it_and_waits_for_the_one_before(tmp_path):
    alive = {"first": True, "second": True}
    made = workshop().service
    workers = {n: Worker(tmp_path, "cpu", made, lambda n=n: alive[n]) for n in alive}
    threads = {n: threading.Thread(target=worker.run) for n, worker in workers.items()}
    threads["first"].start()
    time.sleep(0.2)
    threads["second"].start()
    queue = Queue(tmp_path / "queue.sqlite")
    [job] = add(queue, "a")
    while queue.job(job).state != "failed":  # its story is nobody's
        time.sleep(0.01)
    assert workers["second"].job is None
    alive["first"] = False
    threads["first"].join(timeout=10)
    [job] = add(queue, "b")
    while queue.job(job).state != "failed":
        time.sleep(0.01)
    alive["second"] = False
    threads["second"].join(timeout=10)
    assert workers["second"].job is None


# --- the preview ---


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("ddim", [[0.2, 0.5], [0.5, 0.9]]),
        ("ancestral", [[0.2, 0.5], [0.5, 0.9]]),
        ("euler", [[9.0, 2.0], [2.0, 0.0]]),
    ],
)
def test_a_preview_is_what_the_step_took_the_clean_picture_for(name, levels):
    """What the network says of a step is one clean picture, and it comes back from both ends."""
    torch.manual_seed(0)
    z, prediction = torch.randn(1, C, 8, 8), torch.randn(1, C, 8, 8)
    rule = Sampler(name, torch.tensor([900, 400]), torch.tensor(levels), 1.0)
    start = levels[0][0]
    x_0 = z - start * prediction if name == "euler" else (
        (z - (1 - start) ** 0.5 * prediction) / start**0.5
    )  # fmt: skip
    after = rule.step(z, 2, prediction, step_noise(7, 2, z.shape[1:])[None])

    class G:
        sampler = rule

    torch.testing.assert_close(preview.clean(G, z, after, 2, 7), x_0, atol=1e-4, rtol=0)
    assert preview.clean(object(), z, after, 2, 7) is after


def test_colours_are_learnt_from_what_is_decoded():
    """Of a decoder that is linear in each cell the map becomes the decoder."""

    class Linear(FakeGenerator):
        def decode(self, z):
            grey = (z[:, 0] * 40 + z[:, 1] * 20 + 120).clamp(0, 255).byte()
            return [Image.fromarray(g.numpy()).convert("RGB").resize((256, 256), 0) for g in grey]

    G = Linear()
    z = torch.rand(1, C, 16, 16) * 2 - 1
    colours = preview.Colours(G)
    colours.learn(z, G.decode(z))
    told, right = colours.picture(z).resize((16, 16), 0), G.decode(z)[0].resize((16, 16), 0)
    away = [abs(a - b) for a, b in zip(told.tobytes(), right.tobytes(), strict=True)]
    assert sum(away) / len(away) < 3


def test_looking_changes_no_picture_and_a_preview_comes_with_the_first_step(backend):
    seen = []
    shown = preview.shown(backend, seen.append)
    z, cond = backend.general.noise(3)[None], backend.general.condition([Prompt("a pier")])
    for i in range(10, 0, -1):
        plain, looked_at = backend.general.step(z, i, cond), shown.general.step(z, i, cond)
        assert torch.equal(plain, looked_at)
        assert seen
        z = plain
    assert shown.general.with_size((128, 64)).size == (128, 64)
    assert isinstance(shown, Backend)
    assert seen[0][8:12] == b"WEBP"
    assert TRAINED in (find(seen[0]) or "")


def test_previews_are_told_by_number_and_outlive_their_job_a_little(queue, monkeypatch):
    job, other, last = (add(queue, name)[0] for name in "abc")
    queue.claim("cpu")
    with pytest.raises(NothingError):
        queue.preview(job)
    queue.show(job, b"one")
    queue.tell(job, {"job": job, "calls": 3})
    queue.show(job, b"two")
    assert queue.live()[job] == {"job": job, "calls": 3, "preview": 2}
    assert queue.preview(job) == b"two"
    queue.finish(job, "done")
    assert queue.live() == {}
    queue.claim("cpu")
    queue.show(other, b"three")
    assert queue.preview(job) == b"two"  # a page may be about to ask for what it was told of
    queue.finish(other, "done")
    monkeypatch.setattr("identitystory.studio.queue.LINGERS", -1.0)
    queue.claim("cpu")
    queue.show(last, b"four")
    assert (queue.live().keys(), queue.preview(last)) == ({last}, b"four")
    for over in (job, other):
        with pytest.raises(NothingError):
            queue.preview(over)


# --- events ---


def collected(desk, story, since, until, act=lambda: None):  # noqa: F811
    """The events from byte ``since`` until ``until`` of them, as (name, id, data)."""

    async def read():
        found = []
        library, queue = desk.worker.library, desk.worker.queue
        told = lambda: desk.get("/api/queue")
        async for event in stream(library, queue, told, story, since, {}, look=0.01):
            found.append((event.event, event.id, event.data))
            if len(found) == 3:
                await asyncio.to_thread(act)
            if until(found):
                return found

    return asyncio.run(asyncio.wait_for(read(), 20))


def test_a_reader_goes_on_where_it_stopped_and_misses_nothing(desk):  # noqa: F811
    story = desk.painted(desk.new())
    lines = (desk.root / "stories" / story["id"] / "run/events.jsonl").read_text().splitlines()
    whole = lambda found: sum(e[0] == "run" for e in found) == len(lines)
    events = [e for e in collected(desk, story["id"], 0, whole) if e[0] == "run"]
    assert [e[2] for e in events] == [json.loads(line) for line in lines]
    assert int(events[-1][1]) == story["at"]
    rest = lambda found: sum(e[0] == "run" for e in found) == 2
    again = [e for e in collected(desk, story["id"], int(events[-3][1]), rest) if e[0] == "run"]
    assert again == events[-2:]


def test_what_others_do_is_told(desk, monkeypatch):  # noqa: F811
    monkeypatch.setattr("identitystory.studio.events.SILENCE", 0.1)  # a comment ends the first look
    story = desk.new()
    edit = lambda: desk.put(
        f"{desk.path(story)}/text", {"text": "x", "revision": story["revision"]}
    )
    seen = collected(desk, story["id"], None, lambda found: "story" in {e[0] for e in found}, edit)
    assert seen[0][0] == "hello"
    assert seen[-1][2] == {"id": story["id"], "revision": desk.get(desk.path(story))["revision"]}


@pytest.mark.parametrize("state", ["cancelled", "failed"])
def test_a_story_is_to_be_read_again_when_a_job_of_it_ends_unpainted(tmp_path, monkeypatch, state):
    monkeypatch.setattr("identitystory.studio.events.SILENCE", 0.1)
    made = studio(tmp_path, workshop())
    broken = Service(load=lambda *_, **__: 1 / 0, describe=workshop().service.describe)
    made.worker = Worker(tmp_path, "cpu", broken)
    story = made.new()
    made.painted(story)  # so that the next job, which fails as well, changes no file
    job = made.post(f"{made.path(story)}/paint", {"revision": story["revision"]}, 202)["id"]
    cancel = lambda: made.post(f"/api/jobs/{job}/cancel", {})

    def over(found):
        """Whether the end of the job was told, and that the story is to be read after it."""
        queues = [n for n, e in enumerate(found) if e[0] == "queue"]
        ended = [n for n in queues if found[n][2]["jobs"][0]["state"] == state]
        return bool(ended) and "story" in [e[0] for e in found[ended[0] :]]

    collected(made, story["id"], None, over, cancel if state == "cancelled" else made.worker.one)
    frames = made.get(made.path(story))["frames"]
    assert {f["state"] for f in frames} == {"failed" if state == "failed" else "empty"}


def test_of_a_story_that_was_deleted_is_told_when_it_is_back(desk, monkeypatch):  # noqa: F811
    monkeypatch.setattr("identitystory.studio.events.SILENCE", 0.1)
    story = desk.painted(desk.new())
    desk.client.delete(desk.path(story))
    back = lambda: desk.post(f"{desk.path(story)}/restore", {})
    both = lambda found: {"run", "story"} <= {e[0] for e in found}
    seen = collected(desk, story["id"], 0, both, back)
    assert [e[0] for e in seen[:3]] == ["hello", "queue", None]


def test_half_a_line_waits_for_its_other_half(tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_bytes(b'{"a": 1}\n{"b":')
    log = Log(tmp_path, 0)
    assert log.lines() == [(9, '{"a": 1}')]
    assert log.lines() == []
    file.write_bytes(file.read_bytes() + b" 2}\n")
    assert log.lines() == [(18, '{"b": 2}')]
    file.write_bytes(b"{}\n")  # another run
    assert log.lines() == [(3, "{}")]
    assert Log(tmp_path, 10**9).at == 3
