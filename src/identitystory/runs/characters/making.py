"""Character files made: of somebody that a run found, of portraits in memory, of photos."""

from __future__ import annotations

import io
import secrets
import warnings
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from ... import pipeline
from ...discovery import check_finite, mean
from ...errors import ConfigError, RunError, one_line
from ...models.files.catalogue import called, terms_of
from ...protocols import ModelFacts
from ...seeds import portrait_seeds
from ...settings import to_dict
from ...types import Character
from .. import files, inside
from ..folder import RunFolder, has_identity, no_run, read_record
from ..opening import Load, open_model
from ..request import RunRequest, recorded
from . import consent as consents
from .archive import CharacterFile, made
from .form import Consent, Found, Licence, Look, Made

PHOTO_SIDE = 512  # pixels of a photo as it is kept
MIN_PHOTO = 128
MAX_PHOTO = 1 << 27  # bytes of a photo's file
ALIKE = 0.9  # cosine of each repainted portrait's embedding with the one that was found


def found(
    character: Character,
    *,
    model: str,
    facts: ModelFacts,
    preset: Mapping[str, Any],
    seed: int,
    kept: Sequence[int],
    portraits: Sequence[Image.Image],
    E: Tensor,
    embedding: Tensor,
    versions: Mapping[str, str] | None = None,
) -> CharacterFile:
    """The file of an invented face.

    Args:
        character: who it is; what they wear becomes the look ``usual``.
        model: the name that it was asked for by.
        facts: what it is.
        preset: its settings as plain values.
        seed: of the search.
        kept: which portraits the filter kept, of all that were painted.
        portraits: these, in order.
        E: (n, d), their embeddings.
        embedding: (d,), the face.
        versions: of the software; None is what is installed here.

    Raises:
        RunError: it cannot be a file: too many portraits.
    """
    looks = {"usual": Look(wears=character.wears)} if character.wears else {}
    search = Found(seed=seed, kept=list(kept), preset=dict(preset))
    told = _told(character, model, facts, versions, looks=looks, found=search)
    return made(told, portraits, {facts.embeds: (E, embedding)})


