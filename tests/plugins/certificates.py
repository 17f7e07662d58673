"""Fixtures: certificates made for the test, and contexts that use them."""

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest


class Certificate(NamedTuple):
    """Files of a certificate that signs itself."""

    certificate: Path
    key: Path


def make_certificate(folder: Path, name: str) -> Certificate:
    """Make a certificate for a host with the openssl command; skip where that is missing."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"]
    files = ["-keyout", str(made.key), "-out", str(made.certificate)]
    try:
        subprocess.run([*command, *files], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl command to make a certificate with")
    return made


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The certificate of localhost."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "localhost")


@pytest.fixture(scope="session")
def other_certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """The certificate of another host, which nobody trusts."""
    return make_certificate(tmp_path_factory.mktemp("tls"), "elsewhere")


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """What a server with this certificate uses."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


def client_context(certificate: Certificate) -> ssl.SSLContext:
    """What a client uses that trusts this certificate."""
    return ssl.create_default_context(cafile=str(certificate.certificate))


@pytest.fixture(scope="session")
def contexts(certificate: Certificate) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server and of its client."""
    return server_context(certificate), client_context(certificate)
