"""The page of results: facts of the runs, the table, and what follows from the numbers alone."""

from dataclasses import replace

from identitystory.cli.main import main
from identitystory.experiments.batch import paint
from identitystory.experiments.results import (
    apart,
    best,
    overlap,
    page,
    without_folders,
    write_page,
)
from identitystory.experiments.table1 import measured, tables
from identitystory.experiments.tables import Outcome, Row
from tests.test_bench import STORIES, Workshop, grey, request_  # noqa: F401


def rows(label, more=None, **scores):
    """Of one method: measure -> value, low, high and stories; or of its gains and pairs."""
    found = [Row(label, None, name, *values) for name, values in scores.items()]
    names = ("gain", "gain_low", "gain_high", "pairs")
    nan = float("nan")
    for name, values in (more or {}).items():
        gains = dict(zip(names, values, strict=True))
        found.append(Row(label, None, name, nan, None, None, 0, **gains))
    return found


def outcome(*some):
    return Outcome([row for one in some for row in one], "identitystory")


def test_best_reads_off_the_numbers_who_leads_and_who_is_near():
    found = outcome(
        rows("a", **{"CLIP-T": [0.3, 0.2, 0.4, 5], "Face-Sim different": [0.1, 0.0, 0.2, 5]}),
        rows("b", **{"CLIP-T": [0.5, 0.39, 0.6, 5], "Face-Sim different": [0.4, 0.3, 0.5, 5]}),
        rows("c", **{"CLIP-T": [0.1, 0.0, 0.2, 5], "segmented": [0.9, 0.8, 1.0, 5]}),
    )
    assert best(found) == [
        "- CLIP-T: b, 0.500; intervals overlap with a.",
        "- Face-Sim different: a, 0.100, apart from all others.",  # lower is better
    ]


def test_without_intervals_nothing_is_claimed_of_them():
    found = outcome(rows("a", x=[0.3, None, None, 5]), rows("b", x=[0.2, None, None, 5]))
    assert best(found) == ["- x: a, 0.300; too few stories for an interval."]
    assert best(outcome()) == ["Nothing was scored."]
    nan = float("nan")
    nothing = outcome(rows("a", x=[nan, None, None, 0]), rows("b", x=[nan, None, None, 0]))
    assert best(nothing) == ["Nothing was scored."]


def test_ties_and_intervals_of_one_story_are_not_victories():
    alike = outcome(rows("a", x=[0.0, None, None, 5]), rows("b", x=[0.0, None, None, 5]))
    assert best(alike) == ["- x: all alike, 0.000."]
    two = outcome(
        rows("a", x=[0.3, 0.2, 0.4, 5]),
        rows("b", x=[0.3, 0.2, 0.4, 5]),
        rows("c", x=[0.1, 0, 0.1, 5]),
    )
    assert best(two) == ["- x: a and b, 0.300, apart from all others."]
    one = outcome(rows("a", x=[0.3, 0.3, 0.3, 5]), rows("b", x=[0.2, 0.2, 0.2, 5]))
    assert best(one) == ["- x: a, 0.300; the same in every story."]
    near = outcome(rows("a", x=[0.3, 0.3, 0.3, 5]), rows("b", x=[0.2, 0.1, 0.3, 5]))
    assert best(near) == ["- x: a, 0.300; intervals overlap with b."]


def test_who_was_measured_on_fewer_stories_is_not_held_against_the_others():
    found = outcome(
        rows("a", x=[0.9, 0.8, 1.0, 2]),
        rows("b", x=[0.3, 0.2, 0.4, 5]),
        rows("c", x=[0.1, 0.0, 0.2, 5]),
    )
    assert best(found) == ["- x: b, 0.300; intervals overlap with c."]
    few = replace(found, sizes={"all": 9})
    assert best(few) == ["- x: b, 0.300 over 5 stories; intervals overlap with c."]


