"""What several commands take, each group once, and how a command speaks."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from ..errors import MACHINE, ConfigError, IdentityStoryError, is_out_of_memory, printable
from ..models.files.catalogue import DEFAULT_MODEL
from ..models.files.names import with_loras
from .commands import Argument

if TYPE_CHECKING:
    from ..config import Preset
    from ..marks.manifest import Certificate
    from ..runs.service import Service
    from ..settings import Overrides

Folder = Annotated[Path, "DIR"]
Run = Annotated[Path, Argument("RUN")]
Shard = Annotated[str, "I/N"] | None
_NO_MEMORY = "out of memory. What is finished is kept; try --preset low-vram or --dtype bfloat16"


class MakeService(Protocol):
    """Makes the service that runs a command's requests."""

    def __call__(self) -> Service:
        """The service."""


@dataclass(frozen=True)
class Inline:
    """A story that is typed.

    Attributes:
        character: a character, instead of a story file; "NAME (NOUN): DESCRIPTION" says which word of
            the description is the noun; may be repeated
        scene: a scene, "{Mara} reads on a beach"; may be repeated
        style: put in front of every prompt
    """

    character: tuple[Annotated[str, '"NAME: DESCRIPTION"'], ...] = ()
    scene: tuple[Annotated[str, "PROMPT"], ...] = ()
    style: Annotated[str, "TEXT"] | None = None


@dataclass(frozen=True)
class Model:
    """Which model, and where it computes; None is the door's default.

    Attributes:
        preset: paper, release, recommended, fast or low-vram (default: recommended)
        model: miniature, miniature-face (its IP-Adapter shows faces beside the words, too), sdxl,
            sdxl-light (CLIPSeg finds the characters), sdxl-plus-face (IP-Adapter Plus Face paints the
            faces), sdxl-instantid (InstantID does), another that models lists, a complete checkpoint folder, or the hub id of one
            (default: miniature)
        base: another base in SDXL's layout for --model sdxl and its like: one of those that models
            lists, a hub id that was fetched, a folder, or a single .safetensors file
        lora: a LoRA's file and weight, as in ink.safetensors:0.8, for portraits and pictures alike; may
            be repeated
        allow_noncommercial: use parts that are for non-commercial research only, as InstantID's face
            models are
        offline: never use the network
        device: auto, cpu, cuda, cuda:N or mps
        dtype: auto, float32, bfloat16 or float16
    """

    preset: Annotated[str, "P"] | None = None
    model: Annotated[str, "M"] | None = None
    base: Annotated[str, "B"] | None = None
    lora: tuple[Annotated[str, "FILE[:WEIGHT]"], ...] = ()
    allow_noncommercial: bool = False
    offline: bool = False
    device: Annotated[str, "D"] | None = None
    dtype: Annotated[str, "T"] | None = None

    def where(self, own: str = DEFAULT_MODEL) -> dict[str, Any]:
        """``model``, ``device`` and ``dtype``, those that were given.

        ``--model``, ``--base`` and ``--lora`` are one name, ``sdxl:owner/name + ink.safetensors:0.8``.

        Args:
            own: what LoRAs are put on without a model; empty leaves it open, see `names.on_base`.

        Raises:
            ConfigError: ``--base`` with a model that has none to choose.
            ModelError: ``--lora`` is no file of a LoRA.
        """
        heed_offline(self.offline)
        heed_terms(self.allow_noncommercial)
        given = {"model": self.model, "device": self.device, "dtype": self.dtype}
        if self.base is not None:
            from ..models.files.catalogue import split_name

            bundle, base = split_name(self.model or "sdxl")
            if bundle is None or base:
                raise ConfigError(
                    f"--base goes with --model sdxl or sdxl-light, not with {self.model}"
                )
            given["model"] = f"{bundle}:{_base(self.base)}"
        if self.lora:
            given["model"] = with_loras(given["model"] or own, self.lora)
        return {key: value for key, value in given.items() if value is not None}

    def chosen_preset(self, overrides: Overrides) -> tuple[Preset, tuple[str, ...]]:
        """The preset with its overrides, and a sentence for each number that had to follow.

        Raises:
            ConfigError: there is no such preset, or a number is out of range.
        """
        from ..models.files.suited import preset
        from ..presets import DEFAULT_PRESET
        from ..settings import overridden

        model = self.where().get("model", DEFAULT_MODEL)
        return overridden(preset(self.preset or DEFAULT_PRESET, model), overrides)


