"""The figures of ablations, drawn with matplotlib (extra ``figures``): PNG and SVG.

Above, each measure with its interval and a dot for each story; below, pictures of one story, a
column a variant. Blue is the configuration itself. The same numbers give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from ..runs.files import read_picture, write_whole
from ..runs.folder import RunFolder
from .ablations import ABLATIONS
from .experiment import Experiment
from .identity_space import Cloud, project
from .tables import Outcome

BLUE, GREY, PALE = "#1f5fbf", "#555555", "#b8b8b8"
TILE = 2.0  # inches a side, at most
LETTERS = 10  # of a line below an axis
MISSING = "no figure: matplotlib is not installed; pip install 'identitystory[figures]'"


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def draw(request: Experiment, outcome: Outcome) -> list[Path]:
    """NAME.png and NAME.svg of an ablation that painted pictures."""
    from matplotlib.figure import Figure

    measures = [m for m in ABLATIONS[request.name].measures if m in outcome.measured()]
    scenes = min(ABLATIONS[request.name].shown, *(len(story.scenes) for story in request.stories))
    columns = len(request.variants)
    wide = max(3.4 * len(measures), 1.7 * columns, 5.0)
    tile = min(wide / columns, TILE)
    figure: Any = Figure(figsize=(wide, 3.2 + tile * scenes), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[3.2, tile * scenes])
    if measures:
        axes = np.atleast_1d(np.asarray(upper.subplots(1, len(measures)), dtype=object))
        for axis, name in zip(axes, measures, strict=True):
            _chart(axis, request, outcome, name)
    grid = lower.subplots(scenes, columns, squeeze=False)
    for column, variant in enumerate(request.variants):
        folder = RunFolder(request.run(variant, request.stories[0]).out)
        for index in range(scenes):
            _picture(grid[index][column], folder.frame(index), variant == request.reference)
        grid[0][column].set_title(variant.label, fontsize=9)
    for row, scene in zip(grid, request.stories[0].scenes, strict=False):
        if scene.pose:
            row[0].set_ylabel(
                f"yaw {scene.pose[0].yaw:g}°\npitch {scene.pose[0].pitch:g}°", fontsize=8
            )
    return _save(figure, request)


def _chart(axis: Any, request: Experiment, outcome: Outcome, name: str) -> None:
    """One measure: a point with its interval for each variant, a pale dot for each story."""
    places = [
        float(place) if variant.number is None else variant.number
        for place, variant in enumerate(request.variants)
    ]
    rows = [outcome.row(variant.label, name) for variant in request.variants]
    gap = min(abs(a - b) for a, b in pairwise(places)) if len(places) > 1 else 1.0
    there = [(x, v, r) for x, v, r in zip(places, request.variants, rows, strict=True) if r]
    for x, variant, row in there:
        colour = BLUE if variant == request.reference else GREY
        beside = [x + 0.15 * gap] * len(row.each)
        axis.scatter(beside, row.each, s=9, color=PALE, zorder=1, linewidths=0)
        if row.low is not None and row.high is not None:
            axis.vlines(x, row.low, row.high, color=colour, linewidth=2, zorder=2)
        axis.scatter([x], [row.value], s=36, color=colour, zorder=3)
    made = ABLATIONS[request.name]
    if made.axis is not None:
        axis.plot([x for x, _, _ in there], [r.value for _, _, r in there], color=PALE, zorder=1)
        axis.set_xlabel(made.axis)
        axis.set_xticks(places)
    else:
        axis.set_xticks(places, [fill(v.label, LETTERS) for v in request.variants])
        axis.set_xlim(-0.5, len(places) - 0.5)
    if made.of_steps:
        axis.invert_xaxis()  # from noise to clean, as in Fig. 5a
    _plain(axis)
    axis.set_title(name, fontsize=10)


def _picture(axis: Any, file: Path, framed: bool) -> None:
    axis.imshow(np.asarray(read_picture(file).convert("RGB")))
    axis.set(xticks=[], yticks=[])
    for side in axis.spines.values():
        side.set(color=BLUE if framed else "white", linewidth=3 if framed else 0)


def draw_space(request: Experiment, found: Sequence[Cloud]) -> list[Path]:
    """space.png and space.svg: a colour a character, filled where kept, a star for e_j."""
    import torch
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    middle, axes, shares = project(torch.cat([c.E for c in found]))
    figure = Figure(figsize=(6.5, 5), layout="constrained")
    axis: Any = figure.subplots()
    for number, c in enumerate(found):
        colour = colormaps["tab10"](number % 10)
        places = (c.E.double() - middle) @ axes.mT
        kept = places[c.kept]
        axis.scatter(*places.mT.tolist(), s=16, facecolors="none", edgecolors=[colour])
        axis.scatter(*kept.mT.tolist(), s=16, color=[colour])
        star = ((c.identity.double() - middle) @ axes.mT).tolist()
        axis.scatter(*star, s=170, marker="*", color=[colour], edgecolors="black", label=c.name)
    axis.set_xlabel(f"first direction, {float(shares[0]):.0%} of the variance")
    axis.set_ylabel(f"second direction, {float(shares[1]):.0%}")
    axis.set_title("Portraits in the identity space: filled are kept, stars the identities", size=9)
    axis.legend(fontsize=8)
    _plain(axis)
    return _save(figure, request)


def _plain(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#e6e6e6", zorder=0)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8)


def _save(figure: Any, request: Experiment) -> list[Path]:
    from matplotlib import rc_context

    files = []
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        buffer = io.BytesIO()
        with rc_context({"svg.hashsalt": "identitystory"}):
            figure.savefig(buffer, format=kind, dpi=150, metadata=metadata)
        files.append(request.out / f"{request.name}.{kind}")
        write_whole(files[-1], buffer.getvalue())
    return files
