"""The full-size models: where each comes from, how large it is, and what its licence allows.

Everything that is true of a model before it is fetched stands in this table and nowhere else. The
hub could not be reached where it was written, so no commit is written into it: the first fetch pins
the commit that it got (``hub.read_lock``), and from then on nothing else is opened. A size follows
from the number of parameters, which a test counts in the published configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ...errors import ModelError
from ...presets import Suits

DEFAULT_MODEL = "miniature"  # comes with the package
OPENRAIL = (
    "CreativeML Open RAIL++-M",
    True,
    "commercial use allowed; its use restrictions go on to whoever gets the model or a derivative",
)
APACHE = ("Apache-2.0", True, "commercial use allowed; keep the notice")
UNKNOWN = ("not known here", False, "read the model's page before you use it")


@dataclass(frozen=True)
class Entry:
    """One model on the hub.

    Attributes:
        name: what the command line calls it.
        role: ``base``, ``identity``, ``segmenter`` or ``few-steps``; ``clip`` of what measures and
            stands in no table.
        repo: hub id.
        licence: its name.
        commercial: whether pictures and services made with it may be sold.
        terms: a sentence about the licence.
        parameters: numbers in it; 0 where not known.
        width: bytes of each number in the files.
        file: the one file that is wanted; empty for a folder in the hub's layout.
        part: which identity generator or segmenter it belongs to (`models.family`).
        place: where it lies in a complete checkpoint.
        converter: the module that turns ``file``, a pickle, into safetensors; it is run in a process
            of its own as ``python -m MODULE FROM TO``.
        converted: the name of what it makes.
        suits: what the model is used with (``base`` only).
        revision: the commit that is fetched and opened unless the lock has another; empty lets the
            first fetch pin one.
    """

    name: str
    role: str
    repo: str
    licence: str
    commercial: bool
    terms: str
    parameters: int = 0
    width: int = 4
    file: str = ""
    part: str = ""
    place: str = ""
    converter: str = ""
    converted: str = ""
    suits: Suits = field(default_factory=Suits)
    revision: str = ""

    @property
    def size(self) -> int:
        """Bytes of weights, about; 0 where not known."""
        return self.parameters * self.width


ENTRIES = {
    entry.name: entry
    for entry in (
        Entry(
            "sdxl-base",
            "base",
            "stabilityai/stable-diffusion-xl-base-1.0",
            *OPENRAIL,
            # U-Net, two text encoders, VAE
            parameters=2_567_463_684 + 123_060_480 + 694_659_840 + 83_653_863,
            width=2,
            suits=Suits(guidance=5.0, steps=50, sampler="ddim", stories="consistory_human"),
        ),
        Entry(
            "photomaker",
            "identity",
            "TencentARC/PhotoMaker",
            *APACHE,
            # the encoder; a LoRA of rank 64 on every attention projection
            parameters=326_273_024 + 92_897_280,
            width=2,
            file="photomaker-v1.bin",
            part="photomaker",
            place="photomaker.safetensors",
            converter="identitystory.models.sdxl.convert",
            converted="photomaker-v1.safetensors",
        ),
        Entry(
            "grounding-dino",
            "segmenter",
            "IDEA-Research/grounding-dino-base",
            *APACHE,
            parameters=232_315_264,
            part="grounded-sam",
            place="segmenter/detector",
        ),
        Entry(
            "sam",
            "segmenter",
            "facebook/sam-vit-huge",
            *APACHE,
            parameters=641_090_864,
            part="grounded-sam",
            place="segmenter/sam",
        ),
        Entry(
            "clipseg",
            "segmenter",
            "CIDAS/clipseg-rd64-refined",
            *APACHE,
            parameters=152_504_162,
            part="clipseg",
            place="segmenter",
        ),
        # A LoRA with which SDXL needs eight steps and no guidance; only `--distilled` wants it.
        Entry(
            "sdxl-lightning",
            "few-steps",
            "ByteDance/SDXL-Lightning",
            *OPENRAIL,
            file="sdxl_lightning_8step_lora.safetensors",
        ),
    )
}

OPTIONAL = ("sdxl-lightning",)  # serve any SDXL base; fetched by name
BUNDLES = {
    "sdxl": ("sdxl-base", "photomaker", "grounding-dino", "sam"),
    "sdxl-light": ("sdxl-base", "photomaker", "clipseg"),
}


def is_hub_id(name: str) -> bool:
    """Whether ``name`` looks like ``owner/name`` and not like a path."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and not name.endswith("/")


def entry_of(name: str, role: str = "base") -> Entry:
    """The entry called ``name``, or one for a hub id, which is taken to have that ``role``.

    Raises:
        ModelError: it is neither.
    """
    if name in ENTRIES:
        return ENTRIES[name]
    for entry in ENTRIES.values():
        if entry.repo == name:
            return entry
    if is_hub_id(name):
        return Entry(name, role, name, *UNKNOWN)
    raise ModelError(
        f"no model is called {name!r}; there are {', '.join([*BUNDLES, *ENTRIES])}, "
        "and hub ids like owner/name"
    )


def entries_of(name: str) -> list[Entry]:
    """The entries that ``name`` needs: of ``sdxl``, ``sdxl-light``, ``sdxl:BASE``, or of one alone.

    Raises:
        ModelError: there is no such model.
    """
    bundle, base = split_name(name)
    if bundle is None:
        return [entry_of(name)]
    entries = [ENTRIES[part] for part in BUNDLES[bundle]]
    if base:
        entries = [entry for entry in entries if entry.role != "base"]
        entries = [entry_of(base), *entries] if is_hub_id(base) else entries
    return entries


def split_name(model: str) -> tuple[str | None, str]:
    """``("sdxl", "owner/name")`` of ``sdxl:owner/name``; the first is None if it is no bundle."""
    bundle, _, base = model.partition(":")
    return (bundle, base) if bundle in BUNDLES else (None, "")
