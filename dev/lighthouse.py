"""Paints the lighthouse with the weights of the package, and packs its run for the studio: ``make lighthouse``.

New weights, and every change that gives a part another key, ask for it; tests/test_studio_example.py says so.
It is painted in float32, the one precision that all processors have, so that no machine finds it out of date.
"""

import sys
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

from identitystory.runs.events import FrameReady
from identitystory.runs.opening import open_model
from identitystory.runs.options import new_request
from identitystory.runs.service import Service, describe_model, load_model
from identitystory.studio import example
from identitystory.studio.scoring import measure
from identitystory.studio.texts import story_of

DATA = Path(__file__).parent.parent / "src/identitystory/data/lighthouse.zip"


def main() -> int:
    """Paints into a folder of its own, and puts what it packs into the package."""
    with tempfile.TemporaryDirectory(prefix="identitystory-") as parent:
        out = Path(parent) / "run"
        request = new_request(story_of(example.text()), out, device="cpu", dtype="float32")
        for event in Service().run(replace(request, source="")):
            if isinstance(event, FrameReady):
                print(f"frame {event.index + 1}", flush=True)
        facts = describe_model(request.model, "cpu", "float32")
        measure(out, facts, partial(open_model, load_model, request.model, request.preset, facts))
        content = example.packed(out)
    DATA.write_bytes(content)
    print(f"{DATA.name}: {len(content) / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
