"""The command line: parse, call the service, print its events.

Exit codes: 0 done, 1 the machine failed, 2 the user can mend it, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import ConfigError, IdentityStoryError, StoryError, is_out_of_memory
from ..models.files import fetch
from .experiments import add_command, add_commands
from .options import command, heed_offline, model_options, offline_option, where, whole

if TYPE_CHECKING:
    from ..runs.request import RunRequest
    from ..runs.service import Service
    from ..types import Story

MakeService = Callable[[], "Service"]


class Parser(argparse.ArgumentParser):
    """argparse whose mistakes are one line."""

    def error(self, message: str) -> NoReturn:
        """One line on standard error; exit 2."""
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help\n")


def default_service() -> Service:
    """The service with the real models."""
    from ..runs.service import Service

    return Service()


def main(argv: Sequence[str] | None = None, *, service: MakeService = default_service) -> int:
    """Runs one command and returns its exit code."""
    try:
        arguments = parser().parse_args(argv)
        return int(arguments.command(arguments, service))
    except IdentityStoryError as error:
        return _fail(2, str(error))
    except KeyboardInterrupt:
        return _fail(130, "stopped; what is finished is kept, the same command goes on from there")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader left, as `| head` does
        return 1
    except MemoryError:
        return _fail(1, _NO_MEMORY)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(1, f"{where}{error.strerror or error}. What is finished is kept")
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return _fail(1, _NO_MEMORY)


_NO_MEMORY = "out of memory. What is finished is kept; try --preset low-vram or --dtype bfloat16"


def _fail(code: int, message: str) -> int:
    print(f"identitystory: {' '.join(message.split())}", file=sys.stderr)
    return code


def parser() -> Parser:
    """The parser of every command; docs/cli.md is its help."""
    top = Parser(
        prog="identitystory",
        description="Makes pictures of a story whose characters keep their faces.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = top.add_subparsers(dest="name", required=True, metavar="COMMAND")

    generate = command(
        commands,
        generate_command,
        "generate",
        "make the pictures of a story",
        "Makes the pictures of a story. What is there already is kept: the same command goes on "
        "where a run was cut off. A folder that holds a run keeps its settings unless you give "
        "others.",
    )
    _story_options(generate)
    generate.add_argument(
        "--only",
        metavar="N",
        type=whole,
        action="append",
        default=[],
        help="paint only frame N, numbered as in frames/ (0 is the first); may be repeated. "
        "With --seed, that is the frame's new seed; identities stay as they are",
    )
    generate.add_argument(
        "--method",
        metavar="NAME",
        help="identitystory (default), or a method to compare it with: consistory, storydiffusion, "
        "story-adapter, one-prompt-one-story, general, direct-identity",
    )
    _run_options(generate)

    discover = command(
        commands,
        discover_command,
        "discover",
        "find the identities of a story's characters",
        "Finds the identity of every character of a story, and stops before the pictures.",
    )
    _story_options(discover)
    _run_options(discover)

    extend = command(
        commands,
        extend_command,
        "extend",
        "add scenes to a run, with its cast",
        "Adds scenes to a run. Its characters keep their faces; nothing finished is made again.",
    )
    extend.add_argument("run", metavar="RUN", type=Path, help="the run folder")
    extend.add_argument("story", metavar="STORY", nargs="?", help="a file with more scenes")
    _inline_options(extend)
    extend.add_argument("--device", metavar="D", help="auto, cpu, cuda, cuda:N or mps")
    _output_options(extend)

    add_commands(commands)
    add_command(commands)
    _evaluate_options(commands)

    models = command(
        commands,
        models_command,
        "models",
        "list, fetch and verify the models",
        "Lists the models and their parts with size and licence; fetches them from the hub, which "
        "is the only command that uses the network; or verifies every file against its hash.",
    )
    models.add_argument("action", nargs="?", choices=["list", "fetch", "verify"], default="list")
    models.add_argument(
        "names",
        metavar="NAME",
        nargs="*",
        help="sdxl, sdxl-light, one of their parts, or the hub id of another base in SDXL's layout",
    )
    models.add_argument("--revision", metavar="R", help="fetch this commit or branch, and pin it")
    offline_option(models)
    models.add_argument("--json", action="store_true", help="print one JSON object a line")

    doctor = command(
        commands,
        doctor_command,
        "doctor",
        "look whether this machine is ready",
        "Shows versions, cores, memory, disk and weights, and tries one step of the U-Net.",
    )
    doctor.add_argument("--model", metavar="M", default="miniature", help="the model to try")
    doctor.add_argument("--json", action="store_true", help="print one JSON object a line")
    return top


def generate_command(arguments: argparse.Namespace, service: MakeService) -> int:
    """``identitystory generate``."""
    made = _request(arguments, only=tuple(arguments.only), method=arguments.method)
    return _run(made, arguments, service)


def discover_command(arguments: argparse.Namespace, service: MakeService) -> int:
    """``identitystory discover``."""
    return _run(_request(arguments, paint=False), arguments, service)


def extend_command(arguments: argparse.Namespace, service: MakeService) -> int:
    """``identitystory extend``."""
    from dataclasses import replace

    from ..runs.options import longer_request

    request, _ = longer_request(arguments.run, _more_story(arguments))
    if arguments.device:
        request = replace(request, device=arguments.device)
    return _run(request, arguments, service)


def evaluate_command(arguments: argparse.Namespace, service: MakeService) -> int:
    """``identitystory evaluate``."""
    from ..experiments import scoreboard
    from ..experiments.evaluate import evaluate
    from ..experiments.export import as_json, write
    from ..experiments.instruments import Wanted
    from ..runs.files import check_writable

    check_writable(arguments.out)
    names = ("templates", "clip", "faces", "face_models", "qalign", "device")
    wanted = Wanted(tuple(arguments.run), **{key: getattr(arguments, key) for key in names})
    told = arguments.quiet or arguments.json
    result = evaluate(wanted, lambda line: None if told else print(line, file=sys.stderr))
    files = write(result, arguments.out)
    if arguments.json:
        print(json.dumps(as_json(result), ensure_ascii=False))
        return 0
    if not arguments.quiet:
        scoreboard.show(result, sys.stdout)
    for file in files:
        print(file)
    return 0


def models_command(arguments: argparse.Namespace, service: MakeService) -> int:
    """``identitystory models``."""
    from .doctor import models

    if arguments.action != "list":
        return _fetch_or_verify(arguments)
    for model in models():
        if arguments.json:
            print(json.dumps(model, ensure_ascii=False))
            continue
        print(f"{model['name']}: {'ready' if model['present'] else 'not here'}")
        for key, value in model["facts"].items():
            print(f"  {key}: {value}")
        for part in model["parts"]:
            here = "here" if part["present"] else "not here"
            sold = "commercial use: yes" if part["commercial"] else "commercial use: no"
            size = f"{part['gigabytes']:.1f} GB" if part["gigabytes"] else "size not known here"
            pin = f"pinned at {part['revision']}" if part["revision"] else "the first fetch pins it"
            told = f"{part['repo']}, {size}, {part['licence']}, {sold}, {here}, {pin}"
            print(f"  {part['name']}: {told}")
    return 0


def _fetch_or_verify(arguments: argparse.Namespace) -> int:
    from ..errors import ModelError
    from ..models.files import catalogue
    from ..models.files import store as hub

    if not arguments.names:
        raise ModelError(f"name what to {arguments.action}: identitystory models lists the models")
    entries = [entry for name in arguments.names for entry in catalogue.entries_of(name)]
    if arguments.revision and (arguments.action != "fetch" or len(entries) > 1):
        raise ModelError(
            f"--revision {arguments.revision} is a commit of one model; fetch it by its own name, "
            "as in: identitystory models fetch sdxl-base --revision COMMIT"
        )
    if arguments.action == "fetch":
        heed_offline(arguments)
        for entry in entries:
            _say(arguments, entry.name, f"{entry.licence}: {entry.terms}")
            for line in fetch.fetch(entry, revision=arguments.revision or ""):
                _say(arguments, entry.name, line)
        return 0
    wrong = [(entry, line) for entry in entries for line in hub.verify(entry)]
    for entry, line in wrong:
        _say(arguments, entry.name, line)
    if wrong:
        names = " ".join(dict.fromkeys(entry.name for entry, _ in wrong))
        raise ModelError(f"delete these files and run: identitystory models fetch {names}")
    for entry in entries:
        _say(arguments, entry.name, "every file is what was fetched")
    return 0


def _say(arguments: argparse.Namespace, name: str, line: str) -> None:
    told = json.dumps({"model": name, "line": line.strip()}, ensure_ascii=False)
    print(told if arguments.json else f"{name}: {line}", flush=True)


def doctor_command(arguments: argparse.Namespace, service: MakeService) -> int:
    """``identitystory doctor``."""
    from .doctor import checkup

    well = True
    for check in checkup(arguments.model):
        well = well and check.well
        if arguments.json:
            print(json.dumps({"what": check.what, "found": check.found, "well": check.well}))
        else:
            print(f"{'ok  ' if check.well else 'FAIL'} {check.what}: {check.found}", flush=True)
    return 0 if well else 1


def _run(request: RunRequest, arguments: argparse.Namespace, service: MakeService) -> int:
    from .progress import show

    events = service().run(request)
    try:
        show(events, as_json=arguments.json, quiet=arguments.quiet)
    finally:
        events.close()  # type: ignore[attr-defined]
    return 0


def _request(arguments: argparse.Namespace, **more: Any) -> RunRequest:
    from ..runs.options import again_request, new_request

    chosen = where(arguments)
    if arguments.story and arguments.story.lower().endswith(".png"):
        if more.get("method") is not None:
            raise ConfigError("a frame is made again by its own method; leave --method out")
        return again_request(Path(arguments.story), arguments.out, **chosen)
    return new_request(
        _story(arguments),
        arguments.out,
        preset_name=arguments.preset,
        steps=arguments.steps,
        portraits=arguments.portraits,
        guidance=arguments.guidance,
        compiled=arguments.compile,
        reuse=arguments.reuse,
        distilled=arguments.distilled,
        batch=arguments.batch,
        size=arguments.size,
        aspect=arguments.aspect,
        seed=arguments.seed,
        **chosen,
        **more,
    )


def _story(arguments: argparse.Namespace) -> Story:
    from ..story.file import inline_story, load_story

    inline = arguments.character or arguments.scene
    if arguments.story:
        _no_inline(arguments)
        return load_story(arguments.story)
    if not inline:
        raise StoryError('give a story file, or --character "Mara: a woman" --scene "{Mara} reads"')
    return inline_story(arguments.character, arguments.scene, style=arguments.style or "")


def _more_story(arguments: argparse.Namespace) -> Story:
    from ..runs.request import recorded
    from ..story.file import load_story, more_scenes

    if arguments.story:
        _no_inline(arguments)
        return load_story(arguments.story)
    if not arguments.scene:
        raise StoryError('give a story file with more scenes, or --scene "{Mara} reads"')
    known = recorded(arguments.run).story
    return more_scenes(known, arguments.character, arguments.scene, style=arguments.style)


def _no_inline(arguments: argparse.Namespace) -> None:
    if arguments.character or arguments.scene or arguments.style:
        raise StoryError(
            "give a story file or --character, --scene and --style, not both; "
            "in the file they are [[character]], [[scene]] and style"
        )


def _evaluate_options(commands: Any) -> None:
    made = command(
        commands,
        evaluate_command,
        "evaluate",
        "measure the pictures of runs",
        "Measures the pictures of runs as the paper does (CLIP-T, CLIP-T-C, CLIP-I, Face-Sim, "
        "Q-Align), and what keeps Face-Sim honest: missing faces, different characters, pasted "
        "faces. Prints a table and writes metrics.json and metrics.csv. Nothing is downloaded.",
    )
    made.add_argument(
        "run", metavar="RUN", type=Path, nargs="+", help="a run folder, or a folder that holds some"
    )
    made.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path("runs/evaluation"),
        help="where metrics.json and metrics.csv go (default: runs/evaluation)",
    )
    made.add_argument(
        "--templates",
        action="store_true",
        help="measure the templates, the general generator's pictures without identity",
    )
    made.add_argument(
        "--clip",
        metavar="C",
        default="auto",
        help="a folder with a CLIP, a hub id in the cache, or none (default: the checkpoint's own)",
    )
    made.add_argument(
        "--faces",
        metavar="F",
        default="auto",
        help="dlib (extra: faces), sface (faces-sface), arcface (faces-arcface; its weights are "
        "for non-commercial research only), or none (default: dlib if it is installed)",
    )
    made.add_argument(
        "--face-models",
        metavar="FOLDER",
        type=Path,
        help="the weights of sface (YuNet's and SFace's .onnx files) or of arcface (buffalo_l)",
    )
    made.add_argument(
        "--qalign",
        metavar="PYTHON",
        help="the Python of an environment with pyiqa, to measure Q-Align (non-commercial terms)",
    )
    made.add_argument("--device", metavar="D", default="auto", help="auto, cpu, cuda or mps")
    made.add_argument("--json", action="store_true", help="print the result as one JSON object")
    made.add_argument("--quiet", action="store_true", help="print only where the files are")


def _story_options(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "story",
        metavar="STORY",
        nargs="?",
        help="a story file, TOML or JSON; or a frame (.png) of a run, to make it again",
    )
    _inline_options(made)


def _inline_options(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--character",
        metavar='"NAME: DESCRIPTION"',
        action="append",
        default=[],
        help="a character, instead of a story file; may be repeated",
    )
    made.add_argument(
        "--scene",
        metavar="PROMPT",
        action="append",
        default=[],
        help='a scene, "{Mara} reads on a beach"; may be repeated',
    )
    made.add_argument("--style", metavar="TEXT", help="put in front of every prompt")


def _run_options(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--out", metavar="DIR", type=Path, help="the run folder (default: runs/<title>)"
    )
    made.add_argument("--seed", metavar="N", type=whole, help="0 in a new folder")
    model_options(made)
    made.add_argument(
        "--size",
        metavar="WxH",
        help="width x height of the pictures in pixels, such as 1216x832, instead of the story's; a "
        "scene's own stays (default: the story's, or the model's own)",
    )
    made.add_argument(
        "--aspect",
        metavar="W:H",
        help="the same as width to height, such as 16:9: the nearest size that the model was made for",
    )
    made.add_argument(
        "--batch",
        metavar="N",
        type=whole,
        help="frames painted together (default: 1, so that a frame's bytes depend on no other)",
    )
    made.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="let torch.compile make the U-Net faster: minutes at first, for stories of many frames "
        "on an accelerator",
    )
    made.add_argument(
        "--reuse",
        metavar="N",
        type=whole,
        help="compute the deep part of the U-Net at every Nth step only (default: 1): faster, and a "
        "little other pictures",
    )
    made.add_argument(
        "--distilled",
        action=argparse.BooleanOptionalAction,
        help="paint the portraits of the search with the model's few-step LoRA: 8 steps without "
        "guidance",
    )
    _output_options(made)


def _output_options(made: argparse.ArgumentParser) -> None:
    made.add_argument("--json", action="store_true", help="print one JSON object a line")
    made.add_argument("--quiet", action="store_true", help="print only where the pictures are")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from .. import __version__

        print(f"identitystory {__version__}")
        parser.exit()
