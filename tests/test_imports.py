"""The direction of imports, and what `import identitystory` brings."""

import ast
import subprocess
import sys
from pathlib import Path

import identitystory

SRC = Path(identitystory.__file__).parent

LAYERS = [
    {"types", "errors"},
    {"protocols", "registry", "config", "scenes"},
    {"sampling", "masks", "discovery", "injection", "story", "human_json", "testing"},
    {"pipeline", "models", "metrics"},
    {"baselines"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
ABOVE = len(LAYERS)  # the doors and what serves them
PAPER = {"sampling", "masks", "discovery", "injection", "pipeline"}
FOUNDATION = {"types", "errors", "protocols", "config", "scenes"}
HEAVY = {"diffusers", "transformers", "peft", "accelerate"}
MODELS = {"models"}


def imports():
    """(importing part, relative?, imported top name) of every import statement in the package."""
    for path in SRC.rglob("*.py"):
        inside = path.relative_to(SRC).with_suffix("").parts
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = [a.name.split(".") for a in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module.split(".")]
            elif isinstance(node, ast.ImportFrom):
                package = inside[: len(inside) - node.level]
                module = tuple(node.module.split(".")) if node.module else ()
                names = (
                    [["identitystory", *package, *module]]
                    if package + module
                    else [["identitystory", a.name] for a in node.names]
                )
            else:
                continue
            for name in names:
                if name[0] == "identitystory" and len(name) > 1:
                    yield inside[0], True, name[1]
                else:
                    yield inside[0], False, name[0]


def test_imports_point_down():
    """No module imports a layer above its own."""
    rank = lambda name: RANK.get(name, ABOVE)
    bad = {
        (here, there)
        for here, inner, there in imports()
        if inner and here != "__init__" and there != "__version__" and rank(there) > rank(here)
    }
    assert bad == set()


def test_the_papers_files_know_no_model_and_no_library_but_torch():
    third_party = {"torch", "numpy", "PIL"}
    bad = set()
    for here, inner, there in imports():
        if here in PAPER | {"types", "errors", "protocols", "config"}:
            ours = inner and there in PAPER | FOUNDATION
            library = not inner and (there in third_party or there in sys.stdlib_module_names)
            if not ours and not library:
                bad.add((here, there))
    assert bad == set()


def test_only_models_know_diffusers_and_transformers():
    bad = {
        (here, there)
        for here, inner, there in imports()
        if not inner and there in HEAVY and here not in MODELS
    }
    assert bad == set()


def test_importing_the_package_brings_neither_diffusers_nor_transformers():
    code = (
        "import sys, identitystory; print(sorted({'diffusers', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=SRC.parent,
    )
    assert done.stdout.strip() == "[]"


def test_what_is_public_exists_and_has_a_docstring():
    assert len(identitystory.__all__) == len(set(identitystory.__all__))
    for name in identitystory.__all__:
        assert getattr(identitystory, name).__doc__
