"""What the preset ``fast`` costs in quality, on the miniature: ``python benchmarks/presets.py``.

For each character the identity is searched twice with the preset ``recommended`` (two seeds) and
once with each variant. The yardstick is the cosine between the two full searches: a variant that
comes as near to them costs nothing. Frames are compared with those of ``recommended`` from the same
seed: the mean absolute difference of pixels inside and outside the masks, in levels of 255, next to
that of two frames from different seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

import numpy as np
import torch

from identitystory.config import DiscoveryConfig, Preset, preset
from identitystory.discovery import cohesion
from identitystory.models.backend import load_backend
from identitystory.pipeline import find_identity, paint
from identitystory.protocols import Backend
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
    G_id = Watched((backend.search or backend.identity).with_steps(config.search_steps or 50))
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


def main() -> None:
    """Prints one JSON object a line."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--model", default="miniature")
    options.add_argument("--portraits", type=int, default=64, help="of a full search")
    options.add_argument("--frames", type=int, default=4)
    arguments = options.parse_args()
    full, fast = preset("recommended"), preset("fast")
    discovery = replace(full.discovery, num_portraits=arguments.portraits)
    variants = {
        "fast": fast.discovery,
        "fast, all steps guided": replace(fast.discovery, guidance_interval=(0.0, 1.0)),
        "fast, never ends early": replace(fast.discovery, settle=0.0),
        "16 portraits": replace(discovery, num_portraits=16, rank=2, iterations=2),
    }
    backend = load_backend(arguments.model, num_steps=50)
    found: dict[str, Identity] = {}
    with torch.no_grad():
        for line in CAST:
            name = line.partition(":")[0]
            story = inline_story([line], [SCENE % name])
            (character,) = story.characters
            one, cost = search(backend, character, discovery, 0)
            two, _ = search(backend, character, discovery, 1)
            found[name] = one
            print(json.dumps({"who": name, "full": cost, "two full searches": cosine(one, two)}))
            for label, config in variants.items():
                quick, cost = search(backend, character, config, 2)
                near = [cosine(quick, one), cosine(quick, two)]
                print(json.dumps({"who": name, "variant": label, "to the full": near, **cost}))
            inside, outside, other, costs = [], [], [], set()
            for seed in range(arguments.frames):
                a, mask, cost_a = frame(backend, story, {name: one}, full, seed)
                b, _, cost_b = frame(backend, story, {name: one}, fast, seed)
                c, _, _ = frame(backend, story, {name: one}, full, seed + 1000)
                gap = np.abs(a - b).mean(axis=2)
                inside += [gap[mask].mean()] if mask.any() else []
                outside.append(gap[~mask].mean())
                other.append(np.abs(a - c).mean())
                costs.add((cost_a, cost_b))
            told = {
                "who": name,
                "frames": arguments.frames,
                "evaluations full, fast": sorted(costs),
                "inside the masks": round(float(np.mean(inside)), 2) if inside else None,
                "outside": round(float(np.mean(outside)), 2),
                "two seeds apart": round(float(np.mean(other)), 2),
            }
            print(json.dumps(told), flush=True)
    names = list(found)
    print(json.dumps({"two characters": cosine(found[names[0]], found[names[1]])}))


if __name__ == "__main__":
    main()
