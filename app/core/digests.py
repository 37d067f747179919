"""One digest of several parts. Pure."""

from hashlib import blake2b


def digest_of(*parts: str | bytes, key: bytes = b"") -> bytes:
    """32 bytes; the lengths of the parts are in it, so that no two lists of parts have the same.

    Args:
        parts: What it is of; half a surrogate pair in a text is allowed.
        key: Whoever does not know it cannot make the digest, up to 64 bytes.
    """
    digest = blake2b(key=key, digest_size=32)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()
