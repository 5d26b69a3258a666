"""The user study (Table 3): a questionnaire as one web page, and the tally of its answers.

The page holds the pictures and opaque names of the options; which method an option is stands in a
key file of its own. The order of options is drawn anew in every browser. Nothing is sent anywhere:
a participant saves the answers as a file.
"""

from __future__ import annotations

import hashlib
import html
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import ConfigError, RunError
from ..methods.registry import OURS
from ..metrics.intervals import holm, sign_flip, wilson
from ..runs.files import part_key, read
from ..story.plain import plain_json
from .cases import Case, data_url
from .tables import Table, write_files

FORMAT = 1
CRITERIA: Mapping[str, str] = {
    "text_alignment": "Which option shows best what the texts say?",
    "character_consistency": "In which option do the people stay themselves best?",
    "image_quality": "Which option has the best pictures?",
}
MAX_ANSWERS = 2**20  # bytes of one answer file
SALT = 16  # bytes


# --- Making the page ------------------------------------------------------------------------------


def make(
    cases: Sequence[Case], out: Path, *, groups: int = 20, seed: int | None = None, side: int = 256
) -> Path:
    """Writes the questionnaire to ``out`` and its key beside it; gives the key's path.

    The options' names are hashes with a secret salt, which stands in the key alone: nobody who has
    the page can tell the methods by trying. A key that is there already keeps its salt, so that
    the same command makes the same study again.

    Args:
        cases: of one set of methods; ``groups`` of them are drawn.
        out: an ``.html`` file.
        groups: at most; all cases if there are fewer.
        seed: of the draw and of the options' names, which are then no secret to who knows it; without
            one the draw is that of seed 0.
        side: of the pictures, pixels.

    Raises:
        ConfigError: a key of another study is there.
    """
    drawn = random.Random(seed or 0).sample(list(cases), min(groups, len(cases)))
    key_file = out.with_suffix(".key.json")
    salt = _salt(key_file) if seed is None else str(seed)
    study = part_key([salt, [[c.key, c.hashes] for c in drawn]])[:12]
    if key_file.is_file() and _read(key_file).get("study") != study:
        raise ConfigError(
            f"{key_file} is the key of a study of other pictures, whose answers could not be counted "
            "without it; give another --out, or remove it"
        )
    token = lambda case, method: hashlib.sha256(
        f"{study}|{salt}|{case.key}|{method}".encode()
    ).hexdigest()[:10]
    sections = [
        _section(n, c, {m: token(c, m) for m in c.methods}, side) for n, c in enumerate(drawn)
    ]
    template = resources.files("identitystory") / "templates" / "study.html"
    page = template.read_text(encoding="utf-8")
    page = page.replace("@@STUDY@@", study).replace("@@COUNT@@", str(len(drawn)))
    page = page.replace("@@GROUPS@@", "\n".join(sections))  # last: it holds the users' texts
    key = {
        "format": FORMAT,
        "study": study,
        "salt": salt,
        "groups": {f"g{n}": {token(c, m): m for m in c.methods} for n, c in enumerate(drawn)},
        "titles": {f"g{n}": c.title for n, c in enumerate(drawn)},
    }
    return write_files({key_file: key, out: page})[0]


def _salt(key_file: Path) -> str:
    """That of a key that is there already, or a new one that nobody can guess."""
    try:
        salt = _read(key_file).get("salt")
    except RunError:
        salt = None
    return salt if isinstance(salt, str) and len(salt) == 2 * SALT else secrets.token_hex(SALT)


def _section(number: int, case: Case, tokens: Mapping[str, str], side: int) -> str:
    texts = "".join(f"<li>{html.escape(text)}</li>" for text in case.texts)
    options = []
    for method in sorted(case.methods, key=lambda m: tokens[m]):  # no order that tells
        pictures = "".join(
            f'<img src="{data_url(frame, side)}" alt="picture {n}: {html.escape(text)}">'
            for n, (frame, text) in enumerate(zip(case.frames[method], case.texts, strict=True), 1)
        )
        options.append(
            f'<div class="option" role="group" data-token="{tokens[method]}"><h3></h3>'
            f'<div class="row">{pictures}</div></div>'
        )
    questions = "".join(
        f'<fieldset data-criterion="{name}"><legend>Story {number + 1}: {html.escape(asked)}'
        "</legend>"
        '<div class="choices"></div></fieldset>'
        for name, asked in CRITERIA.items()
    )
    return (
        f'<section data-group="g{number}" aria-labelledby="h{number}"><h2 id="h{number}" '
        f'tabindex="-1">Story {number + 1}</h2><ol class="texts">{texts}</ol>'
        f'<div class="options">{"".join(options)}</div>{questions}</section>'
    )


