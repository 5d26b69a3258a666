"""Where units of work are done: one after the other here, in several processes, or on a Ray cluster.

An engine maps a function over units and tells of each, as it gets ready, what went wrong. What a
unit makes it writes to the run folder itself, whole or not at all, so an engine carries no pictures.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, Protocol, TypeVar

import torch

from ..errors import ConfigError

U = TypeVar("U")

ENGINES = ("local", "ray")
MAX_WORKERS = 256


class Engine(Protocol):
    """Does units of work."""

    def map(self, work: Callable[[U], str], units: Sequence[U]) -> Iterator[tuple[U, str]]:
        """(unit, what went wrong) of every unit, as they get ready; "" where nothing did.

        Args:
            work: does one unit and says what went wrong. What it raises ends everything.
            units: what to do; none depends on another.
        """
        ...


class Local:
    """One unit after the other, in this process."""

    def map(self, work: Callable[[U], str], units: Sequence[U]) -> Iterator[tuple[U, str]]:
        """In order."""
        for unit in units:
            yield unit, work(unit)


class Processes:
    """Several processes on this machine, which share its processors evenly.

    The miniature's operations are small: two processes of one thread paint more than one process of
    two. A process takes the next unit when it is done with one, and keeps the model it opened.
    Where this process ends, however it ends, they end.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(self, work: Callable[[U], str], units: Sequence[U]) -> Iterator[tuple[U, str]]:
        """As they get ready. Where a process dies, all units that are left say so."""
        threads = max(1, torch.get_num_threads() // self.workers)
        start: dict[str, Any] = {"initializer": _begin, "initargs": (work, threads)}
        with ProcessPoolExecutor(self.workers, get_context("spawn"), **start) as pool:
            left = {pool.submit(_continue, unit): unit for unit in units}
            try:
                for done in as_completed(left):
                    try:
                        wrong = done.result()
                    except BrokenProcessPool:
                        wrong = "its process died (out of memory?)"
                    yield left[done], wrong
            finally:
                pool.shutdown(cancel_futures=True)


_work: Callable[[Any], str]  # of a process of ``Processes``


def _begin(work: Callable[[Any], str], threads: int) -> None:
    global _work
    _work = work
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # files are written whole or not at all
    Thread(target=_end_with_parent, daemon=True).start()


def _continue(unit: Any) -> str:
    return _work(unit)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class Ray:
    """The workers of a Ray cluster that is already there; ``ray.init`` beforehand is respected.

    A worker computes with as many threads as this process, and takes so many of the cluster's
    processors, so that a picture has the bytes that it would have here. With OMP_NUM_THREADS=1
    every processor of the cluster paints a unit of its own. A cluster with GPUs gives each unit one.
    All workers must see the run folders under the same names as this machine does.

    Raises:
        ConfigError: Ray is not installed, no cluster answers, or no machine of it is large enough.
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
                    "no Ray cluster answers; start one with ray start --head, set RAY_ADDRESS to "
                    "one that runs, or use --engine local"
                ) from None
        self.threads = torch.get_num_threads()
        sizes = [int(node["Resources"].get("CPU", 0)) for node in self.ray.nodes() if node["Alive"]]
        if max(sizes, default=0) < self.threads:
            raise ConfigError(
                f"this process computes with {self.threads} threads and the largest machine of the "
                f"Ray cluster has {max(sizes, default=0)} processors; set OMP_NUM_THREADS to fewer"
            )

    def map(self, work: Callable[[U], str], units: Sequence[U]) -> Iterator[tuple[U, str]]:
        """As the workers finish them. A unit whose worker died says so; the others go on."""
        ray = self.ray
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
        # No retries: the same command goes on where it was cut off, and that is when one retries.
        options = {"num_cpus": self.threads, "num_gpus": gpus, "max_retries": 0}
        remote = ray.remote(**options)(_there(work, os.getcwd(), self.threads))
        left = {remote.remote(unit): unit for unit in units}
        try:
            while left:
                (done, *_), _ = ray.wait(list(left), num_returns=1)
                try:
                    wrong = ray.get(done)
                except ray.exceptions.RayTaskError:
                    raise  # the work itself raised: a bug, not a lost machine
                except ray.exceptions.RayError as error:
                    wrong = f"its worker was lost ({type(error).__name__})"
                yield left.pop(done), wrong
        finally:
            for task in left:
                ray.cancel(task, force=True)


def _there(work: Callable[[U], str], folder: str, threads: int) -> Callable[[U], str]:
    """``work`` as a worker does it: in this process's folder, with its number of threads."""

    def one(unit: U) -> str:
        try:
            os.chdir(folder)
        except OSError as error:
            return f"its worker cannot enter {folder} ({error.strerror}); every worker must see it"
        torch.set_num_threads(threads)
        return work(unit)

    return one


def engine(name: str, workers: int = 1) -> Engine:
    """The engine called ``local`` or ``ray``.

    Args:
        name: of it.
        workers: processes of the local one; Ray's cluster has its own.

    Raises:
        ConfigError: none is, or it cannot be used; see ``Ray``.
    """
    if name not in ENGINES:
        raise ConfigError(f"no engine is called {name!r}; there are: {', '.join(ENGINES)}")
    if not 1 <= workers <= MAX_WORKERS or (workers > 1 and name == "ray"):
        raise ConfigError(
            f"--workers is {workers}; it must be at least 1 and at most {MAX_WORKERS}"
            + (", and a Ray cluster has its own workers" if name == "ray" else "")
        )
    if name == "ray":
        return Ray()
    return Processes(workers) if workers > 1 else Local()
