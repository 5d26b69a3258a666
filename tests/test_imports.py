"""The direction of imports, and what `import identitystory` brings."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import identitystory

SRC = Path(identitystory.__file__).parent

# Folders and the paper's files, from the ground up; each imports from its own row and those above it.
LAYERS = [
    {"types", "control", "pose", "window", "errors", "sizes", "deadline", "marks"},
    {"protocols", "checked", "config", "extensions"},
    {"presets", "settings", "seeds", "wording", "skeleton", "sampling", "masks", "discovery"},
    {"casting", "cost", "injection", "story"},
    {"attempts", "pipeline", "models", "metrics"},
    {"methods"},
    {"runs", "testing"},
    {"person", "api", "experiments", "pages", "studio"},
    {"cli"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
RANK |= {"__main__": len(LAYERS), "__init__": len(LAYERS)}  # the door of Python, and its sign
PAPER = {"sampling", "masks", "discovery", "injection", "attempts", "pipeline"}
FOUNDATION = {"types", "control", "pose", "errors", "sizes", "deadline", "marks", "extensions"}
FOUNDATION |= {"protocols", "checked", "config", "presets", "settings", "seeds", "wording"}
FOUNDATION |= {"skeleton", "window"}
HEAVY = {"diffusers", "transformers", "peft", "accelerate"}
MODELS = {"models"}
SHELF = {"files", "describe"}  # which models there are and where their files lie; no network in it


def imports():
    """(importing part, relative?, imported top name) of every import statement in the package."""
    for here, name in statements():
        inner = name[0] == "identitystory" and len(name) > 1
        yield here, inner, name[inner]


@cache
def statements():
    """(importing part, what is imported, as its parts) of every import statement."""
    return list(_statements())


def meant(inside, node):
    """What ``from ..there import`` in the module ``inside`` imports from, as its parts in the package."""
    return (*inside[: len(inside) - node.level], *(node.module.split(".") if node.module else ()))


def _statements():
    for path in SRC.rglob("*.py"):
        inside = path.relative_to(SRC).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = [a.name.split(".") for a in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module.split(".")]
            elif isinstance(node, ast.ImportFrom):
                names = [["identitystory", *meant(inside, node), a.name] for a in node.names]
            else:
                continue
            for name in names:
                yield inside[0], name


def test_every_module_has_one_layer_and_every_layers_name_is_a_module():
    modules = {p.stem for p in SRC.glob("*.py")}
    modules |= {p.parent.name for p in SRC.glob("*/__init__.py")}
    named = [name for names in LAYERS for name in names]
    assert sorted([*named, "__init__", "__main__"]) == sorted(modules)
    assert modules >= PAPER | FOUNDATION | MODELS


def test_imports_point_down():
    """No module imports a layer above its own."""
    bad = {
        (here, there)
        for here, inner, there in imports()
        if inner and there != "__version__" and RANK[there] > RANK[here]
    }
    assert bad == set()


def test_no_two_rooms_import_each_other():
    """The folders and the paper's files have an order, which a loop would not."""
    graph = {}
    for here, inner, there in imports():
        if inner and there in RANK and there != here:
            graph.setdefault(here, set()).add(there)
    assert set(TopologicalSorter(graph).static_order()) >= {"types", "cli"}  # CycleError on a loop


def at_once(body):
    """The modules of the package that a module's body imports while it is itself imported."""
    for node in body:
        if isinstance(node, ast.ImportFrom):
            yield node
        elif (
            isinstance(node, (ast.If, ast.Try, ast.With))
            and "TYPE_CHECKING" not in ast.unparse(node)[:40]
        ):
            yield from at_once(node.body)


def test_every_module_can_be_imported_first():
    """No two modules need each other at import, which only the order of other imports would hide."""
    module = {p.relative_to(SRC).with_suffix("").parts: p for p in SRC.rglob("*.py")}
    graph = {}
    for inside, path in module.items():
        for node in at_once(ast.parse(path.read_text("utf-8")).body):
            base = meant(inside, node)
            for name in node.names if node.level else []:
                there = (*base, name.name) if (*base, name.name) in module else base
                graph.setdefault(inside, set()).add(there)
    assert len(list(TopologicalSorter(graph).static_order())) > 200  # CycleError on a loop


def test_the_command_line_knows_of_models_only_what_lies_on_the_shelf():
    """It sees the service, never a model; ``models`` lists and fetches files, which is no model."""
    bad = {
        (here, ".".join(name))
        for here, name in statements()
        if here == "cli" and name[:2] == ["identitystory", "models"] and not SHELF & {*name[2:3]}
    }
    assert bad == set()


def test_the_papers_files_know_no_model_and_no_library_but_these():
    third_party = {"torch", "numpy", "scipy", "PIL"}
    signing = {("marks", "c2pa"), ("marks", "cryptography")}  # an extra, imported where one signs
    bad = set()
    for here, inner, there in imports():
        if here in PAPER | FOUNDATION:
            ours = inner and there in PAPER | FOUNDATION | {"__version__"}
            library = not inner and (there in third_party or there in sys.stdlib_module_names)
            if not ours and not library and (here, there) not in signing:
                bad.add((here, there))
    assert bad == set()


def test_only_models_know_diffusers_and_transformers():
    bad = {
        (here, there)
        for here, inner, there in imports()
        if not inner and there in HEAVY and here not in MODELS
    }
    assert bad == set()


@pytest.mark.parametrize(
    "code",
    [
        "import identitystory; dir(identitystory)",
        "from identitystory.cli.main import main; main(['--version'])",
        "from identitystory.cli.main import main; main(['--help'])",
        "from identitystory.cli.main import main; main(['generate', '--help'])",
    ],
)
def test_the_package_and_its_help_come_without_torch(code):
    heavy = "{'torch', 'diffusers', 'transformers', 'peft', 'numpy', 'pydantic', 'rich'}"
    told = f"import atexit, sys\natexit.register(lambda: print(sorted({heavy} & set(sys.modules))))"
    done = subprocess.run(
        [sys.executable, "-c", f"{told}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=SRC.parent,
    )
    assert (done.stdout.splitlines()[-1], done.stderr) == ("[]", "")


def test_what_is_public_exists_and_has_a_docstring():
    assert len(identitystory.__all__) == len(set(identitystory.__all__))
    for name in identitystory.__all__:
        assert getattr(identitystory, name).__doc__