# --- Counting the answers -------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """How often one method was chosen for one criterion.

    Attributes:
        method: its name.
        chosen: times, of ``asked``.
        low, high: Wilson's 95 % interval. Choices count as independent.
        p: of a two-sided sign-flip test over participants that it is chosen as often as the
            reference, Holm-corrected over the methods; None for the reference itself.
    """

    method: str
    chosen: int
    asked: int
    low: float
    high: float
    p: float | None


def tally(
    key_file: Path, files: Sequence[Path], against: str | None = None
) -> tuple[int, dict[str, list[Rate]]]:
    """How many took part, and for each criterion every method's rate, the most chosen first.

    Args:
        key_file: of ``make``.
        files: answer files.
        against: the method that the others are tested against. None is IdentityStory if it takes
            part; else the most chosen of each criterion, which is picked by the answers themselves,
            so that its p-values are too small.

    Raises:
        ConfigError: no such method takes part.
        RunError: a file is broken, or of another study, or from somebody who is there already.
    """
    study, groups = _read_key(key_file)
    methods = sorted({m for options in groups.values() for m in options.values()})
    if against is None:
        against = OURS if OURS in methods else None
    elif against not in methods:
        raise ConfigError(
            f"--against is {against!r}, which does not take part; there are {', '.join(methods)}"
        )
    people: dict[str, dict[str, list[str]]] = {}
    for file in files:
        given = _read(file)
        if given.get("study") != study:
            raise RunError(f"{file} belongs to another study ({given.get('study')!r})")
        who, answers = given.get("participant"), given.get("answers")
        if not isinstance(who, str) or not isinstance(answers, dict):
            raise RunError(f"{file} is not an answer file of this study")
        if not who or not answers:
            raise RunError(f"{file} holds no participant or no answers; leave it out")
        if who in people:
            raise RunError(f"{file} is from a participant who is there already; give each once")
        people[who] = {name: [] for name in CRITERIA}
        for group, choices in answers.items():
            if not isinstance(choices, dict):
                raise RunError(f"{file}: group {group!r} is broken")
            for criterion, chosen in choices.items():
                method = groups.get(group, {}).get(chosen) if isinstance(chosen, str) else None
                if criterion not in CRITERIA or method is None:
                    raise RunError(f"{file}: {group!r} has no option {chosen!r} for {criterion!r}")
                people[who][criterion].append(method)
    return len(people), {
        name: rates(methods, [person[name] for person in people.values()], against)
        for name in CRITERIA
    }


def rates(
    methods: Sequence[str], choices: Sequence[Sequence[str]], against: str | None = None
) -> list[Rate]:
    """Each method's rate, the most chosen first; ``choices`` are the methods one person chose.

    They are tested against ``against``; None is the most chosen.
    """
    asked = sum(map(len, choices))
    counts = {m: [list(person).count(m) for person in choices] for m in methods}
    order = sorted(methods, key=lambda m: (-sum(counts[m]), m))
    against = order[0] if against is None else against
    rest = [m for m in order if m != against]
    ps = holm([sign_flip([a - b for a, b in zip(counts[against], counts[m], strict=True)])
               for m in rest])  # fmt: skip
    p_of = dict(zip(rest, ps, strict=True))
    return [
        Rate(m, sum(counts[m]), asked, *wilson(sum(counts[m]), asked), p_of.get(m)) for m in order
    ]


def table(some: Sequence[Rate]) -> Table:
    """Table 3 of one criterion: a row a method, with its interval and p-value."""
    head = ["method", "chosen %", "95 %", "chosen", "asked", "p"]
    rows = [
        [
            r.method,
            f"{100 * r.chosen / r.asked:.1f}" if r.asked else None,
            f"{100 * r.low:.1f} to {100 * r.high:.1f}",
            r.chosen,
            r.asked,
            None if r.p is None else f"{r.p:.3g}",
        ]
        for r in some
    ]
    return Table(head, rows)


def _read_key(file: Path) -> tuple[str, dict[str, dict[str, str]]]:
    """The study's name, and group -> option's name -> method."""
    key = _read(file)
    study, groups = key.get("study"), key.get("groups")
    tables = list(groups.values()) if isinstance(groups, dict) else []
    whole = tables and all(
        isinstance(options, dict) and options and all(isinstance(m, str) for m in options.values())
        for options in tables
    )
    if key.get("format") != FORMAT or not isinstance(study, str) or not whole:
        raise RunError(f"{file} is not the key of a study; it is written by study make")
    return study, key["groups"]


def _read(file: Path) -> dict[str, Any]:
    try:
        content = plain_json(read(file.resolve(), most=MAX_ANSWERS).decode("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise RunError(f"{file} cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise RunError(f"{file} does not hold a JSON object")
    return content
