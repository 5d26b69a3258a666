"""Plants small mistakes in the package and counts those that its tests notice: ``make mutants``.

One mistake at a time, in the memory of a forked process, so that no file is ever touched: a comparison
at equality, + for -, ``and`` for ``or``, 0 for 1, a keyword, a statement, an index or an entry of a
dictionary left out, two arguments swapped. Each file is tried against its own fast tests alone (TESTS),
up to the first that fails. Mistakes that change nothing are listed in dev/equivalent.txt.
"""

import argparse
import ast
import contextlib
import gc
import importlib.util
import os
import random
import resource
import signal
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "identitystory"
TESTS = {  # of each file, the last that fits
    "sampling.py": "test_pipeline test_sampling",
    "discovery.py": "test_discovery",
    "masks.py": "test_masks test_injection test_people",
    "injection.py": "test_injection test_people",
    "pipeline.py": "test_pipeline test_people",
    "attempts.py": "test_pipeline test_people",
    "seeds.py": "test_pipeline",
    "wording.py": "test_pipeline test_people test_words",
    "cost.py": "test_pipeline test_plan",
    "methods/identitystory.py": "test_plan test_batches test_people test_control",
    "runs/plan.py": "test_plan",
    "runs/folder.py": "test_runfolder test_stranger",
    "story/*.py": "test_story_edges test_story test_words",
    "story/document.py": "test_story_edges test_story test_story_imports test_limits",
    "story/file.py": "test_story_edges test_story test_words test_limits test_characters",
    "story/imports/consistory.py": "test_story_edges test_story",
    "story/expect.py": "test_expect",
    "story/paints.py": "test_paints test_words",
    "story/plain.py": "test_stranger",
    "story/pose_entry.py": "test_pose test_story",
    "story/poses.py": "test_pose",
    "story/readings.py": "test_safety",
    "story/safety.py": "test_safety",
    "story/scenes.py": "test_story_edges test_story test_words test_pose test_limits",
    "story/schema.py": "test_story_edges test_story test_words test_pose test_limits",
    "story/sets.py": "test_story_edges test_story_sets",
    "story/vocabulary.py": "test_vocabulary",
}
UNSEEN = (
    "strict",
    "device",
    "stable",
    "bound",
    "encoding",
)  # change nothing on a processor, in UTF-8
SYMMETRIC = ("min", "max", "union", "cosine_similarity")  # their arguments may be swapped
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.BitAnd: ast.BitOr,
}  # fmt: skip
UNREAD = ("annotation", "returns", "decorator_list")  # types are mypy's to check


def without(values: list[Any], n: int) -> list[Any]:
    """The list without its n-th."""
    return values[:n] + values[n + 1 :]


def mistakes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand wrongly in the place of ``node``."""
    if type(node) in SWAPS:
        yield SWAPS[type(node)]()
    match node:
        case ast.Constant(value=bool() | int() | 0.0 | 1.0 as value):
            yield ast.Constant(type(value)(not value) if value in (0, 1) else value + 1)
        case ast.UnaryOp(operand=inner) | ast.Subscript(value=inner, ctx=ast.Load()):
            yield inner
        case ast.IfExp():
            yield from (node.body, node.orelse)
        case ast.comprehension(ifs=[_, *_]):
            yield ast.comprehension(node.target, node.iter, [], node.is_async)
        case ast.Dict():
            for n in range(len(node.keys)):
                yield ast.Dict(without(node.keys, n), without(node.values, n))
        case ast.Call(func=f, args=args, keywords=kept):
            for n, keyword in enumerate(kept):
                if keyword.arg not in UNSEEN:
                    yield ast.Call(f, args, without(kept, n))
            swapped = 0 if ast.unparse(f).rpartition(".")[2] in SYMMETRIC else len(args) - 1
            for n in range(swapped):
                yield ast.Call(f, [*args[:n], args[n + 1], args[n], *args[n + 2 :]], kept)
        case ast.Expr(value=ast.Constant()):  # a docstring
            pass
        case ast.Expr() | ast.AugAssign() | ast.If(orelse=[]) | ast.Continue() | ast.Break():
            yield ast.Pass()


def planted(
    node: ast.AST, inside: str = "", said: ast.AST | None = None
) -> Iterator[tuple[Any, Any, ast.AST, int, str]]:
    """Every mistake in a syntax tree: ``container[key] = mistake`` plants it; its line and label."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        inside += f".{node.name}"
    for field, value in ast.iter_fields(node):
        container = value if isinstance(value, list) else vars(node)
        children = list(enumerate(value)) if isinstance(value, list) else [(field, value)]
        for key, child in children if field not in UNREAD else ():
            if not isinstance(child, ast.AST) or getattr(child, "arg", "") in UNSEEN:
                continue
            whole = child if isinstance(child, ast.stmt) else said or child
            before = ast.unparse(whole).partition("\n")[0]
            for mistake in mistakes(child):
                container[key] = mistake
                after = ast.unparse(mistake if whole is child else whole).partition("\n")[0]
                container[key] = child
                if before != after:
                    label = f"{inside[1:]}: {changed(before, after)}"
                    yield container, key, mistake, getattr(whole, "lineno", 0), label
            yield from planted(child, inside, whole)


