"""Whether this machine is ready: versions, memory, disk, weights, and one step of the network."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import IdentityStoryError
from ..models.device import resolve_device
from ..models.files.catalogue import DEFAULT_MODEL
from ..models.files.store import size_of
from ..models.speed import machine
from ..runs.files import versions
from ..runs.service import Service
from ..types import Prompt

MIN_MEMORY_GIB = 3.0
MIN_DISK_GIB = 0.5
NEEDED = ("torch", "diffusers", "transformers", "pillow")


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        what: was looked at.
        found: what there was.
        well: whether it will do; None where a person should look.
    """

    what: str
    found: str
    well: bool | None = True

    def __str__(self) -> str:
        """``ok   memory free: 12.3 GiB``."""
        sign = {True: "ok  ", None: "look", False: "FAIL"}[self.well]
        return f"{sign} {self.what}: {self.found}"


def checkup(
    service: Service, model: str = DEFAULT_MODEL, device: str = "auto", dtype: str = "auto"
) -> Iterator[Check]:
    """Every check in turn; the last one loads ``model`` and takes one step."""
    found = versions()
    yield Check("python", f"{found.pop('python')} on {platform.system()} {platform.machine()}")
    for package, number in found.items():
        yield Check(package, number, package not in NEEDED or number != "not installed")
    yield Check("cores", f"{os.cpu_count()}, torch uses {torch.get_num_threads()}")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    none = f"none; the CPU will do for the {DEFAULT_MODEL}"
    yield Check("accelerator", ", ".join(gpus) or none)
    memory = available_memory()
    if memory is not None:
        yield Check("memory free", f"{memory:.1f} GiB", memory >= MIN_MEMORY_GIB)
    disk = shutil.disk_usage(Path.cwd()).free / 2**30
    yield Check("disk free here", f"{disk:.1f} GiB", disk >= MIN_DISK_GIB)
    try:
        yield from _try_model(service, model, device, dtype)
    except IdentityStoryError as error:
        yield Check(f"model {model}", " ".join(str(error).split()), False)


def available_memory() -> float | None:
    """GiB that a new program could use, or None where the system does not say."""
    try:
        told = Path("/proc/meminfo").read_text(encoding="ascii").split()
        return int(told[told.index("MemAvailable:") + 1]) / 2**20
    except (OSError, IndexError, ValueError):
        return None


def _try_model(service: Service, model: str, device: str, dtype: str) -> Iterator[Check]:
    facts = service.describe(model, device, dtype)
    folder = facts.folder
    yield Check(f"weights of {model}", f"{folder}, {size_of(folder) if folder else ''}")
    where = machine(resolve_device(facts.device))
    yield Check("computes in", f"{facts.dtype} on {facts.device} ({where})")
    start = time.perf_counter()
    backend = service.load(model, num_steps=50, device=facts.device, dtype=facts.dtype)
    loaded = time.perf_counter()
    G = backend.general
    vae = getattr(G, "vae", None)
    if vae is not None:
        yield Check("decodes pictures in", str(vae.dtype).removeprefix("torch."))
    with torch.no_grad():
        cond = G.condition([Prompt("a portrait of a woman", guidance=5.0)])
        z = G.step(G.noise(0)[None], G.num_steps, cond)
    took = time.perf_counter() - loaded
    well = bool(z.isfinite().all())
    told = f"loaded in {loaded - start:.1f} s, {took * 1000:.0f} ms a step (the first is slow)"
    yield Check("one step", told if well else "the step gave numbers that are not finite", well)
