"""Which requests are the same, in the words of HTTP."""

from starlette.datastructures import Headers
from starlette.types import Scope

from app.core.coalescing import Identity
from app.core.digests import digest_of
from app.errors import InvalidField

_LONGEST_KEY = 255


def identity_of(scope: Scope, body: bytes, *, keep: float, keep_keyed: float) -> Identity | None:
    """The identity of a request with ``body``; None if its client opts out with ``no-store``.

    Callers are apart by their API key. With an ``Idempotency-Key`` that key names the work, and the body has to be the
    same each time; without one, path, query and body do.

    Raises:
        InvalidField: the Idempotency-Key is empty, too long or not printable ASCII.
    """
    headers, caller = Headers(scope=scope), caller_of(scope)
    if caller is None:
        return None
    content = digest_of(scope["path"], scope["query_string"], body)
    given = headers.get("idempotency-key")
    if given is None:
        return Identity(digest_of("identical", caller, content), content, keep)
    if not (0 < len(given) <= _LONGEST_KEY and given.isascii() and given.isprintable()):
        raise InvalidField(
            f"Idempotency-Key: must be 1 to {_LONGEST_KEY} printable ASCII characters, a UUID for example.",
            param="Idempotency-Key",
        )
    return Identity(digest_of("keyed", caller, given), content, keep_keyed)


def caller_of(scope: Scope) -> str | None:
    """Who shares what was made before with whom; None for a client that opts out of it with ``no-store``."""
    headers = Headers(scope=scope)
    if "no-store" in headers.get("cache-control", "").lower():
        return None
    # Without keys of our own, whatever a caller sends in their place keeps it apart from others.
    return scope["state"]["key_id"] or headers.get("authorization", headers.get("x-api-key", ""))
