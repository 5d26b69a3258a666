"""Every derived seed: from words and numbers by SHA-256, the same on every machine."""

from __future__ import annotations

import hashlib

from .types import Character


def derived_seed(*parts: str | int) -> int:
    """A seed in 0..2^48-1 that depends on every part and on nothing else."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def portrait_seeds(character: Character, seed: int, m: int) -> list[int]:
    """The seeds of a character's m portraits; the first n of more portraits are those of n."""
    who = character.searched
    return [derived_seed("portrait", seed, who.name, who.description, a) for a in range(m)]


def frame_seed(seed: int, place: int | str, *, per_frame: bool) -> int:
    """The seed of the frame at ``place`` (from 0, or its scene's id): another for each, or one for all."""
    return derived_seed("frame", seed, place) if per_frame else seed


def attempt_seed(seed: int, attempt: int) -> int:
    """The template's seed at ``attempt`` (from 0); the first is the frame's own."""
    return derived_seed("attempt", seed, attempt) if attempt else seed
