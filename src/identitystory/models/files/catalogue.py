"""The full-size models of ``data/models.toml``: all that is true of a model before it is fetched."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from ...errors import ModelError
from ...presets import Suits
from .names import split_loras, with_files

ALLOWED = "IDENTITYSTORY_ALLOW_NONCOMMERCIAL"  # a variable; 1 takes parts of such licences, too
DEFAULT_MODEL = "miniature"
# What comes with the package, all of one folder, by the generator that paints its faces; empty: the plain one.
BUILT_IN = {DEFAULT_MODEL: "", "miniature-face": "photomaker-adapter"}


@dataclass(frozen=True)
class Entry:
    """One model on the hub.

    Attributes:
        name: what the command line calls it.
        role: ``base``, ``identity``, ``identity-net`` (a part of one), ``segmenter``, ``few-steps``,
            ``adapter``, ``control``, or ``clip``, which measures.
        repo: hub id.
        licence: its name.
        commercial: whether pictures and services made with it may be sold.
        terms: a sentence about the licence.
        parameters: numbers in it; 0 where not known.
        width: bytes of each number in the files, on average.
        file: the one file that is wanted; empty for a folder in the hub's layout.
        files: those that are wanted, of a repository with others; they keep their places in it.
        part: which identity generator or segmenter it belongs to (`models.family`); what a control
            net reads.
        place: where it lies in a complete checkpoint.
        converter: the module that turns ``file``, a pickle, into safetensors; it is run in a process
            of its own as ``python -m MODULE FROM TO``.
        converted: the name of what it makes.
        suits: what the model is used with (``base`` only).
        revision: the commit that is fetched and opened unless the lock has another; empty lets the
            first fetch pin one.
        use: what it is good for, of those that no bundle needs.
    """

    name: str
    role: str
    repo: str
    licence: str
    commercial: bool
    terms: str
    parameters: int = 0
    width: float = 4
    file: str = ""
    files: tuple[str, ...] = ()
    part: str = ""
    place: str = ""
    converter: str = ""
    converted: str = ""
    suits: Suits = field(default_factory=Suits)
    revision: str = ""
    use: str = ""

    @property
    def size(self) -> int:
        """Bytes of weights, about; 0 where not known."""
        return round(self.parameters * self.width)


_TABLES = tomllib.loads(
    (resources.files("identitystory") / "data" / "models.toml").read_text(encoding="utf-8")
)


def _entry(name: str, licence: str, suits: dict[str, Any] | None = None, **values: Any) -> Entry:
    terms = _TABLES["licences"][licence]
    return Entry(name=name, suits=Suits(**suits or {}), **values, **terms)


ENTRIES = {name: _entry(name, **values) for name, values in _TABLES["models"].items()}
OPTIONAL = tuple(name for name, entry in ENTRIES.items() if entry.use)  # fetched by name
BUNDLES: dict[str, list[str]] = _TABLES["bundles"]


def known_base(name: str) -> Entry | None:
    """The base of the table called ``name``, or with this hub id."""
    bases = (entry for entry in ENTRIES.values() if entry.role == "base")
    return next((entry for entry in bases if name in (entry.name, entry.repo)), None)


def is_hub_id(name: str) -> bool:
    """Whether ``name`` looks like ``owner/name`` and not like a path."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and not name.endswith("/")


def called(model: str) -> str:
    """What pictures and events call a model: a folder by its own name, without the way to it."""
    bundle, base = split_name(model)
    name = base or split_loras(model)[0]
    if "/" in name and (not is_hub_id(name) or Path(name).expanduser().is_dir()):
        name = Path(name).expanduser().resolve().name
    return with_files(model, f"{bundle}:{name}" if base else name, lambda file: Path(file).name)


def entry_of(name: str, role: str = "base") -> Entry:
    """The entry called ``name``, or one for a hub id, which is taken to have that ``role``.

    Raises:
        ModelError: it is neither.
    """
    if name in ENTRIES:
        return ENTRIES[name]
    for entry in ENTRIES.values():
        if entry.repo == name:
            return entry
    if is_hub_id(name):
        return _entry(name, "unknown", role=role, repo=name)
    raise ModelError(
        f"no model is called {name!r}; there are {', '.join([*BUNDLES, *ENTRIES])}, "
        "and hub ids like owner/name"
    )


def entries_of(name: str) -> list[Entry]:
    """The entries that ``name`` needs: of ``sdxl``, ``sdxl-light``, ``sdxl:BASE``, or of one alone.

    Raises:
        ModelError: there is no such model.
    """
    bundle, base = split_name(name)
    if bundle is None:
        return [entry_of(name)]
    entries = [ENTRIES[part] for part in BUNDLES[bundle]]
    if base:
        entries = [entry for entry in entries if entry.role != "base"]
        entries = [entry_of(base), *entries] if is_hub_id(base) or known_base(base) else entries
    return entries


def split_name(model: str) -> tuple[str | None, str]:
    """``("sdxl", "owner/name")`` of ``sdxl:owner/name``, whatever LoRAs are on it; (None, "") of no bundle."""
    bundle, _, base = split_loras(model)[0].partition(":")
    return (bundle, base) if bundle in BUNDLES else (None, "")


@dataclass(frozen=True)
class Terms:
    """What may be done with what a model makes: the strictest of its parts.

    Attributes:
        licence: its name.
        commercial: whether it may be sold.
        terms: a sentence.
        parts: the licence of each part, by its name.
    """

    licence: str
    commercial: bool
    terms: str
    parts: dict[str, str]


def terms_of(model: str) -> Terms:
    """The strictest licence of a model; of folders, files and LoRAs it is not known here."""
    entries, unknown = _made_of(model)
    entries += [_entry(each, "unknown", role="", repo=each) for each in map(called, unknown)]
    strictness = [each["licence"] for each in _TABLES["licences"].values()]  # the strictest first
    least = min(entries, key=lambda e: (e.commercial, strictness.index(e.licence)))
    parts = {entry.repo: entry.licence for entry in entries}
    return Terms(least.licence, least.commercial, least.terms, parts)


def licence_of(model: str) -> str:
    """The licences of all of a model's parts; empty where one is not known here, as of folders, files and LoRAs."""
    entries, unknown = _made_of(model)
    licences = dict.fromkeys(entry.licence for entry in entries)
    strange = unknown or _TABLES["licences"]["unknown"]["licence"] in licences
    return "" if strange else ", ".join(licences)


def _made_of(model: str) -> tuple[list[Entry], list[str]]:
    """What of a model has an entry here, or is on the hub; and the names of all else."""
    name, loras = split_loras(model)
    bundle, base = split_name(name)
    unknown = [Path(file).name for file, _ in loras]
    try:
        own = [_entry(name, "apache", role="base", repo=name)] if name in BUILT_IN else []
        entries = own or entries_of(name)
    except ModelError:
        entries = []
    if not entries or (bundle and base and known_base(base) is None and not is_hub_id(base)):
        unknown.append(base or name)
    return entries, unknown
