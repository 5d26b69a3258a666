"""A signed manifest in a file (C2PA): who says what of it, and that nobody changed it since (extra: c2pa)."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

from .. import __version__
from ..errors import ConfigError, one_line
from .mark import Kind, inside, mark
from .packet import SPACES, TRAINED, Claim, plain, properties

FORMATS: Mapping[str, str] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "pdf": "application/pdf",
    "mp4": "video/mp4",
}  # a zip and a page are signed picture by picture
INSTALL = "pip install 'identitystory[c2pa]'"
MAX_LOOKED = 400_000_000  # bytes that are looked through for the ends of streams
_AGENT = {"name": "identitystory", "version": __version__}
# Nothing is asked over the network: no manifest that lies elsewhere, no list of withdrawn certificates.
_SETTINGS = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


@dataclass(frozen=True)
class Certificate:
    """Who signs: the certificates, the signer's first, the key, both as PEM, and the algorithm."""

    chain: str
    key: str
    algorithm: str

    def __repr__(self) -> str:
        """Never the key."""
        return f"Certificate({self.algorithm})"


@dataclass(frozen=True)
class Signature:
    """What a file's manifest is worth.

    Attributes:
        state: ``absent``; ``valid``; ``changed``, the file or the manifest is not what was signed;
            ``invalid``, it does not hold for another reason; or ``unchecked``, one is there and the
            extra is not.
        by: whose name is on it; anybody may write any name unless it is ``trusted``.
        trusted: whether its issuer is on the list of the checking library.
        why: what does not hold, in the standard's codes.
        said: what it says, by the names of XMP.
    """

    state: Literal["absent", "valid", "changed", "invalid", "unchecked"]
    by: str = ""
    trusted: bool = False
    why: str = ""
    said: Mapping[str, str] = field(default_factory=dict)


def read_certificate(content: bytes, name: str) -> Certificate:
    """The certificate of a PEM file with one key and the certificates from the signer's up.

    Raises:
        ConfigError: the extra is missing, or the file, called ``name``, holds something else.
    """
    need()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    text = content.decode("ascii", "replace")
    chain = re.findall(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", text, re.S)
    keys = re.findall(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.+?-----END [A-Z ]+-----\n?", text, re.S)
    if not chain or len(keys) != 1:
        raise ConfigError(
            f"{name} holds {len(chain)} certificates and {len(keys)} keys; it takes a PEM file with "
            "the signer's certificate, those above it, and the key"
        )
    try:
        key = serialization.load_pem_private_key(keys[0].encode(), None)
    except (ValueError, TypeError):
        raise ConfigError(f"the key in {name} cannot be read; it may not have a password") from None
    algorithm = ""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithm = {"secp256r1": "es256", "secp384r1": "es384"}.get(key.curve.name, "")
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm = "ed25519"
    elif isinstance(key, rsa.RSAPrivateKey):
        algorithm = "ps256"
    if not algorithm:
        raise ConfigError(
            f"the key in {name} is of no kind that C2PA takes; P-256 is the usual one"
        )
    return Certificate("".join(chain), keys[0], algorithm)


def has_extra() -> bool:
    """Whether the extra is installed."""
    return find_spec("c2pa") is not None


def need() -> None:
    """Nothing, if the extra is installed.

    Raises:
        ConfigError: it is not.
    """
    if not has_extra():
        raise ConfigError(f"signing needs the extra c2pa: {INSTALL}")


def sign(data: bytes, kind: Kind, claim: Claim, certificate: Certificate) -> bytes:
    """``data`` with a signed manifest that says what `mark` says; done last, for any later change breaks it.

    Of an EPUB, a CBZ and a page, every picture inside is signed. Other bytes each time: a manifest
    has a number of its own, and the moment that it was signed.

    Args:
        data: a whole file, marked already.
        kind: what it is.
        claim: what is said of it.
        certificate: who says so.

    Raises:
        ConfigError: the certificate is not one to sign with, or no longer.
        ValueError: the file is broken.
    """
    if kind not in FORMATS:
        return inside(data, kind, lambda content, its: _signed(content, its, claim, certificate))
    return _signed(data, kind, claim, certificate)


def _signed(data: bytes, kind: str, claim: Claim, certificate: Certificate) -> bytes:
    import c2pa

    made = c2pa.C2paSignerInfo(
        certificate.algorithm,
        certificate.chain.encode(),
        certificate.key.encode(),
        None,  # no clock of others
    )
    out = io.BytesIO()
    try:
        with (
            c2pa.Context.from_dict(_SETTINGS) as context,
            c2pa.Signer.from_info(made) as signer,
            c2pa.Builder(manifest(claim), context) as builder,
        ):
            builder.sign(signer, FORMATS[kind], io.BytesIO(data), out)
    except c2pa.C2paError as error:
        if isinstance(error, c2pa.C2paError.Signature):
            raise ConfigError(f"nothing can be signed with this certificate: {error}") from None
        raise ValueError(f"it cannot be signed ({error})") from None
    return out.getvalue()


def manifest(claim: Claim) -> dict[str, Any]:
    """What is signed: made by a trained algorithm, with this program, and the claim as the packet has it."""
    created = {"action": "c2pa.created", "digitalSourceType": TRAINED, "softwareAgent": _AGENT}
    told = {"@context": SPACES, **properties(claim)}
    return {
        "claim_generator_info": [_AGENT],
        "title": claim.story or "identitystory",
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [created]}},
            {"label": "cawg.metadata", "data": told},
        ],
    }