@dataclass(frozen=True)
class Output:
    """How a run is shown.

    Attributes:
        json: print one JSON object a line
        quiet: print only the run folder
    """

    json: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Marks:
    """How files that are handed out are marked.

    Attributes:
        marks: whether they say that a trained algorithm made them (default: yes); the run's log says
            so if not
        certificate: a PEM file with certificates and key to sign them with; needs the extra c2pa
            (default: the one of `identitystory certificate`, if there is one)
    """

    marks: bool | None = None
    certificate: Annotated[Path, "FILE"] | None = None

    def signer(self) -> Certificate | None:
        """Who signs; None where nobody does: no marks, no certificate, or not the extra.

        Raises:
            ConfigError: a certificate was given, and cannot be used.
        """
        from ..marks.manifest import has_extra, read_certificate

        if self.marks is False:
            return None
        file = self.certificate or own_certificate()
        if self.certificate is None and not (has_extra() and file.is_file()):
            return None
        try:
            return read_certificate(file.read_bytes(), str(file))
        except OSError as error:
            raise ConfigError(f"{file} cannot be read: {error.strerror}") from None


def own_certificate() -> Path:
    """Where `identitystory certificate` puts it."""
    settings = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(settings).expanduser() / "identitystory" / "signing.pem"


@dataclass(frozen=True)
class ManyRuns:
    """What is painted by a comparison, and by how many.

    Attributes:
        out: the folder
        stories: a story file, a folder of them, little_people (default for the miniature) or
            consistory_human (default for other models)
        seed: of every run
        workers: processes that paint side by side and share this machine's processors (default: 1);
            on a processor as many as it has cores are fastest
        shard: paint only every Nth story from the Ith on, as one of N commands on the same --out, and
            measure nothing; auto takes both from Slurm's, Kubernetes' or SkyPilot's variables. When
            all are done, the same command without --shard measures
    """

    out: Folder
    stories: Annotated[str, "WHERE"] | None = None
    seed: int = 0
    workers: int = 1
    shard: Shard = None

    def chosen_stories(self, model: str | None) -> str:
        """Those that were asked for, or the built-in set that suits ``model``."""
        from ..models.files.suited import suits_of

        return suits_of(model or DEFAULT_MODEL).stories if self.stories is None else self.stories


@dataclass(frozen=True)
class Instruments:
    """What pictures are measured with.

    Attributes:
        clip: a folder with a CLIP, a hub id in the cache, or none (default: the checkpoint's own)
        faces: dlib (extra: faces), little-people (comes along; for the miniature's drawn people
            only), sface (faces-sface), arcface (faces-arcface; its weights are for non-commercial
            research only), or none (default: dlib if it is installed)
        face_models: the weights of sface (YuNet's and SFace's .onnx files) or of arcface (buffalo_l)
    """

    clip: Annotated[str, "C"] = "auto"
    faces: Annotated[str, "F"] = "auto"
    face_models: Annotated[Path, "FOLDER"] | None = None


def _base(given: str) -> str:
    """``given``, or the folder of the base in a single file, which is made once."""
    if not os.path.isfile(given):
        return given
    from ..models.files.added import add

    folder, new = add(Path(given))
    if new:
        tell(f"{given} was made a folder, once: {folder}")
    return str(folder)


def failure(error: Exception) -> tuple[int, str] | None:
    """Exit code and sentence for what a user or the machine's keeper can mend; None for a mistake here."""
    if isinstance(error, IdentityStoryError):
        return 2, str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        mendable = error.errno is not None and error.errno not in MACHINE
        return 1 + mendable, f"{where}{error.strerror or error}. What is finished is kept"
    if isinstance(error, MemoryError) or is_out_of_memory(error):
        return 1, _NO_MEMORY
    return None


def heed_offline(offline: bool) -> None:
    """Tells the hub's library, before it is imported, to stay off the network."""
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"


def heed_terms(allowed: bool) -> None:
    """Says that non-commercial parts may be used, here and in processes that follow."""
    if allowed:
        from ..models.files.catalogue import ALLOWED

        os.environ[ALLOWED] = "1"


def say(text: str) -> None:
    """A command's result, on standard output."""
    sys.stdout.write(printable(text.rstrip("\n")) + "\n")
    sys.stdout.flush()


def answer(as_json: bool, value: Any, text: str, *files: Path) -> int:
    """A command's result: ``value`` as JSON, or ``text`` and the files it wrote; exit code 0."""
    say(
        json.dumps(value, ensure_ascii=False)
        if as_json
        else "\n".join([text.rstrip("\n"), *map(str, files)])
    )
    return 0


def tell(text: str) -> None:
    """What happens meanwhile, on standard error."""
    sys.stderr.write(printable(text) + "\n")
    sys.stderr.flush()
