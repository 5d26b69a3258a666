"""What shorter searches and ``--reuse`` cost in quality: ``python benchmarks/presets.py``.

For each character the identity is searched ``--full`` times with the paper's 64 portraits of as many
steps as a frame, and ``--quick`` times with each variant, every time from another seed. Two full
searches tell the yardstick, their own cosine: a variant that comes as near to them costs nothing.
Frames are compared with those of ``recommended`` from the same seed: the mean absolute difference
of pixels inside and outside the masks, in levels of 255, next to that of two frames from different
seeds. The first line tells the evaluations that lie ahead; ``--count`` ends there.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from identitystory.config import DiscoveryConfig, Preset
from identitystory.cost import frame_evaluations, search_evaluations
from identitystory.discovery import cohesion
from identitystory.models.backend import load_backend
from identitystory.models.files.suited import preset
from identitystory.pipeline import find_identity, paint
from identitystory.presets import FEW_STEPS, with_distilled, with_search_steps
from identitystory.protocols import Backend
from identitystory.sampling import Watched
from identitystory.settings import Overrides, overridden
from identitystory.story.file import inline_story
from identitystory.types import Character, Identity, Story

CAST = [
    "Mara: a young woman with long red hair",
    "Tom: an old man with a white beard and glasses",
]
SCENE = "a portrait of {%s} smiling on a beach"


def search(
    backend: Backend, character: Character, config: DiscoveryConfig, seed: int
) -> tuple[Identity, dict[str, float]]:
    """An identity, and what finding it cost."""
    G_id = Watched(
        (backend.search or backend.identity).with_steps(
            config.search_steps or backend.identity.num_steps
        )
    )
    began = time.perf_counter()
    identity, _, E = find_identity(G_id, character, config, seed=seed, batch=16)
    spent = time.perf_counter() - began
    return identity, {
        "evaluations": G_id.evaluations,
        "seconds": round(spent, 1),
        "portraits": len(E),
        "cohesion": round(cohesion(E[identity.kept]), 3),
    }


def cosine(a: Identity, b: Identity) -> float:
    """Between two identities' embeddings."""
    return round(float(torch.cosine_similarity(a.embedding, b.embedding, dim=0)), 4)


