"""Is it the same person in every style? ``python -m benchmarks.styles storybook=RUN[,RUN] ink=RUN[,RUN] ...``

The runs of a style tell the same stories with the same cast (``cast = "mara.character"``), one with each base or
``--lora``. Printed is, for each two styles, how alike the recogniser finds pictures of one character, and of two
different ones, and in how many pictures it finds the face; ``--sheet FILE`` shows the pictures, a row a style.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from identitystory.experiments.evaluate import read_run
from identitystory.metrics.evidence import Evidence, Instruments, look
from identitystory.metrics.faces import load_recogniser
from identitystory.metrics.scores import auc, cosine


def faces_of(seen: Sequence[Evidence]) -> tuple[Tensor, list[str], list[str]]:
    """Embeddings (f, d), whose they are, and the picture of each, of one style."""
    faces = torch.cat([e.faces for e in seen if len(e.face_who)])
    who = [name for e in seen for name in e.face_who]
    where = [
        f"{e.story.origin} {e.story.pictures[k].file.stem}" for e in seen for k in e.face_frame
    ]
    return faces, who, where


def table(styles: Mapping[str, Sequence[Evidence]], line: float) -> str:
    """Markdown: a row for each two styles; pictures of one scene are never compared.

    ``line`` is the similarity from which drawn people count as one.
    """
    lines = ["| styles | one character | beyond the line | different characters | AUC |"]
    lines += ["| --- " * 5 + "|"]
    made, names = {name: faces_of(seen) for name, seen in styles.items()}, list(styles)
    for n, one in enumerate(names):
        for other in names[n:]:
            (a, who, where), (b, whose, there) = made[one], made[other]
            alike = cosine(a, b)
            same = torch.tensor([[w == v for v in whose] for w in who])
            apart = torch.tensor([[w != v for v in there] for w in where])
            own, others = alike[same & apart], alike[~same & apart]
            lines.append(
                f"| {one}, {other} | {own.mean():.3f} | {(own > line).double().mean():.0%} | "
                f"{others.mean():.3f} | {auc(own, others):.3f} |"
            )
    for name, seen in styles.items():
        wanted = sum(n for e in seen for n in e.wanted.values())
        lines.append(f"\n{name}: {len(made[name][1])} of {wanted} faces found")
    return "\n".join(lines)


def sheet(styles: Mapping[str, Sequence[Evidence]], height: int, most: int) -> Image.Image:
    """The first ``most`` pictures of each style in a row, ``height`` pixels high."""
    rows = []
    for seen in styles.values():
        files = [picture.file for e in seen for picture in e.story.pictures][:most]
        pictures = [Image.open(file).convert("RGB") for file in files]
        rows.append([p.resize((p.width * height // p.height, height)) for p in pictures])
    return Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in rows]))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("styles", nargs="+", metavar="NAME=RUN[,RUN]")
    parser.add_argument("--faces", default="little-people")
    parser.add_argument("--line", type=float, default=0.76, help="see the recogniser's config.json")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--height", type=int, default=192)
    parser.add_argument("--most", type=int, default=6, help="pictures of a style on the sheet")
    options = parser.parse_args()
    tools = Instruments(recogniser=load_recogniser(options.faces, None))
    styles = {
        name: [look(read_run(Path(run)), tools) for run in runs.split(",")]
        for name, runs in (each.split("=", 1) for each in options.styles)
    }
    print(table(styles, options.line))
    if options.sheet:
        sheet(styles, options.height, options.most).save(options.sheet, quality=88)


if __name__ == "__main__":
    main()
