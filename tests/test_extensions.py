"""extensions.py: other packages' parts are found when they are asked for, and cannot do harm."""

import logging
import sys

import pytest

from identitystory.cli.main import main
from identitystory.config import Preset
from identitystory.errors import ConfigError, ModelError
from identitystory.methods.identitystory import IdentityStory
from identitystory.methods.registry import METHODS, REGISTRY, check_method, method
from identitystory.models.family import FAMILIES, family_of

METHOD = """
from dataclasses import dataclass
from typing import ClassVar
from identitystory.methods.plain import General

@dataclass(frozen=True)
class Mine(General):
    name: ClassVar[str] = "mine"
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package into the path: its modules, and its entry points by group."""

    def installed(package, points, **modules):
        folder = tmp_path / package
        info = folder / f"{package}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        groups = "".join(f"[identitystory.{group}]\n{lines}\n" for group, lines in points.items())
        (info / "entry_points.txt").write_text(groups)
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(str(folder))
        return folder

    return installed


def test_another_packages_method_is_found_by_name_and_paints(install):
    install("kit", {"methods": "mine = kit_method:Mine"}, kit_method=METHOD)
    assert check_method("mine") == "mine"
    assert "kit_method" not in sys.modules  # looked up, not imported
    made = method("mine", Preset("test"))
    assert (made.name, type(made).__name__) == ("mine", "Mine")
    assert REGISTRY.names() == (*METHODS, "mine")
    with pytest.raises(ConfigError, match=r"'mines'. Did you mean 'mine'\? There are: .*mine$"):
        check_method("mines")


def test_a_name_of_ours_is_ours(install, caplog):
    install("kit", {"methods": "identitystory = kit_method:Mine"}, kit_method=METHOD)
    assert type(method("identitystory", Preset("test"))) is IdentityStory
    with caplog.at_level(logging.WARNING):
        assert REGISTRY.names() == METHODS
    assert "the package kit 1.2 brings a method 'identitystory', which is ours" in caplog.text


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
        ("x = 1", "AttributeError: module 'kit_method' has no attribute 'Mine'"),
        ("Mine = 3", "it has no name, of, inputs, calls, paint"),
        ("def", "SyntaxError"),
    ],
)
def test_a_broken_package_is_one_line_with_its_name(install, module, told, capsys):
    install("kit", {"methods": "mine = kit_method:Mine"}, kit_method=module)
    with pytest.raises(ConfigError, match=r"the method 'mine' of the package kit 1\.2 cannot") as e:
        method("mine", Preset("test"))
    assert told in str(e.value)
    assert "\n" not in str(e.value)
    command = ["generate", "--character", "A: a man", "--scene", "{A}", "--method", "mine"]
    assert main(command) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "update or uninstall the package" in err


def test_two_packages_of_one_name_are_both_named(install):
    for package in ("kit", "other"):
        install(package, {"methods": "mine = kit_method:Mine"}, kit_method=METHOD)
    with pytest.raises(ConfigError, match=r"kit 1\.2 and other 1\.2 both bring a method 'mine'"):
        method("mine", Preset("test"))


def test_a_family_is_picked_by_its_pipeline_and_a_broken_one_does_not_hide_it(install):
    sound = (
        "from identitystory.models.family import Family\n"
        "DOTS = Family('dots', 'Dots', 'DotsPipeline', {}, open=print)\n"
    )
    install("a_broken", {"families": "aaa = dots_broken:DOTS"}, dots_broken="import nowhere")
    assert family_of("StableDiffusionXLPipeline").name == "sdxl"  # nobody else was asked
    with pytest.raises(ModelError, match=r"the model family 'aaa' of the package a_broken 1\.2"):
        family_of("DotsPipeline")
    install("kit", {"families": "dots = kit_dots:DOTS"}, kit_dots=sound)
    assert family_of("DotsPipeline").name == "dots"
    assert FAMILIES.names() == ("sdxl", "flux2-klein", "z-image", "aaa", "dots")


def test_our_own_names_ask_no_other_package(monkeypatch):
    monkeypatch.setattr("identitystory.extensions._installed", None)
    assert check_method("general") == "general"
    assert method("general", Preset("test")).name == "general"
    assert family_of("StableDiffusionXLPipeline").name == "sdxl"
    with pytest.raises(TypeError):
        check_method("mine")