def frame(
    backend: Backend, story: Story, identity: dict[str, Identity], config: Preset, seed: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Pixels, the mask of everybody, and evaluations of the story's first scene."""
    general, own = Watched(backend.general), Watched(backend.identity)
    watched = replace(backend, general=general, identity=own)
    made = paint(watched, story, story.scenes[0], identity, replace(config, attempts=1), seed=seed)
    assert made.template is not None  # noqa: S101
    mask = made.template.masks.any(dim=0).numpy()
    return np.asarray(made.image, dtype=float), mask, general.evaluations + own.evaluations


def variants(full: DiscoveryConfig, fast: DiscoveryConfig) -> dict[str, DiscoveryConfig]:
    """Shorter searches: those of ``recommended``, ``fast`` and ``--distilled``, and others tried."""
    return {
        "40 portraits of 8 guided steps": fast,
        "64 portraits of 8 guided steps": replace(full, search_steps=fast.search_steps),
        "64 portraits of 20 guided steps": replace(full, search_steps=20),
        "64 portraits of 8 distilled steps": with_distilled(fast, True),
        "48 portraits of 10 steps, 3 guided": replace(
            fast, num_portraits=48, search_steps=10, guidance_interval=(0.1, 0.4)
        ),
        "32 portraits of 10 guided steps": replace(fast, num_portraits=32, search_steps=10),
        "6 portraits of all steps, averaged": replace(full, num_portraits=6, iterations=0),
    }


def reuse_label(every: int) -> str:
    """What the search with ``--reuse`` is called."""
    return f"a full search with --reuse {every}"


@dataclass(frozen=True)
class Reference:
    """Frames of the full method from one seed each, and from another, that others are held against.

    Attributes:
        frames: what `frame` gave.
        apart: mean difference of two seeds.
    """

    frames: list[tuple[np.ndarray, np.ndarray, int]]
    apart: list[float]


def reference(
    backend: Backend, story: Story, faces: dict[str, Identity], full: Preset, count: int
) -> Reference:
    """``count`` frames of the full method, each painted from two seeds."""
    made = Reference([], [])
    for seed in range(count):
        made.frames.append(frame(backend, story, faces, full, seed))
        other = frame(backend, story, faces, full, seed + 1000)[0]
        made.apart.append(float(np.abs(made.frames[-1][0] - other).mean()))
    return made


def compared(
    known: Reference, backend: Backend, story: Story, faces: dict[str, Identity], config: Preset
) -> dict[str, object]:
    """How far frames of ``backend`` with ``config`` lie from the known ones of the same seeds."""
    inside, outside, costs = [], [], set()
    for seed, (a, mask, cost_a) in enumerate(known.frames):
        b, _, cost_b = frame(backend, story, faces, config, seed)
        gap = np.abs(a - b).mean(axis=2)
        inside += [gap[mask].mean()] if mask.any() else []
        outside.append(gap[~mask].mean())
        costs.add((cost_a, cost_b))
    return {
        "frames": len(known.frames),
        "evaluations full, this": sorted(costs),
        "inside the masks": round(float(np.mean(inside)), 2) if inside else None,
        "outside": round(float(np.mean(outside)), 2),
        "two seeds apart": round(float(np.mean(known.apart)), 2),
    }


def ahead(
    full: Preset, fast: Preset, tried: dict[str, DiscoveryConfig], asked: argparse.Namespace
) -> dict[str, int]:
    """Evaluations that lie ahead at most, by what they are for; all characters together."""
    cost = lambda config: search_evaluations(replace(full, discovery=config))
    one = lambda config: frame_evaluations(config, 1)
    told = {"full searches": asked.full * cost(full.discovery)}
    told |= {label: asked.quick * cost(config) for label, config in tried.items()}
    others = one(fast) + len(asked.reuse) * one(full)
    told["frames"] = asked.frames * (2 * one(full) + others)
    told = {label: len(CAST) * count for label, count in told.items()}
    return {**told, "all": sum(told.values())}


def options() -> argparse.Namespace:
    """What the command line says."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--model", default="miniature")
    made.add_argument("--portraits", type=int, default=64, help="of a full search")
    made.add_argument("--steps", type=int, default=50, help="of a full search and of frames")
    made.add_argument("--full", type=int, default=2, help="full searches a character")
    made.add_argument("--quick", type=int, default=2, help="searches a variant and character")
    made.add_argument("--frames", type=int, default=4)
    made.add_argument("--reuse", type=int, nargs="*", default=[2], help="values of --reuse to try")
    made.add_argument(
        "--only", nargs="+", default=[], metavar="WORDS", help="searches that have them"
    )
    made.add_argument("--count", action="store_true", help="tell what it costs, and paint nothing")
    return made.parse_args()


def main() -> None:
    """Prints one JSON object a line."""
    arguments = options()
    full, _ = overridden(
        with_search_steps(preset("recommended"), None),
        Overrides(steps=arguments.steps, portraits=arguments.portraits),
    )
    fast, _ = overridden(preset("fast"), Overrides(steps=arguments.steps))
    searches_of = variants(full.discovery, fast.discovery)
    searches_of |= {reuse_label(every): full.discovery for every in arguments.reuse}
    tried = {
        label: config
        for label, config in searches_of.items()
        if not arguments.only or any(words in label for words in arguments.only)
    }
    print(json.dumps({"evaluations ahead": ahead(full, fast, tried, arguments)}), flush=True)
    if arguments.count:
        return
    how = {"num_steps": arguments.steps, "sampler": full.sampler}
    backend = load_backend(arguments.model, **how)
    reusing = {
        reuse_label(every): load_backend(arguments.model, **how, reuse=every)
        for every in arguments.reuse
    }
    searching = dict(reusing)
    for label, config in tried.items():
        if config.distilled:
            few = load_backend(arguments.model, **how, distilled=True, search_steps=FEW_STEPS)
            searching[label] = few
    found: dict[str, Identity] = {}
    with torch.no_grad():
        for line in CAST:
            name = line.partition(":")[0]
            story = inline_story([line], [SCENE % name])
            (character,) = story.characters
            searches = [
                search(backend, character, full.discovery, n) for n in range(arguments.full)
            ]
            one = found[name] = searches[0][0]
            own = [cosine(one, other) for other, _ in searches[1:]]
            told = {"who": name, "full": searches[0][1], "among full searches": own}
            print(json.dumps(told), flush=True)
            for label, config in tried.items():
                near, cost = [], {}
                for seed in range(arguments.quick):
                    using = searching.get(label, backend)
                    quick, cost = search(using, character, config, 100 + seed)
                    near += [cosine(quick, other) for other, _ in searches]
                told = {"who": name, "variant": label, "to the full": near, **cost}
                print(json.dumps(told), flush=True)
            if not arguments.frames:
                continue
            faces = {name: one}
            known = reference(backend, story, faces, full, arguments.frames)
            ways = {"fast": (backend, fast)} | {k: (b, full) for k, b in reusing.items()}
            for label, (other, changed) in ways.items():
                told = {"who": name, "frames of": label.removeprefix("a full search with ")}
                told |= compared(known, other, story, faces, changed)
                print(json.dumps(told), flush=True)
    names = list(found)
    print(json.dumps({"two characters": cosine(found[names[0]], found[names[1]])}))


if __name__ == "__main__":
    main()
