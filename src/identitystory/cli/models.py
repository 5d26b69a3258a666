"""The command about models: lists, fetches, verifies and adds them."""

from __future__ import annotations

import json as to_json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from ..errors import IdentityStoryError, ModelError
from .commands import Argument
from .options import heed_offline, heed_terms, say


def models(
    action: Annotated[Literal["list", "fetch", "verify", "add"], Argument("ACTION")] = "list",
    names: tuple[Annotated[str, Argument("NAME")], ...] = (),
    revision: Annotated[str, "R"] | None = None,
    prediction: Literal["epsilon", "v", "v-zero-snr"] | None = None,
    allow_noncommercial: bool = False,
    offline: bool = False,
    json: bool = False,
) -> int:
    """List, fetch, verify and add the models.

    Lists the models and their parts with size and licence; fetches them from the hub, which is the
    only command that downloads; verifies every file against its hash; or adds a base that
    lies in a single .safetensors file, for --base.

    Args:
        action: what to do (default: list)
        names: sdxl, sdxl-light, one of their parts, or the hub id of another base in SDXL's layout; of
            add, files
        revision: fetch this commit or branch, and pin it
        prediction: of add, what the file's U-Net predicts, where the file does not say: epsilon, v, or
            v-zero-snr for v with a zero terminal signal-to-noise ratio
        allow_noncommercial: of fetch, what needs parts that are for non-commercial research only
        offline: never use the network
        json: print one JSON object a line
    """
    if prediction and action != "add":
        raise ModelError(f"--prediction {prediction} is said of a file: models add FILE")
    if action == "list":
        for model in listed():
            say(to_json.dumps(model, ensure_ascii=False) if json else _as_text(model))
        return 0
    from ..models.files import catalogue, fetch, store
    from ..models.files.found import check_entries

    if not names:
        raise ModelError(f"name what to {action}: identitystory models lists the models")
    if action == "add":
        from ..models.files.added import add

        for name in names:
            folder, _ = add(Path(os.path.expanduser(name)), prediction or "")
            _say(json, name, f"in {folder}; use it with --model sdxl --base {folder}")
        return 0
    entries = [entry for name in names for entry in catalogue.entries_of(name)]
    if revision and (action != "fetch" or len(entries) > 1):
        raise ModelError(
            f"--revision {revision} is a commit of one model; fetch it by its own name, "
            "as in: identitystory models fetch sdxl-base --revision COMMIT"
        )
    if action == "fetch":
        heed_offline(offline)
        heed_terms(allow_noncommercial)
        check_entries(entries)
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
    fetch) and ``present``. Other bases that were fetched, and those that were added, come last.
    """
    from ..models.files.added import folders
    from ..models.files.catalogue import BUILT_IN, BUNDLES, ENTRIES, OPTIONAL, entry_of
    from ..models.files.checkpoint import find_checkpoint, how_to_use
    from ..models.files.store import read_lock, size_of

    found = []
    for name in (*BUILT_IN, *BUNDLES):
        try:
            folder = find_checkpoint(name).base
            facts = {"folder": str(folder), "size": size_of(folder), **card_facts(folder)}
            present = True
        except IdentityStoryError as error:
            facts, present = {"why": str(error)}, False
        parts = [_part(ENTRIES[part]) for part in BUNDLES.get(name, ())]
        found.append({"name": name, "present": present, "facts": facts, "parts": parts})
    more = [(name, {"why": f"not needed; {ENTRIES[name].use}"}, ENTRIES[name]) for name in OPTIONAL]
    for name in sorted(read_lock().keys() - {entry.repo for entry in ENTRIES.values()}):
        more.append((name, {"how": how_to_use(name)}, entry_of(name)))
    for name, facts, entry in more:
        part = _part(entry)
        found.append({"name": name, "present": part["present"], "facts": facts, "parts": [part]})
    for folder in folders():
        facts = {"how": f"--model sdxl --base {folder}"}
        found.append({"name": folder.name, "present": True, "facts": facts, "parts": []})
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
