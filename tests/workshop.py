"""A service on the fakes of conftest that counts the steps of each generator."""

import time

from identitystory.protocols import ModelFacts
from identitystory.runs.service import Service

FACTS = ModelFacts("w1", "cpu", "float32")


class Workshop:
    def __init__(self, backend, nap=0.0):
        self.steps = {"general": 0, "identity": 0}
        self.service = Service(load=lambda *_, **__: backend, describe=lambda *_: FACTS)
        for G in (backend.general, backend.identity):
            G.step = self.counted(G.name, type(G).step.__get__(G), nap)

    def counted(self, name, step, nap):
        def one(z, i, cond):
            self.steps[name] += len(z)
            time.sleep(nap)
            return step(z, i, cond)

        return one


def contents(root):
    """Every file below ``root`` but diaries and locks, by relative path."""
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.name not in ("events.jsonl", ".lock")
    }
