"""Signed manifests and `verify`: what is signed holds, what is changed shows, what is absent is said."""

import io
import json
import stat
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from identitystory.cli.main import main
from identitystory.errors import ConfigError
from identitystory.marks import manifest
from identitystory.marks.certificate import new_certificate
from identitystory.marks.mark import KINDS, mark
from identitystory.marks.packet import TRAINED, Claim
from identitystory.marks.verify import lines, verify
from tests.containers import MADE, saved

c2pa = pytest.importorskip("c2pa")
CLAIM = Claim("miniature", "f" * 64, "Salt", "Apache-2.0")


@pytest.fixture(scope="module")
def signer():
    return manifest.read_certificate(new_certificate("Test Studio"), "it")


@pytest.mark.parametrize("kind", KINDS)
def test_a_signed_file_of_every_kind_holds_and_a_changed_one_does_not(kind, signer):
    signed = manifest.handed_out(MADE[kind](), kind, CLAIM, signer)
    report = verify(signed, f"x.{kind}")
    assert report.said["story"] == "Salt"
    if kind not in manifest.FORMATS:
        count = report.pictures["pictures"]
        assert report.pictures == {"pictures": count, "marked": count, "valid": count}
        assert report.signature.state == "absent"
        return
    assert (report.signature.state, report.signature.by) == ("valid", "Test Studio")
    assert not report.signature.trusted
    assert report.signature.said["Iptc4xmpExt:DigitalSourceType"] == TRAINED
    assert report.signature.said["Iptc4xmpExt:AISystemVersionUsed"] == "f" * 64
    assert report.signature.said["dc:rights"] == "Apache-2.0"
    other = verify(signed.replace(b"Salt", b"Malt"), f"x.{kind}").signature
    assert other.state == "changed"
    assert other.by == "Test Studio"
    if kind in ("pdf", "mp4"):
        with pytest.raises(ValueError, match="is signed"):
            mark(signed, kind, CLAIM)
    else:  # no signature that does not hold is left behind
        again = mark(signed, kind, Claim(story="Another"))
        assert again == mark(MADE[kind](), kind, Claim(story="Another"))
        assert verify(again, "x").signature.state == "absent"


def test_streams_that_never_end_are_not_looked_for(signer, monkeypatch):
    """The library looks for the end of each, through the whole file: 88 s of a file of 1 MB."""
    pages = manifest.handed_out(MADE["pdf"](), "pdf", CLAIM, signer)
    for ending in (b"", b"endstream"):
        few, many = (pages + b"stream\n" * n + ending for n in (100, 100_000))
        assert manifest.signature(few, "pdf").why != "the PDF's streams do not end"
        with monkeypatch.context() as without:
            without.setattr(c2pa.Reader, "try_create", None)  # nobody asks it
            assert manifest.signature(many, "pdf").why == "the PDF's streams do not end"
            plain = b"%PDF-1.7\n" + b"stream\n" * 100_000
            assert manifest.signature(plain, "pdf").state == "absent"


def test_without_the_extra_a_signature_is_named_and_not_judged(signer, monkeypatch):
    signed = {k: manifest.handed_out(MADE[k](), k, CLAIM, signer) for k in manifest.FORMATS}
    monkeypatch.setattr(manifest, "find_spec", lambda _: None)
    for kind, content in signed.items():
        assert verify(content, "x").signature.state == "unchecked"
        assert verify(mark(MADE[kind](), kind, CLAIM), "x").signature.state == "absent"
    with pytest.raises(ConfigError, match=r"identitystory\[c2pa\]"):
        manifest.read_certificate(b"", "it")


