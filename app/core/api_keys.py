"""API keys: how they are made, and whose a presented one is. Pure but for the random numbers and the clock.

A key is ``llms_`` + id (12 hexadecimal digits) + ``_`` + 256 random bits (64 digits) + CRC-32 of all before (8 digits).
The prefix lets secret scanners find a leaked one, the checksum tells a truncated one from an unknown one without a look
at what is stored.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from app.errors import Unauthenticated
from app.schemas.keys import KeyRecord, Scope

_PREFIX = "llms_"
_FORM = re.compile(r"llms_([0-9a-f]{12})_[0-9a-f]{72}", re.ASCII)
_CHECKSUM = 8  # digits
_LOOK = "`llm-service keys list` shows the ones there are"

_MISSING = "This service asks for an API key. Send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`."
_BROKEN = "The API key is not whole: it was cut, changed or is another service's. Send it exactly as it was printed."
_UNKNOWN = f"The API key is not known here. Ask the service's operator for one; {_LOOK}."
_ENDED = f"The API key is %s. Ask the service's operator for a new one; {_LOOK}."


def make_key(name: str, scopes: Iterable[Scope], **more: Any) -> tuple[str, KeyRecord]:
    """A new key, and what is stored of it; ``more`` are further fields of the record.

    Raises:
        ValidationError: a field is not allowed.
    """
    number = secrets.token_hex(6)
    body = f"{_PREFIX}{number}_{secrets.token_hex(32)}"
    key = body + _checksum(body)
    record = {
        "id": number,
        "name": name,
        "hash": _digest(key).hex(),
        "scopes": list(scopes),
        "created": datetime.now(UTC).replace(microsecond=0),
        **more,
    }
    return key, KeyRecord.model_validate(record)


class KeyRing:
    """The keys that are stored. Never changed: a new ring takes the place of an old one."""

    def __init__(self, records: Iterable[KeyRecord]) -> None:
        """Two records with one id are one too many.

        Raises:
            ValueError: an id is there twice.
        """
        self._known: dict[str, tuple[bytes, KeyRecord]] = {}
        for record in records:
            if record.id in self._known:
                raise ValueError(f"the id {record.id} is there twice")
            self._known[record.id] = (bytes.fromhex(record.hash), record)

    def __len__(self) -> int:
        return len(self._known)

    def owner(self, presented: str | None) -> KeyRecord:
        """The record of a presented key.

        Raises:
            Unauthenticated: there is none, or it is no live key. That it has ended is told only to whoever holds it.
        """
        if presented is None:
            raise Unauthenticated(_MISSING)
        found = _FORM.fullmatch(presented)
        if found is None or not hmac.compare_digest(presented[-_CHECKSUM:], _checksum(presented[:-_CHECKSUM])):
            raise Unauthenticated(_BROKEN)
        # An unknown id is compared too, with nobody's hash, so that it takes the same time.
        expected, record = self._known.get(found[1], (_NOBODY, None))
        same = hmac.compare_digest(_digest(presented), expected)
        if not same or record is None:
            raise Unauthenticated(_UNKNOWN)
        if record.expires is not None or record.revoked is not None:
            state = record.state(datetime.now(UTC))
            if state != "live":
                raise Unauthenticated(_ENDED % state)
        return record


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("ascii")).digest()


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode('ascii')):08x}"


_NOBODY = bytes(32)
