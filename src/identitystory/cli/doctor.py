"""What this machine and this installation have, for ``doctor``."""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import IdentityStoryError

MIN_MEMORY_GIB = 3.0
MIN_DISK_GIB = 0.5


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and whether it will do."""

    what: str
    found: str
    well: bool = True


def checkup(model: str) -> Iterator[Check]:
    """Every check in turn; the last one loads ``model`` and takes one step."""
    import torch

    from ..models.files.catalogue import DEFAULT_MODEL
    from ..runs.files import versions

    found = versions()
    yield Check("python", f"{found.pop('python')} on {platform.system()} {platform.machine()}")
    for package, number in found.items():
        needed = package in ("torch", "diffusers", "transformers", "pillow")
        yield Check(package, number, not needed or number != "not installed")
    yield Check("cores", f"{os.cpu_count()}, torch uses {torch.get_num_threads()}")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield Check("accelerator", ", ".join(gpus) or f"none; the CPU will do for the {DEFAULT_MODEL}")
    memory = available_memory()
    if memory is not None:
        yield Check("memory free", f"{memory:.1f} GiB", memory >= MIN_MEMORY_GIB)
    disk = shutil.disk_usage(Path.cwd()).free / 2**30
    yield Check("disk free here", f"{disk:.1f} GiB", disk >= MIN_DISK_GIB)
    yield from _try_model(model)


def available_memory() -> float | None:
    """GiB that a new program could use, or None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        sizes = dict(line.split(":", 1) for line in lines)
        return int(sizes["MemAvailable"].split()[0]) / 2**20
    except (OSError, KeyError, ValueError):
        return None


def _try_model(model: str) -> Iterator[Check]:
    import torch

    from ..models.describe import describe_model
    from ..runs.service import load_model
    from ..types import Prompt

    try:
        facts = describe_model(model, "auto", "auto")
        folder = facts.folder
        yield Check(f"weights of {model}", f"{folder}, {size_of(folder) if folder else ''}")
        yield Check("computes in", f"{facts.dtype} on {facts.device}")
        start = time.perf_counter()
        backend = load_model(model, num_steps=50, device=facts.device, dtype=facts.dtype)
        loaded = time.perf_counter()
        G = backend.general
        with torch.no_grad():
            cond = G.condition([Prompt("a portrait of a woman", guidance=5.0)])
            z = G.step(G.noise(0)[None], G.num_steps, cond)
        took = time.perf_counter() - loaded
        well = bool(z.isfinite().all())
        told = f"loaded in {loaded - start:.1f} s, {took * 1000:.0f} ms a step (the first is slow)"
        yield Check("one step", told if well else "the step gave numbers that are not finite", well)
    except IdentityStoryError as error:
        yield Check(f"model {model}", " ".join(str(error).split()), False)


def size_of(folder: Path) -> str:
    """What its files take, ``12.3 MiB``."""
    total = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    return f"{total / 2**20:.1f} MiB"
