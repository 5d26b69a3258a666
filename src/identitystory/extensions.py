"""Parts by name: our own, and those of other installed packages by entry point.

An entry point is ``name = "module:attribute"`` under one of the groups below, in the other package's
metadata. Other packages are looked at only where a name is not ours, or a list is asked for; what
they bring is imported when it is used. A name of ours is always ours.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import Any

from .errors import ConfigError, IdentityStoryError, did_you_mean

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Registry:
    """The parts of one kind.

    Attributes:
        what: one of them, in words: ``method``.
        group: of the entry points: ``identitystory.methods``.
        own: ``module:attribute``, or the part itself, by name and in the order of lists.
        needs: attributes that each has.
        error: what is raised.
        told: what was warned of.
    """

    what: str
    group: str
    own: Mapping[str, Any]
    needs: tuple[str, ...]
    error: type[IdentityStoryError] = ConfigError
    told: list[Any] = field(default_factory=list)

    def names(self) -> tuple[str, ...]:
        """All of them, ours first. Nothing is imported."""
        return (*self.own, *dict.fromkeys(entry.name for entry in self._others()))

    def check(self, name: str) -> str:
        """``name``, if there is such a part. Nothing is imported.

        Raises:
            IdentityStoryError: there is none; says which there are and which was probably meant.
        """
        if name in self.own or name in (names := self.names()):
            return name
        hint = did_you_mean(name, names)
        raise self.error(f"no {self.what} is called {name!r}.{hint} There are: {', '.join(names)}")

    def get(self, name: str) -> Any:
        """The part called ``name``, imported.

        Raises:
            IdentityStoryError: there is none, two packages bring one, or another package's is broken;
                the line names the package.
        """
        if self.check(name) in self.own:
            own = self.own[name]
            module, _, attribute = own.partition(":") if isinstance(own, str) else ("", "", "")
            return getattr(import_module(module), attribute) if module else own
        found = [entry for entry in self._others() if entry.name == name]
        if len(found) > 1:
            packages = " and ".join(sorted(_package(entry) for entry in found))
            raise self.error(f"{packages} both bring a {self.what} {name!r}; uninstall one")
        entry, lacking, why = found[0], [], ""
        try:
            part = entry.load()
            lacking = [attribute for attribute in self.needs if not hasattr(part, attribute)]
        except Exception as error:
            why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        if lacking or why:
            told = why or f"it has no {', '.join(lacking)}"
            raise self.error(
                f"the {self.what} {name!r} of the package {_package(entry)} cannot be used "
                f"({told}); update or uninstall the package"
            )
        return part

    def others(self) -> dict[str, Any]:
        """Other packages' parts, imported; a warning is logged for each that cannot be used."""
        found = {}
        for name in self.names()[len(self.own) :]:
            try:
                found[name] = self.get(name)
            except IdentityStoryError as error:
                logger.warning("%s", error)
        return found

    def first(self, fits: Callable[[Any], bool]) -> str | None:
        """The name of the first part that ``fits``, ours first; None if none does.

        Raises:
            IdentityStoryError: none fits, and another package's is broken.
        """
        broken: IdentityStoryError | None = None
        for name in self._one_by_one():
            try:
                if fits(self.get(name)):
                    return name
            except IdentityStoryError as error:
                broken = broken or error
        if broken is not None:
            raise broken
        return None

    def _one_by_one(self) -> Iterator[str]:
        yield from self.own
        yield from self.names()[len(self.own) :]

    def _others(self) -> list[Any]:
        found = []
        for entry in _installed(self.group, tuple(sys.path)):
            if entry.name not in self.own:
                found.append(entry)
            elif entry not in self.told:
                self.told.append(entry)
                told = "the package %s brings a %s %r, which is ours; it is not used"
                logger.warning(told, _package(entry), self.what, entry.name)
        return found


@lru_cache(maxsize=64)
def _installed(group: str, path: tuple[str, ...]) -> list[Any]:
    """The entry points of a group in the packages on ``path``, which is that of Python."""
    from importlib.metadata import entry_points

    return sorted(entry_points(group=group), key=lambda entry: entry.name)


def _package(entry: Any) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def needed(module: str, extra: str, name: str) -> Any:
    """A module that an extra brings, imported; ``name`` is what it is for, in the sentence.

    Raises:
        ConfigError: it is not installed; the sentence is `not_installed`'s.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(not_installed(name, extra, str(error.name or module))) from None


def not_installed(name: str, extra: str, what: str) -> str:
    """The sentence that says that ``name`` lacks something, and which extra brings it."""
    return f"{name} is not installed ({what} is missing): pip install 'identitystory[{extra}]'"
