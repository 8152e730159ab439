"""Who wrote an SNS message: its signature, checked with a certificate from SNS itself (aws-facts 2.4)."""

import base64
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from ecsroll.clock import Clock
from ecsroll.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = ["Forged", "Signatures", "Unreachable", "canonical", "certificate_url", "require_library", "web_certificate"]

HOST = re.compile(r"sns\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
PATH = re.compile(r"/[A-Za-z0-9._-]+\.pem")
LARGEST = 64 * 1024
"""Bytes of a certificate file."""
KEPT = 16
TRY_AGAIN = 300.0
"""Seconds until a certificate that could not be had is asked for again."""

_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


class Forged(ValueError):  # noqa: N818 - what it is, in a word
    """The signature is not that of SNS."""


class Unreachable(Exception):  # noqa: N818 - no error: it is the network's fault, and known for a while
    """The certificate can not be had at this moment."""


def canonical(envelope: Mapping[str, Any]) -> bytes:
    """What was signed: names and values in the order of the names, a line each; the subject only if there is one."""
    names = _NOTIFICATION if envelope.get("Type") == "Notification" else _CONFIRMATION
    return "".join(f"{name}\n{envelope[name]}\n" for name in names if envelope.get(name) is not None).encode()


def certificate_url(envelope: Mapping[str, Any]) -> str:
    """Where its certificate lies. Raises Forged if that is any other place than SNS's own.

    The address comes out of the message, so it is an attacker's until it has been checked.
    """
    url = envelope.get("SigningCertURL")
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError as error:
        raise Forged("its certificate has no address") from error
    if parts is None or not isinstance(url, str) or parts.scheme != "https":
        raise Forged("its certificate is not on https")
    # netloc, not hostname: a user, a password or a port has no business there.
    if not HOST.fullmatch(parts.netloc) or not PATH.fullmatch(parts.path) or parts.query or parts.fragment:
        raise Forged("its certificate is not at SNS")
    return url


def web_certificate(url: str) -> bytes:
    """Fetch it, following nothing. Raises Unreachable."""
    import urllib3  # noqa: PLC0415 - only a watcher needs it

    pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=3, read=5), retries=False)
    try:
        answer = pool.request("GET", url, redirect=False, preload_content=False)
        found = answer.read(LARGEST + 1)
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(str(error)) from error
    if answer.status != 200 or len(found) > LARGEST:
        raise Unreachable(f"{url} answered {answer.status} with {len(found)} bytes")
    return found


@dataclass
class Signatures:
    """Checks signatures of both versions; keeps the newest certificates."""

    clock: Clock
    fetch: Callable[[str], bytes] = web_certificate
    _keys: OrderedDict[str, "RSAPublicKey"] = field(default_factory=OrderedDict)
    _missing: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def check(self, envelope: Mapping[str, Any]) -> Literal["verified", "unsigned", "unchecked"]:
        """Whose it is. Raises Forged.

        ``unchecked``: the certificate can not be had (a subnet without a way out): nothing is known of who wrote it.
        """
        if not envelope.get("Signature") and not envelope.get("SigningCertURL"):
            return "unsigned"
        url = certificate_url(envelope)
        try:
            key = self._key(url)
        except Unreachable:
            return "unchecked"
        _verify(key, envelope)
        return "verified"

    def _key(self, url: str) -> "RSAPublicKey":
        if url in self._keys:
            self._keys.move_to_end(url)
            return self._keys[url]
        if self.clock.elapsed() < self._missing.get(url, 0.0):
            raise Unreachable(url)
        try:
            key = _public_key(self.fetch(url))
        except Unreachable:
            self._missing[url] = self.clock.elapsed() + TRY_AGAIN
            _trim(self._missing)
            raise
        self._keys[url] = key
        _trim(self._keys)
        return key


def _trim(kept: OrderedDict[str, Any]) -> None:
    while len(kept) > KEPT:
        kept.popitem(last=False)


def _public_key(pem: bytes) -> "RSAPublicKey":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey  # noqa: PLC0415
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415

    try:
        key = load_pem_x509_certificate(pem).public_key()
    except ValueError as error:
        raise Forged("its certificate is none") from error
    if not isinstance(key, RSAPublicKey):
        raise Forged("its certificate has no RSA key")
    return key


def _verify(key: "RSAPublicKey", envelope: Mapping[str, Any]) -> None:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415

    # Version 1 is what SNS does unless a topic is told otherwise: SHA-1 is its choice, not ours.
    known = {"1": hashes.SHA1, "2": hashes.SHA256}
    version = str(envelope.get("SignatureVersion", ""))
    if version not in known:
        raise Forged(f"its signature is of version {version[:20]!r}: 1 and 2 are known")
    try:
        signature = base64.b64decode(str(envelope.get("Signature", "")), validate=True)
        key.verify(signature, canonical(envelope), PKCS1v15(), known[version]())
    except (InvalidSignature, ValueError) as error:  # no base64, or characters that can not be written
        raise Forged("its signature does not fit what it says") from error


def require_library() -> None:
    """Raises UsageError where signatures could not be checked at all."""
    try:
        import cryptography  # noqa: F401, PLC0415
    except ImportError as error:
        hint = "pip install 'ecsroll[watch]'"
        raise UsageError(
            "signatures of SNS are checked with the library cryptography, and it is not here", hint=hint
        ) from error
