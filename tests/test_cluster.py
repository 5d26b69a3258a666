"""Ray's workers: warm, one a device, replaced when they die; an open head refused. Most on a fake of Ray."""

import os
import sys
from types import SimpleNamespace

import pytest
import torch

from identitystory.errors import ConfigError
from identitystory.experiments import cluster
from identitystory.experiments.cluster import TRIES, Worker, answers_strangers
from identitystory.experiments.workers import engine
from tests.test_engines import painted
from tests.toy import toy_checkpoint  # noqa: F401


class Thing(SimpleNamespace):
    """That is itself alone, as a reference of Ray is."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


class FakeRay:
    """As much of Ray as an engine needs, one call after the other; ``dies`` says when a worker does."""

    class exceptions:  # noqa: N801
        RayError = type("RayError", (Exception,), {})

    exceptions.RayTaskError = type("RayTaskError", (exceptions.RayError,), {})
    exceptions.ActorDiedError = type("ActorDiedError", (exceptions.RayError,), {})

    def __init__(self, *nodes, dies=lambda unit, number: False):
        self.there = [{"Alive": True, "Resources": node} for node in nodes]
        self.dies, self.begun, self.options, self.killed = dies, 0, [], []

    is_initialized = staticmethod(lambda: True)
    get_runtime_context = staticmethod(lambda: SimpleNamespace(gcs_address="host:6379"))

    def nodes(self):
        return self.there

    def cluster_resources(self):
        return {name: 1 for node in self.there for name in node["Resources"]}

    def remote(self, **options):
        self.options.append(options)
        return lambda kind: SimpleNamespace(remote=lambda *a: self.begin(kind(*a)))

    def begin(self, worker):
        self.begun += 1
        number = self.begun
        call = lambda unit: Thing(unit=unit, number=number, worker=worker)
        return SimpleNamespace(do=SimpleNamespace(remote=call), number=number)

    def wait(self, calls, num_returns):
        return calls[:1], calls[1:]

    def get(self, call):
        if self.dies(call.unit, call.number):
            raise self.exceptions.ActorDiedError
        try:
            return call.worker.do(call.unit)
        except ZeroDivisionError as error:
            raise self.exceptions.RayTaskError from error

    def kill(self, actor):
        self.killed.append(actor.number)


@pytest.fixture
def ray(monkeypatch):
    def there(*nodes, open_=False, **more):
        fake = FakeRay(*nodes, **more)
        monkeypatch.setitem(sys.modules, "ray", fake)
        monkeypatch.setattr(cluster, "answers_strangers", lambda address: open_)
        return fake

    return there


def work(unit):
    return "" if unit != 9 else "nine is odd"


@pytest.mark.parametrize(
    ("nodes", "workers"),
    [
        ([{"CPU": 2.0}], 2),
        ([{"CPU": 2.0}, {"CPU": 3.0}], 5),
        ([{"CPU": 8.0, "GPU": 2.0}, {"CPU": 8.0}], 2),
        ([{"CPU": 1.0, "GPU": 4.0}], 1),
    ],
)
def test_every_device_is_one_worker_that_stays_for_the_next_stage(ray, nodes, workers):
    fake = ray(*nodes)
    by = engine("ray")
    told = dict(by.map(work, range(1, 10)))
    assert told == dict.fromkeys(range(1, 9), "") | {9: "nine is odd"}
    assert fake.begun == workers
    assert list(by.map(work, [20, 21])) == [(20, ""), (21, "")]
    assert fake.begun == workers
    assert fake.killed == []
    list(by.map(lambda unit: "", [1]))  # other work: other workers
    assert fake.begun == workers + 1
    assert len(fake.killed) == workers
    gpus = {options["num_gpus"] for options in fake.options}
    assert gpus == {int("GPU" in nodes[0])}
    assert {options["num_cpus"] for options in fake.options} == {torch.get_num_threads()}


def test_a_worker_that_dies_is_replaced_and_its_unit_done_again(ray):
    died = []

    def once(unit, number):
        if unit == 2 and not died:
            died.append(number)
        return number in died

    fake = ray({"CPU": 2.0}, dies=once)
    assert dict(engine("ray").map(work, [1, 2, 3])) == {1: "", 2: "", 3: ""}
    assert fake.begun == 3


def test_a_unit_that_kills_its_workers_is_given_up_and_costs_no_other(ray):
    fake = ray({"CPU": 2.0}, dies=lambda unit, number: unit == 2)
    told = dict(engine("ray").map(work, [1, 2, 3, 4]))
    assert told == {1: "", 2: f"its worker was lost {TRIES} times (ActorDiedError)", 3: "", 4: ""}
    assert fake.begun <= 2 + TRIES


def test_where_no_worker_begins_every_unit_says_so(ray):
    fake = ray({"CPU": 2.0}, dies=lambda unit, number: unit is None)
    assert dict(engine("ray").map(work, [1, 2])) == dict.fromkeys(
        [1, 2], "no worker of the cluster starts (ActorDiedError)"
    )
    assert fake.begun == 2 * TRIES


def test_what_the_work_raises_ends_everything(ray):
    fake = ray({"CPU": 2.0})
    with pytest.raises(fake.exceptions.RayTaskError):
        list(engine("ray").map(lambda unit: 1 / 0, [1, 2]))
    assert fake.killed


def test_a_head_that_answers_anybody_is_refused(ray):
    ray({"CPU": 2.0}, open_=True)
    with pytest.raises(
        ConfigError, match=r"host:6379 does what anybody tells it.*RAY_AUTH_MODE=token"
    ):
        engine("ray")


def test_a_cluster_of_machines_too_small_is_refused(ray, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    ray({"CPU": 2.0})
    with pytest.raises(
        ConfigError, match="4 threads and the largest machine of the Ray cluster has 2"
    ):
        engine("ray")


def test_in_doubt_a_head_is_open(monkeypatch):
    """Only one that says it wants a token is not; here another answer, and none."""
    ask = "import sys; sys.exit({!r})"
    for answer, is_open in ((0, True), ("AuthenticationError: no token", False), ("late", True)):
        monkeypatch.setattr(cluster, "_STRANGER", ask.format(answer))
        assert answers_strangers("host:1") is is_open


def test_a_worker_without_the_folder_says_so(tmp_path):
    gone = str(tmp_path / "gone")
    assert Worker(work, gone, 1).do(1).startswith(f"its worker cannot enter {gone} (No such file")


# --- Ray itself, where it is installed ----------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    """A cluster of two processors on this machine, with a token."""
    os.environ["RAY_AUTH_MODE"], before = "token", os.environ.get("RAY_AUTH_MODE")
    ray = pytest.importorskip("ray")
    yield ray.init(num_cpus=2, logging_level="error", include_dashboard=False)
    ray.shutdown()
    os.environ.pop("RAY_AUTH_MODE")
    os.environ.update({"RAY_AUTH_MODE": before} if before else {})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_rays_workers_give_the_bytes_of_the_local_engine(real, toy, tmp_path):
    made = {name: painted(tmp_path / name, toy, engine(name)) for name in ("local", "ray")}
    assert made["ray"] == made["local"]
    assert len(made["ray"]) > 2 * 2 * 4


def die_at_two(number):
    import os

    if number == 2:
        os._exit(1)  # as when the system kills it for memory
    return ""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_lost_worker_costs_its_unit_only(real):
    told = dict(engine("ray").map(die_at_two, [1, 2, 3]))
    assert told == {1: "", 2: f"its worker was lost {TRIES} times (ActorDiedError)", 3: ""}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_bug_keeps_its_kind(real):
    def broken(number):
        return 1 / 0

    with pytest.raises(ZeroDivisionError):
        list(engine("ray").map(broken, [1]))
