"""Commands from typed functions: what a function takes is what its command takes.

A parameter is an option, ``--its-name``, with the parameter's type and default; one that is a
dataclass stands for its fields, so that commands share them. ``Annotated[int, "N"]`` names the
placeholder; an `Argument` as placeholder is given by its place. Of the docstring, the first line is
the command's in the list of commands, the other paragraphs are its own page's text, and ``Args:``
(``Attributes:`` of a dataclass) the help. ``service`` alone is no option.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from ..errors import one_line

Command = Callable[..., Any]


@dataclass(frozen=True)
class Group:
    """A command that has its own commands, and its text, written like a docstring."""

    text: str
    commands: Mapping[str, Command]


class Argument(str):
    """The placeholder of a value that is given by its place, without an option's name."""


class Parser(argparse.ArgumentParser):
    """argparse whose mistakes are one line."""

    def error(self, message: str) -> NoReturn:
        """One line on standard error; exit 2."""
        self.exit(2, f"{self.prog}: {one_line(message)}. See {self.prog} --help\n")


@dataclass(frozen=True)
class Option:
    """One option or argument.

    Attributes:
        word: what is typed, ``--only``; of an argument its parameter's name.
        needed: whether the command cannot do without.
        told: what else argparse's ``add_argument`` is told.
    """

    word: str
    needed: bool
    told: Mapping[str, Any]

    @property
    def usage(self) -> str:
        """How it is typed: ``--only N``, ``RUN ...``."""
        choices = self.told.get("choices")
        value = f"{{{','.join(choices)}}}" if choices else self.told.get("metavar", "")
        if not self.word.startswith("--"):
            return f"{value} ..." if self.told.get("nargs") in ("+", "*") else str(value)
        if self.told.get("action") is argparse.BooleanOptionalAction:
            return f"{self.word}, --no-{self.word[2:]}"
        return f"{self.word} {value}".rstrip()


def add(parser: argparse.ArgumentParser, commands: Mapping[str, Command | Group]) -> None:
    """Gives ``parser`` these commands; what it parses then has ``command``, which takes the rest."""
    inner = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in commands.items():
        summary, text, _ = told(command)
        made = inner.add_parser(name, help=summary, description=text)
        if isinstance(command, Group):
            add(made, command.commands)
            continue
        for option in options(command):
            made.add_argument(option.word, **option.told)
        made.set_defaults(command=partial(call, command))


def call(command: Command, given: Mapping[str, Any]) -> Any:
    """Calls ``command`` with its part of what was ``given``, by the names of its parameters."""
    values = {
        name: call(kind, given) if _is_group(kind) else given[name]
        for name, kind, _ in _parameters(command)
    }
    return command(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def options(command: Command) -> Iterator[Option]:
    """Every option and argument of a command, those of its dataclasses in their place."""
    helps = told(command)[2]
    for name, kind, default in _parameters(command):
        if _is_group(kind):
            yield from options(kind)
        elif name != "service":
            yield _option(name, kind, default, helps[name])


def told(command: Command | Group) -> tuple[str, str, dict[str, str]]:
    """What a docstring says: its first line, as a list has it; the text; what each parameter is."""
    text = command.text if isinstance(command, Group) else inspect.getdoc(command) or ""
    text, *listed = re.split(r"\n\n(?:Args|Attributes|Raises):\n", text)
    summary, _, more = text.partition("\n\n")
    helps = re.findall(r"^    (\w+): (.*(?:\n     .*)*)", listed[0] if listed else "", re.M)
    plain = {name: " ".join(words.split()) for name, words in helps}
    return summary[0].lower() + summary[1:].rstrip("."), " ".join((more or summary).split()), plain


def _is_group(kind: Any) -> bool:
    """Whether a parameter's type stands for its fields."""
    return is_dataclass(kind)


def _parameters(command: Command) -> list[tuple[str, Any, Any]]:
    """Name, type and default of each parameter."""
    kinds = get_type_hints(command, include_extras=True)
    parameters = inspect.signature(command).parameters.values()
    return [(p.name, kinds[p.name], p.default) for p in parameters]


def _option(name: str, kind: Any, default: Any, words: str) -> Option:
    """The option of one parameter."""
    placeholder, many, may_be_none = "", False, False
    while (origin := get_origin(kind)) in (Annotated, Union, UnionType, tuple):
        inner = get_args(kind)
        placeholder = inner[1] if origin is Annotated else placeholder
        many = many or origin is tuple
        may_be_none = may_be_none or NoneType in inner
        kind = inner[0]
    needed = default is inspect.Parameter.empty
    if isinstance(default, int | float | str) and kind is not bool and default != "":
        words += "" if "(default" in words else f" (default: {default})"
    told: dict[str, Any] = {"help": words, "default": [] if many else None if needed else default}
    if kind is bool:
        told["action"] = argparse.BooleanOptionalAction if may_be_none else "store_true"
    elif origin is Literal:
        told["choices"] = get_args(kind)
    else:
        readers = {int: whole, float: scale}
        metavar = placeholder or ("N" if kind is int else name.upper())
        told |= {"type": readers.get(kind, kind), "metavar": str(metavar)}
    if isinstance(placeholder, Argument):
        if many or not needed:
            told["nargs"] = ("+" if needed else "*") if many else "?"
        return Option(name, needed, told)
    if many:
        told["action"] = "append"
    if needed:
        told["required"] = True
    if name.endswith("_"):  # a word of Python's own, as --as is
        told["dest"] = name
    return Option(f"--{name.rstrip('_').replace('_', '-')}", needed, told)


def whole(given: str) -> int:
    """A whole number of at least 0, as an option's type."""
    if not given.isascii() or not given.isdigit() or len(given) > 19:
        raise argparse.ArgumentTypeError(f"{given!r} is not a whole number of at least 0")
    return int(given)


def scale(given: str) -> float:
    """A number, as an option's type."""
    try:
        return float(given)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{given!r} is not a number") from None
