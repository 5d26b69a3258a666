"""Several people of one description, each painted in the same scenes; one of them becomes the run's.

An audition is a run in the folder ``casting`` of the story's: its characters are ``Mara 1``, ``Mara 2``
and so on, found by `casting` in the portraits of Mara. So it is kept, resumed and told of as any run.
Those of an audition for somebody's relatives are the portraits most like them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ..errors import ConfigError, RunError, quoted
from ..metrics.attributes import AttributeReader
from ..metrics.traits import completed
from ..protocols import ModelFacts
from ..seeds import derived_seed
from ..story.scenes import make_scene, recast
from ..types import Character, Story, plain
from . import faces, files, inside
from .cache import PORTRAITS, Cache
from .characters.archive import SUFFIX, CharacterFile
from .characters.casting import character
from .characters.kin import Kin
from .characters.making import from_run
from .folder import AUDITION, RunFolder, read_identity, read_record
from .opening import Load
from .request import RunRequest
from .sheets import COLUMNS, wrapped
from .strip import told_of

FOLDER = AUDITION
MOST = 24  # candidates of a character
SCENES = ("a portrait of {NAME} in a garden", "a portrait of {NAME} laughing in a library")
TILE, LINE = 192, 15  # pixels of a picture on the sheet, and of a line below it


def shared(out: Path) -> Cache:
    """Where the run at ``out`` and its audition keep the portraits that they have in common."""
    return Cache(out / "shared", (PORTRAITS,))


def audition(
    request: RunRequest,
    count: int,
    names: Sequence[str] = (),
    reader: AttributeReader | None = None,
    kin: Kin | None = None,
) -> RunRequest:
    """The request for the audition of a run: who is in it, in scenes of their own.

    What all portraits of a candidate show and the description leaves open is said in their scenes,
    where a ``reader`` can tell it; so it is asked for again when the candidates are found.

    Args:
        request: for the story's run, whose identities are found.
        count: candidates of each character.
        names: of characters; all whose faces are searched for, if it is empty.
        reader: the checkpoint's, if it has one.
        kin: whose relatives the candidates are; None is nobody's.

    Raises:
        ConfigError: nobody is called so, or their face is that of a character file; as `Kin.of`.
    """
    seed, out = _seed(request), request.out / FOLDER
    searched = _searched(request.story, names)
    if kin is not None:
        searched = [kin.of(who, who.seed or seed, reader) for who in searched]
    people = [
        _candidate(who, number, out, reader) for who in searched for number in range(1, count + 1)
    ]
    return of(request, people, {person.face: person for person in kin.people} if kin else {})


def of(
    request: RunRequest, people: Sequence[Character], known: Mapping[str, CharacterFile]
) -> RunRequest:
    """The request for the audition of these candidates of a run.

    Args:
        request: as of `audition`.
        people: who they are.
        known: those whose relatives some of them are, by ``face``.
    """
    style = request.story.style
    scenes = tuple(
        make_scene(scene.replace("NAME", c.name), (c,), style=style, source=FOLDER, number=n)
        for c in people
        for n, scene in enumerate(SCENES, 1)
    )
    seed = _seed(request)
    seeds = [derived_seed("audition", seed, n) for n in range(len(SCENES))] * len(people)
    story = replace(
        request.story,
        title=f"{request.story.title}: casting",
        characters=tuple(people),
        scenes=scenes,
        shape="",
    )
    return replace(
        request,
        story=story,
        out=request.out / FOLDER,
        seed=seed,
        frame_seeds=dict(enumerate(seeds)),
        paint=True,
        shape="",
        source="",
        locked={},
        people=known,
        notes=(),
    )


def _seed(request: RunRequest) -> int:
    """The run's, which `discover --seed` has its own word in."""
    record = read_record(RunFolder(request.out)) or {}
    return int(record.get("seed", 0) if request.seed is None else request.seed)


def _searched(story: Story, names: Sequence[str]) -> list[Character]:
    """Those who are asked for, as they are searched for."""
    faced = {c.name: c for c in story.faced}
    if unknown := [name for name in names if name not in faced]:
        raise ConfigError(f"nobody is called {unknown[0]!r}; there is {quoted(faced)}")
    some = [faced[name] for name in names or faced]
    files_ = [c.name for c in some if c.face and not c.sought]
    if files_ and (names or len(files_) == len(some)):
        raise ConfigError(f"the face of {files_[0]!r} is of a character file: leave 'cast' out")
    return [own(c) for c in some if c.name not in files_]


def own(who: Character) -> Character:
    """Somebody of a story as they are searched for, whoever was chosen."""
    return replace(who.searched, face="", file="", candidate=0, sought=(), kin=())