def test_differences_that_leave_out_nothing_are_told_and_counted():
    more = {"x": [-0.2, -0.3, -0.1, 5], "y": [0.1, -0.1, 0.3, 5], "z": [0.1, None, None, 2]}
    none = {"y": [0.0, -0.1, 0.1, 5]}
    assert apart(outcome(rows("a", more), rows("b", none), rows("identitystory"))) == [
        "- a less identitystory, story by story: x -0.200 [-0.300, -0.100].",
        "- The other 2 of 3 differences with an interval hold 0 in it. By chance alone one of 20 would "
        "not.",
    ]
    assert apart(outcome(rows("a", none))) == []


def test_no_folder_of_this_machine_is_on_the_page():
    assert (
        without_folders("| CLIP | /home/me/w/clip (sha256 9e) |") == "| CLIP | clip (sha256 9e) |"
    )
    assert without_folders("--model /home/me/w --out DIR") == "--model w --out DIR"
    assert without_folders(r"| model | C:\me\w, 50 steps |") == "| model | w, 50 steps |"
    for kept in ("openai/clip-vit-base-patch32", "sdxl:owner/name", "docs/results.md", "a / b"):
        assert without_folders(f"| {kept} |") == f"| {kept} |"


def test_intervals_that_touch_overlap():
    of = lambda low, high: Row("a", None, "x", 0, low, high, 5)
    assert overlap(of(0.1, 0.2), of(0.2, 0.3))
    assert not overlap(of(0.1, 0.2), of(0.21, 0.3))
    assert not overlap(of(None, None), of(0.2, 0.3))


def test_the_page_says_what_was_run_and_holds_the_whole_table(backend, request_, tmp_path):  # noqa: F811
    paint(request_, Workshop(backend).service)
    table = measured(request_, grey)
    text = page(request_, table, "identitystory bench --out DIR")
    assert "\n".join(tables(table)) in text
    assert "| stories | 2 (1 with 1, 1 with 2 characters), 4 scenes |" in text
    assert "| preset | test, 10 steps of ddim, 6 portraits of 10 steps a character |" in text
    assert "| measured, grey | pixels |" in text
    assert "identitystory bench --out DIR" in text
    assert "cannot be held against the paper's" in text
    assert str(tmp_path) not in text
    file = write_page(request_, table, tmp_path / "page.md", "identitystory bench --out DIR")
    assert file.read_text(encoding="utf-8") == text


def test_the_command_on_the_page_has_what_decides_the_table_and_no_folder(
    backend, tmp_path, monkeypatch
):
    from identitystory.experiments import evaluate, instruments

    monkeypatch.setattr(evaluate, "evaluate", lambda request, tools: grey(request.runs))
    monkeypatch.setattr(instruments, "open_tools", lambda *_: None)
    story = tmp_path / "story.toml"
    story.write_text(
        'title = "One"\n[[character]]\nname = "Mara"\ndescription = "a woman"\n'
        '[[scene]]\nprompt = "{Mara} reads"\n[[scene]]\nprompt = "{Mara} sleeps"\n'
    )
    monkeypatch.chdir(tmp_path)
    command = ["bench", "--stories", "story.toml", "--methods", "general", "--scenes", "1"]
    command += ["--out", str(tmp_path / "out"), "--steps", "10", "--results", "docs/results.md"]
    assert main(command, service=lambda: Workshop(backend).service) == 0
    text = (tmp_path / "docs" / "results.md").read_text(encoding="utf-8")
    expected = "identitystory bench --stories story.toml --methods general --scenes 1 --seed 0"
    assert f"{expected} --steps 10 --out DIR" in text
    assert "1 scenes" in text
    command += ["--clip", str(tmp_path / "ViT"), "--faces", "sface", "--face-models", "there"]
    command += ["--qalign", "qalign/bin/python", "--dtype", "float32", "--device", "cpu"]
    assert main(command, service=lambda: Workshop(backend).service) == 0
    text = (tmp_path / "docs" / "results.md").read_text(encoding="utf-8")
    measured = "--clip ViT --faces sface --face-models there --qalign qalign/bin/python"
    placed = "--device cpu --dtype float32 --steps 10"
    assert f"{expected} {placed} {measured} --out DIR" in text
