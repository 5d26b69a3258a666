"""Units of work on a Ray cluster: warm workers, one a device, replaced when they die."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

import torch

from ..errors import ConfigError

U = TypeVar("U")

TRIES = 3  # of a unit, and of a worker's beginning, before it is given up
SECONDS = 120  # that a cluster has to say whether it asks for a token
START = "RAY_AUTH_MODE=token ray start --head --disable-usage-stats"
# Whether somebody without a token is answered: the same question that any stranger could ask.
_STRANGER = "import sys; from ray._raylet import GcsClient as C; C(address=sys.argv[1]).internal_kv_keys(b'', None)"


class Ray:
    """The workers of a Ray cluster that is already there; ``ray.init`` beforehand is respected.

    A worker computes with as many threads as this process, and takes so many of the cluster's
    processors, so that a picture has the bytes that it would have here. With OMP_NUM_THREADS=1
    every processor of the cluster is a worker. In a cluster with GPUs every GPU is one. A worker
    keeps the model that it opened. One that dies is replaced, and its unit is done again by
    whoever is free.

    All workers must see the run folders under the same names as this machine does.

    Raises:
        ConfigError: Ray is not installed, no cluster answers, it answers anybody without a token, or
            no machine of it is large enough.
    """

    def __init__(self, address: str = "auto") -> None:
        try:
            self.ray: Any = import_module("ray")
        except ImportError:
            raise ConfigError(
                "--engine ray needs Ray: pip install 'identitystory[ray]', or use --engine local"
            ) from None
        if not self.ray.is_initialized():
            try:
                self.ray.init(address=address, logging_level="error", log_to_driver=False)
            except ConnectionError:
                raise ConfigError(
                    f"no Ray cluster answers; start one with {START}, set RAY_ADDRESS to one that "
                    "runs, or use --engine local"
                ) from None
            except self.ray.exceptions.AuthenticationError:
                raise ConfigError(
                    "the Ray cluster wants its token: set RAY_AUTH_MODE=token, with the token in "
                    "~/.ray/auth_token or RAY_AUTH_TOKEN, see docs/how-to/cluster.md"
                ) from None
        where = self.ray.get_runtime_context().gcs_address
        if answers_strangers(where):
            raise ConfigError(
                f"the Ray cluster at {where} does what anybody tells it who reaches that port; stop it, "
                f"and start it with a token: {START}, see docs/how-to/cluster.md"
            )
        self.threads = torch.get_num_threads()
        self.gpus = 1 if self.ray.cluster_resources().get("GPU") else 0
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        largest = max((int(node.get("CPU", 0)) for node in nodes), default=0)
        self.size = sum(self._workers(node) for node in nodes)
        if self.size == 0:
            raise ConfigError(
                f"this process computes with {self.threads} threads and the largest machine of the "
                f"Ray cluster has {largest} processors; set OMP_NUM_THREADS to fewer"
            )
        self.work: Any = None
        self.idle: list[Any] = []

    def _workers(self, node: dict[str, float]) -> int:
        """How many workers a machine has room for."""
        room = int(node.get("CPU", 0)) // self.threads
        return min(room, int(node.get("GPU", 0))) if self.gpus else room

    def map(self, work: Callable[[U], str], units: Sequence[U]) -> Iterator[tuple[U, str]]:
        """As the workers finish them. A unit whose workers died `TRIES` times says so."""
        if work is not self.work:
            self._dismiss(self.idle)
            self.work, self.idle = work, []
        ahead, tried, begun = deque(range(len(units))), Counter[int](), 0
        wanted = min(self.size, len(units))
        busy: dict[Any, _Task] = {}
        why = ""
        try:
            while ahead or any(task.unit is not None for task in busy.values()):
                while ahead and len(busy) < wanted and (self.idle or begun < TRIES * wanted):
                    begun += not self.idle
                    actor = self.idle.pop() if self.idle else self._begin(work)
                    busy[self._send(actor)] = _Task(actor)
                if not busy:  # no worker gets as far as to begin
                    yield from (
                        (units[n], f"no worker of the cluster starts ({why})") for n in ahead
                    )
                    return
                (done, *_), _ = self.ray.wait(list(busy), num_returns=1)
                task = busy.pop(done)
                try:
                    told = self.ray.get(done)
                except self.ray.exceptions.RayTaskError:
                    raise  # the work itself raised: a bug, not a lost machine
                except self.ray.exceptions.RayError as error:
                    if task.unit is None:
                        why = _last_line(error)
                        continue
                    tried[task.unit] += 1
                    begun -= 1
                    if tried[task.unit] < TRIES:
                        ahead.appendleft(task.unit)
                        continue
                    told = f"its worker was lost {TRIES} times ({type(error).__name__})"
                    yield units[task.unit], told
                    continue
                if ahead:
                    unit = ahead.popleft()
                    busy[task.actor.do.remote(units[unit])] = _Task(task.actor, unit)
                else:
                    self.idle.append(task.actor)
                if task.unit is not None:
                    yield units[task.unit], told
        finally:
            self._dismiss(task.actor for task in busy.values())

    def _begin(self, work: Callable[[Any], str]) -> Any:
        """A new worker, on whatever machine has room for it, now or later."""
        options = {"num_cpus": self.threads, "num_gpus": self.gpus}
        made = self.ray.remote(**options, max_restarts=0)(Worker)
        return made.remote(work, os.getcwd(), self.threads)

    def _send(self, actor: Any) -> Any:
        """Something to wait for, which is there when a worker is."""
        return actor.do.remote(None)

    def _dismiss(self, actors: Any) -> None:
        for actor in actors:
            self.ray.kill(actor)


def _last_line(error: Exception) -> str:
    """What Ray's message ends with: of a traceback the mistake itself."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()[:300]


@dataclass(frozen=True)
class _Task:
    """What a worker is doing: the unit's number, or None while it begins."""

    actor: Any
    unit: int | None = None


class Worker:
    """What runs on the cluster: does units in this process's folder, with its number of threads."""

    def __init__(self, work: Callable[[Any], str], folder: str, threads: int) -> None:
        self.work, self.folder, self.threads = work, folder, threads

    def do(self, unit: Any) -> str:
        """What went wrong with ``unit``; None is no unit, and nothing goes wrong with it."""
        if unit is None:
            return ""
        try:
            os.chdir(self.folder)
        except OSError as error:
            return f"its worker cannot enter {self.folder} ({error.strerror}); every worker must see it"
        torch.set_num_threads(self.threads)
        return self.work(unit)


def answers_strangers(address: str) -> bool:
    """Whether the head at ``address`` answers without a token; in doubt it does.

    Ray listens on every network of a machine, whatever address it is given, and runs what it is told.
    """
    given = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    ask = [sys.executable, "-c", _STRANGER, address]
    given |= {"RAY_AUTH_MODE": "disabled", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        told = subprocess.run(ask, env=given, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return told.returncode == 0 or "AuthenticationError" not in told.stderr