def test_certificates_that_cannot_sign_are_refused_in_one_line(signer):
    whole = new_certificate("Studio").decode()
    chain, key = whole.split("-----BEGIN PRIVATE")
    for broken in ("", chain, "-----BEGIN PRIVATE" + key, whole.replace("MIG", "AAA")):
        with pytest.raises(ConfigError, match=r"it takes a PEM file|cannot be read"):
            manifest.read_certificate(broken.encode(), "it")
    other = new_certificate("Studio").decode().split("-----BEGIN PRIVATE")[1]
    old = new_certificate("Studio", datetime(2001, 1, 1, tzinfo=UTC))
    for content in (f"{chain}-----BEGIN PRIVATE{other}".encode(), old):
        with pytest.raises(ConfigError, match="nothing can be signed with this certificate"):
            manifest.sign(saved("PNG"), "png", CLAIM, manifest.read_certificate(content, "it"))
    assert "PRIVATE" not in repr(signer)


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))

    def run(*argv, code=0):
        assert main([*argv]) == code
        out = capsys.readouterr()
        return out.err if code else out.out

    return run


def test_a_certificate_is_made_once_for_its_owner_alone_and_signs_what_lost_its_mark(told):
    Path("plain.jpg").write_bytes(saved("JPEG"))
    no = told("sign", "plain.jpg", "--out", "given", code=2)
    assert "make one with identitystory certificate" in no
    file = Path(told("certificate", "--name", "Lighthouse Press").strip())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file == Path("settings/identitystory/signing.pem").resolve()
    assert "is there; delete it" in told("certificate", code=2)
    assert told("sign", "plain.jpg", "--out", "given") == "given/plain.jpg\n"
    said = told("verify", "given/plain.jpg", "plain.jpg")
    assert said.splitlines()[1:] == [
        f"  says: a trained algorithm made it (IPTC trainedAlgorithmicMedia), with {said_tool()}",
        "  signature: valid, by 'Lighthouse Press', a name that no known issuer stands for; "
        "nothing was changed since",
        "plain.jpg",
        "  says nothing of who made it",
        "  signature: absent",
    ]
    Path("mine").mkdir()
    Path("mine/plain.jpg").write_bytes(b"a holiday")
    told("sign", "plain.jpg", "--out", "mine", code=2)
    assert Path("mine/plain.jpg").read_bytes() == b"a holiday"
    assert told("sign", "plain.jpg", "--out", "given") == "given/plain.jpg\n"
    told("sign", "plain.jpg", "--out", ".", code=2)
    told("sign", "plain.jpg", "--out", "given", "--certificate", "plain.jpg", code=2)


def said_tool():
    from identitystory.marks.packet import TOOL

    return TOOL


def test_a_plain_resave_drops_everything_and_verify_says_so(told, signer):
    Path("a.png").write_bytes(manifest.handed_out(saved("PNG"), "png", CLAIM, signer))
    with Image.open("a.png") as image:
        image.crop((0, 0, 9, 9)).save("b.png")
    report = json.loads(told("verify", "--json", "b.png"))
    assert report["said"] == {}
    assert report["signature"]["state"] == "absent"


def test_verify_reads_strangers_files_without_trust(told):
    bad = b'<?xpacket begin="" id=""?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a><?xpacket end="w"?>'
    for content in (
        bad,
        b"<x><?xpacket end=",
        b'<?xpacket begin=""?>\xff\x1b[31m<?xpacket end="w"?>',
    ):
        Path("a.png").write_bytes(saved("PNG") + content)
        assert "says nothing" in told("verify", "a.png")
    ansi = mark(saved("PNG"), "png", Claim(story="red")).replace(b"red", b"\x1b[3")
    assert "\x1b" not in "".join(lines(verify(ansi, "a.png")))
    Path("b.txt").write_text("hello")
    assert "is of no kind that is marked" in told("verify", "b.txt", code=2)
    assert "no such file" in told("verify", "none.png", code=2)
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("a.png", bytes(1 << 20))
    huge = bytearray(buffer.getvalue())
    size = (1 << 20).to_bytes(4, "little")
    huge = bytes(huge).replace(size, (1 << 31).to_bytes(4, "little"))
    Path("c.cbz").write_bytes(huge)
    assert "is broken: the zip holds too much" in told("verify", "c.cbz", code=2)
    Path("c.cbz").write_bytes(b"PK\x03\x04 and nothing")
    assert "is broken: it is no whole zip" in told("verify", "c.cbz", code=2)
