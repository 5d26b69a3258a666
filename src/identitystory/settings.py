"""Settings by name: as a run records them, as they are compared, and as a user overrides them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from .checked import meant
from .config import ControlConfig, DiscoveryConfig, InjectionConfig, Preset
from .errors import ConfigError, did_you_mean
from .presets import with_distilled, with_guidance, with_steps

_T = TypeVar("_T")
PARTS: Mapping[str, type] = {
    "discovery": DiscoveryConfig,
    "injection": InjectionConfig,
    "control": ControlConfig,
}


@dataclass(frozen=True)
class Overrides:
    """What stands instead of a preset's own; None leaves it.

    Attributes:
        steps: sampling steps
        portraits: portraits a character
        guidance: how closely pictures keep to their words, 1 or more (default: the preset's; 3 with
            the miniature, 5 with other models)
        batch: frames painted together (default: 1, so that a frame's bytes depend on no other)
        compile: let torch.compile make the U-Net faster: minutes at first, for stories of many frames
            on an accelerator
        reuse: compute the deep part of the U-Net at every Nth step only (default: 1): faster, and a
            little other pictures
        distilled: paint the portraits of the search with the model's few-step LoRA: 8 steps without
            guidance
        set: any other setting by its name, such as injection.start=12; may be repeated. docs/cli.md
            lists them
    """

    steps: int | None = None
    portraits: int | None = None
    guidance: Annotated[float, "G"] | None = None
    batch: int | None = None
    compile: bool | None = None
    reuse: int | None = None
    distilled: bool | None = None
    set: tuple[Annotated[str, "NAME=VALUE"], ...] = ()


def overridden(base: Preset, given: Overrides) -> tuple[Preset, tuple[str, ...]]:
    """``base`` with what is given, and a sentence for each number that had to follow.

    t' follows ``steps`` in proportion; portraits never take more steps than frames. The filter of
    the search follows ``portraits`` where they would be too few for it. ``set`` comes last, and
    nothing follows it.

    Raises:
        ConfigError: a number is out of range, or there is no such setting.
    """
    notes: list[str] = []
    if given.guidance is not None:
        base = with_guidance(base, given.guidance)
    own: dict[str, Any] = {"compiled": given.compile, "reuse": given.reuse, "batch": given.batch}
    base = replace(base, **{name: value for name, value in own.items() if value is not None})
    if given.distilled is not None and given.distilled != base.discovery.distilled:
        base = replace(base, discovery=with_distilled(base.discovery, given.distilled))
    if given.steps is not None and given.steps != base.num_steps:
        base = with_steps(base, given.steps)
    if given.portraits is not None and given.portraits != base.discovery.num_portraits:
        discovery, notes = _fewer(base.discovery, given.portraits)
        base = replace(base, discovery=discovery)
    return with_settings(base, given.set), tuple(notes)


def with_settings(base: Preset, given: Iterable[str]) -> Preset:
    """``base`` with settings as a user writes them, ``injection.start=12``, all changed at once.

    Values are read as the setting's type: ``12``, ``0.5``, ``true``, ``none``, ``0,0.6``, or text.

    Raises:
        ConfigError: there is no such setting, or its value is not one it takes.
    """
    kinds = setting_types()
    changes: dict[str, dict[str, Any]] = {"": {}, **{part: {} for part in PARTS}}
    for words in given:
        name, equals, text = words.partition("=")
        if not equals:
            raise ConfigError(f"{words!r} sets nothing; write NAME=VALUE, as in injection.start=12")
        if name not in kinds:
            inner = [each for each in kinds if each.endswith(f".{name}")]
            close = f" Did you mean {' or '.join(map(repr, inner))}?" if inner else ""
            known = f"; there are {', '.join(kinds)}"
            raise ConfigError(
                f"no setting is called {name!r}{close or did_you_mean(name, kinds, otherwise=known)}"
            )
        part, _, field = name.rpartition(".")
        changes[part][field] = _value(name, text, kinds[name])
    parts = {part: replace(getattr(base, part), **changes[part]) for part in PARTS}
    return replace(base, **parts, **changes[""])


def setting_types() -> dict[str, Any]:
    """The type of every setting that has a value of its own, by its name: ``injection.start``."""
    found = {n: kind for n, kind in get_type_hints(Preset).items() if n not in ("name", *PARTS)}
    for part, config in PARTS.items():
        found |= {f"{part}.{n}": kind for n, kind in get_type_hints(config).items()}
    return found


def _value(name: str, text: str, kind: Any) -> Any:
    """``text`` as a value of ``kind``, or as it is: the configuration says what is wrong with it."""
    if type(None) in get_args(kind) and text.lower() == "none":
        return None
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{name} is {text!r}; it must be true or false")
        return text.lower() == "true"
    if str in (kind, *get_args(kind)):
        return text
    try:
        values = json.loads(f"[{text}]") or [text]
    except ValueError:
        return text
    value = values[0] if len(values) == 1 else values
    return float(value) if float in (kind, *get_args(kind)) and type(value) is int else value


def _fewer(config: DiscoveryConfig, portraits: int) -> tuple[DiscoveryConfig, list[str]]:
    """The configuration for that many portraits, with rank and rounds that they allow."""
    try:
        return replace(config, num_portraits=portraits), []
    except ConfigError:
        if not 1 <= portraits < config.num_portraits:
            raise
    for rounds, rank in product(range(config.iterations, 0, -1), range(config.rank, 0, -1)):
        with suppress(ConfigError):
            changed = replace(config, num_portraits=portraits, iterations=rounds, rank=rank)
            return changed, [
                f"{portraits} portraits are few: the filter runs {rounds} rounds at rank {rank} "
                f"instead of {config.iterations} at {config.rank}"
            ]
    changed = replace(config, num_portraits=portraits, iterations=0)
    return changed, [f"{portraits} portraits are too few to filter; all of them are averaged"]


def settings(config: Preset) -> dict[str, Any]:
    """Every setting by name, those of its parts as ``injection.start``; to compare two by."""
    found: dict[str, Any] = {}
    for name, value in dataclasses.asdict(config).items():
        found |= {f"{name}.{k}": v for k, v in value.items()} if name in PARTS else {name: value}
    return found


def to_dict(config: Preset | DiscoveryConfig | InjectionConfig | ControlConfig) -> dict[str, Any]:
    """The configuration as plain numbers, strings and dicts, as a run records it.

    A field that came after version 0 is left out at its default, so that older runs keep their keys
    and their bytes.
    """
    plain: dict[str, Any] = {}
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        if f.metadata.get("later") and value == f.default:
            continue
        plain[f.name] = to_dict(value) if dataclasses.is_dataclass(value) else value  # type: ignore[arg-type]
    return plain


def preset_from_dict(values: Mapping[str, Any]) -> Preset:
    """The inverse of `to_dict` for a preset; a field that is left out has its default.

    Raises:
        ConfigError: a field that does not exist, or a value out of range.
    """
    values = dict(values)
    for part, kind in PARTS.items():
        if part in values and not isinstance(values[part], kind):
            values[part] = _build(kind, values[part])
    return _build(Preset, values)


def _build(kind: type[_T], values: Any) -> _T:
    if not isinstance(values, Mapping):
        raise ConfigError(f"{kind.__name__} is {values!r}; it must be a table of fields.")
    names = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for name in values:
        if name not in names:
            raise ConfigError(f"{kind.__name__} has no field {name!r}.{meant(str(name), names)}")
    if kind is Preset and "name" not in values:
        raise ConfigError("a preset needs a name; add a field 'name'.")
    return kind(**values)
