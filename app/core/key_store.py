"""Where API keys are kept: a file that is read again when it changes, or a text in the environment."""

import asyncio
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import structlog
from pydantic import ValidationError

from app.core.api_keys import KeyRing
from app.errors import StartupError
from app.schemas.keys import KeyFile, KeyRecord

log = structlog.get_logger("keys")

_LOOK_EVERY = 1.0  # seconds; a revoked key opens nothing after at most this long

_Mark = tuple[int, int, int]


def parse_keys(text: str, source: str) -> list[KeyRecord]:
    """The records in ``text``: a JSON object with ``keys``, or the list alone.

    Raises:
        StartupError: it is something else; the message names ``source`` and the place.
    """
    whole = text if text.lstrip().startswith("{") else f'{{"keys":{text}}}'
    try:
        records = KeyFile.model_validate_json(whole).keys
        KeyRing(records)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the text"
        raise StartupError(
            f"{source} holds no API keys as `llm-service keys create` writes them: {where}: {fault['msg']}."
        ) from None
    except ValueError as error:
        raise StartupError(f"{source}: {error}. Remove one of the two.") from None
    return records


def read_keys(path: Path) -> list[KeyRecord]:
    """The records in a file.

    Raises:
        StartupError: it cannot be read, or holds something else.
    """
    try:
        return parse_keys(path.read_text("utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise StartupError(
            f"API_KEYS_FILE={path} cannot be read: {reason}. Create it with: llm-service keys create"
        ) from error


def write_keys(path: Path, records: Iterable[KeyRecord]) -> None:
    """Replace a file, whole or not at all; only its owner may read it.

    Raises:
        StartupError: it cannot be written.
    """
    text = KeyFile(keys=list(records)).model_dump_json(indent=2, exclude_none=True) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600 from the start
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        if path.exists():
            Path(draft).chmod(path.stat().st_mode & 0o777)
        Path(draft).replace(path)
    except OSError as error:
        raise StartupError(f"{path} cannot be written: {error.strerror}.") from error


class KeyStore:
    """The ring that counts now.

    Attributes:
        ring: Replaced as a whole when the file changes, so that no request sees half of a change.
    """

    def __init__(self, given: str, file: str) -> None:
        """``given``: records in the environment; ``file``: where the others are. Either may be empty.

        Raises:
            StartupError: one of them is not as it should be.
        """
        self._given = parse_keys(given, "API_KEYS") if given else []
        self._path = Path(file) if file else None
        self._mark = _mark(self._path) if self._path is not None else None
        self.ring = self._read()

    def _read(self) -> KeyRing:
        records = [*self._given, *(read_keys(self._path) if self._path is not None else [])]
        try:
            return KeyRing(records)
        except ValueError as error:
            raise StartupError(f"API_KEYS and API_KEYS_FILE: {error}. Remove one of the two.") from None

    async def watch(self) -> None:
        """Read the file again whenever it changes, until cancelled. What is wrong with it changes nothing."""
        while self._path is not None:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                await asyncio.to_thread(self.refresh)
            except StartupError as error:
                log.error(  # noqa: TRY400  a sentence for the operator
                    "the API keys were changed, but not as they can be read; the old ones count", why=error.message
                )

    def refresh(self) -> None:
        """Read the file if it has changed.

        Raises:
            StartupError: it is not as it should be; the old keys count on.
        """
        if self._path is None or (mark := _mark(self._path)) == self._mark:
            return
        self._mark = mark  # also if it is wrong: said once, not every second
        self.ring = self._read()
        log.info("API keys read again", keys=len(self.ring))


def _mark(path: Path) -> _Mark | None:
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_mtime_ns, seen.st_ino, seen.st_size
