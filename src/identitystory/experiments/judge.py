"""The model as a judge (Table 2): a vision model scores every method's pictures of a story, blind.

Each story is one question with all methods' pictures, under letters drawn anew for each story. Any
endpoint that speaks OpenAI's chat completions with a JSON schema will do. Every answer is stored as
soon as it is there, so the same command goes on where it stopped. Nothing is sent before the cost
has been shown and ``send`` is given.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..runs.files import check_writable, part_key
from .cases import Case, data_url, small_jpeg
from .endpoint import Judge, UnusableError, post
from .tables import Table, write_files

CRITERIA = ("text_alignment", "character_consistency", "image_quality")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
PROMPT = 1  # counts up when the question changes, so that old answers are asked again

Scores = dict[str, dict[str, int]]  # method -> criterion -> 0 to 100


@dataclass(frozen=True)
class Cost:
    """What asking will take.

    Attributes:
        requests: one a story.
        pictures: in all of them.
        megabytes: of the pictures.
        characters: of text beside them: instruction, texts of the scenes, schema.
    """

    requests: int
    pictures: int
    megabytes: float
    characters: int


def letters(case: Case, seed: int) -> dict[str, str]:
    """Letter -> method, drawn for this story."""
    methods = list(case.methods)
    random.Random(f"{seed}|{case.key}").shuffle(methods)
    return dict(zip(LETTERS, methods, strict=False))


def question(case: Case, judge: Judge) -> dict[str, Any]:
    """The body of the request; no method is named in it."""
    order = letters(case, judge.seed)
    texts = "\n".join(f"{n}. {text}" for n, text in enumerate(case.texts, 1))
    content: list[dict[str, Any]] = [{"type": "text", "text": f"The texts:\n{texts}"}]
    for letter, method in order.items():
        content.append({"type": "text", "text": f"Option {letter}:"})
        urls = (data_url(frame, judge.side) for frame in case.frames[method])
        content += [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    template = resources.files("identitystory") / "templates" / "judge.json"
    body: dict[str, Any] = json.loads(template.read_text(encoding="utf-8"))
    body["model"], body["messages"][1]["content"] = judge.model, content
    schema = body["response_format"]["json_schema"]["schema"]
    schema["properties"] = dict.fromkeys(order, schema["properties"][""])  # that of one option
    schema["required"] = list(order)
    return body


def read_answer(reply: bytes, order: Mapping[str, str]) -> Scores:
    """Method -> criterion -> score, of an endpoint's reply.

    Raises:
        UnusableError: it is no answer, or not the one that the schema asks for.
    """
    try:
        said = json.loads(json.loads(reply)["choices"][0]["message"]["content"])
        return _scores(said, order)
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        raise UnusableError("the answer is not of the form asked for") from None


def _scores(said: Any, names: Mapping[str, str]) -> Scores:
    """Name -> criterion -> score, of what is said under each key of ``names``."""
    scores = {name: {c: said[key][c] for c in CRITERIA} for key, name in names.items()}
    for some in scores.values():
        for value in some.values():
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
                raise ValueError(f"a score is {value!r}; it must be 0 to 100")
    return scores


def cost(cases: Sequence[Case], judge: Judge, out: Path) -> Cost:
    """What the stories without a stored answer will take."""
    left = [case for case in cases if stored(case, judge, out) is None]
    sizes = [
        len(small_jpeg(frame, judge.side))
        for case in left
        for frames in case.frames.values()
        for frame in frames
    ]
    bare = [replace(case, frames=dict.fromkeys(case.frames, ())) for case in left]
    words = sum(len(json.dumps(question(case, judge))) for case in bare)
    return Cost(len(left), len(sizes), round(sum(sizes) / 2**20, 2), words)


def stored(case: Case, judge: Judge, out: Path) -> Scores | None:
    """The answer that is there already, if it is a whole one to the same question."""
    key, file = _place(case, judge, out)
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        names = {method: method for method in case.methods}
        return _scores(record["scores"], names) if record["key"] == key else None
    except (OSError, ValueError, KeyError, IndexError, TypeError, RecursionError):
        return None


def ask(
    cases: Sequence[Case],
    judge: Judge,
    out: Path,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Scores]:
    """Story's key -> method -> criterion -> score; stored answers are not asked for again.

    Raises:
        RunError: ``out`` cannot be written, told before anything is sent; the endpoint refuses, or
            gives no usable answer after ``judge.attempts``.
    """
    if any(stored(case, judge, out) is None for case in cases):
        check_folder(out)
    found = {}
    for number, case in enumerate(cases, 1):
        scores = stored(case, judge, out)
        if scores is None:
            say(f"{number} of {len(cases)}: {case.title}")
            scores = _ask_one(case, judge)
            key, file = _place(case, judge, out)
            record = {
                "key": key,
                "title": case.title,
                "endpoint": judge.endpoint,
                "model": judge.model,
                "letters": letters(case, judge.seed),
                "scores": scores,
            }
            write_files({file: record})
        found[case.key] = scores
    return found


def check_folder(out: Path) -> None:
    """Nothing, if answers can be kept in ``out``: one that is paid for must be.

    Raises:
        RunError: its folder cannot be made or written.
    """
    folder = out / "answers"
    try:
        check_writable(folder)
    except (OSError, RunError) as error:
        raise RunError(
            f"the answers cannot be kept in {folder}, so nothing was sent: "
            f"{str(error).removesuffix('. Choose another folder')}; give another --out"
        ) from None


def _ask_one(case: Case, judge: Judge) -> Scores:
    body, last = json.dumps(question(case, judge)).encode(), UnusableError("")
    for attempt in range(judge.attempts):
        if attempt:
            time.sleep(max(judge.wait * 2 ** (attempt - 1), last.wait))
        try:
            return read_answer(post(judge, body), letters(case, judge.seed))
        except UnusableError as error:
            last = error
    raise RunError(
        f"{case.title!r}: no usable answer after {judge.attempts} attempts: {last}. "
        "What is answered is kept; the same command goes on from there"
    )


def averages(found: Mapping[str, Scores]) -> dict[str, dict[str, float]]:
    """Table 2: method -> criterion -> mean score over the stories."""
    methods = sorted({m for some in found.values() for m in some})
    return {
        m: {name: sum(some[m][name] for some in found.values()) / len(found) for name in CRITERIA}
        for m in methods
    }


def table(found: Mapping[str, Scores]) -> Table:
    """Table 2: a row a method, a column a criterion, means of 0 to 100."""
    rows = [[method, *means.values()] for method, means in averages(found).items()]
    return Table(["method", *(name.replace("_", " ") for name in CRITERIA)], rows)


def _place(case: Case, judge: Judge, out: Path) -> tuple[str, Path]:
    """The key of a question, and the file of its answer."""
    asked = [judge.url, judge.model, judge.side, judge.seed]
    key = part_key([PROMPT, case.key, case.hashes, *asked])
    return key, out / "answers" / f"{key}.json"
