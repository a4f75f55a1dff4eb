"""Certificates for servers of tests, signed by a certificate authority of their own."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def made_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a private key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_authority(folder: Path, name: str) -> Callable[[], ssl.SSLContext]:
    """Make a CA, whose certificate is `folder/name.pem`, and give what makes the context of a server that it names."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def builder(public: ec.EllipticCurvePublicKey, of: x509.Name) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(of)
            .issuer_name(subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
        )

    authority = builder(key.public_key(), subject).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    (folder / f"{name}.pem").write_bytes(authority.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def server() -> ssl.SSLContext:
        own = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        of = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "provider")])
        leaf = builder(own.public_key(), of).add_extension(names, critical=False).sign(key, hashes.SHA256())
        file = folder / f"{name}-server.pem"
        file.write_bytes(leaf.public_bytes(Encoding.PEM) + made_pem(own))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context

    return server