def _candidate(who: Character, number: int, out: Path, reader: AttributeReader | None) -> Character:
    made = Character(
        f"{who.name} {number}",
        who.description,
        who.noun,
        seed=who.seed,
        candidate=number,
        sought=(who.name, who.description),
        like=who.like,
        kin=who.kin,
    )
    if reader is None or not _is_found(RunFolder(out), made):
        return made
    shown = [reader.read(portrait) for portrait in _kept(RunFolder(out), made.name)]
    return replace(made, description=completed(who.description, shown, reader.phrases))


def _is_found(folder: RunFolder, who: Character) -> bool:
    """Whether the face that lies there is of this candidate, and of no other of that name."""
    facts = files.read_tensor_facts(folder.identity(who.name), folder.root) or {}
    return faces.search(facts) == faces.search({"character": plain(who)})


def _kept(folder: RunFolder, name: str) -> list[Image.Image]:
    """The portraits of an identity, cut out of its contact sheet, where they come first."""
    count = len(read_identity(folder.identity(name), folder.root).kept)
    sheet = files.read_picture(folder.contact_sheet(name), folder.root).convert("RGB")
    side = sheet.width // COLUMNS  # there are more portraits than columns, or no filter
    corners = [(n % COLUMNS * side, n // COLUMNS * side) for n in range(count)]
    return [sheet.crop((x, y, x + side, y + side)) for x, y in corners]


def sheets_of(request: RunRequest) -> list[Path]:
    """Writes ``casting/NAME.png`` for each character: a column for each candidate, words below.

    On the left stand two portraits of each of those whom they are to be like.

    Args:
        request: of the finished audition.
    """
    by_name: dict[str, list[int]] = {}
    for n, scene in enumerate(request.story.scenes):
        who = request.story.character(scene.cast[0])
        by_name.setdefault(who.searched.name, []).append(n)
    return [_sheet(request, name, scenes) for name, scenes in by_name.items()]


def _sheet(request: RunRequest, name: str, scenes: Sequence[int]) -> Path:
    folder, rows = RunFolder(request.out), len(SCENES)
    people = [request.story.character(request.story.scenes[n].cast[0]) for n in scenes[::rows]]
    font = ImageFont.load_default(12)
    kin = [request.people[face] for face in people[0].like]
    words = [f"{p.told.name}: {p.told.description}" for p in kin]
    words += [f"{c.candidate}: {c.description}" for c in people]
    captions = [wrapped(each, font, TILE - 8) for each in words]
    pictures = [(p.portraits * rows)[row] for p in kin for row in range(rows)]
    pictures += [files.read_picture(folder.frame(n), folder.root) for n in scenes]
    height = TILE * rows + LINE * max(map(len, captions)) + 8
    page = Image.new("RGB", (TILE * len(captions), height), "white")
    draw = ImageDraw.Draw(page)
    for place, picture in enumerate(pictures):
        column, row = divmod(place, rows)
        small = picture.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS)
        page.paste(small, (column * TILE, row * TILE))
    for column, lines in enumerate(captions):
        for n, line in enumerate(lines):
            place_ = column * TILE + 4, TILE * rows + 4 + n * LINE
            draw.text(place_, line, fill="black", font=font)
    path = folder.root / folder.contact_sheet(name).name
    files.write_png(path, page, told_of(request, lambda: {"part": FOLDER}), folder.root)
    return path


def choose(
    request: RunRequest, name: str, number: int, facts: ModelFacts, load: Load
) -> RunRequest:
    """``request`` with a candidate as the character called ``name``; 0 is the filter's identity again.

    The candidate becomes a character file, ``cast/NAME.character`` in the run's folder.

    Raises:
        ConfigError: nobody is called so.
        RunError: there is no such candidate.
    """
    (who,) = _searched(request.story, [name])
    if not number:
        return replace(request, story=recast(request.story, who))
    run, called = request.out / FOLDER, f"{name} {number}"
    there = (read_record(RunFolder(run)) or {}).get("story", {}).get("characters", [])
    kin = {c["name"]: tuple(c.get("kin", ())) for c in there}
    if called not in kin:
        raise RunError(
            f"{request.out} has no candidate {number} of {name!r}; first run: identitystory discover "
            f"STORY --candidates {max(number, 6)}"
        )
    person = from_run(run, called, facts, load)
    person = replace(person, told=person.told.model_copy(update={"name": name}))
    file = RunFolder(request.out).identity(name).with_suffix(SUFFIX)
    inside.write_whole(file, person.content, request.out)
    chosen = replace(character(person), wears=who.wears, seed=who.seed, candidate=number)
    chosen = replace(chosen, sought=(who.name, who.description), kin=kin[called])
    people = {**request.people, chosen.face: person}
    return replace(request, story=recast(request.story, chosen), people=people)
