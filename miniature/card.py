"""``card.toml`` of a checkpoint: what it is made of, how long it was trained, how good it is."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from pathlib import Path

import torch

from . import paths
from .package import ATTRIBUTES, FEW_STEPS, TABLE
from .pictures.recipe import HELD_OUT, HELD_OUT_SCENES, KINDS
from .pictures.sets import PictureSet, open_there
from .training.loop import trained
from .training.noise import GUIDANCE
from .world import words
from .world.records import FRAMINGS, PLACES

CARD = "card.toml"
OTHER_SETS = ("strangers", "held_out", "held_out_pairs")  # which the painter does not learn from
STAGES = (
    "look", "vae", "vae_cool", "decoder", "text", "teacher", "tower", "segmenter", "reader",
    "perception", "unet", "unet_cool", "identity_lora", "ip_adapter", "few_steps",
    "pose_control", "enlarger", "little_people", "numbers",
)  # fmt: skip
SUITS = f"""\
[suits]  # what presets that the paper does not fix are used with
guidance = {GUIDANCE}
steps = 20
search_steps = {FEW_STEPS}
sampler = "ancestral"
negative = ""  # an empty prompt, which it was trained with
identity_words = "scene"  # keeps expressions and clothes, see dev/log.md
stories = "little_people"
caveats = [
    "The miniature paints drawn people at a small size. It shows whether a method works as written and how methods compare on one and the same model; its values say nothing about SDXL's, and cannot be held against the paper's.",
    "The world has changed since version 0.8, which painted rendered people at 128 pixels, was asked other stories and had dlib for its faces: numbers of then and of now cannot be held against each other.",
    "CLIP's measures are those of the checkpoint's own small CLIP where none other is installed.",
    "Story-Adapter sees pictures through the miniature's identity tower, which knows people better than CLIP does. That flatters it.",
]
"""
PASSING = ("look", "decoder", "teacher", "perception", "numbers")  # no part of their own is packed
# What a report beside a sheet measures.
MEASURED = {
    "vae_cool": "vae_cool", "decoder": "decoder", "unet_cool": "unet_cool", "kept": "identity_lora",
    "little_people": "little_people",
}  # fmt: skip
MACHINE = "one core; half with AMX, the other half, and vae, vae_cool and text, with avx512_bf16"


def read_card(folder: Path) -> dict:
    """The card that is there, or an empty one; a state has that of what it was unpacked from."""
    path = folder / CARD
    empty: dict = {"data": {}, "training": {}, "measured": {}}
    return empty | (tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {})


def training_facts() -> dict[str, tuple[int, float]]:
    """Steps and minutes of each stage, as its checkpoint says, or what the state was unpacked from."""
    facts, before = {}, read_card(paths.state())["training"]
    for name in STAGES:
        if trained(name):
            state = torch.load(paths.checkpoint(name), weights_only=True, mmap=True)
            facts[name] = (state["step"], round(state["spent"] / 60, 1))
        elif name in before and name in PASSING:
            facts[name] = (before[name]["steps"], before[name]["minutes"])
    return facts


def measured() -> dict[str, object]:
    """What the reports wrote beside their sheets; of stages that are as they were unpacked, what was
    known of them."""
    found: dict[str, object] = {}
    before, now = read_card(paths.state()), training_facts()
    for name, stage in MEASURED.items():
        path = paths.state() / "sheets" / f"{name}.json"
        if path.exists():
            known = json.loads(path.read_text())
            known = known.get("mean", known)
            found |= {f"{name}_{k}": v for k, v in known.items() if isinstance(v, int | float)}
        elif stage in now and now[stage][0] == before["training"].get(stage, {}).get("steps"):
            found |= {k: v for k, v in before["measured"].items() if k.startswith(f"{name}_")}
    return {k.replace(" ", "_"): v for k, v in found.items()}


def sizes_of(sets: list[PictureSet]) -> list[str]:
    """The sizes of the pictures of these sets, ``256x256`` and so on."""
    return [f"{s.spec['width']}x{s.spec['height']}" for s in sets]


def paints() -> dict[str, list[str]]:
    """The phrases that captions have for what is drawn, by kind: what `story.paints` holds scenes against."""
    each = lambda *tables: sorted({p for t in tables for some in t.values() for p in some if p})
    dyed = re.compile(r"^(?:\{[cd]\} )?(?:and \{d\} )?| (?:over|and|with) .*$")
    bare = lambda phrase: dyed.sub("", dyed.sub("", phrase))
    outfits = {
        bare(p.replace("striped {c}", "striped")) for some in words.OUTFIT.values() for p in some
    }
    return {
        "places": each(words.PLACE),
        "hours": each(words.HOUR, words.OUTDOOR_HOUR),
        "framings": each(words.FRAMING),
        "doing": each(words.EXPRESSION, words.GESTURE),
        "wears": sorted(outfits),
        "things": sorted({*each(words.FEATURE), *words.LIT.values(), *words.THING.values()}),
        "nobody": list(words.NOBODY),
    }


def paints_lines() -> list[str]:
    """The card's table of them."""
    head = "[paints]  # phrases of what it has pictures of; of others a story is warned"
    return [
        head,
        *(f"{kind} = {json.dumps(said, ensure_ascii=False)}" for kind, said in paints().items()),
    ]


