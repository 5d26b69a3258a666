"""What ``fast``, ``--distilled`` and ``--reuse`` cost in quality: ``python benchmarks/presets.py``.

For each character the identity is searched ``--full`` times with the preset ``recommended`` and
``--quick`` times with each variant, every time from another seed. Two full searches tell the
yardstick, their own cosine: a variant that comes as near to them costs nothing. Frames are compared
with those of ``recommended`` from the same seed: the mean absolute difference of pixels inside and outside the masks, in levels of 255, next to
that of two frames from different seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

import numpy as np
import torch

from identitystory.config import FEW_STEPS, DiscoveryConfig, Preset, preset, with_distilled
from identitystory.discovery import cohesion
from identitystory.models.backend import load_backend
from identitystory.pipeline import find_identity, paint
from identitystory.protocols import Backend
from identitystory.requests import overridden
from identitystory.sampling import Watched
from identitystory.story import inline_story
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
    """What ``fast`` could be, at 640 evaluations a character or fewer."""
    return {
        "40 portraits of 8 guided steps": fast,
        "64 portraits of 8 distilled steps": with_distilled(fast, True),
        "48 portraits of 10 steps, 3 guided": replace(
            fast, num_portraits=48, search_steps=10, guidance_interval=(0.1, 0.4)
        ),
        "32 portraits of 10 guided steps": replace(fast, num_portraits=32, search_steps=10),
        "6 portraits of all steps, averaged": replace(full, num_portraits=6, iterations=0),
    }


def compared(
    backend: Backend,
    other: Backend,
    story: Story,
    faces: dict[str, Identity],
    full: Preset,
    config: Preset,
    count: int,
) -> dict[str, object]:
    """How far frames of ``other`` with ``config`` lie from those of ``backend`` with ``full``."""
    inside, outside, apart, costs = [], [], [], set()
    for seed in range(count):
        a, mask, cost_a = frame(backend, story, faces, full, seed)
        b, _, cost_b = frame(other, story, faces, config, seed)
        c, _, _ = frame(backend, story, faces, full, seed + 1000)
        gap = np.abs(a - b).mean(axis=2)
        inside += [gap[mask].mean()] if mask.any() else []
        outside.append(gap[~mask].mean())
        apart.append(np.abs(a - c).mean())
        costs.add((cost_a, cost_b))
    return {
        "frames": count,
        "evaluations full, this": sorted(costs),
        "inside the masks": round(float(np.mean(inside)), 2) if inside else None,
        "outside": round(float(np.mean(outside)), 2),
        "two seeds apart": round(float(np.mean(apart)), 2),
    }


def options() -> argparse.Namespace:
    """What the command line says."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("--model", default="miniature")
    made.add_argument("--portraits", type=int, default=64, help="of a full search")
    made.add_argument("--steps", type=int, default=50, help="of a full search and of frames")
    made.add_argument("--full", type=int, default=2, help="full searches a character")
    made.add_argument("--quick", type=int, default=2, help="searches a variant and character")
    made.add_argument("--frames", type=int, default=4)
    made.add_argument(
        "--only", nargs="+", default=[], metavar="WORDS", help="variants that have them"
    )
    return made.parse_args()


def main() -> None:
    """Prints one JSON object a line."""
    arguments = options()
    full, _ = overridden(preset("recommended"), steps=arguments.steps)
    fast, _ = overridden(preset("fast"), steps=arguments.steps)
    discovery = replace(full.discovery, num_portraits=arguments.portraits)
    tried = {
        label: config
        for label, config in variants(discovery, fast.discovery).items()
        if not arguments.only or any(words in label for words in arguments.only)
    }
    how = {"num_steps": arguments.steps, "sampler": full.sampler}
    backend = load_backend(arguments.model, **how)
    reusing = load_backend(arguments.model, **how, reuse=2)
    few = None
    if any(config.distilled for config in tried.values()):
        few = load_backend(arguments.model, **how, distilled=True, search_steps=FEW_STEPS)
    found: dict[str, Identity] = {}
    with torch.no_grad():
        for line in CAST:
            name = line.partition(":")[0]
            story = inline_story([line], [SCENE % name])
            (character,) = story.characters
            searches = [search(backend, character, discovery, n) for n in range(arguments.full)]
            one = found[name] = searches[0][0]
            own = [cosine(one, other) for other, _ in searches[1:]]
            told = {"who": name, "full": searches[0][1], "among full searches": own}
            print(json.dumps(told), flush=True)
            for label, config in tried.items():
                near, cost = [], {}
                for seed in range(arguments.quick):
                    searching = few if config.distilled else backend
                    quick, cost = search(searching, character, config, 100 + seed)
                    near += [cosine(quick, other) for other, _ in searches]
                told = {"who": name, "variant": label, "to the full": near, **cost}
                print(json.dumps(told), flush=True)
            if not arguments.frames:
                continue
            faces = {name: one}
            for label, other, changed in (
                ("fast", backend, fast),
                ("every second step's deep features", reusing, full),
            ):
                told = {"who": name, "frames of": label}
                told |= compared(backend, other, story, faces, full, changed, arguments.frames)
                print(json.dumps(told), flush=True)
    names = list(found)
    print(json.dumps({"two characters": cosine(found[names[0]], found[names[1]])}))


if __name__ == "__main__":
    main()