def _told(
    character: Character,
    model: str,
    facts: ModelFacts,
    versions: Mapping[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """What `archive.made` asks for."""
    terms = terms_of(model)
    return {
        "format": 1,
        "name": character.name,
        "description": character.description,
        "noun": character.noun,
        "made": Made(
            model=called(model),
            fingerprint=facts.fingerprint,
            dtype=facts.dtype,
            versions=dict(versions or files.versions()),
        ),
        "licence": Licence(
            name=terms.licence, commercial=terms.commercial, terms=terms.terms, parts=terms.parts
        ),
        **more,
    }


def from_run(run: Path, name: str, facts: ModelFacts, load: Load) -> CharacterFile:
    """The file of somebody whose face a run found; the kept portraits are painted again.

    Args:
        run: the run's folder.
        name: of a character of its story.
        facts: what the run's model is here.
        load: opens it.

    Raises:
        RunError: there is no run; its identity is not there, is of a character file, or of other weights.
    """
    request = recorded(run)
    who = {c.name: c for c in request.story.faced}.get(name)
    if who is None:
        known = ", ".join(repr(c.name) for c in request.story.faced) or "nobody"
        raise ConfigError(f"{run} has no face of {name!r}; there is {known}")
    if who.face:
        raise RunError(f"the face of {name!r} is of a character file already; import that file")
    folder = RunFolder(run)
    record = read_record(folder)
    if record is None:
        raise no_run(run)
    part = record["parts"].get(
        folder.identity(name).relative_to(run).with_suffix("").as_posix(), {}
    )
    if not has_identity(folder, name, part.get("key", ""), files.silent):
        raise RunError(
            f"{run} has no finished face of {name!r}; first run: identitystory discover {run}"
        )
    if record.get("model", {}).get("fingerprint") != facts.fingerprint:
        raise RunError(
            f"{run} was painted by another checkpoint than {request.model!r} is here; the portraits "
            "cannot be painted again with it"
        )
    return of_search(request, who, int(part["seed"]), folder.identity(name), facts, load)


def of_search(
    request: RunRequest, who: Character, seed: int, identity: Path, facts: ModelFacts, load: Load
) -> CharacterFile:
    """The file of somebody whose face was searched for; the kept portraits are painted again.

    Args:
        request: what the search was a part of.
        who: was searched for.
        seed: of the search.
        identity: what it found, a file of `folder.write_identity` in the run.
        facts: what the run's model is here.
        load: opens it.

    Raises:
        RunError: the portraits show another face now.
    """
    tensors, name = files.read_tensors(identity, request.out), who.name
    kept = tensors["kept"].tolist()
    E, embedding = tensors["E"][tensors["kept"]], tensors["embedding"].float()
    portraits, again = _painted(request, who, seed, kept, facts, load)
    alike = float(torch.nn.functional.cosine_similarity(again, E.float(), dim=1).min())
    if not alike > ALIKE:
        raise RunError(
            f"painted again, a portrait of {name!r} shows another face (cosine {alike:.2f}); paint "
            "the run again on this machine"
        )
    return found(
        who,
        model=request.painted_with,
        facts=facts,
        preset=to_dict(request.preset),
        seed=seed,
        kept=kept,
        portraits=portraits,
        E=E.float(),
        embedding=embedding,
    )


def _painted(
    request: RunRequest,
    who: Character,
    seed: int,
    kept: Sequence[int],
    facts: ModelFacts,
    load: Load,
) -> tuple[list[Image.Image], Tensor]:
    """The portraits ``kept`` of a search, and their embeddings (n, d)."""
    config = request.preset.discovery
    seeds = portrait_seeds(who, seed, config.num_portraits)
    wanted = [seeds[n] for n in kept]
    backend = open_model(load, request.painted_with, request.preset, facts)
    pictures: list[Image.Image] = []
    rows: list[Tensor] = []
    with torch.no_grad():
        for a in range(0, len(wanted), 16):
            images, E = pipeline.portraits(
                backend.search or backend.identity, who, wanted[a : a + 16], config
            )
            pictures += images
            rows.append(E)
    return pictures, torch.cat(rows)


def new_consent(by: str, purpose: str, until: str) -> Consent:
    """A consent that is recorded today.

    Raises:
        ConfigError: somebody or something is not said, or the day is none or is over.
    """
    day = consents.today()
    try:
        last = date.fromisoformat(until)
    except ValueError:
        raise ConfigError(f"--until {until!r} is no day; give one as 2027-12-31") from None
    if last < day:
        raise ConfigError(f"--until {until} is over; a consent holds until a day that is to come")
    for option, said in (("--by", by), ("--purpose", purpose)):
        if not said.strip() or len(said) > 400 or one_line(said) != said:
            raise ConfigError(f"{option} must be a line of 1 to 400 characters; it is {said!r:.80}")
    return Consent(
        id=secrets.token_hex(16),
        by=by,
        purpose=purpose,
        given=day.isoformat(),
        until=last.isoformat(),
    )


def from_photos(
    character: Character,
    photos: Sequence[Path],
    consent: Consent,
    *,
    model: str,
    facts: ModelFacts,
    load: Load,
    preset: Any,
) -> CharacterFile:
    """The file of a face that photos show, whose person agreed to it.

    The middle square of each photo is kept, at 512 x 512 pixels and without metadata.

    Args:
        character: who it is.
        photos: of head and shoulders, one person in each: PNG, JPEG or WebP.
        consent: see `new_consent`.
        model: the name of the model that embeds them.
        facts: what it is.
        load: opens it.
        preset: what it is opened with.

    Raises:
        RunError: a photo cannot be read, is too small or too large, or shows no face.
    """
    pictures = [_photo(path) for path in photos]
    backend = open_model(load, model, preset, facts)
    with torch.no_grad():
        E = backend.identity.embed(pictures).detach().float().cpu()
    check_finite(E)
    for path, row in zip(photos, E, strict=True):
        if not row.any():
            raise RunError(
                f"{path} shows no face that was found; give a photo of head and shoulders"
            )
    told = _told(character, model, facts, consent=consent)
    return made(told, pictures, {facts.embeds: (E, mean(E))})


def _photo(path: Path) -> Image.Image:
    with inside.mendable(path, "read"):
        content = inside.read(path.resolve(), most=MAX_PHOTO)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP"))
        if min(image.size) < MIN_PHOTO:
            raise ValueError(
                f"it is {image.width} x {image.height}; from {MIN_PHOTO} a side are taken"
            )
        upright = ImageOps.exif_transpose(image).convert("RGB")
    except (*files.BROKEN, Image.DecompressionBombWarning) as error:
        raise RunError(
            f"{path} is no photo that can be used ({one_line(str(error))[:200]})"
        ) from None
    return ImageOps.fit(upright, (PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.LANCZOS)