def changed(before: str, after: str) -> str:
    """Where two lines differ, with some of what stands around it."""
    pairs = [zip(before, after, strict=False), zip(before[::-1], after[::-1], strict=False)]
    start, end = (len(list(takewhile(lambda pair: pair[0] == pair[1], some))) for some in pairs)
    end = min(end, len(before) - start, len(after) - start)
    around = [text[max(0, start - 30) : len(text) - max(0, end - 20)] for text in (before, after)]
    return " -> ".join(around)


class Planted(importlib.machinery.SourceFileLoader):
    """Loads one module from a syntax tree, and finds it before Python does."""

    def __init__(self, name: str, path: str, tree: ast.AST) -> None:
        super().__init__(name, path)
        self.tree = tree

    def find_spec(self, name: str, *_: Any) -> Any:
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def get_code(self, _: str) -> Any:
        return compile(ast.fix_missing_locations(self.tree), self.path, "exec")


def passes(file: str, tree: ast.AST, limit: int) -> tuple[bool, float]:
    """Whether the file's tests pass on this tree in ``limit`` seconds of a processor, and the seconds."""
    child = os.fork()
    if not child:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        signal.alarm(60 * limit)  # for one that waits for ever
        name = f"identitystory.{file.removesuffix('.py').replace('/', '.')}"
        sys.meta_path.insert(0, Planted(name, str(SOURCE / file), tree))
        paths = [str(ROOT / "tests" / f"{test}.py") for test in tests_of(file)]
        options = ("-xqp", "no:cacheprovider", "--disable-plugin-autoload", "--tb=no")
        with contextlib.suppress(BaseException):
            os._exit(pytest.main([*options, *paths]))
        os._exit(1)
    _, status, used = os.wait4(child, 0)
    return status == 0, used.ru_utime + used.ru_stime


def tests_of(file: str) -> list[str]:
    """The test files of a source file."""
    return [tests for place, tests in TESTS.items() if fnmatch(file, place)][-1].split()


def warm_up() -> None:
    """Imports what the package needs, once for all children; not the package itself."""
    for name in ("conftest", "toy", "workshop"):
        importlib.import_module(f"tests.{name}")
    for name in [n for n in sys.modules if n.partition(".")[0] in ("identitystory", "tests")]:
        del sys.modules[name]
    gc.collect()
    gc.freeze()  # or each child looks through all of it


def main() -> None:
    """Tries a sample of the mistakes and prints those that no test notices."""
    found = [path for place in TESTS for path in sorted(SOURCE.glob(place))]
    files = list(dict.fromkeys(path.relative_to(SOURCE).as_posix() for path in found))
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--file", action="append", choices=files, help="of these files alone")
    parser.add_argument("--count", type=int, default=150, help="how many; 0 is all")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    args = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]
    listed = {
        line.rpartition("  # ")[0]
        for line in (ROOT / "dev" / "equivalent.txt").read_text(encoding="utf-8").splitlines()
    }
    trees = {file: ast.parse((SOURCE / file).read_text("utf-8")) for file in args.file or files}
    every = [(file, *one) for file, tree in trees.items() for one in planted(tree)]
    chosen = random.Random(args.seed).sample(every, min(args.count or len(every), len(every)))
    chosen = [one for one in chosen if f"{one[0]} {one[-1]}" not in listed]
    warm_up()
    limits: dict[str, int] = {}
    survived = 0
    for tried, (file, container, key, mistake, line, label) in enumerate(chosen, 1):
        tests = " ".join(tests_of(file))
        if tests not in limits:
            fine, took = passes(file, trees[file], 600)
            if not fine:
                sys.exit(f"{tests}: they fail without any mistake")
            limits[tests] = 5 + int(3 * took)
        right, container[key] = container[key], mistake
        noticed = not passes(file, trees[file], limits[tests])[0]
        container[key] = right
        if not noticed:
            survived += 1
            print(f"survived, {tried} tried, line {line}: {file} {label}", flush=True)
    caught = len(chosen) - survived
    print(f"{caught} of {len(chosen)} noticed, {caught / max(1, len(chosen)):.1%}; of {len(every)}")


if __name__ == "__main__":
    main()