def signature(data: bytes, kind: str) -> Signature:
    """What the manifest of a file itself is worth. Nothing is asked over the network."""
    there = b"jumb" in data and b"c2pa" in data
    if not has_extra():
        return Signature("unchecked" if there else "absent")
    import c2pa

    try:
        if kind == "pdf" and _endless(data):
            raise ValueError("the PDF's streams do not end")
        with c2pa.Context.from_dict(_SETTINGS) as context:
            reader = c2pa.Reader.try_create(FORMATS[kind], io.BytesIO(data), context=context)
            if reader is None:
                return Signature("absent")
            with reader:
                return _told(json.loads(reader.json()))
    except (c2pa.C2paError, ValueError, LookupError, TypeError, AttributeError) as error:
        return Signature("invalid", why=one_line(str(error))) if there else Signature("absent")


def _endless(pdf: bytes) -> bool:
    """Whether so many streams have no end that the library, which looks for each, would take seconds."""
    begun, ended = pdf.count(b"stream"), 2 * pdf.count(b"endstream")  # the one is in the other
    return (begun - ended) * len(pdf) > MAX_LOOKED


def _told(report: Mapping[str, Any]) -> Signature:
    """A signature as the checking library reports it; a stranger wrote what is in it."""
    active = report["manifests"][report["active_manifest"]]
    wrong = [str(each["code"]) for each in report.get("validation_status") or ()]
    wrong = [code for code in dict.fromkeys(wrong) if code != "signingCredential.untrusted"]
    signer = active.get("signature_info") or {}
    by = plain(str(signer.get("common_name") or signer.get("issuer") or ""))
    said: dict[str, str] = {}
    for each in active.get("assertions") or ():
        if each.get("label") == "cawg.metadata":
            said = {str(k): plain(v) for k, v in each["data"].items() if isinstance(v, str)}
    trusted = report.get("validation_state") == "Trusted"
    if not wrong and report.get("validation_state") in ("Valid", "Trusted"):
        return Signature("valid", by, trusted, said=said)
    changed = any(code.endswith(".mismatch") for code in wrong)
    return Signature("changed" if changed else "invalid", by, False, ", ".join(wrong), said)


def handed_out(
    data: bytes, kind: Kind, claim: Claim | None, certificate: Certificate | None
) -> bytes:
    """``data`` marked with the claim, and signed where there is a certificate; see `mark` and `sign`."""
    marked = mark(data, kind, claim)
    return sign(marked, kind, claim, certificate) if claim and certificate else marked