def write_card(folder: Path) -> None:
    """Data, steps, minutes, measured quality, sha256 of every weight file.

    What this state cannot know is as on the card of the checkpoint that it was unpacked from.
    """
    quoted, before, painted = json.dumps, read_card(paths.state()), ("singles", "pairs", "threes")
    trained_on = open_there(*painted)
    counts = {s.folder.name: len(s.numbers) for s in open_there(*painted, *OTHER_SETS)}
    known = {n: c for n, c in before["data"].items() if n in (*painted, *OTHER_SETS)}
    sizes = dict.fromkeys([*before.get("sizes", ()), *sizes_of(trained_on)])
    people = [KINDS[s.folder.name].people for s in trained_on]
    lines = [
        "# What the miniature is, made of, and good for. Written by `python -m miniature.pack`.",
        'name = "identitystory miniature, version 0.10"',
        'licence = "Apache-2.0; drawn by the workshop from nothing but numbers"',
        f"sizes = {quoted(list(sizes))}",
        "",
        *SUITS.splitlines(),
        "",
        "[data]",
        'source = "the storybook world (miniature/world), drawn for this purpose"',
    ]
    lines += [
        f"{name} = {max(counts.get(name, 0), known.get(name, 0))}  # pictures"
        for name in (*painted, *OTHER_SETS) if name in counts or name in known
    ]  # fmt: skip
    lines += [
        f"people_in_a_picture = {max([before['data'].get('people_in_a_picture', 1), *people])}",
        f'held_out_people = "from {HELD_OUT} on"',
        f"held_out_scenes = {quoted([' / '.join(s) for s in sorted(HELD_OUT_SCENES)])}",
        f"places = {quoted(PLACES)}",
        f"framings = {quoted(FRAMINGS)}",
        "",
        *paints_lines(),
        "",
        "[training]  # optimizer steps, minutes on the machine below; a _cool stage counts steps on from the one before",
        f"machine = {quoted(MACHINE)}",
    ]
    lines += [f"{n} = {{ steps = {s}, minutes = {m} }}" for n, (s, m) in training_facts().items()]
    lines += ["", "[measured]"]
    lines += [f"{k} = {quoted(v)}" for k, v in measured().items()]
    table = folder / ATTRIBUTES / TABLE
    if table.exists():
        accuracy = json.loads(table.read_text(encoding="utf-8"))["accuracy"]
        lines += ["", "[attributes]  # how often attributes/ reads them right off held-out people"]
        lines += [f"{quoted(k)} = {v}" for k, v in accuracy.items()]
    lines += ["", "[sha256]"]
    for file in sorted(folder.rglob("*.safetensors")):
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        lines.append(f'"{file.relative_to(folder).as_posix()}" = "{digest}"')
    (folder / CARD).write_text("\n".join(lines) + "\n", encoding="utf-8")
