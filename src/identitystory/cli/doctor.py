"""What this machine and this installation have: for ``models`` and ``doctor``."""

from __future__ import annotations

import os
import platform
import shutil
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import IdentityStoryError
from ..runs.files import versions

CARD = "card.toml"
MIN_MEMORY_GIB = 3.0
MIN_DISK_GIB = 0.5


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and whether it will do."""

    what: str
    found: str
    well: bool = True


def models() -> list[dict[str, Any]]:
    """The built-in names and the optional files: ``name``, ``present``, ``facts`` (the card's, or what is missing), ``parts``.

    ``parts`` lists what comes from the hub: ``name``, ``repo``, ``gigabytes``, ``licence``,
    ``commercial``, ``terms``, ``revision`` (the commit that is pinned; empty before the first
    fetch) and ``present``. Other bases that were fetched come last.
    """
    from ..models.files.catalogue import BUNDLES, ENTRIES, OPTIONAL, entry_of
    from ..models.files.checkpoint import find_checkpoint
    from ..models.files.store import read_lock

    listed = []
    for name in ("miniature", *BUNDLES):
        parts = [_part(ENTRIES[part]) for part in BUNDLES.get(name, ())]
        try:
            folder = find_checkpoint(name).base
            facts = {"folder": str(folder), "size": _size(folder), **card_facts(folder)}
            listed.append({"name": name, "present": True, "facts": facts, "parts": parts})
        except IdentityStoryError as error:
            facts = {"why": str(error)}
            listed.append({"name": name, "present": False, "facts": facts, "parts": parts})
    for name in OPTIONAL:
        part = _part(ENTRIES[name])
        why = {"why": "not needed; with it --distilled works on any SDXL base"}
        listed.append({"name": name, "present": part["present"], "facts": why, "parts": [part]})
    for name in sorted(read_lock().keys() - {entry.repo for entry in ENTRIES.values()}):
        part = _part(entry_of(name))
        how = {"how": f"--model sdxl --base {name}"}
        listed.append({"name": name, "present": part["present"], "facts": how, "parts": [part]})
    return listed


def _part(entry: Any) -> dict[str, Any]:
    from ..models.files.store import located, pinned

    try:
        located(entry)
        present = True
    except IdentityStoryError:
        present = False
    return {
        "name": entry.name,
        "repo": entry.repo,
        "gigabytes": round(entry.size / 1e9, 2),
        "licence": entry.licence,
        "commercial": entry.commercial,
        "terms": entry.terms,
        "revision": pinned(entry),
        "present": present,
    }


def card_facts(folder: Path) -> dict[str, str]:
    """The single values of a checkpoint's card, those of its tables as ``table.key``."""
    try:
        card = tomllib.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    facts: dict[str, str] = {}
    for key, value in card.items():
        if isinstance(value, dict):
            facts |= {f"{key}.{k}": str(v) for k, v in value.items() if _single(v)}
        elif _single(value):
            facts[key] = str(value)
    return facts


def checkup(model: str) -> Iterator[Check]:
    """Every check in turn; the last one loads ``model`` and takes one step."""
    import torch

    found = versions()
    yield Check("python", f"{found.pop('python')} on {platform.system()} {platform.machine()}")
    for package, number in found.items():
        needed = package in ("torch", "diffusers", "transformers", "pillow")
        yield Check(package, number, not needed or number != "not installed")
    yield Check("cores", f"{os.cpu_count()}, torch uses {torch.get_num_threads()}")
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    yield Check("accelerator", ", ".join(gpus) or "none; the CPU will do for the miniature")
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
        yield Check(f"weights of {model}", f"{folder}, {_size(folder) if folder else ''}")
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


def _size(folder: Path) -> str:
    total = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    return f"{total / 2**20:.1f} MiB"


def _single(value: Any) -> bool:
    return isinstance(value, str | int | float) or (
        isinstance(value, list) and all(isinstance(v, str | int | float) for v in value)
    )
