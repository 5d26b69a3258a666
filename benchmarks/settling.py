"""How soon does an identity settle? ``python benchmarks/settling.py runs/consistency``.

Takes the embeddings of all identities below a folder of runs, painted by whatever made them, and
looks at their first n portraits, in ``--orders`` random orders: how near their identity comes to
that of all, and how far the last 16 moved it, which is what early stopping goes by.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from identitystory import preset
from identitystory.config import DiscoveryConfig
from identitystory.discovery import discover
from identitystory.errors import ConfigError
from identitystory.runs.files import read_tensors

BATCH = 16  # portraits between two looks, as a run paints them


def settling(
    searches: Sequence[Tensor], config: DiscoveryConfig, orders: int
) -> dict[int, tuple[Tensor, Tensor]]:
    """For each n: cosines to the identity of all rows, and cosine distances moved since n - 16.

    Args:
        searches: (m, d) each, the embeddings of one search.
        config: of the filter; an n with too few rows for it is left out.
        orders: random orders of each search.

    Returns:
        Two vectors for each n, one number a search and order; the second is empty where n - 16
        rows are too few.
    """
    near: dict[int, list[float]] = {}
    moved: dict[int, list[float]] = {}
    rng = torch.Generator().manual_seed(0)
    for E in searches:
        whole = discover(E, config).embedding
        for _ in range(orders):
            rows = E[torch.randperm(len(E), generator=rng)]
            before = None
            for n in range(BATCH, len(E) + 1, BATCH):
                try:
                    replace(config, num_portraits=n)
                except ConfigError:
                    continue
                now = discover(rows[:n], config).embedding
                near.setdefault(n, []).append(float(cosine_similarity(now, whole, dim=0)))
                if before is not None:
                    change = 1 - float(cosine_similarity(now, before, dim=0))
                    moved.setdefault(n, []).append(change)
                before = now
    return {n: (torch.tensor(near[n]), torch.tensor(moved.get(n, []))) for n in sorted(near)}


def table(found: dict[int, tuple[Tensor, Tensor]], limit: float) -> str:
    """The numbers as Markdown."""
    lines = [
        f"| portraits | cosine to all: mean | lowest 5 % | moved by the last {BATCH}: median "
        f"| below {limit:g} |",
        "| --- | --- | --- | --- | --- |",
    ]
    for n, (near, moved) in found.items():
        end = (
            f"{moved.median():.4f} | {(moved < limit).float().mean():.0%}" if len(moved) else " | "
        )
        lines.append(f"| {n} | {near.mean():.3f} | {near.quantile(0.05):.3f} | {end} |")
    return "\n".join(lines)


def main() -> None:
    """Prints the table."""
    made = argparse.ArgumentParser(description=__doc__)
    made.add_argument("folder", type=Path)
    made.add_argument("--orders", type=int, default=10)
    made.add_argument("--preset", default="recommended")
    made.add_argument("--rank", type=int, help="of the filter (default: the preset's)")
    options = made.parse_args()
    files = sorted(options.folder.rglob("cast/*.safetensors"))
    if not files:
        raise SystemExit(f"{options.folder}: no identities below it; paint stories there first")
    config = preset(options.preset).discovery
    config = replace(config, rank=options.rank or config.rank)
    found = settling([read_tensors(file)["E"] for file in files], config, options.orders)
    print(f"{len(files)} identities, rank {config.rank}, {options.orders} orders each\n")
    print(table(found, preset("fast").discovery.settle))


if __name__ == "__main__":
    main()
