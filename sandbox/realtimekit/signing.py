"""The keys that sign webhook deliveries."""

import base64
import functools

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

STRANGER = -1
"""The number of a key that is not RealtimeKit's, for forged signatures."""


class SigningKey:
    """An RSA key of 2,048 bits."""

    def __init__(self) -> None:
        self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.public_pem = (
            self._private.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def sign(self, body: bytes) -> str:
        """Return a raw body's signature for `rtk-signature`: RSA-SHA256 (PKCS #1 v1.5) in base64."""
        return base64.b64encode(self._private.sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()


@functools.cache
def signing_key(number: int) -> SigningKey:  # noqa: ARG001 - the cache's key
    """Return the key with this number, generated once per process because that takes a tenth of a second."""
    return SigningKey()
