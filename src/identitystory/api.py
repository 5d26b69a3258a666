"""The door for scripts and notebooks: find somebody, paint them, tell a story.

model = IdentityStory.from_pretrained("miniature")
mara = model.discover("a young woman with long red hair", seed=0)
frame = model.paint("a portrait of {Mara} on a beach", cast={"Mara": mara})
for frame in model.tell("examples/lighthouse.toml"): ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from tqdm.auto import tqdm

from .config import Preset
from .cost import frame_evaluations, search_evaluations
from .discovery import averaging
from .errors import ConfigError
from .models.files.catalogue import DEFAULT_MODEL
from .models.files.suited import preset as named_preset
from .person import Person, Search, loaded
from .pipeline import find_identity, paint
from .presets import DEFAULT_PRESET
from .protocols import Backend, ModelFacts
from .runs.characters.casting import read_story
from .runs.events import FrameReady, PartKept, Started, StepDone
from .runs.files import read_picture
from .runs.folder import RunFolder
from .runs.opening import Kept, open_model
from .runs.options import new_request
from .runs.plan import PORTRAIT_BATCH
from .runs.request import in_pixels, in_precision
from .runs.service import Service, describe_model, load_model
from .sampling import watched
from .settings import Overrides, overridden
from .sizes import shape_of
from .story.file import make_character
from .story.safety import check_story
from .story.scenes import make_scene
from .story.text import by_name, words
from .types import Character, Frame, Story

OnStep = Callable[[int, int], None]
Batches = list[tuple[list[Image.Image], torch.Tensor]]


class IdentityStory:
    """A model in memory, with the settings that it paints with. `from_pretrained` makes one.

    Attributes:
        model: the name it was opened by.
        preset: its settings.
        facts: fingerprint, device and precision.
        on_step: called before each step with the network calls done and those expected. What it
            raises stops the work; what is finished is kept.
        progress: whether a bar is shown; None shows it on a terminal and in a notebook.
    """

    def __init__(
        self,
        model: str,
        preset: str | Preset | None,
        facts: ModelFacts,
        load: Kept,
        *,
        dtype: str = "auto",
        on_step: OnStep | None = None,
        progress: bool | None = None,
    ) -> None:
        """Opens the model; see `from_pretrained`, which is what to call."""
        self.model = model
        self._own = preset if isinstance(preset, Preset) else None
        self._name = preset if isinstance(preset, str) else None
        self.preset = self._own or named_preset(self._name or DEFAULT_PRESET, model)
        self.facts = in_precision(facts, dtype, self.preset)
        self.on_step, self.progress = on_step, progress
        self._load = load
        self._searches: dict[tuple[Character, int], Batches] = {}  # those that were stopped
        open_model(load, model, self.preset, self.facts)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = DEFAULT_MODEL,
        *,
        preset: str | Preset | None = None,
        device: str = "auto",
        dtype: str = "auto",
        on_step: OnStep | None = None,
        progress: bool | None = None,
    ) -> IdentityStory:
        """The model, in memory and ready. Nothing is fetched.

        Args:
            model: ``miniature``, ``sdxl``, ``sdxl-light``, a folder, or the hub id of a model that
                was fetched; LoRAs on it behind it: ``sdxl + ink.safetensors:0.8``.
            preset: a preset's name, or one of your own; None is ``recommended``.
            device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
            dtype: ``auto``, ``float32``, ``bfloat16`` or ``float16``.
            on_step: see the class.
            progress: see the class.

        Raises:
            ModelError: it is not on this machine, or broken; the sentence says what to do.
            ConfigError: there is no such preset, device or precision.
        """
        name, own = str(model), Kept(load_model)
        facts = describe_model(name, device, dtype)
        return cls(name, preset, facts, own, dtype=dtype, on_step=on_step, progress=progress)

    def discover(
        self, description: str, *, name: str = "Somebody", noun: str | None = None, seed: int = 0
    ) -> Person:
        """One face for a description, by Iterative Identity Discovery (Sec. 3.1).

        A search that was stopped goes on where it was when it is asked for again.

        Args:
            description: ``a young woman with long red hair``.
            name: seeds depend on it: with a story's name, face and seed are the story's.
            noun: the word of the description that says who it is; found if it is None.
            seed: another one finds another portrait set, and perhaps another face.

        Raises:
            StoryError: the description is empty, or names no person.
            PromptError: it is longer than the model reads.
        """
        character = make_character(name, description, noun, place="discover")
        batches = self._searches.setdefault((character, seed), [])
        with self._watched("portraits", search_evaluations(self.preset)) as backend:
            identity, portraits, E = find_identity(
                backend.search or backend.identity,
                character,
                self.preset.discovery,
                seed=seed,
                batch=PORTRAIT_BATCH,
                ready=batches,
            )
        del self._searches[character, seed]
        return Person(
            character,
            identity,
            tuple(portraits),
            self.facts.fingerprint,
            Search(self.model, self.facts, self.preset, seed, E),
        )

    def load(self, file: str | Path, *, look: str | None = None) -> Person:
        """Somebody of a character file, as this model sees them; see `Person.save`.

        Args:
            file: ``mara.character``, or a name in the library of ``identitystory cast``.
            look: one of the file's: other clothes, other hair.

        Raises:
            RunError: there is no such file, it is damaged, or the consent for the face has ended.
            ConfigError: nobody in the library is called so, or there is no such look.
        """
        backend = open_model(self._load, self.model, self.preset, self.facts)
        with torch.no_grad():
            average = averaging(self.preset.discovery)
            return loaded(str(file), look, self.facts, backend.identity.embed, average)

    def paint(
        self,
        scene: str,
        cast: Mapping[str, Person] | None = None,
        *,
        seed: int = 0,
        style: str = "",
        size: str | None = None,
        aspect: str | None = None,
    ) -> Frame:
        """One picture, by Re-denoising Identity Injection (Sec. 3.2); ``frame.image`` is PIL's.

        Args:
            scene: ``a portrait of {Mara} on a beach``; the names in braces are keys of ``cast``.
            cast: who may be in it.
            seed: of the picture.
            style: put in front of the scene, as in a story file.
            size: ``1216x832``, width x height in pixels; None is the model's own.
            aspect: ``16:9`` instead: the nearest size that the model was made for.

        Raises:
            StoryError: a name in braces that is not in ``cast``, one that stands there twice, a stray
                brace, or what is never painted.
            ConfigError: somebody was found with other weights, or the model takes no such size.
            PromptError: the scene is longer than the model reads.
        """
        people, style = by_name(cast or {}, "cast"), words(style, "paint: 'style'")
        for name, person in people.items():
            if person.fingerprint != self.facts.fingerprint:
                raise ConfigError(
                    f"{name!r} was found with other weights than {self.model!r} has here; "
                    "discover them again with this model"
                )
        characters = tuple(replace(p.character, name=name) for name, p in people.items())
        made = make_scene(scene, characters, style=style, source="paint", number=1)
        made = replace(made, shape=in_pixels(shape_of(size, aspect), self.facts, self.model))
        story = Story("", characters, (made,), style)
        check_story(story, "paint")
        identities = {name: person.identity for name, person in people.items()}
        with self._watched("picture", frame_evaluations(self.preset, len(made.cast))) as backend:
            return paint(backend, story, made, identities, self.preset, seed=seed)

    def tell(
        self,
        story: str | Path | Story,
        out: str | Path | None = None,
        *,
        seed: int | None = None,
        only: tuple[int, ...] = (),
        method: str | None = None,
        **more: Any,
    ) -> Iterator[Frame]:
        """A story's frames: painted, kept and resumed in a run folder as ``generate`` does.

        Frames that are there come first, the others as they get ready. After a break the same call goes on.

        Args:
            story: a story, or its file.
            out: the run folder; None is ``runs/<title>``.
            seed: of the run, or with ``only`` of these frames; None keeps the run's own.
            only: indexes of the scenes to paint, from 0; empty paints all.
            method: another way to paint, see ``identitystory generate --help``.
            **more: ``size`` and ``aspect`` of pictures that have none of their own, and ``steps``,
                ``portraits``, ``guidance`` and others of `settings.Overrides`.

        Raises:
            IdentityStoryError: the user can mend it; nothing half-written is left.
        """
        whole, people = (story, {}) if isinstance(story, Story) else read_story(story)
        shape = {key: more.pop(key) for key in ("size", "aspect") if key in more}
        overrides = Overrides(**more)
        request = new_request(
            whole,
            None if out is None else Path(out),
            Overrides() if self._own else overrides,
            preset_name=self._name,
            file=None if isinstance(story, Story) else story,
            seed=seed,
            only=only,
            method=method,
            model=self.model,
            device=self.facts.device,
            dtype=self.facts.dtype,
            **shape,
        )
        request = replace(request, people=people)
        if self._own is not None:
            own, notes = overridden(self._own, overrides)
            request = replace(request, preset=own, notes=(*request.notes, *notes))
        tell = lambda name, *how: self.facts if name == self.model else describe_model(name, *how)
        events = Service(load=self._load, describe=tell).run(request)
        with closing(events), self._bar(whole.title, 0) as step:  # type: ignore[type-var]
            for event in events:
                match event:
                    case Started(evaluations=calls):
                        step(0, calls)
                    case StepDone(evaluations=done, total=total):
                        step(done, total)
                    case FrameReady(part=part) | PartKept(part=part) if part.startswith("frames/"):
                        index = int(part.removeprefix("frames/")) - 1
                        picture = read_picture(RunFolder(request.out).frame(index), request.out)
                        yield Frame(request.story.scenes[index], picture.convert("RGB"))

    @contextmanager
    def _watched(self, what: str, calls: int) -> Iterator[Backend]:
        """The model, each of its steps told to the bar and to ``on_step``; no gradients."""
        backend = open_model(self._load, self.model, self.preset, self.facts)
        done = 0
        with self._bar(what, calls) as step, torch.no_grad():

            def on_step(calls_of_step: int) -> None:
                nonlocal done
                done += calls_of_step
                step(done, max(done, calls))

            yield watched(backend, on_step)

    @contextmanager
    def _bar(self, what: str, calls: int) -> Iterator[OnStep]:
        """A function of the network calls done and expected, which moves a bar."""
        disable = None if self.progress is None else not self.progress
        with tqdm(total=calls, desc=what, unit="call", leave=False, disable=disable) as bar:

            def step(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)
                if self.on_step is not None and done:
                    self.on_step(done, total)

            yield step
