"""RealtimeKit's public key. Imported with the first webhook, because `cryptography` takes 7 MB of memory."""

from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from bot.errors import CloudflareUnavailable

_BITS = range(2048, 8193)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An RSA key that verifies signatures."""

    _rsa: RSAPublicKey

    def fits(self, signature: bytes, body: bytes) -> bool:
        """Return whether the signature over this body was made with the matching private key."""
        try:
            self._rsa.verify(signature, body, PKCS1v15(), SHA256())
        except InvalidSignature:
            return False
        return True


def load_public_key(pem: str) -> PublicKey:
    """Read the key in a PEM text. Raises CloudflareUnavailable unless it is RSA of 2,048 to 8,192 bits."""
    try:
        key = load_pem_public_key(pem.encode("utf-8", "replace"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CloudflareUnavailable(detail=type(error).__name__) from None
    if not isinstance(key, RSAPublicKey) or key.key_size not in _BITS:
        raise CloudflareUnavailable(detail="no RSA key of a usual length in the answer")
    return PublicKey(key)
