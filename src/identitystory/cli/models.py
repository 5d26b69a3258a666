"""The commands about models: ``models`` lists, fetches and verifies them, ``doctor`` tries one."""

from __future__ import annotations

import json as to_json
from pathlib import Path
from typing import Annotated, Any, Literal

from ..errors import IdentityStoryError, ModelError
from ..models.files.catalogue import DEFAULT_MODEL
from .commands import Argument
from .doctor import checkup, size_of
from .options import heed_offline, say


def models(
    action: Annotated[Literal["list", "fetch", "verify"], Argument("ACTION")] = "list",
    names: tuple[Annotated[str, Argument("NAME")], ...] = (),
    revision: Annotated[str, "R"] | None = None,
    offline: bool = False,
    json: bool = False,
) -> int:
    """List, fetch and verify the models.

    Lists the models and their parts with size and licence; fetches them from the hub, which is the
    only command that uses the network; or verifies every file against its hash.

    Args:
        action: what to do (default: list)
        names: sdxl, sdxl-light, one of their parts, or the hub id of another base in SDXL's layout
        revision: fetch this commit or branch, and pin it
        offline: never use the network
        json: print one JSON object a line
    """
    if action == "list":
        for model in listed():
            say(to_json.dumps(model, ensure_ascii=False) if json else _as_text(model))
        return 0
    from ..models.files import catalogue, fetch, store

    if not names:
        raise ModelError(f"name what to {action}: identitystory models lists the models")
    entries = [entry for name in names for entry in catalogue.entries_of(name)]
    if revision and (action != "fetch" or len(entries) > 1):
        raise ModelError(
            f"--revision {revision} is a commit of one model; fetch it by its own name, "
            "as in: identitystory models fetch sdxl-base --revision COMMIT"
        )
    if action == "fetch":
        heed_offline(offline)
        for entry in entries:
            _say(json, entry.name, f"{entry.licence}: {entry.terms}")
            for line in fetch.fetch(entry, revision=revision or ""):
                _say(json, entry.name, line)
        return 0
    wrong = [(entry, line) for entry in entries for line in store.verify(entry)]
    for entry, line in wrong:
        _say(json, entry.name, line)
    if wrong:
        broken = " ".join(dict.fromkeys(entry.name for entry, _ in wrong))
        raise ModelError(f"delete these files and run: identitystory models fetch {broken}")
    for entry in entries:
        _say(json, entry.name, "every file is what was fetched")
    return 0


def doctor(model: Annotated[str, "M"] = DEFAULT_MODEL, json: bool = False) -> int:
    """Look whether this machine is ready.

    Shows versions, cores, memory, disk and weights, and tries one step of the U-Net.

    Args:
        model: the model to try
        json: print one JSON object a line
    """
    well = True
    for check in checkup(model):
        well = well and check.well
        if json:
            say(to_json.dumps({"what": check.what, "found": check.found, "well": check.well}))
        else:
            say(f"{'ok  ' if check.well else 'FAIL'} {check.what}: {check.found}")
    return 0 if well else 1


def _say(json: bool, name: str, line: str) -> None:
    told = to_json.dumps({"model": name, "line": line.strip()}, ensure_ascii=False)
    say(told if json else f"{name}: {line}")


def _as_text(model: dict[str, Any]) -> str:
    lines = [f"{model['name']}: {'ready' if model['present'] else 'not here'}"]
    lines += [f"  {key}: {value}" for key, value in model["facts"].items()]
    for part in model["parts"]:
        here = "here" if part["present"] else "not here"
        sold = "commercial use: yes" if part["commercial"] else "commercial use: no"
        size = f"{part['gigabytes']:.1f} GB" if part["gigabytes"] else "size not known here"
        pin = f"pinned at {part['revision']}" if part["revision"] else "the first fetch pins it"
        told = f"{part['repo']}, {size}, {part['licence']}, {sold}, {here}, {pin}"
        lines.append(f"  {part['name']}: {told}")
    return "\n".join(lines)


def listed() -> list[dict[str, Any]]:
    """The built-in names and the optional files: ``name``, ``present``, ``facts`` (the card's, or what is missing), ``parts``.

    ``parts`` lists what comes from the hub: ``name``, ``repo``, ``gigabytes``, ``licence``,
    ``commercial``, ``terms``, ``revision`` (the commit that is pinned; empty before the first
    fetch) and ``present``. Other bases that were fetched come last.
    """
    from ..models.files.catalogue import BUNDLES, ENTRIES, OPTIONAL, entry_of
    from ..models.files.checkpoint import find_checkpoint
    from ..models.files.store import read_lock

    found = []
    for name in (DEFAULT_MODEL, *BUNDLES):
        parts = [_part(ENTRIES[part]) for part in BUNDLES.get(name, ())]
        try:
            folder = find_checkpoint(name).base
            facts = {"folder": str(folder), "size": size_of(folder), **card_facts(folder)}
            found.append({"name": name, "present": True, "facts": facts, "parts": parts})
        except IdentityStoryError as error:
            facts = {"why": str(error)}
            found.append({"name": name, "present": False, "facts": facts, "parts": parts})
    for name in OPTIONAL:
        part = _part(ENTRIES[name])
        why = {"why": "not needed; with it --distilled works on any SDXL base"}
        found.append({"name": name, "present": part["present"], "facts": why, "parts": [part]})
    for name in sorted(read_lock().keys() - {entry.repo for entry in ENTRIES.values()}):
        part = _part(entry_of(name))
        how = {"how": f"--model sdxl --base {name}"}
        found.append({"name": name, "present": part["present"], "facts": how, "parts": [part]})
    return found


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
    from ..models.files.card import read_card

    try:
        card = read_card(folder)
    except IdentityStoryError:
        return {}
    facts: dict[str, str] = {}
    for key, value in card.values.items():
        if isinstance(value, dict):
            facts |= {f"{key}.{k}": str(v) for k, v in value.items() if _single(v)}
        elif _single(value):
            facts[key] = str(value)
    return facts


def _single(value: Any) -> bool:
    return isinstance(value, str | int | float) or (
        isinstance(value, list) and all(isinstance(v, str | int | float) for v in value)
    )
