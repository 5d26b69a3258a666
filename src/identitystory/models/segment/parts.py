"""CLIPSeg, and Grounding DINO with SAM: which files they are.

The networks are imported when they are opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ...errors import ModelError, PromptError
from ...protocols import Segmenter
from ..family import SegmenterPart
from ..files.configs import read_json, told

DETECTOR_LIMIT = 256  # tokens that Grounding DINO reads of a scene's descriptions


def _open_clipseg(files: tuple[Path, ...], **how: Any) -> Segmenter:
    from .clipseg import load_clipseg

    kind = read_json(files[0] / "config.json").get("model_type")
    if kind != "clipseg":
        raise ModelError(f"{files[0]} holds a {kind}; CLIPSeg, or detector/ and sam/, is wanted")
    return load_clipseg(files[0], **how)


def _open_grounded_sam(files: tuple[Path, ...], **how: Any) -> Segmenter:
    from .grounded_sam import load_grounded_sam

    return load_grounded_sam(*files, **how)


def check_phrases(files: tuple[Path, ...], scenes: Iterable[Sequence[str]]) -> None:
    """Nothing, if the Grounding DINO in the first of ``files`` can read the descriptions of every scene.

    Opens no weights, and no file but its configuration where all of them are short.

    Raises:
        PromptError: those of one scene have too many tokens together.
        ModelError: the tokenizer or the configuration is missing or broken.
    """
    detector = files[0]
    limit = told(detector / "config.json", "max_text_len", int, DETECTOR_LIMIT)
    # Each has a stop and a blank behind it, and the whole a start and an end.
    long = [some for some in scenes if 2 + sum(len(p.encode()) + 2 for p in some) > limit]
    if not long:
        return
    from transformers import AutoTokenizer

    from ..parts import load_part

    tokenizer = load_part(AutoTokenizer, detector)
    for phrases in long:
        check_tokens(len(tokenizer(joined(phrases)[0], verbose=False).input_ids), limit)


def check_tokens(count: int, limit: int) -> None:
    """Nothing, if the detector can read a caption of ``count`` tokens.

    Raises:
        PromptError: it reads ``limit`` at most.
    """
    if count > limit:
        raise PromptError(
            f"the descriptions of a scene have {count} tokens together; "
            f"the detector reads {limit}. Shorten them"
        )


def joined(phrases: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The caption ``a woman. an old man.`` and where each phrase stands in it, (start, end).

    Small letters, each phrase closed by a stop, as Grounding DINO was trained; stops inside a
    phrase become commas.
    """
    caption, spans = "", []
    for phrase in phrases:
        clean = " ".join(phrase.lower().replace(".", ",").split()).strip(" ,")
        caption += " " if caption else ""
        spans.append((len(caption), len(caption) + len(clean)))
        caption += clean + "."
    return caption, spans


CLIPSEG = SegmenterPart(title="CLIPSeg", places=("segmenter",), open=_open_clipseg)
GROUNDED_SAM = SegmenterPart(
    title="Grounding DINO + SAM",
    places=("segmenter/detector", "segmenter/sam"),
    open=_open_grounded_sam,
    check_phrases=check_phrases,
)
