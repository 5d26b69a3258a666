"""Shares of many stories: each story in one share; the variables of schedulers; the bytes of one command."""

import re

import pytest

from identitystory.cli.main import main
from identitystory.errors import ConfigError
from identitystory.experiments import figures
from identitystory.runs.shards import Shard, shard
from tests.workshop import Workshop, contents

STORY = """title = "{0}"
[[character]]
name = "Mara"
description = "a woman with {0} hair"
[[scene]]
prompt = "{{Mara}} reads"
"""


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12])
def test_every_story_is_in_one_share(count):
    shares = [Shard(n, count).of(range(10)) for n in range(1, count + 1)]
    assert sorted(story for share in shares for story in share) == list(range(10))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


SLURM = {"SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_STEP": "1"}


@pytest.mark.parametrize(
    ("told", "share"),
    [
        ({"SLURM_ARRAY_TASK_ID": "1", **SLURM}, "1/4"),
        ({"SLURM_ARRAY_TASK_ID": "4", **SLURM}, "4/4"),
        ({"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "4"}, "1/4"),
        (
            {
                "SLURM_ARRAY_TASK_ID": "20",
                "SLURM_ARRAY_TASK_COUNT": "4",
                "SLURM_ARRAY_TASK_MIN": "0",
                "SLURM_ARRAY_TASK_STEP": "10",
            },
            "3/4",
        ),
        ({"JOB_COMPLETION_INDEX": "2", "JOB_COMPLETIONS": "3"}, "3/3"),
        ({"SKYPILOT_NODE_RANK": "0", "SKYPILOT_NUM_NODES": "2"}, "1/2"),
    ],
)
def test_a_scheduler_says_which_share(told, share):
    assert str(shard("auto", told)) == share


@pytest.mark.parametrize(
    ("text", "told", "line"),
    [
        ("0/4", {}, r"--shard is 0/4; it must be I/N, the first 1/N"),
        ("5/4", {}, r"--shard is 5/4; it must be I/N"),
        ("1/1000000", {}, "N at most 100000"),
        ("half", {}, r"--shard is 'half'; it must be I/N, as in 2/4, or auto"),
        ("1/٢", {}, "it must be I/N, as in 2/4"),
        ("auto", {}, r"no scheduler does say \(SLURM_ARRAY_TASK_ID, JOB_COMPLETION_INDEX"),
        ("auto", {"JOB_COMPLETION_INDEX": "1"}, "JOB_COMPLETIONS is not set; --shard auto needs"),
        (
            "auto",
            {"SLURM_ARRAY_TASK_ID": "7", **SLURM},  # of --array=1,3,5,7
            r"--shard is 7/4",
        ),
        (
            "auto",
            {"SLURM_ARRAY_TASK_ID": "1", "SKYPILOT_NODE_RANK": "1"},
            "Slurm and SkyPilot do say",
        ),
        ("auto", {"SKYPILOT_NODE_RANK": "-1"}, "SKYPILOT_NODE_RANK is '-1'"),
    ],
)
def test_what_is_no_share_is_told_in_a_line(text, told, line):
    with pytest.raises(ConfigError, match=line):
        shard(text, told)


@pytest.fixture
def stories(tmp_path):
    """Three stories that share nobody, as files."""
    folder = tmp_path / "stories"
    folder.mkdir()
    for name in ("dark", "long", "red"):
        (folder / f"{name}.toml").write_text(STORY.format(name))
    return folder


FEW = ["--steps", "10", "--portraits", "4"]
BLIND = ["--clip", "none", "--faces", "none"]


def told(backend, capsys, *argv):
    """Exit code and standard output of a command on the fakes; what it painted is in its steps."""
    code = main([*map(str, argv), *FEW], service=lambda: Workshop(backend).service)
    return code, capsys.readouterr().out


def same(out, whole):
    """Whether two folders hold the same pictures, identities and records, but for their own names."""
    plain = lambda root: {
        name: content.replace(str(root).encode(), b"")
        for name, content in contents(root).items()
        if not re.match(r"costs/", name)
    }
    return plain(out) == plain(whole)


@pytest.mark.parametrize(
    ("command", "table"),
    [
        (["bench", "--methods", "general,identitystory"], "table.json"),
        (["ablate", "components", "--sets", "3"], "components.json"),
    ],
)
def test_shares_of_a_comparison_are_the_bytes_of_one_command(
    command, table, backend, stories, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(figures, "can_draw", lambda: False)  # it takes longer than all else
    asked = [*command, "--stories", stories, *BLIND]
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert told(backend, capsys, *asked, "--out", whole)[0] == 0
    for share in ("2/2", "1/2"):
        code, said = told(backend, capsys, *asked, "--out", out, "--shard", share)
        assert code == 0
        assert f"share {share}, {3 - int(share[0])} of 3 stories, is painted" in said
        assert not (out / table).exists()
    workshop = Workshop(backend)
    argv = [*asked, "--out", out, *FEW]
    assert main([*map(str, argv)], service=lambda: workshop.service) == 0
    assert workshop.steps == {"general": 0, "identity": 0}
    (out / table).unlink()  # seconds and memory
    (whole / table).unlink()
    for folder in (out, whole):
        (folder / "table.md").unlink(missing_ok=True)
    assert same(out, whole)


def test_a_share_without_stories_does_nothing(backend, stories, tmp_path, capsys):
    argv = ["bench", "--stories", stories, "--out", tmp_path / "out", "--shard", "4/4"]
    code, said = told(backend, capsys, *argv)
    assert code == 0
    assert "share 4/4, 0 of 3 stories" in said
    assert not (tmp_path / "out").exists()


def test_shares_of_several_stories_are_the_bytes_of_one_command(
    backend, stories, tmp_path, capsys, monkeypatch
):
    files, parts = sorted(stories.iterdir()), []
    assert told(backend, capsys, "generate", *files, "--out", tmp_path / "whole")[0] == 0
    for number in ("0", "1"):
        monkeypatch.setenv("SKYPILOT_NODE_RANK", number)
        monkeypatch.setenv("SKYPILOT_NUM_NODES", "2")
        argv = ["generate", *files, "--out", tmp_path / "out", "--shard", "auto"]
        assert told(backend, capsys, *argv)[0] == 0
        parts.append(sorted(path.name for path in (tmp_path / "out").iterdir()))
    assert parts == [["dark", "red"], ["dark", "long", "red"]]
    assert same(tmp_path / "out", tmp_path / "whole")


def test_one_story_has_no_shares(backend, stories, capsys):
    assert main(["generate", str(stories / "red.toml"), "--shard", "1/2"]) == 2
    assert "--shard 1/2 is a share of several stories" in capsys.readouterr().err
