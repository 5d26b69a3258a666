"""Dataclasses whose fields are checked when they are made, and fields that say what they take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, fields
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from .errors import ConfigError, did_you_mean, shown
from .types import Interval

MOST = 10_000  # portraits, steps, frames at once: more is a slip of the hand, and would fill the machine


def whole(default: int | None, low: int, high: int, advice: str, *, later: bool = False) -> Any:
    """A field that takes whole numbers from ``low`` to ``high``."""

    def check(name: str, value: object) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ConfigError(
                f"{name} is {shown(value)}; it must be a whole number of at least {low} and at most "
                f"{high} ({advice})."
            )

    return field(default=default, metadata={"check": check, "later": later})


def number(default: float | None, *bounds: Any, low_open: bool = False, later: bool = False) -> Any:
    """A field that takes numbers within ``bounds``: the least, the largest, and advice."""
    check = lambda name, value: check_number(name, value, *bounds, low_open=low_open)
    return field(default=default, metadata={"check": check, "later": later})


_kinds = lru_cache(maxsize=None)(get_type_hints)


class Checked:
    """A dataclass that refuses, when it is made, a value that its field does not take."""

    def __post_init__(self) -> None:
        """ConfigError unless every field takes its value; an interval becomes a pair of floats."""
        for f in fields(self):  # type: ignore[arg-type]
            kind, value = _kinds(type(self))[f.name], getattr(self, f.name)  # type: ignore[arg-type]
            if get_origin(kind) is Literal:
                if value not in get_args(kind):
                    told = meant(str(value), get_args(kind))
                    raise ConfigError(f"{f.name} is {shown(value)}.{told}")
            elif kind == Interval:
                object.__setattr__(self, f.name, _interval(f.name, value))
            elif kind in (str, bool, str | None):
                if not isinstance(value, kind):
                    told = "true or false" if kind is bool else "text"
                    raise ConfigError(f"{f.name} is {value!r}; it must be {told}.")
            elif "check" in f.metadata and not (value is None and f.default is None):
                f.metadata["check"](f.name, value)


def meant(name: str, known: Iterable[str]) -> str:
    """What else was probably meant, with a leading blank, and what there is."""
    return f"{did_you_mean(name, known)} There are: {', '.join(sorted(known))}."


def check_number(
    name: str, value: object, low: float, high: float, advice: str, *, low_open: bool = False
) -> None:
    """Nothing, if ``value`` is a number from ``low`` (or above it) to ``high``; else a ConfigError."""
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not low <= value <= high  # refuses nan too
        or (low_open and value == low)
    ):
        over = f"above {low:g}" if low_open else f"at least {low:g}"
        raise ConfigError(
            f"{name} is {shown(value)}; it must be a number {over} and at most {high:g} ({advice})."
        )


def _interval(name: str, value: object) -> Interval:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ConfigError(f"{name} is {value!r}; it must be two numbers, (0, 1) is all.")
    low, high = value
    check_number(name, low, 0.0, 1.0, "0 is the first step")
    check_number(name, high, 0.0, 1.0, "1 is the last step")
    if low > high:
        raise ConfigError(f"{name} is {value!r}; the first number must be the smaller.")
    return float(low), float(high)
