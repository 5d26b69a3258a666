"""A certificate of one's own to sign files with, where nobody gave one (extra: c2pa)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

YEARS = 5


def new_certificate(name: str, now: datetime | None = None) -> bytes:
    """A certificate for ``name``, the authority of its own that issued it, and the key, as PEM.

    C2PA asks for an issuer other than the signer, and for a use of the key. The authority's key is
    forgotten. Checkers hold the file together with it, and say that they do not know the issuer.

    Args:
        name: who signs, as checkers will show it.
        now: from when on it counts, for five years; None is this moment.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    begins = now or datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=5)
    called = lambda words: x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, name),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, words),
        ]
    )
    root, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = called(f"{name} (issued by themselves)"[:64])

    def issued(subject: x509.Name, owner: ec.EllipticCurvePrivateKey, *, is_root: bool) -> bytes:
        use = x509.KeyUsage(not is_root, False, False, False, False, is_root, is_root, False, False)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(owner.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + timedelta(days=365 * YEARS))
            .add_extension(x509.BasicConstraints(is_root, None), critical=True)
            .add_extension(use, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(owner.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), False
            )
        )
        if not is_root:
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            made = made.add_extension(purpose, critical=False)
        return made.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    chain = issued(called(name[:64]), key, is_root=False) + issued(issuer, root, is_root=True)
    return chain + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
